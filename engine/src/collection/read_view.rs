//! The reads of a collection: of its points as they are when a read begins, or as they were at one moment
//! that is held.
//!
//! Each read is written once, over the view that it pins. [`Collection`](super::Collection) gives them of
//! the moment, [`ReadView`] of the view that it keeps. Nothing here changes a point.

use super::{check, state::CollectionState, store::Store};
use crate::{
    cancel::Cancel,
    error::Result,
    id::PointId,
    op::{Feed, Op},
    point::Point,
    query::{
        self, Checked, CountEstimate, Explained, Facet, FacetHit, Filter, Get, Hit, Query, Scroll,
        ScrollPage, Shows, Walk,
    },
    schema::Schema,
    sync::{Mutex, lock},
    view::View,
};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// A collection as it was at one moment, however long it is kept: a read view. All reads of it agree with each
/// other, whatever is written, flushed or merged meanwhile; also after the collection was deleted. Points that a question names
/// by a collection, as examples or to be looked up, are those that this has when the read begins.
///
/// Made by [`Collection::read_view`](super::Collection::read_view) for one collection, by
/// [`Database::read_views`](crate::Database::read_views) for all. Cheap to make and to clone, `Send` and `Sync`, and may
/// be dropped anywhere. It lives as long as the process: what outlives that is a
/// [snapshot](crate::Database::create_snapshot).
///
/// # What it holds
/// Until the last clone is dropped: the memtables of its moment, up to
/// [`memtable_bytes`](crate::Options::memtable_bytes) of memory (which are not counted when writes wait for memory), and the files
/// of its segments, whose space on the disk comes back after a merge has replaced them *and* the view is gone.
/// Points that expire while it is held stay in it. It holds back neither writes nor flushes nor merges.
///
/// ```
/// # use amphora::{Database, Point, Schema, vfs::MemoryVfs};
/// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
/// let docs = db.create_collection("docs", Schema::new()).wait()?;
/// docs.upsert([Point::new(1), Point::new(2)]).wait()?;
///
/// let view = docs.read_view().wait()?;
/// docs.delete([1]).wait()?;
/// assert_eq!((view.count().wait()?, docs.count().wait()?), (2, 1));
/// assert!(view.get(1).wait()?.is_some());
/// # Ok::<_, amphora::Error>(())
/// ```
#[derive(Clone)]
pub struct ReadView {
    pub(super) store: Arc<Store>,
    pub(super) state: Arc<CollectionState>,
    /// `None` for what is there when a read begins.
    held: Option<Arc<View>>,
}

impl ReadView {
    /// Of the points of the moment at which each read begins.
    pub(super) fn of_the_moment(store: Arc<Store>, state: Arc<CollectionState>) -> Self {
        Self {
            store,
            state,
            held: None,
        }
    }

    /// Of the points in `view` of a collection.
    pub(super) fn held(store: Arc<Store>, state: Arc<CollectionState>, view: Arc<View>) -> Self {
        Self {
            store,
            state,
            held: Some(view),
        }
    }

    /// The schema of its moment.
    #[must_use]
    pub fn schema(&self) -> Schema {
        let shape = match &self.held {
            Some(view) => Arc::clone(view.shape()),
            None => self.state.shape(),
        };
        shape.schema.clone()
    }

    /// See [`Collection::get`](super::Collection::get).
    ///
    /// # Errors
    /// As [`Collection::get`](super::Collection::get), but that it is no matter whether the collection was
    /// deleted; and so for all reads.
    ///
    /// # Cancel safety
    /// A read: it has no effect, dropped or not; and so are all reads.
    pub fn get(&self, id: impl Into<PointId>) -> Op<Option<Point>> {
        let id = [id.into()];
        self.read(move |_, view, cancel| {
            let found = query::get(view, &id, &Shows::ALL, cancel)?;
            Ok(found.into_iter().next().flatten())
        })
    }

    /// See [`Collection::get_many`](super::Collection::get_many).
    pub fn get_many<I: Into<PointId>>(
        &self,
        ids: impl IntoIterator<Item = I>,
    ) -> Op<Vec<Option<Point>>> {
        self.get_by(Get::new(self.ids(ids)))
    }

    /// See [`Collection::get_by`](super::Collection::get_by).
    pub fn get_by(&self, get: Get) -> Op<Vec<Option<Point>>> {
        let (ids, shows) = get.into_parts();
        self.read(move |store, view, cancel| {
            check::check_count("ids", ids.len(), &store.options.limits)?;
            query::get(view, &ids, &shows, cancel)
        })
    }

    /// See [`Collection::count`](super::Collection::count).
    pub fn count(&self) -> Op<u64> {
        self.read(move |_, view, cancel| query::count(view, None, cancel))
    }

    /// See [`Collection::count_matching`](super::Collection::count_matching).
    pub fn count_matching(&self, filter: Filter) -> Op<u64> {
        self.read(move |store, view, cancel| {
            let filter = filter.checked(store.terms(view.shape()))?;
            query::count(view, Some(&filter), cancel)
        })
    }

    /// See [`Collection::estimate_count`](super::Collection::estimate_count).
    pub fn estimate_count(&self, filter: Filter) -> Op<CountEstimate> {
        self.read(move |store, view, cancel| {
            let filter = filter.checked(store.terms(view.shape()))?;
            query::estimate(view, &filter, cancel)
        })
    }

