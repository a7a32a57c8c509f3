//! All kinds of queries, beside models that look at every point: in memory, in many segments, merged and
//! indexed, and where points were replaced and deleted in between.

mod examples;
mod formula;
mod grouping;
mod led;
mod order;
mod rescoring;

use amphora::{
    Collection, Database, Field, Filter, Hit, Metric, Options, Point, Query, Schema, Sparse,
    SparseVector, Text, Vector, field,
};
use amphora_tests::{opening::settle, random::Random, truth::number};
use serde_json::{Value, json};
use std::{collections::BTreeMap, ops::Range};

const DIMENSIONS: usize = 4;
const VECTORS: [(&str, Metric); 4] = [
    ("dot", Metric::Dot),
    ("euclidean", Metric::Euclidean),
    ("manhattan", Metric::Manhattan),
    ("cosine", Metric::Cosine),
];

/// What a filter shall keep, by the number of the point.
type Keep = fn(u64) -> bool;

/// Answered from a column, from few rows of one, and from payloads.
fn filters() -> [(Filter, Keep); 3] {
    [
        (field("n").at_least(60), |id| id >= 60),
        (field("n").within(100..104), |id| (100..104).contains(&id)),
        (!field("third").eq(0), |id| !id.is_multiple_of(3)),
    ]
}

/// A score with an id.
type Ranked = (f32, u64);

/// A collection, and the points that it must hold.
struct Subject {
    db: Database,
    docs: Collection,
    points: BTreeMap<u64, Point>,
    random: Random,
}

impl Subject {
    /// Has `check` look at the points wherever they may lie.
    fn everywhere(check: impl Fn(&Self)) {
        let directory = tempfile::tempdir().expect("a directory");
        let options = Options {
            index_from: 50,
            memtable_bytes: 64 << 10,
            ..Options::default()
        };
        let opening = Database::builder(directory.path()).options(options);
        let db = opening.open().wait().expect("it opens");
        let schema = VECTORS
            .iter()
            .fold(Schema::new(), |schema, (name, metric)| {
                schema.vector(*name, Vector::new(DIMENSIONS as u32, *metric))
            })
            .sparse("words", Sparse::new())
            .text("name", Text::plain())
            .field("n", Field::Integer)
            .field("rank", Field::Float)
            .field("name", Field::Keyword)
            .field("flag", Field::Bool);
        let docs = db.create_collection("docs", schema).wait().expect("new");
        let mut subject = Self {
            db,
            docs,
            points: BTreeMap::new(),
            random: Random(4),
        };
        check(&subject);
        subject.fill(0..90);
        check(&subject);
        // Each replaces some of what the one before wrote.
        for batch in 1..6 {
            subject.fill(batch * 50..batch * 50 + 90);
        }
        settle(&subject.db).expect("settled");
        subject.delete(20..40);
        check(&subject);
        subject.db.optimize().wait().expect("optimized");
        let stats = subject.db.stats();
        assert!(stats.indexes > 0 && stats.segments == 1, "{stats:?}");
        check(&subject);
        // In a segment, of which some rows have ended, and in memory.
        subject.fill(80..130);
        subject.delete(100..102);
        check(&subject);
        subject.db.optimize().wait().expect("optimized");
        check(&subject);
    }

    fn fill(&mut self, ids: Range<u64>) {
        let mut batch = Vec::new();
        for id in ids {
            let random = &mut self.random;
            let mut point = Point::new(id).payload(payload(id, random));
            for (name, _) in VECTORS {
                // Some lack some.
                if random.below(8) > 0 {
                    point = point.vector(name, values(random));
                }
            }
            if random.below(8) > 0 {
                point = point.sparse("words", words(random));
            }
            batch.push(point.clone());
            self.points.insert(id, point);
        }
        self.docs.upsert(batch).wait().expect("written");
    }

    fn delete(&mut self, ids: Range<u64>) {
        self.docs.delete(ids.clone()).wait().expect("deleted");
        self.points.retain(|id, _| !ids.contains(id));
    }

    fn search(&self, query: Query) -> Vec<Hit> {
        self.docs.search(query).wait().expect("hits")
    }

    fn vector(&self, id: u64, name: &str) -> Option<&[f32]> {
        let mut vectors = self.points.get(&id)?.vectors.iter();
        vectors
            .find(|(known, _)| known == name)
            .map(|(_, v)| &v[..])
    }

    /// Some point that has this vector.
    fn any_with(&self, name: &str, random: &mut Random) -> u64 {
        let all = self
            .points
            .keys()
            .filter(|id| self.vector(**id, name).is_some());
        let all: Vec<u64> = all.copied().collect();
        all[random.below(all.len() as u64) as usize]
    }
}

/// Values of all kinds, lists among them, and none.
fn payload(id: u64, random: &mut Random) -> Value {
    let mut payload = json!({ "n": id, "third": id % 3, "group": random.below(12) });
    let number = |random: &mut Random| json!(random.below(40) as f64 / 4.0 - 3.0);
    match random.below(5) {
        0 => {}
        1 => payload["rank"] = json!([number(random), null, number(random)]),
        _ => payload["rank"] = number(random),
    }
    match random.below(4) {
        0 => {}
        1 => payload["mixed"] = json!(["b", 2, random.below(5)]),
        2 => payload["mixed"] = json!(random.below(2) == 0),
        _ => payload["mixed"] = json!(format!("m{}", random.below(9))),
    }
    payload["name"] = json!(format!("name {}", random.below(30)));
    let (days, hours) = (1 + id / 24, id % 24);
    payload["time"] = json!(format!("2024-05-{days:02}T{hours:02}:00:00Z"));
    payload["place"] = json!({ "lon": 13.0 + id as f64 / 100.0, "lat": 52.0 });
    payload["flag"] = json!(random.below(2) == 0);
    if random.below(3) == 0 {
        payload["group"] = json!([random.below(12), "x", random.below(12)]);
    }
    payload
}

/// Small whole numbers, so that scores are exact and many of them equal; never all zero.
fn values(random: &mut Random) -> Vec<f32> {
    let value = |at| match at {
        0 => 1.0 + random.below(3) as f32,
        _ => random.below(7) as f32 - 3.0,
    };
    (0..DIMENSIONS).map(value).collect()
}

fn words(random: &mut Random) -> SparseVector {
    let entries: BTreeMap<u32, f32> = (0..4)
        .map(|_| (random.below(20) as u32, 1.0 + random.below(4) as f32))
        .collect();
    SparseVector::new(entries).expect("it is one")
}

fn ranked(hits: &[Hit]) -> Vec<Ranked> {
    hits.iter()
        .map(|hit| (hit.score, number(&hit.id)))
        .collect()
}

fn sort(list: &mut [Ranked]) {
    list.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
}

/// Whether hits are the best of what every point scores; a score may be off by so much.
fn same(hits: &[Hit], mut all: Vec<Ranked>, limit: usize, off: f32) {
    sort(&mut all);
    let scores: BTreeMap<u64, f32> = all.iter().map(|(score, id)| (*id, *score)).collect();
    assert_eq!(hits.len(), all.len().min(limit));
    for ((score, id), (expected, other)) in ranked(hits).into_iter().zip(all) {
        let own = scores.get(&id).unwrap_or_else(|| panic!("{id} is no hit"));
        let scale = off * score.abs().max(1.0);
        assert!((score - own).abs() <= scale, "{id}: {score}, {own}");
        assert!((score - expected).abs() <= scale, "{id} before {other}");
        assert!(off > 0.0 || id == other, "{id} before {other}");
    }
}
