//! Indexes over vectors: that they are built, used, kept and renewed, and that searches stay right
//! whatever becomes of them.

use amphora::{
    Collection, Database, ErrorKind, Field, Hit, Metric, OptimizeProgress, Options, Point,
    Quantization, Query, Schema, Vector, field, vfs::Vfs,
};
use amphora_tests::{
    failing_files::FailingFiles,
    faults::{EIO, ENOSPC},
    layer::Kind,
    nearest::METRICS,
    opening::open_indexing,
    random::Random,
};
use serde_json::json;
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tempfile::TempDir;

const DIMENSIONS: usize = 24;
const CLUSTERS: u64 = 50;

const INDEX_FROM: usize = 100;

fn options() -> Options {
    Options {
        index_from: INDEX_FROM,
        ..Options::default()
    }
}

fn create(db: &Database, metric: Metric) -> Collection {
    let schema = Schema::new()
        .vector("v", Vector::new(DIMENSIONS as u32, metric))
        .field("n", Field::Integer);
    let created = db.create_collection("docs", schema).wait();
    created.expect("it is new")
}

/// A directory, the open database in it, and a collection that has so many points and is indexed.
fn indexed(points: u64, metric: Metric) -> (TempDir, Database, Collection, Random) {
    let directory = tempfile::tempdir().expect("a directory");
    let db = open_indexing(directory.path(), INDEX_FROM);
    let docs = create(&db, metric);
    let mut random = Random(points);
    fill(&docs, 0..points, &mut random);
    db.optimize().wait().expect("optimized");
    let stats = db.stats();
    assert_eq!((stats.indexes, stats.wanting_indexes), (1, 0));
    (directory, db, docs, random)
}

/// A vector near one of the centers, which depend on nothing but their number.
fn vector(random: &mut Random) -> Vec<f32> {
    let mut center = Random(random.below(CLUSTERS) + 1);
    (0..DIMENSIONS)
        .map(|_| center.unit() * 4.0 + random.unit())
        .collect()
}

fn fill(docs: &Collection, ids: std::ops::Range<u64>, random: &mut Random) {
    for first in ids.clone().step_by(500) {
        let batch = first..ids.end.min(first + 500);
        let points = batch.map(|id| {
            let payload = json!({ "n": id, "even": id % 2 == 0 });
            Point::new(id).vector("v", vector(random)).payload(payload)
        });
        docs.upsert(points.collect::<Vec<_>>())
            .wait()
            .expect("it is written");
    }
}

fn ids(hits: &[Hit]) -> BTreeSet<String> {
    hits.iter().map(|hit| hit.id.to_string()).collect()
}

/// The share of the nearest 10 that searches find.
fn recall(docs: &Collection, query: impl Fn(Query) -> Query, random: &mut Random) -> f64 {
    let (mut found, mut wanted) = (0, 0);
    for _ in 0..100 {
        let nearest = query(Query::nearest("v", vector(random)));
        let exact = ids(&docs.search(nearest.clone().exact()).wait().expect("hits"));
        let hits = docs.search(nearest).wait().expect("hits");
        assert!(hits.is_sorted_by(|a, b| a.score >= b.score));
        found += ids(&hits).intersection(&exact).count();
        wanted += exact.len();
    }
    f64::from(found as u32) / f64::from(wanted as u32)
}

fn index_files(path: &Path) -> Vec<std::path::PathBuf> {
    let files = fs::read_dir(path).expect("a directory");
    let files = files.map(|file| file.expect("an entry").path());
    files
        .filter(|file| file.extension().is_some_and(|e| e == "idx"))
        .collect()
}

#[test]
fn an_index_finds_nearly_all_under_every_metric() {
    for metric in METRICS {
        let (directory, db, docs, mut random) = indexed(5_000, metric);
        assert_eq!(index_files(directory.path()).len(), 1, "{metric:?}");
        let measured = recall(&docs, |query| query, &mut random);
        assert!(measured > 0.95, "{metric:?}: {measured}");
        let least = recall(&docs, |query| query.ef(10), &mut random);
        assert!(
            least < 1.0,
            "{metric:?}: the index is used, and {least} is not all"
        );
        db.close().wait().expect("closed");
    }
}

/// The more are compared by their vectors, the more of the nearest are found.
#[test]
fn oversampling_says_how_many_are_compared() {
    let (_directory, db, docs, mut random) = indexed(3_000, Metric::Cosine);
    let times = |times: f32| move |query: Query| query.ef(100).oversampling(times);
    let [few, many] = [1.0, 5.0].map(|it| recall(&docs, times(it), &mut random));
    assert!(few > 0.8 && few <= many && many > 0.95, "{few} {many}");
    db.close().wait().expect("it closes");
}

