//! What the commit thread changes and everyone reads: the collections with their published views,
//! and whether the database is open and takes writes. Readers hold a lock here for as long as it
//! takes to clone a pointer, never while they read points.

use crate::{
    error::{Error, ErrorKind, Result},
    id::CollectionId,
    memtable::View,
    schema::{Schema, quoted},
};
use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// The state of an open database.
#[derive(Debug, Default)]
pub(crate) struct State {
    collections: RwLock<BTreeMap<String, Arc<CollectionState>>>,
    closed: AtomicBool,
    poison: OnceLock<Error>,
    pub(super) counts: WriteCounts,
}

/// Counted since the database was opened.
#[derive(Debug, Default)]
pub(super) struct WriteCounts {
    pub(super) commits: AtomicU64,
    pub(super) writes: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) log_bytes: AtomicU64,
}

/// One collection as its readers know it.
#[derive(Debug)]
pub(crate) struct CollectionState {
    pub(crate) id: CollectionId,
    pub(crate) name: String,
    pub(crate) schema: Arc<Schema>,
    view: RwLock<Arc<View>>,
    deleted: AtomicBool,
}

impl State {
    pub(crate) fn find(&self, name: &str) -> Result<Arc<CollectionState>> {
        self.check_open()?;
        self.collections().get(name).cloned().ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                format!("there is no collection {}", quoted(name)),
            )
        })
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.collections().keys().cloned().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.collections().len()
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.collections().contains_key(name)
    }

    pub(super) fn insert(&self, collection: Arc<CollectionState>) {
        let mut collections = self
            .collections
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        collections.insert(collection.name.clone(), collection);
    }

    pub(super) fn remove(&self, collection: &CollectionState) {
        collection.deleted.store(true, Ordering::Release);
        let mut collections = self
            .collections
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        collections.remove(&collection.name);
    }

    pub(super) fn collections(
        &self,
    ) -> impl Deref<Target = BTreeMap<String, Arc<CollectionState>>> + '_ {
        self.collections
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// The first reason stays: what follows from it is no news.
    pub(super) fn poison(&self, reason: Error) {
        tracing::error!(error = %reason, "the database takes no more writes");
        let _ = self.poison.set(reason);
    }

    /// Why writes are refused, if they are.
    pub(crate) fn poisoned(&self) -> Option<&Error> {
        self.poison.get()
    }

    pub(super) fn check_writable(&self) -> Result<()> {
        match self.poisoned() {
            None => Ok(()),
            Some(reason) => Err(Error::new(
                ErrorKind::Poisoned,
                format!("writes are refused until the database is opened again: {reason}"),
            )),
        }
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        Ok(())
    }

    /// Why the commit thread gave no answer.
    pub(super) fn gone(&self) -> Error {
        self.check_writable().err().unwrap_or_else(closed)
    }
}

impl CollectionState {
    pub(super) fn new(id: CollectionId, name: String, schema: Arc<Schema>, view: View) -> Self {
        Self {
            id,
            name,
            schema,
            view: RwLock::new(Arc::new(view)),
            deleted: AtomicBool::new(false),
        }
    }

    /// The points as of the last commit, for as long as the caller keeps them.
    pub(crate) fn pin(&self) -> Result<Arc<View>> {
        if self.deleted.load(Ordering::Acquire) {
            return Err(deleted(&self.name));
        }
        Ok(self.view())
    }

    pub(super) fn view(&self) -> Arc<View> {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&view)
    }

    pub(super) fn publish(&self, view: View) {
        let view = Arc::new(view);
        let mut published = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *published, view);
        drop(published);
        drop(before);
    }
}

fn deleted(name: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("the collection {} was deleted", quoted(name)),
    )
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the database was closed")
}
