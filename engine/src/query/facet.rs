//! Facets: how many points have each value of a field.
//!
//! In a segment that has a column for the field its values are counted by their numbers; elsewhere payloads are
//! read one by one. It asks its [`Cancel`] at every block of rows.

use super::{Conditions, Filter, Terms, bound::Bound};
use crate::{
    cancel::Cancel,
    error::{Error, Result},
    fields::{Column, SortKey, some_value},
    json,
    schema::check_name,
    view::{Part, View},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{cmp::Reverse, collections::BTreeMap};
use xxhash_rust::xxh3::xxh3_64;

/// A question for the values of a field: see [`Collection::facet`](crate::Collection::facet). As JSON
/// `{ "field": "author", "limit": 20 }`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[must_use = "it does nothing until a collection is asked"]
pub struct Facet {
    /// The field: a key of the payload, or keys joined by dots. One that is declared in the schema is quick.
    pub field: String,
    /// Which points are counted; all without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// The most values that are given, those with the most points: 10 unless set.
    #[serde(default = "default_limit")]
    pub limit: usize,
    /// Whether the counts may be approximate.
    #[serde(default, skip_serializing_if = "json::is_default")]
    pub approximate: bool,
}

/// A value of a field, and how many points have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FacetHit {
    /// A string, a number or a boolean. Numbers that are worth the same are one value: 1 and 1.0.
    pub value: Value,
    /// How many points have it, each counted once.
    pub count: u64,
}

fn default_limit() -> usize {
    Facet::DEFAULT_LIMIT
}

impl Facet {
    /// How many values there are without a [limit](Self::limit).
    pub const DEFAULT_LIMIT: usize = 10;

    /// The values of this field.
    pub fn new(field: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            filter: None,
            limit: Self::DEFAULT_LIMIT,
            approximate: false,
        }
    }

    /// Only of points that match `filter`; in place of a filter set before.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// At most so many values.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Counts more quickly, and about: of a segment with a column for the field, and without a filter, also rows that
    /// were replaced, deleted or expired and are not merged away yet; else, in each memtable and segment of more than
    /// 16,384 rows, the rows of a sample of so many, each for as many as it stands for. A value that few points have may be
    /// missing.
    pub fn approximate(mut self) -> Self {
        self.approximate = true;
        self
    }

    /// What its filter comes to, if it may run.
    pub(crate) fn checked(&self, terms: Terms<'_>) -> Result<Option<Conditions>> {
        check_name("field", &self.field)?;
        let most = terms.limits.hits;
        if !(1..=most).contains(&self.limit) {
            return Err(Error::invalid(format!(
                "the limit of a facet is {}; expected 1 to {most}",
                self.limit
            )));
        }
        let filter = self.filter.as_ref();
        filter.map(|filter| filter.checked(terms)).transpose()
    }
}

/// How many rows of a part an approximate count looks at.
const SAMPLE: u32 = 1 << 14;
/// Where a filter lets at most one in so many rows pass, these are listed.
const LISTED: u64 = 4;

/// A facet, and what its filter comes to.
type Asked<'a> = (&'a Facet, Option<&'a Conditions>);

/// Values in their order, with how many rows have them.
type Counts<'a> = Vec<(SortKey<'a>, u64)>;

/// The values with the most points, most first; among equal counts the smaller value.
pub(crate) fn facet(
    view: &View,
    facet: &Facet,
    filter: Option<&Conditions>,
    cancel: &Cancel,
) -> Result<Vec<FacetHit>> {
    let asked = (facet, filter);
    let mut all: Counts<'_> = Vec::new();
    for part in view.parts()? {
        let column = part.column(&facet.field, cancel)?;
        match column.filter(Column::has_all) {
            Some(column) => all.extend(by_column(&column, part, asked, cancel)?),
            None => all.extend(by_payloads(part, asked, cancel)?),
        }
    }
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    all.dedup_by(|(value, more), (before, count)| {
        let is_same = value == before;
        *count += if is_same { *more } else { 0 };
        is_same
    });
    cancel.check()?;
    // Stable, so that values of equal counts stay in their order.
    all.sort_by_key(|(_, count)| Reverse(*count));
    all.truncate(facet.limit);
    let hit = |(value, count): (SortKey<'_>, u64)| FacetHit {
        value: value.into_value(),
        count,
    };
    Ok(all.into_iter().map(hit).collect())
}

fn by_column<'a>(
    column: &Column<'a>,
    part: &Part,
    asked @ (facet, filter): Asked<'_>,
    cancel: &Cancel,
) -> Result<Counts<'a>> {
    let mut counts = vec![0; column.values() as usize];
    let are_all_live = match part {
        Part::Memory(_) => false,
        Part::Stored(stored) => stored.are_all_live(),
    };
    if filter.is_none() && (are_all_live || facet.approximate) {
        for (value, count) in (0..).zip(&mut counts) {
            cancel.check_at(value)?;
            *count = column.rows_with(value).len() as u64;
        }
    } else {
        each_row(part, asked, cancel, |row, weight| {
            for value in column.of_row(row) {
                if let Some(count) = counts.get_mut(*value as usize) {
                    *count += weight;
                }
            }
            Ok(())
        })?;
    }
    let counted = (0..).zip(counts).filter(|(_, count)| *count > 0);
    Ok(counted
        .map(|(value, count)| (column.sort_key(value), count))
        .collect())
}

fn by_payloads(part: &Part, asked: Asked<'_>, cancel: &Cancel) -> Result<Counts<'static>> {
    let mut counts: BTreeMap<SortKey<'static>, u64> = BTreeMap::new();
    let mut payloads = part.payloads();
    each_row(part, asked, cancel, |row, weight| {
        cancel.check()?;
        let payload = payloads.get(row)?;
        let mut values = Vec::new();
        some_value(payload.checked()?, &asked.0.field, &mut |value| {
            values.extend(SortKey::of(value));
            false
        });
        values.sort_unstable();
        values.dedup();
        for value in values {
            *counts.entry(value.into_owned()).or_default() += weight;
        }
        Ok(())
    })?;
    Ok(counts.into_iter().collect())
}

/// Visits the live rows that match, each with how many it stands for.
fn each_row(
    part: &Part,
    (facet, filter): Asked<'_>,
    cancel: &Cancel,
    mut visit: impl FnMut(u32, u64) -> Result<()>,
) -> Result<()> {
    let mut filter = filter
        .map(|filter| Bound::new(filter, part, cancel))
        .transpose()?;
    let rows = part.rows();
    let few = filter.as_ref().and_then(Bound::estimate);
    if let Some(filter) = &mut filter
        && few.is_some_and(|few| few * LISTED < u64::from(rows))
    {
        for (count, row) in (0..).zip(filter.rows()?) {
            cancel.check_at(count)?;
            if part.is_live(row)? {
                visit(row, 1)?;
            }
        }
        return Ok(());
    }
    // One row of each stretch, at any place in it, since values may repeat in any rhythm.
    let stretch = match facet.approximate {
        true => rows.div_ceil(SAMPLE).max(1),
        false => 1,
    };
    for (count, first) in (0u32..).zip((0..rows).step_by(stretch as usize)) {
        cancel.check_at(count)?;
        let row = match stretch {
            1 => first,
            _ => first.saturating_add((xxh3_64(&count.to_le_bytes()) % u64::from(stretch)) as u32),
        };
        let matches = row < rows
            && part.is_live(row)?
            && filter.as_mut().map_or(Ok(true), |it| it.matches(row))?;
        if matches {
            visit(row, u64::from(stretch))?;
        }
    }
    Ok(())
}
