//! What a segment file holds: its sections, and what the directory says of vectors. All numbers are
//! little-endian. How sections lie in a file is `container/format.rs`' matter.
//!
//! | kind | section | content |
//! |---|---|---|
//! | 1 | id numbers | u64 for each row, if all ids are numbers |
//! | 2, 3 | id offsets, id bytes | otherwise: rows + 1 offsets, u32 or u64, of ids as in `codec/id.rs` |
//! | 4 | id table | slots u64, a power of two of them: row + 1 below, 32 bits of the hash above |
//! | 5 | vector | f32 by row, of the rows that have it |
//! | 6 | vector rows | u32 for each row: which of these is its, or the largest u32; if a row has none |
//! | 7 | vector scales | f32 for each of these, if any is not 1 |
//! | 8, 9 | payload units, payloads | see `payloads.rs` |
//! | 10 | expiries | u64 for each row, as in the log; if a row expires |
//!
//! The number of a section is that of its vector, or else 0. The directory lists each vector that
//! some row has: number u32, dimensions u32, count u32.

use crate::{
    codec::{DecodeError, Decoded, Decoder, header::FileKind, put_u32},
    container::{self, SectionKind},
    schema::{Schema, Vector},
};

/// The most rows: a row and one more fits in 32 bits, beside a value that stands for none.
pub(super) const MAX_ROWS: u32 = u32::MAX - 1;
/// Stands in the place of a row without the vector.
pub(super) const NO_PLACE: u32 = u32::MAX;
/// The bytes of a vector in the directory.
const VECTOR_ENTRY: usize = 12;

/// A segment file being written.
pub(super) type Output<'a> = container::Output<'a, Kind>;
/// The sections of a segment file.
pub(super) type Sections = container::Sections<Kind>;

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Kind {
    IdNumbers = 1,
    IdOffsets = 2,
    IdBytes = 3,
    IdTable = 4,
    Vector = 5,
    VectorRows = 6,
    VectorScales = 7,
    PayloadUnits = 8,
    Payloads = 9,
    Expiries = 10,
}

impl SectionKind for Kind {
    const FILE: FileKind = FileKind::Segment;
    /// Of ids, payloads and expiries seven, and three for each vector.
    const MAX_SECTIONS: usize = 7 + 3 * Schema::MAX_VECTORS;
    const ALL: &'static [Self] = &[
        Self::IdNumbers,
        Self::IdOffsets,
        Self::IdBytes,
        Self::IdTable,
        Self::Vector,
        Self::VectorRows,
        Self::VectorScales,
        Self::PayloadUnits,
        Self::Payloads,
        Self::Expiries,
    ];

    fn code(self) -> u32 {
        self as u32
    }
}

/// A vector that some row has, as the directory lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct VectorEntry {
    pub(super) number: u32,
    pub(super) dimensions: u32,
    /// How many rows have it.
    pub(super) count: u32,
}

pub(super) fn encode_vectors(vectors: &[VectorEntry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(vectors.len() * VECTOR_ENTRY);
    for vector in vectors {
        put_u32(&mut out, vector.number);
        put_u32(&mut out, vector.dimensions);
        put_u32(&mut out, vector.count);
    }
    out
}

/// The vectors of a segment with so many rows: each as it can be, none twice.
pub(super) fn decode_vectors(bytes: &[u8], rows: u32) -> Decoded<Vec<VectorEntry>> {
    if rows > MAX_ROWS || bytes.len() > Schema::MAX_VECTORS * VECTOR_ENTRY {
        return Err(DecodeError("the directory lists more than there can be"));
    }
    let mut decoder = Decoder::new(bytes);
    let mut vectors: Vec<VectorEntry> = Vec::new();
    while !decoder.is_empty() {
        let vector = VectorEntry {
            number: decoder.u32()?,
            dimensions: decoder.u32()?,
            count: decoder.u32()?,
        };
        let again = vectors.iter().any(|other| other.number == vector.number);
        let is_possible = (1..=Vector::MAX_DIMENSIONS).contains(&vector.dimensions)
            && (1..=rows).contains(&vector.count);
        if again || !is_possible {
            return Err(DecodeError("the directory lists a vector that cannot be"));
        }
        vectors.push(vector);
    }
    Ok(vectors)
}
