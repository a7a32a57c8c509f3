//! Formulas as JSON: a number, the score of a prefetch as a string, or an object with the key of what is computed.

use super::{Decay, DecayShape, Expr, Function};
use crate::{
    geo::GeoPoint,
    json::{finite, whole},
    query::Filter,
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, Visitor},
    ser,
};
use std::{fmt, mem};

/// The object that a formula is, over formulas and filters, or references to them.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Written<E, F> {
    Field(String),
    Datetime(String),
    DatetimeField(String),
    GeoDistance { origin: GeoPoint, to: String },
    Condition(F),
    Sum(Vec<E>),
    Mult(Vec<E>),
    Min(Vec<E>),
    Max(Vec<E>),
    Div { left: E, right: E },
    Pow { base: E, exponent: E },
    Neg(E),
    Abs(E),
    Sqrt(E),
    Exp(E),
    Ln(E),
    Log10(E),
    Or(E, f64),
    LinDecay(Falling<E>),
    ExpDecay(Falling<E>),
    GaussDecay(Falling<E>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Falling<E> {
    x: E,
    target: Option<E>,
    #[serde(serialize_with = "finite")]
    scale: Option<f64>,
    #[serde(serialize_with = "finite")]
    midpoint: Option<f64>,
}

impl Serialize for Expr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = match self {
            Self::Constant(value) => return finite(&Some(*value), serializer),
            Self::Score(0) => return serializer.serialize_str("$score"),
            Self::Score(number) => {
                return serializer.collect_str(&format_args!("$score[{number}]"));
            }
            Self::Field(path) => Written::Field(path.clone()),
            Self::DateTime(text) => Written::Datetime(text.clone()),
            Self::DateTimeField(path) => Written::DatetimeField(path.clone()),
            Self::GeoDistance(origin, to) => Written::GeoDistance {
                origin: *origin,
                to: to.clone(),
            },
            Self::Condition(filter) => Written::Condition(filter),
            Self::Apply(function, of) => applied(*function, of).ok_or_else(|| {
                let count = of.len();
                ser::Error::custom(format_args!(
                    "{function:?} is applied to {count} numbers; expected one or two, as it takes"
                ))
            })?,
        };
        written.serialize(serializer)
    }
}

/// What is written of a function, if it takes so many numbers.
fn applied(function: Function, of: &[Expr]) -> Option<Written<&Expr, &Filter>> {
    let all = || of.iter().collect();
    Some(match (function, of) {
        (Function::Sum, _) => Written::Sum(all()),
        (Function::Product, _) => Written::Mult(all()),
        (Function::Min, _) => Written::Min(all()),
        (Function::Max, _) => Written::Max(all()),
        (Function::Div, [left, right]) => Written::Div { left, right },
        (Function::Pow, [base, exponent]) => Written::Pow { base, exponent },
        (Function::Neg, [of]) => Written::Neg(of),
        (Function::Abs, [of]) => Written::Abs(of),
        (Function::Sqrt, [of]) => Written::Sqrt(of),
        (Function::Exp, [of]) => Written::Exp(of),
        (Function::Ln, [of]) => Written::Ln(of),
        (Function::Log10, [of]) => Written::Log10(of),
        (Function::Or(value), [of]) => Written::Or(of, value),
        (
            Function::Decay {
                shape,
                scale,
                midpoint,
            },
            [x, target],
        ) => {
            let falling = Falling {
                x,
                target: Some(target),
                scale: Some(scale),
                midpoint: Some(midpoint),
            };
            match shape {
                DecayShape::Linear => Written::LinDecay(falling),
                DecayShape::Exponential => Written::ExpDecay(falling),
                DecayShape::Gauss => Written::GaussDecay(falling),
            }
        }
        _ => return None,
    })
}

impl<'de> Deserialize<'de> for Expr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Formula;

        impl<'de> Visitor<'de> for Formula {
            type Value = Expr;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, \"$score\", \"$score[1]\", or an object as { \"field\": .. } or { \"sum\": [..] }")
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Expr, E> {
                Ok(Expr::Constant(value))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Expr, E> {
                Ok(Expr::Constant(value as f64))
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Expr, E> {
                Ok(Expr::Constant(value as f64))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Expr, E> {
                let number = match text.strip_prefix("$score") {
                    Some("") => Some(0),
                    Some(rest) => {
                        let number = rest.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
                        number.and_then(|number| number.parse().ok())
                    }
                    None => None,
                };
                let wrong = || E::invalid_value(de::Unexpected::Str(text), &self);
                number.map(Expr::Score).ok_or_else(wrong)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Expr, A::Error> {
                whole(map).map(Written::<Expr, Filter>::expr)
            }
        }

        deserializer.deserialize_any(Formula)
    }
}

impl Written<Expr, Filter> {
    fn expr(self) -> Expr {
        let (function, of) = match self {
            Self::Field(path) => return Expr::Field(path),
            Self::Datetime(text) => return Expr::DateTime(text),
            Self::DatetimeField(path) => return Expr::DateTimeField(path),
            Self::GeoDistance { origin, to } => return Expr::GeoDistance(origin, to),
            Self::Condition(filter) => return Expr::Condition(filter),
            Self::LinDecay(of) => return of.expr(Decay::linear),
            Self::ExpDecay(of) => return of.expr(Decay::exponential),
            Self::GaussDecay(of) => return of.expr(Decay::gauss),
            Self::Sum(all) => (Function::Sum, all),
            Self::Mult(all) => (Function::Product, all),
            Self::Min(all) => (Function::Min, all),
            Self::Max(all) => (Function::Max, all),
            Self::Div { left, right } => (Function::Div, vec![left, right]),
            Self::Pow { base, exponent } => (Function::Pow, vec![base, exponent]),
            Self::Neg(of) => (Function::Neg, vec![of]),
            Self::Abs(of) => (Function::Abs, vec![of]),
            Self::Sqrt(of) => (Function::Sqrt, vec![of]),
            Self::Exp(of) => (Function::Exp, vec![of]),
            Self::Ln(of) => (Function::Ln, vec![of]),
            Self::Log10(of) => (Function::Log10, vec![of]),
            Self::Or(of, value) => (Function::Or(value), vec![of]),
        };
        Expr::Apply(function, of)
    }
}

impl Falling<Expr> {
    fn expr(self, by: impl FnOnce(Expr) -> Decay) -> Expr {
        let mut decay = by(self.x);
        decay.target = self.target.unwrap_or(decay.target);
        decay.scale = self.scale.unwrap_or(decay.scale);
        decay.midpoint = self.midpoint.unwrap_or(decay.midpoint);
        decay.into()
    }
}

impl<'de> Deserialize<'de> for Decay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut expr = Expr::deserialize(deserializer)?;
        if let Expr::Apply(
            Function::Decay {
                shape,
                scale,
                midpoint,
            },
            of,
        ) = &mut expr
            && let Ok([x, target]) = <[Expr; 2]>::try_from(mem::take(of))
        {
            return Ok(Self {
                shape: *shape,
                x,
                target,
                scale: *scale,
                midpoint: *midpoint,
            });
        }
        Err(de::Error::custom(
            "a formula is no decay; expected lin_decay, exp_decay or gauss_decay",
        ))
    }
}
