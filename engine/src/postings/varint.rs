//! Numbers of variable length: seven bits a byte, the lowest first, the top bit where more follow.

use crate::codec::{DecodeError, Decoded};

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads such numbers one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Varints<'a> {
    bytes: &'a [u8],
}

impl<'a> Varints<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// What has not been read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn u64(&mut self) -> Decoded<u64> {
        let mut value = 0u64;
        for (at, byte) in self.bytes.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                // The tenth byte has room for one bit.
                if at == 9 && *byte > 1 {
                    break;
                }
                self.bytes = &self.bytes[at + 1..];
                return Ok(value);
            }
        }
        Err(DecodeError("a number of variable length does not end"))
    }

    pub(crate) fn u32(&mut self) -> Decoded<u32> {
        u32::try_from(self.u64()?).map_err(|_| DecodeError("a number exceeds 32 bits"))
    }

    /// As many bytes.
    pub(crate) fn take(&mut self, len: usize) -> Decoded<&'a [u8]> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(len)
            .ok_or(DecodeError("a length exceeds the bytes that are left"))?;
        self.bytes = rest;
        Ok(taken)
    }
}