#[test]
fn an_index_of_bits_takes_less_room_and_finds_as_much() {
    let mut lengths = Vec::new();
    for quantization in [Quantization::Scalar, Quantization::Binary] {
        let directory = tempfile::tempdir().expect("a directory");
        let db = open_indexing(directory.path(), INDEX_FROM);
        let dimensions = 512;
        let vector = Vector::new(dimensions, Metric::Cosine).quantization(quantization);
        let schema = Schema::new().vector("v", vector).field("n", Field::Integer);
        let created = db.create_collection("docs", schema).wait();
        let docs = created.expect("it is new");
        let mut random = Random(3);
        let mut wide = || -> Vec<f32> {
            let mut center = Random(random.below(CLUSTERS) + 1);
            let values = (0..dimensions).map(|_| center.unit() + random.unit());
            values.collect()
        };
        let points = (0..2_000u64).map(|id| {
            Point::new(id)
                .vector("v", wide())
                .payload(json!({ "n": id }))
        });
        let upserted = docs.upsert(points.collect::<Vec<_>>()).wait();
        upserted.expect("it is written");
        db.optimize().wait().expect("optimized");
        let [file] = &index_files(directory.path())[..] else {
            panic!("one index")
        };
        lengths.push(fs::metadata(file).expect("a file").len());
        for filter in [None, Some(field("n").below(400))] {
            let mut found = 0;
            for _ in 0..50 {
                let query = Query::nearest("v", wide());
                let query = match &filter {
                    Some(filter) => query.filter(filter.clone()),
                    None => query,
                };
                let exact = docs.search(query.clone().exact()).wait().expect("hits");
                let hits = docs.search(query).wait().expect("hits");
                found += ids(&hits).intersection(&ids(&exact)).count();
            }
            assert!(found >= 475, "{quantization:?}: {found} of 500, {filter:?}");
        }
        // Before all of it was checked, and after.
        db.close().wait().expect("closed");
        let db = open_indexing(directory.path(), INDEX_FROM);
        let docs = db.collection("docs").wait().expect("there");
        for _ in 0..5 {
            let hits = docs.search(Query::nearest("v", wide())).wait();
            assert_eq!(hits.expect("hits").len(), 10);
        }
        assert!(db.verify().wait().expect("verified").damaged.is_empty());
        db.close().wait().expect("closed");
    }
    assert!(lengths[1] * 2 < lengths[0], "{lengths:?}");
}

#[test]
fn optimizing_says_how_far_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let db = open_indexing(directory.path(), INDEX_FROM);
    let docs = create(&db, Metric::Dot);
    fill(&docs, 0..12_000, &mut Random(1));
    let told = optimize(&db);
    let wanting: Vec<usize> = told.iter().map(|told| told.wanting_indexes).collect();
    assert!(
        wanting.contains(&1) && wanting.last() == Some(&0),
        "{wanting:?}"
    );
    let linking = told.iter().filter(|told| told.vectors_to_link > 0);
    let linking: Vec<_> = linking.map(|told| told.linked_vectors).collect();
    assert!(linking.len() > 1 && linking.is_sorted(), "{linking:?}");
    let last = told.last().expect("it told");
    assert_eq!((last.linked_vectors, last.vectors_to_link), (0, 0));
    db.close().wait().expect("closed");
}

/// What is told while everything is merged.
fn optimize(db: &Database) -> Vec<OptimizeProgress> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let report = move |progress: OptimizeProgress| {
        let mut told = listener.lock().unwrap_or_else(PoisonError::into_inner);
        told.push(progress);
    };
    db.optimize_with(report).wait().expect("optimized");
    let told = told.lock().unwrap_or_else(PoisonError::into_inner);
    told.clone()
}

/// Segments are merged only as far as their indexes can be built.
#[test]
fn a_bound_on_memory_keeps_segments_small() {
    const MIB: usize = 1 << 20;
    for (index_memory_bytes, indexes) in [(MIB, 4..=10), (16 * MIB, 1..=1)] {
        let directory = TempDir::new().expect("a directory");
        let options = Options {
            memtable_bytes: MIB,
            index_memory_bytes,
            ..options()
        };
        let opening = Database::builder(directory.path()).options(options);
        let db = opening.open().wait().expect("it opens");
        let docs = create(&db, Metric::Cosine);
        let mut random = Random(1);
        fill(&docs, 0..12_000, &mut random);
        docs.delete([7]).wait().expect("deleted");
        db.optimize().wait().expect("optimized");
        let stats = db.stats();
        assert!(indexes.contains(&stats.indexes), "{}", stats.indexes);
        assert_eq!(stats.wanting_indexes, 0);
        let measured = recall(&docs, |query| query, &mut random);
        assert!(measured > 0.95, "{measured}");
        assert_eq!(docs.count().wait().expect("a count"), 11_999);
        db.close().wait().expect("closed");
    }
}

