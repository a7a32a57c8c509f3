//! Operations: what every method returns, awaited on any executor or waited for on any thread.
//!
//! An [`Op`] is lazy. Its work is either one job for a lane (a [`Task`]) or a flow: a future of
//! the engine that hands work over step by step, as a write does. Deadlines, cancelling and
//! admission are the same for both and live here. An operation never runs blocking work inside
//! `poll`; `wait` runs a read on the calling thread, and parks for everything else.

mod feed;
mod task;
mod each;

pub(crate) use each::each;
pub use feed::{Feed, IntoIter};

use crate::{
    cancel::{Cancel, CancelToken, cancelled, timed_out},
    error::{Error, ErrorKind, Outcome, Result},
    executor::{BoxFuture, Executor, ThreadExecutor, block_on_until},
    pool::{Entrance, Job, Lane, Pools, Refused, closed},
};
use event_listener::EventListener;
use std::{
    fmt,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use task::{Task, Work};

/// A lazy operation: nothing happens before the first poll or [`wait`](Self::wait).
///
/// `.await` it under any executor, or `.wait()` for it on any thread, also on one that runs an
/// executor: progress never needs the caller's.
///
/// # Errors
/// Besides its own, every operation may answer `Timeout` when its deadline passes
/// ([`Options::request_timeout`](crate::Options::request_timeout) unless [`timeout`](Self::timeout) says otherwise; there is none
/// for opening, `optimize`, `verify`, and snapshots that are restored or copied), `Cancelled` when its token is,
/// `Overloaded` if it was told not to wait and the queue is full, `Closed` and `Panicked`.
///
/// # Cancel safety
/// Dropping an operation cancels it. While it waits in a queue, it never runs. A read that runs
/// stops at its next check. A write that the commit thread has taken completes, whole.
///
/// ```
/// use amphora::{Lane, Pools};
///
/// let pools = Pools::shared()?;
/// let answer = pools.run(Lane::Io, || 6 * 7).wait()?;
/// assert_eq!(answer, 42);
/// # Ok::<_, amphora::Error>(())
/// ```
#[must_use = "an operation does nothing until it is awaited or waited for"]
pub struct Op<T> {
    stage: Stage<T>,
    /// Of a job; a flow is never run in place as a whole.
    inline: Inline,
    timeout: Option<Duration>,
    token: Option<Listening>,
    no_waiting: bool,
    /// Whose clock counts the timeout; the engine's own without one.
    executor: Option<Arc<dyn Executor>>,
    alarm: Alarm,
}

enum Stage<T> {
    /// A job that has not been handed over.
    Job(Arc<dyn Work<T>>, Entrance),
    /// A job that waits for a place in the queue.
    Admission(Arc<dyn Work<T>>, BoxFuture<'static, Result<()>>),
    /// A job in the queue, running, or answered.
    Queued(Arc<dyn Work<T>>),
    Flow(BoxFuture<'static, Result<T>>, Arc<Cancel>),
    Over,
}

/// Whether `wait` may run a job on the calling thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inline {
    /// It is a read, which checks its [`Cancel`] about once in a millisecond, deadline included.
    Always,
    /// It is foreign code or waits for a disk: only when there is no deadline to keep.
    WithoutDeadline,
    Never,
}

struct Listening {
    token: CancelToken,
    listener: Option<EventListener>,
}

enum Alarm {
    /// Nothing has begun.
    Unset,
    /// Begun, and not set: before the first pause, without a timeout, or because `wait` keeps it.
    Off,
    Set(BoxFuture<'static, ()>),
}

impl<T: Send + 'static> Op<T> {
    pub(crate) fn job(
        lane: Entrance,
        inline: Inline,
        work: impl FnOnce(&Cancel) -> Result<T> + Send + 'static,
    ) -> Self {
        Self::at(Stage::Job(Task::shared(work), lane), inline)
    }

    /// An operation that is a future of the engine. It gets the [`Cancel`] that its last step
    /// must claim before it has an effect.
    pub(crate) fn flow<F>(flow: impl FnOnce(Arc<Cancel>) -> F) -> Self
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let cancel = Arc::new(Cancel::default());
        let flow = Box::pin(flow(Arc::clone(&cancel)));
        Self::at(Stage::Flow(flow, cancel), Inline::Never)
    }

    /// An operation that answers this, for callers who know the answer before there is anything
    /// to do.
    pub fn ready(answer: Result<T>) -> Self {
        Self::flow(|_| std::future::ready(answer))
    }

    fn at(stage: Stage<T>, inline: Inline) -> Self {
        Self {
            stage,
            inline,
            timeout: None,
            token: None,
            no_waiting: false,
            executor: None,
            alarm: Alarm::Unset,
        }
    }

    /// Waits for a place in the queue only if the operation that this is a step of does.
    pub(crate) fn step_of(mut self, whole: &Cancel) -> Self {
        self.no_waiting = !whole.waits();
        self
    }

    pub(crate) fn on(mut self, executor: &Arc<dyn Executor>) -> Self {
        self.executor = Some(Arc::clone(executor));
        self
    }

    /// The deadline: answers [`Timeout`](ErrorKind::Timeout) when it has not ended by then,
    /// counted from the first poll or `wait`. The error says whether a write may still take effect.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Cancels the operation when `token` is: it then answers `Cancelled`, unless it had begun to
    /// commit; such a write completes and answers as if there were no token. An edit by a filter stops before its next
    /// step.
    pub fn cancel_on(mut self, token: &CancelToken) -> Self {
        self.token = Some(Listening {
            token: token.clone(),
            listener: None,
        });
        self
    }

    /// Answers [`Overloaded`](ErrorKind::Overloaded) at once when the queue is full, rather than
    /// wait for a place in it.
    pub fn try_admit(mut self) -> Self {
        self.no_waiting = true;
        self
    }

    /// Waits on this thread for the operation to end.
    ///
    /// A read runs right here, with no thread in between. Everything else is handed over, and the
    /// thread sleeps until the answer or the deadline.
    pub fn wait(mut self) -> Result<T> {
        let deadline = self.begin();
        let in_place = match self.inline {
            Inline::Always => true,
            Inline::WithoutDeadline => deadline.is_none() && self.token.is_none(),
            Inline::Never => false,
        };
        if let (Stage::Job(work, _), true) = (&self.stage, in_place) {
            return work.run_here();
        }
        let timeout = self.timeout.take();
        match block_on_until(&mut self, deadline) {
            Some(answer) => answer,
            None => Err(self.expire(timeout)),
        }
    }

    /// Fixes the deadline, and tells the work what may stop it.
    fn begin(&mut self) -> Option<Instant> {
        self.alarm = Alarm::Off;
        // A timeout beyond the end of the clock is none.
        let deadline = self
            .timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        let cancel = match &self.stage {
            Stage::Job(work, ..) => work.cancel(),
            Stage::Flow(_, cancel) => cancel,
            Stage::Admission(..) | Stage::Queued(_) | Stage::Over => return deadline,
        };
        let token = self.token.as_ref().map(|listening| listening.token.clone());
        cancel.set_limit(deadline, token);
        if self.no_waiting {
            cancel.refuse_waiting();
        }
        deadline
    }

    /// Goes as far as it can without waiting.
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<Result<T>> {
        if let Stage::Job(..) = &self.stage {
            self.hand_over()?;
        }
        if let Stage::Admission(_, admission) = &mut self.stage {
            ready!(admission.as_mut().poll(context))?;
            if let Stage::Admission(work, _) = mem::replace(&mut self.stage, Stage::Over) {
                self.stage = Stage::Queued(work);
            }
        }
        match &mut self.stage {
            Stage::Queued(work) => work.poll(context),
            Stage::Flow(flow, _) => flow.as_mut().poll(context),
            Stage::Job(..) | Stage::Admission(..) | Stage::Over => {
                panic!("an operation was polled after it had answered")
            }
        }
    }

    fn hand_over(&mut self) -> Result<()> {
        let Stage::Job(work, lane) = mem::replace(&mut self.stage, Stage::Over) else {
            return Ok(());
        };
        let job: Arc<dyn Job> = work.clone();
        self.stage = match lane.try_send(Arc::clone(&job)) {
            Ok(()) => Stage::Queued(work),
            Err(Refused::Closed) => return Err(closed()),
            Err(Refused::Full) if self.no_waiting => {
                lane.count_refused();
                return Err(overloaded(format_args!("the {} lane", lane.name())));
            }
            Err(Refused::Full) => {
                let admission = lane.send(job);
                Stage::Admission(work, Box::pin(admission))
            }
        };
        Ok(())
    }

    /// Whether the token was cancelled; if not, it will wake this task when it is.
    fn token_cancelled(&mut self, context: &mut Context<'_>) -> bool {
        let Some(Listening { token, listener }) = &mut self.token else {
            return false;
        };
        while !token.is_cancelled() {
            // A new listener is polled only after another look at the token: a cancellation
            // before it listened would not wake it.
            match listener {
                None => *listener = Some(token.listen()),
                Some(listening) => match Pin::new(listening).poll(context) {
                    Poll::Pending => return false,
                    Poll::Ready(()) => *listener = None,
                },
            }
        }
        true
    }

    /// Cancels what is under way, unless it had begun to commit: then it goes on.
    fn withdraw(&mut self) -> bool {
        match &self.stage {
            // Asked once: a claim may come between two answers.
            Stage::Flow(_, cancel) if !cancel.cancel() => return false,
            Stage::Flow(..) => self.stage = Stage::Over,
            _ => drop(self.give_up()),
        }
        true
    }

    /// The deadline passed: gives the work up, and says what is known of it.
    fn expire(&mut self, timeout: Option<Duration>) -> Error {
        let outcome = if self.give_up() {
            Outcome::NotApplied
        } else {
            Outcome::Unknown
        };
        timed_out(outcome, timeout)
    }
}

impl<T> Op<T> {
    /// Cancels what is under way. True when it has had no effect and will have none.
    fn give_up(&mut self) -> bool {
        match mem::replace(&mut self.stage, Stage::Over) {
            Stage::Job(..) | Stage::Over => true,
            // A read has no effect but the answer, which nobody takes.
            Stage::Admission(work, _) | Stage::Queued(work) => {
                work.give_up() || self.inline == Inline::Always
            }
            Stage::Flow(_, cancel) => cancel.cancel(),
        }
    }
}

impl<T: Send + 'static> Future for Op<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<T>> {
        let op = &mut *self;
        let first = matches!(op.alarm, Alarm::Unset);
        if first {
            op.begin();
        }
        if op.token_cancelled(context) && op.withdraw() {
            return Poll::Ready(Err(cancelled()));
        }
        if let Poll::Ready(answer) = op.advance(context) {
            op.stage = Stage::Over;
            return Poll::Ready(answer);
        }
        if first && let Some(timeout) = op.timeout {
            op.alarm = Alarm::Set(match &op.executor {
                Some(executor) => executor.sleep(timeout),
                None => ThreadExecutor.sleep(timeout),
            });
        }
        if let Alarm::Set(sleep) = &mut op.alarm {
            ready!(sleep.as_mut().poll(context));
            let timeout = op.timeout;
            return Poll::Ready(Err(op.expire(timeout)));
        }
        Poll::Pending
    }
}

