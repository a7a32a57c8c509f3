//! Operations of several steps, when the pool of one step is busy.

use super::{kind, point, points, schema};
use amphora::{
    CancelToken, Collection, Database, ErrorKind, Lane, Outcome, PoolOptions, Pools, vfs::MemoryVfs,
};
use amphora_tests::{
    gate::Gate,
    runtimes::{eventually, within},
};
use std::{
    thread,
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(20);

/// Runs `test` while one lane is held up, and as many jobs wait there as there are places.
fn with_busy(lane: Lane, test: fn(&Database, &Collection)) {
    within(LIMIT, "an operation of several steps", move || {
        let options = PoolOptions {
            search_threads: 1,
            update_threads: 1,
            io_threads: 1,
            queue: 1,
        };
        let pools = Pools::new(&options).unwrap();
        let builder = Database::builder_on(MemoryVfs::new()).pools(&pools);
        let db = builder.open().wait().unwrap();
        let docs = db.create_collection("docs", schema()).wait().unwrap();
        let gate = Gate::shut();
        let _opened = gate.opened_at_end();
        let occupy = || {
            let (pools, gate) = (pools.clone(), gate.clone());
            thread::spawn(move || pools.run(lane, move || gate.pass()).timeout(LIMIT).wait())
        };
        let running = occupy();
        gate.wait_for_arrival();
        let waiting = occupy();
        eventually(LIMIT, "the lane is full", || {
            let stats = pools.stats();
            stats.search.queued + stats.update.queued + stats.io.queued == 1
        });
        test(&db, &docs);
        gate.open();
        running.join().unwrap().unwrap();
        waiting.join().unwrap().unwrap();
        docs.upsert(points(0..1_500)).wait().unwrap();
        db.health().wait().unwrap();
    });
}

/// It is refused as a small one is when the queue of writes is full.
#[test]
fn a_large_batch_that_does_not_want_to_wait_is_refused() {
    with_busy(Lane::Io, |_, docs| {
        let large = docs.upsert(points(0..1_500)).try_admit();
        let refused = large.timeout(Duration::from_millis(200)).wait();
        assert_eq!(kind(refused), ErrorKind::Overloaded);
        let patient = docs.upsert(points(0..1_500));
        let late = patient.timeout(Duration::from_millis(200)).wait();
        assert_eq!(kind(late), ErrorKind::Timeout(Outcome::NotApplied));
        // A small one does not go there.
        docs.upsert([point(1)]).try_admit().wait().unwrap();
    });
}

/// It changes nothing, so that nothing of it can be unknown.
#[test]
fn a_late_health_check_has_had_no_effect() {
    with_busy(Lane::Update, |db, _| {
        let late = db.health().timeout(Duration::from_millis(200)).wait();
        assert_eq!(kind(late), ErrorKind::Timeout(Outcome::NotApplied));
    });
}

#[test]
fn a_health_check_is_cancelled_at_any_step() {
    with_busy(Lane::Update, |db, _| {
        let token = CancelToken::new();
        let soon = token.clone();
        let canceller = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            soon.cancel();
        });
        let started = Instant::now();
        let health = db.health().cancel_on(&token).wait();
        assert_eq!(kind(health), ErrorKind::Cancelled);
        assert!(started.elapsed() < Duration::from_secs(3));
        canceller.join().unwrap();
    });
}
