//! Conditions on payloads, built with operators and evaluated on one payload at a time.
//!
//! A condition on a field holds when *some* value of the field satisfies it: the field's value
//! itself or, where that is an array, one of its items. An absent field and a null have no value,
//! so that no condition on them holds, and its negation does.

use crate::{
    error::{Error, Result},
    fields::{Key, some_value},
    options::Limits,
    payload::{Payload, dismantle},
    schema::check_name,
};
use serde_json::{Map, Number, Value};
use std::{
    cmp::Ordering,
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
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Filter {
    /// Matches when all of them do; so does an empty one.
    All(Vec<Filter>),
    /// Matches when at least one of them does.
    Any(Vec<Filter>),
    /// Matches when it does not.
    Not(Box<Filter>),
    /// Some value of the field equals this string, number or boolean. Numbers are compared by
    /// what they are worth: 1 equals 1.0.
    Equals(String, Value),
    /// Some value of the field is a number within these bounds, compared exactly.
    Within(String, Bound<Value>, Bound<Value>),
}

/// A payload field: a key, or the keys from the outermost inwards joined by dots,
/// `author.name`. Give it a condition to get a [`Filter`].
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
        Filter::Equals(self.0, value.into())
    }

    /// Some value is a number in this range: `field("year").within(1850..1900)`.
    pub fn within<N: Into<Value> + Clone>(self, range: impl RangeBounds<N>) -> Filter {
        let value = |bound: Bound<&N>| bound.cloned().map(Into::into);
        let (low, high) = (value(range.start_bound()), value(range.end_bound()));
        Filter::Within(self.0, low, high)
    }

    /// Some value is a number of at least this.
    pub fn at_least(self, value: impl Into<Value>) -> Filter {
        Filter::Within(self.0, Bound::Included(value.into()), Bound::Unbounded)
    }

    /// Some value is a number of at most this.
    pub fn at_most(self, value: impl Into<Value>) -> Filter {
        Filter::Within(self.0, Bound::Unbounded, Bound::Included(value.into()))
    }

    /// Some value is a number above this.
    pub fn above(self, value: impl Into<Value>) -> Filter {
        Filter::Within(self.0, Bound::Excluded(value.into()), Bound::Unbounded)
    }

    /// Some value is a number below this.
    pub fn below(self, value: impl Into<Value>) -> Filter {
        Filter::Within(self.0, Bound::Unbounded, Bound::Excluded(value.into()))
    }
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
    /// Whether it may run.
    pub(crate) fn checked(self, limits: &Limits) -> Result<Self> {
        self.flaw(limits).map_or(Ok(self), Err)
    }

    /// Moves out what nests.
    fn take_apart(&mut self, open: &mut Vec<Filter>) {
        match self {
            Self::All(inner) | Self::Any(inner) => open.append(inner),
            Self::Not(inner) => open.push(mem::replace(inner, Filter::All(Vec::new()))),
            Self::Equals(_, value) => dismantle(value.take()),
            Self::Within(_, low, high) => {
                for bound in [low, high] {
                    if let Bound::Included(value) | Bound::Excluded(value) = bound {
                        dismantle(value.take());
                    }
                }
            }
        }
    }

    fn flaw(&self, limits: &Limits) -> Option<Error> {
        let mut open = vec![self];
        let mut seen = 0;
        while let Some(filter) = open.pop() {
            seen += 1;
            if seen + open.len() > limits.filter_conditions {
                return Some(Error::invalid(format!(
                    "a filter has more than {} conditions",
                    limits.filter_conditions
                )));
            }
            let checked = match filter {
                Self::All(inner) | Self::Any(inner) => {
                    open.extend(inner);
                    Ok(())
                }
                Self::Not(inner) => {
                    open.push(inner);
                    Ok(())
                }
                Self::Equals(field, value) => check_equals(field, value),
                Self::Within(field, low, high) => {
                    check_bound(field, low).and_then(|()| check_bound(field, high))
                }
            };
            if let Err(error) = checked {
                return Some(error);
            }
        }
        None
    }

    pub(crate) fn matches(&self, payload: &Payload) -> bool {
        payload.checked().is_ok_and(|map| self.holds(map))
    }

    fn holds(&self, payload: &Map<String, Value>) -> bool {
        match self {
            Self::All(all) => all.iter().all(|filter| filter.holds(payload)),
            Self::Any(any) => any.iter().any(|filter| filter.holds(payload)),
            Self::Not(filter) => !filter.holds(payload),
            Self::Equals(field, expected) => {
                some_value(payload, field, &mut |value| equals(value, expected))
            }
            Self::Within(field, low, high) => some_value(payload, field, &mut |value| {
                value
                    .as_number()
                    .is_some_and(|number| above(number, low) && below(number, high))
            }),
        }
    }
}