impl<T> Drop for Op<T> {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl<T> fmt::Debug for Op<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &self.stage {
            Stage::Job(..) => "not started",
            Stage::Admission(..) => "waiting for a place in the queue",
            Stage::Queued(_) => "handed over",
            Stage::Flow(..) => "a write or a sequence of steps",
            Stage::Over => "over",
        };
        f.debug_struct("Op").field("stage", &stage).finish()
    }
}

impl Pools {
    /// Runs a blocking closure on a lane: a `spawn_blocking` that needs no runtime.
    ///
    /// `wait` runs it on the calling thread, unless a timeout or a token must be able to end the
    /// waiting before the closure ends.
    ///
    /// # Errors
    /// `Panicked` when the closure panics, `Closed` when the pools are gone, and those of [`Op`].
    ///
    /// # Cancel safety
    /// Dropped while it waits in the queue, the closure never runs. Once it runs it runs to its
    /// end, and its answer is dropped; see [`run_checked`](Self::run_checked) for one that stops.
    ///
    /// ```
    /// # smol::block_on(async {
    /// use amphora::{Lane, Pools};
    ///
    /// let pools = Pools::shared()?;
    /// let text = pools.run(Lane::Io, || std::fs::read_to_string("Cargo.toml")).await?;
    /// assert!(text.is_ok());
    /// # Ok::<_, amphora::Error>(()) }).unwrap();
    /// ```
    pub fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        closure: impl FnOnce() -> T + Send + 'static,
    ) -> Op<T> {
        Op::job(self.lane(lane), Inline::WithoutDeadline, |_| Ok(closure()))
    }

    /// Runs a closure that asks now and then whether to go on.
    ///
    /// # Errors
    /// The closure's own, and those of [`run`](Self::run).
    ///
    /// # Cancel safety
    /// As [`run`](Self::run), and a running closure learns from its next
    /// [`check`](Cancel::check) that the operation was dropped, cancelled, or is past its deadline.
    ///
    /// ```
    /// use amphora::{ErrorKind, Lane, Pools};
    /// use std::time::Duration;
    ///
    /// let pools = Pools::shared()?;
    /// let endless = pools.run_checked(Lane::Update, |cancel| -> amphora::Result<()> {
    ///     loop {
    ///         cancel.check()?;
    ///         std::thread::sleep(Duration::from_millis(1));
    ///     }
    /// });
    /// let error = endless.timeout(Duration::from_millis(20)).wait().unwrap_err();
    /// assert!(matches!(error.kind(), ErrorKind::Timeout(_)));
    /// # Ok::<_, amphora::Error>(())
    /// ```
    pub fn run_checked<T: Send + 'static>(
        &self,
        lane: Lane,
        closure: impl FnOnce(&Cancel) -> Result<T> + Send + 'static,
    ) -> Op<T> {
        Op::job(self.lane(lane), Inline::WithoutDeadline, closure)
    }
}

pub(crate) fn overloaded(queue: impl fmt::Display) -> Error {
    Error::new(
        ErrorKind::Overloaded,
        format!("the queue of {queue} is full"),
    )
}
