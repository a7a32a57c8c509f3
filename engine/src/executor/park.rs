//! Waiting for a future on the calling thread, by parking it.

use parking::Parker;
use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Instant,
};

/// Runs a future to its end on this thread, which sleeps while there is nothing to do.
///
/// ```
/// use amphora::{Lane, Pools, block_on};
///
/// let pools = Pools::shared()?;
/// let (a, b) = block_on(async { (pools.run(Lane::Io, || 1).await, pools.run(Lane::Io, || 2).await) });
/// assert_eq!(a? + b?, 3);
/// # Ok::<_, amphora::Error>(())
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let parker = Parker::new();
    let waker = Waker::from(parker.unparker());
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        parker.park();
    }
}

/// As [`block_on`], but gives up at `deadline`: after a last poll it is `None`.
pub(crate) fn block_on_until<F: Future>(future: F, deadline: Option<Instant>) -> Option<F::Output> {
    let Some(deadline) = deadline else {
        return Some(block_on(future));
    };
    let mut future = pin!(future);
    let parker = Parker::new();
    let waker = Waker::from(parker.unparker());
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Some(output);
        }
        if Instant::now() >= deadline {
            return None;
        }
        parker.park_deadline(deadline);
    }
}
