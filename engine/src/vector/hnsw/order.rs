//! The order in which rows become nodes: those of the highest level first.
//!
//! The nodes of a level are then the first ones of all, and need no list. Levels are drawn from a
//! hash of the row's place and the seed, and so is the order within a level, since rows that lie
//! side by side are often alike, and a batch of alike nodes would not find each other.

use super::MAX_LEVELS;
use std::cmp::Reverse;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The place of each node's row, and for each level how many nodes it has, all at level 0.
pub(super) fn order(rows: u32, m: usize, seed: u64) -> (Vec<u32>, Vec<u32>) {
    let spread = (m as f64).ln().recip();
    let mut drawn: Vec<(Reverse<u32>, u64, u32)> = (0..rows)
        .map(|place| {
            let hash = xxh3_64_with_seed(&place.to_le_bytes(), seed);
            (Reverse(level(hash, spread)), hash, place)
        })
        .collect();
    drawn.sort_unstable();
    let top = drawn.first().map_or(0, |(level, ..)| level.0);
    let counts = (0..=top).map(|level| drawn.partition_point(|(of, ..)| of.0 >= level) as u32);
    let counts = counts.collect();
    (drawn.into_iter().map(|(.., place)| place).collect(), counts)
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
        let (places, counts) = order(100_000, 16, 7);
        let mut sorted = places.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..100_000));
        assert_eq!(counts[0], 100_000);
        for (below, above) in counts.iter().zip(&counts[1..3]) {
            let ratio = f64::from(*below) / f64::from(*above);
            assert!((12.0..21.0).contains(&ratio), "{counts:?}");
        }
        assert_eq!(order(1_000, 16, 7), order(1_000, 16, 7));
        assert_ne!(order(1_000, 16, 7), order(1_000, 16, 8));
        assert_eq!(order(0, 16, 7), (vec![], vec![0]));
    }
}
