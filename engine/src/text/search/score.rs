//! BM25 as Lucene computes it, to the last bit the same however rows are found and split.
//!
//! A term adds `w - w / (1 + tf / norm)` to the score of a row, which is `w * tf / (tf + norm)`, with
//! `norm = k1 * (1 - b + b * len / average)` and `w = boost * ln(1 + (N - n + 0.5) / (n + 0.5))`; there is no
//! factor `k1 + 1`, as in Lucene since version 8 and in the method "lucene" of `bm25s`. In this form each step is
//! monotone also as it is rounded, so that what bounds occurrences and length bounds the score.
//!
//! Contributions are computed in f32. Each is rounded to a multiple of a number that depends on the query's
//! weights alone, small enough to change nothing and large enough for sums in f64 to be exact: the
//! order in which terms are met makes no difference. The sum is rounded to f32 once, at the end.

use super::super::index::{MANY, Statistics, decode, pairs};
use crate::{
    error::{Error, Result},
    postings::Bound,
};
use serde::{Deserialize, Serialize};

/// How BM25 weighs occurrences and lengths: see [`Query::bm25`](crate::Query::bm25). As JSON
/// `{ "k1": 1.2, "b": 0.75 }`, of which either may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bm25 {
    /// How far more occurrences of a term add to a score: 0 not at all.
    pub k1: f32,
    /// How far longer texts count less: 0 not at all, 1 in proportion.
    pub b: f32,
}

impl Default for Bm25 {
    fn default() -> Self {
        Self { k1: 1.2, b: 0.75 }
    }
}

impl Bm25 {
    /// # Errors
    /// `InvalidInput` when `k1` is negative or no finite number, or `b` not between 0 and 1.
    pub(crate) fn check(self) -> Result<()> {
        if self.k1.is_finite() && self.k1 >= 0.0 && (0.0..=1.0).contains(&self.b) {
            return Ok(());
        }
        let Self { k1, b } = self;
        Err(Error::invalid(format!(
            "k1 is {k1} and b {b}; expected at least 0, and 0 to 1"
        )))
    }

    /// One over the norm of each length, by its code.
    pub(super) fn table(self, statistics: Statistics) -> [f32; 256] {
        let average = statistics.tokens as f64 / statistics.rows.max(1) as f64;
        let (k1, b) = (f64::from(self.k1), f64::from(self.b));
        std::array::from_fn(|code| {
            let len = f64::from(decode(code as u8)) / average.max(1.0);
            (1.0 / (k1 * (1.0 - b + b * len))) as f32
        })
    }
}

/// Occurrences by the value of a posting, which is one less. No row has 2^31, which could not be
/// converted as quickly.
#[inline]
pub(super) fn occurrences(value: u32) -> f32 {
    ((value & (u32::MAX >> 1)) as i32) as f32 + 1.0
}

/// The inverse document frequency of a term in `count` of so many rows. Never negative.
pub(super) fn idf(rows: u64, count: u64) -> f64 {
    let (rows, count) = (rows.max(count) as f64, count as f64);
    (1.0 + (rows - count + 0.5) / (count + 0.5)).ln()
}

/// What sums of contributions are exact in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grid(f64);

impl Grid {
    /// One for sums up to `most`.
    pub(super) fn of(most: f64) -> Self {
        // Adding a number rounds to multiples of its last bit: here that is 2^-45 of the power of two
        // above the largest sum, which leaves room for the rounding of 64 contributions, and for far
        // more in practice, since these are below their weights.
        Self(if most > 0.0 {
            192.0 * most.log2().ceil().exp2()
        } else {
            0.0
        })
    }

    #[inline]
    pub(super) fn round(self, contribution: f32) -> f64 {
        (f64::from(contribution) + self.0) - self.0
    }
}

/// What a term, or a phrase, adds to scores.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weight<'a> {
    pub(super) weight: f32,
    pub(super) grid: Grid,
    pub(super) table: &'a [f32; 256],
}

impl Weight<'_> {
    /// What so many occurrences, at least one of whatever weight, add in a row whose length has
    /// this code.
    #[inline]
    pub(super) fn score(&self, occurrences: f32, code: u8) -> f64 {
        self.score_at(occurrences, self.norm(code))
    }

    /// One over the norm of a length.
    #[inline]
    pub(super) fn norm(&self, code: u8) -> f32 {
        self.table[usize::from(code)]
    }

    /// [`score`](Self::score) by what [`norm`](Self::norm) gave.
    #[inline]
    pub(super) fn score_at(&self, occurrences: f32, norm: f32) -> f64 {
        self.grid
            .round(self.weight - self.weight / (1.0 + occurrences * norm))
    }

    /// What the postings under a bound add at most.
    pub(super) fn most(&self, bound: Bound) -> f64 {
        let scores = pairs(bound).map(|(count, code)| match count {
            MANY => self.grid.round(self.weight),
            _ => self.score(f32::from(count), code),
        });
        scores.fold(0.0, f64::max)
    }
}
