//! Indexes are built one at a time, when nothing is flushed or merged, and count once the
//! manifest names them; until then a segment is searched point by point.
//!
//! One that cannot be built holds up nothing, whatever the reason: its file was named by nothing,
//! and another is tried later under a new name.

use super::{Flush, Merge, Progress, Upkeep};
use crate::{
    collection::{
        index,
        placed::Placed,
        tables::{Table, Tables},
    },
    error::{Error, ErrorKind},
    id::CollectionId,
    manifest::{CollectionFiles, SegmentFiles, index_name},
    op::Op,
    schema::Vector,
    vector::Index,
    view::OpenSegment,
};
use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// How long is waited after an index could not be built, the first time and at the most. Building
/// may take minutes each time, and nobody waits for it.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// Why the last index could not be built, and how long to wait since.
#[derive(Debug)]
pub(super) struct Unbuilt {
    error: Error,
    at: Instant,
    pause: Duration,
}

impl Unbuilt {
    fn until(&self) -> Instant {
        self.at + self.pause
    }
}

#[derive(Debug)]
pub(super) enum Indexing {
    Idle,
    Building(IndexPlan, Op<Arc<Index>>),
    Built(IndexPlan, Arc<Index>),
    Switching,
}

/// The index over one vector of a segment.
#[derive(Debug)]
pub(super) struct IndexPlan {
    collection: CollectionId,
    segment: Arc<OpenSegment>,
    number: u32,
    /// The number of its file.
    file: u64,
}

impl IndexPlan {
    /// Names the index in the manifest, if the segment still is.
    pub(super) fn name_in(&self, collections: &mut [CollectionFiles]) {
        let mut collections = collections.iter_mut();
        let of = collections.find(|files| files.id == self.collection);
        let segments = of.map_or(&mut [][..], |files| &mut files.segments);
        let is_it = |files: &&mut SegmentFiles| files.file == self.segment.file;
        if let Some(files) = segments.iter_mut().find(is_it) {
            files.indexes.insert(self.number, self.file);
        }
    }

    /// Whether the error says that what is to be indexed is damaged, rather than the new file.
    fn is_of_damaged(&self, error: &Error) -> bool {
        let own = index_name(self.file);
        error.kind() == ErrorKind::Corrupted && error.location().is_none_or(|(file, _)| file != own)
    }

    /// Shows the index to searches.
    pub(super) fn install(self, index: Arc<Index>) {
        self.segment.indexes.set(self.number, index);
    }
}

impl Upkeep {
    /// Whether all of these segments may be replaced now: an index that is being built over one
    /// would be of no use.
    pub(super) fn may_replace(&self, segments: &[Placed]) -> bool {
        let plan = match &self.indexing {
            Indexing::Building(plan, _) | Indexing::Built(plan, _) => plan,
            Indexing::Idle | Indexing::Switching => return true,
        };
        let is_it = |placed: &Placed| placed.files.file == plan.segment.file;
        !segments.iter().any(is_it)
    }

    /// Whether every index is there that is wanted.
    pub(in crate::collection) fn is_indexed(&self, tables: &Tables) -> bool {
        matches!(self.indexing, Indexing::Idle) && self.next_index(tables).is_none()
    }

    /// Why the last index could not be built, until one is or none is wanted.
    pub(in crate::collection) fn index_failure(&self) -> Option<&Error> {
        self.unbuilt.as_ref().map(|unbuilt| &unbuilt.error)
    }

    /// When an index that could not be built is to be tried again.
    pub(super) fn index_rests_until(&self) -> Option<Instant> {
        let until = self.unbuilt.as_ref()?.until();
        Some(until).filter(|until| *until > Instant::now())
    }

    fn give_up_index(&mut self, error: Error) {
        tracing::warn!(%error, "an index could not be built and is tried again later");
        let before = self.unbuilt.take().map(|unbuilt| unbuilt.pause * 2);
        self.unbuilt = Some(Unbuilt {
            error,
            at: Instant::now(),
            pause: before.unwrap_or(PAUSE).min(LONGEST_PAUSE),
        });
    }

    /// How many indexes are wanted and not there.
    pub(in crate::collection) fn wanting_indexes(&self, tables: &Tables) -> usize {
        let segments = self.segments(tables);
        let wanting = |(table, segment): (&Table, &Arc<OpenSegment>)| {
            self.wish.wanting(segment, &table.shape).count()
        };
        segments.map(wanting).sum()
    }

    /// How many vectors are linked of those in the indexes that are being built, and how many these
    /// have.
    pub(in crate::collection) fn linked(&self) -> (u64, u64) {
        self.gauge.read()
    }

    fn next_index(&self, tables: &Tables) -> Option<(CollectionId, Arc<OpenSegment>, u32, Vector)> {
        self.segments(tables).find_map(|(table, segment)| {
            let mut wanting = self.wish.wanting(segment, &table.shape);
            let (number, vector) = wanting.next()?;
            Some((table.state.id, Arc::clone(segment), number, vector.clone()))
        })
    }

    /// The segments that can be read, of sound collections.
    fn segments<'a>(
        &'a self,
        tables: &'a Tables,
    ) -> impl Iterator<Item = (&'a Table, &'a Arc<OpenSegment>)> {
        let sound = |table: &&Table| !self.damaged.contains_key(&table.state.id);
        tables.all().filter(sound).flat_map(|table| {
            let readable = table.segments.iter().filter_map(Placed::readable);
            readable.map(move |segment| (table, segment))
        })
    }

    pub(super) fn begin_index(&mut self, tables: &Tables) {
        let busy = !matches!(self.flush, Flush::Idle)
            || !matches!(self.merge, Merge::Idle)
            || !matches!(self.indexing, Indexing::Idle)
            || self.switching.is_some()
            || self.is_restoring();
        let rests = self.resting() || self.index_rests_until().is_some();
        if busy || rests || self.stop.is_cancelled() {
            return;
        }
        let Some((collection, segment, number, vector)) = self.next_index(tables) else {
            self.unbuilt = None;
            return;
        };
        let file = self.next_file.fetch_add(1, Ordering::Relaxed);
        let plan = IndexPlan {
            collection,
            segment: Arc::clone(&segment),
            number,
            file,
        };
        let (vfs, gauge) = (Arc::clone(&self.vfs), Arc::clone(&self.gauge));
        let job = self.job(self.lanes.update.clone(), move |cancel| {
            index::build(
                &*vfs,
                file,
                &segment,
                (number, &vector),
                None,
                &gauge,
                cancel,
            )
        });
        self.indexing = Indexing::Building(plan, job);
    }

    /// True when a build ended.
    pub(super) fn poll_index(
        &mut self,
        context: &mut Context<'_>,
        progress: &mut Progress,
    ) -> bool {
        let Indexing::Building(_, job) = &mut self.indexing else {
            return false;
        };
        let Poll::Ready(built) = Pin::new(job).poll(context) else {
            return false;
        };
        let before = std::mem::replace(&mut self.indexing, Indexing::Idle);
        match (built, before) {
            (Ok(index), Indexing::Building(plan, _)) => {
                self.indexing = Indexing::Built(plan, index);
            }
            (Err(error), Indexing::Building(plan, _)) if plan.is_of_damaged(&error) => {
                self.set_damaged(plan.collection, error, progress);
            }
            (Err(error), _) if error.kind() == ErrorKind::Cancelled => {}
            (Err(error), _) => self.give_up_index(error),
            (Ok(_), _) => {}
        }
        true
    }
}
