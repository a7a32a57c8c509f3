//! Filters as [`Filter::parse`] reads them.

use super::{Condition, Filter, Wording, parse::is_keyword};
use crate::{geo::GeoArea, geo::GeoPoint, id::PointId};
use serde_json::Value;
use std::{
    fmt::{self, Display, Formatter},
    ops::Bound,
};

/// As [`Filter::parse`] reads it. What that reads asks the same, but may be another filter: of one that joins one
/// filter alone that is left.
///
/// ```
/// use amphora::field;
///
/// let filter = !field("author.name").eq("O'Neill") & field("year").within(1850..1900);
/// let text = "author.name != 'O''Neill' AND year BETWEEN 1850 AND BELOW 1900";
/// assert_eq!(filter.to_string(), text);
/// ```
impl Display for Filter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(all) if all.is_empty() => f.write_str("AT LEAST 0 OF ()"),
            Self::Any(any) if any.is_empty() => f.write_str("AT LEAST 1 OF ()"),
            Self::All(all) => joined(f, all.iter().map(Inner), " AND "),
            Self::Any(any) => joined(f, any.iter().map(Alternative), " OR "),
            Self::AtLeast(count, some) => {
                write!(f, "AT LEAST {count} OF (")?;
                joined(f, some, ", ")?;
                f.write_str(")")
            }
            Self::Not(inner) => match &**inner {
                Self::Field(
                    path,
                    condition @ (Condition::Equals(_)
                    | Condition::AnyOf(_)
                    | Condition::Null
                    | Condition::Empty),
                ) => of_field(f, &Name(path), condition, "NOT "),
                inner => write!(f, "NOT {}", Inner(inner)),
            },
            Self::Ids(ids) => {
                f.write_str("ID IN (")?;
                joined(f, ids.iter().map(Id), ", ")?;
                f.write_str(")")
            }
            Self::HasVector(name) => write!(f, "HAS VECTOR {}", Name(name)),
            Self::Field(path, condition) => of_field(f, &Name(path), condition, ""),
        }
    }
}

/// A condition, or its negation where that is typed within.
fn of_field(
    f: &mut Formatter<'_>,
    path: &Name<'_>,
    condition: &Condition,
    not: &str,
) -> fmt::Result {
    let values = |f: &mut Formatter<'_>, word: &str, values: &[Value]| {
        write!(f, "{path} {not}{word} (")?;
        joined(f, values.iter().map(Scalar), ", ")?;
        f.write_str(")")
    };
    match condition {
        Condition::Equals(value) => {
            let sign = if not.is_empty() { "=" } else { "!=" };
            write!(f, "{path} {sign} {}", Scalar(value))
        }
        Condition::AnyOf(all) => values(f, "IN", all),
        Condition::Except(all) => values(f, "EXCEPT", all),
        Condition::Within(low, high) => bounds(
            f,
            path,
            &low.as_ref().map(Scalar),
            &high.as_ref().map(Scalar),
        ),
        Condition::Count(low, high) => {
            let path = format!("COUNT({path})");
            bounds(f, &path, &low.as_ref(), &high.as_ref())
        }
        Condition::Prefix(prefix) => write!(f, "{path} STARTS WITH {}", Text(prefix)),
        Condition::Contains(part) => write!(f, "{path} CONTAINS {}", Text(part)),
        Condition::Words(wording, text) => {
            let wording = match wording {
                Wording::All => "",
                Wording::Any => "ANY ",
                Wording::Phrase => "PHRASE ",
            };
            write!(f, "{path} MATCHES {wording}{}", Text(text))
        }
        Condition::Null => write!(f, "{path} IS {not}NULL"),
        Condition::Empty => write!(f, "{path} IS {not}EMPTY"),
        Condition::Nested(filter) => write!(f, "{path} ANY ({filter})"),
        Condition::Area(GeoArea::Box {
            top_left,
            bottom_right,
        }) => write!(
            f,
            "{path} IN BOX ({}, {})",
            Point(top_left),
            Point(bottom_right)
        ),
        Condition::Area(GeoArea::Circle { center, radius }) => {
            write!(f, "{path} NEAR ({}, {radius})", Point(center))
        }
        Condition::Area(GeoArea::Polygon {
            exterior,
            interiors,
        }) => {
            write!(f, "{path} IN POLYGON (")?;
            joined(f, [exterior].into_iter().chain(interiors).map(Ring), ", ")?;
            f.write_str(")")
        }
    }
}

