//! Searching sparse vectors, against every point looked at and scored: in memory, in segments, merged, after
//! edits, reopening and import, with filters, in fused queries, and where one joins the schema later.

use amphora::{
    Collection, Database, Edit, Error, ErrorKind, Field, Fusion, Hit, Limits, Metric, Mmr, Options,
    Point, Query, Schema, Sparse, SparseVector, Text, Vector, field, vfs::MemoryVfs,
};
use amphora_tests::{
    random::Random,
    subject::{Kept, check_wherever_points_lie, open},
    truth::number,
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Range,
};

const LIMIT: usize = 12;
/// How many dimensions points have, of which the first are the most frequent.
const DIMENSIONS: u64 = 60;

fn schema() -> Schema {
    Schema::new()
        .vector("v", Vector::new(2, Metric::Dot))
        .field("part", Field::Integer)
        .text("body", Text::plain())
        .sparse("plain", Sparse::new())
        .sparse("idf", Sparse::new().idf())
}

fn vector(entries: impl IntoIterator<Item = (u32, f32)>) -> SparseVector {
    SparseVector::new(entries).expect("it is one")
}

/// A vector of some dimensions, with weights that 16 bits hold, and of which sums are exact: many
/// points score alike.
fn any_vector(most: u64, random: &mut Random) -> SparseVector {
    let entries: BTreeMap<u32, f32> = (0..random.below(most))
        .map(|_| {
            let dimension = random.below(DIMENSIONS).min(random.below(DIMENSIONS));
            let weight = (1 + random.below(64)) as f32 / 16.0;
            let sign = if random.below(8) == 0 { -1.0 } else { 1.0 };
            (dimension as u32 * 71_000_000, weight * sign)
        })
        .collect();
    vector(entries)
}

/// The vectors of points.
#[derive(Clone)]
struct Vectors {
    vectors: BTreeMap<u64, SparseVector>,
    random: Random,
}

fn in_memory() -> Database {
    let opening = Database::builder_on(MemoryVfs::new()).open();
    opening.wait().expect("it opens")
}

impl Vectors {
    /// The best by scoring everything, each dimension of the query times what `factor` says.
    fn best(
        &self,
        query: &SparseVector,
        factor: impl Fn(u32) -> f64,
        passes: impl Fn(u64) -> bool,
    ) -> Vec<(u64, f64)> {
        let factors: HashMap<u32, f64> = query
            .dimensions()
            .iter()
            .map(|it| (*it, factor(*it)))
            .collect();
        let mut scores = Vec::new();
        for (id, vector) in self.vectors.iter().filter(|(id, _)| passes(**id)) {
            let products: Vec<f64> = query
                .iter()
                .filter_map(|(dimension, weight)| {
                    let at = vector.dimensions().binary_search(&dimension).ok()?;
                    let weight = f64::from(weight) * factors[&dimension];
                    Some(weight * f64::from(vector.weights()[at]))
                })
                .collect();
            if !products.is_empty() {
                scores.push((*id, products.iter().sum()));
            }
        }
        scores.sort_by(|a: &(u64, f64), b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        scores.truncate(LIMIT);
        scores
    }

    fn idf(&self, dimension: u32) -> f64 {
        let has = |vector: &&SparseVector| vector.dimensions().contains(&dimension);
        let (all, with) = (
            self.vectors.len(),
            self.vectors.values().filter(has).count(),
        );
        let (all, with) = (all as f64, with as f64);
        (1.0 + (all - with + 0.5) / (with + 0.5)).ln()
    }
}

impl Kept for Vectors {
    fn fill(&mut self, ids: Range<u64>) -> Vec<Point> {
        let mut points = Vec::new();
        for id in ids {
            let mut point = Point::new(id).payload(json!({ "part": id % 7 }));
            self.vectors.remove(&id);
            // Some have none.
            if id % 11 != 3 {
                let vector = any_vector(14, &mut self.random);
                point = point
                    .sparse("plain", vector.clone())
                    .sparse("idf", vector.clone());
                self.vectors.insert(id, vector);
            }
            points.push(point);
        }
        points
    }

    fn forget(&mut self, ids: Range<u64>) {
        self.vectors.retain(|id, _| !ids.contains(id));
    }

