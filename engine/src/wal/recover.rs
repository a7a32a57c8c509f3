//! Opens a log: reads back every change that was acknowledged, and clears what a crash tore.
//!
//! What it hands on is durable first: a record that the crash left in the page cache alone must
//! not be shown and then lost. The last group is therefore written again before the sync, since
//! its own may have failed. A torn end is overwritten with zeros, never truncated, so that a
//! crash in here leaves a torn end again.

use super::{
    change::Change,
    format::{
        FILE_HEADER, FORMAT, FileHeader, HeaderError, RECORD_HEADER, RecordHeader, file_name,
        file_number,
    },
    writer::Wal,
};
use crate::{
    codec::checksum,
    error::{Error, ErrorKind, Result},
    id::SeqNo,
    vfs::{Vfs, VfsFile},
};
use std::sync::Arc;

/// How much is read at once.
const CHUNK: usize = 1 << 20;

/// Whether the log is there, or may be created. Writes nothing.
pub(crate) fn check_place(vfs: &dyn Vfs, create: bool) -> Result<()> {
    let names = list(vfs)?;
    if names.iter().any(|name| file_number(name).is_some()) {
        return Ok(());
    }
    if !create {
        return Err(Error::new(
            ErrorKind::NotFound,
            "the directory holds no database, and none was to be created",
        ));
    }
    let stranger = names
        .iter()
        .find(|name| *name != "LOCK" && !is_leftover(name));
    stranger.map_or(Ok(()), |stranger| {
        Err(Error::invalid(format!(
            "the directory holds no database but other files, such as {stranger:?}; \
             expected an empty directory or one that Amphora made"
        )))
    })
}

/// Opens the log in `vfs`, or creates it, and gives every change to `apply` in its order. What
/// was applied may be shown only when this returns without an error.
pub(crate) fn open(
    vfs: &dyn Vfs,
    create: bool,
    mut apply: impl FnMut(SeqNo, Change) -> Result<()>,
) -> Result<Wal> {
    check_place(vfs, create)?;
    let names = list(vfs)?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| file_number(name)).collect();
    numbers.sort_unstable();
    match *numbers {
        [] => {
            remove_leftovers(vfs, &names)?;
            Wal::create(vfs, 1, SeqNo(0))
        }
        [number] => {
            let wal = LogFile::open(vfs, number)?.recover(&mut apply)?;
            // Its name may be in the cache alone: whoever created it may not have got further.
            vfs.sync_dir()
                .map_err(|error| Error::io("syncing the directory", error))?;
            remove_leftovers(vfs, &names)?;
            Ok(wal)
        }
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            format!("the log has {} files; this build reads one", numbers.len()),
        )),
    }
}

fn list(vfs: &dyn Vfs) -> Result<Vec<String>> {
    vfs.list()
        .map_err(|error| Error::io("listing the directory", error))
}

/// Durably, so that no later rename can take an old file for the new one of its name.
fn remove_leftovers(vfs: &dyn Vfs, names: &[String]) -> Result<()> {
    let mut removed = false;
    for name in names.iter().filter(|name| is_leftover(name)) {
        vfs.remove(name)
            .map_err(|error| Error::io(format_args!("removing {name}"), error))?;
        removed = true;
    }
    if removed {
        vfs.sync_dir()
            .map_err(|error| Error::io("syncing the directory", error))?;
    }
    Ok(())
}

/// A file whose creation a crash interrupted: it never had its name.
fn is_leftover(name: &str) -> bool {
    name.strip_suffix(".tmp")
        .is_some_and(|name| file_number(name).is_some())
}

struct LogFile {
    file: Arc<dyn VfsFile>,
    name: String,
    len: u64,
    header: FileHeader,
}

impl LogFile {
    fn open(vfs: &dyn Vfs, number: u64) -> Result<Self> {
        let name = file_name(number);
        let read = || {
            let file = vfs.open(&name)?;
            let len = file.len()?;
            let mut header = [0; FILE_HEADER];
            if len >= FILE_HEADER as u64 {
                file.read_exact_at(&mut header, 0)?;
            }
            Ok((file, len, header))
        };
        let (file, len, header) =
            read().map_err(|error| Error::io(format_args!("opening {name}"), error))?;
        let header = FileHeader::decode(&header).map_err(|error| match error {
            HeaderError::Newer(format) => Error::new(
                ErrorKind::Unsupported,
                format!("{name} has format {format}; this build reads up to {FORMAT}"),
            ),
            HeaderError::NotALog => Error::corrupted(&name, 0, "expected the header of a log"),
            HeaderError::Damaged => Error::corrupted(&name, 0, "the header's checksum differs"),
        })?;
        Ok(Self {
            file,
            name,
            len,
            header,
        })
    }

