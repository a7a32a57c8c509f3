//! A directory that breaks one promise, before a directory in memory that keeps its own.

use super::{
    plants::Fault,
    rewrite::{self, FILE_ID},
};
use amphora::vfs::{Map, MemoryVfs, Vfs, VfsFile};
use amphora_tests::layer::{Kind, Layer, Layered, LayeredFile};
use std::{
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
pub(crate) type PlantedVfs = Layered<Planted>;

/// The directory with a fault, of which the call of the number `nth` of its kind is the one.
pub(crate) fn plant(memory: MemoryVfs, fault: Fault, nth: u64) -> PlantedVfs {
    if fault == Fault::SyncRetried {
        memory.fail_sync(nth);
    }
    let planted = Planted {
        memory: memory.clone(),
        fault,
        nth,
        state: Mutex::default(),
    };
    Layered::on(memory, planted)
}

/// A fault, and what has come of it so far.
#[derive(Debug)]
pub(crate) struct Planted {
    memory: MemoryVfs,
    fault: Fault,
    /// Which call of its kind it is about, counted from 1.
    nth: u64,
    state: Mutex<State>,
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

impl Planted {
    /// What records the calls as the disk made them.
    pub(crate) fn record(&self) -> &MemoryVfs {
        &self.memory
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
            Late::Directory => self.memory.sync_dir(),
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
}

/// What is known of an open file.
#[derive(Debug, Default)]
pub(crate) struct OpenFile {
    number: u64,
    /// The name under which it was opened.
    name: String,
    /// It was created, and never synced.
    new: AtomicBool,
}

impl Layer for Planted {
    type File = OpenFile;

    fn call<T>(&self, kind: Kind, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match kind {
            Kind::Remove if self.fault == Fault::SyncDirAfterRemove => {}
            Kind::Create
            | Kind::Open
            | Kind::OpenRead
            | Kind::Rename
            | Kind::Remove
            | Kind::List
            | Kind::SyncDir => self.next_name()?,
            Kind::Read | Kind::Write | Kind::Sync => self.next()?,
            Kind::Lock | Kind::Link | Kind::Len | Kind::Map => {}
        }
        make()
    }

    fn opened(&self, name: &str, new: bool) -> OpenFile {
        let mut state = self.state();
        state.created += 1;
        let number = state.created;
        if new {
            state.files.remove(name);
        }
        OpenFile {
            number: *state.files.entry(name.to_owned()).or_insert(number),
            name: name.to_owned(),
            new: AtomicBool::new(new),
        }
    }

    fn rename(&self, below: &dyn Vfs, from: &str, to: &str) -> io::Result<()> {
        self.call(Kind::Rename, || Ok(()))?;
        if self.is(Fault::RenameSkipped, false) {
            return Ok(());
        }
        below.rename(from, to)?;
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

    fn remove(&self, below: &dyn Vfs, name: &str) -> io::Result<()> {
        self.call(Kind::Remove, || below.remove(name))?;
        let mut state = self.state();
        state.files.remove(name);
        if self.fault == Fault::SyncDirAfterRemove && !state.late.is_empty() {
            state.acted = true;
            drop(state);
            self.catch_up()?;
        }
        Ok(())
    }

    fn list(&self, below: &dyn Vfs) -> io::Result<Vec<String>> {
        let mut names = self.call(Kind::List, || below.list())?;
        if !names.is_empty() && self.is(Fault::ListForgets, false) {
            names.remove(0);
        }
        Ok(names)
    }

    fn sync_dir(&self, below: &dyn Vfs) -> io::Result<()> {
        self.call(Kind::SyncDir, || Ok(()))?;
        if self.is(Fault::SyncDirSkipped, false) || self.is(Fault::SyncDirNever, true) {
            return Ok(());
        }
        if self.is(Fault::SyncDirLate, true) || self.fault == Fault::SyncDirAfterRemove {
            return self.later(Late::Directory);
        }
        below.sync_dir()
    }

    fn len(&self, file: &PlantedFile) -> io::Result<u64> {
        let len = file.below.len()?;
        let told = match self.fault {
            Fault::LenShort => len.min(64 + 200 * self.nth),
            Fault::LenLong => len + SECTOR * self.nth,
            _ => len,
        };
        if told != len {
            self.state().acted = true;
        }
        Ok(told)
    }

    /// By reading, so that what is wrong with reads is wrong here too.
    fn map(&self, file: &PlantedFile) -> io::Result<Map> {
        Map::copy_of(file)
    }

    fn read(&self, file: &PlantedFile, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.call(Kind::Read, || file.below.read_exact_at(buffer, offset))?;
        let half = buffer.len() / 2;
        if self.is(Fault::ReadTruncated, false) {
            buffer[half..].fill(0);
        }
        if self.is(Fault::ReadFlipped, false) {
            buffer[half] ^= 4;
        }
        if self.is(Fault::ReadMisplaced, false) {
            let there = there(file, offset + SECTOR, buffer.len())?;
            buffer.copy_from_slice(&there.bytes);
        }
        let mut state = self.state();
        let mut acted = false;
        let stale = state.stale.iter();
        for piece in stale.filter(|piece| piece.file == file.own.number) {
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

    fn write(&self, file: &PlantedFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.call(Kind::Write, || Ok(()))?;
        if self.is(Fault::WriteDropped, false) {
            return Ok(());
        }
        if self.is(Fault::WriteTorn, false) {
            return file.below.write_all_at(&bytes[..bytes.len() / 2], offset);
        }
        if self.is(Fault::WriteMisplaced, false) {
            return file.below.write_all_at(bytes, offset + SECTOR);
        }
        if !bytes.is_empty() && self.is(Fault::WriteFlipped, false) {
            let mut flipped = bytes.to_vec();
            flipped[bytes.len() / 2] ^= 16;
            return file.below.write_all_at(&flipped, offset);
        }
        if let Some(rewritten) = self.rewritten(file, bytes)? {
            return file.below.write_all_at(&rewritten, offset);
        }
        if self.is(Fault::PageZeroed, false) {
            let before = offset % PAGE;
            let zeros = vec![0; before as usize];
            file.below.write_all_at(&zeros, offset - before)?;
        }
        match self.fault {
            Fault::ReadStale => {
                let piece = there(file, offset, bytes.len())?;
                let mut state = self.state();
                state.seen += 1;
                if state.seen == self.nth {
                    state.stale = Some(piece);
                }
            }
            Fault::SyncOfHalf => {
                let piece = there(file, offset, bytes.len())?;
                self.state().replaced.push(piece);
            }
            _ => {}
        }
        file.below.write_all_at(bytes, offset)?;
        let replays = self.is(Fault::WriteReplayed, false);
        let last = self.state().last.replace(Piece {
            file: file.own.number,
            offset,
            bytes: bytes.to_vec(),
        });
        match last.filter(|last| replays && last.file == file.own.number) {
            Some(last) => file.below.write_all_at(&last.bytes, last.offset),
            None => Ok(()),
        }
    }

    fn sync(&self, file: &PlantedFile) -> io::Result<()> {
        self.call(Kind::Sync, || Ok(()))?;
        if file.own.name.starts_with("index-") {
            self.rewrite_index(file)?;
        }
        if self.is(Fault::SyncSkipped, false) || self.is(Fault::SyncNever, true) {
            return Ok(());
        }
        let late = || self.later(Late::File(Arc::clone(&file.below)));
        if self.is(Fault::SyncLate, true) {
            return late();
        }
        let new = file.own.new.swap(false, Ordering::Relaxed);
        if new && self.is(Fault::SyncAfterRename, false) {
            return late();
        }
        if self.is(Fault::SyncOfHalf, false) {
            return self.sync_half(file);
        }
        let mut state = self.state();
        state.replaced.retain(|piece| piece.file != file.own.number);
        drop(state);
        match file.below.sync() {
            Err(_) if self.fault == Fault::SyncRetried => {
                self.state().acted = true;
                file.below.sync()
            }
            result => result,
        }
    }
}

type PlantedFile = LayeredFile<Planted>;

impl Planted {
    /// What an engine with this fault would write in place of `bytes`.
    fn rewritten(&self, file: &PlantedFile, bytes: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let name = &file.own.name;
        let rewritten = match self.fault {
            Fault::BatchHalved if name.starts_with("wal-") => {
                let mut file_id = [0; 8];
                file_id.copy_from_slice(&there(file, FILE_ID, 8)?.bytes);
                rewrite::without_deletes(bytes, u64::from_le_bytes(file_id))
            }
            Fault::SnapshotIncomplete if name.starts_with("manifest-") => {
                rewrite::without_segment(bytes)
            }
            _ => None,
        };
        let lasting = self.fault == Fault::SnapshotIncomplete;
        Ok(rewritten.filter(|_| self.is(self.fault, lasting)))
    }

    /// Writes over an index what an engine with this fault would have written.
    fn rewrite_index(&self, file: &PlantedFile) -> io::Result<()> {
        let written = there(file, 0, file.below.len()? as usize)?.bytes;
        let rewritten = match self.fault {
            Fault::IndexShifted => rewrite::with_rows(&written, |rows| rows.rotate_left(1)),
            Fault::IndexRepeated => rewrite::with_rows(&written, |rows| rows.fill(rows[0])),
            _ => None,
        };
        match rewritten.filter(|_| self.is(self.fault, true)) {
            Some(rewritten) => file.below.write_all_at(&rewritten, 0),
            None => Ok(()),
        }
    }

    /// Makes durable the first half of each write since the last sync.
    fn sync_half(&self, file: &PlantedFile) -> io::Result<()> {
        let replaced = std::mem::take(&mut self.state().replaced);
        let ours = replaced
            .iter()
            .filter(|piece| piece.file == file.own.number);
        let mut again = Vec::new();
        for Piece { offset, bytes, .. } in ours {
            let half = bytes.len() / 2;
            let offset = offset + half as u64;
            again.push(there(file, offset, bytes.len() - half)?);
            file.below.write_all_at(&bytes[half..], offset)?;
        }
        file.below.sync()?;
        let write = |piece: Piece| file.below.write_all_at(&piece.bytes, piece.offset);
        again.into_iter().try_for_each(write)
    }
}

/// What the file holds here, zeros beyond its end.
fn there(file: &PlantedFile, offset: u64, len: usize) -> io::Result<Piece> {
    let mut bytes = vec![0; len];
    let known = file.below.len()?.saturating_sub(offset).min(len as u64);
    let known = &mut bytes[..known as usize];
    if !known.is_empty() {
        file.below.read_exact_at(known, offset)?;
    }
    Ok(Piece {
        file: file.own.number,
        offset,
        bytes,
    })
}
