//! What a condition asks of one field: of the payload of a point, or of a column all at once.

use super::{Conditions, Wording, conditions::Element};
use crate::{
    analysis::Analyzer,
    cancel::Cancel,
    datetime::micros,
    error::Result,
    fields::{Column, Found, Key, each_value, some_value},
    geo::{GeoArea, GeoPoint},
    schema::Text,
    texts::{Analyzers, tokenized},
};
use memchr::memmem::Finder;
use serde_json::{Map, Value};
use std::{
    collections::HashSet,
    ops::{Bound, RangeBounds},
    sync::Arc,
};

/// A [`Condition`](super::Condition) that was checked.
#[derive(Debug)]
pub(crate) enum Test {
    Equals(Value),
    AnyOf(Values),
    Except(Values),
    Numbers(Bound<Key>, Bound<Key>),
    /// In microseconds.
    Times(Bound<i64>, Bound<i64>),
    Prefix(String),
    Contains(Finder<'static>),
    Words(Words),
    Area(GeoArea),
    Null,
    Empty,
    Count(Bound<u64>, Bound<u64>),
    Nested(Conditions),
}

/// Strings, numbers and booleans.
#[derive(Debug, Default)]
pub(crate) struct Values {
    texts: HashSet<String>,
    numbers: HashSet<Key>,
    bools: HashSet<bool>,
    all: Vec<Value>,
}

/// Words that a text must have.
#[derive(Debug)]
pub(crate) struct Words {
    pub(crate) wording: Wording,
    /// With their positions. Without any there is nothing to be found.
    pub(crate) terms: Vec<(String, u32)>,
    pub(crate) analyzer: Analyzer,
    /// Of a text of the schema, its number, what it is, and how its index is made where it is wanting.
    pub(crate) text: Option<(u32, Text, Arc<Analyzers>)>,
}

impl Values {
    pub(super) fn new(values: &[Value]) -> Self {
        let mut found = Self::default();
        for value in values {
            let is_new = match value {
                Value::String(text) => found.texts.insert(text.clone()),
                Value::Number(number) => found.numbers.insert(Key::of(number)),
                Value::Bool(value) => found.bools.insert(*value),
                _ => false,
            };
            if is_new {
                found.all.push(value.clone());
            }
        }
        found
    }

    fn contains(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => self.texts.contains(text),
            Value::Number(number) => self.numbers.contains(&Key::of(number)),
            Value::Bool(value) => self.bools.contains(value),
            _ => false,
        }
    }
}

impl Test {
    /// Whether it holds for the field at `path` of an object. Only a tokenizer of the user's that panics is an
    /// error.
    pub(super) fn holds(&self, map: &Map<String, Value>, path: &str) -> Result<bool> {
        let some = |test: &dyn Fn(&Value) -> bool| some_value(map, path, &mut |it| test(it));
        Ok(match self {
            Self::Equals(expected) => some(&|value| equals(value, expected)),
            Self::AnyOf(values) => some(&|value| values.contains(value)),
            Self::Except(values) => some(&|value| is_scalar(value) && !values.contains(value)),
            Self::Numbers(low, high) => some(&|value| {
                let number = value.as_number();
                number.is_some_and(|number| (*low, *high).contains(&Key::of(number)))
            }),
            Self::Times(low, high) => some(&|value| {
                let time = value.as_str().and_then(micros);
                time.is_some_and(|time| (*low, *high).contains(&time))
            }),
            Self::Prefix(prefix) => some(&|value| {
                let text = value.as_str();
                text.is_some_and(|text| text.starts_with(prefix.as_str()))
            }),
            Self::Contains(finder) => some(&|value| {
                let text = value.as_str();
                text.is_some_and(|text| finder.find(text.as_bytes()).is_some())
            }),
            Self::Words(words) => return words.are_in(map, path),
            Self::Area(area) => {
                some(&|value| GeoPoint::of(value).is_some_and(|point| area.contains(point)))
            }
            Self::Nested(inner) => {
                let mut held = Ok(false);
                some_value(map, path, &mut |value| {
                    let object = value.as_object();
                    held = object.map_or(Ok(false), |it| inner.hold_for(&mut Element(it)));
                    !matches!(held, Ok(false))
                });
                return held;
            }
            Self::Null => some(&Value::is_null),
            Self::Empty => !some(&|value| !value.is_null()),
            Self::Count(low, high) => {
                let mut count = 0;
                each_value(map, path, &mut |value| {
                    count += match value {
                        Value::Null => 0,
                        Value::Array(items) => items.len() as u64,
                        _ => 1,
                    };
                });
                (*low, *high).contains(&count)
            }
        })
    }

    /// What a column says of it; nothing where only payloads can tell.
    pub(in crate::query) fn by<'a>(
        &self,
        column: &Column<'a>,
        cancel: &Cancel,
    ) -> Result<Option<Found<'a>>> {
        Ok(match self {
            Self::Equals(value) => column.equal(value).map(Found::Stretch),
            Self::AnyOf(values) => column.any_of(&values.all).map(Found::Rows),
            Self::Except(values) => column.except(&values.all).map(Found::Rows),
            Self::Numbers(low, high) => column.within(low, high).map(Found::Stretch),
            Self::Times(low, high) => column.times(low, high),
            Self::Prefix(prefix) => column.prefix(prefix).map(Found::Stretch),
            Self::Contains(finder) => {
                let rows = column.texts_where(|text| finder.find(text).is_some(), cancel)?;
                rows.map(Found::Rows)
            }
            Self::Area(area) => column.places_in(area, cancel)?.map(Found::Rows),
            Self::Null => column.null().map(Found::Rows),
            Self::Empty => column.empty().map(Found::Rows),
            Self::Count(low, high) => column.counted((*low, *high)).map(Found::Rows),
            Self::Words(_) | Self::Nested(_) => None,
        })
    }
}

impl Words {
    /// Whether the strings at `path` of an object have them.
    fn are_in(&self, map: &Map<String, Value>, path: &str) -> Result<bool> {
        let found = tokenized(path, || self.found_in(map, path))?;
        let has = |number: usize| found.iter().any(|(found, _)| *found == number);
        let mut numbers = 0..self.terms.len();
        Ok(match self.wording {
            _ if self.terms.is_empty() => false,
            Wording::All => numbers.all(has),
            Wording::Any => !found.is_empty(),
            Wording::Phrase => {
                let first = self.terms[0].1;
                let starts = found.iter().filter(|(number, _)| *number == 0);
                let is_whole = |start: u32| {
                    let mut terms = self.terms.iter().enumerate();
                    terms.all(|(number, (_, place))| {
                        found.contains(&(number, start + place - first))
                    })
                };
                starts.map(|(_, start)| *start).any(is_whole)
            }
        })
    }

    /// Which of them stand where.
    fn found_in(&self, map: &Map<String, Value>, path: &str) -> HashSet<(usize, u32)> {
        let (mut analyzer, mut next) = (self.analyzer.clone(), 0);
        let mut found = HashSet::new();
        some_value(map, path, &mut |value| {
            if let Some(text) = value.as_str() {
                next = analyzer.analyze_from(next, text, |token| {
                    for (number, (term, _)) in self.terms.iter().enumerate() {
                        if term == token.term {
                            found.insert((number, token.position));
                        }
                    }
                });
            }
            false
        });
        found
    }
}

fn is_scalar(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_))
}

fn equals(value: &Value, expected: &Value) -> bool {
    match (value, expected) {
        (Value::Number(a), Value::Number(b)) => Key::of(a) == Key::of(b),
        _ => value == expected,
    }
}
