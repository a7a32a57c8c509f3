//! A job and its answer in one allocation, shared by the operation and the lane.
//!
//! The closure is taken out once, by whoever comes first: the lane to run it, the calling thread
//! to run it in place, or a cancelled operation to drop it. A panic in it is caught here.

use crate::{
    cancel::{Cancel, cancelled},
    error::{Error, ErrorKind, Result},
    pool::{Finish, Job, closed},
    reply::Slot,
    sync::{Mutex, lock},
};
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    task::{Context, Poll},
};

/// The operation's side of a [`Task`].
pub(super) trait Work<T>: Job {
    fn cancel(&self) -> &Cancel;
    fn poll(&self, context: &mut Context<'_>) -> Poll<Result<T>>;
    /// Runs it on the calling thread, instead of handing it over.
    fn run_here(&self) -> Result<T>;
    /// Nobody waits any more: drops the closure if it has not begun, and the answer if it has.
    /// True when it has not begun, and never will.
    fn give_up(&self) -> bool;
}

pub(super) struct Task<F, T> {
    cancel: Cancel,
    closure: Mutex<Option<F>>,
    answer: Slot<Result<T>>,
}

impl<F, T> Task<F, T>
where
    F: FnOnce(&Cancel) -> Result<T> + Send + 'static,
    T: Send + 'static,
{
    pub(super) fn shared(closure: F) -> Arc<dyn Work<T>> {
        Arc::new(Self {
            cancel: Cancel::default(),
            closure: Mutex::new(Some(closure)),
            answer: Slot::new(),
        })
    }

    fn take(&self) -> Option<F> {
        lock(&self.closure).take()
    }

    /// The closure, if it shall run. Whoever takes it out has won: a claim needs nothing more.
    fn claim(&self) -> Result<F> {
        self.cancel.check()?;
        self.take().ok_or_else(cancelled)
    }
}

impl<F, T> Job for Task<F, T>
where
    F: FnOnce(&Cancel) -> Result<T> + Send + 'static,
    T: Send + 'static,
{
    fn run(&self) -> Finish {
        let closure = match self.claim() {
            Ok(closure) => closure,
            Err(error) => {
                let _ = self.answer.send(Err(error));
                return Finish::Cancelled;
            }
        };
        // Around the sending too: it wakes a foreign waker, and drops an answer that nobody wants.
        let run = AssertUnwindSafe(|| drop(self.answer.send(closure(&self.cancel))));
        match catch_unwind(run) {
            Ok(()) => Finish::Done,
            Err(panic) => {
                let _ = self.answer.send(Err(panicked(panic)));
                Finish::Panicked
            }
        }
    }

    fn abandon(&self) {
        let _ = self.answer.send(Err(closed()));
    }
}

impl<F, T> Work<T> for Task<F, T>
where
    F: FnOnce(&Cancel) -> Result<T> + Send + 'static,
    T: Send + 'static,
{
    fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Result<T>> {
        self.answer
            .poll(context)
            .map(|answer| answer.unwrap_or_else(|| Err(closed())))
    }

    fn run_here(&self) -> Result<T> {
        let closure = self.claim()?;
        catch_unwind(AssertUnwindSafe(|| closure(&self.cancel)))
            .unwrap_or_else(|panic| Err(panicked(panic)))
    }

    fn give_up(&self) -> bool {
        // For a closure that runs, and asks.
        self.cancel.cancel();
        self.answer.leave();
        self.take().is_some()
    }
}

fn panicked(panic: Box<dyn Any + Send>) -> Error {
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let error = Error::new(
        ErrorKind::Panicked,
        format!("a job panicked: {}", said.unwrap_or("no message")),
    );
    // Dropping what was panicked with is foreign code too, and may panic in its turn.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(panic)));
    error
}
