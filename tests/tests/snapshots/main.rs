//! Snapshots as a user sees them: one moment, kept and gone back to, here and elsewhere, and what
//! becomes of their files; through hostile bytes, and power loss at every call.

mod crash;
mod files;
mod full;
mod moment;
mod portable;
mod restore;

use amphora::{
    Database,
    vfs::{MemoryVfs, Vfs},
};
use amphora_tests::{
    opening::{Memory, options},
    workload::{Change, Model, open, point, start},
};
use std::path::Path;

/// Makes these changes, one after the other.
fn write(db: &Database, changes: impl IntoIterator<Item = Change>) {
    for change in changes {
        futures::executor::block_on(start(db, &change)).unwrap();
    }
}

/// Points with these ids, of one version.
fn upsert(name: &'static str, ids: std::ops::Range<u64>, version: u64) -> Change {
    Change::Upsert(name, ids.map(|id| point(id, version, 200)).collect())
}

fn delete(name: &'static str, ids: std::ops::Range<u64>) -> Change {
    Change::Delete(name, ids.map(Into::into).collect())
}

/// Everything that a restore must bring back.
#[derive(Debug, PartialEq)]
struct Everything {
    model: Model,
    aliases: Vec<(String, String)>,
}

fn everything(db: &Database) -> Everything {
    Everything {
        model: Model::read(db).unwrap().without_snapshots(),
        aliases: db.aliases().wait().unwrap(),
    }
}

/// A database with points in segments, in the log, ended in segments, and an alias.
fn filled(vfs: impl Vfs + 'static) -> Database {
    let db = open(vfs).unwrap();
    write(
        &db,
        [
            Change::Create("docs"),
            upsert("docs", 0..40, 1),
            Change::Create("notes"),
            upsert("notes", 0..10, 2),
            upsert("docs", 30..60, 3),
        ],
    );
    db.optimize().wait().unwrap();
    db.set_alias("all", "docs").wait().unwrap();
    write(&db, [delete("docs", 5..9), upsert("docs", 0..2, 4)]);
    db
}

/// Changes all that there is, in every way.
fn changed(db: &Database) {
    write(db, [delete("docs", 10..30), upsert("notes", 0..30, 7)]);
    db.rename_collection("docs", "papers").wait().unwrap();
    db.set_alias("all", "notes").wait().unwrap();
    write(db, [Change::Create("docs"), upsert("docs", 90..99, 8)]);
    db.optimize().wait().unwrap();
    db.delete_collection("papers").wait().unwrap();
    write(db, [upsert("docs", 95..120, 9)]);
}

/// The database on disk at `path`.
fn open_at(path: &Path) -> Database {
    let builder = Database::builder(path).options(amphora::Options {
        create: false,
        ..options(Memory::Tiny)
    });
    builder.open().wait().unwrap()
}

fn names(vfs: &MemoryVfs) -> Vec<String> {
    vfs.list().unwrap()
}
