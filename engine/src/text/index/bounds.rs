//! What a block of postings can be worth at most, whatever `k1`, `b`, and the average length.
//!
//! A posting is worth the more, the more occurrences it has and the shorter its row is. A bound is
//! therefore the pairs of (occurrences, code of the length) that no posting of the block surpasses in
//! both: each posting has at most the occurrences of some pair, and at least its length. Pairs are
//! joined until four are left, which only loosens the bound.

use crate::postings::Bound;

/// Occurrences that a byte does not hold.
pub(in crate::text) const MANY: u8 = 255;

/// The pairs of a bound: what a byte tells of occurrences, and the code of a length.
pub(in crate::text) type Pair = (u8, u8);

/// Gathers what bounds postings.
#[derive(Clone, Debug, Default)]
pub(super) struct Pareto {
    /// Descending in both.
    pairs: Vec<Pair>,
}

impl Pareto {
    /// Counts a posting in, by its occurrences less one.
    #[inline]
    pub(super) fn add(&mut self, value: u32, code: u8) {
        let count = value.saturating_add(1).min(u32::from(MANY)) as u8;
        self.add_pair((count, code));
    }

    #[inline]
    fn add_pair(&mut self, new: Pair) {
        let surpasses = |a: Pair, b: Pair| a.0 >= b.0 && a.1 <= b.1;
        if !self.pairs.iter().any(|pair| surpasses(*pair, new)) {
            self.pairs.retain(|pair| !surpasses(new, *pair));
            let at = self.pairs.partition_point(|pair| pair.0 > new.0);
            self.pairs.insert(at, new);
        }
    }

    /// Counts in what a bound says.
    pub(super) fn add_bound(&mut self, bound: Bound) {
        pairs(bound).for_each(|pair| self.add_pair(pair));
    }

    pub(super) fn bound(&mut self) -> Bound {
        while self.pairs.len() > 4 {
            let loss = |at: usize| {
                let worth = |pair: Pair| f32::from(pair.0) / (f32::from(pair.1) + 1.0);
                let (more, shorter) = (self.pairs[at], self.pairs[at + 1]);
                worth((more.0, shorter.1)) / worth(more).max(worth(shorter))
            };
            let places = 0..self.pairs.len() - 1;
            let least = places.min_by(|a, b| loss(*a).total_cmp(&loss(*b)));
            let at = least.unwrap_or(0);
            let shorter = self.pairs.remove(at + 1);
            self.pairs[at].1 = shorter.1;
        }
        let mut bound = Bound::default();
        for (bytes, pair) in bound.as_chunks_mut::<2>().0.iter_mut().zip(&self.pairs) {
            *bytes = [pair.0, pair.1];
        }
        bound
    }
}

/// The pairs of a bound. A pair without occurrences is none.
pub(in crate::text) fn pairs(bound: Bound) -> impl Iterator<Item = Pair> {
    let pairs: [Pair; 4] = std::array::from_fn(|at| (bound[2 * at], bound[2 * at + 1]));
    pairs.into_iter().filter(|pair| pair.0 > 0)
}

/// Whether a bound covers a posting, by its occurrences less one.
pub(super) fn covers(bound: Bound, value: u32, code: u8) -> bool {
    let count = value.saturating_add(1).min(u32::from(MANY)) as u8;
    pairs(bound).any(|pair| pair.0 >= count && pair.1 <= code)
}
