//! Reading the structure of a portable snapshot, which may be anything.
//!
//! All heads are read and judged before a byte of an entry is used: that they fit into the file,
//! that none comes twice, that the entries are those that the manifest names, and no others.

use super::{
    copy::copy_to_file,
    format::{HEAD, Head, Kind},
    fresh::sync_dir,
};
use crate::{
    cancel::Cancel,
    codec::{
        Checksum, checksum,
        header::{FILE_HEADER, FileHeader, FileKind},
    },
    error::{Error, Result},
    manifest::{self, Manifest, deletes_name, segment_name},
    vfs::{Vfs, VfsFile},
    wal,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    sync::Arc,
};

/// A portable snapshot whose heads are sound.
pub(super) struct Archive {
    file: Arc<dyn VfsFile>,
    name: String,
    entries: BTreeMap<(Kind, u64), Entry>,
}

/// Where the bytes of an entry are.
#[derive(Clone, Copy)]
struct Entry {
    offset: u64,
    len: u64,
    sum: u32,
}

impl Archive {
    /// Reads all heads of `file`, which errors call `name`.
    pub(super) fn open(file: Arc<dyn VfsFile>, name: String) -> Result<Self> {
        let mut archive = Self {
            file,
            name,
            entries: BTreeMap::new(),
        };
        let len = archive.file.len();
        let len = len.map_err(|error| archive.failed(error))?;
        if len < FILE_HEADER as u64 {
            return Err(archive.corrupted(0, "the file is too short"));
        }
        let header = archive.read(0)?;
        let header = FileHeader::decode(&header, FileKind::Portable);
        let header = header.map_err(|error| error.of(&archive.name))?;
        archive.read_heads(header.file_id, len)?;
        Ok(archive)
    }

    fn read_heads(&mut self, file_id: u64, len: u64) -> Result<()> {
        let mut at = FILE_HEADER as u64;
        let mut heads = Checksum::default();
        loop {
            let offset = at + HEAD as u64;
            if offset > len {
                return Err(self.corrupted(at, "the file ends before its end record"));
            }
            let bytes = self.read(at)?;
            let head = Head::decode(&bytes, file_id)
                .ok_or_else(|| self.corrupted(at, "expected an entry or the end record"))?;
            if head.kind == Kind::End {
                let expected = (self.entries.len() as u64, 0, heads.finish());
                return match (head.number, head.len, head.sum) == expected && offset == len {
                    true => Ok(()),
                    false => Err(self.corrupted(at, "the end record is that of another file")),
                };
            }
            if head.len > len - offset {
                return Err(self.corrupted(at, "an entry is longer than the file"));
            }
            heads.update(&bytes);
            let entry = Entry {
                offset,
                len: head.len,
                sum: head.sum,
            };
            if self
                .entries
                .insert((head.kind, head.number), entry)
                .is_some()
            {
                let name = file_name(head.kind, head.number);
                return Err(self.corrupted(at, format_args!("{name} comes twice")));
            }
            at = offset + head.len;
        }
    }

    /// The manifest, if the other entries are what it names.
    pub(super) fn manifest(&self) -> Result<Manifest> {
        let missing = || self.corrupted(FILE_HEADER as u64, "there is no manifest");
        let entry = self.entries.get(&(Kind::Manifest, 1)).ok_or_else(missing)?;
        let flaw = |what: &str| self.corrupted(entry.offset, what);
        if entry.len > manifest::MAX_BYTES {
            return Err(flaw("the manifest is longer than any can be"));
        }
        let mut bytes = vec![0; entry.len as usize];
        let read = self.file.read_exact_at(&mut bytes, entry.offset);
        read.map_err(|error| self.failed(error))?;
        if checksum(&[&bytes]) != entry.sum {
            return Err(flaw("the checksum of the manifest differs"));
        }
        let manifest = manifest::decode(&self.name, &bytes)?;
        if manifest.number != 1 || !manifest.snapshots.is_empty() {
            return Err(flaw("the manifest is not that of a snapshot"));
        }
        self.check_named(&manifest)?;
        Ok(manifest)
    }

