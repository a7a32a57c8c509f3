//! Names of collections: refused, or kept as data that never becomes a path.

use super::{Case, check, content, good, options, refusal, schema};
use amphora::{Database, ErrorKind, Schema};
use std::fs;

#[test]
fn refused() {
    check(&[
        Case {
            name: "empty",
            refused: |db, _| refusal(|| db.create_collection("", Schema::new())),
            says: &["the name of a collection is empty"],
        },
        Case {
            name: "NUL",
            refused: |db, _| refusal(|| db.create_collection("a\0b", Schema::new())),
            says: &["control character", "\"a\\0b\""],
        },
        Case {
            name: "a line break",
            refused: |db, _| refusal(|| db.create_collection("a\nb", Schema::new())),
            says: &["control character", "\"a\\nb\""],
        },
        Case {
            name: "4 KiB",
            refused: |db, _| refusal(|| db.create_collection("n".repeat(4_096), Schema::new())),
            says: &["4096 bytes", "expected at most 255"],
        },
        Case {
            name: "one byte too long",
            refused: |db, _| refusal(|| db.create_collection("é".repeat(128), Schema::new())),
            says: &["256 bytes", "expected at most 255"],
        },
    ]);
}

#[test]
fn too_many_collections() {
    let directory = tempfile::tempdir().unwrap();
    let builder = amphora_blocking::builder(directory.path()).options(options());
    let db = builder.open().wait().unwrap();
    for name in ["a", "b", "c"] {
        db.create_collection(name, schema()).wait().unwrap();
    }
    let before = db.stats().log_bytes;
    let error = refusal(|| db.create_collection("d", schema())).unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        error.to_string().contains("there are 3 collections"),
        "{error}"
    );
    assert_eq!(db.stats().log_bytes, before);
    db.delete_collection("b").wait().unwrap();
    db.create_collection("d", schema()).wait().unwrap();
    db.close().wait().unwrap();
}

#[test]
fn accepted_as_data() {
    let long = "n".repeat(255);
    let names = [
        "../x",
        "../../etc/passwd",
        "/etc/passwd",
        "/",
        "..",
        ".",
        "a/b",
        "C:\\windows",
        "con",
        "NUL.txt",
        "LOCK",
        "wal-0000000001.log",
        "wal-0000000002.log.tmp",
        " ",
        "-rf",
        "docs",
        "Docs",
        "DOCS",
        "*?\"<>|",
        "%2e%2e%2f",
        "日本語",
        "🏺",
        // One letter in two ways, and an order of writing turned round: different bytes.
        "\u{e9}",
        "e\u{301}",
        "\u{202e}gpj",
        &long,
    ];
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let db = amphora_blocking::open(&path).unwrap();
    for (name, n) in names.iter().zip(0..) {
        let made = db.create_collection(*name, schema()).wait().unwrap();
        made.upsert([good(n)]).wait().unwrap();
        let twin = refusal(|| db.create_collection(*name, schema())).unwrap();
        assert_eq!(twin.kind(), ErrorKind::AlreadyExists);
    }
    let check = |db: &Database| {
        let mut expected = names.to_vec();
        expected.sort_unstable();
        assert_eq!(db.collections().wait().unwrap(), expected);
        for (name, n) in names.iter().zip(0..) {
            let found = db.collection(*name).wait().unwrap();
            assert_eq!(
                (found.name(), found.count().wait().unwrap()),
                ((*name).to_owned(), 1)
            );
            assert_eq!(found.get(n).wait().unwrap(), Some(good(n)));
        }
    };
    check(&db);
    db.optimize().wait().unwrap();
    db.close().wait().unwrap();
    let db = amphora_blocking::open(&path).unwrap();
    check(&db);
    let files = fs::read_dir(&path).unwrap();
    let files = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let strange: Vec<String> = files.filter(|file| !is_made_by_the_engine(file)).collect();
    assert!(strange.is_empty(), "a name became a file: {strange:?}");
    for name in names {
        db.delete_collection(name).wait().unwrap();
    }
    assert!(db.collections().wait().unwrap().is_empty());
    db.close().wait().unwrap();
}

/// Whether it is a name that the engine gives to its files.
fn is_made_by_the_engine(name: &str) -> bool {
    let kinds = [
        ("wal-", ".log"),
        ("manifest-", ".mft"),
        ("segment-", ".seg"),
        ("deletes-", ".del"),
    ];
    name == "LOCK"
        || kinds.iter().any(|(start, end)| {
            let number = name.strip_prefix(start).and_then(|n| n.strip_suffix(end));
            number.is_some_and(|n| n.len() == 10 && n.bytes().all(|b| b.is_ascii_digit()))
        })
}

/// What cannot be created cannot be found or deleted either, and asking for it does no harm.
#[test]
fn asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    let db = amphora_blocking::open(&path).unwrap();
    let before = content(directory.path());
    for name in ["", "a\0b", &"n".repeat(4_096), "../data", "absent"] {
        for error in [
            refusal(|| db.collection(name)).unwrap(),
            refusal(|| db.delete_collection(name)).unwrap(),
        ] {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            assert!(error.to_string().len() < 200, "{error}");
        }
    }
    assert_eq!(content(directory.path()), before);
    db.close().wait().unwrap();
}
