//! What a read shows of points beside their ids: which parts of the payload, and which vectors.
//!
//! What is not shown is not read: a payload that nobody asks for stays where it is.

use crate::{
    error::{Error, Result},
    json,
    payload::Payload,
    schema::check_name,
    shape::Shape,
    sparse,
    sparse_vector::SparseVector,
    view::{Part, Payloads},
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt, mem};

/// Which parts of the payloads of points a read shows, or which of their vectors. `true` is all of them,
/// `false` none.
///
/// Of a payload the names are paths: a key, or the keys from the outermost inwards joined by dots, as those
/// that [`field`](crate::field) takes. A path goes through arrays to all the objects in them.
///
/// ```
/// # use amphora::{Database, Point, Schema, vfs::MemoryVfs};
/// use amphora::{Get, Projection};
/// use serde_json::json;
///
/// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
/// # let docs = db.create_collection("docs", Schema::new()).wait()?;
/// docs.upsert([Point::new(1).payload(json!({
///     "title": "Walden", "text": "When I wrote...",
///     "editions": [{ "year": 1854, "isbn": 1 }, { "year": 1893 }],
/// }))]).wait()?;
/// let payload = |shown: Projection| {
///     let found = docs.get_by(Get::new([1]).with_payload(shown)).wait()?;
///     Ok::<_, amphora::Error>(found[0].as_ref().map(|point| point.payload.to_value()))
/// };
/// let years = json!({ "title": "Walden", "editions": [{ "year": 1854 }, { "year": 1893 }] });
/// assert_eq!(payload(Projection::include(["title", "editions.year"]))?, Some(years.clone()));
/// assert_eq!(payload(Projection::exclude(["text", "editions.isbn"]))?, Some(years));
/// # Ok::<_, amphora::Error>(())
/// ```
///
/// As JSON: `true`, `false`, `{ "include": ["title"] }`, for which `["title"]` may stand, or `{ "exclude": ["text"] }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Projection {
    /// Everything.
    #[default]
    All,
    /// Nothing, which is not read then.
    None,
    /// These alone. Of objects and arrays without any of them nothing is left.
    Include(Vec<String>),
    /// All but these.
    Exclude(Vec<String>),
}

impl Projection {
    /// The most names that one can have.
    pub const MAX_NAMES: usize = 1_000;

    /// These alone.
    pub fn include<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::Include(names.into_iter().map(Into::into).collect())
    }

    /// All but these.
    pub fn exclude<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::Exclude(names.into_iter().map(Into::into).collect())
    }

    /// This, and none in its place.
    pub(super) fn take(&mut self) -> Self {
        mem::replace(self, Self::None)
    }

    pub(super) fn is_none(&self) -> bool {
        *self == Self::None
    }

    fn names(&self) -> &[String] {
        match self {
            Self::All | Self::None => &[],
            Self::Include(names) | Self::Exclude(names) => names,
        }
    }

    /// Whether what has this name is shown.
    fn shows(&self, name: &str) -> bool {
        let is_named = || self.names().iter().any(|known| known == name);
        match self {
            Self::All => true,
            Self::None => false,
            Self::Include(_) => is_named(),
            Self::Exclude(_) => !is_named(),
        }
    }

    fn check_count(&self) -> Result<()> {
        let (count, most) = (self.names().len(), Self::MAX_NAMES);
        if count > most {
            return Err(Error::invalid(format!(
                "a projection has {count} names; expected at most {most}"
            )));
        }
        Ok(())
    }
}

impl Serialize for Projection {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            Self::All => true.serialize(serializer),
            Self::None => false.serialize(serializer),
            Self::Include(names) => serializer.collect_map([("include", names)]),
            Self::Exclude(names) => serializer.collect_map([("exclude", names)]),
        }
    }
}

