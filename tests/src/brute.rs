//! Filters, worked out the slow and obvious way: the other opinion.
//!
//! It follows what the engine documents, and shares no code with it.

use amphora::{Condition, Filter, GeoArea, GeoPoint, PointId, Wording};
use serde_json::{Number, Value};
use std::ops::Bound;

/// A point that a filter is asked of.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its id.
    pub id: &'a PointId,
    /// The names of the vectors that it has.
    pub vectors: &'a [&'a str],
    /// Its payload.
    pub payload: &'a Value,
}

/// Whether a point passes a filter.
#[must_use]
pub fn passes(filter: &Filter, point: Asked<'_>) -> bool {
    let count = |filters: &[Filter]| filters.iter().filter(|it| passes(it, point)).count();
    match filter {
        Filter::All(all) => count(all) == all.len(),
        Filter::Any(any) => count(any) > 0,
        Filter::AtLeast(least, some) => count(some) >= *least,
        Filter::Not(filter) => !passes(filter, point),
        Filter::Ids(ids) => ids.contains(point.id),
        Filter::HasVector(name) => point.vectors.contains(&name.as_str()),
        Filter::Field(path, condition) => holds(condition, &path.replace("[]", ""), point),
        other => panic!("the model does not know {other:?}"),
    }
}

fn holds(condition: &Condition, path: &str, point: Asked<'_>) -> bool {
    let whole = at(point.payload, path);
    let values = values(point.payload, path);
    let texts = || values.iter().filter_map(|value| value.as_str());
    let is_scalar = |value: &&&Value| !value.is_array() && !value.is_object();
    let is_in = |value: &Value, all: &[Value]| all.iter().any(|one| same(value, one));
    match condition {
        Condition::Equals(expected) => values.iter().any(|value| same(value, expected)),
        Condition::AnyOf(all) => values.iter().any(|value| is_in(value, all)),
        Condition::Except(all) => values
            .iter()
            .filter(is_scalar)
            .any(|value| !is_in(value, all)),
        Condition::Within(low, high) => {
            let (low, high) = (bound(low), bound(high));
            values.iter().any(|value| match (&low, &high) {
                (Bound::Unbounded, Bound::Unbounded) => value.is_number(),
                _ => is_above(value, &low) && is_below(value, &high),
            })
        }
        Condition::Prefix(prefix) => texts().any(|text| text.get(..prefix.len()) == Some(prefix)),
        Condition::Contains(part) => texts().any(|text| text.contains(part.as_str())),
        Condition::Words(wording, text) => {
            let wanted = words(text);
            let has: Vec<Vec<String>> = texts().map(words).collect();
            let any = |word: &String| has.iter().any(|words| words.contains(word));
            match wording {
                Wording::All => !wanted.is_empty() && wanted.iter().all(any),
                Wording::Any => wanted.iter().any(any),
                Wording::Phrase => {
                    let is_it = |words: &[String]| *words == wanted[..];
                    let len = wanted.len();
                    len > 0 && has.iter().any(|words| words.windows(len).any(is_it))
                }
                other => panic!("the model does not know {other:?}"),
            }
        }
        Condition::Area(area) => values
            .iter()
            .any(|value| place(value).is_some_and(|it| is_within(it, area))),
        Condition::Null => whole.iter().any(|value| match value {
            Value::Array(items) => items.iter().any(Value::is_null),
            value => value.is_null(),
        }),
        Condition::Empty => values.is_empty(),
        Condition::Count(low, high) => {
            let count: u64 = whole
                .iter()
                .map(|value| match value {
                    Value::Null => 0,
                    Value::Array(items) => items.len() as u64,
                    _ => 1,
                })
                .sum();
            let low = match low {
                Bound::Included(low) => count >= *low,
                Bound::Excluded(low) => count > *low,
                Bound::Unbounded => true,
            };
            low && match high {
                Bound::Included(high) => count <= *high,
                Bound::Excluded(high) => count < *high,
                Bound::Unbounded => true,
            }
        }
        Condition::Nested(filter) => values.iter().any(|value| {
            value.is_object()
                && passes(
                    filter,
                    Asked {
                        payload: value,
                        ..point
                    },
                )
        }),
        other => panic!("the model does not know {other:?}"),
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (worth(a), worth(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// What a number or a date-time is worth, if it is one: the two are never compared.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Worth {
    Number((i128, f64)),
    Time(i64),
}

fn worth_of(value: &Value) -> Option<Worth> {
    match value {
        Value::String(text) => instant(text).map(Worth::Time),
        value => worth(value).map(Worth::Number),
    }
}

fn bound(bound: &Bound<Value>) -> Bound<Worth> {
    bound.as_ref().map(|value| {
        let Some(worth) = worth_of(value) else {
            panic!("a bound that is no number and no date-time is refused");
        };
        worth
    })
}

fn are_alike(a: Worth, b: Worth) -> bool {
    matches!(
        (a, b),
        (Worth::Number(_), Worth::Number(_)) | (Worth::Time(_), Worth::Time(_))
    )
}

fn is_above(value: &Value, low: &Bound<Worth>) -> bool {
    let value = worth_of(value);
    match low {
        Bound::Included(low) => value.is_some_and(|value| are_alike(value, *low) && value >= *low),
        Bound::Excluded(low) => value.is_some_and(|value| are_alike(value, *low) && value > *low),
        Bound::Unbounded => true,
    }
}

fn is_below(value: &Value, high: &Bound<Worth>) -> bool {
    let value = worth_of(value);
    match high {
        Bound::Included(high) => {
            value.is_some_and(|value| are_alike(value, *high) && value <= *high)
        }
        Bound::Excluded(high) => {
            value.is_some_and(|value| are_alike(value, *high) && value < *high)
        }
        Bound::Unbounded => true,
    }
}

/// Microseconds since 1970 of `2024-05-01`, `2024-05-01T12:30:00Z` and `2024-05-01T14:30:00+02:00`, which are
/// all that the tests write.
pub fn instant(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let mut parts = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let clock = match rest {
        "" => 0,
        rest => {
            let (clock, ahead) = rest.strip_prefix('T')?.split_at_checked(8)?;
            let ahead: i64 = match ahead {
                "Z" => 0,
                ahead => ahead.strip_suffix(":00")?.parse().ok()?,
            };
            let parts = clock.split(':').map(|part| part.parse::<i64>().ok());
            let parts: Vec<i64> = parts.collect::<Option<_>>()?;
            let [hour, minute, second] = parts[..] else {
                return None;
            };
            ((hour - ahead) * 60 + minute) * 60 + second
        }
    };
    // Days by going through years and months.
    let is_leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let of_year = |year| if is_leap(year) { 366 } else { 365 };
    let of_month = |month| match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let years: i64 = match year {
        1970.. => (1970..year).map(of_year).sum(),
        _ => -(year..1970).map(of_year).sum::<i64>(),
    };
    let days = years + (1..month).map(of_month).sum::<i64>() + day - 1;
    Some((days * 86_400 + clock) * 1_000_000)
}

/// What is at a path: that of the key that is the whole path, or else of the keys that its dots part.
#[must_use]
pub fn at<'a>(payload: &'a Value, path: &str) -> Vec<&'a Value> {
    let Some(map) = payload.as_object() else {
        return Vec::new();
    };
    match (map.get(path), path.split_once('.')) {
        (Some(value), _) => vec![value],
        (None, None) => Vec::new(),
        (None, Some((key, rest))) => match map.get(key) {
            Some(Value::Array(items)) => items.iter().flat_map(|item| at(item, rest)).collect(),
            Some(inner) => at(inner, rest),
            None => Vec::new(),
        },
    }
}

/// The values of a field: the items of an array rather than itself. A null is none.
#[must_use]
pub fn values<'a>(payload: &'a Value, path: &str) -> Vec<&'a Value> {
    let items = at(payload, path).into_iter().flat_map(|value| match value {
        Value::Array(items) => items.iter().collect(),
        value => vec![value],
    });
    items.filter(|value| !value.is_null()).collect()
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

