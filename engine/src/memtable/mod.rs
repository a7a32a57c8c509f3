//! The points of a collection in memory: appended by the commit thread, read by everyone.
//!
//! Points are kept in rows, which are never changed or moved. A row is written once into its cell (a `OnceLock`), after
//! which a [`Rows`] that counts it in is published; replacing or deleting a point stamps its old
//! row with the sequence number of the change. A reader pins a view and sees exactly the rows
//! below its count that were live at its sequence number, whatever is written meanwhile; it waits
//! for nobody but for the moment in which an id is entered into the index.

use crate::{
    expiry::Expiry,
    id::{PointId, SeqNo},
    payload::Payload,
    point::Record,
    schema::Vector,
    shape::Shape,
    sparse::GrownSparse,
    sparse_vector::Halves,
    texts::GrownTexts,
    vector::{OwnedValues, Sketch, Values, scale, sketch_bytes},
};
use std::{
    collections::HashMap,
    ops::Range,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

/// Rows of a block, the unit in which memory grows.
const BLOCK: usize = 256;
/// What a row takes beside its vectors and its payload: cells, id, and its place in the index.
const ROW_BYTES: usize = 200;
/// The stamp of a live row.
const LIVE: u64 = u64::MAX;

/// The writer's side, owned by the commit thread.
#[derive(Debug)]
pub(crate) struct Memtable {
    shape: Arc<Shape>,
    blocks: Arc<Vec<Arc<Block>>>,
    index: Arc<Index>,
    grown: Arc<GrownIndexes>,
    rows: u32,
    live: u64,
    bytes: usize,
    first_expiry: Expiry,
}

/// The reader's side: the points as they were at one sequence number.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    blocks: Arc<Vec<Arc<Block>>>,
    index: Arc<Index>,
    grown: Arc<GrownIndexes>,
    rows: u32,
    seq: SeqNo,
    now: Expiry,
}

/// The indexes that searches have grown over its rows.
#[derive(Debug, Default)]
struct GrownIndexes {
    texts: GrownTexts,
    sparse: GrownSparse,
}

#[derive(Debug)]
pub(crate) struct Block {
    /// The vectors that its rows may have.
    shape: Arc<Shape>,
    rows: Box<[OnceLock<Row>]>,
    /// For each of these one cell for each row, empty where a point has none.
    vectors: Vec<Box<[OnceLock<StoredVector>]>>,
    /// For each of these a sketch of all rows, once all are there and someone has made it.
    sketches: Vec<OnceLock<Sketch>>,
    /// For each sparse vector that its rows may have one cell for each row.
    sparse: Vec<Box<[OnceLock<Halves>]>>,
}

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: PointId,
    pub(crate) payload: Payload,
    pub(crate) expiry: Expiry,
    /// The sequence number of the change that ended it, or [`LIVE`].
    ended: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct StoredVector {
    values: OwnedValues,
    /// One over the Euclidean length under cosine, 1 under the other metrics.
    scale: f32,
}

/// All rows that an id ever had, the newest last.
#[derive(Debug, Default)]
struct Index {
    rows: RwLock<HashMap<PointId, Entry>>,
}

#[derive(Debug)]
enum Entry {
    One(u32),
    Many(Vec<u32>),
}

impl Memtable {
    pub(crate) fn new(shape: Arc<Shape>) -> Self {
        Self {
            shape,
            blocks: Arc::default(),
            index: Arc::default(),
            grown: Arc::default(),
            rows: 0,
            live: 0,
            bytes: 0,
            first_expiry: Expiry::NEVER,
        }
    }

