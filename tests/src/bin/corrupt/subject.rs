//! The database that is damaged: its files, what they must be read as, and how both were before.

use amphora::{
    Database, Datatype, Field, Hit, Hnsw, Metric, Point, PointId, Query, Result, Schema, TextQuery,
    Vector, field,
    vfs::{MemoryVfs, Vfs},
};
use amphora_tests::{
    nearest,
    opening::{self, Memory},
    random::Random,
    stored::stored,
    weights, words,
};
use serde_json::json;
use std::{collections::BTreeMap, fs, io, ops::Range, path::Path};

/// Files by name.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

pub(crate) struct Subject {
    pub(crate) files: Files,
    /// The files as they were after each write.
    pub(crate) versions: Vec<Files>,
    /// What the files must be read as.
    pub(crate) right: Seen,
}

/// All that can be read from a database.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Seen(BTreeMap<String, Collection>);

#[derive(Clone, Debug, PartialEq)]
struct Collection {
    schema: Schema,
    points: Vec<Point>,
    /// Each id, asked for by itself.
    found: Vec<Option<Point>>,
    count: u64,
    matching: u64,
    hits: Vec<Vec<Hit>>,
    /// What is found by words.
    texts: Vec<Vec<Hit>>,
    /// What is wrong with the hits of indexed searches; they may differ.
    problem: Option<String>,
}

impl Seen {
    pub(crate) fn read(db: &Database) -> Result<Self> {
        let mut seen = BTreeMap::new();
        for name in db.collections().wait()? {
            let collection = db.collection(&name).wait()?;
            let schema = collection.schema();
            let points: Vec<Point> = collection.scroll().into_iter().collect::<Result<_>>()?;
            let ids: Vec<&PointId> = points.iter().map(|point| &point.id).collect();
            let found = ids.iter().map(|id| collection.get(*id).wait());
            let hits = schema.vectors.iter().map(|(name, vector)| {
                let values = vec![0.5; vector.dimensions as usize];
                let query = match vector.multi {
                    true => Query::nearest_multi(name, [values]),
                    false => Query::nearest(name, values),
                };
                let query = query.limit(200).with_vectors(true);
                collection.search(query.exact()).wait()
            });
            let texts = schema.texts.keys().flat_map(|name| {
                let words = ["Chapter", "1 2 3"].map(TextQuery::from);
                let queries = words.into_iter().chain([TextQuery::phrase("Chapter 1")]);
                queries.map(move |query| Query::text(name, query).limit(200))
            });
            let texts = texts.map(|query| collection.search(query).wait());
            let texts = texts.collect::<Result<_>>()?;
            let points_read = points.iter().collect::<Vec<_>>();
            let problem = nearest::problem(&collection, &points_read)?
                .or(words::problem(&collection, &points_read)?)
                .or(weights::problem(&collection, &points_read)?);
            let seen_here = Collection {
                found: found.collect::<Result<_>>()?,
                count: collection.count().wait()?,
                matching: collection
                    .count_matching(field("year").above(1850))
                    .wait()?,
                hits: hits.collect::<Result<_>>()?,
                texts,
                problem,
                points,
                schema,
            };
            seen.insert(name, seen_here);
        }
        Ok(Self(seen))
    }

    /// Whether all ways of reading are of one mind, and say what the model says.
    fn is(&self, model: &BTreeMap<&str, BTreeMap<PointId, Point>>) -> bool {
        self.0.keys().eq(model.keys())
            && self.0.iter().all(|(name, seen)| {
                let mut points = seen.points.clone();
                points.sort_by(|a, b| a.id.cmp(&b.id));
                points.iter().eq(model[&**name].values())
                    && seen.found.iter().flatten().eq(&seen.points)
                    && seen.count == points.len() as u64
                    && seen.hits.iter().all(|hits| hits.len() == points.len())
                    && seen.problem.is_none()
            })
    }
}

