//! What is said of how a query was answered is so.

use super::point;
use amphora::{
    Collection, Database, Field, Fusion, Metric, Options, Query, Schema, Strategy, Text, Vector,
    field, vfs::MemoryVfs,
};

const POINTS: u64 = 3_000;

/// A segment with an index, and 100 points in memory.
fn filled() -> (Database, Collection) {
    let options = Options {
        index_from: 500,
        ..Options::default()
    };
    let db = Database::builder_on(MemoryVfs::new())
        .options(options)
        .open()
        .wait()
        .unwrap();
    let schema = Schema::new()
        .vector("v", Vector::new(2, Metric::Euclidean))
        .field("version", Field::Integer)
        .text("text", Text::plain());
    let docs = db.create_collection("docs", schema).wait().unwrap();
    docs.upsert((0..POINTS).map(|id| point(id, id % 1_000)))
        .wait()
        .unwrap();
    db.optimize().wait().unwrap();
    while db.stats().wanting_indexes > 0 {
        std::thread::yield_now();
    }
    docs.upsert((POINTS..POINTS + 100).map(|id| point(id, id % 1_000)))
        .wait()
        .unwrap();
    (db, docs)
}

#[test]
fn the_way_that_was_taken_is_told_of_each_part() {
    let (_db, docs) = filled();
    let query = || {
        Query::nearest("v", [1_500.0, 500.0])
            .limit(5)
            .with_payload(false)
    };

    let explained = docs.explain(query()).wait().unwrap();
    assert_eq!(
        (explained.hits, explained.query.kind.as_str()),
        (5, "nearest")
    );
    let [segment, memory] = &explained.query.parts[..] else {
        panic!("two parts: {explained}");
    };
    assert!(
        matches!(segment.strategy, Strategy::Walk { .. }),
        "{explained}"
    );
    assert!(
        segment.visited > 0 && segment.glanced >= segment.visited,
        "{explained}"
    );
    assert!((5..POINTS).contains(&segment.compared), "{explained}");
    assert_eq!((segment.rows, segment.matches), (POINTS, Some(POINTS)));
    assert_eq!(segment.estimated, Some(POINTS));
    assert!(segment.segment.is_some() && memory.segment.is_none());
    assert_eq!(memory.strategy, Strategy::OneByOne);
    assert_eq!(
        (memory.rows, memory.matches, memory.visited),
        (100, Some(100), 0)
    );
    assert_eq!(memory.compared, 100);
    assert!(explained.took >= explained.query.took);

    let few = query().filter(field("version").eq(7));
    let explained = docs.explain(few).wait().unwrap();
    let segment = &explained.query.parts[0];
    assert_eq!(segment.strategy, Strategy::Matches, "{explained}");
    assert_eq!((segment.estimated, segment.matches), (Some(3), Some(3)));
    assert_eq!((segment.visited, segment.compared), (0, 3));

    let unknown = query().filter(field("even").eq(true)).exact();
    let explained = docs.explain(unknown).wait().unwrap();
    let segment = &explained.query.parts[0];
    assert_eq!(segment.strategy, Strategy::OneByOne, "{explained}");
    assert_eq!(
        (segment.estimated, segment.matches),
        (None, Some(POINTS / 2))
    );
    assert_eq!(segment.compared, POINTS);
    let shown = explained.to_string();
    for part in [
        "exact",
        "one by one",
        "1500 match in fact",
        "memory of 100 rows",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn a_profile_has_the_hits_of_the_search_and_the_tree_of_the_query() {
    let (_db, docs) = filled();
    let nearest = || Query::nearest("v", [1_500.0, 500.0]).limit(5);
    let tree = Query::fuse(Fusion::rrf()).prefetch(nearest()).prefetch(
        Query::fuse(Fusion::rrf())
            .prefetch(Query::text("text", "none"))
            .prefetch(nearest()),
    );
    let (hits, profile) = docs.search_profiled(tree.clone()).wait().unwrap();
    assert_eq!(hits, docs.search(tree).wait().unwrap());
    let kinds = |queries: &[amphora::ExplainedQuery]| -> Vec<String> {
        queries.iter().map(|query| query.kind.clone()).collect()
    };
    let root = &profile.query;
    assert_eq!((root.kind.as_str(), root.found), ("fuse", hits.len()));
    assert_eq!(kinds(&root.prefetches), ["nearest", "fuse"]);
    assert_eq!(kinds(&root.prefetches[1].prefetches), ["text", "nearest"]);
    assert_eq!(root.prefetches[0].found, 5);
    assert_eq!(root.prefetches[1].prefetches[0].found, 0);
    assert!(root.parts.is_empty() && root.prefetches[0].parts.len() == 2);
    assert_eq!(
        root.prefetches[0].parts[0].matches, None,
        "a profile counts no matches"
    );
    assert_eq!(profile.to_string().lines().count(), 1 + 5 + 4);
}
