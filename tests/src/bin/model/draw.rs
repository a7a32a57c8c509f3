//! Random steps that fit what is there, for the most part.

use super::{
    collection::Collection,
    draw_edit::{alteration, edit, edits},
    edit::at,
    model::{Model, STALE},
    step::{FEEDS, NAMES, SNAPSHOTS, Step, Way, Write},
    words::{self, TEXTS},
};
use amphora::{Datatype, Field, Filter, Point, PointId, Query, Schema, Vector, field};
use amphora_tests::{nearest::METRICS, random::Random};
use serde_json::{Map, Value, json};

/// A kind of step, and how often it comes in a thousand.
type Kind = (u64, fn(&mut Random, &Model, usize) -> Step);

const KINDS: &[Kind] = &[
    (12, |random, _, name| Step::Create(name, schema(random))),
    (6, |_, _, name| Step::Remove(name)),
    (4, |random, _, name| Step::Rename(name, any_name(random))),
    (4, |random, _, name| Step::Alias(any_name(random), name)),
    (4, |random, _, _| Step::Unalias(any_name(random))),
    (8, |random, model, name| {
        Step::Alter(name, alteration(random, model.collection(name)))
    }),
    (3, |random, _, _| Step::Snapshot(snapshot(random))),
    (2, |random, _, _| Step::Forget(snapshot(random))),
    (3, |random, _, _| Step::Restore(snapshot(random))),
    (10, |random, _, _| Step::Advance(1 + random.below(9))),
    (90, |random, model, name| {
        Step::Write(Write::Edit(name, edit(random, model, name)))
    }),
    (60, |random, model, _| {
        Step::Write(Write::Batch(edits(random, model)))
    }),
    (180, |random, model, name| {
        Step::Write(Write::Upsert(name, vec![point(random, model, name)]))
    }),
    (90, |random, model, name| {
        Step::Write(upserts(random, model, name))
    }),
    (60, |random, model, name| {
        Step::Write(Write::Delete(name, ids(random, model.collection(name), 1)))
    }),
    (40, |random, model, name| {
        Step::Write(deletes(random, model, name))
    }),
    (30, |random, model, _| {
        let count = 2 + random.below(5);
        Step::Together((0..count).map(|_| write(random, model)).collect())
    }),
    (110, |random, model, name| {
        Step::Get(name, id(random, model.collection(name)))
    }),
    (50, |random, model, name| {
        let count = random.below(12) as usize;
        Step::GetMany(name, ids(random, model.collection(name), count))
    }),
    (40, |_, _, name| Step::Count(name)),
    (70, |random, _, name| {
        Step::CountMatching(name, filter(random, 3))
    }),
    (12, |_, _, name| Step::Scroll(name)),
    (25, |random, _, name| {
        Step::ScrollMatching(name, filter(random, 3))
    }),
    (180, |random, model, name| {
        Step::Search(name, query(random, model.collection(name)))
    }),
    (5, |_, _, _| Step::List),
    (3, |_, _, _| Step::Aliases),
    (3, |_, _, _| Step::Snapshots),
    (15, |random, _, name| {
        let filter = (random.below(3) == 0).then(|| filter(random, 2));
        Step::OpenFeed(random.below(FEEDS as u64) as usize, name, filter)
    }),
    (50, |random, _, _| {
        let slot = random.below(FEEDS as u64) as usize;
        Step::ReadFeed(slot, 1 + random.below(120) as usize)
    }),
    (8, |random, _, _| {
        Step::Stale(random.below(STALE as u64 * 8) as usize)
    }),
    (4, |_, _, _| Step::Optimize),
    (3, |_, _, _| Step::Reopen(Way::Close)),
    (3, |_, _, _| Step::Reopen(Way::Drop)),
    (4, |_, _, _| Step::Reopen(Way::Crash)),
    (3, |_, _, _| Step::Everything),
];

/// The next step.
pub(crate) fn step(random: &mut Random, model: &Model) -> Step {
    let mut at = random.below(KINDS.iter().map(|(weight, _)| weight).sum());
    let name = collection(random, model);
    for (weight, draw) in KINDS {
        if at < *weight {
            return draw(random, model, name);
        }
        at -= weight;
    }
    Step::Everything
}

