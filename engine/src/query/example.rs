//! What is looked for, given as a vector or as a point that has one, and where points are found.

use super::Terms;
use crate::{
    error::{Error, ErrorKind, Result},
    id::PointId,
    options::Limits,
    schema::{Vector, quoted},
    shape::Shape,
    sparse,
    sparse_vector::SparseVector,
    texts::Analyzers,
    vector::{check_is_multi, check_stored, check_vector},
    view::{Part, View},
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{
        self, MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// What is looked for is like this: a vector, or the vector of a point.
///
/// ```
/// # use amphora::{Database, Metric, Point, Query, Schema, Vector, vfs::MemoryVfs};
/// use amphora::Example;
///
/// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
/// # let schema = Schema::new().vector("v", Vector::new(2, Metric::Dot));
/// # let docs = db.create_collection("docs", schema).wait()?;
/// docs.upsert([
///     Point::new(1).vector("v", [1.0, 0.0]),
///     Point::new(2).vector("v", [0.9, 0.1]),
///     Point::new(3).vector("v", [0.0, 1.0]),
/// ]).wait()?;
/// // What is like point 1, which is not among them.
/// let hits = docs.search(Query::nearest("v", Example::point(1)).limit(1)).wait()?;
/// assert_eq!(hits[0].id, 2.into());
/// # Ok::<_, amphora::Error>(())
/// ```
///
/// As JSON: `[0.1, 0.2]`, `{ "indices": [7, 12], "values": [0.5, 1.0] }`, or `{ "id": 7, "collection": "other" }`, for which
/// the id alone may stand if it is a number or a string.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Example {
    /// These numbers.
    Vector(Vec<f32>),
    /// These entries, for a sparse vector.
    Sparse(SparseVector),
    /// What a point has. One of the collection that is searched is left out of the hits.
    Point(ExamplePoint),
}

/// The vector of a point; made by [`Example::point`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExamplePoint {
    /// The point.
    pub id: PointId,
    /// The collection that it is in, by its name or an alias: the one that is searched unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// Which of its vectors it is: the one of the name that is searched unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<String>,
}

impl Example {
    /// The vector of the point with this id. It must be there, and have the vector.
    pub fn point(id: impl Into<PointId>) -> ExamplePoint {
        ExamplePoint {
            id: id.into(),
            collection: None,
            vector: None,
        }
    }
}

impl ExamplePoint {
    /// The point of another collection: its name or an alias.
    #[must_use]
    pub fn of(mut self, collection: impl Into<String>) -> Self {
        self.collection = Some(collection.into());
        self
    }

    /// Another vector of the point than the one of the name that is searched.
    #[must_use]
    pub fn vector(mut self, name: impl Into<String>) -> Self {
        self.vector = Some(name.into());
        self
    }
}

impl<V: Into<Vec<f32>>> From<V> for Example {
    fn from(values: V) -> Self {
        Self::Vector(values.into())
    }
}

impl From<SparseVector> for Example {
    fn from(values: SparseVector) -> Self {
        Self::Sparse(values)
    }
}

impl From<ExamplePoint> for Example {
    fn from(point: ExamplePoint) -> Self {
        Self::Point(point)
    }
}

impl<'de> Deserialize<'de> for Example {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// A sparse vector or a point.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            indices: Option<Vec<u32>>,
            values: Option<Vec<f32>>,
            id: Option<PointId>,
            collection: Option<String>,
            vector: Option<String>,
        }

        struct Given;

        impl<'de> Visitor<'de> for Given {
            type Value = Example;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of numbers, a point id, or an object with indices and values, or with an id")
            }

            fn visit_u64<E: de::Error>(self, id: u64) -> Result<Example, E> {
                Ok(Example::point(id).into())
            }

            fn visit_str<E: de::Error>(self, id: &str) -> Result<Example, E> {
                Ok(Example::point(id).into())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Example, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Example::Vector)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Example, A::Error> {
                match Written::deserialize(MapAccessDeserializer::new(map))? {
                    Written {
                        indices: Some(indices),
                        values: Some(values),
                        id: None,
                        collection: None,
                        vector: None,
                    } => SparseVector::from_parts(&indices, &values)
                        .map(Example::Sparse)
                        .map_err(de::Error::custom),
                    Written {
                        indices: None,
                        values: None,
                        id: Some(id),
                        collection,
                        vector,
                    } => Ok(Example::Point(ExamplePoint {
                        id,
                        collection,
                        vector,
                    })),
                    _ => Err(de::Error::custom(
                        "an example has parts of a sparse vector and of a point, or too few of one; \
                         expected indices and values, or an id",
                    )),
                }
            }
        }

        deserializer.deserialize_any(Given)
    }
}

