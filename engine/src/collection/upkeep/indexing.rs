//! What lies beside segments is made in one job at a time, when nothing is flushed or merged, and counts
//! once the manifest names it: the columns of fields that were declared later, which take a pass over payloads,
//! and then indexes. Until then payloads are read, and a segment is searched point by point.
//!
//! What cannot be made holds up nothing, whatever the reason: its file was named by nothing,
//! and another is tried later under a new name.

use super::{Flush, Merge, Progress, Upkeep};
use crate::{
    collection::{
        columns, index,
        placed::Placed,
        tables::{Table, Tables},
    },
    error::{Error, ErrorKind},
    id::CollectionId,
    manifest::{CollectionFiles, SegmentFiles, columns_name, index_name},
    op::Op,
    schema::{Field, Vector},
    segment::Beside,
    vector::Index,
    view::OpenSegment,
};
use std::{
    collections::BTreeMap,
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
    Building(IndexPlan, Op<Made>),
    Built(IndexPlan, Made),
    Switching,
}

/// What is made beside a segment.
#[derive(Debug)]
pub(super) struct IndexPlan {
    collection: CollectionId,
    segment: Arc<OpenSegment>,
    /// The number of its file, and its name.
    file: u64,
    name: String,
}

/// What was made beside a segment.
#[derive(Debug)]
pub(super) enum Made {
    /// The index over the vector of this number.
    Index(u32, Arc<Index>),
    /// In place of the columns that there were.
    Columns(Beside),
}

/// What is wanting beside a segment.
enum Wanted {
    Index(u32, Vector),
    /// The columns of these fields, and of no others.
    Columns(BTreeMap<String, Field>),
}

impl IndexPlan {
    /// Names what was made in the manifest, if the segment still is.
    pub(super) fn name_in(&self, made: &Made, collections: &mut [CollectionFiles]) {
        let mut collections = collections.iter_mut();
        let of = collections.find(|files| files.id == self.collection);
        let segments = of.map_or(&mut [][..], |files| &mut files.segments);
        let is_it = |files: &&mut SegmentFiles| files.file == self.segment.file;
        let Some(files) = segments.iter_mut().find(is_it) else {
            return;
        };
        match made {
            Made::Index(number, _) => {
                files.indexes.insert(*number, self.file);
            }
            Made::Columns(Beside::Columns(_)) => files.columns = Some(self.file),
            Made::Columns(Beside::Nothing | Beside::Damaged) => files.columns = None,
        }
    }

    /// Whether the error says that what is read is damaged, rather than the new file.
    fn is_of_damaged(&self, error: &Error) -> bool {
        let is_own = |(file, _)| file == self.name;
        error.kind() == ErrorKind::Corrupted && !error.location().is_some_and(is_own)
    }

    /// Shows what was made to readers. Gives the collection if its views are to be made anew for that.
    pub(super) fn install(self, made: Made) -> Option<CollectionId> {
        match made {
            Made::Index(number, index) => {
                self.segment.indexes.set(number, index);
                None
            }
            Made::Columns(beside) => {
                self.segment.late.set(beside);
                Some(self.collection)
            }
        }
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

    /// Whether every index is there that is wanted, and every column.
    pub(in crate::collection) fn is_indexed(&self, tables: &Tables) -> bool {
        matches!(self.indexing, Indexing::Idle) && self.next_wanted(tables).is_none()
    }

    /// Why the last index or file of columns could not be built, until one is or none is wanted.
    pub(in crate::collection) fn index_failure(&self) -> Option<&Error> {
        self.unbuilt.as_ref().map(|unbuilt| &unbuilt.error)
    }

    /// When what could not be built is to be tried again.
    pub(super) fn index_rests_until(&self) -> Option<Instant> {
        let until = self.unbuilt.as_ref()?.until();
        Some(until).filter(|until| *until > Instant::now())
    }

    fn give_up(&mut self, error: Error) {
        tracing::warn!(%error, "an index or columns could not be built and are tried again later");
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

    /// How many segments are to get other columns beside them.
    pub(in crate::collection) fn wanting_columns(&self, tables: &Tables) -> usize {
        let segments = self.segments(tables);
        let wanting = |(table, segment): &(&Table, &Arc<OpenSegment>)| {
            wanted_columns(table, segment).is_some()
        };
        segments.filter(wanting).count()
    }

    /// How many vectors are linked of those in the indexes that are being built, and how many these
    /// have.
    pub(in crate::collection) fn linked(&self) -> (u64, u64) {
        self.gauge.read()
    }

    /// Columns first, since they take less time than any index.
    fn next_wanted(&self, tables: &Tables) -> Option<(CollectionId, Arc<OpenSegment>, Wanted)> {
        let columns = |(table, segment): &(&Table, &Arc<OpenSegment>)| {
            wanted_columns(table, segment).map(Wanted::Columns)
        };
        let index = |(table, segment): &(&Table, &Arc<OpenSegment>)| {
            let (number, vector) = self.wish.wanting(segment, &table.shape).next()?;
            Some(Wanted::Index(number, vector.clone()))
        };
        let of = |(table, segment): (&Table, &Arc<OpenSegment>), wanted| {
            (table.state.id, Arc::clone(segment), wanted)
        };
        let mut segments = self.segments(tables);
        let found = segments.find_map(|it| Some(of(it, columns(&it)?)));
        found.or_else(|| {
            self.segments(tables)
                .find_map(|it| Some(of(it, index(&it)?)))
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
        let Some((collection, segment, wanted)) = self.next_wanted(tables) else {
            self.unbuilt = None;
            return;
        };
        let file = self.next_file.fetch_add(1, Ordering::Relaxed);
        let name = match wanted {
            Wanted::Index(..) => index_name(file),
            Wanted::Columns(_) => columns_name(file),
        };
        let plan = IndexPlan {
            collection,
            segment: Arc::clone(&segment),
            file,
            name: name.clone(),
        };
        let (vfs, gauge) = (Arc::clone(&self.vfs), Arc::clone(&self.gauge));
        let job = self.job(self.lanes.update.clone(), move |cancel| match &wanted {
            Wanted::Index(number, vector) => {
                let of = (*number, vector);
                let index = index::build(&*vfs, file, &segment, of, None, &gauge, cancel)?;
                Ok(Made::Index(*number, index))
            }
            Wanted::Columns(fields) => {
                columns::make(&*vfs, &name, &segment, fields, cancel).map(Made::Columns)
            }
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
            (Ok(made), Indexing::Building(plan, _)) => self.indexing = Indexing::Built(plan, made),
            (Err(error), Indexing::Building(plan, _)) if plan.is_of_damaged(&error) => {
                self.set_damaged(plan.collection, error, progress);
            }
            (Err(error), _) if error.kind() == ErrorKind::Cancelled => {}
            (Err(error), _) => self.give_up(error),
            (Ok(_), _) => {}
        }
        true
    }
}

fn wanted_columns(table: &Table, segment: &OpenSegment) -> Option<BTreeMap<String, Field>> {
    columns::wanting(&segment.segment, &segment.late.get(), &table.shape.schema)
}
