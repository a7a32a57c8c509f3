//! The bytes of a file's sections, checked when they are first touched.
//!
//! The only way from such a file to its content. A chunk that is read for the first time is
//! compared with its checksum, after which one relaxed load tells that it was; another tells that
//! all of a section was. A damaged chunk is an error every time. No offset is trusted: what lies outside of its section is damage, too.

use super::format::{CHUNK, Directory, FOOTER, Footer, SectionEntry, SectionKind, table_len};
use crate::{
    cancel::Cancel,
    codec::{
        DecodeError, checksum,
        header::{FILE_HEADER, FileHeader},
    },
    error::{Error, Result},
    vfs::{Map, Vfs},
};
use bytemuck::AnyBitPattern;
use std::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

/// The sections of one file, of the kinds `K`.
#[derive(Debug)]
pub(crate) struct Sections<K> {
    name: Box<str>,
    pub(crate) rows: u32,
    pub(crate) file_id: u64,
    extra: Box<[u8]>,
    directory_offset: u64,
    map: Map,
    /// By [`SectionId`]. Every one lies within the map: its directory was checked.
    sections: Box<[Section<K>]>,
}

#[derive(Debug)]
struct Section<K> {
    entry: SectionEntry<K>,
    table_is_sound: AtomicBool,
    /// Whether every chunk was found sound.
    is_whole: AtomicBool,
    /// How many chunks were not yet.
    unchecked: AtomicUsize,
    /// A bit for every chunk that was found sound.
    sound: Box<[AtomicU64]>,
}

/// A section of a file that was found when the file was opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SectionId(usize);

impl<K: SectionKind> Sections<K> {
    /// Opens the file `name` and reads its header, footer and directory, nothing else.
    pub(crate) fn open(vfs: &dyn Vfs, name: &str) -> Result<Self> {
        let map = vfs
            .open_read(name)
            .and_then(|file| file.map())
            .map_err(|error| Error::io(format_args!("opening {name}"), error))?;
        let short = || Error::corrupted(name, map.len() as u64, "the file is too short");
        let header = map.first_chunk::<FILE_HEADER>().ok_or_else(short)?;
        let header = FileHeader::decode(header, K::FILE).map_err(|error| error.of(name))?;
        let (before, footer) = map.split_last_chunk::<FOOTER>().ok_or_else(short)?;
        let footer_at = before.len() as u64;
        let footer = Footer::decode(footer, map.len() as u64)
            .map_err(|error| Error::corrupted(name, footer_at, error))?;
        if footer.file_id != header.file_id {
            let message = "the footer is of another file than the header";
            return Err(Error::corrupted(name, footer_at, message));
        }
        let directory = usize::try_from(footer.directory_offset)
            .ok()
            .and_then(|start| before.get(start..))
            .ok_or(DecodeError("the directory is outside of the file"))
            .and_then(|bytes| Directory::decode(bytes, &footer))
            .map_err(|error| Error::corrupted(name, footer.directory_offset, error))?;
        Ok(Self {
            name: name.into(),
            rows: footer.rows,
            file_id: footer.file_id,
            extra: directory.extra.into(),
            directory_offset: footer.directory_offset,
            sections: directory.sections.into_iter().map(Section::new).collect(),
            map,
        })
    }

    /// Whether this is the name of the file.
    pub(crate) fn is_file(&self, name: &str) -> bool {
        *self.name == *name
    }

    /// The length of the file in bytes.
    pub(crate) fn file_len(&self) -> u64 {
        self.map.len() as u64
    }

    /// What the owner keeps in the directory.
    pub(crate) fn extra(&self) -> &[u8] {
        &self.extra
    }

    /// The section `number` of its kind.
    pub(crate) fn find(&self, kind: K, number: u32) -> Option<SectionId> {
        self.sections
            .iter()
            .position(|section| (section.entry.kind, section.entry.number) == (kind, number))
            .map(SectionId)
    }

