//! Points in the order of a field.
//!
//! In a segment that has a column for the field, its values are gone through in their order, and no
//! further than what is found already. Elsewhere payloads are read one by one. It asks its
//! [`Cancel`] at every block of rows.

use super::{
    Conditions,
    best::{Best, OfPart},
    explained::{Strategy, Trace},
    found::{Found, Within},
};
use crate::{
    cancel::Cancel,
    error::{Error, Result},
    fields::{Column, SortKey, Strings, extreme},
    id::PointId,
    json,
    payload::{Payload, dismantle},
    schema::{Schema, check_name},
    view::{Part, Payloads, View},
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::cmp::Ordering;

/// The order of a field; asked for by [`Query::order_by`](super::Query::order_by).
///
/// Booleans come first, false before true, then numbers by what they are worth, then strings by their
/// bytes; descending the other way round. Of a field that is declared as
/// [`Field::DateTime`](crate::Field::DateTime) the strings that are date-times come by their instants, to
/// the microsecond, before the others. A list counts by its smallest value, descending by its largest.
/// Points without a value are left out. Among equal values the smaller id comes first, either way.
///
/// ```
/// # use amphora::{Database, Field, Point, Query, Schema, vfs::MemoryVfs};
/// # use serde_json::json;
/// use amphora::OrderBy;
///
/// # let db = Database::builder_on(MemoryVfs::new()).open().wait()?;
/// let docs = db.create_collection("docs", Schema::new().field("year", Field::Integer)).wait()?;
/// docs.upsert([
///     Point::new(1).payload(json!({ "year": 1854 })),
///     Point::new(2).payload(json!({ "year": 1849 })),
///     Point::new(3).payload(json!({ "year": 1862 })),
/// ]).wait()?;
/// let newest = Query::order_by(OrderBy::descending("year").start_from(1860)).limit(1);
/// let hits = docs.search(newest).wait()?;
/// assert_eq!((hits[0].id.clone(), hits[0].order_value.clone()), (1.into(), Some(json!(1854))));
/// # Ok::<_, amphora::Error>(())
/// ```
///
/// As JSON: `{ "field": "year", "descending": true, "start_from": 1860 }`. Where an order is asked for, the field alone may stand
/// for one that ascends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderBy {
    /// The field: a key of the payload, or keys joined by dots. One that is declared in the schema is
    /// quick.
    pub field: String,
    /// Whether the largest value comes first.
    #[serde(default, skip_serializing_if = "json::is_default")]
    pub descending: bool,
    /// The value that the first point has, or the next one that there is: a boolean, a finite number or
    /// a string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_from: Option<Value>,
}

impl OrderBy {
    /// The smallest value first.
    pub fn ascending(field: impl Into<String>) -> Self {
        Self::by(field.into(), false)
    }

    /// The largest value first.
    pub fn descending(field: impl Into<String>) -> Self {
        Self::by(field.into(), true)
    }

    fn by(field: String, descending: bool) -> Self {
        Self {
            field,
            descending,
            start_from: None,
        }
    }

    /// Leaves out what comes before this value.
    #[must_use]
    pub fn start_from(mut self, value: impl Into<Value>) -> Self {
        let before = self.start_from.replace(value.into());
        before.into_iter().for_each(dismantle);
        self
    }

    /// The order from there on, if it may be asked for.
    pub(super) fn checked(
        &self,
        schema: &Schema,
        filter: Option<Conditions>,
        limit: usize,
    ) -> Result<Ordered> {
        check_name("field", &self.field)?;
        let strings = Strings::of(schema.fields.get(&self.field).copied());
        let from = self.start_from.as_ref().map(|value| {
            let key = strings.key(value).map(SortKey::into_owned);
            key.ok_or_else(|| {
                Error::invalid(format!(
                    "the order of field {:?} starts from what is no value; expected a boolean, a finite number or a string",
                    self.field
                ))
            })
        });
        Ok(Ordered {
            field: self.field.clone(),
            strings,
            descending: self.descending,
            from: from.transpose()?,
            after: None,
            filter,
            limit,
        })
    }
}

/// Reads an order, or a field.
pub(super) fn field_or_order<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<OrderBy, D::Error> {
    let expected = "a field, or an object with field, descending and start_from";
    json::object_or(deserializer, expected, |field| {
        Ok(OrderBy::ascending(field))
    })
}