impl<'de> Deserialize<'de> for Projection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Named {
            Include(Vec<String>),
            Exclude(Vec<String>),
        }

        struct Shown;

        impl<'de> Visitor<'de> for Shown {
            type Value = Projection;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, a list of names, or an object with include or exclude")
            }

            fn visit_bool<E: de::Error>(self, all: bool) -> std::result::Result<Projection, E> {
                Ok(all.into())
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                seq: A,
            ) -> std::result::Result<Projection, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(seq)).map(Projection::Include)
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                map: A,
            ) -> std::result::Result<Projection, A::Error> {
                json::whole(map).map(|named| match named {
                    Named::Include(names) => Projection::Include(names),
                    Named::Exclude(names) => Projection::Exclude(names),
                })
            }
        }

        deserializer.deserialize_any(Shown)
    }
}

impl From<bool> for Projection {
    fn from(all: bool) -> Self {
        if all { Self::All } else { Self::None }
    }
}

/// What is shown of points: of their payloads, and which of their vectors.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shows {
    pub(crate) payload: Projection,
    pub(crate) vectors: Projection,
}

impl Shows {
    /// The whole of a point.
    pub(crate) const ALL: Self = Self {
        payload: Projection::All,
        vectors: Projection::All,
    };

    /// Whether it fits the shape of a view.
    pub(crate) fn check(&self, shape: &Shape) -> Result<()> {
        self.payload.check_count()?;
        self.vectors.check_count()?;
        let mut paths = self.payload.names().iter();
        paths.try_for_each(|path| check_name("field", path))?;
        let mut names = self.vectors.names().iter();
        names.try_for_each(|name| match shape.sparse_named(name) {
            Ok(_) => Ok(()),
            Err(_) => shape.vector_named(name).map(drop),
        })
    }

    /// The payload of a live row, as far as it is shown.
    pub(super) fn payload(&self, payloads: &mut Payloads<'_>, row: u32) -> Result<Payload> {
        if self.payload == Projection::None {
            return Ok(Payload::default());
        }
        let payload = payloads.get(row)?;
        let paths: Vec<&str> = self.payload.names().iter().map(String::as_str).collect();
        Ok(match self.payload {
            Projection::Include(_) => included(payload.checked()?, &paths).into(),
            Projection::Exclude(_) => excluded(payload.checked()?.clone(), &paths).into(),
            Projection::All | Projection::None => payload,
        })
    }

    /// Those vectors of a live row that are shown.
    pub(super) fn vectors(&self, part: &Part, shape: &Shape, row: u32) -> Result<Vectors> {
        if self.vectors.is_none() {
            return Ok(Vectors::default());
        }
        vectors(part, shape, row, |name| self.vectors.shows(name))
    }
}

/// The vectors of a live row by their names.
#[derive(Debug, Default)]
pub(super) struct Vectors {
    /// Those of which it has one.
    pub(super) vectors: Vec<(String, Vec<f32>)>,
    pub(super) multi_vectors: Vec<(String, Vec<Vec<f32>>)>,
    pub(super) sparse_vectors: Vec<(String, SparseVector)>,
}

/// Those vectors of a live row whose names are shown.
fn vectors(part: &Part, shape: &Shape, row: u32, shows: impl Fn(&str) -> bool) -> Result<Vectors> {
    let mut found = Vectors::default();
    for (name, number, vector) in shape.vectors().filter(|(name, ..)| shows(name)) {
        let Some((values, _)) = part.vector(row, number)? else {
            continue;
        };
        let (name, values) = (name.to_owned(), values.to_vec());
        if vector.multi {
            let list = values.chunks(vector.dimensions as usize);
            let list = list.map(<[f32]>::to_vec).collect();
            found.multi_vectors.push((name, list));
        } else {
            found.vectors.push((name, values));
        }
    }
    for (name, number, _) in shape.sparse().filter(|(name, ..)| shows(name)) {
        if let Some(vector) = part.sparse(row, number)? {
            let vector = sparse::widened(&vector);
            found.sparse_vectors.push((name.to_owned(), vector));
        }
    }
    Ok(found)
}

