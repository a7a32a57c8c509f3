//! A directory before another one, which hands on every call that its layer does not take up.
//!
//! A [`Layer`] says what is different about a disk: that it hangs, fails, is full or stops. All
//! else is here, once, so that no such disk lacks a call of the one that it stands before.

use amphora::vfs::{Map, Vfs, VfsFile};
use std::{any::Any, fmt, io, path::Path, sync::Arc, time::SystemTime};

/// What a directory or a file is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Create a file.
    Create,
    /// Open a file.
    Open,
    /// Open a file for reading alone.
    OpenRead,
    /// Rename a file.
    Rename,
    /// Remove a file.
    Remove,
    /// List the files.
    List,
    /// Make names durable.
    SyncDir,
    /// Lock the directory.
    Lock,
    /// Give a file a second name elsewhere.
    Link,
    /// Ask a file for its length.
    Len,
    /// Read from a file.
    Read,
    /// Read a whole file, or map it.
    Map,
    /// Write to a file.
    Write,
    /// Make a file durable.
    Sync,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Create,
        Self::Open,
        Self::OpenRead,
        Self::Rename,
        Self::Remove,
        Self::List,
        Self::SyncDir,
        Self::Lock,
        Self::Link,
        Self::Len,
        Self::Read,
        Self::Map,
        Self::Write,
        Self::Sync,
    ];
}

/// What is different about a disk. Each method may make the call, or do something else in place of
/// it; by default it makes it.
pub trait Layer: fmt::Debug + Send + Sync + Sized + 'static {
    /// What it remembers of an open file.
    type File: Default + fmt::Debug + Send + Sync;

    /// Around every call.
    ///
    /// # Errors
    /// Those of the call, or its own.
    fn call<T>(&self, kind: Kind, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let _ = kind;
        make()
    }

    /// Around a call that answers nothing, which can therefore be left out unnoticed.
    ///
    /// # Errors
    /// Those of the call, or its own.
    fn act(&self, kind: Kind, make: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.call(kind, make)
    }

    /// When a file was opened, or created if it is new.
    fn opened(&self, name: &str, new: bool) -> Self::File {
        let _ = (name, new);
        Self::File::default()
    }

    /// Renames a file.
    ///
    /// # Errors
    /// Those of the call, or its own.
    fn rename(&self, below: &dyn Vfs, from: &str, to: &str) -> io::Result<()> {
        self.act(Kind::Rename, || below.rename(from, to))
    }

    /// Removes a file.
    ///
    /// # Errors
    /// Those of the call, or its own.
    fn remove(&self, below: &dyn Vfs, name: &str) -> io::Result<()> {
        self.act(Kind::Remove, || below.remove(name))
    }

    /// Lists the files.
    ///
    /// # Errors
    /// Those of the call, or its own.
    fn list(&self, below: &dyn Vfs) -> io::Result<Vec<String>> {
        self.call(Kind::List, || below.list())
    }

    /// Makes names durable.
    ///
    /// # Errors
    /// Those of the call, or its own.
    fn sync_dir(&self, below: &dyn Vfs) -> io::Result<()> {
        self.act(Kind::SyncDir, || below.sync_dir())
    }

    /// Asks a file for its length.
    ///
    /// # Errors
    /// Those of the call, or its own.
    fn len(&self, file: &LayeredFile<Self>) -> io::Result<u64> {
        self.call(Kind::Len, || file.below.len())
    }

    /// Reads from a file.
    ///
    /// # Errors
    /// Those of the call, or its own.
    fn read(&self, file: &LayeredFile<Self>, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.call(Kind::Read, || file.below.read_exact_at(buffer, offset))
    }

    /// Reads a whole file, or maps it.
    ///
    /// # Errors
    /// Those of the call, or its own.
    fn map(&self, file: &LayeredFile<Self>) -> io::Result<Map> {
        self.call(Kind::Map, || file.below.map())
    }

    /// Writes to a file.
    ///
    /// # Errors
    /// Those of the call, or its own.
    fn write(&self, file: &LayeredFile<Self>, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.act(Kind::Write, || file.below.write_all_at(bytes, offset))
    }

    /// Makes a file durable.
    ///
    /// # Errors
    /// Those of the call, or its own.
    fn sync(&self, file: &LayeredFile<Self>) -> io::Result<()> {
        self.act(Kind::Sync, || file.below.sync())
    }
}

/// A directory behind a layer. Clones are the same directory.
#[derive(Debug)]
pub struct Layered<L> {
    below: Arc<dyn Vfs>,
    layer: Arc<L>,
}

impl<L: Layer> Layered<L> {
    /// The directory `below` behind `layer`.
    pub fn on(below: impl Vfs + 'static, layer: L) -> Self {
        Self {
            below: Arc::new(below),
            layer: Arc::new(layer),
        }
    }

    /// What is different about it.
    #[must_use]
    pub fn layer(&self) -> &L {
        &self.layer
    }

    fn open_as(
        &self,
        kind: Kind,
        name: &str,
        open: impl FnOnce() -> io::Result<Arc<dyn VfsFile>>,
    ) -> io::Result<Arc<dyn VfsFile>> {
        let below = self.layer.call(kind, open)?;
        Ok(Arc::new(LayeredFile {
            below,
            own: self.layer.opened(name, kind == Kind::Create),
            layer: Arc::clone(&self.layer),
        }))
    }
}

impl<L> Clone for Layered<L> {
    fn clone(&self) -> Self {
        Self {
            below: Arc::clone(&self.below),
            layer: Arc::clone(&self.layer),
        }
    }
}

impl<L: Layer> Vfs for Layered<L> {
    fn create(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        self.open_as(Kind::Create, name, || self.below.create(name))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        self.open_as(Kind::Open, name, || self.below.open(name))
    }

    fn open_read(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        self.open_as(Kind::OpenRead, name, || self.below.open_read(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.layer.rename(&*self.below, from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.layer.remove(&*self.below, name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.layer.list(&*self.below)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.layer.sync_dir(&*self.below)
    }

    fn lock(&self) -> io::Result<Box<dyn Any + Send>> {
        self.layer.call(Kind::Lock, || self.below.lock())
    }

    fn now(&self) -> SystemTime {
        self.below.now()
    }

    fn link_to(&self, name: &str, directory: &Path) -> io::Result<()> {
        let link = || self.below.link_to(name, directory);
        self.layer.act(Kind::Link, link)
    }

    fn unique(&self) -> u64 {
        self.below.unique()
    }
}

/// An open file behind a layer.
#[derive(Debug)]
pub struct LayeredFile<L: Layer> {
    /// The file itself.
    pub below: Arc<dyn VfsFile>,
    /// What the layer remembers of it.
    pub own: L::File,
    layer: Arc<L>,
}

impl<L: Layer> VfsFile for LayeredFile<L> {
    fn len(&self) -> io::Result<u64> {
        self.layer.len(self)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.layer.read(self, buffer, offset)
    }

    fn map(&self) -> io::Result<Map> {
        self.layer.map(self)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.layer.write(self, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.layer.sync(self)
    }
}
