//! Whether searches for sparse vectors find what is like them, whatever happened to the database before.
//!
//! Weights are such that 16 bits hold them and sums are exact, so that scores can be told by adding up.

use amphora::{Collection, Point, PointId, Query, Result, Sparse, SparseVector};
use std::collections::{BTreeMap, BTreeSet};

/// How many dimensions are searched for by themselves.
const SAMPLES: usize = 1;

/// A sparse vector that is judged here.
#[must_use]
pub fn sparse() -> Sparse {
    Sparse::new()
}

/// One whose dimensions and weights depend on a number.
///
/// # Panics
/// Never.
#[must_use]
pub fn vector(number: u64) -> SparseVector {
    let number = number as u32 % 509;
    // The first is in all, the second in many, the third in few.
    let entries = [
        (3, 1.0 + number as f32),
        (70_000 + number % 5, 0.5),
        (u32::MAX - number, -0.25 * (1 + number % 7) as f32),
    ];
    SparseVector::new(entries).expect("dimensions differ")
}

/// Searches a collection that holds these points by each of its sparse vectors: for dimensions, and for
/// all of them. What is wrong with the hits, if anything is.
///
/// # Errors
/// Those of searching.
///
/// # Panics
/// Never.
pub fn problem(collection: &Collection, points: &[&Point]) -> Result<Option<String>> {
    for name in collection.schema().sparse_vectors.keys() {
        let vectors = points.iter().filter_map(|point| {
            let mut vectors = point.sparse_vectors.iter();
            let (_, vector) = vectors.find(|(known, _)| known == name)?;
            Some((&point.id, vector))
        });
        let vectors: Vec<(&PointId, &SparseVector)> = vectors.collect();
        let all = vectors.iter().flat_map(|(_, vector)| vector.dimensions());
        let all: BTreeSet<u32> = all.copied().collect();
        let step = all.len().div_ceil(SAMPLES).max(1);
        let alone = all
            .iter()
            .step_by(step)
            .map(|dimension| vec![(*dimension, 2.0)]);
        let together = all.iter().map(|dimension| (*dimension, 1.0)).take(24);
        for asked in alone.chain([together.collect()]) {
            let weights: BTreeMap<u32, f32> = asked.iter().copied().collect();
            let mut expected = Vec::new();
            for (id, vector) in &vectors {
                let product = |(dimension, weight)| Some(weights.get(&dimension)? * weight);
                let products: Vec<f32> = vector.iter().filter_map(product).collect();
                if !products.is_empty() {
                    expected.push((products.iter().sum::<f32>(), (*id).clone()));
                }
            }
            expected.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
            let asked = SparseVector::new(asked).expect("dimensions differ");
            let query = Query::sparse(name, asked.clone()).limit(points.len() + 1);
            let hits = collection.search(query.with_payload(false)).wait()?;
            let found: Vec<_> = hits.into_iter().map(|hit| (hit.score, hit.id)).collect();
            if found != expected {
                return Ok(Some(format!(
                    "searching {name:?} of {} for {asked:?}: {found:?} for {expected:?}",
                    collection.name()
                )));
            }
        }
    }
    Ok(None)
}
