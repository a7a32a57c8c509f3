//! One lane: a bounded queue, and the drains that empty it on the threads of a rayon pool.
//!
//! Waking a sleeping thread costs more than most jobs (15 to 75 microseconds against one), so
//! jobs are not given to rayon one by one. A *drain* is a rayon task that takes job after job
//! from the queue; at most one drain per thread is active. A drain that finds the queue empty
//! searches a while longer before it ends, one drain at a time; while one searches, queueing a
//! job wakes nobody. Idle threads sleep in rayon and use no processor.
//!
//! **Invariant**: when the queue holds a job, some drain is active that will look at the queue
//! again, or one is about to be spawned. Both sides write first and then look, with a full fence
//! between: the queuer writes the job and looks for a drain, the drain writes that it ends and
//! looks for a job.

use super::{
    LaneStats, closed,
    histogram::Recorder,
    queue::{Full, Queue},
};
use crate::{
    error::{Error, Result},
    sync::{Mutex, lock},
};
use crossbeam_utils::CachePadded;
use std::{
    cell::Cell,
    fmt, hint,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long a drain searches before it ends. Longer than a caller takes to come back with the
/// next job; far shorter than the few milliseconds after which an idle thread must be asleep.
const SEARCH: Duration = Duration::from_micros(50);

/// Looking at the clock takes as long as a good part of a job that is as short as this: of such
/// jobs one in [`SAMPLE`] is measured, and counts for all of them.
const SHORT: Duration = Duration::from_micros(10);
const SAMPLE: u32 = 16;

/// What a lane runs. Answering its caller is its own business.
pub(crate) trait Job: Send + Sync {
    /// Runs it, once; must not panic.
    fn run(&self) -> Finish;
    /// Answers that the lane was closed before it ran.
    fn abandon(&self);
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    Done,
    Panicked,
    Cancelled,
}

/// Why a lane did not take a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Closed,
}

/// The owner of a lane's threads: joins them when it goes.
pub(super) struct Lane {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// Where jobs come in. Keeps the queue, not the threads.
#[derive(Clone)]
pub(crate) struct Entrance(Arc<Shared>);

struct Shared {
    name: &'static str,
    queue: Queue<Queued>,
    /// Emptied when the lane closes, which lets its threads end.
    pool: Mutex<Option<rayon::ThreadPool>>,
    threads: usize,
    /// Drains that were spawned and have not ended.
    active: CachePadded<AtomicUsize>,
    /// Drains that look for a job: 0 or 1.
    searching: CachePadded<AtomicUsize>,
    counts: Counts,
}

/// Nothing here that every job writes shares a cache line with what every caller reads, or with
/// what another thread of the lane writes: that was a fifth of the way of a short job.
struct Counts {
    /// For each thread of the lane.
    done: Box<[CachePadded<AtomicU64>]>,
    panicked: AtomicU64,
    cancelled: AtomicU64,
    refused: AtomicU64,
    waiting: Recorder,
    running: Recorder,
    /// Whether the job that was measured last was short.
    short: CachePadded<AtomicBool>,
}

/// A job in the queue; answered even if nobody takes it out.
struct Queued {
    job: Option<Arc<dyn Job>>,
    /// Boxed: most have none, and every job passes through the queue.
    measured: Option<Box<Measured>>,
}

struct Measured {
    at: Instant,
    /// For how many jobs it counts.
    weight: u32,
}

impl Lane {
    pub(super) fn start(
        name: &'static str,
        threads: usize,
        capacity: usize,
        low_priority: bool,
    ) -> Result<Self> {
        let mut handles = Vec::with_capacity(threads);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(move |index| format!("amphora-{name}-{index}"))
            .spawn_handler(|worker| {
                let handle = thread::Builder::new()
                    .name(worker.name().unwrap_or(name).to_owned())
                    .spawn(move || {
                        if low_priority {
                            lower_priority();
                        }
                        worker.run();
                    })?;
                handles.push(handle);
                Ok(())
            })
            .build();
        let pool = pool.map_err(|error| {
            // The threads that did start end by themselves: their pool is gone.
            Error::io(
                format_args!("starting the {threads} threads of the {name} lane"),
                std::io::Error::other(error),
            )
        })?;
        Ok(Self {
            shared: Arc::new(Shared {
                name,
                queue: Queue::new(capacity),
                pool: Mutex::new(Some(pool)),
                threads,
                active: CachePadded::default(),
                searching: CachePadded::default(),
                counts: Counts {
                    done: (0..threads).map(|_| CachePadded::default()).collect(),
                    panicked: AtomicU64::new(0),
                    cancelled: AtomicU64::new(0),
                    refused: AtomicU64::new(0),
                    waiting: Recorder::new(),
                    running: Recorder::new(),
                    short: CachePadded::default(),
                },
            }),
            threads: handles,
        })
    }

