//! A graph that another one begins with.

use super::NONE;

/// A graph over some of the rows.
pub(crate) struct Base<'a> {
    /// The width of the lists of each level, and all of them one after another. What they hold may be
    /// that of a file: what leads out of the graph leads nowhere.
    levels: Vec<(usize, &'a [u32])>,
    /// The place among the rows of each of its nodes, or [`NONE`] if it has gone.
    places: Vec<u32>,
}

impl<'a> Base<'a> {
    /// A graph of which each node is at a place among so many rows, or [`NONE`] if it has gone. Of two
    /// at the same place, which only the file of a stranger can have, the second has gone, too.
    pub(crate) fn new(levels: Vec<(usize, &'a [u32])>, mut places: Vec<u32>, rows: u32) -> Self {
        let mut is_taken = vec![false; rows as usize];
        for place in &mut places {
            match is_taken.get_mut(*place as usize) {
                Some(taken) if !*taken => *taken = true,
                _ => *place = NONE,
            }
        }
        Self { levels, places }
    }

    /// How many of its nodes there still are, and how many have gone.
    pub(crate) fn kept_and_gone(&self) -> (usize, usize) {
        let kept = self.places.iter().filter(|place| **place != NONE).count();
        (kept, self.places.len() - kept)
    }

    pub(super) fn places(&self) -> &[u32] {
        &self.places
    }

    /// The highest level of a node.
    pub(super) fn level(&self, node: u32) -> u32 {
        let has = |(width, links): &(usize, &[u32])| links.len() > node as usize * width;
        self.levels.iter().rposition(has).unwrap_or(0) as u32
    }

    pub(super) fn list(&self, level: usize, node: u32) -> impl Iterator<Item = u32> {
        let (width, links) = self.levels.get(level).copied().unwrap_or_default();
        let start = node as usize * width;
        let list = links.get(start..start + width).unwrap_or_default();
        list.iter().copied().take_while(|link| *link != NONE)
    }
}
