//! Going over points page by page: in the order in which they were written, which is the quickest, or in the
//! order of their ids or of a field, in which a place means the same in every view.
//!
//! For a page in the order of ids each part gives its smallest ids behind the cursor: a segment has its rows
//! sorted once, a memtable looks at all of them. It asks its [`Cancel`] at every block of rows.

use super::{
    Conditions, Cursor, CursorValue, Filter, OrderBy, Projection, Shows, Terms,
    bound::Bound,
    order::{self, Ordered},
    scan::{self, Points},
};
use crate::{
    cancel::Cancel,
    error::{Error, Result},
    id::PointId,
    json,
    options::Limits,
    point::Point,
    texts::Analyzers,
    view::{Part, View},
};
use serde::{Deserialize, Serialize};
use std::{collections::BinaryHeap, sync::Arc};

/// How many points a feed fetches at once, and in an order.
const PAGE: usize = 256;
const ORDERED_PAGE: usize = 1_024;

/// Which points to go over, in which order, and what is shown of them: see
/// [`Collection::scroll_by`](crate::Collection::scroll_by) and [`Collection::scroll_page`](crate::Collection::scroll_page).
///
/// ```
/// use amphora::{Projection, Scroll, field};
///
/// let scroll = Scroll::new()
///     .filter(field("year").at_least(1850))
///     .limit(500)
///     .with_payload(Projection::include(["title"]))
///     .with_vectors(false);
/// assert_eq!(scroll.limit, Some(500));
///
/// let json = r#"{
///     "filter": { "key": "year", "range": { "gte": 1850 } },
///     "limit": 500,
///     "with_payload": ["title"],
///     "with_vectors": false
/// }"#;
/// assert_eq!(serde_json::from_str::<Scroll>(json)?, scroll);
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[must_use = "it does nothing until a collection is asked"]
pub struct Scroll {
    /// Which points; all without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// The most points: of a page 100 unless set, of a feed as many as there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// The order. Without one a page is in that of the ids, a feed in that in which points were last written,
    /// unless it begins behind a cursor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<ScrollOrder>,
    /// Only points behind this one in the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Cursor>,
    /// What is shown of their payloads: all of it unless changed.
    #[serde(default, skip_serializing_if = "json::is_default")]
    pub with_payload: Projection,
    /// Which of their vectors are shown: all unless changed.
    #[serde(default, skip_serializing_if = "json::is_default")]
    pub with_vectors: Projection,
}

/// An order that does not depend on when points were written. As JSON `"id"`, or `{ "field": "year" }` with what else
/// an [`OrderBy`] may be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ScrollOrder {
    /// By ids, ascending: integers first, then UUIDs, then strings by their bytes.
    Id,
    /// By the values of a field. Points without one are left out.
    Field(#[serde(deserialize_with = "order::field_or_order")] OrderBy),
}

/// Some points of a scroll, and where the next begin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScrollPage {
    /// The points, in the order of the scroll.
    pub points: Vec<Point>,
    /// What the next page is [`after`](Scroll::after); `None` if there are no more points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
}

impl Default for Scroll {
    fn default() -> Self {
        Self {
            filter: None,
            limit: None,
            order: None,
            after: None,
            with_payload: Projection::All,
            with_vectors: Projection::All,
        }
    }
}

impl Scroll {
    /// How many points a page has without a [limit](Self::limit).
    pub const DEFAULT_PAGE: usize = 100;

    /// Over all points, with all that they have.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only points that match `filter`; in place of a filter set before.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// At most so many points: see [`limit`](Self#structfield.limit).
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// In the order of ids.
    pub fn order_by_id(mut self) -> Self {
        self.order = Some(ScrollOrder::Id);
        self
    }

    /// In the order of a field, and of ids among equal values: see [`OrderBy`].
    pub fn order_by(mut self, order: OrderBy) -> Self {
        self.order = Some(ScrollOrder::Field(order));
        self
    }

    /// Only points behind that at which a page ended; from the start without one.
    pub fn after(mut self, cursor: impl Into<Option<Cursor>>) -> Self {
        self.after = cursor.into();
        self
    }

    /// What is shown of their payloads: `true` for all of it, `false` for nothing, or a [`Projection`].
    pub fn with_payload(mut self, with: impl Into<Projection>) -> Self {
        self.with_payload = with.into();
        self
    }

