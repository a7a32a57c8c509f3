//! Lists of vectors under one name: kept as they were written, and compared by `MaxSim`, wherever
//! they lie.

use amphora::{
    Collection, Database, Datatype, Edit, ErrorKind, Hit, Metric, Options, Point, PointId,
    Projection, Query, QueryKind, Schema, Vector, field,
};
use amphora_tests::{
    nearest::{self, METRICS},
    opening::open_indexing,
    random::Random,
    stored::stored,
};
use serde_json::json;
use std::{collections::BTreeMap, ops::Range, path::Path};

const DIMENSIONS: usize = 10;
/// Segments with so many vectors get an index.
const INDEX_FROM: usize = 20;

/// The vectors by name: lists under every metric in 32 and in 16 bits, and one that is none.
fn schema() -> Schema {
    let mut schema = Schema::new().vector("one", Vector::new(2, Metric::Dot));
    for metric in METRICS {
        for datatype in [Datatype::Float32, Datatype::Float16] {
            let vector = Vector::new(DIMENSIONS as u32, metric).datatype(datatype);
            schema = schema.vector(format!("{metric:?} {datatype:?}"), vector.multi());
        }
    }
    schema
}

/// A collection, and the points that it must hold.
struct Subject {
    db: Database,
    docs: Collection,
    points: BTreeMap<PointId, Point>,
    random: Random,
}

impl Subject {
    fn create(path: &Path) -> Self {
        let db = open_indexing(path, INDEX_FROM);
        let docs = db.create_collection("docs", schema()).wait();
        Self {
            docs: docs.expect("new"),
            db,
            points: BTreeMap::new(),
            random: Random(9),
        }
    }

    fn reopened(self, path: &Path) -> Self {
        self.db.close().wait().expect("closed");
        let db = open_indexing(path, INDEX_FROM);
        let docs = db.collection("docs").wait().expect("there");
        Self { db, docs, ..self }
    }

    /// A point as it is written; the lists go to the model as they are kept.
    fn point(&mut self, id: u64) -> Point {
        let mut point = Point::new(id)
            .payload(json!({ "even": id.is_multiple_of(2) }))
            .vector("one", [1.0, id as f32]);
        for name in schema().vectors.keys().filter(|name| *name != "one") {
            // Some points lack some lists, and some lists are long.
            match self.random.below(12) {
                0..2 => {}
                2 => point = point.multi_vector(name, list(90, &mut self.random)),
                _ => point = point.multi_vector(name, list(6, &mut self.random)),
            }
        }
        self.points.insert(id.into(), kept(&point));
        point
    }

    fn fill(&mut self, ids: Range<u64>) {
        let points: Vec<_> = ids.map(|id| self.point(id)).collect();
        self.docs.upsert(points).wait().expect("written");
    }

    fn delete(&mut self, ids: Range<u64>) {
        self.docs.delete(ids.clone()).wait().expect("deleted");
        self.points
            .retain(|id, _| !ids.clone().any(|gone| *id == gone.into()));
    }

    fn search(&self, query: &Query) -> Vec<Hit> {
        self.docs.search(query.clone()).wait().expect("hits")
    }

    /// Compares hits with what the points that there are come to.
    fn judge(&self, query: &Query, hits: &[Hit]) {
        let filter = query.filter.as_ref();
        let (name, _) = asked(query);
        let metric = schema().vectors[name].metric;
        let is_even = |id: &PointId| matches!(id, PointId::Number(id) if id.is_multiple_of(2));
        let mut scores: Vec<(f64, f64)> = self
            .points
            .values()
            .filter(|point| filter.is_none() || is_even(&point.id))
            .filter_map(|point| max_sim(metric, query, point))
            .collect();
        scores.sort_by(|a, b| b.0.total_cmp(&a.0));
        scores.truncate(nearest::limit_of(query));
        assert_eq!(hits.len(), scores.len());
        for (hit, best) in hits.iter().zip(scores) {
            let point = &self.points[&hit.id];
            let (own, within) = max_sim(metric, query, point).expect("it has the list");
            let off = |score: f64| (f64::from(hit.score) - score).abs();
            assert!(off(own) <= within, "{own}: {hit:?}");
            assert!(off(best.0) <= 2.0 * within.max(best.1), "{best:?}: {hit:?}");
            assert!(filter.is_none() || is_even(&hit.id));
            assert_eq!(hit.payload, point.payload);
            if query.with_vectors == Projection::All {
                assert_eq!(hit.vectors, point.vectors);
                assert_eq!(hit.multi_vectors, point.multi_vectors);
            }
        }
    }

