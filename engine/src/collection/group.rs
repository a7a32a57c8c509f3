//! The changes that are made durable together.

use super::{
    state::State,
    tables::{Tables, Targets},
    write::Applied,
};
use crate::{
    error::Result,
    expiry::Expiry,
    id::{CollectionId, SeqNo},
    wal::Change,
};

/// A change in the log's group.
pub(super) struct Staged {
    pub(super) seq: SeqNo,
    pub(super) change: Change,
    pub(super) targets: Targets,
    /// When it was checked.
    pub(super) now: Expiry,
    /// How many points an edit wrote or deleted.
    pub(super) edited: Option<u64>,
}

/// A group that was applied. Nobody sees it until it is published.
pub(super) struct Group {
    last: SeqNo,
    touched: Vec<CollectionId>,
    /// One for each change.
    answers: Vec<Result<Applied>>,
}

impl Group {
    pub(super) fn apply(state: &State, tables: &mut Tables, staged: &mut Vec<Staged>) -> Self {
        let mut group = Self {
            last: SeqNo::default(),
            touched: Vec::new(),
            answers: Vec::with_capacity(staged.len()),
        };
        for staged in staged.drain(..) {
            group.last = staged.seq;
            let parts = staged.change.parts();
            let touched = parts.iter().filter_map(Change::collection);
            group.touched.extend(touched);
            let (change, targets) = (staged.change, &staged.targets);
            let applied = tables.apply(state, staged.seq, change, targets, staged.now);
            let applied = applied.map(|applied| staged.edited.map_or(applied, Applied::Changed));
            group.answers.push(applied);
        }
        group.touched.sort_unstable();
        group.touched.dedup();
        group
    }

    /// Shows it, and gives what to answer: who has an answer sees the write.
    pub(super) fn publish(self, state: &State, tables: &mut Tables) -> Vec<Result<Applied>> {
        let _at_once = state.publishing();
        for collection in self.touched {
            tables.publish(collection, self.last);
        }
        self.answers
    }
}
