//! A file's content as one slice of bytes, read on touch where the system maps files.
//!
//! The only unsafe code of the host layer: a map is a slice only as long as nobody changes the
//! file. It never writes through a map, and never maps a file that is still being written.

#![expect(
    unsafe_code,
    reason = "mapping a file is unsafe; see the one block below"
)]

use super::VfsFile;
use std::{fmt, fs::File, io, ops::Deref};

/// The whole content of a file that is never written again. It starts at an address that is a
/// multiple of 8, so that aligned numbers in it can be read in place.
pub struct Map(Content);

enum Content {
    Mapped(memmap2::Mmap),
    /// Whole words, for their alignment; the file ends after `len` bytes.
    Copied {
        words: Vec<u64>,
        len: usize,
    },
}

/// How a map is about to be read: a hint, by which nothing but the speed changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// As most files are: the system reads somewhat ahead.
    Normal,
    /// Here and there: reading ahead would be for nothing.
    Random,
    /// From the start to the end, soon.
    Sequential,
}

impl Map {
    /// The content of `file` read into memory, for a [`Vfs`](super::Vfs) that cannot map.
    ///
    /// # Errors
    /// What reading reports, or that there is not enough memory.
    pub fn copy_of(file: &(impl VfsFile + ?Sized)) -> io::Result<Self> {
        let len = usize::try_from(file.len()?).map_err(io::Error::other)?;
        let mut words = Vec::new();
        let count = len.div_ceil(size_of::<u64>());
        words.try_reserve_exact(count).map_err(io::Error::other)?;
        words.resize(count, 0u64);
        file.read_exact_at(&mut bytemuck::cast_slice_mut(&mut words)[..len], 0)?;
        Ok(Self(Content::Copied { words, len }))
    }

    /// Maps `file`, which the engine has finished writing.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        // SAFETY: the bytes must not change while they are borrowed. Files are mapped only once
        // they are complete, and the engine neither writes to such a file nor truncates it until
        // it is removed, which leaves maps of it intact. Other users cannot: the directory is
        // 0700 and its files 0600. Other processes do not: one at a time holds the directory's
        // lock, and those that read beside it write nothing. What is read is checked as bytes, and taken for nothing but plain numbers.
        let map = unsafe { memmap2::Mmap::map(file) }?;
        Ok(Self(Content::Mapped(map)))
    }

    /// Says how the map is about to be read. A system that does not listen is no error.
    pub fn advise(&self, advice: Advice) {
        #[cfg(unix)]
        if let Content::Mapped(map) = &self.0 {
            let _ = map.advise(match advice {
                Advice::Normal => memmap2::Advice::Normal,
                Advice::Random => memmap2::Advice::Random,
                Advice::Sequential => memmap2::Advice::Sequential,
            });
        }
        #[cfg(not(unix))]
        let _ = advice;
    }
}

impl Deref for Map {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Content::Mapped(map) => map,
            Content::Copied { words, len } => &bytemuck::cast_slice(words)[..*len],
        }
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Content::Mapped(_) => "mapped",
            Content::Copied { .. } => "copied",
        };
        write!(f, "Map({kind}, {} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::{DiskVfs, MemoryVfs, Vfs};

    #[test]
    fn a_map_holds_what_was_written_and_is_aligned_on_disk_and_in_memory() {
        let path = std::env::temp_dir().join(format!("amphora-map-{}", std::process::id()));
        let disk = DiskVfs::open(&path, true).unwrap();
        let memory = MemoryVfs::new();
        for vfs in [&disk as &dyn Vfs, &memory] {
            for len in [0, 1, 7, 8, 9, 5_000] {
                let name = format!("file-{len}");
                let content: Vec<u8> = (0..len).map(|at| at as u8).collect();
                let file = vfs.create(&name).unwrap();
                file.write_all_at(&content, 0).unwrap();
                let map = vfs.open_read(&name).unwrap().map().unwrap();
                map.advise(Advice::Random);
                assert_eq!(*map, *content);
                assert_eq!(map.as_ptr().addr() % 8, 0);
            }
        }
        let read_only = disk.open_read("file-8").unwrap();
        assert!(read_only.write_all_at(b"x", 0).is_err());
        std::fs::remove_dir_all(path).unwrap();
    }
}
