//! Bytes: little-endian numbers, length-prefixed strings, ids, file headers, and a checksum.
//!
//! [`Decoder`] reads what [`put_u32`] and its siblings wrote. It bounds every length by the
//! bytes that are left before it allocates, so that no input can make it panic or exhaust memory.

pub(crate) mod header;
pub(crate) mod id;

/// What was expected and not found; the caller knows the file and the offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct DecodeError(pub(crate) &'static str);

pub(crate) type Decoded<T> = Result<T, DecodeError>;

pub(crate) fn put_u8(out: &mut Vec<u8>, value: u8) {
    out.push(value);
}

pub(crate) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(crate) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// A number of variable length: seven bits a byte, the lowest first, the top bit where more follow.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A length of 32 bits, then the bytes. The caller has bounded the length.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len());
    debug_assert!(len.is_ok(), "lengths are bounded before they are encoded");
    put_u32(out, len.unwrap_or(u32::MAX));
    out.extend_from_slice(bytes);
}

/// A count of 32 bits, then the numbers.
pub(crate) fn put_f32s(out: &mut Vec<u8>, values: &[f32]) {
    put_u32(out, values.len() as u32);
    // In one piece: the engine is built for little-endian machines alone, as `container` sees to.
    out.extend_from_slice(bytemuck::cast_slice(values));
}

/// Reads forward through `bytes`.
#[derive(Clone, Debug)]
pub(crate) struct Decoder<'a> {
    bytes: &'a [u8],
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// A count of items that take at least `item_bytes` each, bounded by the bytes left.
    pub(crate) fn count(&mut self, item_bytes: usize) -> Decoded<usize> {
        let count = self.u32()? as usize;
        if count > self.bytes.len() / item_bytes {
            return Err(DecodeError("a count exceeds the bytes that are left"));
        }
        Ok(count)
    }

    pub(crate) fn u8(&mut self) -> Decoded<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Decoded<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Decoded<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn varint(&mut self) -> Decoded<u64> {
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

    /// One that has 32 bits at most.
    pub(crate) fn varint_u32(&mut self) -> Decoded<u32> {
        u32::try_from(self.varint()?).map_err(|_| DecodeError("a number exceeds 32 bits"))
    }

    pub(crate) fn bytes(&mut self) -> Decoded<&'a [u8]> {
        let len = self.u32()? as usize;
        self.take(len)
    }

    pub(crate) fn str(&mut self) -> Decoded<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError("a string is not UTF-8"))
    }

    pub(crate) fn f32s(&mut self) -> Decoded<Vec<f32>> {
        let count = self.count(4)?;
        let (values, _) = self.take(count * 4)?.as_chunks::<4>();
        Ok(values
            .iter()
            .map(|value| f32::from_le_bytes(*value))
            .collect())
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Decoded<[u8; N]> {
        let (array, rest) = self
            .bytes
            .split_first_chunk::<N>()
            .ok_or(DecodeError("the bytes end inside a value"))?;
        self.bytes = rest;
        Ok(*array)
    }

    pub(crate) fn take(&mut self, len: usize) -> Decoded<&'a [u8]> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(len)
            .ok_or(DecodeError("a length exceeds the bytes that are left"))?;
        self.bytes = rest;
        Ok(taken)
    }
}

/// CRC-32 over `parts` as if they were one.
pub(crate) fn checksum(parts: &[&[u8]]) -> u32 {
    let mut sum = Checksum::default();
    for part in parts {
        sum.update(part);
    }
    sum.finish()
}

/// CRC-32 over bytes that come piece by piece.
#[derive(Clone, Debug, Default)]
pub(crate) struct Checksum(crc32fast::Hasher);

impl Checksum {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> u32 {
        self.0.finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(number: u64, text: String, values: Vec<u32>) {
            let values: Vec<f32> = values.into_iter().map(f32::from_bits).collect();
            let mut out = Vec::new();
            put_u64(&mut out, number);
            put_bytes(&mut out, text.as_bytes());
            put_f32s(&mut out, &values);
            let mut decoder = Decoder::new(&out);
            prop_assert_eq!(decoder.u64().unwrap(), number);
            prop_assert_eq!(decoder.str().unwrap(), text);
            let read = decoder.f32s().unwrap();
            prop_assert!(read.iter().map(|v| v.to_bits()).eq(values.iter().map(|v| v.to_bits())));
            prop_assert!(decoder.is_empty());
        }

        #[test]
        fn no_input_panics_or_allocates_beyond_itself(bytes: Vec<u8>) {
            let _ = Decoder::new(&bytes).str();
            let _ = Decoder::new(&bytes).u64();
            if let Ok(values) = Decoder::new(&bytes).f32s() {
                prop_assert!(values.len() * 4 <= bytes.len());
            }
        }
    }
}
