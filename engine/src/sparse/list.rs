//! Writes the posting list of a dimension: blocks with what bounds their weights.

use super::weight::Span;
use crate::{
    codec::Decoded,
    postings::{BLOCK, Blocks, put_rest},
};

/// Appends a full block to a list.
pub(super) fn push_block(
    blocks: &mut Blocks,
    rows: &[u32; BLOCK],
    values: &[u32; BLOCK],
) -> Decoded<()> {
    let span = Span::of(values);
    let all = match blocks.last() {
        None => span,
        Some(_) => span.joined(Span::of_bound(blocks.bound())),
    };
    let no_positions = None::<fn(&mut Vec<u8>)>;
    blocks.push(rows, values, (span.bound(), all.bound()), no_positions)
}

/// Takes the postings of one dimension after the other.
pub(super) struct ListWriter {
    count: u32,
    rows: [u32; BLOCK],
    values: [u32; BLOCK],
    len: usize,
    blocks: Blocks,
}

impl ListWriter {
    pub(super) fn new() -> Self {
        Self {
            count: 0,
            rows: [0; BLOCK],
            values: [0; BLOCK],
            len: 0,
            blocks: Blocks::default(),
        }
    }

    /// Appends a posting. Rows ascend.
    pub(super) fn push(&mut self, row: u32, value: u32) -> Decoded<()> {
        self.rows[self.len] = row;
        self.values[self.len] = value;
        self.len += 1;
        self.count += 1;
        if self.len == BLOCK {
            push_block(&mut self.blocks, &self.rows, &self.values)?;
            self.len = 0;
        }
        Ok(())
    }

    /// Appends the list to `out`, and is ready for the next dimension. Gives the number of postings.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> u32 {
        let before = self.blocks.last();
        self.blocks.drain_to(out, &mut Vec::new());
        let (rows, values) = (&self.rows[..self.len], &self.values[..self.len]);
        put_rest(out, before, rows, values);
        self.len = 0;
        std::mem::take(&mut self.count)
    }
}
