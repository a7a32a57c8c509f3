//! Points that end by themselves, by a clock that the test sets.

use super::{on, point};
use amphora::{Collection, Database, Edit, Filter, Query, field, vfs::MemoryVfs};
use amphora_tests::opening::{self, Memory};
use std::{
    thread,
    time::{Duration, Instant, SystemTime},
};

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn at_1000() -> (MemoryVfs, Database, Collection) {
    let vfs = MemoryVfs::new();
    vfs.set_now(at(1_000));
    on(vfs)
}

#[test]
fn an_expired_point_is_returned_by_nothing_wherever_it_lies() {
    let (vfs, db, docs) = at_1000();
    // Some reach segments, some are left in memory.
    for id in 0..200u64 {
        let point = point(id, id as f32);
        let point = if id % 2 == 0 {
            point.expires_at(at(1_000 + id))
        } else {
            point
        };
        docs.upsert([point]).wait().unwrap();
    }
    assert_eq!(
        docs.get(4).wait().unwrap().unwrap().expires_at,
        Some(at(1_004))
    );
    let scroll_before = docs.scroll();
    vfs.set_now(at(1_100));
    // 0 to 100 of the even ones have gone.
    let expected = 200 - 51;
    assert_eq!(docs.count().wait().unwrap(), expected);
    assert_eq!(docs.scroll().into_iter().count() as u64, expected);
    assert_eq!(
        docs.count_matching(field("x").at_least(0)).wait().unwrap(),
        expected
    );
    assert_eq!(docs.get(100).wait().unwrap(), None);
    assert!(docs.get(102).wait().unwrap().is_some());
    let hits = docs
        .search(Query::nearest("a", [1.0, 0.0]).limit(500))
        .wait()
        .unwrap();
    assert_eq!(hits.len() as u64, expected);
    assert_eq!(scroll_before.into_iter().count() as u64, expected);
    // As if they were not there, to writes too.
    assert_eq!(
        docs.insert([point(2, 5.0), point(3, 5.0)]).wait().unwrap(),
        1
    );
    assert_eq!(docs.get(2).wait().unwrap(), Some(point(2, 5.0)));
    assert_eq!(
        docs.apply(Edit::expire([2, 4, 102], Some(at(1_101))))
            .wait()
            .unwrap(),
        2
    );
    vfs.set_now(at(1_101));
    assert_eq!(docs.count().wait().unwrap(), expected + 1 - 2);
    assert_eq!(docs.apply(Edit::expire([2, 104], None)).wait().unwrap(), 1);
    vfs.set_now(at(5_000));
    assert_eq!(docs.count().wait().unwrap(), 101);
    drop(docs);
    db.close().wait().unwrap();
    // No clock brings them back.
    let db = opening::open(vfs, Memory::Tiny).unwrap();
    let docs = db.collection("docs").wait().unwrap();
    assert_eq!(docs.count().wait().unwrap(), 101);
    assert!(docs.get(104).wait().unwrap().is_some());
}

#[test]
fn a_delete_counts_the_points_that_were_live() {
    let (vfs, _, docs) = at_1000();
    let end = |id: u64| if id < 100 { at(1_100) } else { at(2_000) };
    // Some reach segments, some are left in memory.
    for id in 0..200 {
        let point = point(id, id as f32).expires_at(end(id));
        docs.upsert([point]).wait().unwrap();
    }
    let halves = |half: u64| (0..200).filter(move |id| id % 2 == half);
    vfs.set_now(at(1_100));
    assert_eq!(docs.delete(halves(0)).wait().unwrap(), 50);
    assert_eq!(docs.delete(halves(0)).wait().unwrap(), 0);
    assert_eq!(docs.count().wait().unwrap(), 50);
    // One of each that is written again.
    docs.upsert([point(0, 1.0), point(101, 1.0)])
        .wait()
        .unwrap();
    vfs.set_now(at(2_000));
    assert_eq!(docs.delete(0..200u64).wait().unwrap(), 2);
    assert_eq!(docs.count().wait().unwrap(), 0);
}

#[test]
fn the_space_of_expired_points_is_reclaimed() {
    let (vfs, db, docs) = at_1000();
    let text = "word ".repeat(100);
    let points = (0..400).map(|id| {
        let payload = serde_json::json!({ "text": format!("{id} {text}") });
        point(id, 1.0).payload(payload).expires_at(at(2_000))
    });
    for point in points {
        docs.upsert([point]).wait().unwrap();
    }
    docs.upsert([point(1_000, 1.0)]).wait().unwrap();
    db.optimize().wait().unwrap();
    let bytes = || {
        let names = amphora::vfs::Vfs::list(&vfs).unwrap();
        let segments = names.iter().filter(|name| name.ends_with(".seg"));
        let lens = segments.map(|name| vfs.content(name).map_or(0, |content| content.len()));
        lens.sum::<usize>()
    };
    let before = bytes();
    vfs.set_now(at(2_000));
    // Something must happen for the clock to be looked at; time goes on by itself elsewhere.
    let patience = Instant::now() + Duration::from_secs(20);
    while bytes() * 4 > before {
        assert!(
            Instant::now() < patience,
            "{} of {before} bytes are left",
            bytes()
        );
        docs.upsert([point(1_000, 1.0)]).wait().unwrap();
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(docs.count().wait().unwrap(), 1);
}

#[test]
fn optimize_leaves_no_expired_points() {
    let (vfs, db, docs) = at_1000();
    let points = (0..100).map(|id| point(id, 1.0).expires_at(at(2_000 + id)));
    docs.upsert(points).wait().unwrap();
    db.optimize().wait().unwrap();
    // Sweeps rest for a second after each other, and are not waited for.
    for now in [2_009, 2_019, 2_059] {
        vfs.set_now(at(now));
        db.optimize().wait().unwrap();
        let all = docs.estimate_count(Filter::All(Vec::new())).wait().unwrap();
        assert_eq!((all.least, all.most), (2_099 - now, 2_099 - now));
    }
}
