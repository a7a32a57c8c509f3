//! The values of a field in a payload.

use serde_json::{Map, Value};

/// Whether `test` holds for some value at `path`; it is asked up to the first for which it does. A
/// key that contains the whole path goes before the same path taken as nested keys. As deep as a
/// payload at most, which is bounded.
pub(crate) fn some_value<'a>(
    map: &'a Map<String, Value>,
    path: &str,
    test: &mut dyn FnMut(&'a Value) -> bool,
) -> bool {
    if let Some(value) = map.get(path) {
        return match value {
            Value::Array(items) => items.iter().any(test),
            value => test(value),
        };
    }
    let Some((key, rest)) = path.split_once('.') else {
        return false;
    };
    match map.get(key) {
        Some(Value::Object(inner)) => some_value(inner, rest, test),
        Some(Value::Array(items)) => items
            .iter()
            .filter_map(Value::as_object)
            .any(|inner| some_value(inner, rest, test)),
        _ => false,
    }
}