/// The value may be nested deeper than a stack allows.
impl Drop for OrderBy {
    fn drop(&mut self) {
        self.start_from.take().into_iter().for_each(dismantle);
    }
}

/// The first points in the order of a field.
#[derive(Clone, Debug)]
pub(crate) struct Ordered {
    pub(crate) field: String,
    pub(crate) strings: Strings,
    pub(crate) descending: bool,
    /// What the first point has, or what comes next.
    pub(crate) from: Option<SortKey<'static>>,
    /// The point that comes right before the first one, to go on from.
    pub(crate) after: Option<(SortKey<'static>, PointId)>,
    pub(crate) filter: Option<Conditions>,
    pub(crate) limit: usize,
}

/// Reads the values that points are ordered by.
pub(super) struct Values<'a> {
    ordered: &'a Ordered,
    /// Of each part.
    columns: Vec<Option<Column<'a>>>,
}

impl<'a> Values<'a> {
    pub(super) fn new(ordered: &'a Ordered, parts: &'a [Part], cancel: &Cancel) -> Result<Self> {
        let columns = parts.iter().map(|part| ordered.column(part, cancel));
        Ok(Self {
            ordered,
            columns: columns.collect::<Result<_>>()?,
        })
    }

    /// That of a row of a part.
    pub(super) fn get(
        &self,
        (part, row): (usize, u32),
        payloads: &mut Payloads<'_>,
    ) -> Result<Option<Value>> {
        let Ordered { descending, .. } = *self.ordered;
        if let Some(column) = &self.columns[part] {
            let value = column.extreme(row, descending);
            return Ok(value.map(|value| column.sort_key(value).into_value()));
        }
        let payload = payloads.get(row)?;
        Ok(self.ordered.extreme(&payload)?.map(SortKey::into_value))
    }
}

/// What a point is ordered by: the first in order is the smallest.
#[derive(Debug, PartialEq, Eq)]
struct Rank {
    key: SortKey<'static>,
    descending: bool,
}

impl Ordered {
    /// The column of a part that has the values in their order, if there is one.
    fn column<'a>(&self, part: &'a Part, cancel: &Cancel) -> Result<Option<Column<'a>>> {
        let column = part.column(&self.field, cancel)?;
        Ok(column.filter(|column| column.is_order(self.strings)))
    }

    fn extreme<'a>(&self, payload: &'a Payload) -> Result<Option<SortKey<'a>>> {
        let payload = payload.checked()?;
        Ok(extreme(payload, &self.field, self.strings, self.descending))
    }

    /// How one value is ordered beside another.
    fn compare(&self, a: &SortKey<'_>, b: &SortKey<'_>) -> Ordering {
        compare(a, b, self.descending)
    }

    /// Whether a value comes before all that are wanted.
    fn is_early(&self, key: &SortKey<'_>) -> bool {
        let after = self.after.as_ref().map(|(key, _)| key);
        let mut starts = self.from.iter().chain(after);
        starts.any(|start| self.compare(key, start).is_lt())
    }
}

fn compare(a: &SortKey<'_>, b: &SortKey<'_>, descending: bool) -> Ordering {
    if descending { b.cmp(a) } else { a.cmp(b) }
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.key, &other.key, self.descending)
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The first in order. All scores are zero.
pub(crate) fn ordered(
    view: &View,
    ordered: &Ordered,
    within: Option<&Within>,
    trace: Option<&mut Trace>,
    cancel: &Cancel,
) -> Result<Vec<Found>> {
    let parts = view.parts()?;
    let best = Best::new(
        parts,
        ordered.filter.as_ref(),
        within,
        ordered.limit,
        cancel,
    );
    let mut best = best.traced(trace);
    for (number, part) in parts.iter().enumerate() {
        let column = ordered.column(part, cancel)?;
        let way = match column {
            Some(_) => Strategy::Values,
            None => Strategy::OneByOne,
        };
        let (rows, listed) = best.part(number, way)?;
        let mut search = Search {
            ordered,
            rows,
            cancel,
        };
        match (column, listed) {
            (Some(column), None) => search.column(&column)?,
            (Some(column), Some(rows)) => {
                for (count, row) in (0..).zip(rows) {
                    cancel.check_at(count)?;
                    if let Some(value) = column.extreme(row, ordered.descending) {
                        search.offer(row, &column.sort_key(value))?;
                    }
                }
            }
            (None, Some(rows)) => search.payloads(part, rows.into_iter())?,
            (None, None) => search.payloads(part, 0..part.rows())?,
        }
    }
    Ok(best.into_found())
}

