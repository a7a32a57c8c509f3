//! Searching the 109,464 passages of `books_text` by two to five of their words, beside scoring every
//! passage that has one; and what their index takes.
//!
//! Words are split and lower-cased before, so that both have the same. Scoring everything goes through
//! lists in memory, of rows with their occurrences, one word after the other.

use crate::{
    exhaustive::{best, compare},
    subject::{K, Subject, building_fast},
};
use amphora::{Point, Query, Schema, Text};
use amphora_tests::{passages::Passages, process::processor, report::Figure};
use serde_json::json;
use std::collections::HashMap;

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
        let name = format!("text/search/{name}");
        let everything = |query: &Vec<&str>| lists.best(query);
        compare(&name, (&queries, 1e-3, turns), everything, |query| {
            let query = Query::text(TEXT, query.join(" ")).limit(K);
            subject.points.search(query.with_payload(false))
        });
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

    /// The best [`K`] scores, having scored every row.
    fn best(&self, query: &[&str]) -> [f32; K] {
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
        best(&scores)
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
