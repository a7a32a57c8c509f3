//! Filters and scores, worked out the slow and obvious way: the other opinion.
//!
//! It follows what the engine documents, and shares no code with it.

use amphora::{Filter, Metric};
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
fn values<'a>(payload: &'a Value, path: &str) -> Vec<&'a Value> {
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

/// The score of two vectors, and how far a sum in single precision may be from it.
pub(crate) fn score(metric: Metric, a: &[f32], b: &[f32]) -> (f64, f64) {
    let wide = |x: &[f32]| x.iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
    let (x, y) = (wide(a), wide(b));
    let sum = |term: fn(f64, f64) -> f64| x.iter().zip(&y).map(|(x, y)| term(*x, *y)).sum::<f64>();
    let length = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    let (score, size) = match metric {
        Metric::Cosine => (sum(|x, y| x * y) / (length(&x) * length(&y)), 1.0),
        Metric::Dot => (sum(|x, y| x * y), sum(|x, y| (x * y).abs())),
        Metric::Euclidean => {
            let distance = sum(|x, y| (x - y) * (x - y)).sqrt();
            (-distance, distance)
        }
        Metric::Manhattan => {
            let distance = sum(|x, y| (x - y).abs());
            (-distance, distance)
        }
    };
    // A sum of nothing but negative zeros is one, and no different from zero.
    let score = score + 0.0;
    // Small integers lose nothing in single precision, and a root is rounded once.
    let is_small = |x: &f64| x.fract() == 0.0 && x.abs() <= 16.0;
    if metric != Metric::Cosine && x.iter().chain(&y).all(is_small) {
        return (f64::from(score as f32), 0.0);
    }
    (score, size * 1e-5 + f64::from(f32::MIN_POSITIVE))
}
