//! The links of one level while a graph is built: a list of the same width for every node.

use super::{NONE, beam::Found};

pub(super) struct Layer {
    pub(super) width: usize,
    links: Vec<u32>,
    /// How near each link leads.
    scores: Vec<f32>,
    /// How many links each node has.
    degrees: Vec<u16>,
}

impl Layer {
    pub(super) fn new(nodes: usize, width: usize) -> Self {
        Self {
            width,
            links: vec![NONE; nodes * width],
            scores: vec![0.0; nodes * width],
            degrees: vec![0; nodes],
        }
    }

    /// All lists, one after the other, each filled up with [`NONE`].
    pub(super) fn links(&self) -> &[u32] {
        &self.links
    }

    /// The links of a node.
    pub(super) fn get(&self, node: u32) -> impl Iterator<Item = Found> {
        let start = node as usize * self.width;
        let range = start..start + usize::from(self.degrees[node as usize]);
        let links = self.links[range.clone()].iter().zip(&self.scores[range]);
        links.map(|(node, score)| Found {
            score: *score,
            node: *node,
        })
    }

    /// Replaces the links of a node, by at most as many as the list is wide.
    pub(super) fn set(&mut self, node: u32, list: &[Found]) {
        let start = node as usize * self.width;
        let (links, scores) = (
            &mut self.links[start..start + self.width],
            &mut self.scores[start..start + self.width],
        );
        links.fill(NONE);
        for ((link, score), found) in links.iter_mut().zip(scores).zip(list) {
            (*link, *score) = (found.node, found.score);
        }
        self.degrees[node as usize] = list.len() as u16;
    }

    /// See [`links`](Self::links).
    pub(super) fn into_links(self) -> Vec<u32> {
        self.links
    }
}
