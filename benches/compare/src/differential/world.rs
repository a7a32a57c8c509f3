//! Random points, with fields of every kind: declared, undeclared, absent, null, and in lists.

use crate::question::{EMBEDDING, Hold, Row, Terms};
use amphora_blocking::amphora::{Field, Metric, PointId};
use amphora_tests::random::Random;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, path::Path};

/// So many rows are drawn, of which some take the places of earlier ones, and some are deleted in the end.
const ROWS: u64 = 2_000;
pub(super) const WORDS: [&str; 12] = [
    "sea", "ship", "whale", "storm", "harbor", "sail", "anchor", "tide", "island", "rope", "deck",
    "lantern",
];
pub(super) const KEYS: [&str; 8] = ["red", "blue", "green", "redder", "Red", "blau", "über", "x"];
/// Vectors, with their dimensions.
pub(super) const VECTORS: [(&str, u32, Metric); 4] = [
    (EMBEDDING, 12, Metric::Cosine),
    ("dot", 8, Metric::Dot),
    ("euclid", 8, Metric::Euclidean),
    ("manhattan", 8, Metric::Manhattan),
];
const DIMENSIONS: u64 = 60;
/// The sparse vector whose dimensions are weighed by how rare they are.
pub(super) const RARE: &str = "rare";
/// Fields of one value, and of several, that are declared; each is also in the object `raw`, where none is declared.
pub(super) const FIELDS: [(&str, Field); 9] = [
    ("key", Field::Keyword),
    ("tags", Field::Keyword),
    ("number", Field::Integer),
    ("numbers", Field::Integer),
    ("price", Field::Float),
    ("flag", Field::Bool),
    ("when", Field::DateTime),
    ("uid", Field::Uuid),
    ("place", Field::Geo),
];

pub(super) struct World {
    pub(super) rows: Vec<Row>,
    pub(super) deleted: Vec<PointId>,
}

impl World {
    /// With or without rows that end.
    pub(super) fn new(has_ended: bool, random: &mut Random) -> Self {
        let mut rows: Vec<Row> = (0..ROWS).map(|_| row(random)).collect();
        if !has_ended {
            let deleted = Vec::new();
            return Self { rows, deleted };
        }
        let again: Vec<PointId> = rows.iter().map(|row| row.id.clone()).collect();
        let changed = (0..ROWS / 10).map(|_| Row {
            id: pick(random, &again).clone(),
            ..row(random)
        });
        rows.extend(changed.collect::<Vec<_>>());
        let deleted = (0..ROWS / 20).map(|_| pick(random, &again).clone());
        Self {
            deleted: deleted.collect(),
            rows,
        }
    }

    pub(super) fn hold(&self, points: &Path, directory: &Path, in_memory: bool) -> Hold {
        let mut fields: Vec<(String, Field)> = FIELDS
            .iter()
            .map(|(name, field)| ((*name).to_owned(), *field))
            .collect();
        fields.push(("made".to_owned(), Field::DateTime));
        fields.push(("spot".to_owned(), Field::Geo));
        Hold {
            points: points.to_owned(),
            base: None,
            vectors: VECTORS
                .map(|(name, size, metric)| (name.to_owned(), size, metric))
                .to_vec(),
            sparse: vec![("terms".to_owned(), false), (RARE.to_owned(), true)],
            fields,
            texts: vec!["body".to_owned()],
            deleted: self.deleted.clone(),
            in_memory,
            m: 16,
            ef_construction: 128,
            threads: 1,
            directory: directory.to_owned(),
        }
    }
}

pub(super) fn pick<'a, T>(random: &mut Random, some: &'a [T]) -> &'a T {
    &some[random.below(some.len() as u64) as usize]
}

/// One in so many times.
pub(super) fn one_in(random: &mut Random, times: u64) -> bool {
    random.below(times) == 0
}

/// A UUID for one in five.
fn id(random: &mut Random) -> PointId {
    match one_in(random, 5) {
        true => {
            let uuid = json!({ "uuid": uuid(random.draw()) });
            serde_json::from_value(uuid).expect("a UUID")
        }
        false => PointId::Number(random.below(1 << 40)),
    }
}

pub(super) fn uuid(number: u64) -> String {
    let low = number % (1 << 48);
    format!("{:08x}-0000-4000-8000-{low:012x}", number >> 32)
}

