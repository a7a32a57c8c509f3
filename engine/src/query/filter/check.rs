//! Whether a filter may run, and what it is in the terms of a schema.

use super::{
    Condition, Conditions, Filter, Test, Wording,
    test::{Values, Words},
};
use crate::{
    analysis::Analyzer,
    datetime::micros,
    error::{Error, Result},
    fields::Key,
    id::PointId,
    options::Limits,
    schema::{Text, Tokenizers, check_name, quoted},
    shape::Shape,
    texts::{Analyzers, tokenized},
};
use memchr::memmem::Finder;
use serde_json::Value;
use std::{ops::Bound, sync::Arc};

/// What a filter is checked by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) shape: &'a Shape,
    pub(crate) limits: &'a Limits,
    pub(crate) analyzers: &'a Arc<Analyzers>,
}

impl Filter {
    /// The conditions, if they may be asked.
    pub(crate) fn checked(&self, terms: Terms<'_>) -> Result<Conditions> {
        self.check_size(terms.limits)?;
        terms.conditions(self, false)
    }

    /// Level by level, since it may be nested deeper than a stack allows.
    fn check_size(&self, limits: &Limits) -> Result<()> {
        let most = limits.filter_conditions;
        let (mut count, mut values) = (0, 0);
        let (mut level, mut next, mut depth) = (vec![self], Vec::new(), 1);
        while !level.is_empty() {
            if depth > Self::MAX_DEPTH {
                return Err(Error::invalid(format!(
                    "a filter is nested deeper than {} levels",
                    Self::MAX_DEPTH
                )));
            }
            for filter in level.drain(..) {
                count += 1;
                match filter {
                    Self::All(inner) | Self::Any(inner) | Self::AtLeast(_, inner) => {
                        next.extend(inner);
                    }
                    Self::Not(inner) | Self::Field(_, Condition::Nested(inner)) => next.push(inner),
                    Self::Ids(ids) => values += ids.len(),
                    Self::Field(_, Condition::AnyOf(of) | Condition::Except(of)) => {
                        values += of.len();
                    }
                    Self::Field(..) | Self::HasVector(_) => {}
                }
                if count + next.len() > most {
                    return Err(Error::invalid(format!(
                        "a filter has more than {most} conditions"
                    )));
                }
            }
            std::mem::swap(&mut level, &mut next);
            depth += 1;
        }
        if values > Self::MAX_VALUES {
            return Err(Error::invalid(format!(
                "a filter compares with {values} values and ids; expected at most {}",
                Self::MAX_VALUES
            )));
        }
        Ok(())
    }
}

