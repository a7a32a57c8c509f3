//! Going over all points: counts and pages.
//!
//! It asks its [`Cancel`] at every block of rows, a few microseconds apart.

use super::{Filter, Shows, bound::Bound};
use crate::{
    cancel::Cancel,
    error::Result,
    id::PointId,
    point::Point,
    shape::Shape,
    sparse,
    sparse_vector::SparseVector,
    view::{Part, Payloads, View},
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
    each_match(view, filter, 0, cancel, |_, _| {
        count += 1;
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(count)
}

/// Up to `limit` points from place `first` on, and the place after them if there may be more.
pub(super) fn scroll(
    view: &View,
    filter: Option<&Filter>,
    first: u64,
    limit: usize,
    shows: &Shows,
    cancel: &Cancel,
) -> Result<(Vec<Point>, Option<u64>)> {
    let mut points = Points::new(view, shows)?;
    page(view, filter, first, limit, cancel, |part, row| {
        points.get(part, row)
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
    let parts = view.parts()?;
    page(view, Some(filter), first, limit, cancel, |part, row| {
        parts[part].id(row)
    })
}

fn page<T>(
    view: &View,
    filter: Option<&Filter>,
    first: u64,
    limit: usize,
    cancel: &Cancel,
    mut item: impl FnMut(usize, u32) -> Result<T>,
) -> Result<(Vec<T>, Option<u64>)> {
    let (mut items, mut next) = (Vec::new(), None);
    each_match(view, filter, first, cancel, |part, row| {
        if items.len() == limit {
            next = Some((part as u64) << 32 | u64::from(row));
            return Ok(ControlFlow::Break(()));
        }
        items.push(item(part, row)?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok((items, next))
}

/// Visits the points that match by the numbers of their parts and rows, from place `first` on. A place is the
/// number of the part in the upper half, of the row in the lower.
fn each_match(
    view: &View,
    filter: Option<&Filter>,
    first: u64,
    cancel: &Cancel,
    mut visit: impl FnMut(usize, u32) -> Result<ControlFlow<()>>,
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
            if visit(number, row)?.is_break() {
                return Ok(());
            }
        }
        first_row = 0;
    }
    Ok(())
}

/// The points with these ids, in their order, as far as they are shown; `None` for each that is not there.
pub(crate) fn get(
    view: &View,
    ids: &[PointId],
    shows: &Shows,
    cancel: &Cancel,
) -> Result<Vec<Option<Point>>> {
    shows.check(view.shape())?;
    let get = |id| {
        cancel.check()?;
        let Some((part, row)) = view.find(id)? else {
            return Ok(None);
        };
        point(view, part, row, &mut part.payloads(), shows).map(Some)
    };
    ids.iter().map(get).collect()
}

/// Reads points of a view by their parts and rows, quickest in the order of the rows of each part.
pub(super) struct Points<'a> {
    view: &'a View,
    shows: &'a Shows,
    parts: &'a [Part],
    payloads: Vec<Payloads<'a>>,
}

impl<'a> Points<'a> {
    pub(super) fn new(view: &'a View, shows: &'a Shows) -> Result<Self> {
        shows.check(view.shape())?;
        let parts = view.parts()?;
        Ok(Self {
            view,
            shows,
            parts,
            payloads: parts.iter().map(Part::payloads).collect(),
        })
    }

    /// The point in a live row.
    pub(super) fn get(&mut self, part: usize, row: u32) -> Result<Point> {
        let payloads = &mut self.payloads[part];
        point(self.view, &self.parts[part], row, payloads, self.shows)
    }
}

/// The point in a live row of a part.
fn point(
    view: &View,
    part: &Part,
    row: u32,
    payloads: &mut Payloads<'_>,
    shows: &Shows,
) -> Result<Point> {
    let Vectors {
        vectors,
        multi_vectors,
        sparse_vectors,
    } = shows.vectors(part, view.shape(), row)?;
    Ok(Point {
        id: part.id(row)?,
        vectors,
        multi_vectors,
        sparse_vectors,
        payload: shows.payload(payloads, row)?,
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

/// Those vectors of a live row whose names are shown.
pub(super) fn vectors(
    part: &Part,
    shape: &Shape,
    row: u32,
    shows: impl Fn(&str) -> bool,
) -> Result<Vectors> {
    let mut found = Vectors::default();
    for (name, number, vector) in shape.vectors().filter(|(name, ..)| shows(name)) {
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
    for (name, number, _) in shape.sparse().filter(|(name, ..)| shows(name)) {
        if let Some(vector) = part.sparse(row, number)? {
            let vector = sparse::widened(&vector);
            found.sparse_vectors.push((name.to_owned(), vector));
        }
    }
    Ok(found)
}
