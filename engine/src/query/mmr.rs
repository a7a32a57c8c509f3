//! Hits that are near to the query and unlike each other: maximal marginal relevance.
//!
//! What is chosen from, and what is compared, is read before; choosing is a pure function of scores
//! and vectors.

use crate::{
    cancel::Cancel,
    error::Result,
    schema::Metric,
    vector::{scale, score},
};
use serde::{Deserialize, Serialize};

/// How to choose hits that are unlike each other: by maximal marginal relevance (Carbonell and
/// Goldstein, 1998).
///
/// Out of candidates, which are the best hits without it, the first is chosen, and then one after the
/// other the `d` for which
///
/// `lambda * relevance(d) - (1 - lambda) * max over chosen c of similarity(d, c)`
///
/// is the largest; among equals the one that comes first without it. Both terms are made
/// comparable, whatever the metric and the fusion:
///
/// - `relevance(d) = (score(d) - min) / (max - min)` over the scores of the candidates, 1 if all are equal;
/// - `similarity(d, c) = 1 - distance(d, c) / reach`, where `reach` is how far any candidate is from the first
///   that has the vector. It is 1 for equal vectors, 0 for ones as far apart as that, and below 0 for ones
///   farther apart. If `reach` is 0, it is 1. With a candidate that lacks the vector it is 0.
///
/// `distance` is that of a [vector](Self::vector) under its metric; under cosine and dot product it is one
/// minus the cosine (1 with a zero vector, 0 within a millionth).
///
/// ```
/// # use amphora::{Database, Metric, Point, Schema, Vector, vfs::MemoryVfs};
/// use amphora::{Mmr, Query};
///
/// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
/// # let schema = Schema::new().vector("v", Vector::new(2, Metric::Cosine));
/// # let docs = db.create_collection("docs", schema).wait()?;
/// docs.upsert([
///     Point::new(1).vector("v", [1.0, 0.0]),
///     Point::new(2).vector("v", [1.0, 0.01]),
///     Point::new(3).vector("v", [1.0, 0.9]),
/// ]).wait()?;
/// let query = Query::nearest("v", [1.0, 0.0]).limit(2);
/// let diverse = query.clone().mmr(Mmr::new(0.4).candidates(50));
/// let ids = |query| -> amphora::Result<Vec<_>> {
///     Ok(docs.search(query).wait()?.into_iter().map(|hit| hit.id).collect())
/// };
/// assert_eq!(ids(query)?, [1.into(), 2.into()]);
/// assert_eq!(ids(diverse)?, [1.into(), 3.into()]);
/// # Ok::<_, amphora::Error>(())
/// ```
///
/// As JSON: `{ "lambda": 0.4, "candidates": 50 }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mmr {
    /// 1 for relevance alone, 0 for diversity alone.
    pub lambda: f32,
    /// How many hits are chosen from: ten times as many as are chosen, unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidates: Option<usize>,
    /// The vector by which hits are alike: that of the query unless set, of a fused one that of its first
    /// prefetch for the nearest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<String>,
}

impl Mmr {
    /// A choice with this `lambda`, from 1 for relevance alone to 0 for diversity alone.
    #[must_use]
    pub fn new(lambda: f32) -> Self {
        Self {
            lambda,
            candidates: None,
            vector: None,
        }
    }

    /// Chooses from so many hits: at least as many as the limit and the offset together.
    #[must_use]
    pub fn candidates(mut self, candidates: usize) -> Self {
        self.candidates = Some(candidates);
        self
    }

    /// Compares this vector of the schema, which is not a list of them.
    #[must_use]
    pub fn vector(mut self, vector: impl Into<String>) -> Self {
        self.vector = Some(vector.into());
        self
    }
}

/// A choice with this `lambda`.
impl From<f32> for Mmr {
    fn from(lambda: f32) -> Self {
        Self::new(lambda)
    }
}

/// So close to 1 the cosine of equal vectors may come out.
const ROUNDING: f64 = 1e-6;

