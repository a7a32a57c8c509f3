//! What an edit comes to: the points as they are after it, to be logged and applied.
//!
//! The log says what happened, never what was asked: to read it back takes no filter and no point
//! that was there before. Edits of a batch see each other through an overlay over the points.

use super::{
    check,
    edit::{Action, Checked, How, When},
    write::not_json,
};
use crate::{
    error::Result,
    id::{CollectionId, PointId},
    options::Limits,
    point::Record,
    query::{Conditions, Subject},
    schema::Schema,
    shape::Shape,
    wal::{Change, put_batch, start_upsert},
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The points that are there.
pub(super) trait Points {
    fn contains(&self, collection: CollectionId, id: &PointId) -> Result<bool>;
    fn read(&self, collection: CollectionId, id: &PointId) -> Result<Option<Record>>;
}

/// What edits come to.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) change: Change,
    /// The body of its record.
    pub(super) body: Vec<u8>,
}

/// Carries out edits in their order. Gives the change, if there is any, and how many points each
/// of them wrote or deleted, taken together.
pub(super) fn resolve(
    edits: Vec<Checked>,
    points: &impl Points,
    limits: &Limits,
) -> Result<(Option<Resolved>, u64)> {
    let mut overlay = Overlay {
        below: points,
        written: BTreeMap::new(),
    };
    let mut count = 0;
    for edit in edits {
        count += overlay.apply(edit)?;
    }
    Ok((overlay.into_change(limits)?, count))
}

/// A point that conditions are asked of.
struct Asked<'a>(&'a Record, &'a Shape);

impl Subject for Asked<'_> {
    fn id(&self) -> Result<PointId> {
        Ok(self.0.id.clone())
    }

    fn has_vector(&self, number: u32) -> Result<bool> {
        let Self(record, shape) = self;
        let dense = shape
            .place(number)
            .and_then(|place| record.vectors.get(place));
        let sparse = shape
            .sparse_place(number)
            .and_then(|place| record.sparse.get(place));
        Ok(dense.is_some_and(Option::is_some) || sparse.is_some_and(Option::is_some))
    }

    fn payload(&mut self) -> Result<&Map<String, Value>> {
        self.0.payload.checked()
    }
}

/// The points as the edits so far leave them.
struct Overlay<'a, P> {
    below: &'a P,
    /// `None` for a deleted one.
    written: BTreeMap<(CollectionId, PointId), Option<Record>>,
}

