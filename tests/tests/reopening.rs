//! A database that was dropped closes in the background. Who opens it again waits for that, and
//! keeps no thread from it meanwhile.

use amphora::{Database, Options, Point, PoolOptions, Pools, Schema, vfs::MemoryVfs};
use std::time::{Duration, Instant};

#[test]
fn one_thread_closes_what_was_dropped_while_it_is_opened_again() {
    let pools = Pools::new(&PoolOptions {
        io_threads: 1,
        ..PoolOptions::default()
    });
    let pools = pools.unwrap();
    let vfs = MemoryVfs::new();
    let patient = Options {
        lock_timeout: Duration::from_secs(20),
        // Closing finds a flush under way.
        memtable_bytes: 4 << 10,
        ..Options::default()
    };
    let open = || {
        let builder = Database::builder_on(vfs.clone()).options(patient.clone());
        builder.pools(&pools).open().wait().unwrap()
    };
    let db = open();
    let docs = db.create_collection("docs", Schema::new()).wait().unwrap();
    drop((db, docs));
    let started = Instant::now();
    for round in 0..20u64 {
        let db = open();
        let docs = db.collection("docs").wait().unwrap();
        assert_eq!(docs.count().wait().unwrap(), round * 100);
        let points = round * 100..(round + 1) * 100;
        docs.upsert(points.map(Point::new)).wait().unwrap();
        drop((db, docs));
    }
    assert!(started.elapsed() < Duration::from_secs(10), "it waited");
}
