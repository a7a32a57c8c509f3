//! What the user wrote, checked against schema and limits, and encoded: before anything else.
//!
//! The whole batch is checked before any of it goes to the commit thread, which has no checking
//! left to do but whether the collection still exists.

use super::{state::CollectionState, write::not_json};
use crate::{
    error::{Error, Result},
    id::PointId,
    options::Limits,
    point::{Point, Record},
    schema::{Field, Schema, quoted},
    vector::check_vector,
    wal::{Change, put_record, start_upsert},
};
use serde_json::Value;

/// More than this is encoded on a pool: it would hold up an executor.
const INLINE_BYTES: usize = 32 << 10;
/// More ids than this likewise.
pub(super) const SMALL_IDS: usize = 1_000;

/// Whether checking and encoding takes well under a millisecond.
pub(super) fn is_small(points: &[Point]) -> bool {
    let mut bytes = 0;
    points.iter().all(|point| {
        bytes += 64 + point.payload.weight(INLINE_BYTES);
        bytes += point
            .vectors
            .iter()
            .map(|(_, v)| v.len() * 4)
            .sum::<usize>();
        bytes <= INLINE_BYTES
    })
}

/// Checks points and encodes them as one change.
pub(super) fn upsert(
    collection: &CollectionState,
    points: Vec<Point>,
    limits: &Limits,
) -> Result<(Change, Vec<u8>)> {
    check_count("points", points.len(), limits)?;
    let schema = &collection.schema;
    let mut records = Vec::with_capacity(points.len());
    let mut body = start_upsert(collection.id, points.len());
    for (place, point) in points.into_iter().enumerate() {
        let id = point.id.clone();
        let record = record(point, schema)
            .and_then(|record| {
                encode(&mut body, &record, limits)?;
                Ok(record)
            })
            .map_err(|error| {
                let id = quoted(&id.to_string());
                error.context(format_args!("point {place}, id {id}"))
            })?;
        records.push(record);
    }
    let collection = collection.id;
    Ok((
        Change::Upsert {
            collection,
            records,
        },
        body,
    ))
}

/// Checks ids and encodes their deletion.
pub(super) fn delete(
    collection: &CollectionState,
    ids: Vec<PointId>,
    limits: &Limits,
) -> Result<(Change, Vec<u8>)> {
    check_count("ids", ids.len(), limits)?;
    ids.iter().try_for_each(PointId::check)?;
    let collection = collection.id;
    let change = Change::Delete { collection, ids };
    let body = change.encode().map_err(not_json)?;
    check_bytes(body.len(), limits)?;
    Ok((change, body))
}

pub(super) fn check_count(what: &str, count: usize, limits: &Limits) -> Result<()> {
    if (1..=limits.batch_points).contains(&count) {
        return Ok(());
    }
    let found = if count == 0 { "no" } else { "too many" };
    Err(Error::invalid(format!(
        "a batch has {found} {what}; expected 1 to {}",
        limits.batch_points
    )))
}

fn check_bytes(bytes: usize, limits: &Limits) -> Result<()> {
    if bytes <= limits.batch_bytes {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "a batch has more than {} bytes; split it",
        limits.batch_bytes
    )))
}

fn record(point: Point, schema: &Schema) -> Result<Record> {
    point.id.check()?;
    let mut vectors = vec![None; schema.vectors.len()];
    for (name, values) in point.vectors {
        let (place, vector) = schema.vector_named(&name)?;
        check_vector(&name, vector, &values)?;
        if vectors[place].replace(values).is_some() {
            return Err(Error::invalid(format!(
                "vector {} is given twice",
                quoted(&name)
            )));
        }
    }
    let payload = point.payload.checked()?;
    for (name, field) in &schema.fields {
        if payload.get(name).is_some_and(|value| !fits(value, *field)) {
            return Err(Error::invalid(format!(
                "payload field {} is not what the schema declares: {field}, or an array of such",
                quoted(name)
            )));
        }
    }
    Ok(Record {
        id: point.id,
        vectors,
        payload: point.payload,
    })
}

fn encode(body: &mut Vec<u8>, record: &Record, limits: &Limits) -> Result<()> {
    let payload = put_record(body, record).map_err(not_json)?;
    if payload > limits.payload_bytes {
        return Err(Error::invalid(format!(
            "the payload has {payload} bytes as JSON; expected at most {}",
            limits.payload_bytes
        )));
    }
    check_bytes(body.len(), limits)
}

fn fits(value: &Value, field: Field) -> bool {
    match (value, field) {
        (Value::Null, _) | (Value::String(_), Field::Keyword) | (Value::Bool(_), Field::Bool) => {
            true
        }
        (Value::Number(number), Field::Integer) => number.is_i64() || number.is_u64(),
        (Value::Number(_), Field::Float) => true,
        (Value::Array(items), _) => items
            .iter()
            .all(|item| !item.is_array() && fits(item, field)),
        _ => false,
    }
}
