//! Points and filters that follow from a seed. Values come from few, so that conditions hold for some.

use amphora::{Condition, Filter, GeoArea, GeoPoint, Point, PointId, SparseVector, Wording, field};
use amphora_tests::random::Random;
use serde_json::{Map, Value, json};
use std::ops::Bound;

const IDS: u64 = 150;
const TAGS: [&str; 6] = ["a", "ab", "abc", "b", "", "it's"];
const TIMES: [&str; 7] = [
    "2024-01-01",
    "2024-01-01T00:00:00Z",
    "2024-02-29T12:30:05Z",
    "1969-07-20T20:17:40Z",
    "2023-12-31",
    "2023-12-31T23:00:00-02:00",
    "2024-01-01T02:00:00+02:00",
];
const BODIES: [&str; 5] = [
    "A pond in winter",
    "the winter pond",
    "pond, pond",
    "In the woods.",
    "",
];
const WORDS: [&str; 6] = [
    "pond",
    "winter POND",
    "the",
    "in winter",
    "lake",
    "pond pond",
];
/// Of titles; some begin as others do.
const TITLE: [&str; 9] = [
    "ant", "antler", "bee", "beetle", "cat", "dog", "doge", "eel", "fox",
];
const PATHS: [&str; 12] = [
    "tag",
    "number",
    "whole",
    "flag",
    "time",
    "place",
    "body",
    "author.name",
    "author",
    "things.x",
    "things",
    "absent",
];

pub(crate) fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len() as u64) as usize]
}

pub(crate) fn id(random: &mut Random) -> PointId {
    match random.below(4) {
        0 => format!("p{}", random.below(IDS / 4)).as_str().into(),
        _ => random.below(IDS).into(),
    }
}

/// Small whole numbers, whose sums single precision holds, or any.
pub(crate) fn vector(random: &mut Random, len: usize) -> Vec<f32> {
    let whole = random.below(2) == 0;
    let mut vector: Vec<f32> = (0..len)
        .map(|_| match whole {
            true => random.below(9) as f32 - 4.0,
            false => random.unit(),
        })
        .collect();
    if vector.iter().all(|x| *x == 0.0) {
        vector[0] = 1.0;
    }
    vector
}

pub(crate) fn word(random: &mut Random) -> &'static str {
    pick(random, &TITLE)
}

/// Halves, whose products single precision holds.
pub(crate) fn sparse(random: &mut Random) -> SparseVector {
    let weights = (0..10).filter_map(|dimension| {
        let weight = random.below(9) as f32 / 2.0 - 1.0;
        (weight != 0.0 && random.below(3) == 0).then_some((dimension, weight))
    });
    let weights: Vec<(u32, f32)> = weights.collect();
    match SparseVector::new(weights) {
        Ok(vector) => vector,
        Err(error) => panic!("{error}"),
    }
}

fn number(random: &mut Random) -> Value {
    match random.below(3) {
        0 => json!(random.below(6) as f64 / 2.0 - 1.0),
        1 => json!(random.below(5) as i64 - 2),
        _ => whole(random),
    }
}

fn whole(random: &mut Random) -> Value {
    let big = 1i64 << 53;
    pick(random, &[0, 1, 2, -3, big, big + 1, i64::MIN]).into()
}

fn place(random: &mut Random) -> GeoPoint {
    let (lon, lat) = (f64::from(random.unit()), f64::from(random.unit()));
    match random.below(3) {
        0 => GeoPoint::new(lon * 180.0, lat * 90.0),
        _ => GeoPoint::new(lon * 3.0, lat * 3.0),
    }
}

fn value(random: &mut Random, path: &str) -> Value {
    match path {
        "tag" | "author.name" => pick(random, &TAGS).into(),
        "number" => number(random),
        "whole" => whole(random),
        "flag" => (random.below(2) == 0).into(),
        "time" => pick(random, &TIMES).into(),
        "body" => pick(random, &BODIES).into(),
        _ => {
            let place = place(random);
            json!({ "lon": place.lon, "lat": place.lat })
        }
    }
}

/// A value, several, a null or nothing.
fn values(random: &mut Random, path: &str) -> Option<Value> {
    Some(match random.below(12) {
        0 => return None,
        1 => Value::Null,
        2 => (0..random.below(3)).map(|_| value(random, path)).collect(),
        3 => json!([value(random, path), null]),
        _ => value(random, path),
    })
}