/// What is left to follow of each path that leads to a key, and the keys that are the end of one. A key that
/// contains the whole path goes before the same path taken as nested keys, as in conditions.
fn followed<'a>(
    map: &Map<String, Value>,
    paths: &[&'a str],
) -> (Vec<&'a str>, BTreeMap<&'a str, Vec<&'a str>>) {
    let (mut ends, mut within) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
    for path in paths {
        if map.contains_key(*path) {
            ends.push(*path);
        } else if let Some((key, rest)) = path.split_once('.') {
            within.entry(key).or_default().push(rest);
        }
    }
    (ends, within)
}

/// What these paths lead to. As deep as a payload at most, which is bounded.
fn included(map: &Map<String, Value>, paths: &[&str]) -> Map<String, Value> {
    let (ends, within) = followed(map, paths);
    let of_object = |inner: &Map<String, Value>, paths: &[&str]| {
        let inner = included(inner, paths);
        (!inner.is_empty()).then_some(Value::Object(inner))
    };
    let nested = within.iter().filter_map(|(key, paths)| {
        let value = match map.get(*key)? {
            Value::Object(inner) => of_object(inner, paths)?,
            Value::Array(items) => {
                let objects = items.iter().filter_map(Value::as_object);
                let items: Vec<_> = objects
                    .filter_map(|inner| of_object(inner, paths))
                    .collect();
                (!items.is_empty()).then_some(Value::Array(items))?
            }
            _ => return None,
        };
        Some(((*key).to_owned(), value))
    });
    let mut kept: Map<String, Value> = nested.collect();
    // Last, since the whole of a value has every part of it.
    let whole = ends.into_iter().filter_map(|key| map.get_key_value(key));
    kept.extend(whole.map(|(key, value)| (key.clone(), value.clone())));
    kept
}

/// What is left without that to which these paths lead.
fn excluded(mut map: Map<String, Value>, paths: &[&str]) -> Map<String, Value> {
    let (ends, within) = followed(&map, paths);
    for (key, paths) in within {
        match map.get_mut(key) {
            Some(Value::Object(inner)) => *inner = excluded(mem::take(inner), &paths),
            Some(Value::Array(items)) => {
                for inner in items.iter_mut().filter_map(Value::as_object_mut) {
                    *inner = excluded(mem::take(inner), &paths);
                }
            }
            _ => {}
        }
    }
    for key in ends {
        map.remove(key);
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn projections_by_table() {
        let payload = json!({
            "a": 1, "b": { "c": 2, "d": { "e": 3 } }, "b.c": 4, "l": [{ "x": 5, "y": 6 }, 7, { "y": 8 }, [{ "x": 9 }]],
        });
        let map = payload.as_object().unwrap();
        for (paths, left, rest) in [
            (
                vec!["a"],
                json!({ "a": 1 }),
                json!({ "b": { "c": 2, "d": { "e": 3 } }, "b.c": 4, "l": payload["l"] }),
            ),
            (
                vec!["b.c"],
                json!({ "b.c": 4 }),
                json!({ "a": 1, "b": { "c": 2, "d": { "e": 3 } }, "l": payload["l"] }),
            ),
            (
                vec!["b.d.e", "none", "b.none", "a.none", "a"],
                json!({ "a": 1, "b": { "d": { "e": 3 } } }),
                json!({ "b": { "c": 2, "d": {} }, "b.c": 4, "l": payload["l"] }),
            ),
            (
                vec!["l.x"],
                json!({ "l": [{ "x": 5 }] }),
                json!({
                    "a": 1, "b": { "c": 2, "d": { "e": 3 } }, "b.c": 4,
                    "l": [{ "y": 6 }, 7, { "y": 8 }, [{ "x": 9 }]],
                }),
            ),
            (vec!["l.z"], json!({}), payload.clone()),
            (
                vec!["l", "l.x", "b", "b.d", "b.c", "a"],
                payload.clone(),
                json!({}),
            ),
            (vec![], json!({}), payload.clone()),
        ] {
            assert_eq!(Value::from(included(map, &paths)), left, "{paths:?}");
            assert_eq!(
                Value::from(excluded(map.clone(), &paths)),
                rest,
                "{paths:?}"
            );
        }
    }
}
