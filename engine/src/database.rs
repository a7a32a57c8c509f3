//! The facade: opening, closing, and finding the way to a collection.
//!
//! Everything here is a few lines around what the layers below do; a rule that decides what
//! happens to data belongs below.

use crate::{
    cancel::Cancel,
    collection::{Applied, Collection, Committer, Request, Stats, Store},
    error::{Error, ErrorKind, Result},
    executor::{Executor, ThreadExecutor},
    op::{Inline, Op},
    options::{Limits, Options, PoolOptions},
    pool::{Entrance, Lane, Pools},
    schema::{Schema, check_name},
    vfs::{DiskVfs, Vfs},
    wal,
};
use std::{
    any::Any,
    fmt, io,
    path::PathBuf,
    sync::Arc,
    thread,
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
            match store.commit(Request::Create(name, schema), cancel).await? {
                Applied::Created(state) => Ok(Collection::new(store, state)),
                Applied::Done | Applied::Deleted(_) => Err(unexpected()),
            }
        })
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
            Ok(store.state.names())
        })
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
            let request = Request::remove(&state)?;
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
            })
        });
        op.timeout(timeout)
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
        let op = self
            .store
            .flow(async |store, cancel| store.commit(Request::Close, cancel).await.map(drop));
        op.timeout(timeout)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("collections", &self.store.state.names())
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
    /// `NotFound` when there is none and none shall be created, `Locked`, `Corrupted`,
    /// `Unsupported` for a newer format, `Io`.
    ///
    /// # Cancel safety
    /// Dropped, the directory is left as a crash would leave it, and unlocked.
    pub fn open(self) -> Op<Database> {
        let executor = Arc::clone(&self.executor);
        let op = Op::flow(async move |_| {
            self.check()?;
            let pools = match (&self.pools, &self.options.pools) {
                (Some(pools), _) => pools.clone(),
                (None, Some(options)) => Pools::new(options)?,
                (None, None) => Pools::shared()?,
            };
            let io = pools.lane(Lane::Io);
            // The job owns the pools: if it is the last to do so, they end where it runs.
            Op::job(io, Inline::Never, move |cancel| self.open_on(pools, cancel)).await
        });
        op.on(&executor)
    }

    fn check(&self) -> Result<()> {
        let Options {
            write_queue,
            limits,
            ..
        } = &self.options;
        for (name, size, most) in [
            ("write_queue", *write_queue, PoolOptions::MAX_QUEUE),
            ("batch_bytes", limits.batch_bytes, Limits::MAX_BATCH_BYTES),
            ("batch_points", limits.batch_points, u32::MAX as usize),
        ] {
            if !(1..=most).contains(&size) {
                return Err(Error::invalid(format!(
                    "option {name} is {size}; expected 1 to {most}"
                )));
            }
        }
        Ok(())
    }

    /// The blocking part, on the I/O lane.
    fn open_on(self, pools: Pools, cancel: &Cancel) -> Result<Database> {
        let Self {
            place,
            options,
            executor,
            ..
        } = self;
        let (vfs, name) = match place {
            Place::Vfs(vfs) => (vfs, "the directory".to_owned()),
            Place::Path(path) => (
                directory(&path, options.create)?,
                path.display().to_string(),
            ),
        };
        let lanes = pools.entrances();
        // Before anything is written, and again under the lock.
        let opened = wal::check_place(&*vfs, options.create)
            .and_then(|()| lock(&*vfs, options.lock_timeout, cancel))
            .and_then(|lock| Committer::open(&*vfs, &options, lock, pools, cancel));
        let committer = opened.map_err(|error| error.context(format_args!("opening {name}")))?;
        let (writes, queue) = async_channel::bounded(options.write_queue);
        let state = committer.state();
        committer.start(queue)?;
        Ok(Database {
            store: Arc::new(Store {
                state,
                writes,
                lanes,
                executor,
                options,
            }),
        })
    }
}

fn directory(path: &std::path::Path, create: bool) -> Result<Arc<dyn Vfs>> {
    match DiskVfs::open(path, create) {
        Ok(vfs) => Ok(Arc::new(vfs)),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Err(Error::invalid(format!(
            "{} is a file; expected a directory",
            path.display()
        ))),
        Err(error) => Err(Error::io(format_args!("opening {}", path.display()), error)),
    }
}

/// Locks the directory, trying again for a while: a handle that was dropped closes in the
/// background, and a process that was killed unlocks as it ends.
fn lock(vfs: &dyn Vfs, timeout: Duration, cancel: &Cancel) -> Result<Box<dyn Any + Send>> {
    const PAUSE: Duration = Duration::from_millis(5);
    let started = Instant::now();
    loop {
        match vfs.lock() {
            Ok(lock) => return Ok(lock),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                return Err(Error::io("locking the directory", error));
            }
            Err(holder) if started.elapsed() >= timeout => {
                return Err(Error::new(
                    ErrorKind::Locked,
                    format!("the database is open already, by {holder}"),
                ));
            }
            Err(_) => {
                cancel.check()?;
                thread::sleep(PAUSE);
            }
        }
    }
}

fn unexpected() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the commit thread gave an answer to another question",
    )
}
