//! The best rows of one part by their dot product with a query: `MaxScore`, window by window.
//!
//! Within a window of rows the blocks of each dimension bound what it adds there. The dimensions that together
//! cannot reach what is wanted need not name any row: only rows that another one names are looked up in
//! them, the most promising first, and as long as a row can still reach it. (Turtle and Flood 1995; by
//! windows as in Lucene's `MaxScoreBulkScorer`.) A row that has no dimension of the query is no hit; one whose
//! weights come to zero or less is. Sums are those of `dot`: nothing that is passed over, and no order in
//! which dimensions are met, changes a score.

use super::{
    Index,
    dot::{exact, off_by, rounded},
    leaf::Leaf,
};
use crate::{
    cancel::Cancel,
    error::Result,
    postings::{Collector, END},
    sparse_vector::SparseVector,
};
use std::ops::Range;

/// Rows of the first window, in which nothing is known of what is wanted, and of the largest.
const FIRST: u32 = 512;
const WINDOW: usize = 4_096;
/// Sums that are looked at together.
const STRETCH: usize = 16;
/// Where so many times as many rows are still wanted as a dimension has in a window, all that it has are
/// gone through, in place of looking each row up.
const DENSE: u64 = 4;
/// Where dimensions have fewer than one in so many rows, these are noted, in place of looking at all sums.
const FEW: u64 = 8;

/// The dimensions of a query, each with what the weight of a row is multiplied with.
#[derive(Clone, Debug)]
pub(crate) struct Weighed(Vec<(u32, f32)>);

impl Weighed {
    /// The query as it is, or with the inverse document frequency of each dimension, by what these parts
    /// have.
    pub(crate) fn new(
        query: &SparseVector,
        idf: bool,
        parts: &[&dyn Index],
        cancel: &Cancel,
    ) -> Result<Self> {
        if !idf {
            return Ok(Self(query.iter().collect()));
        }
        let all: u64 = parts.iter().map(|part| part.filled()).sum();
        let weighed = (0..).zip(query.iter()).map(|(at, (dimension, weight))| {
            cancel.check_at(at)?;
            let mut count = 0u64;
            for part in parts {
                count += u64::from(part.count(dimension)?);
            }
            Ok((dimension, with_idf(weight, all, count)))
        });
        weighed.collect::<Result<_>>().map(Self)
    }
}

/// A weight times the inverse document frequency of what `count` of `all` rows have.
fn with_idf(weight: f32, all: u64, count: u64) -> f32 {
    let (all, count) = (all.max(count) as f64, count as f64);
    let idf = (1.0 + (all - count + 0.5) / (count + 0.5)).ln();
    let weighed = (f64::from(weight) * idf) as f32;
    // What is too small for an f32 still says that the row has the dimension.
    let least = f32::from_bits(1).copysign(weight);
    if weighed == 0.0 { least } else { weighed }
}

/// Offers every row of a part that has a dimension of the query and may be among the best.
///
/// # Errors
/// What the collector and reading give, and `Cancelled`.
pub(crate) fn search(
    weighed: &Weighed,
    index: &dyn Index,
    collector: &mut impl Collector,
    cancel: &Cancel,
) -> Result<()> {
    let mut leaves = leaves(weighed, index, cancel)?;
    let mut window = Window::new(&leaves, index.rows());
    let (mut start, mut len) = (0, FIRST);
    loop {
        cancel.check()?;
        // What no row of the whole list can reach by these dimensions alone.
        leaves.sort_unstable_by(|a, b| a.bound().total_cmp(&b.bound()));
        let floor = window.floor(collector.last_wanted());
        let rest = needless(leaves.iter().map(|leaf| leaf.bound()), floor);
        let mut next = END;
        for (count, leaf) in (1..).zip(&mut leaves[rest..]) {
            cancel.check_at(count)?;
            next = next.min(leaf.seek(start)?);
        }
        if next == END {
            return Ok(());
        }
        start = next;
        let end = start.saturating_add(len);
        for (count, leaf) in (1..).zip(&mut leaves) {
            cancel.check_at(count)?;
            leaf.in_window = leaf.bound_within(start, end)?;
        }
        leaves.sort_unstable_by(|a, b| a.in_window.total_cmp(&b.in_window));
        let first = needless(leaves.iter().map(|leaf| leaf.in_window), floor);
        let (rest, essential) = leaves.split_at_mut(first);
        let more: f64 = rest.iter().map(|leaf| leaf.in_window).sum();
        window.gather(essential, more, start..end, floor, cancel)?;
        window.complete(rest, more, start..end, floor, cancel)?;
        window.offer(&mut leaves, collector, cancel)?;
        start = end;
        len = (len * 2).min(WINDOW as u32);
    }
}

