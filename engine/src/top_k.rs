//! The best `k` of a stream of scored items.
//!
//! Larger scores are better; among equal scores the smaller item is. The result therefore does
//! not depend on the order in which items come. Scores are compared by `total_cmp`.

use std::{cmp::Ordering, collections::BinaryHeap, mem};

/// Keeps the best `k` items that it is offered.
#[derive(Debug)]
pub(crate) struct TopK<T> {
    k: usize,
    /// As long as there is a place left.
    first: Vec<Scored<T>>,
    /// All of them from then on: the worst is on top.
    kept: BinaryHeap<Scored<T>>,
}

#[derive(Debug)]
struct Scored<T> {
    score: f32,
    item: T,
}

impl<T: Ord> Default for TopK<T> {
    fn default() -> Self {
        Self::new(0)
    }
}

impl<T: Ord> TopK<T> {
    pub(crate) fn new(k: usize) -> Self {
        Self {
            k,
            // A limit may be far larger than the collection: grow with what comes.
            first: Vec::with_capacity(k.min(1_024)),
            kept: BinaryHeap::new(),
        }
    }

    /// Whether an item of this score could be kept, so that the item need not be made if not.
    pub(crate) fn wants(&self, score: f32) -> bool {
        self.kept.len() < self.k
            || self
                .kept
                .peek()
                .is_some_and(|worst| score.total_cmp(&worst.score).is_ge())
    }

    /// What a score must be at least to be kept.
    pub(crate) fn last_wanted(&self) -> f32 {
        let worst = self.kept.peek().filter(|_| self.kept.len() >= self.k);
        worst.map_or(f32::NEG_INFINITY, |worst| worst.score)
    }

    /// The worst of the kept, if all places are taken.
    pub(crate) fn last(&self) -> Option<&T> {
        let worst = self.kept.peek().filter(|_| self.kept.len() >= self.k);
        worst.map(|worst| &worst.item)
    }

    pub(crate) fn offer(&mut self, score: f32, item: T) {
        let offered = Scored { score, item };
        if self.kept.len() < self.k {
            self.first.push(offered);
            if self.first.len() == self.k {
                self.kept = mem::take(&mut self.first).into();
            }
        } else if let Some(mut worst) = self.kept.peek_mut()
            && offered < *worst
        {
            *worst = offered;
        }
    }

    /// The kept items, the best first.
    pub(crate) fn into_sorted(self) -> impl Iterator<Item = (f32, T)> {
        let mut all = match self.kept.is_empty() {
            true => self.first,
            false => self.kept.into_vec(),
        };
        all.sort_unstable();
        all.into_iter().map(|scored| (scored.score, scored.item))
    }
}

/// The better is the smaller, so that a max-heap has the worst on top.
impl<T: Ord> Ord for Scored<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        other
            .score
            .total_cmp(&self.score)
            .then_with(|| self.item.cmp(&other.item))
    }
}

impl<T: Ord> PartialOrd for Scored<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Ord> PartialEq for Scored<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T: Ord> Eq for Scored<T> {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_sorting_everything(scores in prop::collection::vec(0u8..20, 0..60), k in 0usize..12) {
            let mut top = TopK::new(k);
            for (item, score) in scores.iter().enumerate() {
                let score = f32::from(*score);
                if top.wants(score) {
                    top.offer(score, item);
                }
            }
            let mut all: Vec<_> = scores.iter().map(|s| f32::from(*s)).zip(0..).collect();
            all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            all.truncate(k);
            prop_assert_eq!(top.into_sorted().collect::<Vec<_>>(), all);
        }
    }
}
