//! Amphora on tokio, current-thread or multi-thread.
//!
//! Takes from the runtime what the engine needs, a place for the caller's futures and a clock, and
//! gives the engine's blocking work nothing of it: no task blocks a worker, and only a deadline
//! that passes by a clock that is not the real one holds a thread of `spawn_blocking`.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), amphora::Error> {
//! # let directory = tempfile::tempdir().unwrap();
//! # let path = directory.path();
//! let db = amphora_tokio::open(path).await?;
//! assert!(db.collections().await?.is_empty());
//! db.close().await
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::expect_used)]

pub use amphora;

use amphora::{
    BoxFuture, Database, DatabaseBuilder, Error, ErrorKind, Executor, Op, Result, ThreadExecutor,
};
use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::mpsc,
    task::Poll,
    time::{Duration, Instant},
};
use tokio::runtime::Handle;

/// Opens the database in the directory at `path`, and creates it if there is none.
///
/// To be called in a tokio runtime that has its timer enabled; deadlines are kept by its clock.
///
/// # Errors
/// `Unsupported` outside of such a runtime, and those of [`DatabaseBuilder::open`].
///
/// # Cancel safety
/// As [`DatabaseBuilder::open`].
pub fn open(path: impl Into<PathBuf>) -> Op<Database> {
    match builder(path) {
        Ok(builder) => builder.open(),
        Err(error) => Op::ready(Err(error)),
    }
}

/// Opens a database with options, on the current runtime.
///
/// # Errors
/// `Unsupported` outside of a tokio runtime that has its timer enabled.
pub fn builder(path: impl Into<PathBuf>) -> Result<DatabaseBuilder> {
    Ok(Database::builder(path).executor(TokioExecutor::current()?))
}

/// A tokio runtime as the engine sees it.
///
/// It does not keep the runtime alive. Deadlines are kept by the clock of the tokio runtime in which
/// the operation is awaited and, where that is none, by a thread of the engine.
///
/// While the clock is paused, as in tests, it jumps ahead whenever the runtime has
/// nothing to do, although threads of the engine are at work; a deadline that is reached in
/// that way waits up to a second of real time for the answer before it is held to have passed.
#[derive(Clone, Debug)]
pub struct TokioExecutor {
    handle: Handle,
}

/// How long an answer may take in real time when the runtime's clock is not the real one.
const GRACE: Duration = Duration::from_secs(1);

impl TokioExecutor {
    /// The runtime that this is called in.
    ///
    /// # Errors
    /// `Unsupported` outside of a runtime, or when the runtime was built without a timer.
    pub fn current() -> Result<Self> {
        let handle = Handle::try_current().map_err(|_| {
            Error::new(
                ErrorKind::Unsupported,
                "there is no tokio runtime here; call this inside one, or give its handle to \
                 TokioExecutor::new",
            )
        })?;
        Self::new(handle)
    }

    /// The runtime of this handle.
    ///
    /// # Errors
    /// `Unsupported` when the runtime was built without a timer.
    pub fn new(handle: Handle) -> Result<Self> {
        // Tokio tells by a panic whether there is a timer, and in no other way.
        let timer = catch_unwind(AssertUnwindSafe(|| {
            let _entered = handle.enter();
            drop(tokio::time::sleep(Duration::ZERO));
        }));
        match timer {
            Ok(()) => Ok(Self { handle }),
            Err(_) => Err(Error::new(
                ErrorKind::Unsupported,
                "the tokio runtime has no timer; build it with enable_time() or enable_all()",
            )),
        }
    }
}

impl Executor for TokioExecutor {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.handle.spawn(task);
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let started = Instant::now();
            let left = || duration.saturating_sub(started.elapsed());
            // The clock of the runtime that polls this, which is the one that runs: ours may have
            // been shut down since, or stand still because nobody drives it.
            let Ok(handle) = Handle::try_current() else {
                return ThreadExecutor.sleep(duration).await;
            };
            if runtime_sleep(duration).await.is_err() {
                return ThreadExecutor.sleep(left()).await;
            }
            if !left().is_zero() {
                // A paused clock stands still while a blocking task runs. This one ends with the
                // grace, or at once when this future is dropped and the sender with it.
                let (_dropped_when_answered, answered) = mpsc::channel::<()>();
                let grace = handle.spawn_blocking(move || answered.recv_timeout(GRACE));
                let _ = grace.await;
            }
        })
    }
}

/// Sleeps by the current runtime's clock. An error when it has none, or was shut down before the
/// end: tokio then panics.
async fn runtime_sleep(duration: Duration) -> std::thread::Result<()> {
    let mut sleep = catch_unwind(|| Box::pin(tokio::time::sleep(duration)))?;
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| sleep.as_mut().poll(context)));
        match polled {
            Ok(Poll::Ready(())) => Poll::Ready(Ok(())),
            Ok(Poll::Pending) => Poll::Pending,
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await
}
