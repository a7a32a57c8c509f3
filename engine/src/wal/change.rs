//! What a record of the log says: one change, to be repeated exactly when the log is read.
//!
//! ```text
//! change   kind u8, then by kind
//! 1 create collection u32, name bytes, schema as JSON bytes
//! 2 remove collection u32
//! 3 upsert collection u32, count u32, then for each point:
//!          id, when it expires u64 (ms since 1970, or the largest u64), count of vectors u32, for
//!          each: present u8 (0 or 1), if present f32s; payload as JSON bytes
//! 4 delete collection u32, count u32, ids
//! 5 begin  the number of the log file before u64, its length u64; the first record of each file
//! 6 rename collection u32, name bytes
//! 7 alias  collection u32, name bytes: it means the collection from now on
//! 8 unalias  unused u32, name bytes: it means nothing any more
//! 9 batch  count u32, upserts and deletes as bytes: all or none
//! 10 alter collection u32, schema and the numbers of its vectors as JSON bytes
//! 11 upsert as 3, with the count of sparse vectors u32 behind the vectors, for each: present u8 (0 or
//!          1), if present count u32, so many dimensions u32, ascending, and weights u16 (IEEE 754
//!          binary16); of collections that have any
//! id       0 u8, u64 | 1 u8, 16 bytes | 2 u8, bytes
//! bytes    length u32, then so many; f32s: count u32, then so many f32
//! ```

use crate::{
    codec::{
        DecodeError, Decoded, Decoder,
        id::{MIN_ID_BYTES, put_id},
        put_bytes, put_f32s, put_u8, put_u32, put_u64,
    },
    expiry::Expiry,
    id::{CollectionId, PointId},
    payload::Payload,
    point::Record,
    schema::Schema,
    shape::Shape,
    sparse_vector::Halves,
};
use serde_json::{Map, Value};

const CREATE: u8 = 1;
const REMOVE: u8 = 2;
const UPSERT: u8 = 3;
const DELETE: u8 = 4;
const BEGIN: u8 = 5;
const RENAME: u8 = 6;
const ALIAS: u8 = 7;
const UNALIAS: u8 = 8;
const BATCH: u8 = 9;
const ALTER: u8 = 10;
const UPSERT_SPARSE: u8 = 11;

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
    Rename {
        collection: CollectionId,
        name: String,
    },
    Alter {
        collection: CollectionId,
        shape: Shape,
    },
    /// A name means a collection from now on, or nothing any more.
    Alias {
        alias: String,
        collection: Option<CollectionId>,
    },
    /// Upserts and deletes that count together.
    Batch(Vec<Change>),
    /// A log file begins; the one before it, 0 for none, has all its records within `end` bytes.
    Begin {
        previous: u64,
        end: u64,
    },
}

impl Change {
    /// The upserts and deletes in it.
    pub(crate) fn parts(&self) -> &[Self] {
        match self {
            Self::Batch(changes) => changes,
            change => std::slice::from_ref(change),
        }
    }

    /// How many points it writes or deletes.
    pub(crate) fn points(&self) -> usize {
        let points = |part: &Self| match part {
            Self::Upsert { records, .. } => records.len(),
            Self::Delete { ids, .. } => ids.len(),
            _ => 0,
        };
        self.parts().iter().map(points).sum()
    }

    /// The ids of these.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &PointId> {
        self.parts().iter().flat_map(|part| {
            let (records, ids) = match part {
                Self::Upsert { records, .. } => (&records[..], &[][..]),
                Self::Delete { ids, .. } => (&[][..], &ids[..]),
                _ => (&[][..], &[][..]),
            };
            records.iter().map(|record| &record.id).chain(ids)
        })
    }

    /// The collection whose points or shape it changes.
    pub(crate) fn collection(&self) -> Option<CollectionId> {
        match self {
            Self::Upsert { collection, .. }
            | Self::Delete { collection, .. }
            | Self::Alter { collection, .. } => Some(*collection),
            Self::Create { .. }
            | Self::Remove { .. }
            | Self::Rename { .. }
            | Self::Alias { .. }
            | Self::Batch(_)
            | Self::Begin { .. } => None,
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
                let has_sparse = records.iter().any(|record| !record.sparse.is_empty());
                let mut out = start_upsert(*collection, records.len(), has_sparse);
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
            Self::Rename { collection, name } => {
                let mut out = start(RENAME, *collection);
                put_bytes(&mut out, name.as_bytes());
                out
            }
            Self::Alter { collection, shape } => {
                let mut out = start(ALTER, *collection);
                put_bytes(&mut out, &serde_json::to_vec(shape)?);
                out
            }
            Self::Alias { alias, collection } => {
                let kind = if collection.is_some() { ALIAS } else { UNALIAS };
                let mut out = start(kind, collection.unwrap_or_default());
                put_bytes(&mut out, alias.as_bytes());
                out
            }
            Self::Batch(changes) => {
                let bodies = changes.iter().map(Self::encode);
                put_batch(&bodies.collect::<serde_json::Result<Vec<_>>>()?)
            }
            Self::Begin { previous, end } => {
                let mut out = vec![BEGIN];
                put_u64(&mut out, *previous);
                put_u64(&mut out, *end);
                out
            }
        })
    }
}

