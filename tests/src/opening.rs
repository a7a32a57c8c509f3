//! How the long programs open a database: the one place that makes their options.

use amphora::{Database, Options, Result, vfs::Vfs};
use std::{
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

/// No segment is as large, unless the program wants indexes.
static INDEX_FROM: AtomicUsize = AtomicUsize::new(usize::MAX);

/// From now on segments of larger batches get indexes: programs ask for them, and tests go
/// without, which they double the time of.
pub fn with_indexes() {
    INDEX_FROM.store(16, Ordering::Relaxed);
}

/// How many bytes of points stay in memory before they are written to a segment. Small ones make
/// the machinery behind them run often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// A few points.
    Tiny,
    /// A few hundred.
    Small,
    /// What the engine has for a default.
    Default,
}

impl Memory {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tiny, Self::Small, Self::Default];
}

/// The options of a database that is tested for long: patient, so that a slow machine is no failure.
#[must_use]
pub fn options(memory: Memory) -> Options {
    let default = Options::default();
    Options {
        index_from: INDEX_FROM.load(Ordering::Relaxed),
        memtable_bytes: match memory {
            Memory::Tiny => 6 << 10,
            Memory::Small => 64 << 10,
            Memory::Default => default.memtable_bytes,
        },
        lock_timeout: Duration::from_secs(30),
        request_timeout: Duration::from_secs(60),
        close_timeout: Duration::from_secs(60),
        ..default
    }
}

/// Opens a database with these options.
///
/// # Errors
/// Those of opening it.
pub fn open(vfs: impl Vfs + 'static, memory: Memory) -> Result<Database> {
    let builder = Database::builder_on(vfs).options(options(memory));
    builder.open().wait()
}

/// Writes out and merges what there is, to the end.
///
/// # Errors
/// Those of doing so.
pub fn optimize(db: &Database) -> Result<()> {
    db.optimize().wait()
}

/// Waits until nothing is written out or merged in the background.
///
/// # Errors
/// Those of a write that is waited for.
pub fn settle(db: &Database) -> Result<()> {
    loop {
        // What it began after the last write, it has begun when it answers the next.
        db.flush().wait()?;
        if !db.stats().upkeep {
            return Ok(());
        }
        thread::sleep(Duration::from_micros(200));
    }
}

/// Opens a database whose segments get an index from so many vectors on.
///
/// # Panics
/// If it does not open.
#[must_use]
pub fn open_indexing(path: &Path, index_from: usize) -> Database {
    let options = Options {
        index_from,
        ..Options::default()
    };
    let opened = Database::builder(path).options(options).open().wait();
    opened.expect("it opens")
}
