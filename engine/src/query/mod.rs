//! Questions and their answers over a pinned view: what to find, what to keep, what to return.
//!
//! A [`Query`] and a [`Filter`] are plain data, checked once against schema and limits before
//! anything runs. Running one reads the view that it was given and nothing else, and changes nothing.

mod filter;
mod bound;
mod plan;
mod scan;
mod lists;
mod nearest;

#[cfg(test)]
pub(crate) use bound::Bound;
pub use filter::{FieldPath, Filter, field};
pub(crate) use nearest::{Nearest, nearest};
pub(crate) use scan::{count, ids, point, scroll};

use crate::{
    error::{Error, Result},
    id::PointId,
    options::Limits,
    payload::Payload,
    schema::{Vector, quoted},
    shape::Shape,
    vector::{check_is_multi, check_multi, check_vector},
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
    /// What it is compared with; empty if points have lists of vectors.
    pub values: Vec<f32>,
    /// What is compared in place of `values`, if points have lists of vectors; empty otherwise.
    pub multi_values: Vec<Vec<f32>>,
    /// Which points may be hits; all without one.
    pub filter: Option<Filter>,
    /// The most hits, 10 unless changed.
    pub limit: usize,
    /// How hard to look for the nearest: for 98 % of them unless changed.
    pub effort: Effort,
    /// How many times as many as the limit are compared by their vectors, of what an index finds by its
    /// codes: as many as these leave in doubt unless set.
    pub oversampling: Option<f32>,
    /// Whether hits carry their payload: yes unless changed.
    pub with_payload: bool,
    /// Whether hits carry their vectors: no unless changed.
    pub with_vectors: bool,
}

/// How hard to look for the nearest, where there is an index. What is in memory alone, or in a
/// segment whose index is not ready, is compared point by point; where searches meet much of it, they
/// leave out those points that are too far away by one bit of each number, which one in a thousand
/// of the nearest may seem to be.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Effort {
    /// Every point is compared.
    Exact,
    /// So large a share of the nearest shall be found, above 0 and at most 1. Each index knows from
    /// measuring itself what that takes; 1 is [`Exact`](Self::Exact).
    Recall(f32),
    /// So many points are kept in view in each index, `ef` in the words of HNSW.
    Ef(usize),
}

impl Default for Effort {
    fn default() -> Self {
        Self::Recall(0.98)
    }
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
    /// Its lists of vectors; none if the query did not ask for its vectors.
    pub multi_vectors: Vec<(String, Vec<Vec<f32>>)>,
}

impl Effort {
    fn checked(self, limits: &Limits) -> Result<Self> {
        match self {
            Self::Recall(recall) if !(recall > 0.0 && recall <= 1.0) => Err(Error::invalid(
                format!("the recall of a query is {recall}; expected more than 0 and at most 1"),
            )),
            Self::Recall(1.0) => Ok(Self::Exact),
            Self::Ef(ef) if !(1..=limits.ef).contains(&ef) => Err(Error::invalid(format!(
                "the ef of a query is {ef}; expected 1 to {}",
                limits.ef
            ))),
            Self::Exact | Self::Recall(_) | Self::Ef(_) => Ok(self),
        }
    }
}

impl Query {
    /// The points whose vector `vector` is nearest to `values` under the schema's metric. Among
    /// equal scores the smaller id comes first.
    pub fn nearest(vector: impl Into<String>, values: impl Into<Vec<f32>>) -> Self {
        Self {
            vector: vector.into(),
            values: values.into(),
            multi_values: Vec::new(),
            filter: None,
            limit: 10,
            effort: Effort::default(),
            oversampling: None,
            with_payload: true,
            with_vectors: false,
        }
    }

    /// The points whose lists of vectors `vector` are nearest to a list of vectors: the score is the
    /// sum over these of the best score among the point's. See
    /// [`Vector::multi`](crate::Vector::multi). An index is asked for the vectors near to each of
    /// these; the points that seem to be the nearest by what it says, 64 times the limit unless
    /// [`oversampling`](Self::oversampling) is given, are compared by all of their vectors.
    pub fn nearest_multi<V: Into<Vec<f32>>>(
        vector: impl Into<String>,
        vectors: impl IntoIterator<Item = V>,
    ) -> Self {
        Self {
            multi_values: vectors.into_iter().map(Into::into).collect(),
            ..Self::nearest(vector, [])
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

    /// Compares every point, so that the nearest are found for certain.
    #[must_use]
    pub fn exact(mut self) -> Self {
        self.effort = Effort::Exact;
        self
    }

    /// Looks for so large a share of the nearest, above 0 and at most 1: 0.9 is quicker than 0.99.
    /// See [`Effort::Recall`].
    #[must_use]
    pub fn recall(mut self, recall: f32) -> Self {
        self.effort = Effort::Recall(recall);
        self
    }

    /// Keeps so many points in view in each index: see [`Effort::Ef`].
    #[must_use]
    pub fn ef(mut self, ef: usize) -> Self {
        self.effort = Effort::Ef(ef);
        self
    }

    /// Compares so many times as many points as the limit by their vectors, of those that each index
    /// finds by its codes: 1 or more. Indexes know how much their codes err, and compare what that
    /// leaves in doubt (11 to 14 points for 10 hits by 8-bit codes); more of them help with codes that
    /// err otherwise than usual for some queries, fewer are quicker. Scores are always those of the
    /// vectors.
    ///
    /// ```
    /// use amphora::Query;
    ///
    /// let query = Query::nearest("embedding", [0.1, 0.2, 0.3]).oversampling(3.0);
    /// assert_eq!(query.oversampling, Some(3.0));
    /// ```
    #[must_use]
    pub fn oversampling(mut self, times: f32) -> Self {
        self.oversampling = Some(times);
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
        let effort = self.effort.checked(limits)?;
        let sampled = |times| sampled(times, self.limit, limits);
        let oversampled = self.oversampling.map(sampled).transpose()?;
        let (vector, spec) = shape.vector_named(&self.vector)?;
        let values = compared(&self.vector, spec, self.values, &self.multi_values)?;
        Ok(Nearest {
            vector,
            metric: spec.metric,
            list_of: spec.multi.then_some(spec.dimensions as usize),
            values,
            filter,
            limit: self.limit,
            oversampled,
            effort,
            with_payload: self.with_payload,
            with_vectors: self.with_vectors,
        })
    }
}

/// How many points are compared by their vectors with this oversampling.
fn sampled(times: f32, limit: usize, limits: &Limits) -> Result<usize> {
    let sampled = limit as f32 * times;
    if times >= 1.0 && sampled <= limits.ef as f32 {
        return Ok(sampled.ceil() as usize);
    }
    Err(Error::invalid(format!(
        "the oversampling of a query is {times} at a limit of {limit}; expected 1 or more, and at most \
         {} points",
        limits.ef
    )))
}

/// What a vector of the schema is compared with: one vector or, where points have lists of them,
/// a list, one after the other.
fn compared(
    name: &str,
    vector: &Vector,
    values: Vec<f32>,
    multi_values: &[Vec<f32>],
) -> Result<Vec<f32>> {
    match (values.is_empty(), multi_values.is_empty()) {
        (false, false) => Err(Error::invalid(format!(
            "a query for {} has one vector and a list of them",
            quoted(name)
        ))),
        (true, is_empty) if vector.multi || !is_empty => check_multi(name, vector, multi_values),
        _ => {
            check_is_multi(name, vector, false)?;
            check_vector(name, vector, &values)?;
            Ok(values)
        }
    }
}
