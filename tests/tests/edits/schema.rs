//! A schema that changes under points in memory, in segments, and in the queue.

use super::{new, point};
use amphora::{ErrorKind, Field, Metric, Point, Query, Vector, field};
use amphora_tests::opening::{self, Memory};
use futures::{executor::block_on, future::join};
use serde_json::{Value, json};

#[test]
fn vectors_come_and_go_and_never_come_back_with_what_they_held() {
    let (vfs, mut db, mut docs) = new();
    docs.upsert((0..50).map(|id| point(id, id as f32)))
        .wait()
        .unwrap();
    docs.add_vector("c", Vector::new(1, Metric::Dot))
        .wait()
        .unwrap();
    docs.upsert((50..60).map(|id| point(id, 1.0).vector("c", [id as f32])))
        .wait()
        .unwrap();
    assert_eq!(
        docs.set_vectors([Point::new(3).vector("c", [1e3])])
            .wait()
            .unwrap(),
        1
    );
    docs.drop_vector("a").wait().unwrap();
    for round in 0..3 {
        match round {
            0 => {}
            1 => db.optimize().wait().unwrap(),
            _ => {
                db.close().wait().unwrap();
                db = opening::open(vfs.clone(), Memory::Tiny).unwrap();
                docs = db.collection("docs").wait().unwrap();
            }
        }
        let names: Vec<String> = docs.schema().vectors.into_keys().collect();
        assert_eq!(names, ["b", "c"]);
        let hits = docs.search(Query::nearest("c", [1.0])).wait().unwrap();
        assert_eq!((hits.len(), hits[0].id.clone()), (10, 3.into()));
        assert!(docs.search(Query::nearest("a", [1.0, 0.0])).wait().is_err());
        let three = docs.get(3).wait().unwrap().unwrap();
        let expected = [("b".to_owned(), vec![3.0]), ("c".to_owned(), vec![1e3])];
        assert_eq!(three.vectors, expected);
        assert_eq!(docs.count().wait().unwrap(), 60);
    }
    docs.add_vector("a", Vector::new(3, Metric::Cosine))
        .wait()
        .unwrap();
    let hits = docs
        .search(Query::nearest("a", [1.0, 0.0, 0.0]))
        .wait()
        .unwrap();
    assert!(hits.is_empty());
    docs.upsert([Point::new(7).vector("a", [1.0, 0.0, 0.0])])
        .wait()
        .unwrap();
    db.optimize().wait().unwrap();
    let hits = docs
        .search(Query::nearest("a", [1.0, 0.0, 0.0]))
        .wait()
        .unwrap();
    assert_eq!(hits.len(), 1);
}

#[test]
fn fields_are_checked_from_their_declaration_on() {
    let (_, _, docs) = new();
    let with = |id: u64, value| Point::new(id).payload(json!({ "year": value }));
    docs.upsert([with(1, json!("old"))]).wait().unwrap();
    docs.add_field("year", Field::Integer).wait().unwrap();
    let error = docs.upsert([with(2, json!("new"))]).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    docs.upsert([with(2, json!(2000))]).wait().unwrap();
    assert_eq!(docs.get(1).wait().unwrap(), Some(with(1, json!("old"))));
    let again = docs.add_field("year", Field::Bool).wait().unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists, "{again}");
    docs.drop_field("year").wait().unwrap();
    docs.upsert([with(3, json!("new"))]).wait().unwrap();
    let error = docs.drop_field("year").wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}

#[test]
fn fields_within_objects_are_checked_like_those_at_the_top() {
    let (_, _, docs) = new();
    docs.add_field("author.born", Field::Integer)
        .wait()
        .unwrap();
    let with = |author: Value| Point::new(1).payload(json!({ "author": author }));
    for wrong in [
        json!({ "born": "long ago" }),
        json!({ "born": [1817, "or so"] }),
        json!([{ "born": 1817 }, { "born": false }]),
    ] {
        let error = docs.upsert([with(wrong)]).wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains("\"author.born\""), "{error}");
    }
    let error = docs.upsert([Point::new(1).payload(json!({ "author.born": "then" }))]);
    assert_eq!(error.wait().unwrap_err().kind(), ErrorKind::InvalidInput);
    for right in [
        json!("an author by name"),
        json!({ "name": "Thoreau" }),
        json!([{ "born": 1817 }, { "born": null }, { "born": [1803, 1850] }]),
    ] {
        docs.upsert([with(right)]).wait().unwrap();
    }
    let born = field("author.born").at_most(1810);
    assert_eq!(docs.count_matching(born).wait().unwrap(), 1);
}

/// A write that was checked against the schema before it changed is made one of the new schema,
/// or refused; it is never misread.
#[test]
fn writes_that_wait_while_the_schema_changes_keep_their_vectors() {
    let (_, _, docs) = new();
    for round in 0..200u64 {
        let name = format!("a{round}");
        let add = docs.add_vector(&name, Vector::new(1, Metric::Dot));
        let (added, written) = block_on(join(add, docs.upsert([point(round, round as f32)])));
        added.unwrap();
        written.unwrap();
        assert_eq!(
            docs.get(round).wait().unwrap(),
            Some(point(round, round as f32))
        );
        let drop = docs.drop_vector(&name);
        let with = point(round, 0.5).vector(&name, [1.0]);
        let (dropped, written) = block_on(join(drop, docs.upsert([with])));
        dropped.unwrap();
        let found = docs.get(round).wait().unwrap().unwrap();
        match written {
            Ok(()) => assert_eq!(found, point(round, 0.5)),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
                assert_eq!(found, point(round, round as f32));
            }
        }
    }
}
