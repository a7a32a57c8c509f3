//! A damaged segment is contained: the database opens, says what is lost, and serves the rest.

use amphora::{
    Collection, Database, Error, ErrorKind, Metric, Options, Point, Query, Result, Schema, Vector,
    vfs::{DiskVfs, MemoryVfs, Vfs},
};
use serde_json::json;

fn schema() -> Schema {
    Schema::new().vector("v", Vector::new(2, Metric::Euclidean))
}

fn point(id: u64) -> Point {
    Point::new(id)
        .vector("v", [id as f32, 1.0])
        .payload(json!({ "id": id, "text": "some words" }))
}

fn points(ids: std::ops::Range<u64>) -> Vec<Point> {
    ids.map(point).collect()
}

/// Of each collection at first: so many that the few which are deleted bring about no merge.
const ROWS: u64 = 16;

fn options(set_aside_damaged: bool) -> Options {
    Options {
        set_aside_damaged,
        ..Options::default()
    }
}

fn open(vfs: impl Vfs + 'static, set_aside: bool) -> Result<Database> {
    Database::builder_on(vfs)
        .options(options(set_aside))
        .open()
        .wait()
}

fn collection(db: &Database, name: &str) -> Collection {
    db.collection(name).wait().unwrap()
}

/// Two collections with a segment each; `docs` also has deleted rows, in a file of their own, and
/// changes in the log: of the points 0 to 9, 0 was deleted before, 1 is deleted and 2 replaced there.
fn damaged() -> MemoryVfs {
    let vfs = MemoryVfs::new();
    let db = open(vfs.clone(), false).unwrap();
    for name in ["docs", "notes"] {
        let collection = db.create_collection(name, schema()).wait().unwrap();
        collection.upsert(points(0..ROWS)).wait().unwrap();
        db.optimize().wait().unwrap();
    }
    collection(&db, "docs").delete([0]).wait().unwrap();
    collection(&db, "notes")
        .upsert(points(ROWS..ROWS + 1))
        .wait()
        .unwrap();
    db.flush().wait().unwrap();
    db.close().wait().unwrap();
    vfs
}

fn with_log_changes(vfs: &MemoryVfs) {
    let db = open(vfs.clone(), false).unwrap();
    let docs = collection(&db, "docs");
    docs.delete([1]).wait().unwrap();
    docs.upsert([point(2).payload(json!({ "new": true }))])
        .wait()
        .unwrap();
    db.close().wait().unwrap();
}

fn segments(vfs: &dyn Vfs) -> Vec<String> {
    let mut names = vfs.list().unwrap();
    names.retain(|name| name.ends_with(".seg"));
    names.sort();
    names
}

fn is_damage(error: &Error, file: &str) {
    assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
    assert_eq!(error.location().unwrap().0, file, "{error}");
}

fn search(collection: &Collection) -> Result<usize> {
    let query = Query::nearest("v", [0.0, 0.0]).limit(100);
    collection.search(query).wait().map(|hits| hits.len())
}

fn works_in_full(notes: &Collection, points: u64) {
    assert_eq!(notes.count().wait().unwrap(), points);
    assert_eq!(search(notes).unwrap() as u64, points);
    assert_eq!(notes.get(3).wait().unwrap(), Some(point(3)));
    notes.upsert([point(3), point(100)]).wait().unwrap();
    assert_eq!(notes.delete([100]).wait().unwrap(), 1);
}

