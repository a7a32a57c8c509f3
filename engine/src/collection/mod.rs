//! Collections: the only place where a database changes.
//!
//! [`Collection`] is the user's handle. Its writes are plain data (`edit`, `write`), checked
//! (`check`) before they go to the commit thread (`committer`), which works out what they come to
//! (`resolve`, `names`, `touched`), logs it and applies it (`group`, `tables`). Its reads run over a view
//! that they pin (`state`, `clock`), many in one call in `many`, ordered anew by the caller in
//! `rerank`; what they have to compare point by
//! point is sketched for the next (`sketches`). `upkeep` writes memtables to segments (`build`), merges these
//! (`choose`), ends what has expired (`sweep`) and makes the result count (`switch`). `open` brings
//! back what was there (`load`), `reader` without writing; a snapshot is made and gone back to in
//! `snapshots`. `store` is what all handles share. Nothing above this layer changes a point.

mod clock;
mod build;
mod sketches;
mod state;
mod edit;
mod write;
mod check;
mod resolve;
mod choose;
mod index;
mod placed;
mod tables;
mod load;
mod sweep;
mod switch;
mod upkeep;
mod names;
mod touched;
mod group;
mod committer;
mod snapshots;
mod optimize;
mod open;
mod reader;
mod verify;
mod store;
mod apply;
mod many;
mod rerank;

pub(crate) use committer::Committer;
pub use edit::{Batch, Edit, Selection};
pub(crate) use load::check_whole;
pub(crate) use open::check_place;
pub(crate) use reader::Reader;
pub(crate) use state::CollectionState;
pub use state::Damage;
pub use store::Stats;
pub(crate) use store::Store;
pub use verify::Verification;
pub use write::OptimizeProgress;
pub(crate) use write::{Applied, Names, Request, Snapshots};

use crate::{
    cancel::Cancel,
    error::Result,
    id::PointId,
    op::{Feed, Op},
    options::{Durability, Limits},
    point::Point,
    query::{self, Filter, Hit, Query},
    schema::Schema,
    view::View,
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
    durability: Durability,
}

/// How many points a feed fetches at once.
const PAGE: usize = 256;

impl Collection {
    pub(crate) fn new(store: Arc<Store>, state: Arc<CollectionState>) -> Self {
        let durability = store.options.durability;
        Self {
            store,
            state,
            durability,
        }
    }

    /// The same collection, whose writes are answered when they are as durable as this.
    ///
    /// ```
    /// # use amphora::{Database, Durability, Point, Schema, vfs::MemoryVfs};
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// let docs = db.create_collection("docs", Schema::new()).wait()?;
    /// let hasty = docs.with_durability(Durability::Os);
    /// for id in 0..1_000 {
    ///     hasty.upsert([Point::new(id)]).wait()?;
    /// }
    /// db.flush().wait()?;
    /// # Ok::<_, amphora::Error>(())
    /// ```
    #[must_use]
    pub fn with_durability(&self, durability: Durability) -> Self {
        Self {
            durability,
            ..self.clone()
        }
    }

    /// The name that it has now.
    #[must_use]
    pub fn name(&self) -> String {
        self.state.name()
    }

    /// The schema that it has now.
    #[must_use]
    pub fn schema(&self) -> Schema {
        self.state.shape().schema.clone()
    }

    /// Writes points, each in place of the one with its id; of equal ids in a batch the last
    /// stays. The batch is written whole or not at all.
    ///
    /// # Errors
    /// `InvalidInput` when a point does not fit the schema or the batch exceeds a
    /// [limit](crate::Limits), `NotFound` when the collection was deleted, `Corrupted` when a file
    /// is damaged that may hold one of the ids, `StorageFull`, `Poisoned`, `Closed`, and those of
    /// [`Op`].
    ///
    /// # Cancel safety
    /// Dropped before the commit thread took it, nothing is written; after that, all of it is.
    pub fn upsert(&self, points: impl IntoIterator<Item = Point>) -> Op<()> {
        let limits = &self.store.options.limits;
        // One too many is enough to be refused.
        let points: Vec<Point> = points.into_iter().take(limits.batch_points + 1).collect();
        let (state, durability) = (Arc::clone(&self.state), self.durability);
        self.store.flow(async move |store, cancel| {
            let small = check::is_small(&points);
            let (id, shape) = (state.id, state.shape());
            let of = Arc::clone(&shape);
            let check = move |limits: &Limits| check::upsert(id, &of, points, limits);
            let (change, body) = store.prepare(small, &cancel, check).await?;
            let request = Request::Upsert(shape, change, body);
            store.commit_as(durability, request, cancel).await.map(drop)
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
        let (state, durability) = (Arc::clone(&self.state), self.durability);
        self.store.flow(async move |store, cancel| {
            let small = ids.len() <= check::SMALL_IDS;
            let check = move |limits: &Limits| check::delete(&state, ids, limits);
            let (change, body) = store.prepare(small, &cancel, check).await?;
            let request = Request::Delete(change, body);
            match store.commit_as(durability, request, cancel).await? {
                Applied::Changed(count) => Ok(count),
                Applied::Done | Applied::Created(_) | Applied::Snapshot(_) => Ok(0),
            }
        })
    }

    /// The point with this id, with its vectors and payload; `None` when there is none.
    ///
    /// # Errors
    /// `NotFound` when the collection was deleted, `Corrupted` when a file that it needs is
    /// damaged, `Closed`, and those of [`Op`].
    ///
    /// # Cancel safety
    /// A read: it has no effect, dropped or not.
    pub fn get(&self, id: impl Into<PointId>) -> Op<Option<Point>> {
        let id = id.into();
        self.read(move |_, state, _| {
            let view = state.pin()?;
            let found = view.find(&id)?;
            found
                .map(|(part, row)| query::point(&view, part, row))
                .transpose()
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
                    let found = view.find(id)?;
                    found
                        .map(|(part, row)| query::point(&view, part, row))
                        .transpose()
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
        self.read(move |store, state, cancel| answer(query, store, state, cancel))
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
                query::scroll(view, filter, first, PAGE, cancel)
            })
        })
    }
}

/// Searches the points of the moment.
fn answer(
    query: Query,
    store: &Store,
    state: &CollectionState,
    cancel: &Cancel,
) -> Result<Vec<Hit>> {
    let view = state.pin()?;
    let query = query.checked(view.shape(), &store.options.limits, store.state.analyzers())?;
    let hits = query::search(&view, &query, cancel)?;
    query.each_vector(|vector| {
        state.sketches().begin(&store.lanes.io, &view, vector);
    });
    Ok(hits)
}

impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection")
            .field("name", &self.name())
            .field("schema", &self.state.shape().schema)
            .finish_non_exhaustive()
    }
}
