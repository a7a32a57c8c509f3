//! The rows that have one term, with what it adds to their scores.

use super::{
    super::index::{Index, Lengths, Page},
    score::{Weight, occurrences},
};
use crate::{
    codec::{DecodeError, Decoded},
    error::{Error, Result},
    postings::{BLOCK, Cursor, END, List},
};

/// A place in the list of a term.
pub(super) struct Leaf<'a> {
    index: &'a dyn Index,
    place: usize,
    cursor: Cursor<'a>,
    lengths: &'a Lengths<'a>,
    page: Page<'a>,
    weight: Weight<'a>,
    /// What its postings behind the full blocks add at most, and what all add at most.
    rest_bound: f64,
    bound: f64,
    /// The block that was bounded last, its last row, and its bound.
    bounded: (usize, u32, f64),
    /// What its postings of a window of rows add at most; for who looks at windows.
    pub(super) in_window: f64,
}

impl<'a> Leaf<'a> {
    pub(super) fn open(
        index: &'a dyn Index,
        list: List<'a>,
        lengths: &'a Lengths<'a>,
        weight: Weight<'a>,
    ) -> Result<Self> {
        let place = list.place();
        let flaw = |flaw| index.flaw(place, flaw);
        let bound = list.bound().map_or(0.0, |bound| weight.most(bound));
        let mut cursor = Cursor::at_rest(list).map_err(flaw)?;
        let mut rest = Rest {
            lengths,
            page: Page::default(),
            weight,
        };
        let rest_bound = rest.bound(&mut cursor).map_err(flaw)??;
        cursor.rewind().map_err(flaw)?;
        Ok(Self {
            index,
            place,
            cursor,
            lengths,
            page: rest.page,
            weight,
            rest_bound,
            bound: bound.max(rest_bound),
            bounded: (usize::MAX, 0, 0.0),
            in_window: 0.0,
        })
    }

    /// How many rows have the term, at most.
    pub(super) fn count(&self) -> u64 {
        self.cursor.list().count().into()
    }

    /// What no posting adds more than.
    pub(super) fn bound(&self) -> f64 {
        self.bound
    }

    pub(super) fn row(&self) -> u32 {
        self.cursor.row()
    }

    #[inline]
    pub(super) fn seek(&mut self, row: u32) -> Result<u32> {
        let found = self.cursor.seek(row);
        found.map_err(|flaw| self.index.flaw(self.place, flaw))
    }

    /// What the term adds to the score of the row that it stands at.
    #[inline]
    pub(super) fn score(&mut self) -> Result<f64> {
        let value = self.value()?;
        self.weigh(occurrences(value))
    }

    /// What so many occurrences add to the score of the row that it stands at.
    pub(super) fn weigh(&mut self, occurrences: f32) -> Result<f64> {
        let row = self.cursor.row();
        let code = match self.page.code(row) {
            Some(code) => code,
            None => {
                self.page = self.lengths.page(row)?;
                self.page.code(row).unwrap_or(0)
            }
        };
        Ok(self.weight.score(occurrences, code))
    }

    /// Occurrences in the row that it stands at, less one.
    pub(super) fn value(&mut self) -> Result<u32> {
        let value = self.cursor.value();
        value.map_err(|flaw| self.index.flaw(self.place, flaw))
    }

    /// Positions of the block that it stands in, as they are stored.
    pub(super) fn gaps(&mut self, gaps: &mut Vec<u32>) -> Result<()> {
        let found = self.cursor.positions(gaps);
        found.map_err(|flaw| self.index.flaw(self.place, flaw))
    }

    pub(super) fn occurrences(&mut self) -> Result<(usize, usize)> {
        let found = self.cursor.occurrences();
        found.map_err(|flaw| self.index.flaw(self.place, flaw))
    }

    /// The block that it stands in.
    pub(super) fn block(&self) -> usize {
        self.cursor.block()
    }

    pub(super) fn flaw(&self, flaw: DecodeError) -> Error {
        self.index.flaw(self.place, flaw)
    }

