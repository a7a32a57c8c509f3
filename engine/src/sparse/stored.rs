//! Sparse vectors in a file, and the index over them, read in place.
//!
//! ```text
//! starts      for each row u64: where its vector begins in vectors; and one more, where they end. A row
//!             without the vector takes no bytes
//! vectors     for each row that has it: count varint, so many dimensions as varints, the first as it is
//!             and the others by what they exceed the one before, less one; as many weights u16
//! dimensions  rows u32, rows with the vector u32, dimensions u32, 0 u32, bytes of postings u64; then for each
//!             dimension, ascending: dimension u32, rows that have it u32, where its list ends u64
//! postings    the lists, in the order of dimensions: see `postings/list.rs`. Values are weights; a
//!             bound is the least and the largest weight, u16 each, and zeros
//! ```
//!
//! Weights are numbers of 16 bits (IEEE 754 binary16), finite and not zero. Looking a dimension up reads some entries
//! of the dimensions, by halving, and then nothing but its list.

use super::Index;
use crate::{
    cancel::Cancel,
    codec::{DecodeError, Decoded, Decoder, put_u32, put_u64, put_varint},
    error::{Error, Result},
    postings::{List, Source},
    sparse_vector::{Halves, SparseVector},
};

/// The bytes of the header of the dimensions, and of each of these.
pub(super) const HEADER: usize = 24;
const ENTRY: usize = 16;

/// The parts of an index in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Starts,
    Vectors,
    Dimensions,
    Postings,
}

/// Appends a vector as rows have it.
pub(crate) fn put_vector(out: &mut Vec<u8>, vector: &Halves) {
    put_varint(out, vector.dimensions().len() as u64);
    each_gap(vector, |gap| put_varint(out, gap.into()));
    out.extend_from_slice(bytemuck::cast_slice(vector.weights()));
}

/// How many bytes that takes.
pub(crate) fn vector_len(vector: &Halves) -> usize {
    let varint = |value: u32| value.max(1).ilog2() as usize / 7 + 1;
    let mut len = varint(vector.dimensions().len() as u32) + 2 * vector.weights().len();
    each_gap(vector, |gap| len += varint(gap));
    len
}

fn each_gap(vector: &Halves, mut each: impl FnMut(u32)) {
    let mut next = 0u32;
    for dimension in vector.dimensions() {
        each(dimension - next);
        next = dimension.wrapping_add(1);
    }
}

fn read_vector(bytes: &[u8]) -> Decoded<Halves> {
    let mut decoder = Decoder::new(bytes);
    let count = decoder.varint_u32()? as usize;
    if count > SparseVector::MAX_ENTRIES || count > bytes.len() {
        return Err(DecodeError("a sparse vector has more entries than it can"));
    }
    let mut dimensions = Vec::with_capacity(count);
    let mut next = 0u64;
    for _ in 0..count {
        let dimension = next + u64::from(decoder.varint_u32()?);
        let too_large = |_| DecodeError("a dimension exceeds 32 bits");
        dimensions.push(u32::try_from(dimension).map_err(too_large)?);
        next = dimension + 1;
    }
    let (weights, _) = decoder.take(2 * count)?.as_chunks::<2>();
    let weights = weights.iter().map(|weight| u16::from_le_bytes(*weight));
    let vector = Halves::new(dimensions, weights.collect());
    vector
        .filter(|_| decoder.is_empty())
        .ok_or(DecodeError("a sparse vector is not what was expected"))
}

/// The dimensions of lists that are being written.
#[derive(Debug, Default)]
pub(super) struct Dimensions {
    entries: Vec<u8>,
    end: u64,
}

impl Dimensions {
    /// Adds a dimension that is above the last, whose list of `len` bytes has been written.
    pub(super) fn add(&mut self, dimension: u32, count: u32, len: usize) {
        self.end += len as u64;
        put_u32(&mut self.entries, dimension);
        put_u32(&mut self.entries, count);
        put_u64(&mut self.entries, self.end);
    }

