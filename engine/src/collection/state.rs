//! What the commit thread changes and everyone reads: the collections with their published views,
//! and whether the database is open and takes writes. Readers hold a lock here for as long as it
//! takes to clone a pointer, never while they read points.

use super::{clock::Clock, sketches::Sketches};
use crate::{
    error::{Error, ErrorKind, Result},
    id::CollectionId,
    manifest::{LogEnd, SnapshotRecord},
    schema::quoted,
    shape::Shape,
    texts::Analyzers,
    view::View,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// The state of an open database.
#[derive(Debug)]
pub(crate) struct State {
    clock: Arc<Clock>,
    /// What takes texts apart.
    analyzers: Arc<Analyzers>,
    names: RwLock<Names>,
    /// Held while the views of a group are published, so that the others see all of them or none.
    publishing: RwLock<()>,
    closed: AtomicBool,
    poison: OnceLock<Error>,
    snapshots: RwLock<Arc<[SnapshotRecord]>>,
    /// The newest log file, and how much of it was written.
    log_end: RwLock<LogEnd>,
    pub(super) counts: WriteCounts,
}

/// A file of a collection that does not hold what was written to it.
#[derive(Clone, Debug)]
pub struct Damage {
    /// The collection whose points are in it.
    pub collection: String,
    /// What is wrong; its [location](Error::location) names the file and the offset in it.
    pub error: Error,
}

/// What names mean. A name is a collection's or an alias, never both.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) collections: BTreeMap<String, Arc<CollectionState>>,
    pub(super) aliases: BTreeMap<String, Arc<CollectionState>>,
}

impl Names {
    pub(super) fn alias_ids(&self) -> BTreeMap<String, CollectionId> {
        let aliases = self.aliases.iter();
        aliases.map(|(alias, c)| (alias.clone(), c.id)).collect()
    }
}

/// Counted since the database was opened.
#[derive(Debug, Default)]
pub(super) struct WriteCounts {
    pub(super) commits: AtomicU64,
    pub(super) writes: AtomicU64,
    pub(super) refused: AtomicU64,
    /// Bytes of points that are in no segment.
    pub(super) memory: AtomicU64,
    /// Whether a flush or merge is under way.
    pub(super) upkeep: AtomicBool,
}

/// A collection, and its points at one moment.
pub(super) type Pinned = (Arc<CollectionState>, Arc<View>);

/// One collection as its readers know it.
#[derive(Debug)]
pub(crate) struct CollectionState {
    pub(crate) id: CollectionId,
    name: RwLock<String>,
    view: RwLock<Arc<View>>,
    /// What was found of its segments that they cannot be read.
    damage: RwLock<Vec<Error>>,
    deleted: AtomicBool,
    clock: Arc<Clock>,
    sketches: Sketches,
}

impl State {
    pub(super) fn new(clock: Clock, analyzers: Arc<Analyzers>) -> Self {
        Self::by(Arc::new(clock), analyzers)
    }

    fn by(clock: Arc<Clock>, analyzers: Arc<Analyzers>) -> Self {
        Self {
            clock,
            analyzers,
            names: RwLock::default(),
            publishing: RwLock::default(),
            closed: AtomicBool::new(false),
            poison: OnceLock::new(),
            counts: WriteCounts::default(),
            snapshots: RwLock::new(Arc::new([])),
            log_end: RwLock::default(),
        }
    }

    /// Another without collections, by the same clock.
    pub(super) fn twin(&self) -> Self {
        Self::by(Arc::clone(&self.clock), Arc::clone(&self.analyzers))
    }

    pub(super) fn analyzers(&self) -> &Arc<Analyzers> {
        &self.analyzers
    }

    pub(super) fn clock(&self) -> Arc<Clock> {
        Arc::clone(&self.clock)
    }

