//! Writes the posting list of a term: blocks with what bounds them, and the positions beside.

use super::bounds::Pareto;
use crate::{
    codec::{Decoded, put_varint},
    postings::{BLOCK, Blocks, put_numbers, put_rest},
};

/// Appends a full block to a list. Values are occurrences less one, `gaps` the positions of all
/// postings, the first of each as it is and the others by what they exceed the one before.
pub(super) fn push_block(
    blocks: &mut Blocks,
    rows: &[u32; BLOCK],
    values: &[u32; BLOCK],
    gaps: Option<&[u32]>,
    code: impl Fn(u32) -> u8,
) -> Decoded<()> {
    let mut pareto = Pareto::default();
    for (row, value) in rows.iter().zip(values) {
        pareto.add(*value, code(*row));
    }
    let bound = pareto.bound();
    pareto.add_bound(blocks.bound());
    let positions = gaps.map(|gaps| |out: &mut Vec<u8>| put_numbers(out, gaps));
    blocks.push(rows, values, (bound, pareto.bound()), positions)
}

/// Takes the postings of one term after the other.
pub(super) struct ListWriter<'a> {
    /// Codes of the lengths of all rows.
    codes: &'a [u8],
    has_positions: bool,
    count: u32,
    rows: [u32; BLOCK],
    values: [u32; BLOCK],
    len: usize,
    gaps: Vec<u32>,
    blocks: Blocks,
}

impl<'a> ListWriter<'a> {
    pub(super) fn new(codes: &'a [u8], has_positions: bool) -> Self {
        Self {
            codes,
            has_positions,
            count: 0,
            rows: [0; BLOCK],
            values: [0; BLOCK],
            len: 0,
            gaps: Vec::new(),
            blocks: Blocks::default(),
        }
    }

    /// Appends a posting, with its positions if these are kept. Rows ascend.
    pub(super) fn push(&mut self, row: u32, value: u32, gaps: &[u32]) -> Decoded<()> {
        self.rows[self.len] = row;
        self.values[self.len] = value;
        self.gaps.extend_from_slice(gaps);
        self.len += 1;
        self.count += 1;
        if self.len == BLOCK {
            let gaps = self.has_positions.then_some(&self.gaps[..]);
            let code = |row| self.codes.get(row as usize).copied().unwrap_or(0);
            push_block(&mut self.blocks, &self.rows, &self.values, gaps, code)?;
            self.len = 0;
            self.gaps.clear();
        }
        Ok(())
    }

    /// Appends the list to a file's, and is ready for the next term. Gives the number of postings.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>, positions: &mut Vec<u8>) -> u32 {
        let before = self.blocks.last();
        self.blocks.drain_to(out, positions);
        put_rest(
            out,
            before,
            &self.rows[..self.len],
            &self.values[..self.len],
        );
        for gap in self.gaps.drain(..) {
            put_varint(positions, gap.into());
        }
        self.len = 0;
        std::mem::take(&mut self.count)
    }
}