#[test]
fn deleted_points_are_never_found_and_take_no_places() {
    let (_directory, db, docs, mut random) = indexed(3_000, Metric::Cosine);
    docs.delete((0..600u64).map(amphora::PointId::from).collect::<Vec<_>>())
        .wait()
        .expect("deleted");
    for _ in 0..100 {
        let hits = docs
            .search(Query::nearest("v", vector(&mut random)).ef(20))
            .wait()
            .expect("hits");
        assert_eq!(hits.len(), 10);
        let deleted = |hit: &&Hit| matches!(hit.id, amphora::PointId::Number(id) if id < 600);
        assert_eq!(hits.iter().filter(deleted).count(), 0);
    }
    assert!(recall(&docs, |query| query, &mut random) > 0.95);
    let even = |query: Query| query.filter(field("even").eq(true));
    assert!(recall(&docs, even, &mut random) > 0.95);
    db.close().wait().expect("closed");
}

#[test]
fn filtered_search_finds_as_much_as_search_without_a_filter() {
    let (_directory, db, docs, mut random) = indexed(20_000, Metric::Cosine);
    for matching in [10_000, 5_000, 2_000, 200, 20, 3] {
        let some = |query: Query| query.filter(field("n").below(matching));
        let measured = recall(&docs, some, &mut random);
        assert!(measured >= 0.97, "{matching} match: {measured}");
        let far = |query: Query| query.filter(!field("n").below(matching));
        let measured = recall(&docs, far, &mut random);
        assert!(measured >= 0.97, "{matching} do not match: {measured}");
    }
    let none = Query::nearest("v", vector(&mut random)).filter(field("n").below(0));
    assert_eq!(docs.search(none).wait().expect("hits"), []);
    db.close().wait().expect("closed");
}

#[test]
fn an_index_is_there_after_opening_and_built_anew_when_damaged_or_missing() {
    let (directory, db, _, mut random) = indexed(2_000, Metric::Cosine);
    let path = directory.path();
    db.close().wait().expect("closed");
    let built = index_files(path);
    assert_eq!(built.len(), 1);

    // As it was left: it is used before all of it was checked.
    let db = open_indexing(path, INDEX_FROM);
    let docs = db.collection("docs").wait().expect("there");
    assert!(recall(&docs, |query| query, &mut random) > 0.95);
    assert!(recall(&docs, |query| query.ef(10), &mut random) < 1.0);
    db.optimize().wait().expect("optimized");
    assert_eq!(index_files(path), built, "nothing was built");
    db.close().wait().expect("closed");

    // Damaged in the middle: found while searching, or when it is checked.
    let mut content = fs::read(&built[0]).expect("a file");
    let middle = content.len() / 3;
    content[middle..middle + 64].fill(0x5a);
    fs::write(&built[0], &content).expect("written");
    let db = open_indexing(path, INDEX_FROM);
    let docs = db.collection("docs").wait().expect("there");
    assert!(!db.verify().wait().expect("verified").damaged.is_empty());
    assert!(recall(&docs, |query| query, &mut random) > 0.95);
    db.optimize().wait().expect("optimized");
    let renewed = index_files(path);
    assert_eq!(renewed.len(), 1);
    assert_ne!(renewed, built);
    assert!(db.verify().wait().expect("verified").damaged.is_empty());
    db.close().wait().expect("closed");

    fs::remove_file(&renewed[0]).expect("removed");
    let db = open_indexing(path, INDEX_FROM);
    let docs = db.collection("docs").wait().expect("there");
    assert!(recall(&docs, |query| query, &mut random) > 0.95);
    db.optimize().wait().expect("optimized");
    assert_eq!(index_files(path).len(), 1);
    db.close().wait().expect("closed");
}

