//! Collections: the only place where a database changes.
//!
//! [`Collection`] is the user's handle: it checks what it is given (`check`), sends writes to the
//! commit thread (`write`, `committer`) and runs reads over a view that it pins (`state`). What
//! handles share is the `store`; what each change does is in `memtables`. Nothing above this
//! layer changes a point.

mod state;
mod write;
mod check;
mod memtables;
mod committer;
mod store;

pub(crate) use committer::Committer;
pub(crate) use state::CollectionState;
pub use store::Stats;
pub(crate) use store::Store;
pub(crate) use write::{Applied, Request};

use crate::{
    cancel::Cancel,
    error::Result,
    id::PointId,
    memtable::View,
    op::{Feed, Op},
    options::Limits,
    point::Point,
    query::{self, Filter, Hit, Query},
    schema::Schema,
};
use std::{
    fmt,
    sync::{Arc, OnceLock},
};

/// A set of points of one schema. Cheap to clone, and may be dropped anywhere.
///
/// A write is answered when it is durable and every later read sees it. A read sees the points
/// as they were at one moment, and never waits for a write.
///
/// ```
/// use amphora::{Database, Metric, Point, Query, Schema, Vector, field, vfs::MemoryVfs};
/// use serde_json::json;
///
/// let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
/// let schema = Schema::new().vector("embedding", Vector::new(2, Metric::Cosine));
/// let docs = db.create_collection("docs", schema).wait()?;
/// docs.upsert([
///     Point::new("east").vector("embedding", [1.0, 0.0]).payload(json!({ "year": 1999 })),
///     Point::new("north").vector("embedding", [0.0, 1.0]).payload(json!({ "year": 2021 })),
/// ]).wait()?;
///
/// let query = Query::nearest("embedding", [0.9, 0.1]).filter(field("year").at_least(2000));
/// let hits = docs.search(query).wait()?;
/// assert_eq!(hits[0].id, "north".into());
/// # Ok::<_, amphora::Error>(())
/// ```
#[derive(Clone)]
pub struct Collection {
    store: Arc<Store>,
    state: Arc<CollectionState>,
}

/// How many points a feed fetches at once.
const PAGE: usize = 256;

impl Collection {
    pub(crate) fn new(store: Arc<Store>, state: Arc<CollectionState>) -> Self {
        Self { store, state }
    }

