//! Going back to a snapshot, in place and in another directory.

use super::{changed, everything, filled, open_at, upsert, write};
use amphora::{
    ErrorKind,
    vfs::{DiskVfs, MemoryVfs, Vfs},
};
use amphora_tests::{meanwhile::meanwhile, random::Random, workload::open};
use std::fs;

#[test]
fn in_place_everything_is_as_it_was_and_stays_so() {
    let vfs = MemoryVfs::new();
    let mut db = filled(vfs.clone());
    let before = everything(&db);
    let handle = db.collection("docs").wait().unwrap();
    db.create_snapshot("a").wait().unwrap();
    for round in 0..3 {
        changed(&db);
        assert_ne!(everything(&db), before);
        if round == 1 {
            db.close().wait().unwrap();
            db = open(vfs.clone()).unwrap();
        }
        db.restore_snapshot("a").wait().unwrap();
        assert_eq!(everything(&db), before, "round {round}");
        assert_eq!(db.snapshots().wait().unwrap().len(), 1);
        db.close().wait().unwrap();
        db = open(vfs.clone()).unwrap();
        assert_eq!(everything(&db), before, "round {round}, opened again");
    }
    let error = handle.count().wait().unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::Closed | ErrorKind::NotFound
    ));
}

#[test]
fn handles_of_before_find_their_collection_deleted_and_new_ones_work() {
    let db = filled(MemoryVfs::new());
    let handle = db.collection("docs").wait().unwrap();
    db.create_snapshot("a").wait().unwrap();
    db.restore_snapshot("a").wait().unwrap();
    let read = handle.count().wait().unwrap_err();
    let written = handle.upsert([amphora::Point::new(1)]).wait().unwrap_err();
    assert_eq!(
        (read.kind(), written.kind()),
        (ErrorKind::NotFound, ErrorKind::NotFound)
    );
    let before = everything(&db);
    write(&db, [upsert("docs", 500..501, 1)]);
    db.optimize().wait().unwrap();
    assert_ne!(everything(&db), before);
    db.restore_snapshot("a").wait().unwrap();
    assert_eq!(everything(&db), before);
}

#[test]
fn while_others_write_the_outcome_is_the_snapshot_and_whole_later_writes() {
    let vfs = MemoryVfs::new();
    let db = filled(vfs.clone());
    db.create_snapshot("a").wait().unwrap();
    let before = everything(&db);
    let writes = |_: &mut Random, _| {
        let Ok(notes) = db.collection("notes").wait() else {
            return;
        };
        if let Err(error) = notes.delete([0, 1, 2]).wait() {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        }
    };
    meanwhile(1, writes, || {
        for _ in 0..20 {
            db.restore_snapshot("a").wait().unwrap();
        }
    });
    db.close().wait().unwrap();
    let db = open(vfs).unwrap();
    let mut found = everything(&db);
    let notes = found.model.0.get_mut("notes").unwrap();
    let missing = before.model.0["notes"].len() - notes.len();
    assert!([0, 3].contains(&missing), "{missing}");
    *notes = before.model.0["notes"].clone();
    assert_eq!(found, before);
}

#[test]
fn elsewhere_it_is_a_database_of_its_own_from_disk_and_from_memory() {
    let place = tempfile::tempdir().unwrap();
    let disk = DiskVfs::open(place.path().join("source"), true).unwrap();
    let sources: [Box<dyn FnOnce() -> amphora::Database>; 2] = [
        Box::new(|| filled(disk)),
        Box::new(|| filled(MemoryVfs::new())),
    ];
    for (source, number) in sources.into_iter().zip(0..) {
        let db = source();
        let before = everything(&db);
        db.create_snapshot("a").wait().unwrap();
        changed(&db);
        let after = everything(&db);
        let path = place.path().join(format!("made/{number}"));
        db.restore_snapshot_to("a", &path).wait().unwrap();
        assert_eq!(everything(&db), after);
        let copy = open_at(&path);
        assert_eq!(everything(&copy), before);
        changed(&copy);
        copy.close().wait().unwrap();
        db.delete_snapshot("a").wait().unwrap();
        db.close().wait().unwrap();
        assert_ne!(everything(&open_at(&path)), before);
        check_modes(&path);
    }
}

#[cfg(unix)]
fn check_modes(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path), 0o700);
    for entry in fs::read_dir(path).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[cfg(not(unix))]
fn check_modes(_: &std::path::Path) {}

#[test]
fn elsewhere_only_an_empty_directory_will_do_and_a_failure_leaves_it_empty() {
    let place = tempfile::tempdir().unwrap();
    let vfs = MemoryVfs::new();
    let db = filled(vfs.clone());
    db.create_snapshot("a").wait().unwrap();
    let kind = |name: &str, path: &std::path::Path| {
        db.restore_snapshot_to(name, path)
            .wait()
            .unwrap_err()
            .kind()
    };
    let full = place.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("mine"), "x").unwrap();
    assert_eq!(kind("a", &full), ErrorKind::AlreadyExists);
    assert_eq!(kind("a", &full.join("mine")), ErrorKind::InvalidInput);
    assert_eq!(fs::read_dir(&full).unwrap().count(), 1);
    assert_eq!(kind("b", &place.path().join("none")), ErrorKind::NotFound);
    let segment = vfs.list().unwrap();
    let segment = segment.iter().find(|name| name.starts_with("segment-"));
    vfs.remove(segment.unwrap()).unwrap();
    let empty = place.path().join("empty");
    assert_eq!(kind("a", &empty), ErrorKind::NotFound);
    let left: Vec<_> = fs::read_dir(&empty)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["LOCK"]);
}