    fn recover(self, apply: &mut impl FnMut(SeqNo, Change) -> Result<()>) -> Result<Wal> {
        let mut end = FILE_HEADER as u64;
        let mut last = SeqNo(0);
        let mut durable = end;
        let mut body = Vec::new();
        while let Some(header) = self.record(end, last, &mut body)? {
            let change =
                Change::decode(&body).map_err(|error| Error::corrupted(&self.name, end, error))?;
            apply(header.seq, change).map_err(|error| match error.kind() {
                ErrorKind::Cancelled | ErrorKind::Timeout(_) => error,
                _ => Error::corrupted(&self.name, end, error),
            })?;
            last = header.seq;
            durable = durable.max(header.durable);
            end += header.record_len();
        }
        self.clear(end)?;
        self.write_again(durable.min(end), end)?;
        self.file
            .sync()
            .map_err(|error| Error::io(format_args!("syncing {}", self.name), error))?;
        Ok(Wal::at(
            self.file,
            self.name,
            self.header.file_id,
            last,
            end,
            self.len,
        ))
    }

    /// The record at `at` with its body, if there is a whole one.
    fn record(&self, at: u64, last: SeqNo, body: &mut Vec<u8>) -> Result<Option<RecordHeader>> {
        let mut bytes = [0; RECORD_HEADER];
        if self.len.saturating_sub(at) < RECORD_HEADER as u64 {
            return Ok(None);
        }
        self.read(&mut bytes, at)?;
        let Some(header) = RecordHeader::decode(&bytes, self.header.file_id) else {
            return Ok(None);
        };
        // A smaller number is left from a group that failed to be written.
        if header.record_len() > self.len - at || header.seq <= last {
            return Ok(None);
        }
        body.resize(header.len as usize, 0);
        self.read(body, at + RECORD_HEADER as u64)?;
        Ok((checksum(&[body]) == header.body_sum).then_some(header))
    }

    /// Everything from `end` on is zeros, or the torn end of a write that nobody was told of, and
    /// then made zeros; or an error, when it was durable once.
    fn clear(&self, end: u64) -> Result<()> {
        let mut chunk = Vec::new();
        let mut torn = false;
        // Chunks overlap by a header, so that none is missed at a border.
        let step = (CHUNK - RECORD_HEADER) as u64;
        for at in (end..self.len).step_by(step as usize) {
            chunk.resize((self.len - at).min(CHUNK as u64) as usize, 0);
            self.read(&mut chunk, at)?;
            if chunk.iter().all(|byte| *byte == 0) {
                continue;
            }
            torn = true;
            for offset in (0..chunk.len().saturating_sub(RECORD_HEADER - 1)).step_by(8) {
                let Some((header, _)) = chunk[offset..].split_first_chunk() else {
                    continue;
                };
                let found = RecordHeader::decode(header, self.header.file_id);
                if found.is_some_and(|header| header.durable > end) {
                    return Err(Error::corrupted(
                        &self.name,
                        end,
                        format_args!(
                            "a record is damaged, and a later one at byte {} is not",
                            at + offset as u64
                        ),
                    ));
                }
            }
        }
        if torn {
            tracing::warn!(file = %self.name, end, "cleared the torn end of the log");
            for at in (end..self.len).step_by(CHUNK) {
                let len = (self.len - at).min(CHUNK as u64) as usize;
                self.write(&vec![0; len], at)?;
            }
        }
        Ok(())
    }

    /// Writes the last group over itself. If its sync failed, the system may hold it in memory and
    /// believe it to be on the disk, so that a sync alone would do nothing.
    fn write_again(&self, start: u64, end: u64) -> Result<()> {
        let mut chunk = Vec::new();
        for at in (start..end).step_by(CHUNK) {
            chunk.resize((end - at).min(CHUNK as u64) as usize, 0);
            self.read(&mut chunk, at)?;
            self.write(&chunk, at)?;
        }
        Ok(())
    }

    fn write(&self, bytes: &[u8], at: u64) -> Result<()> {
        self.file.write_all_at(bytes, at).map_err(|error| {
            let what = format_args!("writing {} at byte {at}", self.name);
            Error::io(what, error)
        })
    }

    fn read(&self, buffer: &mut [u8], at: u64) -> Result<()> {
        self.file
            .read_exact_at(buffer, at)
            .map_err(|error| Error::io(format_args!("reading {} at byte {at}", self.name), error))
    }
}
