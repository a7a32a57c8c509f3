//! What a handle sends to the commit thread, and what comes back. Plain data between the two.

use super::{edit::Checked, state::CollectionState};
use crate::{
    cancel::Cancel,
    error::{Error, Result},
    id::CollectionId,
    manifest::About,
    options::Durability,
    reply,
    schema::Schema,
    shape::{Alteration, Shape},
    wal::Change,
};
use std::sync::Arc;

/// What a caller sends, and how it hears of the end.
#[derive(Debug)]
pub(crate) struct Write {
    pub(super) request: Request,
    pub(super) durability: Durability,
    pub(super) cancel: Arc<Cancel>,
    /// Dropped unanswered it tells the caller that the thread has gone.
    pub(super) reply: reply::Sender<Result<Applied>>,
}

/// What shall happen.
#[derive(Debug)]
pub(crate) enum Request {
    /// Points to be written, checked against a shape, and the body of their record.
    Upsert(Arc<Shape>, Change, Vec<u8>),
    /// Points to be deleted, and the body of their record.
    Delete(Change, Vec<u8>),
    /// Edits to be worked out by the commit thread, all or none.
    Edits(Vec<Checked>),
    /// A change of what collections there are, their names or schemas, to be worked out by the commit thread.
    Names(Names),
    /// Only to be answered: the thread is alive.
    Ping,
    /// To make durable what was answered before.
    Sync,
    /// To write all memtables to segments, and merge each collection into one.
    Optimize(Option<async_channel::Sender<OptimizeProgress>>),
    /// Something about the snapshot of this name.
    Snapshot(Snapshots, String),
    Close,
}

/// A change of what collections there are, their names or schemas.
#[derive(Debug)]
pub(crate) enum Names {
    /// A collection, which gets its number from the commit thread.
    Create(String, Schema),
    Remove(CollectionId),
    /// The collection of the first name gets the second.
    Rename(String, String),
    Alter(CollectionId, Alteration),
    /// An alias means the collection of this name, or nothing any more.
    Alias(String, Option<String>),
}

/// What happens with a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Snapshots {
    /// It is made, of this moment.
    Create,
    /// It is forgotten, and its files are removed.
    Delete,
    /// What the database holds is what it holds.
    Restore,
}

/// How far [`Database::optimize_with`](crate::Database::optimize_with) has come: it ends when no
/// points are in memory alone and each collection has one segment at most, with its indexes and columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OptimizeProgress {
    /// Bytes of points that are in no segment yet, by a rough count.
    pub memory_bytes: u64,
    /// Segments of all collections.
    pub segments: usize,
    /// Collections.
    pub collections: usize,
    /// Indexes that are still to be built, the one included that is being built.
    pub wanting_indexes: usize,
    /// Segments that are still to get the columns of fields that were declared later, or to lose those of
    /// fields that are declared no more.
    pub wanting_columns: usize,
    /// How many vectors have their links, of the indexes that are being built now.
    pub linked_vectors: u64,
    /// How many vectors these indexes will have; none while none is being built.
    pub vectors_to_link: u64,
}

/// What a change did.
#[derive(Debug)]
pub(crate) enum Applied {
    Done,
    /// So many points were written or deleted.
    Changed(u64),
    Created(Arc<CollectionState>),
    /// What the new snapshot says of itself.
    Snapshot(About),
}

impl Write {
    /// The caller may have gone: then the answer is for nobody.
    pub(super) fn answer(self, answer: Result<Applied>) {
        let _ = self.reply.send(answer);
    }
}

pub(super) fn not_json(error: serde_json::Error) -> Error {
    Error::invalid(format!("it cannot be written as JSON: {error}"))
}