/// Where a query is asked: points are looked up, and names mean something, as of one moment.
pub(crate) struct Scope<'a> {
    pub(super) view: &'a View,
    pub(super) limits: &'a Limits,
    pub(super) analyzers: &'a Arc<Analyzers>,
    find: &'a Others<'a>,
    /// Those that were asked for.
    others: BTreeMap<String, Option<Arc<View>>>,
}

/// Gives the points of a collection by its name; none if it is the one that is searched.
pub(crate) type Others<'a> = dyn Fn(&str) -> Result<Option<Arc<View>>> + 'a;

/// Numbers, and the point that they are of if that is not to be found.
pub(super) type Given<T> = (T, Option<PointId>);

impl<'a> Scope<'a> {
    /// What filters are checked by.
    pub(super) fn terms(&self) -> Terms<'a> {
        Terms {
            shape: self.shape(),
            limits: self.limits,
            analyzers: self.analyzers,
        }
    }

    pub(crate) fn new(
        view: &'a View,
        limits: &'a Limits,
        analyzers: &'a Arc<Analyzers>,
        find: &'a Others<'a>,
    ) -> Self {
        Self {
            view,
            limits,
            analyzers,
            find,
            others: BTreeMap::new(),
        }
    }

    pub(super) fn shape(&self) -> &'a Shape {
        self.view.shape()
    }

    /// The numbers of an example that are compared with the vector `name`: of a list of vectors, which
    /// only a point can give, all of them one after the other.
    pub(super) fn dense(
        &mut self,
        example: &Example,
        name: &str,
        spec: &Vector,
    ) -> Result<Given<Vec<f32>>> {
        match example {
            Example::Vector(values) => {
                check_is_multi(name, spec, false)?;
                check_vector(name, spec, values)?;
                Ok((values.clone(), None))
            }
            Example::Sparse(_) => Err(Error::invalid(format!(
                "an example for vector {} is a sparse vector; expected numbers or a point",
                quoted(name)
            ))),
            Example::Point(point) => {
                let own = point.vector.as_deref().unwrap_or(name);
                let given = self.of_point(point, own, |shape, part, row| {
                    let (number, own) = shape.vector_named(own)?;
                    let found = part.vector(row, number)?;
                    Ok(found.map(|(values, _)| (values.to_vec(), own.multi)))
                });
                let ((values, multi), left_out) = given?;
                let fits = check_is_multi(name, spec, multi);
                fits.and_then(|()| check_stored(name, spec, &values))
                    .map_err(|error| error.context(format_args!("point {}", point.id)))?;
                Ok((values, left_out))
            }
        }
    }

    /// The entries of an example that are compared with the sparse vector `name`.
    pub(super) fn sparse(&mut self, example: &Example, name: &str) -> Result<Given<SparseVector>> {
        match example {
            Example::Sparse(values) => Ok((values.clone(), None)),
            Example::Vector(_) => Err(Error::invalid(format!(
                "an example for sparse vector {} is a vector; expected a sparse one or a point",
                quoted(name)
            ))),
            Example::Point(point) => {
                let own = point.vector.as_deref().unwrap_or(name);
                self.of_point(point, own, |shape, part, row| {
                    let (number, _) = shape.sparse_named(own)?;
                    let found = part.sparse(row, number)?;
                    Ok(found.map(|vector| sparse::widened(&vector)))
                })
            }
        }
    }

    /// What a point has as its vector `name`.
    fn of_point<T>(
        &mut self,
        point: &ExamplePoint,
        name: &str,
        read: impl FnOnce(&Shape, &Part, u32) -> Result<Option<T>>,
    ) -> Result<Given<T>> {
        let ExamplePoint { id, collection, .. } = point;
        id.check()?;
        let other = match collection {
            Some(collection) => self.other(collection)?,
            None => None,
        };
        let view = other.as_deref().unwrap_or(self.view);
        let place = || match collection {
            Some(collection) => format!(" of collection {}", quoted(collection)),
            None => String::new(),
        };
        let Some((part, row)) = view.find(id)? else {
            let what = format!("no point {id}{}", place());
            return Err(Error::new(ErrorKind::NotFound, what));
        };
        let Some(found) = read(view.shape(), part, row)? else {
            return Err(Error::invalid(format!(
                "point {id}{} has no vector {}",
                place(),
                quoted(name)
            )));
        };
        Ok((found, other.is_none().then(|| id.clone())))
    }

    /// The points of the collection of this name, as they were when it was first asked for; none if it is
    /// the one that is searched.
    pub(crate) fn other(&mut self, name: &str) -> Result<Option<Arc<View>>> {
        if let Some(known) = self.others.get(name) {
            return Ok(known.clone());
        }
        let found = (self.find)(name)?;
        self.others.insert(name.to_owned(), found.clone());
        Ok(found)
    }
}
