//! The memtables and segments of all collections, and what each change does to them: the same
//! when it is committed as when it is read back from the log. Owned by the commit thread.
//!
//! Of an id at most one row is live, wherever it lies. A write therefore looks its ids up in the
//! segments before it is logged, when a damaged segment can still refuse it; what it found cannot
//! change until it is applied, since segments come and go between groups alone.

use super::{
    build::Built,
    placed::{Placed, Unread},
    resolve::Points,
    state::{CollectionState, State},
    write::Applied,
};
use crate::{
    error::{Error, ErrorKind, Result},
    expiry::Expiry,
    id::{CollectionId, PointId, SeqNo},
    manifest::{SegmentFiles, segment_name},
    memtable::Memtable,
    point::Record,
    schema::quoted,
    shape::Shape,
    texts::Analyzers,
    vector::check_len,
    view::{OpenSegment, Part, Stored, View},
    wal::Change,
};
use std::{collections::BTreeMap, ops::Range, sync::Arc};

#[derive(Debug, Default)]
pub(super) struct Tables {
    open: BTreeMap<CollectionId, Table>,
    /// The number of the next collection to be created.
    next: CollectionId,
}

/// The points of one collection.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) state: Arc<CollectionState>,
    pub(super) shape: Arc<Shape>,
    active: Memtable,
    /// Being written to a segment.
    sealed: Option<Memtable>,
    /// The oldest first.
    pub(super) segments: Vec<Placed>,
    /// Why reads and writes are refused that need all segments, if they are.
    damage: Option<Error>,
}

/// What has expired in one segment.
#[derive(Debug)]
pub(super) struct Expired {
    pub(super) collection: CollectionId,
    pub(super) file: u64,
    pub(super) rows: Vec<u32>,
    /// When the next row expires.
    pub(super) next: Expiry,
}

/// For each id of a change the row of a segment that is its point, if there is one.
pub(super) type Targets = Vec<Option<Target>>;

/// A row of a segment that has not ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// Its place among those of the collection.
    segment: usize,
    row: u32,
    /// Never, unless one of the segment had come when this was found.
    expiry: Expiry,
}

impl Tables {
    /// The number that the next collection gets.
    pub(super) fn next(&self) -> CollectionId {
        self.next
    }

    /// No collection gets a number below this.
    pub(super) fn skip_to(&mut self, next: CollectionId) {
        self.next = self.next.max(next);
    }

