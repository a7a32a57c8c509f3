//! Where a page of points ended, so that the next one can begin behind it.

use super::filter::kind;
use crate::{
    error::{Error, Result},
    id::PointId,
};
use serde_json::{Value, json};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// The place behind a point in the order of ids: where the next [`ScrollPage`](super::ScrollPage) begins.
///
/// It is a place in the order, not in a file or a view, so that it stays what it is whatever is written, flushed
/// or merged, and after the point itself has gone. As a string, by its `Display` and `FromStr`, it can be kept and
/// gone on from in another process.
///
/// ```
/// use amphora::Cursor;
///
/// let cursor: Cursor = r#"{"id":"walden-17"}"#.parse()?;
/// assert_eq!(cursor.id, "walden-17".into());
/// assert_eq!(cursor.to_string(), r#"{"id":"walden-17"}"#);
/// # Ok::<_, amphora::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The last point of the page.
    pub id: PointId,
}

/// As JSON.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = match &self.id {
            PointId::Number(number) => json!(number),
            PointId::Uuid(uuid) => json!({ "uuid": uuid.to_string() }),
            PointId::Text(text) => json!(**text),
        };
        json!({ "id": id }).fmt(f)
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |what: &str| {
            Err(Error::invalid(format!(
                "a cursor {what}; expected what the cursor of a page was shown as"
            )))
        };
        let Ok(Value::Object(mut parts)) = serde_json::from_str(text) else {
            return wrong("is no JSON object");
        };
        let id = match parts.remove("id") {
            Some(Value::String(text)) => PointId::from(text),
            Some(Value::Number(number)) if number.is_u64() => {
                PointId::from(number.as_u64().unwrap_or_default())
            }
            Some(Value::Object(id)) => {
                let uuid = id.get("uuid").and_then(Value::as_str);
                match uuid.map(Uuid::parse_str) {
                    Some(Ok(uuid)) => PointId::from(uuid),
                    _ => return wrong("has an id that is no UUID"),
                }
            }
            Some(other) => return wrong(&format!("has {} for an id", kind(&other))),
            None => return wrong("has no id"),
        };
        id.check()?;
        if let Some((key, _)) = parts.iter().next() {
            return wrong(&format!("has a part {key:?}"));
        }
        Ok(Self { id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_as_it_was() {
        for id in [
            PointId::from(u64::MAX),
            "7".into(),
            "a \"quoted\" \u{1F3FA}\n".into(),
            Uuid::from_u128(7).into(),
        ] {
            let cursor = Cursor { id };
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for (text, told) in [
            ("", "no JSON"),
            ("7", "no JSON"),
            ("{}", "no id"),
            (r#"{"id":-1}"#, "a number"),
            (r#"{"id":1.5}"#, "a number"),
            (r#"{"id":null}"#, "null"),
            (r#"{"id":""}"#, "empty"),
            (r#"{"id":{"uuid":"7"}}"#, "no UUID"),
            (r#"{"id":7,"more":8}"#, "more"),
        ] {
            let refused = text.parse::<Cursor>().unwrap_err().to_string();
            assert!(refused.contains(told), "{refused}");
        }
    }
}
