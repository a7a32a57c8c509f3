//! Reads all of an index in a file, and whether it says the same everywhere.

use super::{Stored, stored::Section, weight::Span};
use crate::{
    cancel::Cancel,
    codec::DecodeError,
    error::Result,
    postings::{Cursor, END, List, Source},
    sparse_vector::is_weight,
};

impl<S: Source<Section>> Stored<S> {
    /// Reads everything. Checksums were compared before.
    ///
    /// # Errors
    /// What is wrong first, or `Cancelled`.
    pub(crate) fn verify(&self, cancel: &Cancel) -> Result<()> {
        let mut entries = self.verify_vectors(cancel)?;
        self.verify_lists(&mut entries, cancel)?;
        let agrees = entries.iter().all(|sum| *sum == 0);
        let flaw = DecodeError("the postings of sparse vectors contradict these");
        self.sound(Section::Postings, 0, agrees.then_some(()).ok_or(flaw))
    }

    /// Reads all vectors, and gives for each row a sum over its entries.
    fn verify_vectors(&self, cancel: &Cancel) -> Result<Vec<u64>> {
        let rows = self.header().rows;
        let mut sums = vec![0u64; rows as usize];
        let (mut next, mut filled) = (0, 0);
        for (row, sum) in (0..rows).zip(&mut sums) {
            cancel.check_at(row)?;
            let (start, len) = self.place(row)?;
            let follows = (start == next).then_some(());
            let flaw = DecodeError("sparse vectors do not follow each other");
            self.sound(Section::Starts, row as usize * 8, follows.ok_or(flaw))?;
            next = start + len;
            if let Some(vector) = self.vector(row)? {
                filled += 1;
                for (dimension, weight) in vector.dimensions().iter().zip(vector.weights()) {
                    *sum = sum.wrapping_add(mixed(*dimension, (*weight).into()));
                }
            }
        }
        let agrees = next == self.vectors_len() && filled == self.header().filled;
        let flaw = DecodeError("there are more sparse vectors, or fewer, than the index says");
        self.sound(Section::Starts, 0, agrees.then_some(()).ok_or(flaw))?;
        Ok(sums)
    }

    /// Reads all lists, and takes from the sums of rows what their postings come to.
    fn verify_lists(&self, sums: &mut [u64], cancel: &Cancel) -> Result<()> {
        let (mut last, mut start) = (None, 0);
        for at in 0..self.header().dimensions as usize {
            cancel.check()?;
            let entry = self.entry(at)?;
            let follows = last.is_none_or(|last| last < entry.dimension) && entry.count > 0;
            let flaw = DecodeError("the dimensions of sparse vectors do not ascend");
            self.sound(Section::Dimensions, 0, follows.then_some(()).ok_or(flaw))?;
            let list = self.list_of(start, entry)?;
            let place = list.place();
            let checked = check(list, entry.dimension, sums, cancel);
            self.sound(Section::Postings, place, checked)??;
            (last, start) = (Some(entry.dimension), entry.end);
        }
        let flaw = DecodeError("there are bytes behind the last posting list");
        let ends = (start == self.header().postings).then_some(());
        self.sound(Section::Postings, 0, ends.ok_or(flaw))
    }
}

fn check(
    list: List<'_>,
    dimension: u32,
    sums: &mut [u64],
    cancel: &Cancel,
) -> Result<Result<()>, DecodeError> {
    let (all, full, expected) = (list.bound(), list.full_blocks(), list.count() as usize);
    let mut found = 0;
    let mut cursor = Cursor::new(list)?;
    while cursor.row() != END {
        if let Err(error) = cancel.check() {
            return Ok(Err(error));
        }
        let block = cursor.block();
        let bounds = match block < full {
            true => [all, Some(cursor.list().skip(block)?.bound)],
            false => [None, None],
        };
        let (rows, values) = cursor.left()?;
        for (row, value) in rows.iter().zip(values) {
            let Some(sum) = sums.get_mut(*row as usize) else {
                return Err(DecodeError("a posting list has a row that is none"));
            };
            if !u16::try_from(*value).is_ok_and(is_weight) {
                return Err(DecodeError("a posting has a weight that is none"));
            }
            let mut bounds = bounds.iter().flatten();
            if !bounds.all(|bound| Span::of_bound(*bound).covers(*value)) {
                return Err(DecodeError("a weight lies outside of its bound"));
            }
            *sum = sum.wrapping_sub(mixed(dimension, *value));
        }
        let count = rows.len();
        found += count;
        cursor.skip(count)?;
    }
    if found != expected {
        return Err(DecodeError("a posting list is shorter than its count says"));
    }
    Ok(Ok(()))
}

/// A number that hardly another entry has (the finalizer of `SplitMix64`).
fn mixed(dimension: u32, weight: u32) -> u64 {
    let mut mixed =
        (u64::from(dimension) << 32 | u64::from(weight)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}
