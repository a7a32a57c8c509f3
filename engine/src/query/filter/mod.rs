//! Conditions on points, built with operators.
//!
//! A [`Filter`] is plain data: `check.rs` makes [`Conditions`] of it, once for each request, and these are
//! asked of points (`conditions.rs`, `test.rs`) or of the columns of a segment ([`Bound`](super::bound::Bound)).
//! A condition on a field holds when *some* value of the field satisfies it: the field's value
//! itself or, where that is an array, one of its items. An absent field and a null have no value,
//! so that no condition on them holds, and its negation does.

mod check;
mod conditions;
mod json;
mod parse;
mod print;
mod test;
mod words;
#[cfg(test)]
mod tests;

pub(crate) use check::Terms;
pub(super) use check::kind;
pub(crate) use conditions::{Conditions, Subject};
pub(super) use test::Test;
pub(super) use words::rows_with;

use crate::{
    geo::{GeoArea, GeoPoint},
    id::PointId,
    payload::dismantle,
};
use serde_json::Value;
use std::{
    mem,
    ops::{BitAnd, BitOr, Bound, Not, RangeBounds},
};

/// Which points to consider. Built by [`field`] and the operators `&`, `|` and `!`.
///
/// A condition on a field holds when *some* value of the field satisfies it: the field's value
/// itself or, where that is an array, one of its items. On an absent field, and on null, no
/// condition holds, so that `!field("draft").eq(true)` keeps points without `draft`.
///
/// ```
/// use amphora::{Filter, field};
///
/// let filter: Filter = field("year").at_least(1850)
///     & (field("work").eq("Walden") | field("work").eq("Moby Dick"))
///     & !field("draft").eq(true);
/// ```
///
/// # As JSON
///
/// As for Qdrant: `must`, `should`, `must_not` and `min_should` around conditions, which are objects with `key`
/// and one of `match`, `range`, `values_count`, `geo_bounding_box`, `geo_radius`, `geo_polygon`; or with `is_null`,
/// `is_empty`, `has_id`, `has_vector`, `nested`. A `match` has one of `value`, `any`, `except`, `text`, `text_any`,
/// `phrase`, and, which Qdrant has not, `prefix` and `contains`. A condition by itself is a filter, too.
///
/// ```
/// use amphora::{Filter, field};
/// use serde_json::json;
///
/// let filter = field("year").at_least(1850) & !field("tags").any_of(["draft", "old"]);
/// let json = json!({ "must": [
///     { "key": "year", "range": { "gte": 1850 } },
///     { "must_not": [{ "key": "tags", "match": { "any": ["draft", "old"] } }] },
/// ] });
/// assert_eq!(serde_json::to_value(&filter).unwrap(), json);
/// assert_eq!(serde_json::from_value::<Filter>(json).unwrap(), filter);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Filter {
    /// Matches when all of them do; so does an empty one.
    All(Vec<Filter>),
    /// Matches when at least one of them does.
    Any(Vec<Filter>),
    /// Matches when at least so many of them do.
    AtLeast(usize, Vec<Filter>),
    /// Matches when it does not.
    Not(Box<Filter>),
    /// Matches the points with these ids.
    Ids(Vec<PointId>),
    /// Matches points that have the vector of this name, of whatever kind.
    HasVector(String),
    /// A condition on the field of this path.
    Field(String, Condition),
}

/// What is asked of a field. Made by the functions of [`FieldPath`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Condition {
    /// Some value equals this string, number or boolean. Numbers are compared by
    /// what they are worth: 1 equals 1.0.
    Equals(Value),
    /// Some value equals one of these.
    AnyOf(Vec<Value>),
    /// Some value, a string, number or boolean, equals none of these.
    Except(Vec<Value>),
    /// Some value is within these bounds: a number, compared exactly; or, if the bounds are strings, a string
    /// that is a date-time.
    Within(Bound<Value>, Bound<Value>),
    /// Some value is a string that begins so.
    Prefix(String),
    /// Some value is a string that contains this.
    Contains(String),
    /// Some value is a string that has words.
    Words(Wording, String),
    /// Some value is a place in this area.
    Area(GeoArea),
    /// The field is null, or an array with a null among its items.
    Null,
    /// The field has no value: it is absent, null, or an array without other items.
    Empty,
    /// The number of items of an array is within these bounds; of another value it is 1, of null and of what is
    /// absent 0.
    Count(Bound<u64>, Bound<u64>),
    /// Some value is an object for whose own fields this holds.
    Nested(Box<Filter>),
}