    /// The section, which must be there.
    pub(crate) fn need(&self, kind: K, number: u32) -> Result<SectionId> {
        self.find(kind, number).ok_or_else(|| {
            let message = format!("there is no section {kind:?} {number}");
            self.corrupted_directory(message)
        })
    }

    /// Refuses a section that has another length than its content takes.
    pub(crate) fn expect_len(&self, id: SectionId, expected: Option<u64>) -> Result<()> {
        let found = self.entry(id).len;
        if expected == Some(found) {
            return Ok(());
        }
        Err(self.corrupted(id, 0, format!("a section has {found} bytes")))
    }

    fn entry(&self, id: SectionId) -> &SectionEntry<K> {
        &self.sections[id.0].entry
    }

    /// Refuses a row that is none, which is the caller's mistake and no damage.
    pub(crate) fn check_row(&self, row: u32) -> Result<()> {
        if row < self.rows {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{} has {} rows; asked for row {row}",
            self.name, self.rows
        )))
    }

    /// The length in bytes, which fits since the file is mapped.
    pub(crate) fn len(&self, id: SectionId) -> usize {
        self.entry(id).len as usize
    }

    /// `len` bytes of a section from `start` on, sound.
    pub(crate) fn bytes(&self, id: SectionId, start: usize, len: usize) -> Result<&[u8]> {
        let section = &self.sections[id.0];
        let end = start.checked_add(len);
        let Some(end) = end.filter(|end| *end as u64 <= section.entry.len) else {
            return Err(self.corrupted(id, start, "a reference leads out of its section"));
        };
        if len == 0 {
            return Ok(&[]);
        }
        if !section.is_whole() {
            for chunk in start / CHUNK..=(end - 1) / CHUNK {
                if !section.is_sound(chunk) {
                    self.check_chunk(id, chunk)?;
                }
            }
        }
        let base = section.entry.offset as usize;
        self.map
            .get(base + start..base + end)
            .ok_or_else(|| self.corrupted(id, start, "a section leads out of the file"))
    }

    /// `count` values of a section from the value `first` on, in place.
    pub(crate) fn values<T: AnyBitPattern>(
        &self,
        id: SectionId,
        first: usize,
        count: usize,
    ) -> Result<&[T]> {
        let place = first.checked_mul(size_of::<T>());
        let len = count.checked_mul(size_of::<T>());
        let (Some(start), Some(len)) = (place, len) else {
            return Err(self.corrupted(id, 0, "a reference leads out of its section"));
        };
        bytemuck::try_cast_slice(self.bytes(id, start, len)?)
            .map_err(|_| self.corrupted(id, start, "values are not aligned"))
    }

    /// The value `index` of a section.
    pub(crate) fn value<T: AnyBitPattern>(&self, id: SectionId, index: usize) -> Result<T> {
        let values = self.values(id, index, 1)?;
        values
            .first()
            .copied()
            .ok_or_else(|| self.corrupted(id, 0, "a value is missing"))
    }

    /// All of a section in place, if every chunk of it was found sound before: for what reads it
    /// all over, and would else ask at every value. None as well if its length is not that of
    /// whole values, which [`expect_len`](Self::expect_len) is there to tell.
    pub(crate) fn whole<T: AnyBitPattern>(&self, id: SectionId) -> Option<&[T]> {
        let section = &self.sections[id.0];
        if !section.is_whole() {
            return None;
        }
        let start = section.entry.offset as usize;
        let bytes = self.map.get(start..start + self.len(id))?;
        bytemuck::try_cast_slice(bytes).ok()
    }

    /// Checks what of a section was not found sound before, up to the first flaw. After that
    /// [`whole`](Self::whole) gives it.
    pub(crate) fn check_all(&self, id: SectionId, cancel: &Cancel) -> Result<()> {
        let section = &self.sections[id.0];
        for chunk in (0..section.chunks()).filter(|chunk| !section.is_sound(*chunk)) {
            cancel.check()?;
            self.check_chunk(id, chunk)?;
        }
        // Another thread may have found the last chunk sound and not have counted it yet.
        section.is_whole.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Reads everything, whether or not that was done before, and gives every chunk that differs
    /// from its checksum.
    pub(crate) fn verify(&self, cancel: &Cancel) -> Result<Vec<Error>> {
        let mut flaws = Vec::new();
        for (at, section) in self.sections.iter().enumerate() {
            for chunk in 0..section.chunks() {
                cancel.check()?;
                flaws.extend(self.check_chunk(SectionId(at), chunk).err());
            }
        }
        Ok(flaws)
    }

    /// Reads one chunk and compares it, whether or not that was done before.
    fn check_chunk(&self, id: SectionId, chunk: usize) -> Result<()> {
        let section = &self.sections[id.0];
        let start = chunk * CHUNK;
        let end = (start + CHUNK).min(self.len(id));
        let base = section.entry.offset as usize;
        let found = self
            .map
            .get(base + start..base + end)
            .map(|b| checksum(&[b]));
        let expected = self.table(id)?.as_chunks::<4>().0.get(chunk);
        if found.is_some() && found == expected.copied().map(u32::from_le_bytes) {
            section.set_sound(chunk);
            return Ok(());
        }
        Err(self.corrupted(id, start, "a checksum differs"))
    }

    /// The checksums of a section, sound.
    fn table(&self, id: SectionId) -> Result<&[u8]> {
        let section = &self.sections[id.0];
        let start = section.entry.table_offset as usize;
        let end = start + table_len(section.entry.len) as usize;
        let table = self.map.get(start..end).unwrap_or_default();
        if !section.table_is_sound.load(Ordering::Relaxed) {
            if checksum(&[table]) != section.entry.table_sum {
                let message = "the checksum of a table of checksums differs";
                return Err(Error::corrupted(&self.name, start as u64, message));
            }
            section.table_is_sound.store(true, Ordering::Relaxed);
        }
        Ok(table)
    }

    /// The error that the directory does not hold what was expected.
    pub(crate) fn corrupted_directory(&self, message: impl fmt::Display) -> Error {
        Error::corrupted(&self.name, self.directory_offset, message)
    }

    /// The error that a section does not hold at byte `at` what was expected.
    pub(crate) fn corrupted(&self, id: SectionId, at: usize, message: impl fmt::Display) -> Error {
        let entry = self.entry(id);
        let offset = entry.offset.saturating_add(at as u64);
        let message = format!("{:?} {}: {message}", entry.kind, entry.number);
        Error::corrupted(&self.name, offset, message)
    }
}

