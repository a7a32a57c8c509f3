//! Handles are dropped anywhere: it never blocks, and the directory is free soon after.

use super::{LIMIT, directory};
use amphora::{Database, Op, Options, Point, PoolOptions, Schema, vfs::MemoryVfs};
use amphora_tests::{
    gate::{Gate, GatedVfs},
    runtimes::{Way, current_thread_tokio, multi_thread_tokio, within},
};
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
    thread,
    time::{Duration, Instant},
};

/// A drop takes microseconds; a busy machine may add what it likes, but a drop that blocked here
/// would block for ever.
const AT_ONCE: Duration = Duration::from_secs(2);

fn with_pools_of_its_own() -> Options {
    Options {
        pools: Some(PoolOptions {
            search_threads: 1,
            update_threads: 1,
            io_threads: 1,
            queue: 8,
        }),
        ..Options::default()
    }
}

/// Polls an operation once.
async fn once<T: Send + 'static>(op: &mut Op<T>) -> Poll<amphora::Result<T>> {
    poll_fn(|context| Poll::Ready(Pin::new(&mut *op).poll(context))).await
}

fn dropping<T>(what: &str, value: T) {
    let started = Instant::now();
    drop(value);
    let took = started.elapsed();
    assert!(took < AT_ONCE, "dropping {what} took {took:?}");
}

#[test]
fn handles_and_operations_are_dropped_while_the_disk_hangs() {
    for way in Way::ASYNC {
        for options in [Options::default(), with_pools_of_its_own()] {
            let name = format!("dropping under {way:?}");
            within(LIMIT, &name, move || {
                way.run(while_the_disk_hangs(way, options));
            });
        }
    }
}

async fn while_the_disk_hangs(way: Way, options: Options) {
    let gate = Gate::default();
    let _opened = gate.opened_at_end();
    let memory = MemoryVfs::new();
    let vfs = GatedVfs::new(memory.clone(), &gate);
    let builder = way.builder_on(vfs).unwrap().options(options.clone());
    let db = builder.open().await.unwrap();
    let docs = db.create_collection("docs", Schema::new()).await.unwrap();
    gate.close();
    let (mut taken, mut queued) = (docs.upsert([Point::new(1)]), docs.upsert([Point::new(2)]));
    let mut page = docs.count();
    assert!(once(&mut taken).await.is_pending());
    gate.wait_for_arrival();
    assert!(once(&mut queued).await.is_pending());
    drop(once(&mut page).await);
    dropping("a write that waits", queued);
    dropping("a write that was taken", taken);
    dropping("a read", page);
    dropping("a collection", docs);
    dropping("the last handle", db);
    gate.open();

    // What the commit thread had taken is there, what waited is not.
    let builder = way.builder_on(memory).unwrap().options(options);
    let db = builder.open().await.unwrap();
    let docs = db.collection("docs").await.unwrap();
    let found = docs.get_many([1, 2]).await.unwrap();
    assert!(found[0].is_some() && found[1].is_none());
    db.close().await.unwrap();
}

#[test]
fn an_opening_is_dropped_while_the_disk_hangs() {
    for options in [Options::default(), with_pools_of_its_own()] {
        within(LIMIT, "dropping an opening", || {
            let gate = Gate::shut();
            let _opened = gate.opened_at_end();
            let memory = MemoryVfs::new();
            let vfs = GatedVfs::new(memory.clone(), &gate);
            let mut open = Database::builder_on(vfs).options(options).open();
            assert!(pollster::block_on(once(&mut open)).is_pending());
            gate.wait_for_arrival();
            dropping("an opening", open);
            gate.open();
            let db = Database::builder_on(memory).open().wait().unwrap();
            db.close().wait().unwrap();
        });
    }
}

#[test]
fn the_last_handle_is_dropped_and_the_directory_opened_again() {
    for way in Way::ALL {
        let (_directory, path) = directory();
        within(LIMIT, "opening again", move || {
            way.run(async move {
                for n in 0..5 {
                    let db = way.open(&path).await.unwrap();
                    if n == 0 {
                        let made = db.create_collection("docs", Schema::new());
                        way.finish(made).await.unwrap();
                    }
                    let docs = way.finish(db.collection("docs")).await.unwrap();
                    drop(db);
                    // A collection alone keeps the database open.
                    way.finish(docs.upsert([Point::new(n)])).await.unwrap();
                    assert_eq!(way.finish(docs.count()).await.unwrap(), n + 1);
                }
            });
        });
    }
}

/// The last poll says who is woken, and by which timer.
#[test]
fn an_operation_moves_between_runtimes() {
    within(LIMIT, "an operation that moves", || {
        let gate = Gate::default();
        let _opened = gate.opened_at_end();
        let vfs = GatedVfs::new(MemoryVfs::new(), &gate);
        let runtimes = [current_thread_tokio(), multi_thread_tokio()];
        let db = runtimes[0].block_on(async {
            let executor = amphora_tokio::TokioExecutor::current().unwrap();
            Database::builder_on(vfs).executor(executor).open().await
        });
        let db = db.unwrap();
        let docs = db.create_collection("docs", Schema::new()).wait().unwrap();
        gate.close();
        let mut op = docs.upsert([Point::new(1)]);
        assert!(runtimes[0].block_on(once(&mut op)).is_pending());
        gate.wait_for_arrival();
        assert!(runtimes[1].block_on(once(&mut op)).is_pending());
        assert!(smol::block_on(once(&mut op)).is_pending());
        assert!(pollster::block_on(once(&mut op)).is_pending());
        let opener = thread::spawn({
            let gate = gate.clone();
            move || {
                thread::sleep(Duration::from_millis(50));
                gate.open();
            }
        });
        futures::executor::block_on(&mut op).unwrap();
        opener.join().unwrap();

        // And from a poll to `wait()`.
        let mut op = docs.upsert([Point::new(2)]);
        if smol::block_on(once(&mut op)).is_pending() {
            op.wait().unwrap();
        }
        assert_eq!(docs.count().wait().unwrap(), 2);
        db.close().wait().unwrap();
    });
}
