//! Which files are live: the one commit point of flushes, merges and everything else that
//! replaces files.
//!
//! A manifest is a small file that is written whole, synced, and then given its name; the highest
//! number counts. Files that it does not name are garbage, whoever left them. What it names was
//! durable before, directory entries included, and is removed only when a manifest without it is
//! durable. What a snapshot names counts as named.

mod file;
mod snapshot;

pub(crate) use file::{MAX_BYTES, WriteError, decode, encode, newest, read_newest, write};
pub(crate) use snapshot::{About, SnapshotRecord};

use crate::{
    error::{Error, ErrorKind, Result},
    expiry::Expiry,
    id::{CollectionId, SeqNo},
    schema::check_name,
    shape::Shape,
    wal,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// No file comes to have a larger number.
const MAX_NUMBER: u64 = 1 << 62;

/// The live files, and what must be known to read them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// Its number, and that of its file.
    pub(crate) number: u64,
    /// The last change that the segments hold; later ones are in the log.
    pub(crate) applied: SeqNo,
    /// The oldest log file whose changes the segments do not hold.
    pub(crate) first_log: u64,
    /// The log file and its length when the database was closed, or was last known to end.
    pub(crate) closed: Option<LogEnd>,
    /// The number of the next file to be created; numbers are never used twice.
    pub(crate) next_file: u64,
    /// The number that the next collection gets.
    pub(crate) next_collection: CollectionId,
    /// The collections as of `applied`.
    pub(crate) collections: Vec<CollectionFiles>,
    /// The aliases likewise.
    #[serde(default)]
    pub(crate) aliases: BTreeMap<String, CollectionId>,
    /// What can be gone back to, the oldest first.
    #[serde(default)]
    pub(crate) snapshots: Vec<SnapshotRecord>,
}

/// A length that a log file had durably.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogEnd {
    pub(crate) log: u64,
    pub(crate) end: u64,
}

/// A collection and its segments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CollectionFiles {
    pub(crate) id: CollectionId,
    pub(crate) name: String,
    pub(crate) shape: Shape,
    pub(crate) segments: Vec<SegmentFiles>,
}

/// A segment: its file, the file of the rows that have ended in it, its indexes, and the columns that
/// were made later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SegmentFiles {
    pub(crate) file: u64,
    pub(crate) rows: u32,
    pub(crate) bytes: u64,
    /// Rows that have ended; none without a file.
    pub(crate) deletes: Option<DeletesFile>,
    /// When the first row expires.
    #[serde(default)]
    pub(crate) first_expiry: Expiry,
    /// The number of the file of ids that ended while it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) missed: Option<u64>,
    /// By the number of the vector that each is over.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) indexes: BTreeMap<u32, u64>,
    /// The number of the file of columns that its own file lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) columns: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeletesFile {
    pub(crate) file: u64,
    pub(crate) rows: u32,
}

impl Manifest {
    /// A manifest of a database that holds nothing.
    pub(crate) fn empty() -> Self {
        Self {
            number: 1,
            first_log: 1,
            next_file: 1,
            ..Self::default()
        }
    }

    /// The names of all files that it and its snapshots name, logs apart.
    pub(crate) fn files(&self) -> BTreeSet<String> {
        let pinned = self.snapshots.iter().flat_map(|s| &s.collections);
        let collections = self.collections.iter().chain(pinned);
        collections.flat_map(CollectionFiles::names).collect()
    }

    /// The files that are read when the database is opened: the log's among the files `names` of the
    /// directory, which die first, and those of the collections.
    pub(crate) fn read_at_opening(&self, names: &[String]) -> Vec<String> {
        let counts = |name: &&String| wal::log_number(name).is_some_and(|n| n >= self.first_log);
        let logs = names.iter().filter(counts).cloned();
        let collections = self.collections.iter().flat_map(CollectionFiles::names);
        logs.chain(collections).collect()
    }

