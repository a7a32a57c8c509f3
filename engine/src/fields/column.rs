//! Reads a column in place.
//!
//! Which values satisfy a condition is one stretch of their order, found by halving. A
//! [`Selection`] is such a stretch: how many rows have a value in it is the difference of two
//! numbers, whether a row has one a comparison, and which rows have is a part of the postings.

use super::{
    format::{Class, HEADER, Header, KNOWN, MANY, NONE, NULLS, OTHERS, REPEATED, RESTS, take},
    number::Key,
    order::{SortKey, Strings},
    place::{self, cells},
};
use crate::{
    cancel::Cancel,
    codec::{DecodeError, Decoded},
    error::Result,
    geo::{GeoArea, GeoPoint},
    schema::Field,
};
use roaring::RoaringBitmap;
use serde_json::Value;
use std::ops::{Bound, Range, RangeBounds};

const SCALARS: [Class; 3] = [Class::Text, Class::Number, Class::Bool];

/// The values of a field, by row and by their order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column<'a> {
    class: Class,
    header: Header,
    keys: &'a [u64],
    starts: &'a [u32],
    postings: &'a [u32],
    /// Empty unless a row has several values.
    spans: &'a [u32],
    ordinals: &'a [u32],
    /// Empty if there are none.
    rests: &'a [i16],
    texts: &'a [u8],
}

/// The rows that have a value in one stretch of the order of values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection<'a> {
    column: Column<'a>,
    low: u32,
    high: u32,
}

/// The rows that a column tells.
#[derive(Clone, Debug)]
pub(crate) enum Found<'a> {
    Stretch(Selection<'a>),
    Rows(RoaringBitmap),
}

impl<'a> Column<'a> {
    /// The column of a field of this type, in so many rows. Looks at the header alone: what leads
    /// out of the column is told by [`check`](Self::check), and leads to wrong answers if it was
    /// not called, to nothing worse.
    pub(crate) fn open(bytes: &'a [u8], field: Field, rows: u32) -> Decoded<Self> {
        let (header, mut rest) = bytes
            .split_first_chunk::<HEADER>()
            .ok_or(DecodeError("a column has no header"))?;
        let header = Header::decode(header)?;
        let (values, entries) = (header.values as usize, header.entries as usize);
        let by_row = header.rows as usize;
        let if_any = |flag, count| if header.has(flag) { count } else { 0 };
        let column = Self {
            class: Class::declared(field),
            header,
            keys: take(&mut rest, values)?,
            starts: take(&mut rest, values.saturating_add(1))?,
            postings: take(&mut rest, entries)?,
            spans: take(&mut rest, if_any(MANY, by_row.saturating_add(1)))?,
            ordinals: take(&mut rest, if header.has(MANY) { entries } else { by_row })?,
            rests: take(&mut rest, if_any(RESTS, values))?,
            texts: take(&mut rest, header.texts.try_into().unwrap_or(usize::MAX))?,
        };
        if !rest.is_empty() || header.rows != rows {
            return Err(DecodeError("a column is not as long as its rows take"));
        }
        Ok(column)
    }

    /// Whether every reference within it leads to where there is something. Reads all of it.
    pub(crate) fn check(&self) -> Decoded<()> {
        let ascends = |places: &[u32]| {
            places.is_sorted()
                && places.first() == Some(&0)
                && places.last() == Some(&self.header.entries)
        };
        let exists = |ordinal: &u32| *ordinal < self.header.values || *ordinal == NONE;
        let texts = match self.class {
            Class::Text => {
                let end = self.keys.last().copied().unwrap_or(0);
                self.keys.is_sorted() && end == self.header.texts
            }
            Class::Place => {
                let bytes = self.keys.len().checked_mul(place::BYTES);
                self.keys.is_sorted() && bytes == Some(self.texts.len())
            }
            Class::Number | Class::Bool | Class::Time => self.texts.is_empty(),
        };
        let sound = texts
            && ascends(self.starts)
            && (self.spans.is_empty() || ascends(self.spans))
            && self.postings.iter().all(|row| *row < self.header.rows)
            && self.ordinals.iter().all(exists);
        if sound {
            return Ok(());
        }
        Err(DecodeError("a reference leads out of a column"))
    }

