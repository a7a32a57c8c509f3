//! What is said of how a query was answered is so.

use super::point;
use amphora::{
    Collection, Database, Field, Fusion, Metric, Options, OrderBy, Point, Query, Recommend, Schema,
    Strategy, Text, Vector, field, vfs::MemoryVfs,
};
use serde_json::json;

const POINTS: u64 = 3_000;

fn worded(id: u64) -> Point {
    let mut point = point(id, id % 1_000);
    let payload =
        json!({ "version": id % 1_000, "even": id.is_multiple_of(2), "text": "a common text" });
    point.payload = payload.into();
    point
}

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
    docs.upsert((0..POINTS).map(worded)).wait().unwrap();
    db.optimize().wait().unwrap();
    while db.stats().wanting_indexes > 0 {
        std::thread::yield_now();
    }
    docs.upsert((POINTS..POINTS + 100).map(worded))
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
    assert_eq!(root.prefetches[1].prefetches[0].parts.len(), 2);
    assert_eq!(
        root.prefetches[0].parts[0].matches, None,
        "a profile counts no matches"
    );
    assert_eq!(profile.to_string().lines().count(), 1 + 5 + 3 * 2);
}

/// What is told of the parts of queries that are not for the nearest.
#[test]
fn every_kind_of_query_tells_its_way() {
    use Strategy::{Lists, Matches, OneByOne, Values};
    let (_db, docs) = filled();
    let ways = |query: Query| {
        let explained = docs.explain(query.limit(5)).wait().unwrap();
        let [segment, memory] = &explained.query.parts[..] else {
            panic!("two parts: {explained}");
        };
        assert_eq!((segment.rows, memory.rows), (POINTS, 100));
        assert!(segment.segment.is_some() && memory.segment.is_none());
        [segment, memory].map(|part| (part.strategy, part.matches.unwrap(), part.compared))
    };
    let text = || Query::text("text", "common");
    let order = || Query::order_by(OrderBy::descending("version"));
    let loss = || Query::context("v", [([1_500.0, 500.0], [0.0, 0.0])]);
    let few = || field("version").eq(7);

    let [segment, memory] = ways(text());
    assert_eq!((segment.0, memory.0), (Lists, Lists));
    assert_eq!((segment.1, memory.1), (POINTS, 100));
    assert!(
        (5..=POINTS).contains(&segment.2) && memory.2 <= 100,
        "{segment:?}, {memory:?}"
    );
    let [segment, memory] = ways(text().filter(few()));
    assert_eq!((segment, memory.0, memory.1), ((Matches, 3, 3), Lists, 1));

    // Of each of the last values three points.
    let [segment, memory] = ways(order());
    assert_eq!(segment, (Values, POINTS, 6));
    assert_eq!((memory.0, memory.1), (OneByOne, 100));
    let [segment, _] = ways(order().filter(few()));
    assert_eq!(segment, (Matches, 3, 3));
    let [segment, _] = ways(Query::order_by(OrderBy::ascending("even")));
    assert_eq!((segment.0, segment.1), (OneByOne, POINTS));

    let [segment, memory] = ways(Query::random(1));
    assert_eq!((segment.0, memory.0), (OneByOne, OneByOne));
    assert!(
        segment.2 < POINTS / 10,
        "most are drawn too late: {segment:?}"
    );
    let [segment, memory] = ways(loss());
    assert_eq!((segment.0, memory.0), (OneByOne, OneByOne));
    let [segment, memory] = ways(loss().filter(few()));
    assert_eq!(
        (segment, memory.0, memory.1),
        ((Matches, 3, 3), OneByOne, 1)
    );

    // With the help of the index, once for each positive example.
    let examples = Recommend::best_score().positive([[1_500.0, 500.0], [10.0, 10.0]]);
    let explained = docs
        .explain(Query::recommend("v", examples).limit(5))
        .wait()
        .unwrap();
    let walked = |part: &&amphora::ExplainedPart| matches!(part.strategy, Strategy::Walk { .. });
    let parts = &explained.query.parts;
    assert_eq!(
        (parts.len(), parts.iter().filter(walked).count()),
        (4, 2),
        "{explained}"
    );
    let of_prefetch = text()
        .prefetch(Query::nearest("v", [1.0, 1.0]).limit(9))
        .limit(5);
    let explained = docs.explain(of_prefetch).wait().unwrap();
    assert!(explained.query.parts.is_empty(), "{explained}");
    assert_eq!(explained.query.prefetches[0].parts.len(), 2);
}
