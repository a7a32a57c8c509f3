//! One collection of the model: what edits do to its points, and what it may be asked.

use super::{
    edit::{Change, How, Selected, When, at},
    step::{Alteration, Expected, Ranked, Ranking},
    words,
};
use amphora::{
    Effort, ErrorKind, Example, Field, Filter, Metric, Payload, Point, PointId, Projection, Query,
    QueryKind, Schema, Text, TextQuery, Vector,
};
use amphora_tests::{
    brute::{self, Asked},
    nearest,
    stored::stored,
};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A collection; its points in the order in which they were last written.
#[derive(Clone)]
pub(crate) struct Collection {
    /// What aliases know it by, whatever its name.
    pub(crate) number: u64,
    pub(crate) schema: Schema,
    pub(crate) places: BTreeMap<PointId, u64>,
    points: BTreeMap<u64, (Point, Value)>,
    written: u64,
}

impl Collection {
    pub(crate) fn new(number: u64, schema: Schema) -> Self {
        Self {
            number,
            schema,
            places: BTreeMap::new(),
            points: BTreeMap::new(),
            written: 0,
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.points.len() as u64
    }

    pub(crate) fn put(&mut self, point: &Point) {
        self.take(&point.id);
        let mut point = point.clone();
        for (name, values) in &mut point.vectors {
            let kept = stored(&self.schema.vectors[name], values);
            *values = kept.expect("it fits");
        }
        for (name, list) in &mut point.multi_vectors {
            let vector = &self.schema.vectors[name];
            let kept = list.iter().map(|values| stored(vector, values));
            *list = kept.collect::<Option<_>>().expect("it fits");
        }
        point.vectors.sort_by(|a, b| a.0.cmp(&b.0));
        point.multi_vectors.sort_by(|a, b| a.0.cmp(&b.0));
        let payload = point.payload.to_value();
        self.written += 1;
        self.places.insert(point.id.clone(), self.written);
        self.points.insert(self.written, (point, payload));
    }

    /// Whether it was there.
    pub(crate) fn take(&mut self, id: &PointId) -> bool {
        let place = self.places.remove(id);
        place.is_some_and(|place| self.points.remove(&place).is_some())
    }

    /// Lets the points end whose time has come.
    pub(crate) fn expire(&mut self, now: u64) {
        let ended = |(point, _): &&(Point, Value)| point.expires_at.is_some_and(|t| t <= at(now));
        let ended = self.points.values().filter(ended);
        let ids: Vec<PointId> = ended.map(|(point, _)| point.id.clone()).collect();
        for id in ids {
            self.take(&id);
        }
    }

    pub(crate) fn get(&self, id: &PointId) -> Option<Point> {
        let (point, _) = self.points.get(self.places.get(id)?)?;
        Some(point.clone())
    }

    pub(crate) fn matching(&self, filter: Option<&Filter>) -> impl Iterator<Item = &Point> {
        self.points
            .values()
            .filter(move |(point, payload)| {
                filter.is_none_or(|filter| passes(filter, point, payload))
            })
            .map(|(point, _)| point)
    }

    pub(crate) fn list(&self, filter: Option<&Filter>) -> Vec<Point> {
        self.matching(filter).cloned().collect()
    }
}

impl Collection {
    /// Whether an edit is one that may be asked for.
    pub(crate) fn allows(&self, change: &Change) -> bool {
        let bare = |point: &Point| point.payload.is_empty() && point.expires_at.is_none();
        match change {
            Change::Put(_, points) => {
                !points.is_empty() && points.iter().all(|point| self.fits(point))
            }
            Change::SetVectors(points) => {
                !points.is_empty() && points.iter().all(|p| bare(p) && self.fits(p))
            }
            Change::Alter(selected, how) => {
                let some = !matches!(selected, Selected::Ids(ids) if ids.is_empty());
                some && match how {
                    How::SetPayload(payload) | How::OverwritePayload(payload) => {
                        self.fits_payload(&Payload::from(payload.clone()))
                    }
                    How::DeleteVectors(names) => names
                        .iter()
                        .all(|name| self.schema.vectors.contains_key(name)),
                    How::Delete | How::DeleteKeys(_) | How::ClearPayload | How::Expire(_) => true,
                }
            }
        }
    }

