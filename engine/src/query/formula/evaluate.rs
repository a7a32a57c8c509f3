//! A formula in the terms of a schema, and its value for what prefetches found.
//!
//! It asks its [`Cancel`] at every point.

use super::{DecayShape, Expr, Function};
use crate::{
    cancel::Cancel,
    datetime::micros,
    error::{Error, Result},
    fields::{Column, some_value},
    geo::GeoPoint,
    payload::Payload,
    query::{
        Conditions, Terms,
        bound::Bound,
        found::{Found, Within},
    },
    schema::check_name,
    top_k::TopK,
    view::{Payloads, View},
};
use serde_json::Value;
use std::collections::HashMap;

/// A formula that may run.
#[derive(Clone, Debug)]
pub(in super::super) struct Formula {
    root: Term,
    fields: Vec<(String, Reads)>,
    conditions: Vec<Conditions>,
}

#[derive(Clone, Debug)]
enum Term {
    Constant(f64),
    Score(usize),
    /// By its number, and so are conditions.
    Field(usize),
    Condition(usize),
    Apply(Function, Vec<Term>),
}

/// What is read of a value.
#[derive(Clone, Copy, Debug)]
enum Reads {
    Number,
    /// In seconds.
    DateTime,
    /// In meters.
    DistanceFrom(GeoPoint),
}

impl Reads {
    /// Whether a column has all such values of its field.
    fn are_in(self, column: &Column<'_>) -> bool {
        match self {
            Self::Number => !column.is_of_times(),
            Self::DateTime => column.is_of_times(),
            Self::DistanceFrom(_) => false,
        }
    }

    fn of(self, value: &Value) -> Option<f64> {
        match self {
            Self::Number => value.as_f64(),
            Self::DateTime => value.as_str().and_then(seconds),
            Self::DistanceFrom(from) => GeoPoint::of(value).map(|place| from.distance(place)),
        }
    }
}

fn seconds(text: &str) -> Option<f64> {
    micros(text).map(|micros| micros as f64 / 1e6)
}

/// What a formula is checked by.
struct Check<'a> {
    terms: Terms<'a>,
    prefetches: usize,
    /// How many terms there may be yet.
    left: usize,
    fields: Vec<(String, Reads)>,
    conditions: Vec<Conditions>,
}

impl Expr {
    /// The formula over so many prefetches, if it may run.
    pub(in super::super) fn checked(&self, prefetches: usize, terms: Terms<'_>) -> Result<Formula> {
        if prefetches == 0 {
            return Err(Error::invalid(
                "a formula has no prefetches; expected at least one, of which it scores the hits",
            ));
        }
        let mut check = Check {
            terms,
            prefetches,
            left: terms.limits.formula_terms,
            fields: Vec::new(),
            conditions: Vec::new(),
        };
        let root = check.term(self, 1)?;
        Ok(Formula {
            root,
            fields: check.fields,
            conditions: check.conditions,
        })
    }
}

impl Check<'_> {
    fn term(&mut self, expr: &Expr, depth: usize) -> Result<Term> {
        if depth > Expr::MAX_DEPTH {
            return Err(Error::invalid(format!(
                "a formula is nested deeper than {} levels",
                Expr::MAX_DEPTH
            )));
        }
        let Some(left) = self.left.checked_sub(1) else {
            return Err(Error::invalid(format!(
                "a formula has more than {} terms",
                self.terms.limits.formula_terms
            )));
        };
        self.left = left;
        match expr {
            Expr::Constant(value) => Ok(Term::Constant(finite(*value, "a constant")?)),
            Expr::Score(number) if *number < self.prefetches => Ok(Term::Score(*number)),
            Expr::Score(number) => Err(Error::invalid(format!(
                "a formula has the score of prefetch {number}; expected less than {}, as many as there are",
                self.prefetches
            ))),
            Expr::Field(path) => self.read(path, Reads::Number),
            Expr::DateTime(text) => seconds(text).map(Term::Constant).ok_or_else(|| {
                Error::invalid(format!(
                    "a date-time of a formula is {text:?}; expected one as of RFC 3339"
                ))
            }),
            Expr::DateTimeField(path) => self.read(path, Reads::DateTime),
            Expr::GeoDistance(from, path) => {
                from.check()?;
                self.read(path, Reads::DistanceFrom(*from))
            }
            Expr::Condition(filter) => {
                self.conditions.push(filter.checked(self.terms)?);
                Ok(Term::Condition(self.conditions.len() - 1))
            }
            Expr::Apply(function, inner) => {
                function.check(inner.len())?;
                let inner = inner.iter().map(|expr| self.term(expr, depth + 1));
                Ok(Term::Apply(*function, inner.collect::<Result<_>>()?))
            }
        }
    }

    fn read(&mut self, path: &str, reads: Reads) -> Result<Term> {
        check_name("field", path)?;
        self.fields.push((path.to_owned(), reads));
        Ok(Term::Field(self.fields.len() - 1))
    }
}

