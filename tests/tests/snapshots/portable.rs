//! A snapshot as one file, which may come from anyone.

use super::{changed, everything, filled, open_at, upsert, write};
use amphora::{Database, ErrorKind, Options, vfs::MemoryVfs};
use amphora_tests::workload::{Change, open};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// A small database with something of every sort, exported. Gives what it held.
fn exported(place: &TempDir) -> (PathBuf, super::Everything) {
    let db = filled(MemoryVfs::new());
    let before = everything(&db);
    db.create_snapshot("a").wait().unwrap();
    changed(&db);
    let file = place.path().join("a.amphora");
    db.export_snapshot("a", &file).wait().unwrap();
    (file, before)
}

#[test]
fn what_was_exported_is_imported() {
    let place = tempfile::tempdir().unwrap();
    let (file, before) = exported(&place);
    for number in 0..2 {
        let path = place.path().join(format!("made/{number}"));
        Database::import(&file, &path).wait().unwrap();
        let db = open_at(&path);
        assert_eq!(everything(&db), before);
        assert!(db.snapshots().wait().unwrap().is_empty());
        changed(&db);
        db.close().wait().unwrap();
        assert_ne!(everything(&open_at(&path)), before);
    }
    let left: Vec<_> = fs::read_dir(place.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "the file and the databases: {left:?}");
}

#[test]
fn a_file_that_exists_is_not_overwritten_and_a_failure_leaves_none() {
    let place = tempfile::tempdir().unwrap();
    let (file, _) = exported(&place);
    let content = fs::read(&file).unwrap();
    let db = filled(MemoryVfs::new());
    db.create_snapshot("a").wait().unwrap();
    let kind = |path: &Path| db.export_snapshot("a", path).wait().unwrap_err().kind();
    assert_eq!(kind(&file), ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&file).unwrap(), content);
    assert_eq!(kind(&place.path().join("none/a")), ErrorKind::NotFound);
    assert_eq!(kind(Path::new("/")), ErrorKind::InvalidInput);
    let missing = db.export_snapshot("b", place.path().join("b")).wait();
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
    let made = place.path().join("made");
    Database::import(&file, &made).wait().unwrap();
    let again = Database::import(&file, &made).wait().unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    open_at(&made);
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2);
}

/// Imports `content`; what is refused must leave nothing, and what is not must be as it was.
fn import_is_refused(place: &TempDir, content: &[u8], expected: &super::Everything) -> bool {
    let file = place.path().join("hostile");
    let path = place.path().join("target");
    fs::write(&file, content).unwrap();
    let refused = match Database::import(&file, &path).wait() {
        Ok(()) => {
            let db = open_at(&path);
            assert_eq!(&everything(&db), expected);
            // The directory is removed below, and must not be written to then.
            db.close().wait().unwrap();
            false
        }
        Err(error) => {
            let known = [
                ErrorKind::Corrupted,
                ErrorKind::InvalidInput,
                ErrorKind::Unsupported,
            ];
            assert!(known.contains(&error.kind()), "{error}");
            let left = fs::read_dir(&path).into_iter().flatten();
            let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
            assert!(left.iter().all(|name| name == "LOCK"), "{left:?}");
            let options = Options {
                create: false,
                ..Options::default()
            };
            assert!(
                Database::builder(&path)
                    .options(options)
                    .open()
                    .wait()
                    .is_err()
            );
            true
        }
    };
    let _ = fs::remove_dir_all(&path);
    refused
}

/// Small, so that each of its bytes can be tried.
fn small(place: &TempDir) -> (Vec<u8>, super::Everything) {
    let db = open(MemoryVfs::new()).unwrap();
    write(&db, [Change::Create("docs"), upsert("docs", 0..3, 1)]);
    db.optimize().wait().unwrap();
    write(&db, [Change::Delete("docs", vec![1.into()])]);
    write(&db, [Change::Create("later")]);
    db.set_alias("all", "docs").wait().unwrap();
    let before = everything(&db);
    db.create_snapshot("a").wait().unwrap();
    let file = place.path().join("small");
    db.export_snapshot("a", &file).wait().unwrap();
    (fs::read(file).unwrap(), before)
}

#[test]
fn every_flipped_byte_is_refused_or_harmless_and_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let (good, expected) = small(&place);
    assert!(!import_is_refused(&place, &good, &expected));
    let mut refused = 0;
    for at in 0..good.len() {
        let mut content = good.clone();
        content[at] ^= 1 << (at % 8);
        refused += usize::from(import_is_refused(&place, &content, &expected));
    }
    println!("{refused} of {} flipped bytes were refused", good.len());
    assert_eq!(refused, good.len());
}

#[test]
fn every_truncation_and_every_addition_is_refused_and_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    let (good, expected) = small(&place);
    for len in 0..good.len() {
        assert!(
            import_is_refused(&place, &good[..len], &expected),
            "{len} bytes"
        );
    }
    for more in [&b"\0"[..], &[0; 64], &good] {
        let content = [&good[..], more].concat();
        assert!(import_is_refused(&place, &content, &expected));
    }
    println!("{} truncations were refused", good.len());
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused_at_once() {
    let place = tempfile::tempdir().unwrap();
    for source in [Path::new("/dev/zero"), place.path()] {
        let path = place.path().join("target");
        let error = Database::import(source, &path).wait().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        assert!(!path.exists());
    }
}
