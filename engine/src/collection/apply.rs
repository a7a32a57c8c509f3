//! The writes of a handle other than plain upserts and deletes, and changes of its schema.

use super::{
    Collection,
    check::{self, check_how},
    edit::{Action, Batch, Checked, Draft, Edit, How, Selection},
    state::CollectionState,
    store::Store,
    write::{Applied, Names, Request},
};
use crate::{
    cancel::{Cancel, cancelled, timed_out},
    error::{Error, ErrorKind, Outcome, Result},
    id::PointId,
    op::Op,
    options::{Durability, Limits},
    payload::Payload,
    point::Point,
    query::{self, Conditions, Filter},
    schema::{Field, Sparse, Text, Vector},
    shape::Alteration,
    sparse_vector::{Halves, SparseVector},
    vector::most_of,
    view::View,
};
use std::sync::{Arc, OnceLock};

/// The most points that one step of an edit by a filter is about.
const STEP: usize = 1_000;
/// What a point is taken to have beside its vectors when the size of a step is chosen.
const POINT_BYTES: usize = 4 << 10;

impl Collection {
    /// Carries out an edit, and says how many points it wrote or deleted.
    ///
    /// Points that are named by their ids change together or not at all. A selection by a filter
    /// is carried out in steps of up to 1,000 of the points that match when it begins; each step
    /// is whole, and changes those that still match. Points that begin to match meanwhile are not
    /// looked for. All steps together have one deadline, 30 s unless [`Op::timeout`] or
    /// [`Options::request_timeout`](crate::Options::request_timeout) says otherwise; what was not reached is reached by
    /// asking again.
    ///
    /// # Errors
    /// As [`upsert`](Self::upsert), but that after `Cancelled`, with a filter, some steps may have been made; also
    /// `InvalidInput` when the filter cannot be evaluated, or
    /// what becomes of a point exceeds a [limit](crate::Limits).
    ///
    /// # Cancel safety
    /// As [`upsert`](Self::upsert); with a filter some steps may have been made.
    pub fn apply(&self, edit: Edit) -> Op<u64> {
        let (state, durability) = (Arc::clone(&self.state), self.durability);
        self.store.flow(async move |store, cancel| match edit.0 {
            Draft::Change(Selection::Matching(filter), how) => {
                let steps = Steps {
                    store,
                    state,
                    durability,
                    cancel,
                };
                steps.run(filter, how).await
            }
            draft => store.edit(vec![(state, draft)], durability, cancel).await,
        })
    }

    /// Writes the points whose ids do not exist, leaves the others as they are, and says how many
    /// it wrote. See [`apply`](Self::apply).
    pub fn insert(&self, points: impl IntoIterator<Item = Point>) -> Op<u64> {
        self.apply(Edit::insert(points))
    }

    /// Writes the points whose ids exist, leaves out the others, and says how many it wrote. See
    /// [`apply`](Self::apply).
    pub fn update(&self, points: impl IntoIterator<Item = Point>) -> Op<u64> {
        self.apply(Edit::update(points))
    }

    /// Deletes all points that match, and says how many there were. See [`apply`](Self::apply).
    pub fn delete_matching(&self, filter: Filter) -> Op<u64> {
        self.apply(Edit::delete(filter))
    }

    /// Sets top-level keys of payloads; other keys stay. See [`apply`](Self::apply).
    pub fn set_payload(
        &self,
        points: impl Into<Selection>,
        payload: impl Into<Payload>,
    ) -> Op<u64> {
        self.apply(Edit::set_payload(points, payload))
    }

    /// Sets the given vectors of points that exist; their other vectors and payloads stay. See
    /// [`apply`](Self::apply).
    pub fn set_vectors(&self, points: impl IntoIterator<Item = Point>) -> Op<u64> {
        self.apply(Edit::set_vectors(points))
    }
}

impl Collection {
    /// Adds a vector to the schema. Points that are there have none until they are given one. See
    /// also [`set_vectors`](Self::set_vectors).
    ///
    /// # Errors
    /// `AlreadyExists`, `InvalidInput` for the name or the vector, and those of
    /// [`upsert`](Self::upsert).
    ///
    /// # Cancel safety
    /// As [`upsert`](Self::upsert).
    pub fn add_vector(&self, name: impl Into<String>, vector: Vector) -> Op<()> {
        self.alter(Alteration::AddVector(name.into(), vector))
    }

    /// Drops a vector from the schema, and with it from all points. Its space is free when their
    /// segments are merged. One that is added under its name later begins empty.
    ///
    /// # Errors
    /// `InvalidInput` when there is none of this name, and those of [`upsert`](Self::upsert).
    ///
    /// # Cancel safety
    /// As [`upsert`](Self::upsert).
    pub fn drop_vector(&self, name: impl Into<String>) -> Op<()> {
        self.alter(Alteration::DropVector(name.into()))
    }

