//! How near the points of a sample are to each other.

use super::{Filter, Scope, sample};
use crate::{
    cancel::Cancel,
    error::{Error, Result},
    id::PointId,
    top_k::TopK,
    vector::{check_is_multi, score},
};
use serde::{Deserialize, Serialize};

/// A question for the nearest of each point of a sample among the others; see
/// [`Collection::distance_matrix`](crate::Collection::distance_matrix). As JSON
/// `{ "vector": "embedding", "sample": 100, "limit": 10, "seed": 7 }`, of which all but the vector may be missing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistanceMatrix {
    /// The vector of the schema that is compared, which is not a list of them.
    pub vector: String,
    /// How many points are compared, of those that have the vector: 100 unless changed.
    #[serde(default = "default_sample")]
    pub sample: usize,
    /// How many of the nearest each point gets: 10 unless changed.
    #[serde(default = "default_limit")]
    pub limit: usize,
    /// What the sample depends on, beside the points: 0 unless changed.
    #[serde(default)]
    pub seed: u64,
    /// Which points may be in the sample; all without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
}

/// What is nearest to a point. As JSON `{ "id": 7, "nearest": [[12, 0.5], ["doc-1", 0.25]] }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Neighbors {
    /// The point.
    pub id: PointId,
    /// Other points of the sample, each with its score, the best first; of equal scores the smaller id.
    pub nearest: Vec<(PointId, f32)>,
}

/// So many times as many scores as a query may have hits are given.
const SCORES: usize = 100;

fn default_sample() -> usize {
    100
}

fn default_limit() -> usize {
    10
}

impl DistanceMatrix {
    /// The 10 nearest of each of 100 points by this vector.
    pub fn new(vector: impl Into<String>) -> Self {
        Self {
            vector: vector.into(),
            sample: default_sample(),
            limit: default_limit(),
            seed: 0,
            filter: None,
        }
    }

    /// Compares so many points.
    #[must_use]
    pub fn sample(mut self, sample: usize) -> Self {
        self.sample = sample;
        self
    }

    /// So many of the nearest of each.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Another sample: see [`Query::random`](super::Query::random).
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Only points that match.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }
}

/// The nearest of each point of the sample, which come by their ids.
pub(crate) fn matrix(
    matrix: DistanceMatrix,
    scope: &Scope<'_>,
    cancel: &Cancel,
) -> Result<Vec<Neighbors>> {
    let (view, limits) = (scope.view, scope.limits);
    let (number, spec) = scope.shape().vector_named(&matrix.vector)?;
    check_is_multi(&matrix.vector, spec, false)?;
    let (most, limit) = (limits.hits, matrix.limit);
    let scores = matrix.sample.saturating_mul(limit);
    if matrix.sample > most || !(1..=most.saturating_mul(SCORES)).contains(&scores) {
        return Err(Error::invalid(format!(
            "a distance matrix has the {limit} nearest of {} points; expected 1 or more of both, at most {most} points, \
             and at most {} scores",
            matrix.sample,
            most.saturating_mul(SCORES)
        )));
    }
    let filter = matrix.filter.map(|filter| filter.checked(scope.terms()));
    let wanted = sample::Sample {
        seed: matrix.seed,
        vector: Some(number),
        filter: filter.transpose()?,
        limit: matrix.sample,
    };
    let mut found = sample::sample(view, &wanted, None, None, cancel)?;
    // By their places, then, the smaller id is the smaller one.
    found.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    let parts = view.parts()?;
    let vector = |at: usize| parts[found[at].part].vector(found[at].row, number);
    let mut best: Vec<TopK<usize>> = found.iter().map(|_| TopK::new(limit)).collect();
    for at in 0..found.len() {
        cancel.check()?;
        let Some((values, scale)) = vector(at)? else {
            continue;
        };
        let values = values.to_vec();
        for (count, other) in (0..).zip(at + 1..found.len()) {
            cancel.check_at(count)?;
            if let Some(compared) = vector(other)? {
                let score = score(spec.metric, (&values, scale), compared);
                best[at].offer(score, other);
                best[other].offer(score, at);
            }
        }
    }
    let neighbors = found.iter().zip(best).map(|(point, best)| {
        let nearest = best.into_sorted();
        Neighbors {
            id: point.id.clone(),
            nearest: nearest
                .map(|(score, at)| (found[at].id.clone(), score))
                .collect(),
        }
    });
    Ok(neighbors.collect())
}
