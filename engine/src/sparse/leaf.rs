//! The rows that have one dimension, with what it adds to their scores.

use super::{
    Index,
    weight::{Span, weight},
};
use crate::{
    codec::{DecodeError, Decoded},
    error::{Error, Result},
    kernel,
    postings::{BLOCK, Cursor, END, List},
};
use std::ops::Range;

/// Room for what the postings of a block add, which no leaf needs of its own.
pub(super) struct Room {
    halves: [u16; BLOCK],
    weights: [f32; BLOCK],
    products: [f64; BLOCK],
}

impl Default for Room {
    fn default() -> Self {
        Self {
            halves: [0; BLOCK],
            weights: [0.0; BLOCK],
            products: [0.0; BLOCK],
        }
    }
}

/// A place in the list of a dimension.
pub(super) struct Leaf<'a> {
    index: &'a dyn Index,
    place: usize,
    cursor: Cursor<'a>,
    /// Goes behind the other one, for sums that are computed again.
    again: Option<Box<Cursor<'a>>>,
    /// What weights are multiplied with.
    factor: f64,
    /// What all postings add at least and at most.
    all: (f64, f64),
    /// What those behind the full blocks add at most, or nothing.
    rest_bound: f64,
    /// The first block that the last window that was bounded could have rows of.
    bounded: usize,
    /// What its postings of a window of rows add at most.
    pub(super) in_window: f64,
}

impl<'a> Leaf<'a> {
    /// A list of an index, of which weights are multiplied with `factor`.
    pub(super) fn open(index: &'a dyn Index, list: List<'a>, factor: f32) -> Result<Self> {
        let place = list.place();
        let flaw = |flaw: DecodeError| -> Error { index.flaw(place, flaw) };
        let factor = f64::from(factor);
        let blocks = list
            .bound()
            .map(|bound| products(factor, Span::of_bound(bound)));
        let mut cursor = Cursor::at_rest(list).map_err(flaw)?;
        let (_, values) = cursor.left().map_err(flaw)?;
        let rest = (!values.is_empty()).then(|| products(factor, Span::of(values)));
        cursor.rewind().map_err(flaw)?;
        let all = [blocks, rest].into_iter().flatten();
        let all = all.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        Ok(Self {
            index,
            place,
            cursor,
            again: None,
            factor,
            all: all.unwrap_or_default(),
            rest_bound: rest.map_or(0.0, |rest| rest.1.max(0.0)),
            bounded: 0,
            in_window: 0.0,
        })
    }

    /// How many rows have the dimension, at most.
    pub(super) fn count(&self) -> u64 {
        self.cursor.list().count().into()
    }

    /// How many of these rows have it, about.
    pub(super) fn count_in(&self, rows: &Range<u32>) -> u64 {
        let list = self.cursor.list();
        let all = u64::from(list.rows().max(1));
        u64::from(list.count()) * u64::from(rows.end - rows.start) / all
    }

    /// What no row gets more from, having the dimension or not.
    pub(super) fn bound(&self) -> f64 {
        self.all.1.max(0.0)
    }

    /// What no posting adds more than in magnitude.
    pub(super) fn magnitude(&self) -> f64 {
        self.all.0.abs().max(self.all.1.abs())
    }

    /// Whether it may add less than nothing.
    pub(super) fn lowers(&self) -> bool {
        self.all.0 < 0.0
    }

    pub(super) fn row(&self) -> u32 {
        self.cursor.row()
    }

    #[inline]
    pub(super) fn seek(&mut self, row: u32) -> Result<u32> {
        let found = self.cursor.seek(row);
        found.map_err(|flaw| self.index.flaw(self.place, flaw))
    }

    /// What the dimension adds to the score of the row that it stands at.
    #[inline]
    pub(super) fn product(&mut self) -> Result<f64> {
        let value = self.cursor.value();
        let value = value.map_err(|flaw| self.index.flaw(self.place, flaw))?;
        Ok(self.factor * f64::from(weight(value)))
    }

