//! What all handles of an open database share: its collections, its queue of writes, its lanes.
//!
//! Handles come and go; the commit thread stays until the last of them has gone or one of them
//! closes the database. Only that thread changes collections and points. The store keeps no thread alive,
//! so that the last handle may be dropped anywhere.

use super::{
    state::State,
    write::{Applied, Request, Write},
};
use crate::{
    cancel::Cancel,
    error::Result,
    executor::Executor,
    op::{Inline, Op, overloaded},
    options::{Limits, Options},
    pool::{Entrances, PoolStats},
    reply,
};
use async_channel::TrySendError;
use std::sync::{Arc, atomic::Ordering};

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
