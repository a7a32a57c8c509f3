//! What a collection holds: its vectors with their metrics, dense and sparse, the declared payload
//! fields, and which of them are searched as text.
//!
//! A schema is plain data, given when a collection is created and stored with it; checking a
//! point against it is the write's work, not the schema's.

mod language;
mod sparse;
mod text;
mod tokenizer;

pub use language::Language;
pub use sparse::Sparse;
pub use text::{StopWords, Text, Tokenization};
pub use tokenizer::{Tokenizer, Tokenizers};

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// The shape of a collection.
///
/// ```
/// use amphora::{Field, Metric, Schema, Vector};
///
/// let schema = Schema::new()
///     .vector("embedding", Vector::new(384, Metric::Cosine))
///     .field("year", Field::Integer);
/// assert!(schema.check().is_ok());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// The vectors by name.
    #[serde(default)]
    pub vectors: BTreeMap<String, Vector>,
    /// The payload fields whose type is declared; a payload may hold others too.
    #[serde(default)]
    pub fields: BTreeMap<String, Field>,
    /// The payload fields that are searched as text. One may be declared above, too: as a keyword
    /// for filters, say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: BTreeMap<String, Text>,
    /// The sparse vectors by name. None has the name of one of `vectors`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sparse_vectors: BTreeMap<String, Sparse>,
}

/// A vector of a schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    /// How many numbers it has, at least 1 and at most [`Vector::MAX_DIMENSIONS`].
    pub dimensions: u32,
    /// How two of them are compared.
    pub metric: Metric,
    /// How its numbers are stored.
    #[serde(default, skip_serializing_if = "Datatype::is_default")]
    pub datatype: Datatype,
    /// Whether a point has a list of them: see [`Vector::multi`].
    #[serde(default, skip_serializing_if = "is_false")]
    pub multi: bool,
    /// How the indexes over it are built.
    #[serde(default, skip_serializing_if = "Hnsw::is_default")]
    pub hnsw: Hnsw,
    /// What the indexes over it know of each vector.
    #[serde(default, skip_serializing_if = "Quantization::is_default")]
    pub quantization: Quantization,
}

/// What an index knows of each vector. The best that it finds is always compared again by the
/// vectors themselves, which stay on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Quantization {
    /// Eight bits for each dimension, and one bit more for searches with filters: about 600 bytes for
    /// a vector of 384 dimensions, links included.
    #[default]
    Scalar,
    /// One bit for each dimension (Gao and Long, `RaBitQ`, 2024), for collections whose indexes would
    /// not fit into memory: about 200 bytes for a vector of 384 dimensions, links included. To find as
    /// much, more vectors are compared again, and read from disk for it. Not under
    /// [`Metric::Manhattan`].
    Binary,
}

/// How the numbers of a vector are stored. Queries are not affected: their numbers are compared as
/// they are given.
///
/// ```
/// use amphora::{Database, Datatype, Metric, Point, Schema, Vector, vfs::MemoryVfs};
///
/// let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
/// let vector = Vector::new(3, Metric::Cosine).datatype(Datatype::Float16);
/// let schema = Schema::new().vector("embedding", vector);
/// let docs = db.create_collection("docs", schema).wait()?;
/// docs.upsert([Point::new(1).vector("embedding", [0.1, 0.5, 0.9])]).wait()?;
///
/// // The nearest numbers of 16 bits: they are what searches compare, too.
/// let point = docs.get(1).wait()?.unwrap();
/// assert_eq!(point.vectors[0].1, [0.099975586, 0.5, 0.89990234]);
/// # Ok::<_, amphora::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Datatype {
    /// In 32 bits, as they were given.
    #[default]
    Float32,
    /// In 16 bits, IEEE 754 binary16: in half the space, with 11 significant bits. A number is
    /// rounded to the nearest of these when it is written, and refused if its absolute value is
    /// larger than 65,504; below 0.00006 it loses more, and below 0.00000003 it becomes zero.
    Float16,
}

