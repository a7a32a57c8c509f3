//! What keeps memory and disk bounded while writes go on: flushes, merges, and the switch of the
//! manifest that makes their results count.
//!
//! The commit thread owns this, and never waits for a disk in it: what blocks is a job on a lane,
//! and the thread polls for its end. A flush runs on the I/O lane, so that it never stands behind
//! a long merge on the update lane. Building may overlap; switches come one after another, and while
//! none is under way, the manifest names exactly the segments of the tables. The order is always:
//! files durable, manifest durable, shown to readers, old files removed.

mod indexing;
mod snapshots;
mod switching;

use super::{
    build::{Built, build},
    choose::{Size, choose},
    index::{self, Gauge, Wish},
    load::Loaded,
    placed::Placed,
    sketches,
    state::State,
    switch::Switched,
    tables::Tables,
};
use crate::{
    cancel::{Cancel, CancelToken},
    error::{Error, ErrorKind, Result},
    expiry::Expiry,
    id::{CollectionId, SeqNo},
    manifest::{CollectionFiles, LogEnd, Manifest},
    op::{Inline, Op},
    options::Options,
    pool::{Entrance, Entrances},
    shape::Shape,
    vfs::Vfs,
    view::{Part, Stored},
};
use indexing::{IndexPlan, Indexing, Made, Unbuilt};
use snapshots::Restore;
use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// How long a flush or merge that failed for want of space waits before it is tried again.
const PAUSE: Duration = Duration::from_millis(500);
/// With so many segments a merge no longer waits for the end of a flush.
const MANY: usize = 16;

#[derive(Debug)]
pub(super) struct Upkeep {
    vfs: Arc<dyn Vfs>,
    lanes: Entrances,
    /// Cancelled when the database closes: builds stop, and their files are garbage.
    stop: CancelToken,
    /// The number of the next file.
    next_file: Arc<AtomicU64>,
    state: Arc<State>,
    manifest: Manifest,
    wish: Wish,
    flush: Flush,
    merge: Merge,
    indexing: Indexing,
    unbuilt: Option<Unbuilt>,
    gauge: Arc<Gauge>,
    restore: Restore,
    switching: Option<Switching>,
    /// Whether a snapshot waits for the switch that is under way: it is next.
    snapshot_next: bool,
    /// How what was asked of snapshots ended, until someone hears of it.
    outcome: Option<Result<()>>,
    /// Collections with a segment that cannot be read: merging it would lose what it holds.
    damaged: BTreeMap<CollectionId, Error>,
    failed: Option<(Error, Instant)>,
}

/// What a flush starts from, fixed when the memtables were sealed.
#[derive(Debug)]
pub(super) struct Sealed {
    /// The last change that it holds.
    pub(super) seq: SeqNo,
    /// The first log file that it does not hold.
    pub(super) next_log: u64,
    pub(super) next_collection: CollectionId,
    /// All collections as they were, without segments.
    pub(super) collections: Vec<CollectionFiles>,
    pub(super) aliases: BTreeMap<String, CollectionId>,
    /// The memtables.
    pub(super) parts: Vec<(CollectionId, Arc<Shape>, Part)>,
}

type BuiltTables = Vec<(CollectionId, Option<Built>)>;

#[derive(Debug)]
enum Flush {
    Idle,
    /// To be built, again after a failure.
    Waiting(Arc<Sealed>),
    Building(Arc<Sealed>, Op<BuiltTables>),
    Built(Arc<Sealed>, BuiltTables),
    Switching,
}

#[derive(Debug)]
enum Merge {
    Idle,
    Building(MergePlan, Op<Option<Built>>),
    Built(MergePlan, Option<Built>),
    Switching,
}

#[derive(Debug)]
struct MergePlan {
    collection: CollectionId,
    /// The files of its inputs, the oldest first.
    files: Vec<u64>,
    /// The last change that it has seen.
    seq: SeqNo,
}

#[derive(Debug)]
struct Switching {
    job: Op<Switched>,
    what: What,
}

#[derive(Debug)]
enum What {
    Flush(Arc<Sealed>, BuiltTables),
    Merge(MergePlan, Option<Built>),
    Index(IndexPlan, Made),
    /// A snapshot was made or forgotten.
    Snapshots,
    Restore(Loaded),
    Close,
}

