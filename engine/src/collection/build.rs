//! Writing the live rows of some parts as one segment: what a flush does, and a merge.
//!
//! A pure function of its input but for the file that it writes. Rows keep their order: those of
//! the first part, then those of the second.

use crate::{
    cancel::Cancel,
    error::{Error, ErrorKind, Result},
    expiry::Expiry,
    id::{PointId, SeqNo},
    manifest::{SegmentFiles, segment_name},
    payload::Payload,
    segment::{self, Deletes, Late, Layout, PutLists, Segment, Source, VectorShape},
    shape::Shape,
    sparse,
    sparse_vector::Halves,
    text,
    texts::{Analyzers, GrownTexts, TextField},
    vector::Values,
    vfs::Vfs,
    view::{Indexes, OpenSegment, Part, Payloads},
};
use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

/// A segment that was built, and where its rows come from.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) segment: Arc<OpenSegment>,
    pub(super) bytes: u64,
    /// The files of its indexes.
    pub(super) indexes: BTreeMap<u32, u64>,
    /// For each part the rows that were taken over, in their order.
    origins: Vec<Vec<u32>>,
}

impl Built {
    /// For each part the rows that were taken over, in their order.
    pub(super) fn origins(&self) -> &[Vec<u32>] {
        &self.origins
    }

    /// What the manifest says of it while none of its rows has ended.
    pub(super) fn files(&self) -> SegmentFiles {
        SegmentFiles {
            file: self.segment.file,
            rows: self.segment.segment.rows(),
            bytes: self.bytes,
            deletes: None,
            first_expiry: self.segment.first_expiry,
            missed: None,
            indexes: self.indexes.clone(),
            columns: None,
        }
    }

    /// Ends the rows that ended in the part `input` after it was read.
    pub(super) fn end_as(&self, input: usize, ended: impl Iterator<Item = (u32, SeqNo)>) {
        for (row, seq) in ended {
            if let Some(place) = self.place_of(input, row) {
                self.segment.deletes.end(place, seq);
            }
        }
    }

    /// The row which that of a part has become, if it was taken over.
    pub(super) fn place_of(&self, input: usize, row: u32) -> Option<u32> {
        let first: usize = self.origins[..input].iter().map(Vec::len).sum();
        let place = self.origins[input].binary_search(&row).ok()?;
        Some((first + place) as u32)
    }
}

/// Writes the live rows of `parts` as segment `file`, durable but for its name. `None` when no
/// row is live.
pub(super) fn build(
    vfs: &dyn Vfs,
    file: u64,
    shape: &Shape,
    parts: &[Part],
    analyzers: &Analyzers,
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
        datatype: vector.datatype,
        multi: vector.multi,
    });
    let vectors: Vec<VectorShape> = vectors.collect();
    let name = segment_name(file);
    let mut texts: Vec<u32> = shape.texts().map(|(_, number, _)| number).collect();
    texts.sort_unstable();
    let mut sparse = shape.sparse_numbers().to_vec();
    sparse.sort_unstable();
    let of = (shape, analyzers, cancel);
    let mut source = Rows::new(parts, &origins, rows, of);
    let layout = Layout {
        vectors: &vectors,
        fields: &shape.schema.fields,
        texts: &texts,
        sparse: &sparse,
    };
    let meta = segment::write(vfs, &name, layout, &mut source, cancel)?;
    let segment = Segment::open(vfs, &name)?;
    let deletes = Deletes::new(segment.rows());
    Ok(Some(Built {
        segment: Arc::new(OpenSegment {
            file,
            segment,
            deletes,
            first_expiry: meta.first_expiry,
            indexes: Indexes::default(),
            late: Late::default(),
            texts: GrownTexts::default(),
        }),
        bytes: meta.bytes,
        indexes: BTreeMap::new(),
        origins,
    }))
}

