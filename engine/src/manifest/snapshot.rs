//! A snapshot: what a manifest said at one moment, and how far the log reached.
//!
//! It is kept in the manifest, where it pins the files that it names: nothing is copied to make
//! one, and nothing that it names is ever written again.

use super::{CollectionFiles, LogEnd, Manifest};
use crate::{
    error::{Error, Result},
    id::{CollectionId, SeqNo},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, ops::RangeInclusive};

/// A moment that can be gone back to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SnapshotRecord {
    /// The user's name for it.
    pub(crate) name: String,
    /// To be shown, never to decide by.
    pub(crate) about: About,
    /// The last change that the segments hold; later ones are in its log files.
    pub(crate) applied: SeqNo,
    /// The oldest log file whose changes the segments do not hold.
    pub(crate) first_log: u64,
    /// The last log file, and where it ends for ever.
    pub(crate) log_end: LogEnd,
    /// The number that the next collection got.
    pub(crate) next_collection: CollectionId,
    /// The collections as of `applied`.
    pub(crate) collections: Vec<CollectionFiles>,
    /// The aliases likewise.
    pub(crate) aliases: BTreeMap<String, CollectionId>,
}

/// What a user may want to know of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct About {
    /// Milliseconds since 1970.
    pub(crate) created: u64,
    /// How many collections there were, those in the log included.
    pub(crate) collections: usize,
    /// How many points they held.
    pub(crate) points: u64,
}

impl SnapshotRecord {
    /// What `manifest` says, and the log up to `log_end` behind it.
    pub(crate) fn new(name: String, about: About, manifest: &Manifest, log_end: LogEnd) -> Self {
        Self {
            name,
            about,
            applied: manifest.applied,
            first_log: manifest.first_log,
            log_end,
            next_collection: manifest.next_collection,
            collections: manifest.collections.clone(),
            aliases: manifest.aliases.clone(),
        }
    }

    /// The manifest of a database that holds this snapshot and nothing else.
    pub(crate) fn manifest(&self) -> Manifest {
        let files = self.collections.iter().flat_map(CollectionFiles::numbers);
        Manifest {
            number: 1,
            applied: self.applied,
            first_log: self.first_log,
            closed: Some(self.log_end),
            next_file: files.max().map_or(1, |last| last + 1),
            next_collection: self.next_collection,
            collections: self.collections.clone(),
            aliases: self.aliases.clone(),
            snapshots: Vec::new(),
        }
    }

    /// The numbers of its log files.
    pub(crate) fn logs(&self) -> RangeInclusive<u64> {
        self.first_log..=self.log_end.log
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.logs().is_empty() {
            return Err(Error::invalid("a snapshot's log ends before it begins"));
        }
        Ok(())
    }
}
