//! Power loss at every call while snapshots are made, deleted and gone back to.
//!
//! Each step of the run is acknowledged in the record. Whatever an image holds must be the state
//! after the last step that was acknowledged, or after the one that was under way; and each
//! snapshot in it must still lead back to its moment.

use super::{delete, upsert, write};
use amphora::{
    Database,
    vfs::{Call, CrashModel, Loss, MemoryVfs},
};
use amphora_tests::workload::{Change, Model, open};
use std::collections::BTreeMap;

#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    model: Model,
    snapshots: BTreeMap<String, Model>,
}

enum Step {
    Write(Change),
    Optimize,
    Create(&'static str),
    Delete(&'static str),
    Restore(&'static str),
}

use Step::{Create, Delete, Optimize, Restore, Write};

fn script() -> Vec<Step> {
    vec![
        Write(Change::Create("docs")),
        Write(upsert("docs", 0..12, 1)),
        Create("empty log"),
        Optimize,
        Write(delete("docs", 2..4)),
        Write(Change::Create("notes")),
        Write(upsert("notes", 0..2, 2)),
        Create("a"),
        Write(upsert("docs", 0..12, 3)),
        Optimize,
        Delete("empty log"),
        Restore("a"),
        Write(upsert("docs", 1..3, 4)),
        Create("b"),
        Write(Change::Remove("notes")),
        Restore("a"),
        Restore("b"),
        Delete("a"),
        Optimize,
        Write(upsert("notes", 5..6, 5)),
    ]
}

fn step(db: &Database, step: &Step) {
    match step {
        Write(change) => write(db, [change.clone()]),
        Optimize => db.optimize().wait().unwrap(),
        Create(name) => drop(db.create_snapshot(*name).wait().unwrap()),
        Delete(name) => db.delete_snapshot(*name).wait().unwrap(),
        Restore(name) => db.restore_snapshot(*name).wait().unwrap(),
    }
}

impl State {
    fn apply(&mut self, step: &Step) {
        match step {
            Write(change) => self.model.apply(change),
            Optimize => {}
            Create(name) => {
                self.snapshots
                    .insert((*name).to_owned(), self.model.clone());
            }
            Delete(name) => drop(self.snapshots.remove(*name)),
            Restore(name) => self.model = self.snapshots[*name].clone(),
        }
    }
}

/// What a database holds, and where each of its snapshots leads; it is at the last one then.
fn read(db: &Database) -> State {
    let model = Model::read(db).unwrap().without_snapshots();
    let snapshots = db.snapshots().wait().unwrap().into_iter().map(|snapshot| {
        db.restore_snapshot(&snapshot.name).wait().unwrap();
        (snapshot.name, Model::read(db).unwrap().without_snapshots())
    });
    let snapshots = snapshots.collect();
    State { model, snapshots }
}

#[test]
fn power_loss_at_every_call_loses_nothing_that_was_acknowledged() {
    let vfs = MemoryVfs::recording();
    let db = open(vfs.clone()).unwrap();
    vfs.acknowledged(0);
    let mut states = vec![State::default()];
    for (number, change) in (1..).zip(script()) {
        step(&db, &change);
        vfs.acknowledged(number);
        let mut next = states.last().unwrap().clone();
        next.apply(&change);
        assert_eq!(
            Model::read(&db).unwrap().without_snapshots(),
            next.model,
            "step {number}"
        );
        states.push(next);
    }
    db.close().wait().unwrap();
    let calls = vfs.record();
    let mut model = CrashModel::default();
    let (mut done, mut images) = (None, 0);
    for (prefix, call) in calls.iter().enumerate() {
        model.apply(call);
        if let Call::Acknowledged(number) = call {
            done = Some(*number as usize);
        }
        let Some(done) = done else {
            continue;
        };
        let random = (0..4).map(|n| Loss::Random(prefix as u64 * 10 + n));
        let ordered = (4..6).map(|n| Loss::Ordered(prefix as u64 * 10 + n));
        let losses = [Loss::All, Loss::Nothing].into_iter();
        for loss in losses.chain(random).chain(ordered) {
            let db = open(model.image(loss))
                .unwrap_or_else(|error| panic!("{loss:?} after call {prefix}, {call:?}: {error}"));
            let found = read(&db);
            let allowed = &states[done..(done + 2).min(states.len())];
            assert!(
                allowed.contains(&found),
                "{loss:?} after call {prefix}, {call:?}, step {done}: {found:?}"
            );
            images += 1;
        }
    }
    println!("{} calls: {images} images", calls.len());
}
