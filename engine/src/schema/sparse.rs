//! What a sparse vector of a schema is. Plain data, stored with the schema.

use super::is_false;
use serde::{Deserialize, Serialize};

/// A sparse vector of a schema: of what points have under a name as [`SparseVector`](crate::SparseVector)s.
/// They are compared by their dot product, and always exactly.
///
/// ```
/// use amphora::{Schema, Sparse};
///
/// let schema = Schema::new()
///     .sparse("splade", Sparse::new())
///     .sparse("words", Sparse::new().idf());
/// assert!(schema.check().is_ok());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sparse {
    /// Whether a dimension counts the more, the fewer points have it: see [`Sparse::idf`].
    #[serde(default, skip_serializing_if = "is_false")]
    pub idf: bool,
}

impl Sparse {
    /// Sparse vectors that are compared as they are.
    #[must_use]
    pub const fn new() -> Self {
        Self { idf: false }
    }

    /// Multiplies each weight of a query with the inverse document frequency of its dimension,
    /// `ln(1 + (N - n + 0.5) / (n + 0.5))`, where `n` of the `N` points with such a vector have the dimension:
    /// for weights that say how much a word counts within its text alone, such as those of BM25. It is always
    /// above zero.
    ///
    /// It does not depend on how points are split into segments; points that were replaced or deleted
    /// count for `n` and `N` until their segments are merged.
    #[must_use]
    pub const fn idf(mut self) -> Self {
        self.idf = true;
        self
    }
}
