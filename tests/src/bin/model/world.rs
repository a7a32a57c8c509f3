//! Steps done by the engine, on a directory in memory.

use super::{
    edit::at,
    model::STALE,
    step::{Alteration, Answer, FEEDS, NAMES, START, Step, Way, Write},
};
use amphora::{
    Batch, Collection, Database, Edit, Error, IntoIter, Op, Point, Query, Result, vfs::MemoryVfs,
};
use amphora_tests::opening::{self, Memory};
use futures::{executor::block_on, future::join_all};
use serde_json::json;

pub(crate) struct World {
    memory: Memory,
    vfs: MemoryVfs,
    /// `None` when it could not be opened again.
    db: Option<Database>,
    feeds: [Option<IntoIter<Point>>; FEEDS],
    /// Of deleted collections.
    stale: Vec<Collection>,
    /// In seconds.
    clock: u64,
}

impl World {
    pub(crate) fn new(memory: Memory) -> Self {
        let vfs = MemoryVfs::new();
        vfs.set_now(at(START));
        let db = opening::open(vfs.clone(), memory).expect("a new database");
        Self {
            memory,
            vfs,
            db: Some(db),
            feeds: Default::default(),
            stale: Vec::new(),
            clock: START,
        }
    }

    pub(crate) fn step(&mut self, step: &Step) -> Answer {
        self.done(step)
            .unwrap_or_else(|error| Answer::Refused(error.kind(), error.to_string()))
    }

    fn done(&mut self, step: &Step) -> Result<Answer> {
        let Some(db) = self.db.clone() else {
            panic!("the database could not be opened");
        };
        let find = |name: &usize| db.collection(NAMES[*name]).wait();
        Ok(match step {
            Step::Create(name, schema) => {
                let created = db.create_collection(NAMES[*name], schema.clone());
                let created = created.wait()?;
                assert_eq!(
                    (created.name().as_str(), &created.schema()),
                    (NAMES[*name], schema),
                    "what was created"
                );
                Answer::Done
            }
            Step::Remove(name) => {
                let handle = find(name);
                db.delete_collection(NAMES[*name]).wait()?;
                self.stale.extend(handle);
                self.stale.truncate(STALE);
                Answer::Done
            }
            Step::Rename(from, to) => done(db.rename_collection(NAMES[*from], NAMES[*to]))?,
            Step::Alias(alias, name) => done(db.set_alias(NAMES[*alias], NAMES[*name]))?,
            Step::Unalias(alias) => done(db.delete_alias(NAMES[*alias]))?,
            Step::Alter(name, alteration) => done(alter(&find(name)?, alteration))?,
            Step::Snapshot(name) => {
                assert_eq!(db.create_snapshot(*name).wait()?.name, *name);
                Answer::Done
            }
            Step::Forget(name) => done(db.delete_snapshot(*name))?,
            Step::Restore(name) => done(db.restore_snapshot(*name))?,
            Step::Advance(seconds) => {
                self.clock += seconds;
                self.vfs.set_now(at(self.clock));
                Answer::Done
            }
            Step::Write(write) => start(&db, write).wait()?,
            Step::Together(writes) => {
                let under_way = writes.iter().map(|write| start(&db, write));
                let answers = block_on(join_all(under_way.collect::<Vec<_>>()));
                let answers = answers.into_iter().map(|answer| {
                    answer.unwrap_or_else(|error| Answer::Refused(error.kind(), error.to_string()))
                });
                Answer::Together(answers.collect())
            }
            Step::Get(name, id) => Answer::Point(find(name)?.get(id).wait()?),
            Step::GetMany(name, ids) => Answer::Maybe(find(name)?.get_many(ids).wait()?),
            Step::Count(name) => Answer::Count(find(name)?.count().wait()?),
            Step::CountMatching(name, filter) => {
                Answer::Count(find(name)?.count_matching(filter.clone()).wait()?)
            }
            Step::Scroll(name) => points(find(name)?.scroll())?,
            Step::ScrollMatching(name, filter) => {
                points(find(name)?.scroll_matching(filter.clone()))?
            }
            Step::Search(name, query) => Answer::Hits(find(name)?.search(query.clone()).wait()?),
            Step::List => Answer::Names(db.collections().wait()?),
            Step::Aliases => {
                let aliases = db.aliases().wait()?.into_iter();
                Answer::Names(aliases.map(|(a, name)| format!("{a} -> {name}")).collect())
            }
            Step::Snapshots => {
                let snapshots = db.snapshots().wait()?.into_iter();
                Answer::Names(snapshots.map(|snapshot| snapshot.name).collect())
            }
            Step::OpenFeed(slot, name, filter) => {
                let collection = find(name)?;
                let feed = match filter {
                    Some(filter) => collection.scroll_matching(filter.clone()),
                    None => collection.scroll(),
                };
                self.feeds[*slot] = Some(feed.into_iter());
                self.read_feed(*slot, 1)?
            }
            Step::ReadFeed(slot, count) => self.read_feed(*slot, *count)?,
            Step::Stale(way) => match self.stale.get(way % STALE) {
                Some(handle) => use_stale(handle, way / STALE)?,
                None => match self.stale.first() {
                    Some(handle) => use_stale(handle, way / STALE)?,
                    None => Answer::Done,
                },
            },
            Step::Optimize => {
                opening::optimize(&db)?;
                Answer::Done
            }
            Step::Reopen(way) => {
                drop(db);
                self.reopen(*way)?
            }
            Step::Everything => {
                let names = db.collections().wait()?;
                let contents = names.into_iter().map(|name| {
                    let collection = db.collection(&name).wait()?;
                    let points: Vec<Point> =
                        collection.scroll().into_iter().collect::<Result<_>>()?;
                    assert_eq!(collection.count().wait()?, points.len() as u64, "{name}");
                    Ok((name, (collection.schema(), points)))
                });
                Answer::Contents(contents.collect::<Result<_>>()?)
            }
        })
    }