    /// Declares a payload field. What is written from now on is checked against it; points that
    /// are there keep what they have. Segments that are there get a column of it in the background, as
    /// [`Stats::wanting_columns`](crate::Stats::wanting_columns) tells; until then filters, facets and orders read payloads.
    ///
    /// # Errors
    /// `AlreadyExists`, `InvalidInput` for the name, and those of [`upsert`](Self::upsert).
    ///
    /// # Cancel safety
    /// As [`upsert`](Self::upsert).
    pub fn add_field(&self, name: impl Into<String>, field: Field) -> Op<()> {
        self.alter(Alteration::AddField(name.into(), field))
    }

    /// Declares a payload field no more. Payloads stay as they are; the columns that came later go.
    ///
    /// # Errors
    /// `InvalidInput` when none of this name is declared, and those of [`upsert`](Self::upsert).
    ///
    /// # Cancel safety
    /// As [`upsert`](Self::upsert).
    pub fn drop_field(&self, name: impl Into<String>) -> Op<()> {
        self.alter(Alteration::DropField(name.into()))
    }

    /// Has a payload field searched as text from now on, that of the points that are there included: the
    /// first search takes their texts apart, and what it makes of them stays in memory until their segments are
    /// merged. Until then the first search after an opening does so again.
    ///
    /// # Errors
    /// `AlreadyExists`, `InvalidInput` for the name or the text, and those of
    /// [`upsert`](Self::upsert).
    ///
    /// # Cancel safety
    /// As [`upsert`](Self::upsert).
    pub fn add_text(&self, name: impl Into<String>, text: Text) -> Op<()> {
        self.alter(Alteration::AddText(name.into(), text))
    }

    /// Has a payload field searched as text no more. Payloads stay as they are.
    ///
    /// # Errors
    /// `InvalidInput` when there is no text of this name, and those of [`upsert`](Self::upsert).
    ///
    /// # Cancel safety
    /// As [`upsert`](Self::upsert).
    pub fn drop_text(&self, name: impl Into<String>) -> Op<()> {
        self.alter(Alteration::DropText(name.into()))
    }

    /// Adds a sparse vector to the schema. Points that are there have none until they are given one. See
    /// also [`set_vectors`](Self::set_vectors).
    ///
    /// ```
    /// # use amphora::{Database, Point, Query, Schema, Sparse, SparseVector, vfs::MemoryVfs};
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// # let docs = db.create_collection("docs", Schema::new()).wait()?;
    /// # docs.upsert([Point::new(1)]).wait()?;
    /// docs.add_sparse("splade", Sparse::new()).wait()?;
    /// let vector = SparseVector::new([(7, 0.5)])?;
    /// docs.set_vectors([Point::new(1).sparse("splade", vector.clone())]).wait()?;
    /// assert_eq!(docs.search(Query::sparse("splade", vector)).wait()?.len(), 1);
    /// # Ok::<_, amphora::Error>(())
    /// ```
    ///
    /// # Errors
    /// `AlreadyExists`, `InvalidInput` for the name, also when a vector has it, and those of
    /// [`upsert`](Self::upsert).
    ///
    /// # Cancel safety
    /// As [`upsert`](Self::upsert).
    pub fn add_sparse(&self, name: impl Into<String>, sparse: Sparse) -> Op<()> {
        self.alter(Alteration::AddSparse(name.into(), sparse))
    }

    /// Drops a sparse vector from the schema, and with it from all points. Its space is free when their
    /// segments are merged. One that is added under its name later begins empty.
    ///
    /// # Errors
    /// `InvalidInput` when there is none of this name, and those of [`upsert`](Self::upsert).
    ///
    /// # Cancel safety
    /// As [`upsert`](Self::upsert).
    pub fn drop_sparse(&self, name: impl Into<String>) -> Op<()> {
        self.alter(Alteration::DropSparse(name.into()))
    }

    fn alter(&self, alteration: Alteration) -> Op<()> {
        let (id, durability) = (self.state.id, self.durability);
        self.store.flow(async move |store, cancel| {
            let request = Request::Names(Names::Alter(id, alteration));
            store.commit_as(durability, request, cancel).await.map(drop)
        })
    }
}

