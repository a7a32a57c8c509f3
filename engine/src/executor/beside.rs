//! Two things at once, of which one blocks.

use std::{panic::resume_unwind, thread};

/// Does `blocking` on a thread of its own while the caller does `meanwhile`, and waits for both.
/// Gives nothing of the first, which was not done, if there is no thread to be had.
pub(crate) fn beside<T: Send, U>(
    name: &str,
    blocking: impl FnOnce() -> T + Send,
    meanwhile: impl FnOnce() -> U,
) -> (Option<T>, U) {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name(name.into());
        let blocking = thread.spawn_scoped(scope, blocking);
        let done = meanwhile();
        let waited = blocking.ok().map(|blocking| match blocking.join() {
            Ok(waited) => waited,
            Err(panic) => resume_unwind(panic),
        });
        (waited, done)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{panic::catch_unwind, sync::mpsc::channel};

    #[test]
    fn each_may_wait_for_the_other() {
        let (to_blocking, received) = channel();
        let (to_caller, answered) = channel();
        let blocking = move || {
            let number: u32 = received.recv().unwrap();
            to_caller.send(number + 1).unwrap();
            number
        };
        let meanwhile = || {
            to_blocking.send(1).unwrap();
            answered.recv().unwrap()
        };
        assert_eq!(beside("test", blocking, meanwhile), (Some(1), 2));
    }

    #[test]
    fn a_panic_is_the_callers() {
        let caught = catch_unwind(|| beside("test", || panic!("planned"), || ()));
        assert!(caught.is_err());
    }
}