    /// The name that it was created with.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.state.name
    }

    /// The schema that it was created with.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.state.schema
    }

    /// Writes points, each in place of the one with its id; of equal ids in a batch the last
    /// stays. The batch is written whole or not at all.
    ///
    /// # Errors
    /// `InvalidInput` when a point does not fit the schema or the batch exceeds a
    /// [limit](crate::Limits), `NotFound` when the collection was deleted, `StorageFull`,
    /// `Poisoned`, `Closed`, and those of [`Op`].
    ///
    /// # Cancel safety
    /// Dropped before the commit thread took it, nothing is written; after that, all of it is.
    pub fn upsert(&self, points: impl IntoIterator<Item = Point>) -> Op<()> {
        let limits = &self.store.options.limits;
        // One too many is enough to be refused.
        let points: Vec<Point> = points.into_iter().take(limits.batch_points + 1).collect();
        let state = Arc::clone(&self.state);
        self.store.flow(async move |store, cancel| {
            let small = check::is_small(&points);
            let check = move |limits: &Limits| check::upsert(&state, points, limits);
            let (change, body) = store.prepare(small, &cancel, check).await?;
            let request = Request::Change(change, body);
            store.commit(request, cancel).await.map(drop)
        })
    }

    /// Deletes points by their ids, and says how many there were.
    ///
    /// # Errors
    /// As [`upsert`](Self::upsert).
    ///
    /// # Cancel safety
    /// As [`upsert`](Self::upsert).
    pub fn delete<I: Into<PointId>>(&self, ids: impl IntoIterator<Item = I>) -> Op<u64> {
        let ids = self.ids(ids);
        let state = Arc::clone(&self.state);
        self.store.flow(async move |store, cancel| {
            let small = ids.len() <= check::SMALL_IDS;
            let check = move |limits: &Limits| check::delete(&state, ids, limits);
            let (change, body) = store.prepare(small, &cancel, check).await?;
            let request = Request::Change(change, body);
            match store.commit(request, cancel).await? {
                Applied::Deleted(count) => Ok(count),
                Applied::Done | Applied::Created(_) => Ok(0),
            }
        })
    }

    /// The point with this id, with its vectors and payload; `None` when there is none.
    ///
    /// # Errors
    /// `NotFound` when the collection was deleted, `Closed`, and those of [`Op`].
    ///
    /// # Cancel safety
    /// A read: it has no effect, dropped or not.
    pub fn get(&self, id: impl Into<PointId>) -> Op<Option<Point>> {
        let id = id.into();
        self.read(move |_, state, _| {
            let view = state.pin()?;
            Ok(view
                .find(&id)
                .and_then(|row| query::point(&view, &state.schema, row)))
        })
    }

    /// The points with these ids, in their order; `None` in place of each that does not exist.
    ///
    /// # Errors
    /// As [`get`](Self::get), and `InvalidInput` when there are no ids or too many.
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn get_many<I: Into<PointId>>(
        &self,
        ids: impl IntoIterator<Item = I>,
    ) -> Op<Vec<Option<Point>>> {
        let ids = self.ids(ids);
        self.read(move |store, state, cancel| {
            check::check_count("ids", ids.len(), &store.options.limits)?;
            let view = state.pin()?;
            ids.iter()
                .map(|id| {
                    cancel.check()?;
                    let row = view.find(id);
                    Ok(row.and_then(|row| query::point(&view, &state.schema, row)))
                })
                .collect()
        })
    }

    /// How many points there are.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn count(&self) -> Op<u64> {
        self.read(move |_, state, cancel| query::count(&*state.pin()?, None, cancel))
    }

    /// How many points match a filter.
    ///
    /// # Errors
    /// As [`get`](Self::get), and `InvalidInput` when the filter cannot be evaluated.
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn count_matching(&self, filter: Filter) -> Op<u64> {
        self.read(move |store, state, cancel| {
            let filter = filter.checked(&store.options.limits)?;
            query::count(&*state.pin()?, Some(&filter), cancel)
        })
    }

    /// The points that answer a query best, the best first.
    ///
    /// # Errors
    /// As [`get`](Self::get), and `InvalidInput` when the query does not fit the schema or
    /// exceeds a [limit](crate::Limits).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn search(&self, query: Query) -> Op<Vec<Hit>> {
        self.read(move |store, state, cancel| {
            let query = query.checked(&state.schema, &store.options.limits)?;
            query::nearest(&*state.pin()?, &state.schema, &query, cancel)
        })
    }

    /// All points, in the order in which they were last written, as they were when the first of
    /// them was fetched.
    ///
    /// # Errors
    /// Items are errors as of [`get`](Self::get).
    pub fn scroll(&self) -> Feed<Point> {
        self.pages(None)
    }

    /// All points that match a filter, as by [`scroll`](Self::scroll).
    ///
    /// # Errors
    /// Items are errors as of [`count_matching`](Self::count_matching).
    pub fn scroll_matching(&self, filter: Filter) -> Feed<Point> {
        self.pages(Some(filter))
    }
}

impl Collection {
    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store, &CollectionState, &Cancel) -> Result<T> + Send + 'static,
    ) -> Op<T> {
        let state = Arc::clone(&self.state);
        self.store
            .read(move |store, cancel| read(store, &state, cancel))
    }

    fn ids<I: Into<PointId>>(&self, ids: impl IntoIterator<Item = I>) -> Vec<PointId> {
        let most = self.store.options.limits.batch_points;
        // One too many is enough to be refused.
        ids.into_iter().take(most + 1).map(Into::into).collect()
    }

    /// A feed over one view, pinned when the first page is fetched.
    fn pages(&self, mut filter: Option<Filter>) -> Feed<Point> {
        let collection = self.clone();
        let pinned: Arc<OnceLock<(Arc<View>, Option<Filter>)>> = Arc::default();
        Feed::new(move |first| {
            let pinned = Arc::clone(&pinned);
            let filter = filter.take();
            collection.read(move |store, state, cancel| {
                let limits = &store.options.limits;
                let (view, filter) = match pinned.get() {
                    Some(pinned) => pinned,
                    None => {
                        let filter = filter.map(|filter| filter.checked(limits)).transpose()?;
                        let view = state.pin()?;
                        pinned.get_or_init(|| (view, filter))
                    }
                };
                let filter = filter.as_ref();
                query::scroll(view, &state.schema, filter, first, PAGE, cancel)
            })
        })
    }
}

impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection")
            .field("name", &self.state.name)
            .field("schema", &self.state.schema)
            .finish_non_exhaustive()
    }
}
