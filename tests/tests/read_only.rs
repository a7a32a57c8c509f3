//! Opening for reading only: beside a writer, where nothing may be written, and of what a crash
//! left behind.

use amphora::{
    Collection, Database, Durability, Error, ErrorKind, Metric, Options, Point, Query, Result,
    Schema, Vector,
    vfs::{DiskVfs, MemoryVfs, Vfs},
};
use amphora_tests::layer::{Kind, Layer, Layered};
use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

fn schema() -> Schema {
    Schema::new().vector("v", Vector::new(2, Metric::Euclidean))
}

fn point(id: u64) -> Point {
    Point::new(id).vector("v", [id as f32, 1.0])
}

fn read_only() -> Options {
    Options {
        read_only: true,
        ..Options::default()
    }
}

fn open(vfs: impl Vfs + 'static, options: Options) -> Result<Database> {
    Database::builder_on(vfs).options(options).open().wait()
}

fn docs(db: &Database) -> Collection {
    db.collection("docs").wait().unwrap()
}

/// Points in a segment, replaced and deleted ones, and others in the log alone: 1 to 19.
fn fill(db: &Database) {
    let docs = db.create_collection("docs", schema()).wait().unwrap();
    docs.upsert((0..10).map(point)).wait().unwrap();
    db.optimize().wait().unwrap();
    docs.upsert((9..20).map(point)).wait().unwrap();
    docs.delete([0]).wait().unwrap();
}

fn reads_all(db: &Database) {
    let docs = docs(db);
    let expected: Vec<Point> = (1..20).map(point).collect();
    let found: Result<Vec<Point>> = docs.scroll().into_iter().collect();
    assert_eq!(found.unwrap(), expected);
    let nearest = Query::nearest("v", [3.0, 1.0]).limit(1);
    assert_eq!(docs.search(nearest).wait().unwrap()[0].id, 3.into());
    assert!(db.health().wait().unwrap().damaged.is_empty());
    assert!(db.verify().wait().unwrap().damaged.is_empty());
}

fn refused<T: std::fmt::Debug>(answer: Result<T>) {
    let error: Error = answer.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("for reading only"), "{error}");
}

fn writes_are_refused(db: &Database) {
    let docs = docs(db);
    refused(docs.upsert([point(1)]).wait());
    refused(docs.delete([1]).wait());
    refused(db.create_collection("more", schema()).wait());
    refused(db.rename_collection("docs", "others").wait());
    refused(db.set_alias("alias", "docs").wait());
    refused(db.delete_collection("docs").wait());
    refused(db.optimize().wait());
}

/// A directory that can be read, and nothing else.
#[derive(Debug)]
struct ReadOnly;

impl Layer for ReadOnly {
    type File = ();

    fn call<T>(&self, kind: Kind, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match kind {
            Kind::OpenRead | Kind::List | Kind::Len | Kind::Read | Kind::Map => make(),
            _ => Err(io::ErrorKind::ReadOnlyFilesystem.into()),
        }
    }
}

fn medium(vfs: impl Vfs + 'static) -> Layered<ReadOnly> {
    Layered::on(vfs, ReadOnly)
}

fn files(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(path).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    });
    entries.collect()
}

#[test]
fn beside_a_writer_it_sees_the_state_of_its_opening() {
    let vfs = MemoryVfs::new();
    let writer = open(vfs.clone(), Options::default()).unwrap();
    fill(&writer);
    let reader = open(medium(vfs.clone()), read_only()).unwrap();
    docs(&writer).delete([5]).wait().unwrap();
    writer.optimize().wait().unwrap();
    reads_all(&reader);
    writes_are_refused(&reader);
    let later = open(medium(vfs), read_only()).unwrap();
    assert_eq!(docs(&later).count().wait().unwrap(), 18);
    reader.close().wait().unwrap();
    let error = docs(&later)
        .get(1)
        .wait()
        .and_then(|_| reader.collections().wait());
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Closed);
    let closed = reader.close().wait().unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Closed);
    drop(later);
    docs(&writer).upsert([point(5)]).wait().unwrap();
    writer.close().wait().unwrap();
}