/// The search of one part.
struct Search<'a, 'b> {
    ordered: &'a Ordered,
    rows: OfPart<'a, 'b, Rank>,
    cancel: &'a Cancel,
}

impl Search<'_, '_> {
    /// By the order of the values, up to the first that comes too late.
    fn column(&mut self, column: &Column<'_>) -> Result<()> {
        let descending = self.ordered.descending;
        let is_early = |key: &SortKey<'_>| self.ordered.is_early(key);
        let mut values = match descending {
            false => column.before(|key| !is_early(key))..column.values(),
            true => 0..column.before(is_early),
        };
        let mut count = 0u32;
        while let Some(value) = if descending {
            values.next_back()
        } else {
            values.next()
        } {
            let key = column.sort_key(value);
            if self.is_late(&key) {
                break;
            }
            for row in column.rows_with(value) {
                count = count.wrapping_add(1);
                self.cancel.check_at(count)?;
                // A row of several values is met at each of them.
                if column.extreme(*row, descending) == Some(value) {
                    self.offer(*row, &key)?;
                }
            }
        }
        Ok(())
    }

    fn payloads(&mut self, part: &Part, rows: impl Iterator<Item = u32>) -> Result<()> {
        let mut payloads = part.payloads();
        for (count, row) in (0..).zip(rows) {
            self.cancel.check_at(count)?;
            if !self.rows.accepts(row)? {
                continue;
            }
            // It may have to be read and taken apart.
            self.cancel.check()?;
            let payload = payloads.get(row)?;
            if let Some(key) = self.ordered.extreme(&payload)? {
                self.offer(row, &key)?;
            }
        }
        Ok(())
    }

    /// Whether a value comes after all that are kept.
    fn is_late(&self, key: &SortKey<'_>) -> bool {
        let last = self.rows.last();
        last.is_some_and(|last| self.ordered.compare(key, &last.key).is_gt())
    }

    fn offer(&mut self, row: u32, key: &SortKey<'_>) -> Result<()> {
        if self.ordered.is_early(key) || self.is_late(key) || !self.rows.accepts(row)? {
            return Ok(());
        }
        let id = self.rows.id(row)?;
        let is_seen = self.ordered.after.as_ref().is_some_and(|(last, last_id)| {
            self.ordered
                .compare(key, last)
                .then_with(|| id.cmp(last_id))
                .is_le()
        });
        if !is_seen {
            let rank = Rank {
                key: key.clone().into_owned(),
                descending: self.ordered.descending,
            };
            self.rows.offer_ranked(rank, id, row);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{expiry::Expiry, id::SeqNo, memtable::Memtable, point::Record, shape::Shape};
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn what_goes_on_after_a_point_has_every_point_once() {
        let shape = Arc::new(Shape::new(Schema::new()));
        let mut memtable = Memtable::new(Arc::clone(&shape));
        for id in (0..500u64).rev() {
            let payload = match id % 5 {
                0 => json!({ "g": id }),
                1 => json!({ "f": [id % 7, "x", id % 13] }),
                _ => json!({ "f": id % 11 }),
            };
            let record = Record {
                id: id.into(),
                vectors: Vec::new(),
                sparse: Vec::new(),
                payload: payload.into(),
                expiry: Expiry::NEVER,
            };
            memtable.upsert(record, SeqNo(1));
        }
        let view = View {
            parts: vec![Part::Memory(memtable.view(SeqNo(1)))],
            ..View::empty(shape)
        };
        for descending in [false, true] {
            let page = |after, limit| {
                let order = Ordered {
                    field: "f".to_owned(),
                    strings: Strings::Bytes,
                    descending,
                    from: None,
                    after,
                    filter: None,
                    limit,
                };
                ordered(&view, &order, None, None, &Cancel::default()).unwrap()
            };
            let all = page(None, 1_000);
            assert_eq!(all.len(), 400);
            let (mut pages, mut after) = (Vec::new(), None);
            loop {
                let next = page(after.take(), 7);
                let Some(last) = next.last() else { break };
                let payload = view.parts[last.part].payloads().get(last.row).unwrap();
                let key =
                    extreme(payload.checked().unwrap(), "f", Strings::Bytes, descending).unwrap();
                after = Some((key.into_owned(), last.id.clone()));
                pages.extend(next);
            }
            assert_eq!(pages, all);
        }
    }
}