/// Of ASCII alone, which is what the tests write.
fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect()
}

fn place(value: &Value) -> Option<GeoPoint> {
    let part = |name: &str| value.get(name).and_then(Value::as_f64);
    let point = GeoPoint::new(part("lon")?, part("lat")?);
    (point.lon.abs() <= 180.0 && point.lat.abs() <= 90.0).then_some(point)
}

/// Polygons by how many edges lie to the east, which knows no border: the tests put no point on one.
fn is_within(point: GeoPoint, area: &GeoArea) -> bool {
    match area {
        GeoArea::Box {
            top_left,
            bottom_right,
        } => {
            let (west, east) = (top_left.lon, bottom_right.lon);
            let lon = match west <= east {
                true => west <= point.lon && point.lon <= east,
                false => west <= point.lon || point.lon <= east,
            };
            lon && bottom_right.lat <= point.lat && point.lat <= top_left.lat
        }
        GeoArea::Circle { center, radius } => {
            // By the angle between two directions.
            let direction = |point: &GeoPoint| {
                let (lon, lat) = (point.lon.to_radians(), point.lat.to_radians());
                [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
            };
            let (a, b) = (direction(center), direction(&point));
            let chord = a
                .iter()
                .zip(&b)
                .map(|(a, b)| (a - b) * (a - b))
                .sum::<f64>()
                .sqrt();
            2.0 * (chord / 2.0).min(1.0).asin() * 6_371_008.8 <= *radius
        }
        GeoArea::Polygon {
            exterior,
            interiors,
        } => is_in_ring(point, exterior) && !interiors.iter().any(|ring| is_in_ring(point, ring)),
        other => panic!("the model does not know {other:?}"),
    }
}

fn is_in_ring(point: GeoPoint, ring: &[GeoPoint]) -> bool {
    let edges = ring.iter().zip(ring.iter().cycle().skip(1));
    let crossed = edges.filter(|(a, b)| {
        (a.lat > point.lat) != (b.lat > point.lat)
            && a.lon + (point.lat - a.lat) / (b.lat - a.lat) * (b.lon - a.lon) > point.lon
    });
    crossed.count() % 2 == 1
}