    fn check(&self, docs: &Collection) -> Vec<Vec<Hit>> {
        let mut random = Random(99);
        let search = |query: Query| docs.search(query).wait().expect("hits");
        let mut all = Vec::new();
        for _ in 0..30 {
            let asked = any_vector(7, &mut random);
            let query = Query::sparse("plain", asked.clone()).limit(LIMIT);
            let hits = search(query.clone().with_vectors(true));
            assert_eq!(pairs(&hits), self.best(&asked, |_| 1.0, |_| true));
            for hit in &hits {
                let vector = &self.vectors[&number(&hit.id)];
                let names = ["idf", "plain"].map(|name| (name.to_owned(), vector.clone()));
                assert_eq!(hit.sparse_vectors, names);
            }
            all.push(hits);
            let some = search(query.clone().filter(field("part").at_most(2)));
            let expected = self.best(&asked, |_| 1.0, |id| id % 7 <= 2);
            assert_eq!(pairs(&some), expected);
            let other = Query::sparse("idf", any_vector(7, &mut random)).limit(LIMIT);
            let among = ids(&search(other.clone()));
            let anew = search(query.clone().prefetch(other));
            let expected = self.best(&asked, |_| 1.0, |id| among.contains(&id));
            assert_eq!(pairs(&anew), expected);
            let few = search(query.filter(field("part").eq(9)));
            assert!(few.is_empty());

            let hits = search(Query::sparse("idf", asked.clone()).limit(LIMIT));
            let expected = self.best(&asked, |dimension| self.idf(dimension), |_| true);
            assert_eq!(hits.len(), expected.len());
            for (hit, (_, score)) in hits.iter().zip(expected) {
                assert!(
                    (f64::from(hit.score) - score).abs() < 1e-4,
                    "{hit:?} {score}"
                );
            }
            all.push(hits);
        }
        for id in self.vectors.keys().step_by(37) {
            let point = docs.get(*id).wait().expect("read").expect("there");
            assert_eq!(point.sparse_vectors[1].1, self.vectors[id]);
        }
        all
    }

    fn check_all(&self, docs: &Collection) {
        let asked = vector((0..DIMENSIONS as u32).map(|n| (n * 71_000_000, 1.0)));
        let hits = docs.search(Query::sparse("plain", asked).limit(3_000));
        let hits = hits.wait().expect("hits");
        let filled = self.vectors.iter().filter(|(_, vector)| !vector.is_empty());
        let expected: BTreeSet<u64> = filled.map(|(id, _)| *id).collect();
        assert_eq!(hits.len(), expected.len());
        assert_eq!(ids(&hits).into_iter().collect::<BTreeSet<_>>(), expected);
    }
}

fn pairs(hits: &[Hit]) -> Vec<(u64, f64)> {
    let pair = |hit: &Hit| (number(&hit.id), f64::from(hit.score));
    hits.iter().map(pair).collect()
}

fn ids(hits: &[Hit]) -> Vec<u64> {
    hits.iter().map(|hit| number(&hit.id)).collect()
}

#[test]
fn scores_are_those_of_all_points_wherever_they_lie() {
    let kept = Vectors {
        vectors: BTreeMap::new(),
        random: Random(4),
    };
    check_wherever_points_lie(schema(), kept);
}

#[test]
fn weights_are_the_same_before_and_after_they_are_stored() {
    let db = in_memory();
    let docs = db.create_collection("docs", schema()).wait().expect("new");
    let mut random = Random(8);
    let points: Vec<Point> = (0..500u64)
        .map(|id| {
            let entries = (0..20).map(|n| (n * 3, random.unit() * 7.3));
            Point::new(id).sparse("plain", vector(entries))
        })
        .collect();
    docs.upsert(points.clone()).wait().expect("written");
    let asked = vector((0..20).map(|n| (n * 3, (n as f32).sin() + 0.1)));
    let query = Query::sparse("plain", asked.clone());
    let query = query.limit(500).with_vectors(true);
    let before = docs.search(query.clone()).wait().expect("hits");
    assert_eq!(before.len(), 500);
    for hit in &before {
        let given = &points[number(&hit.id) as usize].sparse_vectors[0].1;
        let rounded = |(dimension, weight)| (dimension, half::f16::from_f32(weight).to_f32());
        let kept = vector(given.iter().map(rounded));
        assert_eq!(hit.sparse_vectors[0].1, kept);
        let products = asked.iter().zip(kept.iter());
        let product = |(a, b): ((u32, f32), (u32, f32))| f64::from(a.1) * f64::from(b.1);
        let score: f64 = products.map(product).sum();
        assert_eq!(hit.score, score as f32);
    }
    db.optimize().wait().expect("a segment");
    assert_eq!(docs.search(query).wait().expect("hits"), before);
    db.close().wait().expect("closed");
}

#[test]
fn a_sparse_vector_joins_and_leaves_the_schema() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = &directory.path().join("db");
    let db = open(path);
    let bare = Schema::new().vector("v", Vector::new(2, Metric::Dot));
    let docs = db.create_collection("docs", bare).wait().expect("new");
    let bare = |id: u64| Point::new(id).vector("v", [1.0, id as f32]);
    docs.upsert((0..20).map(bare)).wait().expect("written");
    db.optimize().wait().expect("a segment");
    docs.upsert((20..30).map(bare)).wait().expect("written");
    let query = || Query::sparse("s", vector([(1, 1.0)]));
    let error = docs.search(query()).wait().expect_err("there is none");
    let said = error.to_string();
    assert!(said.contains("there is no sparse vector \"s\""), "{said}");
    docs.add_sparse("s", Sparse::new()).wait().expect("added");
    let error = docs.add_sparse("s", Sparse::new()).wait();
    assert_eq!(error.expect_err("twice").kind(), ErrorKind::AlreadyExists);
    let error = docs.add_sparse("v", Sparse::new()).wait();
    assert_eq!(error.expect_err("a vector").kind(), ErrorKind::InvalidInput);
    let error = docs.add_vector("s", Vector::new(1, Metric::Dot)).wait();
    assert_eq!(
        error.expect_err("no vector").kind(),
        ErrorKind::InvalidInput
    );
    let find = |docs: &Collection| ids(&docs.search(query()).wait().expect("hits"));
    assert!(find(&docs).is_empty());

