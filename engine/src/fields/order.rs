//! The order of all values of a field, of whatever kinds they are.

use super::{number::Key, path::some_value};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A value as it is ordered: booleans, false first, then numbers by what they are worth, then strings by
/// their bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SortKey<'a> {
    Bool(bool),
    Number(Key),
    Text(Cow<'a, [u8]>),
}

impl<'a> SortKey<'a> {
    /// None of what is no value.
    pub(crate) fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(Self::Bool(*value)),
            Value::Number(number) => Some(Self::Number(Key::of(number))),
            Value::String(text) => Some(Self::Text(text.as_bytes().into())),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The value. A whole number that is worth the same in place of a float.
    pub(crate) fn into_value(self) -> Value {
        match self {
            Self::Bool(value) => value.into(),
            Self::Number(key) => Value::Number(key.number()),
            Self::Text(text) => String::from_utf8_lossy(&text).into(),
        }
    }

    pub(crate) fn into_owned(self) -> SortKey<'static> {
        match self {
            Self::Bool(value) => SortKey::Bool(value),
            Self::Number(key) => SortKey::Number(key),
            Self::Text(text) => SortKey::Text(text.into_owned().into()),
        }
    }
}

/// The smallest of the values at `path`, or the largest.
pub(crate) fn extreme<'a>(
    payload: &'a Map<String, Value>,
    path: &str,
    largest: bool,
) -> Option<(SortKey<'a>, &'a Value)> {
    let mut found: Option<(SortKey<'a>, &'a Value)> = None;
    some_value(payload, path, &mut |value| {
        if let Some(key) = SortKey::of(value)
            && found
                .as_ref()
                .is_none_or(|(best, _)| if largest { key > *best } else { key < *best })
        {
            found = Some((key, value));
        }
        false
    });
    found
}
