//! The true nearest of many queries, and which share of them was found.
//!
//! A point's id is the number of its row, and vectors have length 1.

use crate::data::Matrix;
use amphora::{Hit, PointId};
use rayon::prelude::*;

/// For each query the `k` rows most like it among those that `keep` keeps, best first.
#[must_use]
pub fn nearest(
    base: &Matrix,
    queries: &Matrix,
    k: usize,
    keep: impl Fn(usize) -> bool + Sync,
) -> Vec<Vec<u32>> {
    let queries: Vec<&[f32]> = queries.rows().collect();
    let nearest = |query: &&[f32]| {
        let rows = base.rows().enumerate();
        let kept = rows.filter(|(row, _)| keep(*row));
        let mut scored: Vec<(f32, u32)> = kept
            .map(|(row, values)| (dot(query, values), row as u32))
            .collect();
        let better = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if scored.len() > k {
            scored.select_nth_unstable_by(k, better);
            scored.truncate(k);
        }
        scored.sort_unstable_by(better);
        scored.into_iter().map(|(_, row)| row).collect()
    };
    queries.par_iter().map(nearest).collect()
}

/// The share of the first `k` of the true nearest that was found.
#[must_use]
pub fn recall(found: &[Vec<i64>], truth: &[Vec<u32>], k: usize) -> f64 {
    let (mut hits, mut all) = (0, 0);
    for (found, truth) in found.iter().zip(truth) {
        let truth = &truth[..truth.len().min(k)];
        let hit = |row: &&u32| found.contains(&i64::from(**row));
        hits += truth.iter().filter(hit).count();
        all += truth.len();
    }
    hits as f64 / all.max(1) as f64
}

/// The rows that were found; -1 for what is none.
#[must_use]
pub fn rows(hits: &[Hit]) -> Vec<i64> {
    let row = |hit: &Hit| match hit.id {
        PointId::Number(row) => row as i64,
        PointId::Uuid(_) | PointId::Text(_) => -1,
    };
    hits.iter().map(row).collect()
}

/// The number that an id is.
///
/// # Panics
///
/// If it is none.
#[must_use]
pub fn number(id: &PointId) -> u64 {
    match id {
        PointId::Number(number) => *number,
        _ => panic!("{id} is no number"),
    }
}

/// The product of two vectors. Eight sums, so that the compiler may add them side by side.
#[must_use]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
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
