//! Point ids as bytes, the same in the log and in segments.
//!
//! ```text
//! id  0 u8, u64 | 1 u8, 16 bytes | 2 u8, length u32, text
//! ```

use super::{DecodeError, Decoded, Decoder, put_bytes, put_u8};
use crate::id::PointId;
use uuid::Uuid;

const NUMBER: u8 = 0;
const UUID: u8 = 1;
const TEXT: u8 = 2;

/// An id in its bytes, in the order of [`PointId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RawId<'a> {
    Number(u64),
    Uuid(Uuid),
    Text(&'a str),
}

/// The fewest bytes that an id takes.
pub(crate) const MIN_ID_BYTES: usize = 5;

pub(crate) fn put_id(out: &mut Vec<u8>, id: &PointId) {
    with_id_bytes(id, |bytes| out.extend_from_slice(bytes));
}

/// Hands `act` the bytes of `id`. Allocates for text alone, since looking up a number should
/// cost no more than a hash.
pub(crate) fn with_id_bytes<R>(id: &PointId, act: impl FnOnce(&[u8]) -> R) -> R {
    match id {
        PointId::Number(number) => {
            let mut bytes = [NUMBER; 9];
            bytes[1..].copy_from_slice(&number.to_le_bytes());
            act(&bytes)
        }
        PointId::Uuid(uuid) => {
            let mut bytes = [UUID; 17];
            bytes[1..].copy_from_slice(uuid.as_bytes());
            act(&bytes)
        }
        PointId::Text(text) => {
            let mut bytes = Vec::with_capacity(MIN_ID_BYTES + text.len());
            put_u8(&mut bytes, TEXT);
            put_bytes(&mut bytes, text.as_bytes());
            act(&bytes)
        }
    }
}

impl From<RawId<'_>> for PointId {
    fn from(id: RawId<'_>) -> Self {
        match id {
            RawId::Number(number) => Self::Number(number),
            RawId::Uuid(uuid) => Self::Uuid(uuid),
            RawId::Text(text) => Self::from(text),
        }
    }
}

impl<'a> Decoder<'a> {
    pub(crate) fn id(&mut self) -> Decoded<PointId> {
        self.raw_id().map(PointId::from)
    }

    /// An id in place.
    pub(crate) fn raw_id(&mut self) -> Decoded<RawId<'a>> {
        Ok(match self.u8()? {
            NUMBER => RawId::Number(self.u64()?),
            UUID => RawId::Uuid(Uuid::from_bytes(self.array()?)),
            TEXT => RawId::Text(self.str()?),
            _ => return Err(DecodeError("a point id is of an unknown sort")),
        })
    }
}
