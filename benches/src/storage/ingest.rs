//! Bulk ingest, durable at the end, beside one plain file with the same bytes and one sync.

use super::passages::{Passages, plain_bytes};
use crate::{
    sample::in_turns,
    subject::{open, write_all},
};
use amphora::{Options, Point};
use amphora_tests::report::Figure;
use std::{fs::File, io::Write, path::Path, time::Instant};

const POINTS: u64 = 100_000;
const BATCH: u64 = 1_000;
const DIMENSIONS: u32 = 384;

#[derive(Clone, Copy)]
enum Way {
    Plain,
    /// Batch after batch, each durable before the next begins.
    OneCaller,
    /// As quick as the interface allows.
    Bulk,
}

const WAYS: [(&str, Way); 3] = [
    ("plain", Way::Plain),
    ("one-caller", Way::OneCaller),
    ("bulk", Way::Bulk),
];

pub(super) fn run(quick: bool) {
    let turns = if quick { 3 } else { 11 };
    let mut passages = Passages::new(DIMENSIONS);
    let ids = (0..POINTS).step_by(BATCH as usize);
    let batches: Vec<Vec<Point>> = ids.map(|id| passages.batch(id..id + BATCH)).collect();
    let bytes: Vec<Vec<u8>> = (0..POINTS)
        .step_by(BATCH as usize)
        .zip(&batches)
        .map(|(first, batch)| {
            (first..)
                .zip(batch)
                .flat_map(|(id, p)| plain_bytes(id, p))
                .collect()
        })
        .collect();
    let samples = in_turns(turns, WAYS.len(), |way| {
        let directory = tempfile::tempdir().expect("a directory");
        match WAYS[way].1 {
            Way::Plain => plain(directory.path(), &bytes),
            way => ingest(directory.path(), way, &passages, batches.clone()),
        }
    });
    let baseline = samples[0].median();
    for ((name, way), samples) in WAYS.iter().zip(&samples) {
        let name = format!("storage/ingest/{name} {}", samples.spread());
        let figure = Figure::new(name, samples.median(), "s", turns as u64);
        match way {
            Way::Plain => figure.print(),
            Way::OneCaller => figure.against(baseline).print(),
            Way::Bulk => figure.against(baseline).ratio_at_most(3.0).print(),
        };
    }
}

fn plain(directory: &Path, batches: &[Vec<u8>]) -> f64 {
    let started = Instant::now();
    let mut file = File::create(directory.join("plain")).expect("a file");
    for batch in batches {
        file.write_all(batch).expect("room on the disk");
    }
    file.sync_data().expect("a sync");
    started.elapsed().as_secs_f64()
}

fn ingest(directory: &Path, way: Way, passages: &Passages, batches: Vec<Vec<Point>>) -> f64 {
    let db = open(directory, Options::default());
    let collection = db.create_collection("books", passages.schema()).wait();
    let collection = collection.expect("it is new");
    let started = Instant::now();
    if let Way::OneCaller = way {
        for batch in batches {
            collection.upsert(batch).wait().expect("it is written");
        }
    } else {
        write_all(&db, &collection, batches);
    }
    let took = started.elapsed().as_secs_f64();
    db.close().wait().expect("it closes");
    took
}
