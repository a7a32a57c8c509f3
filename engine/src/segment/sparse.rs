//! The sparse vectors of a segment, and the indexes over them. What these are made of is `sparse/`'s
//! matter.

#[cfg(test)]
pub(super) mod tests;

use super::{
    format::{Kind, Output},
    index,
    writer::Source,
};
use crate::{
    error::Result,
    sparse::{Section, put_vector, vector_len},
};

impl index::Section for Section {
    const KINDS: [Kind; 4] = [
        Kind::SparseStarts,
        Kind::SparseVectors,
        Kind::SparseDimensions,
        Kind::SparsePostings,
    ];

    fn place(self) -> usize {
        self as usize
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
