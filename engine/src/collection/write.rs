//! What a handle sends to the commit thread, and what comes back. Plain data between the two.

use super::state::CollectionState;
use crate::{
    cancel::Cancel,
    error::{Error, Result},
    reply,
    schema::Schema,
    wal::Change,
};
use std::sync::Arc;

/// What a caller sends, and how it hears of the end.
#[derive(Debug)]
pub(crate) struct Write {
    pub(super) request: Request,
    pub(super) cancel: Arc<Cancel>,
    /// Dropped unanswered it tells the caller that the thread has gone.
    pub(super) reply: reply::Sender<Result<Applied>>,
}

/// What shall happen.
#[derive(Debug)]
pub(crate) enum Request {
    /// A checked change and the body of its record.
    Change(Change, Vec<u8>),
    /// A collection, which gets its number here.
    Create(String, Schema),
    /// Only to be answered: the thread is alive.
    Ping,
    Close,
}

impl Request {
    /// Removes a collection.
    pub(crate) fn remove(collection: &CollectionState) -> Result<Self> {
        let collection = collection.id;
        let change = Change::Remove { collection };
        let body = change.encode().map_err(not_json)?;
        Ok(Self::Change(change, body))
    }
}

/// What a change did.
#[derive(Debug)]
pub(crate) enum Applied {
    Done,
    /// So many points were there to be deleted.
    Deleted(u64),
    Created(Arc<CollectionState>),
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
