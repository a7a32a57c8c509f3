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
