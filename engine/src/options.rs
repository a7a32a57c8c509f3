//! Every limit and default in one place. Plain data: nothing here acts on it.

use crate::schema::Tokenizers;
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
    /// Open for reading alone: beside a handle that writes, or on a medium that takes no writes.
    /// Nothing is locked, created or written; reads see the database as it was when it was opened;
    /// writes, `optimize` included, are refused as `Unsupported`. Goes before `create`: where no
    /// database is, none is found. Default: false.
    pub read_only: bool,
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
    /// When a write is answered, unless its handle says otherwise. Default: `Sync`.
    pub durability: Durability,
    /// How much memory points may take that are not in a segment yet, by a rough count. When half
    /// of it is full, it is written to segments in the background; when all of it is, writes wait
    /// until that is done. Default: 64 MiB.
    pub memtable_bytes: usize,
    /// From how many vectors on a segment gets an index over them, built in the background; fewer are
    /// compared one by one. At least 1. Default: 1,000.
    pub index_from: usize,
    /// How much memory building an index may take, by a rough count: 0.8 KiB for each vector of 384
    /// dimensions by the default [`Hnsw`](crate::Hnsw). Segments are merged only as far as the indexes over
    /// their vectors can be built in it; one that became larger under another bound gets its index all
    /// the same. At least `memtable_bytes`. Default: 2 GiB.
    pub index_memory_bytes: usize,
    /// Serve what is left of a collection of which a segment is damaged. Without it, all reads and
    /// writes are refused that would need the damaged part. With it, opening reads all segments
    /// whole, and the damaged ones are left out of reads and writes: the points in them seem not
    /// to be there. Either way the damage is listed in [`Stats`](crate::Stats), and the file stays
    /// where it is: if it is put right by hand, from a backup for example, it counts again when the
    /// database is opened, but for the points in it that were replaced or deleted meanwhile.
    /// Default: false.
    pub set_aside_damaged: bool,
    /// What takes texts apart whose schema names a tokenizer of the caller's own. Default: none.
    pub tokenizers: Tokenizers,
    /// Pools of its own for this database; `None` shares the pools of the process. Default: `None`.
    pub pools: Option<PoolOptions>,
    /// The bounds that every request is checked against.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            create: true,
            read_only: false,
            lock_timeout: Duration::from_secs(1),
            request_timeout: Duration::from_secs(30),
            health_timeout: Duration::from_secs(5),
            close_timeout: Duration::from_secs(30),
            write_queue: 1_024,
            durability: Durability::Sync,
            memtable_bytes: 64 << 20,
            index_from: 1_000,
            index_memory_bytes: 2 << 30,
            set_aside_damaged: false,
            tokenizers: Tokenizers::new(),
            pools: None,
            limits: Limits::default(),
        }
    }
}

/// When a write is answered, and what may be lost after that.
///
/// Whatever it says, a write that was answered survives the end of the process, and what is lost in
/// a power loss is the newest writes: if one is there, all before it are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// When it is on the disk: a power loss takes nothing that was answered.
    #[default]
    Sync,
    /// When the operating system has it; it is on the disk no later than this time after. A power
    /// loss may take the answered writes of that time.
    Interval(Duration),
    /// When the operating system has it, which brings it to the disk when it likes, or at the next
    /// `flush`, `close`, or write that is more careful.
    Os,
}

impl Durability {
    /// The one of both that loses less.
    pub(crate) fn or_stricter(self, other: Self) -> Self {
        match (self, other) {
            (Self::Sync, _) | (_, Self::Sync) => Self::Sync,
            (Self::Interval(a), Self::Interval(b)) => Self::Interval(a.min(b)),
            (Self::Interval(time), Self::Os) | (Self::Os, Self::Interval(time)) => {
                Self::Interval(time)
            }
            (Self::Os, Self::Os) => Self::Os,
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
/// [`Vector::MAX_DIMENSIONS`](crate::Vector::MAX_DIMENSIONS), lists of them by
/// [`Vector::MAX_MULTI`](crate::Vector::MAX_MULTI), sparse vectors by
/// [`SparseVector::MAX_ENTRIES`](crate::SparseVector::MAX_ENTRIES), the nesting of payloads by
/// [`Payload::MAX_DEPTH`](crate::Payload::MAX_DEPTH), that of queries by
/// [`Query::MAX_DEPTH`](crate::Query::MAX_DEPTH).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Collections in a database. Default: 10,000.
    pub collections: usize,
    /// Snapshots of a database. Default: 100.
    pub snapshots: usize,
    /// Points or ids in one write or `get_many`. Default: 100,000.
    pub batch_points: usize,
    /// Bytes of one write once encoded. Default: 64 MiB, at most 1 GiB.
    pub batch_bytes: usize,
    /// Bytes of one payload as JSON. Default: 1 MiB.
    pub payload_bytes: usize,
    /// The `limit` and the `offset` of a query together, the candidates of an MMR, the points of a page of a scroll, the
    /// values of a facet, groups times their size, and the sample of a distance matrix; a hundred times as many in
    /// `search_many` and among the scores of a matrix. Default: 10,000.
    pub hits: usize,
    /// The `ef` of a query, and how many points are compared by oversampling. Default: 10,000.
    pub ef: usize,
    /// Queries in one [`search_many`](crate::Collection::search_many). Default: 10,000.
    pub queries: usize,
    /// Prefetches in a query, those below prefetches counted. Default: 64.
    pub prefetches: usize,
    /// Conditions in a filter, its `and`, `or` and `not` counted. Default: 1,024.
    pub filter_conditions: usize,
    /// Terms of a formula. Default: 1,024.
    pub formula_terms: usize,
    /// Clauses of a text query, and the terms that its words come to, counted once for each text that they
    /// are looked for in. Default: 1,024.
    pub text_clauses: usize,
    /// Examples of a query for what is like them. Default: 1,000.
    pub examples: usize,
    /// Entries of the sparse vector of a query. Default: 4,096.
    pub sparse_entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            collections: 10_000,
            snapshots: 100,
            batch_points: 100_000,
            batch_bytes: 64 << 20,
            payload_bytes: 1 << 20,
            hits: 10_000,
            ef: 10_000,
            queries: 10_000,
            prefetches: 64,
            filter_conditions: 1_024,
            formula_terms: 1_024,
            text_clauses: 1_024,
            examples: 1_000,
            sparse_entries: 4_096,
        }
    }
}

impl Limits {
    /// The most that `batch_bytes` can be: a record of the log is addressed with 32 bits.
    pub const MAX_BATCH_BYTES: usize = 1 << 30;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stricter_durability_loses_less() {
        let seconds = |seconds| Durability::Interval(Duration::from_secs(seconds));
        let ranked = [Durability::Sync, seconds(1), seconds(2), Durability::Os];
        for (place, stricter) in ranked.iter().enumerate() {
            for other in &ranked[place..] {
                assert_eq!(stricter.or_stricter(*other), *stricter);
                assert_eq!(other.or_stricter(*stricter), *stricter);
            }
        }
    }
}
