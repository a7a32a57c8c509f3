//! Filters as JSON, or in any other format that serde knows: as people write them for Qdrant.
//!
//! What is read is one flat object of optional keys, which says what is wrong better than an enumeration of all
//! that it might have been.

use super::{Condition, Filter, Wording, field};
use crate::{
    geo::{GeoArea, GeoPoint},
    id::PointId,
};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};
use serde_json::Value;
use std::{fmt, ops::Bound};

/// A clause or a condition. Only what is there is written.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    #[serde(skip_serializing_if = "Option::is_none")]
    must: Option<Many>,
    #[serde(skip_serializing_if = "Option::is_none")]
    should: Option<Many>,
    #[serde(skip_serializing_if = "Option::is_none")]
    must_not: Option<Many>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_should: Option<MinShould>,
    #[serde(skip_serializing_if = "Option::is_none")]
    has_id: Option<Vec<PointId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    has_vector: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_null: Option<Key>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_empty: Option<Key>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nested: Option<Nested>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", rename = "match")]
    matches: Option<Match>,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<Range<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    values_count: Option<Range<u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    geo_bounding_box: Option<GeoBox>,
    #[serde(skip_serializing_if = "Option::is_none")]
    geo_radius: Option<GeoCircle>,
    #[serde(skip_serializing_if = "Option::is_none")]
    geo_polygon: Option<GeoPolygon>,
}

