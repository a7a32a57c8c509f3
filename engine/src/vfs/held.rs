//! Files that were opened together, and stay readable whoever removes their names.

use super::{Vfs, VfsFile};
use std::{any::Any, collections::HashMap, io, sync::Arc};

/// How many files are held at most, since a process may have few open at a time.
const MAX_HELD: usize = 256;

/// A directory for reading that holds some of its files open. Others are looked for where it
/// came from.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    from: &'a dyn Vfs,
    files: HashMap<String, Arc<dyn VfsFile>>,
}

impl<'a> Held<'a> {
    /// Opens those of the files `names` that are there, the first so many of them.
    pub(crate) fn open(from: &'a dyn Vfs, names: impl Iterator<Item = String>) -> Self {
        let files = names.take(MAX_HELD).filter_map(|name| {
            let file = from.open_read(&name).ok()?;
            Some((name, file))
        });
        Self {
            from,
            files: files.collect(),
        }
    }

    /// How many files it holds.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }
}

fn read_only<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Vfs for Held<'_> {
    fn open_read(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        match self.files.get(name) {
            Some(file) => Ok(Arc::clone(file)),
            None => self.from.open_read(name),
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.from.list()
    }

    fn create(&self, _: &str) -> io::Result<Arc<dyn VfsFile>> {
        read_only()
    }

    fn open(&self, _: &str) -> io::Result<Arc<dyn VfsFile>> {
        read_only()
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        read_only()
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        read_only()
    }

    fn sync_dir(&self) -> io::Result<()> {
        read_only()
    }

    fn lock(&self) -> io::Result<Box<dyn Any + Send>> {
        read_only()
    }
}