#[test]
fn what_is_lost_is_refused_and_the_rest_works() {
    let vfs = damaged();
    with_log_changes(&vfs);
    let file = segments(&vfs)[0].clone();
    let good = vfs.content(&file).unwrap();
    for content in [None, Some(&good[..40]), Some(&[0; 4_096])] {
        let vfs = vfs.fork();
        match content {
            None => vfs.remove(&file).unwrap(),
            Some(content) => vfs.set_content(&file, content),
        }
        let db = open(vfs.clone(), false).unwrap();
        let docs = collection(&db, "docs");
        is_damage(&docs.count().wait().unwrap_err(), &file);
        is_damage(&search(&docs).unwrap_err(), &file);
        is_damage(&docs.get(5).wait().unwrap_err(), &file);
        is_damage(&docs.delete([5]).wait().unwrap_err(), &file);
        is_damage(&docs.upsert([point(50)]).wait().unwrap_err(), &file);
        let scrolled: Result<Vec<_>> = docs.scroll().into_iter().collect();
        is_damage(&scrolled.unwrap_err(), &file);
        // What is known to lie elsewhere can be read, and written again.
        assert_eq!(
            docs.get(2).wait().unwrap().unwrap().payload,
            json!({ "new": true }).into()
        );
        docs.upsert([point(2)]).wait().unwrap();
        works_in_full(&collection(&db, "notes"), ROWS + 1);
        for damage in [db.stats().damaged, db.health().wait().unwrap().damaged] {
            assert_eq!(damage.len(), 1);
            assert_eq!(damage[0].collection, "docs");
            is_damage(&damage[0].error, &file);
        }
        is_damage(&db.optimize().wait().unwrap_err(), &file);
        db.close().wait().unwrap();
    }
}

#[test]
fn a_repaired_file_counts_again_without_what_ended_meanwhile() {
    for set_aside in [false, true] {
        let vfs = damaged();
        with_log_changes(&vfs);
        let file = segments(&vfs)[0].clone();
        let good = vfs.content(&file).unwrap();
        vfs.set_content(&file, &good[..good.len() / 2]);
        for _ in 0..3 {
            let db = open(vfs.clone(), set_aside).unwrap();
            let docs = collection(&db, "docs");
            docs.upsert([point(2)]).wait().unwrap();
            if set_aside {
                docs.delete([7]).wait().unwrap();
                docs.upsert([point(8), point(20)]).wait().unwrap();
                assert_eq!(docs.count().wait().unwrap(), 3);
                assert_eq!(search(&docs).unwrap(), 3);
                assert_eq!(docs.get(5).wait().unwrap(), None);
            }
            // Everything goes to new segments, and the log is let go.
            assert_eq!(db.optimize().wait().is_ok(), set_aside);
            works_in_full(&collection(&db, "notes"), ROWS + 1);
            assert_eq!(db.stats().damaged.len(), 1);
            db.close().wait().unwrap();
            assert_eq!(vfs.content(&file).unwrap(), good[..good.len() / 2]);
        }
        vfs.set_content(&file, good);
        for _ in 0..2 {
            let db = open(vfs.clone(), false).unwrap();
            assert!(db.stats().damaged.is_empty());
            let docs = collection(&db, "docs");
            let mut expected: Vec<u64> = (2..ROWS).collect();
            if set_aside {
                expected.retain(|id| *id != 7);
                expected.push(20);
            }
            let found: Result<Vec<Point>> = docs.scroll().into_iter().collect();
            let mut found = found.unwrap();
            found.sort_by(|a, b| a.id.cmp(&b.id));
            let expected: Vec<_> = expected.into_iter().map(point).collect();
            assert_eq!(found, expected, "set aside: {set_aside}");
            assert_eq!(docs.count().wait().unwrap() as usize, expected.len());
            db.optimize().wait().unwrap();
            db.close().wait().unwrap();
        }
        let left = vfs.list().unwrap();
        assert!(
            !left.iter().any(|name| name.starts_with("missed")),
            "{left:?}"
        );
    }
}