    let given = |id: u64| Point::new(id).sparse("s", vector([(1, 30.0 - id as f32), (2, 1.0)]));
    let set = docs.set_vectors([3, 25, 99].map(given)).wait();
    assert_eq!(set.expect("set"), 2);
    let check = |docs: &Collection| {
        assert_eq!(find(docs), [3, 25]);
        let point = docs.get(3).wait().expect("read").expect("there");
        assert_eq!(point.vectors, [("v".to_owned(), vec![1.0, 3.0])]);
        assert_eq!(point.sparse_vectors, given(3).sparse_vectors);
    };
    check(&docs);
    // Edits of payloads write the whole point.
    docs.set_payload([3], json!({ "x": 1 }))
        .wait()
        .expect("set");
    check(&docs);
    db.optimize().wait().expect("merged");
    check(&docs);
    db.close().wait().expect("closed");
    let db = open(path);
    let docs = db.collection("docs").wait().expect("there");
    check(&docs);
    let deleted = docs.apply(Edit::delete_vectors([3], ["s"])).wait();
    assert_eq!(deleted.expect("deleted"), 1);
    assert_eq!(find(&docs), [25]);
    let error = docs.apply(Edit::delete_vectors([3], ["t"])).wait();
    assert_eq!(error.expect_err("no t").kind(), ErrorKind::InvalidInput);

    docs.drop_sparse("s").wait().expect("dropped");
    assert!(docs.search(query()).wait().is_err());
    let point = docs.get(25).wait().expect("read").expect("there");
    assert!(point.sparse_vectors.is_empty());
    // Under the same name, but of its own.
    docs.add_sparse("s", Sparse::new().idf())
        .wait()
        .expect("added");
    assert!(find(&docs).is_empty());
    docs.upsert([given(7)]).wait().expect("written");
    db.optimize().wait().expect("merged");
    assert_eq!(find(&docs), [7]);
    assert_eq!(db.verify().wait().expect("verified").damaged.len(), 0);
    db.close().wait().expect("closed");
}

