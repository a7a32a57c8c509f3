//! The first 64 bytes of every file of a database: what sort of file it is, and which.
//!
//! ```text
//! 0 magic "AMPHORA\0"  8 format u32  12 kind u32  16 file id u64
//! 24 zeros  60 checksum u32 over bytes 0..60
//! ```

use super::{Decoder, checksum, put_u32, put_u64};
use crate::error::{Error, ErrorKind};

/// The format that this build writes, and the newest that it reads.
pub(crate) const FORMAT: u32 = 1;
pub(crate) const FILE_HEADER: usize = 64;
const MAGIC: [u8; 8] = *b"AMPHORA\0";

/// The sorts of files, so that one is never read as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum FileKind {
    Log = 1,
    Segment = 2,
    Deletes = 3,
    Manifest = 4,
    Portable = 5,
    Missed = 6,
    Index = 7,
    Columns = 8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileHeader {
    pub(crate) kind: FileKind,
    pub(crate) file_id: u64,
}

/// Why the bytes are no header of the kind expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    OtherKind,
    Newer(u32),
    Damaged,
}

impl FileHeader {
    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        put_u32(&mut out, FORMAT);
        put_u32(&mut out, self.kind as u32);
        put_u64(&mut out, self.file_id);
        out.resize(FILE_HEADER - 4, 0);
        let sum = checksum(&[&out]);
        put_u32(&mut out, sum);
        out
    }

    /// The header of a file of this kind.
    pub(crate) fn decode(bytes: &[u8; FILE_HEADER], kind: FileKind) -> Result<Self, HeaderError> {
        let mut decoder = Decoder::new(bytes);
        let damaged = |_| HeaderError::Damaged;
        if decoder.array::<8>().map_err(damaged)? != MAGIC {
            return Err(HeaderError::OtherKind);
        }
        // Before the checksum: a newer format may keep it elsewhere.
        let format = decoder.u32().map_err(damaged)?;
        if format > FORMAT {
            return Err(HeaderError::Newer(format));
        }
        let found = decoder.u32().map_err(damaged)?;
        let file_id = decoder.u64().map_err(damaged)?;
        let (covered, sum) = bytes.split_at(FILE_HEADER - 4);
        if checksum(&[covered]).to_le_bytes() != sum {
            return Err(HeaderError::Damaged);
        }
        if found != kind as u32 || format != FORMAT {
            return Err(HeaderError::OtherKind);
        }
        Ok(Self { kind, file_id })
    }
}

impl HeaderError {
    /// The same about the file `name`.
    pub(crate) fn of(self, name: &str) -> Error {
        match self {
            Self::Newer(format) => Error::new(
                ErrorKind::Unsupported,
                format!("{name} has format {format}; this build reads up to {FORMAT}"),
            ),
            Self::OtherKind => Error::corrupted(name, 0, "expected the header of another kind"),
            Self::Damaged => Error::corrupted(name, 0, "the header's checksum differs"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written_and_every_flipped_bit_is_seen() {
        let header = FileHeader {
            kind: FileKind::Segment,
            file_id: 77,
        };
        let bytes: [u8; FILE_HEADER] = header.encode().try_into().unwrap();
        assert_eq!(FileHeader::decode(&bytes, FileKind::Segment), Ok(header));
        let as_log = FileHeader::decode(&bytes, FileKind::Log);
        assert_eq!(as_log, Err(HeaderError::OtherKind));
        for bit in 0..FILE_HEADER * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            let decoded = FileHeader::decode(&flipped, FileKind::Segment);
            assert!(decoded.is_err(), "bit {bit}");
        }
    }
}
