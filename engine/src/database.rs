//! The facade: opening, closing, and finding the way to a collection.
//!
//! Everything here is a few lines around what the layers below do; a rule that decides what
//! happens to data belongs below.

mod snapshots;

use crate::{
    cancel::Cancel,
    collection::{
        Applied, Batch, Collection, Committer, Damage, Names, OptimizeProgress, ReadView, Reader,
        Request, Stats, Store, Verification, check_place,
    },
    error::{Error, ErrorKind, Result},
    executor::{Executor, ThreadExecutor},
    op::{Inline, Op},
    options::{Limits, Options, PoolOptions},
    pool::{Entrance, Lane, Pools},
    schema::{Schema, check_name},
    vfs::{Vfs, open_directory},
};
use futures_core::Stream;
use std::{
    any::Any,
    collections::BTreeMap,
    fmt,
    future::{Future, poll_fn},
    io,
    path::PathBuf,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

/// An open database. Cheap to clone, `Send` and `Sync`; all clones are one database.
///
/// It may be dropped anywhere: drop never blocks and needs no runtime. When the last handle has
/// gone the database closes in the background; [`close`](Self::close) says how that went.
///
/// Open one through the crate of your runtime (`amphora_tokio::open`, `amphora_smol::open`,
/// `amphora_blocking::open`) or by [`Database::builder`].
#[derive(Clone)]
pub struct Database {
    store: Arc<Store>,
}

/// How a database is opened; made by [`Database::builder`].
#[derive(Debug)]
#[must_use = "a builder does nothing until `open`"]
pub struct DatabaseBuilder {
    place: Place,
    options: Options,
    executor: Arc<dyn Executor>,
    pools: Option<Pools>,
}

#[derive(Debug)]
enum Place {
    Path(PathBuf),
    Vfs(Arc<dyn Vfs>),
}

/// What [`Database::health`] found: how long each part took to answer.
#[derive(Clone, Debug)]
pub struct Health {
    /// The search lane.
    pub search: Duration,
    /// The update lane.
    pub update: Duration,
    /// The I/O lane.
    pub io: Duration,
    /// The commit thread.
    pub commit: Duration,
    /// Why writes are refused, if they are: a sync failed.
    pub poisoned: Option<Error>,
    /// What was found damaged when the database was opened, or by a merge.
    pub damaged: Vec<Damage>,
}

impl Database {
    /// Opens the directory at `path`, with defaults that need no runtime.
    pub fn builder(path: impl Into<PathBuf>) -> DatabaseBuilder {
        DatabaseBuilder::new(Place::Path(path.into()))
    }

    /// Opens the database in `vfs`, such as a [`MemoryVfs`](crate::vfs::MemoryVfs).
    pub fn builder_on(vfs: impl Vfs + 'static) -> DatabaseBuilder {
        DatabaseBuilder::new(Place::Vfs(Arc::new(vfs)))
    }

    /// Creates a collection. Any text will do as a name that is not empty, has at most
    /// [`Schema::MAX_NAME_BYTES`] bytes and no control characters; names that differ in case
    /// are two names.
    ///
    /// # Errors
    /// `InvalidInput` for the name, the schema or too many collections, `AlreadyExists`,
    /// `StorageFull`, `Poisoned`, `Closed`, and those of [`Op`].
    ///
    /// # Cancel safety
    /// Dropped before the commit thread took it, nothing is created; after that, it is.
    pub fn create_collection(&self, name: impl Into<String>, schema: Schema) -> Op<Collection> {
        let name = name.into();
        self.store.flow(async move |store, cancel| {
            check_name("collection", &name)?;
            schema.check()?;
            match store
                .commit(Request::Names(Names::Create(name, schema)), cancel)
                .await?
            {
                Applied::Created(state) => Ok(Collection::new(store, state)),
                _ => Err(unexpected()),
            }
        })
    }

    /// Carries out the edits of a batch, together or not at all, and says how many points they
    /// wrote or deleted, those that several of them did counted each time; as durably as the strictest of its handles is
    /// [asked to](Collection::with_durability).
    ///
    /// # Errors
    /// As [`Collection::upsert`]; also `InvalidInput` when the batch is empty, selects points by a
    /// filter, or has a collection of another database.
    ///
    /// # Cancel safety
    /// As [`Collection::upsert`].
    pub fn write(&self, batch: Batch) -> Op<u64> {
        Store::write(&self.store, batch)
    }

    /// The collection of this name.
    ///
    /// # Errors
    /// `NotFound`, `Closed`, and those of [`Op`].
    ///
    /// # Cancel safety
    /// A read: it has no effect, dropped or not.
    pub fn collection(&self, name: impl Into<String>) -> Op<Collection> {
        let name = name.into();
        self.store.flow(async move |store, _| {
            let state = store.state.find(&name)?;
            Ok(Collection::new(store, state))
        })
    }

    /// The names of all collections, in their order.
    ///
    /// # Errors
    /// `Closed`, and those of [`Op`].
    ///
    /// # Cancel safety
    /// A read: it has no effect, dropped or not.
    pub fn collections(&self) -> Op<Vec<String>> {
        self.store.flow(async |store, _| {
            store.state.check_open()?;
            Ok(store.state.collection_names())
        })
    }

    /// All collections as they are at this moment, by their names: see [`ReadView`]. A batch over several of them
    /// is in all of their views or in none, and so is every write before it.
    ///
    /// ```
    /// # use amphora::{Database, Point, Schema, vfs::MemoryVfs};
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// let docs = db.create_collection("docs", Schema::new()).wait()?;
    /// let views = db.read_views().wait()?;
    /// docs.upsert([Point::new(1)]).wait()?;
    /// assert_eq!(views["docs"].count().wait()?, 0);
    /// # Ok::<_, amphora::Error>(())
    /// ```
    ///
    /// # Errors
    /// `Closed`, and those of [`Op`].
    ///
    /// # Cancel safety
    /// A read: it has no effect, dropped or not.
    pub fn read_views(&self) -> Op<BTreeMap<String, ReadView>> {
        Store::read_views(&self.store)
    }

    /// Deletes a collection with all its points.
    ///
    /// # Errors
    /// `NotFound`, `StorageFull`, `Poisoned`, `Closed`, and those of [`Op`].
    ///
    /// # Cancel safety
    /// Dropped before the commit thread took it, nothing is deleted; after that, it is.
    pub fn delete_collection(&self, name: impl Into<String>) -> Op<()> {
        let name = name.into();
        self.store.flow(async move |store, cancel| {
            let state = store.state.find(&name)?;
            let request = Request::Names(Names::Remove(state.id));
            store.commit(request, cancel).await.map(drop)
        })
    }

    /// Gives a collection another name. Handles on it, and aliases of it, stay what they are.
    ///
    /// # Errors
    /// `InvalidInput` for the new name, `NotFound`, `AlreadyExists` when a collection or an alias
    /// has the name, `StorageFull`, `Poisoned`, `Closed`, and those of [`Op`].
    ///
    /// # Cancel safety
    /// Dropped before the commit thread took it, nothing is renamed; after that, it is.
    pub fn rename_collection(&self, from: impl Into<String>, to: impl Into<String>) -> Op<()> {
        let (from, to) = (from.into(), to.into());
        self.change_names(move || {
            check_name("collection", &to)?;
            Ok(Names::Rename(from, to))
        })
    }

    /// Lets `alias` mean the collection of this name or alias, from one moment to the next in
    /// place of the one that it meant before, if it did. [`collection`](Self::collection) finds it
    /// by its alias then; a handle stays with the collection that it was made for.
    ///
    /// ```
    /// # use amphora::{Database, Schema, vfs::MemoryVfs};
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// db.create_collection("docs-1", Schema::new()).wait()?;
    /// db.set_alias("docs", "docs-1").wait()?;
    /// assert_eq!(db.collection("docs").wait()?.name(), "docs-1");
    /// # Ok::<_, amphora::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`rename_collection`](Self::rename_collection).
    ///
    /// # Cancel safety
    /// As [`rename_collection`](Self::rename_collection).
    pub fn set_alias(&self, alias: impl Into<String>, collection: impl Into<String>) -> Op<()> {
        let (alias, collection) = (alias.into(), collection.into());
        self.change_names(move || {
            check_name("alias", &alias)?;
            Ok(Names::Alias(alias, Some(collection)))
        })
    }

    /// Deletes an alias; the collection stays.
    ///
    /// # Errors
    /// `NotFound` when there is no such alias, and those of
    /// [`rename_collection`](Self::rename_collection).
    ///
    /// # Cancel safety
    /// As [`rename_collection`](Self::rename_collection).
    pub fn delete_alias(&self, alias: impl Into<String>) -> Op<()> {
        let alias = alias.into();
        self.change_names(move || Ok(Names::Alias(alias, None)))
    }

    /// The aliases in their order, each with the name of its collection.
    ///
    /// # Errors
    /// `Closed`, and those of [`Op`].
    ///
    /// # Cancel safety
    /// A read: it has no effect, dropped or not.
    pub fn aliases(&self) -> Op<Vec<(String, String)>> {
        self.store.flow(async |store, _| {
            store.state.check_open()?;
            Ok(store.state.aliases())
        })
    }

    fn change_names(&self, names: impl FnOnce() -> Result<Names> + Send + 'static) -> Op<()> {
        self.store.flow(async move |store, cancel| {
            let request = Request::Names(names()?);
            store.commit(request, cancel).await.map(drop)
        })
    }

    /// Asks every part of the database for an answer, within 5 s unless [`Options`] say otherwise.
    ///
    /// # Errors
    /// `Timeout` when a part does not answer, `Closed`.
    ///
    /// # Cancel safety
    /// A read: it has no effect, dropped or not.
    pub fn health(&self) -> Op<Health> {
        let timeout = self.store.options.health_timeout;
        let op = self.store.flow(async |store, cancel| {
            store.state.check_open()?;
            let started = Instant::now();
            // With a cancellation of its own: the thread claims the ping, not the whole operation.
            let ping = Arc::new(cancel.step());
            store.commit(Request::Ping, ping).await?;
            let commit = started.elapsed();
            let answer = async |lane: &Entrance| {
                let started = Instant::now();
                let nothing = Op::job(lane.clone(), Inline::Never, |_| Ok(()));
                nothing.step_of(&cancel).await?;
                Ok::<_, Error>(started.elapsed())
            };
            Ok(Health {
                search: answer(&store.lanes.search).await?,
                update: answer(&store.lanes.update).await?,
                io: answer(&store.lanes.io).await?,
                commit,
                poisoned: store.state.poisoned().cloned(),
                damaged: store.state.damage(),
            })
        });
        op.timeout(timeout)
    }

    /// Makes durable every write that was answered before, whatever its
    /// [`Durability`](crate::Durability).
    ///
    /// # Errors
    /// `Poisoned` when the disk failed, now or before; `Closed`, and those of [`Op`].
    ///
    /// # Cancel safety
    /// Dropped, the writes become durable or not as they would have without it.
    pub fn flush(&self) -> Op<()> {
        self.request(Request::Sync)
    }

    /// Writes all points to segments, and merges each collection into one, without the points that
    /// were replaced or deleted. Reads and writes go on meanwhile. It has no deadline but the one
    /// that it is given, since much takes long to write.
    ///
    /// # Errors
    /// `StorageFull`: there must be room for a second copy of each collection, one after another.
    /// `Corrupted` when a segment cannot be read, `Poisoned`, `Closed`.
    ///
    /// # Cancel safety
    /// Dropped, a merge that is under way goes on to its end, and no other is begun. It changes
    /// nothing that a read could see.
    pub fn optimize(&self) -> Op<()> {
        self.long_request(Request::Optimize(None))
    }

    /// As [`optimize`](Self::optimize), and says how far it has come whenever that changes. `report`
    /// is called where the operation is polled or waited for, never on a thread of the engine's.
    ///
    /// # Errors
    /// As [`optimize`](Self::optimize).
    ///
    /// # Cancel safety
    /// As [`optimize`](Self::optimize).
    pub fn optimize_with(
        &self,
        mut report: impl FnMut(OptimizeProgress) + Send + 'static,
    ) -> Op<()> {
        let store = Arc::clone(&self.store);
        Op::flow(async move |cancel| {
            let (listener, progress) = async_channel::bounded(1);
            let mut progress = pin!(progress);
            let request = Request::Optimize(Some(listener));
            let mut ended = pin!(store.commit(request, cancel));
            poll_fn(|context| {
                while let Poll::Ready(Some(progress)) = progress.as_mut().poll_next(context) {
                    report(progress);
                }
                ended.as_mut().poll(context).map_ok(drop)
            })
            .await
        })
        .on(&self.store.executor)
    }

    /// Reads all files that count, checks them against their checksums and each other, and lists
    /// what is damaged. Reads and writes go on meanwhile. It has no deadline but the one that it
    /// is given, since much takes long to read. What the system has cached is taken for what the
    /// disk holds.
    ///
    /// # Errors
    /// `Io` when a file could not be read, which says nothing of what it holds; `Closed`. Damage is
    /// no error but the answer.
    ///
    /// # Cancel safety
    /// A read: it has no effect, dropped or not, and ends soon when it is.
    ///
    /// ```
    /// # use amphora::{Database, vfs::MemoryVfs};
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// let verification = db.verify().wait()?;
    /// assert!(verification.damaged.is_empty());
    /// # Ok::<_, amphora::Error>(())
    /// ```
    pub fn verify(&self) -> Op<Verification> {
        self.store.verify()
    }

    /// What the database has done and holds, at this moment. Reads counters; never blocks.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.store.stats()
    }

    /// Commits what waits, ends the log, and unlocks the directory, within 30 s unless [`Options`]
    /// say otherwise. Afterwards all operations of all handles answer `Closed`.
    ///
    /// # Errors
    /// What went wrong with the last writes of the log; `Poisoned` when writes had been refused;
    /// `Closed` when it was closed before. The directory is unlocked and can be opened again in
    /// all these cases, but not after a `Timeout`: then the closing goes on.
    ///
    /// # Cancel safety
    /// Dropped before the commit thread took it, the database stays open; after that, it closes.
    pub fn close(&self) -> Op<()> {
        let timeout = self.store.options.close_timeout;
        self.request(Request::Close).timeout(timeout)
    }

    fn request(&self, request: Request) -> Op<()> {
        let timeout = self.store.options.request_timeout;
        self.long_request(request).timeout(timeout)
    }

    /// Without a deadline.
    fn long_request(&self, request: Request) -> Op<()> {
        Op::flow(|cancel| {
            let store = Arc::clone(&self.store);
            async move { store.commit(request, cancel).await.map(drop) }
        })
        .on(&self.store.executor)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("collections", &self.store.state.collection_names())
            .finish_non_exhaustive()
    }
}