    pub(super) fn entrance(&self) -> Entrance {
        Entrance(Arc::clone(&self.shared))
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.shared.queue.close();
        while let Some(waiting) = self.shared.queue.try_take() {
            drop(waiting);
        }
        drop(lock(&self.shared.pool).take());
        let here = thread::current().id();
        for thread in self.threads.drain(..) {
            if thread.thread().id() != here {
                // Jobs do not panic, and rayon's own loop aborts if it does.
                let _ = thread.join();
            }
        }
    }
}

impl Entrance {
    /// Queues a job, if there is a place at once.
    pub(crate) fn try_send(&self, job: Arc<dyn Job>) -> Result<(), Refused> {
        match self.0.queue.try_send(self.0.queued(job)) {
            Ok(()) => {
                self.0.kick();
                Ok(())
            }
            Err(Full::Full(queued)) => {
                queued.forget();
                Err(Refused::Full)
            }
            Err(Full::Closed(queued)) => {
                queued.forget();
                Err(Refused::Closed)
            }
        }
    }

    /// Queues a job as soon as there is a place. Dropping the future withdraws it.
    pub(crate) async fn send(self, job: Arc<dyn Job>) -> Result<()> {
        match self.0.queue.send(self.0.queued(job)).await {
            Ok(()) => {
                self.0.kick();
                Ok(())
            }
            Err(refused) => {
                refused.forget();
                Err(closed())
            }
        }
    }

    pub(crate) fn stats(&self) -> LaneStats {
        let Shared {
            queue,
            threads,
            active,
            searching,
            counts,
            ..
        } = &*self.0;
        let searching = searching.load(Ordering::Relaxed);
        LaneStats {
            threads: *threads,
            queued: queue.len(),
            running: active.load(Ordering::Relaxed).saturating_sub(searching),
            done: counts
                .done
                .iter()
                .map(|done| done.load(Ordering::Relaxed))
                .sum(),
            panicked: counts.panicked.load(Ordering::Relaxed),
            cancelled: counts.cancelled.load(Ordering::Relaxed),
            refused: counts.refused.load(Ordering::Relaxed),
            waiting: counts.waiting.read(),
            running_time: counts.running.read(),
        }
    }

    pub(crate) fn count_refused(&self) {
        self.0.counts.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> usize {
        self.0.threads
    }

    pub(crate) fn name(&self) -> &'static str {
        self.0.name
    }
}

impl fmt::Debug for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entrance").field(&self.0.name).finish()
    }
}

impl Shared {
    /// Makes sure that a drain will see what was just queued.
    fn kick(self: &Arc<Self>) {
        fence(Ordering::SeqCst);
        if self.searching.load(Ordering::Relaxed) == 0 && self.begin() {
            let shared = Arc::clone(self);
            match &*lock(&self.pool) {
                Some(pool) => pool.spawn(move || shared.drain()),
                // Closing: what was queued is answered by the one who closes, or by its drop.
                None => self.end(),
            }
        }
    }

    fn begin(&self) -> bool {
        self.active
            .try_update(Ordering::SeqCst, Ordering::Relaxed, |active| {
                (active < self.threads).then_some(active + 1)
            })
            .is_ok()
    }

    fn end(&self) {
        self.active.fetch_sub(1, Ordering::SeqCst);
    }

    fn drain(self: &Arc<Self>) {
        loop {
            while let Some(queued) = self.queue.try_take() {
                self.run(queued);
            }
            if let Some(queued) = self.search() {
                // This drain no longer searches, and more may have come while it did.
                if !self.queue.is_empty() {
                    self.kick();
                }
                self.run(queued);
                continue;
            }
            self.end();
            fence(Ordering::SeqCst);
            if self.queue.is_empty() || !self.begin() {
                return;
            }
        }
    }

    /// Looks for a job for a while, unless another drain does.
    fn search(&self) -> Option<Queued> {
        /// A pause of the processor takes up to 140 cycles: about a microsecond, after which
        /// whoever else waits for the processor may have it.
        const ROUND: usize = 16;
        let first = self
            .searching
            .compare_exchange(0, 1, Ordering::SeqCst, Ordering::Relaxed);
        if first.is_err() {
            return None;
        }
        let until = Instant::now() + SEARCH;
        let found = loop {
            let round = (0..ROUND).find_map(|_| {
                hint::spin_loop();
                if self.queue.is_empty() {
                    return None;
                }
                self.queue.try_take()
            });
            if round.is_some() || Instant::now() >= until {
                break round;
            }
            thread::yield_now();
        };
        self.searching.store(0, Ordering::SeqCst);
        found
    }

