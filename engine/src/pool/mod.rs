//! The threads that do all blocking work, in three lanes, so that no caller's executor ever does.
//!
//! A lane is a bounded queue before a rayon pool of its own. Jobs come from [`op`](crate::op) and
//! from users; none may wait for another job. [`Pools`] never uses rayon's global pool, and never
//! starts a thread after it was built.

mod histogram;
mod lane;
mod queue;

pub use histogram::Histogram;
pub(crate) use lane::{Entrance, Finish, Job, Refused};

use crate::{
    error::{Error, ErrorKind, Result},
    options::PoolOptions,
};
use once_cell::sync::OnceCell;
use std::{fmt, sync::Arc};

/// Which of the three pools a job runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Searches and other reads: short, bound by the processor.
    Search,
    /// Building and merging: long, bound by the processor, at a lower priority.
    Update,
    /// Work that waits for the disk or for anything else.
    Io,
}

/// Three pools of threads for blocking work. Cheap to clone; all clones are one set.
///
/// [`Pools::shared`] is the set of the process, built on first use. [`Pools::new`] makes a private
/// one: when its last clone goes, jobs that still wait are answered `Closed`, those that run are
/// waited for, and the threads are joined. Dropping the last clone inside one of its own jobs
/// joins all threads but that one.
///
/// See [`Pools::run`] for handing it work.
#[derive(Clone)]
pub struct Pools(Arc<Lanes>);

struct Lanes {
    search: lane::Lane,
    update: lane::Lane,
    io: lane::Lane,
}

/// What the three lanes have done and are doing, at one moment.
#[derive(Clone, Debug)]
pub struct PoolStats {
    /// Of [`Lane::Search`].
    pub search: LaneStats,
    /// Of [`Lane::Update`].
    pub update: LaneStats,
    /// Of [`Lane::Io`].
    pub io: LaneStats,
}

/// What one lane has done and is doing.
#[derive(Clone, Debug)]
pub struct LaneStats {
    /// Its threads.
    pub threads: usize,
    /// Jobs that wait, those included that were cancelled while they waited.
    pub queued: usize,
    /// Jobs that run now.
    pub running: usize,
    /// Jobs that ran to their end, whatever they answered.
    pub done: u64,
    /// Jobs that panicked.
    pub panicked: u64,
    /// Jobs that never ran, because they were cancelled while they waited.
    pub cancelled: u64,
    /// Jobs that were refused because the queue was full and they did not want to wait.
    pub refused: u64,
    /// From being queued to running. While jobs take less than 10 microseconds, one in 16 is
    /// measured and counts for 16, here and in `running_time`.
    pub waiting: Histogram,
    /// From running to being answered.
    pub running_time: Histogram,
}

impl Pools {
    /// The set that the process shares, with the default sizes, built on first use.
    ///
    /// # Errors
    /// `Io` when a thread cannot be started. The next call tries again.
    pub fn shared() -> Result<Self> {
        static SHARED: OnceCell<Pools> = OnceCell::new();
        SHARED
            .get_or_try_init(|| Self::new(&PoolOptions::default()))
            .cloned()
    }

    /// A private set.
    ///
    /// # Errors
    /// `InvalidInput` when a size is 0 or beyond its bound, `Io` when a thread cannot be started.
    pub fn new(options: &PoolOptions) -> Result<Self> {
        for (name, size, most) in [
            (
                "search_threads",
                options.search_threads,
                PoolOptions::MAX_THREADS,
            ),
            (
                "update_threads",
                options.update_threads,
                PoolOptions::MAX_THREADS,
            ),
            ("io_threads", options.io_threads, PoolOptions::MAX_THREADS),
            ("queue", options.queue, PoolOptions::MAX_QUEUE),
        ] {
            if !(1..=most).contains(&size) {
                return Err(Error::invalid(format!(
                    "pool option {name} is {size}; expected 1 to {most}"
                )));
            }
        }
        let start = |name, threads, low_priority| {
            lane::Lane::start(name, threads, options.queue, low_priority)
        };
        Ok(Self(Arc::new(Lanes {
            search: start("search", options.search_threads, false)?,
            update: start("update", options.update_threads, true)?,
            io: start("io", options.io_threads, false)?,
        })))
    }

    /// What the lanes have done and are doing.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        self.entrances().stats()
    }

    /// Where jobs for one lane go in.
    pub(crate) fn lane(&self, lane: Lane) -> Entrance {
        match lane {
            Lane::Search => self.0.search.entrance(),
            Lane::Update => self.0.update.entrance(),
            Lane::Io => self.0.io.entrance(),
        }
    }

    pub(crate) fn entrances(&self) -> Entrances {
        Entrances {
            search: self.lane(Lane::Search),
            update: self.lane(Lane::Update),
            io: self.lane(Lane::Io),
        }
    }
}

/// Where jobs go in. Unlike [`Pools`] it keeps no thread alive, so that it may be dropped anywhere
/// without waiting for one.
#[derive(Clone, Debug)]
pub(crate) struct Entrances {
    pub(crate) search: Entrance,
    pub(crate) update: Entrance,
    pub(crate) io: Entrance,
}

impl Entrances {
    pub(crate) fn stats(&self) -> PoolStats {
        PoolStats {
            search: self.search.stats(),
            update: self.update.stats(),
            io: self.io.stats(),
        }
    }
}

impl fmt::Debug for Pools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pools").field(&self.stats()).finish()
    }
}

pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the pool was closed")
}