/// Which words of a text a string must have. They are taken apart as the schema says, if the field is declared
/// as a text, and as [`Text::plain`](crate::Text::plain) does otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wording {
    /// All of them, in any order; if the field is an array its items may have them together.
    All,
    /// One at least.
    Any,
    /// All of them, one behind the other.
    Phrase,
}

/// A payload field: a key, or the keys from the outermost inwards joined by dots,
/// `author.name`. Arrays on the way are gone through: `reviews.stars`, which may also be
/// written `reviews[].stars`. Give it a condition to get a [`Filter`].
pub fn field(path: impl Into<String>) -> FieldPath {
    FieldPath(path.into())
}

/// A payload field that a condition is about to be put on; made by [`field`].
#[derive(Clone, Debug)]
#[must_use = "a field is no filter until it has a condition"]
pub struct FieldPath(String);

impl FieldPath {
    /// Some value equals this string, number or boolean.
    pub fn eq(self, value: impl Into<Value>) -> Filter {
        self.is(Condition::Equals(value.into()))
    }

    /// Some value equals one of these strings, numbers or booleans.
    pub fn any_of<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Filter {
        self.is(Condition::AnyOf(all(values)))
    }

    /// No value equals one of these, also where there is no value: `!any_of(..)`.
    pub fn none_of<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Filter {
        !self.any_of(values)
    }

    /// Some value, a string, number or boolean, is none of these.
    pub fn except<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Filter {
        self.is(Condition::Except(all(values)))
    }

    /// Some value is in this range, of numbers or of date-times: `field("year").within(1850..1900)`,
    /// `field("written").within("2024-01-01".."2025-01-01")`.
    ///
    /// A date-time is a string as of RFC 3339, `2024-05-01T12:30:00+02:00`. Without an offset UTC is meant; the
    /// time may be missing. They are compared to the microsecond.
    pub fn within<N: Into<Value> + Clone>(self, range: impl RangeBounds<N>) -> Filter {
        let value = |bound: Bound<&N>| bound.cloned().map(Into::into);
        let (low, high) = (value(range.start_bound()), value(range.end_bound()));
        self.is(Condition::Within(low, high))
    }

    /// Some value is a number or date-time of at least this.
    pub fn at_least(self, value: impl Into<Value>) -> Filter {
        let low = Bound::Included(value.into());
        self.is(Condition::Within(low, Bound::Unbounded))
    }

    /// Some value is a number or date-time of at most this.
    pub fn at_most(self, value: impl Into<Value>) -> Filter {
        let high = Bound::Included(value.into());
        self.is(Condition::Within(Bound::Unbounded, high))
    }

    /// Some value is a number or date-time above this.
    pub fn above(self, value: impl Into<Value>) -> Filter {
        let low = Bound::Excluded(value.into());
        self.is(Condition::Within(low, Bound::Unbounded))
    }

    /// Some value is a number or date-time below this.
    pub fn below(self, value: impl Into<Value>) -> Filter {
        let high = Bound::Excluded(value.into());
        self.is(Condition::Within(Bound::Unbounded, high))
    }

    /// Some value is a string that begins so, to the letter.
    pub fn starts_with(self, prefix: impl Into<String>) -> Filter {
        self.is(Condition::Prefix(prefix.into()))
    }

    /// Some value is a string that contains this, to the letter.
    pub fn contains(self, part: impl Into<String>) -> Filter {
        self.is(Condition::Contains(part.into()))
    }

    /// It has all words of a text: see [`Wording`].
    pub fn has_words(self, text: impl Into<String>) -> Filter {
        self.is(Condition::Words(Wording::All, text.into()))
    }

    /// It has a word of a text: see [`Wording`].
    pub fn has_any_word(self, text: impl Into<String>) -> Filter {
        self.is(Condition::Words(Wording::Any, text.into()))
    }

    /// It has the words of a text, one behind the other: see [`Wording`].
    pub fn has_phrase(self, text: impl Into<String>) -> Filter {
        self.is(Condition::Words(Wording::Phrase, text.into()))
    }

    /// Some value is a place between these corners, the one in the north-west and the one in the south-east.
    pub fn in_box(self, top_left: GeoPoint, bottom_right: GeoPoint) -> Filter {
        self.is(Condition::Area(GeoArea::Box {
            top_left,
            bottom_right,
        }))
    }

    /// Some value is a place at most so many meters away.
    pub fn near(self, center: GeoPoint, radius: f64) -> Filter {
        self.is(Condition::Area(GeoArea::Circle { center, radius }))
    }

