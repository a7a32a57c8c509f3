//! The contract: every operation does the same, whichever way it is run.
//!
//! Each scenario is written once and runs unchanged on every [`Way`]; each way is a test of its
//! own, so that its name says where something failed. A scenario that hangs fails in bounded time.

mod busy_pool;
mod executors;
mod hung_disk;
mod life;
mod points;
mod pools;
mod rerank;
mod search;

use amphora::{BoxFuture, Error, ErrorKind, Field, Metric, Point, Result, Schema, Vector};
use amphora_tests::runtimes::{Way, within};
use serde_json::json;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    time::Duration,
};

/// Nothing here takes longer, unless it hangs.
const LIMIT: Duration = Duration::from_secs(20);

/// A scenario gets a way to run its operations and a directory that does not exist yet.
type Scenario = fn(Way, PathBuf) -> BoxFuture<'static, ()>;

const SCENARIOS: [(&str, Scenario); 15] = [
    ("collections come and go", |way, path| {
        Box::pin(life::collections(way, path))
    }),
    ("close, and open again", |way, path| {
        Box::pin(life::reopening(way, path))
    }),
    ("health and stats", |way, path| {
        Box::pin(life::health_and_stats(way, path))
    }),
    ("points are written and read", |way, path| {
        Box::pin(points::written_and_read(way, path))
    }),
    ("feeds", |way, path| Box::pin(points::feeds(way, path))),
    ("every answer is seen by the next read", |way, path| {
        Box::pin(points::read_your_writes(way, path))
    }),
    ("the longest and the shortest timeout", |way, path| {
        Box::pin(points::extreme_timeouts(way, path))
    }),
    ("search by every metric", |way, path| {
        Box::pin(search::every_metric(way, path))
    }),
    ("a search whose hits the caller ranks", |way, path| {
        Box::pin(rerank::ranked_by_the_caller(way, path))
    }),
    ("a job that is slow or cancelled", |way, _| {
        Box::pin(pools::slow_or_cancelled(way))
    }),
    ("a job that is cancelled while it runs", |way, _| {
        Box::pin(pools::cancelled_while_it_runs(way))
    }),
    ("a queue that is full", |way, _| {
        Box::pin(pools::full_queue(way))
    }),
    ("a job that panics", |way, _| {
        Box::pin(pools::panicking_job(way))
    }),
    ("a disk that hangs", |way, _| Box::pin(hung_disk::all(way))),
    ("an opening that has to wait", |way, _| {
        Box::pin(hung_disk::opening(way))
    }),
];

/// Runs all scenarios, also when one fails.
fn check(way: Way) {
    let failed: Vec<&str> = SCENARIOS
        .into_iter()
        .filter(|(name, scenario)| {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("data");
            let scenario = *scenario;
            let run = || within(LIMIT, name, move || way.run(scenario(way, path)));
            catch_unwind(AssertUnwindSafe(run)).is_err()
        })
        .map(|(name, _)| name)
        .collect();
    assert!(failed.is_empty(), "{way:?} failed: {failed:?}");
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

#[test]
fn plain_threads_that_wait() {
    check(Way::Thread);
}

#[test]
fn waiting_inside_current_thread_tokio() {
    check(Way::WaitInTokio);
}

#[test]
fn no_way_is_left_out() {
    assert_eq!(Way::ALL.len(), 8, "each has a test above");
    assert!(Way::ASYNC.iter().all(|way| !way.waits()));
}

const DIMENSIONS: u32 = 16;

/// The metrics, each with the name of its vector.
const METRICS: [(&str, Metric); 4] = [
    ("cosine", Metric::Cosine),
    ("dot", Metric::Dot),
    ("euclidean", Metric::Euclidean),
    ("manhattan", Metric::Manhattan),
];

fn schema() -> Schema {
    let schema = Schema::new()
        .field("n", Field::Integer)
        .field("group", Field::Keyword);
    METRICS.iter().fold(schema, |schema, (name, metric)| {
        schema.vector(*name, Vector::new(DIMENSIONS, *metric))
    })
}

/// Point `n`, always the same: a third each has a number, a UUID and a string as its id.
fn point(n: u64) -> Point {
    let point = match n % 3 {
        0 => Point::new(n),
        1 => Point::new(uuid::Uuid::from_u128(u128::from(n))),
        _ => Point::new(format!("point-{n}")),
    };
    let point = METRICS.iter().zip(0..).fold(point, |point, (name, salt)| {
        point.vector(name.0, vector(n * 4 + salt))
    });
    point.payload(json!({ "n": n, "group": format!("g{}", n % 7), "tags": ["all", n % 2] }))
}

fn points(numbers: impl Iterator<Item = u64>) -> Vec<Point> {
    numbers.map(point).collect()
}

/// Numbers between -1 and 1 that depend on the seed alone.
fn vector(seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (0..DIMENSIONS)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// The error, which there must be.
fn error<T>(result: Result<T>) -> Error {
    match result {
        Ok(_) => panic!("it succeeded; expected an error"),
        Err(error) => error,
    }
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    error(result).kind()
}