/// A write of the script.
enum Write {
    Create(&'static str),
    Remove(&'static str),
    Upsert(&'static str, Range<u64>),
    Delete(&'static str, Range<u64>),
    /// The years as numbers of another type, of which segments have no column.
    Declare(&'static str),
    Optimize,
    Reopen,
}

/// How many points stand for each id of the script.
const EACH: u64 = 4;

/// Every kind of file that there is: what was merged, what was deleted since, and a log.
const SCRIPT: &[Write] = &[
    Write::Create("docs"),
    Write::Upsert("docs", 0..12),
    Write::Create("notes"),
    Write::Upsert("notes", 0..4),
    Write::Create("gone"),
    Write::Upsert("gone", 0..2),
    Write::Delete("docs", 2..4),
    Write::Optimize,
    Write::Upsert("docs", 8..14),
    Write::Reopen,
    Write::Remove("gone"),
    Write::Upsert("notes", 3..5),
    Write::Optimize,
    Write::Delete("docs", 9..11),
    Write::Delete("notes", 0..1),
    Write::Upsert("docs", 14..16),
    Write::Upsert("notes", 7..8),
    Write::Declare("docs"),
];

impl Subject {
    pub(crate) fn build(seed: u64) -> Self {
        let mut random = Random(seed);
        let vfs = MemoryVfs::new();
        let open = |vfs: MemoryVfs| opening::open(vfs, Memory::Tiny).expect("it opens");
        let mut db = open(vfs.clone());
        let mut model: BTreeMap<&str, BTreeMap<PointId, Point>> = BTreeMap::new();
        let mut versions = vec![files(&vfs)];
        let mut right = Seen::default();
        for write in SCRIPT {
            let find = |name: &str| db.collection(name).wait().expect("it exists");
            let done = match write {
                Write::Create(name) => {
                    model.insert(name, BTreeMap::new());
                    db.create_collection(*name, schema()).wait().map(drop)
                }
                Write::Remove(name) => {
                    model.remove(name);
                    db.delete_collection(*name).wait()
                }
                Write::Upsert(name, ids) => {
                    let points = scaled(ids).map(|id| point(id, &mut random));
                    let points: Vec<_> = points.collect();
                    let known = model.entry(name).or_default();
                    known.extend(points.iter().map(|point| (point.id.clone(), point.clone())));
                    find(name).upsert(points).wait()
                }
                Write::Delete(name, ids) => {
                    let ids: Vec<_> = scaled(ids).map(id).collect();
                    let known = model.entry(name).or_default();
                    known.retain(|id, _| !ids.contains(id));
                    find(name).delete(ids).wait().map(drop)
                }
                Write::Declare(name) => {
                    let docs = find(name);
                    let declared = docs.drop_field("year").wait();
                    declared.and_then(|()| docs.add_field("year", Field::Float).wait())
                }
                Write::Optimize => opening::optimize(&db),
                Write::Reopen => {
                    db.close().wait().expect("it closes");
                    db = open(vfs.clone());
                    Ok(())
                }
            };
            done.expect("nothing prevents it");
            // So that a subject is the same whenever it is built.
            opening::settle(&db).expect("nothing prevents it");
            while db.stats().wanting_columns > 0 {
                std::thread::yield_now();
            }
            versions.push(files(&vfs));
            right = Seen::read(&db).expect("it is readable");
            assert!(right.is(&model), "the undamaged database is wrong");
        }
        db.close().wait().expect("it closes");
        let closed = files(&vfs);
        for kind in [
            "wal-",
            "manifest-",
            "segment-",
            "deletes-",
            "index-",
            "columns-",
        ] {
            let found = closed.keys().any(|name| name.starts_with(kind));
            assert!(found, "there is no {kind} file: {:?}", closed.keys());
        }
        let mut subject = Self {
            // As short as they may be, so that each of their bytes can be damaged.
            files: closed
                .iter()
                .map(|(name, content)| (name.clone(), trimmed(content).to_vec()))
                .collect(),
            versions,
            right,
        };
        if subject.undamaged().as_ref() != Ok(&subject.right) {
            subject.files = closed;
        }
        let found = subject.undamaged();
        assert_eq!(found.as_ref(), Ok(&subject.right), "undamaged");
        subject
    }

    /// For another process, to which another building might not give the same to the last byte.
    pub(crate) fn save(&self, path: &Path) -> io::Result<()> {
        let content = serde_json::to_vec(&(&self.files, &self.versions))?;
        fs::write(path, content)
    }

    pub(crate) fn load(path: &Path) -> io::Result<Self> {
        let (files, versions) = serde_json::from_slice(&fs::read(path)?)?;
        let mut subject = Self {
            files,
            versions,
            right: Seen::default(),
        };
        subject.right = subject.undamaged().map_err(io::Error::other)?;
        Ok(subject)
    }

    fn undamaged(&self) -> Result<Seen, String> {
        let db = opening::open(directory(&self.files), Memory::Tiny);
        let seen = db.and_then(|db| Seen::read(&db));
        seen.map_err(|error| error.to_string())
    }
}

/// A directory in memory that holds these files.
pub(crate) fn directory(files: &Files) -> MemoryVfs {
    let vfs = MemoryVfs::new();
    for (name, content) in files {
        vfs.set_content(name, content.as_slice());
    }
    vfs
}

fn files(vfs: &MemoryVfs) -> Files {
    let vfs = vfs.fork();
    let names = vfs.list().expect("a directory in memory");
    let files = names.into_iter().filter_map(|name| {
        let content = vfs.content(&name)?;
        Some((name, content))
    });
    files.collect()
}

/// Space that is prepared ahead is zeros; some of them are enough to see what damage in them does.
fn trimmed(content: &[u8]) -> &[u8] {
    let used = without_zeros(content).len();
    &content[..content.len().min(used + 600)]
}

fn without_zeros(content: &[u8]) -> &[u8] {
    let used = content.iter().rposition(|byte| *byte != 0);
    &content[..used.map_or(0, |last| last + 1)]
}

fn schema() -> Schema {
    // Indexes as small as they can be, so that each of their bytes can be damaged.
    let hnsw = Hnsw {
        m: 4,
        ..Hnsw::default()
    };
    Schema::new()
        .vector("a", Vector::new(6, Metric::Cosine).hnsw(hnsw))
        .vector("b", halves().hnsw(hnsw))
        .vector("c", Vector::new(1, Metric::Dot).multi())
        .field("year", Field::Integer)
        .text("title", words::text())
        .sparse("weights", weights::sparse())
}

fn halves() -> Vector {
    Vector::new(3, Metric::Euclidean).datatype(Datatype::Float16)
}

fn scaled(ids: &Range<u64>) -> Range<u64> {
    ids.start * EACH..ids.end * EACH
}

fn id(number: u64) -> PointId {
    match number % 3 {
        0 => PointId::from(number),
        1 => PointId::from(format!("point-{number}")),
        _ => PointId::from(uuid::Uuid::from_u128(u128::from(number) << 64 | 5)),
    }
}

fn point(number: u64, random: &mut Random) -> Point {
    let mut values = |count: usize| (0..count).map(|_| random.unit()).collect::<Vec<_>>();
    Point::new(id(number))
        .vector("a", values(6))
        .vector("b", stored(&halves(), &values(3)).unwrap_or_default())
        .multi_vector("c", [values(1), values(1)])
        .sparse("weights", weights::vector(number))
        .payload(json!({
            "year": 1840 + random.below(20),
            "title": format!("Chapter {}", random.below(8)),
        }))
}