    /// Some value is a place in this area.
    pub fn in_area(self, area: GeoArea) -> Filter {
        self.is(Condition::Area(area))
    }

    /// It is null, or an array with a null among its items.
    pub fn is_null(self) -> Filter {
        self.is(Condition::Null)
    }

    /// It has no value: it is absent, null, or an array without other items.
    pub fn is_empty(self) -> Filter {
        self.is(Condition::Empty)
    }

    /// It has so many values: the items of an array; 1 for another value, 0 for null and what is absent.
    pub fn count(self, range: impl RangeBounds<u64>) -> Filter {
        let (low, high) = (range.start_bound().cloned(), range.end_bound().cloned());
        self.is(Condition::Count(low, high))
    }

    /// Some value is an object for which `filter` holds, whose fields are those of the object: of
    /// `reviews`, one by `ann` of at least 4 stars, not one by `ann` and one of 4 stars.
    ///
    /// ```
    /// use amphora::field;
    ///
    /// let filter = field("reviews").any(field("by").eq("ann") & field("stars").at_least(4));
    /// ```
    pub fn any(self, filter: Filter) -> Filter {
        self.is(Condition::Nested(Box::new(filter)))
    }

    fn is(self, condition: Condition) -> Filter {
        Filter::Field(self.0, condition)
    }
}

fn all<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> Vec<Value> {
    values.into_iter().map(Into::into).collect()
}

impl BitAnd for Filter {
    type Output = Filter;

    fn bitand(mut self, other: Filter) -> Filter {
        if let Filter::All(all) = &mut self {
            all.push(other);
            return self;
        }
        Filter::All(vec![self, other])
    }
}

impl BitOr for Filter {
    type Output = Filter;

    fn bitor(mut self, other: Filter) -> Filter {
        if let Filter::Any(any) = &mut self {
            any.push(other);
            return self;
        }
        Filter::Any(vec![self, other])
    }
}

impl Not for Filter {
    type Output = Filter;

    fn not(mut self) -> Filter {
        match &mut self {
            Filter::Not(inner) => mem::replace(inner, Filter::All(Vec::new())),
            _ => Filter::Not(Box::new(self)),
        }
    }
}

/// Level by level, since a filter may be nested deeper than a stack allows, and so may be the
/// values in it, long before anything has checked it.
impl Drop for Filter {
    fn drop(&mut self) {
        let mut open = Vec::new();
        self.take_apart(&mut open);
        while let Some(mut filter) = open.pop() {
            filter.take_apart(&mut open);
        }
    }
}

impl Filter {
    /// How deep filters may be nested, the outermost being 1.
    pub const MAX_DEPTH: usize = 64;
    /// How many values and ids a filter may compare with in all.
    pub const MAX_VALUES: usize = 100_000;
    /// The most bytes of a string that is looked for.
    pub const MAX_STRING_BYTES: usize = 65_536;

    /// The points with these ids.
    pub fn ids<I: Into<PointId>>(ids: impl IntoIterator<Item = I>) -> Self {
        Self::Ids(ids.into_iter().map(Into::into).collect())
    }

    /// The points that have the vector of this name: one, a list of them, or a sparse one.
    pub fn has_vector(name: impl Into<String>) -> Self {
        Self::HasVector(name.into())
    }

    /// The points that match so many of these filters.
    pub fn at_least(count: usize, filters: impl IntoIterator<Item = Filter>) -> Self {
        Self::AtLeast(count, filters.into_iter().collect())
    }

    /// Moves out what nests.
    fn take_apart(&mut self, open: &mut Vec<Filter>) {
        let nothing = || Filter::All(Vec::new());
        match self {
            Self::All(inner) | Self::Any(inner) | Self::AtLeast(_, inner) => open.append(inner),
            Self::Not(inner) => open.push(mem::replace(inner, nothing())),
            Self::Field(_, condition) => match condition {
                Condition::Nested(inner) => open.push(mem::replace(inner, nothing())),
                Condition::Equals(value) => dismantle(value.take()),
                Condition::AnyOf(values) | Condition::Except(values) => {
                    values.drain(..).for_each(dismantle);
                }
                Condition::Within(low, high) => {
                    for bound in [low, high] {
                        if let Bound::Included(value) | Bound::Excluded(value) = bound {
                            dismantle(value.take());
                        }
                    }
                }
                _ => {}
            },
            Self::Ids(_) | Self::HasVector(_) => {}
        }
    }
}
