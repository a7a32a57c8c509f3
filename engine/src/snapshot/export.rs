//! Writing a snapshot as one portable file, which has its name only when it is whole.

use super::{
    copy::{copy, open},
    format::{HEAD, Head, Kind},
    fresh::sync_dir,
};
use crate::{
    cancel::Cancel,
    codec::{
        Checksum, checksum,
        header::{FILE_HEADER, FileHeader, FileKind},
    },
    error::{Error, ErrorKind, Result},
    manifest::{self, SnapshotRecord, deletes_name, segment_name},
    vfs::{Vfs, VfsFile, directory_of},
    wal,
};
use std::path::Path;

/// Writes a snapshot of the database in `source` to the new file at `path`.
pub(crate) fn export(
    source: &dyn Vfs,
    snapshot: &SnapshotRecord,
    path: &Path,
    cancel: &Cancel,
) -> Result<()> {
    let exporting = || {
        let (target, name) = directory_of(path)?;
        check_unused(&target, &name)?;
        let file_id = target.unique();
        let temporary = format!("{name}.{file_id:016x}.tmp");
        let written = write(source, snapshot, &target, &temporary, file_id, cancel);
        let named = written.and_then(|()| {
            check_unused(&target, &name)?;
            let named = target.rename(&temporary, &name);
            named.map_err(|error| Error::io(format_args!("renaming {temporary}"), error))
        });
        if named.is_err() {
            let _ = target.remove(&temporary);
        }
        named?;
        sync_dir(&target)
    };
    exporting().map_err(|error| error.context(format_args!("exporting to {}", path.display())))
}

fn check_unused(target: &dyn Vfs, name: &str) -> Result<()> {
    let names = target.list();
    let names = names.map_err(|error| Error::io("listing the directory", error))?;
    if names.iter().any(|found| found == name) {
        return Err(Error::new(
            ErrorKind::AlreadyExists,
            "the file exists; it is not overwritten",
        ));
    }
    Ok(())
}

fn write(
    source: &dyn Vfs,
    snapshot: &SnapshotRecord,
    target: &dyn Vfs,
    name: &str,
    file_id: u64,
    cancel: &Cancel,
) -> Result<()> {
    let file = target
        .create(name)
        .map_err(|error| Error::io(format_args!("creating {name}"), error))?;
    let mut output = Output {
        file: &*file,
        file_id,
        at: 0,
        entries: 0,
        heads: Checksum::default(),
    };
    let mut manifest = snapshot.manifest();
    // Indexes, and columns that came later, are built anew where it goes.
    let segments = manifest
        .collections
        .iter_mut()
        .flat_map(|c| &mut c.segments);
    segments.for_each(|segment| {
        segment.indexes.clear();
        segment.columns = None;
    });
    output.begin(&manifest::encode(&manifest, file_id)?)?;
    for number in snapshot.logs() {
        let ends = (number == snapshot.log_end.log).then_some(snapshot.log_end.end);
        let name = wal::log_name(number);
        output.take(Kind::Log, number, source, &name, ends, cancel)?;
    }
    for files in snapshot.collections.iter().flat_map(|c| &c.segments) {
        let name = segment_name(files.file);
        if files.missed.is_some() {
            let what =
                "it was damaged when the snapshot was made, which can go to a directory alone";
            return Err(Error::corrupted(&name, 0, what));
        }
        output.take(Kind::Segment, files.file, source, &name, None, cancel)?;
        if let Some(deletes) = files.deletes {
            let name = deletes_name(deletes.file);
            output.take(Kind::Deletes, deletes.file, source, &name, None, cancel)?;
        }
    }
    output.end()
}

/// A portable file being written.
struct Output<'a> {
    file: &'a dyn VfsFile,
    file_id: u64,
    at: u64,
    entries: u64,
    heads: Checksum,
}

impl Output<'_> {
    /// Writes the header, and the manifest as the first entry.
    fn begin(&mut self, manifest: &[u8]) -> Result<()> {
        let header = FileHeader {
            kind: FileKind::Portable,
            file_id: self.file_id,
        };
        self.put(&header.encode(), 0)?;
        self.at = FILE_HEADER as u64;
        self.put(manifest, self.at + HEAD as u64)?;
        self.head(Head {
            kind: Kind::Manifest,
            number: 1,
            len: manifest.len() as u64,
            sum: checksum(&[manifest]),
        })
    }

    /// Adds the first `len` bytes of a file, or all.
    fn take(
        &mut self,
        kind: Kind,
        number: u64,
        source: &dyn Vfs,
        name: &str,
        len: Option<u64>,
        cancel: &Cancel,
    ) -> Result<()> {
        let (file, len) = open(source, name, len)?;
        let sum = copy(&*file, 0..len, self.file, self.at + HEAD as u64, cancel)
            .map_err(|error| error.context(format_args!("copying {name}")))?;
        self.head(Head {
            kind,
            number,
            len,
            sum,
        })
    }

    /// Writes the end record, and makes the file durable.
    fn end(&mut self) -> Result<()> {
        let end = Head {
            kind: Kind::End,
            number: self.entries,
            len: 0,
            sum: self.heads.clone().finish(),
        };
        self.head(end)?;
        self.file
            .sync()
            .map_err(|error| Error::io("syncing the file", error))
    }

    /// Writes the head of an entry before its bytes, and goes on behind them.
    fn head(&mut self, head: Head) -> Result<()> {
        let bytes = head.encode(self.file_id);
        self.put(&bytes, self.at)?;
        self.heads.update(&bytes);
        self.entries += 1;
        self.at += HEAD as u64 + head.len;
        Ok(())
    }

    fn put(&self, bytes: &[u8], at: u64) -> Result<()> {
        self.file
            .write_all_at(bytes, at)
            .map_err(|error| Error::io("writing", error))
    }
}
