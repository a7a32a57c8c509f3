//! A segment in its place among those of its collection, and what the manifest says of it.
//!
//! One that is damaged keeps its place and its files: it is neither read nor merged, and the
//! manifest goes on to name it, so that a file that is repaired by hand counts again. Since nobody
//! can tell which of its rows end meanwhile, the ids that they may have are kept, and written
//! beside it.

use crate::{
    error::Error,
    expiry::Expiry,
    id::{PointId, SeqNo},
    manifest::SegmentFiles,
    view::OpenSegment,
};
use std::{collections::BTreeMap, sync::Arc};

#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) files: SegmentFiles,
    /// Absent when it could not even be opened.
    pub(super) segment: Option<Arc<OpenSegment>>,
    pub(super) unread: Option<Unread>,
    /// When the next of its rows expires that was not ended for that.
    pub(super) next_expiry: Expiry,
}

/// Why a segment is not read, and what it has missed.
#[derive(Clone, Debug)]
pub(super) struct Unread {
    pub(super) error: Error,
    /// Ids whose rows in it, if there are any, ended with these changes.
    missed: BTreeMap<PointId, SeqNo>,
}

impl Placed {
    pub(super) fn sound(files: SegmentFiles, segment: Arc<OpenSegment>) -> Self {
        Self {
            files,
            next_expiry: segment.first_expiry,
            segment: Some(segment),
            unread: None,
        }
    }

    /// The segment, unless it is damaged.
    pub(super) fn readable(&self) -> Option<&Arc<OpenSegment>> {
        self.segment.as_ref().filter(|_| self.unread.is_none())
    }

    /// Notes that a point was replaced or deleted whose row, if this segment has it, is not known.
    pub(super) fn miss(&mut self, id: &PointId, seq: SeqNo) {
        if let Some(unread) = &mut self.unread {
            unread.missed.entry(id.clone()).or_insert(seq);
        }
    }
}

impl Unread {
    /// Not to be read because of `error`, after the ids `missed` had ended by `seq`.
    pub(super) fn new(error: Error, missed: Vec<PointId>, seq: SeqNo) -> Self {
        let missed = missed.into_iter().map(|id| (id, seq)).collect();
        Self { error, missed }
    }

    /// The ids whose rows had ended with the change `seq`.
    pub(super) fn missed_at(&self, seq: SeqNo) -> Vec<PointId> {
        let missed = self.missed.iter().filter(|(_, ended)| **ended <= seq);
        missed.map(|(id, _)| id.clone()).collect()
    }
}
