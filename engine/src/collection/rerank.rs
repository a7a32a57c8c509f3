//! A search whose hits the caller puts in another order, by a model of theirs, say.
//!
//! The search is one job of the search lane. What the caller gives runs where the operation is polled or
//! waited for, and never on a lane.

use super::{Collection, ReadView};
use crate::{
    error::Result,
    op::Op,
    query::{Hit, Query},
};
use std::future::Future;

impl Collection {
    /// What `rerank` makes of the hits of a query: it gets them as [`search`](Self::search) gives them,
    /// the limit of the query being how many there are to choose from, and its answer is the answer, as
    /// it is. Whether it leaves hits out, adds some, or sets scores is its own affair.
    ///
    /// `rerank` and its future run on the caller's executor, as a part of this operation: whatever that
    /// executor offers can be awaited, a request to a server for example. Under `wait()` they run on the
    /// thread that waits. What computes for long belongs on a thread of its own:
    /// [`Pools::run`](crate::Pools::run). While the points are searched, `rerank` has not been called.
    ///
    /// ```
    /// # use amphora::{Database, Metric, Point, Schema, Vector, vfs::MemoryVfs};
    /// use amphora::{Lane, Pools, Query};
    /// use serde_json::json;
    ///
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// # let schema = Schema::new().vector("v", Vector::new(1, Metric::Dot));
    /// # let docs = db.create_collection("docs", schema).wait()?;
    /// let point = |id, text| Point::new(id).vector("v", [id as f32]).payload(json!({ "text": text }));
    /// docs.upsert([point(1, "heat transfer"), point(2, "heat"), point(3, "cold")]).wait()?;
    ///
    /// let query = Query::nearest("v", [1.0]).limit(100);
    /// let best = docs.search_reranked(query, async |mut hits| {
    ///     // Slow work: on a thread of a pool.
    ///     Pools::shared()?.run(Lane::Search, move || {
    ///         hits.sort_by_key(|hit| hit.payload.get("text") != Some(&json!("heat transfer")));
    ///         hits.truncate(2);
    ///         hits
    ///     }).await
    /// }).wait()?;
    /// assert_eq!(best.iter().map(|hit| hit.id.clone()).collect::<Vec<_>>(), [1.into(), 3.into()]);
    /// # Ok::<_, amphora::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`search`](Self::search), and those of `rerank`, as they are; of an error that is none of this
    /// crate's, [`Error::other`](crate::Error::other) makes one. A panic of `rerank` is one of who polls
    /// or waits.
    ///
    /// # Cancel safety
    /// As [`search`](Self::search). The future of `rerank` is dropped with the operation, and when the
    /// deadline passes or the token is cancelled; whether that is safe depends on it alone.
    pub fn search_reranked<R, F>(&self, query: Query, rerank: R) -> Op<Vec<Hit>>
    where
        R: FnOnce(Vec<Hit>) -> F + Send + 'static,
        F: Future<Output = Result<Vec<Hit>>> + Send + 'static,
    {
        self.reads().search_reranked(query, rerank)
    }
}

impl ReadView {
    /// See [`Collection::search_reranked`].
    pub fn search_reranked<R, F>(&self, query: Query, rerank: R) -> Op<Vec<Hit>>
    where
        R: FnOnce(Vec<Hit>) -> F + Send + 'static,
        F: Future<Output = Result<Vec<Hit>>> + Send + 'static,
    {
        let reads = self.clone();
        self.store.flow(async move |store, cancel| {
            let found = store.step(&cancel, move |store, cancel| {
                reads.answer(query, store, cancel)
            });
            rerank(found.await?).await
        })
    }
}
