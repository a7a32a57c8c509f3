//! What a record of the log says: one change, to be repeated exactly when the log is read.
//!
//! ```text
//! change   kind u8, then by kind
//! 1 create collection u32, name bytes, schema as JSON bytes
//! 2 remove collection u32
//! 3 upsert collection u32, count u32, then for each point:
//!          id, count of vectors u32, for each: present u8 (0 or 1), if present f32s; payload as JSON bytes
//! 4 delete collection u32, count u32, ids
//! 5 closed
//! id       0 u8, u64 | 1 u8, 16 bytes | 2 u8, bytes
//! bytes    length u32, then so many; f32s: count u32, then so many f32
//! ```

use crate::{
    codec::{DecodeError, Decoded, Decoder, put_bytes, put_f32s, put_u8, put_u32, put_u64},
    id::{CollectionId, PointId},
    payload::Payload,
    point::Record,
    schema::Schema,
};
use serde_json::{Map, Value};

const CREATE: u8 = 1;
const REMOVE: u8 = 2;
const UPSERT: u8 = 3;
const DELETE: u8 = 4;
const CLOSED: u8 = 5;

/// One change to the database.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    Create {
        collection: CollectionId,
        name: String,
        schema: Schema,
    },
    Remove {
        collection: CollectionId,
    },
    Upsert {
        collection: CollectionId,
        records: Vec<Record>,
    },
    Delete {
        collection: CollectionId,
        ids: Vec<PointId>,
    },
    /// The database was closed, and all before it was synced.
    Closed,
}

impl Change {
    /// The collection whose points it changes.
    pub(crate) fn collection(&self) -> Option<CollectionId> {
        match self {
            Self::Upsert { collection, .. } | Self::Delete { collection, .. } => Some(*collection),
            Self::Create { .. } | Self::Remove { .. } | Self::Closed => None,
        }
    }

    /// The body of its record.
    pub(crate) fn encode(&self) -> serde_json::Result<Vec<u8>> {
        Ok(match self {
            Self::Create {
                collection,
                name,
                schema,
            } => {
                let mut out = start(CREATE, *collection);
                put_bytes(&mut out, name.as_bytes());
                put_bytes(&mut out, &serde_json::to_vec(schema)?);
                out
            }
            Self::Remove { collection } => start(REMOVE, *collection),
            Self::Upsert {
                collection,
                records,
            } => {
                let mut out = start_upsert(*collection, records.len());
                for record in records {
                    put_record(&mut out, record)?;
                }
                out
            }
            Self::Delete { collection, ids } => {
                let mut out = start(DELETE, *collection);
                put_u32(&mut out, ids.len() as u32);
                for id in ids {
                    put_id(&mut out, id);
                }
                out
            }
            Self::Closed => vec![CLOSED],
        })
    }
}

/// The beginning of an upsert of so many records, to be followed by [`put_record`] for each.
pub(crate) fn start_upsert(collection: CollectionId, records: usize) -> Vec<u8> {
    let mut out = start(UPSERT, collection);
    put_u32(&mut out, records as u32);
    out
}

/// Adds a record, and gives the length of its payload as JSON.
pub(crate) fn put_record(out: &mut Vec<u8>, record: &Record) -> serde_json::Result<usize> {
    put_id(out, &record.id);
    put_u32(out, record.vectors.len() as u32);
    for vector in &record.vectors {
        put_u8(out, u8::from(vector.is_some()));
        if let Some(vector) = vector {
            put_f32s(out, vector);
        }
    }
    // Written in place, behind a length that is known afterwards.
    let at = out.len();
    put_u32(out, 0);
    if let Ok(payload) = record.payload.checked() {
        serde_json::to_writer(&mut *out, payload)?;
    }
    let len = out.len() - at - 4;
    out[at..at + 4].copy_from_slice(&(len as u32).to_le_bytes());
    Ok(len)
}

fn start(kind: u8, collection: CollectionId) -> Vec<u8> {
    let mut out = vec![kind];
    put_u32(&mut out, collection.0);
    out
}

