//! A disk that fails: each call of a scripted run in turn, once or from then on, in several ways.
//!
//! Whatever fails, nothing panics, nothing is acknowledged that is not there when the directory is
//! opened again, and nothing that was refused is. After a failed sync writes answer `Poisoned`;
//! after a failed write they go on as soon as the disk does.

use amphora::{
    Database, Error, ErrorKind, Point, Result,
    vfs::{Call, Loss, MemoryVfs},
};
use amphora_tests::{
    failing::{MAY_BE_FOUND, run_with},
    faults::{EINTR, EIO, ENOSPC, Fault, FaultyVfs, How},
    layer::Kind,
    workload::{Change, Model, open, point, script, start},
};
use futures::{executor::block_on, future::join_all};
use std::{thread, time::Duration};

/// The ways in which calls fail.
const WAYS: [(How, bool); 7] = [
    (How::Error(EIO), false),
    (How::Error(EIO), true),
    (How::Error(EINTR), false),
    (How::Error(ENOSPC), false),
    (How::Error(ENOSPC), true),
    (How::Short(ENOSPC), false),
    (How::Short(ENOSPC), true),
];

/// Fails calls in one way, one in each run: each call in one of the ways. The program `faults` fails each in
/// all of them.
fn fail_each(way: usize) {
    let (how, lasting) = WAYS[way];
    let mut calls = 0;
    for nth in (1 + way..).step_by(WAYS.len()) {
        let fault = Fault {
            kind: None,
            nth,
            lasting,
            how,
        };
        let failed = run_with(fault, &script()).unwrap_or_else(|failure| panic!("{failure}"));
        if failed.is_none() {
            break;
        }
        calls += 1;
    }
    assert!(calls > 100, "{calls} calls failed");
    println!("{calls} calls failed with {how:?}, lasting: {lasting}");
}

#[test]
fn every_call_fails_once_with_an_io_error() {
    fail_each(0);
}

#[test]
fn every_call_fails_from_then_on_with_an_io_error() {
    fail_each(1);
}

#[test]
fn every_call_is_interrupted_once() {
    fail_each(2);
}

#[test]
fn every_call_fails_once_because_the_disk_is_full() {
    fail_each(3);
}

#[test]
fn every_call_fails_from_then_on_because_the_disk_is_full() {
    fail_each(4);
}

#[test]
fn every_write_is_short_once() {
    fail_each(5);
}

#[test]
fn every_write_is_short_from_then_on() {
    fail_each(6);
}

fn first_of(kind: Kind, lasting: bool, code: i32) -> Fault {
    Fault {
        kind: Some(kind),
        nth: 1,
        lasting,
        how: How::Error(code),
    }
}

fn upsert(db: &Database, id: u64) -> Result<()> {
    block_on(start(db, &Change::Upsert("docs", vec![point(id, id, 9)])))
}

/// A sync that failed once is not tried again: the second would succeed and mean nothing.
#[test]
fn after_one_failed_sync_all_writes_are_refused_until_it_is_opened_again() {
    refuse_all_after(vec![point(2, 2, 9)]);
}

/// A large group is applied while it is synced.
#[test]
fn after_one_failed_sync_of_a_large_group_nothing_of_it_is_seen() {
    let points = (2..40).map(|id| point(id, id, 60_000));
    refuse_all_after(points.collect());
}

