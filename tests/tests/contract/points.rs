//! Points: written in small batches and large ones, read by id, counted, scrolled, deleted.

use super::{kind, point, points, schema, vector};
use amphora::{Collection, Database, ErrorKind, Point, PointId, Query, field};
use amphora_tests::runtimes::Way;
use serde_json::json;
use std::{path::PathBuf, time::Duration};

async fn docs(way: Way, path: PathBuf) -> (Database, Collection) {
    let db = way.open(&path).await.unwrap();
    let docs = way
        .finish(db.create_collection("docs", schema()))
        .await
        .unwrap();
    (db, docs)
}

fn id(n: u64) -> PointId {
    point(n).id
}

pub(crate) async fn written_and_read(way: Way, path: PathBuf) {
    let (db, docs) = docs(way, path).await;
    way.finish(docs.upsert(points(0..3))).await.unwrap();
    assert_eq!(way.finish(docs.get(id(1))).await.unwrap(), Some(point(1)));
    assert_eq!(way.finish(docs.get(id(9))).await.unwrap(), None);

    // Far more than is checked and encoded on the caller's side.
    way.finish(docs.upsert(points(0..1_500))).await.unwrap();
    assert_eq!(way.finish(docs.count()).await.unwrap(), 1_500);
    let many = [1_499, 7, 2_000, 7].map(id);
    let found = way.finish(docs.get_many(many)).await.unwrap();
    assert_eq!(
        found,
        [Some(point(1_499)), Some(point(7)), None, Some(point(7))]
    );

    let filters = [
        (
            field("group").eq("g3"),
            (0..1_500).filter(|n| n % 7 == 3).count(),
        ),
        (field("n").within(10..20), 10),
        (field("n").at_least(1_490) & !field("tags").eq(1), 5),
        (field("n").eq(3) | field("n").above(1_498), 2),
        (field("no such field").eq(1), 0),
    ];
    for (filter, expected) in filters {
        let found = way
            .finish(docs.count_matching(filter.clone()))
            .await
            .unwrap();
        assert_eq!(found, expected as u64, "{filter:?}");
    }

    // A batch with an id twice: the last stays. A point is replaced whole.
    let bare = |n: u64| Point::new(7).payload(json!({ "n": n }));
    way.finish(docs.upsert([bare(1), bare(2)])).await.unwrap();
    assert_eq!(way.finish(docs.get(7)).await.unwrap(), Some(bare(2)));
    assert_eq!(
        way.finish(docs.count()).await.unwrap(),
        1_501,
        "7 is a new id"
    );

    let gone = [id(0), id(1), id(1), id(5_000)];
    assert_eq!(way.finish(docs.delete(gone.clone())).await.unwrap(), 2);
    assert_eq!(way.finish(docs.delete(gone)).await.unwrap(), 0);
    assert_eq!(
        way.finish(docs.delete((2..1_500).map(id))).await.unwrap(),
        1_498
    );
    assert_eq!(way.finish(docs.count()).await.unwrap(), 1);
    way.finish(db.close()).await.unwrap();
}

pub(crate) async fn feeds(way: Way, path: PathBuf) {
    let (db, docs) = docs(way, path).await;
    assert!(way.collect(docs.scroll()).await.unwrap().is_empty());
    // Several pages.
    way.finish(docs.upsert(points(0..1_000))).await.unwrap();
    way.finish(docs.delete([id(500)])).await.unwrap();
    // What was written last comes last.
    way.finish(docs.upsert([point(3)])).await.unwrap();
    let order = || (0..1_000).filter(|n| ![3, 500].contains(n)).chain([3]);
    assert_eq!(way.collect(docs.scroll()).await.unwrap(), points(order()));

    let few = docs.scroll_matching(field("group").eq("g3") & field("n").below(100));
    let expected = points(order().filter(|n| n % 7 == 3 && *n < 100));
    assert_eq!(way.collect(few).await.unwrap(), expected);

    let token = amphora::CancelToken::new();
    let bounded = docs
        .scroll()
        .timeout(Duration::from_secs(20))
        .cancel_on(&token);
    assert_eq!(way.collect(bounded).await.unwrap().len(), 999);
    token.cancel();
    let cancelled = way.collect(docs.scroll().cancel_on(&token)).await;
    assert_eq!(kind(cancelled), ErrorKind::Cancelled);
    let late = way.collect(docs.scroll().timeout(Duration::ZERO)).await;
    assert!(matches!(kind(late), ErrorKind::Timeout(_)));
    way.finish(db.close()).await.unwrap();
}

pub(crate) async fn read_your_writes(way: Way, path: PathBuf) {
    let (db, docs) = docs(way, path).await;
    let other = way.finish(db.collection("docs")).await.unwrap();
    for n in 0..40 {
        way.finish(docs.upsert([point(n)])).await.unwrap();
        assert_eq!(way.finish(other.get(id(n))).await.unwrap(), Some(point(n)));
        assert_eq!(way.finish(other.count()).await.unwrap(), n / 2 + 1);
        let query = Query::nearest("euclidean", vector(n * 4 + 2)).limit(1);
        let hits = way.finish(other.search(query)).await.unwrap();
        assert_eq!((&hits[0].id, hits[0].score), (&id(n), 0.0));
        if n % 2 == 0 {
            assert_eq!(way.finish(other.delete([id(n)])).await.unwrap(), 1);
            assert_eq!(way.finish(docs.get(id(n))).await.unwrap(), None);
        }
    }
    way.finish(db.close()).await.unwrap();
}

pub(crate) async fn extreme_timeouts(way: Way, path: PathBuf) {
    let (db, docs) = docs(way, path).await;
    let endless = docs.upsert([point(1)]).timeout(Duration::MAX);
    way.finish(endless).await.unwrap();
    assert_eq!(
        way.finish(docs.count().timeout(Duration::MAX))
            .await
            .unwrap(),
        1
    );
    let health = way.finish(db.health().timeout(Duration::MAX)).await;
    assert!(health.is_ok());

    let read = way.finish(docs.count().timeout(Duration::ZERO)).await;
    assert!(matches!(kind(read), ErrorKind::Timeout(_)));
    let write = way
        .finish(docs.upsert([point(2)]).timeout(Duration::ZERO))
        .await;
    let outcome = kind(write);
    // The queue is in order: what was taken before this one has been decided when it is answered.
    way.finish(docs.upsert([point(3)])).await.unwrap();
    if outcome == ErrorKind::Timeout(amphora::Outcome::NotApplied) {
        assert_eq!(way.finish(docs.get(id(2))).await.unwrap(), None);
    } else {
        assert_eq!(outcome, ErrorKind::Timeout(amphora::Outcome::Unknown));
    }
    way.finish(db.close()).await.unwrap();
}
