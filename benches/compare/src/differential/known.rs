//! What the two are known to answer differently, each by questions that show it.

use super::{Systems, world::RARE};
use crate::{
    agree::agree,
    question::{EMBEDDING, Examples, Order, Question, Search, What},
};
use amphora_blocking::amphora::{Filter, GeoPoint, field};
use amphora_tests::report::Figure;
use std::path::Path;

/// A difference: its name, why there is one, and a question whose answers differ by it.
struct Known {
    name: &'static str,
    why: &'static str,
    question: fn() -> Question,
}

const KNOWN: &[Known] = &[
    Known {
        name: "empty-of-nulls",
        why: "a list of nothing but nulls is empty for Amphora, since nulls are no values, and not for qdrant-edge",
        question: || count(field("hollow").is_empty()),
    },
    Known {
        name: "whole-numbers",
        why: "1 equals 1.0 for Amphora; qdrant-edge compares integers with integers alone",
        question: || count(field("whole").eq(1)),
    },
    Known {
        name: "booleans",
        why: "qdrant-edge's package for Python takes True for the integer 1, which no boolean equals",
        question: || count(field("flag").eq(true)),
    },
    Known {
        name: "dotted-lists",
        why: "items.stars goes through a list for Amphora; qdrant-edge wants items[].stars",
        question: || count(field("items.stars").at_least(2)),
    },
    Known {
        name: "single-objects",
        why: "owner[].stars is that of an object that stands without a list for Amphora, and nothing for qdrant-edge",
        question: || count(field("owner[].stars").at_least(2)),
    },
    Known {
        name: "nested-single-objects",
        why: "likewise for conditions on nested objects",
        question: || count(field("owner").any(field("stars").at_least(2))),
    },
    Known {
        name: "ordered-lists",
        why: "a point is ordered once by Amphora, by the first of its values; by qdrant-edge once for each of them",
        question: || ordered("numbers"),
    },
    Known {
        name: "averages-of-lengths",
        why: "under cosine each example of an average counts by its direction for Amphora, and as it is for Qdrant",
        question: || {
            Question::Search(Search::new(What::Average(Examples {
                using: EMBEDDING.to_owned(),
                positive: vec![unit(0, 9.0), unit(1, 1.0)],
                negative: Vec::new(),
            })))
        },
    },
    Known {
        name: "distances-by-distribution",
        why: "DBSF takes the farthest for the best in qdrant-edge where the score is a distance, the nearest in Amphora",
        question: || {
            let mut nearest = Search::new(What::Nearest {
                using: "euclid".to_owned(),
                vector: vec![0.5; 8],
            });
            nearest.exact = true;
            let mut fused = Search::new(What::Dbsf {});
            fused.prefetches = vec![nearest];
            Question::Search(fused)
        },
    },
    Known {
        name: "wide-boxes",
        why: "of a box across the meridian of 180 degrees qdrant-edge finds, with a geo index, a part of what it finds without",
        question: || {
            let (west, east) = (GeoPoint::new(167.9, 17.9), GeoPoint::new(149.5, -15.6));
            count(field("place").in_box(west, east))
        },
    },
    Known {
        name: "repeated-words",
        why: "a word that a text query has twice counts twice for Amphora, as for Lucene, and once for qdrant-edge",
        question: || {
            let what = What::Text {
                field: "body".to_owned(),
                words: "whale whale storm".to_owned(),
            };
            Question::Search(Search::new(what))
        },
    },
    Known {
        name: "examples-by-distance",
        why: "under Euclid qdrant-edge scores examples by the squared distance, Amphora by the distance",
        question: || {
            Question::Search(Search::new(What::BestScore(Examples {
                using: "euclid".to_owned(),
                positive: vec![vec![0.5; 8]],
                negative: Vec::new(),
            })))
        },
    },
];

/// Whether an answer rests on how many points have a word or a dimension, of which both count those that were
/// replaced or deleted until they are merged away, which each does when it sees fit.
pub(super) fn counts_ended_rows(question: &Question) -> bool {
    fn counts(search: &Search) -> bool {
        match &search.what {
            What::Text { .. } => true,
            What::Sparse { using, .. } => using == RARE,
            _ => search.prefetches.iter().any(counts),
        }
    }
    matches!(question, Question::Search(search) if counts(search))
}

fn count(filter: Filter) -> Question {
    Question::Count {
        filter: Some(filter),
    }
}

/// So long along one axis.
fn unit(axis: usize, length: f32) -> Vec<f32> {
    let mut vector = vec![0.0; 12];
    vector[axis] = length;
    vector
}

fn ordered(field: &str) -> Question {
    let mut search = Search::new(What::OrderBy(Order {
        field: field.to_owned(),
        descending: true,
        from: None,
    }));
    search.limit = 1_000;
    Question::Search(search)
}

/// Asks for each; how many do not differ any more.
pub(super) fn check(systems: &mut Systems, directory: &Path) -> Result<usize, String> {
    let mut stale = 0;
    for known in KNOWN {
        let (mut all, mut differing) = (0, 0);
        systems.compare(
            &[(known.question)()],
            directory,
            |_, _, question, ours, theirs| {
                all += 1;
                differing += u64::from(agree(question, ours, theirs).is_err());
                Ok(())
            },
        )?;
        let name = format!("differential/known/{}", known.name);
        let figure = Figure::new(name, differing as f64, "count", all);
        figure.at_least(all as f64).print();
        if differing < all {
            eprintln!("{} is no difference any more: {}", known.name, known.why);
            stale += 1;
        }
    }
    Ok(stale)
}
