//! The one thread that changes a database: it orders writes, makes them durable, and shows them.
//!
//! It takes what waits in the queue, appends it to the log as one group, syncs once, applies and
//! publishes it, and only then answers. A write that it has claimed completes whole, whether or
//! not its caller still waits. After a failed sync nothing is known of the log: it never tries
//! again, and refuses every later write.

use super::{
    memtables::Memtables,
    state::State,
    write::{Applied, Request, Write, not_json},
};
use crate::{
    cancel::{Cancel, cancelled},
    error::{Error, ErrorKind, Result},
    id::{CollectionId, SeqNo},
    options::{Limits, Options},
    pool::Pools,
    reply,
    schema::quoted,
    vfs::Vfs,
    wal::{self, Change, CommitError, Wal},
};
use async_channel::Receiver;
use std::{
    any::Any,
    hint,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

/// A group is closed when it has so many bytes.
const GROUP_BYTES: usize = 8 << 20;
/// How long the thread looks for the next write before it sleeps: waking it costs as much.
const SEARCH: Duration = Duration::from_micros(50);

pub(crate) struct Committer {
    state: Arc<State>,
    wal: Wal,
    memtables: Memtables,
    limits: Limits,
    /// The changes of the log's group, which is not durable yet.
    staged: Vec<(SeqNo, Change, reply::Sender<Result<Applied>>)>,
    /// The directory is ours until it is dropped.
    lock: Box<dyn Any + Send>,
    /// The last handle on private pools goes here, where waiting for their threads hurts nobody.
    pools: Pools,
}

impl Committer {
    /// Reads the log back, or begins one.
    pub(crate) fn open(
        vfs: &dyn Vfs,
        options: &Options,
        lock: Box<dyn Any + Send>,
        pools: Pools,
        cancel: &Cancel,
    ) -> Result<Self> {
        let state = Arc::new(State::default());
        let mut memtables = Memtables::default();
        let wal = wal::open(vfs, options.create, |seq, change| {
            cancel.check()?;
            memtables.apply(&state, seq, change).map(drop)
        })?;
        memtables.publish_all(wal.last_seq());
        state
            .counts
            .log_bytes
            .store(wal.durable_len(), Ordering::Relaxed);
        Ok(Self {
            state,
            wal,
            memtables,
            limits: options.limits.clone(),
            staged: Vec::new(),
            lock,
            pools,
        })
    }

    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }

    /// Starts the thread, which ends when the queue is closed or it is told to close.
    pub(crate) fn start(mut self, queue: Receiver<Write>) -> Result<()> {
        let run = move || {
            let ended = catch_unwind(AssertUnwindSafe(|| self.run(&queue)));
            let close = ended.unwrap_or_else(|_| {
                let reason = Error::new(ErrorKind::Panicked, "the commit thread panicked");
                self.state.poison(reason);
                None
            });
            self.finish(&queue, close);
        };
        let thread = thread::Builder::new().name("amphora-commit".into());
        match thread.spawn(run) {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::io("starting the commit thread", error)),
        }
    }

    /// Commits group after group. Returns the write that told it to close, if one did.
    fn run(&mut self, queue: &Receiver<Write>) -> Option<Write> {
        loop {
            let mut close = self.stage(next(queue)?);
            while close.is_none()
                && self.wal.group_len() < GROUP_BYTES
                && let Ok(write) = queue.try_recv()
            {
                close = self.stage(write);
            }
            self.commit();
            if close.is_some() {
                return close;
            }
        }
    }

    /// Puts a write into the group, or answers it. Gives back the one that closes.
    fn stage(&mut self, write: Write) -> Option<Write> {
        if let Err(error) = write.cancel.check() {
            write.answer(Err(error));
            return None;
        }
        if !write.cancel.claim() {
            write.answer(Err(cancelled()));
            return None;
        }
        let (change, body) = match write.request {
            Request::Close => return Some(write),
            Request::Ping => {
                write.answer(Ok(Applied::Done));
                return None;
            }
            Request::Create(name, schema) => {
                let collection = self.memtables.next();
                let change = Change::Create {
                    collection,
                    name,
                    schema,
                };
                (change, None)
            }
            Request::Change(change, body) => (change, Some(body)),
        };
        // What changes the set of collections is a group of its own, so that it and what comes
        // after it are checked against the set as it will be.
        let alone = matches!(change, Change::Create { .. } | Change::Remove { .. });
        if alone {
            self.commit();
        }
        match self.log(&change, body) {
            Ok(seq) => self.staged.push((seq, change, write.reply)),
            Err(error) => drop(write.reply.send(Err(error))),
        }
        if alone {
            self.commit();
        }
        None
    }

    /// Checks what only this thread can, and adds the change to the log's group.
    fn log(&mut self, change: &Change, body: Option<Vec<u8>>) -> Result<SeqNo> {
        self.state.check_writable()?;
        self.memtables.check(change)?;
        if let Change::Create { name, .. } = change {
            self.check_new(name)?;
        }
        let body = body.map_or_else(|| change.encode().map_err(not_json), Ok)?;
        Ok(self.wal.push(&body))
    }

    fn check_new(&self, name: &str) -> Result<()> {
        if self.state.contains(name) {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("there is a collection {} already", quoted(name)),
            ));
        }
        if self.state.len() >= self.limits.collections {
            return Err(Error::invalid(format!(
                "there are {} collections, as many as there may be",
                self.limits.collections
            )));
        }
        Ok(())
    }

    /// Makes the group durable, shows it, and answers.
    fn commit(&mut self) {
        if self.staged.is_empty() {
            return;
        }
        match self.wal.commit() {
            Ok(()) => self.apply(),
            Err(CommitError::NotWritten(error)) => self.refuse(&error),
            Err(CommitError::Remains(error)) => {
                let unknown = "the write may be found when the database is opened again, \
                               unless a later one succeeds";
                self.refuse(&error.context(unknown));
            }
            Err(CommitError::NotSynced(error)) => {
                self.state.poison(error.clone());
                self.refuse(&error.context("the outcome of the write is unknown"));
            }
        }
    }

    fn apply(&mut self) {
        let counts = &self.state.counts;
        counts.commits.fetch_add(1, Ordering::Relaxed);
        counts
            .writes
            .fetch_add(self.staged.len() as u64, Ordering::Relaxed);
        counts
            .log_bytes
            .store(self.wal.durable_len(), Ordering::Relaxed);
        let mut last = SeqNo::default();
        let mut touched: Vec<CollectionId> = Vec::new();
        let mut answers = Vec::with_capacity(self.staged.len());
        for (seq, change, reply) in self.staged.drain(..) {
            last = seq;
            touched.extend(change.collection());
            answers.push((reply, self.memtables.apply(&self.state, seq, change)));
        }
        touched.sort_unstable();
        touched.dedup();
        for collection in touched {
            self.memtables.publish(collection, last);
        }
        // Published before any is answered: who has an answer sees the write.
        for (reply, answer) in answers {
            let _ = reply.send(answer);
        }
    }

    fn refuse(&mut self, error: &Error) {
        for (_, _, reply) in self.staged.drain(..) {
            let _ = reply.send(Err(error.clone()));
        }
    }

    /// Ends the log, lets the directory and the pools go, and only then answers.
    fn finish(mut self, queue: &Receiver<Write>, close: Option<Write>) {
        self.state.close();
        queue.close();
        let ended = self.state.check_writable().and_then(|()| {
            self.wal.push(&Change::Closed.encode().map_err(not_json)?);
            self.wal.commit().map_err(|error| match error {
                CommitError::NotWritten(error)
                | CommitError::Remains(error)
                | CommitError::NotSynced(error) => error,
            })
        });
        if let Err(error) = &ended {
            tracing::warn!(%error, "the log was not ended; opening it again recovers it");
        }
        while queue.try_recv().is_ok() {}
        drop(self.wal);
        drop(self.lock);
        drop(self.pools);
        if let Some(write) = close {
            write.answer(ended.map(|()| Applied::Done));
        }
    }
}

/// The next write; `None` when all handles have gone.
fn next(queue: &Receiver<Write>) -> Option<Write> {
    let until = Instant::now() + SEARCH;
    while Instant::now() < until {
        for _ in 0..32 {
            if let Ok(write) = queue.try_recv() {
                return Some(write);
            }
            hint::spin_loop();
        }
        thread::yield_now();
    }
    queue.recv_blocking().ok()
}
