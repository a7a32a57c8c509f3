//! A directory in memory, for tests, simulations and databases that need not stay.
//!
//! Clones share one directory, so that a database can be opened again on what another left. It
//! keeps what the caller wrote, synced or not; what would survive is [`image`](super::image)'s
//! question, answered from the recorded calls.

use super::{Call, CrashModel, Loss, Vfs, VfsFile, image};
use crate::sync::{Mutex, MutexGuard, lock};
use std::{any::Any, io, sync::Arc, time::SystemTime};

/// A directory in memory. Clones are the same directory.
///
/// ```
/// use amphora::{Database, vfs::MemoryVfs};
///
/// let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
/// assert!(db.collections().wait()?.is_empty());
/// # Ok::<_, amphora::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryVfs {
    directory: Arc<Mutex<Directory>>,
}

#[derive(Debug, Default)]
struct Directory {
    /// Contents by file number, which outlive the name. Images share what nobody has written to.
    files: image::Files,
    names: image::Names,
    next_file: u64,
    next_unique: u64,
    locked: bool,
    record: Option<Vec<Call>>,
    /// How many syncs until one fails; 0 when none does.
    sync_fails_in: u64,
    sync_failed: bool,
    /// What the clock says; the system's without.
    now: Option<SystemTime>,
}

impl MemoryVfs {
    /// An empty directory that records nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty directory that records every call from now on.
    #[must_use]
    pub fn recording() -> Self {
        let vfs = Self::default();
        vfs.directory().record = Some(Vec::new());
        vfs
    }

    /// The calls recorded so far.
    #[must_use]
    pub fn record(&self) -> Vec<Call> {
        self.directory().record.clone().unwrap_or_default()
    }

    /// How many calls were recorded so far.
    #[must_use]
    pub fn recorded(&self) -> usize {
        self.directory().record.as_ref().map_or(0, Vec::len)
    }

    /// Notes in the record that the operation `number` was acknowledged to its caller.
    pub fn acknowledged(&self, number: u64) {
        self.directory().call(Call::Acknowledged(number));
    }

    /// The sync of a file of this number, counted from 1 from now on, fails as a disk does: what
    /// it should have made durable stays readable, and no later sync writes it.
    pub fn fail_sync(&self, nth: u64) {
        self.directory().sync_fails_in = nth;
    }

    /// Sets the clock, which stands still from now on.
    pub fn set_now(&self, now: SystemTime) {
        self.directory().now = Some(now);
    }

    /// Whether a sync has failed that way.
    #[must_use]
    pub fn has_failed_sync(&self) -> bool {
        self.directory().sync_failed
    }

    /// A directory as a power loss after `calls` may leave it; see [`CrashModel`] for many.
    #[must_use]
    pub fn after_power_loss(calls: &[Call], loss: Loss) -> Self {
        let mut model = CrashModel::default();
        calls.iter().for_each(|call| model.apply(call));
        model.image(loss)
    }

    /// A directory that records, with all numbers up to `last` drawn already.
    pub(super) fn of_image(names: image::Names, files: image::Files, last: u64) -> Self {
        Self {
            directory: Arc::new(Mutex::new(Directory {
                files,
                names,
                next_file: last,
                next_unique: last,
                record: Some(Vec::new()),
                ..Directory::default()
            })),
        }
    }

    /// Another directory, with the names and contents of this moment: what the end of this process
    /// would leave of it. It is not locked, and records nothing.
    #[must_use]
    pub fn fork(&self) -> Self {
        let directory = self.directory();
        Self {
            directory: Arc::new(Mutex::new(Directory {
                files: directory.files.clone(),
                names: directory.names.clone(),
                next_file: directory.next_file,
                next_unique: directory.next_unique,
                ..Directory::default()
            })),
        }
    }

    /// The content of the file `name`.
    #[must_use]
    pub fn content(&self, name: &str) -> Option<Vec<u8>> {
        let directory = self.directory();
        let file = directory.names.get(name)?;
        directory.files.get(file).map(|content| content.to_vec())
    }

