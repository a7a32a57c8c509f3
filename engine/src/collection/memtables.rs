//! The memtables of all collections, and what each change does to them: the same when it is
//! committed as when it is read back from the log. Owned by the commit thread.

use super::{
    state::{CollectionState, State},
    write::Applied,
};
use crate::{
    error::{Error, ErrorKind, Result},
    id::{CollectionId, SeqNo},
    memtable::Memtable,
    point::Record,
    schema::{Schema, quoted},
    wal::Change,
};
use std::{collections::HashMap, sync::Arc};

#[derive(Debug, Default)]
pub(super) struct Memtables {
    open: HashMap<CollectionId, (Arc<CollectionState>, Memtable)>,
    /// The number of the next collection to be created.
    next: CollectionId,
}

impl Memtables {
    /// The number that the next collection gets.
    pub(super) fn next(&self) -> CollectionId {
        self.next
    }

    /// Whether a change can be applied once it is durable.
    pub(super) fn check(&self, change: &Change) -> Result<()> {
        let (collection, rows) = match change {
            Change::Create { .. } | Change::Closed => return Ok(()),
            Change::Remove { collection } | Change::Delete { collection, .. } => (collection, 0),
            Change::Upsert {
                collection,
                records,
            } => (collection, records.len()),
        };
        let Some((_, memtable)) = self.open.get(collection) else {
            return Err(unknown(*collection));
        };
        if memtable.has_room_for(rows) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::StorageFull,
            "the collection has as many rows as it can number",
        ))
    }

    /// Applies a change that is durable. Readers see it once it is published.
    pub(super) fn apply(&mut self, state: &State, seq: SeqNo, change: Change) -> Result<Applied> {
        match change {
            Change::Create {
                collection,
                name,
                schema,
            } => Ok(Applied::Created(
                self.create(state, collection, name, schema),
            )),
            Change::Remove { collection } => {
                let removed = self.open.remove(&collection);
                let (collection, _) = removed.ok_or_else(|| unknown(collection))?;
                state.remove(&collection);
                Ok(Applied::Done)
            }
            Change::Upsert {
                collection,
                records,
            } => {
                let (collection, memtable) = self.find(collection)?;
                for record in records {
                    check_shape(&record, &collection.schema)?;
                    memtable.upsert(record, seq);
                }
                Ok(Applied::Done)
            }
            Change::Delete { collection, ids } => {
                let (_, memtable) = self.find(collection)?;
                let deleted = ids.iter().filter(|id| memtable.delete(id, seq)).count();
                Ok(Applied::Deleted(deleted as u64))
            }
            Change::Closed => Ok(Applied::Done),
        }
    }

    fn create(
        &mut self,
        state: &State,
        id: CollectionId,
        name: String,
        schema: Schema,
    ) -> Arc<CollectionState> {
        let schema = Arc::new(schema);
        let memtable = Memtable::new(Arc::clone(&schema));
        let view = memtable.view(SeqNo(0));
        let collection = Arc::new(CollectionState::new(id, name, schema, view));
        state.insert(Arc::clone(&collection));
        self.next = CollectionId(self.next.0.max(id.0) + 1);
        self.open.insert(id, (Arc::clone(&collection), memtable));
        collection
    }

    fn find(&mut self, id: CollectionId) -> Result<&mut (Arc<CollectionState>, Memtable)> {
        self.open.get_mut(&id).ok_or_else(|| unknown(id))
    }

    /// Shows readers what was applied to a collection up to `seq`.
    pub(super) fn publish(&self, collection: CollectionId, seq: SeqNo) {
        if let Some((collection, memtable)) = self.open.get(&collection) {
            collection.publish(memtable.view(seq));
        }
    }

    /// Shows readers all that was read back from the log.
    pub(super) fn publish_all(&self, seq: SeqNo) {
        self.open.keys().for_each(|id| self.publish(*id, seq));
    }
}

/// Writes were checked before they were logged; this is what the log gives back.
fn check_shape(record: &Record, schema: &Schema) -> Result<()> {
    let dimensions = schema
        .vectors
        .values()
        .map(|vector| vector.dimensions as usize);
    let fits = record.vectors.len() == schema.vectors.len()
        && record
            .vectors
            .iter()
            .zip(dimensions)
            .all(|(vector, dimensions)| vector.as_ref().is_none_or(|v| v.len() == dimensions));
    if fits {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the vectors of point {} are not those of the schema",
        quoted(&record.id.to_string())
    )))
}

fn unknown(collection: CollectionId) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("collection number {} was deleted", collection.0),
    )
}
