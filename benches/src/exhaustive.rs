//! Searches beside scoring everything, which goes through lists in memory.

use crate::{sample::in_turns, subject::K};
use amphora::{Hit, Op, Result};
use amphora_tests::{passages::SEED, process::thread_processor, report::Figure};
use std::{fmt::Debug, hint::black_box};

/// The best of scores, the best first.
pub(crate) fn best(scores: &[f32]) -> [f32; K] {
    let mut best = [0.0f32; K];
    for score in scores {
        if *score > best[K - 1] {
            let place = best.partition_point(|kept| kept >= score);
            best[place..].rotate_right(1);
            best[place] = *score;
        }
    }
    best
}

/// Prints the processor time of a query, and which part of that of scoring everything it is. Before that, all scores
/// must be within `tolerance` of those.
pub(crate) fn compare<Q: Debug>(
    name: &str,
    (queries, tolerance, turns): (&[Q], f32, usize),
    score_everything: impl Fn(&Q) -> [f32; K],
    ask: impl Fn(&Q) -> Op<Vec<Hit>>,
) {
    let scores = |query: &Q| -> Result<Vec<f32>> {
        let hits = ask(query).wait()?;
        Ok(hits.iter().map(|hit| hit.score).collect())
    };
    for query in queries {
        let found = scores(query).expect("hits");
        for (found, expected) in found.iter().zip(score_everything(query)) {
            assert!(
                (found - expected).abs() < tolerance,
                "{query:?}: {found}, not {expected}"
            );
        }
    }
    let costs = in_turns(turns, 2, |way| {
        let before = thread_processor();
        for query in queries {
            match way {
                0 => drop(black_box(score_everything(query))),
                _ => drop(black_box(scores(query).expect("hits"))),
            }
        }
        (thread_processor() - before) * 1e6 / queries.len() as f64
    });
    let name = format!("{name}/cpu {}", costs[1].spread());
    Figure::new(name, costs[1].median(), "us", turns as u64)
        .seeded(SEED)
        .against(costs[0].median())
        .ratio_at_most(1.0)
        .print();
}