    /// Whether values ascend, and what they say of rows is what rows say of them.
    pub(crate) fn verify(&self) -> Decoded<()> {
        self.check()?;
        let ascend = |value: u32| match self.class {
            Class::Text => self.text(value - 1) < self.text(value),
            Class::Place => {
                let place = |value| Some((self.key(value), self.place(value)?));
                let places = place(value - 1).zip(place(value));
                places.is_some_and(|(a, b)| a.0 < b.0 || (a.0 == b.0 && a.1 != b.1))
            }
            Class::Number | Class::Bool | Class::Time => self.key(value - 1) < self.key(value),
        };
        if !(1..self.header.values).all(ascend) {
            return Err(DecodeError("the values of a column do not ascend"));
        }
        let agrees = |value| {
            let rows = self.postings_of(value..value + 1);
            let found = self.of(value..value + 1);
            !rows.is_empty()
                && rows.is_sorted_by(|row, next| row < next)
                && rows.iter().all(|row| found.has(*row))
        };
        let entries = self.ordinals.iter().filter(|ordinal| **ordinal != NONE);
        if entries.count() != self.postings.len() || !(0..self.header.values).all(agrees) {
            return Err(DecodeError("the rows of a column contradict its values"));
        }
        Ok(())
    }

    /// The rows of which some value equals this one; unknown when that is not of the field's type,
    /// and the field has such values.
    pub(crate) fn equal(&self, value: &Value) -> Option<Selection<'a>> {
        let class = Class::of(value)?;
        if class != self.class {
            return self.without(class);
        }
        let (below, up_to) = match value {
            Value::String(text) => (
                self.first(|value| self.text(value) >= text.as_bytes()),
                self.first(|value| self.text(value) > text.as_bytes()),
            ),
            Value::Number(number) => self.around(Key::of(number)),
            Value::Bool(value) => self.around(Key::from(*value)),
            _ => return None,
        };
        Some(self.of(below..up_to))
    }

    /// The rows of which some value is a number within these bounds; unknown when the field has
    /// numbers and its type is another.
    pub(crate) fn within(&self, low: &Bound<Key>, high: &Bound<Key>) -> Option<Selection<'a>> {
        if self.class != Class::Number {
            return self.without(Class::Number);
        }
        Some(self.between(low, high))
    }

    /// The rows of which some value is a date-time within these bounds, in microseconds.
    pub(crate) fn times(&self, low: &Bound<i64>, high: &Bound<i64>) -> Option<Found<'a>> {
        let found = match self.class {
            // Other strings are none.
            Class::Time => Some(self.between(&low.map(Key::from), &high.map(Key::from))),
            Class::Text => None,
            _ => self.without(Class::Text),
        };
        found.map(Found::Stretch)
    }

    /// The rows of which some value is a string that begins so.
    pub(crate) fn prefix(&self, prefix: &str) -> Option<Selection<'a>> {
        if self.class != Class::Text {
            return self.without(Class::Text);
        }
        let prefix = prefix.as_bytes();
        let first = self.first(|value| self.text(value) >= prefix);
        let has = |value| self.text(value).starts_with(prefix);
        Some(self.of(first..self.first(|value| value >= first && !has(value))))
    }

    /// The rows of which some value is a string like this.
    pub(crate) fn texts_where(
        &self,
        is_it: impl Fn(&[u8]) -> bool,
        cancel: &Cancel,
    ) -> Result<Option<RoaringBitmap>> {
        if self.class != Class::Text {
            let none = self.without(Class::Text);
            return Ok(none.map(|none| none.rows().into_iter().collect()));
        }
        let mut values = Vec::new();
        for value in 0..self.header.values {
            cancel.check_at(value)?;
            if is_it(self.text(value)) {
                values.push(value..value + 1);
            }
        }
        Ok(Some(self.rows_of(values.into_iter())))
    }

    /// The rows of which some value is one of these.
    pub(crate) fn any_of(&self, values: &[Value]) -> Option<RoaringBitmap> {
        let found = values.iter().map(|value| self.equal(value));
        let found = found.collect::<Option<Vec<_>>>()?;
        Some(self.rows_of(found.into_iter().map(|found| found.low..found.high)))
    }

    /// The rows of which some value is none of these.
    pub(crate) fn except(&self, values: &[Value]) -> Option<RoaringBitmap> {
        if !self.has_all() {
            return None;
        }
        let found = values.iter().filter_map(|value| self.equal(value));
        let found = found.map(|found| found.low..found.high);
        let mut without: Vec<_> = found.filter(|values| !values.is_empty()).collect();
        without.sort_unstable_by_key(|values| values.start);
        let ends = without
            .iter()
            .map(|values| values.start)
            .chain([self.header.values]);
        let starts = [0]
            .into_iter()
            .chain(without.iter().map(|values| values.end));
        Some(self.rows_of(starts.zip(ends).map(|(start, end)| start..end)))
    }

    /// The rows of which some value is a place in this area; unknown unless the field is declared to hold
    /// places.
    pub(crate) fn places_in(
        &self,
        area: &GeoArea,
        cancel: &Cancel,
    ) -> Result<Option<RoaringBitmap>> {
        if self.class != Class::Place {
            return Ok(None);
        }
        let mut rows = RoaringBitmap::new();
        // So many places take about as long as a stride of rows.
        let (corners, mut looked) = (area.corners() as u32, 0u32);
        for cells in cells(&area.bounds()) {
            let first = self.first(|value| self.key(value).float >= *cells.start());
            let end = self.first(|value| self.key(value).float > *cells.end());
            for value in first..end {
                looked += 1 + corners;
                if looked >= Cancel::STRIDE {
                    looked = 0;
                    cancel.check()?;
                }
                if self.place(value).is_some_and(|place| area.contains(place)) {
                    rows.extend(self.postings_of(value..value + 1));
                }
            }
        }
        Ok(Some(rows))
    }

    /// The rows of which some value is null; unknown when there are such.
    pub(crate) fn null(&self) -> Option<RoaringBitmap> {
        let none = self.header.has(KNOWN) && !self.header.has(NULLS);
        none.then(RoaringBitmap::new)
    }

    /// The rows that have no value but null; unknown when the field has values that are not here.
    pub(crate) fn empty(&self) -> Option<RoaringBitmap> {
        let has_all = self.header.has(KNOWN) && !self.header.has(OTHERS) && !self.has_strays();
        has_all.then(|| self.rows_of_count(|count| count == 0))
    }

    /// The rows that have so many values; unknown when the field has values that are not here, or nulls, or
    /// a row has a value twice.
    pub(crate) fn counted(&self, range: impl RangeBounds<u64>) -> Option<RoaringBitmap> {
        let uncounted = self.header.has(OTHERS) || self.header.has(NULLS) || self.has_strays();
        let counts = self.header.has(KNOWN) && !uncounted && !self.header.has(REPEATED);
        counts.then(|| self.rows_of_count(|count| range.contains(&count)))
    }

    fn rows_of_count(&self, is_it: impl Fn(u64) -> bool) -> RoaringBitmap {
        let is_value = |value: &&u32| **value < self.header.values;
        let count = |row: &u32| self.of_row(*row).iter().filter(is_value).count() as u64;
        (0..self.header.rows)
            .filter(|row| is_it(count(row)))
            .collect()
    }

    fn place(&self, value: u32) -> Option<GeoPoint> {
        let start = value as usize * place::BYTES;
        place::point(self.texts.get(start..start.checked_add(place::BYTES)?)?)
    }

    fn rows_of(&self, values: impl Iterator<Item = Range<u32>>) -> RoaringBitmap {
        let mut rows = RoaringBitmap::new();
        for values in values {
            let found = self.postings_of(values.clone());
            // Those of one value ascend.
            let sorted = || RoaringBitmap::from_sorted_iter(found.iter().copied());
            match (values.len() == 1).then(sorted) {
                Some(Ok(sorted)) => rows |= sorted,
                _ => rows.extend(found),
            }
        }
        rows
    }

    fn between(&self, low: &Bound<Key>, high: &Bound<Key>) -> Selection<'a> {
        let low = match low {
            Bound::Unbounded => 0,
            Bound::Included(low) => self.around(*low).0,
            Bound::Excluded(low) => self.around(*low).1,
        };
        let high = match high {
            Bound::Unbounded => self.header.values,
            Bound::Included(high) => self.around(*high).1,
            Bound::Excluded(high) => self.around(*high).0,
        };
        self.of(low..high)
    }

    /// Whether it has every string, number and boolean of the field, as it stands there.
    pub(crate) fn has_all(&self) -> bool {
        // Of a date-time it is not known as which string it stands there, and a place is no scalar.
        SCALARS.contains(&self.class) && !self.has_strays()
    }

    /// Whether it has every string, number and boolean of the field in their order.
    pub(crate) fn is_order(&self, strings: Strings) -> bool {
        match (strings, self.class) {
            (Strings::Times, Class::Time) => !self.has_strays(),
            (Strings::Times, Class::Text) => false,
            _ => self.has_all(),
        }
    }

    /// Whether the field has a string, number or boolean that is not here.
    fn has_strays(&self) -> bool {
        SCALARS.iter().any(|class| self.header.has(class.stray()))
    }

    /// How many different values there are; they are numbered in their order.
    pub(crate) fn values(&self) -> u32 {
        self.header.values
    }

    /// A value by its number.
    pub(crate) fn sort_key(&self, value: u32) -> SortKey<'a> {
        match self.class {
            Class::Text => SortKey::Text(self.text(value).into()),
            Class::Number | Class::Place => SortKey::Number(self.key(value)),
            Class::Time => SortKey::Time(self.key(value).micros()),
            Class::Bool => SortKey::Bool(self.key(value) > Key::from(false)),
        }
    }

    /// How many values `is_past` does not hold of, as it does of all that follow.
    pub(crate) fn before(&self, is_past: impl Fn(&SortKey<'_>) -> bool) -> u32 {
        self.first(|value| is_past(&self.sort_key(value)))
    }

    /// The rows that have a value, ascending.
    pub(crate) fn rows_with(&self, value: u32) -> &'a [u32] {
        self.postings_of(value..value.saturating_add(1))
    }

    /// The number that a row has, in seconds for a date-time: as the outer one nothing if a row has several, or
    /// the column has no such values; as the inner one if the row has none.
    pub(crate) fn number(&self, row: u32) -> Option<Option<f64>> {
        let number = |value: u32| match self.class {
            Class::Number => Some(self.key(value).float()),
            Class::Time => Some(self.key(value).micros() as f64 / 1e6),
            Class::Text | Class::Bool | Class::Place => None,
        };
        match self.of_row(row) {
            [] | [NONE] => number(0).map(|_| None),
            [value] => number(*value).map(Some),
            _ => None,
        }
    }

    /// Whether its values are date-times.
    pub(crate) fn is_of_times(&self) -> bool {
        self.class == Class::Time
    }

    /// The smallest value of a row, or the largest.
    pub(crate) fn extreme(&self, row: u32, largest: bool) -> Option<u32> {
        let values = self.of_row(row).iter().copied();
        let values = values.filter(|value| *value < self.header.values);
        if largest { values.max() } else { values.min() }
    }

    /// The values of a row, in no order, and one that is none if it has none.
    pub(crate) fn of_row(&self, row: u32) -> &'a [u32] {
        let row = row as usize;
        let found = if self.spans.is_empty() {
            self.ordinals.get(row..row.saturating_add(1))
        } else {
            let span = self.spans.get(row).zip(self.spans.get(row + 1));
            span.and_then(|(start, end)| self.ordinals.get(*start as usize..*end as usize))
        };
        found.unwrap_or(&[])
    }

    /// No rows, if no value is of this class, which is not the column's.
    fn without(&self, class: Class) -> Option<Selection<'a>> {
        // Date-times are strings, too.
        let has = class == Class::Text && self.class == Class::Time && self.header.values > 0;
        (!has && !self.header.has(class.stray())).then(|| self.of(0..0))
    }

    fn of(&self, values: Range<u32>) -> Selection<'a> {
        Selection {
            column: *self,
            low: values.start,
            high: values.end.max(values.start),
        }
    }

    /// How many values are below this one, and how many are not above it.
    fn around(&self, key: Key) -> (u32, u32) {
        let below = self.first(|value| self.key(value) >= key);
        let is_there = below < self.header.values && self.key(below) == key;
        (below, below + u32::from(is_there))
    }

    /// The first value of which `is_past` holds, as it does of all that follow.
    fn first(&self, is_past: impl Fn(u32) -> bool) -> u32 {
        let (mut low, mut high) = (0, self.header.values);
        while low < high {
            let middle = low + (high - low) / 2;
            if is_past(middle) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }

    fn key(&self, value: u32) -> Key {
        let value = value as usize;
        Key {
            float: self.keys.get(value).copied().unwrap_or(0),
            rest: self.rests.get(value).copied().unwrap_or(0),
        }
    }

    fn text(&self, value: u32) -> &'a [u8] {
        let end = |value: usize| self.keys.get(value).map_or(0, |end| *end as usize);
        let start = (value as usize).checked_sub(1).map_or(0, end);
        self.texts.get(start..end(value as usize)).unwrap_or(&[])
    }

    fn postings_of(&self, values: Range<u32>) -> &'a [u32] {
        let start = |value: u32| Some(*self.starts.get(value as usize)? as usize);
        let rows = start(values.start).zip(start(values.end));
        rows.and_then(|(start, end)| self.postings.get(start..end))
            .unwrap_or(&[])
    }
}

impl Selection<'_> {
    /// How many rows there are at most: each row as often as it has such values.
    pub(crate) fn count(&self) -> u32 {
        self.postings().len() as u32
    }

    /// Whether there are exactly so many.
    pub(crate) fn is_exact(&self) -> bool {
        self.high - self.low <= 1 || self.column.spans.is_empty()
    }

    /// Whether a row is one of them.
    pub(crate) fn has(&self, row: u32) -> bool {
        // That of no value is above all that are.
        let is_in = |ordinal: &u32| ordinal.wrapping_sub(self.low) < self.high - self.low;
        self.column.of_row(row).iter().any(is_in)
    }

    /// All of them, in no order, each as often as it has such values.
    pub(crate) fn postings(&self) -> &[u32] {
        self.column.postings_of(self.low..self.high)
    }

    /// All of them, each once, in no order.
    pub(crate) fn rows(&self) -> Vec<u32> {
        let mut rows = self.postings().to_vec();
        if !self.is_exact() {
            rows.sort_unstable();
            rows.dedup();
        }
        rows
    }
}

#[cfg(test)]
mod tests;
