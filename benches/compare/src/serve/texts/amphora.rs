//! Amphora as its users have it: a database on the disk, through its public interface.

use super::{Result, Served, TEXT};
use crate::protocol::{Find, Index, Way};
use amphora_blocking::amphora::{
    Collection, Database, Durability, Hit, Options, Point, PoolOptions, Query, Schema, StopWords,
    Text,
};
use amphora_tests::truth;
use serde_json::json;
use std::time::Duration;

const BATCH: usize = 1_000;
const LONG: Duration = Duration::from_secs(3_600);

pub(super) struct Amphora {
    passages: Collection,
    db: Database,
}

impl Served for Amphora {
    type Request = Query;
    type Hits = Vec<Hit>;

    fn index(index: &Index, texts: &[&str]) -> Result<Self> {
        let options = Options {
            request_timeout: LONG,
            pools: Some(PoolOptions {
                update_threads: 1,
                ..PoolOptions::default()
            }),
            ..Options::default()
        };
        let db = amphora_blocking::builder(&index.directory).options(options);
        let db = db.open().wait()?;
        let text = Text::english().stop_words(StopWords::None).fold(false);
        let schema = match index.is_indexed {
            true => Schema::new().text(TEXT, text.positions(false)),
            false => Schema::new(),
        };
        let passages = db.create_collection("passages", schema).wait()?;
        // Durable once, at the end, as the others are.
        let hasty = passages.with_durability(Durability::Os);
        let mut rows = (0u64..).zip(texts);
        loop {
            let batch = rows.by_ref().take(BATCH);
            let batch = batch.map(|(row, text)| Point::new(row).payload(json!({ TEXT: text })));
            let batch: Vec<Point> = batch.collect();
            if batch.is_empty() {
                break;
            }
            hasty.upsert(batch).wait()?;
        }
        db.flush().wait()?;
        db.optimize().timeout(LONG).wait()?;
        Ok(Self { passages, db })
    }

    fn request(&self, words: &str, find: &Find) -> Result<Query> {
        let query = Query::text(TEXT, words).limit(find.k);
        match find.way {
            Way::Rows => Ok(query.with_payload(false)),
            Way::Texts => Ok(query),
            Way::Prepared => Err("a query is brought to terms as it is answered".into()),
        }
    }

    fn answer(&self, request: Query) -> Result<Vec<Hit>> {
        Ok(self.passages.search(request).wait()?)
    }

    fn rows(hits: Vec<Hit>) -> Vec<i64> {
        truth::rows(&hits)
    }

    fn close(self) -> Result<()> {
        Ok(self.db.close().wait()?)
    }
}