    fn check(&self) -> Vec<Vec<Hit>> {
        let mut found: Vec<Point> = self
            .docs
            .scroll()
            .into_iter()
            .collect::<Result<_, _>>()
            .expect("readable");
        found.sort_by(|a, b| a.id.cmp(&b.id));
        assert!(found.iter().eq(self.points.values()));
        for id in self.points.keys().step_by(17) {
            let found = self.docs.get(id).wait().expect("readable");
            assert_eq!(found.as_ref(), self.points.get(id));
        }
        assert_eq!(self.db.verify().wait().expect("verified").damaged.len(), 0);
        let queries = queries();
        let hits = queries.iter().map(|query| {
            let hits = self.search(query);
            self.judge(query, &hits);
            hits
        });
        hits.collect()
    }
}

fn list(most: u64, random: &mut Random) -> Vec<Vec<f32>> {
    let count = 1 + random.below(most);
    let vector = |_| (0..DIMENSIONS).map(|_| random.unit()).collect();
    (0..count).map(vector).collect()
}

/// Some searches of each list, the same every time.
fn queries() -> Vec<Query> {
    let mut random = Random(77);
    let mut queries = Vec::new();
    for name in schema().vectors.keys().filter(|name| *name != "one") {
        for limit in [1, 10, 1_000] {
            let query = Query::nearest_multi(name, list(9, &mut random)).limit(limit);
            queries.push(query.clone().filter(field("even").eq(true)));
            queries.push(query.with_vectors(limit == 10));
        }
    }
    queries
}

/// What is read of a point that was written.
fn kept(point: &Point) -> Point {
    let mut point = point.clone();
    for (name, list) in &mut point.multi_vectors {
        for values in list {
            *values = stored(&schema().vectors[name], values).expect("in bounds");
        }
    }
    point
}

/// The score of a point that has the list, and how far it may be off.
fn max_sim(metric: Metric, query: &Query, point: &Point) -> Option<(f64, f64)> {
    let mut lists = point.multi_vectors.iter();
    let (vector, values) = asked(query);
    let (_, list) = lists.find(|(name, _)| name == vector)?;
    Some(nearest::max_sim(metric, values, list))
}

/// The vector that a query is for, and with what it is compared.
fn asked(query: &Query) -> (&str, &[Vec<f32>]) {
    match &query.kind {
        QueryKind::NearestMulti { vector, values } => (vector, values),
        other => panic!("not for lists: {other:?}"),
    }
}

#[test]
fn lists_are_kept_and_found_wherever_they_lie() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = &directory.path().join("db");
    let mut subject = Subject::create(path);
    subject.fill(0..60);
    let in_memory = subject.check();
    subject.db.optimize().wait().expect("optimized");
    assert_eq!(
        subject.check(),
        in_memory,
        "scores do not depend on the place"
    );

    subject.fill(40..110);
    subject.delete(0..10);
    let in_both = subject.check();
    let mut subject = subject.reopened(path);
    assert_eq!(subject.check(), in_both, "read from the log");
    subject
        .db
        .create_snapshot("kept")
        .wait()
        .expect("a snapshot");
    subject.db.optimize().wait().expect("merged");
    assert_eq!(subject.check(), in_both, "merged");
    subject.fill(100..120);
    subject.check();

    let file = directory.path().join("kept.amphora");
    let exported = subject.db.export_snapshot("kept", &file).wait();
    exported.expect("exported");
    subject.db.close().wait().expect("closed");
    let elsewhere = &directory.path().join("elsewhere");
    Database::import(&file, elsewhere).wait().expect("imported");
    let db = open_indexing(elsewhere, INDEX_FROM);
    let docs = db.collection("docs").wait().expect("there");
    let imported = Subject {
        db,
        docs,
        ..subject
    };
    let hits = queries();
    let hits = hits.iter().map(|query| imported.search(query));
    assert_eq!(hits.collect::<Vec<_>>(), in_both);
    imported.db.close().wait().expect("closed");
}

/// Lists around a topic each, which is what tokens of one text are like.
fn of_topic(id: u64, count: u64, random: &mut Random) -> Vec<Vec<f32>> {
    let mut topic = Random(id);
    let topic: Vec<f32> = (0..DIMENSIONS).map(|_| topic.unit()).collect();
    let near = |random: &mut Random| topic.iter().map(|at| at + 0.6 * random.unit()).collect();
    (0..count).map(|_| near(random)).collect()
}

