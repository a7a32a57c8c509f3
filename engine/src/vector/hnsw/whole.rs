//! A graph and its codes in memory, as built or as mapped from a file.

use super::{MAX_LEVELS, Nodes, Params};
use crate::{
    error::Result,
    kernel,
    vector::codes::{Codes, Probe, Scores},
};

/// All of a graph. Links may be those of a file: what leads out of it is nowhere.
pub(crate) struct Whole<'a> {
    pub(crate) codes: Codes<'a>,
    params: Params,
    links: [&'a [u32]; MAX_LEVELS],
}

impl<'a> Whole<'a> {
    /// With the lists of each level, the lowest first.
    pub(crate) fn new(
        codes: Codes<'a>,
        params: Params,
        lists: impl IntoIterator<Item = &'a [u32]>,
    ) -> Self {
        let mut links = [&[][..]; MAX_LEVELS];
        for (links, of_level) in links.iter_mut().zip(lists) {
            *links = of_level;
        }
        Self {
            codes,
            params,
            links,
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

impl Nodes for Whole<'_> {
    fn len(&self) -> usize {
        self.codes.factors.len()
    }

    fn links(&self, level: usize, node: u32) -> Result<&[u32]> {
        Ok(self.list(level, node))
    }

    fn score(&self, probe: &Probe, nodes: &[u32], scores: &mut Scores) -> Result<()> {
        self.codes.scores(probe, nodes, scores);
        Ok(())
    }

    fn prefetch(&self, node: u32) {
        self.codes.prefetch(node);
    }

    fn prefetch_links(&self, level: usize, node: u32) {
        kernel::prefetch(bytemuck::cast_slice(self.list(level, node)));
    }
}
