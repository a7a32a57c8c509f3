//! A log that does not hold what was written to it: every byte flipped, cut, zeroed or swapped.
//!
//! Opening such a log names the damage, or gives exactly what was acknowledged: never something
//! else, and never a panic. What cannot be told from the torn end of a write, since nothing sound
//! lies behind it, is stated for what it is by tests of its own.

use amphora::{ErrorKind, Result, vfs::MemoryVfs};
use amphora_tests::workload::{Change, Model, Step, open, script, start};
use futures::{executor::block_on, future::join_all};
use std::ops::Range;

const LOG: &str = "wal-0000000001.log";
const HEADER: usize = 64;

/// A log file, the places of its records, and the state after each of them.
struct Log {
    content: Vec<u8>,
    records: Vec<Range<usize>>,
    states: Vec<Model>,
}

impl Log {
    /// The log of the script, which was closed in its last record or is cut off before that.
    fn of_the_script(closed: bool) -> Self {
        let vfs = MemoryVfs::new();
        let mut db = open(vfs.clone()).unwrap();
        let mut states = vec![Model::default()];
        for step in script() {
            if let Step::Reopen = step {
                db.close().wait().unwrap();
                db = open(vfs.clone()).unwrap();
                states.extend(states.last().cloned());
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
        let mut content = vfs.content(LOG).unwrap();
        if closed {
            db.close().wait().unwrap();
            content = vfs.content(LOG).unwrap();
            states.extend(states.last().cloned());
        }
        let records = records(&content);
        assert_eq!(records.len() + 1, states.len(), "each change is a record");
        // Enough zeros to see what damage in them does, and few enough to open it often.
        content.truncate(records[records.len() - 1].end + 600);
        Self {
            content,
            records,
            states,
        }
    }

    fn acknowledged(&self) -> &Model {
        &self.states[self.records.len()]
    }

    /// The record that holds this byte.
    fn record_at(&self, at: usize) -> Option<usize> {
        self.records.iter().position(|record| record.contains(&at))
    }
}

fn next(states: &[Model], change: &Change) -> Model {
    let mut next = states[states.len() - 1].clone();
    next.apply(change);
    next
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

/// Opens a log with this content, reads it and closes it. A refused one must stay as it was.
fn open_log(content: &[u8]) -> Result<Model> {
    let vfs = MemoryVfs::new();
    vfs.set_content(LOG, content);
    match open(vfs.clone()) {
        Ok(db) => {
            let found = Model::read(&db)?;
            db.close().wait()?;
            // What was shown once is there the next time too.
            let db = open(vfs)?;
            assert_eq!(Model::read(&db)?, found);
            Ok(found)
        }
        Err(error) => {
            assert!(
                vfs.content(LOG).as_deref() == Some(content),
                "it was written to"
            );
            Err(error)
        }
    }
}

/// Whether opening it gave an error that names the damage; otherwise it must be `expected`.
fn detected(content: &[u8], expected: &Model, what: &str) -> bool {
    match open_log(content) {
        Ok(found) => {
            assert!(found == *expected, "{what}: a wrong answer");
            false
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corrupted, "{what}: {error}");
            let (file, offset) = error.location().unwrap();
            assert_eq!(file, LOG);
            assert!(offset as usize <= content.len(), "{what}: {error}");
            true
        }
    }
}

#[test]
fn every_flipped_byte_of_a_closed_log_is_named_or_harmless() {
    let log = Log::of_the_script(true);
    let last = log.records.len() - 1;
    let (mut named, mut harmless) = (0, 0);
    for at in 0..log.content.len() {
        let mut content = log.content.clone();
        content[at] ^= if at % 2 == 0 { 0xFF } else { 1 << (at % 8) };
        let what = format!("byte {at} flipped");
        if (8..12).contains(&at) {
            let error = open_log(&content).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{what}: {error}");
            named += 1;
            continue;
        }
        let seen = detected(&content, log.acknowledged(), &what);
        let record = log.record_at(at);
        // The record that says closed says nothing else; up to 7 bytes are padding.
        let must = at < HEADER || record.is_some_and(|n| n < last && at + 7 < log.records[n].end);
        assert!(seen || !must, "{what}: not seen");
        if seen && let Some(record) = record {
            let error = open_log(&content).unwrap_err();
            let (_, offset) = error.location().unwrap();
            assert_eq!(offset as usize, log.records[record].start, "{what}");
        }
        *(if seen { &mut named } else { &mut harmless }) += 1;
    }
    println!("{named} flips named, {harmless} harmless");
}

#[test]
fn every_damaged_sector_of_a_closed_log_is_named_or_harmless() {
    const SECTOR: usize = 512;
    let log = Log::of_the_script(true);
    let closed = &log.records[log.records.len() - 1];
    // Beyond the first byte of the record before the last, nothing sound may be left behind.
    let sectors: Vec<usize> = (0..=log.records[log.records.len() - 2].start / SECTOR)
        .map(|sector| sector * SECTOR)
        .collect();
    let mut named = 0;
    for &at in &sectors {
        let end = at + SECTOR;
        assert!(end <= closed.start, "the script ends with a long record");
        let mut zeroed = log.content.clone();
        zeroed[at..end].fill(0);
        named += usize::from(detected(
            &zeroed,
            log.acknowledged(),
            &format!("{at} zeroed"),
        ));
        let mut garbage = log.content.clone();
        let noise = (at as u32..).map(|n| (n.wrapping_mul(0x9E37_79B9) >> 24) as u8);
        garbage[at..end]
            .iter_mut()
            .zip(noise)
            .for_each(|(byte, noise)| *byte = noise);
        named += usize::from(detected(
            &garbage,
            log.acknowledged(),
            &format!("{at} garbage"),
        ));
        let mut swapped = log.content.clone();
        swapped.copy_within(at + SECTOR..end + SECTOR, at);
        swapped[end..end + SECTOR].copy_from_slice(&log.content[at..end]);
        if end + SECTOR <= closed.start {
            named += usize::from(detected(
                &swapped,
                log.acknowledged(),
                &format!("{at} swapped"),
            ));
        }
    }
    println!("{} sectors: {named} damages named", sectors.len());
    assert!(named >= sectors.len() * 2);
}

#[test]
fn records_that_change_places_or_come_from_another_log_are_named() {
    let log = Log::of_the_script(true);
    let mut stranger = log.content.clone();
    // The header of another file: its number is drawn for each.
    let other = MemoryVfs::new();
    amphora::vfs::Vfs::unique(&other);
    drop(open(other.clone()).unwrap().close().wait());
    stranger[..HEADER].copy_from_slice(&other.content(LOG).unwrap()[..HEADER]);
    let found = open_log(&stranger);
    assert!(
        matches!(&found, Err(error) if error.kind() == ErrorKind::Corrupted)
            || found.as_ref().is_ok_and(|found| *found == Model::default()),
        "records of another file were taken for its own"
    );
    for pair in log.records.windows(2).take(log.records.len() - 2) {
        let (a, b) = (pair[0].clone(), pair[1].clone());
        let swapped = [
            &log.content[..a.start],
            &log.content[b.clone()],
            &log.content[a],
            &log.content[b.end..],
        ]
        .concat();
        let what = format!("the records around {} swapped", b.start);
        assert!(detected(&swapped, log.acknowledged(), &what), "{what}");
    }
}

/// Without the record that says closed, damage in the last group is a torn write: nothing is
/// behind it that was written later. Any other damage is still named.
#[test]
fn a_damaged_byte_of_a_log_that_was_not_closed_costs_at_most_the_last_record() {
    let log = Log::of_the_script(false);
    let last = log.records.len() - 1;
    let (mut named, mut dropped) = (0, 0);
    for at in HEADER..log.content.len() {
        let mut content = log.content.clone();
        content[at] ^= 0x40;
        let what = format!("byte {at} flipped");
        match open_log(&content) {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupted, "{what}: {error}");
                named += 1;
            }
            Ok(found) if found == *log.acknowledged() => {}
            Ok(found) => {
                assert!(found == log.states[last], "{what}: a wrong answer");
                assert_eq!(log.record_at(at), Some(last), "{what}: more than torn");
                dropped += 1;
            }
        }
    }
    println!("{named} flips named, {dropped} dropped the last record");
    assert!(named > 0 && dropped > 0);
}

/// A log that was cut, closed or not, holds a beginning of what was written, whole operations,
/// or is named as damaged. That something is missing cannot be told from the log alone, since
/// nothing else says how long it was.
#[test]
fn every_truncation_leaves_whole_operations_or_is_named() {
    let log = Log::of_the_script(true);
    for cut in 0..log.content.len() {
        match open_log(&log.content[..cut]) {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupted, "cut at {cut}: {error}"),
            Ok(found) => {
                let whole = log.records.iter().filter(|r| r.end <= cut).count();
                // The last bytes of a record may be padding, which says nothing.
                let near = [whole, (whole + 1).min(log.records.len())];
                assert!(
                    near.iter().any(|n| log.states[*n] == found),
                    "cut at {cut}: neither whole nor torn"
                );
            }
        }
    }
}