    /// Which of their vectors are shown: `true` for all, `false` for none, or a [`Projection`] of their names.
    pub fn with_vectors(mut self, with: impl Into<Projection>) -> Self {
        self.with_vectors = with.into();
        self
    }

    /// A page of a view.
    pub(crate) fn page(
        mut self,
        view: Arc<View>,
        limits: &Limits,
        analyzers: &Arc<Analyzers>,
        cancel: &Cancel,
    ) -> Result<ScrollPage> {
        let limit = self.limit.unwrap_or(Self::DEFAULT_PAGE);
        if !(1..=limits.hits).contains(&limit) {
            return Err(Error::invalid(format!(
                "the limit of a page is {limit}; expected 1 to {}",
                limits.hits
            )));
        }
        self.order.get_or_insert(ScrollOrder::Id);
        let mut walk = self.walk(view, limits, analyzers)?;
        let points = walk.ordered(limit, cancel)?;
        Ok(ScrollPage {
            points,
            next: walk.after.filter(|_| !walk.is_over),
        })
    }

    /// Going over the points of a view.
    pub(crate) fn walk(
        self,
        view: Arc<View>,
        limits: &Limits,
        analyzers: &Arc<Analyzers>,
    ) -> Result<Walk> {
        let terms = Terms {
            shape: view.shape(),
            limits,
            analyzers,
        };
        let filter = self.filter.as_ref();
        let filter = filter.map(|filter| filter.checked(terms)).transpose()?;
        let after = self.after.as_ref();
        let way = match self.order.or(after.map(|_| ScrollOrder::Id)) {
            None => Way::Written(filter),
            Some(ScrollOrder::Id) => Way::Ids(filter),
            Some(ScrollOrder::Field(order)) => {
                Way::Values(order.checked(&view.shape().schema, filter, 0)?)
            }
        };
        if let Some(cursor) = after {
            cursor.check()?;
            way.check(cursor)?;
        }
        Ok(Walk {
            view,
            way,
            after: self.after,
            left: self.limit.unwrap_or(usize::MAX),
            shows: Shows {
                payload: self.with_payload,
                vectors: self.with_vectors,
            },
            is_over: false,
        })
    }
}

/// A [`Scroll`] under way, over one view.
pub(crate) struct Walk {
    view: Arc<View>,
    way: Way,
    /// The last point given, in an order.
    after: Option<Cursor>,
    /// The most points that are still to be given.
    left: usize,
    shows: Shows,
    /// Whether there are no more points.
    is_over: bool,
}

/// The order, and which points.
enum Way {
    Written(Option<Conditions>),
    Ids(Option<Conditions>),
    Values(Ordered),
}

impl Way {
    /// Whether a cursor is of this order.
    fn check(&self, cursor: &Cursor) -> Result<()> {
        let order = |by: Option<(&str, bool)>| match by {
            None => "ids".to_owned(),
            Some((field, false)) => format!("field {field:?}, ascending"),
            Some((field, true)) => format!("field {field:?}, descending"),
        };
        let own = match self {
            Self::Written(_) | Self::Ids(_) => None,
            Self::Values(ordered) => Some((ordered.field.as_str(), ordered.descending)),
        };
        let found = cursor.value.as_ref();
        let found = found.map(|by| (by.field.as_str(), by.descending));
        if own == found {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "the cursor of a scroll is of the order of {}; expected one of the order of {}",
            order(found),
            order(own)
        )))
    }
}

impl Walk {
    /// The next points of a feed, from place `first` on if there is no order, and the place after them if
    /// there may be more.
    pub(crate) fn next(
        &mut self,
        first: u64,
        cancel: &Cancel,
    ) -> Result<(Vec<Point>, Option<u64>)> {
        let (points, next) = match &self.way {
            Way::Written(filter) => {
                let (filter, limit) = (filter.as_ref(), PAGE.min(self.left));
                scan::scroll(&self.view, filter, first, limit, &self.shows, cancel)?
            }
            Way::Ids(_) | Way::Values(_) => {
                let points = self.ordered(ORDERED_PAGE.min(self.left), cancel)?;
                (points, (!self.is_over).then_some(first))
            }
        };
        self.left -= points.len();
        Ok((points, next.filter(|_| self.left > 0)))
    }

