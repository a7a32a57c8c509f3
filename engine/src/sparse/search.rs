//! The best rows of one part by their dot product with a query: `MaxScore`, window by window.
//!
//! Within a window of rows the blocks of each dimension bound what it adds there. The dimensions that together
//! cannot reach what is wanted need not name any row: only rows that another one names are looked up in
//! them, the most promising first, and as long as a row can still reach it. (Turtle and Flood 1995; by
//! windows as in Lucene's `MaxScoreBulkScorer`.) Where looking up all these rows would cost more than going through
//! a dimension's postings, these are gone through. Where rows are given, windows without any are passed over.
//! A row that has no dimension of the query is no hit; one whose weights come to zero or less is. Sums are those of
//! `dot`: nothing that is passed over, and no order in which dimensions are met, changes a score.

use super::{
    Index,
    dot::{exact, off_by, rounded},
    leaf::{Leaf, Room},
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
/// The sum of no products. To add any to it makes another number of it, since none is zero.
const NONE: f64 = -0.0;
/// Where a dimension has fewer than so many times as many rows in a window as are still wanted, all that it has
/// are gone through, in place of looking each row up, which takes about as many times as long.
const DENSE: u64 = 16;
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
    search_among(weighed, index, None, collector, cancel)
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
    let rows: Vec<u32> = rows.into_iter().collect();
    search_among(weighed, index, Some(&rows), collector, cancel)
}

fn search_among(
    weighed: &Weighed,
    index: &dyn Index,
    mut given: Option<&[u32]>,
    collector: &mut impl Collector,
    cancel: &Cancel,
) -> Result<()> {
    let mut leaves = leaves(weighed, index, cancel)?;
    let mut window = Window::new(&leaves, index.rows());
    // Sorted often, and large.
    let mut leaves: Vec<&mut Leaf<'_>> = leaves.iter_mut().collect();
    let (mut start, mut len) = (0, FIRST);
    loop {
        cancel.check()?;
        if let Some(given) = &mut given {
            *given = &given[given.partition_point(|row| *row < start)..];
            start = given.first().copied().unwrap_or(END);
        }
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
        let rows = start..start.saturating_add(len);
        for (count, leaf) in (1..).zip(&mut leaves) {
            cancel.check_at(count)?;
            leaf.in_window = leaf.bound_within(rows.start, rows.end)?;
        }
        leaves.sort_unstable_by(|a, b| a.in_window.total_cmp(&b.in_window));
        let first = needless(leaves.iter().map(|leaf| leaf.in_window), floor);
        let (first, postings) = gathered(&leaves, first, &rows);
        let given = given.map(|given| within(given, &rows));
        let rest = match given {
            Some(given) if (given.len() as u64) < postings => {
                window.take(given, rows.start);
                &mut leaves[..]
            }
            _ => {
                let (rest, essential) = leaves.split_at_mut(first);
                window.gather(essential, bound_of(rest), rows.clone(), floor, cancel)?;
                if let Some(given) = given {
                    window.keep(given, rows.start);
                }
                rest
            }
        };
        window.complete(rest, rows.clone(), floor, cancel)?;
        window.offer(&mut leaves, rows.clone(), collector, cancel)?;
        start = rows.end;
        len = (len * 2).min(WINDOW as u32);
    }
}

/// The first of the dimensions that are gathered, of which those from `first` on must be, and how many
/// postings these have. To gather what has no more of them than all before costs less than looking it up.
fn gathered(leaves: &[&mut Leaf<'_>], mut first: usize, rows: &Range<u32>) -> (usize, u64) {
    let (rest, essential) = leaves.split_at(first);
    let mut postings = essential.iter().map(|leaf| leaf.count_in(rows)).sum();
    if essential.len() > 1 {
        for leaf in rest.iter().rev() {
            let count = leaf.count_in(rows);
            if count > postings {
                break;
            }
            postings += count;
            first -= 1;
        }
    }
    (first, postings)
}

/// Those of some rows, which ascend, that a window has.
fn within<'a>(given: &'a [u32], rows: &Range<u32>) -> &'a [u32] {
    let [start, end] = [rows.start, rows.end].map(|row| given.partition_point(|at| *at < row));
    &given[start..end]
}

