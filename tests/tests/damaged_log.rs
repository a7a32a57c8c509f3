//! Files that do not hold what was written to them: every byte of the log and of the manifest
//! flipped, cut, zeroed or swapped, with all points in the log.
//!
//! Opening such a directory names the damage, or gives exactly what was acknowledged: never
//! something else, and never a panic. Once it was closed, the manifest says how far the log
//! reaches; until then, damage in the last group cannot be told from the torn end of a write,
//! which is stated for what it is by a test of its own.

use amphora::{
    Database, ErrorKind, Result,
    vfs::{MemoryVfs, Vfs},
};
use amphora_tests::{
    opening::{self, Memory},
    workload::{Change, Model, Step, start, writes},
};
use futures::{executor::block_on, future::join_all};
use std::{collections::BTreeMap, ops::Range};

const LOG: &str = "wal-0000000001.log";
const HEADER: usize = 64;

type Files = BTreeMap<String, Vec<u8>>;

/// The files of a database, the places of the records in its log, and the state after each.
struct Subject {
    files: Files,
    records: Vec<Range<usize>>,
    states: Vec<Model>,
}

impl Subject {
    /// What the script leaves when it is closed, or before that.
    fn of_the_script(closed: bool) -> Self {
        let vfs = MemoryVfs::new();
        let mut db = open(vfs.clone()).unwrap();
        // The first record says that the file begins.
        let mut states = vec![Model::default(); 2];
        for step in writes() {
            if let Step::Reopen = step {
                db.close().wait().unwrap();
                db = open(vfs.clone()).unwrap();
            }
            for change in step.changes() {
                states.push(next(&states, change));
            }
            let writes = step.changes().iter().map(|change| start(&db, change));
            block_on(join_all(writes))
                .into_iter()
                .for_each(Result::unwrap);
        }
        assert_eq!(Some(&Model::read(&db).unwrap()), states.last());
        if closed {
            db.close().wait().unwrap();
        }
        let mut files = files(&vfs);
        let log = files.get_mut(LOG).unwrap();
        let records = records(log);
        assert_eq!(records.len() + 1, states.len(), "each change is a record");
        // Enough zeros to see what damage in them does, and few enough to open it often.
        log.truncate(records[records.len() - 1].end + 600);
        assert_eq!(files.len(), 2, "a log and a manifest: {:?}", files.keys());
        Self {
            files,
            records,
            states,
        }
    }

    fn log(&self) -> &[u8] {
        &self.files[LOG]
    }

    fn manifest(&self) -> (&String, &[u8]) {
        let (name, content) = self.files.first_key_value().unwrap();
        (name, content)
    }

    fn acknowledged(&self) -> &Model {
        &self.states[self.records.len()]
    }

    /// The number of the record that holds this byte of the log.
    fn record_at(&self, at: usize) -> Option<usize> {
        self.records.iter().position(|record| record.contains(&at))
    }

    /// The files with another content in one of them.
    fn with(&self, name: &str, content: &[u8]) -> Files {
        let mut files = self.files.clone();
        files.insert(name.to_owned(), content.to_vec());
        files
    }

    /// Whether opening it with this content gave an error that names the damage, and where;
    /// otherwise what is read must be what was acknowledged.
    fn detected(&self, name: &str, content: &[u8], what: &str) -> Option<usize> {
        match open_files(&self.with(name, content)) {
            Ok(found) => {
                assert!(found == *self.acknowledged(), "{what}: a wrong answer");
                None
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupted, "{what}: {error}");
                let (file, offset) = error.location().unwrap();
                assert_eq!(file, name, "{what}: {error}");
                assert!(offset as usize <= content.len(), "{what}: {error}");
                Some(offset as usize)
            }
        }
    }
}

/// A database whose points all stay in the log.
fn open(vfs: MemoryVfs) -> Result<Database> {
    opening::open(vfs, Memory::Default)
}

fn next(states: &[Model], change: &Change) -> Model {
    let mut next = states[states.len() - 1].clone();
    next.apply(change);
    next
}

fn files(vfs: &MemoryVfs) -> Files {
    let names = vfs.list().unwrap().into_iter();
    names
        .filter_map(|name| vfs.content(&name).map(|content| (name, content)))
        .collect()
}

/// The places of the records, by the layout that the engine documents: a length first, the body
/// after 32 bytes, padded to 8.
fn records(content: &[u8]) -> Vec<Range<usize>> {
    let mut records = Vec::new();
    let mut at = HEADER;
    loop {
        let header = &content[at..at + 32];
        if header.iter().all(|byte| *byte == 0) {
            return records;
        }
        let len = u32::from_le_bytes(header[..4].try_into().unwrap()) as usize;
        let end = at + 32 + len.next_multiple_of(8);
        records.push(at..end);
        at = end;
    }
}

