//! Who wins when an operation is cancelled while it starts, and how a running job learns of it.
//!
//! A [`Cancel`] belongs to one operation. Its two bits are set by atomic read-modify-writes, so
//! that of a claim and a cancellation exactly one comes first and both sides agree which: a
//! cancelled write that was not claimed is never made, a claimed one completes whole. (A job is
//! claimed by taking its closure.) It never blocks and wakes nobody; a [`CancelToken`], which is
//! the user's, wakes those who listen.

use crate::error::{Error, ErrorKind, Outcome, Result};
use event_listener::{Event, EventListener};
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::{Duration, Instant},
};

const CLAIMED: u8 = 1;
const CANCELLED: u8 = 2;
/// Not about cancelling: the operation wants to be refused rather than wait for a place.
const NO_WAITING: u8 = 4;

/// The cancellation state of one operation. A long-running closure gets it and asks
/// [`check`](Self::check) about once in a millisecond.
#[derive(Debug, Default)]
pub struct Cancel {
    bits: AtomicU8,
    /// Apart, since most jobs have none, and what a job does not carry need not cross to the
    /// processor that runs it.
    limit: OnceLock<Box<Limit>>,
}

/// What ends an operation from outside.
#[derive(Debug)]
struct Limit {
    deadline: Option<Instant>,
    token: Option<CancelToken>,
}

impl Cancel {
    /// Rows between two looks, some microseconds apart.
    pub(crate) const STRIDE: u32 = 256;

    /// Whether to go on.
    ///
    /// # Errors
    /// `Cancelled` when the operation was dropped or its token was cancelled, `Timeout` when its
    /// deadline has passed. A job returns the error as it is.
    pub fn check(&self) -> Result<()> {
        if self.bits.load(Ordering::Relaxed) & CANCELLED != 0 {
            return Err(cancelled());
        }
        self.limit.get().map_or(Ok(()), |limit| limit.check())
    }

    /// [`check`](Self::check) for a loop over rows: it may be called for each, and asks at some.
    pub(crate) fn check_at(&self, row: u32) -> Result<()> {
        if row.is_multiple_of(Self::STRIDE) {
            self.check()
        } else {
            Ok(())
        }
    }

    /// The side that does the work takes it. False when it was cancelled before: then it must
    /// have no effect.
    pub(crate) fn claim(&self) -> bool {
        self.bits.fetch_or(CLAIMED, Ordering::AcqRel) & CANCELLED == 0
    }

    /// The side that asked for the work gives it up. True when it was not claimed before: then
    /// it has no effect and never will.
    pub(crate) fn cancel(&self) -> bool {
        self.bits.fetch_or(CANCELLED, Ordering::AcqRel) & CLAIMED == 0
    }

    /// One that a token cancels.
    pub(crate) fn by(token: CancelToken) -> Self {
        let cancel = Self::default();
        cancel.set_limit(None, Some(token));
        cancel
    }

    /// One for a step that has no effect: as willing to wait as this, and claimed apart from it.
    pub(crate) fn step(&self) -> Self {
        let step = Self::default();
        if !self.waits() {
            step.refuse_waiting();
        }
        step
    }

    pub(crate) fn refuse_waiting(&self) {
        self.bits.fetch_or(NO_WAITING, Ordering::AcqRel);
    }

    pub(crate) fn waits(&self) -> bool {
        self.bits.load(Ordering::Acquire) & NO_WAITING == 0
    }

    /// Set once, before the work is handed over.
    pub(crate) fn set_limit(&self, deadline: Option<Instant>, token: Option<CancelToken>) {
        if deadline.is_some() || token.is_some() {
            let _ = self.limit.set(Box::new(Limit { deadline, token }));
        }
    }
}

impl Limit {
    fn check(&self) -> Result<()> {
        if self.token.as_ref().is_some_and(CancelToken::is_cancelled) {
            return Err(cancelled());
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => {
                Err(timed_out(Outcome::NotApplied, None))
            }
            _ => Ok(()),
        }
    }
}

/// Cancels any number of operations together. Cheap to clone; all clones are one token.
///
/// ```
/// use amphora::{CancelToken, ErrorKind, Lane, Pools};
///
/// let pools = Pools::shared()?;
/// let token = CancelToken::new();
/// let op = pools.run(Lane::Io, || 42).cancel_on(&token);
/// token.cancel();
/// assert_eq!(op.wait().unwrap_err().kind(), ErrorKind::Cancelled);
/// # Ok::<_, amphora::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<Signal>);

#[derive(Debug, Default)]
struct Signal {
    cancelled: AtomicBool,
    event: Event,
}

impl CancelToken {
    /// A token that is not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels every operation that was given this token, now or later.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
        self.0.event.notify(usize::MAX);
    }

    /// Whether [`cancel`](Self::cancel) was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// To be awaited; the caller looks at [`is_cancelled`](Self::is_cancelled) after this.
    pub(crate) fn listen(&self) -> EventListener {
        self.0.event.listen()
    }
}

pub(crate) fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "the operation was cancelled")
}

pub(crate) fn timed_out(outcome: Outcome, timeout: Option<Duration>) -> Error {
    let message = match timeout {
        Some(timeout) => format!("there was no answer within {timeout:?}"),
        None => "the deadline of the operation passed".to_owned(),
    };
    Error::new(ErrorKind::Timeout(outcome), message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::Barrier, thread};

    #[test]
    fn of_a_claim_and_a_cancellation_exactly_one_comes_first() {
        for _ in 0..2_000 {
            let cancel = Cancel::default();
            let start = Barrier::new(2);
            let (claimed, withdrawn) = thread::scope(|scope| {
                let claim = scope.spawn(|| {
                    start.wait();
                    cancel.claim()
                });
                start.wait();
                let withdrawn = cancel.cancel();
                (claim.join().unwrap(), withdrawn)
            });
            assert!(
                claimed != withdrawn,
                "claimed {claimed}, withdrawn {withdrawn}"
            );
        }
    }
}
