//! Writes as their callers mean them: plain data, checked by `check`, carried out by `resolve`.

use super::Collection;
use crate::{
    id::{CollectionId, PointId},
    payload::Payload,
    point::{Point, Record},
    query::{Conditions, Filter},
    shape::Shape,
};
use std::{sync::Arc, time::SystemTime};

/// A write to a collection, for [`Collection::apply`] or as a part of a [`Batch`].
///
/// ```
/// use amphora::{Edit, field};
/// use serde_json::json;
///
/// let read = Edit::set_payload(["a", "b"], json!({ "read": true }));
/// let purge = Edit::delete(field("year").below(1900));
/// ```
#[derive(Clone, Debug)]
pub struct Edit(pub(super) Draft);

/// Several edits, of one or many collections, that take effect together or not at all.
///
/// Later edits see what the earlier ones did. Points are named by their ids; a selection by a
/// filter is refused, since it is carried out step by step.
///
/// ```
/// # use amphora::{Batch, Database, Edit, Point, Schema, vfs::MemoryVfs};
/// # use serde_json::json;
/// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
/// # let docs = db.create_collection("docs", Schema::new()).wait()?;
/// # let tags = db.create_collection("tags", Schema::new()).wait()?;
/// let batch = Batch::new()
///     .edit(&docs, Edit::upsert([Point::new("walden")]))
///     .edit(&tags, Edit::set_payload(["walden"], json!({ "seen": 1 })));
/// assert_eq!(db.write(batch).wait()?, 1);
/// # Ok::<_, amphora::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Batch(pub(super) Vec<(Collection, Edit)>);

/// The points that an edit is about: those with some ids, or those that match a [`Filter`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Selection {
    /// The points with these ids; ids without a point are left out.
    Ids(Vec<PointId>),
    /// All that match.
    Matching(Filter),
}

#[derive(Clone, Debug)]
pub(super) enum Draft {
    Write(Vec<Point>, When<Filter>),
    /// The vectors of these points in place of those that the stored ones have.
    SetVectors(Vec<Point>),
    Change(Selection, How),
}

/// Which of the points given are written.
#[derive(Clone, Debug)]
pub(super) enum When<F> {
    Always,
    /// Those whose ids no point has.
    Absent,
    /// Those whose ids a point has.
    Present,
    /// Those whose ids no point has, or one that matches.
    AbsentOr(F),
}

/// What happens to each selected point.
#[derive(Clone, Debug)]
pub(super) enum How {
    Delete,
    SetPayload(Payload),
    OverwritePayload(Payload),
    DeleteKeys(Vec<String>),
    DeleteVectors(Vec<String>),
    Expire(Option<SystemTime>),
}

impl Edit {
    /// Writes points, each in place of the one with its id.
    pub fn upsert(points: impl IntoIterator<Item = Point>) -> Self {
        Self::write(points, When::Always)
    }

    /// Writes the points whose ids do not exist; the others stay as they are.
    pub fn insert(points: impl IntoIterator<Item = Point>) -> Self {
        Self::write(points, When::Absent)
    }

    /// Writes the points whose ids exist, in place of these; the others are left out.
    pub fn update(points: impl IntoIterator<Item = Point>) -> Self {
        Self::write(points, When::Present)
    }

    /// Writes points, but leaves those as they are that exist and do not match `filter`:
    /// `field("version").below(7)` lets no older version replace a newer one.
    pub fn upsert_if(points: impl IntoIterator<Item = Point>, filter: Filter) -> Self {
        Self::write(points, When::AbsentOr(filter))
    }

    /// Deletes points.
    pub fn delete(points: impl Into<Selection>) -> Self {
        Self::change(points, How::Delete)
    }

    /// Sets the given vectors of points that exist; their other vectors and payloads stay.
    pub fn set_vectors(points: impl IntoIterator<Item = Point>) -> Self {
        Self(Draft::SetVectors(points.into_iter().collect()))
    }

    /// Takes vectors off points, by their names.
    pub fn delete_vectors<N: Into<String>>(
        points: impl Into<Selection>,
        names: impl IntoIterator<Item = N>,
    ) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        Self::change(points, How::DeleteVectors(names))
    }

    /// Sets top-level keys of payloads; other keys stay.
    pub fn set_payload(points: impl Into<Selection>, payload: impl Into<Payload>) -> Self {
        Self::change(points, How::SetPayload(payload.into()))
    }

    /// Puts a payload in place of those that points have.
    pub fn overwrite_payload(points: impl Into<Selection>, payload: impl Into<Payload>) -> Self {
        Self::change(points, How::OverwritePayload(payload.into()))
    }

    /// Deletes top-level keys of payloads.
    pub fn delete_payload<K: Into<String>>(
        points: impl Into<Selection>,
        keys: impl IntoIterator<Item = K>,
    ) -> Self {
        let keys = keys.into_iter().map(Into::into).collect();
        Self::change(points, How::DeleteKeys(keys))
    }

    /// Empties payloads.
    pub fn clear_payload(points: impl Into<Selection>) -> Self {
        Self::change(points, How::OverwritePayload(Payload::default()))
    }

    /// Sets when points end by themselves, or with `None` that they do not.
    pub fn expire(points: impl Into<Selection>, at: Option<SystemTime>) -> Self {
        Self::change(points, How::Expire(at))
    }

    fn write(points: impl IntoIterator<Item = Point>, when: When<Filter>) -> Self {
        Self(Draft::Write(points.into_iter().collect(), when))
    }

    fn change(points: impl Into<Selection>, how: How) -> Self {
        Self(Draft::Change(points.into(), how))
    }
}

impl Batch {
    /// A batch without edits.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an edit of a collection.
    #[must_use]
    pub fn edit(mut self, collection: &Collection, edit: Edit) -> Self {
        self.0.push((collection.clone(), edit));
        self
    }
}

impl Selection {
    /// The points with these ids.
    pub fn ids<I: Into<PointId>>(ids: impl IntoIterator<Item = I>) -> Self {
        Self::Ids(ids.into_iter().map(Into::into).collect())
    }
}

impl From<Filter> for Selection {
    fn from(filter: Filter) -> Self {
        Self::Matching(filter)
    }
}

impl<I: Into<PointId>> From<Vec<I>> for Selection {
    fn from(ids: Vec<I>) -> Self {
        Self::ids(ids)
    }
}

impl<I: Into<PointId>, const N: usize> From<[I; N]> for Selection {
    fn from(ids: [I; N]) -> Self {
        Self::ids(ids)
    }
}

/// An edit that was checked.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(super) collection: CollectionId,
    /// What its points were checked against.
    pub(super) shape: Arc<Shape>,
    pub(super) action: Action,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Write(Vec<Record>, When<Conditions>),
    SetVectors(Vec<Record>),
    /// Of the points with these ids those that match, if there is a filter.
    Change(Vec<PointId>, Option<Conditions>, How),
}

impl Checked {
    /// The ids that it is about.
    pub(super) fn ids(&self) -> impl Iterator<Item = &PointId> {
        let (records, ids) = match &self.action {
            Action::Write(records, _) | Action::SetVectors(records) => (&records[..], &[][..]),
            Action::Change(ids, ..) => (&[][..], &ids[..]),
        };
        records.iter().map(|record| &record.id).chain(ids)
    }
}