/// How an index over vectors is built: a graph in which each vector is linked to near ones
/// (Malkov and Yashunin, Hierarchical Navigable Small Worlds, 2016). Larger numbers give an index
/// that finds more and takes longer to build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hnsw {
    /// How many links a vector gets when it is added; it keeps twice as many at most. From 4 to 128,
    /// 16 unless changed.
    pub m: u32,
    /// How many vectors are kept in view while the links of a new one are looked for: so many in an index
    /// of up to 131,071, and 3/16 of it more with each doubling from there. From `m` to 4,096, 128
    /// unless changed.
    pub ef_construction: u32,
}

/// How two vectors are compared. The score of a [`Hit`](crate::Hit) is larger for the nearer
/// one under every metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The cosine of the angle between them, -1 to 1. Zero vectors are refused.
    Cosine,
    /// Their dot product.
    Dot,
    /// Their Euclidean distance; the score is its negative, at most 0.
    Euclidean,
    /// The sum of the absolute differences; the score is its negative, at most 0.
    Manhattan,
}

/// The declared type of a payload field. A value of another type is refused on writing; the
/// field may be absent, null, or an array of values of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Field {
    /// A string that is compared whole.
    Keyword,
    /// An integer of 64 bits, signed or unsigned.
    Integer,
    /// Any number.
    Float,
    /// True or false.
    Bool,
    /// A string that is a date-time as of RFC 3339, `2024-05-01T12:30:00+02:00`, or shorter: without an offset UTC is
    /// meant, and the time may be missing. Orders by the field are by the instant; equality is by the string.
    DateTime,
    /// A string that is a UUID in lower case with hyphens, as it is compared whole:
    /// `67e55044-10b1-426f-9247-bb680e5fe0c8`.
    Uuid,
    /// An object that is a place: see [`GeoPoint`](crate::GeoPoint).
    Geo,
}

impl Quantization {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Hnsw {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Hnsw {
    const DEFAULT: Self = Self {
        m: 16,
        ef_construction: 128,
    };

    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    fn check(&self, name: &str) -> Result<()> {
        let wrong = |what, found, least, most| {
            Err(Error::invalid(format!(
                "vector {}: {what} is {found}; expected {least} to {most}",
                quoted(name)
            )))
        };
        if !(4..=128).contains(&self.m) {
            return wrong("m", self.m, 4, 128);
        }
        if !(self.m..=4_096).contains(&self.ef_construction) {
            return wrong("ef_construction", self.ef_construction, self.m, 4_096);
        }
        Ok(())
    }
}

impl Datatype {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The bytes of a number.
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::Float32 => 4,
            Self::Float16 => 2,
        }
    }

    /// The largest absolute value of a number.
    pub(crate) const fn max_magnitude(self) -> f32 {
        match self {
            Self::Float32 => Vector::MAX_MAGNITUDE,
            Self::Float16 => 65_504.0,
        }
    }
}

impl Schema {
    /// The longest name of a collection, vector or field, in bytes.
    pub const MAX_NAME_BYTES: usize = 255;
    /// The most vectors that a schema can have.
    pub const MAX_VECTORS: usize = 64;
    /// The most fields that a schema can declare.
    pub const MAX_FIELDS: usize = 1_024;
    /// The most fields that a schema can have searched as text.
    pub const MAX_TEXTS: usize = 64;
    /// The most sparse vectors that a schema can have.
    pub const MAX_SPARSE: usize = 64;

    /// A schema without vectors or fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the vector `name`, or replaces it.
    #[must_use]
    pub fn vector(mut self, name: impl Into<String>, vector: Vector) -> Self {
        self.vectors.insert(name.into(), vector);
        self
    }

    /// Declares the payload field `name`, or declares it anew. The name is a key, or the keys from the outermost inwards
    /// joined by dots, `author.name`, as in [`field`](crate::field()).
    #[must_use]
    pub fn field(mut self, name: impl Into<String>, field: Field) -> Self {
        self.fields.insert(name.into(), field);
        self
    }

