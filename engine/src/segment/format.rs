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
//! | 11 | column | of a declared field, see `fields/format.rs` |
//! | 12 | half vector | in place of 5: IEEE 754 binary16 by row, of the rows that have it |
//! | 13 | vector starts | of rows that have lists of vectors: u64 for each, the place of its first one in 5 or 12, and one more |
//! | 14 to 17 | text dictionary, postings, positions, lengths | the index over a text, see `text/` |
//! | 18 to 21 | sparse starts, vectors, dimensions, postings | a sparse vector that some row has, and the index over it, see `sparse/stored.rs` |
//!
//! The number of a section is that of its vector, text or sparse vector, of a column its place in the directory, or else
//! 0. The directory holds a count u32 and each vector that some row has: number u32, dimensions
//! u32, count u32; then a count u32 and each field that has a column: its name with its length u32
//! before it, and its type u32, 1 keyword, 2 integer, 3 float, 4 boolean, 5 date-time, 6 UUID, 7 place; then, if there are
//! indexes over texts or sparse vectors, a count u32 and the number u32 of each text, ascending; then,
//! if there are sparse vectors, a count u32 and the number u32 of each, ascending.

use crate::{
    codec::{DecodeError, Decoded, Decoder, header::FileKind, put_bytes, put_u32},
    container::{self, SectionKind},
    schema::{Field, Schema, Vector},
};

/// The most rows: a row and one more fits in 32 bits, beside a value that stands for none.
pub(super) const MAX_ROWS: u32 = u32::MAX - 1;
/// Stands in the place of a row without the vector.
pub(super) const NO_PLACE: u32 = u32::MAX;
/// The bytes of a vector in the directory.
const VECTOR_ENTRY: usize = 12;
/// The least bytes of a column in the directory.
const COLUMN_ENTRY: usize = 8;

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
    Column = 11,
    HalfVector = 12,
    VectorStarts = 13,
    TextDictionary = 14,
    TextPostings = 15,
    TextPositions = 16,
    TextLengths = 17,
    SparseStarts = 18,
    SparseVectors = 19,
    SparseDimensions = 20,
    SparsePostings = 21,
}

impl SectionKind for Kind {
    const FILE: FileKind = FileKind::Segment;
    /// Of ids, payloads and expiries seven, four for each vector, text and sparse vector, and one for
    /// each field.
    const MAX_SECTIONS: usize =
        7 + 4 * (Schema::MAX_VECTORS + Schema::MAX_TEXTS + Schema::MAX_SPARSE) + Schema::MAX_FIELDS;
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
        Self::Column,
        Self::HalfVector,
        Self::VectorStarts,
        Self::TextDictionary,
        Self::TextPostings,
        Self::TextPositions,
        Self::TextLengths,
        Self::SparseStarts,
        Self::SparseVectors,
        Self::SparseDimensions,
        Self::SparsePostings,
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

/// A field that has a column, as the directory lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ColumnEntry {
    pub(super) name: String,
    pub(super) field: Field,
}

/// What the directory says beside where sections are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    pub(super) vectors: Vec<VectorEntry>,
    /// By the numbers of their sections.
    pub(super) columns: Vec<ColumnEntry>,
    /// The numbers of texts that have an index.
    pub(super) texts: Vec<u32>,
    /// The numbers of sparse vectors that some row has.
    pub(super) sparse: Vec<u32>,
}

impl Contents {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_u32(&mut out, self.vectors.len() as u32);
        for vector in &self.vectors {
            put_u32(&mut out, vector.number);
            put_u32(&mut out, vector.dimensions);
            put_u32(&mut out, vector.count);
        }
        put_columns(&mut out, &self.columns);
        let mut put = |numbers: &[u32]| {
            put_u32(&mut out, numbers.len() as u32);
            numbers.iter().for_each(|number| put_u32(&mut out, *number));
        };
        if !self.texts.is_empty() || !self.sparse.is_empty() {
            put(&self.texts);
        }
        if !self.sparse.is_empty() {
            put(&self.sparse);
        }
        out
    }

    /// What a segment with so many rows holds: each vector as it can be, nothing twice.
    pub(super) fn decode(bytes: &[u8], rows: u32) -> Decoded<Self> {
        let mut decoder = Decoder::new(bytes);
        let contents = Self {
            vectors: decode_vectors(&mut decoder, rows)?,
            columns: decode_columns(&mut decoder)?,
            texts: decode_numbers(&mut decoder, Schema::MAX_TEXTS)?,
            sparse: decode_numbers(&mut decoder, Schema::MAX_SPARSE)?,
        };
        // Nothing is said in two ways.
        if !decoder.is_empty() || contents.encode() != bytes {
            return Err(DecodeError("the directory says more than it can"));
        }
        Ok(contents)
    }
}

fn decode_vectors(decoder: &mut Decoder<'_>, rows: u32) -> Decoded<Vec<VectorEntry>> {
    let count = decoder.count(VECTOR_ENTRY)?;
    if rows > MAX_ROWS || count > Schema::MAX_VECTORS {
        return Err(DecodeError("the directory lists more than there can be"));
    }
    let mut vectors: Vec<VectorEntry> = Vec::with_capacity(count);
    for _ in 0..count {
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

pub(super) fn put_columns(out: &mut Vec<u8>, columns: &[ColumnEntry]) {
    put_u32(out, columns.len() as u32);
    for column in columns {
        put_bytes(out, column.name.as_bytes());
        put_u32(out, code_of(column.field));
    }
}

pub(super) fn decode_columns(decoder: &mut Decoder<'_>) -> Decoded<Vec<ColumnEntry>> {
    let count = decoder.count(COLUMN_ENTRY)?;
    if count > Schema::MAX_FIELDS {
        return Err(DecodeError("the directory lists more than there can be"));
    }
    let mut columns: Vec<ColumnEntry> = Vec::with_capacity(count);
    for _ in 0..count {
        let name = decoder.str()?.to_owned();
        // In the order of their names, so that none comes twice.
        if columns.last().is_some_and(|last| last.name >= name) {
            return Err(DecodeError("the fields in the directory do not ascend"));
        }
        let code = decoder.u32()?;
        let field = FIELDS.iter().find(|field| code_of(**field) == code);
        let field = *field.ok_or(DecodeError("a column is of an unknown type"))?;
        columns.push(ColumnEntry { name, field });
    }
    Ok(columns)
}

/// The numbers of texts, or of sparse vectors. None is also what was written before there were any.
fn decode_numbers(decoder: &mut Decoder<'_>, most: usize) -> Decoded<Vec<u32>> {
    if decoder.is_empty() {
        return Ok(Vec::new());
    }
    let count = decoder.count(size_of::<u32>())?;
    let numbers = (0..count).map(|_| decoder.u32());
    let numbers: Vec<u32> = numbers.collect::<Decoded<_>>()?;
    if count > most || !numbers.is_sorted_by(|a, b| a < b) {
        return Err(DecodeError(
            "the directory lists texts or sparse vectors that cannot be",
        ));
    }
    Ok(numbers)
}

const FIELDS: [Field; 7] = [
    Field::Keyword,
    Field::Integer,
    Field::Float,
    Field::Bool,
    Field::DateTime,
    Field::Uuid,
    Field::Geo,
];

fn code_of(field: Field) -> u32 {
    match field {
        Field::Keyword => 1,
        Field::Integer => 2,
        Field::Float => 3,
        Field::Bool => 4,
        Field::DateTime => 5,
        Field::Uuid => 6,
        Field::Geo => 7,
    }
}
