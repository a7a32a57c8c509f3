//! Every kind of write against a model that is a map, with points that leave memory all the time.

mod expiry;
mod random;
mod schema;

use amphora::{
    Batch, Collection, Database, Edit, ErrorKind, Metric, Outcome, Point, PointId, Schema,
    Selection, Vector, field, vfs::MemoryVfs,
};
use amphora_tests::opening::{self, Memory};
use serde_json::{Value, json};
use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex},
    task::Poll,
    thread,
    time::{Duration, Instant},
};

fn shape() -> Schema {
    Schema::new()
        .vector("a", Vector::new(2, Metric::Dot))
        .vector("b", Vector::new(1, Metric::Euclidean))
}

fn new() -> (MemoryVfs, Database, Collection) {
    on(MemoryVfs::new())
}

fn on(vfs: MemoryVfs) -> (MemoryVfs, Database, Collection) {
    let db = opening::open(vfs.clone(), Memory::Tiny).unwrap();
    let docs = db.create_collection("docs", shape()).wait().unwrap();
    (vfs, db, docs)
}

fn point(id: u64, x: f32) -> Point {
    Point::new(id)
        .vector("a", [x, 1.0])
        .vector("b", [x])
        .payload(json!({ "x": x, "tags": ["t"] }))
}

fn payload(docs: &Collection, id: u64) -> Option<Value> {
    let found = docs.get(id).wait().unwrap();
    found.map(|point| point.payload.to_value())
}

#[test]
fn what_exists_decides_what_is_written() {
    let (_, _, docs) = new();
    assert_eq!(
        docs.insert([point(1, 1.0), point(2, 1.0)]).wait().unwrap(),
        2
    );
    assert_eq!(
        docs.insert([point(2, 2.0), point(3, 2.0)]).wait().unwrap(),
        1
    );
    assert_eq!(docs.get(2).wait().unwrap(), Some(point(2, 1.0)));
    assert_eq!(
        docs.update([point(3, 3.0), point(4, 3.0)]).wait().unwrap(),
        1
    );
    assert_eq!(docs.get(3).wait().unwrap(), Some(point(3, 3.0)));
    assert_eq!(docs.get(4).wait().unwrap(), None);
    let newer = Edit::upsert_if(
        [point(3, 9.0), point(1, 9.0), point(5, 9.0)],
        field("x").below(2),
    );
    assert_eq!(docs.apply(newer).wait().unwrap(), 2);
    assert_eq!(docs.get(3).wait().unwrap(), Some(point(3, 3.0)));
    assert_eq!(docs.get(1).wait().unwrap(), Some(point(1, 9.0)));
    assert_eq!(docs.count().wait().unwrap(), 4);
}

#[test]
fn payloads_and_vectors_change_apart_from_each_other() {
    let (_, _, docs) = new();
    docs.upsert((0..4).map(|id| point(id, id as f32)))
        .wait()
        .unwrap();
    let set = docs.set_payload([0, 1, 99], json!({ "x": "new", "y": 1 }));
    assert_eq!(set.wait().unwrap(), 2);
    assert_eq!(
        payload(&docs, 0),
        Some(json!({ "x": "new", "y": 1, "tags": ["t"] }))
    );
    let keys = Edit::delete_payload([0], ["tags", "absent"]);
    assert_eq!(docs.apply(keys).wait().unwrap(), 1);
    assert_eq!(payload(&docs, 0), Some(json!({ "x": "new", "y": 1 })));
    docs.apply(Edit::overwrite_payload([1], json!({ "z": 0 })))
        .wait()
        .unwrap();
    assert_eq!(payload(&docs, 1), Some(json!({ "z": 0 })));
    docs.apply(Edit::clear_payload([1])).wait().unwrap();
    assert_eq!(payload(&docs, 1), Some(json!({})));
    let vectors = [
        Point::new(1).vector("b", [7.0]),
        Point::new(50).vector("b", [7.0]),
    ];
    assert_eq!(docs.set_vectors(vectors).wait().unwrap(), 1);
    docs.apply(Edit::delete_vectors([1], ["a"])).wait().unwrap();
    let left = docs.get(1).wait().unwrap().unwrap();
    assert_eq!(left.vectors, [("b".to_owned(), vec![7.0])]);
    assert_eq!(docs.get(2).wait().unwrap(), Some(point(2, 2.0)));
}

#[test]
fn a_filter_selects_in_steps_and_each_point_once() {
    let (_, db, docs) = new();
    docs.upsert((0..5_000).map(|id| point(id, id as f32)))
        .wait()
        .unwrap();
    let seen = docs.set_payload(field("x").at_least(1_000), json!({ "seen": true }));
    assert_eq!(seen.wait().unwrap(), 4_000);
    assert_eq!(
        docs.count_matching(field("seen").eq(true)).wait().unwrap(),
        4_000
    );
    assert_eq!(
        docs.delete_matching(field("x").below(4_500))
            .wait()
            .unwrap(),
        4_500
    );
    assert_eq!(
        docs.delete_matching(field("x").below(4_500))
            .wait()
            .unwrap(),
        0
    );
    db.optimize().wait().unwrap();
    assert_eq!(docs.count().wait().unwrap(), 500);
}

