//! The only door to files: one directory, flat, through eleven calls.
//!
//! [`DiskVfs`] is a directory of the operating system. [`MemoryVfs`] is its twin in memory, which
//! can record every call and build the images that a power loss may leave. Names come from the
//! engine alone and never from a user. Nothing above this module touches `std::fs`.

mod disk;
mod held;
mod image;
mod map;
mod memory;

pub use disk::DiskVfs;
pub(crate) use disk::{directory_of, open_directory, open_outside};
pub(crate) use held::Held;
pub use image::{Call, CrashModel, Loss};
pub use map::{Advice, Map};
pub use memory::MemoryVfs;

use std::{
    any::Any,
    fmt,
    hash::{BuildHasher, RandomState},
    io,
    path::Path,
    sync::Arc,
    time::SystemTime,
};

/// A flat directory of files. All calls block, and are made from the engine's own threads.
///
/// Implement it to put a database elsewhere, or around another one to observe it, slow it down
/// or make it fail.
pub trait Vfs: Send + Sync + fmt::Debug {
    /// Creates the file `name`, readable and writable by its owner alone; an error if it exists.
    fn create(&self, name: &str) -> io::Result<Arc<dyn VfsFile>>;
    /// Opens the file `name` for reading and writing.
    fn open(&self, name: &str) -> io::Result<Arc<dyn VfsFile>>;
    /// Opens the file `name` for reading alone, where nothing may be written.
    fn open_read(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        self.open(name)
    }
    /// Gives the file `from` the name `to`, replacing what had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes the file `name`.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// The names of all files.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Makes all creations, renames and removals before it durable.
    fn sync_dir(&self) -> io::Result<()>;
    /// Locks the directory for one handle until the guard is dropped; the error of kind
    /// `WouldBlock` says who has it.
    fn lock(&self) -> io::Result<Box<dyn Any + Send>>;
    /// The time of day, by which points expire.
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
    /// Gives the file `name`, which is complete and never written again, a second name in the
    /// directory at `directory`: the same name. Where that cannot be done, as by default, it is
    /// an error, and the caller copies the file.
    fn link_to(&self, name: &str, directory: &Path) -> io::Result<()> {
        let _ = (name, directory);
        Err(io::ErrorKind::Unsupported.into())
    }
    /// A number that no other file of this directory has drawn.
    fn unique(&self) -> u64 {
        RandomState::new().hash_one(std::process::id())
    }
}

/// Creates the file `name`, in place of one that an attempt that failed could not remove.
pub(crate) fn create_anew(vfs: &dyn Vfs, name: &str) -> io::Result<Arc<dyn VfsFile>> {
    match vfs.create(name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            vfs.remove(name)?;
            vfs.create(name)
        }
        created => created,
    }
}

/// An open file of a [`Vfs`].
pub trait VfsFile: Send + Sync + fmt::Debug {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether its length is 0.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Fills `buffer` from `offset` on; an error if the file ends before.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// The whole content, of a file that is never written again. Read into memory unless the
    /// implementation can map it.
    fn map(&self) -> io::Result<Map> {
        Map::copy_of(self)
    }
    /// Writes all of `bytes` at `offset`, growing the file if it must.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes the content and the length durable. After an error nothing is known of either.
    fn sync(&self) -> io::Result<()>;
}
