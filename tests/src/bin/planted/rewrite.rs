//! What an engine with a bug would have written: files that are sound, and say something else.
//!
//! The layouts are those of FORMAT.md, read as far as these faults need it.

use serde_json::Value;

/// The header of every file.
const FILE_HEADER: usize = 64;
/// Where the number of a file stands in its header.
pub(crate) const FILE_ID: u64 = 16;
const RECORD_HEADER: usize = 32;
/// The bytes of a record's header that its checksum covers.
const COVERED: usize = 28;
const MANIFEST_PREFIX: usize = FILE_HEADER + 8;
/// The footer of a file of sections, and what its directory has for each of these.
const FOOTER: usize = 48;
const SECTION: usize = 36;
/// So much of a section has one checksum.
const CHUNK: usize = 16 << 10;
const FORMAT: u32 = 1;
/// The section of an index with the rows of its nodes.
const ROWS: u32 = 2;
const DELETE: u8 = 4;
const BATCH: u8 = 9;

/// Records of the log file of this number, as if the deletes that end a batch were of other points.
/// `None` without such a batch.
pub(crate) fn without_deletes(records: &[u8], file_id: u64) -> Option<Vec<u8>> {
    let mut out = records.to_vec();
    let mut rest = &mut out[..];
    let mut found = false;
    while let Some(len) = u32_at(rest, 0).filter(|len| *len > 0) {
        let end = RECORD_HEADER + len as usize;
        let Some((header, body)) = rest.get_mut(..end)?.split_at_mut_checked(RECORD_HEADER) else {
            break;
        };
        if ends_in_deletes(body) {
            // The last byte is of the last id.
            *body.last_mut()? ^= 1;
            put_u32(header, 4, checksum(&[body]));
            let sum = checksum(&[&header[..COVERED], &file_id.to_le_bytes()]);
            put_u32(header, COVERED, sum);
            found = true;
        }
        rest = rest.get_mut(end.next_multiple_of(8)..)?;
    }
    found.then_some(out)
}

fn ends_in_deletes(body: &[u8]) -> bool {
    let last_part = || {
        let (kind, rest) = body.split_first()?;
        let count = u32_at(rest, 0).filter(|_| *kind == BATCH)?;
        let mut place = 4;
        for _ in 1..count {
            place += 4 + u32_at(rest, place)? as usize;
        }
        rest.get(place + 4).copied()
    };
    last_part() == Some(DELETE)
}

/// A manifest file whose newest snapshot lacks the newest segment of a collection. `None` when it
/// has none.
pub(crate) fn without_segment(file: &[u8]) -> Option<Vec<u8>> {
    let (prefix, body) = file.split_at_checked(MANIFEST_PREFIX)?;
    let mut manifest: Value = serde_json::from_slice(body).ok()?;
    let snapshot = manifest["snapshots"].as_array_mut()?.last_mut()?;
    let mut collections = snapshot["collections"].as_array_mut()?.iter_mut();
    collections.find_map(|collection| collection["segments"].as_array_mut()?.pop())?;
    let body = serde_json::to_vec(&manifest).ok()?;
    let len = u32::try_from(body.len()).ok()?;
    let mut out = prefix.to_vec();
    let file_id = &prefix[FILE_ID as usize..][..8];
    put_u32(&mut out, FILE_HEADER, len);
    let sum = checksum(&[&len.to_le_bytes(), file_id, &body]);
    put_u32(&mut out, FILE_HEADER + 4, sum);
    out.extend_from_slice(&body);
    Some(out)
}

/// An index file in which other rows are said to be its nodes.
pub(crate) fn with_rows(file: &[u8], change: impl FnOnce(&mut [u32])) -> Option<Vec<u8>> {
    let Parts {
        mut body,
        mut directory,
        file_id,
        rows,
    } = Parts::of(file)?;
    let sections = 4 + u32_at(&directory, 0)? as usize;
    let count = u32_at(&directory, sections)? as usize;
    let starts = (0..count).map(|n| sections + 4 + n * SECTION);
    let entry = starts
        .into_iter()
        .find(|at| u32_at(&directory, *at) == Some(ROWS))?;
    let at = u64_at(&directory, entry + 8)? as usize;
    let len = u64_at(&directory, entry + 16)? as usize;
    let table = u64_at(&directory, entry + 24)? as usize;

    let content = body
        .get_mut(at..at + len)
        .filter(|content| content.len() <= CHUNK)?;
    let words = content.chunks_exact(4).filter_map(|word| u32_at(word, 0));
    let mut words: Vec<u32> = words.collect();
    words.first()?;
    change(&mut words);
    let changed = words.iter().flat_map(|word| word.to_le_bytes());
    content
        .iter_mut()
        .zip(changed)
        .for_each(|(byte, new)| *byte = new);
    let sum = checksum(&[content]);
    put_u32(&mut body, table, sum);
    put_u32(&mut directory, entry + 32, checksum(&[&sum.to_le_bytes()]));
    Some(
        Parts {
            body,
            directory,
            file_id,
            rows,
        }
        .file(),
    )
}

/// A file of sections.
struct Parts {
    /// The header, the sections and their tables of checksums.
    body: Vec<u8>,
    directory: Vec<u8>,
    file_id: u64,
    rows: u32,
}

impl Parts {
    fn of(file: &[u8]) -> Option<Self> {
        let (rest, footer) = file.split_at_checked(file.len().checked_sub(FOOTER)?)?;
        let (body, directory) = rest.split_at_checked(u64_at(footer, 0)? as usize)?;
        Some(Self {
            body: body.to_vec(),
            directory: directory.to_vec(),
            file_id: u64_at(footer, 24)?,
            rows: u32_at(footer, 16)?,
        })
    }

    fn file(self) -> Vec<u8> {
        let len = self.body.len() + self.directory.len() + FOOTER;
        let mut footer = vec![0; FOOTER];
        put_u64(&mut footer, 0, self.body.len() as u64);
        put_u32(&mut footer, 8, self.directory.len() as u32);
        let sum = checksum(&[&self.directory, &self.file_id.to_le_bytes()]);
        put_u32(&mut footer, 12, sum);
        put_u32(&mut footer, 16, self.rows);
        put_u32(&mut footer, 20, FORMAT);
        put_u64(&mut footer, 24, self.file_id);
        put_u64(&mut footer, 32, len as u64);
        let sum = checksum(&[&footer[..FOOTER - 4]]);
        put_u32(&mut footer, FOOTER - 4, sum);
        [self.body, self.directory, footer].concat()
    }
}

fn u64_at(bytes: &[u8], place: usize) -> Option<u64> {
    let bytes = bytes.get(place..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}

fn put_u64(bytes: &mut [u8], place: usize, number: u64) {
    bytes[place..place + 8].copy_from_slice(&number.to_le_bytes());
}

fn u32_at(bytes: &[u8], place: usize) -> Option<u32> {
    let bytes = bytes.get(place..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

fn put_u32(bytes: &mut [u8], place: usize, number: u32) {
    bytes[place..place + 4].copy_from_slice(&number.to_le_bytes());
}

fn checksum(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}
