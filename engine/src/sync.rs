//! The lock of the host layer, blind to poisoning.
//!
//! [`reply`](crate::reply) uses nothing else, so that a model checker can put its own lock in this
//! place by compiling `reply.rs` beside another `sync`.

use std::sync::PoisonError;
pub(crate) use std::sync::{Mutex, MutexGuard};

/// Locks, also after a panic elsewhere: the states behind these locks are whole at every step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
