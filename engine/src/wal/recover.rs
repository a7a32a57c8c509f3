//! Opens a log: reads back every change that was acknowledged, and clears what a crash tore.
//!
//! What it hands on is durable first: a record that the crash left in the page cache alone must
//! not be shown and then lost. The last group is therefore written again before the sync, since
//! its own may have failed, unless the database was closed behind it. A torn end is overwritten
//! with zeros, never truncated, so that a crash in here leaves a torn end again.

use super::{
    change::Change,
    format::{RECORD_HEADER, RecordHeader, file_name, file_number, is_log},
    writer::{CommitError, Wal},
};
use crate::{
    codec::{
        checksum,
        header::{FILE_HEADER, FileHeader, FileKind},
    },
    error::{Error, ErrorKind, Result},
    id::SeqNo,
    vfs::{Vfs, VfsFile},
};
use std::{io, sync::Arc};

/// How much is read at once.
const CHUNK: usize = 1 << 20;

/// Which log files count, and what is known of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// The oldest file that counts.
    pub(crate) first: u64,
    /// All its changes come after this one.
    pub(crate) applied: SeqNo,
    /// A file, and a length that it had durably.
    pub(crate) closed: Option<(u64, u64)>,
}

/// Opens the log among the files `names` of `vfs`, or creates its first file if `plan` is `None`,
/// and gives every change to `apply` in its order. What was applied may be shown only when this
/// returns without an error.
pub(crate) fn open(
    vfs: &dyn Vfs,
    names: &[String],
    plan: Option<Plan>,
    mut apply: impl FnMut(SeqNo, Change) -> Result<()>,
) -> Result<Wal> {
    let Some(plan) = plan else {
        return create(vfs, &file_numbers(names), names);
    };
    let numbers = numbers_that_count(names, plan)?;
    let logs = numbers.iter().map(|number| LogFile::open(vfs, *number));
    let (log, read) = read_files(logs, plan, &mut apply)?;
    let wal = log.recover(&read)?;
    // Its name may be in the cache alone: whoever created it may not have got further.
    sync_dir(vfs)?;
    Ok(wal)
}

/// Where a log ends that was read and not opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail {
    /// The newest file.
    pub(crate) number: u64,
    /// Where its records end.
    pub(crate) end: u64,
    /// The number of the last change.
    pub(crate) last: SeqNo,
}

/// Reads the log as [`open`] does, and writes nothing: what a crash tore is passed over, and so is
/// what a writer appends meanwhile.
pub(crate) fn read(
    vfs: &dyn Vfs,
    names: &[String],
    plan: Plan,
    mut apply: impl FnMut(SeqNo, Change) -> Result<()>,
) -> Result<Tail> {
    let numbers = numbers_that_count(names, plan)?;
    let logs = numbers
        .iter()
        .map(|number| LogFile::open_read(vfs, *number));
    let (log, read) = read_files(logs, plan, &mut apply)?;
    if let Err(error) = log.is_torn(read.end) {
        // A record that is whole now was being written when it was looked at first.
        let record = log.record(read.end, read.last, &mut Vec::new())?;
        record.ok_or(error)?;
    }
    Ok(Tail {
        number: log.number,
        end: read.end,
        last: read.last,
    })
}

fn file_numbers(names: &[String]) -> Vec<u64> {
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| file_number(name)).collect();
    numbers.sort_unstable();
    numbers
}

/// The files from the first that counts on, none of which is missing.
fn numbers_that_count(names: &[String], plan: Plan) -> Result<Vec<u64>> {
    let mut numbers = file_numbers(names);
    numbers.retain(|number| *number >= plan.first);
    let expected = plan.first..;
    match numbers.iter().zip(expected).find(|(n, e)| *n != e) {
        Some((_, missing)) => Err(missing_file(missing)),
        None => Ok(numbers),
    }
}

