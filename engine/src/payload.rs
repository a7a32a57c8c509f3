//! The payload of a point: a JSON object, shared and never changed in place.
//!
//! A value that cannot be a payload (no object, nested too deep) is taken apart at once and
//! leaves only the reason, which the write that it was meant for returns. It is walked with a
//! stack of our own, never by recursion, so that no depth of nesting can overflow a thread.
//!
//! One that comes from a segment stays JSON until somebody looks at it: many hits are looked at by
//! their ids alone.

use crate::error::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::{Map, Value};
use std::{
    fmt,
    sync::{Arc, LazyLock, OnceLock},
};

/// What a point carries beside its vectors: a JSON object. Cheap to clone.
///
/// ```
/// use amphora::Payload;
/// use serde_json::json;
///
/// let payload = Payload::from(json!({ "title": "Walden", "year": 1854 }));
/// assert_eq!(payload.get("year"), Some(&json!(1854)));
/// assert_eq!(payload.get("pages"), None);
/// ```
///
/// As JSON it is the object. One that is nested [too deep](Self::MAX_DEPTH) is an error there.
#[derive(Clone)]
pub struct Payload(std::result::Result<Arc<Object>, Arc<str>>);

/// It has one of both forms from the beginning, and the other from when that is first asked for.
struct Object {
    map: OnceLock<Map<String, Value>>,
    json: OnceLock<Box<[u8]>>,
    /// About how much memory the map takes: counted once, where the payload is made.
    heap_bytes: usize,
}

/// How many times as much memory as its JSON a map is taken to need.
const PARSED: usize = 3;

impl Object {
    fn map(&self) -> &Map<String, Value> {
        self.map.get_or_init(|| {
            let json = self.json.get().map(|json| &json[..]);
            let parsed = json.and_then(|json| serde_json::from_slice(json).ok());
            debug_assert!(parsed.is_some(), "it was a payload before");
            parsed.unwrap_or_default()
        })
    }
}

impl Payload {
    /// How deep arrays and objects may be nested, the payload itself being 1.
    pub const MAX_DEPTH: usize = 64;

    /// The payload that this JSON is of, which was parsed before and found to be a payload.
    pub(crate) fn known(json: &[u8]) -> Self {
        Self(Ok(Arc::new(Object {
            map: OnceLock::new(),
            json: OnceLock::from(Box::from(json)),
            heap_bytes: json.len() * PARSED,
        })))
    }

    /// The value of a top-level key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.as_ref().ok()?.map().get(key)
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.as_ref().is_ok_and(|object| object.map().is_empty())
    }

    /// The object as a JSON value of its own.
    #[must_use]
    pub fn to_value(&self) -> Value {
        self.0
            .as_ref()
            .map_or(Value::Null, |object| Value::Object(object.map().clone()))
    }

    /// About how many bytes it has as JSON; counting ends at `enough`.
    pub(crate) fn weight(&self, enough: usize) -> usize {
        let Ok(object) = &self.0 else {
            return 0;
        };
        if let Some(json) = object.json.get() {
            return json.len();
        }
        let mut weight = 0;
        let mut open: Vec<&Value> = object.map().values().collect();
        while let Some(value) = open.pop() {
            weight += 8 + match value {
                Value::String(text) => text.len(),
                Value::Array(items) => {
                    open.extend(items.iter().take(enough));
                    0
                }
                Value::Object(map) => {
                    open.extend(map.values().take(enough));
                    0
                }
                Value::Null | Value::Bool(_) | Value::Number(_) => 8,
            };
            if weight >= enough {
                break;
            }
        }
        weight
    }

    /// About how much memory it takes.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |object| {
            object.heap_bytes + object.json.get().map_or(0, |json| json.len())
        })
    }

    /// Adds it to `out` as JSON, and keeps this for the next time: what is written to the log is
    /// written to a segment soon. Nothing of what cannot be a payload.
    pub(crate) fn put_json(&self, out: &mut Vec<u8>) -> serde_json::Result<()> {
        let Ok(object) = &self.0 else {
            return Ok(());
        };
        if let Some(json) = object.json.get() {
            out.extend_from_slice(json);
            return Ok(());
        }
        let start = out.len();
        serde_json::to_writer(&mut *out, object.map())?;
        let _ = object.json.set(out[start..].into());
        Ok(())
    }

    /// The object, or the reason why the value given cannot be a payload.
    pub(crate) fn checked(&self) -> Result<&Map<String, Value>> {
        self.0
            .as_ref()
            .map(|object| object.map())
            .map_err(|flaw| Error::invalid(flaw.to_string()))
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let map = self.checked().map_err(ser::Error::custom)?;
        map.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let payload = Self::from(Map::deserialize(deserializer)?);
        payload.checked().map_err(de::Error::custom)?;
        Ok(payload)
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Ok(this), Ok(other)) => Arc::ptr_eq(this, other) || this.map() == other.map(),
            (Err(this), Err(other)) => this == other,
            _ => false,
        }
    }
}

