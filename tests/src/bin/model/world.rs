//! Steps done by the engine, on a directory in memory.

use super::{
    model::STALE,
    step::{Answer, FEEDS, NAMES, Step, Way, Write},
};
use amphora::{Collection, Database, Error, IntoIter, Op, Point, Query, Result, vfs::MemoryVfs};
use amphora_tests::opening::{self, Memory};
use futures::{executor::block_on, future::join_all};

pub(crate) struct World {
    memory: Memory,
    vfs: MemoryVfs,
    /// `None` when it could not be opened again.
    db: Option<Database>,
    feeds: [Option<IntoIter<Point>>; FEEDS],
    /// Of deleted collections.
    stale: Vec<Collection>,
}

impl World {
    pub(crate) fn new(memory: Memory) -> Self {
        let vfs = MemoryVfs::new();
        let db = opening::open(vfs.clone(), memory).expect("a new database");
        Self {
            memory,
            vfs,
            db: Some(db),
            feeds: Default::default(),
            stale: Vec::new(),
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

/// A write, as an operation whose first poll puts it into the queue.
fn start(db: &Database, write: &Write) -> Started {
    let (Write::Upsert(name, _) | Write::Delete(name, _)) = write;
    match (db.collection(NAMES[*name]).wait(), write) {
        (Err(error), _) => Started::Refused(Some(error)),
        (Ok(found), Write::Upsert(_, points)) => Started::Upsert(found.upsert(points.clone())),
        (Ok(found), Write::Delete(_, ids)) => Started::Delete(found.delete(ids)),
    }
}

enum Started {
    Refused(Option<Error>),
    Upsert(Op<()>),
    Delete(Op<u64>),
}

impl Started {
    fn wait(self) -> Result<Answer> {
        match self {
            Self::Refused(error) => error.map_or(Ok(Answer::Done), Err),
            Self::Upsert(op) => op.wait().map(|()| Answer::Done),
            Self::Delete(op) => op.wait().map(Answer::Deleted),
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
            Self::Delete(op) => std::pin::Pin::new(op).poll(context).map_ok(Answer::Deleted),
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
        4 => drop(handle.scroll().into_iter().collect::<Result<Vec<_>>>()?),
        _ => {
            let Some((name, vector)) = handle.schema().vectors.pop_first() else {
                return use_stale(handle, 0);
            };
            let values = vec![1.0; vector.dimensions as usize];
            drop(handle.search(Query::nearest(name, values)).wait()?);
        }
    }
    Ok(Answer::Done)
}
