//! The best rows that have any of some terms: `MaxScore`, window by window.
//!
//! Within a window of rows the blocks of each term bound what it adds there. The terms that together
//! cannot reach what is wanted need not name any row: only rows that another term names are looked up in
//! them, the most promising term first, and as long as a row can still reach it. (Turtle and Flood 1995;
//! by windows as in Lucene's `MaxScoreBulkScorer`.) Scores are the same in whatever order terms are met,
//! see `score.rs`.

use super::{
    Collector,
    leaf::Leaf,
    scorer::{Scorer, Ticks},
};
use crate::{error::Result, postings::END};
use std::ops::Range;

/// Rows of the first window, in which nothing is known of what is wanted, and of the largest. Of real
/// texts 2,048 took less time than half and twice as many.
const FIRST: u32 = 256;
const WINDOW: usize = 2_048;

/// What a window needs memory for.
struct Window {
    sums: Box<[f64]>,
    /// How many terms name a row; counted if more than one must.
    counts: Box<[u16]>,
    seen: Box<[u64]>,
    /// Rows that may be wanted, with their scores and terms so far.
    candidates: Vec<(u32, f64, u16)>,
    at_least: u16,
}

/// Offers the rows that have any of the terms, or at least so many, and nothing of what they must not.
pub(super) fn search(
    leaves: &mut [Box<Leaf<'_>>],
    at_least: u16,
    must_not: &mut [Scorer<'_>],
    collector: &mut impl Collector,
    ticks: &mut Ticks<'_>,
) -> Result<()> {
    let mut window = Window {
        sums: vec![0.0; WINDOW].into(),
        counts: vec![0; if at_least > 1 { WINDOW } else { 0 }].into(),
        seen: vec![0; WINDOW / 64].into(),
        candidates: Vec::new(),
        at_least,
    };
    let (mut start, mut len) = (0, FIRST);
    loop {
        ticks.check()?;
        // What no row of the whole list can reach by these terms alone.
        leaves.sort_unstable_by(|a, b| a.bound().total_cmp(&b.bound()));
        let rest = needless(
            leaves.iter().map(|leaf| leaf.bound()),
            collector.last_wanted(),
        );
        let mut next = END;
        for leaf in &mut leaves[rest..] {
            next = next.min(leaf.seek(start)?);
        }
        if next == END {
            return Ok(());
        }
        start = next;
        let end = start.saturating_add(len);
        for leaf in leaves.iter_mut() {
            leaf.in_window = leaf.bound_within(start, end)?;
        }
        leaves.sort_unstable_by(|a, b| a.in_window.total_cmp(&b.in_window));
        let first = needless(
            leaves.iter().map(|leaf| leaf.in_window),
            collector.last_wanted(),
        );
        let (rest, essential) = leaves.split_at_mut(first);
        window.gather(essential, rest, start..end, collector.last_wanted())?;
        window.complete(rest, collector.last_wanted())?;
        window.offer(must_not, collector, ticks)?;
        start = end;
        len = (len * 2).min(WINDOW as u32);
    }
}

/// How many terms, from the first on, do not reach what is wanted together, by their bounds.
fn needless(bounds: impl ExactSizeIterator<Item = f64>, wanted: f32) -> usize {
    let (all, mut sum) = (bounds.len(), 0.0);
    let mut reaches = bounds.map(|bound| {
        sum += bound;
        sum as f32 >= wanted
    });
    reaches.position(|reaches| reaches).unwrap_or(all)
}

impl Window {
    /// Finds the rows that the essential terms name, and that may be wanted with what the rest adds.
    fn gather(
        &mut self,
        essential: &mut [Box<Leaf<'_>>],
        rest: &[Box<Leaf<'_>>],
        rows: Range<u32>,
        wanted: f32,
    ) -> Result<()> {
        self.candidates.clear();
        let more: f64 = rest.iter().map(|leaf| leaf.in_window).sum();
        // What is not above the float below is not rounded to what is wanted.
        let floor = f64::from(wanted.next_down());
        let reaches = |sum: f64| sum + more >= floor;
        if let [leaf] = essential {
            leaf.seek(rows.start)?;
            return leaf.each_below(rows.end, reaches, |row, score| {
                if reaches(score) {
                    self.candidates.push((row, score, 1));
                }
            });
        }
        let all: f64 = more + essential.iter().map(|leaf| leaf.in_window).sum::<f64>();
        for leaf in essential {
            leaf.seek(rows.start)?;
            // Rows of a block that cannot reach it with all that others add may be left out, or be
            // scored too low where another term names them.
            let others = all - leaf.in_window;
            let may_reach = |bound: f64| bound + others >= floor;
            leaf.each_below(rows.end, may_reach, |row, score| {
                let at = (row - rows.start) as usize % WINDOW;
                self.sums[at] += score;
                self.seen[at / 64] |= 1 << (at % 64);
                if let Some(count) = self.counts.get_mut(at) {
                    *count += 1;
                }
            })?;
        }
        for (word, seen) in self.seen.iter_mut().enumerate() {
            let mut left = std::mem::take(seen);
            while left != 0 {
                let at = word * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                let sum = std::mem::take(&mut self.sums[at]);
                let count = self.counts.get_mut(at).map_or(1, std::mem::take);
                if reaches(sum) {
                    self.candidates.push((rows.start + at as u32, sum, count));
                }
            }
        }
        Ok(())
    }

    /// Adds what the rest adds to the rows that were found, but for rows that are no longer wanted.
    fn complete(&mut self, rest: &mut [Box<Leaf<'_>>], wanted: f32) -> Result<()> {
        for last in (0..rest.len()).rev() {
            let fewer: f64 = rest[..last].iter().map(|leaf| leaf.in_window).sum();
            let leaf = &mut rest[last];
            let mut kept = 0;
            for at in 0..self.candidates.len() {
                let (row, mut sum, mut count) = self.candidates[at];
                if leaf.row() <= row && leaf.seek(row)? == row {
                    sum += leaf.score()?;
                    count += 1;
                }
                let is_enough = usize::from(count) + last >= usize::from(self.at_least);
                if is_enough && (sum + fewer) as f32 >= wanted {
                    self.candidates[kept] = (row, sum, count);
                    kept += 1;
                }
            }
            self.candidates.truncate(kept);
        }
        Ok(())
    }

    fn offer(
        &mut self,
        must_not: &mut [Scorer<'_>],
        collector: &mut impl Collector,
        ticks: &mut Ticks<'_>,
    ) -> Result<()> {
        'candidates: for (row, sum, count) in self.candidates.drain(..) {
            let score = sum as f32;
            if score < collector.last_wanted() || count < self.at_least {
                continue;
            }
            ticks.tick()?;
            for scorer in &mut *must_not {
                if scorer.seek(row, ticks)? == row {
                    continue 'candidates;
                }
            }
            if collector.accepts(row)? {
                collector.offer(row, score)?;
            }
        }
        Ok(())
    }
}
