//! Goes through a posting list, forward, a block unpacked at a time.

use super::{
    block::{BLOCK, get_numbers, get_rows, get_values, get_varints, take_rest},
    list::List,
};
use crate::codec::{DecodeError, Decoded};

/// Where a cursor stands that has come to the end.
pub(crate) const END: u32 = u32::MAX;

/// A place in a list. It is made before the first posting; [`seek`](Self::seek) goes to it.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    list: List<'a>,
    /// The block that is unpacked; the rest is one more.
    block: usize,
    /// Postings in it, and the one it stands at.
    len: usize,
    at: usize,
    has_values: bool,
    rows: [u32; BLOCK],
    values: [u32; BLOCK],
}

impl<'a> Cursor<'a> {
    /// Stands at the first posting.
    pub(crate) fn new(list: List<'a>) -> Decoded<Self> {
        Self::in_block(list, 0)
    }

    /// Stands at the first posting behind the full blocks.
    pub(crate) fn at_rest(list: List<'a>) -> Decoded<Self> {
        let full = list.full_blocks();
        Self::in_block(list, full)
    }

    fn in_block(list: List<'a>, block: usize) -> Decoded<Self> {
        let mut cursor = Self {
            list,
            block: 0,
            len: 0,
            at: 0,
            has_values: false,
            rows: [0; BLOCK],
            values: [0; BLOCK],
        };
        cursor.unpack(block)?;
        Ok(cursor)
    }

    pub(crate) fn list(&self) -> &List<'a> {
        &self.list
    }

    /// The row that it stands at.
    #[inline]
    pub(crate) fn row(&self) -> u32 {
        match self.rows.get(self.at) {
            Some(row) if self.at < self.len => *row,
            _ => END,
        }
    }

    /// The block that it stands in.
    pub(crate) fn block(&self) -> usize {
        self.block
    }

    /// The number of the posting that it stands at.
    #[inline]
    pub(crate) fn value(&mut self) -> Decoded<u32> {
        self.need_values()?;
        Ok(self.values.get(self.at).copied().unwrap_or(0))
    }

    /// The postings from where it stands to the end of the block.
    #[inline]
    pub(crate) fn left(&mut self) -> Decoded<(&[u32], &[u32])> {
        self.need_values()?;
        Ok((
            self.rows.get(self.at..self.len).unwrap_or_default(),
            self.values.get(self.at..self.len).unwrap_or_default(),
        ))
    }

    /// Goes on by `count` postings, at most to behind the end of the block.
    #[inline]
    pub(crate) fn skip(&mut self, count: usize) -> Decoded<()> {
        self.at += count;
        if self.at >= self.len {
            return self.unpack(self.block.saturating_add(1));
        }
        Ok(())
    }

    /// Goes back from the first posting of its block to that of the list.
    pub(crate) fn rewind(&mut self) -> Decoded<()> {
        if self.block == 0 {
            return Ok(());
        }
        self.unpack(0)
    }

    /// Goes to the first row that is not below `row`, and gives it.
    #[inline]
    pub(crate) fn seek(&mut self, row: u32) -> Decoded<u32> {
        if self.row() >= row {
            return Ok(self.row());
        }
        if self.len == 0 || self.rows[self.len - 1] < row {
            self.unpack(self.find(self.block.saturating_add(1), row)?)?;
        }
        self.at += self.rows[self.at..self.len].partition_point(|at| *at < row);
        // The block of a row that is not there may be followed by others.
        if self.at >= self.len && self.block < self.list.full_blocks() {
            self.unpack(self.block + 1)?;
        }
        Ok(self.row())
    }

    /// The first block, from `block` on, of which the last row is not below `row`. The rest is the
    /// last block, and may be asked for any row.
    pub(crate) fn find(&self, block: usize, row: u32) -> Decoded<usize> {
        let full = self.list.full_blocks();
        // What is near is what is asked for most: steps that double, then halves.
        let (mut low, mut step) = (block, 1);
        let mut high = loop {
            let at = low.saturating_add(step - 1).min(full);
            if at == full || self.list.skip(at)?.last >= row {
                break at;
            }
            low = at + 1;
            step *= 2;
        };
        while low < high {
            let middle = low + (high - low) / 2;
            if self.list.skip(middle)?.last < row {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// The positions of all postings of the block that it stands in, and where those of its posting are.
    pub(crate) fn positions(&mut self, gaps: &mut Vec<u32>) -> Decoded<()> {
        self.need_values()?;
        let len = self.unpacked_len();
        let values = self.values.get(..len).unwrap_or_default();
        let count = values
            .iter()
            .map(|value| u64::from(*value) + 1)
            .sum::<u64>();
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let bytes = self.list.positions(self.block)?;
        if self.block < self.list.full_blocks() {
            get_numbers(bytes, count, gaps)
        } else {
            get_varints(bytes, count, gaps)
        }
    }

    /// How many occurrences the postings of the block have before the one that it stands at, and
    /// how many that has.
    pub(crate) fn occurrences(&mut self) -> Decoded<(usize, usize)> {
        self.need_values()?;
        let before = self.values.get(..self.at).unwrap_or_default();
        let before = before.iter().map(|value| *value as usize + 1).sum();
        Ok((
            before,
            self.values.get(self.at).copied().unwrap_or(0) as usize + 1,
        ))
    }

    /// Postings of the block, seen or not.
    fn unpacked_len(&self) -> usize {
        if self.block < self.list.full_blocks() {
            BLOCK
        } else {
            self.list.rest_len()
        }
    }

    #[inline]
    fn need_values(&mut self) -> Decoded<()> {
        if !self.has_values && self.block < self.list.full_blocks() {
            get_values(self.list.block(self.block)?, &mut self.values)?;
        }
        self.has_values = true;
        Ok(())
    }

    /// How many postings of a list are seen.
    pub(crate) fn seen(list: List<'a>) -> Decoded<u32> {
        let rows = list.rows();
        let mut cursor = Self::new(list)?;
        let block = cursor.find(0, rows)?;
        cursor.unpack(block)?;
        Ok((block * BLOCK + cursor.len) as u32)
    }

    fn unpack(&mut self, block: usize) -> Decoded<()> {
        self.block = block;
        self.at = 0;
        let full = self.list.full_blocks();
        if block > full {
            self.len = 0;
            return Ok(());
        }
        let before = self.list.before(block)?;
        self.has_values = block == full;
        self.len = self.unpacked_len();
        if block < full {
            let last = self.list.skip(block)?.last;
            get_rows(self.list.block(block)?, before, last, &mut self.rows)?;
        } else {
            let (rows, values) = (&mut self.rows, &mut self.values);
            take_rest(self.list.rest(), before, self.len, rows, values)?;
        }
        self.cut()
    }

    /// Leaves out what lies above the last row.
    fn cut(&mut self) -> Decoded<()> {
        let rows = self.list.rows();
        let last = self.rows[..self.len].last();
        if last.is_none_or(|last| *last < rows) {
            return Ok(());
        }
        if !self.list.is_view() {
            return Err(DecodeError("a posting list has a row that is none"));
        }
        self.len = self.rows[..self.len].partition_point(|row| *row < rows);
        Ok(())
    }
}
