//! A point as the user writes and reads it: an id, named vectors, a payload.
//!
//! Built by the caller and moved into an operation, which checks it against the schema; a
//! point checks nothing of itself.

use crate::{
    expiry::Expiry,
    id::PointId,
    json,
    payload::Payload,
    sparse_vector::{Halves, SparseVector},
};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;

/// One record of a collection: an id, any number of named vectors, and a payload.
///
/// ```
/// use amphora::Point;
/// use serde_json::json;
///
/// let point = Point::new("walden-17")
///     .vector("embedding", [0.1, 0.2, 0.3])
///     .payload(json!({ "work": "Walden", "year": 1854 }));
/// assert_eq!(point.vectors[0].1.len(), 3);
/// ```
///
/// As JSON:
///
/// ```
/// # use amphora::{Point, SparseVector};
/// let json = r#"{
///     "id": "walden-17",
///     "vectors": { "embedding": [0.1, 0.2, 0.3] },
///     "multi_vectors": { "tokens": [[0.1, 0.2], [0.3, 0.4]] },
///     "sparse_vectors": { "words": { "indices": [7, 12], "values": [0.5, 1.0] } },
///     "payload": { "work": "Walden", "year": 1854 },
///     "expires_at": "2054-05-01T12:30:00Z"
/// }"#;
/// let point: Point = serde_json::from_str(json)?;
/// assert_eq!(point.sparse_vectors[0].1, SparseVector::new([(7, 0.5), (12, 1.0)]).unwrap());
/// assert_eq!(serde_json::to_string(&Point::new(7))?, r#"{"id":7}"#);
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// The identity; writing a point with an id that exists replaces that point.
    pub id: PointId,
    /// The vectors by name, each as long as the schema says.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "json::pairs")]
    pub vectors: Vec<(String, Vec<f32>)>,
    /// The lists of vectors by name: see [`Vector::multi`](crate::Vector::multi).
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "json::pairs")]
    pub multi_vectors: Vec<(String, Vec<Vec<f32>>)>,
    /// The sparse vectors by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "json::pairs")]
    pub sparse_vectors: Vec<(String, SparseVector)>,
    /// The JSON object.
    #[serde(default, skip_serializing_if = "json::is_default")]
    pub payload: Payload,
    /// When it ends by itself; never without. Kept in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "json::time")]
    pub expires_at: Option<SystemTime>,
}

impl Point {
    /// A point without vectors and with an empty payload.
    pub fn new(id: impl Into<PointId>) -> Self {
        Self {
            id: id.into(),
            vectors: Vec::new(),
            multi_vectors: Vec::new(),
            sparse_vectors: Vec::new(),
            payload: Payload::default(),
            expires_at: None,
        }
    }

    /// Adds the vector `name`.
    #[must_use]
    pub fn vector(mut self, name: impl Into<String>, values: impl Into<Vec<f32>>) -> Self {
        self.vectors.push((name.into(), values.into()));
        self
    }

    /// Adds the list of vectors `name`.
    #[must_use]
    pub fn multi_vector<V: Into<Vec<f32>>>(
        mut self,
        name: impl Into<String>,
        vectors: impl IntoIterator<Item = V>,
    ) -> Self {
        let vectors = vectors.into_iter().map(Into::into).collect();
        self.multi_vectors.push((name.into(), vectors));
        self
    }

    /// Adds the sparse vector `name`. Its weights are rounded to 16 bits: see [`SparseVector`].
    ///
    /// ```
    /// use amphora::{Point, SparseVector};
    ///
    /// let vector = SparseVector::new([(17, 0.75), (40_002, 1.5)])?;
    /// let point = Point::new(1).sparse("splade", vector);
    /// # assert_eq!(point.sparse_vectors[0].1.len(), 2);
    /// # Ok::<_, amphora::Error>(())
    /// ```
    #[must_use]
    pub fn sparse(mut self, name: impl Into<String>, vector: SparseVector) -> Self {
        self.sparse_vectors.push((name.into(), vector));
        self
    }

    /// Sets the payload, a JSON object: `json!({ .. })`.
    #[must_use]
    pub fn payload(mut self, payload: impl Into<Payload>) -> Self {
        self.payload = payload.into();
        self
    }

    /// Lets the point end by itself: from this time on no read returns it, and later its space is
    /// reclaimed. Writing the point again sets the time anew.
    #[must_use]
    pub fn expires_at(mut self, time: SystemTime) -> Self {
        self.expires_at = Some(time);
        self
    }
}

/// A point that was checked against its schema: its vectors by their place in it, dense and sparse. Those of a list
/// lie one after the other.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    pub(crate) id: PointId,
    pub(crate) vectors: Vec<Option<Vec<f32>>>,
    pub(crate) sparse: Vec<Option<Halves>>,
    pub(crate) payload: Payload,
    pub(crate) expiry: Expiry,
}
