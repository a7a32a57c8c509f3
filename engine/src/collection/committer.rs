//! The one thread that changes a database: it orders writes, makes them durable, and shows them.
//!
//! It takes what waits in the queue, appends it to the log as one group, syncs once, applies and
//! publishes it, and only then answers. A write that it has claimed completes whole, whether or
//! not its caller still waits. After a failed sync nothing is known of the log: it never tries
//! again, and refuses every later write.

use super::{
    check::{adapt, check_how},
    edit::{Action, Checked},
    group::{Group, Staged},
    names,
    resolve::{Resolved, resolve},
    state::State,
    sweep::Sweep,
    tables::{Tables, Targets},
    touched::Touched,
    upkeep::{Moment, Sealed, Upkeep},
    write::{Applied, OptimizeProgress, Request, Write, not_json},
};
use crate::{
    cancel::cancelled,
    error::{Error, ErrorKind, Result},
    executor::{beside, block_on, block_on_until},
    expiry::Expiry,
    manifest::{CollectionFiles, LogEnd},
    options::{Durability, Limits},
    pool::Pools,
    reply,
    shape::Shape,
    vfs::Vfs,
    wal::{Change, CommitError, Wal},
};
use async_channel::Receiver;
use std::{
    any::Any,
    collections::VecDeque,
    future::poll_fn,
    hint,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    thread,
    time::{Duration, Instant},
};

/// A group is closed when it has so many bytes.
const GROUP_BYTES: usize = 8 << 20;
/// A log file is ended when it has so many bytes, or as many as the memtables may have.
const LOG_BYTES: usize = 1 << 20;
/// A group is synced by a thread of its own, so that this one can apply it meanwhile, when it has so
/// many bytes: a sync then takes many times as long as starting a thread.
const LARGE_BYTES: usize = 1 << 20;
/// So much is made durable in any case, a bit at a time: before a new log file is begun, all must be.
const UNSYNCED_BYTES: usize = 8 << 20;
/// At the end so many bytes of points may stay in the log: reading them back takes a few
/// milliseconds, and writing a segment for each end would make many small ones.
const LEFT_BYTES: usize = 256 << 10;
/// How long the thread looks for the next write before it sleeps: waking it costs as much.
const SEARCH: Duration = Duration::from_micros(50);

type Reply = reply::Sender<Result<Applied>>;

pub(crate) struct Committer {
    pub(super) state: Arc<State>,
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) wal: Wal,
    pub(super) tables: Tables,
    pub(super) upkeep: Upkeep,
    pub(super) limits: Limits,
    pub(super) memtable_bytes: usize,
    /// The changes of the log's group, which is not durable yet.
    pub(super) staged: Vec<Staged>,
    /// Who waits for them, in their order.
    pub(super) replies: Vec<Reply>,
    /// Whether a change of the group is to be answered only when it is durable.
    pub(super) sync_group: bool,
    /// When what was answered without being durable must be.
    pub(super) sync_by: Option<Instant>,
    pub(super) touched: Touched,
    pub(super) sweep: Sweep,
    /// Those who wait for everything to be merged.
    pub(super) optimizing: Vec<Write>,
    /// What they were told last.
    pub(super) progress: Option<OptimizeProgress>,
    /// Whether no more writes come.
    pub(super) closing: bool,
    /// What is asked of snapshots; the first of them may be under way.
    pub(super) snapshots: VecDeque<Write>,
    /// The directory is ours until it is dropped.
    pub(super) lock: Box<dyn Any + Send>,
    /// The last handle on private pools goes here, where waiting for their threads hurts nobody.
    pub(super) pools: Pools,
}

