//! Vectors that are stored in 16 bits: wherever they lie, they answer as vectors of 32 bits do that
//! hold the rounded numbers, to the last bit.

use amphora::{
    Collection, Database, Datatype, Edit, ErrorKind, Hit, Metric, Point, Query, Schema, Vector,
    field,
};
use amphora_tests::{nearest::METRICS, opening::open_indexing, random::Random, stored::stored};
use serde_json::json;
use std::{fs, path::Path};

const DIMENSIONS: usize = 40;
/// Segments with so many vectors get an index.
const INDEX_FROM: usize = 400;

fn vector(metric: Metric, datatype: Datatype) -> Vector {
    Vector::new(DIMENSIONS as u32, metric).datatype(datatype)
}

/// A collection in 16 bits, and one in 32 that is given what the first is meant to keep.
struct Pair {
    db: Database,
    halves: Collection,
    floats: Collection,
    random: Random,
}

impl Pair {
    fn create(path: &Path) -> Self {
        let db = open_indexing(path, INDEX_FROM);
        let create = |name: &str, datatype| {
            let named = METRICS.map(|metric| (format!("{metric:?}"), vector(metric, datatype)));
            let schema = named
                .into_iter()
                .fold(Schema::new(), |schema, (name, v)| schema.vector(name, v));
            db.create_collection(name, schema).wait().expect("new")
        };
        Self {
            halves: create("halves", Datatype::Float16),
            floats: create("floats", Datatype::Float32),
            db,
            random: Random(16),
        }
    }

    fn reopened(self, path: &Path) -> Self {
        self.db.close().wait().expect("closed");
        let db = open_indexing(path, INDEX_FROM);
        Self {
            halves: db.collection("halves").wait().expect("there"),
            floats: db.collection("floats").wait().expect("there"),
            db,
            ..self
        }
    }

    /// From what becomes zero to what is almost too much.
    fn values(&mut self) -> Vec<f32> {
        let size = [1e-4, 1.0, 1.0, 6e4][self.random.below(4) as usize];
        let value = |_| self.random.unit() * size;
        (0..DIMENSIONS).map(value).collect()
    }

    /// A point as it is given, and as it is kept.
    fn point(&mut self, id: u64) -> [Point; 2] {
        let payload = json!({ "even": id.is_multiple_of(2) });
        let mut points = [(); 2].map(|()| Point::new(id).payload(payload.clone()));
        for metric in METRICS {
            // Some points lack some vectors.
            if self.random.below(8) > 0 {
                let given = self.values();
                let kept = stored(&vector(metric, Datatype::Float16), &given).expect("in bounds");
                assert_ne!(given, kept);
                for (point, values) in points.iter_mut().zip([given, kept]) {
                    point.vectors.push((format!("{metric:?}"), values));
                }
            }
        }
        // Read back in the order of their names, which METRICS have.
        points
    }

    fn fill(&mut self, ids: std::ops::Range<u64>) {
        let points = ids.map(|id| self.point(id)).collect::<Vec<_>>();
        let (given, kept): (Vec<_>, Vec<_>) = points.into_iter().map(Into::into).unzip();
        self.halves.upsert(given).wait().expect("written");
        self.floats.upsert(kept).wait().expect("written");
    }

    fn delete(&self, ids: std::ops::Range<u64>) {
        for docs in [&self.halves, &self.floats] {
            docs.delete(ids.clone()).wait().expect("deleted");
        }
    }

    /// Both hold the same points, and searches give the same hits with the same scores.
    fn check(&mut self, moment: &str) {
        let [halves, floats] = [&self.halves, &self.floats].map(|docs| {
            let points = docs.scroll().into_iter().collect::<Result<Vec<_>, _>>();
            points.expect("readable")
        });
        assert_eq!(halves, floats, "{moment}");
        for metric in METRICS {
            for number in 0..10 {
                let nearest = Query::nearest(format!("{metric:?}"), self.values());
                let nearest = nearest.limit(1 + number * 5).with_vectors(number % 2 == 0);
                let filtered = nearest.clone().filter(field("even").eq(number % 3 == 0));
                for query in [
                    nearest.clone().exact(),
                    filtered.clone().exact(),
                    nearest,
                    filtered,
                ] {
                    self.same(&query, moment);
                }
            }
        }
    }

    fn same(&self, query: &Query, moment: &str) {
        let search = |docs: &Collection| docs.search(query.clone()).wait().expect("hits");
        let (halves, floats) = (search(&self.halves), search(&self.floats));
        let scores =
            |hits: &[Hit]| -> Vec<u32> { hits.iter().map(|h| h.score.to_bits()).collect() };
        assert_eq!(scores(&halves), scores(&floats), "{moment}: {query:?}");
        assert_eq!(halves, floats, "{moment}: {query:?}");
    }
}

/// The lengths of the files with this ending.
fn lengths(path: &Path, ending: &str) -> Vec<u64> {
    let files = fs::read_dir(path).expect("a directory");
    let files = files.map(|file| file.expect("an entry"));
    let mut lengths: Vec<u64> = files
        .filter(|file| file.path().extension().is_some_and(|e| e == ending))
        .map(|file| file.metadata().expect("a file").len())
        .collect();
    lengths.sort_unstable();
    lengths
}