    /// Has the strings of the payload field `name` searched as text, or in another way. A value is a
    /// string or an array of strings; others are refused on writing, but for null.
    ///
    /// The name is as in [`field`](Self::field).
    ///
    /// ```
    /// use amphora::{Field, Schema, Text};
    ///
    /// let schema = Schema::new()
    ///     .text("author", Text::plain())
    ///     .field("author", Field::Keyword);
    /// assert_eq!(schema.texts["author"], Text::plain());
    /// ```
    #[must_use]
    pub fn text(mut self, name: impl Into<String>, text: Text) -> Self {
        self.texts.insert(name.into(), text);
        self
    }

    /// Adds the sparse vector `name`, or replaces it.
    ///
    /// ```
    /// # use amphora::{Database, Point, Query, SparseVector, vfs::MemoryVfs};
    /// use amphora::{Schema, Sparse};
    ///
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// let schema = Schema::new().sparse("splade", Sparse::new());
    /// let docs = db.create_collection("docs", schema).wait()?;
    /// let vector = SparseVector::new([(2_731, 1.5), (19_204, 0.25)])?;
    /// docs.upsert([Point::new("doc-1").sparse("splade", vector)]).wait()?;
    /// let query = SparseVector::new([(2_731, 2.0), (7, 1.0)])?;
    /// let hits = docs.search(Query::sparse("splade", query)).wait()?;
    /// assert_eq!((hits[0].id.clone(), hits[0].score), ("doc-1".into(), 3.0));
    /// # Ok::<_, amphora::Error>(())
    /// ```
    #[must_use]
    pub fn sparse(mut self, name: impl Into<String>, sparse: Sparse) -> Self {
        self.sparse_vectors.insert(name.into(), sparse);
        self
    }

    /// Whether a collection can be created with this schema.
    ///
    /// # Errors
    /// `InvalidInput`, naming what is out of bounds.
    pub fn check(&self) -> Result<()> {
        check_count("vectors", self.vectors.len(), Self::MAX_VECTORS)?;
        check_count("fields", self.fields.len(), Self::MAX_FIELDS)?;
        check_count("texts", self.texts.len(), Self::MAX_TEXTS)?;
        check_count(
            "sparse vectors",
            self.sparse_vectors.len(),
            Self::MAX_SPARSE,
        )?;
        for (name, vector) in &self.vectors {
            check_name("vector", name)?;
            vector.hnsw.check(name)?;
            if vector.quantization == Quantization::Binary && vector.metric == Metric::Manhattan {
                return Err(Error::invalid(format!(
                    "vector {}: binary quantization does not serve the metric manhattan; expected another",
                    quoted(name)
                )));
            }
            if !(1..=Vector::MAX_DIMENSIONS).contains(&vector.dimensions) {
                return Err(Error::invalid(format!(
                    "vector {name:?} has {} dimensions; expected 1 to {}",
                    vector.dimensions,
                    Vector::MAX_DIMENSIONS
                )));
            }
        }
        for (name, text) in &self.texts {
            check_name("text", name)?;
            text.check(name)?;
        }
        for name in self.sparse_vectors.keys() {
            check_name("sparse vector", name)?;
            if self.vectors.contains_key(name) {
                let name = quoted(name);
                return Err(Error::invalid(format!(
                    "{name} is a vector and a sparse vector; expected different names"
                )));
            }
        }
        self.fields
            .keys()
            .try_for_each(|name| check_name("field", name))
    }

    /// The vector `name`, and its place among the schema's vectors in the order of their names.
    pub(crate) fn vector_named(&self, name: &str) -> Result<(usize, &Vector)> {
        let found = self
            .vectors
            .iter()
            .zip(0..)
            .find(|((known, _), _)| *known == name);
        found
            .map(|((_, vector), place)| (place, vector))
            .ok_or_else(|| unknown("vector", name, self.vectors.keys()))
    }

