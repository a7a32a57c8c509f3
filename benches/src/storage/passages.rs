//! The points that are written: like passages of books, with random vectors.

use amphora::{Metric, Point, Schema, Vector};
use amphora_tests::random::Random;
use serde_json::json;

const WORDS: [&str; 16] = [
    "the",
    "pond",
    "of",
    "winter",
    "and",
    "a",
    "morning",
    "I",
    "went",
    "woods",
    "to",
    "live",
    "deliberately",
    "house",
    "which",
    "was",
];
/// About a sentence or two.
const WORDS_IN_TEXT: usize = 40;

/// Where passages come from; the same for the same seed.
pub(super) struct Passages {
    random: Random,
    dimensions: u32,
}

impl Passages {
    pub(super) fn new(dimensions: u32) -> Self {
        Self {
            random: Random(1_854),
            dimensions,
        }
    }

    pub(super) fn schema(&self) -> Schema {
        Schema::new().vector("embedding", Vector::new(self.dimensions, Metric::Cosine))
    }

    pub(super) fn point(&mut self, id: u64) -> Point {
        let values: Vec<f32> = (0..self.dimensions).map(|_| self.random.unit()).collect();
        let words = (0..WORDS_IN_TEXT).map(|_| self.random.below(WORDS.len() as u64));
        let words: Vec<&str> = words.map(|word| WORDS[word as usize]).collect();
        Point::new(id).vector("embedding", values).payload(json!({
            "work": "Walden",
            "chapter": id % 18,
            "paragraph": id,
            "text": words.join(" "),
        }))
    }

    pub(super) fn batch(&mut self, ids: impl Iterator<Item = u64>) -> Vec<Point> {
        ids.map(|id| self.point(id)).collect()
    }
}

/// What a point comes to as bytes, by the plainest encoding: id, vectors, payload as JSON.
pub(super) fn plain_bytes(id: u64, point: &Point) -> Vec<u8> {
    let mut bytes = id.to_le_bytes().to_vec();
    for (_, values) in &point.vectors {
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
    serde_json::to_writer(&mut bytes, &point.payload.to_value()).expect("a payload is JSON");
    bytes
}
