//! From what was built to what counts: the manifest is switched by a job, one at a time, and the
//! tables are made to agree with it.

use super::{
    Flush, Indexing, Merge, MergePlan, Moment, Progress, Switching, Upkeep, What,
    snapshots::Restore,
};
use crate::{
    collection::{
        build::Built,
        switch::{Switch, Switched, switch},
        tables::Tables,
    },
    error::Result,
    manifest::{Manifest, SegmentFiles},
    op::{Inline, Op},
};
use std::{ops::Range, sync::Arc};

impl Upkeep {
    pub(super) fn begin_switch(&mut self, tables: &Tables, moment: Moment) {
        let waits = self.snapshot_next || self.switching.is_some();
        if waits || self.resting() || self.stop.is_cancelled() {
            return;
        }
        let what = if let Flush::Built(..) = self.flush
            && let Flush::Built(sealed, built) =
                std::mem::replace(&mut self.flush, Flush::Switching)
        {
            What::Flush(sealed, built)
        } else if let Merge::Built(..) = self.merge
            && moment.log_is_durable
            && let Merge::Built(plan, built) = std::mem::replace(&mut self.merge, Merge::Switching)
        {
            What::Merge(plan, built)
        } else if let Indexing::Built(..) = self.indexing
            // The switch to a snapshot waits for no other, and must meet none.
            && !self.is_restoring()
            && let Indexing::Built(plan, made) =
                std::mem::replace(&mut self.indexing, Indexing::Switching)
        {
            What::Index(plan, made)
        } else {
            return;
        };
        let next = self.next_manifest(tables, &what);
        self.start_switch(tables, next, what);
    }

    /// The manifest as it shall be, but for the files of ended rows.
    fn next_manifest(&self, tables: &Tables, what: &What) -> Manifest {
        let mut next = self.manifest.clone();
        match what {
            What::Flush(sealed, built) => {
                next.applied = sealed.seq;
                next.first_log = sealed.next_log;
                next.next_collection = sealed.next_collection;
                next.collections = sealed.collections.clone();
                next.aliases = sealed.aliases.clone();
                for collection in &mut next.collections {
                    let before = self.manifest.collections.iter();
                    let segments = before.filter(|c| c.id == collection.id);
                    collection.segments = segments.flat_map(|c| c.segments.clone()).collect();
                    let built = built.iter().filter(|(id, _)| *id == collection.id);
                    let built = built.filter_map(|(_, built)| built.as_ref());
                    collection.segments.extend(built.map(Built::files));
                }
            }
            What::Merge(plan, built) => {
                let run = run_of(tables, plan);
                if let (Some(built), Some(run)) = (built, &run) {
                    tables.carry_over(plan.collection, built, Some(run.clone()), plan.seq);
                }
                let collections = next.collections.iter_mut();
                for collection in collections.filter(|c| c.id == plan.collection) {
                    let Some(run) = files_run(&collection.segments, &plan.files) else {
                        continue;
                    };
                    let files = built.as_ref().map(Built::files);
                    collection.segments.splice(run, files);
                }
            }
            What::Index(plan, made) => plan.name_in(made, &mut next.collections),
            What::Snapshots | What::Restore(_) | What::Close => {}
        }
        next
    }

    pub(super) fn start_switch(&mut self, tables: &Tables, next: Manifest, what: What) {
        let placed = || tables.all().flat_map(|table| &table.segments);
        let of_tables = placed().filter_map(|placed| placed.segment.clone());
        let missed = placed().filter_map(|placed| {
            let unread = placed.unread.as_ref()?;
            Some((placed.files.file, unread.missed_at(next.applied)))
        });
        let mut written = Vec::new();
        let segments = match &what {
            What::Flush(_, built) => {
                let built = built.iter().filter_map(|(_, built)| built.as_ref());
                let built = built.map(|built| Arc::clone(&built.segment));
                of_tables.chain(built).collect()
            }
            What::Merge(_, built) => {
                let built = built.iter().map(|built| Arc::clone(&built.segment));
                of_tables.chain(built).collect()
            }
            What::Restore(loaded) => {
                written.clone_from(&loaded.written);
                loaded.segments().collect()
            }
            What::Index(..) | What::Close => of_tables.collect(),
            // Nothing was applied since the manifest before.
            What::Snapshots => Vec::new(),
        };
        let work = Switch {
            vfs: Arc::clone(&self.vfs),
            before: self.manifest.clone(),
            missed: missed.collect(),
            next,
            segments,
            next_file: Arc::clone(&self.next_file),
            written,
        };
        let job = Op::job(self.lanes.io.clone(), Inline::Never, move |_| switch(work));
        self.switching = Some(Switching { job, what });
    }