impl<P: Points> Overlay<'_, P> {
    fn apply(&mut self, edit: Checked) -> Result<u64> {
        let Checked {
            collection,
            shape,
            action,
        } = edit;
        let mut count = 0;
        match action {
            Action::Write(records, when) => {
                for record in records {
                    if self.is_wanted(collection, &shape, &record.id, &when)? {
                        self.put(collection, record);
                        count += 1;
                    }
                }
            }
            Action::SetVectors(records) => {
                for given in records {
                    let Some(mut record) = self.read(collection, &given.id)? else {
                        continue;
                    };
                    for (vector, given) in record.vectors.iter_mut().zip(given.vectors) {
                        *vector = given.or(vector.take());
                    }
                    for (vector, given) in record.sparse.iter_mut().zip(given.sparse) {
                        *vector = given.or(vector.take());
                    }
                    self.put(collection, record);
                    count += 1;
                }
            }
            Action::Change(ids, filter, How::Delete) => {
                for id in ids {
                    if self.is_selected(collection, &shape, &id, filter.as_ref())? {
                        self.written.insert((collection, id), None);
                        count += 1;
                    }
                }
            }
            Action::Change(ids, filter, how) => {
                for id in ids {
                    let Some(record) = self.read(collection, &id)? else {
                        continue;
                    };
                    let fits = |filter: &Conditions| filter.hold_for(&mut Asked(&record, &shape));
                    if filter.as_ref().map_or(Ok(true), fits)? {
                        self.put(collection, changed(record, &how, &shape.schema)?);
                        count += 1;
                    }
                }
            }
        }
        Ok(count)
    }

    fn is_wanted(
        &self,
        collection: CollectionId,
        shape: &Shape,
        id: &PointId,
        when: &When<Conditions>,
    ) -> Result<bool> {
        Ok(match when {
            When::Always => true,
            When::Absent => !self.contains(collection, id)?,
            When::Present => self.contains(collection, id)?,
            When::AbsentOr(filter) => {
                !self.contains(collection, id)?
                    || self.is_selected(collection, shape, id, Some(filter))?
            }
        })
    }

    fn is_selected(
        &self,
        collection: CollectionId,
        shape: &Shape,
        id: &PointId,
        filter: Option<&Conditions>,
    ) -> Result<bool> {
        let Some(filter) = filter else {
            return self.contains(collection, id);
        };
        match self.read(collection, id)? {
            Some(record) => filter.hold_for(&mut Asked(&record, shape)),
            None => Ok(false),
        }
    }

    fn contains(&self, collection: CollectionId, id: &PointId) -> Result<bool> {
        match self.written.get(&(collection, id.clone())) {
            Some(record) => Ok(record.is_some()),
            None => self.below.contains(collection, id),
        }
    }

    fn read(&self, collection: CollectionId, id: &PointId) -> Result<Option<Record>> {
        match self.written.get(&(collection, id.clone())) {
            Some(record) => Ok(record.clone()),
            None => self.below.read(collection, id),
        }
    }

    fn put(&mut self, collection: CollectionId, record: Record) {
        let key = (collection, record.id.clone());
        self.written.insert(key, Some(record));
    }

    /// For each collection what is written, and what is deleted.
    fn into_change(self, limits: &Limits) -> Result<Option<Resolved>> {
        let mut tables: BTreeMap<CollectionId, (Vec<Record>, Vec<PointId>)> = BTreeMap::new();
        for ((collection, id), record) in self.written {
            let (records, ids) = tables.entry(collection).or_default();
            match record {
                Some(record) => records.push(record),
                None => ids.push(id),
            }
        }
        let mut changes = Vec::new();
        let mut bodies = Vec::new();
        for (collection, (records, ids)) in tables {
            if !records.is_empty() {
                let has_sparse = records.iter().any(|record| !record.sparse.is_empty());
                let mut body = start_upsert(collection, records.len(), has_sparse);
                for record in &records {
                    check::encode(&mut body, record, limits)
                        .map_err(|error| check::of_point(error, &record.id))?;
                }
                bodies.push(body);
                changes.push(Change::Upsert {
                    collection,
                    records,
                });
            }
            if !ids.is_empty() {
                let change = Change::Delete { collection, ids };
                bodies.push(change.encode().map_err(not_json)?);
                changes.push(change);
            }
        }
        check::check_bytes(bodies.iter().map(Vec::len).sum(), limits)?;
        let body = if bodies.len() > 1 {
            put_batch(&bodies)
        } else {
            bodies.pop().unwrap_or_default()
        };
        let change = if changes.len() > 1 {
            Some(Change::Batch(changes))
        } else {
            changes.pop()
        };
        Ok(change.map(|change| Resolved { change, body }))
    }
}

/// What a point becomes.
fn changed(mut record: Record, how: &How, schema: &Schema) -> Result<Record> {
    match how {
        How::Delete => {}
        How::SetPayload(payload) => {
            let mut map = record.payload.checked()?.clone();
            let given = payload.checked()?.iter();
            map.extend(given.map(|(key, value)| (key.clone(), value.clone())));
            record.payload = map.into();
        }
        How::OverwritePayload(payload) => record.payload = payload.clone(),
        How::DeleteKeys(keys) => {
            let mut map = record.payload.checked()?.clone();
            map.retain(|key, _| !keys.contains(key));
            record.payload = map.into();
        }
        How::DeleteVectors(names) => {
            for name in names {
                match schema.sparse_named(name) {
                    Ok((place, _)) => record.sparse[place] = None,
                    Err(_) => record.vectors[schema.vector_named(name)?.0] = None,
                }
            }
        }
        How::Expire(time) => record.expiry = (*time).into(),
    }
    Ok(record)
}
