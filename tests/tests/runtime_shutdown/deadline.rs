//! Deadlines are kept when the runtime that should have kept them is gone, or stands still.

use super::LIMIT;
use amphora::{Collection, Database, ErrorKind, Op, Outcome, Point, Schema, vfs::MemoryVfs};
use amphora_tests::{
    gate::{Gate, GatedVfs},
    runtimes::{current_thread_tokio, multi_thread_tokio, within},
};
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

const DEADLINE: Duration = Duration::from_millis(300);
/// So late an answer may be on a busy machine. The disk here would take for ever.
const SLACK: Duration = Duration::from_secs(5);

/// A database whose disk hangs when the gate is shut.
async fn open(gate: &Gate, executor: impl amphora::Executor) -> (Database, Collection) {
    let vfs = GatedVfs::new(MemoryVfs::new(), gate);
    let builder = Database::builder_on(vfs).executor(executor);
    let db = builder.open().await.unwrap();
    let docs = db.create_collection("docs", Schema::new()).await.unwrap();
    docs.upsert([Point::new(0)]).await.unwrap();
    (db, docs)
}

/// Checks that a write to a hanging disk is answered by its deadline: `end` awaits it.
fn check(gate: &Gate, docs: &Collection, end: impl FnOnce(Op<()>) -> amphora::Result<()>) {
    gate.close();
    let started = Instant::now();
    let error = end(docs.upsert([Point::new(1)]).timeout(DEADLINE)).unwrap_err();
    let took = started.elapsed();
    assert_eq!(error.kind(), ErrorKind::Timeout(Outcome::Unknown));
    assert!(took >= DEADLINE && took < SLACK, "answered after {took:?}");
    gate.open();
    docs.upsert([Point::new(2)]).wait().unwrap();
    assert!(docs.get(1).wait().unwrap().is_some());
}

fn after_it_was_dropped(runtime: fn() -> tokio::runtime::Runtime) {
    within(LIMIT, "a deadline without its runtime", move || {
        let gate = Gate::default();
        let _opened = gate.opened_at_end();
        let runtime = runtime();
        let (db, docs) = runtime.block_on(async {
            let executor = amphora_tokio::TokioExecutor::current().unwrap();
            open(&gate, executor).await
        });
        drop(runtime);
        check(&gate, &docs, pollster::block_on);
        check(&gate, &docs, futures::executor::block_on);
        check(&gate, &docs, Op::wait);
        // Another runtime will do as well.
        check(&gate, &docs, |op| current_thread_tokio().block_on(op));
        db.close().wait().unwrap();
    });
}

#[test]
fn current_thread_tokio_is_gone() {
    after_it_was_dropped(current_thread_tokio);
}

#[test]
fn multi_thread_tokio_is_gone() {
    after_it_was_dropped(multi_thread_tokio);
}

#[test]
fn tokio_goes_while_the_deadline_runs() {
    within(LIMIT, "a deadline without its runtime", || {
        let gate = Gate::default();
        let _opened = gate.opened_at_end();
        let runtime = current_thread_tokio();
        let (db, docs) = runtime.block_on(async {
            let executor = amphora_tokio::TokioExecutor::current().unwrap();
            open(&gate, executor).await
        });
        check(&gate, &docs, |mut op| {
            runtime.block_on(async {
                // The timer of the runtime runs from here on.
                let first = poll_fn(|context| Poll::Ready(Pin::new(&mut op).poll(context)));
                assert!(first.await.is_pending());
            });
            drop(runtime);
            pollster::block_on(op)
        });
        db.close().wait().unwrap();
    });
}

/// A runtime of one thread has no clock while nobody drives it.
#[test]
fn current_thread_tokio_is_there_but_stands_still() {
    let limit = 2 * SLACK;
    within(limit, "a deadline on a runtime that stands still", || {
        let gate = Gate::default();
        let _opened = gate.opened_at_end();
        let runtime = current_thread_tokio();
        let (db, docs) = runtime.block_on(async {
            let executor = amphora_tokio::TokioExecutor::current().unwrap();
            open(&gate, executor).await
        });
        check(&gate, &docs, Op::wait);
        check(&gate, &docs, pollster::block_on);
        db.close().wait().unwrap();
        drop(runtime);
    });
}

#[test]
fn a_smol_executor_is_gone() {
    within(LIMIT, "a deadline without its executor", || {
        let gate = Gate::default();
        let _opened = gate.opened_at_end();
        let executor = Arc::new(smol::Executor::new());
        let adapter = amphora_smol::SmolExecutor::new(&executor);
        let (db, docs) = smol::block_on(executor.run(open(&gate, adapter)));
        drop(executor);
        check(&gate, &docs, pollster::block_on);
        check(&gate, &docs, Op::wait);
        db.close().wait().unwrap();
    });
}