    /// The section, of a part that has `rows` rows, `filled` of them with the vector.
    pub(super) fn finish(self, rows: u32, filled: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER + self.entries.len());
        put_u32(&mut out, rows);
        put_u32(&mut out, filled);
        put_u32(&mut out, (self.entries.len() / ENTRY) as u32);
        put_u32(&mut out, 0);
        put_u64(&mut out, self.end);
        out.extend_from_slice(&self.entries);
        out
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) rows: u32,
    pub(super) filled: u32,
    pub(super) dimensions: u32,
    pub(super) postings: u64,
}

/// One dimension, as its section lists it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) dimension: u32,
    pub(super) count: u32,
    pub(super) end: u64,
}

/// An index in a file of sections.
#[derive(Debug)]
pub(crate) struct Stored<S> {
    source: S,
    header: Header,
}

impl<S: Source<Section>> Stored<S> {
    /// That of a part that has so many rows.
    pub(crate) fn open(source: S, rows: u32) -> Result<Self> {
        let bytes = source.bytes(Section::Dimensions, 0, HEADER)?;
        let flaw = |flaw| source.corrupted(Section::Dimensions, 0, flaw);
        let header = Header::decode(bytes).map_err(flaw)?;
        let entries = u64::from(header.dimensions) * ENTRY as u64;
        let fits = header.rows == rows
            && header.filled <= rows
            && source.len(Section::Starts) as u64 == (u64::from(rows) + 1) * 8
            && source.len(Section::Dimensions) as u64 == HEADER as u64 + entries
            && source.len(Section::Postings) as u64 == header.postings;
        if !fits {
            let what = "an index over sparse vectors is not as long as its header says";
            return Err(flaw(DecodeError(what)));
        }
        Ok(Self { source, header })
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    pub(super) fn sound<T>(&self, section: Section, at: usize, found: Decoded<T>) -> Result<T> {
        found.map_err(|flaw| self.source.corrupted(section, at, flaw))
    }

    /// Where the vector of a row begins, and how many bytes it takes.
    pub(super) fn place(&self, row: u32) -> Result<(usize, usize)> {
        let at = row as usize * 8;
        let mut starts = Decoder::new(self.source.bytes(Section::Starts, at, 16)?);
        let found = starts.u64().and_then(|start| Ok((start, starts.u64()?)));
        let (start, end) = self.sound(Section::Starts, at, found)?;
        let len = end.checked_sub(start).map(usize::try_from);
        let (Ok(start), Some(Ok(len))) = (usize::try_from(start), len) else {
            let flaw = DecodeError("sparse vectors do not follow each other");
            return Err(self.source.corrupted(Section::Starts, at, flaw));
        };
        Ok((start, len))
    }

    /// The vector of a row, if it has one.
    pub(crate) fn vector(&self, row: u32) -> Result<Option<Halves>> {
        let (start, len) = self.place(row)?;
        if len == 0 {
            return Ok(None);
        }
        let bytes = self.source.bytes(Section::Vectors, start, len)?;
        self.sound(Section::Vectors, start, read_vector(bytes))
            .map(Some)
    }

    /// How many bytes all vectors take.
    pub(super) fn vectors_len(&self) -> usize {
        self.source.len(Section::Vectors)
    }

    pub(super) fn entry(&self, at: usize) -> Result<Entry> {
        let at = HEADER + at * ENTRY;
        let bytes = self.source.bytes(Section::Dimensions, at, ENTRY)?;
        self.sound(Section::Dimensions, at, Entry::decode(bytes))
    }

    /// Where the list before this one ends.
    pub(super) fn start(&self, at: usize) -> Result<u64> {
        let before = at.checked_sub(1).map(|before| self.entry(before));
        Ok(before.transpose()?.map_or(0, |entry| entry.end))
    }

    /// The place of a dimension among those that there are.
    fn find(&self, dimension: u32) -> Result<Option<(usize, Entry)>> {
        let (mut low, mut high) = (0, self.header.dimensions as usize);
        while low < high {
            let middle = low + (high - low) / 2;
            let entry = self.entry(middle)?;
            match entry.dimension.cmp(&dimension) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(Some((middle, entry))),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }

    pub(super) fn list_of(&self, start: u64, entry: Entry) -> Result<List<'_>> {
        let len = entry.end.checked_sub(start).map(usize::try_from);
        let (Ok(start), Some(Ok(len))) = (usize::try_from(start), len) else {
            let flaw = DecodeError("posting lists do not follow each other");
            return Err(self.source.corrupted(Section::Dimensions, 0, flaw));
        };
        let bytes = self.source.bytes(Section::Postings, start, len)?;
        let list = List::stored((start, bytes), &[], entry.count, self.header.rows, false);
        self.sound(Section::Postings, start, list)
    }
}

impl<S: Source<Section>> Index for Stored<S> {
    fn rows(&self) -> u32 {
        self.header.rows
    }