    /// The text `name`, and its place among the schema's texts in the order of their names.
    pub(crate) fn text_named(&self, name: &str) -> Result<(usize, &Text)> {
        let mut texts = self.texts.iter().zip(0..);
        texts
            .find(|((known, _), _)| *known == name)
            .map(|((_, text), place)| (place, text))
            .ok_or_else(|| unknown("text", name, self.texts.keys()))
    }

    /// The sparse vector `name`, and its place among the schema's in the order of their names.
    pub(crate) fn sparse_named(&self, name: &str) -> Result<(usize, Sparse)> {
        let mut sparse = self.sparse_vectors.iter().zip(0..);
        sparse
            .find(|((known, _), _)| *known == name)
            .map(|((_, sparse), place)| (place, *sparse))
            .ok_or_else(|| unknown("sparse vector", name, self.sparse_vectors.keys()))
    }
}

impl Vector {
    /// The most dimensions that a vector can have.
    pub const MAX_DIMENSIONS: u32 = 65_535;
    /// The largest absolute value of a vector's numbers: with it, no score can overflow.
    pub const MAX_MAGNITUDE: f32 = 1e16;
    /// The most vectors that a point, or a query, can have under one name.
    pub const MAX_MULTI: usize = 4_096;
    /// The smallest Euclidean length of a vector under [`Metric::Cosine`].
    pub const MIN_COSINE_LENGTH: f32 = 1e-12;

    /// A vector of `dimensions` numbers, compared by `metric`.
    #[must_use]
    pub const fn new(dimensions: u32, metric: Metric) -> Self {
        Self {
            dimensions,
            metric,
            datatype: Datatype::Float32,
            multi: false,
            hnsw: Hnsw::DEFAULT,
            quantization: Quantization::Scalar,
        }
    }

    /// How its numbers are stored: in 32 bits unless changed.
    #[must_use]
    pub const fn datatype(mut self, datatype: Datatype) -> Self {
        self.datatype = datatype;
        self
    }

    /// Lets a point have a list of such vectors in place of one, up to [`Vector::MAX_MULTI`]: one for
    /// each of its tokens, say. A query has several, too, and the score of a point is the sum over
    /// them of the best score among the point's vectors: `MaxSim`, the late interaction of Khattab and
    /// Zaharia (`ColBERT`, 2020).
    ///
    /// An index over such vectors knows each of them on its own. One that would take more memory to
    /// build than [`Options::index_memory_bytes`](crate::Options::index_memory_bytes) is not built.
    ///
    /// ```
    /// use amphora::{Database, Metric, Point, Query, Schema, Vector, vfs::MemoryVfs};
    ///
    /// let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// let schema = Schema::new().vector("tokens", Vector::new(2, Metric::Dot).multi());
    /// let docs = db.create_collection("docs", schema).wait()?;
    /// docs.upsert([
    ///     Point::new("both").multi_vector("tokens", [[1.0, 0.0], [0.0, 1.0]]),
    ///     Point::new("east").multi_vector("tokens", [[1.0, 0.0]]),
    /// ]).wait()?;
    ///
    /// let query = Query::nearest_multi("tokens", [[2.0, 0.0], [0.0, 1.0], [0.0, 1.0]]);
    /// let hits = docs.search(query).wait()?;
    /// assert_eq!(hits[0].id, "both".into());
    /// assert_eq!([hits[0].score, hits[1].score], [4.0, 2.0]);
    /// # Ok::<_, amphora::Error>(())
    /// ```
    #[must_use]
    pub const fn multi(mut self) -> Self {
        self.multi = true;
        self
    }

    /// How the indexes over it are built.
    #[must_use]
    pub const fn hnsw(mut self, hnsw: Hnsw) -> Self {
        self.hnsw = hnsw;
        self
    }

    /// What the indexes over it know of each vector: eight bits for each dimension unless changed.
    #[must_use]
    pub const fn quantization(mut self, quantization: Quantization) -> Self {
        self.quantization = quantization;
        self
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keyword => "a string",
            Self::Integer => "an integer",
            Self::Float => "a number",
            Self::Bool => "a boolean",
            Self::DateTime => "a date-time as 2024-05-01T12:30:00Z",
            Self::Uuid => "a UUID in lower case with hyphens",
            Self::Geo => "a place as { \"lon\": 13.4, \"lat\": 52.5 }",
        })
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a String>) -> Error {
    let known: Vec<_> = known.map(|name| quoted(name)).collect();
    Error::invalid(format!(
        "there is no {what} {}; the schema has {}",
        quoted(name),
        if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        }
    ))
}

