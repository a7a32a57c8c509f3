//! The sparse vectors of a segment, and the indexes over them. What these are made of is `sparse/`'s
//! matter.

#[cfg(test)]
pub(super) mod tests;

use super::{
    format::{Kind, Output, Sections},
    writer::Source,
};
use crate::{
    cancel::Cancel,
    codec::DecodeError,
    container::SectionId,
    error::{Error, Result},
    sparse::{self, Section, Stored, put_vector, vector_len},
};

/// Where a sparse vector of the schema is.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredSparse {
    number: u32,
    starts: SectionId,
    vectors: SectionId,
    dimensions: SectionId,
    postings: SectionId,
}

/// The sections of one sparse vector.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SparseSections<'a> {
    sections: &'a Sections,
    sparse: StoredSparse,
}

impl StoredSparse {
    /// Finds the sections of the sparse vector `number`; reads nothing of them.
    pub(super) fn open(sections: &Sections, number: u32) -> Result<Self> {
        Ok(Self {
            number,
            starts: sections.need(Kind::SparseStarts, number)?,
            vectors: sections.need(Kind::SparseVectors, number)?,
            dimensions: sections.need(Kind::SparseDimensions, number)?,
            postings: sections.need(Kind::SparsePostings, number)?,
        })
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn get(self, sections: &Sections) -> Result<Stored<SparseSections<'_>>> {
        let rows = sections.rows;
        let source = SparseSections {
            sections,
            sparse: self,
        };
        Stored::open(source, rows)
    }

    /// Whether it holds together. Its checksums were compared before.
    pub(super) fn verify(self, sections: &Sections, cancel: &Cancel) -> Result<()> {
        self.get(sections)?.verify(cancel)
    }
}

impl SparseSections<'_> {
    fn id(&self, section: Section) -> SectionId {
        match section {
            Section::Starts => self.sparse.starts,
            Section::Vectors => self.sparse.vectors,
            Section::Dimensions => self.sparse.dimensions,
            Section::Postings => self.sparse.postings,
        }
    }
}

impl sparse::Source for SparseSections<'_> {
    fn len(&self, section: Section) -> usize {
        self.sections.len(self.id(section))
    }

    fn bytes(&self, section: Section, start: usize, len: usize) -> Result<&[u8]> {
        self.sections.bytes(self.id(section), start, len)
    }

    fn corrupted(&self, section: Section, at: usize, flaw: DecodeError) -> Error {
        self.sections.corrupted(self.id(section), at, flaw)
    }
}

/// Writes the sparse vector `number` of all rows, and the index over it. False if no row has one: then
/// nothing is written.
pub(super) fn write_sparse(
    output: &mut Output<'_>,
    number: u32,
    source: &mut dyn Source,
) -> Result<bool> {
    let rows = source.rows();
    let mut first = None;
    for row in 0..rows {
        output.check_at(row)?;
        if source.sparse(row, number)?.is_some() {
            first = Some(row);
            break;
        }
    }
    let Some(first) = first else {
        return Ok(false);
    };
    output.begin(Kind::SparseStarts, number)?;
    let (mut end, mut filled) = (0u64, 0);
    for row in 0..rows {
        output.check_at(row)?;
        output.put(&end.to_le_bytes())?;
        if row >= first
            && let Some(vector) = source.sparse(row, number)?
        {
            end += vector_len(&vector) as u64;
            filled += 1;
        }
    }
    output.put(&end.to_le_bytes())?;
    output.begin(Kind::SparseVectors, number)?;
    let mut bytes = Vec::new();
    for row in first..rows {
        output.check_at(row)?;
        if let Some(vector) = source.sparse(row, number)? {
            bytes.clear();
            put_vector(&mut bytes, &vector);
            output.put(&bytes)?;
        }
    }
    output.begin(Kind::SparsePostings, number)?;
    let mut put = |bytes: &[u8]| output.put(bytes);
    let dimensions = source.sparse_lists(number, filled, &mut put)?;
    output.begin(Kind::SparseDimensions, number)?;
    output.put(&dimensions)?;
    Ok(true)
}
