//! The way back: one value from the thread that did the work to the one that waits for it.
//!
//! A [`Slot`] is filled at most once and emptied at most once, by any thread on either side. It
//! is safe code over one lock, which is held for a few instructions: a waker is cloned under it, but
//! woken, as a value or a waker is dropped, after the lock is released.
//! Nothing is lost whichever side goes first: a value that nobody can take comes back to the
//! sender, and a receiver whose sender has gone is told so.

#![forbid(unsafe_code)]

use crate::sync::{Mutex, lock};
use std::{
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// The place where a value is left and taken.
#[derive(Debug)]
pub(crate) struct Slot<T> {
    state: Mutex<State<T>>,
}

#[derive(Debug)]
enum State<T> {
    /// Nothing sent yet. The waker is of the last poll.
    Waiting(Option<Waker>),
    Sent(T),
    /// Taken, or one side has gone.
    Over,
}

/// Two ends of a new slot.
pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let slot = Arc::new(Slot::new());
    (Sender(Arc::clone(&slot)), Receiver(slot))
}

/// Sends one value, or tells the receiver by its drop that none will come.
#[derive(Debug)]
pub(crate) struct Sender<T>(Arc<Slot<T>>);

/// Awaits the one value; `None` when the sender has gone without one.
#[derive(Debug)]
#[must_use = "a receiver does nothing until it is awaited"]
pub(crate) struct Receiver<T>(Arc<Slot<T>>);

impl<T> Sender<T> {
    /// Gives the value back when the receiver has gone.
    pub(crate) fn send(self, value: T) -> Result<(), T> {
        self.0.send(value)
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.hang_up();
    }
}

impl<T> Future for Receiver<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll(context)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl<T> Slot<T> {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State::Waiting(None)),
        }
    }

    /// Leaves the value and wakes the receiver; gives it back when the receiver has gone or a
    /// value was sent before.
    pub(crate) fn send(&self, value: T) -> Result<(), T> {
        let waker = {
            let mut state = lock(&self.state);
            match &mut *state {
                State::Waiting(waker) => {
                    let waker = waker.take();
                    *state = State::Sent(value);
                    waker
                }
                State::Sent(_) | State::Over => return Err(value),
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// Takes the value, or leaves the waker to be woken when it comes. `None` when it was taken
    /// already, or the receiver has gone.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = lock(&self.state);
        match &mut *state {
            State::Waiting(waker) => {
                if waker.as_ref().is_some_and(|w| w.will_wake(context.waker())) {
                    return Poll::Pending;
                }
                let before = waker.replace(context.waker().clone());
                drop(state);
                drop(before);
                Poll::Pending
            }
            State::Sent(_) => match mem::replace(&mut *state, State::Over) {
                State::Sent(value) => Poll::Ready(Some(value)),
                State::Waiting(_) | State::Over => Poll::Ready(None),
            },
            State::Over => Poll::Ready(None),
        }
    }

    /// The sender goes: if nothing was sent, nothing will be.
    pub(crate) fn hang_up(&self) {
        let waker = {
            let mut state = lock(&self.state);
            match &mut *state {
                State::Waiting(waker) => {
                    let waker = waker.take();
                    *state = State::Over;
                    waker
                }
                State::Sent(_) | State::Over => None,
            }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The receiver goes: what was sent, or will be, is for nobody.
    pub(crate) fn leave(&self) {
        let before = mem::replace(&mut *lock(&self.state), State::Over);
        drop(before);
    }
}
