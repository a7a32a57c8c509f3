//! Text queries within others as JSON: for each a string may stand, as it is typed.

use super::TextQuery;
use crate::json::object_or;
use serde::{Deserialize, Deserializer};

struct Typed(TextQuery);

impl<'de> Deserialize<'de> for Typed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a text query: an object, or a string as it is typed";
        object_or(deserializer, expected, |text| {
            TextQuery::parse(text).map_err(|error| {
                let (message, at) = (error.message, error.character);
                format!("a text query cannot be read: {message}, at character {at}")
            })
        })
        .map(Self)
    }
}

pub(in crate::query) fn typed<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<TextQuery, D::Error> {
    Typed::deserialize(deserializer).map(|typed| typed.0)
}

pub(super) fn boxed<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Box<TextQuery>, D::Error> {
    typed(deserializer).map(Box::new)
}

pub(super) fn all<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<TextQuery>, D::Error> {
    let all = Vec::<Typed>::deserialize(deserializer)?;
    Ok(all.into_iter().map(|typed| typed.0).collect())
}
