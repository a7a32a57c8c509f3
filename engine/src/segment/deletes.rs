//! Which rows of a segment have ended, and when: in memory, exact to the change.
//!
//! A segment is never written again; replacing or deleting one of its points stamps the row with
//! the sequence number of the change, as the memtable does. A reader that pinned an earlier
//! number goes on to see the row. One writer, the commit thread, and any readers, none waiting.

use crate::id::SeqNo;
use std::sync::{
    OnceLock,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

/// Rows whose stamps are allocated together, when the first of them ends.
const PAGE: usize = 4_096;
/// The stamp of a live row.
const LIVE: u64 = u64::MAX;

/// The ends of the rows of one segment.
#[derive(Debug)]
pub(crate) struct Deletes {
    rows: u32,
    ended: AtomicU32,
    pages: Box<[OnceLock<Box<[AtomicU64]>>]>,
}

impl Deletes {
    /// All of so many rows are live.
    pub(crate) fn new(rows: u32) -> Self {
        let pages = (rows as usize).div_ceil(PAGE);
        Self {
            rows,
            ended: AtomicU32::new(0),
            pages: (0..pages).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Ends a row with the change `seq`. False when it had ended before, or is none.
    pub(crate) fn end(&self, row: u32, seq: SeqNo) -> bool {
        debug_assert!(seq.0 != LIVE, "no change has this number");
        let page = self.pages.get(row as usize / PAGE);
        if row >= self.rows {
            return false;
        }
        let stamp = page.and_then(|page| page.get_or_init(new_page).get(row as usize % PAGE));
        let ended = stamp.is_some_and(|stamp| {
            stamp
                .compare_exchange(LIVE, seq.0, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        });
        self.ended.fetch_add(u32::from(ended), Ordering::AcqRel);
        ended
    }

    /// When a row ended, if it did.
    pub(crate) fn ended(&self, row: u32) -> Option<SeqNo> {
        let stamp = self.stamp(row);
        (stamp != LIVE).then_some(SeqNo(stamp))
    }

    /// Whether a row was live once the change `seq` had been made.
    pub(crate) fn is_live_at(&self, row: u32, seq: SeqNo) -> bool {
        self.stamp(row) > seq.0
    }

    /// How many rows have ended until now.
    pub(crate) fn ended_count(&self) -> u32 {
        self.ended.load(Ordering::Acquire)
    }

    /// How many rows had ended with the change `seq`. Looks at every row of a page with one.
    pub(crate) fn count_at(&self, seq: SeqNo) -> u32 {
        if self.ended_count() == 0 {
            return 0;
        }
        self.iter_ended_at(seq).count() as u32
    }

    /// The rows that had ended with the change `seq`, in order.
    pub(crate) fn iter_ended_at(&self, seq: SeqNo) -> impl Iterator<Item = u32> {
        self.stamps()
            .filter(move |(_, ended)| *ended <= seq)
            .map(|(row, _)| row)
    }

    /// The rows that were live once the change `seq` had been made, in order.
    pub(crate) fn iter_live_at(&self, seq: SeqNo) -> impl Iterator<Item = u32> {
        let pages = (0..self.rows).step_by(PAGE).zip(&self.pages);
        pages.flat_map(move |(first, page)| {
            let stamps = page.get();
            let last = self.rows.min(first.saturating_add(PAGE as u32));
            (first..last).filter(move |row| {
                let stamp = stamps.and_then(|stamps| stamps.get((row - first) as usize));
                stamp.is_none_or(|stamp| stamp.load(Ordering::Acquire) > seq.0)
            })
        })
    }

    /// The rows that ended after the change `seq`, and when, in the order of rows.
    pub(crate) fn iter_after(&self, seq: SeqNo) -> impl Iterator<Item = (u32, SeqNo)> {
        self.stamps().filter(move |(_, ended)| *ended > seq)
    }

    /// All rows that ended, and when.
    fn stamps(&self) -> impl Iterator<Item = (u32, SeqNo)> {
        let pages = self.pages.iter().enumerate();
        let pages = pages.filter_map(|(number, page)| Some((number * PAGE, page.get()?)));
        pages
            .flat_map(|(first, page)| (first as u32..).zip(page))
            .map(|(row, stamp)| (row, stamp.load(Ordering::Acquire)))
            .filter(|(_, stamp)| *stamp != LIVE)
            .map(|(row, stamp)| (row, SeqNo(stamp)))
    }

    fn stamp(&self, row: u32) -> u64 {
        self.pages
            .get(row as usize / PAGE)
            .and_then(OnceLock::get)
            .and_then(|page| page.get(row as usize % PAGE))
            .map_or(LIVE, |stamp| stamp.load(Ordering::Acquire))
    }
}

fn new_page() -> Box<[AtomicU64]> {
    (0..PAGE).map(|_| AtomicU64::new(LIVE)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Every sequence number goes on to see what had ended by then, and no more.
        #[test]
        fn ends_are_seen_from_their_change_on(
            rows in 1u32..10_000,
            ends in prop::collection::vec(0u32..10_000, 0..60),
        ) {
            let deletes = Deletes::new(rows);
            let mut model = BTreeMap::new();
            for (seq, row) in (1..).map(SeqNo).zip(ends) {
                let ends = row < rows && !model.contains_key(&row);
                prop_assert_eq!(deletes.end(row, seq), ends);
                if ends {
                    model.insert(row, seq);
                }
                prop_assert_eq!(deletes.ended(row), model.get(&row).copied());
            }
            prop_assert_eq!(deletes.ended_count() as usize, model.len());
            for seq in (0..62).map(SeqNo) {
                let until = model.iter().filter(|(_, ended)| **ended <= seq);
                let until: Vec<u32> = until.map(|(row, _)| *row).collect();
                prop_assert_eq!(deletes.count_at(seq) as usize, until.len());
                prop_assert!(until.iter().all(|row| !deletes.is_live_at(*row, seq)));
                prop_assert!(deletes.iter_ended_at(seq).eq(until));
                let live = (0..rows).filter(|row| deletes.is_live_at(*row, seq));
                prop_assert!(deletes.iter_live_at(seq).eq(live));
                let after = model.iter().filter(|(_, ended)| **ended > seq);
                prop_assert!(deletes.iter_after(seq).eq(after.map(|(row, ended)| (*row, *ended))));
            }
        }
    }
}
