//! BM25 in the open: texts as sparse vectors of what their terms are worth, and what they score.
//!
//! Terms are words brought to their English stems. It is what the systems that score texts by words do,
//! but for their rounding, and is there to judge them by; systems without it get its vectors. Nothing
//! here is timed.

use crate::protocol::Sparse;
use frostem::{Algorithm, Stemmer};
use std::collections::BTreeMap;

const K1: f64 = 1.2;
const B: f64 = 0.75;

pub(crate) struct Bm25 {
    stemmer: Stemmer,
    terms: BTreeMap<String, u32>,
    /// For each term the rows that have it, and what it is worth in each but for how rare it is.
    postings: Vec<Vec<(u32, f32)>>,
    /// The same row by row.
    pub(crate) rows: Vec<Sparse>,
}

impl Bm25 {
    /// Texts are words with a space between two.
    pub(crate) fn new<'a>(texts: impl ExactSizeIterator<Item = &'a str> + Clone) -> Self {
        let count = texts.len() as f64;
        let words: usize = texts.clone().map(|text| split(text).count()).sum();
        let average = words as f64 / count;
        let mut it = Self {
            stemmer: Stemmer::new(Algorithm::English),
            terms: BTreeMap::new(),
            postings: Vec::new(),
            rows: Vec::new(),
        };
        for text in texts {
            it.add(text, average);
        }
        it
    }

    fn add(&mut self, text: &str, average: f64) {
        let row = self.rows.len() as u32;
        let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
        for word in split(text) {
            let stem = self.stemmer.stem(word).into_owned();
            let next = self.postings.len() as u32;
            let term = *self.terms.entry(stem).or_insert(next);
            if term == next {
                self.postings.push(Vec::new());
            }
            *counts.entry(term).or_default() += 1;
        }
        let length = split(text).count() as f64 / average;
        let mut sparse = Sparse::default();
        for (term, count) in counts {
            let count = f64::from(count);
            let worth = count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length));
            self.postings[term as usize].push((row, worth as f32));
            sparse.indices.push(term);
            sparse.values.push(worth as f32);
        }
        self.rows.push(sparse);
    }

    /// Its terms that any text has, each once and worth 1.
    pub(crate) fn query(&self, words: &str) -> Sparse {
        let words = split(words).map(str::to_lowercase);
        let terms = words.filter_map(|word| self.terms.get(&*self.stemmer.stem(&word)).copied());
        let mut indices: Vec<u32> = terms.collect();
        indices.sort_unstable();
        indices.dedup();
        Sparse {
            values: vec![1.0; indices.len()],
            indices,
        }
    }

    /// The rows that score most among those that `keep` keeps, with their scores, best first. How rare a
    /// term is, is told from all rows.
    pub(crate) fn best(
        &self,
        query: &Sparse,
        limit: usize,
        keep: impl Fn(usize) -> bool,
    ) -> Vec<(u32, f64)> {
        let all = self.rows.len() as f64;
        let mut scores = vec![0.0; self.rows.len()];
        for (term, value) in query.indices.iter().zip(&query.values) {
            let postings = &self.postings[*term as usize];
            let having = postings.len() as f64;
            let rarity = (1.0 + (all - having + 0.5) / (having + 0.5)).ln();
            for (row, worth) in postings {
                scores[*row as usize] += rarity * f64::from(*worth) * f64::from(*value);
            }
        }
        let scored = (0..).zip(scores);
        let scored = scored.filter(|(row, score)| *score > 0.0 && keep(*row as usize));
        let mut rows: Vec<(u32, f64)> = scored.collect();
        rows.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        rows.truncate(limit);
        rows
    }
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|word| !word.is_empty())
}
