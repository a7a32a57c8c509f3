//! What a database is meant to be: maps, and loops over them.
//!
//! It follows the documentation of the engine's operations, refusals included, and shares no code
//! with it.

use super::{
    collection::Collection,
    edit::Change,
    step::{Answer, Contents, Expected, FEEDS, NAMES, START, Step, Write},
};
use amphora::{ErrorKind, Point, PointId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Handles of deleted collections that are kept.
pub(crate) const STALE: usize = 3;

pub(crate) struct Model {
    now: Moment,
    /// The oldest first.
    snapshots: Vec<(&'static str, Moment)>,
    /// What the open feeds have yet to yield.
    feeds: [VecDeque<Point>; FEEDS],
    stale: usize,
    /// How many collections were created.
    created: u64,
    /// In seconds.
    pub(crate) clock: u64,
}

/// What a snapshot keeps.
#[derive(Clone, Default)]
struct Moment {
    collections: BTreeMap<&'static str, Collection>,
    /// The number of the collection that is meant.
    aliases: BTreeMap<&'static str, u64>,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            now: Moment::default(),
            snapshots: Vec::new(),
            feeds: Default::default(),
            stale: 0,
            created: 0,
            clock: START,
        }
    }
}

impl Model {
    /// The collection of this name or alias.
    pub(crate) fn collection(&self, name: usize) -> Option<&Collection> {
        self.now.collections.get(self.now.meant(name)?)
    }

