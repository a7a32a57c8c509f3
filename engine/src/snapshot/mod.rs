//! Snapshots outside of the directory that they were made in: as a database in another one, and as
//! one portable file.
//!
//! What is copied comes from files that a manifest pins, so that nothing here waits for a write or
//! makes one wait. A database comes to be by its manifest, which is written when all else is
//! durable; what an error leaves is removed. Names never leave the manifest: files are known by
//! kind and number.

mod format;
mod copy;
mod fresh;
mod export;
mod archive;
mod import;

pub(crate) use export::export;
pub(crate) use fresh::restore_to;
pub(crate) use import::import;

use crate::manifest::{About, SnapshotRecord};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment of a database that can be gone back to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The name that it was given.
    pub name: String,
    /// When it was made, by the clock of the system.
    pub created: SystemTime,
    /// How many collections there were.
    pub collections: usize,
    /// How many points they held.
    pub points: u64,
}

impl Snapshot {
    pub(crate) fn new(name: String, about: About) -> Self {
        let created = UNIX_EPOCH.checked_add(Duration::from_millis(about.created));
        Self {
            name,
            created: created.unwrap_or(UNIX_EPOCH),
            collections: about.collections,
            points: about.points,
        }
    }
}

impl From<&SnapshotRecord> for Snapshot {
    fn from(record: &SnapshotRecord) -> Self {
        Self::new(record.name.clone(), record.about)
    }
}
