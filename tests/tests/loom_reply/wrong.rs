//! Slots that are wrong in a way that such code has been wrong elsewhere. The programs must fail
//! on each of them, and on none that is right.

use crate::{
    Act, Mailbox, Program, Value, explore, programs, run,
    sync::{Mutex, lock},
};
use std::{
    mem,
    task::{Context, Poll, Waker},
};

/// A slot with one of the errors below.
struct Wrong<const ERROR: u8> {
    state: Mutex<WrongState>,
}

/// Looks whether there is a value, and leaves its waker in a second step.
const CHECK_THEN_REGISTER: u8 = 0;
/// Wakes first and stores the value then.
const WAKE_THEN_STORE: u8 = 1;
/// Keeps the waker of the first poll.
const FIRST_WAKER_STAYS: u8 = 2;
/// Takes a second value in place of the first.
const OVERWRITES: u8 = 3;
/// Does not wake when the sender hangs up.
const SILENT_HANG_UP: u8 = 4;

#[derive(Default)]
struct WrongState {
    value: Option<Value>,
    waker: Option<Waker>,
    over: bool,
}

impl<const ERROR: u8> Mailbox for Wrong<ERROR> {
    fn new() -> Self {
        let state = Mutex::new(WrongState::default());
        Self { state }
    }

    fn send(&self, value: Value) -> Result<(), Value> {
        let mut state = lock(&self.state);
        if state.over || state.value.is_some() && ERROR != OVERWRITES {
            return Err(value);
        }
        let waker = state.waker.take();
        if ERROR == WAKE_THEN_STORE {
            drop(state);
            waker.into_iter().for_each(Waker::wake);
            lock(&self.state).value = Some(value);
            return Ok(());
        }
        let before = state.value.replace(value);
        drop(state);
        drop(before);
        waker.into_iter().for_each(Waker::wake);
        Ok(())
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Value>> {
        let mut state = lock(&self.state);
        if state.over || state.value.is_some() {
            state.over = true;
            return Poll::Ready(state.value.take());
        }
        if ERROR == CHECK_THEN_REGISTER {
            drop(state);
            state = lock(&self.state);
        }
        let before = match &state.waker {
            Some(_) if ERROR == FIRST_WAKER_STAYS => None,
            _ => state.waker.replace(context.waker().clone()),
        };
        drop(state);
        drop(before);
        Poll::Pending
    }

    fn hang_up(&self) {
        let mut state = lock(&self.state);
        let waker = state.waker.take();
        state.over |= state.value.is_none();
        drop(state);
        if ERROR != SILENT_HANG_UP {
            waker.into_iter().for_each(Waker::wake);
        }
    }

    fn leave(&self) {
        let gone = WrongState {
            over: true,
            ..WrongState::default()
        };
        let before = mem::replace(&mut *lock(&self.state), gone);
        drop(before);
    }
}

/// A model without an error in it: that the wrong ones fail is then their error's doing.
const NONE: u8 = u8::MAX;

#[test]
fn the_programs_accept_a_slot_that_is_made_in_another_way() {
    for program in programs().into_iter().filter(is_short) {
        explore(move || run::<Wrong<NONE>>(program));
    }
}

/// The others take most of the time, and see nothing of these errors that these do not.
fn is_short((senders, steps): &Program) -> bool {
    senders
        .iter()
        .all(|acts| acts.len() == 1 && *acts != [Act::Wake])
        && steps.len() <= 2
}

/// Runs all programs on a slot with this error. One of them must fail.
fn must_fail<const ERROR: u8>() {
    for program in programs().into_iter().filter(is_short) {
        explore(move || run::<Wrong<ERROR>>(program));
    }
}

#[test]
#[should_panic(expected = "deadlock")]
fn the_model_sees_a_waker_that_is_left_too_late() {
    must_fail::<CHECK_THEN_REGISTER>();
}

#[test]
#[should_panic(expected = "deadlock")]
fn the_model_sees_a_wake_up_before_the_value() {
    must_fail::<WAKE_THEN_STORE>();
}

#[test]
#[should_panic(expected = "deadlock")]
fn the_model_sees_a_waker_that_is_out_of_date() {
    must_fail::<FIRST_WAKER_STAYS>();
}

#[test]
#[should_panic(expected = "two values in one slot")]
fn the_model_sees_a_value_that_is_overwritten() {
    must_fail::<OVERWRITES>();
}

#[test]
#[should_panic(expected = "deadlock")]
fn the_model_sees_a_hang_up_that_wakes_nobody() {
    must_fail::<SILENT_HANG_UP>();
}
