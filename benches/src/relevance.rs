//! How well searches rank, on collections with judgments: text, vectors, and both.
//!
//! The references are those of `bm25s` (Lucene's form, `k1` 1.2, `b` 0.75, English stop words and
//! stemmer), of exact cosine, and of both fused, as the data's own tools computed them. The fused
//! lists are 1,000 long.

use crate::subject::{Subject, VECTOR, building_fast};
use amphora::{Fusion, Hit, Metric, Point, PointId, Query, Schema, Text, Vector};
use amphora_tests::{
    data::{self, Matrix},
    report::Figure,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const TEXT: &str = "text";
/// The hits of each part that are fused.
const DEPTH: usize = 1_000;
/// How far a figure may lie below its reference.
const OFF: f64 = 0.005;

/// Name, and nDCG@10 of text, vectors, and both by reciprocal ranks and by min-max.
const SETS: [(&str, [f64; 4]); 2] = [
    ("scifact", [0.6791, 0.6451, 0.7143, 0.7313]),
    ("cranfield", [0.5116, 0.5090, 0.5545, 0.5628]),
];

pub(crate) fn run(_quick: bool, only: Option<&str>) {
    for (name, references) in SETS {
        if only.is_none_or(|only| only == name)
            && let Some(set) = Judged::read(name)
        {
            set.measure(name, references);
        }
    }
}

/// A collection with judgments.
struct Judged {
    texts: Vec<String>,
    vectors: Matrix,
    /// The queries that have judgments: text, vector, and the places of what is relevant.
    queries: Vec<(String, Vec<f32>, BTreeSet<u64>)>,
}

impl Judged {
    fn read(name: &str) -> Option<Self> {
        let documents = data::objects(&format!("{name}/corpus.jsonl"))?;
        let queries = data::objects(&format!("{name}/queries.jsonl"))?;
        let judgments = data::read(&format!("{name}/qrels.tsv"))?;
        let vectors = data::vectors(&format!("{name}/doc_emb.f16.npy"))?;
        let asked = data::vectors(&format!("{name}/query_emb.f16.npy"))?;
        let id = |object: &Value| object["_id"].as_str().expect("an id").to_owned();
        let places: BTreeMap<String, u64> = documents.iter().map(id).zip(0..).collect();
        let mut relevant: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        let judgments = String::from_utf8(judgments).expect("text");
        for line in judgments.lines().skip(1) {
            let mut cells = line.split('\t');
            let mut next = || cells.next().expect("three cells");
            let (query, document, score) = (next(), next(), next());
            if score != "0" {
                let of_query = relevant.entry(query.to_owned()).or_default();
                of_query.extend(places.get(document));
            }
        }
        let text = |object: &Value, key: &str| object[key].as_str().unwrap_or("").to_owned();
        let queries = queries
            .iter()
            .zip(asked.rows())
            .filter_map(|(query, vector)| {
                let relevant = relevant
                    .remove(&id(query))
                    .filter(|places| !places.is_empty())?;
                Some((text(query, "text"), vector.to_vec(), relevant))
            });
        Some(Self {
            queries: queries.collect(),
            texts: documents
                .iter()
                .map(|document| format!("{} {}", text(document, "title"), text(document, "text")))
                .collect(),
            vectors,
        })
    }

    fn measure(&self, name: &str, [text, dense, rrf, min_max]: [f64; 4]) {
        // The reference leaves out words of one letter.
        let vector = Vector::new(self.vectors.dimensions as u32, Metric::Cosine);
        let schema = Schema::new()
            .vector(VECTOR, vector)
            .text(TEXT, Text::english().min_length(2));
        let subject = Subject::new(schema, building_fast());
        let rows = (0u64..).zip(self.vectors.rows().zip(&self.texts));
        subject.fill(rows.map(|(row, (vector, text))| {
            Point::new(row)
                .vector(VECTOR, vector)
                .payload(json!({ TEXT: text }))
        }));
        subject.optimize();
        let found_by = |ask: &dyn Fn(Query, Query) -> Query| {
            let found = self.queries.iter().map(|(text, vector, relevant)| {
                let dense = Query::nearest(VECTOR, vector.clone()).exact();
                let query = ask(Query::text(TEXT, text.as_str()), dense);
                let query = query.limit(100).with_payload(false);
                (subject.search(query), relevant)
            });
            found
                .map(|(hits, relevant)| gain(&hits, relevant))
                .sum::<f64>()
                / self.queries.len() as f64
        };
        let fused = |fusion: Fusion| {
            move |text: Query, dense: Query| {
                let query = Query::fuse(fusion.clone());
                query
                    .prefetch(dense.limit(DEPTH))
                    .prefetch(text.limit(DEPTH))
            }
        };
        let figures = [
            ("bm25", found_by(&|text, _| text), text),
            ("dense", found_by(&|_, dense| dense), dense),
            ("rrf", found_by(&fused(Fusion::rrf())), rrf),
            ("min-max", found_by(&fused(Fusion::alpha(0.5))), min_max),
        ];
        let parts = figures[0].1.max(figures[1].1);
        for (part, (what, value, reference)) in figures.into_iter().enumerate() {
            let least = reference - OFF;
            Figure::new(
                format!("relevance/{name}/{what}/ndcg-10"),
                value,
                "nDCG",
                self.queries.len() as u64,
            )
            .against(reference)
            .at_least(if part < 2 { least } else { least.max(parts) })
            .print();
        }
        subject.close();
    }
}

/// The normalized discounted cumulative gain of the first ten hits.
fn gain(hits: &[Hit], relevant: &BTreeSet<u64>) -> f64 {
    let at = |rank: usize| 1.0 / (rank as f64 + 2.0).log2();
    let is_relevant = |hit: &Hit| matches!(&hit.id, PointId::Number(id) if relevant.contains(id));
    let first = hits.iter().take(10).enumerate();
    let found: f64 = first
        .filter(|(_, hit)| is_relevant(hit))
        .map(|(rank, _)| at(rank))
        .sum();
    let most: f64 = (0..relevant.len().min(10)).map(at).sum();
    found / most
}