    fn filled(&self) -> u64 {
        self.header.filled.into()
    }

    fn count(&self, dimension: u32) -> Result<u32> {
        Ok(self.find(dimension)?.map_or(0, |(_, entry)| entry.count))
    }

    fn list(&self, dimension: u32) -> Result<Option<List<'_>>> {
        let Some((at, entry)) = self.find(dimension)? else {
            return Ok(None);
        };
        self.list_of(self.start(at)?, entry).map(Some)
    }

    fn dimensions(&self, cancel: &Cancel) -> Result<Vec<u32>> {
        // As many as the section, of which the length was checked, has room for.
        let mut dimensions = Vec::with_capacity(self.header.dimensions as usize);
        for at in 0..self.header.dimensions {
            cancel.check_at(at)?;
            dimensions.push(self.entry(at as usize)?.dimension);
        }
        Ok(dimensions)
    }

    fn flaw(&self, place: usize, flaw: DecodeError) -> Error {
        self.source.corrupted(Section::Postings, place, flaw)
    }
}

impl Header {
    fn decode(bytes: &[u8]) -> Decoded<Self> {
        let mut decoder = Decoder::new(bytes);
        let (rows, filled, dimensions) = (decoder.u32()?, decoder.u32()?, decoder.u32()?);
        if decoder.u32()? != 0 {
            return Err(DecodeError("the header of dimensions holds what it cannot"));
        }
        Ok(Self {
            rows,
            filled,
            dimensions,
            postings: decoder.u64()?,
        })
    }
}

impl Entry {
    fn decode(bytes: &[u8]) -> Decoded<Self> {
        let mut decoder = Decoder::new(bytes);
        Ok(Self {
            dimension: decoder.u32()?,
            count: decoder.u32()?,
            end: decoder.u64()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn vectors_are_read_as_they_were_written(
            entries: std::collections::BTreeMap<u32, u16>,
            noise: Vec<u8>,
        ) {
            let entries = entries.into_iter().map(|(dimension, weight)| (dimension, weight % 0x7bff + 1));
            let (dimensions, weights) = entries.unzip();
            let vector = Halves::new(dimensions, weights).unwrap();
            let mut out = Vec::new();
            put_vector(&mut out, &vector);
            prop_assert_eq!(out.len(), vector_len(&vector));
            prop_assert_eq!(read_vector(&out), Ok(vector));
            for cut in 0..out.len() {
                prop_assert!(read_vector(&out[..cut]).is_err());
            }
            let _ = read_vector(&noise);
        }
    }

    #[test]
    fn the_widest_vector_is_read() {
        let vector = Halves::new(vec![0, 127, 128, u32::MAX], vec![0x3c00; 4]).unwrap();
        let mut out = Vec::new();
        put_vector(&mut out, &vector);
        assert_eq!(
            (out.len(), read_vector(&out)),
            (vector_len(&vector), Ok(vector))
        );
    }
}