/// Gives every change of log files that ended to `apply`, from the first that counts up to where
/// the last one was closed, and gives the number of the last. Writes nothing.
pub(crate) fn read_closed(
    vfs: &dyn Vfs,
    plan: Plan,
    mut apply: impl FnMut(SeqNo, Change) -> Result<()>,
) -> Result<SeqNo> {
    let Some((last, end)) = plan.closed else {
        return Err(Error::invalid("the log was not closed"));
    };
    let logs = (plan.first..=last).map(|number| LogFile::open_read(vfs, number));
    let (log, read) = read_files(logs, plan, &mut apply)?;
    if read.end != end {
        let what = format_args!("the records end here; expected them to end at byte {end}");
        return Err(Error::corrupted(&log.name, read.end, what));
    }
    Ok(read.last)
}

/// Reads files one after the other, each of which ends where the next one says. Gives the last.
fn read_files(
    logs: impl Iterator<Item = Result<LogFile>>,
    plan: Plan,
    apply: &mut impl FnMut(SeqNo, Change) -> Result<()>,
) -> Result<(LogFile, Contents)> {
    let mut newest: Option<(LogFile, Contents)> = None;
    for log in logs {
        let log = log?;
        let last = newest.as_ref().map_or(plan.applied, |(_, read)| read.last);
        let mut read = log.read_all(last, apply)?;
        if let Some((before, contents)) = &newest
            && contents.end != read.previous_end
        {
            return Err(before.ends_too_soon(contents.end, read.previous_end));
        }
        if let Some((closed, end)) = plan.closed
            && closed == log.number
        {
            if read.end < end {
                return Err(log.ends_too_soon(read.end, end));
            }
            read.durable = read.durable.max(end);
        }
        newest = Some((log, read));
    }
    let newest = newest.ok_or_else(|| missing_file(plan.first))?;
    match plan.closed {
        Some((closed, _)) if closed > newest.0.number => Err(missing_file(newest.0.number + 1)),
        _ => Ok(newest),
    }
}

fn missing_file(number: u64) -> Error {
    Error::corrupted(&file_name(number), 0, "the file is missing")
}

/// The first file of a database that has no manifest, so that nobody was told of anything.
fn create(vfs: &dyn Vfs, numbers: &[u64], names: &[String]) -> Result<Wal> {
    for number in numbers {
        let log = LogFile::open(vfs, *number)?;
        let mut changes = 0;
        let read = log.read_all(SeqNo(0), &mut |_, _| {
            changes += 1;
            Ok(())
        })?;
        if *number != 1 || changes > 0 {
            return Err(Error::corrupted(
                &log.name,
                read.end,
                "the file is part of a database whose manifest is missing",
            ));
        }
    }
    let logs = names.iter().filter(|name| is_log(name));
    remove_garbage(vfs, logs.map(String::as_str))?;
    Wal::create(vfs, 1, SeqNo(0), (0, 0)).map_err(CommitError::into_error)
}

/// Removes files, durably, so that no later rename can take an old one for the new one of its name.
pub(crate) fn remove_garbage<'a>(
    vfs: &dyn Vfs,
    names: impl Iterator<Item = &'a str>,
) -> Result<()> {
    let mut removed = false;
    for name in names {
        vfs.remove(name)
            .map_err(|error| Error::io(format_args!("removing {name}"), error))?;
        removed = true;
    }
    if removed { sync_dir(vfs) } else { Ok(()) }
}

fn sync_dir(vfs: &dyn Vfs) -> Result<()> {
    vfs.sync_dir()
        .map_err(|error| Error::io("syncing the directory", error))
}

/// What the records of a file say of it.
struct Contents {
    /// How long the file before it is.
    previous_end: u64,
    /// Where the records end.
    end: u64,
    /// The number of the last change.
    last: SeqNo,
    /// How much was durable before the last group, or when the database was closed.
    durable: u64,
}

struct LogFile {
    file: Arc<dyn VfsFile>,
    number: u64,
    name: String,
    len: u64,
    header: FileHeader,
}

