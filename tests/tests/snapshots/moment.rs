//! A snapshot is one moment of all collections, whatever is written meanwhile.

use super::{everything, filled};
use amphora::{Database, ErrorKind, Limits, Options, Point, PointId, Schema, vfs::MemoryVfs};
use amphora_tests::{meanwhile::meanwhile, random::Random, workload::open};

/// A writer counts up in one collection and then in the other, so that the first is ahead of the
/// second by one at most, at every moment.
#[test]
fn two_collections_under_a_writer_are_of_one_moment() {
    let db = open(MemoryVfs::new()).unwrap();
    let first = db.create_collection("first", Schema::new()).wait().unwrap();
    let second = db
        .create_collection("second", Schema::new())
        .wait()
        .unwrap();
    let writes = |_: &mut Random, round| {
        for collection in [&first, &second] {
            let point = Point::new(round - 1);
            collection.upsert([point]).wait().unwrap();
        }
    };
    let made = meanwhile(1, writes, || {
        let made: Vec<_> = (0..20)
            .map(|number| {
                let before = second.count().wait().unwrap();
                let name = format!("snapshot {number}");
                (before, db.create_snapshot(name).wait().unwrap())
            })
            .collect();
        made
    });
    for (before, snapshot) in &made {
        db.restore_snapshot(&snapshot.name).wait().unwrap();
        let count = |name: &str| db.collection(name).wait().unwrap().count().wait().unwrap();
        let (first, second) = (count("first"), count("second"));
        assert!(first - second <= 1, "{first} and {second}");
        assert!(second >= *before, "what was answered before is in it");
        assert_eq!(snapshot.points, first + second);
        assert_eq!(snapshot.collections, 2);
        let Some(last) = first.checked_sub(1) else {
            continue;
        };
        let collection = db.collection("first").wait().unwrap();
        let last = collection.get(PointId::from(last)).wait().unwrap();
        assert!(last.is_some(), "no point is missing before the last");
    }
}

#[test]
fn names_are_checked_listed_and_taken_once() {
    let vfs = MemoryVfs::new();
    let db = filled(vfs.clone());
    let kind = |name: &str| db.create_snapshot(name).wait().unwrap_err().kind();
    assert_eq!(kind(""), ErrorKind::InvalidInput);
    assert_eq!(kind("a\nb"), ErrorKind::InvalidInput);
    let monday = db.create_snapshot("../monday").wait().unwrap();
    assert_eq!(kind("../monday"), ErrorKind::AlreadyExists);
    let tuesday = db.create_snapshot("tuesday").wait().unwrap();
    assert_eq!(
        db.snapshots().wait().unwrap(),
        [monday.clone(), tuesday.clone()]
    );
    db.close().wait().unwrap();
    assert_eq!(
        db.create_snapshot("late").wait().unwrap_err().kind(),
        ErrorKind::Closed
    );
    let db = open(vfs.clone()).unwrap();
    let found = everything(&db);
    assert_eq!(db.snapshots().wait().unwrap(), [monday, tuesday.clone()]);
    db.delete_snapshot("../monday").wait().unwrap();
    for missing in ["../monday", "monday"] {
        let restored = db.restore_snapshot(missing).wait().unwrap_err();
        let deleted = db.delete_snapshot(missing).wait().unwrap_err();
        assert_eq!(restored.kind(), ErrorKind::NotFound);
        assert_eq!(deleted.kind(), ErrorKind::NotFound);
    }
    assert_eq!(db.snapshots().wait().unwrap(), [tuesday]);
    assert_eq!(everything(&db), found);
    assert!(
        super::names(&vfs)
            .iter()
            .all(|name| !name.contains("monday"))
    );
}

#[test]
fn there_are_as_many_as_the_limits_say_and_no_more() {
    let limits = Limits {
        snapshots: 2,
        ..Limits::default()
    };
    let builder = Database::builder_on(MemoryVfs::new()).options(Options {
        limits,
        ..Options::default()
    });
    let db = builder.open().wait().unwrap();
    let create = |name: &str| db.create_snapshot(name).wait();
    create("a").unwrap();
    create("b").unwrap();
    assert_eq!(create("c").unwrap_err().kind(), ErrorKind::InvalidInput);
    db.delete_snapshot("a").wait().unwrap();
    create("c").unwrap();
}
