//! What the user wrote, checked against schema and limits, and encoded: before anything else.
//!
//! The whole batch is checked before any of it goes to the commit thread, which has no checking
//! left to do but whether the collection still exists.

use super::{
    edit::{Action, Checked, Draft, How, Selection, When},
    state::CollectionState,
    write::not_json,
};
use crate::{
    datetime::micros,
    error::{Error, Result},
    fields::{each_value, some_value},
    geo::GeoPoint,
    id::{CollectionId, PointId},
    options::Limits,
    payload::Payload,
    point::{Point, Record},
    query::Terms,
    schema::{Field, Schema, quoted},
    shape::Shape,
    sparse,
    sparse_vector::Halves,
    texts::Analyzers,
    vector::{accept_multi, accept_vector, check_is_multi},
    wal::{Change, put_record, start_upsert},
};
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

/// More than this is encoded on a pool: it would hold up an executor.
const INLINE_BYTES: usize = 32 << 10;
/// More ids than this likewise.
pub(super) const SMALL_IDS: usize = 1_000;

/// Whether checking and encoding takes well under a millisecond.
pub(super) fn is_small(points: &[Point]) -> bool {
    let mut bytes = 0;
    points.iter().all(|point| {
        bytes += 64 + point.payload.weight(INLINE_BYTES);
        // Lists that are long are not even counted.
        let mut lists = point.multi_vectors.iter();
        if lists.any(|(_, list)| list.len() > SMALL_IDS) {
            return false;
        }
        let vectors = point.vectors.iter().map(|(_, vector)| vector);
        let lists = point.multi_vectors.iter().flat_map(|(_, list)| list);
        bytes += vectors.chain(lists).map(|v| v.len() * 4).sum::<usize>();
        let sparse = point.sparse_vectors.iter();
        bytes += sparse.map(|(_, v)| v.len() * Halves::ENTRY).sum::<usize>();
        bytes <= INLINE_BYTES
    })
}

