//! What all handles of an open database share: its collections, its queue of writes, its lanes.
//!
//! Handles come and go; the commit thread stays until the last of them has gone or one of them
//! closes the database. Only that thread changes collections and points. The store keeps no thread alive,
//! so that the last handle may be dropped anywhere.

use super::{
    columns,
    index::Wish,
    state::{CollectionState, Damage, State},
    verify::{self, Verification},
    write::{Applied, Request, Write},
};
use crate::{
    cancel::Cancel,
    error::Result,
    executor::Executor,
    op::{Inline, Op, overloaded},
    options::{Durability, Limits, Options},
    pool::{Entrances, PoolStats},
    query::{Others, Scope, Terms},
    reply,
    shape::Shape,
    vfs::Vfs,
    view::{Stored, View},
};
use async_channel::TrySendError;
use std::sync::{Arc, atomic::Ordering};

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) state: Arc<State>,
    /// To read what snapshots name; all else is the commit thread's.
    pub(crate) vfs: Arc<dyn Vfs>,
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
    /// Points in all collections, without those of damaged segments that are not read, but with
    /// those that expired a moment ago.
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
    /// Bytes of points that are in no segment yet, by a rough count.
    pub memtable_bytes: u64,
    /// Segments of all collections.
    pub segments: usize,
    /// Indexes over the vectors of segments.
    pub indexes: usize,
    /// Indexes that are still to be built, the one included that is being built: until then the
    /// vectors are compared one by one.
    pub wanting_indexes: usize,
    /// Segments that are still to get the columns of fields that were declared later, until when what is
    /// asked of these is answered from payloads; or to lose those of fields that are declared no more.
    pub wanting_columns: usize,
    /// What was found damaged when the database was opened, or by a merge.
    pub damaged: Vec<Damage>,
    /// Whether a flush or a merge is under way.
    pub upkeep: bool,
    /// Its pools; shared ones count the work of all who share them.
    pub pools: PoolStats,
}

impl Store {
    /// A read on the search lane, or on the thread that waits for it.
    pub(crate) fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Store, &Cancel) -> Result<T> + Send + 'static,
    ) -> Op<T> {
        let whole = self.search_job(read).on(&self.executor);
        whole.timeout(self.options.request_timeout)
    }

    /// A read that is a step of `whole`, whose deadline holds.
    pub(super) fn step<T: Send + 'static>(
        self: &Arc<Self>,
        whole: &Cancel,
        read: impl FnOnce(&Store, &Cancel) -> Result<T> + Send + 'static,
    ) -> Op<T> {
        self.search_job(read).step_of(whole)
    }

    fn search_job<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Store, &Cancel) -> Result<T> + Send + 'static,
    ) -> Op<T> {
        let store = Arc::clone(self);
        Op::job(self.lanes.search.clone(), Inline::Always, move |cancel| {
            store.state.check_open()?;
            read(&store, cancel)
        })
    }

    /// Where queries are asked of the points of `view`.
    pub(super) fn scope<'a>(&'a self, view: &'a View, others: &'a Others<'a>) -> Scope<'a> {
        let analyzers = self.state.analyzers();
        Scope::new(view, &self.options.limits, analyzers, others)
    }

    /// The points of collections but this one, by name.
    pub(super) fn others(
        &self,
        own: &CollectionState,
    ) -> impl Fn(&str) -> Result<Option<Arc<View>>> {
        |name| {
            let found = self.state.find(name)?;
            let is_other = found.id != own.id;
            is_other.then(|| found.pin()).transpose()
        }
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

    /// What filters of a collection of this shape are checked by.
    pub(super) fn terms<'a>(&'a self, shape: &'a Shape) -> Terms<'a> {
        Terms {
            shape,
            limits: &self.options.limits,
            analyzers: self.state.analyzers(),
        }
    }

    /// Sends a write to the commit thread and awaits its answer.
    pub(crate) async fn commit(&self, request: Request, cancel: Arc<Cancel>) -> Result<Applied> {
        let durability = self.options.durability;
        self.commit_as(durability, request, cancel).await
    }

    /// As [`commit`](Self::commit), to be answered when it is as durable as this.
    pub(super) async fn commit_as(
        &self,
        durability: Durability,
        request: Request,
        cancel: Arc<Cancel>,
    ) -> Result<Applied> {
        let (reply, answer) = reply::channel();
        let waits = cancel.waits();
        let write = Write {
            request,
            durability,
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

    /// Reads all files that count.
    pub(crate) fn verify(self: &Arc<Self>) -> Op<Verification> {
        let store = Arc::clone(self);
        Op::job(self.lanes.io.clone(), Inline::Never, move |cancel| {
            store.state.check_open()?;
            verify::verify(&*store.vfs, &store.state, cancel)
        })
        .on(&self.executor)
    }

    pub(crate) fn stats(&self) -> Stats {
        let counts = &self.state.counts;
        let damaged = self.state.damage();
        let names = self.state.names();
        let collections = || names.collections.values().map(|c| c.view());
        let (mut indexes, mut wanting_indexes, mut wanting_columns) = (0, 0, 0);
        for view in collections() {
            for Stored {
                segment, beside, ..
            } in view.stored()
            {
                let wish = Wish::of(&self.options);
                indexes += segment.indexes.len();
                wanting_indexes += wish.wanting(segment, view.shape()).count();
                let schema = &view.shape().schema;
                let columns = columns::wanting(&segment.segment, beside, schema);
                wanting_columns += usize::from(columns.is_some());
            }
        }
        Stats {
            collections: names.collections.len(),
            points: collections().filter_map(|view| view.live()).sum(),
            writes: counts.writes.load(Ordering::Relaxed),
            commits: counts.commits.load(Ordering::Relaxed),
            queued_writes: self.writes.len(),
            refused_writes: counts.refused.load(Ordering::Relaxed),
            log_bytes: self.state.log_end().end,
            memtable_bytes: counts.memory.load(Ordering::Relaxed),
            segments: collections().map(|view| view.stored().count()).sum(),
            indexes,
            wanting_indexes,
            wanting_columns,
            damaged,
            upkeep: counts.upkeep.load(Ordering::Relaxed),
            pools: self.lanes.stats(),
        }
    }
}
