//! Reading points by their ids.

use super::{Projection, Shows};
use crate::{id::PointId, json};
use serde::{Deserialize, Serialize};

/// Points to read by their ids, and what is shown of them: see
/// [`Collection::get_by`](crate::Collection::get_by).
///
/// ```
/// use amphora::{Get, Projection};
///
/// let get = Get::new([1, 2]).with_payload(Projection::exclude(["text"])).with_vectors(false);
/// assert_eq!(get.ids.len(), 2);
/// ```
///
/// As JSON: `{ "ids": [1, 2], "with_payload": { "exclude": ["text"] }, "with_vectors": false }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[must_use = "it does nothing until a collection is asked"]
pub struct Get {
    /// Their ids.
    pub ids: Vec<PointId>,
    /// What is shown of their payloads: all of it unless changed.
    #[serde(default, skip_serializing_if = "json::is_default")]
    pub with_payload: Projection,
    /// Which of their vectors are shown: all unless changed.
    #[serde(default, skip_serializing_if = "json::is_default")]
    pub with_vectors: Projection,
}

impl Get {
    /// The points with these ids.
    pub fn new<I: Into<PointId>>(ids: impl IntoIterator<Item = I>) -> Self {
        Self {
            ids: ids.into_iter().map(Into::into).collect(),
            with_payload: Projection::All,
            with_vectors: Projection::All,
        }
    }

    /// What is shown of their payloads: `true` for all of it, `false` for nothing, or a [`Projection`].
    pub fn with_payload(mut self, with: impl Into<Projection>) -> Self {
        self.with_payload = with.into();
        self
    }

    /// Which of their vectors are shown: `true` for all, `false` for none, or a [`Projection`] of their names.
    pub fn with_vectors(mut self, with: impl Into<Projection>) -> Self {
        self.with_vectors = with.into();
        self
    }

    pub(crate) fn into_parts(self) -> (Vec<PointId>, Shows) {
        let shows = Shows {
            payload: self.with_payload,
            vectors: self.with_vectors,
        };
        (self.ids, shows)
    }
}