    /// What is written from now on has this shape; what was written keeps its own.
    pub(crate) fn reshape(&mut self, shape: Arc<Shape>) {
        self.shape = shape;
        // A block has one shape. The rows that are left in the last one stay empty.
        self.rows = self.rows.next_multiple_of(BLOCK as u32);
    }

    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.grown.texts.bytes() + self.grown.sparse.bytes()
    }

    /// When the first of its rows expires.
    pub(crate) fn first_expiry(&self) -> Expiry {
        self.first_expiry
    }

    /// Points, expired ones among them.
    pub(crate) fn live(&self) -> u64 {
        self.live
    }

    /// Rows, live or not.
    pub(crate) fn len(&self) -> u32 {
        self.rows
    }

    /// Whether a point with this id was ever written to it.
    pub(crate) fn knows(&self, id: &PointId) -> bool {
        self.index.newest(id, self.rows).is_some()
    }

    /// Whether so many more rows can be counted.
    pub(crate) fn has_room_for(&self, rows: usize) -> bool {
        let last = u32::MAX - BLOCK as u32;
        u32::try_from(rows).is_ok_and(|rows| self.rows.checked_add(rows).is_some_and(|n| n < last))
    }

    /// Writes a point, in place of the one with its id. False when there was none in here.
    pub(crate) fn upsert(&mut self, record: Record, seq: SeqNo) -> bool {
        let position = self.rows as usize % BLOCK;
        if position == 0 {
            // Views share the list of blocks until a block is added.
            let block = Block::new(Arc::clone(&self.shape));
            Arc::make_mut(&mut self.blocks).push(Arc::new(block));
        }
        let Some(block) = self.blocks.last() else {
            return false;
        };
        self.bytes += ROW_BYTES + record.payload.heap_bytes();
        let vectors = self.shape.vectors().map(|(_, _, vector)| vector);
        for ((cells, values), vector) in block.vectors.iter().zip(record.vectors).zip(vectors) {
            if let Some(values) = values {
                self.bytes += values.len() * vector.datatype.bytes() + sketch_bytes(vector);
                let stored = StoredVector::new(values, vector);
                debug_assert!(cells[position].get().is_none(), "a row is written once");
                let _ = cells[position].set(stored);
            }
        }
        for (cells, vector) in block.sparse.iter().zip(record.sparse) {
            if let Some(vector) = vector {
                self.bytes += size_of::<OnceLock<Halves>>() + vector.heap_bytes();
                let _ = cells[position].set(vector);
            }
        }
        self.first_expiry = self.first_expiry.min(record.expiry);
        let row = Row {
            id: record.id.clone(),
            payload: record.payload,
            expiry: record.expiry,
            ended: AtomicU64::new(LIVE),
        };
        let _ = block.rows[position].set(row);
        let before = self.index.enter(record.id, self.rows);
        let replaced = before.is_some_and(|row| self.end(row, seq).is_some());
        self.live += u64::from(!replaced);
        self.rows += 1;
        replaced
    }

    /// Deletes a point, and gives when it would have expired. `None` when there is none with this
    /// id.
    pub(crate) fn delete(&mut self, id: &PointId, seq: SeqNo) -> Option<Expiry> {
        let newest = self.index.newest(id, self.rows)?;
        let expiry = self.end(newest, seq)?.expiry;
        self.live -= 1;
        Some(expiry)
    }

    /// Stamps a row. `None` when it had ended before.
    fn end(&self, row: u32, seq: SeqNo) -> Option<&Row> {
        let row = cell(&self.blocks, row)?;
        let ended = &row.ended;
        let stamped = ended.compare_exchange(LIVE, seq.0, Ordering::AcqRel, Ordering::Relaxed);
        stamped.is_ok().then_some(row)
    }

    /// The rows that ended after `seq`, with the number of the change that ended them.
    pub(crate) fn ended_after(&self, seq: SeqNo) -> impl Iterator<Item = (u32, SeqNo)> {
        let ended = |row| Some((row, cell(&self.blocks, row)?.ended.load(Ordering::Acquire)));
        (0..self.rows)
            .filter_map(ended)
            .filter(move |(_, ended)| *ended != LIVE && *ended > seq.0)
            .map(|(row, ended)| (row, SeqNo(ended)))
    }

    /// All changes up to and with `seq`.
    pub(crate) fn view(&self, seq: SeqNo) -> Rows {
        Rows {
            blocks: Arc::clone(&self.blocks),
            index: Arc::clone(&self.index),
            grown: Arc::clone(&self.grown),
            rows: self.rows,
            seq,
            now: Expiry::BEGINNING,
        }
    }
}

impl Rows {
    /// The same rows without those that have expired `now`.
    pub(crate) fn at(&self, now: Expiry) -> Self {
        Self {
            now,
            ..self.clone()
        }
    }

    /// The number of rows, live or not.
    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    /// The row of the point with this id.
    pub(crate) fn find(&self, id: &PointId) -> Option<u32> {
        let row = self.index.newest(id, self.rows)?;
        self.row(row).map(|_| row)
    }

