//! What becomes of the files: damaged and missing ones cost time alone, and each goes with what it is for.

use super::{FIELDS, declare, files, fill, new, open, settle};
use amphora::{Database, ErrorKind, Facet, Field, Options, Point, Schema, field, vfs::Vfs};
use amphora_tests::random::Random;

fn tags(docs: &amphora::Collection) -> (u64, String) {
    let count = docs.count_matching(field("tag").any_of(["tag-3", "tag-5"]));
    let facets = docs.facet(Facet::new("tag").limit(50)).wait().unwrap();
    (count.wait().unwrap(), format!("{facets:?}"))
}

#[test]
fn a_field_that_is_dropped_takes_its_columns_along() {
    let (vfs, db, docs) = new();
    fill(&db, &docs, true, &mut Random(1));
    declare(&docs, &FIELDS[..2]);
    settle(&db);
    let size = |names: Vec<String>| -> usize {
        names
            .iter()
            .map(|name| vfs.content(name).unwrap().len())
            .sum()
    };
    let (count, both) = (files(&vfs).len(), size(files(&vfs)));
    docs.drop_field("whole").wait().unwrap();
    settle(&db);
    assert_eq!(files(&vfs).len(), count);
    assert!(size(files(&vfs)) < both * 3 / 4);
    docs.drop_field("tag").wait().unwrap();
    settle(&db);
    assert_eq!(files(&vfs).len(), 0);
    db.close().wait().unwrap();
}

#[test]
fn what_is_left_of_a_collection_that_is_dropped_is_nothing() {
    let (vfs, db, docs) = new();
    fill(&db, &docs, true, &mut Random(1));
    declare(&docs, &FIELDS);
    settle(&db);
    db.delete_collection("docs").wait().unwrap();
    db.close().wait().unwrap();
    let db = open(&vfs);
    let more = db.create_collection("more", Schema::new());
    let more = more.wait().unwrap();
    // The next flush tells the manifest.
    more.upsert([Point::new(1)]).wait().unwrap();
    db.optimize().wait().unwrap();
    db.close().wait().unwrap();
    open(&vfs).close().wait().unwrap();
    assert_eq!(files(&vfs).len(), 0);
}

/// At the opening, and while it is used.
#[test]
fn a_damaged_or_missing_file_costs_time_alone() {
    let (vfs, db, docs) = new();
    fill(&db, &docs, true, &mut Random(2));
    let expected = tags(&docs);
    declare(&docs, &FIELDS[..2]);
    settle(&db);
    db.close().wait().unwrap();
    let names = files(&vfs);
    let good = vfs.fork();
    for (name, way) in names
        .iter()
        .flat_map(|name| (0..5).map(move |way| (name, way)))
    {
        let vfs = good.fork();
        let mut content = vfs.content(name).unwrap();
        let len = content.len();
        match way {
            0 => vfs.remove(name).unwrap(),
            1 => vfs.set_content(name, b"".as_slice()),
            2 => vfs.set_content(name, &content[..len / 2]),
            // Within the columns: it is not seen before they are read. Then within the directory.
            3 => {
                content[100..140].fill(0x5a);
                vfs.set_content(name, content);
            }
            _ => {
                content[len - 60] ^= 4;
                vfs.set_content(name, content);
            }
        }
        // Nothing can be written, so that it stays as it is.
        let read_only = Options {
            read_only: true,
            ..Options::default()
        };
        let db = Database::builder_on(vfs.clone())
            .options(read_only)
            .open()
            .wait()
            .unwrap();
        let docs = db.collection("docs").wait().unwrap();
        assert_eq!(tags(&docs), expected, "{name}, way {way}");
        assert_eq!(tags(&docs), expected, "{name}, way {way}, again");
        assert_eq!(db.stats().wanting_columns, 1, "{name}, way {way}");
        let damaged = db.verify().wait().unwrap().damaged;
        assert_eq!(damaged.len(), 1, "{damaged:?}");
        assert_eq!(damaged[0].kind(), ErrorKind::Corrupted);
        assert!(damaged[0].to_string().contains(name), "{}", damaged[0]);
        db.close().wait().unwrap();

        let db = open(&vfs);
        let docs = db.collection("docs").wait().unwrap();
        assert_eq!(tags(&docs), expected, "{name}, way {way}");
        // What asks the commit thread for anything has it look.
        db.flush().wait().unwrap();
        settle(&db);
        assert_eq!(tags(&docs), expected, "{name}, way {way}, made anew");
        let damaged = db.verify().wait().unwrap().damaged;
        assert!(damaged.is_empty(), "{damaged:?}");
        db.close().wait().unwrap();
        assert_eq!(files(&vfs).len(), names.len());
        assert!(!files(&vfs).contains(name), "way {way}");
    }
}

#[test]
fn snapshots_keep_columns_and_portable_ones_leave_them_behind() {
    let (vfs, db, docs) = new();
    fill(&db, &docs, true, &mut Random(3));
    let expected = tags(&docs);
    declare(&docs, &FIELDS);
    settle(&db);
    db.create_snapshot("first").wait().unwrap();
    let pinned = files(&vfs);
    docs.drop_field("tag").wait().unwrap();
    settle(&db);
    db.optimize().wait().unwrap();
    assert_eq!(files(&vfs), pinned, "the snapshot names them");
    db.verify().wait().unwrap();
    db.restore_snapshot("first").wait().unwrap();
    let docs = db.collection("docs").wait().unwrap();
    assert_eq!(docs.schema().fields.get("tag"), Some(&Field::Keyword));
    assert_eq!(
        db.stats().wanting_columns,
        0,
        "what was in memory alone is a segment now"
    );
    settle(&db);
    assert_eq!(tags(&docs), expected);
    for name in &pinned {
        assert!(files(&vfs).contains(name), "{name}");
    }

    let place = tempfile::tempdir().unwrap();
    let exported = place.path().join("first.amphora");
    db.export_snapshot("first", &exported).wait().unwrap();
    db.close().wait().unwrap();
    let target = place.path().join("db");
    Database::import(&exported, &target).wait().unwrap();
    let db = Database::builder(&target).open().wait().unwrap();
    let docs = db.collection("docs").wait().unwrap();
    assert_eq!(tags(&docs), expected);
    db.flush().wait().unwrap();
    settle(&db);
    assert_eq!(tags(&docs), expected);
    db.close().wait().unwrap();
}