    /// Whether the log file of this number counts, or a snapshot names it.
    pub(crate) fn keeps_log(&self, number: u64) -> bool {
        let mut pinned = self.snapshots.iter().map(SnapshotRecord::logs);
        number >= self.first_log || pinned.any(|logs| logs.contains(&number))
    }

    /// The snapshot of this name.
    pub(crate) fn snapshot(&self, name: &str) -> Option<&SnapshotRecord> {
        self.snapshots.iter().find(|snapshot| snapshot.name == name)
    }

    /// The files that this manifest named and `next` does not, logs included.
    pub(crate) fn dropped_by(&self, next: &Self) -> BTreeSet<String> {
        let kept = next.files();
        let files = self.files().into_iter().filter(|name| !kept.contains(name));
        let pinned = self.snapshots.iter().flat_map(SnapshotRecord::logs);
        let logs = (self.first_log..next.first_log).chain(pinned);
        let logs = logs.filter(|number| !next.keeps_log(*number));
        files.chain(logs.map(wal::log_name)).collect()
    }

    /// Whether this is the name of its own file.
    pub(crate) fn is_file(&self, name: &str) -> bool {
        file::file_number(name) == Some(self.number)
    }

    /// Whether the numbers in it can be what was written.
    fn check(&self) -> Result<()> {
        let numbers = [self.number, self.next_file, self.first_log];
        let too_large = numbers.into_iter().any(|number| number > MAX_NUMBER);
        if too_large || self.applied > SeqNo::MAX || self.next_collection > CollectionId::MAX {
            return Err(Error::invalid("a number is larger than any can be"));
        }
        self.check_collections(&self.collections)?;
        let mut names = BTreeSet::new();
        for snapshot in &self.snapshots {
            snapshot.check()?;
            self.check_collections(&snapshot.collections)?;
            if !names.insert(&snapshot.name) {
                return Err(Error::invalid("two snapshots have one name"));
            }
        }
        Ok(())
    }

    /// Whether these collections can be together, each file named once among them.
    fn check_collections(&self, collections: &[CollectionFiles]) -> Result<()> {
        let mut seen = BTreeSet::new();
        for file in collections.iter().flat_map(CollectionFiles::numbers) {
            if file >= self.next_file || !seen.insert(file) {
                return Err(Error::invalid(format!(
                    "file number {file} is out of place"
                )));
            }
        }
        let mut ids = BTreeSet::new();
        for collection in collections {
            check_name("collection", &collection.name)?;
            collection.shape.check()?;
            if !ids.insert(collection.id) {
                let id = collection.id.0;
                return Err(Error::invalid(format!("two collections have number {id}")));
            }
        }
        let segments = collections.iter().flat_map(|c| &c.segments);
        for segment in segments {
            if segment.deletes.is_some_and(|d| d.rows > segment.rows) {
                return Err(Error::invalid(format!(
                    "segment {} has fewer rows than ended in it",
                    segment.file
                )));
            }
        }
        Ok(())
    }
}

impl CollectionFiles {
    /// The numbers of its files.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> {
        let files = |segment: &SegmentFiles| {
            let deletes = segment.deletes.map(|deletes| deletes.file);
            let files = [Some(segment.file), deletes, segment.missed, segment.columns];
            let indexes = segment.indexes.values().copied();
            files
                .into_iter()
                .flatten()
                .chain(indexes)
                .collect::<Vec<_>>()
        };
        self.segments.iter().flat_map(files)
    }

    /// The names of its files.
    fn names(&self) -> impl Iterator<Item = String> {
        self.segments.iter().flat_map(SegmentFiles::names)
    }
}

impl SegmentFiles {
    /// The names of all its files.
    pub(crate) fn names(&self) -> Vec<String> {
        let deletes = self.deletes.map(|deletes| deletes_name(deletes.file));
        let missed = self.missed.map(missed_name);
        let columns = self.columns.map(columns_name);
        let files = [Some(segment_name(self.file)), deletes, missed, columns];
        let indexes = self.indexes.values().map(|number| index_name(*number));
        files.into_iter().flatten().chain(indexes).collect()
    }
}

