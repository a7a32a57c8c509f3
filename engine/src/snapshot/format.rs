//! Byte layouts of a portable snapshot: one flat file. All numbers are little-endian.
//!
//! ```text
//! file    header (64 bytes, kind 5), then entries, the manifest first, then the end record
//! entry   0 kind u8  1 zeros  8 number u64  16 length u64  24 checksum of the bytes u32
//!         28 checksum u32 over bytes 0..28 and the file id  32 the bytes
//! kinds   1 manifest  2 log  3 segment  4 deletes
//! end     as the head of an entry: kind 5, the number of entries, length 0, and the checksum of
//!         the heads of all entries; the file ends with it
//! ```
//!
//! The bytes of an entry are those of the file of its kind and number. There is no name in it but
//! those within the manifest.

use crate::codec::{Decoder, checksum, put_u8, put_u32, put_u64};

/// The bytes before those of an entry.
pub(super) const HEAD: usize = 32;

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Kind {
    Manifest = 1,
    Log = 2,
    Segment = 3,
    Deletes = 4,
    End = 5,
}

/// What stands before the bytes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) number: u64,
    pub(super) len: u64,
    pub(super) sum: u32,
}

impl Head {
    pub(super) fn encode(self, file_id: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD);
        put_u8(&mut out, self.kind as u8);
        out.resize(8, 0);
        put_u64(&mut out, self.number);
        put_u64(&mut out, self.len);
        put_u32(&mut out, self.sum);
        let sum = checksum(&[&out, &file_id.to_le_bytes()]);
        put_u32(&mut out, sum);
        out
    }

    /// `None` when this is no head of an entry of this file.
    pub(super) fn decode(bytes: &[u8; HEAD], file_id: u64) -> Option<Self> {
        let (covered, sum) = bytes.split_at(HEAD - 4);
        if checksum(&[covered, &file_id.to_le_bytes()]).to_le_bytes() != sum {
            return None;
        }
        let mut decoder = Decoder::new(covered);
        let kind = Kind::from_byte(decoder.array::<8>().ok()?)?;
        Some(Self {
            kind,
            number: decoder.u64().ok()?,
            len: decoder.u64().ok()?,
            sum: decoder.u32().ok()?,
        })
    }
}

impl Kind {
    fn from_byte(bytes: [u8; 8]) -> Option<Self> {
        let kinds = [
            Self::Manifest,
            Self::Log,
            Self::Segment,
            Self::Deletes,
            Self::End,
        ];
        let kind = |kind: &Self| u64::from_le_bytes(bytes) == *kind as u64;
        kinds.into_iter().find(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written_and_every_flipped_bit_is_seen() {
        let head = Head {
            kind: Kind::Segment,
            number: 7,
            len: 1 << 40,
            sum: 9,
        };
        let bytes: [u8; HEAD] = head.encode(77).try_into().unwrap();
        assert_eq!(Head::decode(&bytes, 77), Some(head));
        assert_eq!(Head::decode(&bytes, 78), None, "of another file");
        for bit in 0..HEAD * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::decode(&flipped, 77), None, "bit {bit}");
        }
    }

    #[test]
    fn an_unknown_kind_with_a_sound_checksum_is_refused() {
        for kind in [0, 6, 255] {
            let mut bytes = vec![kind];
            bytes.resize(HEAD - 4, 0);
            let sum = checksum(&[&bytes, &77u64.to_le_bytes()]);
            bytes.extend(sum.to_le_bytes());
            assert_eq!(Head::decode(&bytes.try_into().unwrap(), 77), None);
        }
    }
}