fn bounds(
    f: &mut Formatter<'_>,
    of: &dyn Display,
    low: &Bound<impl Display>,
    high: &Bound<impl Display>,
) -> fmt::Result {
    match (low, high) {
        (Bound::Unbounded, Bound::Included(high)) => write!(f, "{of} <= {high}"),
        (Bound::Unbounded, Bound::Excluded(high)) => write!(f, "{of} < {high}"),
        (Bound::Included(low), Bound::Unbounded) => write!(f, "{of} >= {low}"),
        (Bound::Excluded(low), Bound::Unbounded) => write!(f, "{of} > {low}"),
        (Bound::Unbounded, Bound::Unbounded) => write!(f, "{of} BETWEEN ANY AND ANY"),
        (Bound::Included(low), Bound::Included(high)) => write!(f, "{of} BETWEEN {low} AND {high}"),
        (Bound::Excluded(low), Bound::Included(high)) => {
            write!(f, "{of} BETWEEN ABOVE {low} AND {high}")
        }
        (Bound::Included(low), Bound::Excluded(high)) => {
            write!(f, "{of} BETWEEN {low} AND BELOW {high}")
        }
        (Bound::Excluded(low), Bound::Excluded(high)) => {
            write!(f, "{of} BETWEEN ABOVE {low} AND BELOW {high}")
        }
    }
}

fn joined<T: Display>(
    f: &mut Formatter<'_>,
    items: impl IntoIterator<Item = T>,
    between: &str,
) -> fmt::Result {
    for (number, item) in items.into_iter().enumerate() {
        if number > 0 {
            f.write_str(between)?;
        }
        item.fmt(f)?;
    }
    Ok(())
}

/// A filter beside OR, which binds less than AND.
struct Alternative<'a>(&'a Filter);

impl Display for Alternative<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Filter::All(_) => self.0.fmt(f),
            filter => Inner(filter).fmt(f),
        }
    }
}

/// A filter within another.
struct Inner<'a>(&'a Filter);

impl Display for Inner<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Filter::All(inner) | Filter::Any(inner) if !inner.is_empty() => {
                write!(f, "({})", self.0)
            }
            filter => filter.fmt(f),
        }
    }
}

struct Name<'a>(&'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let is_of = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '[' | ']');
        let begins = |c: char| is_of(c) && !c.is_ascii_digit() && c != '-';
        // `id IN` asks for points.
        let is_keyword = is_keyword(self.0) || self.0.eq_ignore_ascii_case("id");
        let is_bare = self.0.starts_with(begins) && self.0.chars().all(is_of) && !is_keyword;
        match is_bare {
            true => f.write_str(self.0),
            false => write!(f, "\"{}\"", self.0.replace('"', "\"\"")),
        }
    }
}

struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}

struct Scalar<'a>(&'a Value);

impl Display for Scalar<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(text) => Text(text).fmt(f),
            value => value.fmt(f),
        }
    }
}

struct Id<'a>(&'a PointId);

impl Display for Id<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            PointId::Number(number) => number.fmt(f),
            PointId::Text(text) => Text(text).fmt(f),
            PointId::Uuid(uuid) => write!(f, "UUID '{uuid}'"),
        }
    }
}

struct Point<'a>(&'a GeoPoint);

impl Display for Point<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.lon, self.0.lat)
    }
}

struct Ring<'a>(&'a Vec<GeoPoint>);

impl Display for Ring<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        joined(f, self.0.iter().map(Point), ", ")?;
        f.write_str(")")
    }
}
