//! Reads that are dropped, pages of feeds and jobs of the pools among them.

use super::{every_poll, tiny_pools, unharmed};
use amphora::{Database, Fusion, Lane, Pools, Query, Result, field};
use futures::StreamExt;

pub(crate) async fn check(db: &Database) {
    let docs = &db.collection("docs").await.unwrap();
    let filter = || field("round").at_least(1);
    let query = || Query::nearest("v", [1.0; 16]).filter(filter()).limit(50);
    every_poll(|_| db.collections(), unharmed).await;
    every_poll(|_| db.collection("docs"), unharmed).await;
    every_poll(|_| db.health(), unharmed).await;
    every_poll(|_| docs.get(1), unharmed).await;
    every_poll(|_| docs.get_many(0..50), unharmed).await;
    every_poll(|_| docs.count(), unharmed).await;
    every_poll(|_| docs.count_matching(filter()), unharmed).await;
    every_poll(|_| docs.search(query()), unharmed).await;
    let many = || (0..40).map(|_| query());
    every_poll(|_| docs.search_many(many()), unharmed).await;
    let fused = || {
        Query::fuse(Fusion::rrf())
            .prefetch(query())
            .prefetch(query())
            .mmr(0.5)
    };
    every_poll(|_| docs.search(fused()), unharmed).await;
    let inner = docs.clone();
    let reranked = move |_| {
        let docs = inner.clone();
        docs.clone().search_reranked(fused(), async move |hits| {
            docs.count().await?;
            Ok(hits)
        })
    };
    every_poll(reranked, unharmed).await;
    // A feed is dropped between its pages too.
    every_poll(|_| docs.scroll().into_future(), first).await;
    every_poll(|_| docs.scroll_matching(filter()).collect::<Vec<_>>(), all).await;

    let pools = Pools::new(&tiny_pools()).unwrap();
    for lane in [Lane::Search, Lane::Update, Lane::Io] {
        every_poll(|round| pools.run(lane, move || round), unharmed).await;
        every_poll(
            |round| pools.run_checked(lane, move |cancel| cancel.check().map(|()| round)),
            unharmed,
        )
        .await;
        for _ in 0..20 {
            pools.run(lane, || ()).try_admit().await.unwrap();
        }
    }
}

fn first<T, F>(_round: u64, answer: Option<(Option<Result<T>>, F)>) {
    if let Some((item, _feed)) = answer {
        assert!(item.is_some_and(|item| item.is_ok()), "the first point");
    }
}

fn all<T>(_round: u64, answer: Option<Vec<Result<T>>>) {
    if let Some(items) = answer {
        assert_eq!(items.iter().filter(|item| item.is_ok()).count(), 100);
    }
}
