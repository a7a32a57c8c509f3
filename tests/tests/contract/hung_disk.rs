//! A disk that hangs: everyone is answered by their deadline, and told what became of a write.

use super::{error, kind, point, schema, vector};
use amphora::{CancelToken, ErrorKind, Op, Options, Outcome, Query, vfs::MemoryVfs};
use amphora_tests::{
    gate::{Gate, GatedVfs},
    runtimes::Way,
};
use std::{
    thread,
    time::{Duration, Instant},
};

/// So late an answer may be on a busy machine. The disk here would take for ever.
const SLACK: Duration = Duration::from_secs(3);
const SOON: Duration = Duration::from_millis(100);
const NOT_APPLIED: ErrorKind = ErrorKind::Timeout(Outcome::NotApplied);

/// Cancels the token a little later.
fn cancelling(token: &CancelToken) -> thread::JoinHandle<()> {
    let token = token.clone();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        token.cancel();
    })
}

/// Ends an operation that must be answered although nothing moves.
async fn answered<T: Send + 'static>(way: Way, op: Op<T>) -> amphora::Result<T> {
    let started = Instant::now();
    let answer = way.finish(op).await;
    let took = started.elapsed();
    assert!(took < SLACK, "answered after {took:?}");
    answer
}

pub(crate) async fn all(way: Way) {
    let gate = Gate::default();
    let _opened = gate.opened_at_end();
    let options = Options {
        write_queue: 1,
        health_timeout: SOON,
        ..Options::default()
    };
    let vfs = GatedVfs::new(MemoryVfs::new(), &gate);
    let builder = way.builder_on(vfs).unwrap().options(options);
    let db = way.finish(builder.open()).await.unwrap();
    let docs = way
        .finish(db.create_collection("docs", schema()))
        .await
        .unwrap();
    way.finish(docs.upsert([point(0)])).await.unwrap();

    gate.close();
    let write = docs.upsert([point(3)]);
    let held = thread::spawn(move || write.wait());
    gate.wait_for_arrival();

    // One write fits into the queue. Given up, it keeps its place until the disk moves.
    let queued = docs.upsert([point(6)]).timeout(SOON);
    assert_eq!(kind(answered(way, queued).await), NOT_APPLIED);
    let refused = error(answered(way, docs.upsert([point(9)]).try_admit()).await);
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    assert!(refused.to_string().contains("writes"), "{refused}");
    let stats = db.stats();
    assert_eq!((stats.refused_writes, stats.queued_writes), (1, 1));
    for late in [
        kind(answered(way, docs.upsert([point(12)]).timeout(SOON)).await),
        kind(answered(way, docs.delete([0]).timeout(SOON)).await),
        kind(answered(way, db.create_collection("new", schema()).timeout(SOON)).await),
        kind(answered(way, db.delete_collection("docs").timeout(SOON)).await),
        kind(answered(way, db.health()).await),
        kind(answered(way, db.close().timeout(SOON)).await),
    ] {
        assert_eq!(late, NOT_APPLIED);
    }
    let token = CancelToken::new();
    let canceller = cancelling(&token);
    let cancelled = docs.upsert([point(15)]).cancel_on(&token);
    assert_eq!(kind(answered(way, cancelled).await), ErrorKind::Cancelled);
    canceller.join().unwrap();

    // Reads go on, and see nothing of what is not durable.
    assert_eq!(answered(way, docs.count()).await.unwrap(), 1);
    let query = Query::nearest("cosine", vector(1));
    assert_eq!(answered(way, docs.search(query)).await.unwrap().len(), 1);
    assert_eq!(answered(way, db.collections()).await.unwrap(), ["docs"]);
    gate.open();
    held.join().unwrap().unwrap();
    way.finish(db.health().timeout(SLACK)).await.unwrap();

    // The commit thread has taken it: it will be there whole, and the caller is told that nobody
    // knows yet.
    gate.close();
    let taken = docs.upsert([point(18), point(21)]).timeout(SOON);
    let taken = answered(way, taken).await;
    assert_eq!(kind(taken), ErrorKind::Timeout(Outcome::Unknown));
    gate.open();

    // A token that comes too late does not lie.
    gate.close();
    let token = CancelToken::new();
    let canceller = cancelling(&token);
    let opener = {
        let gate = gate.clone();
        thread::spawn(move || {
            gate.wait_for_arrival();
            thread::sleep(Duration::from_millis(150));
            gate.open();
        })
    };
    let taken = docs.upsert([point(24)]).cancel_on(&token);
    answered(way, taken).await.unwrap();
    canceller.join().unwrap();
    opener.join().unwrap();

    let written = way.collect(docs.scroll()).await.unwrap();
    let expected = [0, 3, 18, 21, 24].map(point);
    assert_eq!(written, expected);
    way.finish(db.close()).await.unwrap();
}

/// An opening that waits for the directory, or for the disk, is answered and gets out of the way.
pub(crate) async fn opening(way: Way) {
    let patient = Options {
        lock_timeout: Duration::from_secs(20),
        ..Options::default()
    };
    let memory = MemoryVfs::new();
    let opening = || {
        let builder = way.builder_on(memory.clone()).unwrap();
        builder.options(patient.clone()).open()
    };
    let db = way.finish(opening()).await.unwrap();
    let late = answered(way, opening().timeout(SOON)).await;
    assert_eq!(kind(late), NOT_APPLIED);
    let token = CancelToken::new();
    let canceller = cancelling(&token);
    let cancelled = answered(way, opening().cancel_on(&token)).await;
    assert_eq!(kind(cancelled), ErrorKind::Cancelled);
    canceller.join().unwrap();
    way.finish(db.close()).await.unwrap();

    let gate = Gate::shut();
    let _opened = gate.opened_at_end();
    let vfs = GatedVfs::new(memory.clone(), &gate);
    let hung = way.builder_on(vfs).unwrap().open();
    let late = answered(way, hung.timeout(SOON)).await;
    assert_eq!(kind(late), NOT_APPLIED);
    gate.open();
    let db = way.finish(opening()).await.unwrap();
    way.finish(db.close()).await.unwrap();
}
