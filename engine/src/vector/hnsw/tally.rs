//! What walks come across, counted where they read a graph. A count is an addition for each node that is
//! visited; it changes nothing of the walk.

use super::walk::Nodes;
use crate::{
    error::Result,
    vector::codes::{Probe, Scores},
};
use std::{cell::Cell, mem};

/// How much was looked at to find rows that are worth comparing.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    visited: Cell<u64>,
    compared: Cell<u64>,
}

impl Tally {
    /// Counts rows that were compared by codes or bits.
    pub(crate) fn compare(&self, rows: usize) {
        self.compared.set(self.compared.get() + rows as u64);
    }

    /// How many nodes were visited, their neighbours read, and how many were compared by codes or bits; it counts
    /// from zero again.
    pub(crate) fn take(&mut self) -> (u64, u64) {
        let Self { visited, compared } = mem::take(self);
        (visited.get(), compared.get())
    }
}

/// Nodes of which it is counted what is asked.
pub(crate) struct Counted<'a, N> {
    pub(crate) nodes: &'a N,
    pub(crate) tally: &'a Tally,
}

impl<N: Nodes> Nodes for Counted<'_, N> {
    fn len(&self) -> usize {
        self.nodes.len()
    }

    fn links(&self, level: usize, node: u32) -> Result<&[u32]> {
        self.tally.visited.set(self.tally.visited.get() + 1);
        self.nodes.links(level, node)
    }

    fn score(&self, probe: &Probe, nodes: &[u32], scores: &mut Scores) -> Result<()> {
        self.tally.compare(nodes.len());
        self.nodes.score(probe, nodes, scores)
    }

    fn prefetch(&self, node: u32) {
        self.nodes.prefetch(node);
    }

    fn prefetch_links(&self, level: usize, node: u32) {
        self.nodes.prefetch_links(level, node);
    }
}