    /// The collection of this name or alias.
    pub(crate) fn find(&self, name: &str) -> Result<Arc<CollectionState>> {
        self.check_open()?;
        let names = self.names();
        let found = names.collections.get(name).or(names.aliases.get(name));
        found.cloned().ok_or_else(|| no_collection(name))
    }

    /// Names and aliases, with what they mean.
    pub(super) fn names(&self) -> RwLockReadGuard<'_, Names> {
        self.names.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn names_mut(&self) -> RwLockWriteGuard<'_, Names> {
        self.names.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until the guard is dropped, nobody pins [all collections](Self::pin_all).
    pub(super) fn publishing(&self) -> RwLockWriteGuard<'_, ()> {
        let publishing = self.publishing.write();
        publishing.unwrap_or_else(PoisonError::into_inner)
    }

    /// All collections at one moment, by their names.
    pub(super) fn pin_all(&self) -> Result<BTreeMap<String, Pinned>> {
        self.check_open()?;
        // In the order in which the commit thread takes both: names change before a group is published.
        let names = self.names();
        let publishing = self.publishing.read();
        let _at_once = publishing.unwrap_or_else(PoisonError::into_inner);
        let collections = names.collections.iter();
        // One that was deleted a moment ago has gone.
        let pinned = collections.filter_map(|(name, state)| {
            let view = state.pin().ok()?;
            Some((name.clone(), (Arc::clone(state), view)))
        });
        Ok(pinned.collect())
    }

    /// What was found damaged, by collection.
    pub(crate) fn damage(&self) -> Vec<Damage> {
        let names = self.names();
        let collections = names.collections.values();
        let of = |collection: &Arc<CollectionState>| {
            let damage = collection.damage.read();
            let damage = damage.unwrap_or_else(PoisonError::into_inner);
            let name = collection.name();
            let damage = damage.iter().cloned().map(move |error| Damage {
                collection: name.clone(),
                error,
            });
            damage.collect::<Vec<_>>()
        };
        collections.flat_map(of).collect()
    }

    pub(crate) fn collection_names(&self) -> Vec<String> {
        self.names().collections.keys().cloned().collect()
    }

    /// The aliases, each with the name of its collection.
    pub(crate) fn aliases(&self) -> Vec<(String, String)> {
        let names = self.names();
        let aliases = names.aliases.iter();
        aliases
            .map(|(alias, c)| (alias.clone(), c.name()))
            .collect()
    }

    pub(super) fn insert(&self, collection: Arc<CollectionState>) {
        let name = collection.name();
        self.names_mut().collections.insert(name, collection);
    }

    /// Removes a collection, and the aliases that mean it.
    pub(super) fn remove(&self, collection: &CollectionState) {
        collection.deleted.store(true, Ordering::Release);
        let mut names = self.names_mut();
        names.collections.remove(&collection.name());
        names.aliases.retain(|_, meant| meant.id != collection.id);
    }

    pub(super) fn rename(&self, collection: &CollectionState, name: String) {
        let mut names = self.names_mut();
        let before = names.collections.remove(&collection.name());
        names.collections.extend(before.map(|c| (name.clone(), c)));
        *collection
            .name
            .write()
            .unwrap_or_else(PoisonError::into_inner) = name;
    }

    /// Lets `alias` mean a collection, in place of what it meant before; or nothing any more.
    pub(super) fn set_alias(&self, alias: String, collection: Option<Arc<CollectionState>>) {
        let mut names = self.names_mut();
        match collection {
            Some(collection) => drop(names.aliases.insert(alias, collection)),
            None => drop(names.aliases.remove(&alias)),
        }
    }

    pub(super) fn log_end(&self) -> LogEnd {
        *self.log_end.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_log_end(&self, end: LogEnd) {
        *self.log_end.write().unwrap_or_else(PoisonError::into_inner) = end;
    }

    /// All collections are deleted, and those of `other` are there.
    pub(super) fn replace_names(&self, other: Self) {
        let other = other.names.into_inner();
        let other = other.unwrap_or_else(PoisonError::into_inner);
        let mut names = self.names_mut();
        for collection in names.collections.values() {
            collection.deleted.store(true, Ordering::Release);
        }
        *names = other;
    }

    /// What can be gone back to, the oldest first.
    pub(crate) fn snapshots(&self) -> Arc<[SnapshotRecord]> {
        let snapshots = self.snapshots.read();
        Arc::clone(&snapshots.unwrap_or_else(PoisonError::into_inner))
    }

    /// The snapshot of this name.
    pub(crate) fn snapshot(&self, name: &str) -> Result<SnapshotRecord> {
        self.check_open()?;
        let snapshots = self.snapshots();
        let found = snapshots.iter().find(|snapshot| snapshot.name == name);
        found.cloned().ok_or_else(|| no_snapshot(name))
    }

    pub(super) fn set_snapshots(&self, snapshots: &[SnapshotRecord]) {
        let published = self.snapshots.write();
        *published.unwrap_or_else(PoisonError::into_inner) = snapshots.into();
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// The first reason stays: what follows from it is no news.
    pub(super) fn poison(&self, reason: Error) {
        tracing::error!(error = %reason, "the database takes no more writes");
        let _ = self.poison.set(reason);
    }

    /// Why writes are refused, if they are.
    pub(crate) fn poisoned(&self) -> Option<&Error> {
        self.poison.get()
    }

    pub(super) fn check_writable(&self) -> Result<()> {
        match self.poisoned() {
            None => Ok(()),
            Some(reason) => Err(Error::new(
                ErrorKind::Poisoned,
                format!("writes are refused until the database is opened again: {reason}"),
            )),
        }
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        Ok(())
    }

    /// Why the commit thread gave no answer.
    pub(super) fn gone(&self) -> Error {
        self.check_writable().err().unwrap_or_else(closed)
    }
}

impl CollectionState {
    pub(super) fn new(id: CollectionId, name: String, view: View, clock: Arc<Clock>) -> Self {
        Self {
            id,
            name: RwLock::new(name),
            view: RwLock::new(Arc::new(view)),
            damage: RwLock::default(),
            deleted: AtomicBool::new(false),
            clock,
            sketches: Sketches::default(),
        }
    }

    /// What is sketched for searches.
    pub(super) fn sketches(&self) -> &Sketches {
        &self.sketches
    }

    /// The shape that it has now.
    pub(crate) fn shape(&self) -> Arc<Shape> {
        Arc::clone(self.view().shape())
    }

    /// The name that it has now.
    pub(crate) fn name(&self) -> String {
        let name = self.name.read().unwrap_or_else(PoisonError::into_inner);
        name.clone()
    }

    /// The points as of the last commit, without those that have expired, for as long as the
    /// caller keeps them.
    pub(crate) fn pin(&self) -> Result<Arc<View>> {
        if self.deleted.load(Ordering::Acquire) {
            return Err(deleted(&self.name()));
        }
        let view = self.view();
        if !view.may_expire() {
            return Ok(view);
        }
        Ok(view.at(self.clock.now()).map_or(view, Arc::new))
    }

    pub(super) fn view(&self) -> Arc<View> {
        let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&view)
    }

    /// Lists a damage that was found.
    pub(super) fn note_damage(&self, error: Error) {
        tracing::error!(%error, "a segment cannot be read");
        let mut damage = self.damage.write().unwrap_or_else(PoisonError::into_inner);
        if !damage.iter().any(|e| e.location() == error.location()) {
            damage.push(error);
        }
    }

    pub(super) fn publish(&self, view: View) {
        let view = Arc::new(view);
        let mut published = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *published, view);
        drop(published);
        drop(before);
    }
}

pub(super) fn no_collection(name: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("there is no collection {}", quoted(name)),
    )
}

pub(super) fn no_snapshot(name: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("there is no snapshot {}", quoted(name)),
    )
}

fn deleted(name: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("the collection {} was deleted", quoted(name)),
    )
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the database was closed")
}
