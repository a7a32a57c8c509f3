//! Running a query by looking at every point: exact, and the reference for all that is faster.
//!
//! It asks its [`Cancel`] at every block of rows, a few microseconds apart.

use super::{Filter, Hit};
use crate::{
    cancel::Cancel,
    error::Result,
    kernel,
    memtable::{Row, StoredVector, View},
    payload::Payload,
    point::Point,
    schema::{Metric, Schema},
    top_k::TopK,
    vector::scale,
};

/// A [`Query`](super::Query) that was checked against a schema.
#[derive(Clone, Debug)]
pub(crate) struct Nearest {
    /// The place of the vector in the schema.
    pub(super) vector: usize,
    pub(super) metric: Metric,
    pub(super) values: Vec<f32>,
    pub(super) filter: Option<Filter>,
    pub(super) limit: usize,
    pub(super) with_payload: bool,
    pub(super) with_vectors: bool,
}

/// The hits of a query, the best first.
pub(crate) fn nearest(
    view: &View,
    schema: &Schema,
    query: &Nearest,
    cancel: &Cancel,
) -> Result<Vec<Hit>> {
    let scale = scale(&query.values, query.metric);
    let mut best = TopK::new(query.limit);
    for block in view.blocks() {
        cancel.check()?;
        for (number, row, vector) in block.vectors(query.vector) {
            let score = score(query, scale, vector);
            // The score is cheaper than the filter, and few scores are wanted.
            if best.wants(score) && matches(query.filter.as_ref(), row) {
                best.offer(score, (&row.id, number));
            }
        }
    }
    Ok(best
        .into_sorted()
        .map(|(score, (id, row))| Hit {
            id: id.clone(),
            score,
            payload: match view.row(row) {
                Some(row) if query.with_payload => row.payload.clone(),
                _ => Payload::default(),
            },
            vectors: if query.with_vectors {
                vectors(view, schema, row)
            } else {
                Vec::new()
            },
        })
        .collect())
}

/// Larger for the nearer, under every metric. Values are bounded, so that it is finite.
fn score(query: &Nearest, query_scale: f32, stored: &StoredVector) -> f32 {
    let (a, b) = (&query.values[..], &stored.values[..]);
    match query.metric {
        Metric::Cosine => (kernel::dot(a, b) * query_scale * stored.scale).clamp(-1.0, 1.0),
        Metric::Dot => kernel::dot(a, b),
        Metric::Euclidean => -kernel::squared_l2(a, b).sqrt(),
        Metric::Manhattan => -kernel::l1(a, b),
    }
}

/// How many points match.
pub(crate) fn count(view: &View, filter: Option<&Filter>, cancel: &Cancel) -> Result<u64> {
    if filter.is_none() {
        return Ok(view.live());
    }
    let mut count = 0;
    for block in view.blocks() {
        cancel.check()?;
        count += block.rows().filter(|(_, row)| matches(filter, row)).count() as u64;
    }
    Ok(count)
}

/// Up to `limit` points from row `first` on, and the row after them if there may be more.
pub(crate) fn scroll(
    view: &View,
    schema: &Schema,
    filter: Option<&Filter>,
    first: u64,
    limit: usize,
    cancel: &Cancel,
) -> Result<(Vec<Point>, Option<u64>)> {
    let mut points = Vec::new();
    for row in first..u64::from(view.rows()) {
        if row % 256 == 0 {
            cancel.check()?;
        }
        if points.len() == limit {
            return Ok((points, Some(row)));
        }
        let number = row as u32;
        if view.row(number).is_some_and(|row| matches(filter, row)) {
            points.extend(point(view, schema, number));
        }
    }
    Ok((points, None))
}

/// The point in a row, as it was written.
pub(crate) fn point(view: &View, schema: &Schema, row: u32) -> Option<Point> {
    let stored = view.row(row)?;
    Some(Point {
        id: stored.id.clone(),
        vectors: vectors(view, schema, row),
        payload: stored.payload.clone(),
    })
}

fn vectors(view: &View, schema: &Schema, row: u32) -> Vec<(String, Vec<f32>)> {
    schema
        .vectors
        .keys()
        .enumerate()
        .filter_map(|(place, name)| {
            let vector = view.vector(row, place)?;
            Some((name.clone(), vector.values.to_vec()))
        })
        .collect()
}

fn matches(filter: Option<&Filter>, row: &Row) -> bool {
    filter.is_none_or(|filter| filter.matches(&row.payload))
}
