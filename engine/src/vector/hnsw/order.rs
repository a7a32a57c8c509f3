//! The order in which rows become nodes: those of the highest level first.
//!
//! The nodes of a level are then the first ones of all, and need no list. Levels are drawn from a
//! hash of the row's place and the seed, and so is the order within a level, since rows that lie
//! side by side are often alike, and a batch of alike nodes would not find each other. Nodes of a
//! graph that is grown keep their levels, and come before the new ones of the same level.

use super::{MAX_LEVELS, NONE, base::Base};
use std::cmp::Reverse;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Which row each node is of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// The place among the rows of each node.
    pub(crate) places: Vec<u32>,
    /// For each level how many nodes it has, all at level 0.
    pub(crate) counts: Vec<u32>,
    /// For each node of the base its number in here, or [`NONE`] if it has gone.
    pub(super) carried: Vec<u32>,
    /// The nodes that are not of the base, in the order in which they are linked.
    pub(super) new: Vec<u32>,
}

impl Order {
    /// Of so many rows, some of which may be nodes of a base already.
    pub(super) fn new(rows: u32, m: usize, seed: u64, base: Option<&Base<'_>>) -> Self {
        let spread = (m as f64).ln().recip();
        let mut is_old = vec![false; rows as usize];
        let old = (0..).zip(base.map_or(&[][..], Base::places));
        let old = old
            .filter(|(_, place)| **place != NONE)
            .map(|(node, place)| {
                is_old[*place as usize] = true;
                let level = base.map_or(0, |base| base.level(node));
                (Reverse(level), false, u64::from(node), *place)
            });
        let mut drawn: Vec<(Reverse<u32>, bool, u64, u32)> = old.collect();
        // What is grown starts from one of its own nodes.
        let most = drawn.iter().map(|(level, ..)| level.0).max();
        let most = most.unwrap_or(MAX_LEVELS as u32 - 1);
        let new = (0..rows).filter(|place| !is_old[*place as usize]);
        drawn.extend(new.map(|place| {
            let hash = xxh3_64_with_seed(&place.to_le_bytes(), seed);
            (Reverse(level(hash, spread).min(most)), true, hash, place)
        }));
        drawn.sort_unstable();
        let top = drawn.first().map_or(0, |(level, ..)| level.0);
        let count = |level| drawn.partition_point(|(of, ..)| of.0 >= level) as u32;
        let mut carried = vec![NONE; base.map_or(0, |base| base.places().len())];
        let mut new = Vec::new();
        for (node, (_, is_new, key, _)) in (0..).zip(&drawn) {
            if *is_new {
                new.push(node);
            } else {
                carried[*key as usize] = node;
            }
        }
        Self {
            counts: (0..=top).map(count).collect(),
            places: drawn.into_iter().map(|(.., place)| place).collect(),
            carried,
            new,
        }
    }
}

/// Each level has one node for `m` of the level below.
fn level(hash: u64, spread: f64) -> u32 {
    // 53 bits, as many as a float tells apart; never zero.
    let uniform = ((hash >> 11) + 1) as f64 / (1u64 << 53) as f64;
    ((-uniform.ln() * spread) as u32).min(MAX_LEVELS as u32 - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_becomes_a_node_and_levels_thin_out() {
        let Order { places, counts, .. } = Order::new(100_000, 16, 7, None);
        let mut sorted = places.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..100_000));
        assert_eq!(counts[0], 100_000);
        for (below, above) in counts.iter().zip(&counts[1..3]) {
            let ratio = f64::from(*below) / f64::from(*above);
            assert!((12.0..21.0).contains(&ratio), "{counts:?}");
        }
        let of = |rows, seed| Order::new(rows, 16, seed, None);
        assert_eq!(of(1_000, 7), of(1_000, 7));
        assert_ne!(of(1_000, 7), of(1_000, 8));
        let none = of(0, 7);
        assert_eq!((none.places, none.counts), (vec![], vec![0]));
    }
}
