//! The rows that have terms one after the other, or near to that.
//!
//! A term of a phrase would have the phrase begin where it is, less its own place: all terms agree in
//! an exact match. What of these beginnings lies closest together counts: each stretch from one to
//! another that has a beginning of every term, and no such stretch within. If it is `d` long, and the
//! slop allows that, it counts as `1 / (1 + d)` occurrences. A word that a phrase has twice may be
//! matched by one occurrence, if the slop is as large as its places are apart.

use super::{leaf::Leaf, scorer::Ticks};
use crate::{codec::DecodeError, error::Result, postings::END};

pub(super) struct Phrase<'a> {
    terms: Vec<Part<'a>>,
    slop: u32,
    /// Occurrences in the row that it stands at.
    frequency: f32,
    row: u32,
}

struct Part<'a> {
    leaf: Leaf<'a>,
    place: u32,
    /// The positions of a block, and which.
    gaps: Vec<u32>,
    block: usize,
    /// Where in the row that it stands at the phrase would begin by this term, ascending.
    beginnings: Vec<i64>,
    /// The one that is looked at.
    at: usize,
}

impl<'a> Phrase<'a> {
    /// Each term weighs what the phrase does.
    pub(super) fn new(terms: Vec<(Leaf<'a>, u32)>, slop: u32) -> Self {
        let part = |(leaf, place)| Part {
            leaf,
            place,
            gaps: Vec::new(),
            block: usize::MAX,
            beginnings: Vec::new(),
            at: 0,
        };
        let mut terms: Vec<_> = terms.into_iter().map(part).collect();
        // What few rows have says where to look at the others.
        terms.sort_by_key(|part| part.leaf.count());
        Self {
            terms,
            slop,
            frequency: 0.0,
            row: 0,
        }
    }

    /// How many rows have it at most.
    pub(super) fn count_most(&self) -> u64 {
        self.terms.first().map_or(0, |part| part.leaf.count())
    }

    /// The first row from `row` on that has the phrase.
    pub(super) fn seek(&mut self, mut row: u32, ticks: &mut Ticks<'_>) -> Result<u32> {
        if self.frequency > 0.0 && row <= self.row {
            return Ok(self.row);
        }
        loop {
            ticks.tick()?;
            let mut highest = row;
            for (at, part) in self.terms.iter_mut().enumerate() {
                let found = part.leaf.seek(highest)?;
                let is_further = at > 0 && found > highest;
                highest = found;
                if is_further {
                    break;
                }
            }
            if highest == END {
                self.row = END;
                return Ok(END);
            }
            let is_common = self.terms.iter().all(|part| part.leaf.row() == highest);
            row = highest;
            if is_common {
                self.frequency = self.count()?;
                if self.frequency > 0.0 {
                    self.row = row;
                    return Ok(row);
                }
                row += 1;
            }
        }
    }

    pub(super) fn score(&mut self) -> Result<f64> {
        let frequency = self.frequency;
        self.terms
            .first_mut()
            .map_or(Ok(0.0), |part| part.leaf.weigh(frequency))
    }

    /// As [`Leaf::bound_at`]: a phrase occurs at most as often as each of its terms.
    pub(super) fn bound_at(&mut self, row: u32) -> Result<(u32, f64)> {
        let (mut last, mut bound) = (END, f64::INFINITY);
        for part in &mut self.terms {
            let own = part.leaf.bound_at(row)?;
            last = last.min(own.0);
            bound = bound.min(own.1);
        }
        Ok((last, bound))
    }

    /// How often the phrase occurs in the row that all terms stand at.
    fn count(&mut self) -> Result<f32> {
        let mut most = f32::MAX;
        for part in &mut self.terms {
            part.load()?;
            most = most.min(part.beginnings.len() as f32);
        }
        let mut frequency = 0.0;
        // The closest stretch that ends where the last one that was found does.
        let mut closest: Option<(i64, i64)> = None;
        loop {
            let mut heads = self.terms.iter().map(Part::head);
            let ends = heads.try_fold((i64::MAX, i64::MIN), |(low, high), head| {
                Some((low.min(head?), high.max(head?)))
            });
            let Some((low, high)) = ends else {
                break;
            };
            if let Some((start, end)) = closest
                && end != high
            {
                frequency += self.weigh(end - start);
            }
            closest = Some((low, high));
            for part in &mut self.terms {
                if part.head() == Some(low) {
                    part.at += 1;
                }
            }
        }
        if let Some((start, end)) = closest {
            frequency += self.weigh(end - start);
        }
        Ok(frequency.min(most))
    }

    fn weigh(&self, off: i64) -> f32 {
        if off <= i64::from(self.slop) {
            1.0 / (1.0 + off as f32)
        } else {
            0.0
        }
    }
}

impl Part<'_> {
    fn head(&self) -> Option<i64> {
        self.beginnings.get(self.at).copied()
    }

    /// Reads the positions of the row that it stands at.
    fn load(&mut self) -> Result<()> {
        if self.block != self.leaf.block() {
            self.leaf.gaps(&mut self.gaps)?;
            self.block = self.leaf.block();
        }
        let (first, count) = self.leaf.occurrences()?;
        let gaps = self.gaps.get(first..first + count);
        let gaps = gaps.ok_or(DecodeError(
            "a posting has fewer positions than occurrences",
        ));
        let gaps = gaps.map_err(|flaw| self.leaf.flaw(flaw))?;
        self.at = 0;
        self.beginnings.clear();
        let mut position = -i64::from(self.place);
        for gap in gaps {
            position += i64::from(*gap);
            self.beginnings.push(position);
        }
        Ok(())
    }
}