fn refuse_all_after(points: Vec<Point>) {
    let disk = FaultyVfs::new(MemoryVfs::new());
    let db = open(disk.clone()).unwrap();
    block_on(start(&db, &Change::Create("docs"))).unwrap();
    upsert(&db, 1).unwrap();

    disk.fail(first_of(Kind::Sync, false, EIO));
    let failed = block_on(start(&db, &Change::Upsert("docs", points)));
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::Io);
    let syncs = |calls: &[Kind]| calls.iter().filter(|kind| **kind == Kind::Sync).count();
    let before = syncs(&disk.calls());
    for change in [
        Change::Create("more"),
        Change::Remove("docs"),
        Change::Upsert("docs", vec![point(3, 3, 0)]),
        Change::Delete("docs", vec![1.into()]),
    ] {
        let error = block_on(start(&db, &change)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Poisoned, "{change:?}: {error}");
    }
    assert_eq!(syncs(&disk.calls()), before, "a sync was tried again");
    assert!(db.health().wait().unwrap().poisoned.is_some());
    let docs = db.collection("docs").wait().unwrap();
    assert!(docs.get(1).wait().unwrap().is_some(), "reads go on");
    assert!(
        docs.get(2).wait().unwrap().is_none(),
        "it is not known to be there"
    );
    assert_eq!(docs.count().wait().unwrap(), 1);
    assert_eq!(db.close().wait().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(syncs(&disk.calls()), before, "closing tried a sync again");

    let db = open(disk).unwrap();
    upsert(&db, 4).unwrap();
    db.close().wait().unwrap();
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_space() {
    let disk = FaultyVfs::new(MemoryVfs::new());
    let db = open(disk.clone()).unwrap();
    block_on(start(&db, &Change::Create("docs"))).unwrap();
    upsert(&db, 1).unwrap();

    disk.fail(first_of(Kind::Write, true, ENOSPC));
    for id in 2..5 {
        assert_eq!(upsert(&db, id).unwrap_err().kind(), ErrorKind::StorageFull);
    }
    assert!(db.health().wait().unwrap().poisoned.is_none());
    disk.heal();
    upsert(&db, 5).unwrap();
    db.close().wait().unwrap();

    let db = open(disk).unwrap();
    let docs = db.collection("docs").wait().unwrap();
    let found: Vec<_> = docs.scroll().into_iter().map(|p| p.unwrap().id).collect();
    assert_eq!(found, [1.into(), 5.into()]);
    db.close().wait().unwrap();
}

/// Two writes in one group, of which the disk takes the first and half of the second. Both are
/// refused.
fn refuse_half_a_group(lasting: bool) -> (Database, FaultyVfs, MemoryVfs, Model, Vec<Error>) {
    let memory = MemoryVfs::recording();
    let disk = FaultyVfs::new(memory.clone());
    let db = open(disk.clone()).unwrap();
    block_on(start(&db, &Change::Create("docs"))).unwrap();

    // The first occupies the commit thread, so that the others wait and become one group.
    disk.sync_takes(Duration::from_millis(300));
    let changes =
        [0, 1, 2].map(|id| Change::Upsert("docs", vec![point(id, id, 2_000 * id as usize)]));
    let mut writes: Vec<_> = changes.iter().map(|change| start(&db, change)).collect();
    let rest = writes.split_off(1);
    let written = |calls: &[Kind]| calls.iter().filter(|kind| **kind == Kind::Write).count();
    let before = written(&disk.calls());
    let first = thread::spawn(move || block_on(join_all(writes)));
    while written(&disk.calls()) == before {
        thread::yield_now();
    }
    disk.fail(Fault {
        kind: Some(Kind::Write),
        nth: 1,
        lasting,
        how: How::Short(ENOSPC),
    });
    let refused = block_on(join_all(rest)).into_iter();
    let refused: Vec<Error> = refused.map(Result::unwrap_err).collect();
    first.join().unwrap().into_iter().for_each(Result::unwrap);
    disk.sync_takes(Duration::ZERO);
    for error in &refused {
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    }
    let acknowledged = Model::read(&db).unwrap();
    assert_eq!(acknowledged.0["docs"].len(), 1);
    (db, disk, memory, acknowledged, refused)
}

/// What is found when the process is killed here.
fn after_a_kill(memory: &MemoryVfs) -> Model {
    let killed = MemoryVfs::after_power_loss(&memory.record(), Loss::Nothing);
    Model::read(&open(killed).unwrap()).unwrap()
}

#[test]
fn a_write_that_was_refused_does_not_come_back_after_a_kill() {
    let (_db, _, memory, acknowledged, refused) = refuse_half_a_group(false);
    assert!(
        !refused[0].to_string().contains(MAY_BE_FOUND),
        "{}",
        refused[0]
    );
    let found = after_a_kill(&memory);
    assert!(
        found == acknowledged,
        "a refused write is there: {found:#?}"
    );
}

/// A disk that takes nothing any more does not take the taking back either. Then the error says
/// so, and the next write that succeeds makes an end of it.
#[test]
fn a_refused_write_that_cannot_be_taken_back_says_so() {
    let (db, disk, memory, mut acknowledged, refused) = refuse_half_a_group(true);
    for error in &refused {
        assert!(error.to_string().contains(MAY_BE_FOUND), "{error}");
    }
    assert!(
        after_a_kill(&memory) != acknowledged,
        "the test has lost its point"
    );
    disk.heal();
    upsert(&db, 9).unwrap();
    acknowledged.apply(&Change::Upsert("docs", vec![point(9, 9, 9)]));
    assert!(after_a_kill(&memory) == acknowledged);
}

/// After a failed sync the system holds pages that it takes for written and that are not: a later
/// sync says nothing of them. Who opens the log again reads them, and must write them again before
/// anything is built on them, or the next power loss tears a hole into what was acknowledged.
#[test]
fn what_a_failed_sync_left_in_the_cache_is_written_again_when_it_is_opened() {
    let memory = MemoryVfs::recording();
    let disk = FaultyVfs::new(memory.clone());
    let db = open(disk.clone()).unwrap();
    block_on(start(&db, &Change::Create("docs"))).unwrap();
    upsert(&db, 1).unwrap();
    disk.fail(first_of(Kind::Sync, false, EIO));
    upsert(&db, 2).unwrap_err();
    db.close().wait().unwrap_err();
    // What was written since the last sync will never be durable by a sync alone.
    let mut calls = memory.record();
    let failed = calls.len();
    let synced = calls.iter().rposition(|call| matches!(call, Call::Sync(_)));
    let mut place = 0;
    calls.retain(|call| {
        place += 1;
        Some(place - 1) < synced || !matches!(call, Call::Write(..))
    });
    assert_eq!(failed - calls.len(), 1, "one write was not synced");

    let db = open(disk).unwrap();
    upsert(&db, 3).unwrap();
    let acknowledged = Model::read(&db).unwrap();
    calls.extend_from_slice(&memory.record()[failed..]);
    let image = MemoryVfs::after_power_loss(&calls, Loss::All);
    let found = open(image).and_then(|db| Model::read(&db));
    let found = found.unwrap_or_else(|error| panic!("after a power loss: {error}"));
    assert!(found == acknowledged, "found {found:#?}");
}