/// Polled late, so that a step ended before the deadline was looked at.
#[test]
fn an_edit_by_a_filter_that_ran_out_of_time_says_that_it_had_begun() {
    const TIME: Duration = Duration::from_millis(300);
    let (_, _, docs) = new();
    docs.upsert((0..5_000).map(|id| point(id, id as f32)))
        .wait()
        .unwrap();
    let begun = Instant::now();
    let mut edit = docs.delete_matching(field("x").at_least(0)).timeout(TIME);
    while docs.count().wait().unwrap() == 5_000 {
        let polled = pollster::block_on(poll_fn(|context| {
            Poll::Ready(Pin::new(&mut edit).poll(context))
        }));
        assert!(polled.is_pending() && begun.elapsed() < TIME);
    }
    thread::sleep(TIME);
    let error = pollster::block_on(edit).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout(Outcome::Unknown));
    let left = docs.count().wait().unwrap();
    assert!(0 < left && left < 5_000, "{left}");
}

#[test]
fn edits_of_a_batch_see_each_other_and_count_together() {
    let (vfs, db, docs) = new();
    let tags = db.create_collection("tags", shape()).wait().unwrap();
    docs.upsert([point(1, 1.0), point(2, 1.0)]).wait().unwrap();
    let batch = Batch::new()
        .edit(&docs, Edit::insert([point(1, 5.0), point(3, 5.0)]))
        .edit(&docs, Edit::set_payload([3], json!({ "x": 6.0 })))
        .edit(&tags, Edit::upsert([point(1, 1.0), point(1, 2.0)]))
        .edit(&docs, Edit::delete([2, 4]))
        .edit(&docs, Edit::update([point(2, 8.0)]));
    assert_eq!(db.write(batch).wait().unwrap(), 5);
    let check = |docs: &Collection, tags: &Collection| {
        assert_eq!(docs.get(1).wait().unwrap(), Some(point(1, 1.0)));
        assert_eq!(docs.get(2).wait().unwrap(), None);
        assert_eq!(payload(docs, 3).unwrap()["x"], 6.0);
        assert_eq!(tags.get(1).wait().unwrap(), Some(point(1, 2.0)));
    };
    check(&docs, &tags);
    drop((docs, tags));
    db.close().wait().unwrap();
    let db = opening::open(vfs, Memory::Tiny).unwrap();
    let find = |name: &str| db.collection(name).wait().unwrap();
    check(&find("docs"), &find("tags"));
}

#[test]
fn a_batch_is_refused_whole() {
    let (_, db, docs) = new();
    let (_, _, stranger) = new();
    let refused = |batch: Batch, says: &str| {
        let error = db.write(batch).wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(docs.count().wait().unwrap(), 0);
    };
    let good = || Batch::new().edit(&docs, Edit::upsert([point(1, 1.0)]));
    refused(Batch::new(), "no edits");
    refused(
        good().edit(&stranger, Edit::delete([1])),
        "another database",
    );
    refused(
        good().edit(&docs, Edit::delete(field("x").eq(1))),
        "by a filter",
    );
    refused(
        good().edit(&docs, Edit::delete(Selection::ids::<PointId>([]))),
        "no ids",
    );
    refused(
        good().edit(&docs, Edit::upsert([Point::new(1).vector("c", [1.0])])),
        "vector",
    );
    refused(
        good().edit(&docs, Edit::set_vectors([point(1, 1.0)])),
        "vectors alone",
    );
    refused(
        good().edit(&docs, Edit::delete_vectors([1], ["c"])),
        "no vector",
    );
    refused(
        good().edit(&docs, Edit::set_payload([1], json!([1]))),
        "an array",
    );
    db.delete_collection("docs").wait().unwrap();
    let error = db.write(good()).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

/// What an edit makes of a point is checked like a point that is written.
#[test]
fn what_becomes_of_a_point_is_held_to_the_limits() {
    let mut options = opening::options(Memory::Tiny);
    options.limits.payload_bytes = 100;
    let db = Database::builder_on(MemoryVfs::new()).options(options);
    let db = db.open().wait().unwrap();
    let docs = db.create_collection("docs", Schema::new()).wait().unwrap();
    docs.upsert([Point::new(1).payload(json!({ "a": "x".repeat(60) }))])
        .wait()
        .unwrap();
    let error = docs
        .set_payload([1], json!({ "b": "x".repeat(60) }))
        .wait()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains("point \"1\""), "{error}");
    assert!(
        docs.get(1)
            .wait()
            .unwrap()
            .unwrap()
            .payload
            .get("b")
            .is_none()
    );
}

#[test]
fn optimizing_says_how_far_it_is() {
    let (_, db, docs) = new();
    for id in 0..200 {
        docs.upsert([point(id, 1.0)]).wait().unwrap();
    }
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let report = move |progress| listener.lock().unwrap().push(progress);
    db.optimize_with(report).wait().unwrap();
    let told = told.lock().unwrap();
    let last = told.last().expect("something was told");
    assert_eq!(
        (last.memory_bytes, last.segments, last.collections),
        (0, 1, 1)
    );
    assert!(told.windows(2).all(|pair| pair[0] != pair[1]), "{told:?}");
}