    /// Carries out an edit, and says how many points it wrote or deleted; their ids go to `touched`.
    pub(crate) fn edit(&mut self, change: &Change, touched: &mut BTreeSet<PointId>) -> u64 {
        match change {
            Change::Put(when, points) => {
                let mut write = |point: &&Point| {
                    let wanted = self.is_wanted(&point.id, when);
                    if wanted {
                        self.put(point);
                        touched.insert(point.id.clone());
                    }
                    wanted
                };
                points.iter().filter(|point| write(point)).count() as u64
            }
            Change::SetVectors(points) => {
                let given = points.iter().map(|given| (&given.id, given));
                self.each(given, touched, |point, given| {
                    for (name, values) in &given.vectors {
                        point.vectors.retain(|(known, _)| known != name);
                        point.vectors.push((name.clone(), values.clone()));
                    }
                    for (name, list) in &given.multi_vectors {
                        point.multi_vectors.retain(|(known, _)| known != name);
                        point.multi_vectors.push((name.clone(), list.clone()));
                    }
                })
            }
            Change::Alter(selected, how) => {
                let ids: Vec<PointId> = match selected {
                    Selected::Ids(ids) => ids.clone(),
                    Selected::Matching(filter) => {
                        let found = self.matching(Some(filter));
                        found.map(|point| point.id.clone()).collect()
                    }
                };
                if matches!(how, How::Delete) {
                    return ids.iter().filter(|id| self.take(id)).count() as u64;
                }
                let ids = ids.iter().map(|id| (id, how));
                self.each(ids, touched, alter)
            }
        }
    }

    fn each<'a, T>(
        &mut self,
        given: impl Iterator<Item = (&'a PointId, T)>,
        touched: &mut BTreeSet<PointId>,
        change: impl Fn(&mut Point, T),
    ) -> u64 {
        let mut count = 0;
        for (id, given) in given {
            if let Some(mut point) = self.get(id) {
                change(&mut point, given);
                self.put(&point);
                touched.insert(id.clone());
                count += 1;
            }
        }
        count
    }

    /// The points that edits wrote together come in the order of their ids.
    pub(crate) fn settle(&mut self, touched: BTreeSet<PointId>) {
        for id in touched {
            self.get(&id).iter().for_each(|point| self.put(point));
        }
    }

    fn is_wanted(&self, id: &PointId, when: &When) -> bool {
        let there = self.places.get(id).and_then(|place| self.points.get(place));
        match when {
            When::Always => true,
            When::Absent => there.is_none(),
            When::Present => there.is_some(),
            When::AbsentOr(filter) => there.is_none_or(|(point, p)| passes(filter, point, p)),
        }
    }

