//! Going over all points: counts and pages.
//!
//! It asks its [`Cancel`] at every block of rows, a few microseconds apart.

use super::{Filter, bound::Bound};
use crate::{
    cancel::Cancel,
    error::Result,
    id::PointId,
    point::Point,
    shape::Shape,
    sparse,
    sparse_vector::SparseVector,
    view::{Part, View},
};
use std::ops::ControlFlow;

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
        let filter = filter.map(|filter| Bound::new(filter, part, cancel));
        let mut filter = filter.transpose()?;
        for row in first_row..part.rows() {
            cancel.check_at(row)?;
            if !part.is_live(row)? {
                continue;
            }
            if let Some(filter) = &mut filter
                && !filter.matches(row)?
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
    let Vectors {
        vectors,
        multi_vectors,
        sparse_vectors,
    } = vectors(part, view.shape(), row)?;
    Ok(Point {
        id: part.id(row)?,
        vectors,
        multi_vectors,
        sparse_vectors,
        payload: part.payloads().get(row)?,
        expires_at: part.expiry(row)?.time(),
    })
}

/// The vectors of a live row by their names.
#[derive(Debug, Default)]
pub(super) struct Vectors {
    /// Those of which it has one.
    pub(super) vectors: Vec<(String, Vec<f32>)>,
    pub(super) multi_vectors: Vec<(String, Vec<Vec<f32>>)>,
    pub(super) sparse_vectors: Vec<(String, SparseVector)>,
}

pub(super) fn vectors(part: &Part, shape: &Shape, row: u32) -> Result<Vectors> {
    let mut found = Vectors::default();
    for (name, number, vector) in shape.vectors() {
        let Some((values, _)) = part.vector(row, number)? else {
            continue;
        };
        let (name, values) = (name.to_owned(), values.to_vec());
        if vector.multi {
            let list = values.chunks(vector.dimensions as usize);
            let list = list.map(<[f32]>::to_vec).collect();
            found.multi_vectors.push((name, list));
        } else {
            found.vectors.push((name, values));
        }
    }
    for (name, number, _) in shape.sparse() {
        if let Some(vector) = part.sparse(row, number)? {
            let vector = sparse::widened(&vector);
            found.sparse_vectors.push((name.to_owned(), vector));
        }
    }
    Ok(found)
}
