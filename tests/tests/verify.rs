//! `verify` finds every damage to what counts, by file, beside a database that is open and has
//! read the files before.

use amphora::{
    Database, ErrorKind, Metric, Options, Point, Schema, Vector, Verification,
    vfs::{MemoryVfs, Vfs},
};

/// Every kind of file, in use: a manifest, a log with records, two segments, deleted rows.
fn database() -> (Database, MemoryVfs) {
    let vfs = MemoryVfs::new();
    let options = Options {
        // No flush by itself, so that the files stay what they are.
        memtable_bytes: 1 << 30,
        ..Options::default()
    };
    let open = || {
        Database::builder_on(vfs.clone())
            .options(options.clone())
            .open()
    };
    let db = open().wait().unwrap();
    let schema = Schema::new().vector("v", Vector::new(2, Metric::Dot));
    let docs = db.create_collection("docs", schema.clone()).wait().unwrap();
    let notes = db.create_collection("notes", schema).wait().unwrap();
    let points =
        |ids: std::ops::Range<u64>| ids.map(|id| Point::new(id).vector("v", [id as f32, 1.0]));
    docs.upsert(points(0..20)).wait().unwrap();
    notes.upsert(points(0..5)).wait().unwrap();
    db.optimize().wait().unwrap();
    // What is deleted is written down by the next switch: that of closing.
    docs.delete([3, 4]).wait().unwrap();
    notes.upsert(points(5..9)).wait().unwrap();
    (db, vfs)
}

fn verify(db: &Database) -> Verification {
    db.verify().wait().unwrap()
}

#[test]
fn what_is_sound_is_counted() {
    let (db, vfs) = database();
    let verification = verify(&db);
    assert!(
        verification.damaged.is_empty(),
        "{:?}",
        verification.damaged
    );
    let names = vfs.list().unwrap();
    let bytes: usize = names
        .iter()
        .map(|name| vfs.content(name).unwrap().len())
        .sum();
    assert_eq!(verification.files, names.len());
    assert_eq!(verification.bytes, bytes as u64);
    db.close().wait().unwrap();
    assert_eq!(db.verify().wait().unwrap_err().kind(), ErrorKind::Closed);
}

/// Of each file every seventh byte, at least those that hold something.
#[test]
fn flipped_bytes_are_found_while_the_database_is_open() {
    let (db, vfs) = database();
    assert!(verify(&db).damaged.is_empty());
    for name in vfs.list().unwrap() {
        let good = vfs.content(&name).unwrap();
        let used = good
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |at| at + 1);
        let (mut found, mut flips) = (0, 0);
        for at in (0..used).step_by(7) {
            let mut content = good.clone();
            content[at] ^= 0x10;
            vfs.set_content(&name, content);
            let damaged = verify(&db).damaged;
            flips += 1;
            found += usize::from(!damaged.is_empty());
            for error in damaged {
                assert!(error.to_string().contains(&name), "byte {at}: {error}");
            }
        }
        vfs.set_content(&name, good);
        assert!(verify(&db).damaged.is_empty());
        eprintln!("{name}: {found} of {flips} flips found");
        // Zeros between sections or behind records are read by nobody.
        assert!(found * 10 >= flips * 7, "{name}: {found} of {flips}");
    }
    db.close().wait().unwrap();
}

#[test]
fn missing_files_and_a_log_that_ends_too_soon_are_found() {
    let (db, vfs) = database();
    for name in vfs.list().unwrap() {
        let good = vfs.content(&name).unwrap();
        vfs.remove(&name).unwrap();
        let damaged = verify(&db).damaged;
        assert_eq!(damaged.len(), 1, "{name}: {damaged:?}");
        vfs.set_content(&name, good.clone());
        if name.ends_with(".log") {
            // The last record that was acknowledged is gone, as if it had never been written.
            let used = good.iter().rposition(|byte| *byte != 0).unwrap();
            vfs.set_content(&name, &good[..used - 20]);
            assert_eq!(verify(&db).damaged.len(), 1);
            vfs.set_content(&name, good);
        }
    }
    assert!(verify(&db).damaged.is_empty());
    db.close().wait().unwrap();
}
