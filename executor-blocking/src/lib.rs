//! Amphora without a runtime: for plain threads, and for futures under a bare `block_on`.
//!
//! Every operation of the engine has `wait()`; this crate adds an `open` that waits, and the
//! executor that needs no runtime. Deadlines of awaited operations are kept by one timer thread,
//! which exists only while something is awaited.
//!
//! ```
//! # fn main() -> Result<(), amphora::Error> {
//! # let directory = tempfile::tempdir().unwrap();
//! # let path = directory.path();
//! let db = amphora_blocking::open(path)?;
//! assert!(db.collections().wait()?.is_empty());
//! db.close().wait()
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::expect_used)]

pub use amphora;
pub use amphora::{ThreadExecutor as BlockingExecutor, block_on};

use amphora::{Database, DatabaseBuilder, Result};
use std::path::PathBuf;

/// Opens the database in the directory at `path`, and creates it if there is none. Blocks.
///
/// # Errors
/// Those of [`DatabaseBuilder::open`].
pub fn open(path: impl Into<PathBuf>) -> Result<Database> {
    builder(path).open().wait()
}

/// Opens a database with options; end with `.open().wait()`.
pub fn builder(path: impl Into<PathBuf>) -> DatabaseBuilder {
    Database::builder(path).executor(BlockingExecutor)
}
