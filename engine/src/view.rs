//! The points of a collection at one moment: memtables and segments as one.
//!
//! A [`View`] is immutable; a reader pins one, and sees it whatever is written, flushed or merged
//! meanwhile. It is a list of parts, the oldest first. Rows are numbered within their part, and a
//! point is live in at most one row of all parts.

use crate::{
    cancel::Cancel,
    error::{Error, Result},
    expiry::Expiry,
    fields::Column,
    id::{PointId, SeqNo},
    kernel,
    memtable::{Row, Rows, StoredVector},
    payload::Payload,
    point::Record,
    segment::{Beside, Deletes, Late, PayloadReader, Segment},
    shape::Shape,
    sparse,
    sparse_vector::Halves,
    sync::{Mutex, lock},
    text,
    texts::{Analyzers, GrownTexts, TextField},
    vector::{Index, Sketch, Values},
};
use std::{borrow::Cow, collections::BTreeMap, ops::Range, sync::Arc};

/// How many vectors in memory ahead of the one that is visited are asked for: they lie here and there.
const AHEAD: usize = 3;

#[derive(Clone, Debug)]
pub(crate) struct View {
    /// What the points are now written by; older ones may lack vectors of it.
    pub(crate) shape: Arc<Shape>,
    pub(crate) parts: Vec<Part>,
    /// Rows that have not ended; none is known when some of them have expired.
    pub(crate) live: Option<u64>,
    /// When the first point expires, or before.
    pub(crate) first_expiry: Expiry,
    /// Why it does not show all points, if it does not.
    pub(crate) damage: Option<Error>,
}

/// One memtable or segment.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    Memory(Rows),
    Stored(Stored),
}

/// A segment as of one sequence number.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) segment: Arc<OpenSegment>,
    pub(crate) seq: SeqNo,
    pub(crate) now: Expiry,
    /// The columns beside it, when the view was made.
    pub(crate) beside: Beside,
}

/// A segment, and which of its rows have ended.
#[derive(Debug)]
pub(crate) struct OpenSegment {
    /// The number of its file.
    pub(crate) file: u64,
    pub(crate) segment: Segment,
    pub(crate) deletes: Deletes,
    /// When the first of its rows expires.
    pub(crate) first_expiry: Expiry,
    pub(crate) indexes: Indexes,
    pub(crate) late: Late,
    /// Of texts that have no index in its file.
    pub(crate) texts: GrownTexts,
}

/// The indexes over the vectors of a segment, by the numbers of these: they come after it, and go
/// when they are found damaged.
#[derive(Debug, Default)]
pub(crate) struct Indexes {
    indexes: Mutex<BTreeMap<u32, Arc<Index>>>,
    /// Of vectors that have no index yet.
    sketches: Mutex<BTreeMap<u32, Arc<Sketch>>>,
}

impl Indexes {
    pub(crate) fn get(&self, number: u32) -> Option<Arc<Index>> {
        lock(&self.indexes).get(&number).cloned()
    }

    /// Shows an index to searches, in place of what there was.
    pub(crate) fn set(&self, number: u32, index: Arc<Index>) {
        lock(&self.indexes).insert(number, index);
        lock(&self.sketches).remove(&number);
    }

    pub(crate) fn remove(&self, number: u32) {
        lock(&self.indexes).remove(&number);
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.indexes).len()
    }

    pub(crate) fn sketch(&self, number: u32) -> Option<Arc<Sketch>> {
        lock(&self.sketches).get(&number).cloned()
    }

    /// Keeps a sketch until there is an index.
    pub(crate) fn set_sketch(&self, number: u32, sketch: Sketch) {
        if self.get(number).is_none() {
            lock(&self.sketches).insert(number, Arc::new(sketch));
        }
    }
}

impl OpenSegment {
    /// Rows that have not ended.
    pub(crate) fn live(&self) -> u64 {
        u64::from(self.segment.rows()).saturating_sub(u64::from(self.deletes.ended_count()))
    }

    /// Which share of its rows has not ended.
    pub(crate) fn share_live(&self) -> f64 {
        self.live() as f64 / f64::from(self.segment.rows().max(1))
    }

    /// The row of the point with this id, unless it has ended.
    pub(crate) fn find(&self, id: &PointId) -> Result<Option<u32>> {
        let row = self.segment.find(id)?;
        Ok(row.filter(|row| self.deletes.ended(*row).is_none()))
    }
}

impl View {
    /// Without points.
    pub(crate) fn empty(shape: Arc<Shape>) -> Self {
        Self {
            shape,
            parts: Vec::new(),
            live: Some(0),
            first_expiry: Expiry::NEVER,
            damage: None,
        }
    }

    /// Whether it has points that expire at some time.
    pub(crate) fn may_expire(&self) -> bool {
        self.first_expiry != Expiry::NEVER
    }

