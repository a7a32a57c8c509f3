//! A bounded queue that is taken from without waiting, and put into with or without.
//!
//! The fast paths are those of crossbeam's array queue and one look at whether anybody waits for
//! a place; an `async-channel` does the same with four more memory fences, which is a tenth of the
//! whole way of a short job. It never blocks a thread.
//!
//! **Invariant**: while a place is free, no sender sleeps that was not woken since it became free.
//! The sender writes that it waits and then looks for a place, the taker frees the place and then
//! looks for a sender, with a full fence between on both sides.

use crossbeam_queue::ArrayQueue;
use event_listener::Event;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

pub(super) struct Queue<T> {
    items: ArrayQueue<T>,
    /// Senders that wait for a place.
    waiting: AtomicUsize,
    freed: Event,
    closed: AtomicBool,
}

/// Why an item was not taken in; it comes back.
#[derive(Debug)]
pub(super) enum Full<T> {
    Full(T),
    Closed(T),
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            items: ArrayQueue::new(capacity),
            waiting: AtomicUsize::new(0),
            freed: Event::new(),
            closed: AtomicBool::new(false),
        }
    }

    pub(super) fn try_send(&self, item: T) -> Result<(), Full<T>> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Full::Closed(item));
        }
        self.items.push(item).map_err(Full::Full)
    }

    /// Waits for a place. Gives the item back when the queue is closed. Dropping the future drops
    /// the item, and leaves the place to the next.
    pub(super) async fn send(&self, mut item: T) -> Result<(), T> {
        let _waiting = Waiting::new(&self.waiting);
        loop {
            let freed = self.freed.listen();
            fence(Ordering::SeqCst);
            match self.try_send(item) {
                Ok(()) => return Ok(()),
                Err(Full::Closed(item)) => return Err(item),
                Err(Full::Full(back)) => item = back,
            }
            freed.await;
        }
    }

    pub(super) fn try_take(&self) -> Option<T> {
        let item = self.items.pop()?;
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.freed.notify_additional(1);
        }
        Some(item)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Nothing is taken in any more. An item that was on its way may still come in.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.freed.notify(usize::MAX);
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smol::{Timer, block_on, future::or};
    use std::{
        collections::BTreeSet,
        future::Future,
        pin::pin,
        sync::atomic::AtomicU64,
        task::{Context, Poll, Waker},
        thread,
        time::Duration,
    };

    #[test]
    fn a_full_queue_gives_the_item_back_and_a_closed_one_too() {
        let queue = Queue::new(1);
        queue.try_send(1).unwrap();
        assert!(matches!(queue.try_send(2), Err(Full::Full(2))));
        queue.close();
        assert!(matches!(queue.try_send(3), Err(Full::Closed(3))));
        assert_eq!(block_on(queue.send(4)), Err(4));
        assert_eq!(queue.try_take(), Some(1), "what was taken in stays");
    }

    #[test]
    fn a_sender_that_leaves_passes_its_place_on() {
        let queue = Queue::new(1);
        queue.try_send(0).unwrap();
        let mut context = Context::from_waker(Waker::noop());
        let mut second = pin!(queue.send(2));
        {
            let mut first = pin!(queue.send(1));
            assert!(first.as_mut().poll(&mut context).is_pending());
            assert!(second.as_mut().poll(&mut context).is_pending());
            assert_eq!(queue.try_take(), Some(0));
            // Notified, and dropped before it could act on it.
        }
        assert_eq!(second.as_mut().poll(&mut context), Poll::Ready(Ok(())));
        assert_eq!(queue.try_take(), Some(2));
    }

    #[test]
    fn closing_wakes_who_waits() {
        let queue = Queue::new(1);
        queue.try_send(0).unwrap();
        thread::scope(|scope| {
            let sender = scope.spawn(|| block_on(queue.send(1)));
            thread::sleep(Duration::from_millis(20));
            queue.close();
            assert_eq!(sender.join().unwrap(), Err(1));
        });
    }

    /// Senders that wait, senders that give up while they wait, and takers: every item that was
    /// sent is taken once, and nobody is left asleep beside a free place.
    #[test]
    fn nothing_is_lost_between_many_threads() {
        const EACH: u64 = 4_000;
        let queue = Queue::new(2);
        let (sent, left) = (AtomicU64::new(0), AtomicU64::new(4));
        let taken = thread::scope(|scope| {
            for sender in 0..4u64 {
                let (queue, sent, left) = (&queue, &sent, &left);
                scope.spawn(move || {
                    for item in 0..EACH {
                        let item = sender * EACH + item;
                        let sending = async { queue.send(item).await.is_ok() };
                        let impatience = async {
                            match item % 3 {
                                0 => drop(Timer::after(Duration::from_micros(item % 40)).await),
                                _ => std::future::pending().await,
                            }
                            false
                        };
                        if block_on(or(sending, impatience)) {
                            sent.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    left.fetch_sub(1, Ordering::Release);
                });
            }
            let takers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        let mut taken = Vec::new();
                        while left.load(Ordering::Acquire) > 0 || !queue.is_empty() {
                            taken.extend(queue.try_take());
                        }
                        taken
                    })
                })
                .collect();
            takers
                .into_iter()
                .flat_map(|taker| taker.join().unwrap())
                .collect::<Vec<_>>()
        });
        let distinct: BTreeSet<_> = taken.iter().collect();
        assert_eq!(distinct.len(), taken.len(), "an item was taken twice");
        // One that gave up in the moment in which it got its place may have been sent.
        assert!(taken.len() as u64 >= sent.load(Ordering::Relaxed));
    }
}
