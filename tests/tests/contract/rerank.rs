//! A search whose hits the caller ranks: what they give runs where they wait, ends when they end it, and
//! its errors are the answer.

use super::{kind, points, schema, vector};
use amphora::{CancelToken, Collection, Error, ErrorKind, Hit, Query, Result};
use amphora_tests::runtimes::Way;
use std::{
    future::{pending, poll_fn},
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    thread,
    time::Duration,
};

pub(crate) async fn ranked_by_the_caller(way: Way, path: PathBuf) {
    let db = way.open(&path).await.unwrap();
    let created = way.finish(db.create_collection("docs", schema())).await;
    let docs = created.unwrap();
    way.finish(docs.upsert(points(0..50))).await.unwrap();

    answers(way, &docs).await;
    errors(way, &docs).await;
    ends(way, &docs).await;
    way.finish(db.close()).await.unwrap();
}

fn query() -> Query {
    Query::nearest("dot", vector(7)).limit(20)
}

async fn answers(way: Way, docs: &Collection) {
    let mut expected = way.finish(docs.search(query())).await.unwrap();
    expected.reverse();
    expected.truncate(3);

    // Here, pausing, and by other operations; its calls come on no thread of a lane.
    let other = docs.clone();
    let reranked = docs.search_reranked(query(), async move |mut hits: Vec<Hit>| {
        on_no_lane();
        let mut is_second = false;
        poll_fn(|context| {
            on_no_lane();
            if is_second {
                return Poll::Ready(());
            }
            is_second = true;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        assert_eq!(other.count().await?, 50);
        on_no_lane();
        hits.reverse();
        hits.truncate(3);
        Ok(hits)
    });
    assert_eq!(way.finish(reranked).await.unwrap(), expected);

    // A function will do.
    let first = |mut hits: Vec<Hit>| {
        hits.truncate(1);
        std::future::ready(Ok(hits))
    };
    let reranked = way.finish(docs.search_reranked(query(), first)).await;
    assert_eq!(reranked.unwrap().len(), 1);

    // What only this runtime has can be awaited.
    if matches!(way, Way::TokioCurrentThread | Way::TokioMultiThread) {
        let reranked = docs.search_reranked(query(), async |hits| {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(hits)
        });
        assert_eq!(way.finish(reranked).await.unwrap().len(), 20);
    }
}

fn on_no_lane() {
    let thread = thread::current();
    let name = thread.name().unwrap_or_default();
    assert!(!name.starts_with("amphora"), "called on {name}");
}

async fn errors(way: Way, docs: &Collection) {
    let own = |_| std::future::ready(Err(Error::other(io::Error::other("no model"))));
    let error = way.finish(docs.search_reranked(query(), own)).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    assert_eq!(error.to_string(), "other: no model");
    let source = std::error::Error::source(&error);
    assert!(source.unwrap().is::<io::Error>());

    // A search that fails calls nobody.
    let called = Arc::new(AtomicBool::new(false));
    let caller = Arc::clone(&called);
    let rerank = async move |hits| {
        caller.store(true, Ordering::Relaxed);
        Ok(hits)
    };
    let failed = way.finish(docs.search_reranked(query().limit(0), rerank));
    assert_eq!(kind(failed.await), ErrorKind::InvalidInput);
    assert!(!called.load(Ordering::Relaxed));
}

/// Notes that it was dropped.
struct Noting(Arc<AtomicBool>);

impl Drop for Noting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What never ends is ended by a deadline, a token, or by being dropped; its future goes at once.
async fn ends(way: Way, docs: &Collection) {
    let dropped = Arc::new(AtomicBool::new(false));
    let gone = || dropped.swap(false, Ordering::Relaxed);
    let endless = || {
        let noting = Noting(Arc::clone(&dropped));
        docs.search_reranked(query(), async move |_| -> Result<Vec<Hit>> {
            let _noting = noting;
            pending().await
        })
    };
    let late = way
        .finish(endless().timeout(Duration::from_millis(20)))
        .await;
    assert!(matches!(kind(late), ErrorKind::Timeout(_)));
    assert!(gone(), "by the deadline");

    let token = CancelToken::new();
    let cancelling = token.clone();
    let thread = thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        cancelling.cancel();
    });
    let cancelled = way.finish(endless().cancel_on(&token)).await;
    thread.join().unwrap();
    assert_eq!(kind(cancelled), ErrorKind::Cancelled);
    assert!(gone(), "by the token");

    drop(endless());
    assert!(gone(), "unused");
    way.finish(docs.count()).await.unwrap();
}
