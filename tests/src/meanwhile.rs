//! Something that goes on while something else is done.

use crate::random::Random;
use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

/// Does something while so many threads repeat something else, each with choices of its own and the number of the
/// round, from 1 on. Nothing goes on when it is done or has panicked.
///
/// # Panics
///
/// If one of them does.
pub fn meanwhile<T>(
    threads: u64,
    repeated: impl Fn(&mut Random, u64) + Sync,
    done: impl FnOnce() -> T,
) -> T {
    let over = AtomicBool::new(false);
    let done = thread::scope(|scope| {
        for seed in 0..threads {
            let (repeated, over) = (&repeated, &over);
            scope.spawn(move || {
                let mut random = Random(seed);
                for round in 1.. {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
                    repeated(&mut random, round);
                }
            });
        }
        let done = catch_unwind(AssertUnwindSafe(done));
        over.store(true, Ordering::Relaxed);
        done
    });
    done.unwrap_or_else(|panic| resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "it is done")]
    fn a_panic_ends_what_goes_on() {
        meanwhile(2, |_, _| thread::yield_now(), || panic!("it is done"));
    }
}
