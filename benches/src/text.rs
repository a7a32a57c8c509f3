//! Searching the 109,464 passages of `books_text` by two to five of their words, beside scoring every
//! passage that has one; and what their index takes.
//!
//! Words are split and lower-cased before, so that both have the same. Scoring everything goes through
//! lists in memory, of rows with their occurrences, one word after the other.

use crate::{
    sample::in_turns,
    subject::{K, Subject, building_fast},
};
use amphora::{Op, Point, Query, Result, Schema, Text};
use amphora_tests::{
    passages::{Passages, SEED},
    process::{processor, thread_processor},
    report::Figure,
};
use serde_json::json;
use std::{collections::HashMap, hint::black_box};

const TEXT: &str = "text";

pub(crate) fn run(quick: bool, _only: Option<&str>) {
    let Some(passages) = Passages::load() else {
        return;
    };
    let texts = &passages.texts;
    let lists = Lists::new(texts);
    let text = Text::whitespace().positions(false);
    let subject = Subject::new(Schema::new().text(TEXT, text), building_fast());
    let points = (0u64..).zip(texts);
    let points = points.map(|(row, text)| Point::new(row).payload(json!({ TEXT: text })));
    let points: Vec<Point> = points.collect();
    let before = processor();
    subject.fill(points.into_iter());
    subject.optimize();
    let rows = texts.len() as u64;
    Figure::new("text/ingest/cpu", processor() - before, "s", rows).print();

    let turns = if quick { 5 } else { 21 };
    for (name, queries) in passages.queries() {
        let ask = |query: &[&str]| {
            let query = Query::text(TEXT, query.join(" ")).limit(K);
            subject.points.search(query.with_payload(false))
        };
        let first = |op: Op<Vec<amphora::Hit>>| -> Result<f32> {
            Ok(op.wait()?.first().map_or(0.0, |hit| hit.score))
        };
        for query in &queries {
            let found = first(ask(query)).expect("hits");
            let expected = lists.best(query);
            assert!(
                (found - expected).abs() < 1e-3,
                "{query:?}: {found}, not {expected}"
            );
        }
        let costs = in_turns(turns, 2, |way| {
            let before = thread_processor();
            for query in &queries {
                match way {
                    0 => drop(black_box(lists.best(query))),
                    _ => drop(black_box(first(ask(query)).expect("hits"))),
                }
            }
            (thread_processor() - before) * 1e6 / queries.len() as f64
        });
        let name = format!("text/search/{name}/cpu {}", costs[1].spread());
        Figure::new(name, costs[1].median(), "us", turns as u64)
            .seeded(SEED)
            .against(costs[0].median())
            .ratio_at_most(1.0)
            .print();
    }
    subject.close();
}

/// The rows of each word with their occurrences, and the length of each row.
struct Lists {
    lists: HashMap<String, Vec<(u32, u32)>>,
    lengths: Vec<f32>,
    average: f32,
}

impl Lists {
    fn new(texts: &[String]) -> Self {
        let mut lists: HashMap<String, Vec<(u32, u32)>> = HashMap::new();
        let mut lengths = Vec::with_capacity(texts.len());
        for (row, text) in (0..).zip(texts) {
            let mut counts: HashMap<&str, u32> = HashMap::new();
            let mut length = 0u32;
            for word in text.split(' ').filter(|word| !word.is_empty()) {
                *counts.entry(word).or_default() += 1;
                length += 1;
            }
            for (word, count) in counts {
                let list = lists.entry(word.to_owned()).or_default();
                list.push((row, count));
            }
            lengths.push(as_kept(length) as f32);
        }
        let average = texts
            .iter()
            .map(|text| text.split(' ').count())
            .sum::<usize>();
        Self {
            average: average as f32 / texts.len() as f32,
            lists,
            lengths,
        }
    }

    /// The best score, having scored every row and kept the best [`K`].
    fn best(&self, query: &[&str]) -> f32 {
        let rows = self.lengths.len();
        let mut scores = vec![0.0f32; rows];
        for word in query {
            let Some(list) = self.lists.get(*word) else {
                continue;
            };
            let with = list.len() as f32;
            let idf = (1.0 + (rows as f32 - with + 0.5) / (with + 0.5)).ln();
            for (row, count) in list {
                let length = self.lengths[*row as usize];
                let norm = 1.2 * (0.25 + 0.75 * length / self.average);
                let count = *count as f32;
                scores[*row as usize] += idf * count / (count + norm);
            }
        }
        let mut best = [0.0f32; K];
        for score in scores {
            if score > best[K - 1] {
                let place = best.partition_point(|kept| *kept >= score);
                best[place..].rotate_right(1);
                best[place] = score;
            }
        }
        best[0]
    }
}

/// A length as Lucene's `SmallFloat` keeps it: exactly below 40, and then the four highest bits of what is
/// above 24.
fn as_kept(length: u32) -> u32 {
    if length < 40 {
        return length;
    }
    let above = length - 24;
    let shift = above.ilog2().saturating_sub(3);
    24 + (above >> shift << shift)
}
