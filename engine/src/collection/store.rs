//! What all handles of an open database share: its collections, its queue of writes, its lanes.
//!
//! Handles come and go; the commit thread stays until the last of them has gone or one of them
//! closes the database. Only that thread changes what is here. The store keeps no thread alive,
//! so that the last handle may be dropped anywhere.

use super::{
    committer::{Request, Write},
    memtables::Applied,
};
use crate::{
    cancel::Cancel,
    error::{Error, ErrorKind, Result},
    executor::Executor,
    id::CollectionId,
    memtable::View,
    op::{Inline, Op, overloaded},
    options::{Limits, Options},
    pool::{Entrances, PoolStats},
    reply,
    schema::{Schema, quoted},
};
use async_channel::TrySendError;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) state: Arc<State>,
    pub(crate) writes: async_channel::Sender<Write>,
    pub(crate) lanes: Entrances,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) options: Options,
}

/// What a database has done since it was opened, and what it holds.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Its collections.
    pub collections: usize,
    /// Points in all collections.
    pub points: u64,
    /// Writes that were committed.
    pub writes: u64,
    /// Groups in which they were committed, each with one sync.
    pub commits: u64,
    /// Writes that wait for the commit thread.
    pub queued_writes: usize,
    /// Writes that were refused because the queue was full and they did not want to wait.
    pub refused_writes: u64,
    /// Bytes of the log that hold records.
    pub log_bytes: u64,
    /// Its pools; shared ones count the work of all who share them.
    pub pools: PoolStats,
}

/// What the commit thread changes and everyone reads.
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

impl Store {
    /// A read on the search lane, or on the thread that waits for it.
    pub(crate) fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Store, &Cancel) -> Result<T> + Send + 'static,
    ) -> Op<T> {
        let store = Arc::clone(self);
        Op::job(self.lanes.search.clone(), Inline::Always, move |cancel| {
            store.state.check_open()?;
            read(&store, cancel)
        })
        .on(&self.executor)
        .timeout(self.options.request_timeout)
    }

    /// An operation of several steps.
    pub(crate) fn flow<T, F>(
        self: &Arc<Self>,
        flow: impl FnOnce(Arc<Self>, Arc<Cancel>) -> F,
    ) -> Op<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        Op::flow(|cancel| flow(Arc::clone(self), cancel))
            .on(&self.executor)
            .timeout(self.options.request_timeout)
    }

    /// Checks and encodes: here if that is quick, on the I/O lane if it could stall an executor.
    pub(super) async fn prepare<T: Send + 'static>(
        self: &Arc<Self>,
        quick: bool,
        cancel: &Cancel,
        check: impl FnOnce(&Limits) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if quick {
            return check(&self.options.limits);
        }
        let store = Arc::clone(self);
        let check = move |_: &Cancel| check(&store.options.limits);
        Op::job(self.lanes.io.clone(), Inline::Never, check)
            .step_of(cancel)
            .await
    }

    /// Sends a write to the commit thread and awaits its answer.
    pub(crate) async fn commit(&self, request: Request, cancel: Arc<Cancel>) -> Result<Applied> {
        let (reply, answer) = reply::channel();
        let waits = cancel.waits();
        let write = Write {
            request,
            cancel,
            reply,
        };
        let sent = match self.writes.try_send(write) {
            Err(TrySendError::Full(_)) if !waits => {
                self.state.counts.refused.fetch_add(1, Ordering::Relaxed);
                return Err(overloaded("writes"));
            }
            Err(TrySendError::Full(write)) => self.writes.send(write).await.is_ok(),
            sent => sent.is_ok(),
        };
        let answer = if sent { answer.await } else { None };
        answer.unwrap_or_else(|| Err(self.state.gone()))
    }
}

impl Store {
    pub(crate) fn stats(&self) -> Stats {
        let counts = &self.state.counts;
        let points = self.state.collections();
        Stats {
            collections: points.len(),
            points: points.values().map(|c| c.view().live()).sum(),
            writes: counts.writes.load(Ordering::Relaxed),
            commits: counts.commits.load(Ordering::Relaxed),
            queued_writes: self.writes.len(),
            refused_writes: counts.refused.load(Ordering::Relaxed),
            log_bytes: counts.log_bytes.load(Ordering::Relaxed),
            pools: self.lanes.stats(),
        }
    }
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

    fn collections(
        &self,
    ) -> impl std::ops::Deref<Target = BTreeMap<String, Arc<CollectionState>>> + '_ {
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
    fn gone(&self) -> Error {
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

    fn view(&self) -> Arc<View> {
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
