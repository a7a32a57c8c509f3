//! Many searches in one call: of one view, shared out over the search lane.
//!
//! A job takes a few queries at a time, so that other reads get their turn between them, and there
//! are as many jobs as the lane has threads.

use super::Collection;
use crate::{
    cancel::Cancel,
    error::{Error, Result},
    op::{Op, each},
    query::{self, Hit, Nearest, Query},
    view::View,
};
use std::sync::Arc;

/// Queries that one job answers.
const AT_ONCE: usize = 16;

impl Collection {
    /// The answers to many queries, in their order: all of one moment, computed by all threads of
    /// the search lane together.
    ///
    /// # Errors
    /// As of [`search`](Self::search); the error names the first query that cannot be answered.
    /// `InvalidInput` for no queries, or more than the [limit](crate::Limits::queries).
    ///
    /// # Cancel safety
    /// As [`search`](Self::search).
    ///
    /// ```
    /// # use amphora::{Database, Metric, Point, Query, Schema, Vector, vfs::MemoryVfs};
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// # let schema = Schema::new().vector("v", Vector::new(2, Metric::Dot));
    /// # let docs = db.create_collection("docs", schema).wait()?;
    /// docs.upsert([Point::new(1).vector("v", [1.0, 0.0])]).wait()?;
    /// let queries = [[1.0, 2.0], [3.0, 4.0]].map(|values| Query::nearest("v", values));
    /// let answers = docs.search_many(queries).wait()?;
    /// assert_eq!((answers[0][0].score, answers[1][0].score), (1.0, 3.0));
    /// # Ok::<_, amphora::Error>(())
    /// ```
    pub fn search_many(&self, queries: impl IntoIterator<Item = Query>) -> Op<Vec<Vec<Hit>>> {
        // One too many is enough to be refused.
        let most = self.store.options.limits.queries;
        let queries: Vec<Query> = queries.into_iter().take(most.saturating_add(1)).collect();
        let collection = self.clone();
        self.store.flow(async move |store, cancel| {
            let checked = collection.read(move |store, state, cancel| {
                let limits = &store.options.limits;
                let what = match queries.len() {
                    0 => Some("no queries"),
                    count if count > limits.queries => Some("too many queries"),
                    _ => None,
                };
                if let Some(what) = what {
                    let most = limits.queries;
                    return Err(Error::invalid(format!("{what}; expected 1 to {most}")));
                }
                let view = state.pin()?;
                let queries = (0..).zip(queries).map(|(number, query)| {
                    cancel.check_at(number)?;
                    let checked = query.checked(view.shape(), limits);
                    checked.map_err(|error| error.context(format_args!("query {number}")))
                });
                let queries = queries.collect::<Result<Vec<_>>>()?;
                Ok(Arc::new((view, queries)))
            });
            let many = checked.step_of(&cancel).await?;
            let jobs = (0..many.1.len()).step_by(AT_ONCE).map(|first| {
                let many = Arc::clone(&many);
                let job = store.read(move |_, cancel| some(&many.0, &many.1[first..], cancel));
                job.step_of(&cancel)
            });
            let answers = each(jobs, store.lanes.search.threads()).await?;
            Ok(answers.into_iter().flatten().collect())
        })
    }
}

fn some(view: &View, queries: &[Nearest], cancel: &Cancel) -> Result<Vec<Vec<Hit>>> {
    let queries = queries.iter().take(AT_ONCE);
    queries
        .map(|query| query::nearest(view, query, cancel))
        .collect()
}