    fn check_named(&self, manifest: &Manifest) -> Result<()> {
        let flaw = |what: &dyn Display| self.corrupted(FILE_HEADER as u64, what);
        let Some(end) = manifest.closed else {
            return Err(flaw(&"the manifest does not say where the log ends"));
        };
        // Before they are listed: there may be said to be any number of them.
        let logs = end.log.checked_sub(manifest.first_log);
        if logs.is_none_or(|logs| logs >= self.entries.len() as u64) {
            return Err(flaw(&"the manifest names log files that are not there"));
        }
        let mut named: BTreeSet<(Kind, u64)> = BTreeSet::from([(Kind::Manifest, 1)]);
        named.extend((manifest.first_log..=end.log).map(|number| (Kind::Log, number)));
        for files in manifest.collections.iter().flat_map(|c| &c.segments) {
            named.insert((Kind::Segment, files.file));
            named.extend(files.deletes.map(|deletes| (Kind::Deletes, deletes.file)));
        }
        if let Some((kind, number)) = named.iter().find(|key| !self.entries.contains_key(key)) {
            let name = file_name(*kind, *number);
            return Err(flaw(&format_args!("{name} is missing")));
        }
        if let Some((kind, number)) = self.entries.keys().find(|key| !named.contains(key)) {
            let name = file_name(*kind, *number);
            return Err(flaw(&format_args!("the manifest does not name {name}")));
        }
        Ok(())
    }

    /// Writes the files of the entries, each durable, and the logs with their names.
    pub(super) fn unpack(&self, target: &dyn Vfs, cancel: &Cancel) -> Result<()> {
        let (logs, others): (Vec<_>, Vec<_>) = self
            .entries
            .iter()
            .filter(|((kind, _), _)| *kind != Kind::Manifest)
            .partition(|((kind, _), _)| *kind == Kind::Log);
        for (key, entry) in logs {
            self.unpack_entry(*key, *entry, target, cancel)?;
        }
        sync_dir(target)?;
        for (key, entry) in others {
            self.unpack_entry(*key, *entry, target, cancel)?;
        }
        Ok(())
    }

    fn unpack_entry(
        &self,
        (kind, number): (Kind, u64),
        entry: Entry,
        target: &dyn Vfs,
        cancel: &Cancel,
    ) -> Result<()> {
        let name = file_name(kind, number);
        let range = entry.offset..entry.offset + entry.len;
        if copy_to_file(&*self.file, range, target, &name, cancel)? != entry.sum {
            let what = format_args!("the checksum of {name} differs");
            return Err(self.corrupted(entry.offset, what));
        }
        Ok(())
    }

    fn read<const N: usize>(&self, at: u64) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        let read = self.file.read_exact_at(&mut bytes, at);
        read.map_err(|error| self.failed(error))?;
        Ok(bytes)
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::io(format_args!("reading {}", self.name), error)
    }

    fn corrupted(&self, at: u64, what: impl Display) -> Error {
        Error::corrupted(&self.name, at, what)
    }
}

