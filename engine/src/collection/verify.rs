//! Reading everything that counts once more, to find what is damaged before it is needed.
//!
//! It runs beside writes and merges and holds up neither: files are opened anew, by the newest
//! manifest. A switch may take them away meanwhile; what seems wrong is therefore believed only
//! when no switch came in between, and is looked at again otherwise. It changes nothing.

use super::{
    load::{missing, open_segment, plan},
    open::list,
    state::State,
};
use crate::{
    cancel::Cancel,
    error::{Error, ErrorKind, Result},
    id::SeqNo,
    manifest::{
        self, Manifest, SegmentFiles, SnapshotRecord, columns_name, index_name, missed_name,
    },
    segment,
    shape::Shape,
    vfs::Vfs,
    view::OpenSegment,
    wal::{self, Plan},
};
use std::collections::BTreeSet;

/// What [`Database::verify`](crate::Database::verify) read and found.
#[derive(Clone, Debug, Default)]
pub struct Verification {
    /// Files that were read: the manifest, the logs, segments, and what belongs to them.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// All that is wrong, with its [location](Error::location); of a log the first damage alone,
    /// since what follows it cannot be told apart. Empty when all is well.
    pub damaged: Vec<Error>,
}

struct Verifier<'a> {
    vfs: &'a dyn Vfs,
    cancel: &'a Cancel,
    /// Segments that were found sound, with what belongs to them.
    sound: BTreeSet<String>,
    /// Segments that were looked at in this round, and files that were counted: snapshots share
    /// them with what is live.
    seen: BTreeSet<String>,
    counted: BTreeSet<String>,
    found: Verification,
}

/// Reads everything. An error says that it could not, not that something is damaged.
pub(super) fn verify(vfs: &dyn Vfs, state: &State, cancel: &Cancel) -> Result<Verification> {
    let mut verifier = Verifier {
        vfs,
        cancel,
        sound: BTreeSet::new(),
        seen: BTreeSet::new(),
        counted: BTreeSet::new(),
        found: Verification::default(),
    };
    loop {
        cancel.check()?;
        // Asked before the files are: what they hold can only be more.
        let written = state.log_end();
        let names = list(vfs)?;
        let number = manifest::newest(&names);
        let known = Some((written.log, written.end));
        let damaged = verifier.round(&names, known)?;
        if damaged.is_empty() || manifest::newest(&list(vfs)?) == number {
            return Ok(Verification {
                damaged,
                ..verifier.found
            });
        }
    }
}

impl Verifier<'_> {
    /// Reads what the newest manifest names, for its snapshots too, and is not known to be sound.
    fn round(&mut self, names: &[String], written: Option<(u64, u64)>) -> Result<Vec<Error>> {
        self.found = Verification::default();
        self.seen.clear();
        self.counted.clear();
        let manifest = match manifest::read_newest(self.vfs, names) {
            Ok(Some(manifest)) => manifest,
            Ok(None) => return Ok(vec![missing("the manifest")]),
            Err(error) => return damage(error),
        };
        self.count(names.iter().filter(|name| manifest.is_file(name)))?;
        let mut damaged = Vec::new();
        let snapshots = manifest.snapshots.iter().map(SnapshotRecord::manifest);
        let snapshots: Vec<Manifest> = snapshots.collect();
        for manifest in [&manifest].into_iter().chain(&snapshots) {
            for collection in &manifest.collections {
                for files in &collection.segments {
                    damaged.extend(self.segment(files, &collection.shape, manifest.applied)?);
                }
            }
        }
        damaged.extend(self.log(names, &manifest, written)?);
        for snapshot in &snapshots {
            damaged.extend(self.closed_log(snapshot)?);
        }
        Ok(damaged)
    }

    fn segment(
        &mut self,
        files: &SegmentFiles,
        shape: &Shape,
        applied: SeqNo,
    ) -> Result<Vec<Error>> {
        self.cancel.check()?;
        let names = files.names();
        self.count(names.iter())?;
        // What belongs to it changes while it stays: they are one with it.
        let key = names.join(" ");
        if self.sound.contains(&key) || !self.seen.insert(key.clone()) {
            return Ok(Vec::new());
        }
        let mut flaws = match open_segment(self.vfs, files, shape, applied) {
            Ok(open) => self.opened(&open, files, shape)?,
            Err(error) => damage(error)?,
        };
        if let Some(name) = files.missed.map(missed_name)
            && let Err(error) = segment::read_missed(self.vfs, &name, files.file)
        {
            flaws.extend(damage(error)?);
        }
        if flaws.is_empty() {
            self.sound.insert(key);
        }
        Ok(flaws)
    }

    /// Reads a segment, the indexes over its vectors, and the columns beside it.
    fn opened(
        &self,
        open: &OpenSegment,
        files: &SegmentFiles,
        shape: &Shape,
    ) -> Result<Vec<Error>> {
        let mut flaws = open.segment.verify(self.cancel)?;
        for (_, number, _) in shape.vectors() {
            let Some(file) = files.indexes.get(&number) else {
                continue;
            };
            match open.indexes.get(number) {
                Some(index) => flaws.extend(index.verify(self.cancel)?),
                None => {
                    let what = "the index is missing or damaged";
                    flaws.push(Error::corrupted(&index_name(*file), 0, what));
                }
            }
        }
        if let Some(file) = files.columns {
            match open.late.get().columns() {
                Some(columns) => flaws.extend(columns.verify(self.cancel)?),
                None => {
                    let what = "the file of columns is missing or damaged";
                    flaws.push(Error::corrupted(&columns_name(file), 0, what));
                }
            }
        }
        Ok(flaws)
    }

    fn log(
        &mut self,
        names: &[String],
        manifest: &Manifest,
        written: Option<(u64, u64)>,
    ) -> Result<Vec<Error>> {
        let logs = |name: &&String| wal::log_number(name).is_some_and(|n| n >= manifest.first_log);
        self.count(names.iter().filter(logs))?;
        let plan = Plan {
            closed: written,
            ..plan(manifest)
        };
        let read = wal::read(self.vfs, names, plan, |_, _| self.cancel.check());
        read.map_or_else(damage, |_| Ok(Vec::new()))
    }

    fn closed_log(&mut self, snapshot: &Manifest) -> Result<Vec<Error>> {
        let plan = plan(snapshot);
        let last = plan.closed.map_or(plan.first, |(last, _)| last);
        let names: Vec<String> = (plan.first..=last).map(wal::log_name).collect();
        self.count(names.iter())?;
        let read = wal::read_closed(self.vfs, plan, |_, _| self.cancel.check());
        read.map_or_else(damage, |_| Ok(Vec::new()))
    }

    /// Counts files; one that is missing is found to be so by whoever reads it.
    fn count<'a>(&mut self, names: impl Iterator<Item = &'a String>) -> Result<()> {
        for name in names {
            if !self.counted.insert(name.clone()) {
                continue;
            }
            self.found.files += 1;
            match self.vfs.open_read(name).and_then(|file| file.len()) {
                Ok(len) => self.found.bytes += len,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io(format_args!("opening {name}"), error)),
            }
        }
        Ok(())
    }
}

/// The error as something found, if it tells of a file and not of this attempt to read it.
fn damage(error: Error) -> Result<Vec<Error>> {
    match error.kind() {
        ErrorKind::Corrupted | ErrorKind::NotFound | ErrorKind::Unsupported => Ok(vec![error]),
        _ => Err(error),
    }
}
