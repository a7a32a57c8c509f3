//! A directory in memory on a disk of so many bytes.

use amphora::vfs::{MemoryVfs, Vfs, VfsFile};
use std::{
    any::Any,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A directory whose files may take so many bytes together. A write that does not fit is made as
/// far as it fits. Clones are the same directory.
#[derive(Clone, Debug)]
pub struct QuotaVfs {
    inner: MemoryVfs,
    space: Arc<Mutex<Space>>,
}

#[derive(Debug)]
struct Space {
    quota: u64,
    /// The most that was taken so far.
    peak: u64,
}

impl QuotaVfs {
    /// The directory `inner` with `quota` bytes.
    #[must_use]
    pub fn new(inner: MemoryVfs, quota: u64) -> Self {
        let space = Arc::new(Mutex::new(Space { quota, peak: 0 }));
        Self { inner, space }
    }

    /// From now on so many bytes.
    pub fn set_quota(&self, quota: u64) {
        self.space().quota = quota;
    }

    /// The most that all files took together so far.
    #[must_use]
    pub fn peak(&self) -> u64 {
        self.space().peak
    }

    fn used(&self) -> io::Result<u64> {
        let len = |name: String| match self.inner.open(&name) {
            Ok(file) => file.len(),
            // Removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        };
        self.inner.list()?.into_iter().map(len).sum()
    }

    fn space(&self) -> MutexGuard<'_, Space> {
        self.space.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, inner: Arc<dyn VfsFile>) -> Arc<dyn VfsFile> {
        let vfs = self.clone();
        Arc::new(QuotaFile { vfs, inner })
    }
}

impl Vfs for QuotaVfs {
    fn create(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        Ok(self.file(self.inner.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        Ok(self.file(self.inner.open(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.inner.remove(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.inner.sync_dir()
    }

    fn lock(&self) -> io::Result<Box<dyn Any + Send>> {
        self.inner.lock()
    }

    fn unique(&self) -> u64 {
        self.inner.unique()
    }
}

#[derive(Debug)]
struct QuotaFile {
    vfs: QuotaVfs,
    inner: Arc<dyn VfsFile>,
}

impl VfsFile for QuotaFile {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.inner.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        // Held while writing, so that two writes do not take the same space.
        let mut space = self.vfs.space();
        let (len, used) = (self.inner.len()?, self.vfs.used()?);
        let end = offset + bytes.len() as u64;
        let fits = len + space.quota.saturating_sub(used);
        if end <= fits {
            space.peak = space.peak.max(used + end.saturating_sub(len));
            return self.inner.write_all_at(bytes, offset);
        }
        let part = &bytes[..fits.saturating_sub(offset) as usize];
        if !part.is_empty() {
            self.inner.write_all_at(part, offset)?;
        }
        Err(io::ErrorKind::StorageFull.into())
    }

    fn sync(&self) -> io::Result<()> {
        self.inner.sync()
    }
}