/// What is chosen from, the best first.
pub(super) struct Candidates {
    metric: Metric,
    relevance: Vec<f64>,
    /// Those that have one, each with what it is scaled with.
    vectors: Vec<Option<(Vec<f32>, f32)>>,
    reach: f64,
}

impl Candidates {
    pub(super) fn new(metric: Metric, scores: &[f32], vectors: Vec<Option<Vec<f32>>>) -> Self {
        let metric = match metric {
            Metric::Dot => Metric::Cosine,
            Metric::Cosine | Metric::Euclidean | Metric::Manhattan => metric,
        };
        let scaled = |values: Vec<f32>| {
            let scale = scale(&values, metric);
            // A zero vector has no direction.
            (values, if scale.is_finite() { scale } else { 0.0 })
        };
        let vectors = vectors.into_iter().map(|values| values.map(scaled));
        let mut candidates = Self {
            metric,
            relevance: relevance(scores),
            vectors: vectors.collect(),
            reach: 0.0,
        };
        let first = candidates.vectors.iter().position(Option::is_some);
        let distances = (0..scores.len()).filter_map(|at| candidates.distance(first?, at));
        candidates.reach = distances.fold(0.0, f64::max);
        candidates
    }

    fn distance(&self, a: usize, b: usize) -> Option<f64> {
        let ((a, a_scale), (b, b_scale)) = (self.vectors[a].as_ref()?, self.vectors[b].as_ref()?);
        let score = f64::from(score(self.metric, (a, *a_scale), (&b[..], *b_scale)));
        Some(match self.metric {
            Metric::Cosine | Metric::Dot if score > 1.0 - ROUNDING => 0.0,
            Metric::Cosine | Metric::Dot => 1.0 - score,
            Metric::Euclidean | Metric::Manhattan => -score,
        })
    }

    fn similarity(&self, a: usize, b: usize) -> f64 {
        match self.distance(a, b) {
            None => 0.0,
            Some(_) if self.reach == 0.0 => 1.0,
            Some(distance) => 1.0 - distance / self.reach,
        }
    }

    /// The places of so many candidates, in the order in which they are chosen.
    pub(super) fn choose(&self, lambda: f32, wanted: usize, cancel: &Cancel) -> Result<Vec<usize>> {
        let lambda = f64::from(lambda);
        let mut left: Vec<(usize, f64)> = (0..self.relevance.len())
            .map(|at| (at, f64::NEG_INFINITY))
            .collect();
        let mut chosen: Vec<usize> = Vec::with_capacity(wanted.min(left.len()));
        while chosen.len() < wanted && !left.is_empty() {
            let (mut best, mut most) = (0, f64::NEG_INFINITY);
            for (count, (place, (at, alike))) in (0..).zip(left.iter_mut().enumerate()) {
                cancel.check_at(count)?;
                let Some(last) = chosen.last() else { break };
                *alike = alike.max(self.similarity(*at, *last));
                let worth = lambda * self.relevance[*at] - (1.0 - lambda) * *alike;
                if worth > most {
                    (best, most) = (place, worth);
                }
            }
            // In its order, so that the first of equals comes first.
            chosen.push(left.remove(best).0);
        }
        Ok(chosen)
    }
}

