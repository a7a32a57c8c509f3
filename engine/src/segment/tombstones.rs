//! A tombstone file: which rows of one segment have ended, written once and never again.
//!
//! ```text
//! header     64 bytes, as in `codec/header.rs`
//! 64         id of the segment's file u64, rows of the segment u32, rows ended u32,
//!            length of the bitmap u32, checksum u32 over the file id, bytes 64..84 and the bitmap
//! 88         the bitmap, in the Roaring format, to the end of the file
//! ```
//!
//! It belongs to the segment whose file id it holds, and is refused beside another.

use crate::{
    codec::{
        Decoder, checksum,
        header::{FILE_HEADER, FileHeader, FileKind},
        put_u32, put_u64,
    },
    error::{Error, Result},
    vfs::{Vfs, VfsFile},
};
use roaring::RoaringBitmap;
use std::io;

/// The bytes between the header and the bitmap.
const FIXED: usize = 24;

/// Writes the ended rows of a segment to the new file `name` and syncs it; the directory is the
/// caller's to sync. Gives the length of the file. What an error leaves of it is removed, as far
/// as the directory allows.
pub(crate) fn write_deletes(
    vfs: &dyn Vfs,
    name: &str,
    segment_id: u64,
    rows: u32,
    ended: impl IntoIterator<Item = u32>,
) -> Result<u64> {
    let bitmap: RoaringBitmap = ended.into_iter().collect();
    if bitmap.max().is_some_and(|last| last >= rows) {
        return Err(Error::invalid("a row that is none cannot have ended"));
    }
    let header = FileHeader {
        kind: FileKind::Deletes,
        file_id: vfs.unique(),
    };
    let encode = || {
        let mut bytes = header.encode();
        put_u64(&mut bytes, segment_id);
        put_u32(&mut bytes, rows);
        put_u32(&mut bytes, bitmap.len() as u32);
        put_u32(&mut bytes, bitmap.serialized_size() as u32);
        // Written behind the place of the checksum, which is known afterwards.
        let sum_at = bytes.len();
        put_u32(&mut bytes, 0);
        bitmap.serialize_into(&mut bytes)?;
        let sum = body_sum(header.file_id, &bytes[FILE_HEADER..]);
        bytes[sum_at..sum_at + 4].copy_from_slice(&sum.to_le_bytes());
        io::Result::Ok(bytes)
    };
    let write = |bytes: &[u8]| {
        let file = vfs.create(name)?;
        let written = file.write_all_at(bytes, 0).and_then(|()| file.sync());
        if written.is_err() {
            let _ = vfs.remove(name);
        }
        written
    };
    let bytes = encode().map_err(|error| Error::io(format_args!("encoding {name}"), error))?;
    write(&bytes).map_err(|error| Error::io(format_args!("writing {name}"), error))?;
    Ok(bytes.len() as u64)
}

/// The ended rows of a segment, all of them below `rows`.
pub(crate) fn read_deletes(
    vfs: &dyn Vfs,
    name: &str,
    segment_id: u64,
    rows: u32,
) -> Result<RoaringBitmap> {
    let bytes = vfs
        .open_read(name)
        .and_then(|file| read(&*file))
        .map_err(|error| Error::io(format_args!("reading {name}"), error))?;
    let short = || Error::corrupted(name, bytes.len() as u64, "the file is too short");
    let (header, body) = bytes.split_first_chunk().ok_or_else(short)?;
    let header = FileHeader::decode(header, FileKind::Deletes).map_err(|error| error.of(name))?;
    let flaw = |message| Error::corrupted(name, FILE_HEADER as u64, message);
    let (fixed, bitmap) = body.split_first_chunk::<FIXED>().ok_or_else(short)?;
    if !fixed.ends_with(&body_sum(header.file_id, body).to_le_bytes()) {
        return Err(flaw("a checksum differs"));
    }
    let mut decoder = Decoder::new(fixed);
    let expected = (Ok(segment_id), Ok(rows), Ok(bitmap.len()));
    let segment = decoder.u64();
    let of_rows = decoder.u32();
    let count = decoder.u32();
    let len = decoder.u32().map(|len| len as usize);
    if (segment, of_rows, len) != expected {
        return Err(flaw("it belongs to another segment, or has another length"));
    }
    let mut rest = bitmap;
    let bitmap = RoaringBitmap::deserialize_from(&mut rest).map_err(|_| flaw("no bitmap"))?;
    let is_sound = rest.is_empty()
        && count.map(u64::from) == Ok(bitmap.len())
        && bitmap.max().is_none_or(|last| last < rows);
    if is_sound {
        return Ok(bitmap);
    }
    Err(flaw("the bitmap is of other rows"))
}

