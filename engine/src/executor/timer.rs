//! The timer thread of the process: wakes who sleeps, earliest first.
//!
//! It starts with the first sleeper and ends when it has had none for a while, so that a program
//! that never sleeps has no such thread. A sleeper that is dropped leaves at once.

use crate::sync::{Mutex, MutexGuard, lock};
use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Condvar, PoisonError},
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

/// How long the thread stays without a sleeper.
const IDLE: Duration = Duration::from_secs(1);

/// By due time; the number tells sleepers with the same one apart.
type Key = (Instant, u64);

struct Timer {
    sleepers: Mutex<Sleepers>,
    changed: Condvar,
}

struct Sleepers {
    by_due: BTreeMap<Key, Waker>,
    next: u64,
    running: bool,
}

static TIMER: Timer = Timer {
    sleepers: Mutex::new(Sleepers {
        by_due: BTreeMap::new(),
        next: 0,
        running: false,
    }),
    changed: Condvar::new(),
};

/// Completes after `duration`, counted from now.
pub(super) fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
    Sleep {
        due: Instant::now().checked_add(duration),
        key: None,
    }
}

struct Sleep {
    /// `None` is beyond the end of the clock.
    due: Option<Instant>,
    key: Option<Key>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Some(due) = self.due else {
            return Poll::Pending;
        };
        if Instant::now() >= due {
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        let before = match self.key {
            Some(key) => TIMER.sleepers().by_due.insert(key, waker),
            None => {
                self.key = Some(TIMER.add(due, waker));
                None
            }
        };
        drop(before);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let waker = TIMER.sleepers().by_due.remove(&key);
            drop(waker);
        }
    }
}

impl Timer {
    fn sleepers(&self) -> MutexGuard<'_, Sleepers> {
        lock(&self.sleepers)
    }

    fn add(&'static self, due: Instant, waker: Waker) -> Key {
        let mut sleepers = self.sleepers();
        sleepers.next += 1;
        let key = (due, sleepers.next);
        sleepers.by_due.insert(key, waker);
        let first = sleepers.by_due.first_key_value().map(|(key, _)| *key) == Some(key);
        if !sleepers.running {
            let thread = thread::Builder::new().name("amphora-timer".into());
            match thread.spawn(|| self.run()) {
                Ok(_) => sleepers.running = true,
                // The next sleeper tries again, and wakes those that are due by then.
                Err(error) => tracing::error!(%error, "the timer thread did not start"),
            }
        } else if first {
            self.changed.notify_one();
        }
        key
    }

    fn run(&self) {
        let mut sleepers = self.sleepers();
        loop {
            let now = Instant::now();
            let wait = match sleepers.by_due.first_key_value() {
                Some(((due, _), _)) if *due <= now => {
                    let waker = sleepers.by_due.pop_first().map(|(_, waker)| waker);
                    drop(sleepers);
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                    sleepers = self.sleepers();
                    continue;
                }
                // The earliest may leave, and be the last: it is looked for now and then.
                Some(((due, _), _)) => (*due - now).min(IDLE),
                None => IDLE,
            };
            let waited = self.changed.wait_timeout(sleepers, wait);
            let (guard, _) = waited.unwrap_or_else(PoisonError::into_inner);
            sleepers = guard;
            if sleepers.by_due.is_empty() && now.elapsed() >= IDLE {
                sleepers.running = false;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{block_on, block_on_until};
    use super::*;

    #[test]
    fn sleepers_wake_in_their_order_whatever_order_they_came_in() {
        let started = Instant::now();
        let threads: Vec<_> = [30u64, 10, 20]
            .into_iter()
            .map(|millis| {
                thread::spawn(move || {
                    block_on(sleep(Duration::from_millis(millis)));
                    (millis, started.elapsed())
                })
            })
            .collect();
        for thread in threads {
            let (millis, woke) = thread.join().unwrap();
            assert!(woke >= Duration::from_millis(millis), "{millis}: {woke:?}");
        }
    }

    #[test]
    fn a_dropped_sleeper_leaves() {
        let far = Duration::from_secs(86_399);
        let due = Instant::now() + far;
        let soon = Instant::now() + Duration::from_millis(5);
        assert!(block_on_until(sleep(far), Some(soon)).is_none());
        let late = |key: &Key| key.0 >= due;
        assert!(!TIMER.sleepers().by_due.keys().any(late));
    }

    #[test]
    fn an_endless_sleep_does_not_overflow() {
        let soon = Instant::now() + Duration::from_millis(5);
        assert!(block_on_until(sleep(Duration::MAX), Some(soon)).is_none());
    }
}
