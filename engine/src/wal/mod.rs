//! The log: what is durable. Every change is a record; a record is acknowledged when it is synced.
//!
//! The commit thread writes it through [`Wal`] alone; opening a database reads it back once.
//! `format` has the byte layouts, `change` what a record says, `recover` what a crash may have
//! left. The log never truncates a file and never uses a sequence number twice.

mod change;
mod format;
mod recover;
mod writer;

pub(crate) use change::{Change, put_batch, put_record, start_upsert};
pub(crate) use format::{file_name as log_name, file_number as log_number, is_log};
pub(crate) use recover::{Plan, open, read, read_closed, remove_garbage};
pub(crate) use writer::{CommitError, Wal};