impl Default for Payload {
    fn default() -> Self {
        // Every hit that shows no payload has one.
        static EMPTY: LazyLock<Payload> = LazyLock::new(|| Payload::from(Map::new()));
        EMPTY.clone()
    }
}

impl From<Map<String, Value>> for Payload {
    fn from(map: Map<String, Value>) -> Self {
        Self::from(Value::Object(map))
    }
}

impl From<Value> for Payload {
    fn from(value: Value) -> Self {
        let found = match &value {
            Value::Object(_) => None,
            Value::Array(_) => Some("an array"),
            Value::Null => Some("null"),
            Value::Bool(_) => Some("a boolean"),
            Value::Number(_) => Some("a number"),
            Value::String(_) => Some("a string"),
        };
        let Some(heap_bytes) = heap_bytes(&value) else {
            dismantle(value);
            return Self(Err(format!(
                "a payload is nested deeper than {} levels",
                Self::MAX_DEPTH
            )
            .into()));
        };
        match (value, found) {
            (Value::Object(map), _) => Self(Ok(Arc::new(Object {
                map: map.into(),
                json: OnceLock::new(),
                heap_bytes,
            }))),
            (_, found) => Self(Err(format!(
                "a payload is {}; expected a JSON object",
                found.unwrap_or("of another kind")
            )
            .into())),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok(object) => object.map().fmt(f),
            Err(flaw) => write!(f, "<{flaw}>"),
        }
    }
}

/// About how much memory a value takes; `None` when it is nested too deep for a payload.
fn heap_bytes(value: &Value) -> Option<usize> {
    let entry = |key: &String| size_of::<String>() + key.len() + size_of::<Value>();
    let mut bytes = 0;
    let mut open = vec![(value, 1)];
    while let Some((value, depth)) = open.pop() {
        let nested = value.is_array() || value.is_object();
        if nested && depth > Payload::MAX_DEPTH {
            return None;
        }
        match value {
            Value::String(text) => bytes += text.len(),
            Value::Array(items) => {
                bytes += size_of_val(&items[..]);
                open.extend(items.iter().map(|item| (item, depth + 1)));
            }
            Value::Object(map) => {
                bytes += size_of::<Map<String, Value>>() + map.keys().map(entry).sum::<usize>();
                open.extend(map.values().map(|item| (item, depth + 1)));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    Some(bytes)
}

/// Drops a value level by level: its own drop would recurse as deep as it is nested.
pub(crate) fn dismantle(value: Value) {
    if !value.is_array() && !value.is_object() {
        return;
    }
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(map) => open.extend(map.into_iter().map(|(_, item)| item)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn nested(depth: usize) -> Value {
        (1..depth).fold(json!({}), |inner, _| json!({ "a": inner }))
    }

    #[test]
    fn the_deepest_payload_is_accepted_and_one_more_is_not() {
        assert!(Payload::from(nested(Payload::MAX_DEPTH)).checked().is_ok());
        assert!(
            Payload::from(nested(Payload::MAX_DEPTH + 1))
                .checked()
                .is_err()
        );
    }

    #[test]
    fn a_value_nested_a_million_deep_overflows_no_stack() {
        let mut deep = json!({});
        for _ in 0..1_000_000 {
            deep = Value::Array(vec![deep]);
        }
        let map = Map::from_iter([("a".to_owned(), deep)]);
        let error = Payload::from(map).checked().unwrap_err();
        assert!(error.to_string().contains("64 levels"), "{error}");
    }

    #[test]
    fn one_that_is_known_is_as_if_it_had_been_parsed() {
        let value = json!({ "title": "Walden", "parts": [1, { "a": null }] });
        let known = Payload::known(value.to_string().as_bytes());
        assert_eq!(known, Payload::from(value.clone()));
        assert_ne!(known, Payload::default());
        assert_eq!(known.get("title"), Some(&json!("Walden")));
        assert_eq!(known.clone().to_value(), value);
    }

    #[test]
    fn what_is_no_object_is_named() {
        let error = Payload::from(json!([1])).checked().unwrap_err();
        assert!(error.to_string().contains("an array"), "{error}");
    }
}