    /// The same without the points that have expired `now`; `None` if none has.
    pub(crate) fn at(&self, now: Expiry) -> Option<Self> {
        let at = |part: &Part| match part {
            Part::Memory(rows) => Part::Memory(rows.at(now)),
            Part::Stored(stored) => Part::Stored(Stored {
                now,
                ..stored.clone()
            }),
        };
        self.first_expiry.has_come(now).then(|| Self {
            shape: Arc::clone(&self.shape),
            parts: self.parts.iter().map(at).collect(),
            live: None,
            first_expiry: self.first_expiry,
            damage: self.damage.clone(),
        })
    }

    /// What the points are now written by; older ones may lack vectors of it.
    pub(crate) fn shape(&self) -> &Arc<Shape> {
        &self.shape
    }

    /// Refuses what needs all points, if a part of them cannot be read.
    pub(crate) fn check_whole(&self) -> Result<()> {
        self.damage.clone().map_or(Ok(()), Err)
    }

    /// The number of points as far as they can be read, if it is known without looking at them.
    pub(crate) fn live(&self) -> Option<u64> {
        self.live
    }

    /// The segments among its parts.
    pub(crate) fn stored(&self) -> impl Iterator<Item = &Stored> {
        self.parts.iter().filter_map(|part| match part {
            Part::Memory(_) => None,
            Part::Stored(stored) => Some(stored),
        })
    }

    /// All of its parts; an error when there is one that cannot be read.
    pub(crate) fn parts(&self) -> Result<&[Part]> {
        self.check_whole()?;
        Ok(&self.parts)
    }

    /// The part and the row of the point with this id. That none has it is only known when all
    /// parts can be read.
    pub(crate) fn find(&self, id: &PointId) -> Result<Option<(&Part, u32)>> {
        // The newest first, which is where most look-ups end.
        for part in self.parts.iter().rev() {
            if let Some(row) = part.find(id)? {
                return Ok(Some((part, row)));
            }
        }
        self.check_whole()?;
        Ok(None)
    }
}

impl Part {
    /// Rows, live or not.
    pub(crate) fn rows(&self) -> u32 {
        match self {
            Self::Memory(rows) => rows.rows(),
            Self::Stored(stored) => stored.segment.segment.rows(),
        }
    }

    /// The number of the segment's file; none of a memtable.
    pub(crate) fn file(&self) -> Option<u64> {
        match self {
            Self::Memory(_) => None,
            Self::Stored(stored) => Some(stored.segment.file),
        }
    }

    pub(crate) fn is_live(&self, row: u32) -> Result<bool> {
        match self {
            Self::Memory(rows) => Ok(rows.row(row).is_some()),
            Self::Stored(stored) => stored.is_live(row),
        }
    }

    /// The live row of the point with this id.
    pub(crate) fn find(&self, id: &PointId) -> Result<Option<u32>> {
        match self {
            Self::Memory(rows) => Ok(rows.find(id)),
            Self::Stored(stored) => match stored.segment.segment.find(id)? {
                Some(row) if stored.is_live(row)? => Ok(Some(row)),
                _ => Ok(None),
            },
        }
    }

    /// When a live row expires.
    pub(crate) fn expiry(&self, row: u32) -> Result<Expiry> {
        match self {
            Self::Memory(rows) => Ok(live(rows, row)?.expiry),
            Self::Stored(stored) => stored.segment.segment.expiry(row),
        }
    }

    /// A live row, with the vectors of this shape.
    pub(crate) fn record(&self, row: u32, shape: &Shape) -> Result<Record> {
        let vector = |number: &u32| {
            let vector = self.vector(row, *number)?;
            Ok(vector.map(|(values, _)| values.to_vec()))
        };
        let sparse = |number: &u32| {
            let vector = self.sparse(row, *number)?;
            Ok(vector.map(Cow::into_owned))
        };
        Ok(Record {
            id: self.id(row)?,
            vectors: shape.numbers().iter().map(vector).collect::<Result<_>>()?,
            sparse: shape
                .sparse_numbers()
                .iter()
                .map(sparse)
                .collect::<Result<_>>()?,
            payload: self.payloads().get(row)?,
            expiry: self.expiry(row)?,
        })
    }

    /// The id of a live row.
    pub(crate) fn id(&self, row: u32) -> Result<PointId> {
        match self {
            Self::Memory(rows) => Ok(live(rows, row)?.id.clone()),
            Self::Stored(stored) => stored.segment.segment.id(row),
        }
    }

    /// The vector of this number of a live row, and what its dot product is scaled with.
    pub(crate) fn vector(&self, row: u32, number: u32) -> Result<Option<(Values<'_>, f32)>> {
        match self {
            Self::Memory(rows) => Ok(rows.vector(row, number).map(StoredVector::scaled)),
            Self::Stored(stored) => stored.segment.segment.vector(row, number),
        }
    }

