//! The indexes over the vectors of segments: which are wanting, how they are built and opened.

use super::{build::Built, choose::MAX_ROWS};
use crate::{
    cancel::Cancel,
    error::{Error, ErrorKind, Result},
    manifest::{SegmentFiles, index_name},
    schema::Vector,
    segment::Segment,
    shape::Shape,
    vector::{self, Index, Params, Subject, VectorSource},
    vfs::Vfs,
    view::{Indexes, OpenSegment, Part},
};
use std::sync::Arc;

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

/// Builds the index `file` over one vector of a segment, on the threads of the lane that this is
/// called on: durable but for its name, and checked.
pub(super) fn build(
    vfs: &dyn Vfs,
    file: u64,
    segment: &OpenSegment,
    (number, vector): (u32, &Vector),
    cancel: &Cancel,
) -> Result<Arc<Index>> {
    let name = index_name(file);
    let subject = subject(&segment.segment, number, vector);
    let source = Vectors::of(&segment.segment, number)?;
    vector::write(vfs, &name, subject, &source, params(vector), cancel)?;
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
/// searches are never slower than before. One that cannot be built is left out: it is wanting, and
/// will be built when it can.
pub(super) fn renew(
    vfs: &dyn Vfs,
    built: &mut Built,
    parts: &[Part],
    (shape, least): (&Shape, usize),
    next_file: impl Fn() -> u64,
    cancel: &Cancel,
) -> Result<()> {
    let segment = &built.segment;
    for (number, vector) in wanting(segment, shape, least) {
        let is_indexed = |part: &Part| match part {
            Part::Memory(_) => false,
            Part::Stored(stored) => stored.segment.indexes.get(number).is_some(),
        };
        if parts.iter().any(is_indexed) {
            let file = next_file();
            match build(vfs, file, segment, (number, vector), cancel) {
                Ok(index) => {
                    segment.indexes.set(number, index);
                    built.indexes.insert(number, file);
                }
                Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
                Err(error) => tracing::warn!(%error, "a segment is merged without its index"),
            }
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