/// When a step of the upkeep is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// The last change that was applied.
    pub(super) seq: SeqNo,
    pub(super) now: Expiry,
    /// Whether all changes up to that one are durable.
    pub(super) log_is_durable: bool,
}

/// What a step of the upkeep came to.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Collections whose segments changed, to be published.
    pub(super) changed: Vec<CollectionId>,
    /// Collections in which damage was found.
    pub(super) damaged: Vec<(CollectionId, Error)>,
    /// Nothing may be written any more.
    pub(super) poison: Option<Error>,
}

impl Upkeep {
    pub(super) fn new(
        vfs: Arc<dyn Vfs>,
        lanes: Entrances,
        state: Arc<State>,
        manifest: Manifest,
        options: &Options,
    ) -> Self {
        state.set_snapshots(&manifest.snapshots);
        Self {
            vfs,
            lanes,
            stop: CancelToken::new(),
            next_file: Arc::new(AtomicU64::new(manifest.next_file)),
            state,
            manifest,
            wish: Wish::of(options),
            flush: Flush::Idle,
            merge: Merge::Idle,
            indexing: Indexing::Idle,
            unbuilt: None,
            gauge: Arc::default(),
            restore: Restore::Idle,
            switching: None,
            snapshot_next: false,
            outcome: None,
            damaged: BTreeMap::new(),
            failed: None,
        }
    }

    /// Whether memtables may be sealed.
    pub(super) fn can_seal(&self) -> bool {
        matches!(self.flush, Flush::Idle) && !self.is_restoring()
    }

    /// Whether nothing is under way, or waits to be.
    pub(super) fn is_idle(&self) -> bool {
        self.is_at_rest() && !self.is_restoring()
    }

    /// Whether all that was begun is in the manifest, so that it names what the tables have.
    fn is_at_rest(&self) -> bool {
        matches!(self.flush, Flush::Idle)
            && matches!(self.merge, Merge::Idle)
            && self.switching.is_none()
    }

    /// Why the last flush or merge failed, until one succeeds.
    pub(super) fn failure(&self) -> Option<&Error> {
        self.failed.as_ref().map(|(error, _)| error)
    }

    /// Whether a job is under way.
    pub(super) fn is_working(&self) -> bool {
        matches!(self.flush, Flush::Building(..))
            || matches!(self.merge, Merge::Building(..))
            || matches!(self.indexing, Indexing::Building(..))
            || matches!(self.restore, Restore::Loading(_))
            || self.switching.is_some()
    }

    /// Whether a manifest is to be written without rows that changes in the log ended: these must
    /// be durable before, or a power loss could take the old point and the new one.
    pub(super) fn relies_on_log(&self) -> bool {
        matches!(self.merge, Merge::Built(..)) && self.switching.is_none()
    }

    /// Whether a flush is under way, so that memory will be free again.
    pub(super) fn is_flushing(&self) -> bool {
        !matches!(self.flush, Flush::Idle) && self.is_working()
    }

    /// Whether all segments could be read when they were merged.
    pub(super) fn check_readable(&self) -> Result<()> {
        self.damaged.values().next().cloned().map_or(Ok(()), Err)
    }

    /// Notes that something failed for want of space.
    pub(super) fn rest(&mut self, error: Error) {
        tracing::warn!(%error, "upkeep waits for space");
        self.failed = Some((error, Instant::now()));
    }

    pub(super) fn resting(&self) -> bool {
        self.failed
            .as_ref()
            .is_some_and(|(_, at)| at.elapsed() < PAUSE)
    }

    /// When what failed is to be tried again.
    pub(super) fn rests_until(&self) -> Option<Instant> {
        let failed = self.failed.as_ref().map(|(_, at)| *at + PAUSE);
        let failed = failed.filter(|until| *until > Instant::now());
        failed.into_iter().chain(self.index_rests_until()).min()
    }

    /// Begins the flush of what was sealed.
    pub(super) fn flush(&mut self, sealed: Sealed) {
        debug_assert!(self.can_seal(), "one flush at a time");
        self.flush = Flush::Waiting(Arc::new(sealed));
    }