/// The name of the file that an entry holds the bytes of.
fn file_name(kind: Kind, number: u64) -> String {
    match kind {
        Kind::Log => wal::log_name(number),
        Kind::Segment => segment_name(number),
        Kind::Deletes => deletes_name(number),
        Kind::Manifest | Kind::End => "the manifest".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        expiry::Expiry,
        id::CollectionId,
        manifest::{CollectionFiles, DeletesFile, LogEnd, SegmentFiles},
        shape::Shape,
        vfs::MemoryVfs,
    };

    const ID: u64 = 77;

    fn manifest() -> Manifest {
        let deletes = Some(DeletesFile { file: 2, rows: 1 });
        Manifest {
            first_log: 3,
            next_file: 3,
            closed: Some(LogEnd { log: 4, end: 96 }),
            collections: vec![CollectionFiles {
                id: CollectionId(0),
                name: "docs".into(),
                shape: Shape::default(),
                segments: vec![SegmentFiles {
                    file: 1,
                    rows: 2,
                    bytes: 3,
                    deletes,
                    first_expiry: Expiry::NEVER,
                    missed: None,
                    indexes: BTreeMap::new(),
                    columns: None,
                }],
            }],
            ..Manifest::empty()
        }
    }

    fn entries(manifest: &Manifest) -> Vec<(Kind, u64, Vec<u8>)> {
        vec![
            (Kind::Manifest, 1, manifest::encode(manifest, ID).unwrap()),
            (Kind::Log, 3, vec![3; 5]),
            (Kind::Log, 4, vec![]),
            (Kind::Segment, 1, vec![1; 3]),
            (Kind::Deletes, 2, vec![2; 9]),
        ]
    }

    fn head(kind: Kind, number: u64, bytes: &[u8]) -> Head {
        Head {
            kind,
            number,
            len: bytes.len() as u64,
            sum: checksum(&[bytes]),
        }
    }

    /// A file of these entries, whose checksums are all sound.
    fn file(entries: &[(Kind, u64, Vec<u8>)]) -> Vec<u8> {
        let kind = FileKind::Portable;
        let mut out = FileHeader { kind, file_id: ID }.encode();
        let mut heads = Vec::new();
        for (kind, number, bytes) in entries {
            let head = head(*kind, *number, bytes).encode(ID);
            heads.extend(&head);
            out.extend(head);
            out.extend(bytes);
        }
        let mut end = head(Kind::End, entries.len() as u64, &[]);
        end.sum = checksum(&[&heads]);
        out.extend(end.encode(ID));
        out
    }

    fn open(content: Vec<u8>) -> Result<(Archive, Manifest)> {
        let vfs = MemoryVfs::new();
        vfs.set_content("portable", content);
        let file = vfs.open_read("portable").unwrap();
        let archive = Archive::open(file, "portable".into())?;
        let manifest = archive.manifest()?;
        Ok((archive, manifest))
    }

    #[test]
    fn what_the_manifest_names_is_unpacked() {
        let (archive, found) = open(file(&entries(&manifest()))).unwrap();
        assert_eq!(found, manifest());
        let target = MemoryVfs::new();
        archive.unpack(&target, &Cancel::default()).unwrap();
        assert_eq!(target.list().unwrap().len(), 4);
        assert_eq!(target.content(&deletes_name(2)), Some(vec![2; 9]));
        assert_eq!(target.content(&wal::log_name(4)), Some(vec![]));
    }

    #[test]
    fn what_is_missing_too_much_or_there_twice_is_named() {
        let good = entries(&manifest());
        for at in 0..good.len() {
            let mut missing = good.clone();
            let (kind, number, _) = missing.remove(at);
            let error = open(file(&missing)).err().unwrap().to_string();
            let name = file_name(kind, number);
            let named = error.contains(&name) || error.contains("no manifest");
            assert!(named, "{error}");
            let mut twice = good.clone();
            twice.push(good[at].clone());
            let error = open(file(&twice)).err().unwrap().to_string();
            assert!(error.contains("twice"), "{error}");
        }
        for kind in [Kind::Log, Kind::Segment, Kind::Deletes, Kind::Manifest] {
            let mut more = good.clone();
            more.push((kind, 9, vec![]));
            let error = open(file(&more)).err().unwrap().to_string();
            assert!(error.contains("does not name"), "{error}");
        }
    }

    #[test]
    fn no_number_leads_beyond_the_file() {
        for (first_log, log) in [(3, u64::MAX), (5, 4), (0, 1 << 40)] {
            let manifest = Manifest {
                first_log,
                closed: Some(LogEnd { log, end: 96 }),
                ..manifest()
            };
            let error = open(file(&entries(&manifest))).err().unwrap();
            assert!(error.to_string().contains("log files"), "{error}");
        }
        let good = file(&entries(&manifest()));
        for len in [1 << 20, u64::MAX, u64::MAX - HEAD as u64] {
            let mut content = good.clone();
            let long = Head {
                len,
                ..head(Kind::Manifest, 1, &[])
            };
            content[FILE_HEADER..FILE_HEADER + HEAD].copy_from_slice(&long.encode(ID));
            let error = open(content).err().unwrap();
            assert!(error.to_string().contains("longer"), "{error}");
        }
    }

    #[test]
    fn every_flipped_bit_and_every_other_length_is_refused() {
        let good = file(&entries(&manifest()));
        let refused = |content: Vec<u8>| {
            let unpack =
                |(archive, _): (Archive, _)| archive.unpack(&MemoryVfs::new(), &Cancel::default());
            open(content).and_then(unpack).is_err()
        };
        assert!(!refused(good.clone()));
        for bit in 0..good.len() * 8 {
            let mut content = good.clone();
            content[bit / 8] ^= 1 << (bit % 8);
            assert!(refused(content), "bit {bit}");
        }
        for len in 0..good.len() {
            assert!(refused(good[..len].to_vec()), "{len} bytes");
        }
        assert!(refused([&good[..], &[0]].concat()));
    }
}
