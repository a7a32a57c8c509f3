//! A collection on a disk beside what it must hold, taken to every place in which points lie.

use amphora::{Collection, Database, Hit, Options, Point, Schema};
use std::{ops::Range, path::Path};

/// What the points of a collection must be found by.
pub trait Kept: Clone {
    /// Points with these ids, which it keeps from now on.
    fn fill(&mut self, ids: Range<u64>) -> Vec<Point>;

    /// Keeps these no longer.
    fn forget(&mut self, ids: Range<u64>);

    /// Compares what is searched with what is kept. What it gives depends on nothing else.
    fn check(&self, docs: &Collection) -> Vec<Vec<Hit>>;

    /// Compares a search for nearly all with what is kept.
    fn check_all(&self, docs: &Collection);
}

/// A collection, and what it must hold.
pub struct Subject<K> {
    /// Where it lies.
    pub db: Database,
    /// The collection.
    pub docs: Collection,
    /// What it must hold.
    pub kept: K,
}

/// Opens a database, its memtables such that they are soon full.
///
/// # Panics
///
/// If it does not open.
#[must_use]
pub fn open(path: &Path) -> Database {
    let options = Options {
        memtable_bytes: 256 << 10,
        ..Options::default()
    };
    let opening = Database::builder(path).options(options);
    opening.open().wait().expect("it opens")
}

/// All of it panics where the engine errs.
#[expect(clippy::missing_panics_doc, reason = "said once")]
impl<K: Kept> Subject<K> {
    /// A database with the collection, which is empty.
    pub fn create(path: &Path, schema: Schema, kept: K) -> Self {
        let db = open(path);
        let docs = db.create_collection("docs", schema).wait();
        Self {
            docs: docs.expect("new"),
            db,
            kept,
        }
    }

    /// The same, closed and opened again.
    #[must_use]
    pub fn reopened(self, path: &Path) -> Self {
        self.db.close().wait().expect("closed");
        Self::opened(path, self.kept)
    }

    fn opened(path: &Path, kept: K) -> Self {
        let db = open(path);
        let docs = db.collection("docs").wait().expect("there");
        Self { db, docs, kept }
    }

    /// Writes points.
    pub fn fill(&mut self, ids: Range<u64>) {
        let points = self.kept.fill(ids);
        self.docs.upsert(points).wait().expect("written");
    }

    /// Deletes points.
    pub fn delete(&mut self, ids: Range<u64>) {
        self.docs.delete(ids.clone()).wait().expect("deleted");
        self.kept.forget(ids);
    }

    /// See [`Kept::check`]; and that no file is damaged.
    pub fn check(&self) -> Vec<Vec<Hit>> {
        let found = self.kept.check(&self.docs);
        let verified = self.db.verify().wait().expect("verified");
        assert_eq!(verified.damaged.len(), 0);
        found
    }
}

/// Checks a collection in memory and in segments, reopened, merged, after deletes and upserts, imported and restored.
///
/// # Panics
///
/// If it differs from what is kept.
pub fn check_wherever_points_lie<K: Kept>(schema: Schema, kept: K) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = &directory.path().join("db");
    let mut subject = Subject::create(path, schema, kept);
    subject.fill(0..300);
    subject.check();
    for part in 1..8 {
        subject.fill(part * 300..(part + 1) * 300);
    }
    let here_and_there = subject.check();
    let mut subject = subject.reopened(path);
    assert_eq!(subject.check(), here_and_there);
    subject.db.optimize().wait().expect("merged");
    assert_eq!(subject.check(), here_and_there, "to the last bit");

    // What has ended counts for statistics until it is merged away, and is never found.
    subject.delete(0..200);
    subject.fill(300..500);
    subject.kept.check_all(&subject.docs);
    subject.db.optimize().wait().expect("merged");
    let merged = subject.check();

    let taken = subject.db.create_snapshot("taken").wait();
    taken.expect("a snapshot");
    let file = directory.path().join("taken.amphora");
    let exported = subject.db.export_snapshot("taken", &file).wait();
    exported.expect("exported");
    let elsewhere = &directory.path().join("elsewhere");
    Database::import(&file, elsewhere).wait().expect("imported");
    let imported = Subject::opened(elsewhere, subject.kept.clone());
    assert_eq!(imported.check(), merged);
    imported.db.close().wait().expect("closed");

    subject.docs.delete(0..2_400u64).wait().expect("deleted");
    let restored = subject.db.restore_snapshot("taken").wait();
    restored.expect("restored");
    let docs = subject.db.collection("docs").wait().expect("there");
    let subject = Subject { docs, ..subject };
    assert_eq!(subject.check(), merged);
    subject.db.close().wait().expect("closed");
}
