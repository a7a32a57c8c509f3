//! A scripted run of every kind of write, and the model of what it must leave.
//!
//! The model is a map and knows nothing of logs. Tests run the script on a directory of their
//! choice, stop it somewhere, open what is there, and compare.

use crate::{
    opening::{self, Memory},
    random::Random,
};
use amphora::{
    BoxFuture, Collection, Database, Error, Field, Metric, Point, PointId, Result, Schema, Vector,
    vfs::Vfs,
};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// What a database holds: points by collection and id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model(pub BTreeMap<String, BTreeMap<PointId, Point>>);

/// One write.
#[derive(Clone, Debug)]
pub enum Change {
    /// Creates a collection.
    Create(&'static str),
    /// Deletes a collection.
    Remove(&'static str),
    /// Writes points as one batch.
    Upsert(&'static str, Vec<Point>),
    /// Deletes points as one batch.
    Delete(&'static str, Vec<PointId>),
}

/// A step of a script.
#[derive(Clone, Debug)]
pub enum Step {
    /// A write that is waited for.
    Write(Change),
    /// Writes that are all under way before the first is answered, in this order.
    Together(Vec<Change>),
    /// Writes all points to segments and merges them.
    Optimize,
    /// Closes the database and opens it again.
    Reopen,
}

impl Step {
    /// The writes of this step, in their order.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        match self {
            Self::Write(change) => std::slice::from_ref(change),
            Self::Together(changes) => changes,
            Self::Optimize | Self::Reopen => &[],
        }
    }
}

impl Model {
    /// Does what a change does.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Create(name) => drop(self.0.insert((*name).to_owned(), BTreeMap::new())),
            Change::Remove(name) => drop(self.0.remove(*name)),
            Change::Upsert(name, points) => {
                let collection = self.0.entry((*name).to_owned()).or_default();
                collection.extend(points.iter().map(|point| (point.id.clone(), point.clone())));
            }
            Change::Delete(name, ids) => {
                let collection = self.0.entry((*name).to_owned()).or_default();
                collection.retain(|id, _| !ids.contains(id));
            }
        }
    }

    /// What a database holds.
    ///
    /// # Errors
    /// Those of reading it.
    ///
    /// # Panics
    /// When it contradicts itself: `count`, `get` and `scroll` must be of one mind.
    pub fn read(db: &Database) -> Result<Self> {
        let mut model = Self::default();
        for name in db.collections().wait()? {
            let collection = db.collection(&name).wait()?;
            assert_eq!(collection.schema(), schema(), "the schema of {name}");
            let mut points = BTreeMap::new();
            for point in collection.scroll() {
                let point = point?;
                let before = points.insert(point.id.clone(), point);
                assert!(before.is_none(), "{name} yields a point twice");
            }
            assert_eq!(collection.count().wait()?, points.len() as u64);
            if let Some((id, point)) = points.first_key_value() {
                assert_eq!(collection.get(id).wait()?.as_ref(), Some(point));
            }
            model.0.insert(name, points);
        }
        Ok(model)
    }

    /// The models before the first change and after each.
    #[must_use]
    pub fn states(&self, changes: &[Change]) -> Vec<Self> {
        let mut states = vec![self.clone()];
        for change in changes {
            let mut next = states.last().cloned().unwrap_or_default();
            next.apply(change);
            states.push(next);
        }
        states
    }
}

/// Opens a database on the pools of the process, with so little memory that points leave it often.
///
/// # Errors
/// Those of opening it.
pub fn open(vfs: impl Vfs + 'static) -> Result<Database> {
    opening::open(vfs, Memory::Tiny)
}

/// Starts a change. Nothing happens before it is polled; the first poll puts it into the queue.
pub fn start(db: &Database, change: &Change) -> BoxFuture<'static, Result<()>> {
    let (db, change) = (db.clone(), change.clone());
    let find =
        async |db: Database, name: &str| -> Result<Collection, Error> { db.collection(name).await };
    Box::pin(async move {
        match change {
            Change::Create(name) => db.create_collection(name, schema()).await.map(drop),
            Change::Remove(name) => db.delete_collection(name).await,
            Change::Upsert(name, points) => find(db, name).await?.upsert(points).await,
            Change::Delete(name, ids) => find(db, name).await?.delete(ids).await.map(drop),
        }
    })
}

fn schema() -> Schema {
    Schema::new()
        .vector("a", Vector::new(4, Metric::Cosine))
        .vector("b", Vector::new(2, Metric::Manhattan))
        .field("version", Field::Integer)
}

