//! Writes sections one after the other, with their checksums, and closes the file with the
//! directory and the footer.
//!
//! Holds one buffer and four bytes for every 16 KiB written; it never reads back and never syncs
//! the directory.

use super::format::{
    CHUNK, Directory, FOOTER, Footer, SectionEntry, SectionKind, aligned, directory_sum,
};
use crate::{
    cancel::Cancel,
    codec::{
        checksum,
        header::{FILE_HEADER, FileHeader},
        put_u32,
    },
    error::{Error, Result},
    vfs::VfsFile,
};
use std::sync::Arc;

/// How much is written at once: whole chunks, so that each lies in one buffer.
const BUFFER: usize = 64 * CHUNK;

/// A file being written, whose sections are of the kinds `K`.
pub(crate) struct Output<'a, K> {
    file: Arc<dyn VfsFile>,
    name: &'a str,
    cancel: &'a Cancel,
    pub(crate) file_id: u64,
    /// What of the open section was not written yet.
    buffer: Vec<u8>,
    /// Where the buffer belongs.
    at: u64,
    sections: Vec<SectionEntry<K>>,
    /// The checksum of every chunk so far.
    tables: Vec<Vec<u32>>,
}

impl<'a, K: SectionKind> Output<'a, K> {
    /// Starts the new and empty `file` of this `name`.
    pub(crate) fn new(
        file: Arc<dyn VfsFile>,
        name: &'a str,
        file_id: u64,
        cancel: &'a Cancel,
    ) -> Result<Self> {
        let header = FileHeader {
            kind: K::FILE,
            file_id,
        };
        let mut output = Self {
            file,
            name,
            cancel,
            file_id,
            buffer: Vec::with_capacity(BUFFER),
            at: 0,
            sections: Vec::new(),
            tables: Vec::new(),
        };
        output.write(&header.encode())?;
        Ok(output)
    }

    /// Starts the section `number` of its kind, which ends where the next one starts.
    pub(crate) fn begin(&mut self, kind: K, number: u32) -> Result<()> {
        self.end()?;
        let offset = aligned(self.at).ok_or_else(too_large)?;
        let padding = [0; 64];
        self.write(&padding[..(offset - self.at) as usize])?;
        self.sections.push(SectionEntry {
            kind,
            number,
            offset,
            len: 0,
            table_offset: 0,
            table_sum: 0,
        });
        self.tables.push(Vec::new());
        Ok(())
    }

    /// Whether to go on, asked at every row and answered at some, and at every write.
    pub(crate) fn check_at(&self, row: u32) -> Result<()> {
        self.cancel.check_at(row)
    }

    /// Adds to the open section.
    pub(crate) fn put(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let room = BUFFER - self.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == BUFFER {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Ends the file and syncs it. `extra` is the owner's own, kept in the directory. Gives the
    /// length of the file; its name is the caller's to make durable.
    pub(crate) fn finish(mut self, rows: u32, extra: Vec<u8>) -> Result<u64> {
        self.end()?;
        for (section, table) in self.sections.iter_mut().zip(&self.tables) {
            let mut bytes = Vec::with_capacity(table.len() * 4);
            table.iter().for_each(|sum| put_u32(&mut bytes, *sum));
            section.table_offset = self.at;
            section.table_sum = checksum(&[&bytes]);
            write(&*self.file, self.name, &mut self.at, &bytes)?;
        }
        let directory = Directory {
            extra,
            sections: std::mem::take(&mut self.sections),
        }
        .encode();
        let footer = Footer {
            directory_offset: self.at,
            directory_len: directory.len() as u32,
            directory_sum: directory_sum(&directory, self.file_id),
            rows,
            file_id: self.file_id,
            file_len: self.at + (directory.len() + FOOTER) as u64,
        };
        self.write(&directory)?;
        self.write(&footer.encode())?;
        debug_assert_eq!(self.at, footer.file_len);
        debug_assert!(Directory::<K>::decode(&directory, &footer).is_ok());
        self.cancel.check()?;
        self.file
            .sync()
            .map_err(|error| Error::io(format_args!("syncing {}", self.name), error))?;
        Ok(self.at)
    }

    fn end(&mut self) -> Result<()> {
        self.flush()?;
        debug_assert!(self.at >= FILE_HEADER as u64);
        if let Some(section) = self.sections.last_mut() {
            section.len = self.at - section.offset;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.cancel.check()?;
        if let Some(table) = self.tables.last_mut() {
            table.extend(self.buffer.chunks(CHUNK).map(|chunk| checksum(&[chunk])));
        }
        write(&*self.file, self.name, &mut self.at, &self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        write(&*self.file, self.name, &mut self.at, bytes)
    }
}

fn write(file: &dyn VfsFile, name: &str, at: &mut u64, bytes: &[u8]) -> Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let end = at.checked_add(bytes.len() as u64).ok_or_else(too_large)?;
    file.write_all_at(bytes, *at)
        .map_err(|error| Error::io(format_args!("writing {name}"), error))?;
    *at = end;
    Ok(())
}

fn too_large() -> Error {
    Error::invalid("sections are larger than a file can be")
}