impl LogFile {
    fn open(vfs: &dyn Vfs, number: u64) -> Result<Self> {
        Self::opened(number, |name| vfs.open(name))
    }

    fn open_read(vfs: &dyn Vfs, number: u64) -> Result<Self> {
        Self::opened(number, |name| vfs.open_read(name))
    }

    fn opened(
        number: u64,
        open: impl FnOnce(&str) -> io::Result<Arc<dyn VfsFile>>,
    ) -> Result<Self> {
        let name = file_name(number);
        let read = || {
            let file = open(&name)?;
            let len = file.len()?;
            let mut header = [0; FILE_HEADER];
            if len >= FILE_HEADER as u64 {
                file.read_exact_at(&mut header, 0)?;
            }
            Ok((file, len, header))
        };
        let (file, len, header) =
            read().map_err(|error| Error::io(format_args!("opening {name}"), error))?;
        let header = FileHeader::decode(&header, FileKind::Log).map_err(|error| error.of(&name))?;
        Ok(Self {
            file,
            number,
            name,
            len,
            header,
        })
    }

    /// Reads all records, and gives their changes to `apply`.
    fn read_all(
        &self,
        last: SeqNo,
        apply: &mut impl FnMut(SeqNo, Change) -> Result<()>,
    ) -> Result<Contents> {
        let mut end = FILE_HEADER as u64;
        let mut last = last;
        let mut durable = end;
        let mut previous_end = None;
        let mut body = Vec::new();
        while let Some(header) = self.record(end, last, &mut body)? {
            let change =
                Change::decode(&body).map_err(|error| Error::corrupted(&self.name, end, error))?;
            match change {
                Change::Begin { end, .. } => previous_end = Some(end),
                change => apply(header.seq, change).map_err(|error| match error.kind() {
                    ErrorKind::Cancelled | ErrorKind::Timeout(_) | ErrorKind::Corrupted => error,
                    _ => Error::corrupted(&self.name, end, error),
                })?,
            }
            last = header.seq;
            durable = durable.max(header.durable);
            end += header.record_len();
        }
        let previous_end = previous_end.ok_or_else(|| {
            Error::corrupted(&self.name, end, "the file's first record is damaged")
        })?;
        Ok(Contents {
            previous_end,
            end,
            last,
            durable,
        })
    }

    /// Clears what a crash tore, and makes durable what was read.
    fn recover(self, read: &Contents) -> Result<Wal> {
        self.clear(read.end)?;
        self.write_again(read.durable.min(read.end), read.end)?;
        self.file
            .sync()
            .map_err(|error| Error::io(format_args!("syncing {}", self.name), error))?;
        Ok(Wal::at(
            self.file,
            self.number,
            self.header.file_id,
            read.last,
            read.end,
            self.len,
        ))
    }

    fn ends_too_soon(&self, end: u64, expected: u64) -> Error {
        let what = format_args!("the records end here; expected them to reach byte {expected}");
        Error::corrupted(&self.name, end, what)
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
        let follows = header.seq > last && header.seq <= SeqNo::MAX;
        if header.record_len() > self.len - at || !follows {
            return Ok(None);
        }
        body.resize(header.len as usize, 0);
        self.read(body, at + RECORD_HEADER as u64)?;
        Ok((checksum(&[body]) == header.body_sum).then_some(header))
    }

    /// Makes zeros of the torn end of a write that nobody was told of.
    fn clear(&self, end: u64) -> Result<()> {
        if self.is_torn(end)? {
            tracing::warn!(file = %self.name, end, "cleared the torn end of the log");
            for at in (end..self.len).step_by(CHUNK) {
                let len = (self.len - at).min(CHUNK as u64) as usize;
                self.write(&vec![0; len], at)?;
            }
        }
        Ok(())
    }

    /// Whether anything is behind `end` but zeros; an error, when it was durable once.
    fn is_torn(&self, end: u64) -> Result<bool> {
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
        Ok(torn)
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