/// Whether the files `names` are those of a database, or one may be created beside them.
pub(crate) fn check_place(names: &[String], create: bool) -> Result<()> {
    if names.iter().any(|name| file::file_number(name).is_some()) {
        return Ok(());
    }
    // Files of ours without a manifest are for the log to judge.
    if !create && !names.iter().any(|name| wal::is_log(name)) {
        return Err(Error::new(
            ErrorKind::NotFound,
            "the directory holds no database, and none was to be created",
        ));
    }
    let stranger = names
        .iter()
        .find(|name| *name != "LOCK" && !wal::is_log(name) && !is_ours(name));
    stranger.map_or(Ok(()), |stranger| {
        Err(Error::invalid(format!(
            "the directory holds no database but other files, such as {stranger:?}; \
             expected an empty directory or one that Amphora made"
        )))
    })
}

/// The files among `names` that neither this manifest nor the log needs.
pub(crate) fn garbage<'a>(
    manifest: &Manifest,
    names: &'a [String],
) -> impl Iterator<Item = &'a str> {
    let kept = manifest.files();
    let is_garbage = move |name: &str| match (file::file_number(name), wal::log_number(name)) {
        (Some(found), _) => found != manifest.number,
        (None, Some(log)) => !manifest.keeps_log(log),
        (None, None) => (is_ours(name) || wal::is_log(name)) && !kept.contains(name),
    };
    names
        .iter()
        .map(String::as_str)
        .filter(move |name| is_garbage(name))
}

/// The name of the segment file with this number.
pub(crate) fn segment_name(number: u64) -> String {
    format!("segment-{number:010}.seg")
}

/// The name of the file with this number of ended rows.
pub(crate) fn deletes_name(number: u64) -> String {
    format!("deletes-{number:010}.del")
}

/// The name of the file with this number of missed ids.
pub(crate) fn missed_name(number: u64) -> String {
    format!("missed-{number:010}.ids")
}

/// The name of the index file with this number.
pub(crate) fn index_name(number: u64) -> String {
    format!("index-{number:010}.idx")
}

/// The name of the file of columns with this number.
pub(crate) fn columns_name(number: u64) -> String {
    format!("columns-{number:010}.col")
}

/// Whether the engine writes files of such a name; logs apart.
pub(crate) fn is_ours(name: &str) -> bool {
    let name = name.strip_suffix(".tmp").unwrap_or(name);
    is_manifest(name)
        || number_of(name, "segment-", ".seg").is_some()
        || number_of(name, "deletes-", ".del").is_some()
        || number_of(name, "missed-", ".ids").is_some()
        || number_of(name, "index-", ".idx").is_some()
        || number_of(name, "columns-", ".col").is_some()
}

/// Whether a file of this name is a manifest, or the beginning of one.
pub(crate) fn is_manifest(name: &str) -> bool {
    file::file_number(name.strip_suffix(".tmp").unwrap_or(name)).is_some()
}