    pub(super) fn get(&self, collection: CollectionId) -> Option<&Table> {
        self.open.get(&collection)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Table> {
        self.open.values()
    }

    /// Refuses schemas with a text that nothing takes apart.
    pub(super) fn check_texts(&self, analyzers: &Analyzers) -> Result<()> {
        self.all()
            .try_for_each(|table| analyzers.check(&table.shape.schema))
    }

    /// Refuses from now on what would need a damaged segment. Until then, and without it, what
    /// is left counts as all there is.
    pub(super) fn refuse_damaged(&mut self) {
        for table in self.open.values_mut() {
            let first = table.flaws().next().cloned();
            table.damage = first;
        }
    }

    /// The first damage that makes reads and writes be refused.
    pub(super) fn check_whole(&self) -> Result<()> {
        let mut damage = self.open.values().filter_map(|table| table.damage.clone());
        damage.next().map_or(Ok(()), Err)
    }

    /// Reads no more the segment in whose file `error` was found. False when there is none.
    pub(super) fn set_unread(&mut self, error: &Error, seq: SeqNo) -> bool {
        let Some((file, _)) = error.location() else {
            return false;
        };
        let segments = self.open.values_mut().flat_map(|table| &mut table.segments);
        let found = segments
            .filter(|placed| placed.unread.is_none())
            .find(|placed| segment_name(placed.files.file) == file);
        let unread = Unread::new(error.clone(), Vec::new(), seq);
        found.map(|placed| placed.unread = Some(unread)).is_some()
    }

    /// Whether a change can be applied once it is durable, and to which rows of segments: for a
    /// batch those of its parts, one after another. The same `now` is to be given to
    /// [`apply`](Self::apply).
    pub(super) fn resolve(&self, change: &Change, now: Expiry) -> Result<Targets> {
        if let Change::Batch(parts) = change {
            let mut targets = Targets::new();
            for part in parts {
                targets.extend(self.resolve(part, now)?);
            }
            return Ok(targets);
        }
        let (collection, rows) = match change {
            Change::Create { .. }
            | Change::Begin { .. }
            | Change::Batch(_)
            | Change::Alias {
                collection: None, ..
            } => return Ok(Vec::new()),
            Change::Remove { collection }
            | Change::Rename { collection, .. }
            | Change::Alter { collection, .. }
            | Change::Alias {
                collection: Some(collection),
                ..
            }
            | Change::Delete { collection, .. } => (collection, 0),
            Change::Upsert {
                collection,
                records,
            } => (collection, records.len()),
        };
        let table = self.open.get(collection);
        let table = table.ok_or_else(|| unknown(*collection))?;
        if !table.active.has_room_for(rows) {
            return Err(Error::new(
                ErrorKind::StorageFull,
                "the collection has as many rows in memory as it can number",
            ));
        }
        match change {
            Change::Upsert { records, .. } => table.targets(records.iter().map(|r| &r.id), now),
            Change::Delete { ids, .. } => table.targets(ids.iter(), now),
            _ => Ok(Vec::new()),
        }
    }

    /// Applies a change that is durable. Readers see it once it is published. A delete counts the
    /// points that had not expired `now`.
    pub(super) fn apply(
        &mut self,
        state: &State,
        seq: SeqNo,
        change: Change,
        targets: &[Option<Target>],
        now: Expiry,
    ) -> Result<Applied> {
        match change {
            Change::Create {
                collection,
                name,
                schema,
            } => Ok(Applied::Created(self.create(
                state,
                collection,
                name,
                Arc::new(Shape::new(schema)),
                Vec::new(),
            ))),
            Change::Remove { collection } => {
                let removed = self.open.remove(&collection);
                let table = removed.ok_or_else(|| unknown(collection))?;
                state.remove(&table.state);
                Ok(Applied::Done)
            }
            Change::Upsert {
                collection,
                records,
            } => {
                let table = self.find(collection)?;
                for (record, target) in records.into_iter().zip(targets) {
                    check_shape(&record, &table.shape)?;
                    table.upsert(record, seq, *target);
                }
                Ok(Applied::Done)
            }
            Change::Delete { collection, ids } => {
                let table = self.find(collection)?;
                let deleted = ids
                    .iter()
                    .zip(targets)
                    .filter_map(|(id, target)| table.end(id, seq, *target))
                    .filter(|expiry| !expiry.has_come(now))
                    .count();
                Ok(Applied::Changed(deleted as u64))
            }
            Change::Rename { collection, name } => {
                let table = self.find(collection)?;
                state.rename(&table.state, name);
                Ok(Applied::Done)
            }
            Change::Alter { collection, shape } => {
                let table = self.find(collection)?;
                table.shape = Arc::new(shape);
                table.active.reshape(Arc::clone(&table.shape));
                Ok(Applied::Done)
            }
            Change::Alias { alias, collection } => {
                let meant = collection
                    .map(|collection| self.find(collection))
                    .transpose()?;
                state.set_alias(alias, meant.map(|table| Arc::clone(&table.state)));
                Ok(Applied::Done)
            }
            Change::Batch(parts) => {
                let mut rest = targets;
                for part in parts {
                    let (targets, others) = rest.split_at(part.points().min(rest.len()));
                    rest = others;
                    self.apply(state, seq, part, targets, now)?;
                }
                Ok(Applied::Done)
            }
            Change::Begin { .. } => Ok(Applied::Done),
        }
    }

    /// Adds a collection, with the segments that it has.
    pub(super) fn create(
        &mut self,
        state: &State,
        id: CollectionId,
        name: String,
        shape: Arc<Shape>,
        segments: Vec<Placed>,
    ) -> Arc<CollectionState> {
        let empty = View::empty(Arc::clone(&shape));
        let clock = state.clock();
        let collection = CollectionState::new(id, name, empty, clock);
        let collection = Arc::new(collection);
        state.insert(Arc::clone(&collection));
        self.next = CollectionId(self.next.0.max(id.0.saturating_add(1)));
        let table = Table {
            state: Arc::clone(&collection),
            active: Memtable::new(Arc::clone(&shape)),
            shape,
            sealed: None,
            segments,
            damage: None,
        };
        self.open.insert(id, table);
        collection
    }

    fn find(&mut self, id: CollectionId) -> Result<&mut Table> {
        self.open.get_mut(&id).ok_or_else(|| unknown(id))
    }

    /// Shows readers what was applied to a collection up to `seq`.
    pub(super) fn publish(&self, collection: CollectionId, seq: SeqNo) {
        if let Some(table) = self.open.get(&collection) {
            table.state.publish(table.view(seq));
        }
    }

    /// Shows readers all that was read back from the log.
    pub(super) fn publish_all(&self, seq: SeqNo) {
        self.open.keys().for_each(|id| self.publish(*id, seq));
    }

    /// About how much memory the points take that are not being written to a segment.
    pub(super) fn active_bytes(&self) -> usize {
        self.open.values().map(|table| table.active.bytes()).sum()
    }

    /// About how much memory all points take that are in no segment.
    pub(super) fn memory_bytes(&self) -> usize {
        let sealed = self.open.values().filter_map(|table| table.sealed.as_ref());
        self.active_bytes() + sealed.map(Memtable::bytes).sum::<usize>()
    }

    /// Begins new memtables, and gives the full ones as of `seq`, the last change applied.
    pub(super) fn seal(&mut self, seq: SeqNo) -> Vec<(CollectionId, Arc<Shape>, Part)> {
        let mut sealed = Vec::new();
        for (id, table) in &mut self.open {
            debug_assert!(table.sealed.is_none(), "one flush at a time");
            if table.active.len() == 0 {
                continue;
            }
            let shape = Arc::clone(&table.shape);
            let empty = Memtable::new(Arc::clone(&shape));
            let full = std::mem::replace(&mut table.active, empty);
            sealed.push((*id, shape, Part::Memory(full.view(seq))));
            table.sealed = Some(full);
        }
        sealed
    }

    /// Puts a segment in place of what it was built from: the sealed memtable, or a run of
    /// segments. Rows that ended meanwhile, after `seq`, end in it too.
    pub(super) fn install(
        &mut self,
        collection: CollectionId,
        built: Option<(&Built, SegmentFiles)>,
        replaced: Option<Range<usize>>,
        seq: SeqNo,
    ) {
        let Some(table) = self.open.get_mut(&collection) else {
            return;
        };
        if let Some((built, _)) = &built {
            table.carry_over(built, replaced.clone(), seq);
        }
        let placed = built.map(|(built, files)| Placed::sound(files, Arc::clone(&built.segment)));
        match replaced {
            None => {
                table.sealed = None;
                table.segments.extend(placed);
            }
            Some(run) => drop(table.segments.splice(run, placed)),
        }
    }

    /// Ends in a new segment what ended after `seq` in the parts that it was built from.
    pub(super) fn carry_over(
        &self,
        collection: CollectionId,
        built: &Built,
        replaced: Option<Range<usize>>,
        seq: SeqNo,
    ) {
        if let Some(table) = self.open.get(&collection) {
            table.carry_over(built, replaced, seq);
        }
    }

    /// What the manifest says of the files of a segment has changed.
    pub(super) fn set_files(&mut self, collection: CollectionId, files: &[SegmentFiles]) {
        let Some(table) = self.open.get_mut(&collection) else {
            return;
        };
        for placed in &mut table.segments {
            let found = files.iter().find(|new| new.file == placed.files.file);
            if let Some(new) = found {
                placed.files = new.clone();
            }
        }
    }
}

impl Tables {
    /// When the next row of a segment expires.
    pub(super) fn next_expiry(&self) -> Expiry {
        let placed = self.open.values().flat_map(|table| &table.segments);
        let readable = placed.filter(|placed| placed.readable().is_some());
        let next = readable.map(|placed| placed.next_expiry).min();
        next.unwrap_or(Expiry::NEVER)
    }