    /// Does what a step does, and says what it must be answered.
    pub(crate) fn step(&mut self, step: &Step) -> Expected {
        let exactly = Expected::Exactly;
        match step {
            Step::Create(..)
            | Step::Remove(_)
            | Step::Rename(..)
            | Step::Alias(..)
            | Step::Unalias(_)
            | Step::Alter(..)
            | Step::Snapshot(_)
            | Step::Forget(_)
            | Step::Restore(_) => match self.arrange(step) {
                Ok(()) => exactly(Answer::Done),
                Err(kind) => Expected::Refused(kind),
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
            Step::Count(name) => self.read(*name, |c| Answer::Count(c.count())),
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
                let names = self.now.collections.keys().map(|name| (*name).to_owned());
                exactly(Answer::Names(names.collect()))
            }
            Step::Aliases => exactly(Answer::Names(self.aliases())),
            Step::Snapshots => {
                let names = self.snapshots.iter().map(|(name, _)| (*name).to_owned());
                exactly(Answer::Names(names.collect()))
            }
            Step::Advance(seconds) => {
                self.clock += seconds;
                self.expire();
                exactly(Answer::Done)
            }
            Step::OpenFeed(slot, name, filter) => {
                let Some(collection) = self.collection(*name) else {
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
        let all = self.now.collections.iter();
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

    fn aliases(&self) -> Vec<String> {
        let aliases = self.now.aliases.iter().filter_map(|(alias, number)| {
            let name = self.now.name_of(*number)?;
            Some(format!("{alias} -> {name}"))
        });
        aliases.collect()
    }

    fn write(&mut self, write: &Write) -> Expected {
        let answer = match write {
            Write::Upsert(name, points) => self.upsert(*name, points),
            Write::Delete(name, ids) => self.delete(*name, ids),
            Write::Edit(name, change) => self.edit(&[(*name, change)]),
            Write::Batch(edits) => {
                let edits: Vec<_> = edits.iter().map(|(name, change)| (*name, change)).collect();
                self.edit(&edits)
            }
        };
        self.expire();
        answer.map_or_else(Expected::Refused, Expected::Exactly)
    }

    fn upsert(&mut self, name: usize, points: &[Point]) -> Result<Answer, ErrorKind> {
        let collection = self.now.found(name)?;
        if points.is_empty() || !points.iter().all(|point| collection.fits(point)) {
            return Err(ErrorKind::InvalidInput);
        }
        points.iter().for_each(|point| collection.put(point));
        Ok(Answer::Done)
    }

    fn delete(&mut self, name: usize, ids: &[PointId]) -> Result<Answer, ErrorKind> {
        let collection = self.now.found(name)?;
        if ids.is_empty() {
            return Err(ErrorKind::InvalidInput);
        }
        let gone = ids.iter().filter(|id| collection.take(id)).count();
        Ok(Answer::Count(gone as u64))
    }

    /// All edits, or none.
    fn edit(&mut self, edits: &[(usize, &Change)]) -> Result<Answer, ErrorKind> {
        for (name, _) in edits {
            self.now.found(*name)?;
        }
        for (name, change) in edits {
            if !self.now.found(*name)?.allows(change) {
                return Err(ErrorKind::InvalidInput);
            }
        }
        let mut touched: BTreeMap<u64, BTreeSet<PointId>> = BTreeMap::new();
        let mut count = 0;
        for (name, change) in edits {
            let collection = self.now.found(*name)?;
            let touched = touched.entry(collection.number).or_default();
            count += collection.edit(change, touched);
        }
        for collection in self.now.collections.values_mut() {
            collection.settle(touched.remove(&collection.number).unwrap_or_default());
        }
        Ok(Answer::Count(count))
    }

    fn expire(&mut self) {
        let collections = self.now.collections.values_mut();
        collections.for_each(|collection| collection.expire(self.clock));
    }

    /// What is about collections and snapshots rather than points.
    fn arrange(&mut self, step: &Step) -> Result<(), ErrorKind> {
        let now = &mut self.now;
        match step {
            Step::Create(name, schema) => {
                now.check_unused(*name)?;
                self.created += 1;
                let collection = Collection::new(self.created, schema.clone());
                now.collections.insert(NAMES[*name], collection);
            }
            Step::Remove(name) => {
                now.remove(*name)?;
                self.stale = (self.stale + 1).min(STALE);
            }
            Step::Rename(from, to) => {
                let number = now.found(*from)?.number;
                now.check_unused(*to)?;
                let from = now.name_of(number).ok_or(ErrorKind::NotFound)?;
                let renamed = now.collections.remove(from);
                now.collections.extend(renamed.map(|c| (NAMES[*to], c)));
            }
            Step::Alias(alias, name) => {
                let number = now.found(*name)?.number;
                if now.collections.contains_key(NAMES[*alias]) {
                    return Err(ErrorKind::AlreadyExists);
                }
                now.aliases.insert(NAMES[*alias], number);
            }
            Step::Unalias(alias) => {
                let was = now.aliases.remove(NAMES[*alias]);
                was.ok_or(ErrorKind::NotFound)?;
            }
            Step::Alter(name, alteration) => now.found(*name)?.alter(alteration)?,
            Step::Snapshot(name) => {
                if self.snapshot(name).is_some() {
                    return Err(ErrorKind::AlreadyExists);
                }
                self.snapshots.push((name, self.now.clone()));
            }
            Step::Forget(name) => {
                self.snapshot(name).ok_or(ErrorKind::NotFound)?;
                self.snapshots.retain(|(known, _)| known != name);
            }
            Step::Restore(name) => {
                self.now = self.snapshot(name).ok_or(ErrorKind::NotFound)?.clone();
                self.expire();
            }
            other => panic!("{other:?} is about points"),
        }
        Ok(())
    }

    fn snapshot(&self, name: &str) -> Option<&Moment> {
        let mut all = self.snapshots.iter();
        all.find_map(|(known, moment)| (*known == name).then_some(moment))
    }
}

impl Moment {
    /// The collection of this name or alias.
    fn found(&mut self, name: usize) -> Result<&mut Collection, ErrorKind> {
        let name = self.meant(name).ok_or(ErrorKind::NotFound)?;
        self.collections.get_mut(name).ok_or(ErrorKind::NotFound)
    }

    fn meant(&self, name: usize) -> Option<&'static str> {
        match self.aliases.get(NAMES[name]) {
            Some(number) => self.name_of(*number),
            None => Some(NAMES[name]),
        }
    }

    fn name_of(&self, number: u64) -> Option<&'static str> {
        let mut all = self.collections.iter();
        all.find_map(|(name, collection)| (collection.number == number).then_some(*name))
    }

    fn check_unused(&self, name: usize) -> Result<(), ErrorKind> {
        let name = NAMES[name];
        match self.collections.contains_key(name) || self.aliases.contains_key(name) {
            true => Err(ErrorKind::AlreadyExists),
            false => Ok(()),
        }
    }

    /// A collection goes with its aliases.
    fn remove(&mut self, name: usize) -> Result<(), ErrorKind> {
        let number = self.found(name)?.number;
        let name = self.name_of(number).ok_or(ErrorKind::NotFound)?;
        self.collections.remove(name);
        self.aliases.retain(|_, known| *known != number);
        Ok(())
    }
}
