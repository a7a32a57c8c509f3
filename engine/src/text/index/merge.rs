//! Makes the bytes of an index out of others, row by row as a map says.
//!
//! What comes out depends on the rows alone, not on how they were split before: the same bytes as if
//! they had been added to one index. A flush is a merge of one view.

use super::{
    Index, Lengths, Matched, Matches, Pattern, Statistics, dictionary::Writer, list::ListWriter,
};
use crate::{
    cancel::Cancel,
    codec::DecodeError,
    error::{Error, Result},
    postings::{Cursor, END},
};
use std::iter::Peekable;

/// The sections of an index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bytes {
    pub(crate) dictionary: Vec<u8>,
    pub(crate) postings: Vec<u8>,
    /// Empty if positions are not kept.
    pub(crate) positions: Vec<u8>,
    pub(crate) lengths: Vec<u8>,
}

/// An index to merge, and which row each of its rows becomes, if it stays. Rows that stay keep their
/// order, and come after those of the inputs before.
pub(crate) struct Input<'a> {
    pub(crate) index: &'a dyn Index,
    pub(crate) map: &'a dyn Fn(u32) -> Option<u32>,
}

/// An index that is made of texts.
#[cfg(test)]
#[derive(Debug)]
pub(crate) struct Builder(super::Memory);

#[cfg(test)]
impl Builder {
    pub(crate) fn new(positions: bool) -> Self {
        Self(super::Memory::new(positions))
    }

    /// As [`Memory::add`].
    pub(crate) fn add<T: AsRef<[u8]>>(
        &mut self,
        row: u32,
        tokens: impl IntoIterator<Item = (T, u32)>,
    ) -> Result<()> {
        self.0.add(row, tokens)
    }

    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// The bytes of the index of a part that has so many rows.
    pub(crate) fn finish(self, rows: u32, cancel: &Cancel) -> Result<Bytes> {
        let view = self.0.view(rows);
        let input = Input {
            index: &view,
            map: &Some,
        };
        merge(&[input], rows, view.has_positions(), cancel)
    }
}

/// Merges into a part that has `rows` rows.
///
/// # Errors
/// What reading the inputs gives, `Cancelled`, and `InvalidInput` when positions are asked for that an
/// input does not keep, or a map does not ascend.
pub(crate) fn merge(
    inputs: &[Input<'_>],
    rows: u32,
    positions: bool,
    cancel: &Cancel,
) -> Result<Bytes> {
    let mut bytes = Bytes {
        lengths: lengths(inputs, rows, cancel)?,
        ..Bytes::default()
    };
    if positions && inputs.iter().any(|input| !input.index.has_positions()) {
        return Err(Error::invalid("an index to merge keeps no positions"));
    }
    let mut statistics = Statistics {
        rows: bytes.lengths.iter().filter(|code| **code > 0).count() as u64,
        tokens: 0,
    };
    let full = |flaw: DecodeError| Error::invalid(flaw.to_string());
    let mut dictionary = Writer::new(positions);
    let mut lists = ListWriter::new(&bytes.lengths, positions);
    let all = Pattern::prefix(&[]);
    let mut terms = Vec::new();
    for input in inputs {
        terms.push(input.index.terms(&all, cancel)?.peekable());
    }
    let mut gaps = Vec::new();
    while let Some(term) = least(&mut terms)? {
        cancel.check()?;
        for (input, terms) in inputs.iter().zip(&mut terms) {
            if take(terms, &term).is_some() {
                statistics.tokens +=
                    append(input, &term, &mut lists, positions, &mut gaps, cancel)?;
            }
        }
        let count = lists.finish(&mut bytes.postings, &mut bytes.positions);
        if count > 0 {
            let ends = (bytes.postings.len() as u64, bytes.positions.len() as u64);
            dictionary.add(&term, count, ends.0, ends.1).map_err(full)?;
        }
    }
    bytes.dictionary = dictionary.finish(rows, statistics);
    Ok(bytes)
}

/// The codes of the lengths of all rows.
fn lengths(inputs: &[Input<'_>], rows: u32, cancel: &Cancel) -> Result<Vec<u8>> {
    let mut codes = vec![0; rows as usize];
    let mut next = 0;
    for input in inputs {
        let lengths: Lengths<'_> = input.index.lengths();
        let mut page = lengths.page(0)?;
        for row in 0..input.index.rows() {
            cancel.check_at(row)?;
            let Some(new) = (input.map)(row) else {
                continue;
            };
            if new < next || new >= rows {
                return Err(Error::invalid("the rows of a merge do not ascend"));
            }
            next = new + 1;
            if page.code(row).is_none() {
                page = lengths.page(row)?;
            }
            codes[new as usize] = page.code(row).unwrap_or(0);
        }
    }
    Ok(codes)
}

/// The least term that is next in any of the listings.
pub(in crate::text) fn least(terms: &mut [Peekable<Matches<'_>>]) -> Result<Option<Vec<u8>>> {
    let mut least: Option<&[u8]> = None;
    for terms in terms {
        match terms.peek() {
            Some(Err(error)) => return Err(error.clone()),
            Some(Ok(Matched { term, .. })) if least.is_none_or(|least| &term[..] < least) => {
                least = Some(term);
            }
            _ => {}
        }
    }
    Ok(least.map(<[u8]>::to_vec))
}

/// Takes a term off a listing, if it is next.
pub(in crate::text) fn take(terms: &mut Peekable<Matches<'_>>, term: &[u8]) -> Option<Matched> {
    let is_same = |next: &Result<Matched>| matches!(next, Ok(next) if next.term == term);
    terms.next_if(is_same)?.ok()
}

/// Appends the postings of one input, and gives how many occurrences they have.
fn append(
    input: &Input<'_>,
    term: &[u8],
    lists: &mut ListWriter<'_>,
    positions: bool,
    gaps: &mut Vec<u32>,
    cancel: &Cancel,
) -> Result<u64> {
    let Some(list) = input.index.list(term, positions)? else {
        return Ok(0);
    };
    let place = list.place();
    let flaw = |flaw| input.index.flaw(place, flaw);
    let mut cursor = Cursor::new(list).map_err(flaw)?;
    let mut occurrences = 0;
    while cursor.row() != END {
        cancel.check()?;
        if positions {
            cursor.positions(gaps).map_err(flaw)?;
        }
        let (rows, values) = cursor.left().map_err(flaw)?;
        let mut start = 0;
        for (row, value) in rows.iter().zip(values) {
            let own = match positions {
                // There are as many as the values say.
                true => gaps
                    .get(start..start + *value as usize + 1)
                    .unwrap_or_default(),
                false => &[],
            };
            start += own.len();
            if let Some(new) = (input.map)(*row) {
                occurrences += u64::from(*value) + 1;
                lists.push(new, *value, own).map_err(flaw)?;
            }
        }
        let taken = rows.len();
        cursor.skip(taken).map_err(flaw)?;
    }
    Ok(occurrences)
}
