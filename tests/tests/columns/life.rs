//! Columns are made beside writes, searches, merges and faults.

use super::{FIELDS, declare, fill, new, point, settle};
use amphora::{Database, ErrorKind, Field, Metric, Schema, Vector, field, vfs::Vfs};
use amphora_tests::{
    failing_files::FailingFiles,
    faults::{EIO, ENOSPC},
    layer::Kind,
    random::Random,
};
use std::time::Duration;

/// Fields come and go while points are written: counts are those of the points.
#[test]
fn fields_come_and_go_beside_writes() {
    let (vfs, db, docs) = new();
    let mut random = Random(17);
    fill(&db, &docs, true, &mut random);
    let mut declared: Vec<(&str, Field)> = Vec::new();
    for round in 0..60u64 {
        let (name, kind) = FIELDS[random.below(FIELDS.len() as u64) as usize];
        match declared.iter().position(|(known, _)| *known == name) {
            Some(at) => {
                declared.remove(at);
                docs.drop_field(name).wait().unwrap();
            }
            None => {
                declared.push((name, kind));
                docs.add_field(name, kind).wait().unwrap();
            }
        }
        let points: Vec<_> = (round * 10..round * 10 + 40)
            .map(|id| point(id, true, &mut random))
            .collect();
        docs.upsert(points).wait().unwrap();
        match random.below(4) {
            0 => db.flush().wait().unwrap(),
            1 => db.optimize().wait().unwrap(),
            _ => {}
        }
        let points: Vec<_> = docs
            .scroll()
            .into_iter()
            .map(|point| point.unwrap().payload.to_value())
            .collect();
        for tag in ["tag-1", "tag-4"] {
            let has = |value: &&serde_json::Value| match &value["tag"] {
                serde_json::Value::Array(tags) => tags.iter().any(|own| own == tag),
                own => own == tag,
            };
            let expected = points.iter().filter(has).count() as u64;
            let found = docs.count_matching(field("tag").eq(tag)).wait().unwrap();
            assert_eq!(found, expected, "{tag} in round {round}");
        }
    }
    db.optimize().wait().unwrap();
    assert_eq!(db.stats().wanting_columns, 0);
    let damaged = db.verify().wait().unwrap().damaged;
    assert!(damaged.is_empty(), "{damaged:?}");
    db.close().wait().unwrap();
    assert!(super::files(&vfs).len() <= 1);
}

#[test]
fn columns_that_cannot_be_made_hold_up_nothing() {
    let faults = [Kind::Write, Kind::Sync, Kind::Map]
        .into_iter()
        .flat_map(|kind| [EIO, ENOSPC].map(|code| (kind, code)));
    for fault in faults {
        let disk = FailingFiles::of("columns-", None);
        let columns = || {
            let names = disk.list().expect("a directory").into_iter();
            names.filter(|name| name.starts_with("columns-")).count()
        };
        let db = Database::builder_on(disk.clone()).open();
        let db = db.wait().expect("it opens");
        let schema = Schema::new().vector("v", Vector::new(2, Metric::Dot));
        let docs = db.create_collection("docs", schema).wait().unwrap();
        let mut random = Random(23);
        fill(&db, &docs, true, &mut random);
        db.optimize().wait().unwrap();
        let expected = docs.count_matching(field("whole").below(3)).wait().unwrap();

        disk.layer().set(Some(fault));
        declare(&docs, &FIELDS);
        let error = db.optimize().wait().expect_err("columns are wanting");
        assert_ne!(error.kind(), ErrorKind::Poisoned, "{fault:?}");
        assert_eq!(columns(), 0, "{fault:?}: what was left of it is removed");
        assert_eq!(
            docs.count_matching(field("whole").below(3)).wait().unwrap(),
            expected
        );
        docs.upsert([point(1, true, &mut random)]).wait().unwrap();
        assert!(db.health().wait().expect("health").poisoned.is_none());

        disk.layer().set(None);
        let patience = std::time::Instant::now();
        while db.stats().wanting_columns > 0 {
            assert!(patience.elapsed().as_secs() < 30, "{fault:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(columns(), 1, "{fault:?}");
        settle(&db);
        db.close().wait().unwrap();
    }
}