#[test]
fn halves_answer_the_same_wherever_they_lie() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = &directory.path().join("db");
    let mut pair = Pair::create(path);
    pair.fill(0..200);
    pair.check("in memory");
    pair.db.optimize().wait().expect("optimized");
    let [halves, floats] = lengths(path, "seg")[..] else {
        panic!("a segment for each collection");
    };
    assert!(
        halves * 10 < floats * 6,
        "{halves} bytes, not half of {floats}"
    );
    pair.check("in a segment");
    pair.fill(150..300);
    pair.delete(0..20);
    pair.check("in a segment and in memory");
    pair = pair.reopened(path);
    pair.check("read from the log");
    pair.db.optimize().wait().expect("optimized");
    assert_eq!(lengths(path, "idx").len(), 0);
    pair.check("merged");

    pair.fill(250..1_500);
    pair.db.optimize().wait().expect("optimized");
    assert_eq!(lengths(path, "idx").len(), 8);
    pair.check("indexed");
    pair.db.create_snapshot("first").wait().expect("a snapshot");
    pair.fill(1_400..1_500);
    pair.delete(20..60);
    pair.check("indexed in part");
    pair = pair.reopened(path);
    pair.check("opened with indexes");
    let verified = pair.db.verify().wait().expect("verified");
    assert_eq!(verified.damaged.len(), 0, "{verified:?}");

    let file = directory.path().join("first.amphora");
    let exported = pair.db.export_snapshot("first", &file).wait();
    exported.expect("exported");
    pair.db.close().wait().expect("closed");
    let elsewhere = &directory.path().join("elsewhere");
    Database::import(&file, elsewhere).wait().expect("imported");
    let db = open_indexing(elsewhere, INDEX_FROM);
    let mut imported = Pair {
        halves: db.collection("halves").wait().expect("there"),
        floats: db.collection("floats").wait().expect("there"),
        db,
        random: pair.random,
    };
    imported.check("imported");
    imported.db.close().wait().expect("closed");
}

#[test]
fn every_way_of_writing_rounds() {
    let directory = tempfile::tempdir().expect("a directory");
    let db = open_indexing(directory.path(), INDEX_FROM);
    let vector = Vector::new(2, Metric::Dot).datatype(Datatype::Float16);
    let schema = Schema::new().vector("v", vector);
    let docs = db.create_collection("docs", schema).wait().expect("new");
    let mut written = 0.1;
    let mut point = || {
        written += 0.1;
        Point::new(1).vector("v", [written, -written])
    };
    let edits: [fn(Vec<Point>) -> Edit; 4] =
        [Edit::insert, Edit::upsert, Edit::update, Edit::set_vectors];
    for edit in edits {
        let point = point();
        let (_, given) = &point.vectors[0];
        let expected = stored(&docs.schema().vectors["v"], given);
        assert_eq!(docs.apply(edit(vec![point])).wait().expect("applied"), 1);
        let found = docs.get(1).wait().expect("read").expect("there");
        assert_eq!(Some(&found.vectors[0].1), expected.as_ref());
    }
    let too_large = || vec![Point::new(1).vector("v", [65_504.0, -65_505.0])];
    for edit in edits {
        let error = docs.apply(edit(too_large())).wait().expect_err("too large");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let text = error.to_string();
        assert!(text.contains("dimension 1 is -65505; expected a finite number of at most 65504"));
    }
    db.close().wait().expect("closed");
}

#[test]
fn how_a_vector_is_stored_is_not_changed_but_by_another_vector() {
    let directory = tempfile::tempdir().expect("a directory");
    let db = open_indexing(directory.path(), INDEX_FROM);
    let schema = Schema::new().vector("v", Vector::new(1, Metric::Dot));
    let docs = db.create_collection("docs", schema).wait().expect("new");
    let write = |id: u64, value: f32| docs.upsert([Point::new(id).vector("v", [value])]).wait();
    write(1, 1e5).expect("it fits");
    db.optimize().wait().expect("optimized");
    let halves = Vector::new(1, Metric::Dot).datatype(Datatype::Float16);
    let refused = docs.add_vector("v", halves.clone()).wait();
    let error = refused.expect_err("there is one already");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);

    docs.drop_vector("v").wait().expect("dropped");
    docs.add_vector("v", halves).wait().expect("added");
    write(2, 1e5).expect_err("it does not fit any more");
    write(2, 3.0).expect("it fits");
    db.optimize().wait().expect("optimized");
    let found = docs.search(Query::nearest("v", [1e5])).wait();
    let scores: Vec<f32> = found.expect("hits").iter().map(|hit| hit.score).collect();
    assert_eq!(scores, [3e5], "what the other vector held is not compared");
    assert_eq!(docs.schema().vectors["v"].datatype, Datatype::Float16);
    db.close().wait().expect("closed");
}