    /// The row, if it is live in this view.
    pub(crate) fn row(&self, row: u32) -> Option<&Row> {
        if row >= self.rows {
            return None;
        }
        cell(&self.blocks, row).filter(|row| self.is_live(row))
    }

    /// The payload of a row, live or not; none if there is no such row.
    pub(crate) fn any_payload(&self, row: u32) -> Option<&Payload> {
        cell(&self.blocks, row).map(|row| &row.payload)
    }

    /// The indexes over the texts of its rows.
    pub(crate) fn texts(&self) -> &GrownTexts {
        &self.grown.texts
    }

    /// The indexes over the sparse vectors of its rows.
    pub(crate) fn grown_sparse(&self) -> &GrownSparse {
        &self.grown.sparse
    }

    /// The sparse vector of this number of a row, live or not.
    pub(crate) fn sparse(&self, row: u32, number: u32) -> Option<&Halves> {
        let (block, position) = place(row);
        let block = self.blocks.get(block)?;
        let cells = block.sparse.get(block.shape.sparse_place(number)?)?;
        cells[position].get()
    }

    /// The vector of this number of a row.
    pub(crate) fn vector(&self, row: u32, number: u32) -> Option<&StoredVector> {
        let (block, position) = place(row);
        self.blocks.get(block)?.vectors(number)?[position].get()
    }

    /// The blocks of which the rows are among these, for a pass over them.
    pub(crate) fn blocks(&self, rows: Range<u32>) -> impl Iterator<Item = BlockView<'_>> {
        let numbers = rows.start as usize / BLOCK..(rows.end as usize).div_ceil(BLOCK);
        let blocks = self.blocks.iter().enumerate();
        let blocks = blocks.take(numbers.end).skip(numbers.start);
        blocks.map(|(number, block)| {
            let first = number * BLOCK;
            BlockView {
                view: self,
                block,
                first: first as u32,
                rows: BLOCK.min((self.rows as usize).saturating_sub(first)),
            }
        })
    }

    fn is_live(&self, row: &Row) -> bool {
        row.ended.load(Ordering::Acquire) > self.seq.0 && !row.expiry.has_come(self.now)
    }
}

/// The rows of one block that a view counts in.
pub(crate) struct BlockView<'a> {
    view: &'a Rows,
    block: &'a Block,
    /// The number of its first row.
    first: u32,
    rows: usize,
}

impl<'a> BlockView<'a> {
    /// The numbers of its rows, live or not.
    pub(crate) fn range(&self) -> Range<u32> {
        self.first..self.first + self.rows as u32
    }

    /// The sketch of the vectors of this number; `None` as well if there are no such.
    pub(crate) fn sketch(&self, number: u32) -> Option<&'a Sketch> {
        self.block
            .sketches
            .get(self.block.shape.place(number)?)?
            .get()
    }

    /// Whether all its rows were written, and may have the vector of this number.
    pub(crate) fn can_be_sketched(&self, number: u32) -> bool {
        self.rows == BLOCK && self.block.shape.place(number).is_some()
    }

    /// Keeps a sketch for whoever searches next.
    pub(crate) fn set_sketch(&self, number: u32, sketch: Sketch) {
        let place = self.block.shape.place(number);
        if let Some(place) = place.and_then(|place| self.block.sketches.get(place)) {
            let _ = place.set(sketch);
        }
    }

    /// The live rows with their numbers.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (u32, &'a Row)> {
        let view = self.view;
        (self.first..)
            .zip(&self.block.rows[..self.rows])
            .filter_map(|(number, row)| Some((number, row.get()?)))
            .filter(move |(_, row)| view.is_live(row))
    }

    /// The live rows that have the vector of this number, with it.
    pub(crate) fn vectors(
        &self,
        number: u32,
    ) -> impl Iterator<Item = (u32, &'a Row, &'a StoredVector)> {
        let cells = self.block.vectors(number).unwrap_or_default();
        let first = self.first;
        self.rows().filter_map(move |(number, row)| {
            let vector = cells.get((number - first) as usize)?.get()?;
            Some((number, row, vector))
        })
    }
}

