//! Where a page of points ended, so that the next one can begin behind it.

use super::filter::kind;
use crate::{
    error::{Error, Result},
    fields::SortKey,
    id::PointId,
    payload::dismantle,
};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};
use std::{fmt, str::FromStr};

/// The place behind a point in the order of a scroll: where the next [`ScrollPage`](super::ScrollPage) begins.
///
/// It is a place in the order, not in a file or a view, so that it stays what it is whatever is written, flushed
/// or merged, and after the point itself has gone. As a string, by its `Display` and `FromStr`, it can be kept and
/// gone on from in another process; by serde it is the same JSON. It holds the value of the point if it is of the order of a field.
///
/// ```
/// use amphora::Cursor;
///
/// let cursor: Cursor = r#"{"id":"walden-17"}"#.parse()?;
/// assert_eq!(cursor.id, "walden-17".into());
/// assert_eq!(cursor.to_string(), r#"{"id":"walden-17"}"#);
/// # Ok::<_, amphora::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cursor {
    /// The last point of the page.
    pub id: PointId,
    /// What it was ordered by; none in the order of ids.
    #[serde(flatten)]
    pub value: Option<CursorValue>,
}

/// What the last point of a page was ordered by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CursorValue {
    /// The field.
    pub field: String,
    /// Whether the largest value comes first.
    pub descending: bool,
    /// Its value: a boolean, a number or a string.
    pub value: Value,
}

/// The value may be nested deeper than a stack allows.
impl Drop for CursorValue {
    fn drop(&mut self) {
        dismantle(self.value.take());
    }
}

/// As JSON.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let json = serde_json::to_string(self).map_err(|_| fmt::Error)?;
        f.write_str(&json)
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match serde_json::from_str(text) {
            Ok(Value::Object(parts)) => Self::of(parts),
            _ => Err(wrong("is no JSON object")),
        }
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(Map::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Cursor {
    fn of(mut parts: Map<String, Value>) -> Result<Self> {
        let id = parts.remove("id").ok_or_else(|| wrong("has no id"))?;
        let id = PointId::deserialize(id)
            .map_err(|error| wrong(&format!("has a wrong id ({error})")))?;
        let by = ["field", "descending", "value"].map(|name| parts.remove(name));
        let value = match by {
            [None, None, None] => None,
            [
                Some(Value::String(field)),
                Some(Value::Bool(descending)),
                Some(value),
            ] => Some(CursorValue {
                field,
                descending,
                value,
            }),
            _ => {
                return Err(wrong(
                    "has a field, a direction or a value, and not all of them",
                ));
            }
        };
        let cursor = Self { id, value };
        cursor.check()?;
        match parts.keys().next() {
            Some(key) => Err(wrong(&format!("has a part {key:?}"))),
            None => Ok(cursor),
        }
    }

    /// Whether it can be that of a page.
    pub(super) fn check(&self) -> Result<()> {
        match &self.value {
            Some(by) if SortKey::of(&by.value).is_none() => {
                let what = format!("has {} for a value", kind(&by.value));
                Err(wrong(&what))
            }
            _ => self.id.check(),
        }
    }
}

fn wrong(what: &str) -> Error {
    Error::invalid(format!(
        "a cursor {what}; expected what the cursor of a page was shown as"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use uuid::Uuid;

    #[test]
    fn a_cursor_is_read_back_as_it_was() {
        for id in [
            PointId::from(u64::MAX),
            "7".into(),
            "a \"quoted\" \u{1F3FA}\n".into(),
            Uuid::from_u128(7).into(),
        ] {
            for value in [
                json!(0.1 + 0.2),
                json!(u64::MAX),
                json!("a \"b\""),
                json!(false),
            ] {
                let value = Some(CursorValue {
                    field: "a.b".into(),
                    descending: true,
                    value,
                });
                for value in [None, value] {
                    let cursor = Cursor {
                        id: id.clone(),
                        value,
                    };
                    assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
                }
            }
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for (text, told) in [
            ("", "no JSON"),
            (r#"{"id":7,"field":"a","descending":false}"#, "not all"),
            (
                r#"{"id":7,"field":7,"descending":false,"value":1}"#,
                "not all",
            ),
            (
                r#"{"id":7,"field":"a","descending":false,"value":[1]}"#,
                "an array",
            ),
            ("7", "no JSON"),
            ("{}", "no id"),
            (r#"{"id":-1}"#, "unsigned"),
            (r#"{"id":1.5}"#, "unsigned"),
            (r#"{"id":null}"#, "unsigned"),
            (r#"{"id":""}"#, "empty"),
            (r#"{"id":{"uuid":"7"}}"#, "no UUID"),
            (r#"{"id":7,"more":8}"#, "more"),
        ] {
            let refused = text.parse::<Cursor>().unwrap_err().to_string();
            assert!(refused.contains(told), "{refused}");
        }
    }
}
