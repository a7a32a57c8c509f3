//! A directory that becomes a database, or stays empty.
//!
//! Logs come first: a directory that holds one without a manifest does not open, so that a crash
//! on the way leaves no database that seems to be empty.

use super::copy::{copy_to_file, open};
use crate::{
    cancel::Cancel,
    error::{Error, ErrorKind, Result},
    manifest::{self, Manifest, SnapshotRecord},
    vfs::{DiskVfs, Vfs, open_directory},
    wal,
};
use std::{any::Any, path::Path};

/// Makes a snapshot of the database in `source` a database in the directory at `path`, which is
/// empty or does not exist.
pub(crate) fn restore_to(
    source: &dyn Vfs,
    snapshot: &SnapshotRecord,
    path: &Path,
    cancel: &Cancel,
) -> Result<()> {
    create_at(path, |target| {
        for number in snapshot.logs() {
            let name = wal::log_name(number);
            let ends = (number == snapshot.log_end.log).then_some(snapshot.log_end.end);
            take(source, &name, ends, target, cancel)?;
        }
        sync_dir(target)?;
        let manifest = snapshot.manifest();
        for name in manifest.files() {
            // What the system cannot give a second name is copied.
            if source.link_to(&name, path).is_err() {
                take(source, &name, None, target, cancel)?;
            }
        }
        Ok(manifest)
    })
}

/// Copies the first `len` bytes of a file, or all, under its name.
fn take(
    source: &dyn Vfs,
    name: &str,
    len: Option<u64>,
    target: &dyn Vfs,
    cancel: &Cancel,
) -> Result<()> {
    let (file, len) = open(source, name, len)?;
    copy_to_file(&*file, 0..len, target, name, cancel).map(drop)
}

/// Makes a database of what `fill` puts into the directory at `path`, which is empty or does not
/// exist. It gives the manifest, and has made the content of each file durable. After an error the
/// directory is empty again, but for the file that is locked.
pub(super) fn create_at(
    path: &Path,
    fill: impl FnOnce(&DiskVfs) -> Result<Manifest>,
) -> Result<()> {
    let create = || {
        let vfs = open_directory(path, true)?;
        check_empty(&vfs)?;
        let _lock = lock(&vfs)?;
        // Another may have been as quick.
        check_empty(&vfs)?;
        let filled = fill(&vfs).and_then(|manifest| {
            manifest::write(&vfs, &manifest).map_err(manifest::WriteError::into_error)
        });
        filled.inspect_err(|_| clear(&vfs))
    };
    create().map_err(|error| error.context(format_args!("creating {}", path.display())))
}

fn check_empty(vfs: &dyn Vfs) -> Result<()> {
    let names = vfs.list();
    let names = names.map_err(|error| Error::io("listing the directory", error))?;
    match names.iter().find(|name| *name != "LOCK") {
        None => Ok(()),
        Some(name) => Err(Error::new(
            ErrorKind::AlreadyExists,
            format!("the directory holds {name:?}; expected an empty one"),
        )),
    }
}

fn lock(vfs: &dyn Vfs) -> Result<Box<dyn Any + Send>> {
    vfs.lock().map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => {
            Error::new(ErrorKind::Locked, format!("it is open, by {error}"))
        }
        _ => Error::io("locking the directory", error),
    })
}

pub(super) fn sync_dir(vfs: &dyn Vfs) -> Result<()> {
    let synced = vfs.sync_dir();
    synced.map_err(|error| Error::io("syncing the directory", error))
}

/// Removes what was put into the directory, which was empty. The manifest goes first: without the
/// files that it names nothing opens, and nothing seems to be whole.
fn clear(vfs: &dyn Vfs) {
    let names = vfs.list().unwrap_or_default();
    let (manifests, others): (Vec<&String>, Vec<_>) = names
        .iter()
        .filter(|name| manifest::is_ours(name) || wal::is_log(name))
        .partition(|name| manifest::is_manifest(name));
    for name in manifests.into_iter().chain(others) {
        if let Err(error) = vfs.remove(name) {
            tracing::warn!(%error, file = name, "a file of a failed restore stays");
        }
    }
    let _ = vfs.sync_dir();
}