/// What is found through an index beside what there is, with the filter of a search.
#[test]
fn indexes_lead_to_lists() {
    for (metric, index_memory_bytes) in [
        (Metric::Cosine, 64 << 20),
        (Metric::Dot, 64 << 20),
        (Metric::Euclidean, 64 << 20),
        (Metric::Manhattan, 64 << 20),
        (Metric::Cosine, 1 << 20),
    ] {
        let directory = tempfile::tempdir().expect("a directory");
        let options = Options {
            index_from: 1_000,
            index_memory_bytes,
            memtable_bytes: 1 << 20,
            ..Options::default()
        };
        let opening = Database::builder(directory.path()).options(options);
        let db = opening.open().wait().expect("it opens");
        let vector = Vector::new(DIMENSIONS as u32, metric).multi();
        let schema = Schema::new().vector("lists", vector);
        let docs = db.create_collection("docs", schema).wait().expect("new");
        let mut random = Random(5);
        let points = (0..5_000u64).map(|id| {
            let count = 1 + random.below(11);
            Point::new(id)
                .multi_vector("lists", of_topic(id, count, &mut random))
                .payload(json!({ "part": id % 10 }))
        });
        docs.upsert(points.collect::<Vec<_>>())
            .wait()
            .expect("written");
        db.optimize().wait().expect("optimized");
        let stats = db.stats();
        let has_index = index_memory_bytes > 1 << 20;
        assert_eq!(
            (stats.indexes, stats.wanting_indexes),
            (has_index.into(), 0)
        );
        docs.delete(0..500u64).wait().expect("deleted");

        let (mut found, mut all) = (0, 0);
        for id in (500..5_000).step_by(100) {
            let query = Query::nearest_multi("lists", of_topic(id, 5, &mut random)).limit(5);
            let parts = [
                None,
                Some(field("part").at_least(5)),
                Some(field("part").at_least(7)),
                Some(field("part").eq(3)),
            ];
            for filter in parts {
                let query = match filter {
                    Some(filter) => query.clone().filter(filter),
                    None => query.clone(),
                };
                let hits = docs.search(query.clone()).wait().expect("hits");
                let exact = docs.search(query.exact()).wait().expect("hits");
                assert!(hits.is_sorted_by(|a, b| a.score >= b.score));
                assert_eq!(hits.len(), exact.len());
                found += exact.iter().filter(|hit| hits.contains(hit)).count();
                all += exact.len();
            }
        }
        let recall = found as f64 / all as f64;
        assert!(recall > 0.97, "{metric:?}: {recall}");
        if !has_index {
            assert_eq!(found, all);
        }
        assert!(db.verify().wait().expect("verified").damaged.is_empty());
        db.close().wait().expect("closed");
    }
}

#[test]
fn lists_are_edited() {
    let directory = tempfile::tempdir().expect("a directory");
    let db = open_indexing(directory.path(), INDEX_FROM);
    let schema = Schema::new().vector("v", Vector::new(1, Metric::Dot).multi());
    let docs = db.create_collection("docs", schema).wait().expect("new");
    let with = |list: &[[f32; 1]]| Point::new(1).multi_vector("v", list.iter().copied());
    let lists = || {
        let found = docs.get(1).wait().expect("read").expect("there");
        assert!(found.vectors.is_empty());
        let lists = found.multi_vectors.into_iter().map(|(_, list)| list);
        lists.flatten().flatten().collect::<Vec<f32>>()
    };
    let apply = |edit| docs.apply(edit).wait().expect("applied");
    apply(Edit::insert([with(&[[1.0], [2.0]])]));
    assert_eq!(lists(), [1.0, 2.0]);
    db.optimize().wait().expect("optimized");
    apply(Edit::set_vectors([with(&[[3.0]])]));
    assert_eq!(lists(), [3.0]);
    apply(Edit::set_payload([1], json!({ "n": 1 })));
    assert_eq!(lists(), [3.0], "it goes along");
    apply(Edit::delete_vectors([1], ["v"]));
    assert!(lists().is_empty());
    let found = docs.search(Query::nearest_multi("v", [[1.0]])).wait();
    assert_eq!(found.expect("hits"), []);
    let single = docs.set_vectors([Point::new(1).vector("v", [1.0])]).wait();
    let error = single.expect_err("no list");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    db.close().wait().expect("closed");
}