fn check_equals(field: &str, value: &Value) -> Result<()> {
    check_name("field", field)?;
    match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => Ok(()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(Error::invalid(format!(
            "field {field:?} is compared with {}; expected a string, a finite number or a boolean",
            kind(value)
        ))),
    }
}

fn check_bound(field: &str, bound: &Bound<Value>) -> Result<()> {
    check_name("field", field)?;
    match bound {
        Bound::Unbounded
        | Bound::Included(Value::Number(_))
        | Bound::Excluded(Value::Number(_)) => Ok(()),
        Bound::Included(value) | Bound::Excluded(value) => Err(Error::invalid(format!(
            "a range of field {field:?} is bounded by {}; expected a finite number",
            kind(value)
        ))),
    }
}

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null or a number that is not finite",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn equals(value: &Value, expected: &Value) -> bool {
    match (value, expected) {
        (Value::Number(a), Value::Number(b)) => compare(a, b).is_eq(),
        _ => value == expected,
    }
}

fn above(number: &Number, low: &Bound<Value>) -> bool {
    match low {
        Bound::Included(Value::Number(low)) => compare(number, low).is_ge(),
        Bound::Excluded(Value::Number(low)) => compare(number, low).is_gt(),
        _ => true,
    }
}

fn below(number: &Number, high: &Bound<Value>) -> bool {
    match high {
        Bound::Included(Value::Number(high)) => compare(number, high).is_le(),
        Bound::Excluded(Value::Number(high)) => compare(number, high).is_lt(),
        _ => true,
    }
}

/// By what they are worth, exactly.
fn compare(a: &Number, b: &Number) -> Ordering {
    Key::of(a).cmp(&Key::of(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(filter: Filter, payload: &Value, expected: bool) {
        let payload = Payload::from(payload.clone());
        assert_eq!(
            filter.matches(&payload),
            expected,
            "{filter:?} on {payload:?}"
        );
    }

    #[test]
    fn conditions_by_table() {
        let payload = json!({
            "work": "Walden", "year": 1854, "draft": false, "score": 2.5, "none": null,
            "tags": ["pond", 7, null], "author": { "name": "Thoreau" },
            "editions": [{ "year": 1854 }, { "year": 1893 }], "a.b": 1, "big": u64::MAX,
        });
        for (filter, expected) in [
            (field("work").eq("Walden"), true),
            (field("work").eq("walden"), false),
            (field("work").at_least(0), false),
            (field("year").eq(1854), true),
            (field("year").eq(1854.0), true),
            (field("year").eq("1854"), false),
            (field("year").within(1854..1855), true),
            (field("year").within(1850..1854), false),
            (field("year").within(1850..=1854), true),
            (
                field("year").above(1853.5) & field("year").below(1854.5),
                true,
            ),
            (field("year").above(1854), false),
            (field("score").at_most(2.5), true),
            (field("score").below(2.5), false),
            (field("score").eq(2), false),
            (field("draft").eq(false), true),
            (field("draft").eq(0), false),
            (field("none").eq("x"), false),
            (!field("none").eq("x"), true),
            (field("absent").at_least(0), false),
            (!field("absent").at_least(0), true),
            (field("tags").eq("pond"), true),
            (field("tags").at_least(7), true),
            (field("tags").eq("lake"), false),
            (field("author.name").eq("Thoreau"), true),
            (field("author.born").eq(1817), false),
            (field("editions.year").eq(1893), true),
            (field("a.b").eq(1), true),
            (field("big").eq(u64::MAX), true),
            (field("big").below(u64::MAX), false),
            (field("big").above(1.8e19), true),
            (field("work").eq("x") | field("year").eq(1854), true),
            (Filter::All(vec![]), true),
            (Filter::Any(vec![]), false),
        ] {
            check(filter, &payload, expected);
        }
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let limits = Limits::default();
        let refused = |filter: Filter| filter.checked(&limits).unwrap_err().to_string();
        assert!(refused(field("x").eq(f64::NAN)).contains("not finite"));
        assert!(refused(field("x").eq(json!([1]))).contains("an array"));
        assert!(refused(field("x").at_least("a")).contains("a string"));
        assert!(refused(field("").eq(1)).contains("empty"));
    }

    #[test]
    fn a_huge_or_deep_filter_is_refused_without_overflowing_a_stack() {
        let limits = Limits::default();
        let wide = Filter::Any(vec![field("x").eq(1); limits.filter_conditions]);
        assert!(wide.checked(&limits).is_err());
        let deep = (0..1_000_000).fold(field("x").eq(1), |inner, _| Filter::All(vec![inner]));
        assert!(deep.checked(&limits).is_err());
        let most = Filter::Any(vec![field("x").eq(1); limits.filter_conditions - 1]);
        assert!(most.checked(&limits).is_ok());
    }
}
