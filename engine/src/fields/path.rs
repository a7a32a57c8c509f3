//! The values of a field in a payload.

use serde_json::{Map, Value};
use std::ops::ControlFlow;

/// Whether `test` holds for some value at `path`; it is asked up to the first for which it does. The
/// items of an array are such values, not the array.
pub(crate) fn some_value<'a>(
    map: &'a Map<String, Value>,
    path: &str,
    test: &mut dyn FnMut(&'a Value) -> bool,
) -> bool {
    let found = walk(map, path, &mut |value| {
        let holds = match value {
            Value::Array(items) => items.iter().any(&mut *test),
            value => test(value),
        };
        match holds {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    found.is_break()
}

/// Visits what is at `path`, arrays whole.
pub(crate) fn each_value<'a>(
    map: &'a Map<String, Value>,
    path: &str,
    visit: &mut dyn FnMut(&'a Value),
) {
    let _ = walk(map, path, &mut |value| {
        visit(value);
        ControlFlow::Continue(())
    });
}

/// A key that contains the whole path goes before the same path taken as nested keys. As deep as a
/// payload at most, which is bounded.
fn walk<'a>(
    map: &'a Map<String, Value>,
    path: &str,
    visit: &mut dyn FnMut(&'a Value) -> ControlFlow<()>,
) -> ControlFlow<()> {
    if let Some(value) = map.get(path) {
        return visit(value);
    }
    let Some((key, rest)) = path.split_once('.') else {
        return ControlFlow::Continue(());
    };
    match map.get(key) {
        Some(Value::Object(inner)) => walk(inner, rest, visit),
        Some(Value::Array(items)) => items
            .iter()
            .filter_map(Value::as_object)
            .try_for_each(|inner| walk(inner, rest, visit)),
        _ => ControlFlow::Continue(()),
    }
}
