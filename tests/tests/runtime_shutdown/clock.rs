//! Tokio's clock: paused, it jumps ahead; in some runtimes, it is not there.

use super::{LIMIT, directory};
use amphora::{Database, ErrorKind, Outcome, Point, Query, Schema, Vector, vfs::MemoryVfs};
use amphora_tests::{
    gate::{Gate, GatedVfs},
    runtimes::{current_thread_tokio, within},
};
use amphora_tokio::TokioExecutor;
use std::time::{Duration, Instant};

fn schema() -> Schema {
    Schema::new().vector("v", Vector::new(2, amphora::Metric::Dot))
}

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap()
}

#[test]
fn under_a_paused_clock_operations_do_not_time_out() {
    let (_directory, path) = directory();
    within(LIMIT, "a paused clock", move || {
        paused().block_on(async {
            let db = amphora_tokio::open(path).await.unwrap();
            let docs = db.create_collection("docs", schema()).await.unwrap();
            for n in 0..50 {
                let point = Point::new(n).vector("v", [1.0, n as f32]);
                docs.upsert([point]).await.unwrap();
                let hits = docs.search(Query::nearest("v", [0.0, 1.0]).limit(1)).await;
                assert_eq!(hits.unwrap()[0].id, n.into());
            }
            // Larger than what is encoded in place, so that it takes several steps.
            let many = (0..5_000).map(|n| Point::new(n).vector("v", [0.0; 2]));
            docs.upsert(many).await.unwrap();
            db.health().await.unwrap();
            db.close().await.unwrap();
        });
    });
}

#[test]
fn under_a_paused_clock_what_hangs_times_out() {
    within(LIMIT, "a paused clock", || {
        let gate = Gate::default();
        let _opened = gate.opened_at_end();
        paused().block_on(async {
            let vfs = GatedVfs::new(MemoryVfs::new(), &gate);
            let builder = Database::builder_on(vfs).executor(TokioExecutor::current().unwrap());
            let db = builder.open().await.unwrap();
            let docs = db.create_collection("docs", schema()).await.unwrap();
            gate.close();
            let (started, clock) = (Instant::now(), tokio::time::Instant::now());
            let error = docs.upsert([Point::new(1)]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Timeout(Outcome::Unknown));
            assert!(clock.elapsed() >= Duration::from_secs(30), "by the clock");
            assert!(started.elapsed() < Duration::from_secs(10), "in real time");
            // Reads are not held up.
            assert!(docs.get(1).await.unwrap().is_none());
            gate.open();
            docs.upsert([Point::new(2)]).await.unwrap();
            assert!(docs.get(1).await.unwrap().is_some());
            db.close().await.unwrap();
        });
    });
}

#[test]
fn outside_of_a_runtime_tokio_is_unsupported() {
    let (_directory, path) = directory();
    let error = TokioExecutor::current().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(
        error.to_string().contains("no tokio runtime here"),
        "{error}"
    );
    let error = amphora_tokio::open(&path).wait().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let error = pollster::block_on(amphora_tokio::open(&path)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(!path.exists());

    // With a handle it works from anywhere.
    let runtime = current_thread_tokio();
    let executor = TokioExecutor::new(runtime.handle().clone()).unwrap();
    let db = Database::builder(&path).executor(executor).open().wait();
    db.unwrap().close().wait().unwrap();
}

#[test]
fn a_runtime_without_a_timer_is_unsupported() {
    let (_directory, path) = directory();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let errors = [
        TokioExecutor::new(runtime.handle().clone()).unwrap_err(),
        runtime.block_on(async { TokioExecutor::current().unwrap_err() }),
        runtime.block_on(async { amphora_tokio::builder(&path).unwrap_err() }),
        runtime.block_on(async { amphora_tokio::open(&path).await.unwrap_err() }),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("enable_time()"), "{error}");
    }
    assert!(!path.exists());
}

#[test]
fn a_runtime_that_was_shut_down_is_not_taken_for_one_that_works() {
    let (_directory, path) = directory();
    let runtime = current_thread_tokio();
    let handle = runtime.handle().clone();
    drop(runtime);
    // Either answer will do; what was opened keeps its deadlines by the engine's own clock.
    match TokioExecutor::new(handle) {
        Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported),
        Ok(executor) => within(LIMIT, "a runtime that is gone", move || {
            let builder = Database::builder(path).executor(executor);
            let db = pollster::block_on(builder.open()).unwrap();
            pollster::block_on(db.health()).unwrap();
            pollster::block_on(db.close()).unwrap();
        }),
    }
}
