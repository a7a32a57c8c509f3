//! A scripted run of every kind of write, and the model of what it must leave.
//!
//! The model is a map and knows nothing of logs. Tests run the script on a directory of their
//! choice, stop it somewhere, open what is there, and compare.

mod script;

pub use script::{coda, random_script, script, writes};

use crate::{
    nearest,
    opening::{self, Memory},
    weights, words,
};
use amphora::{
    Batch, BoxFuture, Database, Datatype, Edit, Field, Metric, Point, PointId, Result, Schema,
    Vector, field, vfs::Vfs,
};
use serde_json::json;
use std::collections::BTreeMap;

/// Points by collection and id.
pub type Contents = BTreeMap<String, BTreeMap<PointId, Point>>;

/// As what the field that may come late is declared, by collection.
type Declared = BTreeMap<String, Field>;

/// What a database holds, as what it declares it, and what its snapshots do.
///
/// Two are equal when they hold and declare the same and have snapshots of the same names: what a snapshot
/// holds is read by going back to it.
#[derive(Clone, Debug, Default)]
pub struct Model(
    pub Contents,
    Declared,
    BTreeMap<String, (Contents, Declared)>,
);

/// What every point has a number of, and a schema not always.
const LATE: &str = "late";
/// How many different ones there are.
const LATE_VALUES: u64 = 3;

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
    /// Sets the version in the payloads of points that are there.
    SetVersion(&'static str, Vec<PointId>, u64),
    /// Upserts, deletes and set versions of any collections, as one batch.
    Batch(Vec<Change>),
    /// Declares the field that may come late, as it is not yet, or declares it no more.
    Declare(&'static str, Option<Field>),
    /// Gives a collection another name.
    Rename(&'static str, &'static str),
    /// Makes a snapshot.
    Snapshot(&'static str),
    /// Deletes a snapshot.
    Forget(&'static str),
    /// Goes back to a snapshot.
    Restore(&'static str),
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
    /// What it holds alone, for those who look at snapshots themselves.
    #[must_use]
    pub fn without_snapshots(self) -> Self {
        Self(self.0, self.1, BTreeMap::new())
    }

    /// Does what a change does.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Create(name) => drop(self.0.insert((*name).to_owned(), BTreeMap::new())),
            Change::Remove(name) => {
                self.0.remove(*name);
                self.1.remove(*name);
            }
            Change::Upsert(name, points) => {
                let collection = self.0.entry((*name).to_owned()).or_default();
                collection.extend(points.iter().map(|point| (point.id.clone(), point.clone())));
            }
            Change::Delete(name, ids) => {
                let collection = self.0.entry((*name).to_owned()).or_default();
                collection.retain(|id, _| !ids.contains(id));
            }
            Change::SetVersion(name, ids, version) => {
                let collection = self.0.entry((*name).to_owned()).or_default();
                let named = collection.iter_mut().filter(|(id, _)| ids.contains(id));
                named.for_each(|(_, point)| set_version(point, *version));
            }
            Change::Batch(parts) => parts.iter().for_each(|part| self.apply(part)),
            Change::Declare(name, field) => {
                self.1.remove(*name);
                self.1
                    .extend(field.map(|field| ((*name).to_owned(), field)));
            }
            Change::Rename(from, to) => {
                let to = || (*to).to_owned();
                let points = self.0.remove(*from);
                self.0.extend(points.map(|points| (to(), points)));
                let field = self.1.remove(*from);
                self.1.extend(field.map(|field| (to(), field)));
            }
            Change::Snapshot(name) => {
                let now = (self.0.clone(), self.1.clone());
                drop(self.2.insert((*name).to_owned(), now));
            }
            Change::Forget(name) => drop(self.2.remove(*name)),
            Change::Restore(name) => {
                (self.0, self.1) = self.2.get(*name).cloned().unwrap_or_default();
            }
        }
    }

    /// What a database holds, and the names of its snapshots.
    ///
    /// # Errors
    /// Those of reading it.
    ///
    /// # Panics
    /// When it contradicts itself: `count`, `get`, `scroll` and searches must be of one mind.
    pub fn read(db: &Database) -> Result<Self> {
        let mut model = Self::default();
        for name in db.collections().wait()? {
            let collection = db.collection(&name).wait()?;
            let mut declared = collection.schema();
            let late = declared.fields.remove(LATE);
            assert_eq!(declared, schema(), "the schema of {name}");
            model.1.extend(late.map(|field| (name.clone(), field)));
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
            let problem = nearest::problem(&collection, &points.values().collect::<Vec<_>>())?;
            assert_eq!(problem, None);
            let problem = words::problem(&collection, &points.values().collect::<Vec<_>>())?;
            assert_eq!(problem, None);
            let problem = weights::problem(&collection, &points.values().collect::<Vec<_>>())?;
            assert_eq!(problem, None);
            for value in 0..LATE_VALUES {
                let found = collection.count_matching(field(LATE).eq(value)).wait()?;
                let is_it = |point: &&Point| point.payload.to_value()[LATE] == value;
                let expected = points.values().filter(is_it).count() as u64;
                assert_eq!(found, expected, "{name}: {LATE} {value}");
            }
            model.0.insert(name, points);
        }
        for snapshot in db.snapshots().wait()? {
            model.2.insert(snapshot.name, Default::default());
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

impl PartialEq for Model {
    fn eq(&self, other: &Self) -> bool {
        (&self.0, &self.1) == (&other.0, &other.1) && self.2.keys().eq(other.2.keys())
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
    Box::pin(async move {
        match change {
            Change::Create(name) => db.create_collection(name, schema()).await.map(drop),
            Change::Remove(name) => db.delete_collection(name).await,
            Change::Upsert(name, points) => db.collection(name).await?.upsert(points).await,
            Change::Delete(name, ids) => db.collection(name).await?.delete(ids).await.map(drop),
            Change::SetVersion(..) => {
                let (name, edit) = edit(change);
                db.collection(name).await?.apply(edit).await.map(drop)
            }
            Change::Batch(parts) => {
                let mut batch = Batch::new();
                for (name, edit) in parts.into_iter().map(edit) {
                    batch = batch.edit(&db.collection(name).await?, edit);
                }
                db.write(batch).await.map(drop)
            }
            Change::Declare(name, Some(field)) => {
                db.collection(name).await?.add_field(LATE, field).await
            }
            Change::Declare(name, None) => db.collection(name).await?.drop_field(LATE).await,
            Change::Rename(from, to) => db.rename_collection(from, to).await,
            Change::Snapshot(name) => db.create_snapshot(name).await.map(drop),
            Change::Forget(name) => db.delete_snapshot(name).await,
            Change::Restore(name) => db.restore_snapshot(name).await,
        }
    })
}

/// A change of points, as a part of a batch.
fn edit(change: Change) -> (&'static str, Edit) {
    match change {
        Change::Upsert(name, points) => (name, Edit::upsert(points)),
        Change::Delete(name, ids) => (name, Edit::delete(ids)),
        Change::SetVersion(name, ids, version) => {
            (name, Edit::set_payload(ids, json!({ "version": version })))
        }
        other => panic!("{other:?} is no change of points"),
    }
}

fn set_version(point: &mut Point, version: u64) {
    let mut payload = point.payload.to_value();
    payload["version"] = version.into();
    point.payload = payload.into();
}

fn schema() -> Schema {
    Schema::new()
        .vector("a", Vector::new(4, Metric::Cosine))
        .vector(
            "b",
            Vector::new(2, Metric::Manhattan).datatype(Datatype::Float16),
        )
        .field("version", Field::Integer)
        .text("words", words::text())
        .sparse("weights", weights::sparse())
}

/// A point that differs by its version, with `text` bytes of text.
#[must_use]
pub fn point(id: impl Into<PointId>, version: u64, text: usize) -> Point {
    let id = id.into();
    // Points of one version differ, so that an index can tell them apart.
    let y = match &id {
        PointId::Number(number) => (number % 64) as f32,
        _ => 0.5,
    };
    let x = version as f32;
    let weights = weights::vector(version * 64 + y as u64);
    let point = Point::new(id)
        .sparse("weights", weights)
        .vector("a", [x, 1.0 + y, -x, 0.5 * y])
        .payload(json!({
            "version": version,
            LATE: version % LATE_VALUES,
            "text": "x".repeat(text),
            "words": format!("a point of v{version} w{y}"),
            "nested": { "list": [1.5, null, "q"] },
        }));
    // Every other point has one vector only.
    if version.is_multiple_of(2) {
        point
    } else {
        // What 16 bits hold exactly, as long as versions are below 2,048.
        point.vector("b", [x, 0.25 - y])
    }
}
