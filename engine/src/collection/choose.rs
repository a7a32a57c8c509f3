//! Which segments to merge next: a pure function of their sizes.
//!
//! Only neighbours are merged, so that rows keep their order. A run is merged when its oldest
//! segment is no larger than all younger ones together: sizes then at least double from each
//! segment to the one before it, a collection has about as many segments as its size has
//! doublings, and each row is rewritten about as often. Four segments at least make a run, so that
//! small flushes wait for company.

use std::ops::Range;

/// What a choice is made by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// Rows that have not ended.
    pub(super) live: u64,
    /// Rows that have.
    pub(super) ended: u64,
    /// Bytes of its file.
    pub(super) bytes: u64,
}

/// The fewest segments that are merged because of their sizes.
const RUN: usize = 4;
/// A segment is rewritten when one in so many of its rows has ended.
const ENDED: u64 = 4;
/// The most rows that a merge may write: they are numbered with 32 bits.
pub(super) const MAX_ROWS: u64 = 1 << 31;

/// The run of segments to merge into one of at most so many rows, the oldest first; `None` when all
/// is well. With `everything`, the goal is one segment, if they fit in it, without ended rows.
pub(super) fn choose(sizes: &[Size], everything: bool, most_rows: u64) -> Option<Range<usize>> {
    let rows = |run: &Range<usize>| sizes[run.clone()].iter().map(|s| s.live).sum::<u64>();
    let fits = |run: &Range<usize>| rows(run) <= most_rows;
    if everything {
        let untidy = sizes.len() > 1 || sizes.iter().any(|size| size.ended > 0);
        let run = 0..sizes.len();
        if untidy && fits(&run) {
            return Some(run);
        }
    }
    let mut younger: u64 = 0;
    let mut chosen = None;
    for (place, size) in sizes.iter().enumerate().rev() {
        let run = place..sizes.len();
        if run.len() >= RUN && size.live_bytes() <= younger && fits(&run) {
            chosen = Some(run);
        }
        younger += size.live_bytes();
    }
    chosen.or_else(|| {
        let worn =
            |size: &Size| everything || size.ended * ENDED >= (size.live + size.ended).max(1);
        let place = sizes.iter().position(|size| size.ended > 0 && worn(size))?;
        Some(place..place + 1)
    })
}

impl Size {
    fn live_bytes(&self) -> u64 {
        let rows = u128::from(self.live + self.ended).max(1);
        (u128::from(self.bytes) * u128::from(self.live) / rows) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sizes(bytes: &[u64]) -> Vec<Size> {
        bytes
            .iter()
            .map(|bytes| Size {
                live: *bytes,
                ended: 0,
                bytes: *bytes,
            })
            .collect()
    }

    #[test]
    fn neighbours_are_merged_when_the_younger_outweigh_the_oldest() {
        for (bytes, everything, expected) in [
            (&[][..], false, None),
            (&[5], false, None),
            (&[5], true, None),
            (&[1, 1, 1], false, None),
            (&[1, 1, 1], true, Some(0..3)),
            (&[1, 1, 1, 1], false, Some(0..4)),
            (&[100, 1, 1, 1, 1], false, Some(1..5)),
            (&[4, 1, 1, 1, 1], false, Some(0..5)),
            (&[100, 50, 20, 5], false, None),
        ] {
            assert_eq!(
                choose(&sizes(bytes), everything, MAX_ROWS),
                expected,
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn a_segment_of_which_much_has_ended_is_rewritten() {
        let size = |live, ended| Size {
            live,
            ended,
            bytes: 100,
        };
        assert_eq!(choose(&[size(76, 24)], false, MAX_ROWS), None);
        assert_eq!(choose(&[size(75, 25)], false, MAX_ROWS), Some(0..1));
        assert_eq!(
            choose(&[size(100, 0), size(0, 1)], false, MAX_ROWS),
            Some(1..2)
        );
        assert_eq!(choose(&[size(99, 1)], true, MAX_ROWS), Some(0..1));
    }

    #[test]
    fn no_merge_writes_more_rows_than_it_may() {
        assert_eq!(choose(&sizes(&[3, 3]), true, 6), Some(0..2));
        assert_eq!(choose(&sizes(&[3, 3]), true, 5), None);
        assert_eq!(choose(&sizes(&[9, 4, 1, 1, 1, 1]), false, 8), Some(1..6));
        assert_eq!(choose(&sizes(&[9, 4, 1, 1, 1, 1]), false, 7), Some(2..6));
        let worn = Size {
            live: 8,
            ended: 1,
            bytes: 9,
        };
        assert_eq!(choose(&[worn, worn], true, 8), Some(0..1), "each by itself");
        assert_eq!(choose(&[worn, worn], false, 8), None);
    }

    proptest! {
        /// Merging until there is nothing to merge ends, with few segments, and each byte was
        /// written about as often as the size has doublings.
        #[test]
        fn flushes_of_any_size_stay_few_and_cheap(flushes in prop::collection::vec(1u64..1_000, 1..300)) {
            let mut segments: Vec<u64> = Vec::new();
            let mut written = 0;
            let total: u64 = flushes.iter().sum();
            for flush in flushes {
                segments.push(flush);
                while let Some(run) = choose(&sizes(&segments), false, MAX_ROWS) {
                    let merged: u64 = segments[run.clone()].iter().sum();
                    written += merged;
                    segments.splice(run, [merged]);
                }
            }
            let doublings = u64::from(total.ilog2() + 1);
            prop_assert!(segments.len() as u64 <= doublings + 4, "{segments:?}");
            prop_assert!(written <= total * (doublings + 2), "{written} of {total}");
        }
    }
}