impl DatabaseBuilder {
    fn new(place: Place) -> Self {
        Self {
            place,
            options: Options::default(),
            executor: Arc::new(ThreadExecutor),
            pools: None,
        }
    }

    /// With these options.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// On this runtime. Without one, deadlines are kept by a thread of the engine's own.
    pub fn executor(mut self, executor: impl Executor) -> Self {
        self.executor = Arc::new(executor);
        self
    }

    /// On these pools, which other databases may share. Goes before [`Options::pools`].
    pub fn pools(mut self, pools: &Pools) -> Self {
        self.pools = Some(pools.clone());
        self
    }

    /// Opens the database: locks the directory, and reads the log back. It has no deadline but
    /// the one that it is given, since a long log takes long to read.
    ///
    /// # Errors
    /// `InvalidInput` when an option is out of bounds or the path is no directory of ours,
    /// `NotFound` when there is none and none shall be created, `Locked`, `Corrupted` for the
    /// manifest or the log, `Unsupported` for a newer format, `Io`. A damaged segment is no error
    /// here: see [`Options::set_aside_damaged`].
    ///
    /// # Cancel safety
    /// Dropped, the directory is left as a crash would leave it, and unlocked.
    pub fn open(self) -> Op<Database> {
        let executor = Arc::clone(&self.executor);
        let op = Op::flow(async move |_| {
            self.check()?;
            let mut pools = match (&self.pools, &self.options.pools) {
                (Some(pools), _) => pools.clone(),
                (None, Some(options)) => Pools::new(options)?,
                (None, None) => Pools::shared()?,
            };
            let (builder, started) = (Arc::new(self), Instant::now());
            loop {
                let (io, builder) = (pools.lane(Lane::Io), Arc::clone(&builder));
                let timeout = builder.options.lock_timeout;
                // The job owns the pools: if it is the last to do so, they end where it runs.
                let open = move |cancel: &Cancel| builder.open_on(pools, cancel);
                match Op::job(io, Inline::Never, open).await? {
                    Attempt::Opened(db) => return Ok(db),
                    Attempt::Locked(error, _) if started.elapsed() >= timeout => return Err(error),
                    // Whoever has it may need the lane to close: nobody waits in there.
                    Attempt::Locked(_, back) => pools = back,
                }
                ThreadExecutor.sleep(PAUSE).await;
            }
        });
        op.on(&executor)
    }

