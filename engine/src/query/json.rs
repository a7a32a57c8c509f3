//! Queries as JSON: the key of the kind, and beside it what holds for all kinds.
//!
//! Keys are read as they come, none kept back; what each holds is read by its own type.

use super::{Example, Query};
use crate::json::{pairs, whole};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, IntoDeserializer, MapAccess, Visitor},
};
use std::fmt;

/// The kinds, and then what may stand beside one.
const KEYS: [&str; 24] = [
    "nearest",
    "nearest_multi",
    "text",
    "sparse",
    "recommend",
    "discover",
    "context",
    "order_by",
    "random",
    "fuse",
    "formula",
    "prefetches",
    "filter",
    "limit",
    "offset",
    "score_threshold",
    "effort",
    "oversampling",
    "bm25",
    "mmr",
    "with_payload",
    "with_vectors",
    "highlights",
    "with_scores",
];
const KINDS: usize = 11;

impl<'de> Deserialize<'de> for Query {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Keys)
    }
}

struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = Query;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a query: an object with the key of its kind")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Query, A::Error> {
        // The kind is known when its key has come.
        let mut query = Query::random(0);
        let mut seen = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let Some(place) = KEYS.iter().position(|known| *known == key) else {
                return Err(de::Error::unknown_field(&key, &KEYS));
            };
            let key = KEYS[place];
            if seen.contains(&place) {
                return Err(de::Error::duplicate_field(key));
            }
            seen.push(place);
            match key {
                "prefetches" => given(&mut map, &mut query.prefetches)?,
                "filter" => query.filter = map.next_value()?,
                "limit" => query.limit = map.next_value()?,
                "offset" => given(&mut map, &mut query.offset)?,
                "score_threshold" => query.score_threshold = map.next_value()?,
                "effort" => query.effort = map.next_value()?,
                "oversampling" => query.oversampling = map.next_value()?,
                "bm25" => query.bm25 = map.next_value()?,
                "mmr" => query.mmr = map.next_value()?,
                "with_payload" => given(&mut map, &mut query.with_payload)?,
                "with_vectors" => given(&mut map, &mut query.with_vectors)?,
                "highlights" => {
                    let named = map.next_value::<Option<Named>>()?;
                    query.highlights = named.map_or_else(Vec::new, |named| named.0);
                }
                "with_scores" => given(&mut map, &mut query.with_scores)?,
                kind => query.kind = whole(Behind(Some(kind), &mut map))?,
            }
        }
        seen.retain(|place| *place < KINDS);
        match seen[..] {
            [_] => Ok(query),
            [] => Err(de::Error::custom(format_args!(
                "a query does not say what is asked; expected one of {}",
                KEYS[..KINDS].join(", ")
            ))),
            [one, other, ..] => Err(de::Error::custom(format_args!(
                "a query asks for {} and for {}; expected one",
                KEYS[one], KEYS[other]
            ))),
        }
    }
}

/// Takes the value of a key in place of what is there, unless it is null.
fn given<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    map: &mut A,
    place: &mut T,
) -> Result<(), A::Error> {
    if let Some(value) = map.next_value()? {
        *place = value;
    }
    Ok(())
}

#[derive(Deserialize)]
struct Named(#[serde(with = "pairs")] Vec<(String, usize)>);

/// A key that was read, and the value behind it, as an object of their own.
struct Behind<'a, A>(Option<&'static str>, &'a mut A);

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Behind<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        let key = self.0.take();
        key.map(|key| seed.deserialize(key.into_deserializer()))
            .transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.1.next_value_seed(seed)
    }
}

/// Pairs of examples: `[{ "positive": .., "negative": .. }]`.
pub(super) mod contrasts {
    use super::*;
    use serde::{Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Contrast<E> {
        positive: E,
        negative: E,
    }

    pub(in crate::query) fn serialize<S: Serializer>(
        pairs: &[(Example, Example)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(
            pairs
                .iter()
                .map(|(positive, negative)| Contrast { positive, negative }),
        )
    }

    pub(in crate::query) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(Example, Example)>, D::Error> {
        let pairs = Vec::<Contrast<Example>>::deserialize(deserializer)?;
        let both = |pair: Contrast<_>| (pair.positive, pair.negative);
        Ok(pairs.into_iter().map(both).collect())
    }
}

#[cfg(test)]
mod tests;