/// The number in a name of this form, if it is exactly that.
fn number_of(name: &str, prefix: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
    let number = digits.parse().ok()?;
    (format!("{prefix}{number:010}{suffix}") == name).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::{MemoryVfs, Vfs};

    fn collection(files: &[u64], deletes: Option<u64>) -> CollectionFiles {
        let deletes = deletes.map(|file| DeletesFile { file, rows: 1 });
        let segment = |file: &u64| SegmentFiles {
            file: *file,
            rows: 4,
            bytes: 100,
            deletes,
            first_expiry: Expiry::NEVER,
            missed: None,
            indexes: BTreeMap::new(),
            columns: None,
        };
        CollectionFiles {
            id: CollectionId(0),
            name: "docs".into(),
            shape: Shape::default(),
            segments: files.iter().map(segment).collect(),
        }
    }

    fn snapshot(name: &str, manifest: &Manifest, log: u64) -> SnapshotRecord {
        let about = About {
            created: 5,
            collections: 1,
            points: 7,
        };
        SnapshotRecord::new(name.into(), about, manifest, LogEnd { log, end: 96 })
    }

    fn manifest(first_log: u64, collection: CollectionFiles) -> Manifest {
        Manifest {
            first_log,
            next_file: 20,
            collections: vec![collection],
            ..Manifest::empty()
        }
    }

    /// With a snapshot of segment 1, its deletes 2, and logs 3 and 4; then merged into segment 5.
    fn with_snapshot() -> Manifest {
        let before = manifest(3, collection(&[1], Some(2)));
        let snapshots = vec![snapshot("a", &before, 4)];
        Manifest {
            snapshots,
            ..manifest(7, collection(&[5], None))
        }
    }

    #[test]
    fn what_a_snapshot_names_is_kept_and_goes_with_it() {
        let manifest = with_snapshot();
        let mut names: Vec<String> = manifest.files().into_iter().collect();
        assert_eq!(names.len(), 3);
        names.extend((1..=8).map(wal::log_name));
        names.push(segment_name(6));
        let found: Vec<&str> = garbage(&manifest, &names).collect();
        let expected = [1, 2, 5, 6].map(wal::log_name);
        let expected = expected.iter().map(String::as_str);
        assert!(expected.chain([&*segment_name(6)]).eq(found));
        let without = Manifest {
            snapshots: Vec::new(),
            ..manifest.clone()
        };
        let dropped = manifest.dropped_by(&without);
        let files = [segment_name(1), deletes_name(2)];
        let expected = files.into_iter().chain([3, 4].map(wal::log_name));
        assert_eq!(dropped, expected.collect());
        assert!(manifest.dropped_by(&manifest).is_empty());
    }

    #[test]
    fn what_the_live_manifest_drops_stays_while_a_snapshot_names_it() {
        let live = manifest(3, collection(&[1], Some(2)));
        let pinned = Manifest {
            snapshots: vec![snapshot("a", &live, 4)],
            ..live.clone()
        };
        let merged = Manifest {
            snapshots: pinned.snapshots.clone(),
            ..manifest(7, collection(&[5], None))
        };
        let dropped: Vec<String> = pinned.dropped_by(&merged).into_iter().collect();
        assert_eq!(dropped, [5, 6].map(wal::log_name));
    }

    #[test]
    fn snapshots_are_read_as_they_were_written_and_judged() {
        let good = with_snapshot();
        let read = |manifest: &Manifest| {
            let vfs = MemoryVfs::new();
            write(&vfs, manifest).unwrap();
            read_newest(&vfs, &vfs.list().unwrap())
        };
        assert_eq!(read(&good).unwrap(), Some(good.clone()));
        let [a] = &good.snapshots[..] else {
            unreachable!("one snapshot");
        };
        let with = |snapshots| Manifest {
            snapshots,
            ..good.clone()
        };
        let mut twice = a.clone();
        twice.collections.push(collection(&[1], None));
        let mut beyond = a.clone();
        beyond.collections.push(collection(&[20], None));
        let mut backwards = a.clone();
        backwards.log_end.log = a.first_log - 1;
        for bad in [
            vec![a.clone(), a.clone()],
            vec![twice],
            vec![beyond],
            vec![backwards],
        ] {
            let error = read(&with(bad)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupted);
        }
    }

    #[test]
    fn a_snapshot_alone_is_a_manifest_that_can_be_written() {
        let alone = with_snapshot().snapshots[0].manifest();
        assert_eq!(alone.check().map_err(|error| error.to_string()), Ok(()));
        assert_eq!(
            (alone.next_file, alone.closed),
            (3, Some(LogEnd { log: 4, end: 96 }))
        );
    }

    #[test]
    fn of_two_collections_each_has_its_number_and_a_name_that_may_be() {
        let with = |id, name: &str| {
            let mut manifest = manifest(1, collection(&[1], None));
            manifest.collections.push(CollectionFiles {
                id: CollectionId(id),
                name: name.into(),
                ..collection(&[2], None)
            });
            manifest.check()
        };
        assert!(with(1, "notes").is_ok());
        assert!(with(0, "notes").is_err());
        assert!(with(1, "").is_err());
    }
}
