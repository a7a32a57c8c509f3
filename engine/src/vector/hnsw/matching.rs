//! Walking from match to match, when few of the nodes pass a filter.
//!
//! Nodes that do not pass are not compared: the walk looks behind them for those that do, until it
//! has as many as a node has neighbours (ACORN, Patel and others, 2024). Where it finds next to
//! none, because the filter and the query are about different things, it walks through nodes that do
//! not pass as well, so that it comes to where the matches are.

use super::{
    NONE,
    beam::Found,
    walk::{Nodes, Scratch, Walk},
};
use crate::error::Result;

/// With fewer new matches than this behind a node, its neighbours are compared though they do not pass.
const FEW: usize = 4;

impl<N: Nodes> Walk<'_, N> {
    /// Finds the best `ef` nodes of level 0 that pass, as far as walking from `entry` leads to
    /// them. They are the answers of `scratch`. False when it has given up.
    pub(crate) fn spread_matching(
        &self,
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
            behind,
            scores,
        } = scratch;
        let mut count = 0;
        while let Some(node) = beam.visit() {
            if !self.goes_on(count)? {
                return Ok(false);
            }
            count += 1;
            fresh.clear();
            behind.clear();
            let links = self.nodes.links(0, node)?;
            for neighbour in links.iter().take_while(|node| **node != NONE) {
                if !visited.insert(*neighbour) {
                    continue;
                }
                if passes(*neighbour)? {
                    self.nodes.prefetch(*neighbour);
                    fresh.push(*neighbour);
                } else {
                    self.nodes.prefetch_links(0, *neighbour);
                    behind.push(*neighbour);
                }
            }
            let enough = links.len();
            for through in behind.iter() {
                if fresh.len() >= enough {
                    break;
                }
                for second in self.nodes.links(0, *through)? {
                    if *second == NONE {
                        break;
                    }
                    if !visited.contains(*second) && passes(*second)? && visited.insert(*second) {
                        self.nodes.prefetch(*second);
                        fresh.push(*second);
                    }
                }
            }
            self.nodes.score(self.probe, fresh, scores)?;
            beam.keep(fresh, &scores.values, |_| Ok(true))?;
            if fresh.len() < FEW {
                self.nodes.score(self.probe, behind, scores)?;
                beam.keep(behind, &scores.values, |_| Ok(false))?;
            }
        }
        Ok(true)
    }
}