fn read(file: &dyn VfsFile) -> io::Result<Vec<u8>> {
    file.map().map(|map| map.to_vec())
}

/// Over what stands before its own four bytes, and behind them.
fn body_sum(file_id: u64, body: &[u8]) -> u32 {
    let before = body.get(..FIXED - 4).unwrap_or_default();
    let bitmap = body.get(FIXED..).unwrap_or_default();
    checksum(&[&file_id.to_le_bytes(), before, bitmap])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::MemoryVfs;
    use proptest::prelude::*;

    const NAME: &str = "deletes-1";

    fn written(rows: u32, ended: &[u32]) -> Vec<u8> {
        let vfs = MemoryVfs::new();
        let bytes = write_deletes(&vfs, NAME, 7, rows, ended.iter().copied()).unwrap();
        let content = vfs.content(NAME).unwrap();
        assert_eq!(bytes, content.len() as u64);
        content
    }

    fn read(content: &[u8], segment_id: u64, rows: u32) -> Result<Vec<u32>> {
        let vfs = MemoryVfs::new();
        vfs.set_content(NAME, content);
        read_deletes(&vfs, NAME, segment_id, rows).map(|bitmap| bitmap.into_iter().collect())
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(ended: std::collections::BTreeSet<u32>) {
            let ended: Vec<u32> = ended.into_iter().filter(|row| *row < u32::MAX).collect();
            prop_assert_eq!(read(&written(u32::MAX, &ended), 7, u32::MAX).unwrap(), ended);
        }

        #[test]
        fn hostile_bitmaps_with_sound_checksums_are_harmless(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        ) {
            let ended: Vec<u32> = (0..40).chain((70_000..90_000).step_by(3)).collect();
            let mut content = written(100_000, &ended);
            for (at, value) in changes {
                let at = FILE_HEADER + FIXED + at.index(200);
                content[at] = value;
            }
            let file_id = u64::from_le_bytes(content[16..24].try_into().unwrap());
            let sum = body_sum(file_id, &content[FILE_HEADER..]).to_le_bytes();
            content[FILE_HEADER + FIXED - 4..FILE_HEADER + FIXED].copy_from_slice(&sum);
            if let Ok(rows) = read(&content, 7, 100_000) {
                prop_assert!(rows.iter().all(|row| *row < 100_000));
                prop_assert_eq!(rows.len(), ended.len());
            }
        }
    }

    #[test]
    fn damage_and_the_tombstones_of_others_are_refused() {
        let ended: Vec<u32> = (0..90).step_by(3).collect();
        let good = written(100, &ended);
        assert_eq!(read(&good, 7, 100).unwrap(), ended);
        assert!(read(&good, 8, 100).is_err(), "of another segment");
        assert!(read(&good, 7, 101).is_err(), "of other rows");
        assert!(read(&[&good[..], &[0]].concat(), 7, 100).is_err());
        for at in 0..good.len() {
            assert!(read(&good[..at], 7, 100).is_err(), "cut at {at}");
            let mut flipped = good.clone();
            flipped[at] ^= 1 << (at % 8);
            assert!(read(&flipped, 7, 100).is_err(), "byte {at}");
        }
        assert!(write_deletes(&MemoryVfs::new(), NAME, 7, 5, [5]).is_err());
    }
}