fn any_name(random: &mut Random) -> usize {
    random.below(NAMES.len() as u64) as usize
}

fn snapshot(random: &mut Random) -> &'static str {
    SNAPSHOTS[random.below(SNAPSHOTS.len() as u64) as usize]
}

/// A collection that exists, nearly always.
pub(crate) fn collection(random: &mut Random, model: &Model) -> usize {
    let mut name = 0;
    for _ in 0..4 {
        name = any_name(random);
        if model.collection(name).is_some() {
            break;
        }
    }
    name
}

pub(crate) fn pick<'a, T>(random: &mut Random, from: &'a [T]) -> &'a T {
    &from[random.below(from.len() as u64) as usize]
}

pub(crate) const VECTORS: [&str; 3] = ["a", "b", "ü/.."];
pub(crate) const DECLARED: [(&str, Field); 4] = [
    ("year", Field::Integer),
    ("tag", Field::Keyword),
    ("weight", Field::Float),
    ("flag", Field::Bool),
];

/// The vector of this name.
pub(crate) fn vector(random: &mut Random, name: &str) -> Vector {
    // Points may have long lists, and an edit by a filter shall be one step all the same: so few
    // numbers in so few lists.
    let is_multi = name == VECTORS[0] && random.below(2) == 0;
    let widths = &[1, 2, 3, 4, 7, 16, 17, 33];
    let dimensions = *pick(random, if is_multi { &widths[..4] } else { widths });
    let datatype = *pick(random, &[Datatype::Float32, Datatype::Float16]);
    let vector = Vector::new(dimensions, *pick(random, &METRICS)).datatype(datatype);
    if is_multi { vector.multi() } else { vector }
}

fn schema(random: &mut Random) -> Schema {
    let mut schema = Schema::new();
    for name in &VECTORS[..random.below(4) as usize] {
        schema = schema.vector(*name, vector(random, name));
    }
    for (name, declared) in DECLARED {
        if random.below(2) == 0 {
            schema = schema.field(name, declared);
        }
    }
    for name in TEXTS {
        if random.below(3) == 0 {
            schema = schema.text(name, words::text(random));
        }
    }
    schema
}

/// An id out of few, so that they come again; one that exists, every other time.
fn id(random: &mut Random, collection: Option<&Collection>) -> PointId {
    let number = random.below(140);
    if let Some(collection) = collection.filter(|_| random.below(2) == 0) {
        let sort = random.below(3);
        let from = fresh_id(sort, number);
        if let Some((id, _)) = collection.places.range(from..).next() {
            return id.clone();
        }
    }
    fresh_id(random.below(3), number)
}

fn fresh_id(sort: u64, number: u64) -> PointId {
    match sort {
        0 if number % 20 == 7 => PointId::from(u64::MAX - number),
        0 => PointId::from(number),
        1 => PointId::from(uuid::Uuid::from_u128(u128::from(number) << 60)),
        _ if number % 20 == 7 => PointId::from(number.to_string().repeat(80)),
        _ => PointId::from(format!("{number}é")),
    }
}

pub(crate) fn ids(
    random: &mut Random,
    collection: Option<&Collection>,
    count: usize,
) -> Vec<PointId> {
    (0..count).map(|_| id(random, collection)).collect()
}

/// A write that is small enough to be checked at once, so that it stays in its place among others.
fn write(random: &mut Random, model: &Model) -> Write {
    let name = collection(random, model);
    let count = match random.below(5) {
        0 => return deletes(random, model, name),
        1 => return Write::Batch(edits(random, model)),
        2 => 1 + random.below(14),
        _ => 1,
    };
    upsert_of(random, model, name, count)
}

fn upserts(random: &mut Random, model: &Model, name: usize) -> Write {
    let count = match random.below(40) {
        0 => 0,
        // More than fit into a block, or on a page of a feed.
        1 => 300,
        _ => 1 + random.below(14),
    };
    upsert_of(random, model, name, count)
}

