//! What each operation writes, from its number alone, and what must be there after so many.

use amphora::{Database, Metric, Point, PointId, Result, Schema, Vector};
use amphora_tests::{
    nearest,
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
    /// Says in the payloads of points that are there which operation edited them.
    Edit(String, Vec<u64>),
    /// Upserts, deletes and edits, together.
    Batch(Vec<Planned>),
    /// Makes the thread's snapshot.
    Snapshot(String),
    Forget(String),
    Optimize,
}

/// The name of a thread's own collection, and of its snapshot.
fn own(thread: u64) -> String {
    format!("own-{thread}")
}

/// Operation `n` of a thread.
pub(crate) fn planned(seed: u64, thread: u64, n: u64) -> Planned {
    let mut random = Random(seed ^ thread << 56 ^ n << 8);
    random.draw();
    let own = own(thread);
    let turn = n % 60;
    match turn {
        20 => return Planned::Create(own),
        25 => return Planned::Snapshot(own),
        45 => return Planned::Forget(own),
        50 => return Planned::Remove(own),
        55 if thread == 0 => return Planned::Optimize,
        _ => {}
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
        5 => Planned::Edit(collection, ids(5)),
        6 | 7 => {
            let [first, second] = SHARED.map(str::to_owned);
            Planned::Batch(vec![
                Planned::Upsert(first.clone(), ids(8)),
                Planned::Delete(second.clone(), ids(3)),
                Planned::Upsert(second, ids(8)),
                Planned::Edit(first, ids(8)),
            ])
        }
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

fn edited_point(id: u64, n: u64, edited: Option<u64>) -> Point {
    let mut point = point(id, n);
    if let Some(edited) = edited {
        let mut payload = point.payload.to_value();
        payload["edited"] = edited.into();
        point.payload = payload.into();
    }
    point
}

/// Opens a database with so little memory that kills hit flushes and merges.
pub(crate) fn open(path: &Path) -> Result<Database> {
    let options = opening::options(Memory::Tiny);
    Database::builder(path).options(options).open().wait()
}

pub(crate) fn schema() -> Schema {
    Schema::new().vector("v", Vector::new(16, Metric::Euclidean))
}

/// By collection and id, the operation that wrote a point last, and the one that edited it since.
pub(crate) type Points = BTreeMap<String, BTreeMap<u64, (u64, Option<u64>)>>;

/// What there is of one thread.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Expected {
    pub(crate) points: Points,
    pub(crate) has_snapshot: bool,
}

/// What there must be of one thread, and in its snapshot.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) now: Expected,
    pub(crate) snapshot: Points,
}

impl Model {
    /// After so many operations of a thread.
    pub(crate) fn after(seed: u64, thread: u64, operations: u64) -> Self {
        let shared = SHARED.map(|name| (name.to_owned(), BTreeMap::new()));
        let mut model = Self {
            now: Expected {
                points: BTreeMap::from(shared),
                has_snapshot: false,
            },
            snapshot: Points::new(),
        };
        (0..operations).for_each(|n| model.apply(planned(seed, thread, n), n));
        model
    }

    pub(crate) fn apply(&mut self, planned: Planned, n: u64) {
        let points = &mut self.now.points;
        match planned {
            Planned::Create(name) => drop(points.insert(name, BTreeMap::new())),
            Planned::Remove(name) => drop(points.remove(&name)),
            Planned::Upsert(name, ids) => {
                let points = points.entry(name).or_default();
                points.extend(ids.into_iter().map(|id| (id, (n, None))));
            }
            Planned::Delete(name, ids) => {
                let points = points.entry(name).or_default();
                points.retain(|id, _| !ids.contains(id));
            }
            Planned::Edit(name, ids) => {
                let points = points.entry(name).or_default().iter_mut();
                let named = points.filter(|(id, _)| ids.contains(id));
                named.for_each(|(_, (_, edited))| *edited = Some(n));
            }
            Planned::Batch(parts) => parts.into_iter().for_each(|part| self.apply(part, n)),
            Planned::Snapshot(_) => {
                self.now.has_snapshot = true;
                self.snapshot = points.clone();
            }
            Planned::Forget(_) => self.now.has_snapshot = false,
            Planned::Optimize => {}
        }
    }
}

/// What a directory holds, for each thread. A point that is not as it was written has the number
/// of no operation.
pub(crate) fn found(db: &Database) -> Result<Vec<Expected>> {
    let mut threads = vec![Expected::default(); THREADS as usize];
    for snapshot in db.snapshots().wait()? {
        let owner = (0..)
            .zip(&mut threads)
            .find(|(n, _)| own(*n) == snapshot.name);
        owner
            .into_iter()
            .for_each(|(_, thread)| thread.has_snapshot = true);
    }
    for name in db.collections().wait()? {
        let own = name
            .strip_prefix("own-")
            .and_then(|n| n.parse::<usize>().ok());
        for (number, thread) in threads.iter_mut().enumerate() {
            if own.is_none_or(|own| own == number) {
                thread.points.insert(name.clone(), BTreeMap::new());
            }
        }
        for found in db.collection(&name).wait()?.scroll() {
            let found = found?;
            let PointId::Number(id) = found.id else {
                continue;
            };
            let number = |key| found.payload.get(key).and_then(Value::as_u64);
            let edited = number("edited");
            let n = number("n").filter(|n| edited_point(id, *n, edited) == found);
            if let Some(thread) = threads.get_mut((id / 1_000_000) as usize) {
                let points = thread.points.entry(name.clone()).or_default();
                points.insert(id, (n.unwrap_or(u64::MAX), edited));
            }
        }
    }
    Ok(threads)
}

/// What is wrong with searches, judged by what can be read besides.
pub(crate) fn search_problem(db: &Database) -> Result<Option<String>> {
    for name in db.collections().wait()? {
        let collection = db.collection(&name).wait()?;
        let points: Vec<Point> = collection.scroll().into_iter().collect::<Result<_>>()?;
        let problem = nearest::problem(&collection, &points.iter().collect::<Vec<_>>())?;
        if problem.is_some() {
            return Ok(problem);
        }
    }
    Ok(None)
}

/// Goes back to the snapshot of a thread, and gives what that holds of it.
pub(crate) fn found_in_snapshot(db: &Database, thread: u64) -> Result<Points> {
    db.restore_snapshot(own(thread)).wait()?;
    let found = found(db)?.into_iter().nth(thread as usize);
    Ok(found.unwrap_or_default().points)
}