#[test]
fn a_point_is_found_by_its_last_vector_as_soon_as_it_is_written() {
    let db = in_memory();
    let docs = db.create_collection("docs", schema()).wait().expect("new");
    for round in 0..10u32 {
        let point = Point::new(1).sparse("plain", vector([(7, 1.0), (100 + round, 2.0)]));
        docs.upsert([point]).wait().expect("written");
        for other in 0..10 {
            let query = Query::sparse("plain", vector([(100 + other, 1.0)]));
            let hits = docs.search(query).wait().expect("hits");
            assert_eq!(hits.len(), usize::from(other == round));
        }
        let hits = docs.search(Query::sparse("plain", vector([(7, 1.0)])));
        assert_eq!(hits.wait().expect("hits").len(), 1);
        if round % 3 == 2 {
            db.optimize().wait().expect("optimized");
        }
    }
    docs.delete([1]).wait().expect("deleted");
    let hits = docs.search(Query::sparse("plain", vector([(7, 1.0)])));
    assert!(hits.wait().expect("hits").is_empty());
    db.close().wait().expect("closed");
}

#[test]
fn sparse_vectors_take_part_in_all_that_queries_do() {
    let db = in_memory();
    let docs = db.create_collection("docs", schema()).wait().expect("new");
    let points = (0..60u64).map(|id| {
        let body = format!("heat {}", "of ".repeat(id as usize % 30));
        Point::new(id)
            .vector("v", [1.0, id as f32])
            .sparse(
                "plain",
                vector([(id as u32 % 4, 1.0 + id as f32), (9, 0.5)]),
            )
            .payload(json!({ "body": body, "part": id % 2 }))
    });
    docs.upsert(points).wait().expect("written");
    let sparse = Query::sparse("plain", vector([(1, 1.0), (9, 1.0)])).limit(20);
    let dense = Query::nearest("v", [0.0, 1.0]).exact().limit(20);
    let text = Query::text("body", "heat").limit(20);
    let parts = [&sparse, &dense, &text];
    for _ in 0..2 {
        let odd = || field("part").eq(1);
        let lists = parts.map(|query| {
            let hits = docs.search(query.clone().filter(odd())).wait();
            pairs(&hits.expect("hits"))
        });
        let mut expected: BTreeMap<u64, f64> = BTreeMap::new();
        for list in &lists {
            for (rank, (id, _)) in (1..).zip(list) {
                *expected.entry(*id).or_default() += 1.0 / (60.0 + f64::from(rank));
            }
        }
        let mut expected: Vec<(u64, f64)> = expected.into_iter().collect();
        expected.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let fused = parts
            .into_iter()
            .fold(Query::fuse(Fusion::rrf()), |fused, query| {
                fused.prefetch(query.clone())
            });
        let fused = fused.filter(odd()).with_scores(true).limit(8);
        let hits = docs.search(fused.clone()).wait().expect("hits");
        assert_eq!(hits.len(), 8);
        for (hit, (id, score)) in hits.iter().zip(expected) {
            assert_eq!(number(&hit.id), id);
            assert!((f64::from(hit.score) - score).abs() < 1e-6);
            for (list, score) in lists.iter().zip(&hit.scores) {
                let place = list.iter().position(|(found, _)| *found == id);
                assert_eq!(score.map(|score| score.rank - 1), place);
                let own = place.map(|place| list[place].1);
                assert_eq!(score.map(|score| f64::from(score.score)), own);
            }
        }
        // Many at once, in place and awaited, reranked, in pages, and by how unlike hits are.
        let one_by_one = [&sparse, &fused].map(|query| docs.search(query.clone()).wait());
        let one_by_one = one_by_one.map(|hits| hits.expect("hits"));
        let many = docs.search_many([sparse.clone(), fused.clone()]).wait();
        assert_eq!(many.expect("answers"), one_by_one);
        let awaited = smol::block_on(async { docs.search(fused.clone()).await });
        assert_eq!(awaited.expect("hits"), one_by_one[1]);
        let reversed = docs.search_reranked(sparse.clone(), async |mut hits| {
            hits.reverse();
            Ok::<_, Error>(hits)
        });
        let reversed = pollster::block_on(reversed).expect("hits");
        assert!(reversed.iter().rev().eq(&one_by_one[0]));
        let page = docs.search(sparse.clone().offset(3).limit(5)).wait();
        assert_eq!(page.expect("hits"), one_by_one[0][3..8]);
        let least = one_by_one[0][4].score;
        let above = docs.search(sparse.clone().score_threshold(least)).wait();
        assert_eq!(above.expect("hits"), one_by_one[0][..5]);
        let unlike = sparse.clone().limit(3).mmr(Mmr::new(0.5).vector("v"));
        let unlike = docs.search(unlike).wait().expect("hits");
        assert_eq!((unlike.len(), &unlike[0].id), (3, &one_by_one[0][0].id));
        db.optimize().wait().expect("a segment");
    }
    db.close().wait().expect("closed");
}