impl Committer {
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
            self.wait_for_room();
            let write = self.next(queue)?;
            let mut close = self.stage(write);
            while close.is_none()
                && self.wal.group_len() < GROUP_BYTES
                && let Ok(write) = queue.try_recv()
            {
                close = self.stage(write);
            }
            self.commit();
            self.sync_if_due();
            if close.is_some() {
                return close;
            }
        }
    }

    /// The next write; `None` when all handles have gone. Upkeep goes on meanwhile.
    fn next(&mut self, queue: &Receiver<Write>) -> Option<Write> {
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
        loop {
            let now = || self.state.clock().now();
            let sweep_at = self.sweep.due(&self.tables, now);
            let retry_at = self.upkeep.rests_until();
            let wake_at = [self.sync_by, sweep_at, retry_at, self.report_at()]
                .into_iter()
                .flatten()
                .min();
            let mut received = pin!(queue.recv());
            let next = poll_fn(|context| {
                self.keep_up(context);
                if self.upkeep.holds_writes() && self.state.poisoned().is_none() {
                    return Poll::Pending;
                }
                received.as_mut().poll(context).map(std::result::Result::ok)
            });
            if let Some(write) = block_on_until(next, wake_at) {
                return write;
            }
            self.sync_if_due();
        }
    }

    /// Back-pressure: while one half of the memory is being written to segments and the other is
    /// full, nothing is taken from the queue. (If it cannot be written, writes are refused.) Nor
    /// is anything while a snapshot takes the place of what would be changed.
    fn wait_for_room(&mut self) {
        block_on(poll_fn(|context| {
            self.keep_up(context);
            let full = self.half_is_full();
            let will_empty = self.upkeep.is_flushing() || self.upkeep.is_restoring();
            let waits = full && will_empty || self.upkeep.holds_writes();
            if waits && self.state.poisoned().is_none() {
                return Poll::Pending;
            }
            Poll::Ready(())
        }));
    }

    /// Goes on with flushes, merges and snapshots. Only between groups.
    fn keep_up(&mut self, context: &mut Context<'_>) {
        debug_assert!(self.staged.is_empty(), "segments change between groups");
        self.advance(context);
        while self.attend_snapshot() {
            self.advance(context);
        }
        self.report_progress();
        self.answer_optimized();
        let pending = self.upkeep.is_working();
        self.state.counts.upkeep.store(pending, Ordering::Relaxed);
        let bytes = self.tables.memory_bytes() as u64;
        self.state.counts.memory.store(bytes, Ordering::Relaxed);
    }

    /// Seals full memtables, and does all of the upkeep that can be done now. A flush that ends
    /// makes room for the next.
    fn advance(&mut self, context: &mut Context<'_>) {
        while self.state.poisoned().is_none() && self.step(context) {}
    }

    /// True when there is more to do at once.
    fn step(&mut self, context: &mut Context<'_>) -> bool {
        if self.must_seal() {
            self.seal();
        }
        let clock = self.state.clock();
        let (seq, everything) = (self.wal.last_seq(), !self.optimizing.is_empty());
        for expired in self.sweep.advance(&self.tables, || clock.now(), context) {
            self.tables.expire(&expired, seq);
            self.tables.publish(expired.collection, seq);
        }
        let moment = Moment {
            seq,
            now: clock.now(),
            log_is_durable: self.wal.is_synced(),
        };
        let tables = &mut self.tables;
        let progress = self.upkeep.advance(tables, moment, everything, context);
        for collection in progress.changed {
            self.tables.publish(collection, seq);
        }
        for (collection, error) in progress.damaged {
            if let Some(table) = self.tables.get(collection) {
                table.state.note_damage(error);
            }
        }
        if let Some(error) = progress.poison {
            self.state.poison(error);
        }
        if self.upkeep.relies_on_log() && !self.wal.is_synced() {
            return self.sync().is_ok();
        }
        self.must_seal()
    }

    fn half_is_full(&self) -> bool {
        self.tables.active_bytes() >= (self.memtable_bytes / 2).max(1)
    }

    /// Whether the memtables or the log file are full, or must be written for another reason.
    fn must_seal(&self) -> bool {
        let due = self.half_is_full()
            || self.wal.end() >= self.memtable_bytes.max(LOG_BYTES) as u64
            || !self.optimizing.is_empty() && self.tables.active_bytes() > 0
            || self.closing && self.tables.active_bytes() > LEFT_BYTES;
        due && self.upkeep.can_seal() && !self.upkeep.resting() && self.state.poisoned().is_none()
    }

    /// Begins new memtables and a new log file, and the flush of the old ones.
    fn seal(&mut self) {
        let seq = self.wal.last_seq();
        if let Err(error) = self.end_log() {
            if self.state.poisoned().is_none() {
                self.upkeep.rest(error);
            }
            return;
        }
        let collections = self.tables.all().map(|table| CollectionFiles {
            id: table.state.id,
            name: table.state.name(),
            shape: (*table.shape).clone(),
            segments: Vec::new(),
        });
        let sealed = Sealed {
            seq,
            next_log: self.wal.number(),
            next_collection: self.tables.next(),
            collections: collections.collect(),
            aliases: self.state.names().alias_ids(),
            parts: Vec::new(),
        };
        let parts = self.tables.seal(seq);
        self.upkeep.flush(Sealed { parts, ..sealed });
    }

    /// Ends the log file, all of it durable, and goes on in the next. The database is poisoned if
    /// nothing is known of the outcome.
    pub(super) fn end_log(&mut self) -> Result<LogEnd> {
        let ended = self.log_end();
        match self.wal.rotate(&*self.vfs) {
            Ok(()) => {
                self.sync_by = None;
                Ok(ended)
            }
            Err(CommitError::NotSynced(error)) => {
                self.state.poison(error.clone());
                Err(error)
            }
            Err(error) => Err(error.into_error()),
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
        match write.request {
            Request::Close => return Some(write),
            Request::Ping => write.answer(Ok(Applied::Done)),
            Request::Sync => {
                self.commit();
                let synced = self.sync();
                write.answer(synced.map(|()| Applied::Done));
            }
            Request::Optimize(_) => self.optimizing.push(write),
            Request::Snapshot(..) => self.snapshots.push_back(write),
            Request::Upsert(shape, change, body) => match self.adapted(&shape, change, body) {
                Ok((change, body)) => self.log(change, body, None, write.durability, write.reply),
                Err(error) => drop(write.reply.send(Err(error))),
            },
            Request::Delete(change, body) => {
                self.log(change, body, None, write.durability, write.reply);
            }
            Request::Edits(edits) => self.edit(edits, write.durability, write.reply),
            // What changes the set of collections is a group of its own, so that it and what comes
            // after it are checked against the set as it will be.
            Request::Names(names) => {
                self.commit();
                let change = names::change(names, &self.state, &self.tables, &self.limits)
                    .and_then(|change| {
                        let body = change.encode().map_err(not_json)?;
                        Ok((change, body))
                    });
                match change {
                    Ok((change, body)) => {
                        self.log(change, body, None, write.durability, write.reply);
                    }
                    Err(error) => drop(write.reply.send(Err(error))),
                }
                self.commit();
            }
        }
        None
    }

    /// Works out what edits come to, on the points as the writes before them leave these.
    fn edit(&mut self, mut edits: Vec<Checked>, durability: Durability, reply: Reply) {
        if let Err(error) = edits.iter_mut().try_for_each(|edit| self.adapt(edit)) {
            return drop(reply.send(Err(error)));
        }
        let staged = self.staged.iter().map(|staged| &staged.change);
        if self.touched.has_one_of(staged, &edits) {
            self.commit();
        }
        // One that comes to nothing is logged nowhere, and refused like the others.
        let writable = self.state.check_writable();
        match writable.and_then(|()| resolve(edits, &self.tables, &self.limits)) {
            Ok((Some(resolved), count)) => {
                let Resolved { change, body } = resolved;
                self.log(change, body, Some(count), durability, reply);
            }
            Ok((None, count)) => drop(reply.send(Ok(Applied::Changed(count)))),
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    /// An upsert as it is under the schema of now.
    fn adapted(
        &self,
        shape: &Arc<Shape>,
        mut change: Change,
        mut body: Vec<u8>,
    ) -> Result<(Change, Vec<u8>)> {
        if let Change::Upsert {
            collection,
            records,
        } = &mut change
            && let Some(table) = self.tables.get(*collection)
            && !Arc::ptr_eq(shape, &table.shape)
        {
            adapt(records, shape, &table.shape)?;
            body = change.encode().map_err(not_json)?;
        }
        Ok((change, body))
    }

    /// Makes an edit one under the schema of now.
    fn adapt(&self, edit: &mut Checked) -> Result<()> {
        let Some(table) = self.tables.get(edit.collection) else {
            return Ok(());
        };
        if Arc::ptr_eq(&edit.shape, &table.shape) {
            return Ok(());
        }
        match &mut edit.action {
            Action::Write(records, _) | Action::SetVectors(records) => {
                adapt(records, &edit.shape, &table.shape)?;
            }
            Action::Change(_, _, how) => check_how(how, &table.shape.schema)?,
        }
        edit.shape = Arc::clone(&table.shape);
        Ok(())
    }

    /// Checks what only this thread can, and adds the change to the log's group; or answers.
    fn log(
        &mut self,
        change: Change,
        body: Vec<u8>,
        edited: Option<u64>,
        durability: Durability,
        reply: Reply,
    ) {
        let now = self.state.clock().now();
        let targets = match self.check(&change, now) {
            Ok(targets) => targets,
            Err(error) => return drop(reply.send(Err(error))),
        };
        self.note(durability);
        self.staged.push(Staged {
            seq: self.wal.push(&body),
            change,
            targets,
            now,
            edited,
        });
        self.replies.push(reply);
    }

    fn check(&self, change: &Change, now: Expiry) -> Result<Targets> {
        self.state.check_writable()?;
        if let Some(error) = self.upkeep.failure()
            && self.tables.memory_bytes() >= self.memtable_bytes
        {
            let full = "the memory for points is full, and could not be written to a segment";
            return Err(error.clone().context(full));
        }
        self.tables.resolve(change, now)
    }

    /// Makes the group durable, shows it, and answers.
    fn commit(&mut self) {
        if self.staged.is_empty() {
            return;
        }
        self.touched.clear();
        let unsynced = self.wal.unsynced();
        let durable = std::mem::take(&mut self.sync_group) || unsynced >= UNSYNCED_BYTES;
        let is_large = unsynced >= LARGE_BYTES;
        let written = match self.wal.write() {
            Ok(()) if durable => self.sync_and_apply(is_large),
            Ok(()) => Ok(self.apply()),
            Err(error) => Err(error),
        };
        match written {
            Ok(group) => {
                if durable {
                    self.sync_by = None;
                }
                self.publish(group);
            }
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

    /// What the group owes to a write of this durability.
    fn note(&mut self, durability: Durability) {
        match durability {
            Durability::Sync => self.sync_group = true,
            Durability::Interval(time) => {
                let by = Instant::now().checked_add(time);
                self.sync_by = match (self.sync_by, by) {
                    (Some(before), Some(by)) => Some(before.min(by)),
                    (before, by) => before.or(by),
                };
            }
            Durability::Os => {}
        }
    }

    fn sync_if_due(&mut self) {
        if self.sync_by.is_some_and(|by| by <= Instant::now()) {
            // The database is poisoned if it fails: the next write hears of it.
            let _ = self.sync();
        }
    }

    /// Makes durable what was written, groups apart that are still being gathered.
    fn sync(&mut self) -> Result<()> {
        self.sync_by = None;
        self.state.check_writable()?;
        self.wal.sync().map_err(|error| {
            let error = error.into_error();
            self.state.poison(error.clone());
            error
        })
    }

    /// Makes the group durable that was written, and applies it: a large one while the disk is busy
    /// with it. Nobody sees it before it is published.
    fn sync_and_apply(&mut self, is_large: bool) -> std::result::Result<Group, CommitError> {
        if !is_large {
            self.wal.sync()?;
            return Ok(self.apply());
        }
        let (wal, state) = (&mut self.wal, &self.state);
        let apply = || Group::apply(state, &mut self.tables, &mut self.staged);
        let (synced, group) = beside("amphora-sync", || wal.sync(), apply);
        // Without a thread it is done here.
        synced.unwrap_or_else(|| self.wal.sync()).map(|()| group)
    }

    fn apply(&mut self) -> Group {
        Group::apply(&self.state, &mut self.tables, &mut self.staged)
    }

    fn publish(&mut self, group: Group) {
        let (counts, writes) = (&self.state.counts, self.replies.len() as u64);
        counts.commits.fetch_add(1, Ordering::Relaxed);
        counts.writes.fetch_add(writes, Ordering::Relaxed);
        self.state.set_log_end(self.log_end());
        let answers = group.publish(&self.state, &mut self.tables);
        let replies = self.replies.drain(..).zip(answers);
        replies.for_each(|(reply, answer)| drop(reply.send(answer)));
    }

    fn refuse(&mut self, error: &Error) {
        self.staged.clear();
        for reply in self.replies.drain(..) {
            let _ = reply.send(Err(error.clone()));
        }
    }

    pub(super) fn log_end(&self) -> LogEnd {
        LogEnd {
            log: self.wal.number(),
            end: self.wal.end(),
        }
    }

    /// Writes the memtables to segments, so that little of the log is left to be read back. What
    /// fails here is in the log all the same.
    fn flush_at_end(&mut self) {
        if self.state.poisoned().is_some() {
            return;
        }
        self.closing = true;
        block_on(poll_fn(|context| {
            self.keep_up(context);
            if self.upkeep.is_flushing() && self.state.poisoned().is_none() {
                return Poll::Pending;
            }
            Poll::Ready(())
        }));
    }

    /// Ends upkeep and the log, lets the directory and the pools go, and only then answers.
    fn finish(mut self, queue: &Receiver<Write>, close: Option<Write>) {
        self.state.close();
        queue.close();
        let writable = self.sync();
        self.flush_at_end();
        let log_end = writable.is_ok().then(|| self.log_end());
        let ended = block_on(poll_fn(|context| {
            self.upkeep.close(&mut self.tables, log_end, context)
        }));
        if let Err(error) = &ended {
            tracing::warn!(%error, "the end was not noted; opening it again recovers it");
        }
        while queue.try_recv().is_ok() {}
        if let Some(outcome) = self.upkeep.take_outcome().filter(Result::is_ok) {
            self.answer_snapshot(outcome);
        }
        drop(self.snapshots);
        drop(self.optimizing);
        drop(self.upkeep);
        drop(self.wal);
        drop(self.lock);
        drop(self.pools);
        if let Some(write) = close {
            write.answer(writable.and(ended).map(|()| Applied::Done));
        }
    }
}
