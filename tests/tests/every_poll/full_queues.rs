//! Operations that are dropped while they wait for a place, or for their turn, in a full queue.

use super::{Pace, barrier, batch, polled, schema, tiny, tiny_pools};
use amphora::{Collection, Database, Lane, Op, Point, Pools, Query, vfs::MemoryVfs};
use amphora_tests::{
    gate::{Gate, GatedVfs},
    runtimes::{Way, eventually},
};
use std::{future::Future, time::Duration};

pub(crate) async fn check(way: Way) {
    // The places are taken by operations that live, or by those that were dropped in them.
    for places_taken in [true, false] {
        dropped_while_nothing_moves(way, places_taken).await;
    }
}

async fn dropped_while_nothing_moves(way: Way, places_taken: bool) {
    let (disk, lane) = (Gate::default(), Gate::shut());
    let pools = Pools::new(&tiny_pools()).unwrap();
    let _opened = [disk.opened_at_end(), lane.opened_at_end()];
    let vfs = GatedVfs::new(MemoryVfs::new(), &disk);
    let builder = way.builder_on(vfs).unwrap().options(tiny()).pools(&pools);
    let db = builder.open().await.unwrap();
    let docs = db.create_collection("docs", schema()).await.unwrap();
    barrier(&docs).await.unwrap();

    disk.close();
    let mut writes = vec![started(docs.upsert([Point::new("first")])).await];
    disk.wait_for_arrival();
    let held = lane.clone();
    let job = started(pools.run(Lane::Search, move || held.pass())).await;
    lane.wait_for_arrival();
    let mut reads = Vec::new();
    if places_taken {
        for id in ["second", "third"] {
            writes.push(started(docs.upsert([Point::new(id)])).await);
            reads.push(started(docs.get("barrier")).await);
        }
    }
    for (pace, polls) in [1, 2, 3, 10, 1_000].map(|polls| (Pace::Eager, polls)) {
        dropped(&db, &docs, pace, polls).await;
    }
    dropped(&db, &docs, Pace::Woken, 1).await;

    disk.open();
    lane.open();
    job.await.unwrap();
    for write in writes {
        write.await.unwrap();
    }
    for read in reads {
        assert!(read.await.unwrap().is_some());
    }
    barrier(&docs).await.unwrap();
    assert_eq!(docs.get_many([0, 1]).await.unwrap(), [None, None]);
    let expected = if places_taken { 4 } else { 2 };
    assert_eq!(docs.count().await.unwrap(), expected);
    assert_eq!(db.collections().await.unwrap(), ["docs"]);
    for _ in 0..20 {
        docs.count().try_admit().await.unwrap();
        barrier(&docs).try_admit().await.unwrap();
    }
    eventually(Duration::from_secs(5), "the queues are empty", || {
        let stats = db.stats();
        let lanes = [stats.pools.search, stats.pools.update, stats.pools.io];
        stats.queued_writes == 0 && lanes.iter().all(|lane| lane.queued + lane.running == 0)
    });
    db.close().await.unwrap();
}

/// Polls an operation once and keeps it.
async fn started<T: Send + 'static>(op: Op<T>) -> Op<T> {
    let mut op = op;
    assert!(polled(&mut op, 1, Pace::Woken).await.is_none());
    op
}

/// Drops one of each after so many polls, in which none can end.
async fn dropped(db: &Database, docs: &Collection, pace: Pace, polls: u64) {
    let query = Query::nearest("v", [0.5; 16]);
    assert!(pending(docs.upsert(batch(2, 1)), polls, pace).await);
    assert!(pending(docs.upsert(batch(200, 1)), 1, pace).await);
    assert!(pending(docs.delete(["barrier"]), polls, pace).await);
    assert!(pending(db.create_collection("new", schema()), polls, pace).await);
    assert!(pending(db.delete_collection("docs"), polls, pace).await);
    assert!(pending(db.health(), polls, pace).await);
    assert!(pending(db.close(), polls, pace).await);
    assert!(pending(docs.get("barrier"), polls, pace).await);
    assert!(pending(docs.count(), polls, pace).await);
    assert!(pending(docs.search(query), polls, pace).await);
    let page = &mut docs.scroll();
    assert!(pending(futures::StreamExt::next(page), polls, pace).await);
}

async fn pending<F: Future + Unpin>(future: F, polls: u64, pace: Pace) -> bool {
    polled(future, polls, pace).await.is_none()
}