/// Scores between 0 for the lowest of them and 1 for the highest.
fn relevance(scores: &[f32]) -> Vec<f64> {
    let wide = || scores.iter().map(|score| f64::from(*score));
    let (low, high) = (
        wide().fold(f64::MAX, f64::min),
        wide().fold(f64::MIN, f64::max),
    );
    let between = |score| match low < high {
        true => (score - low) / (high - low),
        false => 1.0,
    };
    wide().map(between).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const METRICS: [Metric; 4] = [
        Metric::Cosine,
        Metric::Dot,
        Metric::Euclidean,
        Metric::Manhattan,
    ];

    fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
        let pairs = || a.iter().zip(b).map(|(a, b)| (f64::from(*a), f64::from(*b)));
        let length = |of: fn((f64, f64)) -> f64| pairs().map(|p| of(p).powi(2)).sum::<f64>().sqrt();
        match metric {
            Metric::Euclidean => length(|(a, b)| a - b),
            Metric::Manhattan => pairs().map(|(a, b)| (a - b).abs()).sum(),
            Metric::Cosine | Metric::Dot => match length(|p| p.0) * length(|p| p.1) {
                0.0 => 1.0,
                lengths => 1.0 - pairs().map(|(a, b)| a * b).sum::<f64>() / lengths,
            },
        }
    }

    /// What the next one is worth by the documented formula, after these.
    fn worth(
        metric: Metric,
        (scores, vectors): (&[f32], &[Option<Vec<f32>>]),
        lambda: f64,
        chosen: &[usize],
        next: usize,
    ) -> f64 {
        let low = scores.iter().copied().fold(f32::INFINITY, f32::min);
        let high = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let relevance = match low == high {
            true => 1.0,
            false => f64::from(scores[next] - low) / f64::from(high - low),
        };
        let first = vectors.iter().flatten().next();
        let reach = vectors
            .iter()
            .flatten()
            .map(|v| distance(metric, first.unwrap(), v));
        let reach = reach.fold(0.0, f64::max);
        let similarity = |other: &usize| match (&vectors[next], &vectors[*other]) {
            (Some(_), Some(_)) if reach < 1e-6 => 1.0,
            (Some(a), Some(b)) => 1.0 - distance(metric, a, b) / reach,
            _ => 0.0,
        };
        let alike = chosen.iter().map(similarity).fold(f64::MIN, f64::max);
        lambda * relevance - (1.0 - lambda) * alike
    }

    proptest! {
        #[test]
        fn each_choice_is_worth_the_most(
            metric in prop::sample::select(&METRICS[..]),
            points in prop::collection::vec(
                (-5i8..5, prop::option::weighted(0.9, prop::collection::vec(-3i8..4, 3))),
                1..25,
            ),
            lambda in prop::sample::select(vec![0.0f32, 0.25, 0.5, 0.8, 1.0]),
            wanted in 1usize..30,
        ) {
            let mut scores: Vec<f32> = points.iter().map(|(score, _)| f32::from(*score)).collect();
            scores.sort_by(|a, b| b.total_cmp(a));
            let floats = |values: &Vec<i8>| values.iter().map(|x| f32::from(*x)).collect();
            let mut vectors: Vec<Option<Vec<f32>>> =
                points.iter().map(|(_, values)| values.as_ref().map(floats)).collect();
            if metric == Metric::Cosine {
                // No point has a zero vector under it.
                vectors.iter_mut().flatten().for_each(|values| values[0] += 0.5);
            }
            let candidates = Candidates::new(metric, &scores, vectors.clone());
            let chosen = candidates.choose(lambda, wanted, &Cancel::default()).unwrap();
            prop_assert_eq!(chosen.len(), wanted.min(scores.len()));
            prop_assert_eq!(chosen[0], 0);
            for count in 1..chosen.len() {
                let (before, next) = (&chosen[..count], chosen[count]);
                prop_assert!(!before.contains(&next));
                let of = |next| worth(metric, (&scores, &vectors), lambda.into(), before, next);
                let (own, slack) = (of(next), 1e-4);
                for other in (0..scores.len()).filter(|other| !before.contains(other)) {
                    prop_assert!(of(other) <= own + slack, "{} before {}", other, next);
                }
            }
            if lambda == 1.0 {
                prop_assert!(chosen.into_iter().eq(0..wanted.min(scores.len())));
            }
        }
    }

    #[test]
    fn equal_vectors_are_left_in_their_order() {
        for metric in METRICS {
            let vectors = vec![Some(vec![0.3, 0.7, 0.11]); 5];
            let candidates = Candidates::new(metric, &[5.0, 4.0, 4.0, 2.0, 1.0], vectors);
            let chosen = candidates.choose(0.5, 5, &Cancel::default()).unwrap();
            assert_eq!(chosen, [0, 1, 2, 3, 4], "{metric:?}");
        }
    }
}
