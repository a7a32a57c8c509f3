//! Writing the live rows of some parts as one segment: what a flush does, and a merge.
//!
//! A pure function of its input but for the file that it writes. Rows keep their order: those of
//! the first part, then those of the second.

use crate::{
    cancel::Cancel,
    error::{Error, Result},
    expiry::Expiry,
    id::{PointId, SeqNo},
    manifest::{SegmentFiles, segment_name},
    segment::{self, Deletes, Segment, Source, VectorShape},
    shape::Shape,
    vfs::Vfs,
    view::{OpenSegment, Part, Payloads},
};
use std::sync::Arc;

/// A segment that was built, and where its rows come from.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) segment: Arc<OpenSegment>,
    pub(super) bytes: u64,
    /// For each part the rows that were taken over, in their order.
    origins: Vec<Vec<u32>>,
}

impl Built {
    /// What the manifest says of it while none of its rows has ended.
    pub(super) fn files(&self) -> SegmentFiles {
        SegmentFiles {
            file: self.segment.file,
            rows: self.segment.segment.rows(),
            bytes: self.bytes,
            deletes: None,
            first_expiry: self.segment.first_expiry,
            missed: None,
        }
    }

    /// Ends the rows that ended in the part `input` after it was read.
    pub(super) fn end_as(&self, input: usize, ended: impl Iterator<Item = (u32, SeqNo)>) {
        let first: usize = self.origins[..input].iter().map(Vec::len).sum();
        for (row, seq) in ended {
            if let Ok(place) = self.origins[input].binary_search(&row) {
                self.segment.deletes.end((first + place) as u32, seq);
            }
        }
    }
}

/// Writes the live rows of `parts` as segment `file`, durable but for its name. `None` when no
/// row is live.
pub(super) fn build(
    vfs: &dyn Vfs,
    file: u64,
    shape: &Shape,
    parts: &[Part],
    cancel: &Cancel,
) -> Result<Option<Built>> {
    let mut origins = Vec::with_capacity(parts.len());
    for part in parts {
        let mut live = Vec::new();
        for row in 0..part.rows() {
            cancel.check_at(row)?;
            if part.is_live(row)? {
                live.push(row);
            }
        }
        origins.push(live);
    }
    let rows: usize = origins.iter().map(Vec::len).sum();
    if rows == 0 {
        return Ok(None);
    }
    let rows = u32::try_from(rows)
        .map_err(|_| Error::invalid(format!("{rows} rows are more than a segment can number")))?;
    let vectors = shape.vectors().map(|(_, number, vector)| VectorShape {
        number,
        dimensions: vector.dimensions,
    });
    let vectors: Vec<VectorShape> = vectors.collect();
    let name = segment_name(file);
    let mut source = Rows::new(parts, &origins, rows);
    let meta = segment::write(vfs, &name, &vectors, &mut source, cancel)?;
    let segment = Segment::open(vfs, &name)?;
    let deletes = Deletes::new(segment.rows());
    Ok(Some(Built {
        segment: Arc::new(OpenSegment {
            file,
            segment,
            deletes,
            first_expiry: meta.first_expiry,
        }),
        bytes: meta.bytes,
        origins,
    }))
}

/// The live rows of all parts, one after another.
struct Rows<'a> {
    parts: Vec<(&'a Part, &'a [u32], Payloads<'a>)>,
    /// For each part the number of rows before it.
    firsts: Vec<u32>,
    rows: u32,
}

impl<'a> Rows<'a> {
    fn new(parts: &'a [Part], origins: &'a [Vec<u32>], rows: u32) -> Self {
        let mut first = 0;
        let firsts = origins.iter().map(|rows| {
            let before = first;
            first += rows.len() as u32;
            before
        });
        let firsts = firsts.collect();
        let parts = parts.iter().zip(origins);
        let parts = parts.map(|(part, rows)| (part, &rows[..], part.payloads()));
        Self {
            parts: parts.collect(),
            firsts,
            rows,
        }
    }

    /// The number of the part that a row comes from, and its row there.
    fn place(&self, row: u32) -> (usize, u32) {
        let part = self.firsts.partition_point(|first| *first <= row) - 1;
        (part, self.parts[part].1[(row - self.firsts[part]) as usize])
    }
}

impl Source for Rows<'_> {
    fn rows(&self) -> u32 {
        self.rows
    }

    fn id(&mut self, row: u32) -> Result<PointId> {
        let (part, row) = self.place(row);
        self.parts[part].0.id(row)
    }

    fn vector(&mut self, row: u32, number: u32) -> Result<Option<(&[f32], f32)>> {
        let (part, row) = self.place(row);
        self.parts[part].0.vector(row, number)
    }

    fn expiry(&mut self, row: u32) -> Result<Expiry> {
        let (part, row) = self.place(row);
        self.parts[part].0.expiry(row)
    }

    fn payload_json(&mut self, row: u32, out: &mut Vec<u8>) -> Result<()> {
        let (part, row) = self.place(row);
        self.parts[part].2.put_json(row, out)
    }
}