    /// Changes the schema, or says why not.
    pub(crate) fn alter(&mut self, alteration: &Alteration) -> Result<(), ErrorKind> {
        let Schema {
            vectors,
            fields,
            texts,
            ..
        } = &mut self.schema;
        let done = match alteration {
            Alteration::AddVector(name, vector) => {
                if vectors.contains_key(name) {
                    return Err(ErrorKind::AlreadyExists);
                }
                vectors.insert(name.clone(), vector.clone());
                true
            }
            Alteration::AddField(name, field) => {
                if fields.contains_key(name) {
                    return Err(ErrorKind::AlreadyExists);
                }
                fields.insert(name.clone(), *field);
                true
            }
            Alteration::DropVector(name) => {
                let points = self.points.values_mut();
                points.for_each(|(point, _)| {
                    point.vectors.retain(|(known, _)| known != name);
                    point.multi_vectors.retain(|(known, _)| known != name);
                });
                vectors.remove(name).is_some()
            }
            Alteration::DropField(name) => fields.remove(name).is_some(),
            Alteration::AddText(name, text) => {
                if texts.contains_key(name) {
                    return Err(ErrorKind::AlreadyExists);
                }
                texts.insert(name.clone(), text.clone());
                true
            }
            Alteration::DropText(name) => texts.remove(name).is_some(),
        };
        if done {
            Ok(())
        } else {
            Err(ErrorKind::InvalidInput)
        }
    }
}

fn alter(point: &mut Point, how: &How) {
    let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let mut payload: Map<String, Value> = object(&point.payload.to_value());
    match how {
        How::Delete => {}
        How::SetPayload(given) => payload.extend(object(given)),
        How::OverwritePayload(given) => payload = object(given),
        How::DeleteKeys(keys) => payload.retain(|key, _| !keys.contains(key)),
        How::DeleteVectors(names) => {
            point.vectors.retain(|(name, _)| !names.contains(name));
            let lists = &mut point.multi_vectors;
            lists.retain(|(name, _)| !names.contains(name));
        }
        How::ClearPayload => payload.clear(),
        How::Expire(second) => point.expires_at = second.map(at),
    }
    point.payload = payload.into();
}

impl Collection {
    /// Whether a point may be written here.
    pub(crate) fn fits(&self, point: &Point) -> bool {
        let lists = &point.multi_vectors;
        let names = point.vectors.iter().map(|(name, _)| name);
        let names: Vec<_> = names.chain(lists.iter().map(|(name, _)| name)).collect();
        names.iter().collect::<BTreeSet<_>>().len() == names.len()
            && lists.iter().all(|(name, list)| {
                let vector = self.schema.vectors.get(name);
                vector.is_some_and(|vector| {
                    vector.multi
                        && !list.is_empty()
                        && list.iter().all(|values| stored(vector, values).is_some())
                })
            })
            && point.vectors.iter().all(|(name, values)| {
                let vector = self.schema.vectors.get(name);
                vector.is_some_and(|vector| !vector.multi && stored(vector, values).is_some())
            })
            && self.fits_payload(&point.payload)
    }

    fn fits_payload(&self, payload: &Payload) -> bool {
        let whole = payload.to_value();
        let mut texts = self.schema.texts.keys();
        let has_texts = texts.all(|name| {
            let values = brute::values(&whole, name);
            values.into_iter().all(Value::is_string)
        });
        has_texts
            && self.schema.fields.iter().all(|(name, field)| {
                let value = payload.get(name).unwrap_or(&Value::Null);
                let items = value.as_array().map_or(std::slice::from_ref(value), |v| v);
                items.iter().all(|item| {
                    item.is_null()
                        || match field {
                            Field::Keyword => item.is_string(),
                            Field::Integer => item.is_i64() || item.is_u64(),
                            Field::Float => item.is_number(),
                            Field::Bool => item.is_boolean(),
                            other => panic!("the model does not know {other:?}"),
                        }
                })
            })
    }