    /// Goes on with all that is under way, and begins what is due.
    pub(super) fn advance(
        &mut self,
        tables: &mut Tables,
        moment: Moment,
        everything: bool,
        context: &mut Context<'_>,
    ) -> Progress {
        let mut progress = Progress::default();
        loop {
            self.begin_flush();
            self.begin_merge(tables, moment, everything);
            self.begin_index(tables);
            self.begin_switch(tables, moment);
            self.begin_restore();
            if !self.poll(tables, context, &mut progress) || progress.poison.is_some() {
                break;
            }
        }
        if self.is_idle() && !self.resting() {
            // What failed has been given up, with the collection that it was for.
            self.failed = None;
        }
        progress
    }

    /// Polls what is under way. True when something ended.
    fn poll(
        &mut self,
        tables: &mut Tables,
        context: &mut Context<'_>,
        progress: &mut Progress,
    ) -> bool {
        let mut ended = false;
        if let Flush::Building(sealed, job) = &mut self.flush
            && let Poll::Ready(built) = Pin::new(job).poll(context)
        {
            ended = true;
            let sealed = Arc::clone(sealed);
            self.flush = match built {
                Ok(built) => Flush::Built(sealed, built),
                Err(error) => {
                    self.fail(error, progress);
                    Flush::Waiting(sealed)
                }
            };
        }
        if let Merge::Building(plan, job) = &mut self.merge
            && let Poll::Ready(built) = Pin::new(job).poll(context)
        {
            ended = true;
            let collection = plan.collection;
            let before = std::mem::replace(&mut self.merge, Merge::Idle);
            match (built, before) {
                (Ok(built), Merge::Building(plan, _)) => self.merge = Merge::Built(plan, built),
                (Err(error), _) if error.kind() == ErrorKind::Corrupted => {
                    self.set_damaged(collection, error, progress);
                }
                (Err(error), _) => self.fail(error, progress),
                (Ok(_), _) => {}
            }
        }
        ended |= self.poll_index(context, progress);
        ended |= self.poll_restore(context, progress);
        if let Some(Switching { job, .. }) = &mut self.switching
            && let Poll::Ready(switched) = Pin::new(job).poll(context)
            && let Some(Switching { what, .. }) = self.switching.take()
        {
            ended = true;
            self.switched(tables, what, switched, progress);
        }
        ended
    }

    fn set_damaged(&mut self, collection: CollectionId, error: Error, progress: &mut Progress) {
        tracing::error!(%error, "a collection is merged and indexed no more");
        progress.damaged.push((collection, error.clone()));
        self.damaged.insert(collection, error);
    }

    /// A failure for want of space is tried again later; after any other, nothing is known of
    /// what the disk holds.
    fn fail(&mut self, error: Error, progress: &mut Progress) {
        match error.kind() {
            ErrorKind::StorageFull => self.rest(error),
            ErrorKind::Cancelled => {}
            _ => progress.poison = Some(error),
        }
    }

    fn begin_flush(&mut self) {
        if self.resting() || self.stop.is_cancelled() {
            return;
        }
        if let Flush::Waiting(sealed) = &self.flush {
            let sealed = Arc::clone(sealed);
            let (inputs, vfs) = (Arc::clone(&sealed), Arc::clone(&self.vfs));
            let next_file = Arc::clone(&self.next_file);
            let analyzers = Arc::clone(self.state.analyzers());
            let job = self.job(self.lanes.io.clone(), move |cancel| {
                let mut built = Vec::with_capacity(inputs.parts.len());
                for (collection, shape, part) in &inputs.parts {
                    let file = next_file.fetch_add(1, Ordering::Relaxed);
                    let parts = std::slice::from_ref(part);
                    let segment = build(&*vfs, file, shape, parts, &analyzers, cancel)?;
                    if let Some(segment) = &segment {
                        sketches::carry_over(segment, parts, shape, cancel)?;
                    }
                    built.push((*collection, segment));
                }
                Ok(built)
            });
            self.flush = Flush::Building(sealed, job);
        }
    }

