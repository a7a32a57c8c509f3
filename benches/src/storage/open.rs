//! Opening a database of 10,000 points and one of 1,000,000: when all points are in segments, and
//! as a writer leaves them, with the last ones in the log alone; and snapshots of both.

use super::passages::Passages;
use crate::{
    sample::in_turns,
    subject::{LONG, open, write_all},
};
use amphora::{Database, Options};
use amphora_tests::report::Figure;
use std::{path::Path, time::Instant};
use tempfile::TempDir;

const DIMENSIONS: u32 = 128;
const BATCH: u64 = 1_000;
const SIZES: [(&str, u64); 2] = [("10k", 10_000), ("1m", 1_000_000)];
/// The most that opening and a snapshot may take, in ms.
const WITHIN: f64 = 50.0;

pub(super) fn run(quick: bool) {
    let turns = if quick { 11 } else { 51 };
    let directories = SIZES.map(|(_, points)| fill(points));
    let opened = |size: usize| milliseconds_to_open(directories[size].path());
    measure("open/as-left", opened, turns);
    for directory in &directories {
        let db = open(directory.path(), Options::default());
        let optimized = db.optimize().timeout(LONG).wait();
        optimized.expect("nothing prevents merging");
        db.close().wait().expect("it closes");
    }
    measure("open/settled", opened, turns);
    let databases = directories.each_ref().map(|directory| {
        let options = Options::default();
        open(directory.path(), options)
    });
    let snapshot = |size: usize| milliseconds_to_snapshot(&databases[size]);
    measure("snapshot", snapshot, turns);
    for db in databases {
        db.close().wait().expect("it closes");
    }
}

/// Measures something of a small database and of a large one.
fn measure(what: &str, milliseconds: impl Fn(usize) -> f64, turns: usize) {
    let samples = in_turns(turns, SIZES.len(), milliseconds);
    let baseline = samples[0].median();
    for ((size, _), samples) in SIZES.iter().zip(&samples) {
        let name = format!("storage/{what}/{size} {}", samples.spread());
        let figure = Figure::new(&name, samples.median(), "ms", turns as u64);
        figure.at_most(WITHIN).print();
    }
    let name = format!("storage/{what}/1m-to-10k");
    Figure::new(name, samples[1].median(), "ms", turns as u64)
        .against(baseline)
        .ratio_at_most(2.0)
        .print();
}

fn fill(points: u64) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let db = open(directory.path(), Options::default());
    let mut passages = Passages::new(DIMENSIONS);
    let books = db.create_collection("books", passages.schema()).wait();
    let ids = (0..points).step_by(BATCH as usize);
    let batches = ids.map(|first| passages.batch(first..first + BATCH));
    write_all(&db, &books.expect("it is new"), batches);
    db.close().wait().expect("it closes");
    directory
}

fn milliseconds_to_open(path: &Path) -> f64 {
    let started = Instant::now();
    let db = open(path, Options::default());
    let took = started.elapsed().as_secs_f64() * 1e3;
    db.close().wait().expect("it closes");
    took
}

/// With a point in the log alone, as there are while writes go on.
fn milliseconds_to_snapshot(db: &Database) -> f64 {
    let books = db.collection("books").wait().expect("it is there");
    let point = Passages::new(DIMENSIONS).batch(0..1);
    books
        .upsert(point)
        .wait()
        .expect("nothing prevents writing");
    let started = Instant::now();
    db.create_snapshot("now").wait().expect("it is new");
    let took = started.elapsed().as_secs_f64() * 1e3;
    db.delete_snapshot("now").wait().expect("it is there");
    took
}