    /// What it adds to the score of a row, if that has it, wherever it stands. Rows ascend from call to
    /// call.
    pub(super) fn product_again(&mut self, row: u32) -> Result<Option<f64>> {
        let flaw = |flaw: DecodeError| -> Error { self.index.flaw(self.place, flaw) };
        let again = match &mut self.again {
            Some(again) => again,
            None => {
                let cursor = Cursor::new(self.cursor.list().clone()).map_err(flaw)?;
                self.again.insert(Box::new(cursor))
            }
        };
        if again.seek(row).map_err(flaw)? != row {
            return Ok(None);
        }
        let value = again.value().map_err(flaw)?;
        Ok(Some(self.factor * f64::from(weight(value))))
    }

    /// What the postings of a full block add at most, or nothing.
    fn block_bound(&self, block: usize) -> Decoded<f64> {
        let skip = self.cursor.list().skip(block)?;
        let (_, most) = products(self.factor, Span::of_bound(skip.bound));
        Ok(most.max(0.0))
    }

    /// What no posting from `start` on and below `end` adds more than, or nothing. Windows ascend.
    pub(super) fn bound_within(&mut self, start: u32, end: u32) -> Result<f64> {
        if self.row() >= end {
            return Ok(0.0);
        }
        let bound = self.most_within(start, end);
        bound.map_err(|flaw| self.index.flaw(self.place, flaw))
    }

    fn most_within(&mut self, start: u32, end: u32) -> Decoded<f64> {
        let list = self.cursor.list();
        let full = list.full_blocks();
        let mut block = self.cursor.find(self.bounded, start)?;
        self.bounded = block;
        // By weights, so that there is one product for all blocks.
        let mut all: Option<Span> = None;
        let mut ends = false;
        while block < full && !ends {
            let skip = list.skip(block)?;
            let span = Span::of_bound(skip.bound);
            all = Some(all.map_or(span, |all| all.joined(span)));
            ends = skip.last >= end - 1;
            block += 1;
        }
        let most = all.map_or(0.0, |all| products(self.factor, all).1.max(0.0));
        Ok(if ends {
            most
        } else {
            most.max(self.rest_bound)
        })
    }

    /// Goes through its postings below `end`, with what each adds, but for blocks that `wants` not, by
    /// their bounds.
    #[inline]
    pub(super) fn each_below(
        &mut self,
        end: u32,
        room: &mut Room,
        wants: impl Fn(f64) -> bool,
        mut each: impl FnMut(u32, f64),
    ) -> Result<()> {
        let flaw = |flaw: DecodeError| -> Error { self.index.flaw(self.place, flaw) };
        while self.cursor.row() < end {
            let block = self.cursor.block();
            let is_full = block < self.cursor.list().full_blocks();
            let bound = match is_full {
                true => self.block_bound(block).map_err(flaw)?,
                false => self.rest_bound,
            };
            if !wants(bound) {
                let last = match is_full {
                    true => self.cursor.list().skip(block).map_err(flaw)?.last,
                    false => END - 1,
                };
                let next = end.min(last.saturating_add(1));
                self.cursor.seek(next).map_err(flaw)?;
                continue;
            }
            let factor = self.factor;
            let (rows, values) = self.cursor.left().map_err(flaw)?;
            let count = match rows.last() {
                Some(last) if *last >= end => rows.partition_point(|row| *row < end),
                _ => rows.len(),
            };
            // Loops of their own, since these become vector instructions.
            let halves = &mut room.halves[..count];
            for (half, value) in halves.iter_mut().zip(values) {
                *half = *value as u16;
            }
            let weights = &mut room.weights[..count];
            kernel::from_halves(halves, weights);
            let products = &mut room.products[..count];
            for (product, weight) in products.iter_mut().zip(weights) {
                *product = factor * f64::from(*weight);
            }
            for (row, product) in rows.iter().zip(products) {
                each(*row, *product);
            }
            self.cursor.skip(count).map_err(flaw)?;
        }
        Ok(())
    }
}

/// What weights of a span add at least and at most.
fn products(factor: f64, span: Span) -> (f64, f64) {
    let (low, high) = span.weights();
    let (a, b) = (factor * f64::from(low), factor * f64::from(high));
    (a.min(b), a.max(b))
}