fn upsert_of(random: &mut Random, model: &Model, name: usize, count: u64) -> Write {
    let points = (0..count).map(|_| point(random, model, name));
    Write::Upsert(name, points.collect())
}

fn deletes(random: &mut Random, model: &Model, name: usize) -> Write {
    let count = match random.below(40) {
        0 => 0,
        1 => 250,
        _ => 1 + random.below(14),
    };
    Write::Delete(name, ids(random, model.collection(name), count as usize))
}

/// A point that fits the schema, unless it is meant to be refused.
pub(crate) fn point(random: &mut Random, model: &Model, name: usize) -> Point {
    let collection = model.collection(name);
    let mut point = Point::new(id(random, collection)).payload(payload(random));
    let Some(collection) = collection else {
        return point;
    };
    if random.below(25) == 0 {
        point.expires_at = Some(at(expiry(random, model)));
    }
    for (name, vector) in &collection.schema.vectors {
        if random.below(5) > 0 {
            let (width, largest) = (vector.dimensions as usize, largest(vector));
            if vector.multi {
                point = point.multi_vector(name, list(random, width, largest));
            } else {
                point = point.vector(name, values(random, width, largest));
            }
        }
    }
    match random.below(400) {
        0 => point.vectors.push(("absent".into(), vec![1.0])),
        1 => {
            let twice = point.vectors.first().cloned();
            point.vectors.extend(twice);
        }
        2 => {
            if let Some((_, values)) = point.vectors.first_mut() {
                values.push(1.0);
            }
        }
        3 => point = point.payload(json!({ "year": 1.5, "tag": 1, "weight": "x", "flag": 0 })),
        6 => point = point.multi_vector("a", [[1.0]; 0]),
        4 | 5 => {
            let value = [0.0, 7e4][random.below(2) as usize];
            if let Some((_, values)) = point.vectors.first_mut() {
                values.fill(value);
            }
        }
        _ => {}
    }
    point
}

/// A second soon, or just gone.
pub(crate) fn expiry(random: &mut Random, model: &Model) -> u64 {
    model.clock - 2 + random.below(40)
}

/// How large numbers may be to be stored.
fn largest(vector: &Vector) -> f32 {
    match vector.datatype {
        Datatype::Float16 => 6e4,
        _ => 1e15,
    }
}

/// Small integers, whose scores are exact and often equal, or any numbers.
fn values(random: &mut Random, dimensions: usize, largest: f32) -> Vec<f32> {
    let sort = random.below(8);
    let mut values: Vec<f32> = (0..dimensions)
        .map(|_| match sort {
            0..4 => random.below(7) as f32 - 3.0,
            4 => random.unit() * largest,
            5 => random.unit() * 1e-3,
            _ => random.unit(),
        })
        .collect();
    // Under cosine a zero vector is refused.
    if values.iter().all(|x| *x == 0.0) {
        values[0] = 1.0;
    }
    values
}

fn list(random: &mut Random, dimensions: usize, largest: f32) -> Vec<Vec<f32>> {
    let count = 1 + random.below(4);
    (0..count)
        .map(|_| values(random, dimensions, largest))
        .collect()
}

const INTEGERS: [i64; 7] = [-3, 0, 1, 2, 7, (1 << 53) + 1, i64::MIN];
const FLOATS: [f64; 8] = [
    -2.5,
    -0.0,
    0.5,
    1.0,
    7.25,
    9_007_199_254_740_992.0,
    1e300,
    -1e300,
];
const TAGS: [&str; 5] = ["pond", "Pond", "", "a.b", "🏺"];

