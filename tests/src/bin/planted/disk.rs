//! A directory that breaks one promise, before a directory in memory that keeps its own.

use super::plants::Fault;
use amphora::vfs::{MemoryVfs, Vfs, VfsFile};
use std::{
    any::Any,
    collections::BTreeMap,
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

const SECTOR: u64 = 512;
const PAGE: u64 = 4096;

/// A directory with a fault. Clones are the same directory.
#[derive(Clone, Debug)]
pub(crate) struct PlantedVfs {
    inner: MemoryVfs,
    fault: Fault,
    /// Which call of its kind it is about, counted from 1.
    nth: u64,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Calls of the kind that the fault is about.
    seen: u64,
    acted: bool,
    /// Syncs that were answered and are still to be done.
    late: Vec<Late>,
    /// What reads give in place of what is there.
    stale: Option<Piece>,
    /// The last write.
    last: Option<Piece>,
    /// Of each write since the last sync, what was there before.
    replaced: Vec<Piece>,
    /// Files by their names, which move.
    files: BTreeMap<String, u64>,
    created: u64,
}

/// A part of a file.
#[derive(Clone)]
struct Piece {
    file: u64,
    offset: u64,
    bytes: Vec<u8>,
}

enum Late {
    File(Arc<dyn VfsFile>),
    Directory,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let State { seen, acted, .. } = self;
        write!(f, "State {{ seen: {seen}, acted: {acted} }}")
    }
}

impl PlantedVfs {
    pub(crate) fn new(inner: MemoryVfs, fault: Fault, nth: u64) -> Self {
        if fault == Fault::SyncRetried {
            inner.fail_sync(nth);
        }
        Self {
            inner,
            fault,
            nth,
            state: Arc::default(),
        }
    }

    /// What records the calls as the disk made them.
    pub(crate) fn record(&self) -> &MemoryVfs {
        &self.inner
    }

