//! The switch of the manifest: from one set of live files to the next.
//!
//! Before it, the rows that ended up to the last change that the segments hold are written for
//! each segment that has more of them than its file says, and for one that cannot be read the ids
//! that it has missed; after it, files that are no longer named
//! are removed. Runs on a lane, one at a time.

use crate::{
    error::{Error, Result},
    id::{PointId, SeqNo},
    manifest::{self, DeletesFile, Manifest, SegmentFiles, WriteError, deletes_name, missed_name},
    segment,
    vfs::Vfs,
    view::OpenSegment,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

pub(super) struct Switch {
    pub(super) vfs: Arc<dyn Vfs>,
    pub(super) before: Manifest,
    /// The manifest to be, but for its number, and the files of ended rows.
    pub(super) next: Manifest,
    /// All segments that it names, and perhaps others.
    pub(super) segments: Vec<Arc<OpenSegment>>,
    /// Of each that is not read, by its file, the ids that have ended in it.
    pub(super) missed: BTreeMap<u64, Vec<PointId>>,
    pub(super) next_file: Arc<AtomicU64>,
    /// Files that are of no use without it.
    pub(super) written: Vec<String>,
}

/// How a switch ended.
#[derive(Debug)]
pub(super) enum Switched {
    Done(Manifest),
    /// The manifest is as before.
    NotDone(Error),
    /// Either may be found when the database is opened again.
    Unknown(Error),
}

pub(super) fn switch(work: Switch) -> Result<Switched> {
    let Switch {
        vfs,
        before,
        mut next,
        segments,
        missed,
        next_file,
        mut written,
    } = work;
    let open: BTreeMap<u64, &OpenSegment> = segments.iter().map(|s| (s.file, &**s)).collect();
    let applied = next.applied;
    for files in next.collections.iter_mut().flat_map(|c| &mut c.segments) {
        // Neither is known of a collection that was deleted since: the log says so.
        let mut note = || {
            if let Some(segment) = open.get(&files.file) {
                written.extend(write_deletes(&*vfs, segment, files, applied, &next_file)?);
                // What it missed before is among them.
                files.missed = files.missed.filter(|_| missed.contains_key(&files.file));
            }
            if let Some(ids) = missed.get(&files.file) {
                written.extend(write_missed(&*vfs, ids, files, &next_file)?);
            }
            Ok(())
        };
        if let Err(error) = note() {
            return Ok(not_done(&*vfs, &written, error));
        }
    }
    next.number = before.number + 1;
    next.next_file = next_file.load(Ordering::Relaxed);
    match manifest::write(&*vfs, &next) {
        Ok(()) => {}
        Err(WriteError::NotNamed(error)) => return Ok(not_done(&*vfs, &written, error)),
        Err(WriteError::Unknown(error)) => return Ok(Switched::Unknown(error)),
    }
    for name in before.dropped_by(&next) {
        // Nothing names it: if it stays, the next opening removes it.
        if let Err(error) = vfs.remove(&name) {
            tracing::debug!(%error, file = name, "an old file stays");
        }
    }
    Ok(Switched::Done(next))
}

/// Takes back what was written for a manifest that was not.
fn not_done(vfs: &dyn Vfs, written: &[String], error: Error) -> Switched {
    for name in written {
        let _ = vfs.remove(name);
    }
    Switched::NotDone(error)
}

/// Writes which rows have ended by `applied`, if the manifest does not name a file that says so.
fn write_deletes(
    vfs: &dyn Vfs,
    segment: &OpenSegment,
    files: &mut SegmentFiles,
    applied: SeqNo,
    next_file: &AtomicU64,
) -> Result<Option<String>> {
    let known = files.deletes.map_or(0, |deletes| deletes.rows);
    if segment.deletes.ended_count() == known {
        return Ok(None);
    }
    let rows = segment.deletes.count_at(applied);
    if rows == known {
        return Ok(None);
    }
    let file = next_file.fetch_add(1, Ordering::Relaxed);
    let name = deletes_name(file);
    segment::write_deletes(
        vfs,
        &name,
        segment.segment.file_id(),
        segment.segment.rows(),
        segment.deletes.iter_ended_at(applied),
    )?;
    files.deletes = Some(DeletesFile { file, rows });
    Ok(Some(name))
}

/// Writes which ids have ended in a segment that is not read, if there are any.
fn write_missed(
    vfs: &dyn Vfs,
    ids: &[PointId],
    files: &mut SegmentFiles,
    next_file: &AtomicU64,
) -> Result<Option<String>> {
    if ids.is_empty() {
        return Ok(None);
    }
    let number = next_file.fetch_add(1, Ordering::Relaxed);
    let name = missed_name(number);
    segment::write_missed(vfs, &name, files.file, ids)?;
    files.missed = Some(number);
    Ok(Some(name))
}
