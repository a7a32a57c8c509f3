//! Reads against a model that is a map: of the moment, and of views that are held while writers run.

mod explained;
mod facets;
mod held;
mod scroll;
mod shown;

use amphora::{Collection, Database, Metric, Point, PointId, Schema, Vector, vfs::MemoryVfs};
use amphora_tests::opening::{self, Memory};
use serde_json::json;

/// A database whose memtables are full soon, and an empty collection in it.
fn new() -> (Database, Collection) {
    let db = opening::open(MemoryVfs::new(), Memory::Tiny).unwrap();
    let schema = Schema::new().vector("v", Vector::new(2, Metric::Dot));
    let docs = db.create_collection("docs", schema).wait().unwrap();
    (db, docs)
}

fn point(id: u64, version: u64) -> Point {
    Point::new(id)
        .vector("v", [id as f32, version as f32])
        .payload(json!({ "version": version, "even": id.is_multiple_of(2) }))
}

/// The ids of points that are or are to be there.
fn ids(points: &[Point]) -> Vec<PointId> {
    points.iter().map(|point| point.id.clone()).collect()
}