pub(crate) fn point(random: &mut Random) -> Point {
    let mut map = Map::new();
    for path in ["tag", "number", "whole", "flag", "time", "place", "body"] {
        map.extend(values(random, path).map(|value| (path.to_owned(), value)));
    }
    if let Some(name) = values(random, "author.name") {
        map.insert("author".to_owned(), json!({ "name": name }));
    }
    let things =
        (0..random.below(4)).map(|_| json!({ "x": number(random), "kind": pick(random, &TAGS) }));
    map.insert("things".to_owned(), things.collect());
    if random.below(5) > 0 {
        let title: Vec<&str> = (0..random.below(9)).map(|_| word(random)).collect();
        map.insert("title".to_owned(), title.join(" ").into());
    }
    let mut point = Point::new(id(random))
        .vector("v", vector(random, 4))
        .payload(map);
    if random.below(3) == 0 {
        point = point.vector("w", vector(random, 2));
    }
    if random.below(3) > 0 {
        point = point.sparse("s", sparse(random));
    }
    point
}

pub(crate) fn filter(random: &mut Random, depth: u64) -> Filter {
    if depth > 0 && random.below(3) == 0 {
        let several: Vec<Filter> = (0..random.below(4))
            .map(|_| filter(random, depth - 1))
            .collect();
        return match random.below(4) {
            0 => Filter::All(several),
            1 => Filter::Any(several),
            2 => Filter::AtLeast(random.below(4) as usize, several),
            _ => !filter(random, depth - 1),
        };
    }
    match random.below(20) {
        0 => Filter::Ids((0..random.below(30)).map(|_| id(random)).collect()),
        1 => Filter::has_vector(pick(random, &["v", "w", "s"])),
        2 => {
            let inner = field("x").at_least(number(random)) & field("kind").eq(pick(random, &TAGS));
            field("things").any(if random.below(3) == 0 { !inner } else { inner })
        }
        _ => {
            let path = pick(random, &PATHS);
            Filter::Field(path.to_owned(), condition(random, path))
        }
    }
}

/// Mostly such as may hold for a field.
fn condition(random: &mut Random, path: &str) -> Condition {
    let of = match random.below(4) {
        0 => pick(random, &["tag", "number", "whole", "flag", "time"]),
        _ => path,
    };
    let scalar = |random: &mut Random| match of {
        "tag" | "number" | "whole" | "flag" | "time" | "body" | "author.name" => value(random, of),
        _ => number(random),
    };
    let scalars = |random: &mut Random| (0..random.below(4)).map(|_| scalar(random)).collect();
    match random.below(14) {
        0 | 1 => Condition::Equals(scalar(random)),
        2 => Condition::AnyOf(scalars(random)),
        3 => Condition::Except(scalars(random)),
        4 | 5 => {
            let is_time = of == "time" || random.below(4) == 0;
            let mut bound = || {
                let value = match is_time {
                    true => pick(random, &TIMES).into(),
                    false => number(random),
                };
                match random.below(3) {
                    0 => Bound::Unbounded,
                    1 => Bound::Included(value),
                    _ => Bound::Excluded(value),
                }
            };
            Condition::Within(bound(), bound())
        }
        6 => Condition::Prefix(pick(random, &TAGS).to_owned()),
        7 => Condition::Contains(pick(random, &["", "a", "bc", "pond", "-0"]).to_owned()),
        8 => {
            let wording = pick(random, &[Wording::All, Wording::Any, Wording::Phrase]);
            Condition::Words(wording, pick(random, &WORDS).to_owned())
        }
        9 | 10 => Condition::Area(area(random)),
        11 => Condition::Null,
        12 => Condition::Empty,
        _ => {
            let mut bound = || match random.below(3) {
                0 => Bound::Unbounded,
                1 => Bound::Included(random.below(3)),
                _ => Bound::Excluded(random.below(3)),
            };
            Condition::Count(bound(), bound())
        }
    }
}

fn area(random: &mut Random) -> GeoArea {
    let (a, b) = (place(random), place(random));
    match random.below(3) {
        0 => GeoArea::Box {
            top_left: GeoPoint::new(a.lon, a.lat.max(b.lat)),
            bottom_right: GeoPoint::new(b.lon, a.lat.min(b.lat)),
        },
        1 => GeoArea::Circle {
            center: a,
            radius: pick(random, &[1e4, 1e5, 3e5, 5e6, 1.5e7]),
        },
        // Triangles do not cross themselves.
        _ => GeoArea::Polygon {
            exterior: vec![a, b, place(random)],
            interiors: (0..random.below(2))
                .map(|_| (0..3).map(|_| place(random)).collect())
                .collect(),
        },
    }
}