fn row(random: &mut Random) -> Row {
    let mut vectors = BTreeMap::new();
    for (name, dimensions, _) in VECTORS {
        if !one_in(random, 10) {
            vectors.insert(name.to_owned(), vector(random, dimensions));
        }
    }
    let mut sparse = BTreeMap::new();
    for name in ["terms", RARE] {
        if !one_in(random, 10) {
            sparse.insert(name.to_owned(), terms(random, 6));
        }
    }
    let mut payload = fields(random);
    payload.insert("raw".to_owned(), Value::Object(fields(random)));
    payload.insert("made".to_owned(), json!(date(random)));
    payload.insert("spot".to_owned(), place(random));
    may(&mut payload, "body", random, |random| {
        several(random, 3, text)
    });
    may(&mut payload, "items", random, |random| {
        (0..random.below(4)).map(|_| item(random)).collect()
    });
    may(
        &mut payload,
        "author",
        random,
        |random| json!({ "name": key(random), "born": random.below(40) }),
    );
    may(&mut payload, "mixed", random, |random| {
        match random.below(3) {
            0 => key(random),
            1 => number(random),
            _ => json!([key(random), number(random)]),
        }
    });
    // Asked for by `known` alone.
    payload.insert(
        "hollow".to_owned(),
        pick(random, &[json!([null]), json!([]), json!(["x"])]).clone(),
    );
    payload.insert(
        "whole".to_owned(),
        pick(random, &[json!(1), json!(1.0), json!(2)]).clone(),
    );
    payload.insert("shout".to_owned(), text(random));
    payload.insert("owner".to_owned(), item(random));
    Row {
        id: id(random),
        vectors,
        sparse,
        payload,
    }
}

fn fields(random: &mut Random) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, field) in FIELDS {
        let draw = value_of(field);
        may(&mut fields, name, random, |random| match name {
            "tags" | "numbers" => list(random, draw),
            _ => draw(random),
        });
    }
    fields
}

/// Absent for one in eight, null for another.
fn may(
    payload: &mut Map<String, Value>,
    name: &str,
    random: &mut Random,
    draw: impl Fn(&mut Random) -> Value,
) {
    let value = match random.below(8) {
        0 => return,
        1 => Value::Null,
        _ => draw(random),
    };
    payload.insert(name.to_owned(), value);
}

/// Up to so many, or one without a list.
fn several(random: &mut Random, most: u64, draw: impl Fn(&mut Random) -> Value) -> Value {
    match random.below(most) {
        0 => draw(random),
        count => (0..count).map(|_| draw(random)).collect(),
    }
}

/// Up to four, one in ten of them null if there is one that is not.
fn list(random: &mut Random, draw: impl Fn(&mut Random) -> Value) -> Value {
    let count = random.below(5);
    let item = |at| match at > 0 && one_in(random, 10) {
        true => Value::Null,
        false => draw(random),
    };
    (0..count).map(item).collect()
}

pub(super) fn value_of(field: Field) -> fn(&mut Random) -> Value {
    match field {
        Field::Integer => number,
        Field::Float => |random| json!(price(random)),
        Field::Bool => |random| json!(one_in(random, 2)),
        Field::DateTime => |random| json!(date(random)),
        Field::Uuid => |random| json!(uuid(random.below(40))),
        Field::Geo => place,
        _ => key,
    }
}

fn key(random: &mut Random) -> Value {
    json!(pick(random, &KEYS))
}

pub(super) fn number(random: &mut Random) -> Value {
    json!(random.below(40) as i64 - 8)
}

/// Never a whole number.
pub(super) fn price(random: &mut Random) -> f64 {
    (random.below(2_000) as f64 + 0.5) / 16.0 - 20.0
}

pub(super) fn text(random: &mut Random) -> Value {
    let words = 1 + random.below(8);
    let words: Vec<&str> = (0..words).map(|_| *pick(random, &WORDS)).collect();
    json!(words.join(" "))
}

fn item(random: &mut Random) -> Value {
    let mut item = json!({ "name": key(random), "stars": random.below(6) });
    if one_in(random, 3) {
        item["at"] = json!(date(random));
    }
    item
}

/// With and without an offset, and without a time.
pub(super) fn date(random: &mut Random) -> String {
    let mut two = |from, count| format!("{:02}", from + random.below(count));
    let date = format!("20{}-{}-{}", two(20, 4), two(1, 12), two(1, 28));
    let time = format!("{}:{}:{}", two(0, 24), two(0, 60), two(0, 60));
    match random.below(5) {
        0 => date,
        1 => format!("{date}T{time}.25+02:00"),
        2 => format!("{date}T{time}"),
        _ => format!("{date}T{time}Z"),
    }
}

pub(super) fn place(random: &mut Random) -> Value {
    json!({ "lon": degrees(random, 180.0), "lat": degrees(random, 85.0) })
}

pub(super) fn degrees(random: &mut Random, most: f64) -> f64 {
    (f64::from(random.unit()) * most * 1e4).round() / 1e4
}

pub(super) fn vector(random: &mut Random, dimensions: u32) -> Vec<f32> {
    (0..dimensions).map(|_| random.unit()).collect()
}

/// Weights that 16 bits hold exactly.
pub(super) fn terms(random: &mut Random, most: u64) -> Terms {
    let mut weights = BTreeMap::new();
    for _ in 0..=random.below(most) {
        let dimension = random.below(DIMENSIONS).min(random.below(DIMENSIONS));
        weights.insert(dimension as u32, (1 + random.below(2_047)) as f32 / 1_024.0);
    }
    Terms {
        indices: weights.keys().copied().collect(),
        values: weights.values().copied().collect(),
    }
}