    /// So many points behind the last one.
    fn ordered(&mut self, limit: usize, cancel: &Cancel) -> Result<Vec<Point>> {
        let (view, after) = (&*self.view, self.after.as_ref());
        // One more tells whether there are more.
        let mut found = match &mut self.way {
            Way::Values(ordered) => {
                ordered.limit = limit.saturating_add(1);
                ordered.after = after.and_then(|after| {
                    let value = &after.value.as_ref()?.value;
                    Some((ordered.strings.key(value)?.into_owned(), after.id.clone()))
                });
                let found = order::ordered(view, ordered, None, None, cancel)?;
                found
                    .into_iter()
                    .map(|it| (it.id, it.part, it.row))
                    .collect()
            }
            Way::Written(filter) | Way::Ids(filter) => {
                let after = after.map(|cursor| &cursor.id);
                by_id(
                    view,
                    filter.as_ref(),
                    after,
                    limit.saturating_add(1),
                    cancel,
                )?
            }
        };
        self.is_over = found.len() <= limit;
        found.truncate(limit);
        let mut reader = Points::new(view, &self.shows)?;
        let points = found.iter().map(|(_, part, row)| {
            cancel.check()?;
            reader.get(*part, *row)
        });
        let points = points.collect::<Result<Vec<_>>>()?;
        if let Some((id, part, row)) = found.pop() {
            let value = match &self.way {
                Way::Values(ordered) => {
                    let parts = view.parts()?;
                    let values = order::Values::new(ordered, parts, cancel)?;
                    let value = values.get((part, row), &mut parts[part].payloads())?;
                    value.map(|value| CursorValue {
                        field: ordered.field.clone(),
                        descending: ordered.descending,
                        value,
                    })
                }
                Way::Written(_) | Way::Ids(_) => None,
            };
            self.after = Some(Cursor { id, value });
        }
        Ok(points)
    }
}

/// A point's id, and the numbers of its part and row.
type Placed = (PointId, usize, u32);

/// So many of the points that match, of those behind `after` the ones with the smallest ids, in their order.
fn by_id(
    view: &View,
    filter: Option<&Conditions>,
    after: Option<&PointId>,
    limit: usize,
    cancel: &Cancel,
) -> Result<Vec<Placed>> {
    // The largest is on top.
    let mut found: BinaryHeap<Placed> = BinaryHeap::new();
    for (number, part) in view.parts()?.iter().enumerate() {
        let filter = filter.map(|filter| Bound::new(filter, part, cancel));
        let mut filter = filter.transpose()?;
        if let Some(filter) = &mut filter {
            filter.prepare(filter.asked(limit))?;
        }
        let asks_points = filter.as_ref().is_some_and(Bound::reads_payloads);
        let mut matches = |row| filter.as_mut().map_or(Ok(true), |it| it.matches(row));
        let mut offer = |row: u32| -> Result<Offered> {
            if !asks_points && !matches(row)? || !part.is_live(row)? {
                return Ok(Offered::Other);
            }
            let id = part.id(row)?;
            if after.is_some_and(|after| id <= *after) {
                return Ok(Offered::Other);
            }
            let is_full = found.len() == limit;
            if is_full && found.peek().is_some_and(|(last, ..)| id > *last) {
                return Ok(Offered::Behind);
            }
            if !asks_points || matches(row)? {
                found.push((id, number, row));
                if is_full {
                    found.pop();
                }
            }
            Ok(Offered::Other)
        };
        match part {
            Part::Memory(_) => {
                for row in 0..part.rows() {
                    cancel.check_at(row)?;
                    offer(row)?;
                }
            }
            Part::Stored(stored) => {
                let rows = stored.segment.segment.rows_by_id(cancel)?;
                let start = match after {
                    Some(after) => behind(part, rows, after)?,
                    None => 0,
                };
                for (count, row) in (0..).zip(&rows[start..]) {
                    cancel.check_at(count)?;
                    if offer(*row)? == Offered::Behind {
                        break;
                    }
                }
            }
        }
    }
    Ok(found.into_sorted_vec())
}

/// What came of offering a row.
#[derive(PartialEq, Eq)]
enum Offered {
    /// Its id is larger than all that are kept, and no more are.
    Behind,
    Other,
}

/// How many of these rows, which are in the order of their ids, have an id up to `after`.
fn behind(part: &Part, rows: &[u32], after: &PointId) -> Result<usize> {
    let (mut low, mut high) = (0, rows.len());
    while low < high {
        let middle = low + (high - low) / 2;
        if part.id(rows[middle])? > *after {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(low)
}
