//! Identities: of points (the user's), of collections and of changes (ours).
//!
//! Newtypes, so that a number of one sort is never taken for another. A [`PointId`] is checked
//! by the operation that it is given to, never here.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};
use uuid::Uuid;

/// The identity of a point: an unsigned integer, a UUID, or a string of 1 to 255 bytes.
///
/// The three sorts are distinct: `7` and `"7"` are two points. They are ordered integers first,
/// then UUIDs, then strings by their bytes.
///
/// ```
/// use amphora::PointId;
/// assert!(PointId::from(7) < PointId::from("7"));
/// ```
///
/// As JSON it is a number, a string, or `{ "uuid": "67e55044-10b1-426f-9247-bb680e5fe0c8" }`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub enum PointId {
    /// An unsigned integer.
    Number(u64),
    /// A UUID.
    Uuid(Uuid),
    /// A string of at least one and at most 255 bytes.
    Text(Arc<str>),
}

impl PointId {
    /// The longest string that serves as an id, in bytes.
    pub const MAX_TEXT_BYTES: usize = 255;

    pub(crate) fn check(&self) -> Result<()> {
        match self {
            Self::Text(text) if text.is_empty() => Err(Error::invalid(
                "a point id is an empty string; expected 1 to 255 bytes",
            )),
            Self::Text(text) if text.len() > Self::MAX_TEXT_BYTES => Err(Error::invalid(format!(
                "a point id is a string of {} bytes; expected 1 to {}",
                text.len(),
                Self::MAX_TEXT_BYTES
            ))),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for PointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Uuid(uuid) => uuid.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

/// A [`PointId`] as it is written.
#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "a point id: an unsigned integer, a string, or { \"uuid\": .. }"
)]
enum Written {
    Number(u64),
    Text(String),
    Uuid { uuid: String },
}

impl From<PointId> for Written {
    fn from(id: PointId) -> Self {
        match id {
            PointId::Number(number) => Self::Number(number),
            PointId::Text(text) => Self::Text(text.as_ref().to_owned()),
            PointId::Uuid(uuid) => Self::Uuid {
                uuid: uuid.to_string(),
            },
        }
    }
}

impl TryFrom<Written> for PointId {
    type Error = String;

    fn try_from(written: Written) -> std::result::Result<Self, String> {
        Ok(match written {
            Written::Number(number) => Self::Number(number),
            Written::Text(text) => Self::from(text),
            Written::Uuid { uuid } => {
                let parsed = Uuid::try_parse(&uuid);
                Self::Uuid(parsed.map_err(|error| format!("a point id is no UUID: {error}"))?)
            }
        })
    }
}

impl From<u64> for PointId {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<Uuid> for PointId {
    fn from(uuid: Uuid) -> Self {
        Self::Uuid(uuid)
    }
}

impl From<&str> for PointId {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for PointId {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&PointId> for PointId {
    fn from(id: &PointId) -> Self {
        id.clone()
    }
}

/// The number of a collection, never used twice in the life of a database.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub(crate) struct CollectionId(pub(crate) u32);

impl CollectionId {
    /// No collection comes to have a larger number.
    pub(crate) const MAX: Self = Self(1 << 31);
}

/// The place of a change in the order of all changes to a database; the first is 1.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub(crate) struct SeqNo(pub(crate) u64);

impl SeqNo {
    /// No change comes to have a larger number.
    pub(crate) const MAX: Self = Self(1 << 62);

    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}