fn finite(value: f64, what: &str) -> Result<f64> {
    if value.is_finite() {
        return Ok(value);
    }
    Err(Error::invalid(format!(
        "{what} of a formula is {value}; expected a finite number"
    )))
}

impl Function {
    /// Whether it may be applied to so many numbers.
    fn check(self, count: usize) -> Result<()> {
        let (least, most) = match self {
            Self::Sum | Self::Product => (0, usize::MAX),
            Self::Min | Self::Max => (1, usize::MAX),
            Self::Div | Self::Pow | Self::Decay { .. } => (2, 2),
            _ => (1, 1),
        };
        if !(least..=most).contains(&count) {
            return Err(Error::invalid(format!(
                "{self:?} of a formula is applied to {count} numbers; expected {least}"
            )));
        }
        match self {
            Self::Or(value) => finite(value, "an or").map(drop),
            Self::Decay { scale, .. } if !(scale > 0.0 && scale.is_finite()) => {
                Err(Error::invalid(format!(
                    "the scale of a decay is {scale}; expected a finite number above 0"
                )))
            }
            Self::Decay { midpoint, .. } if !(midpoint > 0.0 && midpoint < 1.0) => {
                Err(Error::invalid(format!(
                    "the midpoint of a decay is {midpoint}; expected more than 0 and less than 1"
                )))
            }
            _ => Ok(()),
        }
    }

    fn of(self, numbers: &[f64]) -> f64 {
        let first = numbers.first().copied().unwrap_or(f64::NAN);
        let second = numbers.get(1).copied().unwrap_or(f64::NAN);
        match self {
            Self::Sum => numbers.iter().sum(),
            Self::Product => numbers.iter().product(),
            Self::Min => numbers.iter().copied().fold(first, f64::min),
            Self::Max => numbers.iter().copied().fold(first, f64::max),
            Self::Div => first / second,
            Self::Pow => first.powf(second),
            Self::Neg => -first,
            Self::Abs => first.abs(),
            Self::Sqrt => first.sqrt(),
            Self::Exp => first.exp(),
            Self::Ln => first.ln(),
            Self::Log10 => first.log10(),
            Self::Or(_) => first,
            Self::Decay {
                shape,
                scale,
                midpoint,
            } => {
                let distance = (first - second).abs() / scale;
                match shape {
                    DecayShape::Linear => (1.0 - (1.0 - midpoint) * distance).max(0.0),
                    DecayShape::Exponential => (midpoint.ln() * distance).exp(),
                    DecayShape::Gauss => (midpoint.ln() * distance * distance).exp(),
                }
            }
        }
    }
}

/// Why there is no number.
enum Flaw<'a> {
    Error(Error),
    /// What has no value.
    Undefined(&'a Term),
}

impl From<Error> for Flaw<'_> {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Term {
    /// What is said of it when it has no value.
    fn flaw(&self, fields: &[(String, Reads)]) -> String {
        match self {
            Self::Score(number) => format!("prefetch {number} did not find it"),
            Self::Field(number) => {
                let (path, reads) = &fields[*number];
                let what = match reads {
                    Reads::Number => "number",
                    Reads::DateTime => "date-time",
                    Reads::DistanceFrom(_) => "place",
                };
                format!("its field {path:?} has no {what}")
            }
            Self::Apply(function, _) => format!("{function:?} is not a finite number"),
            Self::Constant(_) | Self::Condition(_) => "a term has no value".to_owned(),
        }
    }
}