/// The beginning of an upsert of so many records, to be followed by [`put_record`] for each: of such
/// as have places for sparse vectors, or of such as have none.
pub(crate) fn start_upsert(collection: CollectionId, records: usize, has_sparse: bool) -> Vec<u8> {
    let kind = if has_sparse { UPSERT_SPARSE } else { UPSERT };
    let mut out = start(kind, collection);
    put_u32(&mut out, records as u32);
    out
}

/// A batch of changes with these bodies.
pub(crate) fn put_batch(bodies: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![BATCH];
    put_u32(&mut out, bodies.len() as u32);
    for body in bodies {
        put_bytes(&mut out, body);
    }
    out
}

/// Adds a record, and gives the length of its payload as JSON.
pub(crate) fn put_record(out: &mut Vec<u8>, record: &Record) -> serde_json::Result<usize> {
    put_id(out, &record.id);
    put_u64(out, record.expiry.0);
    put_u32(out, record.vectors.len() as u32);
    for vector in &record.vectors {
        put_u8(out, u8::from(vector.is_some()));
        if let Some(vector) = vector {
            put_f32s(out, vector);
        }
    }
    if !record.sparse.is_empty() {
        put_u32(out, record.sparse.len() as u32);
        for vector in &record.sparse {
            put_u8(out, u8::from(vector.is_some()));
            if let Some(vector) = vector {
                put_u32(out, vector.dimensions().len() as u32);
                // In one piece: the engine is built for little-endian machines alone.
                out.extend_from_slice(bytemuck::cast_slice(vector.dimensions()));
                out.extend_from_slice(bytemuck::cast_slice(vector.weights()));
            }
        }
    }
    // Written in place, behind a length that is known afterwards.
    let at = out.len();
    put_u32(out, 0);
    record.payload.put_json(out)?;
    let len = out.len() - at - 4;
    out[at..at + 4].copy_from_slice(&(len as u32).to_le_bytes());
    Ok(len)
}

fn start(kind: u8, collection: CollectionId) -> Vec<u8> {
    let mut out = vec![kind];
    put_u32(&mut out, collection.0);
    out
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
        if kind == BEGIN {
            return Ok(Self::Begin {
                previous: decoder.u64()?,
                end: decoder.u64()?,
            });
        }
        if kind == BATCH {
            let count = decoder.count(4)?;
            let parts = (0..count).map(|_| part(decoder.bytes()?));
            return Ok(Self::Batch(parts.collect::<Decoded<_>>()?));
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
            RENAME => Self::Rename {
                collection,
                name: decoder.str()?.to_owned(),
            },
            ALTER => Self::Alter {
                collection,
                shape: shape(decoder.bytes()?)?,
            },
            ALIAS | UNALIAS => Self::Alias {
                alias: decoder.str()?.to_owned(),
                collection: (kind == ALIAS).then_some(collection),
            },
            UPSERT | UPSERT_SPARSE => {
                let count = decoder.count(MIN_RECORD_BYTES)?;
                let records = (0..count)
                    .map(|_| record(decoder, kind == UPSERT_SPARSE))
                    .collect::<Decoded<_>>()?;
                Self::Upsert {
                    collection,
                    records,
                }
            }
            DELETE => {
                let count = decoder.count(MIN_ID_BYTES)?;
                let ids = (0..count).map(|_| decoder.id()).collect::<Decoded<_>>()?;
                Self::Delete { collection, ids }
            }
            _ => return Err(DecodeError("a change is of an unknown kind")),
        })
    }
}

