//! The pools by themselves: jobs that are late, cancelled, refused, or panic.

use super::{error, kind};
use amphora::{CancelToken, ErrorKind, Lane, Outcome, PoolOptions, Pools};
use amphora_tests::{
    gate::Gate,
    runtimes::{Way, eventually},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

const LANES: [Lane; 3] = [Lane::Search, Lane::Update, Lane::Io];
/// So late an answer may be on a busy machine. The jobs here would take for ever.
const SLACK: Duration = Duration::from_secs(3);
/// Keeps `wait()` from running a job in place, and never passes.
const LONG: Duration = Duration::from_secs(20);

fn one_of_each() -> Pools {
    Pools::new(&PoolOptions {
        search_threads: 1,
        update_threads: 1,
        io_threads: 1,
        queue: 1,
    })
    .unwrap()
}

/// A token, and the thread that cancels it a little later.
fn cancelled_soon() -> (CancelToken, thread::JoinHandle<()>) {
    let token = CancelToken::new();
    let soon = token.clone();
    let canceller = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        soon.cancel();
    });
    (token, canceller)
}

pub(crate) async fn slow_or_cancelled(way: Way) {
    let pools = one_of_each();
    for lane in LANES {
        assert_eq!(way.finish(pools.run(lane, || 6 * 7)).await.unwrap(), 42);
        let gate = Gate::shut();
        let _opened = gate.opened_at_end();
        let held = gate.clone();
        let started = Instant::now();
        let slow = pools.run(lane, move || held.pass());
        let slow = way.finish(slow.timeout(Duration::from_millis(100))).await;
        assert_eq!(kind(slow), ErrorKind::Timeout(Outcome::Unknown));
        let took = started.elapsed();
        assert!(
            took >= Duration::from_millis(100) && took < SLACK,
            "{took:?}"
        );

        // Behind it in the queue, it never runs.
        let late = pools.run(lane, || ()).timeout(Duration::from_millis(20));
        let late = way.finish(late).await;
        assert_eq!(kind(late), ErrorKind::Timeout(Outcome::NotApplied));
        let (token, canceller) = cancelled_soon();
        let ran = Arc::new(AtomicBool::new(false));
        let mark = Arc::clone(&ran);
        let waiting = pools.run(lane, move || mark.store(true, Ordering::Relaxed));
        let waiting = way.finish(waiting.cancel_on(&token)).await;
        assert_eq!(kind(waiting), ErrorKind::Cancelled);
        canceller.join().unwrap();
        gate.open();

        let after = way.finish(pools.run(lane, || "after").timeout(LONG)).await;
        assert_eq!(after.unwrap(), "after");
        assert!(!ran.load(Ordering::Relaxed));
        let early = pools.run(lane, || ()).cancel_on(&token);
        assert_eq!(kind(way.finish(early).await), ErrorKind::Cancelled);
    }

    // A job that asks is told to stop; on a busy machine one may not have begun by its deadline.
    for deadline in [30, 300, 3_000].map(Duration::from_millis) {
        let (told, stopped) = mpsc::channel();
        let endless = pools.run_checked(Lane::Update, move |cancel| -> amphora::Result<()> {
            loop {
                if let Err(error) = cancel.check() {
                    told.send(error.kind()).unwrap();
                    return Err(error);
                }
                thread::sleep(Duration::from_millis(1));
            }
        });
        let late = way.finish(endless.timeout(deadline)).await;
        assert!(matches!(kind(late), ErrorKind::Timeout(_)));
        match stopped.recv_timeout(SLACK) {
            Ok(ErrorKind::Timeout(_) | ErrorKind::Cancelled) => return,
            Err(RecvTimeoutError::Disconnected) => {}
            told => panic!("it was told {told:?}"),
        }
    }
    panic!("no job began before its deadline");
}

/// It does not ask whether to go on; the caller is rid of it all the same.
pub(crate) async fn cancelled_while_it_runs(way: Way) {
    let pools = one_of_each();
    let gate = Gate::shut();
    let _opened = gate.opened_at_end();
    let (token, canceller) = cancelled_soon();
    let held = gate.clone();
    let running = pools.run(Lane::Io, move || held.pass());
    let running = way.finish(running.cancel_on(&token).timeout(LONG)).await;
    assert_eq!(kind(running), ErrorKind::Cancelled);
    canceller.join().unwrap();
    gate.open();
}

pub(crate) async fn full_queue(way: Way) {
    let pools = one_of_each();
    let gate = Gate::shut();
    let _opened = gate.opened_at_end();
    let occupy = || {
        let (pools, gate) = (pools.clone(), gate.clone());
        thread::spawn(move || {
            let job = pools.run(Lane::Search, move || gate.pass());
            job.timeout(LONG).wait()
        })
    };
    let running = occupy();
    gate.wait_for_arrival();
    let queued = occupy();
    eventually(LONG, "the second job is queued", || {
        pools.stats().search.queued == 1
    });

    let refused = pools.run(Lane::Search, || ()).timeout(LONG).try_admit();
    let refused = error(way.finish(refused).await);
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    assert!(refused.to_string().contains("search"), "{refused}");
    assert_eq!(pools.stats().search.refused, 1);
    let patient = pools
        .run(Lane::Search, || ())
        .timeout(Duration::from_millis(100));
    let patient = way.finish(patient).await;
    assert_eq!(kind(patient), ErrorKind::Timeout(Outcome::NotApplied));
    // The lanes do not stand in each other's way.
    let other = pools.run(Lane::Io, || ()).timeout(LONG).try_admit();
    way.finish(other).await.unwrap();

    gate.open();
    running.join().unwrap().unwrap();
    queued.join().unwrap().unwrap();
    for _ in 0..10 {
        let job = pools.run(Lane::Search, || ()).timeout(LONG).try_admit();
        way.finish(job).await.unwrap();
    }
}

pub(crate) async fn panicking_job(way: Way) {
    let pools = one_of_each();
    for lane in LANES {
        for deadline in [None, Some(LONG)] {
            let job = pools.run(lane, || -> u32 { panic!("out of cheese: {}", 7) });
            let job = match deadline {
                Some(deadline) => job.timeout(deadline),
                None => job,
            };
            let error = error(way.finish(job).await);
            assert_eq!(error.kind(), ErrorKind::Panicked);
            assert!(error.to_string().contains("out of cheese: 7"), "{error}");
            assert_eq!(way.finish(pools.run(lane, || 1)).await.unwrap(), 1);
        }
    }
    // Without a deadline, `wait()` ran it in place. A job is counted after it was answered.
    let expected = if way.waits() { 1 } else { 2 };
    eventually(SLACK, "the panics are counted", || {
        let stats = pools.stats();
        [stats.search, stats.update, stats.io]
            .iter()
            .all(|lane| lane.panicked == expected)
    });
}
