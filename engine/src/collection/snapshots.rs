//! Snapshots as the commit thread makes, forgets and goes back to them, one after another.
//!
//! A snapshot is made between two groups, so that it is one moment of all collections: the log
//! goes on in a new file, and the manifest comes to name what it names now, and the log up to there.

use super::{
    committer::Committer,
    state::no_snapshot,
    write::{Applied, Request, Snapshots},
};
use crate::{
    error::{Error, ErrorKind, Result},
    manifest::{About, SnapshotRecord},
    schema::quoted,
};
use std::time::UNIX_EPOCH;

impl Committer {
    /// Goes on with the oldest request. False when it has to wait, or there is none.
    pub(super) fn attend_snapshot(&mut self) -> bool {
        if let Some(outcome) = self.upkeep.take_outcome() {
            self.answer_snapshot(outcome);
            return true;
        }
        let Some(Request::Snapshot(what, name)) = self.snapshots.front().map(|w| &w.request) else {
            return false;
        };
        let (what, name) = (*what, name.clone());
        let writable = self.state.check_writable().map_err(|error| {
            if self.upkeep.is_switching_snapshots() {
                error.context("the outcome of the write is unknown")
            } else {
                error
            }
        });
        let begun = writable.and_then(|()| match what {
            Snapshots::Create if self.upkeep.can_switch() => self.create_snapshot(name),
            Snapshots::Delete if self.upkeep.can_switch() => self.delete_snapshot(&name),
            Snapshots::Create | Snapshots::Delete => Ok(false),
            Snapshots::Restore => self.restore_snapshot(&name),
        });
        begun.unwrap_or_else(|error| {
            self.answer_snapshot(Err(error));
            true
        })
    }

    /// Answers the oldest request.
    pub(super) fn answer_snapshot(&mut self, outcome: Result<()>) {
        let Some(write) = self.snapshots.pop_front() else {
            return;
        };
        let applied = match &write.request {
            Request::Snapshot(Snapshots::Create, name) => {
                let made = self.upkeep.manifest().snapshot(name);
                made.map_or(Applied::Done, |made| Applied::Snapshot(made.about))
            }
            _ => Applied::Done,
        };
        write.answer(outcome.map(|()| applied));
    }

    fn create_snapshot(&mut self, name: String) -> Result<bool> {
        let manifest = self.upkeep.manifest();
        if manifest.snapshot(&name).is_some() {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("there is a snapshot {} already", quoted(&name)),
            ));
        }
        let mut snapshots = manifest.snapshots.clone();
        if snapshots.len() >= self.limits.snapshots {
            return Err(Error::invalid(format!(
                "there are {} snapshots, as many as there may be",
                self.limits.snapshots
            )));
        }
        let log_end = self.end_log()?;
        let (about, manifest) = (self.about(), self.upkeep.manifest());
        snapshots.push(SnapshotRecord::new(name, about, manifest, log_end));
        self.upkeep.switch_snapshots(&self.tables, snapshots);
        Ok(true)
    }

    fn delete_snapshot(&mut self, name: &str) -> Result<bool> {
        let manifest = self.upkeep.manifest();
        manifest.snapshot(name).ok_or_else(|| no_snapshot(name))?;
        let mut snapshots = manifest.snapshots.clone();
        snapshots.retain(|snapshot| snapshot.name != name);
        self.upkeep.switch_snapshots(&self.tables, snapshots);
        Ok(true)
    }

    fn restore_snapshot(&mut self, name: &str) -> Result<bool> {
        if !self.upkeep.is_restoring() {
            let snapshot = self.upkeep.manifest().snapshot(name);
            let manifest = snapshot.ok_or_else(|| no_snapshot(name))?.manifest();
            self.upkeep.restore(manifest);
            return Ok(true);
        }
        if !self.upkeep.has_loaded() {
            return Ok(false);
        }
        let seq = self.wal.last_seq();
        if let Err(error) = self.end_log() {
            self.upkeep.abandon_loaded();
            return Err(error);
        }
        let next_log = self.wal.number();
        self.upkeep.switch_to_loaded(&self.tables, seq, next_log);
        Ok(true)
    }

    fn about(&self) -> About {
        let now = self.vfs.now().duration_since(UNIX_EPOCH);
        let views = || self.tables.all().map(|table| table.state.view());
        About {
            created: now.map_or(0, |now| now.as_millis() as u64),
            collections: views().count(),
            points: views().filter_map(|view| view.live()).sum(),
        }
    }
}
