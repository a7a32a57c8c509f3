//! The runs: a fixed one, random ones, and a short one that goes on after any of them.

use super::{
    Change::{
        self, Batch, Create, Declare, Delete, Forget, Remove, Rename, Restore, SetVersion,
        Snapshot, Upsert,
    },
    Step::{self, Optimize, Reopen, Together, Write},
    point,
};
use crate::random::Random;
use amphora::{Field, Point, PointId};
use std::{collections::BTreeMap, ops::Range};

fn points(ids: Range<u64>, version: u64, text: usize) -> Vec<Point> {
    ids.map(|id| point(id, version, text)).collect()
}

fn ids(ids: impl IntoIterator<Item = u64>) -> Vec<PointId> {
    ids.into_iter().map(PointId::from).collect()
}

/// The run that is stopped everywhere: every kind of write, and snapshots that are made, gone back
/// to and deleted, with columns that came later.
#[must_use]
pub fn script() -> Vec<Step> {
    let snapshots = [
        Optimize,
        Write(Declare("docs", None)),
        Write(Declare("docs", Some(Field::Integer))),
        Optimize,
        Write(Snapshot("monday")),
        Write(Declare("docs", None)),
        Write(Batch(vec![
            Upsert("docs", points(1..3, 22, 100)),
            Delete("essays", ids([1])),
        ])),
        Write(Rename("essays", "notes")),
        Write(Restore("monday")),
        Write(Upsert("essays", points(5..6, 23, 30))),
        Reopen,
        Write(Restore("monday")),
        Write(Forget("monday")),
        Write(SetVersion("essays", ids([2]), 24)),
    ];
    writes().into_iter().chain(snapshots).collect()
}

/// Every kind of write, batches within one sector and over many, groups of several writes, a
/// collection that comes again under its name, merging and reopening.
#[must_use]
pub fn writes() -> Vec<Step> {
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
        // Its columns are made of what lies in a segment, and beside writes.
        Write(Declare("docs", Some(Field::Integer))),
        Write(Upsert("docs", points(20..21, 9, 100))),
        Reopen,
        Write(Upsert("docs", points(0..4, 10, 60))),
        // So many that searches ask the index over them, some of which then end.
        Write(Upsert("docs", points(60..84, 11, 40))),
        Optimize,
        Write(Delete("docs", ids(60..64))),
        Write(Declare("docs", None)),
        Write(Declare("docs", Some(Field::Float))),
        Write(Declare("notes", Some(Field::Integer))),
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
        // Of points in a segment, in memory, and nowhere.
        Write(SetVersion("docs", ids([20, 31, 99]), 15)),
        Together(vec![
            Batch(vec![
                Upsert("docs", points(40..42, 16, 500)),
                Delete("notes", ids([0])),
                SetVersion("drafts", vec!["only".into()], 16),
            ]),
            SetVersion("docs", ids([40]), 17),
            Batch(vec![
                Delete("docs", ids([41])),
                SetVersion("docs", ids([21, 40, 41]), 18),
                Upsert("notes", points(0..1, 18, 40)),
            ]),
        ]),
        Write(Delete("docs", ids(0..31))),
        Optimize,
        Write(Delete("docs", ids(0..42))),
        Write(Rename("notes", "essays")),
        Reopen,
        Write(Upsert("docs", points(0..2, 19, 4_000))),
        Write(Remove("drafts")),
        Write(Batch(vec![
            SetVersion("docs", ids([1]), 20),
            SetVersion("essays", ids([0, 1]), 20),
        ])),
        Write(Upsert("essays", points(0..1, 21, 0))),
    ]
}

/// A few writes that fit on whatever a script left.
#[must_use]
pub fn coda() -> Vec<Step> {
    vec![
        Write(Create("later")),
        Write(Create("latest")),
        Together(vec![
            Upsert("later", points(0..2, 18, 90)),
            Upsert("later", points(1..3, 19, 500)),
            Batch(vec![
                Delete("later", ids([0])),
                Upsert("latest", points(0..2, 20, 20)),
                SetVersion("later", ids([1]), 20),
            ]),
        ]),
        Write(Rename("latest", "last")),
    ]
}

