//! Amphora on smol.
//!
//! Takes from the runtime what the engine needs, a place for the caller's futures and a clock.
//! Blocking work runs on the engine's own pools, never on `blocking`'s.
//!
//! ```
//! # fn main() -> Result<(), amphora::Error> {
//! # let directory = tempfile::tempdir().unwrap();
//! # let path = directory.path();
//! smol::block_on(async {
//!     let db = amphora_smol::open(path).await?;
//!     assert!(db.collections().await?.is_empty());
//!     db.close().await
//! })
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::expect_used)]

pub use amphora;

use amphora::{BoxFuture, Database, DatabaseBuilder, Executor, Op};
use std::{
    path::PathBuf,
    sync::{Arc, Weak},
    time::Duration,
};

/// Opens the database in the directory at `path`, and creates it if there is none.
///
/// # Errors
/// Those of [`DatabaseBuilder::open`].
///
/// # Cancel safety
/// As [`DatabaseBuilder::open`].
pub fn open(path: impl Into<PathBuf>) -> Op<Database> {
    builder(path).open()
}

/// Opens a database with options, on smol's global executor.
pub fn builder(path: impl Into<PathBuf>) -> DatabaseBuilder {
    Database::builder(path).executor(SmolExecutor::global())
}

/// A smol executor as the engine sees it. Timers are [`smol::Timer`]'s, whichever it is.
///
/// It does not keep a given executor alive: its tasks hold handles on the database, which would
/// then keep each other alive for ever. When the executor has gone, spawned futures are dropped.
#[derive(Clone, Debug, Default)]
pub struct SmolExecutor {
    /// The global one without.
    given: Option<Weak<smol::Executor<'static>>>,
}

impl SmolExecutor {
    /// The executor of `smol::spawn`.
    #[must_use]
    pub fn global() -> Self {
        Self::default()
    }

    /// An executor that the caller runs.
    #[must_use]
    pub fn new(executor: &Arc<smol::Executor<'static>>) -> Self {
        Self {
            given: Some(Arc::downgrade(executor)),
        }
    }
}

impl Executor for SmolExecutor {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        match self.given.as_ref().map(Weak::upgrade) {
            Some(Some(executor)) => executor.spawn(task).detach(),
            Some(None) => drop(task),
            None => smol::spawn(task).detach(),
        }
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            smol::Timer::after(duration).await;
        })
    }
}
