//! How a search and an index grow with the points that there are.
//!
//! The cost of a query at recall 0.95, in clustered random vectors of 128 dimensions, beside the
//! logarithm of their number; and what the index over the passages of `books30k` takes for each of
//! them, in its file and in memory once it was searched, while their vectors stay on the disk.

use crate::{
    sample::in_turns,
    subject::{K, Subject, VECTOR, building_fast, open, schema},
};
use amphora::{Options, Point, Query};
use amphora_tests::{
    clustered::{SEED, clustered},
    data::{self, Matrix},
    process::{lengths_below, resident_below},
    report::Figure,
    truth,
};
use std::collections::BTreeMap;

const DIMENSIONS: usize = 128;
const SIZES: [(&str, usize); 3] = [("10k", 10_000), ("100k", 100_000), ("1m", 1_000_000)];
const RECALL: f64 = 0.95;
/// How much more than the logarithm the cost may grow, since larger indexes leave the caches.
const SLACK: f64 = 1.25;
/// The most bytes of an index for each of its points.
const BYTES: f64 = 600.0;

pub(crate) fn run(quick: bool, only: Option<&str>) {
    let wanted = |name: &str| only.is_none_or(|only| name.contains(only));
    if wanted("cost") {
        cost(quick);
    }
    if wanted("memory") {
        memory();
    }
}

fn cost(quick: bool) {
    let (sizes, queries, turns) = match quick {
        true => (&SIZES[..2], 500, 5),
        false => (&SIZES[..], 1_000, 21),
    };
    let (_, most) = sizes[sizes.len() - 1];
    let [queries, base] = clustered(DIMENSIONS, [queries, most]);
    let subjects: Vec<Subject> = sizes
        .iter()
        .map(|(_, points)| build(base.rows().take(*points), DIMENSIONS))
        .collect();
    let query = |values| {
        Query::nearest(VECTOR, values)
            .limit(K)
            .recall(RECALL as f32)
    };
    let all = || queries.rows().map(query);
    for ((size, points), subject) in sizes.iter().zip(&subjects) {
        let truth = truth::nearest(&base, &queries, K, |row| row < *points);
        let recall = subject.recall(all(), &truth);
        let name = format!("growth/cost/synthetic-128/{size}/recall");
        let figure = Figure::new(name, recall, "share", truth.len() as u64);
        figure.at_least(RECALL - 0.01).seeded(SEED).print();
    }
    let costs = in_turns(turns, sizes.len(), |size| subjects[size].cost(all()));
    let (_, fewest) = sizes[0];
    for ((size, points), samples) in sizes.iter().zip(&costs) {
        let name = format!("growth/cost/synthetic-128/{size}/cpu {}", samples.spread());
        let n = (turns * queries.rows().len()) as u64;
        let figure = Figure::new(name, samples.median(), "us", n).seeded(SEED);
        let growth = (*points as f64).ln() / (fewest as f64).ln();
        match growth > 1.0 {
            true => figure
                .against(costs[0].median())
                .ratio_at_most(growth * SLACK)
                .print(),
            false => figure.print(),
        };
    }
    for subject in subjects {
        subject.close();
    }
}

fn memory() {
    let Some((base, queries)) = data::books().zip(data::book_queries()) else {
        return;
    };
    let directory = build(base.rows(), base.dimensions).close();
    let points = base.rows().len() as u64;
    let directory = directory.path();
    let figure = |what: &str, bytes: u64| {
        let name = format!("growth/memory/books-384/{what}");
        Figure::new(name, bytes as f64 / points as f64, "bytes", points)
    };
    let files = lengths_below(directory);
    figure("index/file", bytes_of(&files, "index-"))
        .at_most(BYTES)
        .print();
    figure("segment/file", bytes_of(&files, "segment-")).print();
    let db = open(directory, Options::default());
    let collection = db.collection("points").wait().expect("it is there");
    search_all(&queries, |query| {
        collection.search(query).wait().expect("hits");
    });
    let resident = resident_below(directory);
    let index = bytes_of(&resident, "index-");
    figure("index/resident-after-searches", index)
        .at_most(BYTES)
        .print();
    figure(
        "segment/resident-after-searches",
        bytes_of(&resident, "segment-"),
    )
    .print();
    db.close().wait().expect("it closes");
}

/// The bytes of the files of which the names begin so.
fn bytes_of(files: &BTreeMap<String, u64>, kind: &str) -> u64 {
    let of_kind = files.iter().filter(|(name, _)| name.starts_with(kind));
    of_kind.map(|(_, bytes)| bytes).sum()
}

fn search_all(queries: &Matrix, search: impl FnMut(Query)) {
    let queries = queries.rows();
    queries
        .map(|values| Query::nearest(VECTOR, values).limit(K))
        .for_each(search);
}

fn build<'a>(rows: impl Iterator<Item = &'a [f32]>, dimensions: usize) -> Subject {
    let subject = Subject::new(schema(dimensions), building_fast());
    let rows = (0u64..).zip(rows);
    subject.fill(rows.map(|(row, values)| Point::new(row).vector(VECTOR, values)));
    subject.optimize();
    subject
}
