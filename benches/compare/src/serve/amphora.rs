//! Amphora as its users have it: a database on the disk, through its public interface, payloads
//! returned.

use super::{Data, Result, Served};
use crate::protocol::{Build, Search};
use amphora_blocking::amphora::{
    Collection, Database, Durability, Field, Hit, Metric, Options, Point, PoolOptions, Query,
    Schema, Vector, field,
};
use amphora_tests::truth;
use std::{path::Path, time::Duration};

pub(super) const VECTOR: &str = "embedding";
const BATCH: usize = 1_000;
const LONG: Duration = Duration::from_secs(3_600);

pub(super) struct Amphora {
    pub(super) points: Collection,
    db: Database,
}

impl Served for Amphora {
    type Request = Query;
    type Hits = Vec<Hit>;

    fn build(build: &Build, data: &Data) -> Result<Self> {
        let vector = Vector::new(u32::try_from(data.dimensions)?, Metric::Cosine);
        let mut schema = Schema::new().vector(VECTOR, vector);
        for field in &data.indexed {
            schema = schema.field(field, Field::Integer);
        }
        Self::fill(build, schema, points(data))
    }

    fn request(&self, values: &[f32], search: &Search) -> Result<Query> {
        let query = Query::nearest(VECTOR, values).limit(search.k);
        Ok(match &search.filter {
            Some(filter) => query.filter(field(&filter.field).below(filter.below)),
            None => query.ef(search.ef),
        })
    }

    fn answer(&self, request: Query, _search: &Search) -> Result<Vec<Hit>> {
        Ok(self.points.search(request).wait()?)
    }

    fn rows(hits: Vec<Hit>) -> Vec<i64> {
        truth::rows(&hits)
    }
}

impl Amphora {
    /// Takes in the data until all of it is indexed.
    pub(super) fn fill(
        build: &Build,
        schema: Schema,
        from: impl Iterator<Item = Point>,
    ) -> Result<Self> {
        let system = Self::open(&build.directory, build.threads, schema, from)?;
        system.settle()?;
        Ok(system)
    }

    /// Takes in the data.
    pub(super) fn open(
        directory: &Path,
        threads: usize,
        schema: Schema,
        mut from: impl Iterator<Item = Point>,
    ) -> Result<Self> {
        let options = Options {
            request_timeout: LONG,
            // As many to build with as the others have.
            pools: Some(PoolOptions {
                update_threads: threads,
                ..PoolOptions::default()
            }),
            ..Options::default()
        };
        let db = amphora_blocking::builder(directory).options(options);
        let db = db.open().wait()?;
        let points = db.create_collection("points", schema).wait()?;
        // Durable once, at the end, as the others are.
        let hasty = points.with_durability(Durability::Os);
        loop {
            let batch: Vec<Point> = from.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return Ok(Self { points, db });
            }
            hasty.upsert(batch).wait()?;
        }
    }

    /// Waits until all of it is on the disk and indexed.
    pub(super) fn settle(&self) -> Result<()> {
        self.db.flush().wait()?;
        self.db.optimize().timeout(LONG).wait()?;
        Ok(())
    }
}

pub(super) fn points(data: &Data) -> impl Iterator<Item = Point> {
    let rows = (0u64..).zip(data.rows().zip(&data.payloads));
    rows.map(|(row, (values, payload))| {
        Point::new(row)
            .vector(VECTOR, values)
            .payload(payload.clone())
    })
}