    fn read_feed(&mut self, slot: usize, count: usize) -> Result<Answer> {
        let read = self.feeds[slot].iter_mut().flatten().take(count);
        Ok(Answer::Points(read.collect::<Result<_>>()?))
    }

    fn reopen(&mut self, way: Way) -> Result<Answer> {
        self.feeds = Default::default();
        self.stale.clear();
        let db = self.db.take();
        match (way, db) {
            (Way::Close, Some(db)) => db.close().wait()?,
            (Way::Crash, db) => {
                self.vfs = self.vfs.fork();
                self.vfs.set_now(at(self.clock));
                drop(db);
            }
            (_, db) => drop(db),
        }
        self.db = Some(opening::open(self.vfs.clone(), self.memory)?);
        Ok(Answer::Done)
    }
}

fn points(feed: impl IntoIterator<Item = Result<Point>>) -> Result<Answer> {
    Ok(Answer::Points(feed.into_iter().collect::<Result<_>>()?))
}

fn done(op: Op<()>) -> Result<Answer> {
    op.wait().map(|()| Answer::Done)
}

fn alter(collection: &Collection, alteration: &Alteration) -> Op<()> {
    match alteration {
        Alteration::AddVector(name, vector) => collection.add_vector(name, vector.clone()),
        Alteration::DropVector(name) => collection.drop_vector(name),
        Alteration::AddField(name, field) => collection.add_field(name, *field),
        Alteration::DropField(name) => collection.drop_field(name),
        Alteration::AddText(name, text) => collection.add_text(name, text.clone()),
        Alteration::DropText(name) => collection.drop_text(name),
    }
}

/// A write, as an operation whose first poll puts it into the queue.
fn start(db: &Database, write: &Write) -> Started {
    started(db, write).unwrap_or_else(|error| Started::Refused(Some(error)))
}

fn started(db: &Database, write: &Write) -> Result<Started> {
    let find = |name: &usize| db.collection(NAMES[*name]).wait();
    Ok(match write {
        Write::Upsert(name, points) => Started::Upsert(find(name)?.upsert(points.clone())),
        Write::Delete(name, ids) => Started::Counting(find(name)?.delete(ids)),
        Write::Edit(name, change) => Started::Counting(find(name)?.apply(change.edit())),
        Write::Batch(edits) => {
            let mut batch = Batch::new();
            for (name, change) in edits {
                batch = batch.edit(&find(name)?, change.edit());
            }
            Started::Counting(db.write(batch))
        }
    })
}

enum Started {
    Refused(Option<Error>),
    Upsert(Op<()>),
    Counting(Op<u64>),
}

impl Started {
    fn wait(self) -> Result<Answer> {
        match self {
            Self::Refused(error) => error.map_or(Ok(Answer::Done), Err),
            Self::Upsert(op) => done(op),
            Self::Counting(op) => op.wait().map(Answer::Count),
        }
    }
}

impl Future for Started {
    type Output = Result<Answer>;

    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        match &mut *self {
            Self::Refused(error) => {
                std::task::Poll::Ready(error.take().map_or(Ok(Answer::Done), Err))
            }
            Self::Upsert(op) => std::pin::Pin::new(op)
                .poll(context)
                .map_ok(|()| Answer::Done),
            Self::Counting(op) => std::pin::Pin::new(op).poll(context).map_ok(Answer::Count),
        }
    }
}

/// A collection that was deleted stays so, whatever has its name now.
fn use_stale(handle: &Collection, way: usize) -> Result<Answer> {
    match way {
        0 => handle.get(1).wait().map(drop)?,
        1 => handle.upsert([Point::new("late")]).wait()?,
        2 => handle.delete(["late"]).wait().map(drop)?,
        3 => handle.count().wait().map(drop)?,
        4 => drop(
            handle
                .apply(Edit::set_payload([1], json!({ "late": true })))
                .wait()?,
        ),
        5 => handle.drop_field("late").wait()?,
        6 => drop(handle.scroll().into_iter().collect::<Result<Vec<_>>>()?),
        _ => {
            let Some((name, vector)) = handle.schema().vectors.pop_first() else {
                return use_stale(handle, 0);
            };
            let values = vec![1.0; vector.dimensions as usize];
            let query = match vector.multi {
                true => Query::nearest_multi(name, [values]),
                false => Query::nearest(name, values),
            };
            drop(handle.search(query).wait()?);
        }
    }
    Ok(Answer::Done)
}