    /// The segments of which a row has expired `now`.
    pub(super) fn expiring(&self, now: Expiry) -> Vec<(CollectionId, Arc<OpenSegment>)> {
        let placed = |(id, table): (&CollectionId, &Table)| {
            let segments = table.segments.iter();
            let due = segments.filter(|placed| placed.next_expiry.has_come(now));
            let id = *id;
            let due = due.filter_map(move |placed| Some((id, Arc::clone(placed.readable()?))));
            due.collect::<Vec<_>>()
        };
        self.open.iter().flat_map(placed).collect()
    }

    /// Ends rows that have expired.
    pub(super) fn expire(&mut self, expired: &Expired, seq: SeqNo) {
        let Some(table) = self.open.get_mut(&expired.collection) else {
            return;
        };
        let mut segments = table.segments.iter_mut();
        if let Some(placed) = segments.find(|placed| placed.files.file == expired.file) {
            placed.next_expiry = expired.next;
            if let Some(segment) = &placed.segment {
                for row in &expired.rows {
                    segment.deletes.end(*row, seq);
                }
            }
        }
    }
}

/// As of the last change that was published.
impl Points for Tables {
    fn contains(&self, collection: CollectionId, id: &PointId) -> Result<bool> {
        let table = self.get(collection).ok_or_else(|| unknown(collection))?;
        Ok(table.state.pin()?.find(id)?.is_some())
    }

    fn read(&self, collection: CollectionId, id: &PointId) -> Result<Option<Record>> {
        let table = self.get(collection).ok_or_else(|| unknown(collection))?;
        let view = table.state.pin()?;
        let Some((part, row)) = view.find(id)? else {
            return Ok(None);
        };
        part.record(row, &table.shape).map(Some)
    }
}

impl Table {
    /// What is wrong with each damaged segment.
    pub(super) fn flaws(&self) -> impl Iterator<Item = &Error> {
        let unread = self.segments.iter().filter_map(|p| p.unread.as_ref());
        unread.map(|unread| &unread.error)
    }

