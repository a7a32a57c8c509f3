//! Which nodes a walk has come across: one byte for each, and nothing to clear between walks.

/// A set of nodes that is emptied by counting on.
#[derive(Debug, Default)]
pub(super) struct Visited {
    /// The walk in which a node was last seen; 0 is none.
    walks: Vec<u8>,
    walk: u8,
}

impl Visited {
    /// Empties the set, for a graph of so many nodes.
    pub(super) fn reset(&mut self, nodes: usize) {
        self.walk = self.walk.wrapping_add(1);
        if self.walk == 0 || self.walks.len() != nodes {
            self.walks.clear();
            self.walks.resize(nodes, 0);
            self.walk = 1;
        }
    }

    /// Whether a node was added, or is none.
    pub(super) fn contains(&self, node: u32) -> bool {
        let walk = self.walks.get(node as usize);
        walk.is_none_or(|walk| *walk == self.walk)
    }

    /// Adds a node. False if it was there, or is none.
    pub(super) fn insert(&mut self, node: u32) -> bool {
        let Some(walk) = self.walks.get_mut(node as usize) else {
            return false;
        };
        let fresh = *walk != self.walk;
        *walk = self.walk;
        fresh
    }
}

impl Visited {
    /// Adds nodes; leaves in `fresh` those that were not there. Without a branch for each, which would be
    /// as likely as not, and wait for its byte.
    pub(super) fn insert_all(&mut self, nodes: &[u32], fresh: &mut Vec<u32>) {
        fresh.clear();
        fresh.resize(nodes.len(), 0);
        let mut count = 0;
        for node in nodes {
            let Some(walk) = self.walks.get_mut(*node as usize) else {
                continue;
            };
            fresh[count] = *node;
            count += usize::from(*walk != self.walk);
            *walk = self.walk;
        }
        fresh.truncate(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_walk_begins_with_none() {
        let mut visited = Visited::default();
        for walk in 0..1_000 {
            visited.reset(3 + walk / 500);
            assert!(visited.insert(2), "walk {walk}");
            assert!(!visited.insert(2));
            assert!(visited.insert(0));
            assert!(!visited.insert(9), "there is no such node");
        }
    }
}
