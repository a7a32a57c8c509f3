//! What is searched: vectors, payloads, queries, and how good answers are.

use crate::protocol::Files;
use amphora_tests::{
    data::{self, Matrix},
    random::Random,
};
use rayon::prelude::*;
use serde_json::{Value, json};
use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::Path,
};

/// How many hits a query asks for.
pub(crate) const K: usize = 10;

pub(crate) struct Dataset {
    pub(crate) base: Matrix,
    pub(crate) queries: Matrix,
    pub(crate) payloads: Vec<Value>,
    pub(crate) indexed: Vec<String>,
}

impl Dataset {
    /// The passages of `books30k`; `None`, with a line on standard error, when they are not there.
    pub(crate) fn books() -> Option<Self> {
        let (mut base, mut queries) = data::books().zip(data::book_queries())?;
        // The values are float16, so that their lengths are only about 1.
        normalize(&mut base);
        normalize(&mut queries);
        let passages = data::read("books30k/passages.jsonl.zst")?;
        let passages = ruzstd::decoding::StreamingDecoder::new(&passages[..]);
        let passages = BufReader::new(passages.expect("a zstd file"));
        let payloads = passages.lines().map(|line| {
            let passage: Value = serde_json::from_str(&line.expect("text")).expect("JSON");
            json!({
                "text": passage["text"],
                "author": passage["author"],
                "pos": passage["pos"],
            })
        });
        Some(Self {
            base,
            queries,
            payloads: payloads.collect(),
            indexed: Vec::new(),
        })
    }

    /// Writes the files that every system reads.
    pub(crate) fn write(&self, directory: &Path) -> io::Result<Files> {
        let files = Files {
            dimensions: self.base.dimensions,
            base: directory.join("base.f32"),
            queries: directory.join("queries.f32"),
            payloads: directory.join("payloads.jsonl"),
            indexed: self.indexed.clone(),
        };
        std::fs::write(&files.base, bytemuck::cast_slice(&self.base.values))?;
        std::fs::write(&files.queries, bytemuck::cast_slice(&self.queries.values))?;
        let mut lines = BufWriter::new(File::create(&files.payloads)?);
        for payload in &self.payloads {
            writeln!(lines, "{payload}")?;
        }
        lines.flush()?;
        Ok(files)
    }

    /// For each query the rows most like it among those that `keep` keeps, best first.
    pub(crate) fn nearest(&self, keep: impl Fn(usize) -> bool + Sync) -> Vec<Vec<u32>> {
        let queries: Vec<&[f32]> = self.queries.rows().collect();
        let nearest = |query: &&[f32]| {
            let rows = self.base.rows().enumerate();
            let kept = rows.filter(|(row, _)| keep(*row));
            let mut scored: Vec<(f32, u32)> = kept
                .map(|(row, values)| (dot(query, values), row as u32))
                .collect();
            let better = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
            if scored.len() > K {
                scored.select_nth_unstable_by(K, better);
                scored.truncate(K);
            }
            scored.sort_unstable_by(better);
            scored.into_iter().map(|(_, row)| row).collect()
        };
        queries.par_iter().map(nearest).collect()
    }
}

/// The share of the true nearest that was found.
pub(crate) fn recall(found: &[Vec<i64>], truth: &[Vec<u32>]) -> f64 {
    let (mut hits, mut all) = (0, 0);
    for (found, truth) in found.iter().zip(truth) {
        let truth = &truth[..truth.len().min(K)];
        let hit = |row: &&u32| found.contains(&i64::from(**row));
        hits += truth.iter().filter(hit).count();
        all += truth.len();
    }
    hits as f64 / all.max(1) as f64
}

/// Rows around centres, of length 1, as many as each count says. They differ from their centre
/// along some common axes above all, as embeddings do: distances between points that differ along
/// hundreds of independent ones would all be alike. The same each time.
pub(crate) fn clustered<const N: usize>(dimensions: usize, counts: [usize; N]) -> [Matrix; N] {
    const CENTRES: u64 = 200;
    const AXES: usize = 24;
    const NOISE: f32 = 0.2;
    let mut random = Random(1_854);
    let mut directions = |count| -> Vec<Vec<f32>> {
        (0..count)
            .map(|_| direction(dimensions, &mut random))
            .collect()
    };
    let (centres, axes) = (directions(CENTRES as usize), directions(AXES));
    counts.map(|count| {
        let mut values = Vec::with_capacity(count * dimensions);
        for _ in 0..count {
            let mut row = centres[random.below(CENTRES) as usize].clone();
            for axis in &axes {
                add(&mut row, axis, normal(&mut random) / (AXES as f32).sqrt());
            }
            add(&mut row, &direction(dimensions, &mut random), NOISE);
            values.extend(row);
        }
        let mut rows = Matrix { dimensions, values };
        normalize(&mut rows);
        rows
    })
}

fn add(row: &mut [f32], other: &[f32], times: f32) {
    for (value, other) in row.iter_mut().zip(other) {
        *value += other * times;
    }
}

/// The sum of some uniform numbers is nearly normal; this one's variance is 1.
fn normal(random: &mut Random) -> f32 {
    (0..3).map(|_| random.unit()).sum()
}

/// A direction, each about as likely as any other.
pub(crate) fn direction(dimensions: usize, random: &mut Random) -> Vec<f32> {
    let mut values: Vec<f32> = (0..dimensions).map(|_| normal(random)).collect();
    scale(&mut values);
    values
}

fn normalize(rows: &mut Matrix) {
    rows.values
        .chunks_exact_mut(rows.dimensions)
        .for_each(scale);
}

fn scale(values: &mut [f32]) {
    let length = dot(values, values).sqrt();
    values.iter_mut().for_each(|value| *value /= length);
}

/// Eight sums, so that the compiler may add them side by side.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    let rest = a.len() / 8 * 8;
    let tail: f32 = a[rest..].iter().zip(&b[rest..]).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + tail
}