impl Terms<'_> {
    /// What is nested is about the fields of an object alone.
    fn conditions(self, filter: &Filter, nested: bool) -> Result<Conditions> {
        let all = |filters: &[Filter]| {
            let all = filters.iter().map(|filter| self.conditions(filter, nested));
            all.collect::<Result<Vec<_>>>()
        };
        Ok(match filter {
            Filter::All(filters) => Conditions::All(all(filters)?),
            Filter::Any(filters) | Filter::AtLeast(1, filters) => Conditions::Any(all(filters)?),
            Filter::AtLeast(count, filters) => Conditions::AtLeast(*count, all(filters)?),
            Filter::Not(filter) => Conditions::Not(Box::new(self.conditions(filter, nested)?)),
            Filter::Ids(_) | Filter::HasVector(_) if nested => {
                return Err(Error::invalid(
                    "a nested filter asks for ids or vectors; expected conditions on fields",
                ));
            }
            Filter::Ids(ids) => {
                ids.iter().try_for_each(PointId::check)?;
                Conditions::Ids(Arc::new(ids.iter().cloned().collect()))
            }
            Filter::HasVector(name) => Conditions::Vector(self.vector(name)?),
            Filter::Field(path, condition) => {
                check_name("field", path)?;
                let of_field = |error: Error| error.context(format_args!("field {}", quoted(path)));
                // Arrays are gone through whether or not it is said.
                let path = path.replace("[]", "");
                let test = self.test(&path, condition, nested);
                Conditions::Field(path.into(), Arc::new(test.map_err(of_field)?))
            }
        })
    }

    fn vector(self, name: &str) -> Result<u32> {
        if let Ok((number, _)) = self.shape.sparse_named(name) {
            return Ok(number);
        }
        Ok(self.shape.vector_named(name)?.0)
    }

    fn test(self, path: &str, condition: &Condition, nested: bool) -> Result<Test> {
        Ok(match condition {
            Condition::Equals(value) => {
                check_scalar(value)?;
                Test::Equals(value.clone())
            }
            Condition::AnyOf(values) => Test::AnyOf(scalars(values)?),
            Condition::Except(values) => Test::Except(scalars(values)?),
            Condition::Within(low, high) => range(low, high)?,
            Condition::Prefix(prefix) => {
                check_string(prefix)?;
                Test::Prefix(prefix.clone())
            }
            Condition::Contains(part) => {
                check_string(part)?;
                Test::Contains(Finder::new(part).into_owned())
            }
            Condition::Words(wording, text) => {
                check_string(text)?;
                Test::Words(self.words(path, *wording, text, nested)?)
            }
            Condition::Area(area) => {
                area.check()?;
                Test::Area(area.clone())
            }
            Condition::Null => Test::Null,
            Condition::Empty => Test::Empty,
            Condition::Count(low, high) => Test::Count(*low, *high),
            Condition::Nested(filter) => Test::Nested(self.conditions(filter, true)?),
        })
    }

    fn words(self, path: &str, wording: Wording, text: &str, nested: bool) -> Result<Words> {
        let declared = self.shape.text_named(path).ok().filter(|_| !nested);
        let analyzer = match declared {
            Some((_, text)) => self.analyzers.get(text)?,
            None => Analyzer::new(&Text::plain(), &Tokenizers::default())?,
        };
        let mut terms: Vec<(String, u32)> = Vec::new();
        tokenized(path, || {
            analyzer.for_queries().analyze(text, |token| {
                terms.push((token.term.to_owned(), token.position));
            });
        })?;
        if wording != Wording::Phrase {
            terms.sort_unstable();
            terms.dedup_by(|a, b| a.0 == b.0);
        }
        if terms.len() > self.limits.filter_conditions {
            return Err(Error::invalid(format!(
                "a filter looks for {} words; expected at most {}",
                terms.len(),
                self.limits.filter_conditions
            )));
        }
        let has_index = |text: &&(u32, &Text)| wording != Wording::Phrase || text.1.positions;
        let text = declared.as_ref().filter(has_index);
        Ok(Words {
            wording,
            terms,
            analyzer,
            text: text.map(|(number, text)| (*number, (*text).clone(), Arc::clone(self.analyzers))),
        })
    }
}

fn scalars(values: &[Value]) -> Result<Values> {
    values.iter().try_for_each(check_scalar)?;
    Ok(Values::new(values))
}

fn check_scalar(value: &Value) -> Result<()> {
    match value {
        Value::String(text) => check_string(text),
        Value::Number(_) | Value::Bool(_) => Ok(()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(Error::invalid(format!(
            "compared with {}; expected a string, a finite number or a boolean",
            kind(value)
        ))),
    }
}

fn check_string(text: &str) -> Result<()> {
    let (len, most) = (text.len(), Filter::MAX_STRING_BYTES);
    if len <= most {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "compared with a string of {len} bytes; expected at most {most}"
    )))
}

/// A range of numbers or of date-times.
fn range(low: &Bound<Value>, high: &Bound<Value>) -> Result<Test> {
    let is_text = |bound: &Bound<Value>| matches!(bound, Bound::Included(value) | Bound::Excluded(value) if value.is_string());
    if is_text(low) || is_text(high) {
        let time = |value: &Value| value.as_str().and_then(micros);
        let expected = "date-times as 2024-05-01T12:30:00Z, or numbers";
        let (low, high) = (bound(low, time, expected)?, bound(high, time, expected)?);
        return Ok(Test::Times(low, high));
    }
    let number = |value: &Value| value.as_number().map(Key::of);
    let expected = "finite numbers, or date-times as strings";
    let (low, high) = (
        bound(low, number, expected)?,
        bound(high, number, expected)?,
    );
    Ok(Test::Numbers(low, high))
}

fn bound<T>(
    bound: &Bound<Value>,
    read: impl Fn(&Value) -> Option<T>,
    expected: &str,
) -> Result<Bound<T>> {
    let read = |value: &Value| {
        let wrong = || {
            let found = match value {
                Value::String(text) => quoted(text),
                value => kind(value).to_owned(),
            };
            Error::invalid(format!(
                "a range is bounded by {found}; expected {expected}"
            ))
        };
        read(value).ok_or_else(wrong)
    };
    Ok(match bound {
        Bound::Unbounded => Bound::Unbounded,
        Bound::Included(value) => Bound::Included(read(value)?),
        Bound::Excluded(value) => Bound::Excluded(read(value)?),
    })
}

pub(in crate::query) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null or a number that is not finite",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
