//! The best nodes that a walk has found so far, in order, and which of them it has been to.
//!
//! One sorted array in place of two heaps: of a few hundred entries, moving some of them is
//! cheaper than keeping a heap, and the next node to go to is found by counting on.

use crate::error::Result;

/// A node with its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) score: f32,
    pub(crate) node: u32,
}

/// Set in the number of a node that the walk has been to.
const VISITED: u32 = 1 << 31;
/// Set in the number of a node that may be an answer; others are only passed through.
const PASSES: u32 = 1 << 30;
const FLAGS: u32 = VISITED | PASSES;

/// The largest number of nodes: the two upper bits are flags.
pub(crate) const MAX_NODES: u32 = PASSES;

/// Keeps the best `ef` nodes that may be answers, and the others that are better than the last of
/// these. While there are fewer answers it keeps all others: for a filter that little passes, a look
/// at every row costs less than a walk.
#[derive(Debug, Default)]
pub(crate) struct Beam {
    /// The best first; among equal scores the smaller node.
    scores: Vec<f32>,
    /// In the order of their scores, with flags.
    nodes: Vec<u32>,
    ef: usize,
    /// Entries that may be answers.
    passing: usize,
    /// All before this one have been visited.
    next: usize,
}

impl Beam {
    pub(crate) fn reset(&mut self, ef: usize) {
        self.scores.clear();
        self.nodes.clear();
        self.ef = ef.max(1);
        self.passing = 0;
        self.next = 0;
    }

    /// Whether a node with this score would be kept.
    pub(crate) fn wants(&self, score: f32) -> bool {
        self.passing < self.ef || self.scores.last().is_some_and(|worst| score > *worst)
    }

    /// Keeps the node, which is not in it and which it wants.
    pub(crate) fn offer(&mut self, score: f32, node: u32, passes: bool) {
        let place = self.place(score, node);
        let flags = if passes { PASSES } else { 0 };
        self.scores.insert(place, score);
        self.nodes.insert(place, node | flags);
        self.passing += usize::from(passes);
        self.next = self.next.min(place);
        self.trim();
    }

    /// Keeps those of some nodes that it wants, and asks of these alone whether they pass.
    pub(super) fn keep(
        &mut self,
        nodes: &[u32],
        scores: &[f32],
        mut passes: impl FnMut(u32) -> Result<bool>,
    ) -> Result<()> {
        for (node, score) in nodes.iter().zip(scores) {
            if self.wants(*score) {
                self.offer(*score, *node, passes(*node)?);
            }
        }
        Ok(())
    }

    fn place(&self, score: f32, node: u32) -> usize {
        let better = self.scores.partition_point(|before| *before > score);
        let equal = self.scores[better..].iter().zip(&self.nodes[better..]);
        let before =
            equal.take_while(|(other, before)| **other == score && **before & !FLAGS < node);
        better + before.count()
    }

    /// Lets go of what comes after the last answer that is wanted.
    fn trim(&mut self) {
        while let Some(last) = self.nodes.last() {
            let passes = last & PASSES != 0;
            if self.passing < self.ef || self.passing == self.ef && passes {
                break;
            }
            self.passing -= usize::from(passes);
            self.nodes.pop();
            self.scores.pop();
        }
    }

    /// The best node that was not visited yet, which is then.
    pub(crate) fn visit(&mut self) -> Option<u32> {
        let nodes = self.nodes.get_mut(self.next..)?;
        let at = nodes.iter().position(|node| node & VISITED == 0)?;
        let node = nodes[at] & !FLAGS;
        nodes[at] |= VISITED;
        self.next += at + 1;
        Some(node)
    }

    /// The node that is visited next, as far as is known now.
    pub(crate) fn peek(&self) -> Option<u32> {
        let node = self.nodes.get(self.next)?;
        (node & VISITED == 0).then_some(node & !FLAGS)
    }

    /// Those that may be answers, the best first.
    pub(crate) fn answers(&self) -> impl Iterator<Item = Found> + '_ {
        let found = self.scores.iter().zip(&self.nodes);
        let answers = found.filter(|(_, node)| *node & PASSES != 0);
        answers.map(|(score, node)| Found {
            score: *score,
            node: node & !FLAGS,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same, written down as it is meant.
    struct Model {
        ef: usize,
        /// Score, node, whether it passes, whether it was visited.
        entries: Vec<(i8, u32, bool, bool)>,
    }

    impl Model {
        fn wants(&self, score: i8) -> bool {
            let passing = self.entries.iter().filter(|entry| entry.2).count();
            passing < self.ef || self.entries.last().is_some_and(|last| score > last.0)
        }

        fn offer(&mut self, score: i8, node: u32, passes: bool) {
            if !self.wants(score) {
                return;
            }
            self.entries.push((score, node, passes, false));
            self.entries
                .sort_by_key(|entry| (-i32::from(entry.0), entry.1));
            let passing = self.entries.iter().enumerate().filter(|(_, entry)| entry.2);
            if let Some((last, _)) = passing.clone().nth(self.ef - 1) {
                self.entries.truncate(last + 1);
            }
        }

        fn visit(&mut self) -> Option<u32> {
            let entry = self.entries.iter_mut().find(|entry| !entry.3)?;
            entry.3 = true;
            Some(entry.1)
        }
    }

    proptest! {
        #[test]
        fn a_beam_keeps_what_a_sorted_list_would(
            ef in 1usize..12,
            // Few scores, so that many are equal; about half of the steps visit.
            steps in prop::collection::vec(prop::option::of((-20i8..20, any::<bool>())), 0..200),
        ) {
            let mut beam = Beam::default();
            // What was in it before does not count.
            beam.reset(3);
            beam.offer(1e9, 1_000, true);
            beam.reset(ef);
            let mut model = Model { ef, entries: Vec::new() };
            for (node, step) in (0..).zip(steps) {
                match step {
                    Some((score, passes)) => {
                        prop_assert_eq!(beam.wants(f32::from(score)), model.wants(score));
                        beam.offer(f32::from(score), node, passes);
                        model.offer(score, node, passes);
                    }
                    None => {
                        let peeked = beam.peek();
                        let visited = model.visit();
                        prop_assert!(peeked.is_none() || peeked == visited);
                        prop_assert_eq!(beam.visit(), visited);
                    }
                }
                let answers: Vec<_> = beam.answers().map(|f| (f.score, f.node)).collect();
                let expected = model.entries.iter().filter(|entry| entry.2);
                let expected: Vec<_> = expected.map(|e| (f32::from(e.0), e.1)).collect();
                prop_assert_eq!(answers, expected);
            }
        }

        #[test]
        fn what_is_not_a_number_harms_nothing(
            offers in prop::collection::vec((prop::num::f32::ANY, any::<bool>()), 0..60),
        ) {
            let mut beam = Beam::default();
            beam.reset(4);
            for (node, (score, passes)) in (0..).zip(&offers) {
                beam.offer(*score, node, *passes);
            }
            let visits = std::iter::from_fn(|| beam.visit()).take(1_000).count();
            prop_assert!(visits <= offers.len());
            prop_assert!(beam.answers().count() <= 4);
        }
    }
}
