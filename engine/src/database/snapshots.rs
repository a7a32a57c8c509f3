//! The facade of snapshots: making one, going back to it, and taking it elsewhere.

use super::{Database, unexpected};
use crate::{
    cancel::Cancel,
    collection::{Applied, Request, Snapshots},
    error::Result,
    manifest::SnapshotRecord,
    op::{Inline, Op},
    pool::{Lane, Pools},
    schema::check_name,
    snapshot::{self, Snapshot},
    vfs::Vfs,
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

impl Database {
    /// Makes a snapshot of all collections at one moment between two writes, by a name that no
    /// other snapshot has. Nothing is copied, whatever there is: the files of the moment are kept,
    /// and the space of what is replaced or deleted later is free only when the snapshot is deleted.
    ///
    /// ```
    /// # use amphora::{Database, Point, Schema, vfs::MemoryVfs};
    /// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
    /// let docs = db.create_collection("docs", Schema::new()).wait()?;
    /// docs.upsert([Point::new(1)]).wait()?;
    /// assert_eq!(db.create_snapshot("monday").wait()?.points, 1);
    /// docs.delete([1]).wait()?;
    /// db.restore_snapshot("monday").wait()?;
    /// assert_eq!(db.collection("docs").wait()?.count().wait()?, 1);
    /// # Ok::<_, amphora::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` for the name or too many snapshots, `AlreadyExists`, `StorageFull`,
    /// `Poisoned`, `Closed`, and those of [`Op`].
    ///
    /// # Cancel safety
    /// Dropped before the commit thread took it, no snapshot is made; after that, one is.
    pub fn create_snapshot(&self, name: impl Into<String>) -> Op<Snapshot> {
        let name = name.into();
        self.store.flow(async move |store, cancel| {
            check_name("snapshot", &name)?;
            let request = Request::Snapshot(Snapshots::Create, name.clone());
            match store.commit(request, cancel).await? {
                Applied::Snapshot(about) => Ok(Snapshot::new(name, about)),
                _ => Err(unexpected()),
            }
        })
    }

    /// The snapshots, the oldest first.
    ///
    /// # Errors
    /// `Closed`, and those of [`Op`].
    ///
    /// # Cancel safety
    /// A read: it has no effect, dropped or not.
    pub fn snapshots(&self) -> Op<Vec<Snapshot>> {
        self.store.flow(async |store, _| {
            store.state.check_open()?;
            Ok(store.state.snapshots().iter().map(Snapshot::from).collect())
        })
    }

    /// Deletes a snapshot, and the files that nothing else needs.
    ///
    /// # Errors
    /// `NotFound`, `StorageFull`, `Poisoned`, `Closed`, and those of [`Op`].
    ///
    /// # Cancel safety
    /// Dropped before the commit thread took it, nothing is deleted; after that, it is.
    pub fn delete_snapshot(&self, name: impl Into<String>) -> Op<()> {
        self.request(Request::Snapshot(Snapshots::Delete, name.into()))
    }

    /// Lets the database hold what it held when the snapshot was made, from one moment to the
    /// next: all collections and aliases. Snapshots stay. Handles on collections of before answer
    /// `NotFound` from then on. Writes go on while the snapshot is loaded, and are gone with all else
    /// when it takes its place; those that wait in the queue then find no collection any more. It
    /// has no deadline but the one that it is given.
    ///
    /// # Errors
    /// `NotFound` when there is no such snapshot, `Corrupted` when it cannot be read, `StorageFull`:
    /// then all is as before. `Poisoned`, `Closed`.
    ///
    /// # Cancel safety
    /// Dropped before the commit thread took it, nothing happens; after that, it goes on to its end.
    pub fn restore_snapshot(&self, name: impl Into<String>) -> Op<()> {
        self.long_request(Request::Snapshot(Snapshots::Restore, name.into()))
    }

    /// Makes a snapshot a database of its own, in the directory at `path`, which is empty or does
    /// not exist. Segments are not copied where the system can give a file a second name. It has no
    /// deadline but the one that it is given.
    ///
    /// # Errors
    /// `NotFound` when there is no such snapshot, or it was deleted meanwhile, `AlreadyExists` when
    /// the directory is not empty, `StorageFull`, `Io`, `Closed`. No database is left there then.
    ///
    /// # Cancel safety
    /// Dropped, it ends soon, and no database is left there, unless it had been finished.
    pub fn restore_snapshot_to(&self, name: impl Into<String>, path: impl Into<PathBuf>) -> Op<()> {
        self.copy_snapshot(name.into(), path.into(), snapshot::restore_to)
    }

    /// Writes a snapshot as one file, for [`import`](Self::import) to read, here or on another
    /// machine. The file must not exist; its directory must. It has no deadline but the one that it
    /// is given.
    ///
    /// # Errors
    /// As [`restore_snapshot_to`](Self::restore_snapshot_to), and `AlreadyExists` for the file.
    ///
    /// # Cancel safety
    /// Dropped, it ends soon, and no file is left, unless it had been finished.
    pub fn export_snapshot(&self, name: impl Into<String>, file: impl Into<PathBuf>) -> Op<()> {
        self.copy_snapshot(name.into(), file.into(), snapshot::export)
    }

    /// Makes what [`export_snapshot`](Self::export_snapshot) wrote a database, in the directory at
    /// `path`, which is empty or does not exist. The file may come from anyone: all of it is
    /// checked before it counts. It has no deadline but the one that it is given.
    ///
    /// # Errors
    /// `Corrupted` or `InvalidInput` when the file is not as it was written, `Unsupported` for a
    /// newer format, `NotFound`, `AlreadyExists` when the directory is not empty, `StorageFull`, `Io`.
    /// No database is left there then.
    ///
    /// # Cancel safety
    /// Dropped, it ends soon, and no database is left there, unless it had been finished.
    pub fn import(file: impl Into<PathBuf>, path: impl Into<PathBuf>) -> Op<()> {
        let (file, path) = (file.into(), path.into());
        Op::flow(async move |_| {
            let lane = Pools::shared()?.lane(Lane::Io);
            Op::job(lane, Inline::Never, move |cancel| {
                snapshot::import(&file, &path, cancel)
            })
            .await
        })
    }

    fn copy_snapshot(
        &self,
        name: String,
        path: PathBuf,
        copy: fn(&dyn Vfs, &SnapshotRecord, &Path, &Cancel) -> Result<()>,
    ) -> Op<()> {
        let store = Arc::clone(&self.store);
        Op::job(self.store.lanes.io.clone(), Inline::Never, move |cancel| {
            let snapshot = store.state.snapshot(&name)?;
            copy(&*store.vfs, &snapshot, &path, cancel)
        })
        .on(&self.store.executor)
    }
}
