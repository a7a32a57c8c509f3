//! Measurements, each against something measured in the same run.
//!
//! `cargo run --release -p amphora-benches -- NAME` prints one JSON object per figure and line.
//! Machines are shared and noisy: read ratios, not absolute times.

mod exhaustive;
mod filtered;
mod growth;
mod handoff;
mod hybrid;
#[path = "../../engine/src/kernel/mod.rs"]
#[expect(
    dead_code,
    unused_imports,
    reason = "the engine's own, which it shows to nobody; some are measured"
)]
mod kernel;
mod kernels;
mod lists;
mod mixed;
mod profile;
mod relevance;
mod renewal;
mod scroll;
mod search;
mod sparse;
mod stall;
mod storage;
mod subject;
mod text;

use amphora_tests::sample;
use std::{env, process::ExitCode};

/// What a bench does and how it is run.
type Bench = (&'static str, &'static str, fn(bool, Option<&str>));

const BENCHES: [Bench; 16] = [
    (
        "filtered",
        "search under filters that keep 50 % to 0.1 %, beside comparing what they keep",
        filtered::run,
    ),
    (
        "growth",
        "the cost of a search and the size of an index, beside the number of points",
        growth::run,
    ),
    (
        "handoff",
        "handing a closure to a pool and back, beside seven other ways",
        handoff::run,
    ),
    (
        "hybrid",
        "text and vectors in one query with a filter, beside its parts",
        hybrid::run,
    ),
    (
        "kernels",
        "distances of vectors, beside what the machine reads and multiplies at most",
        kernels::run,
    ),
    (
        "lists",
        "searching lists of vectors through an index, beside comparing every list",
        lists::run,
    ),
    (
        "mixed",
        "how long a search takes while points are written, beside while they are not",
        mixed::run,
    ),
    (
        "profile",
        "what it costs to profile a search, beside the search",
        profile::run,
    ),
    (
        "relevance",
        "how well text, vectors and both rank, beside reference figures",
        relevance::run,
    ),
    (
        "renewal",
        "what searches find after points were deleted or replaced, beside before",
        renewal::run,
    ),
    (
        "scroll",
        "going over points in each order, and facets, beside the order of writing",
        scroll::run,
    ),
    (
        "search",
        "indexed search of real embeddings, beside comparing every point",
        search::run,
    ),
    (
        "sparse",
        "searches by sparse vectors of words, beside scoring everything",
        sparse::run,
    ),
    (
        "stall",
        "the longest poll and the longest gap on a current-thread executor",
        stall::run,
    ),
    (
        "storage",
        "ingest, durable upserts, opening and space, beside plain files",
        storage::run,
    ),
    (
        "text",
        "searches for words of passages, beside scoring everything",
        text::run,
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let mut words = arguments
        .iter()
        .filter(|argument| !argument.starts_with("--"));
    let (named, only) = (words.next(), words.next());
    let found = BENCHES
        .iter()
        .find(|(name, ..)| named.is_some_and(|named| named == name));
    let Some((_, _, run)) = found else {
        eprintln!("usage: amphora-benches NAME [PART] [--quick]");
        for (name, what, _) in BENCHES {
            eprintln!("  {name:<10} {what}");
        }
        return ExitCode::FAILURE;
    };
    run(quick, only.map(String::as_str));
    ExitCode::SUCCESS
}