/// What serde asks of a field that is left out.
fn is_false(value: &bool) -> bool {
    !value
}

fn check_count(what: &str, count: usize, most: usize) -> Result<()> {
    if count <= most {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "a schema has {count} {what}; expected at most {most}"
    )))
}

/// Names are stored as data and never become a path, so that any text will do that is not
/// empty, not too long, and free of control characters.
pub(crate) fn check_name(what: &str, name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::invalid(format!("the name of a {what} is empty")));
    }
    if name.len() > Schema::MAX_NAME_BYTES {
        return Err(Error::invalid(format!(
            "the name of a {what} has {} bytes; expected at most {}: {}",
            name.len(),
            Schema::MAX_NAME_BYTES,
            quoted(name)
        )));
    }
    if name.chars().any(char::is_control) {
        return Err(Error::invalid(format!(
            "the name of a {what} holds a control character: {}",
            quoted(name)
        )));
    }
    Ok(())
}

/// A user's name for an error message: escaped, and cut where it is long.
pub(crate) fn quoted(name: &str) -> String {
    const SHOWN: usize = 64;
    match name.char_indices().nth(SHOWN) {
        None => format!("{name:?}"),
        Some((cut, _)) => format!("{:?}...", &name[..cut]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_checked_on_both_sides() {
        let with = |dimensions| Schema::new().vector("v", Vector::new(dimensions, Metric::Dot));
        assert!(with(0).check().is_err());
        assert!(with(1).check().is_ok());
        assert!(with(Vector::MAX_DIMENSIONS).check().is_ok());
        assert!(with(Vector::MAX_DIMENSIONS + 1).check().is_err());
    }

    #[test]
    fn a_schema_travels_as_json_and_refuses_what_it_does_not_know() {
        let schema = Schema::new()
            .vector("v", Vector::new(3, Metric::Euclidean))
            .field("year", Field::Integer);
        let json = serde_json::to_string(&schema).unwrap();
        assert_eq!(serde_json::from_str::<Schema>(&json).unwrap(), schema);
        // What is not out of the ordinary is left out, as it was before it could be said.
        let vector = r#"{"dimensions":3,"metric":"euclidean"}"#;
        assert!(json.contains(vector), "{json}");
        let halves = Vector::new(3, Metric::Euclidean).datatype(Datatype::Float16);
        let json = serde_json::to_string(&halves).unwrap();
        assert_eq!(
            json,
            r#"{"dimensions":3,"metric":"euclidean","datatype":"float16"}"#
        );
        assert_eq!(serde_json::from_str::<Vector>(&json).unwrap(), halves);
        assert!(serde_json::from_str::<Schema>(r#"{"vectorz": {}}"#).is_err());
        let with_text = schema.clone().text("body", Text::english());
        let with_text = serde_json::to_string(&with_text).unwrap();
        assert!(!json.contains("texts") && with_text.contains(r#""texts":{"body":{"#));
        let read: Schema = serde_json::from_str(&with_text).unwrap();
        assert_eq!(read, schema.text("body", Text::english()));
    }

    #[test]
    fn a_missing_vector_is_named_beside_the_known_ones() {
        let schema = Schema::new().vector("embedding", Vector::new(3, Metric::Dot));
        assert!(schema.text_named("body").is_err());
        let schema = schema
            .text("body", Text::english())
            .text("author", Text::plain());
        assert_eq!(schema.text_named("body").unwrap(), (1, &Text::english()));
        let error = schema.vector_named("embeding").unwrap_err().to_string();
        assert!(
            error.ends_with("no vector \"embeding\"; the schema has \"embedding\""),
            "{error}"
        );
    }
}
