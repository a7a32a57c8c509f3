//! What a database is meant to be: maps, and loops over them.
//!
//! It follows the documentation of the engine's operations, refusals included, and shares no code
//! with it.

use super::{
    brute,
    step::{Answer, Contents, Expected, FEEDS, NAMES, Ranked, Ranking, Step, Write},
};
use amphora::{ErrorKind, Field, Filter, Metric, Point, PointId, Query, Schema};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};

/// Handles of deleted collections that are kept.
pub(crate) const STALE: usize = 3;

#[derive(Default)]
pub(crate) struct Model {
    collections: BTreeMap<&'static str, Collection>,
    /// What the open feeds have yet to yield.
    feeds: [VecDeque<Point>; FEEDS],
    stale: usize,
}

/// A collection; its points in the order in which they were last written.
pub(crate) struct Collection {
    pub(crate) schema: Schema,
    pub(crate) places: BTreeMap<PointId, u64>,
    points: BTreeMap<u64, (Point, Value)>,
    written: u64,
}

impl Model {
    pub(crate) fn collection(&self, name: usize) -> Option<&Collection> {
        self.collections.get(NAMES[name])
    }

    /// Does what a step does, and says what it must be answered.
    pub(crate) fn step(&mut self, step: &Step) -> Expected {
        let exactly = Expected::Exactly;
        match step {
            Step::Create(name, schema) => {
                if self.collection(*name).is_some() {
                    return Expected::Refused(ErrorKind::AlreadyExists);
                }
                let collection = Collection::new(schema.clone());
                self.collections.insert(NAMES[*name], collection);
                exactly(Answer::Done)
            }
            Step::Remove(name) => match self.collections.remove(NAMES[*name]) {
                Some(_) => {
                    self.stale = (self.stale + 1).min(STALE);
                    exactly(Answer::Done)
                }
                None => Expected::Refused(ErrorKind::NotFound),
            },
            Step::Write(write) => self.write(write),
            Step::Together(writes) => {
                Expected::Together(writes.iter().map(|write| self.write(write)).collect())
            }
            Step::Get(name, id) => self.read(*name, |c| Answer::Point(c.get(id))),
            Step::GetMany(name, ids) => self.read(*name, |c| {
                if ids.is_empty() {
                    return Answer::Refused(ErrorKind::InvalidInput, String::new());
                }
                Answer::Maybe(ids.iter().map(|id| c.get(id)).collect())
            }),
            Step::Count(name) => self.read(*name, |c| Answer::Count(c.points.len() as u64)),
            Step::CountMatching(name, filter) => self.read(*name, |c| {
                Answer::Count(c.matching(Some(filter)).count() as u64)
            }),
            Step::Scroll(name) => self.read(*name, |c| Answer::Points(c.list(None))),
            Step::ScrollMatching(name, filter) => {
                self.read(*name, |c| Answer::Points(c.list(Some(filter))))
            }
            Step::Search(name, query) => match self.collection(*name) {
                Some(collection) => collection.search(query),
                None => Expected::Refused(ErrorKind::NotFound),
            },
            Step::List => {
                let names = self.collections.keys().map(|name| (*name).to_owned());
                exactly(Answer::Names(names.collect()))
            }
            Step::OpenFeed(slot, name, filter) => {
                let Some(collection) = self.collections.get(NAMES[*name]) else {
                    return Expected::Refused(ErrorKind::NotFound);
                };
                self.feeds[*slot] = collection.list(filter.as_ref()).into();
                exactly(Answer::Points(self.read_feed(*slot, 1)))
            }
            Step::ReadFeed(slot, count) => exactly(Answer::Points(self.read_feed(*slot, *count))),
            Step::Stale(_) if self.stale > 0 => Expected::Refused(ErrorKind::NotFound),
            Step::Stale(_) | Step::Optimize => exactly(Answer::Done),
            Step::Reopen(_) => {
                self.stale = 0;
                self.feeds = Default::default();
                exactly(Answer::Done)
            }
            Step::Everything => exactly(Answer::Contents(self.contents())),
        }
    }

    fn contents(&self) -> Contents {
        let all = self.collections.iter();
        all.map(|(name, c)| ((*name).to_owned(), (c.schema.clone(), c.list(None))))
            .collect()
    }

