//! Collections: the only place where a database changes.
//!
//! [`Collection`] is the user's handle. Its writes are plain data (`edit`, `write`), checked
//! (`check`) before they go to the commit thread (`committer`), which works out what they come to
//! (`resolve`, `names`, `touched`), logs it and applies it (`group`, `tables`). Its reads run over a view
//! that they pin (`state`, `clock`) or that the user holds (`read_view`), many in one call in `many`, ordered anew by the
//! caller in `rerank`; what they have to compare point by
//! point is sketched for the next (`sketches`). `upkeep` writes memtables to segments (`build`), merges these
//! (`choose`), has indexes and columns made beside them (`index`, `columns`), ends what has expired (`sweep`) and makes the result count (`switch`). `open` brings
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
mod columns;
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
mod read_view;
mod many;
mod rerank;
mod groups;
#[cfg(test)]
mod tests;

pub(crate) use committer::Committer;
pub use edit::{Batch, Edit, Selection};
pub(crate) use load::check_whole;
pub(crate) use open::check_place;
pub use read_view::ReadView;
pub(crate) use reader::Reader;
pub(crate) use state::CollectionState;
pub use state::Damage;
pub use store::Stats;
pub(crate) use store::Store;
pub use verify::Verification;
pub use write::OptimizeProgress;
pub(crate) use write::{Applied, Names, Request, Snapshots};

