//! What becomes of the files that a snapshot names.

use super::{changed, everything, filled, names, upsert, write};
use amphora::vfs::{MemoryVfs, Vfs};
use amphora_tests::workload::open;
use std::collections::BTreeMap;

/// The content of all files that are never written again.
fn finished(vfs: &MemoryVfs) -> BTreeMap<String, Vec<u8>> {
    let of_data = |name: &String| name.starts_with("segment-") || name.starts_with("deletes-");
    let content = |name: String| (name.clone(), vfs.content(&name).unwrap());
    names(vfs)
        .into_iter()
        .filter(of_data)
        .map(content)
        .collect()
}

#[test]
fn they_survive_merges_and_reopening_and_go_with_the_snapshot() {
    let vfs = MemoryVfs::new();
    let db = filled(vfs.clone());
    // No file is about to go that the snapshot does not name.
    db.optimize().wait().unwrap();
    db.create_snapshot("a").wait().unwrap();
    let pinned = finished(&vfs);
    assert!(pinned.len() >= 2, "{:?}", pinned.keys());
    changed(&db);
    db.optimize().wait().unwrap();
    db.close().wait().unwrap();
    let db = open(vfs.clone()).unwrap();
    db.optimize().wait().unwrap();
    let later = finished(&vfs);
    assert!(later.len() > pinned.len());
    for (name, content) in &pinned {
        assert_eq!(later.get(name), Some(content), "{name}");
    }
    let found = everything(&db);
    db.delete_snapshot("a").wait().unwrap();
    let left = finished(&vfs);
    let kept = pinned.keys().filter(|name| left.contains_key(*name));
    assert_eq!(kept.count(), 0, "{:?}", left.keys());
    let logs = names(&vfs)
        .into_iter()
        .filter(|name| name.starts_with("wal-"));
    assert!(logs.count() <= 2);
    assert_eq!(everything(&db), found);
    db.close().wait().unwrap();
    assert_eq!(finished(&vfs), left);
    assert_eq!(everything(&open(vfs).unwrap()), found);
}

#[test]
fn of_two_snapshots_each_keeps_what_it_names() {
    let vfs = MemoryVfs::new();
    let db = filled(vfs.clone());
    let first = everything(&db);
    db.create_snapshot("first").wait().unwrap();
    write(&db, [upsert("notes", 3..5, 20)]);
    let second = everything(&db);
    db.create_snapshot("second").wait().unwrap();
    changed(&db);
    db.delete_snapshot("first").wait().unwrap();
    db.restore_snapshot("second").wait().unwrap();
    assert_eq!(everything(&db), second);
    db.create_snapshot("third").wait().unwrap();
    db.delete_snapshot("second").wait().unwrap();
    changed(&db);
    db.restore_snapshot("third").wait().unwrap();
    assert_eq!(everything(&db), second);
    assert_ne!(second, first);
}

#[test]
fn making_one_writes_no_points() {
    let vfs = MemoryVfs::recording();
    let db = filled(vfs.clone());
    db.optimize().wait().unwrap();
    let before = finished(&vfs);
    let calls = vfs.recorded();
    db.create_snapshot("a").wait().unwrap();
    let made = vfs.recorded() - calls;
    assert_eq!(finished(&vfs), before);
    // A log file: create, write, sync, rename, sync names. A manifest: one more, and a removal.
    assert!(made <= 14, "{:?}", &vfs.record()[calls..]);
}

#[test]
fn a_missing_or_damaged_file_of_a_snapshot_harms_that_snapshot_alone() {
    let vfs = MemoryVfs::new();
    let db = filled(vfs.clone());
    // No file is about to go that the snapshot does not name.
    db.optimize().wait().unwrap();
    db.create_snapshot("a").wait().unwrap();
    let pinned = finished(&vfs);
    changed(&db);
    db.optimize().wait().unwrap();
    let found = everything(&db);
    db.close().wait().unwrap();
    for name in pinned.keys() {
        vfs.remove(name).unwrap();
    }
    let db = open(vfs).unwrap();
    assert_eq!(everything(&db), found);
    let error = db.restore_snapshot("a").wait().unwrap_err();
    assert!(error.to_string().contains("segment-"), "{error}");
    assert_eq!(everything(&db), found);
    write(&db, [upsert("docs", 0..3, 30)]);
    db.delete_snapshot("a").wait().unwrap();
    assert_ne!(everything(&db), found);
}
