//! All reads of one view agree with each other, whatever is written, flushed or merged meanwhile.

use super::{ids, new, point};
use amphora::{
    Batch, Collection, Edit, ErrorKind, Facet, Point, Query, ReadView, Schema, Scroll, field,
};
use amphora_tests::{meanwhile::meanwhile, random::Random};

const IDS: u64 = 600;

fn all(view: &ReadView) -> Vec<Point> {
    view.scroll().into_iter().map(Result::unwrap).collect()
}

/// What every read of a view gives agrees with what a scroll of it gives.
fn check(view: &ReadView) -> Vec<Point> {
    let points = all(view);
    assert_eq!(view.count().wait().unwrap(), points.len() as u64);
    let asked = ids(&points);
    if !asked.is_empty() {
        let found = view.get_many(&asked).wait().unwrap();
        assert!(found.iter().flatten().eq(&points));
    }
    for id in 0..IDS {
        let found = view.get(id).wait().unwrap();
        assert_eq!(found.is_some(), asked.contains(&id.into()));
    }
    let even = || field("even").eq(true);
    let matching: Vec<&Point> = points
        .iter()
        .filter(|point| point.payload.get("even") == Some(&true.into()))
        .collect();
    let count = view.count_matching(even()).wait().unwrap();
    assert_eq!(count, matching.len() as u64);
    let scrolled = view.scroll_matching(even()).into_iter();
    assert!(
        scrolled
            .map(Result::unwrap)
            .eq(matching.into_iter().cloned())
    );
    let estimated = view.estimate_count(even()).wait().unwrap();
    assert!((estimated.least..=estimated.most).contains(&count));
    let facet = Facet::new("even").filter(even());
    let counted = view.facet(facet).wait().unwrap();
    assert_eq!(counted.first().map_or(0, |hit| hit.count), count);
    let page = view.scroll_page(Scroll::new().limit(1_000)).wait().unwrap();
    let mut sorted = points.clone();
    sorted.sort_by_key(|point| point.id.clone());
    assert_eq!((page.points, page.next), (sorted, None));
    let query = || {
        Query::nearest("v", [0.0, 1.0])
            .exact()
            .limit(1_000)
            .with_vectors(true)
    };
    let hits = view.search(query()).wait().unwrap();
    let mut found: Vec<_> = hits
        .iter()
        .map(|hit| (&hit.id, &hit.payload, &hit.vectors))
        .collect();
    found.sort_by_key(|(id, ..)| (*id).clone());
    let mut expected: Vec<_> = points
        .iter()
        .map(|it| (&it.id, &it.payload, &it.vectors))
        .collect();
    expected.sort_by_key(|(id, ..)| (*id).clone());
    assert_eq!(found, expected);
    let many = view.search_many([query(), query()]).wait().unwrap();
    assert_eq!(many, [hits.clone(), hits.clone()]);
    let reranked = view
        .search_reranked(query(), async |hits| Ok(hits))
        .wait()
        .unwrap();
    assert_eq!(reranked, hits);
    points
}

fn write(docs: &Collection, random: &mut Random, version: u64) {
    let mut some = || random.below(IDS);
    let points: Vec<_> = (0..20).map(|_| point(some(), version)).collect();
    docs.upsert(points).wait().unwrap();
    docs.delete((0..10).map(|_| some())).wait().unwrap();
}

#[test]
fn a_view_stays_what_it_was_while_writers_run() {
    let (db, docs) = new();
    docs.upsert((0..IDS).map(|id| point(id, 0))).wait().unwrap();
    let writes = |random: &mut Random, version| {
        write(&docs, random, version);
        if version % 40 == 0 {
            db.optimize().wait().unwrap();
        }
    };
    let held = meanwhile(2, writes, || {
        let held: Vec<_> = (0..12)
            .map(|_| {
                let view = docs.read_view().wait().unwrap();
                let points = check(&view);
                (view, points)
            })
            .collect();
        held
    });
    db.optimize().wait().unwrap();
    for (view, points) in held {
        assert!(check(&view.clone()).iter().eq(&points));
    }
}

/// Each batch writes one number to both collections; each write to the first comes before the same to the second.
#[test]
fn views_of_all_collections_are_of_one_moment() {
    let (db, docs) = new();
    let more = db.create_collection("more", Schema::new()).wait().unwrap();
    let writes = |_: &mut Random, id| {
        let batch = Batch::new()
            .edit(&docs, Edit::upsert([point(id, 0)]))
            .edit(&more, Edit::upsert([Point::new(id)]));
        db.write(batch).wait().unwrap();
    };
    meanwhile(1, writes, || {
        for _ in 0..300 {
            let views = db.read_views().wait().unwrap();
            assert_eq!(views.len(), 2);
            let count = |name: &str| views[name].count().wait().unwrap();
            assert_eq!(count("docs"), count("more"));
        }
    });
}

#[test]
fn a_view_outlives_its_collection_and_not_its_database() {
    let (db, docs) = new();
    docs.upsert((0..50).map(|id| point(id, 0))).wait().unwrap();
    db.optimize().wait().unwrap();
    docs.upsert((50..90).map(|id| point(id, 0))).wait().unwrap();
    let view = docs.read_view().wait().unwrap();
    docs.add_field("even", amphora::Field::Bool).wait().unwrap();
    assert!(view.schema().fields.is_empty() && !docs.schema().fields.is_empty());
    db.delete_collection("docs").wait().unwrap();
    let refused = docs.read_view().wait().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    assert_eq!(check(&view).len(), 90);
    db.close().wait().unwrap();
    assert_eq!(view.count().wait().unwrap_err().kind(), ErrorKind::Closed);
}
