//! Databases and collections: opened, created, found, deleted, closed, and opened again.

use super::{kind, point, points, schema};
use amphora::{ErrorKind, Query, Schema};
use amphora_tests::runtimes::Way;
use std::{path::PathBuf, time::Duration};

pub(crate) async fn collections(way: Way, path: PathBuf) {
    let db = way.open(&path).await.unwrap();
    let names = async || way.finish(db.collections()).await.unwrap();
    assert!(names().await.is_empty());

    for name in ["second", "first", "third"] {
        let made = way.finish(db.create_collection(name, schema())).await;
        assert_eq!(made.unwrap().name(), name);
    }
    assert_eq!(names().await, ["first", "second", "third"]);
    let again = way
        .finish(db.create_collection("first", Schema::new()))
        .await;
    assert_eq!(kind(again), ErrorKind::AlreadyExists);

    let first = way.finish(db.collection("first")).await.unwrap();
    assert_eq!(first.schema(), schema());
    way.finish(first.upsert(points(0..5))).await.unwrap();
    let unknown = way.finish(db.collection("fourth")).await;
    assert_eq!(kind(unknown), ErrorKind::NotFound);

    way.finish(db.delete_collection("first")).await.unwrap();
    assert_eq!(names().await, ["second", "third"]);
    let again = way.finish(db.delete_collection("first")).await;
    assert_eq!(kind(again), ErrorKind::NotFound);

    // The old handle does not see the new collection of the same name.
    let anew = way.finish(db.create_collection("first", schema())).await;
    assert_eq!(way.finish(anew.unwrap().count()).await.unwrap(), 0);
    assert_eq!(kind(way.finish(first.count()).await), ErrorKind::NotFound);
    assert_eq!(kind(way.finish(first.get(0)).await), ErrorKind::NotFound);
    let write = way.finish(first.upsert([point(0)])).await;
    assert_eq!(kind(write), ErrorKind::NotFound);
    let write = way.finish(first.delete([0])).await;
    assert_eq!(kind(write), ErrorKind::NotFound);
    way.finish(db.close()).await.unwrap();
}

pub(crate) async fn reopening(way: Way, path: PathBuf) {
    let db = way.open(&path).await.unwrap();
    let docs = way
        .finish(db.create_collection("docs", schema()))
        .await
        .unwrap();
    let gone = way
        .finish(db.create_collection("gone", schema()))
        .await
        .unwrap();
    way.finish(docs.upsert(points(0..600))).await.unwrap();
    way.finish(gone.upsert(points(0..3))).await.unwrap();
    let ids = (0..600).step_by(3);
    assert_eq!(way.finish(docs.delete(ids)).await.unwrap(), 200);
    way.finish(db.delete_collection("gone")).await.unwrap();
    way.finish(db.close()).await.unwrap();

    let closed = [
        kind(way.finish(db.collections()).await),
        kind(way.finish(db.collection("docs")).await),
        kind(way.finish(db.create_collection("new", schema())).await),
        kind(way.finish(db.delete_collection("docs")).await),
        kind(way.finish(db.health()).await),
        kind(way.finish(db.close()).await),
        kind(way.finish(docs.upsert([point(1)])).await),
        kind(way.finish(docs.delete([1])).await),
        kind(way.finish(docs.get(1)).await),
        kind(way.finish(docs.get_many([1])).await),
        kind(way.finish(docs.count()).await),
        kind(
            way.finish(docs.search(Query::nearest("dot", super::vector(1))))
                .await,
        ),
        kind(
            way.finish(docs.search_many([Query::nearest("dot", super::vector(1))]))
                .await,
        ),
        kind(way.collect(docs.scroll()).await),
    ];
    assert_eq!(closed, [ErrorKind::Closed; 14]);

    // The closed handles are still there: they hold nothing that is in the way.
    let db = way.open(&path).await.unwrap();
    assert_eq!(way.finish(db.collections()).await.unwrap(), ["docs"]);
    let docs = way.finish(db.collection("docs")).await.unwrap();
    assert_eq!(docs.schema(), schema());
    let found = way.collect(docs.scroll()).await.unwrap();
    let expected = points((0..600).filter(|n| n % 3 != 0));
    assert_eq!(found, expected);
    drop((db, docs));

    // Not closed but dropped: the next opening waits for the last to end.
    let db = way.open(&path).await.unwrap();
    let docs = way.finish(db.collection("docs")).await.unwrap();
    assert_eq!(way.finish(docs.count()).await.unwrap(), 400);
    way.finish(db.close()).await.unwrap();
}

pub(crate) async fn health_and_stats(way: Way, path: PathBuf) {
    let db = way.open(&path).await.unwrap();
    let docs = way
        .finish(db.create_collection("docs", schema()))
        .await
        .unwrap();
    let before = db.stats();
    way.finish(docs.upsert(points(0..7))).await.unwrap();
    way.finish(docs.delete([0, 3, 9])).await.unwrap();
    let after = db.stats();
    assert_eq!((after.collections, after.points), (1, 5));
    assert_eq!(after.writes - before.writes, 2);
    assert!(after.commits > before.commits && after.log_bytes > before.log_bytes);
    assert_eq!((after.queued_writes, after.refused_writes), (0, 0));

    let health = way.finish(db.health()).await.unwrap();
    assert!(health.poisoned.is_none());
    for took in [health.search, health.update, health.io, health.commit] {
        assert!(took < Duration::from_secs(5), "{health:?}");
    }
    way.finish(db.close()).await.unwrap();
}
