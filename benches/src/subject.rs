//! What a bench measures: a database on the disk, and in it a collection of points that have the
//! numbers of their rows.

use amphora::{
    Collection, Database, Durability, Hit, Metric, Options, Point, PoolOptions, Query, Schema,
    Vector,
};
use amphora_tests::{process::processor, truth};
use futures::{StreamExt, stream};
use std::{path::Path, time::Duration};
use tempfile::TempDir;

/// The vector of the collection.
pub(crate) const VECTOR: &str = "embedding";
/// How many hits a query asks for.
pub(crate) const K: usize = 10;
/// The deadline of what rewrites everything.
pub(crate) const LONG: Duration = Duration::from_secs(1_800);
/// How many batches [`write_all`] has under way.
const AT_ONCE: usize = 4;
const BATCH: usize = 1_000;

/// A database with one collection.
pub(crate) struct Subject {
    pub(crate) db: Database,
    pub(crate) points: Collection,
    directory: TempDir,
}

impl Subject {
    /// An empty one.
    pub(crate) fn new(schema: Schema, options: Options) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let db = open(directory.path(), options);
        let points = db.create_collection("points", schema).wait();
        Self {
            points: points.expect("it is new"),
            db,
            directory,
        }
    }

    /// Writes points, durable at the end.
    pub(crate) fn fill(&self, points: impl Iterator<Item = Point>) {
        let mut points = points.peekable();
        let batches = std::iter::from_fn(|| {
            points.peek()?;
            Some(points.by_ref().take(BATCH).collect())
        });
        write_all(&self.db, &self.points, batches);
    }

    /// Merges and indexes everything.
    pub(crate) fn optimize(&self) {
        let optimized = self.db.optimize().timeout(LONG).wait();
        optimized.expect("nothing prevents merging and indexing");
    }

    pub(crate) fn search(&self, query: Query) -> Vec<Hit> {
        self.points.search(query).wait().expect("hits")
    }

    /// The share of the true nearest [`K`] that these queries find.
    pub(crate) fn recall(&self, queries: impl Iterator<Item = Query>, truth: &[Vec<u32>]) -> f64 {
        let found: Vec<_> = queries
            .map(|query| truth::rows(&self.search(query)))
            .collect();
        truth::recall(&found, truth, K)
    }

    /// Microseconds of processor time for a query, by one caller.
    pub(crate) fn cost(&self, queries: impl Iterator<Item = Query>) -> f64 {
        let queries: Vec<Query> = queries.collect();
        let (count, before) = (queries.len(), processor());
        for query in queries {
            self.search(query);
        }
        (processor() - before) * 1e6 / count as f64
    }

    /// Closes it; what is left goes with the directory.
    pub(crate) fn close(self) -> TempDir {
        self.db.close().wait().expect("it closes");
        self.directory
    }
}

/// A schema of [`VECTOR`] alone, compared by cosine.
pub(crate) fn schema(dimensions: usize) -> Schema {
    Schema::new().vector(VECTOR, Vector::new(dimensions as u32, Metric::Cosine))
}

/// The defaults, but that all processors build indexes.
pub(crate) fn building_fast() -> Options {
    let pools = PoolOptions::default();
    Options {
        pools: Some(PoolOptions {
            update_threads: pools.io_threads,
            ..pools
        }),
        ..Options::default()
    }
}

pub(crate) fn open(path: &Path, options: Options) -> Database {
    let builder = Database::builder(path).options(options);
    builder.open().wait().expect("nothing prevents opening")
}

/// The quickest way to write many points: several batches under way, none waiting for the disk,
/// and one flush at the end.
pub(crate) fn write_all(
    db: &Database,
    collection: &Collection,
    batches: impl IntoIterator<Item = Vec<Point>>,
) {
    let hasty = collection.with_durability(Durability::Os);
    let writes = stream::iter(batches)
        .map(|batch| hasty.upsert(batch).timeout(LONG))
        .buffered(AT_ONCE)
        .for_each(async |written| written.expect("nothing prevents writing"));
    amphora::block_on(writes);
    db.flush().wait().expect("nothing prevents syncing");
}
