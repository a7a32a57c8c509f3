//! Searching sparse vectors of the 109,464 passages of `books_text`, beside scoring every passage that has a
//! dimension of the query; and of the abstracts of `scifact`, by its real queries.
//!
//! Vectors are what BM25 says of words: of a passage how much an occurrence counts in a text of its length,
//! of a query one for each word, the rest being the inverse document frequency. Scoring everything goes
//! through lists in memory, of rows with their weights, one dimension after the other.

use crate::{
    exhaustive::{best, compare},
    kernel::{from_half, to_halves},
    subject::{K, Subject, building_fast},
};
use amphora::{Point, Query, Schema, Sparse, SparseVector};
use amphora_tests::{data, passages::Passages, process::processor, report::Figure};
use std::collections::HashMap;

const SPARSE: &str = "words";

pub(crate) fn run(quick: bool, only: Option<&str>) {
    let is_asked = |name| only.is_none_or(|only| only == name);
    if is_asked("passages")
        && let Some(passages) = Passages::load()
    {
        let mut words = Words::default();
        let texts = passages.texts.iter().map(|text| text.split(' '));
        let vectors = words.weigh(texts.map(|words| words.map(str::to_owned).collect()));
        let queries = passages.queries().map(|(name, queries)| {
            let queries = queries
                .iter()
                .map(|query| words.query(query.iter().copied()));
            (name, queries.collect())
        });
        measure("passages", &vectors, &queries, quick);
    }
    if is_asked("scifact")
        && let Some(documents) = data::objects("scifact/corpus.jsonl")
        && let Some(asked) = data::objects("scifact/queries.jsonl")
    {
        let split = |object: &serde_json::Value| -> Vec<String> {
            let text = ["title", "text"].map(|key| object[key].as_str().unwrap_or(""));
            let text = text.join(" ").to_lowercase();
            let words = text.split(|c: char| !c.is_alphanumeric());
            words
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let mut words = Words::default();
        let vectors = words.weigh(documents.iter().map(split));
        let queries = asked.iter().map(|object| {
            let asked = split(object);
            words.query(asked.iter().map(String::as_str))
        });
        let queries = queries.filter(|query: &SparseVector| !query.is_empty());
        measure(
            "scifact",
            &vectors,
            &[("queries", queries.collect())],
            quick,
        );
    }
}

/// The dimensions of words, in the order in which they come.
#[derive(Default)]
struct Words(HashMap<String, u32>);

impl Words {
    /// What BM25 says of texts, but for the inverse document frequency.
    fn weigh(&mut self, texts: impl Iterator<Item = Vec<String>>) -> Vec<SparseVector> {
        let texts: Vec<Vec<String>> = texts.collect();
        let all: usize = texts.iter().map(Vec::len).sum();
        let average = all as f32 / texts.len() as f32;
        let vectors = texts.into_iter().map(|text| {
            let norm = 1.2 * (0.25 + 0.75 * text.len() as f32 / average);
            let mut counts: HashMap<u32, f32> = HashMap::new();
            for word in text.into_iter().filter(|word| !word.is_empty()) {
                let next = self.0.len() as u32;
                let dimension = *self.0.entry(word).or_insert(next);
                *counts.entry(dimension).or_default() += 1.0;
            }
            let weight = |(dimension, count)| (dimension, count / (count + norm));
            SparseVector::new(counts.into_iter().map(weight)).expect("dimensions differ")
        });
        vectors.collect()
    }

    /// A query for words; those that no text has are left out.
    fn query<'a>(&self, words: impl Iterator<Item = &'a str>) -> SparseVector {
        let mut weights: HashMap<u32, f32> = HashMap::new();
        for dimension in words.filter_map(|word| self.0.get(word)) {
            *weights.entry(*dimension).or_default() += 1.0;
        }
        SparseVector::new(weights).expect("dimensions differ")
    }
}

fn measure(
    set: &str,
    vectors: &[SparseVector],
    queries: &[(&str, Vec<SparseVector>)],
    quick: bool,
) {
    let lists = Lists::new(vectors);
    let schema = Schema::new().sparse(SPARSE, Sparse::new().idf());
    let subject = Subject::new(schema, building_fast());
    let points = (0u64..).zip(vectors);
    let points = points.map(|(row, vector)| Point::new(row).sparse(SPARSE, vector.clone()));
    let points: Vec<Point> = points.collect();
    let before = processor();
    subject.fill(points.into_iter());
    subject.optimize();
    let rows = vectors.len() as u64;
    let name = format!("sparse/{set}/ingest/cpu");
    Figure::new(name, processor() - before, "s", rows).print();
    let entries: usize = vectors.iter().map(SparseVector::len).sum();
    let bytes = subject.db.verify().wait().expect("verified").bytes as f64;
    let name = format!("sparse/{set}/bytes an entry");
    Figure::new(name, bytes / entries as f64, "bytes", entries as u64).print();

    let turns = if quick { 5 } else { 21 };
    for (kind, queries) in queries {
        let name = format!("sparse/{set}/search/{kind}");
        let everything = |query: &SparseVector| lists.best(query);
        compare(&name, (queries, 1e-4, turns), everything, |query| {
            let query = Query::sparse(SPARSE, query.clone()).limit(K);
            subject.points.search(query.with_payload(false))
        });
    }
    subject.close();
}

/// The rows of each dimension with their weights, rounded as they are kept.
struct Lists {
    lists: HashMap<u32, Vec<(u32, f32)>>,
    rows: usize,
}

impl Lists {
    fn new(vectors: &[SparseVector]) -> Self {
        let mut lists: HashMap<u32, Vec<(u32, f32)>> = HashMap::new();
        for (row, vector) in (0..).zip(vectors) {
            for (dimension, weight) in vector.iter() {
                let mut half = [0];
                to_halves(&[weight], &mut half);
                let weight = from_half(half[0]);
                lists.entry(dimension).or_default().push((row, weight));
            }
        }
        Self {
            lists,
            rows: vectors.len(),
        }
    }

    /// The best [`K`] scores, having scored every row.
    fn best(&self, query: &SparseVector) -> [f32; K] {
        let mut scores = vec![0.0f32; self.rows];
        for (dimension, weight) in query.iter() {
            let Some(list) = self.lists.get(&dimension) else {
                continue;
            };
            let with = list.len() as f32;
            let idf = (1.0 + (self.rows as f32 - with + 0.5) / (with + 0.5)).ln();
            let weight = weight * idf;
            for (row, own) in list {
                scores[*row as usize] += weight * own;
            }
        }
        best(&scores)
    }
}