/// Offers those of the given rows, which ascend, that have a dimension of the query and may be among the
/// best.
///
/// # Errors
/// As [`search`].
pub(crate) fn search_rows(
    weighed: &Weighed,
    index: &dyn Index,
    rows: impl IntoIterator<Item = u32>,
    collector: &mut impl Collector,
    cancel: &Cancel,
) -> Result<()> {
    let mut leaves = leaves(weighed, index, cancel)?;
    let off = off_of(&leaves);
    let mut products = Vec::with_capacity(leaves.len());
    let mut steps = 0u32;
    for row in rows {
        products.clear();
        for leaf in &mut leaves {
            steps = steps.wrapping_add(1);
            cancel.check_at(steps)?;
            if leaf.seek(row)? == row {
                products.push(leaf.product()?);
            }
        }
        if products.is_empty() {
            continue;
        }
        let score = rounded(products.iter().sum(), off);
        let score = score.unwrap_or_else(|| exact(products.iter().copied()));
        offer(row, score, collector)?;
    }
    Ok(())
}

/// The dimensions of the query that some row of the part has.
fn leaves<'a>(
    weighed: &Weighed,
    index: &'a dyn Index,
    cancel: &Cancel,
) -> Result<Vec<Box<Leaf<'a>>>> {
    let mut leaves = Vec::with_capacity(weighed.0.len());
    for (at, (dimension, weight)) in (1..).zip(&weighed.0) {
        cancel.check_at(at)?;
        if let Some(list) = index.list(*dimension)? {
            leaves.push(Box::new(Leaf::open(index, list, *weight)?));
        }
    }
    Ok(leaves)
}

