//! Scores that are computed: the formula, as it is written.
//!
//! Plain data; it is brought to terms of a schema and evaluated in `evaluate`.

mod evaluate;
mod json;

pub(super) use evaluate::{Formula, best};

use super::Filter;
use crate::geo::GeoPoint;
use serde::Serialize;
use std::{
    mem,
    ops::{Add, Div, Mul, Neg, Sub},
};

/// A number that is computed for each point, from its scores in prefetches and its payload; asked for by
/// [`Query::formula`](super::Query::formula). Made by its functions and `+`, `-`, `*` and `/`, which take numbers too.
///
/// It is computed in double precision. Where a part of it has no value, since a field has no number, a
/// prefetch did not find the point, or the result is not a finite number, as when dividing by zero, the
/// whole has none, unless [`or`](Self::or) gives one.
///
/// ```
/// use amphora::{Decay, Expr, field};
///
/// let fresh = Decay::exponential(Expr::field("age_days").or(365.0)).scale(30.0);
/// let formula = Expr::score() * 0.7
///     + fresh * 0.2
///     + Expr::condition(field("pinned").eq(true))
///     + Expr::field("likes").or(0.0).max(1.0).log10() / 10.0;
/// # let _ = formula;
/// ```
///
/// # As JSON
/// A number, or one of
///
/// | as JSON | which is |
/// |---|---|
/// | `"$score"`, `"$score[1]"` | [`score`](Self::score), [`prefetch_score`](Self::prefetch_score) |
/// | `{ "field": "likes" }` | [`field`](Self::field()) |
/// | `{ "datetime": "2024-05-01" }`, `{ "datetime_field": "published" }` | [`datetime`](Self::datetime), [`datetime_field`](Self::datetime_field) |
/// | `{ "geo_distance": { "origin": { "lon": 13.4, "lat": 52.5 }, "to": "place" } }` | [`geo_distance`](Self::geo_distance) |
/// | `{ "condition": { "key": "pinned", "match": { "value": true } } }` | [`condition`](Self::condition), see [`Filter`] |
/// | `{ "sum": [a, b] }`, `mult`, `min`, `max` | of any number of them |
/// | `{ "neg": a }`, `abs`, `sqrt`, `exp`, `ln`, `log10` | of one |
/// | `{ "div": { "left": a, "right": b } }` | `a / b` |
/// | `{ "pow": { "base": a, "exponent": b } }` | [`pow`](Self::pow) |
/// | `{ "or": [a, 1.0] }` | [`or`](Self::or) |
/// | `{ "gauss_decay": { "x": a, "target": b, "scale": 20, "midpoint": 0.5 } }`, `lin_decay`, `exp_decay` | [`Decay`], of which all but `x` may be missing |
///
/// ```
/// use amphora::Expr;
///
/// let json = r#"{ "sum": ["$score", { "mult": [0.5, { "or": [{ "field": "likes" }, 0] }] }] }"#;
/// let formula: Expr = serde_json::from_str(json)?;
/// assert_eq!(formula, Expr::score() + 0.5 * Expr::field("likes").or(0.0));
/// # Ok::<_, serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Expr {
    /// This number.
    Constant(f64),
    /// The score of the point in the prefetch of this number, 0 for the first.
    Score(usize),
    /// The first number of a field: a key of the payload, or keys joined by dots.
    Field(String),
    /// The seconds from 1970 to this date-time, in UTC unless it says otherwise; negative before.
    DateTime(String),
    /// The same of the first date-time of a field.
    DateTimeField(String),
    /// The meters from this place to the first one of a field.
    GeoDistance(GeoPoint, String),
    /// 1 for a point that matches, 0 for any other.
    Condition(Filter),
    /// A function of other numbers.
    Apply(Function, Vec<Expr>),
}

/// What is computed from numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Function {
    /// The sum of all.
    Sum,
    /// The product of all.
    Product,
    /// The smallest of one or more.
    Min,
    /// The largest of one or more.
    Max,
    /// The first divided by the second.
    Div,
    /// The first to the power of the second.
    Pow,
    /// One with the other sign.
    Neg,
    /// One without its sign.
    Abs,
    /// The square root of one.
    Sqrt,
    /// e to the power of one.
    Exp,
    /// The logarithm of one to base e.
    Ln,
    /// The logarithm of one to base 10.
    Log10,
    /// One or, where that has no value, this.
    Or(f64),
    /// From 1, where the first equals the second, towards 0: see [`Decay`].
    Decay {
        /// How it falls.
        shape: DecayShape,
        /// How far apart the two are where it has fallen to `midpoint`; more than 0.
        scale: f64,
        /// Between 0 and 1.
        midpoint: f64,
    },
}

