//! Questions and their answers over a pinned view: what to find, what to keep, what to return.
//!
//! A [`Query`] and a [`Filter`] are plain data, checked once against schema and limits before
//! anything runs. Running one reads the view that it was given and nothing else, and changes nothing.

mod filter;
mod scan;

pub use filter::{FieldPath, Filter, field};
pub(crate) use scan::{Nearest, count, ids, nearest, point, scroll};

use crate::{
    error::{Error, Result},
    id::PointId,
    options::Limits,
    payload::Payload,
    shape::Shape,
    vector::check_vector,
};

/// What to search for.
///
/// ```
/// use amphora::{Query, field};
///
/// let query = Query::nearest("embedding", [0.1, 0.2, 0.3])
///     .filter(field("year").at_least(1850) & field("work").eq("Walden"))
///     .limit(5);
/// assert_eq!(query.limit, 5);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The vector of the schema that is compared.
    pub vector: String,
    /// What it is compared with.
    pub values: Vec<f32>,
    /// Which points may be hits; all without one.
    pub filter: Option<Filter>,
    /// The most hits, 10 unless changed.
    pub limit: usize,
    /// Whether hits carry their payload: yes unless changed.
    pub with_payload: bool,
    /// Whether hits carry their vectors: no unless changed.
    pub with_vectors: bool,
}

/// A point that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Its id.
    pub id: PointId,
    /// How well it matches: larger is better under every metric. See
    /// [`Metric`](crate::Metric) for what the number is.
    pub score: f32,
    /// Its payload; empty if the query did not ask for it.
    pub payload: Payload,
    /// Its vectors; none if the query did not ask for them.
    pub vectors: Vec<(String, Vec<f32>)>,
}

impl Query {
    /// The points whose vector `vector` is nearest to `values` under the schema's metric. Among
    /// equal scores the smaller id comes first.
    pub fn nearest(vector: impl Into<String>, values: impl Into<Vec<f32>>) -> Self {
        Self {
            vector: vector.into(),
            values: values.into(),
            filter: None,
            limit: 10,
            with_payload: true,
            with_vectors: false,
        }
    }

    /// Only points that match `filter`; in place of a filter set before.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// At most so many hits.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Whether hits carry their payload.
    #[must_use]
    pub fn with_payload(mut self, with: bool) -> Self {
        self.with_payload = with;
        self
    }

    /// Whether hits carry their vectors.
    #[must_use]
    pub fn with_vectors(mut self, with: bool) -> Self {
        self.with_vectors = with;
        self
    }

    /// The query in the terms of `shape`, if it may run.
    pub(crate) fn checked(self, shape: &Shape, limits: &Limits) -> Result<Nearest> {
        let filter = self
            .filter
            .map(|filter| filter.checked(limits))
            .transpose()?;
        if !(1..=limits.hits).contains(&self.limit) {
            return Err(Error::invalid(format!(
                "the limit of a query is {}; expected 1 to {}",
                self.limit, limits.hits
            )));
        }
        let (vector, spec) = shape.vector_named(&self.vector)?;
        check_vector(&self.vector, spec, &self.values)?;
        Ok(Nearest {
            vector,
            metric: spec.metric,
            values: self.values,
            filter,
            limit: self.limit,
            with_payload: self.with_payload,
            with_vectors: self.with_vectors,
        })
    }
}