/// Checks points and encodes them as one change to what has this shape.
pub(super) fn upsert(
    collection: CollectionId,
    shape: &Shape,
    points: Vec<Point>,
    limits: &Limits,
) -> Result<(Change, Vec<u8>)> {
    check_count("points", points.len(), limits)?;
    let schema = &shape.schema;
    let mut records = Vec::with_capacity(points.len());
    let has_sparse = !schema.sparse_vectors.is_empty();
    let mut body = start_upsert(collection, points.len(), has_sparse);
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

/// Checks an edit of points that are named by their ids.
pub(super) fn edit(
    collection: &CollectionState,
    edit: Draft,
    limits: &Limits,
    analyzers: &Arc<Analyzers>,
) -> Result<Checked> {
    let shape = collection.shape();
    let schema = &shape.schema;
    let action = match edit {
        Draft::Write(points, when) => {
            let when = match when {
                When::AbsentOr(filter) => When::AbsentOr(filter.checked(Terms {
                    shape: &shape,
                    limits,
                    analyzers,
                })?),
                When::Always => When::Always,
                When::Absent => When::Absent,
                When::Present => When::Present,
            };
            Action::Write(records(points, schema, limits)?, when)
        }
        Draft::SetVectors(points) => {
            let more = |point: &&Point| !point.payload.is_empty() || point.expires_at.is_some();
            if let Some(point) = points.iter().find(more) {
                let error = Error::invalid("expected vectors alone: no payload, no time of expiry");
                return Err(of_point(error, &point.id));
            }
            Action::SetVectors(records(points, schema, limits)?)
        }
        Draft::Change(Selection::Ids(ids), how) => {
            check_count("ids", ids.len(), limits)?;
            ids.iter().try_for_each(PointId::check)?;
            check_how(&how, schema)?;
            Action::Change(ids, None, how)
        }
        Draft::Change(Selection::Matching(_), _) => {
            let what = "a batch selects points by a filter; expected their ids";
            return Err(Error::invalid(what));
        }
    };
    Ok(Checked {
        collection: collection.id,
        shape,
        action,
    })
}

/// Checks a change of points before it is known which.
pub(super) fn check_how(how: &How, schema: &Schema) -> Result<()> {
    match how {
        How::SetPayload(payload) | How::OverwritePayload(payload) => check_payload(payload, schema),
        How::DeleteVectors(names) => {
            names
                .iter()
                .try_for_each(|name| match schema.sparse_vectors.contains_key(name) {
                    true => Ok(()),
                    false => schema.vector_named(name).map(drop),
                })
        }
        How::Delete | How::DeleteKeys(_) | How::Expire(_) => Ok(()),
    }
}

fn records(points: Vec<Point>, schema: &Schema, limits: &Limits) -> Result<Vec<Record>> {
    check_count("points", points.len(), limits)?;
    let checked = |point: Point| {
        let id = point.id.clone();
        record(point, schema).map_err(|error| of_point(error, &id))
    };
    points.into_iter().map(checked).collect()
}

/// Says which point an error is about.
pub(super) fn of_point(error: Error, id: &PointId) -> Error {
    error.context(format_args!("point {}", quoted(&id.to_string())))
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

pub(super) fn check_bytes(bytes: usize, limits: &Limits) -> Result<()> {
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
    for (name, mut values) in point.vectors {
        let (place, vector) = schema.vector_named(&name)?;
        check_is_multi(&name, vector, false)?;
        accept_vector(&name, vector, &mut values)?;
        place_once(&mut vectors[place], values, &name)?;
    }
    for (name, list) in point.multi_vectors {
        let (place, vector) = schema.vector_named(&name)?;
        let values = accept_multi(&name, vector, list)?;
        place_once(&mut vectors[place], values, &name)?;
    }
    let mut sparse = vec![None; schema.sparse_vectors.len()];
    for (name, vector) in point.sparse_vectors {
        let (place, _) = schema.sparse_named(&name)?;
        place_once(&mut sparse[place], sparse::accept(&name, &vector)?, &name)?;
    }
    check_payload(&point.payload, schema)?;
    Ok(Record {
        id: point.id,
        vectors,
        sparse,
        payload: point.payload,
        expiry: point.expires_at.into(),
    })
}

fn place_once<T>(place: &mut Option<T>, values: T, name: &str) -> Result<()> {
    match place.replace(values) {
        None => Ok(()),
        Some(_) => Err(Error::invalid(format!(
            "vector {} is given twice",
            quoted(name)
        ))),
    }
}

/// Makes records that were checked against one shape those of another, as the schema was changed
/// in between.
pub(super) fn adapt(records: &mut [Record], from: &Shape, to: &Shape) -> Result<()> {
    for record in records {
        let vectors = to.adopt(std::mem::take(&mut record.vectors), from);
        record.vectors = vectors.map_err(|error| of_point(error, &record.id))?;
        let sparse = to.adopt_sparse(std::mem::take(&mut record.sparse), from);
        record.sparse = sparse.map_err(|error| of_point(error, &record.id))?;
        check_payload(&record.payload, &to.schema).map_err(|error| of_point(error, &record.id))?;
    }
    Ok(())
}

fn check_payload(payload: &Payload, schema: &Schema) -> Result<()> {
    let payload = payload.checked()?;
    for (name, field) in &schema.fields {
        let mut all_fit = true;
        each_value(payload, name, &mut |value| all_fit &= fits(value, *field));
        if !all_fit {
            return Err(Error::invalid(format!(
                "payload field {} is not what the schema declares: {field}, or an array of such",
                quoted(name)
            )));
        }
    }
    for name in schema.texts.keys() {
        let other = &mut |value: &Value| !value.is_string() && !value.is_null();
        if some_value(payload, name, other) {
            return Err(Error::invalid(format!(
                "payload field {} is not what the schema searches as text: a string, or an array of such",
                quoted(name)
            )));
        }
    }
    Ok(())
}

/// Adds a record to the body of an upsert, unless it exceeds a limit.
pub(super) fn encode(body: &mut Vec<u8>, record: &Record, limits: &Limits) -> Result<()> {
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
        (Value::String(text), Field::DateTime) => micros(text).is_some(),
        (Value::String(text), Field::Uuid) => {
            let mut buffer = Uuid::encode_buffer();
            Uuid::try_parse(text).is_ok_and(|it| it.hyphenated().encode_lower(&mut buffer) == text)
        }
        (value, Field::Geo) if value.is_object() => GeoPoint::of(value).is_some(),
        (Value::Array(items), _) => items
            .iter()
            .all(|item| !item.is_array() && fits(item, field)),
        _ => false,
    }
}