/// Opens a directory with these files, reads it and closes it. A refused one must stay as it was.
fn open_files(content: &Files) -> Result<Model> {
    let vfs = MemoryVfs::new();
    for (name, content) in content {
        vfs.set_content(name, content.as_slice());
    }
    let db = match open(vfs.clone()) {
        Ok(db) => db,
        Err(error) => {
            assert!(files(&vfs) == *content, "it was written to");
            return Err(error);
        }
    };
    let found = Model::read(&db)?;
    db.close().wait()?;
    // What was shown once is there the next time too.
    let db = open(vfs)?;
    assert_eq!(Model::read(&db)?, found);
    Ok(found)
}

fn flipped(content: &[u8], at: usize) -> Vec<u8> {
    let mut content = content.to_vec();
    content[at] ^= if at.is_multiple_of(2) {
        0xFF
    } else {
        1 << (at % 8)
    };
    content
}

#[test]
fn every_flipped_byte_of_a_closed_log_is_named_or_harmless() {
    let subject = Subject::of_the_script(true);
    let (mut named, mut harmless) = (0, 0);
    for at in (0..subject.log().len()).filter(|at| !(8..12).contains(at)) {
        let what = format!("byte {at} of the log flipped");
        let content = flipped(subject.log(), at);
        let seen = subject.detected(LOG, &content, &what);
        let record = subject.record_at(at);
        // Up to 7 bytes are padding, as is all that follows the records.
        let padding = record.is_none_or(|n| at + 7 >= subject.records[n].end);
        assert!(
            seen.is_some() || at >= HEADER && padding,
            "{what}: not seen"
        );
        if let (Some(offset), Some(record)) = (seen, record) {
            assert_eq!(offset, subject.records[record].start, "{what}");
        }
        *(if seen.is_some() {
            &mut named
        } else {
            &mut harmless
        }) += 1;
    }
    println!("{named} flips named, {harmless} harmless");
}

#[test]
fn every_flipped_byte_of_the_manifest_is_named() {
    let subject = Subject::of_the_script(true);
    let (name, manifest) = subject.manifest();
    for at in (0..manifest.len()).filter(|at| !(8..12).contains(at)) {
        let what = format!("byte {at} of the manifest flipped");
        let seen = subject.detected(name, &flipped(manifest, at), &what);
        assert!(seen.is_some(), "{what}: not seen");
    }
    println!("{} flips named", manifest.len() - 4);
}

/// The number of the format comes before all that a later one may change.
#[test]
fn a_flipped_byte_of_the_format_is_a_newer_format() {
    let subject = Subject::of_the_script(true);
    for (name, content) in &subject.files {
        for at in 8..12 {
            let files = subject.with(name, &flipped(content, at));
            let error = open_files(&files).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{name} {at}: {error}");
        }
    }
}

#[test]
fn every_damaged_sector_of_a_closed_log_is_named_or_harmless() {
    const SECTOR: usize = 512;
    let subject = Subject::of_the_script(true);
    let log = subject.log();
    let end = subject.records[subject.records.len() - 1].end;
    let (mut named, mut sectors) = (0, 0);
    for at in (0..end - SECTOR).step_by(SECTOR) {
        sectors += 1;
        let here = at..at + SECTOR;
        let mut check = |content: &[u8], what: &str| {
            let seen = subject.detected(LOG, content, &format!("{at} {what}"));
            named += usize::from(seen.is_some());
        };
        let mut zeroed = log.to_vec();
        zeroed[here.clone()].fill(0);
        check(&zeroed, "zeroed");
        let mut garbage = log.to_vec();
        let noise = (at as u32..).map(|n| (n.wrapping_mul(0x9E37_79B9) >> 24) as u8);
        let bytes = garbage[here.clone()].iter_mut().zip(noise);
        bytes.for_each(|(byte, noise)| *byte = noise);
        check(&garbage, "garbage");
        if here.end + SECTOR <= log.len() {
            let mut swapped = log.to_vec();
            swapped.copy_within(here.end..here.end + SECTOR, at);
            swapped[here.end..here.end + SECTOR].copy_from_slice(&log[here]);
            check(&swapped, "swapped with the next");
        }
    }
    println!("{sectors} sectors: {named} damages named");
    assert!(named >= sectors * 2);
}

