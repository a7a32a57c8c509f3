//! Which points the writes of a group are about, before these are applied: an edit of one of them
//! must wait until they are.

use super::edit::Checked;
use crate::wal::Change;
use std::{
    collections::HashSet,
    hash::{BuildHasher, RandomState},
};

/// The ids that the writes of a group are about, or some others with the same hash.
#[derive(Debug, Default)]
pub(super) struct Touched {
    hasher: RandomState,
    ids: HashSet<u64>,
    /// So many writes of the group are in it.
    noted: usize,
}

impl Touched {
    /// Whether an edit is about an id that a write of the group is about.
    pub(super) fn has_one_of<'a>(
        &mut self,
        group: impl ExactSizeIterator<Item = &'a Change>,
        edits: &[Checked],
    ) -> bool {
        let writes = group.len();
        for change in group.skip(self.noted) {
            let ids = change.ids();
            self.ids.extend(ids.map(|id| self.hasher.hash_one(id)));
        }
        self.noted = writes;
        let mut ids = edits.iter().flat_map(Checked::ids);
        ids.any(|id| self.ids.contains(&self.hasher.hash_one(id)))
    }

    pub(super) fn clear(&mut self) {
        self.ids.clear();
        self.noted = 0;
    }
}