    /// The sparse vector of this number of a row.
    pub(crate) fn sparse(&self, row: u32, number: u32) -> Result<Option<Cow<'_, Halves>>> {
        match self {
            Self::Memory(rows) => Ok(rows.sparse(row, number).map(Cow::Borrowed)),
            Self::Stored(stored) => match stored.segment.segment.sparse(number)? {
                Some(index) => Ok(index.vector(row)?.map(Cow::Owned)),
                None => Ok(None),
            },
        }
    }

    /// Whether a row has the vector of this number, of whatever kind.
    pub(crate) fn has_vector(&self, row: u32, number: u32) -> Result<bool> {
        Ok(self.vector(row, number)?.is_some() || self.sparse(row, number)?.is_some())
    }

    /// The column of a field over its rows, if there is one: beside a segment or, since what lies there is
    /// of a type that was declared later, else in it. The first to ask reads all of it.
    pub(crate) fn column(&self, name: &str, cancel: &Cancel) -> Result<Option<Column<'_>>> {
        let Self::Stored(stored) = self else {
            return Ok(None);
        };
        if let Some(late) = stored.beside.columns()
            && let Some(column) = late.column(name, cancel)?
        {
            return Ok(Some(column));
        }
        stored.segment.segment.column(name, cancel)
    }

    /// Calls `visit` with its rows, live or not, a stretch at a time: those that one sketch is of, if
    /// there is one of the vector of this number.
    pub(crate) fn stretches(
        &self,
        number: u32,
        mut visit: impl FnMut(Range<u32>, Option<&Sketch>) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::Memory(rows) => {
                let mut blocks = rows.blocks(0..rows.rows());
                blocks.try_for_each(|block| visit(block.range(), block.sketch(number)))
            }
            Self::Stored(stored) => {
                let sketch = stored.segment.indexes.sketch(number);
                visit(0..self.rows(), sketch.as_deref())
            }
        }
    }

    /// The stretches that could have a sketch and have none.
    pub(crate) fn unsketched(&self, number: u32) -> Vec<Range<u32>> {
        match self {
            Self::Memory(rows) => {
                let blocks = rows.blocks(0..rows.rows());
                let bare = blocks.filter(|block| {
                    block.can_be_sketched(number) && block.sketch(number).is_none()
                });
                bare.map(|block| block.range()).collect()
            }
            Self::Stored(Stored { segment, .. }) => {
                let indexes = &segment.indexes;
                let is_bare = segment.segment.count(number) > 0
                    && indexes.get(number).is_none()
                    && indexes.sketch(number).is_none();
                is_bare.then(|| 0..self.rows()).into_iter().collect()
            }
        }
    }

    /// Keeps the sketch of a stretch.
    pub(crate) fn set_sketch(&self, number: u32, stretch: Range<u32>, sketch: Sketch) {
        match self {
            Self::Memory(rows) => {
                if let Some(block) = rows.blocks(stretch).next() {
                    block.set_sketch(number, sketch);
                }
            }
            Self::Stored(stored) => stored.segment.indexes.set_sketch(number, sketch),
        }
    }

    /// Calls `visit` with those of a stretch of rows that are live and have the vector of this number,
    /// the vector, and what its dot product is scaled with.
    pub(crate) fn vectors(
        &self,
        number: u32,
        stretch: Range<u32>,
        cancel: &Cancel,
        mut visit: impl FnMut(u32, Values<'_>, f32) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::Memory(rows) => {
                for block in rows.blocks(stretch) {
                    cancel.check()?;
                    let mut ahead = block.vectors(number);
                    ahead.by_ref().take(AHEAD).for_each(drop);
                    for (row, _, vector) in block.vectors(number) {
                        if let Some((_, _, next)) = ahead.next() {
                            kernel::prefetch_first(next.scaled().0.bytes());
                        }
                        let (values, scale) = vector.scaled();
                        visit(row, values, scale)?;
                    }
                }
            }
            Self::Stored(stored) => {
                let segment = &stored.segment.segment;
                for first in stretch.clone().step_by(Cancel::STRIDE as usize) {
                    cancel.check()?;
                    let mut flaw = Ok(());
                    let range = first..stretch.end.min(first.saturating_add(Cancel::STRIDE));
                    let mut live = |row, values: Values<'_>, scale| {
                        if flaw.is_ok() {
                            flaw = stored.is_live(row).and_then(|live| {
                                if live {
                                    visit(row, values, scale)
                                } else {
                                    Ok(())
                                }
                            });
                        }
                    };
                    segment.scan(number, range, &mut live)?;
                    flaw?;
                }
            }
        }
        Ok(())
    }

    /// The index over a text of its rows, live or not, made as far as it is wanting.
    pub(crate) fn text<'a>(
        &'a self,
        field: TextField<'_>,
        analyzers: &Analyzers,
        cancel: &Cancel,
    ) -> Result<Box<dyn text::Index + 'a>> {
        match self {
            Self::Memory(rows) => {
                let payload = |row| Ok(rows.any_payload(row).cloned());
                let (texts, rows) = (rows.texts(), rows.rows());
                Ok(Box::new(
                    texts.up_to(rows, field, analyzers, payload, cancel)?,
                ))
            }
            Self::Stored(Stored { segment, .. }) => {
                if let Some(stored) = segment.segment.text(field.number)? {
                    return Ok(Box::new(stored));
                }
                let mut payloads = segment.segment.payloads();
                let payload = |row| payloads.payload(row).map(Some);
                let (texts, rows) = (&segment.texts, segment.segment.rows());
                Ok(Box::new(
                    texts.up_to(rows, field, analyzers, payload, cancel)?,
                ))
            }
        }
    }

    /// The index over a sparse vector of its rows, live or not, made as far as it is wanting; none if no
    /// row has that vector.
    pub(crate) fn sparse_index<'a>(
        &'a self,
        number: u32,
        cancel: &Cancel,
    ) -> Result<Option<Box<dyn sparse::Index + 'a>>> {
        match self {
            Self::Memory(rows) => {
                let vector = |row| rows.sparse(row, number);
                let grown = rows.grown_sparse();
                let view = grown.up_to(rows.rows(), number, vector, cancel)?;
                Ok(Some(Box::new(view)))
            }
            Self::Stored(Stored { segment, .. }) => {
                let stored = segment.segment.sparse(number)?;
                Ok(stored.map(|stored| Box::new(stored) as Box<dyn sparse::Index>))
            }
        }
    }

    /// Reads payloads of this part, quickest in the order of its rows.
    pub(crate) fn payloads(&self) -> Payloads<'_> {
        match self {
            Self::Memory(rows) => Payloads::Memory(rows),
            Self::Stored(stored) => Payloads::Stored(stored.segment.segment.payloads()),
        }
    }
}