/// A run of the same kinds of steps, drawn from a seed: small batches over few ids, so that most
/// writes go over earlier ones, and collections and a snapshot that go and come again.
#[must_use]
pub fn random_script(seed: u64) -> Vec<Step> {
    let mut draw = Draw {
        random: Random(seed),
        existing: BTreeMap::from([(NAMES[0], false)]),
        kept: None,
    };
    let mut steps = vec![Write(Create(NAMES[0]))];
    for version in 0..10 + draw.random.below(16) {
        steps.extend(draw.step(version));
    }
    steps
}

const NAMES: [&str; 3] = ["docs", "notes", "drafts"];
const SNAPSHOT: &str = "kept";

struct Draw {
    random: Random,
    /// The collections that there are, and whether they declare the field that may come late.
    existing: BTreeMap<&'static str, bool>,
    /// Those in the snapshot, if there is one.
    kept: Option<BTreeMap<&'static str, bool>>,
}

impl Draw {
    fn step(&mut self, version: u64) -> Option<Step> {
        match self.random.below(15) {
            0 => Some(Reopen),
            1 => Some(Optimize),
            2 => {
                let count = 2 + self.random.below(3);
                let changes = (0..count).map(|_| self.write(version));
                changes.collect::<Option<_>>().map(Together)
            }
            3 => Some(Write(self.names())),
            4 => Some(Write(self.snapshot())),
            5 => self.declare().map(Write),
            6..9 => self.batch(version).map(Write),
            _ => self.write(version).map(Write),
        }
    }

    /// A change of the points of one collection, if there is any.
    fn write(&mut self, version: u64) -> Option<Change> {
        let random = &mut self.random;
        let place = random.below(self.existing.len() as u64) as usize;
        let name = *self.existing.keys().nth(place)?;
        let first = random.below(12);
        let last = first + 1 + random.below(3);
        let text = match random.below(8) {
            0 => random.below(1_500),
            _ => random.below(90),
        };
        Some(match random.below(5) {
            0 => Delete(name, ids(first..last)),
            1 => SetVersion(name, ids(first..last), version),
            _ => Upsert(name, points(first..last, version, text as usize)),
        })
    }

    fn batch(&mut self, version: u64) -> Option<Change> {
        let count = 2 + self.random.below(3);
        let parts = (0..count).map(|_| self.write(version));
        parts.collect::<Option<_>>().map(Batch)
    }

    fn declare(&mut self) -> Option<Change> {
        let place = self.random.below(self.existing.len() as u64) as usize;
        let (name, is_declared) = self.existing.iter_mut().nth(place)?;
        *is_declared = !*is_declared;
        let types = [Field::Integer, Field::Float];
        let field = is_declared.then(|| types[self.random.below(2) as usize]);
        Some(Declare(name, field))
    }

    fn names(&mut self) -> Change {
        let [name, other] = [(); 2].map(|()| NAMES[self.random.below(3) as usize]);
        let Some(is_declared) = self.existing.remove(name) else {
            self.existing.insert(name, false);
            return Create(name);
        };
        if name != other && !self.existing.contains_key(other) {
            self.existing.insert(other, is_declared);
            return Rename(name, other);
        }
        Remove(name)
    }

    fn snapshot(&mut self) -> Change {
        match self.kept.take() {
            None => {
                self.kept = Some(self.existing.clone());
                Snapshot(SNAPSHOT)
            }
            Some(kept) if self.random.below(3) > 0 => {
                self.existing.clone_from(&kept);
                self.kept = Some(kept);
                Restore(SNAPSHOT)
            }
            Some(_) => Forget(SNAPSHOT),
        }
    }
}
