//! Bad input: refused with a kind and a sentence that help, before anything is written.
//!
//! After each refusal the log is as long as before, the directory holds what it held, and the
//! database works.

mod fusing;
mod names;
mod opening;
mod reading;
mod writing;

use amphora::{
    Collection, Database, Datatype, Error, ErrorKind, Field, Limits, Metric, Op, Options, Point,
    Schema, Vector,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::Path};

/// An operation that must be refused, and what the refusal must say.
struct Case {
    name: &'static str,
    refused: fn(&Database, &Collection) -> Option<Error>,
    says: &'static [&'static str],
}

/// The error of an operation, both waited for and awaited.
fn refusal<T: Send + 'static>(make: impl Fn() -> Op<T>) -> Option<Error> {
    let waited = make().wait().err()?;
    let awaited = pollster::block_on(make()).err()?;
    assert_eq!(waited.to_string(), awaited.to_string());
    Some(waited)
}

/// Runs cases against a database with two points.
fn check(cases: &[Case]) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let builder = amphora_blocking::builder(&path).options(options());
    let db = builder.open().wait().unwrap();
    let docs = db.create_collection("docs", schema()).wait().unwrap();
    docs.upsert([good(1), good(2)]).wait().unwrap();
    let before = (db.stats().log_bytes, content(directory.path()));
    for Case {
        name,
        refused,
        says,
    } in cases
    {
        let Some(error) = refused(&db, &docs) else {
            panic!("{name}: it was accepted");
        };
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}: {error}");
        for word in *says {
            assert!(error.to_string().contains(word), "{name}: {word}: {error}");
        }
        let short = error.to_string().len() < 400;
        assert!(short, "{name}: a message repeats what it was given");
        assert_eq!(db.stats().log_bytes, before.0, "{name}");
        assert_eq!(docs.get(2).wait().unwrap(), Some(good(2)), "{name}");
        assert_eq!(docs.count().wait().unwrap(), 2, "{name}");
    }
    assert_eq!(content(directory.path()), before.1);
    assert_eq!(db.collections().wait().unwrap(), ["docs"]);
    docs.upsert([good(3)]).wait().unwrap();
    db.close().wait().unwrap();
    let db = amphora_blocking::open(&path).unwrap();
    let docs = db.collection("docs").wait().unwrap();
    let expected = [1, 2, 3].map(|id| Some(good(id)));
    assert_eq!(docs.get_many([1, 2, 3]).wait().unwrap(), expected);
    db.close().wait().unwrap();
}

/// Small bounds, so that the cases are quick.
fn options() -> Options {
    Options {
        limits: Limits {
            collections: 3,
            snapshots: 2,
            batch_points: 1_000,
            batch_bytes: 256 << 10,
            payload_bytes: 64 << 10,
            hits: 100,
            queries: 20,
            examples: 1_000,
            formula_terms: 1_024,
            prefetches: 5,
            ef: 200,
            filter_conditions: 16,
            text_clauses: 16,
            sparse_entries: 16,
        },
        ..Options::default()
    }
}

fn schema() -> Schema {
    Schema::new()
        .vector("cosine", Vector::new(3, Metric::Cosine))
        .vector("dot", Vector::new(3, Metric::Dot))
        .vector("list", Vector::new(2, Metric::Cosine).multi())
        .vector(
            "half",
            Vector::new(3, Metric::Cosine).datatype(Datatype::Float16),
        )
        .field("year", Field::Integer)
        .field("work", Field::Keyword)
        .field("weight", Field::Float)
        .field("draft", Field::Bool)
}

fn good(id: u64) -> Point {
    Point::new(id)
        .vector("cosine", [0.1, 0.2, 0.3])
        .payload(json!({ "year": 1854, "work": ["Walden", null], "weight": 1, "draft": null }))
}

/// An object or array in an array, and so on, so many levels deep.
fn nested(depth: usize) -> Value {
    (0..depth).fold(json!({}), |inner, _| Value::Array(vec![inner]))
}

/// All files below a directory, with what they hold.
fn content(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                found.insert(
                    path.display().to_string(),
                    target.into_os_string().into_encoded_bytes(),
                );
            } else if path.is_dir() {
                found.insert(path.display().to_string(), Vec::new());
                open.push(path);
            } else {
                found.insert(path.display().to_string(), fs::read(&path).unwrap());
            }
        }
    }
    found
}
