//! Walking the graph towards what is near to a probe.

use super::{
    NONE,
    beam::{Beam, Found},
    visited::Visited,
};
use crate::{
    cancel::Cancel,
    error::Result,
    vector::codes::{Probe, Scores},
};

/// Nodes that are visited between two looks at a cancel, some microseconds apart.
const STRIDE: usize = 16;

/// What a walk needs to know of a graph, being built or read from a file.
pub(crate) trait Nodes {
    /// Nodes at level 0, that is all.
    fn len(&self) -> usize;
    /// The neighbours of a node; [`NONE`] ends the list before its end.
    fn links(&self, level: usize, node: u32) -> Result<&[u32]>;
    /// How near nodes are to a probe.
    fn score(&self, probe: &Probe, nodes: &[u32], scores: &mut Scores) -> Result<()>;
    /// Begins to load what the score of a node takes.
    fn prefetch(&self, node: u32);
    /// Begins to load the neighbours of a node.
    fn prefetch_links(&self, level: usize, node: u32);
}

/// Where a walk goes, and towards what.
pub(crate) struct Walk<'a, N> {
    pub(crate) nodes: &'a N,
    pub(crate) probe: &'a Probe,
    /// A node that it shall not come across, as if it were not there; never node 0.
    pub(crate) hidden: Option<u32>,
    /// It gives up after so many nodes: where hardly any passes, it would come across all, and
    /// keep all of them in view.
    pub(crate) visits: usize,
    pub(crate) cancel: &'a Cancel,
}

/// Room for one walk after another, so that none allocates.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(super) beam: Beam,
    pub(super) visited: Visited,
    /// Nodes that the walk came across just now.
    pub(super) fresh: Vec<u32>,
    /// Nodes that do not pass, which others may lie behind.
    pub(super) behind: Vec<u32>,
    pub(super) scores: Scores,
}

impl Scratch {
    /// Begins a walk from `entry`, and from node 0, from which all can be reached.
    pub(super) fn begin<N: Nodes>(
        &mut self,
        walk: &Walk<'_, N>,
        entry: Found,
        ef: usize,
        mut passes: impl FnMut(u32) -> Result<bool>,
    ) -> Result<()> {
        let Self {
            beam,
            visited,
            scores,
            ..
        } = self;
        beam.reset(ef);
        visited.reset(walk.nodes.len());
        if let Some(node) = walk.hidden {
            visited.insert(node);
        }
        walk.nodes.score(walk.probe, &[0], scores)?;
        let first = scores.values.first().map(|score| Found {
            score: *score,
            node: 0,
        });
        for start in [entry].into_iter().chain(first) {
            if visited.insert(start.node) {
                beam.offer(start.score, start.node, passes(start.node)?);
            }
        }
        Ok(())
    }

    /// What the last walk found, the best first.
    pub(crate) fn answers(&self) -> impl Iterator<Item = Found> + '_ {
        self.beam.answers()
    }
}

impl<N: Nodes> Walk<'_, N> {
    /// Goes from node 0 to ever nearer ones, from level `top` down to and with level `bottom`.
    pub(crate) fn descend(
        &self,
        top: usize,
        bottom: usize,
        scratch: &mut Scratch,
    ) -> Result<Found> {
        let Scratch { fresh, scores, .. } = scratch;
        self.nodes.score(self.probe, &[0], scores)?;
        let score = scores.values.first().copied();
        let mut best = Found {
            score: score.unwrap_or(f32::NEG_INFINITY),
            node: 0,
        };
        for level in (bottom..=top).rev() {
            let mut nearer = true;
            while nearer {
                self.cancel.check()?;
                let links = self.nodes.links(level, best.node)?.iter();
                let links = links.take_while(|node| **node != NONE);
                fresh.clear();
                fresh.extend(links.filter(|node| Some(**node) != self.hidden));
                self.nodes.score(self.probe, fresh, scores)?;
                nearer = false;
                for (node, score) in fresh.iter().zip(&scores.values) {
                    if *score > best.score {
                        (best.node, best.score) = (*node, *score);
                        nearer = true;
                    }
                }
            }
        }
        Ok(best)
    }

    /// Whether to visit another node after so many.
    pub(super) fn goes_on(&self, visited: usize) -> Result<bool> {
        if visited.is_multiple_of(STRIDE) {
            self.cancel.check()?;
        }
        Ok(visited < self.visits)
    }

    /// Finds the best `ef` nodes of a level that pass, as far as walking from `entry` leads to
    /// them. They are the answers of `scratch`. False when it has given up.
    ///
    /// Should the walk run out of nodes before that, as it does among copies that are linked to
    /// none but each other, it goes on from node 0, from which all can be reached.
    pub(crate) fn spread(
        &self,
        level: usize,
        entry: Found,
        ef: usize,
        mut passes: impl FnMut(u32) -> Result<bool>,
        scratch: &mut Scratch,
    ) -> Result<bool> {
        scratch.begin(self, entry, ef, &mut passes)?;
        let Scratch {
            beam,
            visited,
            fresh,
            scores,
            ..
        } = scratch;
        let mut count = 0;
        while let Some(node) = beam.visit() {
            if !self.goes_on(count)? {
                return Ok(false);
            }
            count += 1;
            visited.insert_all(self.nodes.links(level, node)?, fresh);
            for neighbour in fresh.iter() {
                self.nodes.prefetch(*neighbour);
            }
            if let Some(next) = beam.peek() {
                self.nodes.prefetch_links(level, next);
            }
            self.nodes.score(self.probe, fresh, scores)?;
            beam.keep(fresh, &scores.values, &mut passes)?;
        }
        Ok(true)
    }
}
