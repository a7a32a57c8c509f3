//! A directory in memory on a disk of so many bytes.

use crate::layer::{Layer, Layered, LayeredFile};
use amphora::vfs::{MemoryVfs, Vfs};
use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A directory whose files may take so many bytes together. A write that does not fit is made as
/// far as it fits. Clones are the same directory.
pub type QuotaVfs = Layered<Quota>;

/// How much there is room for.
#[derive(Debug)]
pub struct Quota {
    memory: MemoryVfs,
    space: Mutex<Space>,
}

#[derive(Debug)]
struct Space {
    quota: u64,
    /// The most that was taken so far.
    peak: u64,
}

impl QuotaVfs {
    /// The directory `memory` with `quota` bytes.
    #[must_use]
    pub fn new(memory: MemoryVfs, quota: u64) -> Self {
        let space = Mutex::new(Space { quota, peak: 0 });
        Self::on(memory.clone(), Quota { memory, space })
    }

    /// From now on so many bytes.
    pub fn set_quota(&self, quota: u64) {
        self.layer().space().quota = quota;
    }

    /// The most that all files took together so far.
    #[must_use]
    pub fn peak(&self) -> u64 {
        self.layer().space().peak
    }
}

impl Quota {
    fn used(&self) -> io::Result<u64> {
        let len = |name: String| match self.memory.open(&name) {
            Ok(file) => file.len(),
            // Removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        };
        self.memory.list()?.into_iter().map(len).sum()
    }

    fn space(&self) -> MutexGuard<'_, Space> {
        self.space.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Layer for Quota {
    type File = ();

    fn write(&self, file: &LayeredFile<Self>, bytes: &[u8], offset: u64) -> io::Result<()> {
        // Held while writing, so that two writes do not take the same space.
        let mut space = self.space();
        let (len, used) = (file.below.len()?, self.used()?);
        let end = offset + bytes.len() as u64;
        let fits = len + space.quota.saturating_sub(used);
        if end <= fits {
            space.peak = space.peak.max(used + end.saturating_sub(len));
            return file.below.write_all_at(bytes, offset);
        }
        let part = &bytes[..fits.saturating_sub(offset) as usize];
        if !part.is_empty() {
            file.below.write_all_at(part, offset)?;
        }
        Err(io::ErrorKind::StorageFull.into())
    }
}