#[test]
fn records_that_change_places_or_come_from_another_log_are_named() {
    let subject = Subject::of_the_script(true);
    let log = subject.log();
    // The header of another file: its number is drawn for each.
    let other = MemoryVfs::new();
    other.unique();
    open(other.clone()).unwrap().close().wait().unwrap();
    let mut stranger = log.to_vec();
    stranger[..HEADER].copy_from_slice(&other.content(LOG).unwrap()[..HEADER]);
    let what = "records of another file";
    assert_eq!(
        subject.detected(LOG, &stranger, what),
        Some(HEADER),
        "{what}"
    );
    for pair in subject.records.windows(2) {
        let (a, b) = (pair[0].clone(), pair[1].clone());
        let swapped = [
            &log[..a.start],
            &log[b.clone()],
            &log[a.clone()],
            &log[b.end..],
        ]
        .concat();
        let what = format!("the records around {} swapped", b.start);
        assert!(subject.detected(LOG, &swapped, &what).is_some(), "{what}");
    }
}

/// Before it is closed, damage in the last group is a torn write: nothing is behind it that was
/// written later. Any other damage is still named.
#[test]
fn a_damaged_byte_of_a_log_that_was_not_closed_costs_at_most_the_last_record() {
    let subject = Subject::of_the_script(false);
    let last = subject.records.len() - 1;
    let (mut named, mut dropped) = (0, 0);
    for at in HEADER..subject.log().len() {
        let what = format!("byte {at} flipped");
        let mut content = subject.log().to_vec();
        content[at] ^= 0x40;
        match open_files(&subject.with(LOG, &content)) {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupted, "{what}: {error}");
                named += 1;
            }
            Ok(found) if found == *subject.acknowledged() => {}
            Ok(found) => {
                assert!(found == subject.states[last], "{what}: a wrong answer");
                assert_eq!(subject.record_at(at), Some(last), "{what}: more than torn");
                dropped += 1;
            }
        }
    }
    println!("{named} flips named, {dropped} dropped the last record");
    assert!(named > 0 && dropped > 0);
}

#[test]
fn every_truncation_of_a_closed_log_or_its_manifest_is_named() {
    let subject = Subject::of_the_script(true);
    let (name, manifest) = subject.manifest();
    let end = subject.records[subject.records.len() - 1].end;
    let cuts = (0..manifest.len()).map(|cut| (name.as_str(), manifest, cut));
    let cuts = cuts.chain((0..subject.log().len()).map(|cut| (LOG, subject.log(), cut)));
    for (name, content, cut) in cuts {
        let what = format!("{name} cut at {cut}");
        let seen = subject.detected(name, &content[..cut], &what);
        assert_eq!(seen.is_some(), cut < end || name != LOG, "{what}");
    }
}

/// A log that was not closed and is cut holds a beginning of what was written, whole operations,
/// or is named as damaged. That something is missing cannot be told, since nothing says yet how
/// long it was.
#[test]
fn every_truncation_of_a_log_that_was_not_closed_leaves_whole_operations_or_is_named() {
    let subject = Subject::of_the_script(false);
    // Every byte near the end of a record, and some of those between.
    let near = |cut: usize| subject.records.iter().any(|it| it.end.abs_diff(cut) <= 32);
    let cuts = (0..subject.log().len()).filter(|cut| cut % 3 == 0 || *cut <= HEADER || near(*cut));
    let (mut named, mut all) = (0, 0);
    for cut in cuts {
        all += 1;
        match open_files(&subject.with(LOG, &subject.log()[..cut])) {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupted, "cut at {cut}: {error}");
                named += 1;
            }
            Ok(found) => {
                let whole = subject.records.iter().filter(|r| r.end <= cut).count();
                assert!(
                    subject.states[whole] == found,
                    "cut at {cut}: neither whole nor torn"
                );
            }
        }
    }
    println!("{named} of {all} named");
    assert!(named > HEADER, "what was there when it was last closed");
}

/// The lock is the system's, and not what the file says.
#[test]
fn whatever_the_lock_file_holds_is_harmless() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("data");
    amphora_blocking::open(&path)
        .unwrap()
        .close()
        .wait()
        .unwrap();
    for content in [&b""[..], b"1", b"no number", &[0xFF; 5_000]] {
        std::fs::write(path.join("LOCK"), content).unwrap();
        let db = amphora_blocking::open(&path).unwrap();
        let error = amphora_blocking::builder(&path)
            .options(amphora::Options {
                lock_timeout: std::time::Duration::from_millis(10),
                ..amphora::Options::default()
            })
            .open()
            .wait()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
        db.close().wait().unwrap();
    }
}