    fn begin_merge(&mut self, tables: &Tables, Moment { seq, now, .. }: Moment, everything: bool) {
        if !matches!(self.merge, Merge::Idle) || self.resting() || self.stop.is_cancelled() {
            return;
        }
        // A switch may be about to change the segments.
        if self.switching.is_some() || self.is_restoring() {
            return;
        }
        let flushing = !matches!(self.flush, Flush::Idle);
        let due = tables.all().find_map(|table| {
            let inputs = table.mergeable();
            // A burst of writes needs the machine and the disk for its flushes.
            if flushing && !everything && inputs.len() < MANY {
                return None;
            }
            let sizes = inputs
                .iter()
                .map(|placed| size(placed, everything.then_some(now)));
            let sizes: Vec<Size> = sizes.collect();
            let most = self.wish.most_rows(&table.shape);
            let run = choose(&sizes, everything, most)?;
            let damaged = self.damaged.contains_key(&table.state.id);
            let mergeable = !damaged && self.may_replace(&inputs[run.clone()]);
            mergeable.then(|| (table, &inputs[run]))
        });
        let Some((table, inputs)) = due else {
            return;
        };
        let plan = MergePlan {
            collection: table.state.id,
            files: inputs.iter().map(|placed| placed.files.file).collect(),
            seq,
        };
        let parts: Vec<Part> = inputs
            .iter()
            .filter_map(Placed::readable)
            .map(|segment| Part::Stored(Stored::new(Arc::clone(segment), seq, now)))
            .collect();
        let (shape, vfs) = (Arc::clone(&table.shape), Arc::clone(&self.vfs));
        let (next_file, wish) = (Arc::clone(&self.next_file), self.wish);
        let (gauge, analyzers) = (Arc::clone(&self.gauge), Arc::clone(self.state.analyzers()));
        let job = self.job(self.lanes.update.clone(), move |cancel| {
            let next_file = || next_file.fetch_add(1, Ordering::Relaxed);
            let mut built = build(&*vfs, next_file(), &shape, &parts, &analyzers, cancel)?;
            if let Some(built) = &mut built {
                let wanting = (&*shape, wish);
                index::renew(&*vfs, built, &parts, wanting, next_file, &gauge, cancel)?;
                sketches::carry_over(built, &parts, &shape, cancel)?;
            }
            Ok(built)
        });
        self.merge = Merge::Building(plan, job);
    }

    /// Stops what is being built, and waits for it: nothing may touch the directory once it is
    /// unlocked. Then notes in the manifest how far the log reaches, unless it says so already.
    pub(super) fn close(
        &mut self,
        tables: &mut Tables,
        log_end: Option<LogEnd>,
        context: &mut Context<'_>,
    ) -> Poll<Result<()>> {
        self.stop.cancel();
        let mut progress = Progress::default();
        while self.poll(tables, context, &mut progress) {}
        if let Some(error) = progress.poison {
            self.failed = Some((error, Instant::now()));
        }
        if self.is_working() {
            return Poll::Pending;
        }
        if let Some(error) = self.failure() {
            return Poll::Ready(Err(error.clone()));
        }
        if log_end.is_none() || self.manifest.closed == log_end {
            return Poll::Ready(Ok(()));
        }
        let next = Manifest {
            closed: log_end,
            ..self.manifest.clone()
        };
        self.start_switch(tables, next, What::Close);
        self.close(tables, log_end, context)
    }

    /// A job that ends early when the database closes, and is waited for all the same: no
    /// deadline and no drop may leave it running on its own.
    fn job<T: Send + 'static>(
        &self,
        lane: Entrance,
        work: impl FnOnce(&Cancel) -> Result<T> + Send + 'static,
    ) -> Op<T> {
        let stop = self.stop.clone();
        Op::job(lane, Inline::Never, move |_| work(&Cancel::by(stop)))
    }
}

/// With a time, a row that has expired by then has ended, whether or not it was swept.
fn size(placed: &Placed, now: Option<Expiry>) -> Size {
    let live = placed.readable().map_or(0, |segment| {
        let expired = now.is_some_and(|now| segment.first_expiry.has_come(now));
        segment.live().saturating_sub(expired.into())
    });
    Size {
        live,
        ended: u64::from(placed.files.rows) - live,
        bytes: placed.files.bytes,
    }
}
