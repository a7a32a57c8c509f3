//! Every limit and default in one place. Plain data: nothing here acts on it.

use std::time::Duration;

/// How a database is opened and what it allows. Start from the default and change what differs:
///
/// ```
/// use amphora::Options;
/// use std::time::Duration;
///
/// let options = Options {
///     request_timeout: Duration::from_secs(2),
///     ..Options::default()
/// };
/// assert_eq!(options.write_queue, 1024);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Create the directory and an empty database when there is none. Default: true.
    pub create: bool,
    /// How long `open` tries to lock a directory that another handle has open, since a handle
    /// that was dropped closes in the background. Default: 1 s.
    pub lock_timeout: Duration,
    /// The deadline of an operation that is given none by `.timeout()`. Default: 30 s.
    pub request_timeout: Duration,
    /// The deadline of `health()`. Default: 5 s.
    pub health_timeout: Duration,
    /// The deadline of `close()`. Default: 30 s.
    pub close_timeout: Duration,
    /// How many writes may wait for the commit thread; a further one waits for a place, or is
    /// refused if it asked to be. Default: 1,024.
    pub write_queue: usize,
    /// Pools of its own for this database; `None` shares the pools of the process. Default: `None`.
    pub pools: Option<PoolOptions>,
    /// The bounds that every request is checked against.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            create: true,
            lock_timeout: Duration::from_secs(1),
            request_timeout: Duration::from_secs(30),
            health_timeout: Duration::from_secs(5),
            close_timeout: Duration::from_secs(30),
            write_queue: 1_024,
            pools: None,
            limits: Limits::default(),
        }
    }
}

/// The sizes of a set of [`Pools`](crate::Pools). The defaults come from the number of
/// processors that this process may use, which a container's limit lowers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolOptions {
    /// Threads for searches and other reads. Default: one less than there are processors, at least 1.
    pub search_threads: usize,
    /// Threads for building and merging, at a lower priority where the system has one.
    /// Default: half of the processors, at least 1.
    pub update_threads: usize,
    /// Threads for opening, snapshots and other work that waits for the disk.
    /// Default: as many as there are processors.
    pub io_threads: usize,
    /// How many jobs may wait in each lane; a further one waits for a place, or is refused if it
    /// asked to be. Default: 1,024.
    pub queue: usize,
}

impl Default for PoolOptions {
    fn default() -> Self {
        let processors = num_cpus::get().max(1);
        Self {
            search_threads: (processors - 1).max(1),
            update_threads: (processors / 2).max(1),
            io_threads: processors,
            queue: 1_024,
        }
    }
}

impl PoolOptions {
    /// The most threads that a lane can have.
    pub const MAX_THREADS: usize = 1_024;
    /// The longest queue that a lane can have.
    pub const MAX_QUEUE: usize = 1 << 20;
}

/// The bounds on what a request may hold. A request beyond one is refused with
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) before anything is written.
///
/// Names are bounded by [`Schema::MAX_NAME_BYTES`](crate::Schema::MAX_NAME_BYTES), vectors by
/// [`Vector::MAX_DIMENSIONS`](crate::Vector::MAX_DIMENSIONS), the nesting of payloads by
/// [`Payload::MAX_DEPTH`](crate::Payload::MAX_DEPTH).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Collections in a database. Default: 10,000.
    pub collections: usize,
    /// Points or ids in one write or `get_many`. Default: 100,000.
    pub batch_points: usize,
    /// Bytes of one write once encoded. Default: 64 MiB, at most 1 GiB.
    pub batch_bytes: usize,
    /// Bytes of one payload as JSON. Default: 1 MiB.
    pub payload_bytes: usize,
    /// The `limit` of a query. Default: 10,000.
    pub hits: usize,
    /// Conditions in a filter, its `and`, `or` and `not` counted. Default: 1,024.
    pub filter_conditions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            collections: 10_000,
            batch_points: 100_000,
            batch_bytes: 64 << 20,
            payload_bytes: 1 << 20,
            hits: 10_000,
            filter_conditions: 1_024,
        }
    }
}

impl Limits {
    /// The most that `batch_bytes` can be: a record of the log is addressed with 32 bits.
    pub const MAX_BATCH_BYTES: usize = 1 << 30;
}