impl Block {
    fn new(shape: Arc<Shape>) -> Self {
        Self {
            rows: cells(),
            vectors: shape.numbers().iter().map(|_| cells()).collect(),
            sketches: shape.numbers().iter().map(|_| OnceLock::new()).collect(),
            sparse: shape.sparse_numbers().iter().map(|_| cells()).collect(),
            shape,
        }
    }

    fn vectors(&self, number: u32) -> Option<&[OnceLock<StoredVector>]> {
        let cells = self.vectors.get(self.shape.place(number)?);
        cells.map(|cells| &cells[..])
    }
}

fn cells<T>() -> Box<[OnceLock<T>]> {
    (0..BLOCK).map(|_| OnceLock::new()).collect()
}

fn place(row: u32) -> (usize, usize) {
    (row as usize / BLOCK, row as usize % BLOCK)
}

fn cell(blocks: &[Arc<Block>], row: u32) -> Option<&Row> {
    let (block, position) = place(row);
    blocks.get(block)?.rows[position].get()
}

impl StoredVector {
    fn new(values: Vec<f32>, vector: &Vector) -> Self {
        Self {
            scale: match vector.multi {
                true => 1.0,
                false => scale(&values, vector.metric),
            },
            values: OwnedValues::new(values, vector.datatype),
        }
    }

    /// Its numbers, and what its dot product is scaled with: 1 for a list of vectors.
    pub(crate) fn scaled(&self) -> (Values<'_>, f32) {
        (self.values.view(), self.scale)
    }
}

impl Index {
    /// Enters a row, and gives the one that was the newest before.
    fn enter(&self, id: PointId, row: u32) -> Option<u32> {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        match rows.entry(id) {
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(Entry::One(row));
                None
            }
            std::collections::hash_map::Entry::Occupied(mut entry) => match entry.get_mut() {
                Entry::One(before) => {
                    let before = *before;
                    entry.insert(Entry::Many(vec![before, row]));
                    Some(before)
                }
                Entry::Many(rows) => {
                    let before = rows.last().copied();
                    rows.push(row);
                    before
                }
            },
        }
    }

    /// The newest row of an id among the first `rows`.
    fn newest(&self, id: &PointId, rows: u32) -> Option<u32> {
        let index = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        match index.get(id)? {
            Entry::One(row) => Some(*row).filter(|row| *row < rows),
            Entry::Many(all) => {
                let below = all.partition_point(|row| *row < rows);
                all[..below].last().copied()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Metric, Schema};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn record(id: u64, value: f32) -> Record {
        Record {
            id: id.into(),
            vectors: vec![Some(vec![value])],
            sparse: Vec::new(),
            payload: Payload::default(),
            expiry: Expiry::NEVER,
        }
    }

    fn first(vector: &StoredVector) -> f32 {
        vector.scaled().0.to_vec()[0]
    }

    fn contents(view: &Rows) -> BTreeMap<PointId, f32> {
        view.blocks(0..view.rows())
            .flat_map(|block| block.vectors(0).collect::<Vec<_>>())
            .map(|(_, row, vector)| (row.id.clone(), first(vector)))
            .collect()
    }

    proptest! {
        /// Every view shows for ever what a map held when it was taken.
        #[test]
        fn views_are_frozen(ops in prop::collection::vec((any::<bool>(), 0u64..40), 1..700)) {
            let schema = Schema::new().vector("v", Vector::new(1, Metric::Dot));
            let mut memtable = Memtable::new(Arc::new(Shape::new(schema)));
            let mut model: BTreeMap<PointId, f32> = BTreeMap::new();
            let mut views = Vec::new();
            for (seq, (upsert, id)) in (1u64..).zip(ops) {
                if upsert {
                    memtable.upsert(record(id, seq as f32), SeqNo(seq));
                    model.insert(id.into(), seq as f32);
                } else {
                    let deleted = memtable.delete(&id.into(), SeqNo(seq));
                    prop_assert_eq!(deleted.is_some(), model.remove(&id.into()).is_some());
                }
                views.push((memtable.view(SeqNo(seq)), model.clone()));
            }
            for (view, model) in views {
                prop_assert_eq!(&contents(&view), &model);
                for id in (0..40).map(PointId::from) {
                    let found = view.find(&id).and_then(|row| view.vector(row, 0));
                    prop_assert_eq!(found.map(first), model.get(&id).copied());
                }
            }
        }
    }
}