#[test]
fn merges_and_snapshots_keep_indexes() {
    let (directory, db, docs, mut random) = indexed(2_000, Metric::Euclidean);
    let path = directory.path();
    db.create_snapshot("first").wait().expect("a snapshot");
    fill(&docs, 1_500..3_000, &mut random);
    db.optimize().wait().expect("optimized");
    assert_eq!(
        index_files(path).len(),
        2,
        "of the snapshot, and of what was merged"
    );
    assert!(recall(&docs, |query| query, &mut random) > 0.95);
    db.restore_snapshot("first").wait().expect("restored");
    let docs = db.collection("docs").wait().expect("there");
    assert_eq!(docs.count().wait().expect("counted"), 2_000);
    assert!(recall(&docs, |query| query, &mut random) > 0.95);
    assert!(recall(&docs, |query| query.ef(10), &mut random) < 1.0);
    let exported = path.join("first.amphora");
    db.export_snapshot("first", &exported)
        .wait()
        .expect("exported");
    db.close().wait().expect("closed");

    let elsewhere = tempfile::tempdir().expect("a directory");
    Database::import(&exported, elsewhere.path().join("db"))
        .wait()
        .expect("imported");
    let db = open_indexing(&elsewhere.path().join("db"), INDEX_FROM);
    db.optimize().wait().expect("optimized");
    let docs = db.collection("docs").wait().expect("there");
    assert!(recall(&docs, |query| query.ef(10), &mut random) < 1.0);
    db.close().wait().expect("closed");
}

#[test]
fn an_index_that_cannot_be_built_holds_up_nothing() {
    let faults = [Kind::Write, Kind::Sync, Kind::Map]
        .into_iter()
        .flat_map(|kind| [EIO, ENOSPC].map(|code| (kind, code)));
    for fault in faults {
        let disk = FailingFiles::of("index-", Some(fault));
        let indexes = || {
            let names = disk.list().expect("a directory").into_iter();
            names.filter(|name| name.starts_with("index-")).count()
        };
        let options = Options {
            memtable_bytes: 32 << 10,
            ..options()
        };
        let db = Database::builder_on(disk.clone()).options(options).open();
        let db = db.wait().expect("it opens");
        let docs = create(&db, Metric::Cosine);
        let mut random = Random(13);
        fill(&docs, 0..2_000, &mut random);
        db.optimize().wait().expect_err("an index is wanting");
        assert_eq!(indexes(), 0, "{fault:?}: what was left of it is removed");
        // Of all segments, through flushes and merges.
        fill(&docs, 1_000..3_000, &mut random);
        assert!(db.health().wait().expect("health").poisoned.is_none());
        assert!(recall(&docs, |query| query, &mut random) > 0.999);

        disk.layer().set(None);
        let patience = std::time::Instant::now();
        while let Err(error) = db.optimize().wait() {
            assert!(patience.elapsed().as_secs() < 30, "{fault:?}: {error}");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(indexes(), 1, "{fault:?}");
        assert_eq!(docs.count().wait().expect("counted"), 3_000);
        assert!(recall(&docs, |query| query.ef(10), &mut random) < 1.0);
        db.close().wait().expect("closed");
    }
}

#[test]
fn many_searches_at_once_answer_as_one_by_one() {
    let (_directory, db, docs, mut random) = indexed(3_000, Metric::Cosine);
    let queries: Vec<Query> = (0..300)
        .map(|number| {
            let query = Query::nearest("v", vector(&mut random)).limit(1 + number % 20);
            match number % 3 {
                0 => query,
                1 => query.filter(field("n").below(number as i64)),
                _ => query.exact(),
            }
        })
        .collect();
    let one_by_one: Vec<Vec<Hit>> = queries
        .iter()
        .map(|query| docs.search(query.clone()).wait().expect("hits"))
        .collect();
    let waited = docs.search_many(queries.clone()).wait();
    assert_eq!(waited.expect("hits"), one_by_one);
    let awaited = pollster::block_on(docs.search_many(queries.clone()));
    assert_eq!(awaited.expect("hits"), one_by_one);

    let mut wrong = queries.clone();
    wrong[42] = Query::nearest("w", vec![1.0; DIMENSIONS]);
    let error = docs.search_many(wrong).wait().expect_err("no such vector");
    assert!(error.to_string().contains("query 42"), "{error}");
    let greedy = vec![queries[0].clone().limit(10_000); 101];
    let error = docs.search_many(greedy).wait().expect_err("too much");
    assert!(
        error.to_string().contains("1010000 hits together"),
        "{error}"
    );
    let op = docs.search_many(queries);
    let error = op.timeout(Duration::ZERO).wait().expect_err("no time");
    assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error}");
    db.close().wait().expect("closed");
}
