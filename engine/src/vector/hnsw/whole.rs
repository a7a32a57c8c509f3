//! A graph and what its nodes are compared by in memory, as built or as mapped from a file.

use super::{MAX_LEVELS, Nodes, Params};
use crate::{
    error::Result,
    kernel,
    vector::codes::{Probe, Scores, Table},
};

/// All of a graph. Links may be those of a file: what leads out of it is nowhere.
pub(crate) struct Whole<'a, T> {
    pub(crate) table: T,
    params: Params,
    links: [&'a [u32]; MAX_LEVELS],
}

impl<'a, T> Whole<'a, T> {
    /// With the lists of each level, the lowest first.
    pub(crate) fn new(
        table: T,
        params: Params,
        lists: impl IntoIterator<Item = &'a [u32]>,
    ) -> Self {
        let mut links = [&[][..]; MAX_LEVELS];
        for (links, of_level) in links.iter_mut().zip(lists) {
            *links = of_level;
        }
        Self {
            table,
            params,
            links,
        }
    }

    /// The same graph, its nodes compared by something else.
    pub(crate) fn by<U>(&self, table: U) -> Whole<'a, U> {
        Whole {
            table,
            params: self.params,
            links: self.links,
        }
    }

    /// The highest level.
    pub(crate) fn top(&self) -> usize {
        let levels = self.links.iter().take_while(|links| !links.is_empty());
        levels.count().saturating_sub(1)
    }

    fn list(&self, level: usize, node: u32) -> &[u32] {
        let width = self.params.width(level);
        let start = node as usize * width;
        let links = self.links.get(level);
        links
            .and_then(|links| links.get(start..start + width))
            .unwrap_or_default()
    }
}

impl<T: Table> Nodes for Whole<'_, T> {
    fn len(&self) -> usize {
        self.table.len()
    }

    fn links(&self, level: usize, node: u32) -> Result<&[u32]> {
        Ok(self.list(level, node))
    }

    fn score(&self, probe: &Probe, nodes: &[u32], scores: &mut Scores) -> Result<()> {
        self.table.scores(probe, nodes, scores);
        Ok(())
    }

    fn prefetch(&self, node: u32) {
        self.table.prefetch(node);
    }

    fn prefetch_links(&self, level: usize, node: u32) {
        kernel::prefetch(bytemuck::cast_slice(self.list(level, node)));
    }
}