    fn check(&self) -> Result<()> {
        let Options {
            write_queue,
            memtable_bytes,
            index_from,
            index_memory_bytes,
            limits,
            ..
        } = &self.options;
        for (name, size, most) in [
            ("write_queue", *write_queue, PoolOptions::MAX_QUEUE),
            ("batch_bytes", limits.batch_bytes, Limits::MAX_BATCH_BYTES),
            ("batch_points", limits.batch_points, u32::MAX as usize),
            ("memtable_bytes", *memtable_bytes, usize::MAX),
            ("index_from", *index_from, usize::MAX),
        ] {
            if !(1..=most).contains(&size) {
                return Err(Error::invalid(format!(
                    "option {name} is {size}; expected 1 to {most}"
                )));
            }
        }
        if index_memory_bytes < memtable_bytes {
            return Err(Error::invalid(format!(
                "option index_memory_bytes is {index_memory_bytes}; expected at least \
                 memtable_bytes, {memtable_bytes}"
            )));
        }
        Ok(())
    }

    /// The blocking part, on the I/O lane.
    fn open_on(&self, pools: Pools, cancel: &Cancel) -> Result<Attempt> {
        let options = &self.options;
        let create = options.create && !options.read_only;
        let (vfs, name): (Arc<dyn Vfs>, _) = match &self.place {
            Place::Vfs(vfs) => (Arc::clone(vfs), "the directory".to_owned()),
            Place::Path(path) => (
                Arc::new(open_directory(path, create)?),
                path.display().to_string(),
            ),
        };
        let lanes = pools.entrances();
        let (writes, queue) = async_channel::bounded(options.write_queue);
        let failed = |error: Error| error.context(format_args!("opening {name}"));
        // Before anything is written, and again under the lock.
        check_place(&*vfs, create).map_err(failed)?;
        let state = if options.read_only {
            let reader = Reader::open(&vfs, options, pools, cancel).map_err(failed)?;
            let state = reader.state();
            reader.start(queue).map(|()| state)
        } else {
            let lock = match lock(&*vfs) {
                Ok(lock) => lock,
                Err(error) if error.kind() == ErrorKind::Locked => {
                    return Ok(Attempt::Locked(failed(error), pools));
                }
                Err(error) => return Err(failed(error)),
            };
            let committer = Committer::open(Arc::clone(&vfs), options, lock, pools, cancel);
            let committer = committer.map_err(failed)?;
            let state = committer.state();
            committer.start(queue).map(|()| state)
        };
        Ok(Attempt::Opened(Database {
            store: Arc::new(Store {
                state: state.map_err(failed)?,
                vfs,
                writes,
                lanes,
                executor: Arc::clone(&self.executor),
                options: options.clone(),
            }),
        }))
    }
}

/// How long `open` waits before it tries to lock the directory again.
const PAUSE: Duration = Duration::from_millis(5);

/// What an attempt to open a database came to.
enum Attempt {
    Opened(Database),
    /// Another handle has it. A handle that was dropped closes in the background, and a process
    /// that was killed unlocks as it ends.
    Locked(Error, Pools),
}

fn lock(vfs: &dyn Vfs) -> Result<Box<dyn Any + Send>> {
    vfs.lock().map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => Error::new(
            ErrorKind::Locked,
            format!("the database is open already, by {error}"),
        ),
        _ => Error::io("locking the directory", error),
    })
}

fn unexpected() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the commit thread gave an answer to another question",
    )
}
