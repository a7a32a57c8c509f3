//! The indexes over the vectors of segments: which are wanting, how they are built and opened.

use super::{build::Built, choose::MAX_ROWS};
use crate::{
    cancel::Cancel,
    error::{Error, ErrorKind, Result},
    manifest::{SegmentFiles, index_name},
    options::Options,
    schema::Vector,
    segment::Segment,
    shape::Shape,
    vector::{self, Index, Moved, Params, Subject, VectorSource},
    vfs::Vfs,
    view::{Indexes, OpenSegment, Part},
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// What levels are drawn from.
const SEED: u64 = 0x616d_7068_6f72_6121;
/// What rows take is computed of so many of them.
const SOME: u32 = 1 << 16;

/// Which indexes there are to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// A segment of so many vectors gets an index over them.
    from: usize,
    /// Building one takes no more than so much.
    memory_bytes: usize,
}

impl Wish {
    pub(super) fn of(options: &Options) -> Self {
        Self {
            from: options.index_from,
            memory_bytes: options.index_memory_bytes,
        }
    }

    fn is_for(&self, segment: &Segment, number: u32, vector: &Vector) -> bool {
        let total = segment.total(number);
        total >= self.from as u64 && (!vector.multi || self.can_be_built(total, vector))
    }

    /// Merges see to it where rows have one vector each; how many lists come to they do not know.
    fn can_be_built(&self, total: u64, vector: &Vector) -> bool {
        let memory = |total| vector::memory(total, vector.dimensions, params(vector));
        u32::try_from(total).is_ok_and(|total| memory(total) <= self.memory_bytes as u64)
    }

    /// The vectors of the shape that a segment is to have an index over and has none, with their
    /// numbers.
    pub(super) fn wanting<'a>(
        self,
        segment: &'a OpenSegment,
        shape: &'a Shape,
    ) -> impl Iterator<Item = (u32, &'a Vector)> {
        let vectors = shape.vectors().filter(move |(_, number, vector)| {
            segment.indexes.get(*number).is_none() && self.is_for(&segment.segment, *number, vector)
        });
        vectors.map(|(_, number, vector)| (number, vector))
    }

    /// How many rows a segment of this shape may have for each index over it to be built. Of lists
    /// it is not known.
    pub(super) fn most_rows(self, shape: &Shape) -> u64 {
        let vectors = shape.vectors().filter(|(_, _, vector)| !vector.multi);
        let most = vectors.map(|(_, _, vector)| {
            let for_some = vector::memory(SOME, vector.dimensions, params(vector));
            (self.memory_bytes as u64).saturating_mul(SOME.into()) / for_some.max(1)
        });
        most.min().unwrap_or(MAX_ROWS).min(MAX_ROWS)
    }
}

fn params(vector: &Vector) -> Params {
    Params {
        m: vector.hnsw.m as usize,
        ef_construction: vector.hnsw.ef_construction as usize,
        seed: SEED,
    }
}

/// How far the indexes are that are being built.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    linked: AtomicU64,
    all: AtomicU64,
}

impl Gauge {
    /// How many vectors are linked, and how many there are.
    pub(super) fn read(&self) -> (u64, u64) {
        // Each moves on its own: what is said is about right.
        let all = self.all.load(Ordering::Relaxed);
        (self.linked.load(Ordering::Relaxed).min(all), all)
    }
}

/// What one build has added to the gauge, and takes away when it ends.
struct Reading<'a> {
    gauge: &'a Gauge,
    linked: AtomicU64,
    all: u64,
}

impl<'a> Reading<'a> {
    fn new(gauge: &'a Gauge, all: u32) -> Self {
        gauge.all.fetch_add(all.into(), Ordering::Relaxed);
        Self {
            gauge,
            linked: AtomicU64::new(0),
            all: all.into(),
        }
    }

    fn set(&self, linked: u32) {
        let before = self.linked.swap(linked.into(), Ordering::Relaxed);
        let more = u64::from(linked).saturating_sub(before);
        self.gauge.linked.fetch_add(more, Ordering::Relaxed);
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let linked = self.linked.load(Ordering::Relaxed);
        self.gauge.linked.fetch_sub(linked, Ordering::Relaxed);
        self.gauge.all.fetch_sub(self.all, Ordering::Relaxed);
    }
}