    /// The segments that may be merged: those after the last damaged one, so that it keeps its
    /// place.
    pub(super) fn mergeable(&self) -> &[Placed] {
        let damaged = self.segments.iter().rposition(|p| p.readable().is_none());
        &self.segments[damaged.map_or(0, |place| place + 1)..]
    }

    fn targets<'a>(&self, ids: impl Iterator<Item = &'a PointId>, now: Expiry) -> Result<Targets> {
        ids.map(|id| self.target(id, now)).collect()
    }

    fn target(&self, id: &PointId, now: Expiry) -> Result<Option<Target>> {
        let in_memory = |memtable: &Memtable| memtable.knows(id);
        if in_memory(&self.active) || self.sealed.as_ref().is_some_and(in_memory) {
            return Ok(None);
        }
        for (place, placed) in self.segments.iter().enumerate().rev() {
            if let Some(segment) = placed.readable()
                && let Some(row) = segment.find(id)?
            {
                let expiry = match placed.next_expiry.has_come(now) {
                    true => segment.segment.expiry(row)?,
                    false => Expiry::NEVER,
                };
                return Ok(Some(Target {
                    segment: place,
                    row,
                    expiry,
                }));
            }
        }
        self.damage.clone().map_or(Ok(None), Err)
    }

    fn upsert(&mut self, record: Record, seq: SeqNo, target: Option<Target>) {
        let id = record.id.clone();
        if !self.active.upsert(record, seq) {
            self.end_below(&id, seq, target);
        }
    }

    /// Ends a point, and gives when it would have expired. `None` when there is none.
    fn end(&mut self, id: &PointId, seq: SeqNo, target: Option<Target>) -> Option<Expiry> {
        let ended = self.active.delete(id, seq);
        ended.or_else(|| self.end_below(id, seq, target))
    }

    /// Ends the row of a point that is not live in the active memtable.
    fn end_below(&mut self, id: &PointId, seq: SeqNo, target: Option<Target>) -> Option<Expiry> {
        let sealed = self.sealed.as_mut();
        let ended = sealed
            .and_then(|sealed| sealed.delete(id, seq))
            .or_else(|| {
                let target = target?;
                let segment = self.segments.get(target.segment)?.readable()?;
                let ended = segment.deletes.end(target.row, seq);
                ended.then_some(target.expiry)
            });
        if ended.is_none() {
            self.segments.iter_mut().for_each(|p| p.miss(id, seq));
        }
        ended
    }

    /// All changes up to and with `seq`.
    fn view(&self, seq: SeqNo) -> View {
        let segments = self.segments.iter().filter_map(Placed::readable);
        let stored = segments.clone().map(|segment| {
            let segment = Arc::clone(segment);
            Part::Stored(Stored::new(segment, seq, Expiry::BEGINNING))
        });
        let memtables = self.sealed.iter().chain([&self.active]);
        let live = segments.map(|segment| segment.live());
        let live = live.sum::<u64>() + memtables.clone().map(Memtable::live).sum::<u64>();
        let memory = memtables
            .clone()
            .filter(|memtable| memtable.len() > 0)
            .map(|memtable| Part::Memory(memtable.view(seq)));
        let placed = self.segments.iter().filter(|p| p.readable().is_some());
        let expiries = placed.map(|placed| placed.next_expiry);
        let first_expiry = expiries.chain(memtables.clone().map(Memtable::first_expiry));
        View {
            shape: Arc::clone(&self.shape),
            parts: stored.chain(memory).collect(),
            live: Some(live),
            first_expiry: first_expiry.min().unwrap_or(Expiry::NEVER),
            damage: self.damage.clone(),
        }
    }

    fn carry_over(&self, built: &Built, replaced: Option<Range<usize>>, seq: SeqNo) {
        match replaced {
            None => {
                if let Some(sealed) = &self.sealed {
                    built.end_as(0, sealed.ended_after(seq));
                }
            }
            Some(run) => {
                let inputs = self.segments[run].iter().filter_map(Placed::readable);
                for (input, segment) in inputs.enumerate() {
                    built.end_as(input, segment.deletes.iter_after(seq));
                }
            }
        }
    }
}

/// Writes were checked before they were logged; this is what the log gives back.
fn check_shape(record: &Record, shape: &Shape) -> Result<()> {
    let mut pairs = record.vectors.iter().zip(shape.vectors());
    let fits = record.vectors.len() == shape.numbers().len()
        && record.sparse.len() == shape.sparse_numbers().len()
        && pairs.all(|(values, (name, _, vector))| {
            let values = values.as_ref();
            values.is_none_or(|values| check_len(name, vector, values.len()).is_ok())
        });
    if fits {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the vectors of point {} are not those of the schema",
        quoted(&record.id.to_string())
    )))
}

pub(super) fn unknown(collection: CollectionId) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("collection number {} was deleted", collection.0),
    )
}