/// A point that differs by its version, with `text` bytes of text.
#[must_use]
pub fn point(id: impl Into<PointId>, version: u64, text: usize) -> Point {
    let x = version as f32;
    let point = Point::new(id)
        .vector("a", [x, 1.0, -x, 0.5])
        .payload(json!({
            "version": version,
            "text": "x".repeat(text),
            "nested": { "list": [1.5, null, "q"] },
        }));
    // Every other point has one vector only.
    if version.is_multiple_of(2) {
        point
    } else {
        point.vector("b", [x, 0.25])
    }
}

fn points(ids: std::ops::Range<u64>, version: u64, text: usize) -> Vec<Point> {
    ids.map(|id| point(id, version, text)).collect()
}

fn ids(ids: impl IntoIterator<Item = u64>) -> Vec<PointId> {
    ids.into_iter().map(PointId::from).collect()
}

/// The run that is stopped everywhere: every kind of write, batches within one sector and over
/// many, groups of several writes, a collection that comes again under its name, merging and
/// reopening.
#[must_use]
pub fn script() -> Vec<Step> {
    use Change::{Create, Delete, Remove, Upsert};
    use Step::{Optimize, Reopen, Together, Write};
    let uuid = uuid::Uuid::from_u128(7);
    vec![
        Write(Create("docs")),
        Write(Upsert("docs", points(0..1, 1, 10))),
        Write(Upsert("docs", points(1..6, 2, 30))),
        Write(Create("notes")),
        Write(Upsert(
            "notes",
            vec![point("north", 3, 0), point(uuid, 4, 700)],
        )),
        Write(Delete("docs", ids([1, 3, 99]))),
        Together(vec![
            Upsert("docs", points(10..11, 5, 5)),
            Upsert("notes", points(10..13, 6, 200)),
            Delete("docs", ids([10])),
            Upsert("docs", points(10..12, 7, 450)),
            Delete("notes", vec!["north".into()]),
            Upsert("notes", vec![point("north", 8, 1)]),
        ]),
        Write(Upsert("docs", points(20..26, 9, 1_200))),
        Optimize,
        Reopen,
        Write(Upsert("docs", points(0..4, 10, 60))),
        Write(Remove("notes")),
        Write(Create("notes")),
        Write(Upsert("notes", points(0..2, 11, 20))),
        Together(vec![
            Upsert("docs", points(30..32, 12, 300)),
            Upsert("notes", points(1..3, 13, 300)),
            Create("drafts"),
            Upsert("docs", points(31..33, 14, 5)),
        ]),
        Write(Upsert("drafts", vec![point("only", 15, 40)])),
        Write(Delete("docs", ids(0..31))),
        Optimize,
        Write(Delete("docs", ids(0..40))),
        Reopen,
        Write(Upsert("docs", points(0..2, 16, 4_000))),
        Write(Remove("drafts")),
        Write(Upsert("notes", points(0..1, 17, 0))),
    ]
}

const NAMES: [&str; 3] = ["docs", "notes", "drafts"];

/// A run of the same kinds of steps, drawn from a seed: small batches over few ids, so that most
/// writes go over earlier ones, and collections that go and come again.
#[must_use]
pub fn random_script(seed: u64) -> Vec<Step> {
    let mut random = Random(seed);
    let mut existing = BTreeSet::from([NAMES[0]]);
    let mut steps = vec![Step::Write(Change::Create(NAMES[0]))];
    for version in 0..10 + random.below(16) {
        let write = |random: &mut Random| {
            let name = *existing
                .iter()
                .nth(random.below(existing.len() as u64) as usize)?;
            let first = random.below(12);
            let last = first + 1 + random.below(3);
            let text = match random.below(8) {
                0 => random.below(1_500),
                _ => random.below(90),
            };
            let change = match random.below(4) {
                0 => Change::Delete(name, ids(first..last)),
                _ => Change::Upsert(name, points(first..last, version, text as usize)),
            };
            Some(change)
        };
        let step = match random.below(11) {
            0 => Some(Step::Reopen),
            10 => Some(Step::Optimize),
            1 => {
                let changes = 2 + random.below(3);
                let changes = (0..changes).map(|_| write(&mut random)).collect();
                Option::map(changes, Step::Together)
            }
            2 => {
                let name = NAMES[random.below(3) as usize];
                let change = match existing.remove(name) {
                    true => Change::Remove(name),
                    false => Change::Create(name),
                };
                if let Change::Create(name) = change {
                    existing.insert(name);
                }
                Some(Step::Write(change))
            }
            _ => write(&mut random).map(Step::Write),
        };
        steps.extend(step);
    }
    steps
}

/// A few writes that fit on whatever the script left.
#[must_use]
pub fn coda() -> Vec<Step> {
    use Change::{Create, Delete, Upsert};
    use Step::{Together, Write};
    vec![
        Write(Create("later")),
        Together(vec![
            Upsert("later", points(0..2, 18, 90)),
            Upsert("later", points(1..3, 19, 500)),
        ]),
        Write(Delete("later", ids([0]))),
    ]
}