impl Store {
    /// See [`Database::write`](crate::Database::write).
    pub(crate) fn write(self: &Arc<Self>, batch: Batch) -> Op<u64> {
        self.flow(async move |store, cancel| {
            if batch.0.is_empty() {
                return Err(Error::invalid("a batch has no edits"));
            }
            let durability = batch.0.iter().map(|(collection, _)| collection.durability);
            let durability = durability.reduce(Durability::or_stricter);
            let mut edits = Vec::with_capacity(batch.0.len());
            for (collection, edit) in batch.0 {
                if !Arc::ptr_eq(&collection.store, &store) {
                    let what = "a batch has a collection of another database";
                    return Err(Error::invalid(what));
                }
                edits.push((collection.state, edit.0));
            }
            let durability = durability.unwrap_or(store.options.durability);
            store.edit(edits, durability, cancel).await
        })
    }

    /// Checks edits of points that are named by their ids, and has them carried out.
    async fn edit(
        self: &Arc<Self>,
        edits: Vec<(Arc<CollectionState>, Draft)>,
        durability: Durability,
        cancel: Arc<Cancel>,
    ) -> Result<u64> {
        let small = edits.iter().all(|(_, draft)| is_small(draft));
        let analyzers = Arc::clone(self.state.analyzers());
        let check = move |limits: &Limits| {
            let edits = edits.into_iter();
            edits
                .map(|(state, draft)| check::edit(&state, draft, limits, &analyzers))
                .collect::<Result<Vec<_>>>()
        };
        let edits = self.prepare(small, &cancel, check).await?;
        let request = Request::Edits(edits);
        count(self.commit_as(durability, request, cancel).await?)
    }
}

/// Whether checking takes well under a millisecond.
fn is_small(draft: &Draft) -> bool {
    match draft {
        Draft::Write(points, _) | Draft::SetVectors(points) => check::is_small(points),
        Draft::Change(Selection::Ids(ids), _) => ids.len() <= check::SMALL_IDS,
        Draft::Change(Selection::Matching(_), _) => true,
    }
}

fn count(applied: Applied) -> Result<u64> {
    match applied {
        Applied::Changed(count) => Ok(count),
        Applied::Done | Applied::Created(_) | Applied::Snapshot(_) => Ok(0),
    }
}

/// An edit of the points that match a filter.
struct Steps {
    store: Arc<Store>,
    state: Arc<CollectionState>,
    durability: Durability,
    cancel: Arc<Cancel>,
}

impl Steps {
    async fn run(self, filter: Filter, how: How) -> Result<u64> {
        let shape = self.state.shape();
        let filter = filter.checked(self.store.terms(&shape))?;
        check_how(&how, &shape.schema)?;
        let mut changed = 0;
        let mut next = Some(0);
        let mut claimed = false;
        let view = Arc::new(OnceLock::new());
        while let Some(first) = next {
            self.check(claimed)?;
            let (ids, after) = self.find(&view, first, filter.clone()).await?;
            next = after;
            if ids.is_empty() {
                continue;
            }
            // From here on it is not without effect, however it ends.
            claimed = claimed || self.cancel.claim();
            if !claimed {
                return Err(cancelled());
            }
            let edit = Checked {
                collection: self.state.id,
                shape: self.state.shape(),
                action: Action::Change(ids, Some(filter.clone()), how.clone()),
            };
            let step = Arc::new(self.cancel.step());
            let request = Request::Edits(vec![edit]);
            changed += count(self.store.commit_as(self.durability, request, step).await?)?;
        }
        Ok(changed)
    }

    /// Whether to take another step.
    fn check(&self, has_begun: bool) -> Result<()> {
        self.cancel.check().map_err(|error| match error.kind() {
            ErrorKind::Timeout(_) if has_begun => timed_out(Outcome::Unknown, None),
            _ => error,
        })
    }

    /// The next points that match, and where to go on.
    async fn find(
        &self,
        view: &Arc<OnceLock<Arc<View>>>,
        first: u64,
        filter: Conditions,
    ) -> Result<(Vec<PointId>, Option<u64>)> {
        let (view, state, limit) = (
            Arc::clone(view),
            Arc::clone(&self.state),
            self.step_points(),
        );
        let find = move |_: &Store, cancel: &Cancel| {
            let view = match view.get() {
                Some(view) => view,
                None => {
                    let pinned = state.pin()?;
                    view.get_or_init(|| pinned)
                }
            };
            query::ids(view, &filter, first, limit, cancel)
        };
        self.store.step(&self.cancel, find).await
    }

    /// So many points that their records fit into a batch.
    fn step_points(&self) -> usize {
        let shape = self.state.shape();
        let floats = shape
            .vectors()
            .map(|(_, _, vector)| vector.dimensions as usize * most_of(vector.multi));
        let floats: usize = floats.sum();
        let sparse = shape.sparse_numbers().len() * SparseVector::MAX_ENTRIES * Halves::ENTRY;
        let point = POINT_BYTES + floats * 4 + sparse;
        let most = self.store.options.limits.batch_bytes / 2 / point;
        most.clamp(1, STEP)
    }
}
