//! Many searches in one call: of one view, shared out over the search lane.
//!
//! A job takes a few queries, so that other reads get their turn between them, and as many jobs are
//! under way as the lane has threads.

use super::{Collection, ReadView, store::Store};
use crate::{
    cancel::Cancel,
    error::{Error, Result},
    op::{Op, each},
    query::{self, Checked, Hit, Query},
    view::View,
};
use std::sync::Arc;

/// The most queries that one job answers.
const AT_ONCE: usize = 4;
/// All queries together may ask for so many times as many hits as one.
const HITS: usize = 100;

impl Collection {
    /// The answers to many queries, in their order: all of one moment, computed by all threads of
    /// the search lane together.
    ///
    /// # Errors
    /// As of [`search`](Self::search), of the first query that cannot be answered; one that does not
    /// fit the schema is named by its number. `InvalidInput` for no queries, for more than the
    /// [limit](crate::Limits::queries), and if together they ask for more than 100 times as many hits
    /// as [one may](crate::Limits::hits).
    ///
    /// # Cancel safety
    /// As [`search`](Self::search). Unlike that it is never run on the thread that waits: a job of the
    /// search lane that waits for it takes a thread from it.
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
        self.reads().search_many(queries)
    }
}

impl ReadView {
    /// See [`Collection::search_many`].
    pub fn search_many(&self, queries: impl IntoIterator<Item = Query>) -> Op<Vec<Vec<Hit>>> {
        // One too many is enough to be refused.
        let most = self.store.options.limits.queries;
        let queries: Vec<Query> = queries.into_iter().take(most.saturating_add(1)).collect();
        let reads = self.clone();
        self.store.flow(async move |store, cancel| {
            let checked = store.step(&cancel, move |store, cancel| {
                let view = reads.pin()?;
                let queries = check(queries, &view, &reads, store, cancel)?;
                if let Some(query) = queries.first() {
                    let lane = &store.lanes.io;
                    query.each_vector(|vector| reads.state.sketches().begin(lane, &view, vector));
                }
                Ok(Arc::new((view, queries)))
            });
            let many = checked.await?;
            let (len, threads) = (many.1.len(), store.lanes.search.threads());
            let at_once = len.div_ceil(threads).clamp(1, AT_ONCE);
            let jobs: Vec<_> = (0..len)
                .step_by(at_once)
                .map(|first| {
                    let many = Arc::clone(&many);
                    store.step(&cancel, move |_, cancel| {
                        let some = many.1.iter().skip(first).take(at_once);
                        some.map(|query| query::search(&many.0, query, cancel))
                            .collect::<Result<Vec<_>>>()
                    })
                })
                .collect();
            // The last job lets go of them, on the lane.
            drop(many);
            let answers = each(jobs, threads).await?;
            Ok(answers.into_iter().flatten().collect())
        })
    }
}

fn check(
    queries: Vec<Query>,
    view: &View,
    reads: &ReadView,
    store: &Store,
    cancel: &Cancel,
) -> Result<Vec<Checked>> {
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
    let limit_of = |query: &Query| query.limit.unwrap_or(Query::DEFAULT_LIMIT).min(limits.hits);
    let hits = queries.iter().map(limit_of).fold(0, usize::saturating_add);
    let most = limits.hits.saturating_mul(HITS);
    if hits > most {
        return Err(Error::invalid(format!(
            "the queries ask for {hits} hits together; expected at most {most}"
        )));
    }
    let others = store.others(&reads.state);
    let mut scope = store.scope(view, &others);
    let checked = (0..).zip(queries).map(|(number, query)| {
        cancel.check_at(number)?;
        let checked = query.checked(&mut scope);
        checked.map_err(|error| error.context(format_args!("query {number}")))
    });
    checked.collect()
}
