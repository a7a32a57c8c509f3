//! Model-checks the reply slot: loom runs every interleaving of three threads on it.
//!
//! The engine's own file is compiled here beside a lock of loom's, so that what is checked is what
//! ships. A table of short programs, one for each thread, covers who sends, hangs up, polls,
//! waits, wakes and leaves. The same programs must fail on slots that are wrong in a known way,
//! which shows that the model would see an error.

#[path = "../../../engine/src/reply.rs"]
mod reply;
mod wrong;

/// The lock that `reply.rs` asks for, as loom schedules it.
mod sync {
    pub(crate) use loom::sync::{Mutex, MutexGuard};

    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap()
    }
}

use futures::task::{ArcWake, noop_waker, waker_ref};
use loom::{sync::Condvar, thread};
use reply::{Receiver, Slot, channel};
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
};
use sync::{Mutex, lock};

/// A slot as the programs use it: the real one, or one with an error in it.
trait Mailbox: Send + Sync + 'static {
    fn new() -> Self;
    fn send(&self, value: Value) -> Result<(), Value>;
    fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Value>>;
    fn hang_up(&self);
    fn leave(&self);
}

impl Mailbox for Slot<Value> {
    fn new() -> Self {
        Self::new()
    }
    fn send(&self, value: Value) -> Result<(), Value> {
        self.send(value)
    }
    fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Value>> {
        self.poll(context)
    }
    fn hang_up(&self) {
        self.hang_up();
    }
    fn leave(&self) {
        self.leave();
    }
}

/// One of at most two values; its drop is counted.
#[derive(Debug)]
struct Value(usize, Arc<Drops>);

type Drops = [AtomicUsize; 2];

impl Drop for Value {
    fn drop(&mut self) {
        self.1[self.0].fetch_add(1, SeqCst);
    }
}

/// What a thread of the sending side does, in order.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Send,
    HangUp,
    /// Wakes the receiver for no reason.
    Wake,
    /// The receiver was moved here and is dropped.
    Leave,
}

/// What the receiver does, in order.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    /// One poll with a waker of its own.
    Poll,
    /// Polls and sleeps until there is an answer; ends the program if there is one already.
    Wait,
    Leave,
    /// Joins the others first: whoever was told `Pending` must have been woken by then.
    Woken,
}

