//! Seeing to it that every node can be reached from node 0.
//!
//! Of many nodes that are alike, all lists hold the same few, and some nodes are in none. A search
//! whose filter only such nodes pass would not find them. Each is therefore linked to from a node
//! that can be reached, the nearest by its own links, in place of a link that nothing depends on.
//! The way back to node 0 is not seen to: a walk that comes to an end goes on there by itself.

use super::{NONE, visited::Visited};
use crate::{cancel::Cancel, error::Result};

/// Links to each node that cannot be reached from node 0 by these lists, all of one `width`. Gives
/// how many there were.
pub(super) fn connect(links: &mut [u32], width: usize, cancel: &Cancel) -> Result<u32> {
    let nodes = links.len() / width;
    if nodes == 0 {
        return Ok(0);
    }
    let mut tree = Tree {
        links,
        width,
        parents: vec![NONE; nodes],
        queue: Vec::new(),
        seen: Visited::default(),
    };
    tree.grow(ROOT, 0, cancel)?;
    let mut added = 0;
    for node in 1..nodes as u32 {
        cancel.check_at(node)?;
        if tree.reaches(node) {
            continue;
        }
        let place = tree.place_near(node).or_else(|| tree.place_near(0));
        if let Some((parent, slot)) = place {
            tree.links[slot] = node;
            tree.grow(parent, node, cancel)?;
            added += 1;
        }
    }
    Ok(added)
}

/// In place of the parent of node 0.
const ROOT: u32 = NONE - 1;

/// One way from node 0 to every node that can be reached, of links that stay.
struct Tree<'a> {
    links: &'a mut [u32],
    width: usize,
    /// The node through which each is reached.
    parents: Vec<u32>,
    queue: Vec<u32>,
    seen: Visited,
}

impl Tree<'_> {
    fn reaches(&self, node: u32) -> bool {
        self.parents[node as usize] != NONE
    }

    fn slots(&self, node: u32) -> std::ops::Range<usize> {
        let start = node as usize * self.width;
        start..start + self.width
    }

    /// Adds a node to which its parent links, and all that can be reached from there.
    fn grow(&mut self, parent: u32, node: u32, cancel: &Cancel) -> Result<()> {
        self.parents[node as usize] = parent;
        self.queue.clear();
        self.queue.push(node);
        let mut count = 0u32;
        while let Some(node) = self.queue.pop() {
            cancel.check_at(count)?;
            count = count.wrapping_add(1);
            for slot in self.slots(node) {
                let next = self.links[slot];
                if next != NONE && !self.reaches(next) {
                    self.parents[next as usize] = node;
                    self.queue.push(next);
                }
            }
        }
        Ok(())
    }

    /// The first node of the tree with a slot to spare, and the slot, breadth first from `start`.
    ///
    /// There is one if any node of the tree is come across: what can be reached from that is in
    /// the tree as well, and the deepest of it is nobody's parent.
    fn place_near(&mut self, start: u32) -> Option<(u32, usize)> {
        self.seen.reset(self.parents.len());
        self.seen.insert(start);
        self.queue.clear();
        self.queue.push(start);
        let mut next = 0;
        while let Some(node) = self.queue.get(next).copied() {
            next += 1;
            if self.reaches(node)
                && let Some(slot) = self.spare_slot(node)
            {
                return Some((node, slot));
            }
            for slot in self.slots(node) {
                let link = self.links[slot];
                if link != NONE && self.seen.insert(link) {
                    self.queue.push(link);
                }
            }
        }
        None
    }

    /// A slot that is empty, or else the last one that is not of the tree.
    fn spare_slot(&self, node: u32) -> Option<usize> {
        let is_empty = |slot: &usize| self.links[*slot] == NONE;
        let is_spare = |slot: &usize| self.parents[self.links[*slot] as usize] != node;
        let mut slots = self.slots(node);
        slots
            .clone()
            .find(is_empty)
            .or_else(|| slots.rfind(is_spare))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unreachable(links: &[u32], width: usize) -> usize {
        let mut seen = vec![false; links.len() / width];
        let mut queue = vec![0];
        while let Some(node) = queue.pop() {
            if !std::mem::replace(&mut seen[node], true) {
                let list = &links[node * width..][..width];
                queue.extend(list.iter().filter(|l| **l != NONE).map(|l| *l as usize));
            }
        }
        seen.iter().filter(|seen| !**seen).count()
    }

    #[test]
    fn nodes_that_nobody_links_to_are_linked_to() {
        // All link to the first two.
        let mut links: Vec<u32> = (0..1_000).flat_map(|_| [0, 1]).collect();
        (links[0], links[3]) = (1, NONE);
        assert_eq!(unreachable(&links, 2), 998);
        assert_eq!(connect(&mut links, 2, &Cancel::default()).unwrap(), 998);
        assert_eq!(unreachable(&links, 2), 0);
        assert_eq!(connect(&mut links, 2, &Cancel::default()).unwrap(), 0);
        assert_eq!(connect(&mut [], 2, &Cancel::default()).unwrap(), 0);
    }

    #[test]
    fn what_was_reached_before_is_linked_as_before() {
        let chain = |node: u32| {
            if node < 9 {
                [node + 1, NONE]
            } else {
                [NONE, NONE]
            }
        };
        let mut links: Vec<u32> = (0..10).flat_map(chain).collect();
        let before = links.clone();
        assert_eq!(connect(&mut links, 2, &Cancel::default()).unwrap(), 0);
        assert_eq!(links, before);
        // Nothing leads from 5 back to the first half, so that node 0 takes it.
        links[8] = NONE;
        assert_eq!(connect(&mut links, 2, &Cancel::default()).unwrap(), 1);
        assert_eq!(&links[..2], &[1, 5]);
        assert_eq!(unreachable(&links, 2), 0);
    }

    proptest! {
        #[test]
        fn after_it_every_node_is_reached(
            width in 2usize..5,
            lists in prop::collection::vec(
                prop::collection::vec(any::<prop::sample::Index>(), 0..5),
                1..60,
            ),
        ) {
            let nodes = lists.len();
            let mut links = Vec::new();
            for list in &lists {
                let list = list.iter().map(|to| to.index(nodes) as u32);
                links.extend(list.chain(std::iter::repeat(NONE)).take(width));
            }
            let before = unreachable(&links, width);
            let added = connect(&mut links, width, &Cancel::default()).unwrap();
            prop_assert_eq!(unreachable(&links, width), 0);
            prop_assert!(added as usize <= before);
        }
    }
}
