//! The order of all values of a field, of whatever kinds they are.

use super::{number::Key, path::some_value};
use crate::{
    datetime::{micros, text_of},
    schema::Field,
};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// What the strings of a field are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strings {
    Bytes,
    /// Date-times by the instants that they are, before all other strings.
    Times,
}

/// A value as it is ordered: booleans, false first, then numbers by what they are worth, then instants,
/// then strings by their bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SortKey<'a> {
    Bool(bool),
    Number(Key),
    /// Microseconds since 1970.
    Time(i64),
    Text(Cow<'a, [u8]>),
}

impl Strings {
    /// Those of a field that is declared to be of this type, or not declared.
    pub(crate) fn of(field: Option<Field>) -> Self {
        match field {
            Some(Field::DateTime) => Self::Times,
            _ => Self::Bytes,
        }
    }

    /// What a value is ordered by; none of what is no value.
    pub(crate) fn key(self, value: &Value) -> Option<SortKey<'_>> {
        let time = match (self, value) {
            (Self::Times, Value::String(text)) => micros(text),
            _ => None,
        };
        time.map(SortKey::Time).or_else(|| SortKey::of(value))
    }
}

impl<'a> SortKey<'a> {
    /// Strings by their bytes; none of what is no value.
    pub(crate) fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(Self::Bool(*value)),
            Value::Number(number) => Some(Self::Number(Key::of(number))),
            Value::String(text) => Some(Self::Text(text.as_bytes().into())),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The value. A whole number that is worth the same in place of a float, an instant in UTC.
    pub(crate) fn into_value(self) -> Value {
        match self {
            Self::Bool(value) => value.into(),
            Self::Number(key) => Value::Number(key.number()),
            Self::Time(micros) => text_of(micros).into(),
            Self::Text(text) => String::from_utf8_lossy(&text).into(),
        }
    }

    pub(crate) fn into_owned(self) -> SortKey<'static> {
        match self {
            Self::Bool(value) => SortKey::Bool(value),
            Self::Number(key) => SortKey::Number(key),
            Self::Time(micros) => SortKey::Time(micros),
            Self::Text(text) => SortKey::Text(text.into_owned().into()),
        }
    }
}

/// The smallest of the values at `path`, or the largest.
pub(crate) fn extreme<'a>(
    payload: &'a Map<String, Value>,
    path: &str,
    strings: Strings,
    largest: bool,
) -> Option<SortKey<'a>> {
    let mut found: Option<SortKey<'a>> = None;
    some_value(payload, path, &mut |value| {
        if let Some(key) = strings.key(value)
            && found
                .as_ref()
                .is_none_or(|best| if largest { key > *best } else { key < *best })
        {
            found = Some(key);
        }
        false
    });
    found
}