/// Builds the index `file` over one vector of a segment, on the threads of the lane that this is
/// called on: durable but for its name, and checked. `base` is an index over rows that were taken
/// over into the segment, with the row that each now is.
pub(super) fn build(
    vfs: &dyn Vfs,
    file: u64,
    segment: &OpenSegment,
    (number, vector): (u32, &Vector),
    base: Option<(&Index, Moved<'_>)>,
    gauge: &Gauge,
    cancel: &Cancel,
) -> Result<Arc<Index>> {
    let name = index_name(file);
    let subject = subject(&segment.segment, number, vector);
    let source = Vectors::of(&segment.segment, number, vector)?;
    let reading = Reading::new(gauge, source.len());
    let place = |row| source.place(base?.1(row)?);
    // Which of the nodes of a row is which of its vectors is not known.
    let base = base.filter(|_| !vector.multi);
    let build = vector::Build {
        base: base.map(|(index, _)| (index, &place as Moved<'_>)),
        progress: &|linked| reading.set(linked),
        ..vector::Build::new(subject, &source, params(vector))
    };
    vector::write(vfs, &name, &build, cancel)?;
    let opened = Index::open(vfs, &name, subject).and_then(|index| {
        index.check(cancel)?;
        Ok(Arc::new(index))
    });
    opened.inspect_err(|_| {
        // Nothing names it: what stays is garbage, and cleared as such.
        let _ = vfs.remove(&name);
    })
}

/// Builds over a segment that takes the place of `parts` the indexes that one of these has, so that
/// searches are never slower than before: each begins with the largest of these. One that cannot be
/// built is left out: it is wanting, and will be built when it can.
pub(super) fn renew(
    vfs: &dyn Vfs,
    built: &mut Built,
    parts: &[Part],
    (shape, wish): (&Shape, Wish),
    next_file: impl Fn() -> u64,
    gauge: &Gauge,
    cancel: &Cancel,
) -> Result<()> {
    let segment = Arc::clone(&built.segment);
    for (number, vector) in wish.wanting(&segment, shape) {
        let index = |(input, part): (usize, &Part)| match part {
            Part::Memory(_) => None,
            Part::Stored(stored) => Some((input, stored.segment.indexes.get(number)?)),
        };
        let indexes = parts.iter().enumerate().filter_map(index);
        let Some((input, largest)) = indexes.max_by_key(|(_, index)| index.rows()) else {
            continue;
        };
        let file = next_file();
        let place = |row| built.place_of(input, row);
        let base = Some((&*largest, &place as Moved<'_>));
        match build(vfs, file, &segment, (number, vector), base, gauge, cancel) {
            Ok(index) => {
                segment.indexes.set(number, index);
                built.indexes.insert(number, file);
            }
            Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
            Err(error) => tracing::warn!(%error, "a segment is merged without its index"),
        }
    }
    Ok(())
}

/// Opens the indexes that the manifest names. One that is damaged or missing is left out: it will be built anew.
pub(super) fn open(
    vfs: &dyn Vfs,
    files: &SegmentFiles,
    segment: &Segment,
    shape: &Shape,
) -> Indexes {
    let indexes = Indexes::default();
    for (_, number, vector) in shape.vectors() {
        let Some(file) = files.indexes.get(&number) else {
            continue;
        };
        match Index::open(vfs, &index_name(*file), subject(segment, number, vector)) {
            Ok(index) => indexes.set(number, Arc::new(index)),
            Err(error) => tracing::warn!(%error, "an index will be built anew"),
        }
    }
    indexes
}

fn subject(segment: &Segment, number: u32, vector: &Vector) -> Subject {
    Subject {
        segment: segment.file_id(),
        vector: number,
        metric: vector.metric,
        dimensions: vector.dimensions,
        quantization: vector.quantization,
        multi: vector.multi,
    }
}

/// One vector of the rows of a segment that have it, or the vectors of their lists.
struct Vectors<'a> {
    segment: &'a Segment,
    number: u32,
    vector: &'a Vector,
    /// The row of each.
    rows: Vec<u32>,
}

impl<'a> Vectors<'a> {
    fn of(segment: &'a Segment, number: u32, vector: &'a Vector) -> Result<Self> {
        let mut rows = Vec::with_capacity(segment.total(number) as usize);
        let width = vector.dimensions as usize;
        segment.scan(number, 0..segment.rows(), &mut |row, values, _| {
            rows.extend(std::iter::repeat_n(row, values.len() / width));
        })?;
        Ok(Self {
            segment,
            number,
            vector,
            rows,
        })
    }

    /// Where the vector of a row of the segment is among them.
    fn place(&self, row: u32) -> Option<u32> {
        self.rows.binary_search(&row).ok().map(|place| place as u32)
    }
}

impl VectorSource for Vectors<'_> {
    fn len(&self) -> u32 {
        self.rows.len() as u32
    }

    fn vector<'a>(&'a self, place: u32, room: &'a mut Vec<f32>) -> Result<(&'a [f32], f32)> {
        let row = self.row(place);
        let found = self.segment.vector(row, self.number)?;
        let (values, scale) = found.ok_or_else(|| Error::invalid("a row has lost its vector"))?;
        if !self.vector.multi {
            return Ok((values.widened(room), scale));
        }
        let first = self.rows.partition_point(|before| *before < row);
        let width = self.vector.dimensions as usize;
        let part = values.part((place as usize - first) * width, width);
        let values = part.widened(room);
        Ok((values, vector::scale(values, self.vector.metric)))
    }

    fn row(&self, place: u32) -> u32 {
        self.rows[place as usize]
    }
}
