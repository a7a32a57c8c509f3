//! Edits of points, as data, and the engine's own that say the same.

use amphora::{Edit, Filter, Point, PointId, Selection};
use serde_json::Value;
use std::time::{Duration, SystemTime};

/// A change of the points of one collection.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Put(When, Vec<Point>),
    SetVectors(Vec<Point>),
    Alter(Selected, How),
}

/// Which of the points given are written.
#[derive(Clone, Debug)]
pub(crate) enum When {
    Always,
    Absent,
    Present,
    AbsentOr(Filter),
}

#[derive(Clone, Debug)]
pub(crate) enum Selected {
    Ids(Vec<PointId>),
    Matching(Filter),
}

/// What happens to each selected point.
#[derive(Clone, Debug)]
pub(crate) enum How {
    Delete,
    SetPayload(Value),
    OverwritePayload(Value),
    DeleteKeys(Vec<String>),
    DeleteVectors(Vec<String>),
    ClearPayload,
    /// In seconds of the world's clock.
    Expire(Option<u64>),
}

/// A second of the world's clock.
pub(crate) fn at(second: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(second)
}

impl Change {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Put(When::Always, _) => "edit_upsert",
            Self::Put(When::Absent, _) => "insert",
            Self::Put(When::Present, _) => "update",
            Self::Put(When::AbsentOr(_), _) => "upsert_if",
            Self::SetVectors(_) => "set_vectors",
            Self::Alter(Selected::Matching(_), _) => "edit_by_filter",
            Self::Alter(_, How::Delete) => "edit_delete",
            Self::Alter(_, How::SetPayload(_)) => "set_payload",
            Self::Alter(_, How::OverwritePayload(_)) => "overwrite_payload",
            Self::Alter(_, How::DeleteKeys(_)) => "delete_payload",
            Self::Alter(_, How::DeleteVectors(_)) => "delete_vectors",
            Self::Alter(_, How::ClearPayload) => "clear_payload",
            Self::Alter(_, How::Expire(_)) => "expire",
        }
    }

    pub(crate) fn edit(&self) -> Edit {
        match self.clone() {
            Self::Put(When::Always, points) => Edit::upsert(points),
            Self::Put(When::Absent, points) => Edit::insert(points),
            Self::Put(When::Present, points) => Edit::update(points),
            Self::Put(When::AbsentOr(filter), points) => Edit::upsert_if(points, filter),
            Self::SetVectors(points) => Edit::set_vectors(points),
            Self::Alter(selected, how) => how.edit(match selected {
                Selected::Ids(ids) => Selection::Ids(ids),
                Selected::Matching(filter) => Selection::Matching(filter),
            }),
        }
    }
}

impl How {
    fn edit(self, points: Selection) -> Edit {
        match self {
            Self::Delete => Edit::delete(points),
            Self::SetPayload(payload) => Edit::set_payload(points, payload),
            Self::OverwritePayload(payload) => Edit::overwrite_payload(points, payload),
            Self::DeleteKeys(keys) => Edit::delete_payload(points, keys),
            Self::DeleteVectors(names) => Edit::delete_vectors(points, names),
            Self::ClearPayload => Edit::clear_payload(points),
            Self::Expire(second) => Edit::expire(points, second.map(at)),
        }
    }
}