/// How a [`Decay`] falls, by the distance `d = |x - target|`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecayShape {
    /// `max(0, 1 - (1 - midpoint) / scale * d)`
    Linear,
    /// `exp(ln(midpoint) / scale * d)`
    Exponential,
    /// `exp(ln(midpoint) / scale^2 * d^2)`
    Gauss,
}

/// A number that is 1 where `x` is at its target, and falls the farther away it is: to `midpoint` at a distance of
/// `scale`. A part of a formula, see [`Expr`].
///
/// ```
/// use amphora::{Decay, Expr};
///
/// // 1 for a price of 100, 0.5 for 80 and for 120.
/// let price = Decay::gauss(Expr::field("price")).target(100.0).scale(20.0).midpoint(0.5);
/// let formula = Expr::score() * price;
/// # let _ = formula;
/// ```
///
/// As JSON it is the [formula](Expr#as-json) that it becomes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(into = "Expr")]
pub struct Decay {
    /// How it falls.
    pub shape: DecayShape,
    /// What is compared.
    pub x: Expr,
    /// With what: 0 unless set.
    pub target: Expr,
    /// The distance at which it has fallen to `midpoint`: 1 unless set; more than 0.
    pub scale: f64,
    /// What it is at that distance: 0.5 unless set; between 0 and 1.
    pub midpoint: f64,
}

impl Expr {
    /// How deep formulas may be nested.
    pub const MAX_DEPTH: usize = 64;

    /// The score in the first prefetch.
    #[must_use]
    pub fn score() -> Self {
        Self::Score(0)
    }

    /// The score in the prefetch of this number, 0 for the first.
    #[must_use]
    pub fn prefetch_score(number: usize) -> Self {
        Self::Score(number)
    }

    /// The number that a field of the payload has, of a list the first.
    pub fn field(path: impl Into<String>) -> Self {
        Self::Field(path.into())
    }

    /// The seconds from 1970 to a date-time as of RFC 3339: `2024-05-01T12:30:00Z`, or `2024-05-01`.
    ///
    /// ```
    /// use amphora::{Decay, Expr};
    ///
    /// // 1 for what is of that day, 0.5 for what is a month away.
    /// let fresh = Decay::exponential(Expr::datetime_field("published"))
    ///     .target(Expr::datetime("2024-05-01"))
    ///     .scale(30.0 * 86_400.0);
    /// let formula = Expr::score() * fresh;
    /// # let _ = formula;
    /// ```
    pub fn datetime(text: impl Into<String>) -> Self {
        Self::DateTime(text.into())
    }

    /// The seconds from 1970 to the date-time that a field of the payload has, of a list the first.
    pub fn datetime_field(path: impl Into<String>) -> Self {
        Self::DateTimeField(path.into())
    }

    /// The meters from a place to the one that a field of the payload has, of a list the first.
    pub fn geo_distance(from: GeoPoint, path: impl Into<String>) -> Self {
        Self::GeoDistance(from, path.into())
    }

    /// 1 for points that match, 0 for others.
    #[must_use]
    pub fn condition(filter: Filter) -> Self {
        Self::Condition(filter)
    }

    /// This number where it has no value.
    #[must_use]
    pub fn or(self, value: f64) -> Self {
        Self::Apply(Function::Or(value), vec![self])
    }

    /// Without its sign.
    #[must_use]
    pub fn abs(self) -> Self {
        Self::Apply(Function::Abs, vec![self])
    }

    /// The square root; no value below zero.
    #[must_use]
    pub fn sqrt(self) -> Self {
        Self::Apply(Function::Sqrt, vec![self])
    }

    /// To the power of another.
    #[must_use]
    pub fn pow(self, exponent: impl Into<Expr>) -> Self {
        Self::Apply(Function::Pow, vec![self, exponent.into()])
    }

    /// e to its power.
    #[must_use]
    pub fn exp(self) -> Self {
        Self::Apply(Function::Exp, vec![self])
    }

    /// The logarithm to base e; no value at zero and below.
    #[must_use]
    pub fn ln(self) -> Self {
        Self::Apply(Function::Ln, vec![self])
    }

