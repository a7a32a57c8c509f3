//! The indexes over the vectors of segments: which are wanting, how they are built and opened.

use super::{build::Built, choose::MAX_ROWS};
use crate::{
    cancel::Cancel,
    error::{Error, ErrorKind, Result},
    manifest::{SegmentFiles, index_name},
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

/// The vectors of the shape that a segment has at least so many of and no index over, with their
/// numbers.
pub(super) fn wanting<'a>(
    segment: &'a OpenSegment,
    shape: &'a Shape,
    least: usize,
) -> impl Iterator<Item = (u32, &'a Vector)> {
    let vectors = shape.vectors().filter(move |(_, number, vector)| {
        !vector.multi
            && segment.segment.count(*number) as usize >= least
            && segment.indexes.get(*number).is_none()
    });
    vectors.map(|(_, number, vector)| (number, vector))
}

/// How many rows a segment of this shape may have for each index over it to be built in so many
/// bytes.
pub(super) fn most_rows(shape: &Shape, bytes: usize) -> u64 {
    let vectors = shape.vectors().filter(|(_, _, vector)| !vector.multi);
    let most = vectors.map(|(_, _, vector)| {
        let for_some = vector::memory(SOME, vector.dimensions, params(vector));
        (bytes as u64).saturating_mul(SOME.into()) / for_some.max(1)
    });
    most.min().unwrap_or(MAX_ROWS).min(MAX_ROWS)
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
    let source = Vectors::of(&segment.segment, number)?;
    let reading = Reading::new(gauge, source.len());
    let place = |row| source.place(base?.1(row)?);
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
    (shape, least): (&Shape, usize),
    next_file: impl Fn() -> u64,
    gauge: &Gauge,
    cancel: &Cancel,
) -> Result<()> {
    let segment = Arc::clone(&built.segment);
    for (number, vector) in wanting(&segment, shape, least) {
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
    for (_, number, vector) in shape.vectors().filter(|(_, _, vector)| !vector.multi) {
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
    }
}

/// One vector of the rows of a segment that have it.
struct Vectors<'a> {
    segment: &'a Segment,
    number: u32,
    rows: Vec<u32>,
}

impl<'a> Vectors<'a> {
    fn of(segment: &'a Segment, number: u32) -> Result<Self> {
        let mut rows = Vec::with_capacity(segment.count(number) as usize);
        segment.scan(number, 0..segment.rows(), &mut |row, _, _| rows.push(row))?;
        Ok(Self {
            segment,
            number,
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
        let vector = self.segment.vector(self.row(place), self.number)?;
        let (values, scale) = vector.ok_or_else(|| Error::invalid("a row has lost its vector"))?;
        Ok((values.widened(room), scale))
    }

    fn row(&self, place: u32) -> u32 {
        self.rows[place as usize]
    }
}
