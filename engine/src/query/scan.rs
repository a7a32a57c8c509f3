//! Running a query by looking at every point: exact, and the reference for all that is faster.
//!
//! It asks its [`Cancel`] at every block of rows, a few microseconds apart.

use super::{Filter, Hit};
use crate::{
    cancel::Cancel,
    error::Result,
    id::PointId,
    kernel,
    payload::Payload,
    point::Point,
    schema::Metric,
    shape::Shape,
    top_k::TopK,
    vector::scale,
    view::{Part, View},
};
use std::ops::ControlFlow;

/// A [`Query`](super::Query) that was checked against a schema.
#[derive(Clone, Debug)]
pub(crate) struct Nearest {
    /// The number of the vector.
    pub(super) vector: u32,
    pub(super) metric: Metric,
    pub(super) values: Vec<f32>,
    pub(super) filter: Option<Filter>,
    pub(super) limit: usize,
    pub(super) with_payload: bool,
    pub(super) with_vectors: bool,
}

/// The hits of a query, the best first.
pub(crate) fn nearest(view: &View, query: &Nearest, cancel: &Cancel) -> Result<Vec<Hit>> {
    let scale = scale(&query.values, query.metric);
    let mut best = TopK::new(query.limit);
    let parts = view.parts()?;
    for (number, part) in parts.iter().enumerate() {
        let mut payloads = part.payloads();
        part.vectors(query.vector, cancel, |row, values, stored_scale| {
            let score = score(query, scale, values, stored_scale);
            // The score is cheaper than the filter, and few scores are wanted.
            if !best.wants(score) {
                return Ok(());
            }
            if let Some(filter) = &query.filter
                && !filter.matches(&payloads.get(row)?)
            {
                return Ok(());
            }
            best.offer(score, (part.id(row)?, number, row));
            Ok(())
        })?;
    }
    let hit = |(score, (id, number, row))| {
        let part: &Part = &parts[number];
        Ok(Hit {
            id,
            score,
            payload: if query.with_payload {
                part.payloads().get(row)?
            } else {
                Payload::default()
            },
            vectors: if query.with_vectors {
                vectors(part, view.shape(), row)?
            } else {
                Vec::new()
            },
        })
    };
    best.into_sorted().map(hit).collect()
}

/// Larger for the nearer, under every metric. Values are bounded, so that it is finite.
fn score(query: &Nearest, query_scale: f32, stored: &[f32], stored_scale: f32) -> f32 {
    let values = &query.values[..];
    match query.metric {
        Metric::Cosine => {
            (kernel::dot(values, stored) * query_scale * stored_scale).clamp(-1.0, 1.0)
        }
        Metric::Dot => kernel::dot(values, stored),
        Metric::Euclidean => -kernel::squared_l2(values, stored).sqrt(),
        Metric::Manhattan => -kernel::l1(values, stored),
    }
}

/// How many points match.
pub(crate) fn count(view: &View, filter: Option<&Filter>, cancel: &Cancel) -> Result<u64> {
    if filter.is_none() {
        view.check_whole()?;
    }
    if let (None, Some(live)) = (filter, view.live()) {
        return Ok(live);
    }
    let mut count = 0;
    each_match(view, filter, 0, cancel, |_, _, _| {
        count += 1;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(count)
}

/// Up to `limit` points from place `first` on, and the place after them if there may be more.
pub(crate) fn scroll(
    view: &View,
    filter: Option<&Filter>,
    first: u64,
    limit: usize,
    cancel: &Cancel,
) -> Result<(Vec<Point>, Option<u64>)> {
    page(view, filter, first, limit, cancel, |part, row| {
        point(view, part, row)
    })
}

/// Up to `limit` ids of points that match, as by [`scroll`].
pub(crate) fn ids(
    view: &View,
    filter: &Filter,
    first: u64,
    limit: usize,
    cancel: &Cancel,
) -> Result<(Vec<PointId>, Option<u64>)> {
    page(view, Some(filter), first, limit, cancel, |part, row| {
        part.id(row)
    })
}

fn page<T>(
    view: &View,
    filter: Option<&Filter>,
    first: u64,
    limit: usize,
    cancel: &Cancel,
    mut item: impl FnMut(&Part, u32) -> Result<T>,
) -> Result<(Vec<T>, Option<u64>)> {
    let (mut items, mut next) = (Vec::new(), None);
    each_match(view, filter, first, cancel, |place, part, row| {
        if items.len() == limit {
            next = Some(place);
            return Ok(ControlFlow::Break(()));
        }
        items.push(item(part, row)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok((items, next))
}

/// Visits the points that match from place `first` on. A place is the number of the part in the
/// upper half, of the row in the lower.
fn each_match(
    view: &View,
    filter: Option<&Filter>,
    first: u64,
    cancel: &Cancel,
    mut visit: impl FnMut(u64, &Part, u32) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let (first_part, mut first_row) = ((first >> 32) as usize, first as u32);
    for (number, part) in view.parts()?.iter().enumerate().skip(first_part) {
        let mut payloads = part.payloads();
        for row in first_row..part.rows() {
            cancel.check_at(row)?;
            if !part.is_live(row)? {
                continue;
            }
            if let Some(filter) = filter
                && !filter.matches(&payloads.get(row)?)
            {
                continue;
            }
            let place = (number as u64) << 32 | u64::from(row);
            if visit(place, part, row)?.is_break() {
                return Ok(());
            }
        }
        first_row = 0;
    }
    Ok(())
}

/// The point in a live row of a part.
pub(crate) fn point(view: &View, part: &Part, row: u32) -> Result<Point> {
    Ok(Point {
        id: part.id(row)?,
        vectors: vectors(part, view.shape(), row)?,
        payload: part.payloads().get(row)?,
        expires_at: part.expiry(row)?.time(),
    })
}

fn vectors(part: &Part, shape: &Shape, row: u32) -> Result<Vec<(String, Vec<f32>)>> {
    let mut vectors = Vec::new();
    for (name, number, _) in shape.vectors() {
        if let Some((values, _)) = part.vector(row, number)? {
            vectors.push((name.to_owned(), values.to_vec()));
        }
    }
    Ok(vectors)
}
