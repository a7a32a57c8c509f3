//! How long a current-thread executor is held up while a database works.
//!
//! Two tasks upsert and two search, without pause, over 20,000 real vectors on one thread of
//! tokio, beside a heartbeat of 1 ms; once on the disk as it is, and once with syncs that take
//! 200 ms. The same work is done in three ways: awaited, waited for inside the task (a direct
//! call), and waited for inside `spawn_blocking`. A poll is that of an operation's future, or
//! the direct call in its place; a gap is what lies between two beats beyond their millisecond.

use crate::sample::percentile;
use amphora::{Collection, Database, Metric, Op, Point, Query, Schema, Vector, vfs::DiskVfs};
use amphora_tests::{
    data::{self, Matrix},
    faults::FaultyVfs,
    report::Figure,
};
use amphora_tokio::TokioExecutor;
use std::{
    cell::RefCell,
    future::Future,
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::{JoinHandle, LocalSet, spawn_local};

const POINTS: usize = 20_000;
const SLOW_SYNC: Duration = Duration::from_millis(200);
const BEAT: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Await,
    Direct,
    SpawnBlocking,
}

pub(crate) fn run(quick: bool, only: Option<&str>) {
    let Some((base, queries)) = data::books().zip(data::book_queries()) else {
        return;
    };
    let (base, queries) = (Arc::new(base), Arc::new(queries));
    let duration = Duration::from_secs(if quick { 5 } else { 20 });
    for (disk, delay) in [("disk", Duration::ZERO), ("200ms-syncs", SLOW_SYNC)] {
        for (name, way) in [
            ("await", Way::Await),
            ("direct", Way::Direct),
            ("spawn_blocking", Way::SpawnBlocking),
        ] {
            let path = format!("stall/{disk}/{name}");
            if only.is_none_or(|only| path.contains(only)) {
                measure(&path, way, delay, duration, &base, &queries);
            }
        }
    }
}

/// What the tasks of one run share; they are all on one thread.
#[derive(Default)]
struct Seen {
    polls: RefCell<Vec<f64>>,
    gaps: RefCell<Vec<f64>>,
    searches: RefCell<u64>,
    upserts: RefCell<u64>,
}

fn measure(
    path: &str,
    way: Way,
    delay: Duration,
    duration: Duration,
    base: &Arc<Matrix>,
    queries: &Arc<Matrix>,
) {
    let directory = tempfile::tempdir().expect("a directory for the database");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a tokio runtime");
    let seen = Rc::new(Seen::default());
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        let vfs = FaultyVfs::new(DiskVfs::open(directory.path(), true).expect("the directory"));
        let db = Database::builder_on(vfs.clone())
            .executor(TokioExecutor::current().expect("a runtime with a timer"))
            .open()
            .await
            .expect("it opens");
        let books = fill(&db, base).await;
        // Filled at full speed; slow from here on.
        vfs.sync_takes(delay);
        let until = Instant::now() + duration;
        let mut tasks = vec![spawn_local(heartbeat(Rc::clone(&seen), until))];
        for task in 0..2 {
            let (seen, books) = (Rc::clone(&seen), books.clone());
            let (upserts, searches) = (Rc::clone(&seen), Rc::clone(&seen));
            let (base, queries) = (Arc::clone(base), Arc::clone(queries));
            let collection = books.clone();
            tasks.push(spawn_local(async move {
                let mut row = task * POINTS / 2;
                while Instant::now() < until {
                    row = (row + 1) % POINTS;
                    let point = point(row, base.rows().nth(row).expect("a row"));
                    run_op(way, collection.upsert([point]), &upserts).await;
                    *upserts.upserts.borrow_mut() += 1;
                }
            }));
            tasks.push(spawn_local(async move {
                let mut query = task * 500;
                while Instant::now() < until {
                    query = (query + 1) % queries.rows().len();
                    let values = queries.rows().nth(query).expect("a row");
                    let op = books.search(Query::nearest("embedding", values));
                    run_op(way, op, &searches).await;
                    *searches.searches.borrow_mut() += 1;
                }
            }));
            drop(seen);
        }
        join(tasks).await;
        vfs.sync_takes(Duration::ZERO);
        db.close().await.expect("it closes");
    });
    report(path, way, &seen);
}

async fn join(tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        task.await.expect("no task panics");
    }
}

fn report(path: &str, way: Way, seen: &Seen) {
    let mut polls = seen.polls.borrow_mut();
    let mut gaps = seen.gaps.borrow_mut();
    let (n_polls, n_gaps) = (polls.len() as u64, gaps.len() as u64);
    let figure = |what: &str, value, n| Figure::new(format!("{path}/{what}"), value, "ms", n);
    let poll = figure("poll-p99.9", percentile(&mut polls, 0.999), n_polls);
    match way {
        Way::Await => poll.at_most(1.0).print(),
        Way::Direct | Way::SpawnBlocking => poll.print(),
    };
    figure("poll-max", percentile(&mut polls, 1.0), n_polls).print();
    figure("gap-p99.9", percentile(&mut gaps, 0.999), n_gaps).print();
    figure("gap-max", percentile(&mut gaps, 1.0), n_gaps).print();
    for (what, count) in [("searches", &seen.searches), ("upserts", &seen.upserts)] {
        let count = *count.borrow();
        Figure::new(format!("{path}/{what}"), count as f64, "count", count).print();
    }
}

/// Beats each millisecond, and notes how much later than that each beat came.
async fn heartbeat(seen: Rc<Seen>, until: Instant) {
    while Instant::now() < until {
        let started = Instant::now();
        tokio::time::sleep(BEAT).await;
        let late = started.elapsed().saturating_sub(BEAT);
        seen.gaps.borrow_mut().push(late.as_secs_f64() * 1e3);
    }
}

/// Ends an operation in one of the ways, and notes how long each poll took.
async fn run_op<T: Send + 'static>(way: Way, op: Op<T>, seen: &Seen) {
    match way {
        Way::Await => drop(timed(op, seen).await.expect("it succeeds")),
        Way::Direct => {
            drop(
                timed(async move { op.wait() }, seen)
                    .await
                    .expect("it succeeds"),
            );
            tokio::task::yield_now().await;
        }
        Way::SpawnBlocking => {
            let task = timed(tokio::task::spawn_blocking(move || op.wait()), seen).await;
            drop(task.expect("it does not panic").expect("it succeeds"));
        }
    }
}

async fn timed<F: Future>(future: F, seen: &Seen) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        let started = Instant::now();
        let polled = future.as_mut().poll(context);
        let took = started.elapsed().as_secs_f64() * 1e3;
        seen.polls.borrow_mut().push(took);
        polled
    })
    .await
}

async fn fill(db: &Database, base: &Matrix) -> Collection {
    let schema = Schema::new().vector("embedding", Vector::new(384, Metric::Cosine));
    let books = db
        .create_collection("books", schema)
        .await
        .expect("it is new");
    let rows: Vec<_> = base.rows().take(POINTS).enumerate().collect();
    for batch in rows.chunks(1_000) {
        let points = batch.iter().map(|(row, values)| point(*row, values));
        books.upsert(points).await.expect("it is written");
    }
    books
}

fn point(row: usize, values: &[f32]) -> Point {
    Point::new(row as u64)
        .vector("embedding", values)
        .payload(serde_json::json!({ "row": row }))
}
