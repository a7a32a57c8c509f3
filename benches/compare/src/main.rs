//! Other vector databases and indexes beside Amphora, in one run, so that ratios count.
//!
//! `cargo run --release --manifest-path benches/compare/Cargo.toml -- NAME` prints one JSON object
//! per figure and line, as the project's other benches do. Every system, Amphora included, runs in a
//! process of its own and is asked over its standard input; see `protocol`.

mod agree;
mod bm25;
mod dataset;
mod differential;
mod filtered;
mod hybrid;
mod ladder;
mod options;
mod peer;
mod plot;
mod process;
mod protocol;
mod python;
mod queries;
mod question;
mod rounds;
mod search;
mod serve;
mod systems;
mod text;

use options::Options;
use std::{env, process::ExitCode};
use systems::SYSTEMS;

/// Its failures are wrong answers, and count without `--strict`.
const DIFFERENTIAL: &str = "differential";

/// What a bench is called, what it does and how it is run; it says how many systems were skipped.
type Bench = (&'static str, &'static str, fn(&Options) -> usize);

const BENCHES: [Bench; 8] = [
    (
        DIFFERENTIAL,
        "random questions of every kind, whose answers have to be the same as qdrant-edge's",
        differential::run,
    ),
    (
        "search",
        "processor time per query at recall 0.90, 0.95 and 0.99, and building; real data",
        search::run,
    ),
    (
        "filtered",
        "recall and processor time per query under filters that keep 50 % to 0.1 %",
        filtered::run,
    ),
    (
        "hybrid",
        "time per query of a vector and words, fused, with and without a filter; real data",
        |options| hybrid::run(options, &hybrid::FUSED),
    ),
    (
        "sparse",
        "time per query of words as a sparse vector, with and without a filter; real data",
        |options| hybrid::run(options, &hybrid::SPARSE),
    ),
    ("sparse-long", "the same with up to 32 words", |options| {
        hybrid::run(options, &hybrid::LONG_SPARSE)
    }),
    (
        "queries",
        "time of counts, facets, scrolls, orders, recommendations and fusions; real data",
        queries::run,
    ),
    (
        "text",
        "processor time per query by words, indexing, and size; real data",
        text::run,
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [command, name] = &arguments[..] {
        match command.as_str() {
            "serve" => return serve::run(name),
            "serve-questions" => return serve::questions::run(name),
            "serve-hybrid" => return serve::hybrid::run(name),
            "serve-texts" => return serve::texts::run(name),
            _ => {}
        }
    }
    let options = match Options::parse(&arguments) {
        Ok(options) => options,
        Err(error) => return usage(&error),
    };
    let Some((_, _, run)) = BENCHES.iter().find(|(name, ..)| *name == options.bench) else {
        return usage(&format!("there is no bench {:?}", options.bench));
    };
    let skipped = run(&options);
    if (options.strict || options.bench == DIFFERENTIAL) && skipped > 0 {
        eprintln!("{skipped} skipped or wrong");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn usage(error: &str) -> ExitCode {
    eprintln!("{error}");
    eprintln!(
        "usage: amphora-compare NAME [--quick] [--strict] [--plot FILE] [--only SYSTEM,SYSTEM...] [--kind KIND]"
    );
    for (name, what, _) in BENCHES {
        eprintln!("  {name:<12} {what}");
    }
    let names: Vec<&str> = SYSTEMS.iter().map(|system| system.name).collect();
    eprintln!("systems: {}", names.join(", "));
    ExitCode::FAILURE
}
