//! The postings of one block, packed, and the rest of a list that fills none.
//!
//! ```text
//! block    width of rows u8, width of values u8, rows, values: 128 numbers of that width each
//! rest     for each posting: gap << 1 | (1 if a value follows), varint; the value, varint
//! numbers  width u8, 128 numbers of that width, as often as there are 128; a varint each for what is
//!          left. Positions of blocks are such; those of a rest are varints throughout
//! ```
//!
//! Packed rows are what each exceeds the row before by, less one. A gap is as much. A value that does
//! not follow is zero. Numbers are packed as the crate `bitpacking` does in its `BitPacker4x`.

use crate::codec::{DecodeError, Decoded, Decoder, put_varint};
use bitpacking::{BitPacker, BitPacker4x};

/// Postings of a block.
pub(crate) const BLOCK: usize = BitPacker4x::BLOCK_LEN;

/// Bytes that 128 numbers of a width take.
fn packed_len(width: u8) -> usize {
    BLOCK / 8 * usize::from(width)
}

/// Appends a block that comes after the row `before`, or is the first.
pub(super) fn put_block(
    out: &mut Vec<u8>,
    before: Option<u32>,
    rows: &[u32; BLOCK],
    values: &[u32; BLOCK],
) {
    let packer = BitPacker4x::new();
    let row_width = packer.num_bits_strictly_sorted(before, rows);
    let value_width = packer.num_bits(values);
    out.extend_from_slice(&[row_width, value_width]);
    let mut packed = [0; 4 * BLOCK];
    let len = packer.compress_strictly_sorted(before, rows, &mut packed, row_width);
    out.extend_from_slice(&packed[..len]);
    let len = packer.compress(values, &mut packed, value_width);
    out.extend_from_slice(&packed[..len]);
}

/// Numbers that are packed, and their width.
type Packed<'a> = (u8, &'a [u8]);

/// The rows of a block, and its values.
fn parts(bytes: &[u8]) -> Decoded<(Packed<'_>, Packed<'_>)> {
    let [row_width, value_width, packed @ ..] = bytes else {
        return Err(DecodeError("a block of postings has no widths"));
    };
    if *row_width > 32 || *value_width > 32 {
        return Err(DecodeError("a block of postings has numbers above 32 bits"));
    }
    if packed.len() != packed_len(*row_width) + packed_len(*value_width) {
        return Err(DecodeError(
            "a block of postings is not as long as its widths say",
        ));
    }
    let (rows, values) = packed.split_at(packed_len(*row_width));
    Ok(((*row_width, rows), (*value_width, values)))
}

/// Unpacks the rows of a block of which the last must be `last`.
pub(super) fn get_rows(
    bytes: &[u8],
    before: Option<u32>,
    last: u32,
    rows: &mut [u32; BLOCK],
) -> Decoded<()> {
    let ((width, packed), _) = parts(bytes)?;
    BitPacker4x::new().decompress_strictly_sorted(before, packed, rows, width);
    let first = before.is_none_or(|before| before < rows[0]);
    // Without an early end, so that many are compared at once.
    let ascend = (1..BLOCK).fold(true, |ascend, at| ascend & (rows[at - 1] < rows[at]));
    if first && ascend && rows[BLOCK - 1] == last {
        return Ok(());
    }
    Err(DecodeError(
        "the rows of a block of postings do not ascend to its last",
    ))
}

pub(super) fn get_values(bytes: &[u8], values: &mut [u32; BLOCK]) -> Decoded<()> {
    let (_, (width, packed)) = parts(bytes)?;
    BitPacker4x::new().decompress(packed, values, width);
    Ok(())
}

/// Appends postings, fewer than a block's, that come after the row `before`, or are the first.
pub(crate) fn put_rest(out: &mut Vec<u8>, mut before: Option<u32>, rows: &[u32], values: &[u32]) {
    for (row, value) in rows.iter().zip(values) {
        put_rest_entry(out, before, *row, *value);
        before = Some(*row);
    }
}

/// Appends one posting to a rest.
pub(crate) fn put_rest_entry(out: &mut Vec<u8>, before: Option<u32>, row: u32, value: u32) {
    debug_assert!(before.is_none_or(|before| before < row), "rows ascend");
    let gap = row.wrapping_sub(before.map_or(0, |before| before + 1));
    put_varint(out, u64::from(gap) << 1 | u64::from(value != 0));
    if value != 0 {
        put_varint(out, value.into());
    }
}

/// Reads `count` postings, and nothing else, from a rest.
pub(crate) fn take_rest(
    bytes: &[u8],
    before: Option<u32>,
    count: usize,
    rows: &mut [u32; BLOCK],
    values: &mut [u32; BLOCK],
) -> Decoded<()> {
    let mut numbers = Decoder::new(bytes);
    let mut next = before.map_or(0, |before| u64::from(before) + 1);
    for (row, value) in rows.iter_mut().zip(values.iter_mut()).take(count) {
        let code = numbers.varint()?;
        // Of a number of 63 bits and one of 33.
        next += code >> 1;
        *row = u32::try_from(next).map_err(|_| DecodeError("a row exceeds 32 bits"))?;
        *value = if code & 1 == 0 {
            0
        } else {
            numbers.varint_u32()?
        };
        next += 1;
    }
    if numbers.is_empty() {
        return Ok(());
    }
    Err(DecodeError(
        "there are bytes behind the last posting of a list",
    ))
}

/// Appends any numbers.
pub(crate) fn put_numbers(out: &mut Vec<u8>, numbers: &[u32]) {
    let packer = BitPacker4x::new();
    let (blocks, rest) = numbers.as_chunks::<BLOCK>();
    for block in blocks {
        let width = packer.num_bits(block);
        let mut packed = [0; 4 * BLOCK];
        let len = packer.compress(block, &mut packed, width);
        out.push(width);
        out.extend_from_slice(&packed[..len]);
    }
    rest.iter()
        .for_each(|number| put_varint(out, (*number).into()));
}

/// Reads `count` numbers, and nothing else, in place of what `numbers` held. At most 128 of them may
/// be zeros that fill blocks.
pub(super) fn get_numbers(bytes: &[u8], count: usize, numbers: &mut Vec<u32>) -> Decoded<()> {
    let packer = BitPacker4x::new();
    let mut left = Decoder::new(bytes);
    numbers.clear();
    // No more is allocated than the bytes may hold: a bit each, but for one block of zeros.
    if count > bytes.len().saturating_mul(8).saturating_add(BLOCK) {
        return Err(DecodeError("there are fewer numbers than their count says"));
    }
    for _ in 0..count / BLOCK {
        let width = left.u8()?;
        if width > 32 {
            return Err(DecodeError("a block has numbers above 32 bits"));
        }
        let mut block = [0; BLOCK];
        packer.decompress(left.take(packed_len(width))?, &mut block, width);
        numbers.extend_from_slice(&block);
    }
    push_varints(left, count % BLOCK, numbers)
}

/// Reads `count` numbers of variable length, and nothing else, in place of what `numbers` held.
pub(super) fn get_varints(bytes: &[u8], count: usize, numbers: &mut Vec<u32>) -> Decoded<()> {
    numbers.clear();
    push_varints(Decoder::new(bytes), count, numbers)
}

fn push_varints(mut left: Decoder<'_>, count: usize, numbers: &mut Vec<u32>) -> Decoded<()> {
    for _ in 0..count {
        numbers.push(left.varint_u32()?);
    }
    if left.is_empty() {
        return Ok(());
    }
    Err(DecodeError("there are bytes behind the last number"))
}