    fn read_feed(&mut self, slot: usize, count: usize) -> Vec<Point> {
        let feed = &mut self.feeds[slot];
        feed.drain(..count.min(feed.len())).collect()
    }

    fn read(&self, name: usize, read: impl FnOnce(&Collection) -> Answer) -> Expected {
        match self.collection(name).map(read) {
            Some(Answer::Refused(kind, _)) => Expected::Refused(kind),
            Some(answer) => Expected::Exactly(answer),
            None => Expected::Refused(ErrorKind::NotFound),
        }
    }

    fn write(&mut self, write: &Write) -> Expected {
        let (Write::Upsert(name, _) | Write::Delete(name, _)) = write;
        let Some(collection) = self.collections.get_mut(NAMES[*name]) else {
            return Expected::Refused(ErrorKind::NotFound);
        };
        match write {
            Write::Upsert(_, points) => {
                if points.is_empty() || !points.iter().all(|point| collection.fits(point)) {
                    return Expected::Refused(ErrorKind::InvalidInput);
                }
                points.iter().for_each(|point| collection.put(point));
                Expected::Exactly(Answer::Done)
            }
            Write::Delete(_, ids) => {
                if ids.is_empty() {
                    return Expected::Refused(ErrorKind::InvalidInput);
                }
                let gone = ids.iter().filter(|id| collection.take(id)).count();
                Expected::Exactly(Answer::Deleted(gone as u64))
            }
        }
    }
}

impl Collection {
    fn new(schema: Schema) -> Self {
        Self {
            schema,
            places: BTreeMap::new(),
            points: BTreeMap::new(),
            written: 0,
        }
    }

    fn put(&mut self, point: &Point) {
        self.take(&point.id);
        let mut point = point.clone();
        point.vectors.sort_by(|a, b| a.0.cmp(&b.0));
        let payload = point.payload.to_value();
        self.written += 1;
        self.places.insert(point.id.clone(), self.written);
        self.points.insert(self.written, (point, payload));
    }

    /// Whether it was there.
    fn take(&mut self, id: &PointId) -> bool {
        let place = self.places.remove(id);
        place.is_some_and(|place| self.points.remove(&place).is_some())
    }

    fn get(&self, id: &PointId) -> Option<Point> {
        let (point, _) = self.points.get(self.places.get(id)?)?;
        Some(point.clone())
    }

    fn matching(&self, filter: Option<&Filter>) -> impl Iterator<Item = &Point> {
        self.points
            .values()
            .filter(move |(_, payload)| filter.is_none_or(|filter| brute::holds(filter, payload)))
            .map(|(point, _)| point)
    }

    fn list(&self, filter: Option<&Filter>) -> Vec<Point> {
        self.matching(filter).cloned().collect()
    }

    /// Whether a point may be written here.
    fn fits(&self, point: &Point) -> bool {
        let mut names: Vec<&str> = point.vectors.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        names.dedup();
        names.len() == point.vectors.len()
            && point.vectors.iter().all(|(name, values)| {
                self.schema.vectors.get(name).is_some_and(|vector| {
                    vector.dimensions as usize == values.len()
                        && (vector.metric != Metric::Cosine || values.iter().any(|x| *x != 0.0))
                })
            })
            && self.schema.fields.iter().all(|(name, field)| {
                let value = point.payload.get(name).unwrap_or(&Value::Null);
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

    fn search(&self, query: &Query) -> Expected {
        let Some(vector) = self.schema.vectors.get(&query.vector) else {
            return Expected::Refused(ErrorKind::InvalidInput);
        };
        let zero = query.values.iter().all(|x| *x == 0.0);
        if query.values.len() != vector.dimensions as usize
            || vector.metric == Metric::Cosine && zero
            || !(1..=10_000).contains(&query.limit)
        {
            return Expected::Refused(ErrorKind::InvalidInput);
        }
        let matching = self.matching(query.filter.as_ref());
        let mut all: Vec<Ranked> = matching
            .filter_map(|point| {
                let (_, values) = point
                    .vectors
                    .iter()
                    .find(|(name, _)| *name == query.vector)?;
                let (score, tolerance) = brute::score(vector.metric, &query.values, values);
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
            limit: query.limit,
            with_payload: query.with_payload,
            with_vectors: query.with_vectors,
        })
    }
}