    fn queued(&self, job: Arc<dyn Job>) -> Queued {
        thread_local! {
            static TURN: Cell<u32> = const { Cell::new(0) };
        }
        let weight = if self.counts.short.load(Ordering::Relaxed) {
            let turn = TURN.get();
            TURN.set(turn.wrapping_add(1));
            if turn.is_multiple_of(SAMPLE) {
                SAMPLE
            } else {
                0
            }
        } else {
            1
        };
        Queued {
            job: Some(job),
            measured: (weight > 0).then(|| {
                Box::new(Measured {
                    at: Instant::now(),
                    weight,
                })
            }),
        }
    }

    fn run(&self, mut queued: Queued) {
        let Some(job) = queued.job.take() else {
            return;
        };
        let started = queued.measured.as_ref().map(|_| Instant::now());
        let finish = job.run();
        if let (Some(measured), Some(started)) = (&queued.measured, started)
            && finish != Finish::Cancelled
        {
            let Measured { at, weight } = **measured;
            let ran = started.elapsed();
            let waited = started.saturating_duration_since(at);
            self.counts.waiting.record(waited, weight);
            self.counts.running.record(ran, weight);
            self.counts.short.store(ran < SHORT, Ordering::Relaxed);
        }
        let count = match finish {
            Finish::Done => {
                // Written by this thread alone, so that it need not lock the cache line.
                let done = &self.counts.done[rayon::current_thread_index().unwrap_or(0)];
                return done.store(done.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            }
            Finish::Panicked => &self.counts.panicked,
            Finish::Cancelled => &self.counts.cancelled,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Queued {
    /// Drops it without an answer: whoever queued it has one.
    fn forget(mut self) {
        self.job = None;
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            job.abandon();
        }
    }
}

/// Nice 10 for the calling thread, where a thread has a niceness of its own.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, 10) {
        tracing::debug!(%error, "the update lane keeps the normal priority");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts that it ran, or that it was abandoned.
    #[derive(Default)]
    struct Counting {
        started: AtomicUsize,
        ran: AtomicUsize,
        abandoned: AtomicUsize,
        takes: Duration,
    }

    impl Job for Counting {
        fn run(&self) -> Finish {
            self.started.fetch_add(1, Ordering::SeqCst);
            thread::sleep(self.takes);
            self.ran.fetch_add(1, Ordering::SeqCst);
            Finish::Done
        }

        fn abandon(&self) {
            self.abandoned.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn wait_for(what: impl Fn() -> bool) {
        let started = Instant::now();
        while !what() {
            assert!(started.elapsed() < Duration::from_secs(20), "it never came");
            thread::yield_now();
        }
    }

    /// Jobs come one at a time, at all distances around the time that a drain searches before it
    /// ends: a wake-up that is lost leaves one in the queue for ever.
    #[test]
    fn no_wake_up_is_lost() {
        for threads in [1, 2, 3] {
            let lane = Lane::start("test", threads, 64, false).unwrap();
            thread::scope(|scope| {
                for caller in 0..2u64 {
                    let entrance = lane.entrance();
                    scope.spawn(move || {
                        let job = Arc::new(Counting::default());
                        for turn in 0..4_000u64 {
                            let shared: Arc<dyn Job> = job.clone();
                            entrance.try_send(shared).unwrap();
                            let sent = turn as usize + 1;
                            wait_for(|| job.ran.load(Ordering::SeqCst) == sent);
                            let pause = Duration::from_nanos((turn * 7_919 + caller) % 120_000);
                            let until = Instant::now() + pause;
                            while Instant::now() < until {
                                thread::yield_now();
                            }
                        }
                    });
                }
            });
            wait_for(|| lane.entrance().stats().done == 8_000);
        }
    }

    #[test]
    fn closing_runs_what_runs_and_abandons_what_waits() {
        let lane = Lane::start("test", 1, 8, false).unwrap();
        let job = Arc::new(Counting {
            takes: Duration::from_millis(50),
            ..Counting::default()
        });
        let entrance = lane.entrance();
        for _ in 0..3 {
            let shared: Arc<dyn Job> = job.clone();
            entrance.try_send(shared).unwrap();
        }
        wait_for(|| job.started.load(Ordering::SeqCst) == 1);
        drop(lane);
        assert_eq!(job.ran.load(Ordering::SeqCst), 1, "joined");
        assert_eq!(job.abandoned.load(Ordering::SeqCst), 2);
        let shared: Arc<dyn Job> = job.clone();
        assert_eq!(entrance.try_send(shared), Err(Refused::Closed));
    }

    #[test]
    fn short_jobs_are_sampled_and_counted_all_the_same() {
        let lane = Lane::start("test", 1, 1_024, false).unwrap();
        let job = Arc::new(Counting::default());
        for sent in 1..=640 {
            let shared: Arc<dyn Job> = job.clone();
            lane.entrance().try_send(shared).unwrap();
            wait_for(|| job.ran.load(Ordering::SeqCst) == sent);
        }
        wait_for(|| lane.entrance().stats().done == 640);
        let measured = lane.entrance().stats().running_time.count();
        assert!((400..=900).contains(&measured), "about 640: {measured}");
    }
}