/// What a sum of products may be off by.
fn off_of(leaves: &[Box<Leaf<'_>>]) -> f64 {
    let most: f64 = leaves.iter().map(|leaf| leaf.magnitude()).sum();
    off_by(leaves.len(), most)
}

/// How many dimensions, from the first on, do not reach what is wanted together, by their bounds.
fn needless(bounds: impl ExactSizeIterator<Item = f64>, floor: f64) -> usize {
    let (all, mut sum) = (bounds.len(), 0.0);
    let mut reaches = bounds.map(|bound| {
        sum += bound;
        sum >= floor
    });
    reaches.position(|reaches| reaches).unwrap_or(all)
}

fn offer(row: u32, score: f32, collector: &mut impl Collector) -> Result<()> {
    if score >= collector.last_wanted() && collector.accepts(row)? {
        collector.offer(row, score)?;
    }
    Ok(())
}

/// What a window needs memory for.
struct Window {
    rows: u32,
    /// What a sum may be off by.
    off: f64,
    /// Whether some dimension may lower a sum, so that one of zero or less may be a hit's.
    lowers: bool,
    sums: Box<[f64]>,
    /// Which rows have a sum; noted if that cannot be told from it, or is told sooner so.
    seen: Box<[u64]>,
    /// Rows that may be wanted, with their sums so far.
    candidates: Vec<(u32, f64)>,
}

impl Window {
    fn new(leaves: &[Box<Leaf<'_>>], rows: u32) -> Self {
        Self {
            rows,
            off: off_of(leaves),
            lowers: leaves.iter().any(|leaf| leaf.lowers()),
            sums: vec![0.0; WINDOW].into(),
            seen: vec![0; WINDOW / 64].into(),
            candidates: Vec::new(),
        }
    }

    /// What a sum, or a bound, must be at least to be of use: what is below is not rounded to what is wanted,
    /// whatever it is off by.
    fn floor(&self, wanted: f32) -> f64 {
        f64::from(wanted.next_down()) - 4.0 * self.off
    }

    /// Finds the rows that the essential dimensions name, and that may be wanted with what the rest adds.
    fn gather(
        &mut self,
        essential: &mut [Box<Leaf<'_>>],
        more: f64,
        rows: Range<u32>,
        floor: f64,
        cancel: &Cancel,
    ) -> Result<()> {
        self.candidates.clear();
        let reaches = |sum: f64| sum + more >= floor;
        if let [leaf] = essential {
            leaf.seek(rows.start)?;
            // Nobody else names the rows of a block that is passed over.
            return leaf.each_below(rows.end, reaches, |row, product| {
                if reaches(product) {
                    self.candidates.push((row, product));
                }
            });
        }
        let all: f64 = more + essential.iter().map(|leaf| leaf.in_window).sum::<f64>();
        let postings: u64 = essential.iter().map(|leaf| leaf.count()).sum();
        let notes = self.lowers || postings.saturating_mul(FEW) < self.rows.into();
        for (count, leaf) in (1..).zip(essential) {
            cancel.check_at(count)?;
            leaf.seek(rows.start)?;
            // Rows of a block that cannot reach it with all that others add may be left out, or have too
            // small a sum where another dimension names them. What lowers sums must not be left out.
            let (others, lowers) = (all - leaf.in_window, leaf.lowers());
            let may_reach = |bound: f64| lowers || bound + others >= floor;
            if !notes {
                let add = |row: u32, product| {
                    self.sums[(row - rows.start) as usize % WINDOW] += product;
                };
                leaf.each_below(rows.end, may_reach, add)?;
                continue;
            }
            leaf.each_below(rows.end, may_reach, |row, product| {
                let at = (row - rows.start) as usize % WINDOW;
                self.sums[at] += product;
                self.seen[at / 64] |= 1 << (at % 64);
            })?;
        }
        if notes {
            self.take_noted(rows, more, floor);
        } else {
            self.take_sums(rows, more, floor);
        }
        Ok(())
    }

    /// Makes candidates of the rows that were noted and whose sums may reach what is wanted.
    fn take_noted(&mut self, rows: Range<u32>, more: f64, floor: f64) {
        let words = rows.len().div_ceil(64);
        for (word, seen) in self.seen.iter_mut().take(words).enumerate() {
            let mut left = std::mem::take(seen);
            while left != 0 {
                let at = word * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                let sum = std::mem::take(&mut self.sums[at]);
                if sum + more >= floor {
                    self.candidates.push((rows.start + at as u32, sum));
                }
            }
        }
    }

    /// Makes candidates of the rows whose sums may reach what is wanted, of which none is below zero.
    fn take_sums(&mut self, rows: Range<u32>, more: f64, floor: f64) {
        // A row that has a dimension has a sum above zero. The difference is off by less than what `floor`
        // allows for.
        let least = (floor - more).max(f64::MIN_POSITIVE);
        let sums = &mut self.sums[..stretches(self.rows, &rows)];
        let firsts = (rows.start..).step_by(STRETCH);
        for (sums, first) in sums.chunks_exact_mut(STRETCH).zip(firsts) {
            // Without an early end, so that many are compared at once.
            if sums.iter().fold(false, |any, sum| any | (*sum >= least)) {
                // All are written, and those that do not count are written over: no branch to be guessed.
                let (mut found, mut count) = ([(0, 0.0); STRETCH], 0);
                for (row, sum) in (first..).zip(&*sums) {
                    found[count % STRETCH] = (row, *sum);
                    count += usize::from(*sum >= least);
                }
                self.candidates.extend_from_slice(&found[..count]);
            }
            sums.fill(0.0);
        }
    }

    /// Adds what the rest adds to the rows that were found, but for rows that are no longer wanted.
    fn complete(
        &mut self,
        rest: &mut [Box<Leaf<'_>>],
        mut more: f64,
        rows: Range<u32>,
        floor: f64,
        cancel: &Cancel,
    ) -> Result<()> {
        for (count, leaf) in (1..).zip(rest.iter_mut().rev()) {
            if self.candidates.is_empty() {
                return Ok(());
            }
            cancel.check_at(count)?;
            // Of sums like this one is off by less than what `floor` allows for.
            more -= leaf.in_window;
            let here =
                leaf.count() * u64::from(rows.end - rows.start) / u64::from(self.rows.max(1));
            let is_dense = self.candidates.len() as u64 * DENSE > here;
            if is_dense {
                leaf.seek(rows.start)?;
                let add = |row: u32, product| {
                    self.sums[(row - rows.start) as usize % WINDOW] = product;
                };
                leaf.each_below(rows.end, |_| true, add)?;
            }
            let mut kept = 0;
            for at in 0..self.candidates.len() {
                let (row, mut sum) = self.candidates[at];
                if is_dense {
                    sum += self.sums[(row - rows.start) as usize % WINDOW];
                } else if leaf.row() <= row && leaf.seek(row)? == row {
                    sum += leaf.product()?;
                }
                if sum + more >= floor {
                    self.candidates[kept] = (row, sum);
                    kept += 1;
                }
            }
            self.candidates.truncate(kept);
            if is_dense {
                self.sums[..stretches(self.rows, &rows)].fill(0.0);
            }
        }
        Ok(())
    }

    fn offer(
        &mut self,
        leaves: &mut [Box<Leaf<'_>>],
        collector: &mut impl Collector,
        cancel: &Cancel,
    ) -> Result<()> {
        for (count, (row, sum)) in (1..).zip(self.candidates.drain(..)) {
            if sum + self.off < f64::from(collector.last_wanted().next_down()) {
                continue;
            }
            cancel.check_at(count)?;
            let score = match rounded(sum, self.off) {
                Some(score) => score,
                None => exactly(leaves, row, cancel)?,
            };
            offer(row, score, collector)?;
        }
        Ok(())
    }
}

/// How many sums the rows of a window take, of a part that has `all`, in whole stretches.
fn stretches(all: u32, rows: &Range<u32>) -> usize {
    let len = rows.end.min(all).saturating_sub(rows.start) as usize;
    len.next_multiple_of(STRETCH).min(WINDOW)
}

/// The exact sum of a row. Rows ascend from call to call.
fn exactly(leaves: &mut [Box<Leaf<'_>>], row: u32, cancel: &Cancel) -> Result<f32> {
    let mut products = Vec::with_capacity(leaves.len());
    for (count, leaf) in (1..).zip(leaves) {
        cancel.check_at(count)?;
        products.extend(leaf.product_again(row)?);
    }
    Ok(exact(products))
}
