//! What a runtime gives the engine, and nothing more: a place to run a caller's future, and a clock.
//!
//! Adapter crates implement [`Executor`] for their runtime. [`ThreadExecutor`] needs none: it
//! serves plain threads, and stands in where an operation has no runtime. Storage work never
//! runs on an executor.

mod beside;
mod park;
mod timer;

pub(crate) use beside::beside;
pub use park::block_on;
pub(crate) use park::block_on_until;

use std::{fmt, future::Future, pin::Pin, thread, time::Duration};

/// A future on the heap that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A runtime, as far as the engine needs one.
///
/// ```
/// use amphora::{BoxFuture, Executor};
/// use std::time::Duration;
///
/// #[derive(Debug)]
/// struct Smol;
///
/// impl Executor for Smol {
///     fn spawn(&self, task: BoxFuture<'static, ()>) {
///         smol::spawn(task).detach();
///     }
///     fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
///         Box::pin(async move { drop(smol::Timer::after(duration).await) })
///     }
/// }
/// ```
pub trait Executor: Send + Sync + fmt::Debug + 'static {
    /// Runs a future that belongs to the user, on the user's runtime. The engine spawns none in this version.
    fn spawn(&self, task: BoxFuture<'static, ()>);
    /// Completes after `duration` by the runtime's clock. Used for deadlines.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// Threads in place of a runtime: one timer thread for the process, while anybody sleeps, and a
/// thread for each spawned future.
#[derive(Clone, Copy, Debug, Default)]
pub struct ThreadExecutor;

impl Executor for ThreadExecutor {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        let thread = thread::Builder::new().name("amphora-task".into());
        if let Err(error) = thread.spawn(move || block_on(task)) {
            tracing::error!(%error, "a spawned future was dropped: its thread did not start");
        }
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(timer::sleep(duration))
    }
}