impl<K> Section<K> {
    fn new(entry: SectionEntry<K>) -> Self {
        let chunks = chunks_of(entry.len);
        Self {
            entry,
            table_is_sound: AtomicBool::new(false),
            is_whole: AtomicBool::new(chunks == 0),
            unchecked: AtomicUsize::new(chunks),
            sound: (0..chunks.div_ceil(64))
                .map(|_| AtomicU64::new(0))
                .collect(),
        }
    }

    /// How many there are, sound or not.
    fn chunks(&self) -> usize {
        chunks_of(self.entry.len)
    }

    /// Whether every chunk was found sound. Relaxed, here as below: what is noted of a file guards
    /// nothing but the file, which does not change.
    fn is_whole(&self) -> bool {
        self.is_whole.load(Ordering::Relaxed)
    }

    fn is_sound(&self, chunk: usize) -> bool {
        let bits = self.sound.get(chunk / 64);
        bits.is_some_and(|bits| bits.load(Ordering::Relaxed) & (1 << (chunk % 64)) != 0)
    }

    fn set_sound(&self, chunk: usize) {
        let Some(bits) = self.sound.get(chunk / 64) else {
            return;
        };
        let bit = 1 << (chunk % 64);
        // Who finds the bit unset counts the chunk, so that each is counted once.
        let counts = bits.fetch_or(bit, Ordering::Relaxed) & bit == 0;
        if counts && self.unchecked.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.is_whole.store(true, Ordering::Relaxed);
        }
    }
}

/// The length is bounded by that of the file, which is mapped.
fn chunks_of(section_len: u64) -> usize {
    (section_len as usize).div_ceil(CHUNK)
}