    /// A row from `row` on, and what no posting from `row` up to it adds more than. Rows ascend from
    /// call to call.
    #[inline]
    pub(super) fn bound_at(&mut self, row: u32) -> Result<(u32, f64)> {
        let (block, last, bound) = self.bounded;
        if block == usize::MAX || last < row {
            let next = block.wrapping_add(1);
            self.bounded = self
                .bound_from(next, row)
                .map_err(|flaw| self.index.flaw(self.place, flaw))?;
            return Ok((self.bounded.1, self.bounded.2));
        }
        Ok((last, bound))
    }

    /// The bound of the first block, from `block` on, that may have a row from `row` on.
    fn bound_from(&self, block: usize, row: u32) -> Decoded<(usize, u32, f64)> {
        let list = self.cursor.list();
        let block = self.cursor.find(block, row)?;
        if block >= list.full_blocks() {
            return Ok((block, END, self.rest_bound));
        }
        let skip = list.skip(block)?;
        Ok((block, skip.last, self.weight.most(skip.bound)))
    }

    /// What no posting from `start` on and below `end` adds more than. Windows ascend.
    pub(super) fn bound_within(&mut self, start: u32, end: u32) -> Result<f64> {
        if self.row() >= end {
            return Ok(0.0);
        }
        let (mut last, mut most) = self.bound_at(start)?;
        while last < end - 1 {
            let bound;
            (last, bound) = self.bound_at(last + 1)?;
            most = most.max(bound);
        }
        Ok(most)
    }

    /// Goes through its postings below `end`, with what each adds, but for blocks that `wants` not, by
    /// their bounds.
    #[inline]
    pub(super) fn each_below(
        &mut self,
        end: u32,
        wants: impl Fn(f64) -> bool,
        mut each: impl FnMut(u32, f64),
    ) -> Result<()> {
        let flaw = |flaw| self.index.flaw(self.place, flaw);
        while self.cursor.row() < end {
            let list = self.cursor.list();
            let block = self.cursor.block();
            let bound = match block < list.full_blocks() {
                true => self.weight.most(list.skip(block).map_err(flaw)?.bound),
                false => self.rest_bound,
            };
            if !wants(bound) {
                let last = match block < list.full_blocks() {
                    true => list.skip(block).map_err(flaw)?.last,
                    false => END - 1,
                };
                let next = end.min(last.saturating_add(1));
                self.cursor.seek(next).map_err(flaw)?;
                continue;
            }
            let (rows, values) = self.cursor.left().map_err(flaw)?;
            let count = match rows.last() {
                Some(last) if *last >= end => rows.partition_point(|row| *row < end),
                _ => rows.len(),
            };
            // Three loops, since the one that computes is vectorized by itself.
            let mut scores = [0.0; BLOCK];
            let mut norms = [0.0; BLOCK];
            for (norm, row) in norms.iter_mut().zip(&rows[..count]) {
                let code = match self.page.code(*row) {
                    Some(code) => code,
                    None => {
                        self.page = self.lengths.page(*row)?;
                        self.page.code(*row).unwrap_or(0)
                    }
                };
                *norm = self.weight.norm(code);
            }
            for ((score, norm), value) in scores.iter_mut().zip(&norms).zip(&values[..count]) {
                *score = self.weight.score_at(occurrences(*value), *norm);
            }
            for (row, score) in rows.iter().zip(&scores[..count]) {
                each(*row, *score);
            }
            self.cursor.skip(count).map_err(flaw)?;
        }
        Ok(())
    }
}

/// What is needed to bound the postings that no bound is stored of.
struct Rest<'a> {
    lengths: &'a Lengths<'a>,
    page: Page<'a>,
    weight: Weight<'a>,
}

impl Rest<'_> {
    fn bound(&mut self, cursor: &mut Cursor<'_>) -> Decoded<Result<f64>> {
        let (rows, values) = cursor.left()?;
        let mut bound = 0.0f64;
        for (row, value) in rows.iter().zip(values) {
            if self.page.code(*row).is_none() {
                match self.lengths.page(*row) {
                    Ok(page) => self.page = page,
                    Err(error) => return Ok(Err(error)),
                }
            }
            let code = self.page.code(*row).unwrap_or(0);
            bound = bound.max(self.weight.score(occurrences(*value), code));
        }
        Ok(Ok(bound))
    }
}