#[test]
fn on_disk_nothing_is_created_cleared_or_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let db = amphora_blocking::open(&path).unwrap();
    fill(&db);
    db.close().wait().unwrap();
    fs::remove_file(path.join("LOCK")).unwrap();
    // What a crash may leave: the torn end of a write, and files that nothing names.
    let log = files(&path).into_keys().find(|name| name.ends_with(".log"));
    let log = path.join(log.unwrap());
    let mut content = fs::read(&log).unwrap();
    content.extend([7; 100]);
    fs::write(&log, content).unwrap();
    fs::write(path.join("segment-0000000999.seg"), "garbage").unwrap();
    fs::write(path.join("wal-0000000999.log.tmp"), "garbage").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        for name in files(&path).keys() {
            fs::set_permissions(path.join(name), fs::Permissions::from_mode(0o400)).unwrap();
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o500)).unwrap();
    }
    let before = files(&path);
    let open = || amphora_blocking::builder(&path).options(read_only()).open();
    let (one, two) = (open().wait().unwrap(), open().wait().unwrap());
    reads_all(&one);
    reads_all(&two);
    writes_are_refused(&one);
    one.close().wait().unwrap();
    two.close().wait().unwrap();
    assert_eq!(files(&path), before);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn where_no_database_is_none_is_found_or_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let open = || amphora_blocking::builder(&path).options(read_only()).open();
    assert_eq!(open().wait().unwrap_err().kind(), ErrorKind::NotFound);
    assert!(!path.exists());
    fs::create_dir(&path).unwrap();
    assert_eq!(open().wait().unwrap_err().kind(), ErrorKind::NotFound);
    fs::write(path.join("stranger"), "x").unwrap();
    assert_eq!(open().wait().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(files(&path).len(), 1);
}

/// The writer flushes, merges and rotates all the time; each opening sees the ids up to some
/// write, in order, and none before what was acknowledged when it began.
fn beside_a_busy_writer<V: Vfs + 'static>(vfs: impl Fn() -> V, least_points: u64) {
    let tiny = Options {
        memtable_bytes: 2_000,
        ..Options::default()
    };
    let writer = open(vfs(), tiny).unwrap();
    writer.create_collection("docs", schema()).wait().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let written = {
        let (writer, stop) = (writer.clone(), Arc::clone(&stop));
        thread::spawn(move || {
            let docs = docs(&writer).with_durability(Durability::Os);
            let mut next = 0;
            while !stop.load(Ordering::Relaxed) {
                docs.upsert([point(next), point(next + 1)]).wait().unwrap();
                next += 2;
            }
            next
        })
    };
    let (mut openings, mut least) = (0, 0);
    while openings < 40 || least < least_points {
        least = docs(&writer).count().wait().unwrap();
        let reader = open(medium(vfs()), read_only()).unwrap();
        let docs = docs(&reader);
        let count = docs.count().wait().unwrap();
        assert!(
            count >= least && count.is_multiple_of(2),
            "{count} of {least}"
        );
        assert_eq!(reader.stats().damaged.len(), 0);
        let ids: Result<Vec<Point>> = docs.scroll().into_iter().collect();
        assert!(ids.unwrap().into_iter().eq((0..count).map(point)));
        let verified = if openings % 2 == 0 { &writer } else { &reader };
        let verification = verified.verify().wait().unwrap();
        assert!(
            verification.damaged.is_empty(),
            "{:?}",
            verification.damaged
        );
        assert!(verification.files >= 2 && verification.bytes > 100);
        openings += 1;
    }
    stop.store(true, Ordering::Relaxed);
    let written: u64 = written.join().unwrap();
    eprintln!("{openings} openings while {written} points were written");
    assert_eq!(docs(&writer).count().wait().unwrap(), written);
    writer.close().wait().unwrap();
}

#[test]
fn openings_and_checks_beside_a_busy_writer() {
    let directory = tempfile::tempdir().unwrap();
    beside_a_busy_writer(|| DiskVfs::open(directory.path(), true).unwrap(), 300);
    let memory = MemoryVfs::new();
    beside_a_busy_writer(|| memory.clone(), 3_000);
}