/// A list of filters, or one without the brackets.
struct Many(Vec<Filter>);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MinShould {
    conditions: Vec<Filter>,
    min_count: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    key: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nested {
    key: String,
    filter: Box<Filter>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Match {
    Value(Value),
    Any(Vec<Value>),
    Except(Vec<Value>),
    Text(String),
    TextAny(String),
    Phrase(String),
    Prefix(String),
    Contains(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Range<T> {
    #[serde(skip_serializing_if = "Option::is_none", default = "Option::default")]
    gt: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none", default = "Option::default")]
    gte: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none", default = "Option::default")]
    lt: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none", default = "Option::default")]
    lte: Option<T>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GeoBox {
    top_left: GeoPoint,
    bottom_right: GeoPoint,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GeoCircle {
    center: GeoPoint,
    radius: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GeoPolygon {
    exterior: Ring,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    interiors: Vec<Ring>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ring {
    points: Vec<GeoPoint>,
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Raw::from(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Raw::deserialize(deserializer)?;
        raw.filter().map_err(de::Error::custom)
    }
}

impl Raw {
    fn filter(self) -> Result<Filter, String> {
        let mut all = Vec::new();
        if let Some(key) = self.key {
            let field = field(key);
            let (low, high);
            let conditions = [
                self.matches.map(Match::condition),
                self.range.map(Range::within).transpose()?,
                match self.values_count {
                    Some(range) => {
                        (low, high) = range.bounds()?;
                        Some(Condition::Count(low, high))
                    }
                    None => None,
                },
                self.geo_bounding_box.map(|it| {
                    Condition::Area(GeoArea::Box {
                        top_left: it.top_left,
                        bottom_right: it.bottom_right,
                    })
                }),
                self.geo_radius.map(|it| {
                    Condition::Area(GeoArea::Circle {
                        center: it.center,
                        radius: it.radius,
                    })
                }),
                self.geo_polygon.map(|it| {
                    Condition::Area(GeoArea::Polygon {
                        exterior: it.exterior.points,
                        interiors: it.interiors.into_iter().map(|ring| ring.points).collect(),
                    })
                }),
            ];
            let mut conditions = conditions.into_iter().flatten();
            match (conditions.next(), conditions.next()) {
                (Some(condition), None) => all.push(field.is(condition)),
                _ => {
                    return Err(
                        "a condition with a key has none or several of match, range, values_count, \
                         geo_bounding_box, geo_radius, geo_polygon; expected one"
                            .to_owned(),
                    );
                }
            }
        } else if self.matches.is_some()
            || self.range.is_some()
            || self.values_count.is_some()
            || self.geo_bounding_box.is_some()
            || self.geo_radius.is_some()
            || self.geo_polygon.is_some()
        {
            return Err("a condition on a field has no key".to_owned());
        }
        all.extend(self.is_null.map(|it| field(it.key).is_null()));
        all.extend(self.is_empty.map(|it| field(it.key).is_empty()));
        all.extend(self.nested.map(|it| field(it.key).any(*it.filter)));
        all.extend(self.has_id.map(Filter::Ids));
        all.extend(self.has_vector.map(Filter::HasVector));
        // An empty list asks for nothing.
        let some = |many: Option<Many>| many.map(|many| many.0).filter(|all| !all.is_empty());
        all.extend(some(self.should).map(Filter::Any));
        all.extend(self.min_should.map(|it| match it.min_count {
            1 if it.conditions.is_empty() => Filter::Any(it.conditions),
            count => Filter::AtLeast(count, it.conditions),
        }));
        let not = some(self.must_not).unwrap_or_default();
        all.extend(not.into_iter().map(|filter| Filter::Not(Box::new(filter))));
        match (some(self.must), all.len()) {
            (None, 1) => Ok(all.remove(0)),
            (None, _) => Ok(Filter::All(all)),
            (Some(mut must), _) => {
                must.append(&mut all);
                Ok(Filter::All(must))
            }
        }
    }
}

impl From<&Filter> for Raw {
    fn from(filter: &Filter) -> Self {
        let raw = Self::default();
        match filter {
            Filter::All(all) => Self {
                must: Some(Many(all.clone())),
                ..raw
            },
            Filter::Any(any) if !any.is_empty() => Self {
                should: Some(Many(any.clone())),
                ..raw
            },
            Filter::Any(any) => Self::at_least(1, any),
            Filter::AtLeast(count, some) => Self::at_least(*count, some),
            Filter::Not(inner) => Self {
                must_not: Some(Many(vec![(**inner).clone()])),
                ..raw
            },
            Filter::Ids(ids) => Self {
                has_id: Some(ids.clone()),
                ..raw
            },
            Filter::HasVector(name) => Self {
                has_vector: Some(name.clone()),
                ..raw
            },
            Filter::Field(key, condition) => Self::of_field(key.clone(), condition),
        }
    }
}

impl Raw {
    fn at_least(min_count: usize, conditions: &[Filter]) -> Self {
        Self {
            min_should: Some(MinShould {
                conditions: conditions.to_vec(),
                min_count,
            }),
            ..Self::default()
        }
    }

    fn of_field(key: String, condition: &Condition) -> Self {
        let mut raw = Self::default();
        match condition {
            Condition::Null => raw.is_null = Some(Key { key }),
            Condition::Empty => raw.is_empty = Some(Key { key }),
            Condition::Nested(filter) => {
                let filter = filter.clone();
                raw.nested = Some(Nested { key, filter });
            }
            _ => raw.key = Some(key),
        }
        raw.matches = match condition {
            Condition::Equals(value) => Some(Match::Value(value.clone())),
            Condition::AnyOf(values) => Some(Match::Any(values.clone())),
            Condition::Except(values) => Some(Match::Except(values.clone())),
            Condition::Words(Wording::All, text) => Some(Match::Text(text.clone())),
            Condition::Words(Wording::Any, text) => Some(Match::TextAny(text.clone())),
            Condition::Words(Wording::Phrase, text) => Some(Match::Phrase(text.clone())),
            Condition::Prefix(text) => Some(Match::Prefix(text.clone())),
            Condition::Contains(text) => Some(Match::Contains(text.clone())),
            _ => None,
        };
        match condition {
            Condition::Within(low, high) => raw.range = Some(Range::new(low, high)),
            Condition::Count(low, high) => raw.values_count = Some(Range::new(low, high)),
            Condition::Area(GeoArea::Box {
                top_left,
                bottom_right,
            }) => {
                raw.geo_bounding_box = Some(GeoBox {
                    top_left: *top_left,
                    bottom_right: *bottom_right,
                });
            }
            Condition::Area(GeoArea::Circle { center, radius }) => {
                raw.geo_radius = Some(GeoCircle {
                    center: *center,
                    radius: *radius,
                });
            }
            Condition::Area(GeoArea::Polygon {
                exterior,
                interiors,
            }) => {
                let ring = |points: &Vec<GeoPoint>| Ring {
                    points: points.clone(),
                };
                raw.geo_polygon = Some(GeoPolygon {
                    exterior: ring(exterior),
                    interiors: interiors.iter().map(ring).collect(),
                });
            }
            _ => {}
        }
        raw
    }
}

impl Match {
    fn condition(self) -> Condition {
        match self {
            Self::Value(value) => Condition::Equals(value),
            Self::Any(values) => Condition::AnyOf(values),
            Self::Except(values) => Condition::Except(values),
            Self::Text(text) => Condition::Words(Wording::All, text),
            Self::TextAny(text) => Condition::Words(Wording::Any, text),
            Self::Phrase(text) => Condition::Words(Wording::Phrase, text),
            Self::Prefix(text) => Condition::Prefix(text),
            Self::Contains(text) => Condition::Contains(text),
        }
    }
}

impl<T: Clone> Range<T> {
    fn new(low: &Bound<T>, high: &Bound<T>) -> Self {
        let (gt, gte) = match low {
            Bound::Unbounded => (None, None),
            Bound::Excluded(low) => (Some(low.clone()), None),
            Bound::Included(low) => (None, Some(low.clone())),
        };
        let (lt, lte) = match high {
            Bound::Unbounded => (None, None),
            Bound::Excluded(high) => (Some(high.clone()), None),
            Bound::Included(high) => (None, Some(high.clone())),
        };
        Self { gt, gte, lt, lte }
    }

    fn bounds(self) -> Result<(Bound<T>, Bound<T>), String> {
        let bound = |without, with, what| match (without, with) {
            (None, None) => Ok(Bound::Unbounded),
            (Some(value), None) => Ok(Bound::Excluded(value)),
            (None, Some(value)) => Ok(Bound::Included(value)),
            (Some(_), Some(_)) => Err(format!("a range has both {what}; expected one of them")),
        };
        Ok((
            bound(self.gt, self.gte, "gt and gte")?,
            bound(self.lt, self.lte, "lt and lte")?,
        ))
    }
}

impl Range<Value> {
    fn within(self) -> Result<Condition, String> {
        let (low, high) = self.bounds()?;
        Ok(Condition::Within(low, high))
    }
}

impl Serialize for Many {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Many {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Many;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of conditions, or one")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Many, A::Error> {
                let mut filters = Vec::new();
                while let Some(filter) = seq.next_element()? {
                    filters.push(filter);
                }
                Ok(Many(filters))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Many, A::Error> {
                let filter = Filter::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Many(vec![filter]))
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}
