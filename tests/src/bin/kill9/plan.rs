//! What each operation writes, from its number alone, and what must be there after so many.

use amphora::{Database, Metric, Point, PointId, Result, Schema, Vector};
use amphora_tests::{
    opening::{self, Memory},
    random::Random,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::Path};

/// The threads of a child.
pub(crate) const THREADS: u64 = 4;
/// The collections that all threads write to. Each has one of its own besides, now and then.
pub(crate) const SHARED: [&str; 2] = ["apples", "pears"];

/// What one operation does. Collections by name, points by their number.
pub(crate) enum Planned {
    Create(String),
    Remove(String),
    Upsert(String, Vec<u64>),
    Delete(String, Vec<u64>),
}

/// Operation `n` of a thread.
pub(crate) fn planned(seed: u64, thread: u64, n: u64) -> Planned {
    let mut random = Random(seed ^ thread << 56 ^ n << 8);
    random.draw();
    let own = format!("own-{thread}");
    let turn = n % 60;
    if turn == 20 {
        return Planned::Create(own);
    }
    if turn == 50 {
        return Planned::Remove(own);
    }
    let collection = if (21..50).contains(&turn) && random.below(4) == 0 {
        own
    } else {
        SHARED[random.below(2) as usize].to_owned()
    };
    let mut ids = |most: u64| {
        let count = 1 + random.below(most);
        (0..count)
            .map(|_| thread * 1_000_000 + random.below(64))
            .collect()
    };
    match n % 11 {
        0 | 1 => Planned::Upsert(collection, ids(20)),
        2 | 3 => Planned::Delete(collection, ids(5)),
        // Too large for the space that the log prepares.
        4 if n % 10 == 4 => {
            let first = thread * 1_000_000 + 100;
            Planned::Upsert(collection, (first..first + 250).collect())
        }
        _ => Planned::Upsert(collection, ids(1)),
    }
}

/// The point that operation `n` writes under this id.
pub(crate) fn point(id: u64, n: u64) -> Point {
    let mut random = Random(id << 32 ^ n);
    let values: Vec<f32> = (0..16).map(|_| random.unit()).collect();
    Point::new(id).vector("v", values).payload(json!({
        "n": n,
        "text": "x".repeat(random.below(400) as usize),
    }))
}

/// Opens a database with so little memory that kills hit flushes and merges.
pub(crate) fn open(path: &Path) -> Result<Database> {
    let options = opening::options(Memory::Tiny);
    Database::builder(path).options(options).open().wait()
}

pub(crate) fn schema() -> Schema {
    Schema::new().vector("v", Vector::new(16, Metric::Euclidean))
}

/// The points of one thread: by collection and id, the operation that wrote them last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Expected(BTreeMap<String, BTreeMap<u64, u64>>);

impl Expected {
    /// After so many operations of a thread.
    pub(crate) fn after(seed: u64, thread: u64, operations: u64) -> Self {
        let shared = SHARED.map(|name| (name.to_owned(), BTreeMap::new()));
        let mut expected = Self(BTreeMap::from(shared));
        (0..operations).for_each(|n| expected.apply(planned(seed, thread, n), n));
        expected
    }

    pub(crate) fn apply(&mut self, planned: Planned, n: u64) {
        match planned {
            Planned::Create(name) => drop(self.0.insert(name, BTreeMap::new())),
            Planned::Remove(name) => drop(self.0.remove(&name)),
            Planned::Upsert(name, ids) => {
                let points = self.0.entry(name).or_default();
                points.extend(ids.into_iter().map(|id| (id, n)));
            }
            Planned::Delete(name, ids) => {
                let points = self.0.entry(name).or_default();
                points.retain(|id, _| !ids.contains(id));
            }
        }
    }
}

/// What a directory holds, for each thread. A point that is not as it was written has the number
/// of no operation.
pub(crate) fn found(db: &Database) -> Result<Vec<Expected>> {
    let mut threads = vec![Expected::default(); THREADS as usize];
    for name in db.collections().wait()? {
        let own = name
            .strip_prefix("own-")
            .and_then(|n| n.parse::<usize>().ok());
        for (number, thread) in threads.iter_mut().enumerate() {
            if own.is_none_or(|own| own == number) {
                thread.0.insert(name.clone(), BTreeMap::new());
            }
        }
        for found in db.collection(&name).wait()?.scroll() {
            let found = found?;
            let PointId::Number(id) = found.id else {
                continue;
            };
            let n = found.payload.get("n").and_then(Value::as_u64);
            let n = n.filter(|n| point(id, *n) == found).unwrap_or(u64::MAX);
            if let Some(thread) = threads.get_mut((id / 1_000_000) as usize) {
                thread.0.entry(name.clone()).or_default().insert(id, n);
            }
        }
    }
    Ok(threads)
}