#[test]
fn what_is_bad_is_refused_before_anything_is_written() {
    let db = in_memory();
    let docs = db.create_collection("docs", schema()).wait().expect("new");
    let good = || Point::new(1).sparse("plain", vector([(1, 1.0)]));
    for (point, expected) in [
        (
            Point::new(2).sparse("other", vector([])),
            "no sparse vector \"other\"",
        ),
        (
            Point::new(2).sparse("v", vector([])),
            "no sparse vector \"v\"",
        ),
        (Point::new(2).vector("plain", [1.0]), "no vector \"plain\""),
        (
            Point::new(2).sparse("plain", vector([(3, 1.0), (5, 65_505.0)])),
            "the weight of dimension 5 is 65505; expected at most 65504.0",
        ),
        (
            Point::new(2)
                .sparse("idf", vector([]))
                .sparse("idf", vector([])),
            "\"idf\" is given twice",
        ),
    ] {
        let error = docs.upsert([good(), point]).wait().expect_err("it is bad");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        let said = error.to_string();
        assert!(
            said.contains(expected) && said.contains("id \"2\""),
            "{said}"
        );
    }
    assert_eq!(docs.count().wait().expect("counted"), 0);
    docs.upsert([good()]).wait().expect("written");
    let many = vector((0..4_097).map(|n| (n, 1.0)));
    for (query, expected) in [
        (Query::sparse("v", vector([])), "no sparse vector \"v\""),
        (
            Query::sparse("plain", many),
            "4097 entries; expected at most 4096",
        ),
        (Query::sparse("plain", vector([])).limit(0), "limit"),
        (
            Query::sparse("plain", vector([])).mmr(0.5),
            "names no vector",
        ),
        (Query::nearest("plain", [1.0]), "no vector \"plain\""),
    ] {
        let error = docs.search(query).wait().expect_err("it cannot run");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let nothing = docs.search(Query::sparse("plain", vector([]))).wait();
    assert!(nothing.expect("no hits").is_empty());

    let both = schema().sparse("v", Sparse::new());
    let error = db.create_collection("both", both).wait();
    let error = error.expect_err("a name is one's");
    assert!(
        error.to_string().contains("\"v\" is a vector and a sparse"),
        "{error}"
    );
    let many = (0..65).fold(Schema::new(), |schema, n| {
        schema.sparse(n.to_string(), Sparse::new())
    });
    let error = db.create_collection("many", many).wait();
    let error = error.expect_err("too many");
    assert!(error.to_string().contains("65 sparse vectors"), "{error}");
    db.close().wait().expect("closed");
}

#[test]
fn vectors_may_be_as_large_as_is_said() {
    let options = Options {
        limits: Limits {
            sparse_entries: SparseVector::MAX_ENTRIES,
            ..Limits::default()
        },
        ..Options::default()
    };
    let db = Database::builder_on(MemoryVfs::new()).options(options);
    let db = db.open().wait().expect("it opens");
    let docs = db.create_collection("docs", schema()).wait().expect("new");
    let most = SparseVector::MAX_ENTRIES as u32;
    let large = vector((0..most).map(|n| (u32::MAX - n * 65_000, 65_504.0)));
    let points = [
        Point::new(1)
            .sparse("plain", large.clone())
            .sparse("idf", large.clone()),
        Point::new(2).sparse("plain", vector([(u32::MAX, -65_504.0)])),
        Point::new(3).sparse("plain", vector([])),
    ];
    docs.upsert(points).wait().expect("written");
    let huge = vector(large.iter().map(|(dimension, _)| (dimension, 1e16)));
    for _ in 0..2 {
        let query = Query::sparse("plain", huge.clone()).with_vectors(true);
        let hits = docs.search(query).wait().expect("hits");
        assert_eq!(ids(&hits), [1, 2]);
        assert!(hits.iter().all(|hit| hit.score.is_finite()));
        assert_eq!(hits[0].sparse_vectors[1].1, large);
        let empty = docs.get(3).wait().expect("read").expect("there");
        assert_eq!(empty.sparse_vectors, [("plain".to_owned(), vector([]))]);
        db.optimize().wait().expect("a segment");
    }
    assert_eq!(db.verify().wait().expect("verified").damaged.len(), 0);
    db.close().wait().expect("closed");
}