use crate::{
    id::PointId,
    op::{Feed, Op},
    options::{Durability, Limits},
    point::Point,
    query::{
        CountEstimate, Explained, Facet, FacetHit, Filter, Get, Hit, Query, Scroll, ScrollPage,
    },
    schema::Schema,
};
use std::{fmt, sync::Arc};

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
        let ids = self.reads().ids(ids);
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

    /// The points of this moment, for as long as the view is kept: all reads of it agree with each other.
    ///
    /// # Errors
    /// `NotFound` when the collection was deleted, `Closed`, and those of [`Op`].
    ///
    /// # Cancel safety
    /// A read: it has no effect, dropped or not.
    pub fn read_view(&self) -> Op<ReadView> {
        let state = Arc::clone(&self.state);
        self.store.flow(async move |store, _| {
            store.state.check_open()?;
            let view = state.pin()?;
            Ok(ReadView::held(store, state, view))
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
        self.reads().get(id)
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
        self.reads().get_many(ids)
    }

    /// As [`get_many`](Self::get_many), of which only a part is shown, and read.
    ///
    /// ```
    /// # use amphora::{Database, Point, Schema, vfs::MemoryVfs};
    /// use amphora::{Get, Projection};
    /// use serde_json::json;
    ///
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// # let docs = db.create_collection("docs", Schema::new()).wait()?;
    /// docs.upsert([Point::new(1).payload(json!({ "title": "Walden", "text": "When I wrote..." }))]).wait()?;
    /// let get = Get::new([1, 2]).with_payload(Projection::include(["title"]));
    /// let found = docs.get_by(get).wait()?;
    /// assert_eq!(found, [Some(Point::new(1).payload(json!({ "title": "Walden" }))), None]);
    /// # Ok::<_, amphora::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get_many`](Self::get_many), and `InvalidInput` when a [`Projection`](crate::Projection) names a vector that the schema
    /// has not, or too much.
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn get_by(&self, get: Get) -> Op<Vec<Option<Point>>> {
        self.reads().get_by(get)
    }

    /// How many points there are.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn count(&self) -> Op<u64> {
        self.reads().count()
    }

    /// How many points match a filter.
    ///
    /// # Errors
    /// As [`get`](Self::get), and `InvalidInput` when the filter cannot be evaluated.
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn count_matching(&self, filter: Filter) -> Op<u64> {
        self.reads().count_matching(filter)
    }

    /// Between what bounds the number of points is that match a filter, without reading a payload: known for
    /// conditions on declared fields in segments; elsewhere between none and all.
    ///
    /// ```
    /// # use amphora::{Database, Field, Point, Schema, vfs::MemoryVfs};
    /// use amphora::field;
    /// use serde_json::json;
    ///
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// let docs = db.create_collection("docs", Schema::new().field("year", Field::Integer)).wait()?;
    /// docs.upsert((0..9).map(|id| Point::new(id).payload(json!({ "year": 1850 + id })))).wait()?;
    /// db.optimize().wait()?;
    /// let count = docs.estimate_count(field("year").at_least(1855)).wait()?;
    /// assert_eq!((count.least, count.most), (4, 4));
    /// # Ok::<_, amphora::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`count_matching`](Self::count_matching).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn estimate_count(&self, filter: Filter) -> Op<CountEstimate> {
        self.reads().estimate_count(filter)
    }

    /// How many points have each value of a field: the values with the most points, most first, among equal counts
    /// the smaller first, booleans before numbers before strings. A point with a list is counted for each of its
    /// values. It takes memory for each different value.
    ///
    /// ```
    /// # use amphora::{Database, Field, Point, Schema, vfs::MemoryVfs};
    /// use amphora::{Facet, FacetHit, field};
    /// use serde_json::json;
    ///
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// let docs = db.create_collection("docs", Schema::new().field("author", Field::Keyword)).wait()?;
    /// let point = |id, author| Point::new(id).payload(json!({ "author": author, "id": id }));
    /// docs.upsert([point(1, "Thoreau"), point(2, "Melville"), point(3, "Melville")]).wait()?;
    /// let facet = Facet::new("author").filter(field("id").above(1)).limit(5);
    /// let hits = docs.facet(facet).wait()?;
    /// assert_eq!(hits, [FacetHit { value: json!("Melville"), count: 2 }]);
    /// # Ok::<_, amphora::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`count_matching`](Self::count_matching), and `InvalidInput` when the name of the field is none or the limit is 0
    /// or exceeds that of [hits](crate::Limits::hits).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn facet(&self, facet: Facet) -> Op<Vec<FacetHit>> {
        self.reads().facet(facet)
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
        self.reads().search(query)
    }

    /// The hits of a query as by [`search`](Self::search), and how they were found: which way was taken in each memtable and
    /// segment and why, how much was looked at, and how long each stage took. It costs next to nothing more than
    /// the search.
    ///
    /// ```
    /// # use amphora::{Database, Metric, Point, Query, Schema, Vector, vfs::MemoryVfs};
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// # let schema = Schema::new().vector("v", Vector::new(2, Metric::Dot));
    /// # let docs = db.create_collection("docs", schema).wait()?;
    /// docs.upsert([Point::new(1).vector("v", [1.0, 0.0])]).wait()?;
    /// let (hits, profile) = docs.search_profiled(Query::nearest("v", [1.0, 2.0])).wait()?;
    /// assert_eq!((hits.len(), profile.query.parts[0].compared), (1, 1));
    /// println!("{profile}");
    /// # Ok::<_, amphora::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`search`](Self::search).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn search_profiled(&self, query: Query) -> Op<(Vec<Hit>, Explained)> {
        self.reads().search_profiled(query)
    }

    /// How a query is answered: it is run, as by [`search_profiled`](Self::search_profiled), and in each part that is searched for
    /// the nearest it is counted how many points match its filter in fact, beside how many were expected to. That
    /// takes as long as looking at every point.
    ///
    /// # Errors
    /// As [`search`](Self::search).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn explain(&self, query: Query) -> Op<Explained> {
        self.reads().explain(query)
    }

    /// All points, in the order in which they were last written, as they were when the first of
    /// them was fetched.
    ///
    /// # Errors
    /// Items are errors as of [`get`](Self::get).
    pub fn scroll(&self) -> Feed<Point> {
        self.reads().scroll()
    }

    /// All points that match a filter, as by [`scroll`](Self::scroll).
    ///
    /// # Errors
    /// Items are errors as of [`count_matching`](Self::count_matching).
    pub fn scroll_matching(&self, filter: Filter) -> Feed<Point> {
        self.reads().scroll_matching(filter)
    }

    /// The points that a [`Scroll`] says, in its order, as they were when the first of them was fetched.
    ///
    /// # Errors
    /// Items are errors as of [`get`](Self::get), and `InvalidInput` when the filter cannot be evaluated or a
    /// [`Projection`](crate::Projection) does not fit the schema.
    pub fn scroll_by(&self, scroll: Scroll) -> Feed<Point> {
        self.reads().scroll_by(scroll)
    }

    /// A page of points, in the order of their ids unless the [`Scroll`] says another, and the cursor with which
    /// the next page goes on: a moment later, or days later in another process. Each page is of the points
    /// of its moment. A point that is there all the time, and keeps its place in the order, is in exactly one of the
    /// pages, whatever is written, flushed or merged between them. For pages that are all of one moment, ask a
    /// [`read_view`](Self::read_view).
    ///
    /// The first page of a segment sorts its ids; this is kept from then on, four
    /// bytes for each of its points.
    ///
    /// ```
    /// # use amphora::{Database, Point, Schema, vfs::MemoryVfs};
    /// use amphora::Scroll;
    ///
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// # let docs = db.create_collection("docs", Schema::new()).wait()?;
    /// docs.upsert([Point::new(3), Point::new(1), Point::new(2)]).wait()?;
    /// let page = docs.scroll_page(Scroll::new().limit(2)).wait()?;
    /// assert_eq!(page.points, [Point::new(1), Point::new(2)]);
    ///
    /// let kept = page.next.map(|cursor| cursor.to_string());
    /// let cursor = kept.map(|kept| kept.parse()).transpose()?;
    /// let last = docs.scroll_page(Scroll::new().limit(2).after(cursor)).wait()?;
    /// assert_eq!((last.points, last.next), (vec![Point::new(3)], None));
    /// # Ok::<_, amphora::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get), and `InvalidInput` when the filter cannot be evaluated, a
    /// [`Projection`](crate::Projection) does not fit the schema, the
    /// [cursor](crate::Cursor) is of another order, or the limit is 0 or exceeds that of [hits](crate::Limits::hits).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn scroll_page(&self, scroll: Scroll) -> Op<ScrollPage> {
        self.reads().scroll_page(scroll)
    }
}

impl Collection {
    /// Its reads, of the points of the moment.
    fn reads(&self) -> ReadView {
        ReadView::of_the_moment(Arc::clone(&self.store), Arc::clone(&self.state))
    }
}

impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection")
            .field("name", &self.name())
            .field("schema", &self.state.shape().schema)
            .finish_non_exhaustive()
    }
}
