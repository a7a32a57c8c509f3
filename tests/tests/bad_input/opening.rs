//! Places that cannot be opened, and options that are out of bounds: left as they were.

use super::{content, good, options, schema};
use amphora::{
    Database, Error, ErrorKind, Example, Limits, Options, OrderBy, PoolOptions, Query, Scroll,
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

fn open(path: &Path, options: Options) -> Result<Database, Error> {
    let options = Options {
        lock_timeout: Duration::from_millis(50),
        ..options
    };
    amphora_blocking::builder(path)
        .options(options)
        .open()
        .wait()
}

/// Checks that opening `path` is refused so, and leaves everything around it as it was.
fn refused(path: &Path, options: Options, kind: ErrorKind, says: &[&str]) {
    let before = content(path.parent().unwrap());
    let error = open(path, options).expect_err("it was opened");
    assert_eq!(error.kind(), kind, "{error}");
    for word in says {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    assert_eq!(
        content(path.parent().unwrap()),
        before,
        "something was written"
    );
}

/// A directory with a closed database in it, and its log file.
fn database() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let db = amphora_blocking::open(&path).unwrap();
    let docs = db.create_collection("docs", schema()).wait().unwrap();
    docs.upsert([good(1)]).wait().unwrap();
    db.close().wait().unwrap();
    let log = path.join("wal-0000000001.log");
    assert!(log.exists());
    (directory, path, log)
}

fn no_creation() -> Options {
    Options {
        create: false,
        ..Options::default()
    }
}

#[test]
fn a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "not a directory").unwrap();
    let says = ["is a file", "expected a directory"];
    refused(&path, Options::default(), ErrorKind::InvalidInput, &says);
    refused(&path, no_creation(), ErrorKind::InvalidInput, &says);
}

#[test]
fn a_place_below_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "not a directory").unwrap();
    let error = open(&file.join("data"), Options::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}

#[test]
fn opened_already() {
    let (directory, path, _) = database();
    let db = amphora_blocking::open(&path).unwrap();
    let holder = format!("process {}", std::process::id());
    refused(&path, Options::default(), ErrorKind::Locked, &[&holder]);
    #[cfg(unix)]
    {
        // By another name it is the same directory.
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        refused(&link, Options::default(), ErrorKind::Locked, &[&holder]);
    }
    let docs = db.collection("docs").wait().unwrap();
    docs.upsert([good(2)]).wait().unwrap();
    db.close().wait().unwrap();
    let db = open(&path, Options::default()).unwrap();
    let docs = db.collection("docs").wait().unwrap();
    assert_eq!(docs.count().wait().unwrap(), 2);
    db.close().wait().unwrap();
    drop(directory);
}

#[test]
fn a_newer_format() {
    let (_directory, path, log) = database();
    let old = fs::read(&log).unwrap();
    for format in [2u32, 77, u32::MAX] {
        let mut newer = old.clone();
        newer[8..12].copy_from_slice(&format.to_le_bytes());
        fs::write(&log, newer).unwrap();
        let says = [&format!("format {format}"), "reads up to 1"];
        refused(&path, Options::default(), ErrorKind::Unsupported, &says);
        refused(&path, no_creation(), ErrorKind::Unsupported, &says);
    }
    fs::write(&log, old).unwrap();
    let db = open(&path, Options::default()).unwrap();
    let docs = db.collection("docs").wait().unwrap();
    assert_eq!(docs.get(1).wait().unwrap(), Some(good(1)));
    db.close().wait().unwrap();
}

#[test]
fn a_log_that_is_none() {
    let (_directory, path, log) = database();
    for (content, kind) in [
        (&b""[..], ErrorKind::Corrupted),
        (b"AMPHORA\0", ErrorKind::Corrupted),
        (&[b'x'; 4_096], ErrorKind::Corrupted),
    ] {
        fs::write(&log, content).unwrap();
        let says = ["wal-0000000001.log", "byte 0"];
        refused(&path, Options::default(), kind, &says);
    }
}

#[cfg(unix)]
#[test]
fn a_link_in_place_of_a_file_is_not_followed() {
    use std::os::unix::fs::symlink;
    let (directory, path, _) = database();
    let db = amphora_blocking::open(&path).unwrap();
    db.optimize().wait().unwrap();
    db.close().wait().unwrap();
    let outside = directory.path().join("outside");
    let files: Vec<_> = fs::read_dir(&path)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert_eq!(files.len(), 4, "a lock, a log, a manifest and a segment");
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let says = if name == "LOCK" { "locking" } else { name };
        fs::rename(&file, &outside).unwrap();
        symlink(&outside, &file).unwrap();
        refused(&path, Options::default(), ErrorKind::Io, &[says]);
        fs::remove_file(&file).unwrap();
        fs::rename(&outside, &file).unwrap();
    }
    fs::remove_file(path.join("LOCK")).unwrap();
    symlink(&outside, path.join("LOCK")).unwrap();
    refused(&path, Options::default(), ErrorKind::Io, &["locking"]);
    assert!(!outside.exists(), "a file was created elsewhere");
}