/// The points of one part, of which one is looked at.
struct Point<'a, 'b> {
    place: (usize, u32),
    scores: &'b [HashMap<(usize, u32), f32>],
    fields: &'b [(String, Reads)],
    /// Those of fields that have what is read of them.
    columns: &'b [Option<Column<'a>>],
    conditions: &'b mut [Bound<'a>],
    payloads: &'b mut Payloads<'a>,
    payload: Option<Payload>,
}

impl Point<'_, '_> {
    fn value<'t>(&mut self, term: &'t Term) -> Result<f64, Flaw<'t>> {
        let undefined = Flaw::Undefined(term);
        match term {
            Term::Constant(value) => Ok(*value),
            Term::Score(number) => {
                let score = self
                    .scores
                    .get(*number)
                    .and_then(|all| all.get(&self.place));
                score.map(|score| f64::from(*score)).ok_or(undefined)
            }
            Term::Field(number) => self.read(*number)?.ok_or(undefined),
            Term::Condition(number) => {
                let matches = self.conditions[*number].matches(self.place.1)?;
                Ok(if matches { 1.0 } else { 0.0 })
            }
            Term::Apply(Function::Or(value), inner) => match inner.first().map(|it| self.value(it))
            {
                Some(Err(Flaw::Undefined(_))) | None => Ok(*value),
                Some(found) => found,
            },
            Term::Apply(function, inner) => {
                let numbers = inner.iter().map(|term| self.value(term));
                let value = function.of(&numbers.collect::<Result<Vec<f64>, _>>()?);
                if value.is_finite() {
                    Ok(value)
                } else {
                    Err(undefined)
                }
            }
        }
    }

    /// What the first value of its sort comes to, of the field of this number.
    fn read(&mut self, field: usize) -> Result<Option<f64>> {
        let column = self.columns[field].as_ref();
        if let Some(known) = column.and_then(|column| column.number(self.place.1)) {
            return Ok(known);
        }
        let (path, reads) = &self.fields[field];
        let payload = match self.payload.take() {
            Some(payload) => payload,
            None => self.payloads.get(self.place.1)?,
        };
        let payload = self.payload.insert(payload);
        let mut found = None;
        some_value(payload.checked()?, path, &mut |value| {
            found = reads.of(value);
            found.is_some()
        });
        Ok(found)
    }
}

/// What of the hits of prefetches comes to the most, the best first.
pub(in super::super) fn best(
    view: &View,
    formula: &Formula,
    lists: &[Vec<Found>],
    limit: usize,
    cancel: &Cancel,
) -> Result<Vec<Found>> {
    let parts = view.parts()?;
    let within = Within::of(lists, parts.len());
    let scores = lists.iter().map(|list| {
        let scores = list.iter().map(|found| (found.place(), found.score));
        scores.collect::<HashMap<_, _>>()
    });
    let scores: Vec<_> = scores.collect();
    let mut best = TopK::new(limit);
    for (number, part) in parts.iter().enumerate() {
        let rows = within.rows(number);
        if rows.is_empty() {
            continue;
        }
        let columns = formula.fields.iter().map(|(path, reads)| {
            let column = part.column(path, cancel)?;
            Ok(column.filter(|column| reads.are_in(column)))
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let conditions = formula.conditions.iter();
        let conditions = conditions.map(|filter| Bound::new(filter, part, cancel));
        let mut conditions = conditions.collect::<Result<Vec<_>>>()?;
        let mut payloads = part.payloads();
        for row in rows {
            cancel.check()?;
            let mut point = Point {
                place: (number, *row),
                scores: &scores,
                fields: &formula.fields,
                columns: &columns,
                conditions: &mut conditions,
                payloads: &mut payloads,
                payload: None,
            };
            let id = part.id(*row)?;
            let undefined = |what: String| {
                Error::invalid(format!("a formula has no value for point {id}: {what}"))
            };
            let score = match point.value(&formula.root) {
                Ok(value) => value as f32,
                Err(Flaw::Error(error)) => return Err(error),
                Err(Flaw::Undefined(term)) => return Err(undefined(term.flaw(&formula.fields))),
            };
            if !score.is_finite() {
                return Err(undefined("it is too large for 32 bits".to_owned()));
            }
            best.offer(score + 0.0, (id, number, *row));
        }
    }
    Ok(best.into_sorted().map(Found::from).collect())
}
