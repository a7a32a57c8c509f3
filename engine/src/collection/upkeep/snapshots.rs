//! What snapshots need of upkeep: switches of their own, and going back to one.
//!
//! Going back begins when all that was under way has ended, and nothing else is begun before it
//! has. The snapshot is loaded beside the live tables while writes go on; only then are writes held
//! back, for one switch of the manifest.

use super::{Progress, Upkeep, What};
use crate::{
    collection::{
        load::{LoadResult, Loaded, load},
        tables::Tables,
    },
    error::{Error, ErrorKind, Result},
    id::{CollectionId, SeqNo},
    manifest::{Manifest, SnapshotRecord},
    op::Op,
};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// How far the way back to a snapshot was gone.
#[derive(Debug)]
pub(super) enum Restore {
    Idle,
    /// For what is under way to end. The manifest is that of the snapshot.
    Waiting(Manifest),
    Loading(Op<LoadResult>),
    Loaded(Loaded),
    Switching,
}

impl Upkeep {
    /// The live files.
    pub(in crate::collection) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Whether the manifest may be switched now. If not, whoever asks is next.
    pub(in crate::collection) fn can_switch(&mut self) -> bool {
        self.snapshot_next = self.switching.is_some();
        !self.snapshot_next
    }

    /// Whether a switch is under way that was asked for by the oldest request.
    pub(in crate::collection) fn is_switching_snapshots(&self) -> bool {
        let what = self.switching.as_ref().map(|switching| &switching.what);
        matches!(what, Some(What::Snapshots | What::Restore(_)))
    }

    /// Begins the switch to a manifest with these snapshots.
    pub(in crate::collection) fn switch_snapshots(
        &mut self,
        tables: &Tables,
        snapshots: Vec<SnapshotRecord>,
    ) {
        let next = Manifest {
            snapshots,
            ..self.manifest.clone()
        };
        self.start_switch(tables, next, What::Snapshots);
    }

    /// Begins to go back to a snapshot, whose manifest this is.
    pub(in crate::collection) fn restore(&mut self, manifest: Manifest) {
        self.restore = Restore::Waiting(manifest);
    }

    /// Whether nothing is begun because a snapshot is gone back to.
    pub(in crate::collection) fn is_restoring(&self) -> bool {
        !matches!(self.restore, Restore::Idle)
    }

    /// Whether a change that is written now would be lost, or come too early.
    pub(in crate::collection) fn holds_writes(&self) -> bool {
        matches!(self.restore, Restore::Loaded(_) | Restore::Switching)
    }

    /// Whether a snapshot is loaded, and waits for the end of the log.
    pub(in crate::collection) fn has_loaded(&self) -> bool {
        matches!(self.restore, Restore::Loaded(_))
    }

    /// Begins the switch to what was loaded. The last change was `seq`, and the log goes on in
    /// `next_log`.
    pub(in crate::collection) fn switch_to_loaded(
        &mut self,
        tables: &Tables,
        seq: SeqNo,
        next_log: u64,
    ) {
        let Restore::Loaded(mut loaded) = std::mem::replace(&mut self.restore, Restore::Switching)
        else {
            return;
        };
        let first = tables.next();
        loaded.renumber(first);
        let next = Manifest {
            applied: seq,
            first_log: next_log,
            next_collection: CollectionId(first.0 + loaded.collections.len() as u32),
            collections: loaded.files(),
            aliases: loaded.aliases.clone(),
            ..self.manifest.clone()
        };
        self.start_switch(tables, next, What::Restore(loaded));
    }

    /// Leaves everything as it is, although a snapshot was loaded.
    pub(in crate::collection) fn abandon_loaded(&mut self) {
        if let Restore::Loaded(loaded) = std::mem::replace(&mut self.restore, Restore::Idle) {
            for name in &loaded.written {
                let _ = self.vfs.remove(name);
            }
        }
    }

    /// How what was asked of snapshots ended, once it has.
    pub(in crate::collection) fn take_outcome(&mut self) -> Option<Result<()>> {
        let outcome = self.outcome.take();
        // Whoever was next has had its turn.
        self.snapshot_next &= outcome.is_none();
        outcome
    }

    /// Begins to load a snapshot once nothing else is under way.
    pub(super) fn begin_restore(&mut self) {
        let Restore::Waiting(manifest) = &self.restore else {
            return;
        };
        if !self.is_at_rest() {
            if self.resting() {
                self.outcome = self.failure().cloned().map(Err);
                self.restore = Restore::Idle;
            }
            return;
        }
        let (manifest, vfs) = (manifest.clone(), Arc::clone(&self.vfs));
        let next_file = Arc::clone(&self.next_file);
        let analyzers = Arc::clone(self.state.analyzers());
        let job = self.job(self.lanes.io.clone(), move |cancel| {
            load(&*vfs, &manifest, &next_file, &analyzers, cancel)
        });
        self.restore = Restore::Loading(job);
    }

    /// Polls the loading. True when it ended.
    pub(super) fn poll_restore(
        &mut self,
        context: &mut Context<'_>,
        progress: &mut Progress,
    ) -> bool {
        let Restore::Loading(job) = &mut self.restore else {
            return false;
        };
        let Poll::Ready(loaded) = Pin::new(job).poll(context) else {
            return false;
        };
        self.restore = Restore::Idle;
        match loaded {
            Ok(Ok(loaded)) => self.restore = Restore::Loaded(loaded),
            Ok(Err(error)) => self.outcome = Some(Err(error)),
            Err(error) => self.refuse(error, progress),
        }
        true
    }

    /// What was asked of snapshots was not done. A want of space leaves everything as it is;
    /// after any other failure to write, nothing is known of what the disk holds.
    pub(super) fn refuse(&mut self, error: Error, progress: &mut Progress) {
        self.restore = Restore::Idle;
        self.outcome = Some(Err(error.clone()));
        if error.kind() != ErrorKind::StorageFull {
            self.fail(error, progress);
        }
    }
}