    /// See [`Collection::facet`](super::Collection::facet).
    pub fn facet(&self, facet: Facet) -> Op<Vec<FacetHit>> {
        self.read(move |store, view, cancel| {
            let filter = facet.checked(store.terms(view.shape()))?;
            query::facet(view, &facet, filter.as_ref(), cancel)
        })
    }

    /// See [`Collection::search`](super::Collection::search).
    pub fn search(&self, query: Query) -> Op<Vec<Hit>> {
        let reads = self.clone();
        self.store
            .read(move |store, cancel| reads.answer(query, store, cancel))
    }

    /// See [`Collection::search_profiled`](super::Collection::search_profiled).
    pub fn search_profiled(&self, query: Query) -> Op<(Vec<Hit>, Explained)> {
        let reads = self.clone();
        self.store.read(move |store, cancel| {
            let profile = |view: &View, query: &Checked, cancel: &Cancel| {
                query::explain(view, query, false, cancel)
            };
            reads.answer_by(profile, query, store, cancel)
        })
    }

    /// See [`Collection::explain`](super::Collection::explain).
    pub fn explain(&self, query: Query) -> Op<Explained> {
        let reads = self.clone();
        self.store.read(move |store, cancel| {
            let explain = |view: &View, query: &Checked, cancel: &Cancel| {
                query::explain(view, query, true, cancel).map(|(_, explained)| explained)
            };
            reads.answer_by(explain, query, store, cancel)
        })
    }

    /// See [`Collection::scroll`](super::Collection::scroll).
    pub fn scroll(&self) -> Feed<Point> {
        self.scroll_by(Scroll::new())
    }

    /// See [`Collection::scroll_matching`](super::Collection::scroll_matching).
    pub fn scroll_matching(&self, filter: Filter) -> Feed<Point> {
        self.scroll_by(Scroll::new().filter(filter))
    }

    /// See [`Collection::scroll_by`](super::Collection::scroll_by).
    pub fn scroll_by(&self, scroll: Scroll) -> Feed<Point> {
        let reads = self.clone();
        let (mut scroll, walk) = (Some(scroll), Arc::new(Mutex::new(None)));
        Feed::new(move |first| {
            let (reads, scroll, walk) = (reads.clone(), scroll.take(), Arc::clone(&walk));
            let store = Arc::clone(&reads.store);
            store.read(move |store, cancel| {
                let mut walk = lock(&walk);
                if let Some(scroll) = scroll {
                    let (limits, analyzers) = (&store.options.limits, store.state.analyzers());
                    *walk = Some(scroll.walk(reads.pin()?, limits, analyzers)?);
                }
                let next = |walk: &mut Walk| walk.next(first, cancel);
                walk.as_mut().map_or(Ok((Vec::new(), None)), next)
            })
        })
    }

    /// See [`Collection::scroll_page`](super::Collection::scroll_page).
    pub fn scroll_page(&self, scroll: Scroll) -> Op<ScrollPage> {
        self.read(move |store, view, cancel| {
            let (limits, analyzers) = (&store.options.limits, store.state.analyzers());
            scroll.page(Arc::clone(view), limits, analyzers, cancel)
        })
    }
}

impl Store {
    /// Views of all collections at one moment.
    pub(crate) fn read_views(self: &Arc<Self>) -> Op<BTreeMap<String, ReadView>> {
        self.flow(async |store, _| {
            let pinned = store.state.pin_all()?.into_iter();
            let held =
                |(name, (state, view))| (name, ReadView::held(Arc::clone(&store), state, view));
            Ok(pinned.map(held).collect())
        })
    }
}

impl ReadView {
    /// The points that a read is of.
    pub(super) fn pin(&self) -> Result<Arc<View>> {
        match &self.held {
            Some(view) => Ok(Arc::clone(view)),
            None => self.state.pin(),
        }
    }

    pub(super) fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store, &Arc<View>, &Cancel) -> Result<T> + Send + 'static,
    ) -> Op<T> {
        let reads = self.clone();
        self.store
            .read(move |store, cancel| read(store, &reads.pin()?, cancel))
    }

    pub(super) fn ids<I: Into<PointId>>(&self, ids: impl IntoIterator<Item = I>) -> Vec<PointId> {
        let most = self.store.options.limits.batch_points;
        // One too many is enough to be refused.
        ids.into_iter().take(most + 1).map(Into::into).collect()
    }

    /// The hits of a query, within a job.
    pub(super) fn answer(&self, query: Query, store: &Store, cancel: &Cancel) -> Result<Vec<Hit>> {
        self.answer_by(query::search, query, store, cancel)
    }

    /// What `search` makes of a query, within a job.
    fn answer_by<T>(
        &self,
        search: impl FnOnce(&View, &Checked, &Cancel) -> Result<T>,
        query: Query,
        store: &Store,
        cancel: &Cancel,
    ) -> Result<T> {
        let view = self.pin()?;
        let others = store.others(&self.state);
        let query = query.checked(&mut store.scope(&view, &others))?;
        let answer = search(&view, &query, cancel)?;
        query.each_vector(|vector| {
            let sketches = self.state.sketches();
            sketches.begin(&store.lanes.io, &view, vector);
        });
        Ok(answer)
    }
}

impl fmt::Debug for ReadView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadView")
            .field("collection", &self.state.name())
            .finish_non_exhaustive()
    }
}