    /// Replaces the content of the file `name`, or creates it, behind the database's back.
    pub fn set_content(&self, name: &str, content: impl Into<Vec<u8>>) {
        let mut directory = self.directory();
        let file = directory.file(name);
        directory.files.insert(file, Arc::new(content.into()));
    }

    fn directory(&self) -> MutexGuard<'_, Directory> {
        lock(&self.directory)
    }

    fn handle(&self, file: u64) -> Arc<dyn VfsFile> {
        Arc::new(MemoryFile {
            directory: Arc::clone(&self.directory),
            file,
        })
    }
}

impl Directory {
    fn call(&mut self, call: Call) {
        if let Some(record) = &mut self.record {
            record.push(call);
        }
    }

    /// The number of the file `name`, which is created if there is none.
    fn file(&mut self, name: &str) -> u64 {
        if let Some(file) = self.names.get(name) {
            return *file;
        }
        self.next_file += 1;
        self.names.insert(name.to_owned(), self.next_file);
        self.files.insert(self.next_file, Arc::default());
        self.next_file
    }
}

impl Vfs for MemoryVfs {
    fn now(&self) -> SystemTime {
        self.directory().now.unwrap_or_else(SystemTime::now)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        let mut directory = self.directory();
        if directory.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = directory.file(name);
        directory.call(Call::Create(name.to_owned(), file));
        drop(directory);
        Ok(self.handle(file))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        let file = self.directory().names.get(name).copied();
        file.map(|file| self.handle(file))
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut directory = self.directory();
        let file = directory
            .names
            .remove(from)
            .ok_or(io::ErrorKind::NotFound)?;
        directory.names.insert(to.to_owned(), file);
        directory.call(Call::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut directory = self.directory();
        directory
            .names
            .remove(name)
            .ok_or(io::ErrorKind::NotFound)?;
        directory.call(Call::Remove(name.to_owned()));
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.directory().names.keys().cloned().collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.directory().call(Call::SyncDir);
        Ok(())
    }

    fn lock(&self) -> io::Result<Box<dyn Any + Send>> {
        let mut directory = self.directory();
        if directory.locked {
            return Err(io::Error::new(
                io::ErrorKind::WouldBlock,
                "a handle of this process",
            ));
        }
        directory.locked = true;
        Ok(Box::new(Lock(self.clone())))
    }

    /// Counted, so that a run with the same calls gives the same bytes.
    fn unique(&self) -> u64 {
        let mut directory = self.directory();
        directory.next_unique += 1;
        directory.next_unique.wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

struct Lock(MemoryVfs);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.directory().locked = false;
    }
}

#[derive(Debug)]
struct MemoryFile {
    directory: Arc<Mutex<Directory>>,
    file: u64,
}

impl MemoryFile {
    fn with<R>(&self, act: impl FnOnce(&mut Directory, u64) -> R) -> R {
        act(&mut lock(&self.directory), self.file)
    }
}

impl VfsFile for MemoryFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.with(|directory, file| directory.files.get(&file).map_or(0, |c| c.len())) as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.with(|directory, file| {
            let start = usize::try_from(offset).map_err(io::Error::other)?;
            let content = directory
                .files
                .get(&file)
                .and_then(|content| content.get(start..)?.get(..buffer.len()))
                .ok_or(io::ErrorKind::UnexpectedEof)?;
            buffer.copy_from_slice(content);
            Ok(())
        })
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.with(|directory, file| {
            let start = usize::try_from(offset).map_err(io::Error::other)?;
            let content = Arc::make_mut(directory.files.entry(file).or_default());
            image::write(content, start, bytes);
            directory.call(Call::Write(file, offset, bytes.into()));
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.with(|directory, file| {
            let fails = directory.sync_fails_in == 1;
            directory.sync_fails_in = directory.sync_fails_in.saturating_sub(1);
            if fails {
                directory.sync_failed = true;
                directory.call(Call::SyncFailed(file));
                return Err(io::Error::other("the disk failed"));
            }
            directory.call(Call::Sync(file));
            Ok(())
        })
    }
}
