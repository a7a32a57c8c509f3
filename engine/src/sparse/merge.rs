//! Makes the lists of an index out of others, row by row as a map says.
//!
//! What comes out depends on the rows alone, not on how they were split before: the same bytes as if
//! they had been added to one index. A flush is a merge of one view. No more than one list lies in memory,
//! and what the dimensions need.

use super::{Index, list::ListWriter, stored::Dimensions};
use crate::{
    cancel::Cancel,
    codec::DecodeError,
    error::{Error, Result},
    postings::{Cursor, END},
};

/// An index to merge, and which row each of its rows becomes, if it stays. Rows that stay keep their
/// order, and come after those of the inputs before.
pub(crate) struct Input<'a> {
    pub(crate) index: &'a dyn Index,
    pub(crate) map: &'a dyn Fn(u32) -> Option<u32>,
}

/// Merges into a part that has `rows` rows, `filled` of them with the vector. Gives list after list to
/// `put`, and what is to be written of the dimensions.
///
/// # Errors
/// What reading the inputs and `put` give, and `Cancelled`.
pub(crate) fn merge(
    inputs: &[Input<'_>],
    (rows, filled): (u32, u32),
    cancel: &Cancel,
    put: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    for input in inputs {
        all.append(&mut input.index.dimensions(cancel)?);
    }
    all.sort_unstable();
    all.dedup();
    let mut dimensions = Dimensions::default();
    let mut lists = ListWriter::new();
    let mut out = Vec::new();
    for dimension in all {
        cancel.check()?;
        for input in inputs {
            append(input, dimension, &mut lists, cancel)?;
        }
        let count = lists.finish(&mut out);
        if count > 0 {
            put(&out)?;
            dimensions.add(dimension, count, out.len());
        }
        out.clear();
    }
    Ok(dimensions.finish(rows, filled))
}

/// Appends the postings of one input.
fn append(
    input: &Input<'_>,
    dimension: u32,
    lists: &mut ListWriter,
    cancel: &Cancel,
) -> Result<()> {
    let Some(list) = input.index.list(dimension)? else {
        return Ok(());
    };
    let place = list.place();
    let flaw = |flaw: DecodeError| -> Error { input.index.flaw(place, flaw) };
    let mut cursor = Cursor::new(list).map_err(flaw)?;
    while cursor.row() != END {
        cancel.check()?;
        let (rows, values) = cursor.left().map_err(flaw)?;
        for (row, value) in rows.iter().zip(values) {
            if let Some(new) = (input.map)(*row) {
                lists.push(new, *value).map_err(flaw)?;
            }
        }
        let taken = rows.len();
        cursor.skip(taken).map_err(flaw)?;
    }
    Ok(())
}
