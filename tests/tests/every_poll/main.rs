//! Drop at every poll: each operation is polled some times and dropped, for every number of polls
//! until it completes, on every runtime.
//!
//! Afterwards nothing is half-applied, the database works, every place in every queue is free
//! again, and no thread or file of the engine is left: they are counted, so the tests of this
//! file run one after another.

mod full_queues;
mod opening;
mod race;
mod reads;
mod writes;

use amphora::{
    Collection, Database, Field, Metric, Options, Point, PoolOptions, Result, Schema, Vector,
};
use amphora_tests::{
    count::Count,
    runtimes::{Way, eventually, within},
};
use serde_json::json;
use std::{
    future::{Future, poll_fn},
    path::PathBuf,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};

fn check(way: Way) {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    // What a runtime starts once and keeps is not counted.
    way.run(async move { way.finish(amphora::Op::ready(Ok(()))).await.unwrap() });
    let before = Count::now();
    let path = directory.path().join("data");
    within(Duration::from_secs(120), "a dropped operation", move || {
        way.run(all(way, path));
    });
    if let Some(before) = before {
        before.returns_within(Duration::from_secs(5));
    }
}

async fn all(way: Way, path: PathBuf) {
    let db = open(way, &path).await;
    writes::check(&db).await;
    reads::check(&db).await;
    // Ten times as many as there are places, each refused if there is none.
    let docs = db.collection("docs").await.unwrap();
    for _ in 0..20 {
        docs.count().try_admit().await.unwrap();
        barrier(&docs).try_admit().await.unwrap();
    }
    let before = docs.count().await.unwrap();
    drop((db, docs));

    // What was there is there again.
    let db = open(way, &path).await;
    let docs = db.collection("docs").await.unwrap();
    assert_eq!(docs.count().await.unwrap(), before);
    db.close().await.unwrap();
    opening::check(way, &path).await;
    full_queues::check(way).await;
}

#[test]
fn current_thread_tokio() {
    check(Way::TokioCurrentThread);
}

#[test]
fn multi_thread_tokio() {
    check(Way::TokioMultiThread);
}

#[test]
fn smol() {
    check(Way::Smol);
}

#[test]
fn async_std() {
    check(Way::AsyncStd);
}

#[test]
fn futures_block_on() {
    check(Way::FuturesBlockOn);
}

#[test]
fn pollster() {
    check(Way::Pollster);
}

/// Held by a test while it runs: what is counted is of the whole process.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// When the next poll comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// When the future woke its task.
    Woken,
    /// At once, so that the drop falls into every stage of the work.
    Eager,
}

/// Polls a future so many times and drops it; `None` when it had not ended by then.
async fn polled<F: Future + Unpin>(mut future: F, polls: u64, pace: Pace) -> Option<F::Output> {
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match Pin::new(&mut future).poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => {
                if pace == Pace::Eager {
                    context.waker().wake_by_ref();
                }
                Poll::Pending
            }
        }
    })
    .await
}

/// Makes an operation again and again, drops it after ever more polls until it completes, and
/// checks each time what became of it. Rounds are numbered from 1 on.
async fn every_poll<F: Future + Unpin>(
    mut make: impl FnMut(u64) -> F,
    mut check: impl FnMut(u64, Option<F::Output>),
) {
    let mut round = 0;
    for pace in [Pace::Woken, Pace::Eager] {
        let mut polls = 0;
        loop {
            round += 1;
            let answer = polled(make(round), polls, pace).await;
            let ended = answer.is_some();
            check(round, answer);
            if ended {
                break;
            }
            // Polls that are not waited for are many, and one more makes no difference.
            polls = match pace {
                Pace::Woken => polls + 1,
                Pace::Eager => polls * 2 + 1,
            };
        }
    }
}

/// Small queues and pools of its own, so that what leaks is missed.
fn tiny() -> Options {
    Options {
        write_queue: 2,
        pools: Some(tiny_pools()),
        lock_timeout: Duration::from_secs(5),
        ..Options::default()
    }
}

fn tiny_pools() -> PoolOptions {
    PoolOptions {
        search_threads: 1,
        update_threads: 1,
        io_threads: 1,
        queue: 2,
    }
}

async fn open(way: Way, path: &std::path::Path) -> Database {
    let builder = way.builder(path).unwrap().options(tiny());
    builder.open().await.unwrap()
}

fn schema() -> Schema {
    Schema::new()
        .vector("v", Vector::new(16, Metric::Euclidean))
        .field("round", Field::Integer)
}

/// The points of a batch, which say in which round they were written.
fn batch(size: u64, round: u64) -> Vec<Point> {
    let point = |n| {
        Point::new(n)
            .vector("v", [n as f32; 16])
            .payload(json!({ "round": round, "text": "x".repeat(200) }))
    };
    (0..size).map(point).collect()
}

/// In which round the points of a batch were written, which must be the same for all; 0 when
/// none of them is there.
fn whole(docs: &Collection, size: u64) -> u64 {
    let found = docs.get_many(0..size).wait().unwrap();
    let round = |point: &Option<Point>| {
        let payload = point.as_ref().map(|point| &point.payload)?;
        payload.get("round").and_then(serde_json::Value::as_u64)
    };
    let rounds: Vec<_> = found.iter().map(round).collect();
    assert!(
        rounds.iter().all(|round| *round == rounds[0]),
        "a batch is there in part: {rounds:?}"
    );
    rounds[0].unwrap_or(0)
}

/// A write that is answered after all writes before it, dropped or not, have been decided.
fn barrier(docs: &Collection) -> amphora::Op<()> {
    docs.upsert([Point::new("barrier")])
}

/// A read leaves no trace; if it ended, it was without an error.
fn unharmed<T>(_round: u64, answer: Option<Result<T>>) {
    if let Some(Err(error)) = answer {
        panic!("{error}");
    }
}

/// It sleeps for the earliest deadline, which may be far away when its operation has long ended.
#[test]
fn the_timer_thread_ends_when_nobody_awaits() {
    let _alone = alone();
    if Count::now().is_none() {
        return;
    }
    within(Duration::from_secs(60), "the timer thread", || {
        let pools = amphora::Pools::new(&tiny_pools()).unwrap();
        let job = pools.run(amphora::Lane::Io, || {
            std::thread::sleep(Duration::from_millis(5));
        });
        amphora::block_on(job.timeout(Duration::from_secs(600))).unwrap();
        eventually(Duration::from_secs(5), "the timer thread has ended", || {
            Count::now().is_some_and(|count| !count.timer())
        });
    });
}
