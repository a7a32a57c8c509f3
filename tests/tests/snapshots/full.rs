//! A disk without space while snapshots are made, deleted and gone back to.

use super::{changed, everything, filled, upsert, write};
use amphora::{Durability, ErrorKind, vfs::MemoryVfs};
use amphora_tests::{
    faults::{ENOSPC, Fault, FaultyVfs, How},
    layer::Kind,
    workload::{open, point},
};

/// Fails the nth creation or write of each operation, until it needs no more of them.
#[test]
fn what_does_not_fit_is_refused_and_leaves_everything_as_it_was() {
    let mut refused = 0;
    for kind in [Kind::Create, Kind::Write] {
        for operation in ["create", "delete", "restore"] {
            refused += (1..).take_while(|nth| fails(operation, kind, *nth)).count();
        }
    }
    println!("{refused} operations were refused for want of space");
    assert!(refused >= 12);
}

fn fails(operation: &str, kind: Kind, nth: usize) -> bool {
    let vfs = MemoryVfs::new();
    let disk = FaultyVfs::new(vfs.clone());
    let db = filled(disk.clone());
    db.create_snapshot("a").wait().unwrap();
    let snapshot = everything(&db);
    changed(&db);
    db.optimize().wait().unwrap();
    let before = everything(&db);
    let run = || match operation {
        "create" => db.create_snapshot("b").wait().map(drop),
        "delete" => db.delete_snapshot("a").wait(),
        _ => db.restore_snapshot("a").wait(),
    };
    disk.fail(Fault {
        kind: Some(kind),
        nth,
        lasting: false,
        how: How::Error(ENOSPC),
    });
    let outcome = run();
    disk.heal();
    let Err(error) = outcome else {
        return false;
    };
    let place = format!("{operation}, {kind:?} {nth}");
    assert_eq!(error.kind(), ErrorKind::StorageFull, "{place}: {error}");
    assert_eq!(everything(&db), before, "{place}");
    assert_eq!(db.snapshots().wait().unwrap().len(), 1, "{place}");
    write(&db, [upsert("docs", 300..301, 1)]);
    run().unwrap();
    if operation != "delete" {
        db.restore_snapshot("a").wait().unwrap();
        assert_eq!(everything(&db), snapshot, "{place}");
    }
    let found = everything(&db);
    db.close().wait().unwrap();
    assert_eq!(everything(&open(vfs).unwrap()), found, "{place}");
    true
}

#[test]
fn after_a_failed_sync_everything_is_answered_with_poisoned() {
    let vfs = MemoryVfs::new();
    let db = filled(vfs.clone());
    db.create_snapshot("a").wait().unwrap();
    // No flush is under way then, and the log has something to sync.
    db.optimize().wait().unwrap();
    let docs = db.collection("docs").wait().unwrap();
    let docs = docs.with_durability(Durability::Os);
    docs.upsert([point(77, 5, 10)]).wait().unwrap();
    let before = everything(&db);
    vfs.fail_sync(1);
    let first = db.create_snapshot("b").wait().unwrap_err();
    assert_ne!(first.kind(), ErrorKind::StorageFull, "{first}");
    for refused in [
        db.create_snapshot("b").wait().map(drop),
        db.delete_snapshot("a").wait(),
        db.restore_snapshot("a").wait(),
        db.optimize().wait(),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Poisoned);
    }
    assert_eq!(everything(&db), before);
    assert_eq!(db.snapshots().wait().unwrap().len(), 1);
}
