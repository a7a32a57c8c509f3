//! What is found, as the caller gets it.

use super::Snippet;
use crate::{id::PointId, json, payload::Payload, sparse_vector::SparseVector};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A point that was found.
///
/// As JSON an object of these, in which vectors and snippets are objects by their names; what is empty is left out:
/// `{ "id": 7, "score": 0.5, "payload": { "year": 1854 } }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hit {
    /// Its id.
    pub id: PointId,
    /// How well it matches: larger is better under every metric and every fusion. See
    /// [`Metric`](crate::Metric) and [`Fusion`](crate::Fusion) for what the number is.
    pub score: f32,
    /// Its payload; empty if the query did not ask for it.
    #[serde(default, skip_serializing_if = "json::is_default")]
    pub payload: Payload,
    /// Its vectors; none if the query did not ask for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "json::pairs")]
    pub vectors: Vec<(String, Vec<f32>)>,
    /// Its lists of vectors; none if the query did not ask for its vectors.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "json::pairs")]
    pub multi_vectors: Vec<(String, Vec<Vec<f32>>)>,
    /// Its sparse vectors; none if the query did not ask for its vectors.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "json::pairs")]
    pub sparse_vectors: Vec<(String, SparseVector)>,
    /// Of the texts that the query asked to [highlight](crate::Query::highlight), and that the payload has.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "json::pairs")]
    pub snippets: Vec<(String, Snippet)>,
    /// The value that it is ordered by, in a query for the [order](super::Query::order_by) of a field: a number that is
    /// whole as an integer, what a declared date-time means in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_value: Option<Value>,
    /// What it is in each prefetch, `None` where it is not among its hits; empty if the query did
    /// not [ask for it](crate::Query::with_scores). The prefetches stand in the order in which they are
    /// written, each before those below it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<Option<PrefetchScore>>,
}

/// What a [`Hit`] is in a prefetch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrefetchScore {
    /// Its rank among the hits of the prefetch, 1 for the first.
    pub rank: usize,
    /// Its score in the prefetch.
    pub score: f32,
}