    /// The manifest was switched, or not: makes the tables agree with it.
    pub(super) fn switched(
        &mut self,
        tables: &mut Tables,
        what: What,
        switched: Result<Switched>,
        progress: &mut Progress,
    ) {
        let switched = switched.unwrap_or_else(Switched::Unknown);
        match switched {
            Switched::Done(manifest) => {
                self.failed = None;
                self.manifest = manifest;
                self.install(tables, what, progress);
            }
            Switched::NotDone(error) => match what {
                What::Flush(sealed, built) => {
                    self.fail(error, progress);
                    self.flush = Flush::Built(sealed, built);
                }
                What::Merge(plan, built) => {
                    self.fail(error, progress);
                    self.merge = Merge::Built(plan, built);
                }
                What::Index(plan, made) => {
                    self.fail(error, progress);
                    self.indexing = Indexing::Built(plan, made);
                }
                What::Snapshots | What::Restore(_) => self.refuse(error, progress),
                What::Close => self.fail(error, progress),
            },
            Switched::Unknown(error) => {
                if matches!(what, What::Snapshots | What::Restore(_)) {
                    let unknown = error.clone().context("the outcome of the write is unknown");
                    self.outcome = Some(Err(unknown));
                }
                progress.poison = Some(error);
            }
        }
    }

    fn install(&mut self, tables: &mut Tables, what: What, progress: &mut Progress) {
        match what {
            What::Flush(sealed, built) => {
                for (collection, built) in &built {
                    let built = built.as_ref().map(|built| (built, built.files()));
                    tables.install(*collection, built, None, sealed.seq);
                    progress.changed.push(*collection);
                }
                self.flush = Flush::Idle;
            }
            What::Merge(plan, built) => {
                if let Some(run) = run_of(tables, &plan) {
                    let built = built.as_ref().map(|built| (built, built.files()));
                    tables.install(plan.collection, built, Some(run), plan.seq);
                    progress.changed.push(plan.collection);
                }
                self.merge = Merge::Idle;
            }
            What::Index(plan, made) => {
                progress.changed.extend(plan.install(made));
                self.indexing = Indexing::Idle;
                self.unbuilt = None;
            }
            What::Snapshots => {
                self.state.set_snapshots(&self.manifest.snapshots);
                self.outcome = Some(Ok(()));
            }
            What::Restore(loaded) => {
                loaded.install(&self.state, tables, self.manifest.applied);
                self.damaged.clear();
                self.restore = Restore::Idle;
                self.outcome = Some(Ok(()));
            }
            What::Close => {}
        }
        for collection in &self.manifest.collections {
            tables.set_files(collection.id, &collection.segments);
        }
    }
}

/// Where the inputs of a merge are among the segments of their collection, if they still are.
fn run_of(tables: &Tables, plan: &MergePlan) -> Option<Range<usize>> {
    let table = tables.get(plan.collection)?;
    let files: Vec<SegmentFiles> = table
        .segments
        .iter()
        .map(|placed| placed.files.clone())
        .collect();
    files_run(&files, &plan.files)
}

fn files_run(segments: &[SegmentFiles], files: &[u64]) -> Option<Range<usize>> {
    let first = *files.first()?;
    let start = segments.iter().position(|segment| segment.file == first)?;
    let run = start..start + files.len();
    let found = segments
        .get(run.clone())?
        .iter()
        .map(|segment| segment.file);
    found.eq(files.iter().copied()).then_some(run)
}