impl Stored {
    /// A segment with what lies beside it now.
    pub(crate) fn new(segment: Arc<OpenSegment>, seq: SeqNo, now: Expiry) -> Self {
        Self {
            beside: segment.late.get(),
            segment,
            seq,
            now,
        }
    }

    pub(crate) fn is_live(&self, row: u32) -> Result<bool> {
        let Self {
            segment, seq, now, ..
        } = self;
        if !segment.deletes.is_live_at(row, *seq) {
            return Ok(false);
        }
        Ok(!segment.first_expiry.has_come(*now) || !segment.segment.expiry(row)?.has_come(*now))
    }

    /// Whether none of its rows has ended or expired.
    pub(crate) fn are_all_live(&self) -> bool {
        self.segment.deletes.ended_count() == 0 && !self.segment.first_expiry.has_come(self.now)
    }

    /// How many rows are live, at least and at most.
    pub(crate) fn live(&self) -> (u64, u64) {
        let Self {
            segment, seq, now, ..
        } = self;
        let left = segment.segment.rows() - segment.deletes.count_at(*seq);
        let most = u64::from(left);
        match segment.first_expiry.has_come(*now) {
            true => (0, most),
            false => (most, most),
        }
    }

    /// Its rows that have ended, without those that expired since.
    pub(crate) fn rows_ended(&self) -> impl Iterator<Item = u32> {
        self.segment.deletes.iter_ended_at(self.seq)
    }

    /// Its rows without those that have ended; some may have expired.
    pub(crate) fn rows_left(&self) -> impl Iterator<Item = u32> {
        self.segment.deletes.iter_live_at(self.seq)
    }
}

/// See [`Part::payloads`].
pub(crate) enum Payloads<'a> {
    Memory(&'a Rows),
    Stored(PayloadReader<'a>),
}

impl Payloads<'_> {
    /// The payload of a live row.
    pub(crate) fn get(&mut self, row: u32) -> Result<Payload> {
        match self {
            Self::Memory(rows) => Ok(live(rows, row)?.payload.clone()),
            Self::Stored(reader) => reader.payload(row),
        }
    }

    /// Adds the payload of a live row to `out`, as JSON.
    pub(crate) fn put_json(&mut self, row: u32, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Memory(rows) => {
                let written = live(rows, row)?.payload.put_json(out);
                written.map_err(|error| Error::invalid(format!("a payload is no JSON: {error}")))
            }
            Self::Stored(reader) => {
                out.extend_from_slice(reader.json(row)?);
                Ok(())
            }
        }
    }
}

/// A row that whoever asks has found to be live.
fn live(rows: &Rows, row: u32) -> Result<&Row> {
    let found = rows.row(row);
    found.ok_or_else(|| Error::invalid(format!("row {row} of a memtable is not live")))
}
