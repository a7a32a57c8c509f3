//! The caller's runtime goes while operations are in flight: what was acknowledged stays, nothing
//! hangs, and the handles go on working from wherever they are used next.

mod clock;
mod deadline;
mod handles;

use amphora::{Collection, Database, Executor, Point, Schema};
use amphora_tests::runtimes::{current_thread_tokio, eventually, multi_thread_tokio, within};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// Nothing here takes longer, unless it hangs.
const LIMIT: Duration = Duration::from_secs(30);
/// Each write is a batch of so many points, there whole or not at all.
const BATCH: u64 = 10;

/// Which batches were acknowledged.
type Acknowledged = Arc<Mutex<Vec<u64>>>;

fn batch(number: u64) -> Vec<Point> {
    let point = |n| Point::new(number * BATCH + n).payload(json!({ "batch": number }));
    (0..BATCH).map(point).collect()
}

/// Writes batches with every `step`th number without end, and notes what was acknowledged.
async fn write(docs: Collection, first: u64, step: usize, acknowledged: Acknowledged) {
    for number in (first..).step_by(step) {
        docs.upsert(batch(number)).await.unwrap();
        acknowledged.lock().unwrap().push(number);
    }
}

async fn open(path: &Path, executor: impl Executor) -> (Database, Collection) {
    let builder = Database::builder(path).executor(executor);
    let db = builder.open().await.unwrap();
    let docs = db.create_collection("docs", Schema::new()).await.unwrap();
    (db, docs)
}

/// Whether all is there that was acknowledged, and nothing in part.
fn check(docs: &Collection, acknowledged: &Acknowledged) {
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(!acknowledged.is_empty(), "the runtime went too soon");
    // A few more were in flight.
    let most = acknowledged.iter().max().unwrap() + 20;
    for number in 0..most {
        let ids = number * BATCH..(number + 1) * BATCH;
        let there = docs.get_many(ids).wait().unwrap();
        let there = there.iter().flatten().count() as u64;
        assert!(
            [0, BATCH].contains(&there),
            "batch {number}: {there} points"
        );
        let known = acknowledged.contains(&number);
        assert!(!known || there == BATCH, "lost: batch {number}");
    }
}

/// The handles are used from a plain thread and under an executor without runtime, closed, and
/// the directory opened again.
fn go_on(db: Database, docs: &Collection, path: &Path, acknowledged: &Acknowledged) {
    check(docs, acknowledged);
    docs.upsert([Point::new("waited for")]).wait().unwrap();
    pollster::block_on(async {
        docs.upsert([Point::new("awaited")]).await.unwrap();
        assert!(docs.get("awaited").await.unwrap().is_some());
        db.health().await.unwrap();
    });
    db.close().wait().unwrap();
    drop(db);
    let db = amphora_blocking::open(path).unwrap();
    let docs = db.collection("docs").wait().unwrap();
    check(&docs, acknowledged);
    let both = docs.get_many(["waited for", "awaited"]).wait().unwrap();
    assert!(both.iter().all(Option::is_some));
    db.close().wait().unwrap();
}

/// Runs `shut_down` on a runtime in which four tasks write without pause.
fn with_writers_on(
    runtime: fn() -> tokio::runtime::Runtime,
    shut_down: fn(tokio::runtime::Runtime),
) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    within(LIMIT, "shutting down tokio", move || {
        let acknowledged = Acknowledged::default();
        let runtime = runtime();
        let (db, docs) = runtime.block_on(async {
            let executor = amphora_tokio::TokioExecutor::current().unwrap();
            let (db, docs) = open(&path, executor).await;
            for first in 0..4 {
                let written = Arc::clone(&acknowledged);
                tokio::spawn(write(docs.clone(), first, 4, written));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            (db, docs)
        });
        shut_down(runtime);
        go_on(db, &docs, &path, &acknowledged);
    });
}

#[test]
fn current_thread_tokio_is_dropped() {
    with_writers_on(current_thread_tokio, drop);
}

#[test]
fn multi_thread_tokio_is_dropped() {
    with_writers_on(multi_thread_tokio, drop);
}

#[test]
fn multi_thread_tokio_is_shut_down_in_the_background() {
    with_writers_on(
        multi_thread_tokio,
        tokio::runtime::Runtime::shutdown_background,
    );
}

#[test]
fn multi_thread_tokio_is_shut_down_with_a_timeout() {
    with_writers_on(multi_thread_tokio, |runtime| {
        runtime.shutdown_timeout(Duration::from_secs(5));
    });
}

/// Writes by four tasks of a smol executor, which is run for a while and then dropped.
fn on_a_smol_executor_that_goes(path: &Path) -> (Database, Collection, Acknowledged) {
    let executor = Arc::new(smol::Executor::new());
    let acknowledged = Acknowledged::default();
    let adapter = amphora_smol::SmolExecutor::new(&executor);
    let (db, docs) = smol::block_on(executor.run(async {
        let (db, docs) = open(path, adapter).await;
        for first in 0..4 {
            let written = Arc::clone(&acknowledged);
            executor
                .spawn(write(docs.clone(), first, 4, written))
                .detach();
        }
        smol::Timer::after(Duration::from_millis(100)).await;
        (db, docs)
    }));
    drop(executor);
    (db, docs, acknowledged)
}

#[test]
fn a_given_smol_executor_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    within(LIMIT, "dropping a smol executor", move || {
        let (db, docs, acknowledged) = on_a_smol_executor_that_goes(&path);
        go_on(db, &docs, &path, &acknowledged);
    });
}

/// The tasks of the executor hold handles too. They go with it: the database must not keep
/// the executor, and by it those handles, alive.
#[test]
fn a_dropped_smol_executor_takes_its_handles_along() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    within(LIMIT, "dropping a smol executor", move || {
        drop(on_a_smol_executor_that_goes(&path));
        let db = amphora_blocking::open(path).unwrap();
        db.close().wait().unwrap();
    });
}

/// Threads that wait inside tokio tasks while the runtime is shut down.
#[test]
fn waiting_tasks_end_with_their_answer() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    within(LIMIT, "waiting tasks", move || {
        let acknowledged = Acknowledged::default();
        let over = Arc::new(AtomicBool::new(false));
        let runtime = multi_thread_tokio();
        let (db, docs) = runtime.block_on(async {
            let executor = amphora_tokio::TokioExecutor::current().unwrap();
            open(&path, executor).await
        });
        for first in 0..2 {
            let (docs, over) = (docs.clone(), Arc::clone(&over));
            let written = Arc::clone(&acknowledged);
            runtime.spawn(async move {
                let mut number = first;
                while !over.load(Ordering::Relaxed) {
                    docs.upsert(batch(number)).wait().unwrap();
                    written.lock().unwrap().push(number);
                    number += 2;
                }
            });
        }
        thread::sleep(Duration::from_millis(100));
        runtime.shutdown_background();
        over.store(true, Ordering::Relaxed);
        eventually(LIMIT, "the waiting tasks have ended", || {
            Arc::strong_count(&over) == 1
        });
        go_on(db, &docs, &path, &acknowledged);
    });
}

fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    (directory, path)
}
