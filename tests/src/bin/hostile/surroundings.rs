//! A directory with all that is below it, as it is at one moment.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// What is known of one entry. Of the place itself only that it is there: the database's directory
/// may be made in it.
#[derive(Debug, PartialEq)]
pub(crate) struct Entry {
    mode: u32,
    owner: (u32, u32),
    len: u64,
    changed: (i64, i64),
    content: Vec<u8>,
    target: Option<PathBuf>,
}

pub(crate) type Surroundings = BTreeMap<PathBuf, Entry>;

/// All that lies in `place`, but for what lies in the directories `without`.
pub(crate) fn around(place: &Path, without: &[&Path]) -> Surroundings {
    let mut found = BTreeMap::new();
    let mut open = vec![place.to_owned()];
    while let Some(directory) = open.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("an entry").path();
            if without.contains(&&*path) {
                continue;
            }
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            let kind = metadata.file_type();
            let entry = Entry {
                mode: metadata.mode(),
                owner: (metadata.uid(), metadata.gid()),
                len: metadata.len(),
                changed: (metadata.mtime(), metadata.mtime_nsec()),
                // Reading a pipe would wait for a writer.
                content: if kind.is_file() {
                    fs::read(&path).unwrap_or_default()
                } else {
                    Vec::new()
                },
                target: fs::read_link(&path).ok(),
            };
            if kind.is_dir() {
                open.push(path.clone());
            }
            found.insert(path, entry);
        }
    }
    found
}

/// What is different, in words; empty when nothing is.
pub(crate) fn differences(before: &Surroundings, after: &Surroundings) -> Vec<String> {
    let mut found = Vec::new();
    for (path, entry) in before {
        match after.get(path) {
            None => found.push(format!("{} was removed", path.display())),
            Some(now) if now != entry => found.push(format!("{} was changed", path.display())),
            Some(_) => {}
        }
    }
    let new = after.keys().filter(|path| !before.contains_key(*path));
    found.extend(new.map(|path| format!("{} was created", path.display())));
    found
}

/// Whoever else may read or write what a database made: its directory is 0700, its files are 0600.
pub(crate) fn too_open(database: &Path) -> Vec<String> {
    let mode = |path: &Path| fs::symlink_metadata(path).map_or(0, |found| found.mode() & 0o7777);
    let mut found = Vec::new();
    if mode(database) != 0o700 {
        found.push(format!("{:o} {}", mode(database), database.display()));
    }
    for (path, entry) in around(database, &[]) {
        let is_directory = entry.mode & 0o170_000 == 0o040_000;
        let expected = if is_directory { 0o700 } else { 0o600 };
        if mode(&path) != expected {
            found.push(format!("{:o} {}", mode(&path), path.display()));
        }
    }
    found
}