fn shape(json: &[u8]) -> Decoded<Shape> {
    let wrong = DecodeError("a schema is not what was expected");
    let shape: Shape = serde_json::from_slice(json).map_err(|_| wrong)?;
    shape.check().map_err(|_| wrong)?;
    Ok(shape)
}

const MIN_RECORD_BYTES: usize = MIN_ID_BYTES + 8 + 4 + 4;

/// A change within a batch.
fn part(body: &[u8]) -> Decoded<Change> {
    match body.first() {
        Some(&(UPSERT | UPSERT_SPARSE | DELETE)) => Change::decode(body),
        _ => Err(DecodeError("a batch holds what is no write of points")),
    }
}

fn record(decoder: &mut Decoder<'_>, has_sparse: bool) -> Decoded<Record> {
    let id = decoder.id()?;
    let expiry = Expiry(decoder.u64()?);
    let vectors = (0..decoder.count(1)?)
        .map(|_| match decoder.u8()? {
            0 => Ok(None),
            1 => decoder.f32s().map(Some),
            _ => Err(DecodeError("a vector is neither present nor absent")),
        })
        .collect::<Decoded<_>>()?;
    let sparse = match has_sparse {
        true => decoder.count(1)?,
        false => 0,
    };
    let sparse = (0..sparse)
        .map(|_| match decoder.u8()? {
            0 => Ok(None),
            1 => halves(decoder).map(Some),
            _ => Err(DecodeError("a vector is neither present nor absent")),
        })
        .collect::<Decoded<_>>()?;
    let payload: Map<String, Value> = serde_json::from_slice(decoder.bytes()?)
        .map_err(|_| DecodeError("a payload is not a JSON object"))?;
    Ok(Record {
        id,
        vectors,
        sparse,
        payload: Payload::from(payload),
        expiry,
    })
}

fn halves(decoder: &mut Decoder<'_>) -> Decoded<Halves> {
    let count = decoder.count(Halves::ENTRY)?;
    let (dimensions, _) = decoder.take(count * 4)?.as_chunks::<4>();
    let (weights, _) = decoder.take(count * 2)?.as_chunks::<2>();
    let dimensions = dimensions.iter().map(|it| u32::from_le_bytes(*it));
    let weights = weights.iter().map(|it| u16::from_le_bytes(*it));
    Halves::new(dimensions.collect(), weights.collect())
        .ok_or(DecodeError("a sparse vector is not what was expected"))
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
            sparse: Vec::new(),
            payload: Payload::from(json!({ "x": 0.1, "y": u64::MAX, "z": [null, "q"] })),
            expiry: Expiry(1_234),
        };
        for change in [
            Change::Create {
                collection,
                name: "docs".into(),
                schema: schema.clone(),
            },
            Change::Remove { collection },
            Change::Upsert {
                collection,
                records: ids.iter().map(record).collect(),
            },
            Change::Upsert {
                collection,
                records: vec![Record {
                    sparse: vec![
                        None,
                        Halves::new(vec![0, 7, u32::MAX], vec![1, 0x3c00, 0xfbff]),
                        Halves::new(vec![], vec![]),
                    ],
                    ..record(&ids[0])
                }],
            },
            Change::Delete {
                collection,
                ids: ids.to_vec(),
            },
            Change::Rename {
                collection,
                name: "new".into(),
            },
            Change::Alter {
                collection,
                shape: Shape::new(schema.clone()),
            },
            Change::Alias {
                alias: "live".into(),
                collection: Some(collection),
            },
            Change::Alias {
                alias: "live".into(),
                collection: None,
            },
            Change::Begin {
                previous: 7,
                end: 96,
            },
            Change::Batch(vec![
                Change::Delete {
                    collection,
                    ids: ids.to_vec(),
                },
                Change::Upsert {
                    collection: CollectionId(4),
                    records: ids.iter().map(record).collect(),
                },
            ]),
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
        fn no_bytes_panic(kind in 0u8..12, rest: Vec<u8>) {
            let _ = Change::decode(&[&[kind][..], &rest].concat());
        }
    }
}
