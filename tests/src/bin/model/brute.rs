//! Filters, worked out the slow and obvious way: the other opinion.
//!
//! It follows what the engine documents, and shares no code with it.

use amphora::Filter;
use serde_json::{Number, Value};
use std::ops::Bound;

/// Whether a payload passes a filter.
pub(crate) fn holds(filter: &Filter, payload: &Value) -> bool {
    match filter {
        Filter::All(all) => !all.iter().any(|filter| !holds(filter, payload)),
        Filter::Any(any) => any.iter().any(|filter| holds(filter, payload)),
        Filter::Not(filter) => !holds(filter, payload),
        Filter::Equals(path, expected) => {
            values(payload, path)
                .into_iter()
                .any(|value| match (worth(value), worth(expected)) {
                    (Some(a), Some(b)) => a == b,
                    _ => value == expected,
                })
        }
        Filter::Within(path, low, high) => values(payload, path).into_iter().any(|value| {
            let Some(value) = worth(value) else {
                return false;
            };
            let low = match bound(low) {
                Bound::Included(low) => value >= low,
                Bound::Excluded(low) => value > low,
                Bound::Unbounded => true,
            };
            low && match bound(high) {
                Bound::Included(high) => value <= high,
                Bound::Excluded(high) => value < high,
                Bound::Unbounded => true,
            }
        }),
        other => panic!("the model does not know {other:?}"),
    }
}

fn bound(bound: &Bound<Value>) -> Bound<(i128, f64)> {
    bound.as_ref().map(|value| {
        let Some(worth) = worth(value) else {
            panic!("a bound that is no number is refused");
        };
        worth
    })
}

/// The values of a field: those of the key that is the whole path, or else of the keys that its
/// dots part; the items of an array rather than itself. A null is none.
pub(crate) fn values<'a>(payload: &'a Value, path: &str) -> Vec<&'a Value> {
    let Some(map) = payload.as_object() else {
        return Vec::new();
    };
    let found = match (map.get(path), path.split_once('.')) {
        (Some(Value::Array(items)), _) => items.iter().collect(),
        (Some(value), _) => vec![value],
        (None, None) => Vec::new(),
        (None, Some((key, rest))) => match map.get(key) {
            Some(Value::Array(items)) => items.iter().flat_map(|item| values(item, rest)).collect(),
            Some(inner) => values(inner, rest),
            None => Vec::new(),
        },
    };
    found.into_iter().filter(|value| !value.is_null()).collect()
}

/// A number as its floor and what is above that, which orders integers and floats exactly.
fn worth(value: &Value) -> Option<(i128, f64)> {
    let number: &Number = value.as_number()?;
    if let Some(integer) = number.as_i128() {
        return Some((integer, 0.0));
    }
    let float = number.as_f64()?;
    Some((float.floor() as i128, float - float.floor()))
}