fn put_id(out: &mut Vec<u8>, id: &PointId) {
    match id {
        PointId::Number(number) => {
            put_u8(out, 0);
            put_u64(out, *number);
        }
        PointId::Uuid(uuid) => {
            put_u8(out, 1);
            out.extend_from_slice(uuid.as_bytes());
        }
        PointId::Text(text) => {
            put_u8(out, 2);
            put_bytes(out, text.as_bytes());
        }
    }
}

impl Change {
    pub(crate) fn decode(body: &[u8]) -> Decoded<Self> {
        let mut decoder = Decoder::new(body);
        let change = Self::read(&mut decoder)?;
        if decoder.is_empty() {
            Ok(change)
        } else {
            Err(DecodeError("a change is followed by further bytes"))
        }
    }

    fn read(decoder: &mut Decoder<'_>) -> Decoded<Self> {
        let kind = decoder.u8()?;
        if kind == CLOSED {
            return Ok(Self::Closed);
        }
        let collection = CollectionId(decoder.u32()?);
        Ok(match kind {
            CREATE => Self::Create {
                collection,
                name: decoder.str()?.to_owned(),
                schema: serde_json::from_slice(decoder.bytes()?)
                    .map_err(|_| DecodeError("a schema is not what was expected"))?,
            },
            REMOVE => Self::Remove { collection },
            UPSERT => {
                let count = decoder.count(MIN_RECORD_BYTES)?;
                let records = (0..count)
                    .map(|_| record(decoder))
                    .collect::<Decoded<_>>()?;
                Self::Upsert {
                    collection,
                    records,
                }
            }
            DELETE => {
                let count = decoder.count(MIN_ID_BYTES)?;
                let ids = (0..count).map(|_| id(decoder)).collect::<Decoded<_>>()?;
                Self::Delete { collection, ids }
            }
            _ => return Err(DecodeError("a change is of an unknown kind")),
        })
    }
}

const MIN_ID_BYTES: usize = 5;
const MIN_RECORD_BYTES: usize = MIN_ID_BYTES + 4 + 4;

fn record(decoder: &mut Decoder<'_>) -> Decoded<Record> {
    let id = id(decoder)?;
    let vectors = (0..decoder.count(1)?)
        .map(|_| match decoder.u8()? {
            0 => Ok(None),
            1 => decoder.f32s().map(Some),
            _ => Err(DecodeError("a vector is neither present nor absent")),
        })
        .collect::<Decoded<_>>()?;
    let payload: Map<String, Value> = serde_json::from_slice(decoder.bytes()?)
        .map_err(|_| DecodeError("a payload is not a JSON object"))?;
    Ok(Record {
        id,
        vectors,
        payload: Payload::from(payload),
    })
}

fn id(decoder: &mut Decoder<'_>) -> Decoded<PointId> {
    Ok(match decoder.u8()? {
        0 => PointId::Number(decoder.u64()?),
        1 => PointId::Uuid(uuid::Uuid::from_bytes(decoder.array()?)),
        2 => PointId::from(decoder.str()?),
        _ => return Err(DecodeError("a point id is of an unknown sort")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{Metric, Vector};
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn every_change_is_read_as_it_was_written() {
        let collection = CollectionId(3);
        let schema = Schema::new().vector("v", Vector::new(2, Metric::Cosine));
        let ids = [
            PointId::from(1),
            "a".into(),
            uuid::Uuid::from_u128(9).into(),
        ];
        let record = |id: &PointId| Record {
            id: id.clone(),
            vectors: vec![Some(vec![0.1, -2.5]), None],
            payload: Payload::from(json!({ "x": 0.1, "y": u64::MAX, "z": [null, "q"] })),
        };
        for change in [
            Change::Create {
                collection,
                name: "docs".into(),
                schema,
            },
            Change::Remove { collection },
            Change::Upsert {
                collection,
                records: ids.iter().map(record).collect(),
            },
            Change::Delete {
                collection,
                ids: ids.to_vec(),
            },
            Change::Closed,
        ] {
            let body = change.encode().unwrap();
            assert_eq!(Change::decode(&body), Ok(change));
            for cut in 0..body.len() {
                assert!(Change::decode(&body[..cut]).is_err(), "cut at {cut}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(kind in 0u8..7, rest: Vec<u8>) {
            let _ = Change::decode(&[&[kind][..], &rest].concat());
        }
    }
}