    pub(crate) fn search(&self, query: &Query) -> Expected {
        let refused = Expected::Refused(ErrorKind::InvalidInput);
        if let QueryKind::Text {
            texts,
            query: asked,
        } = &query.kind
        {
            return self.search_words(query, texts, asked).unwrap_or(refused);
        }
        let (QueryKind::Nearest { vector: name, .. }
        | QueryKind::NearestMulti { vector: name, .. }) = &query.kind
        else {
            panic!("the model does not know {query:?}");
        };
        let Some(vector) = self.schema.vectors.get(name) else {
            return refused;
        };
        let is_wrong = |values: &Vec<f32>| {
            let zero = values.iter().all(|x| *x == 0.0);
            values.len() != vector.dimensions as usize || vector.metric == Metric::Cosine && zero
        };
        let all_right = match &query.kind {
            QueryKind::NearestMulti { values, .. } => {
                vector.multi && !values.is_empty() && !values.iter().any(is_wrong)
            }
            QueryKind::Nearest {
                example: Example::Vector(values),
                ..
            } => !vector.multi && !is_wrong(values),
            _ => false,
        };
        let limit = nearest::limit_of(query);
        if !all_right || !(1..=10_000).contains(&limit) {
            return refused;
        }
        let matching = self.matching(query.filter.as_ref());
        let mut all: Vec<Ranked> = matching
            .filter_map(|point| {
                let (score, tolerance) = score(vector, query, point)?;
                Some(Ranked {
                    score,
                    tolerance,
                    point: point.clone(),
                })
            })
            .collect();
        all.sort_by(|a, b| {
            let order = b.score.total_cmp(&a.score);
            order.then_with(|| a.point.id.cmp(&b.point.id))
        });
        Expected::Hits(Ranking {
            all,
            limit,
            is_exact: vector.multi || query.effort == Some(Effort::Exact),
            with_payload: query.with_payload == Projection::All,
            with_vectors: query.with_vectors == Projection::All,
        })
    }
}

impl Collection {
    /// What has the words, in whatever order: scores are compared where nothing is ever deleted.
    fn search_words(
        &self,
        query: &Query,
        named: &[(String, f32)],
        asked: &TextQuery,
    ) -> Option<Expected> {
        let declared = &self.schema.texts;
        let texts: Vec<(&str, &Text)> = match named {
            [] => declared
                .iter()
                .map(|(name, text)| (&**name, text))
                .collect(),
            named => {
                let found = named.iter().map(|(name, _)| declared.get_key_value(name));
                let found = found.map(|found| found.map(|(name, text)| (&**name, text)));
                found.collect::<Option<_>>()?
            }
        };
        let limit = nearest::limit_of(query);
        if !(1..=10_000).contains(&limit) || words::has(&Value::Null, &texts, asked).is_none() {
            return None;
        }
        let matching = self.matching(query.filter.as_ref());
        let has = |point: &&Point| words::has(&point.payload.to_value(), &texts, asked);
        let ranked = |point: &Point| Ranked {
            score: 0.0,
            tolerance: f64::INFINITY,
            point: point.clone(),
        };
        let matching = matching.filter(|point| has(point) == Some(true));
        Some(Expected::Hits(Ranking {
            all: matching.map(ranked).collect(),
            limit,
            is_exact: true,
            with_payload: query.with_payload == Projection::All,
            with_vectors: query.with_vectors == Projection::All,
        }))
    }
}

/// The score of a point that has the vector, and how far it may be off.
fn score(vector: &Vector, query: &Query, point: &Point) -> Option<(f64, f64)> {
    match &query.kind {
        QueryKind::NearestMulti {
            vector: name,
            values,
        } => {
            let mut lists = point.multi_vectors.iter();
            let (_, list) = lists.find(|(known, _)| known == name)?;
            Some(nearest::max_sim(vector.metric, values, list))
        }
        QueryKind::Nearest {
            vector: name,
            example: Example::Vector(values),
        } => {
            let mut vectors = point.vectors.iter();
            let (_, own) = vectors.find(|(known, _)| known == name)?;
            Some(nearest::score(vector.metric, values, own))
        }
        _ => None,
    }
}

fn passes(filter: &Filter, point: &Point, payload: &Value) -> bool {
    let vectors = point.vectors.iter().map(|(name, _)| name);
    let lists = point.multi_vectors.iter().map(|(name, _)| name);
    let sparse = point.sparse_vectors.iter().map(|(name, _)| name);
    let names: Vec<&str> = vectors
        .chain(lists)
        .chain(sparse)
        .map(String::as_str)
        .collect();
    let (id, vectors) = (&point.id, &names[..]);
    brute::passes(
        filter,
        Asked {
            id,
            vectors,
            payload,
        },
    )
}