type Program = ([&'static [Act]; 2], &'static [Step]);

/// Every pair of a sending side that ends, with a receiver.
fn programs() -> Vec<Program> {
    use Act::{HangUp, Leave, Send, Wake};
    let first: [&[Act]; 3] = [&[Send], &[HangUp], &[Send, HangUp]];
    let second: [&[Act]; 4] = [&[Send], &[HangUp], &[Wake], &[Leave]];
    let receivers: [&[Step]; 8] = [
        &[Step::Wait],
        &[Step::Poll, Step::Wait],
        &[Step::Poll, Step::Poll, Step::Wait],
        &[Step::Leave],
        &[Step::Poll, Step::Leave],
        &[Step::Poll, Step::Poll, Step::Leave],
        &[Step::Poll, Step::Woken],
        &[Step::Poll, Step::Poll, Step::Woken],
    ];
    let mut programs = Vec::new();
    for a in first {
        for b in second {
            for receiver in receivers {
                // A receiver that was moved away to be dropped is not waited for as well.
                let gone = b == [Leave];
                if !(gone
                    && receiver
                        .iter()
                        .any(|s| matches!(s, Step::Wait | Step::Woken)))
                {
                    programs.push(([a, b], receiver));
                }
            }
        }
    }
    programs.push(([&[Send], &[Wake, Send]], &[Step::Wait]));
    programs
}

/// A waker that counts, and wakes who waits. It is not loom's own, whose clones are counted by
/// atomics that are scheduled too: that multiplies the interleavings by what is not the slot's.
#[derive(Default)]
struct Bell {
    rung: Mutex<usize>,
    ringing: Condvar,
}

impl ArcWake for Bell {
    fn wake_by_ref(bell: &Arc<Self>) {
        *lock(&bell.rung) += 1;
        bell.ringing.notify_one();
    }
}

/// What all threads of one run share.
struct Shared<M> {
    mailbox: M,
    /// Wakes the receiver that waits.
    bell: Arc<Bell>,
    drops: Arc<Drops>,
}

impl<M: Mailbox> Shared<M> {
    /// Runs one thread of the sending side. True if its value was taken.
    fn act(&self, number: usize, acts: &[Act]) -> bool {
        let mut accepted = false;
        for act in acts {
            match act {
                Act::Send => match self.mailbox.send(Value(number, Arc::clone(&self.drops))) {
                    Ok(()) => accepted = true,
                    Err(back) => assert_eq!(back.0, number, "another's value came back"),
                },
                Act::HangUp => self.mailbox.hang_up(),
                Act::Wake => ArcWake::wake_by_ref(&self.bell),
                Act::Leave => self.mailbox.leave(),
            }
        }
        accepted
    }

    /// Sleeps until there is an answer.
    fn wait(&self) -> Option<Value> {
        block_on(poll_fn(|context| self.mailbox.poll(context)), &self.bell)
    }
}

/// Polls, and polls again when the bell has rung since.
fn block_on<F: Future + Unpin>(mut future: F, bell: &Arc<Bell>) -> F::Output {
    let waker = waker_ref(bell);
    let mut context = Context::from_waker(&waker);
    let mut heard = 0;
    loop {
        if let Poll::Ready(output) = Pin::new(&mut future).poll(&mut context) {
            return output;
        }
        let mut rung = lock(&bell.rung);
        while *rung == heard {
            rung = bell.ringing.wait(rung).unwrap();
        }
        heard = *rung;
    }
}

/// One run of a program, in the interleaving that loom chose.
fn run<M: Mailbox>((senders, steps): Program) {
    let shared = Arc::new(Shared {
        mailbox: M::new(),
        bell: Arc::default(),
        drops: Arc::default(),
    });
    let drops = Arc::clone(&shared.drops);
    let spawn = |number: usize| {
        let shared = Arc::clone(&shared);
        thread::spawn(move || shared.act(number, senders[number]))
    };
    let mut threads = Some([spawn(0), spawn(1)]);
    let mut accepted = [false; 2];
    let mut join = || {
        for (thread, accepted) in threads.take().into_iter().flatten().zip(&mut accepted) {
            *accepted = thread.join().unwrap();
        }
    };

    // The answer, once there is one; `Some(None)` says that none will come.
    let mut answer: Option<Option<Value>> = None;
    let mut left = senders[1] == [Act::Leave];
    let mut pending: Option<Arc<Bell>> = None;
    for step in steps {
        if answer.is_some() {
            break;
        }
        match step {
            Step::Poll => {
                let bell = Arc::<Bell>::default();
                let waker = waker_ref(&bell);
                match shared.mailbox.poll(&mut Context::from_waker(&waker)) {
                    Poll::Ready(value) => answer = Some(value),
                    Poll::Pending => pending = Some(Arc::clone(&bell)),
                }
            }
            Step::Wait => answer = Some(shared.wait()),
            Step::Leave => {
                shared.mailbox.leave();
                left = true;
            }
            Step::Woken => {
                join();
                if let Some(bell) = &pending {
                    let woken = *lock(&bell.rung);
                    assert_eq!(woken, 1, "the last waker is woken exactly once");
                }
                match shared.mailbox.poll(&mut Context::from_waker(&noop_waker())) {
                    Poll::Ready(value) => answer = Some(value),
                    Poll::Pending => panic!("the senders have gone and there is no answer"),
                }
            }
        }
    }
    join();

    assert!(accepted != [true; 2], "two values in one slot");
    if let Some(Some(value)) = &answer {
        assert!(accepted[value.0], "a value arrived and was given back");
    }
    if !left {
        let arrived = answer.as_ref().and_then(Option::as_ref).map(|v| v.0);
        let sent = accepted.iter().position(|sent| *sent);
        assert_eq!(arrived, sent, "what was sent is what arrived");
    }
    let (slot, bell) = (Arc::downgrade(&shared), Arc::downgrade(&shared.bell));
    let last = pending.as_ref().map(Arc::downgrade);
    drop((answer, pending, shared));
    assert!(slot.upgrade().is_none(), "the slot leaked");
    assert!(bell.upgrade().is_none(), "a waker leaked");
    assert!(
        last.and_then(|bell| bell.upgrade()).is_none(),
        "a waker leaked"
    );
    for (number, acts) in senders.iter().enumerate() {
        let made = usize::from(acts.contains(&Act::Send));
        assert_eq!(drops[number].load(SeqCst), made, "drops of value {number}");
    }
}

/// Runs a program in every interleaving, and says how many there are.
fn explore(run: impl Fn() + Send + Sync + 'static) -> u64 {
    let interleavings = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&interleavings);
    loom::model(move || {
        count.fetch_add(1, SeqCst);
        run();
    });
    interleavings.load(SeqCst)
}

#[test]
fn every_interleaving_of_three_threads_delivers_once_and_wakes() {
    let programs = programs();
    let count = programs.len();
    let total: u64 = programs
        .into_iter()
        .map(|program| explore(move || run::<Slot<Value>>(program)))
        .sum();
    println!("{count} programs, {total} interleavings");
    assert!(
        total > 10_000,
        "only {total} interleavings: nothing was explored"
    );
}

/// The owned ends: each sends, hangs up or leaves by its drop, and the receiver changes threads.
#[test]
fn a_receiver_that_moves_between_threads_is_woken_where_it_last_was() {
    let mut total = 0;
    for sends in [false, true] {
        for drops_it in [false, true] {
            total += explore(move || {
                let drops: Arc<Drops> = Arc::default();
                let (sender, mut receiver) = channel();
                let value = Value(0, Arc::clone(&drops));
                let sending = thread::spawn(move || {
                    if sends {
                        sender.send(value).is_ok()
                    } else {
                        drop((sender, value));
                        false
                    }
                });
                let polling = thread::spawn(move || {
                    let waker = noop_waker();
                    let polled = Pin::new(&mut receiver).poll(&mut Context::from_waker(&waker));
                    (polled, receiver)
                });
                let (polled, receiver): (_, Receiver<Value>) = polling.join().unwrap();
                let answer = match polled {
                    Poll::Ready(answer) => answer,
                    Poll::Pending if drops_it => {
                        drop(receiver);
                        None
                    }
                    Poll::Pending => block_on(receiver, &Arc::<Bell>::default()),
                };
                let accepted = sending.join().unwrap();
                assert!(accepted || answer.is_none());
                assert!(drops_it || answer.is_some() == accepted);
                drop(answer);
                assert_eq!(drops[0].load(SeqCst), 1);
            });
        }
    }
    println!("{total} interleavings");
}