#[test]
fn a_lost_file_of_deleted_rows_is_damage_of_its_segment() {
    let vfs = damaged();
    let db = open(vfs.clone(), false).unwrap();
    // A flush of the other collection writes down what was deleted.
    let before = db.stats().segments;
    collection(&db, "notes")
        .upsert(points(20..40))
        .wait()
        .unwrap();
    db.close().wait().unwrap();
    drop(db);
    let tiny = Options {
        memtable_bytes: 1,
        ..Options::default()
    };
    let db = Database::builder_on(vfs.clone()).options(tiny).open();
    let db = db.wait().unwrap();
    while db.stats().segments == before || db.stats().upkeep {
        std::thread::yield_now();
    }
    db.close().wait().unwrap();
    let names = vfs.list().unwrap();
    let deletes = names.iter().find(|name| name.ends_with(".del")).unwrap();
    vfs.remove(deletes).unwrap();
    let db = open(vfs.clone(), false).unwrap();
    is_damage(
        &collection(&db, "docs").count().wait().unwrap_err(),
        deletes,
    );
    db.delete_collection("docs").wait().unwrap();
    assert!(db.stats().damaged.is_empty());
    db.close().wait().unwrap();
}

/// Every byte of a segment: the damage is named, or everything is read as it was written; what is
/// set aside is never read wrong; and the other collection never notices.
#[test]
fn every_flipped_byte_of_a_segment_stays_in_its_collection() {
    let vfs = damaged();
    with_log_changes(&vfs);
    let file = segments(&vfs)[0].clone();
    let good = vfs.content(&file).unwrap();
    let mut right = points(3..ROWS);
    right.push(point(2).payload(json!({ "new": true })));
    right.sort_by(|a, b| a.id.cmp(&b.id));
    let (mut named, mut harmless) = (0, 0);
    for at in 0..good.len() {
        let vfs = vfs.fork();
        let mut content = good.clone();
        content[at] ^= 1 << (at % 8);
        vfs.set_content(&file, content);
        let set_aside = at % 2 == 0;
        let db = open(vfs, set_aside).unwrap();
        let docs = collection(&db, "docs");
        let found: Result<Vec<Point>> = docs.scroll().into_iter().collect();
        let found = found.and_then(|found| docs.count().wait().map(|_| found));
        match found {
            Ok(mut found) => {
                found.sort_by(|a, b| a.id.cmp(&b.id));
                let listed = !db.stats().damaged.is_empty();
                let expected = if listed { &right[..1] } else { &right[..] };
                assert_eq!(found, expected, "byte {at}");
                assert!(!listed || set_aside);
                named += usize::from(listed);
                harmless += usize::from(!listed);
            }
            Err(error) => {
                assert!(!set_aside, "byte {at}: {error}");
                is_damage(&error, &file);
                named += 1;
            }
        }
        assert_eq!(
            search(&collection(&db, "notes")).unwrap() as u64,
            ROWS + 1,
            "byte {at}"
        );
    }
    eprintln!("{named} flips named, {harmless} harmless");
    assert!(named > harmless * 5, "{named} and {harmless}");
}

#[test]
fn a_damaged_manifest_or_log_is_an_error_of_opening() {
    let vfs = damaged();
    for name in vfs.list().unwrap() {
        if name.ends_with(".mft") || name.ends_with(".log") {
            let vfs = vfs.fork();
            vfs.set_content(&name, [1; 200]);
            assert!(open(vfs, true).is_err(), "{name}");
        }
    }
}

#[test]
fn on_disk_as_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    let disk = || DiskVfs::open(directory.path(), true).unwrap();
    let db = open(disk(), false).unwrap();
    let docs = db.create_collection("docs", schema()).wait().unwrap();
    docs.upsert(points(0..10)).wait().unwrap();
    db.optimize().wait().unwrap();
    db.close().wait().unwrap();
    let file = segments(&disk()).remove(0);
    let path = directory.path().join(&file);
    let mut content = std::fs::read(&path).unwrap();
    content.pop();
    std::fs::write(&path, content).unwrap();
    let db = open(disk(), false).unwrap();
    is_damage(&collection(&db, "docs").count().wait().unwrap_err(), &file);
    db.close().wait().unwrap();
    let db = open(disk(), true).unwrap();
    assert_eq!(collection(&db, "docs").count().wait().unwrap(), 0);
    assert_eq!(db.stats().damaged.len(), 1);
    db.close().wait().unwrap();
}