/// The live rows of all parts, one after another.
struct Rows<'a> {
    parts: Vec<(&'a Part, &'a [u32], Payloads<'a>)>,
    /// For each part the number of rows before it.
    firsts: Vec<u32>,
    rows: u32,
    shape: &'a Shape,
    analyzers: &'a Analyzers,
    cancel: &'a Cancel,
}

impl<'a> Rows<'a> {
    fn new(
        parts: &'a [Part],
        origins: &'a [Vec<u32>],
        rows: u32,
        (shape, analyzers, cancel): (&'a Shape, &'a Analyzers, &'a Cancel),
    ) -> Self {
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
            shape,
            analyzers,
            cancel,
        }
    }

    /// For each part which row each of its rows becomes, if it stays.
    fn maps(&self) -> impl Iterator<Item = impl Fn(u32) -> Option<u32>> {
        let parts = self.parts.iter().zip(&self.firsts);
        parts.map(|((_, rows, _), first)| {
            move |row: u32| {
                // Up to the first that has gone, each is in its place.
                if rows.get(row as usize) == Some(&row) {
                    return Some(first + row);
                }
                Some(first + rows.binary_search(&row).ok()? as u32)
            }
        })
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

    fn vector(&mut self, row: u32, number: u32) -> Result<Option<(Values<'_>, f32)>> {
        let (part, row) = self.place(row);
        self.parts[part].0.vector(row, number)
    }

    fn expiry(&mut self, row: u32) -> Result<Expiry> {
        let (part, row) = self.place(row);
        self.parts[part].0.expiry(row)
    }

    fn payload(&mut self, row: u32) -> Result<Payload> {
        let (part, row) = self.place(row);
        self.parts[part].2.get(row)
    }

    fn payload_json(&mut self, row: u32, out: &mut Vec<u8>) -> Result<()> {
        let (part, row) = self.place(row);
        self.parts[part].2.put_json(row, out)
    }

    fn text(&mut self, number: u32) -> Result<Option<text::Bytes>> {
        let mut texts = self.shape.texts();
        let Some((name, number, text)) = texts.find(|(_, known, _)| *known == number) else {
            return Ok(None);
        };
        let field = TextField { name, number, text };
        let parts = self.parts.iter();
        let indexes = parts.map(|(part, ..)| part.text(field, self.analyzers, self.cancel));
        let indexes: Vec<_> = match indexes.collect::<Result<_>>() {
            Ok(indexes) => indexes,
            // Whoever searches it is told; what was written must not wait for a tokenizer.
            Err(error) if error.kind() == ErrorKind::Panicked => {
                tracing::warn!(%error, "a segment is written without an index over a text");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let maps: Vec<_> = self.maps().collect();
        let inputs = indexes.iter().zip(&maps);
        let inputs = inputs.map(|(index, map)| text::Input {
            index: &**index,
            map,
        });
        let inputs: Vec<_> = inputs.collect();
        text::merge(&inputs, self.rows, text.positions, self.cancel).map(Some)
    }

    fn sparse(&mut self, row: u32, number: u32) -> Result<Option<Cow<'_, Halves>>> {
        let (part, row) = self.place(row);
        self.parts[part].0.sparse(row, number)
    }

    fn sparse_lists(&mut self, number: u32, filled: u32, put: PutLists<'_>) -> Result<Vec<u8>> {
        let parts = self.parts.iter();
        let indexes = parts.map(|(part, ..)| part.sparse_index(number, self.cancel));
        let indexes: Vec<_> = indexes.collect::<Result<_>>()?;
        let maps: Vec<_> = self.maps().collect();
        let inputs = indexes.iter().zip(&maps);
        let inputs = inputs.filter_map(|(index, map)| {
            let index = index.as_deref()?;
            Some(sparse::Input { index, map })
        });
        let inputs: Vec<_> = inputs.collect();
        sparse::merge(&inputs, (self.rows, filled), self.cancel, put)
    }
}