#[test]
fn a_foreign_directory_is_left_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("photos");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("cat.jpg"), "meow").unwrap();
    let says = ["other files", "cat.jpg", "expected an empty directory"];
    refused(&path, Options::default(), ErrorKind::InvalidInput, &says);
}

#[test]
fn nothing_is_created_unless_it_may_be() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    refused(&missing, no_creation(), ErrorKind::NotFound, &["missing"]);
    let deeper = missing.join("and").join("deeper");
    let error = open(&deeper, no_creation()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!missing.exists());
}

#[test]
fn an_empty_directory_is_left_empty_unless_it_may_be_filled() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty");
    fs::create_dir(&empty).unwrap();
    refused(&empty, no_creation(), ErrorKind::NotFound, &["no database"]);
    open(&empty, Options::default())
        .unwrap()
        .close()
        .wait()
        .unwrap();
}

#[test]
fn options_out_of_bounds() {
    let pools = |change: fn(&mut PoolOptions)| {
        let mut pools = PoolOptions::default();
        change(&mut pools);
        Options {
            pools: Some(pools),
            ..Options::default()
        }
    };
    let limits = |change: fn(&mut Limits)| {
        let mut options = options();
        change(&mut options.limits);
        options
    };
    let queue = |write_queue| Options {
        write_queue,
        ..Options::default()
    };
    let index_from = |index_from| Options {
        index_from,
        ..Options::default()
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    for (options, says) in [
        (queue(0), "write_queue is 0; expected 1 to 1048576"),
        (queue(usize::MAX), "expected 1 to 1048576"),
        (index_from(0), "index_from is 0; expected 1 to"),
        (
            Options {
                index_memory_bytes: 1 << 20,
                ..Options::default()
            },
            "index_memory_bytes is 1048576; expected at least memtable_bytes, 67108864",
        ),
        (limits(|l| l.batch_bytes = 0), "batch_bytes is 0"),
        (limits(|l| l.batch_bytes = (1 << 30) + 1), "to 1073741824"),
        (limits(|l| l.batch_points = 0), "batch_points is 0"),
        (limits(|l| l.batch_points = usize::MAX), "batch_points is"),
        (pools(|p| p.search_threads = 0), "search_threads is 0"),
        (pools(|p| p.update_threads = 0), "update_threads is 0"),
        (pools(|p| p.io_threads = 1_025), "expected 1 to 1024"),
        (pools(|p| p.queue = 0), "queue is 0; expected 1 to 1048576"),
        (pools(|p| p.queue = usize::MAX), "expected 1 to 1048576"),
    ] {
        refused(&path, options, ErrorKind::InvalidInput, &[says]);
    }
    // With no bounds where none are needed, the largest limit allocates nothing in advance.
    let boundless = limits(|l| {
        l.hits = usize::MAX;
        l.payload_bytes = usize::MAX;
        l.filter_conditions = usize::MAX;
        l.collections = usize::MAX;
    });
    let db = open(&path, boundless).unwrap();
    let docs = db.create_collection("docs", schema()).wait().unwrap();
    docs.upsert([good(1)]).wait().unwrap();
    let query = Query::nearest("cosine", [1.0; 3]).limit(usize::MAX);
    assert_eq!(docs.search(query).wait().unwrap().len(), 1);
    docs.upsert([good(2)]).wait().unwrap();
    let like = Query::nearest("cosine", Example::point(1)).limit(usize::MAX);
    assert_eq!(docs.search(like).wait().unwrap().len(), 1);
    let scroll = Scroll::new().limit(usize::MAX);
    let years = OrderBy::ascending("year");
    for scroll in [
        scroll.clone(),
        scroll.clone().order_by_id(),
        scroll.order_by(years),
    ] {
        let page = docs.scroll_page(scroll).wait().unwrap();
        assert_eq!((page.points.len(), page.next), (2, None));
    }
    db.close().wait().unwrap();
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, path, _) = database();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    let files: Vec<_> = fs::read_dir(&path)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert!(files.len() >= 2);
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    // Parents that were missing are ours alone too.
    let deeper = directory.path().join("a").join("b");
    open(&deeper, Options::default())
        .unwrap()
        .close()
        .wait()
        .unwrap();
    assert_eq!(mode(deeper.parent().unwrap()), 0o700);
}