/// What no row of a window gets more from.
fn bound_of(leaves: &[&mut Leaf<'_>]) -> f64 {
    leaves.iter().map(|leaf| leaf.in_window).sum()
}

/// The dimensions of the query that some row of the part has.
fn leaves<'a>(weighed: &Weighed, index: &'a dyn Index, cancel: &Cancel) -> Result<Vec<Leaf<'a>>> {
    let mut leaves = Vec::with_capacity(weighed.0.len());
    for (at, (dimension, weight)) in (1..).zip(&weighed.0) {
        cancel.check_at(at)?;
        if let Some(list) = index.list(*dimension)? {
            leaves.push(Leaf::open(index, list, *weight)?);
        }
    }
    Ok(leaves)
}

/// What a sum of products may be off by.
fn off_of(leaves: &[Leaf<'_>]) -> f64 {
    let most: f64 = leaves.iter().map(Leaf::magnitude).sum();
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

/// What a window needs memory for. A row has a place in it.
struct Window {
    rows: u32,
    /// What a sum may be off by.
    off: f64,
    /// Whether some dimension may lower a sum, so that one of zero or less may be a hit's.
    lowers: bool,
    /// By place; none between two windows.
    sums: Box<[f64]>,
    /// Which places have a sum; noted if that cannot be told from it, or is told sooner so.
    seen: Box<[u64]>,
    /// The places of rows that may be wanted, ascending.
    candidates: Vec<u32>,
    /// Whether other places may have sums, too.
    has_others: bool,
    room: Room,
}

impl Window {
    fn new(leaves: &[Leaf<'_>], rows: u32) -> Self {
        Self {
            rows,
            off: off_of(leaves),
            lowers: leaves.iter().any(Leaf::lowers),
            sums: vec![NONE; WINDOW].into(),
            seen: vec![0; WINDOW / 64].into(),
            candidates: Vec::new(),
            has_others: false,
            room: Room::default(),
        }
    }

    /// What a sum, or a bound, must be at least to be of use: what is below is not rounded to what is wanted,
    /// whatever it is off by.
    fn floor(&self, wanted: f32) -> f64 {
        f64::from(wanted.next_down()) - 4.0 * self.off
    }

    /// Makes candidates of these rows.
    fn take(&mut self, given: &[u32], start: u32) {
        self.candidates.extend(given.iter().map(|row| row - start));
    }

    /// Keeps the candidates that are among these rows.
    fn keep(&mut self, given: &[u32], start: u32) {
        let mut given = given.iter().map(|row| row - start).peekable();
        self.candidates.retain(|at| {
            while given.next_if(|given| given < at).is_some() {}
            let is_given = given.peek() == Some(at);
            if !is_given {
                self.sums[*at as usize % WINDOW] = NONE;
            }
            is_given
        });
    }

    /// Finds the rows that the essential dimensions name, and that may be wanted with what the rest adds.
    fn gather(
        &mut self,
        essential: &mut [&mut Leaf<'_>],
        more: f64,
        rows: Range<u32>,
        floor: f64,
        cancel: &Cancel,
    ) -> Result<()> {
        let (sums, room) = (&mut *self.sums, &mut self.room);
        let reaches = |sum: f64| sum + more >= floor;
        if let [leaf] = essential {
            leaf.seek(rows.start)?;
            // Nobody else names the rows of a block that is passed over.
            return leaf.each_below(rows.end, room, reaches, |row, product| {
                if reaches(product) {
                    sums[(row - rows.start) as usize % WINDOW] = product;
                    self.candidates.push(row - rows.start);
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
                    sums[(row - rows.start) as usize % WINDOW] += product;
                };
                leaf.each_below(rows.end, room, may_reach, add)?;
                continue;
            }
            leaf.each_below(rows.end, room, may_reach, |row, product| {
                let at = (row - rows.start) as usize % WINDOW;
                sums[at] += product;
                self.seen[at / 64] |= 1 << (at % 64);
            })?;
        }
        if notes {
            self.take_noted(&rows, reaches);
        } else {
            // The difference is off by less than what `floor` allows for.
            self.take_sums(&rows, floor - more);
        }
        Ok(())
    }

    /// Makes candidates of the rows that were noted and whose sums may reach what is wanted.
    fn take_noted(&mut self, rows: &Range<u32>, reaches: impl Fn(f64) -> bool) {
        let words = rows.len().div_ceil(64);
        for (word, seen) in self.seen.iter_mut().take(words).enumerate() {
            let mut left = std::mem::take(seen);
            while left != 0 {
                let at = word * 64 + left.trailing_zeros() as usize;
                left &= left - 1;
                if reaches(self.sums[at % WINDOW]) {
                    self.candidates.push(at as u32);
                } else {
                    self.sums[at % WINDOW] = NONE;
                }
            }
        }
    }

    /// Makes candidates of the rows whose sums, of which none is below zero, are `least` or more.
    fn take_sums(&mut self, rows: &Range<u32>, least: f64) {
        self.has_others = true;
        // A row that has a dimension has a sum above zero.
        let least = least.max(f64::MIN_POSITIVE);
        let sums = &self.sums[..stretches(self.rows, rows)];
        for (sums, first) in sums.chunks_exact(STRETCH).zip((0..).step_by(STRETCH)) {
            // Without an early end, so that many are compared at once.
            if sums.iter().fold(false, |any, sum| any | (*sum >= least)) {
                // All are written, and those that do not count are written over: no branch to be guessed.
                let (mut found, mut count) = ([0; STRETCH], 0);
                for (at, sum) in (first..).zip(sums) {
                    found[count % STRETCH] = at;
                    count += usize::from(*sum >= least);
                }
                self.candidates.extend_from_slice(&found[..count]);
            }
        }
    }

    /// Adds what the rest adds to the rows that were found, but for rows that are no longer wanted.
    fn complete(
        &mut self,
        rest: &mut [&mut Leaf<'_>],
        rows: Range<u32>,
        floor: f64,
        cancel: &Cancel,
    ) -> Result<()> {
        let mut more = bound_of(rest);
        let (sums, room) = (&mut *self.sums, &mut self.room);
        for (count, leaf) in (1..).zip(rest.iter_mut().rev()) {
            let wanted = self.candidates.len() as u64;
            if wanted == 0 {
                return Ok(());
            }
            cancel.check_at(count)?;
            // Of sums like this one is off by less than what `floor` allows for.
            more -= leaf.in_window;
            let here = leaf.count_in(&rows);
            if wanted * DENSE > here {
                leaf.seek(rows.start)?;
                self.has_others = true;
                let add = |row: u32, product| {
                    sums[(row - rows.start) as usize % WINDOW] += product;
                };
                leaf.each_below(rows.end, room, |_| true, add)?;
                if wanted * 2 > here {
                    // To look at all sums would take as long as what it may spare.
                    continue;
                }
            } else {
                for at in &self.candidates {
                    let row = rows.start + at;
                    if leaf.row() <= row && leaf.seek(row)? == row {
                        sums[*at as usize % WINDOW] += leaf.product()?;
                    }
                }
            }
            self.candidates.retain(|at| {
                let sum = &mut sums[*at as usize % WINDOW];
                let reaches = *sum + more >= floor;
                if !reaches {
                    *sum = NONE;
                }
                reaches
            });
        }
        Ok(())
    }

    /// Offers the rows that are left, and forgets all sums.
    fn offer(
        &mut self,
        leaves: &mut [&mut Leaf<'_>],
        rows: Range<u32>,
        collector: &mut impl Collector,
        cancel: &Cancel,
    ) -> Result<()> {
        let mut least = self.floor(collector.last_wanted());
        let candidates = std::mem::take(&mut self.candidates);
        for (count, at) in (1..).zip(&candidates) {
            let sum = std::mem::replace(&mut self.sums[*at as usize % WINDOW], NONE);
            if sum < least || sum.to_bits() == NONE.to_bits() {
                continue;
            }
            cancel.check_at(count)?;
            let row = rows.start + at;
            let score = match rounded(sum, self.off) {
                Some(score) => score,
                None => exactly(leaves, row, cancel)?,
            };
            offer(row, score, collector)?;
            least = self.floor(collector.last_wanted());
        }
        self.candidates = candidates;
        self.candidates.clear();
        if std::mem::take(&mut self.has_others) {
            self.sums[..stretches(self.rows, &rows)].fill(NONE);
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
fn exactly(leaves: &mut [&mut Leaf<'_>], row: u32, cancel: &Cancel) -> Result<f32> {
    let mut products = Vec::with_capacity(leaves.len());
    for (count, leaf) in (1..).zip(leaves) {
        cancel.check_at(count)?;
        products.extend(leaf.product_again(row)?);
    }
    Ok(exact(products))
}
