//! Byte layouts of a log file. All numbers are little-endian.
//!
//! ```text
//! file    header (64 bytes, kind 1), then records, then zeros to the end of the file
//! record  0 length of body u32  4 checksum of body u32  8 sequence u64
//!         16 durable u64  24 zero u32  28 checksum u32 over bytes 0..28 and the file id
//!         32 body, then zeros up to a multiple of 8
//! ```
//!
//! `durable` is the length of the file that was synced before the record was written. A damaged
//! record with a sound one behind it whose `durable` lies beyond the damage was once whole: that
//! is corruption. Without such a one it is the torn end of a write that nobody was told of.
//!
//! The checksum of a record covers its length, sequence, file id and body, so that neither zeros
//! nor a record of another file is taken for one of this.

use crate::codec::{Decoder, checksum, put_u32, put_u64};
use crate::id::SeqNo;

pub(super) const RECORD_HEADER: usize = 32;
const ALIGN: usize = 8;

/// What stands before the body of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) len: u32,
    pub(super) body_sum: u32,
    pub(super) seq: SeqNo,
    pub(super) durable: u64,
}

impl RecordHeader {
    pub(super) fn encode(self, file_id: u64, out: &mut Vec<u8>) {
        let start = out.len();
        put_u32(out, self.len);
        put_u32(out, self.body_sum);
        put_u64(out, self.seq.0);
        put_u64(out, self.durable);
        put_u32(out, 0);
        let sum = checksum(&[&out[start..], &file_id.to_le_bytes()]);
        put_u32(out, sum);
    }

    /// `None` when this is no header of a record of this file.
    pub(super) fn decode(bytes: &[u8; RECORD_HEADER], file_id: u64) -> Option<Self> {
        let (covered, sum) = bytes.split_at(RECORD_HEADER - 4);
        if checksum(&[covered, &file_id.to_le_bytes()]).to_le_bytes() != sum {
            return None;
        }
        let mut decoder = Decoder::new(covered);
        Some(Self {
            len: decoder.u32().ok()?,
            body_sum: decoder.u32().ok()?,
            seq: SeqNo(decoder.u64().ok()?),
            durable: decoder.u64().ok()?,
        })
    }

    /// Bytes of the whole record, padding included.
    pub(super) fn record_len(self) -> u64 {
        (RECORD_HEADER + padded(self.len as usize)) as u64
    }
}

pub(super) fn padded(len: usize) -> usize {
    len.next_multiple_of(ALIGN)
}

/// The name of log file `number`.
pub(crate) fn file_name(number: u64) -> String {
    format!("wal-{number:010}.log")
}

/// The number of the log file of this name.
pub(crate) fn file_number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("wal-")?.strip_suffix(".log")?;
    let number = digits.parse().ok()?;
    (file_name(number) == name).then_some(number)
}

/// Whether a file of this name is a log, or the beginning of one.
pub(crate) fn is_log(name: &str) -> bool {
    file_number(name.strip_suffix(".tmp").unwrap_or(name)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_they_were_written() {
        let record = RecordHeader {
            len: 5,
            body_sum: 9,
            seq: SeqNo(3),
            durable: 64,
        };
        let mut out = Vec::new();
        record.encode(77, &mut out);
        let bytes: [u8; RECORD_HEADER] = out.try_into().unwrap();
        assert_eq!(RecordHeader::decode(&bytes, 77), Some(record));
        assert_eq!(RecordHeader::decode(&bytes, 78), None, "of another file");
        assert_eq!(RecordHeader::decode(&[0; RECORD_HEADER], 0), None, "zeros");
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_seen() {
        let mut out = Vec::new();
        let record = RecordHeader {
            len: 5,
            body_sum: 9,
            seq: SeqNo(3),
            durable: 64,
        };
        record.encode(77, &mut out);
        for bit in 0..RECORD_HEADER * 8 {
            let mut flipped: [u8; RECORD_HEADER] = out.clone().try_into().unwrap();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(RecordHeader::decode(&flipped, 77), None, "bit {bit}");
        }
    }

    #[test]
    fn only_our_own_names_are_log_files() {
        assert_eq!(file_number(&file_name(12)), Some(12));
        for name in [
            "wal-12.log",
            "wal-.log",
            "wal-+000000012.log",
            "wal-0000000012.log.tmp",
        ] {
            assert_eq!(file_number(name), None, "{name}");
        }
    }
}