pub(crate) fn payload(random: &mut Random) -> Value {
    let mut map = Map::new();
    // Absent, null, one value, or several.
    let mut put = |random: &mut Random, name: &str, draw: fn(&mut Random) -> Value| {
        let value = match random.below(8) {
            0 => return,
            1 => Value::Null,
            2 => {
                let count = random.below(4);
                let items = (0..count).map(|_| {
                    let absent = random.below(6) == 0;
                    if absent { Value::Null } else { draw(random) }
                });
                items.collect()
            }
            _ => draw(random),
        };
        map.insert(name.to_owned(), value);
    };
    put(random, "year", |random| {
        if random.below(12) == 0 {
            return json!(u64::MAX);
        }
        json!(pick(random, &INTEGERS))
    });
    put(random, "tag", |random| json!(pick(random, &TAGS)));
    put(random, "weight", number);
    put(random, "words", words::value);
    put(random, "flag", |random| json!(random.below(2) == 0));
    put(random, "any", |random| match random.below(4) {
        0 => json!(pick(random, &TAGS)),
        1 => json!(random.below(2) == 0),
        2 => json!([[1], [{ "deep": 1 }]]),
        _ => number(random),
    });
    put(
        random,
        "author",
        |random| json!({ "name": pick(random, &TAGS), "born": [number(random), null], "a.b": 1 }),
    );
    if random.below(4) == 0 {
        put(random, "author.name", |random| json!(pick(random, &TAGS)));
    }
    if random.below(10) == 0 {
        map.insert("text".into(), "x".repeat(random.below(900) as usize).into());
    }
    Value::Object(map)
}

fn number(random: &mut Random) -> Value {
    if random.below(2) == 0 {
        json!(pick(random, &INTEGERS))
    } else {
        json!(pick(random, &FLOATS))
    }
}

const FIELDS: [&str; 9] = [
    "year",
    "tag",
    "weight",
    "flag",
    "any",
    "author.name",
    "author.born",
    "author.a.b",
    "absent",
];

pub(crate) fn filter(random: &mut Random, depth: u64) -> Filter {
    if depth > 0 && random.below(3) == 0 {
        let count = random.below(4);
        let mut several = || (0..count).map(|_| filter(random, depth - 1)).collect();
        return match count {
            0 | 1 => !filter(random, depth - 1),
            2 => Filter::All(several()),
            _ => Filter::Any(several()),
        };
    }
    let path = field(*pick(random, &FIELDS));
    match random.below(8) {
        0 => path.eq(*pick(random, &TAGS)),
        1 => path.eq(random.below(2) == 0),
        2 => path.eq(number(random)),
        3 => path.at_least(number(random)),
        4 => path.at_most(number(random)),
        5 => path.above(number(random)),
        6 => path.below(number(random)),
        _ => {
            let (low, high) = (number(random), number(random));
            if random.below(2) == 0 {
                path.within(low..high)
            } else {
                path.within(low..=high)
            }
        }
    }
}

fn query(random: &mut Random, collection: Option<&Collection>) -> Query {
    let vectors = collection.map(|collection| &collection.schema.vectors);
    let known = vectors.and_then(|vectors| {
        let place = random.below(vectors.len() as u64) as usize;
        vectors.iter().nth(place)
    });
    let (name, mut dimensions, mut is_multi) = match known {
        Some((name, vector)) => (&**name, vector.dimensions as usize, vector.multi),
        None => ("absent", 3, false),
    };
    if random.below(200) == 0 {
        dimensions += 1;
    }
    if random.below(200) == 0 {
        is_multi = !is_multi;
    }
    let has_text = collection.is_some_and(|collection| !collection.schema.texts.is_empty());
    let query = match is_multi {
        _ if random.below(40) == 0 || has_text && random.below(3) == 0 => {
            words::query(random, collection)
        }
        true => Query::nearest_multi(name, list(random, dimensions, 1e15)),
        false => Query::nearest(name, values(random, dimensions, 1e15)),
    };
    let mut query = query
        .limit(1 + random.below(20) as usize)
        .with_payload(random.below(2) == 0)
        .with_vectors(random.below(2) == 0);
    if random.below(100) == 0 {
        query.limit = Some(*pick(random, &[0, 600, 10_000, 10_001]));
    }
    if random.below(2) == 0 {
        query = query.filter(filter(random, 3));
    }
    match random.below(4) {
        0 => query.exact(),
        1 => query,
        // So few are wanted that small indexes are asked.
        _ => {
            query.limit = query.limit.min(Some(1 + random.below(3) as usize));
            query.ef(1 + random.below(4) as usize)
        }
    }
}
