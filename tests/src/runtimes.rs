//! Every way to run an operation: the runtimes, executors without one, and plain threads.
//!
//! A scenario is written once, as a future that ends its operations by [`Way::finish`] and reads
//! its feeds by [`Way::collect`]; a [`Way`] runs it. Nothing here knows what an operation does.

use amphora::{Database, DatabaseBuilder, Feed, Op, Result, vfs::Vfs};
use futures::{FutureExt, TryStreamExt};
use std::{
    future::Future,
    panic::{AssertUnwindSafe, resume_unwind},
    path::Path,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// One way to run operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Awaited in a task of a tokio runtime of one thread.
    TokioCurrentThread,
    /// Awaited in a task on a worker of a tokio runtime of two threads.
    TokioMultiThread,
    /// Awaited in a task of smol's global executor.
    Smol,
    /// Awaited in a task of async-std.
    AsyncStd,
    /// Awaited under `futures::executor::block_on`.
    FuturesBlockOn,
    /// Awaited under `pollster::block_on`.
    Pollster,
    /// Waited for on a plain thread.
    Thread,
    /// Waited for inside a task of a tokio runtime of one thread, which stands still meanwhile.
    WaitInTokio,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::TokioCurrentThread,
        Self::TokioMultiThread,
        Self::Smol,
        Self::AsyncStd,
        Self::FuturesBlockOn,
        Self::Pollster,
        Self::Thread,
        Self::WaitInTokio,
    ];

    /// Those that await.
    pub const ASYNC: [Self; 6] = [
        Self::TokioCurrentThread,
        Self::TokioMultiThread,
        Self::Smol,
        Self::AsyncStd,
        Self::FuturesBlockOn,
        Self::Pollster,
    ];

    /// Whether operations are waited for rather than awaited.
    #[must_use]
    pub fn waits(self) -> bool {
        matches!(self, Self::Thread | Self::WaitInTokio)
    }

    /// Runs a scenario to its end, and hands on its panic if it panics.
    ///
    /// # Panics
    /// Where the scenario does, when a runtime cannot be built, and when a scenario that waits
    /// has to be woken all the same.
    pub fn run<F>(self, scenario: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        // Caught inside, since not every runtime hands the panic of a task on.
        let scenario = AssertUnwindSafe(scenario).catch_unwind();
        let ended = match self {
            Self::TokioCurrentThread | Self::WaitInTokio => {
                let runtime = current_thread_tokio();
                runtime.block_on(async { tokio::spawn(scenario).await.expect("a task ends") })
            }
            Self::TokioMultiThread => {
                let runtime = multi_thread_tokio();
                runtime.block_on(async { tokio::spawn(scenario).await.expect("a task ends") })
            }
            Self::Smol => smol::block_on(smol::spawn(scenario)),
            Self::AsyncStd => async_std::task::block_on(async_std::task::spawn(scenario)),
            Self::FuturesBlockOn => futures::executor::block_on(scenario),
            Self::Pollster => pollster::block_on(scenario),
            Self::Thread => scenario
                .now_or_never()
                .expect("what is waited for never has to be woken"),
        };
        ended.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Ends an operation, by `.await` or by `wait()`.
    ///
    /// # Errors
    /// The operation's.
    pub async fn finish<T: Send + 'static>(self, op: Op<T>) -> Result<T> {
        if self.waits() { op.wait() } else { op.await }
    }

    /// Reads a feed to its end, as a stream or as an iterator.
    ///
    /// # Errors
    /// The feed's first.
    pub async fn collect<T: Send + Unpin + 'static>(self, feed: Feed<T>) -> Result<Vec<T>> {
        if self.waits() {
            feed.into_iter().collect()
        } else {
            feed.try_collect().await
        }
    }

    /// Opens the directory at `path` by the `open` of the way's adapter.
    ///
    /// # Errors
    /// The adapter's.
    pub async fn open(self, path: &Path) -> Result<Database> {
        match self {
            Self::TokioCurrentThread | Self::TokioMultiThread | Self::WaitInTokio => {
                self.finish(amphora_tokio::open(path)).await
            }
            Self::Smol => self.finish(amphora_smol::open(path)).await,
            Self::AsyncStd | Self::FuturesBlockOn | Self::Pollster => {
                self.finish(amphora_blocking::builder(path).open()).await
            }
            Self::Thread => amphora_blocking::open(path),
        }
    }

    /// The builder of the way's adapter, to be called in a scenario.
    ///
    /// # Errors
    /// The adapter's.
    pub fn builder(self, path: &Path) -> Result<DatabaseBuilder> {
        match self {
            Self::TokioCurrentThread | Self::TokioMultiThread | Self::WaitInTokio => {
                amphora_tokio::builder(path)
            }
            Self::Smol => Ok(amphora_smol::builder(path)),
            Self::AsyncStd | Self::FuturesBlockOn | Self::Pollster | Self::Thread => {
                Ok(amphora_blocking::builder(path))
            }
        }
    }

    /// As [`builder`](Self::builder), for the database in `vfs`.
    ///
    /// # Errors
    /// The adapter's.
    pub fn builder_on(self, vfs: impl Vfs + 'static) -> Result<DatabaseBuilder> {
        let builder = Database::builder_on(vfs);
        Ok(match self {
            Self::TokioCurrentThread | Self::TokioMultiThread | Self::WaitInTokio => {
                builder.executor(amphora_tokio::TokioExecutor::current()?)
            }
            Self::Smol => builder.executor(amphora_smol::SmolExecutor::global()),
            Self::AsyncStd | Self::FuturesBlockOn | Self::Pollster | Self::Thread => {
                builder.executor(amphora_blocking::BlockingExecutor)
            }
        })
    }
}

/// A tokio runtime of one thread, with a timer and nothing else.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn current_thread_tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a tokio runtime")
}

/// A tokio runtime of two threads, with a timer and nothing else.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn multi_thread_tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a tokio runtime")
}

/// Does `work` on a thread of its own, and panics when it takes longer than `limit`: what hangs
/// then fails, and names itself.
///
/// # Panics
/// When `work` does, and when it takes too long.
pub fn within<T: Send + 'static>(
    limit: Duration,
    what: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (done, ended) = mpsc::channel();
    let worker = thread::Builder::new()
        .name("test-work".into())
        .spawn(move || drop(done.send(work())))
        .expect("a thread");
    match ended.recv_timeout(limit) {
        Ok(answer) => {
            // So that the thread is not there to be counted any more.
            worker.join().expect("it sent its answer");
            answer
        }
        Err(RecvTimeoutError::Disconnected) => match worker.join() {
            Err(panic) => resume_unwind(panic),
            Ok(()) => unreachable!("it neither answered nor panicked"),
        },
        Err(RecvTimeoutError::Timeout) => panic!("{what} hangs: no end within {limit:?}"),
    }
}

/// Returns once `so` holds.
///
/// # Panics
/// When it does not hold within `limit`.
pub fn eventually(limit: Duration, what: &str, mut so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !so() {
        assert!(started.elapsed() < limit, "not so within {limit:?}: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}
