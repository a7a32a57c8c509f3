//! Going over all points: counts and pages.
//!
//! It asks its [`Cancel`] at every block of rows, a few microseconds apart.

use super::{Conditions, Shows, bound::Bound, projection::Vectors};
use crate::{
    cancel::Cancel,
    error::Result,
    id::PointId,
    point::Point,
    view::{Part, Payloads, Stored, View},
};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;

/// How many points match.
pub(crate) fn count(view: &View, filter: Option<&Conditions>, cancel: &Cancel) -> Result<u64> {
    if filter.is_none() {
        view.check_whole()?;
    }
    if let (None, Some(live)) = (filter, view.live()) {
        return Ok(live);
    }
    let counts = view.parts()?.iter();
    counts.map(|part| count_in(part, filter, cancel)).sum()
}

/// How many live rows of a part match.
pub(super) fn count_in(part: &Part, filter: Option<&Conditions>, cancel: &Cancel) -> Result<u64> {
    let mut filter = bound(filter, part, cancel)?;
    if let (Part::Stored(stored), Some(filter)) = (part, &mut filter)
        && let Some(found) = count_known(stored, filter, cancel)?
    {
        return Ok(found);
    }
    let mut count = 0;
    let counted = each_row(part, filter.as_mut(), 0, cancel, |_| {
        count += 1;
        Ok(ControlFlow::Continue(()))
    })?;
    debug_assert!(counted.is_continue(), "all rows are counted");
    Ok(count)
}

/// How many live rows of a segment match, if that is known without payloads.
fn count_known(stored: &Stored, filter: &mut Bound<'_>, cancel: &Cancel) -> Result<Option<u64>> {
    let rows = u64::from(stored.segment.segment.rows());
    let ((least, most), live) = (filter.bounds(), stored.live());
    if least == most && live == (rows, rows) {
        return Ok(Some(most));
    }
    let Some(found) = filter.known()? else {
        return Ok(None);
    };
    if live.0 < live.1 {
        // Some may have expired.
        let mut count = 0;
        for (at, row) in (0..).zip(found.iter()) {
            cancel.check_at(at)?;
            count += u64::from(stored.is_live(row)?);
        }
        return Ok(Some(count));
    }
    let mut count = found.len();
    for (at, row) in (0..).zip(stored.rows_ended()) {
        cancel.check_at(at)?;
        count -= u64::from(found.has(row));
    }
    Ok(Some(count))
}

fn bound<'a>(
    filter: Option<&'a Conditions>,
    part: &'a Part,
    cancel: &'a Cancel,
) -> Result<Option<Bound<'a>>> {
    let filter = filter.map(|filter| Bound::new(filter, part, cancel));
    filter.transpose()
}

/// Between what bounds a count is: see [`Collection::estimate_count`](crate::Collection::estimate_count).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountEstimate {
    /// It is not less than this.
    pub least: u64,
    /// It is not more than this.
    pub most: u64,
}

/// Between what bounds the number of points is that match. Reads no payloads.
pub(crate) fn estimate(view: &View, filter: &Conditions, cancel: &Cancel) -> Result<CountEstimate> {
    let mut all = CountEstimate { least: 0, most: 0 };
    for part in view.parts()? {
        cancel.check()?;
        let (least, most) = Bound::new(filter, part, cancel)?.bounds();
        let rows = u64::from(part.rows());
        let (live, most_live) = match part {
            Part::Memory(_) => (0, rows),
            Part::Stored(stored) => stored.live(),
        };
        // Any of the rows that are not live may be among those that match.
        all.least += (least + live).saturating_sub(rows);
        all.most += most.min(most_live);
    }
    Ok(all)
}

/// Up to `limit` points from place `first` on, and the place after them if there may be more.
pub(super) fn scroll(
    view: &View,
    filter: Option<&Conditions>,
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
    filter: &Conditions,
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
    filter: Option<&Conditions>,
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
    filter: Option<&Conditions>,
    first: u64,
    cancel: &Cancel,
    mut visit: impl FnMut(usize, u32) -> Result<ControlFlow<()>>,
) -> Result<()> {
    let (first_part, mut first_row) = ((first >> 32) as usize, first as u32);
    for (number, part) in view.parts()?.iter().enumerate().skip(first_part) {
        let mut filter = bound(filter, part, cancel)?;
        let visit = |row| visit(number, row);
        if each_row(part, filter.as_mut(), first_row, cancel, visit)?.is_break() {
            break;
        }
        first_row = 0;
    }
    Ok(())
}

/// Visits the live rows of a part that match, from row `first` on.
fn each_row(
    part: &Part,
    mut filter: Option<&mut Bound<'_>>,
    first: u32,
    cancel: &Cancel,
    mut visit: impl FnMut(u32) -> Result<ControlFlow<()>>,
) -> Result<ControlFlow<()>> {
    for row in first..part.rows() {
        cancel.check_at(row)?;
        if !part.is_live(row)? {
            continue;
        }
        if let Some(filter) = &mut filter
            && !filter.matches(row)?
        {
            continue;
        }
        if visit(row)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
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