    /// Whether there was a call that the fault is about.
    pub(crate) fn has_acted(&self) -> bool {
        self.state().acted
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call if the fault is `fault`, and says whether it is the one, or from the one on.
    fn is(&self, fault: Fault, lasting: bool) -> bool {
        if self.fault != fault {
            return false;
        }
        let mut state = self.state();
        state.seen += 1;
        let acts = state.seen == self.nth || lasting && state.seen > self.nth;
        state.acted |= acts;
        acts
    }

    fn later(&self, late: Late) -> io::Result<()> {
        self.state().late.push(late);
        Ok(())
    }

    /// Does what was answered before it was done.
    fn catch_up(&self) -> io::Result<()> {
        let late = std::mem::take(&mut self.state().late);
        late.into_iter().try_for_each(|late| match late {
            Late::File(file) => file.sync(),
            Late::Directory => self.inner.sync_dir(),
        })
    }

    /// Before each call that what is late does not wait for.
    fn next(&self) -> io::Result<()> {
        match self.fault {
            Fault::SyncLate => self.catch_up(),
            _ => Ok(()),
        }
    }

    /// Before each call that changes or reads names.
    fn next_name(&self) -> io::Result<()> {
        match self.fault {
            Fault::SyncDirLate | Fault::SyncDirAfterRemove => self.catch_up(),
            _ => self.next(),
        }
    }

    fn file(&self, inner: Arc<dyn VfsFile>, name: &str, new: bool) -> Arc<dyn VfsFile> {
        let mut state = self.state();
        state.created += 1;
        let number = state.created;
        let number = *state.files.entry(name.to_owned()).or_insert(number);
        Arc::new(PlantedFile {
            vfs: self.clone(),
            inner,
            number,
            new: AtomicBool::new(new),
        })
    }
}

impl Vfs for PlantedVfs {
    fn create(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        self.next_name()?;
        let file = self.inner.create(name)?;
        self.state().files.remove(name);
        Ok(self.file(file, name, true))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        self.next_name()?;
        Ok(self.file(self.inner.open(name)?, name, false))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.next_name()?;
        if self.is(Fault::RenameSkipped, false) {
            return Ok(());
        }
        self.inner.rename(from, to)?;
        let mut state = self.state();
        if let Some(file) = state.files.remove(from) {
            state.files.insert(to.to_owned(), file);
        }
        drop(state);
        match self.fault {
            Fault::SyncAfterRename => self.catch_up(),
            _ => Ok(()),
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match self.fault {
            Fault::SyncDirAfterRemove => {}
            _ => self.next_name()?,
        }
        self.inner.remove(name)?;
        let mut state = self.state();
        state.files.remove(name);
        if self.fault == Fault::SyncDirAfterRemove && !state.late.is_empty() {
            state.acted = true;
            drop(state);
            self.catch_up()?;
        }
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.next_name()?;
        let mut names = self.inner.list()?;
        if !names.is_empty() && self.is(Fault::ListForgets, false) {
            names.remove(0);
        }
        Ok(names)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.next_name()?;
        if self.is(Fault::SyncDirSkipped, false) || self.is(Fault::SyncDirNever, true) {
            return Ok(());
        }
        if self.is(Fault::SyncDirLate, true) || self.fault == Fault::SyncDirAfterRemove {
            return self.later(Late::Directory);
        }
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
struct PlantedFile {
    vfs: PlantedVfs,
    inner: Arc<dyn VfsFile>,
    number: u64,
    /// It was created, and never synced.
    new: AtomicBool,
}

impl PlantedFile {
    /// What the file holds here, zeros beyond its end.
    fn there(&self, offset: u64, len: usize) -> io::Result<Piece> {
        let mut bytes = vec![0; len];
        let known = self.inner.len()?.saturating_sub(offset).min(len as u64);
        self.inner
            .read_exact_at(&mut bytes[..known as usize], offset)?;
        Ok(Piece {
            file: self.number,
            offset,
            bytes,
        })
    }

    /// Makes durable the first half of each write since the last sync.
    fn sync_half(&self) -> io::Result<()> {
        let replaced = std::mem::take(&mut self.vfs.state().replaced);
        let ours = || replaced.iter().filter(|piece| piece.file == self.number);
        let mut again = Vec::new();
        for Piece { offset, bytes, .. } in ours() {
            let half = bytes.len() / 2;
            let offset = offset + half as u64;
            again.push(self.there(offset, bytes.len() - half)?);
            self.inner.write_all_at(&bytes[half..], offset)?;
        }
        self.inner.sync()?;
        let write = |piece: Piece| self.inner.write_all_at(&piece.bytes, piece.offset);
        again.into_iter().try_for_each(write)
    }
}

impl VfsFile for PlantedFile {
    fn len(&self) -> io::Result<u64> {
        let len = self.inner.len()?;
        let told = match self.vfs.fault {
            Fault::LenShort => len.min(64 + 200 * self.vfs.nth),
            Fault::LenLong => len + SECTOR * self.vfs.nth,
            _ => len,
        };
        if told != len {
            self.vfs.state().acted = true;
        }
        Ok(told)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.vfs.next()?;
        self.inner.read_exact_at(buffer, offset)?;
        let half = buffer.len() / 2;
        if self.vfs.is(Fault::ReadTruncated, false) {
            buffer[half..].fill(0);
        }
        if self.vfs.is(Fault::ReadFlipped, false) {
            buffer[half] ^= 4;
        }
        if self.vfs.is(Fault::ReadMisplaced, false) {
            buffer.copy_from_slice(&self.there(offset + SECTOR, buffer.len())?.bytes);
        }
        let mut state = self.vfs.state();
        let mut acted = false;
        for piece in state.stale.iter().filter(|piece| piece.file == self.number) {
            for (at, byte) in (piece.offset..).zip(&piece.bytes) {
                let place = at.checked_sub(offset).map(|place| place as usize);
                if let Some(read) = place.and_then(|place| buffer.get_mut(place)) {
                    *read = *byte;
                    acted = true;
                }
            }
        }
        state.acted |= acted;
        Ok(())
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let vfs = &self.vfs;
        vfs.next()?;
        if vfs.is(Fault::WriteDropped, false) {
            return Ok(());
        }
        if vfs.is(Fault::WriteTorn, false) {
            return self.inner.write_all_at(&bytes[..bytes.len() / 2], offset);
        }
        if vfs.is(Fault::WriteMisplaced, false) {
            return self.inner.write_all_at(bytes, offset + SECTOR);
        }
        if !bytes.is_empty() && vfs.is(Fault::WriteFlipped, false) {
            let mut flipped = bytes.to_vec();
            flipped[bytes.len() / 2] ^= 16;
            return self.inner.write_all_at(&flipped, offset);
        }
        if vfs.is(Fault::PageZeroed, false) {
            let before = offset % PAGE;
            let zeros = vec![0; before as usize];
            self.inner.write_all_at(&zeros, offset - before)?;
        }
        match vfs.fault {
            Fault::ReadStale => {
                let piece = self.there(offset, bytes.len())?;
                let mut state = vfs.state();
                state.seen += 1;
                if state.seen == vfs.nth {
                    state.stale = Some(piece);
                }
            }
            Fault::SyncOfHalf => {
                let piece = self.there(offset, bytes.len())?;
                vfs.state().replaced.push(piece);
            }
            _ => {}
        }
        self.inner.write_all_at(bytes, offset)?;
        let replays = vfs.is(Fault::WriteReplayed, false);
        let last = vfs.state().last.replace(Piece {
            file: self.number,
            offset,
            bytes: bytes.to_vec(),
        });
        match last.filter(|last| replays && last.file == self.number) {
            Some(last) => self.inner.write_all_at(&last.bytes, last.offset),
            None => Ok(()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        let vfs = &self.vfs;
        vfs.next()?;
        if vfs.is(Fault::SyncSkipped, false) || vfs.is(Fault::SyncNever, true) {
            return Ok(());
        }
        let late = || vfs.later(Late::File(Arc::clone(&self.inner)));
        if vfs.is(Fault::SyncLate, true) {
            return late();
        }
        let new = self.new.swap(false, Ordering::Relaxed);
        if new && vfs.is(Fault::SyncAfterRename, false) {
            return late();
        }
        if vfs.is(Fault::SyncOfHalf, false) {
            return self.sync_half();
        }
        vfs.state()
            .replaced
            .retain(|piece| piece.file != self.number);
        match self.inner.sync() {
            Err(_) if vfs.fault == Fault::SyncRetried => {
                vfs.state().acted = true;
                self.inner.sync()
            }
            result => result,
        }
    }
}
