//! A file of missed ids: what ended in a segment while the segment could not be read, so that
//! nobody could tell the rows. Written once and never again.
//!
//! ```text
//! header     64 bytes, as in `codec/header.rs`
//! 64         number of the segment's file u64, count of ids u32,
//!            checksum u32 over the file id, bytes 64..76 and the ids
//! 80         the ids, to the end of the file
//! ```
//!
//! Should the segment be readable again, its rows with these ids have ended: it is named by the
//! number of its file, since a damaged one may not tell its id.

use crate::{
    codec::{
        Decoder, checksum,
        header::{FILE_HEADER, FileHeader, FileKind},
        id::{MIN_ID_BYTES, put_id},
        put_u32, put_u64,
    },
    error::{Error, Result},
    id::PointId,
    vfs::Vfs,
};

/// The bytes that the checksum covers between the header and the ids.
const FIXED: usize = 12;

/// Writes the ids that ended in the segment file `segment` to the new file `name` and syncs it; the
/// directory is the caller's to sync. What an error leaves of it is removed, as far as the
/// directory allows.
pub(crate) fn write_missed(vfs: &dyn Vfs, name: &str, segment: u64, ids: &[PointId]) -> Result<()> {
    let header = FileHeader {
        kind: FileKind::Missed,
        file_id: vfs.unique(),
    };
    let mut fixed = Vec::new();
    put_u64(&mut fixed, segment);
    put_u32(&mut fixed, ids.len() as u32);
    let mut body = Vec::new();
    ids.iter().for_each(|id| put_id(&mut body, id));
    let mut bytes = header.encode();
    bytes.extend_from_slice(&fixed);
    let sum = checksum(&[&header.file_id.to_le_bytes(), &fixed, &body]);
    put_u32(&mut bytes, sum);
    bytes.extend_from_slice(&body);
    let write = || {
        let file = vfs.create(name)?;
        let written = file.write_all_at(&bytes, 0).and_then(|()| file.sync());
        if written.is_err() {
            let _ = vfs.remove(name);
        }
        written
    };
    write().map_err(|error| Error::io(format_args!("writing {name}"), error))
}

/// The ids that ended in the segment file `segment`.
pub(crate) fn read_missed(vfs: &dyn Vfs, name: &str, segment: u64) -> Result<Vec<PointId>> {
    let bytes = vfs
        .open_read(name)
        .and_then(|file| file.map())
        .map_err(|error| Error::io(format_args!("reading {name}"), error))?;
    let short = || Error::corrupted(name, bytes.len() as u64, "the file is too short");
    let (header, rest) = bytes.split_first_chunk().ok_or_else(short)?;
    let header = FileHeader::decode(header, FileKind::Missed).map_err(|error| error.of(name))?;
    let (fixed, rest) = rest.split_first_chunk::<FIXED>().ok_or_else(short)?;
    let (sum, body) = rest.split_first_chunk::<4>().ok_or_else(short)?;
    let flaw = |message| Error::corrupted(name, FILE_HEADER as u64, message);
    if checksum(&[&header.file_id.to_le_bytes(), fixed, body]).to_le_bytes() != *sum {
        return Err(flaw("a checksum differs"));
    }
    let mut decoder = Decoder::new(fixed);
    if decoder.u64() != Ok(segment) {
        return Err(flaw("it belongs to another segment"));
    }
    let count = decoder.u32().unwrap_or_default() as usize;
    if count > body.len() / MIN_ID_BYTES {
        return Err(flaw("it counts more ids than it holds"));
    }
    let mut decoder = Decoder::new(body);
    let ids = (0..count).map(|_| decoder.id());
    let ids = ids.collect::<std::result::Result<Vec<_>, _>>();
    let ids = ids.map_err(|_| flaw("it does not hold ids"))?;
    if decoder.is_empty() {
        return Ok(ids);
    }
    Err(flaw("the ids are followed by further bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::MemoryVfs;

    const NAME: &str = "missed-1";

    #[test]
    fn what_was_written_is_read_and_damage_is_refused() {
        let ids = [
            PointId::from(7),
            PointId::from("seven"),
            uuid::Uuid::from_u128(7).into(),
        ];
        let vfs = MemoryVfs::new();
        write_missed(&vfs, NAME, 3, &ids).unwrap();
        assert_eq!(read_missed(&vfs, NAME, 3).unwrap(), ids);
        assert!(read_missed(&vfs, NAME, 4).is_err(), "of another segment");
        let good = vfs.content(NAME).unwrap();
        let read = |content: &[u8]| {
            let vfs = MemoryVfs::new();
            vfs.set_content(NAME, content);
            read_missed(&vfs, NAME, 3)
        };
        assert!(read(&[&good[..], &[0]].concat()).is_err());
        for at in 0..good.len() {
            assert!(read(&good[..at]).is_err(), "cut at {at}");
            let mut flipped = good.clone();
            flipped[at] ^= 1 << (at % 8);
            assert!(read(&flipped).is_err(), "byte {at}");
        }
    }
}
