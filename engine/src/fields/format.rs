//! The bytes of a column. All numbers are little-endian.
//!
//! ```text
//! header    rows u32, values u32, entries u32, flags u32, length of texts u64, zero u64
//! keys      for each value u64, ascending: a number as the nearest float in the integers' order, a
//!           boolean as 0 or 1, a text as where it ends in texts, a date-time as microseconds since 1970
//!           in the order of integers without sign, a place as its cell
//! starts    for each value and once more, where its rows start in postings u32
//! postings  for each entry u32: a row that has the value, ascending within each value
//! spans     for each row and once more, where its ordinals start u32; if a row has several values
//! ordinals  for each row u32: which value it has, or the largest u32; with spans for each entry
//! rests     for each value i16: what an integer exceeds the nearest float by; if any does
//! texts     one behind the other, ascending; or for each place its longitude and latitude f64, ascending
//!           within each cell
//! ```
//!
//! An entry is a row and one of its values. A value that the field may not have by its declaration
//! is not in the column; flags say whether there is one:
//!
//! ```text
//!   1  some row has several values
//!   2  some integer is no float
//!   4, 8, 16  some string, number, boolean is not in the column
//!  32  some object or array within an array is not in the column
//!  64  some value is null
//! 128  some row has a value twice
//! 256  the three before this are known
//! ```

use crate::{
    codec::{DecodeError, Decoded, Decoder, put_u32, put_u64},
    schema::Field,
};
use bytemuck::AnyBitPattern;
use serde_json::Value;

pub(super) const HEADER: usize = 32;
/// The ordinal of a row without a value.
pub(super) const NONE: u32 = u32::MAX;
/// Some row has several values.
pub(super) const MANY: u32 = 1;
/// Some integer is no float.
pub(super) const RESTS: u32 = 2;
/// Some value is of the first class and not in the column; the next bits say so of the others.
const STRAY: u32 = 4;
/// Some value is no scalar and not in the column.
pub(super) const OTHERS: u32 = 32;
/// Some value is null.
pub(super) const NULLS: u32 = 64;
/// Some row has a value more than once.
pub(super) const REPEATED: u32 = 128;
/// The three flags before are set where they hold.
pub(super) const KNOWN: u32 = 256;
const ALL_FLAGS: u32 = 0x1ff;

/// Values that compare with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Text,
    Number,
    Bool,
    /// Strings that are date-times, by what they mean.
    Time,
    /// Objects that are places.
    Place,
}

impl Class {
    /// What a field is declared to hold.
    pub(super) fn declared(field: Field) -> Self {
        match field {
            Field::Keyword | Field::Uuid => Self::Text,
            Field::DateTime => Self::Time,
            Field::Geo => Self::Place,
            Field::Integer | Field::Float => Self::Number,
            Field::Bool => Self::Bool,
        }
    }

    /// Strings, numbers or booleans; none of what is no scalar.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(_) => Some(Self::Text),
            Value::Number(_) => Some(Self::Number),
            Value::Bool(_) => Some(Self::Bool),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The flag of such scalars that are not in the column.
    pub(super) fn stray(self) -> u32 {
        STRAY << self as u32
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) rows: u32,
    pub(super) values: u32,
    pub(super) entries: u32,
    pub(super) flags: u32,
    pub(super) texts: u64,
}

impl Header {
    pub(super) fn encode(self, out: &mut Vec<u8>) {
        put_u32(out, self.rows);
        put_u32(out, self.values);
        put_u32(out, self.entries);
        put_u32(out, self.flags);
        put_u64(out, self.texts);
        put_u64(out, 0);
    }

    pub(super) fn decode(bytes: &[u8; HEADER]) -> Decoded<Self> {
        let mut decoder = Decoder::new(bytes);
        let header = Self {
            rows: decoder.u32()?,
            values: decoder.u32()?,
            entries: decoder.u32()?,
            flags: decoder.u32()?,
            texts: decoder.u64()?,
        };
        if header.flags & !ALL_FLAGS != 0 || header.values > header.entries {
            return Err(DecodeError("a column cannot be as its header says"));
        }
        Ok(header)
    }

    pub(super) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

/// Takes `count` values off the front of `bytes`, in place.
pub(super) fn take<'a, T: AnyBitPattern>(bytes: &mut &'a [u8], count: usize) -> Decoded<&'a [T]> {
    let taken = count
        .checked_mul(size_of::<T>())
        .and_then(|len| bytes.split_at_checked(len))
        .ok_or(DecodeError("a column is shorter than its header says"))?;
    *bytes = taken.1;
    bytemuck::try_cast_slice(taken.0).map_err(|_| DecodeError("a column is not aligned"))
}
