//! Walking from match to match, when few of the nodes pass a filter.
//!
//! Nodes that do not pass are not compared: the walk looks behind them for those that do, until it
//! has as many as a node has neighbours (ACORN, Patel and others, 2024). It begins with some that pass
//! from all over the graph, since the filter and the query may be about different things. Where it
//! finds next to none, it walks through nodes that do not pass as well, but not for long: near a query
//! that the filter is not about, there may be any number of these.

use super::{
    NONE,
    beam::Found,
    walk::{Nodes, Scratch, Walk},
};
use crate::error::Result;

/// A walk begins with as many nodes that pass as are wanted, if they are found among so many nodes:
/// the first ones are on the highest levels, and anywhere.
const ASKED: u32 = 8_192;
/// With fewer new matches than this behind a node, its neighbours are compared though they do not pass.
const FEW: usize = 4;
/// For each of so many nodes that are wanted, the neighbours of one are compared like that.
const WANTED: usize = 4;

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
        self.sow(ef, &mut passes, scratch)?;
        let Scratch {
            beam,
            visited,
            fresh,
            behind,
            scores,
        } = scratch;
        let mut count = 0;
        let mut left = ef.div_ceil(WANTED);
        while let Some(node) = beam.visit() {
            if !self.goes_on(count)? {
                return Ok(false);
            }
            count += 1;
            fresh.clear();
            behind.clear();
            let links = self.nodes.links(0, node)?;
            for neighbour in links.iter().take_while(|node| **node != NONE) {
                if visited.contains(*neighbour) {
                    continue;
                }
                if passes(*neighbour)? {
                    visited.insert(*neighbour);
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
                self.cancel.check()?;
                visited.insert(*through);
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
            if fresh.len() < FEW && left > 0 {
                left -= 1;
                self.nodes.score(self.probe, behind, scores)?;
                beam.keep(behind, &scores.values, |_| Ok(false))?;
            }
        }
        Ok(true)
    }

    fn sow(
        &self,
        ef: usize,
        mut passes: impl FnMut(u32) -> Result<bool>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let Scratch {
            beam,
            visited,
            fresh,
            scores,
            ..
        } = scratch;
        fresh.clear();
        for node in 0..ASKED.min(self.nodes.len() as u32) {
            if fresh.len() == ef {
                break;
            }
            self.cancel.check_at(node)?;
            if passes(node)? && visited.insert(node) {
                fresh.push(node);
            }
        }
        self.nodes.score(self.probe, fresh, scores)?;
        beam.keep(fresh, &scores.values, |_| Ok(true))
    }
}