    /// The logarithm to base 10; no value at zero and below.
    #[must_use]
    pub fn log10(self) -> Self {
        Self::Apply(Function::Log10, vec![self])
    }

    /// The smaller of both.
    #[must_use]
    pub fn min(self, other: impl Into<Expr>) -> Self {
        self.with(Function::Min, other.into())
    }

    /// The larger of both.
    #[must_use]
    pub fn max(self, other: impl Into<Expr>) -> Self {
        self.with(Function::Max, other.into())
    }

    /// One function of all, so that long sums are not deep.
    fn with(mut self, function: Function, other: Self) -> Self {
        match &mut self {
            Self::Apply(own, all) if *own == function => {
                all.push(other);
                self
            }
            _ => Self::Apply(function, vec![self, other]),
        }
    }
}

/// Level by level, since a formula may be nested deeper than a stack allows.
impl Drop for Expr {
    fn drop(&mut self) {
        let Self::Apply(_, open) = self else { return };
        let mut open = mem::take(open);
        while let Some(mut expr) = open.pop() {
            if let Self::Apply(_, inner) = &mut expr {
                open.append(inner);
            }
        }
    }
}

impl From<f64> for Expr {
    fn from(value: f64) -> Self {
        Self::Constant(value)
    }
}

impl From<Decay> for Expr {
    fn from(decay: Decay) -> Self {
        let function = Function::Decay {
            shape: decay.shape,
            scale: decay.scale,
            midpoint: decay.midpoint,
        };
        Self::Apply(function, vec![decay.x, decay.target])
    }
}

/// Operators of what is an [`Expr`] or becomes one.
macro_rules! operators {
    ($($left:ty),+) => {$(
        impl<T: Into<Expr>> Add<T> for $left {
            type Output = Expr;

            fn add(self, other: T) -> Expr {
                Expr::from(self).with(Function::Sum, other.into())
            }
        }

        impl<T: Into<Expr>> Sub<T> for $left {
            type Output = Expr;

            fn sub(self, other: T) -> Expr {
                Expr::from(self).with(Function::Sum, -other.into())
            }
        }

        impl<T: Into<Expr>> Mul<T> for $left {
            type Output = Expr;

            fn mul(self, other: T) -> Expr {
                Expr::from(self).with(Function::Product, other.into())
            }
        }

        impl<T: Into<Expr>> Div<T> for $left {
            type Output = Expr;

            fn div(self, other: T) -> Expr {
                Expr::Apply(Function::Div, vec![self.into(), other.into()])
            }
        }

        impl Neg for $left {
            type Output = Expr;

            fn neg(self) -> Expr {
                Expr::Apply(Function::Neg, vec![self.into()])
            }
        }
    )+};
}

operators!(Expr, Decay);

/// Operators of numbers on the left.
macro_rules! of_numbers {
    ($($operator:ident $name:ident),+) => {$(
        impl $operator<Expr> for f64 {
            type Output = Expr;

            fn $name(self, other: Expr) -> Expr {
                Expr::from(self).$name(other)
            }
        }
    )+};
}

of_numbers!(Add add, Sub sub, Mul mul, Div div);

impl Decay {
    /// One that falls [linearly](DecayShape::Linear).
    pub fn linear(x: impl Into<Expr>) -> Self {
        Self::by(DecayShape::Linear, x.into())
    }

    /// One that falls [exponentially](DecayShape::Exponential).
    pub fn exponential(x: impl Into<Expr>) -> Self {
        Self::by(DecayShape::Exponential, x.into())
    }

    /// One that falls [as a bell does](DecayShape::Gauss).
    pub fn gauss(x: impl Into<Expr>) -> Self {
        Self::by(DecayShape::Gauss, x.into())
    }

    fn by(shape: DecayShape, x: Expr) -> Self {
        Self {
            shape,
            x,
            target: Expr::Constant(0.0),
            scale: 1.0,
            midpoint: 0.5,
        }
    }

    /// Where it is 1.
    #[must_use]
    pub fn target(mut self, target: impl Into<Expr>) -> Self {
        self.target = target.into();
        self
    }

    /// How far away it has fallen to its midpoint.
    #[must_use]
    pub fn scale(mut self, scale: f64) -> Self {
        self.scale = scale;
        self
    }

    /// What it is at the distance of its scale.
    #[must_use]
    pub fn midpoint(mut self, midpoint: f64) -> Self {
        self.midpoint = midpoint;
        self
    }
}
