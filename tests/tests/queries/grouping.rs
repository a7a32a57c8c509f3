//! Hits put together by a field, and the nearest within a sample.

use super::{DIMENSIONS, Subject, VECTORS, filters, number, ranked};
use amphora::{
    Collection, Database, DistanceMatrix, ErrorKind, Field, Fusion, Group, GroupBy, Metric, Mmr,
    OrderBy, Point, Query, Schema, Vector, field, vfs::MemoryVfs,
};
use amphora_tests::nearest;
use serde_json::{Value, json};

/// The different values of a field of a point.
fn keys(point: &Point, field: &str) -> Vec<Value> {
    let values = match point.payload.get(field) {
        Some(Value::Array(items)) => items.clone(),
        value => value.cloned().into_iter().collect(),
    };
    let mut keys: Vec<Value> = Vec::new();
    for value in values {
        if !value.is_null() && !keys.contains(&value) {
            keys.push(value);
        }
    }
    keys
}

/// The groups of a whole list of hits.
fn model(subject: &Subject, list: &[(f32, u64)], by: &GroupBy) -> Vec<(Value, Vec<(f32, u64)>)> {
    let mut groups: Vec<(Value, Vec<(f32, u64)>)> = Vec::new();
    for (score, id) in list {
        let mut keys = keys(&subject.points[id], &by.field);
        // Of one point numbers come first, then strings.
        keys.sort_by(|a, b| {
            let texts = a.is_string().cmp(&b.is_string());
            texts.then_with(|| a.as_f64().partial_cmp(&b.as_f64()).expect("finite"))
        });
        for key in keys {
            match groups.iter_mut().find(|(known, _)| *known == key) {
                Some((_, hits)) if hits.len() < by.size => hits.push((*score, *id)),
                Some(_) => {}
                None => groups.push((key, vec![(*score, *id)])),
            }
        }
    }
    groups
}

fn search(docs: &Collection, query: Query, by: GroupBy) -> Vec<Group> {
    docs.search_groups(query, by).wait().expect("groups")
}

fn plain(groups: &[Group]) -> Vec<(Value, Vec<(f32, u64)>)> {
    let plain = |group: &Group| (group.key.clone(), ranked(&group.hits));
    groups.iter().map(plain).collect()
}

#[test]
fn groups_are_those_of_all_hits_together() {
    Subject::everywhere(|subject| {
        let nearest = || Query::nearest("euclidean", [1.0, 0.0, 2.0, -1.0]).exact();
        let fused = Query::fuse(Fusion::rrf())
            .prefetch(nearest().limit(500))
            .prefetch(Query::order_by(OrderBy::ascending("n")).limit(500))
            .with_scores(true);
        let queries = [
            nearest(),
            nearest().filter(filters()[0].0.clone()),
            nearest().score_threshold(-4.0),
            Query::sparse("words", super::words(&mut subject.random.clone())),
            Query::order_by(OrderBy::descending("rank")),
            Query::random(5),
            fused,
        ];
        for query in queries {
            let all = ranked(&subject.search(query.clone().limit(500)));
            for field in ["group", "name", "flag", "mixed", "n", "absent"] {
                for (limit, size, offset) in [(1, 1, 0), (3, 2, 0), (5, 20, 1), (400, 3, 0)] {
                    let by = GroupBy::new(field).size(size);
                    let mut expected = model(subject, &all, &by);
                    expected.drain(..offset.min(expected.len()));
                    expected.truncate(limit);
                    let asked = query
                        .clone()
                        .limit(limit)
                        .offset(offset)
                        .with_payload(false);
                    let groups = search(&subject.docs, asked, by);
                    assert_eq!(plain(&groups), expected, "{field} {limit} {size}");
                    for hit in groups.iter().flat_map(|group| &group.hits) {
                        assert!(hit.payload.is_empty());
                        let is_scored = hit.scores.iter().any(Option::is_some);
                        assert_eq!(is_scored, query.with_scores);
                    }
                }
            }
        }
    });
}

/// What is asked for on the way to full groups is no one's mistake.
#[test]
fn groups_are_refused_by_what_was_asked_alone() {
    let db = Database::builder_on(MemoryVfs::new()).open().wait();
    let db = db.expect("it opens");
    let schema = Schema::new()
        .vector("v", Vector::new(2, Metric::Euclidean))
        .field("key", Field::Keyword);
    let docs = db.create_collection("docs", schema).wait().expect("new");
    let point = |id: u64| {
        let key = match id % 500 {
            0 => json!("k".repeat(70_000)),
            1 => json!("another"),
            _ => json!("the same"),
        };
        Point::new(id).vector("v", [1.0, id as f32]).payload(
            json!({ "key": key, "number": if id.is_multiple_of(2) { json!(7) } else { json!(7.0) } }),
        )
    };
    docs.upsert((0..2_000).map(point)).wait().expect("written");
    db.optimize().wait().expect("indexed");
    let by = || GroupBy::new("key");
    let nearest = || Query::nearest("v", [1.0, 0.0]);
    let many = (0..1_020)
        .map(|id| field("key").eq(id))
        .chain([!field("key").eq(-1)]);
    for query in [
        nearest().oversampling(9.0),
        nearest().filter(many.reduce(|all, one| all | one).expect("some")),
        Query::fuse(Fusion::rrf()).prefetch(nearest().mmr(Mmr::new(0.5).candidates(100))),
        Query::fuse(Fusion::rrf()).prefetch(nearest().offset(10)),
    ] {
        let groups = search(&docs, query.limit(4), by());
        assert!(!groups.is_empty() && groups.len() <= 4);
    }
    let numbers = GroupBy::new("number").lookup("docs");
    for group in search(&docs, nearest().offset(0), numbers) {
        assert_eq!(group.key, json!(7));
        assert_eq!(group.lookup.map(|it| number(&it.id)), Some(7));
    }
    let groups = search(&docs, nearest().exact().limit(3), by());
    let sizes: Vec<usize> = groups.iter().map(|group| group.hits.len()).collect();
    // Of long strings there are the hits that were found anyway.
    assert!(groups.len() == 3 && sizes.iter().all(|size| (1..=3).contains(size)));
    assert_eq!(
        sizes.iter().filter(|size| **size == 3).count(),
        2,
        "{sizes:?}"
    );
}

#[test]
fn keys_are_looked_up_elsewhere() {
    Subject::everywhere(|subject| {
        let name = format!("other {}", subject.points.len());
        let made = subject.db.create_collection(&name, Schema::new()).wait();
        let Ok(other) = made else { return };
        let point = |id: u64| Point::new(id).payload(json!({ "number": id }));
        other.upsert((0..6).map(point)).wait().expect("written");
        let x = Point::new("x").payload(json!({ "number": "x" }));
        other.upsert([x]).wait().expect("written");
        let by = || GroupBy::new("group").lookup(&name);
        for group in search(&subject.docs, Query::random(1).limit(50), by()) {
            let expected = match group.key.as_u64() {
                Some(number) => number < 6,
                None => group.key == "x",
            };
            let found = group
                .lookup
                .map(|point| point.payload.get("number").cloned());
            assert_eq!(found, expected.then(|| Some(group.key.clone())));
        }
        // In the collection itself.
        let by = GroupBy::new("third").lookup("docs");
        for group in search(&subject.docs, Query::random(1), by) {
            let id = group.key.as_u64().expect("a number");
            let there = subject.points.contains_key(&id);
            assert_eq!(
                group.lookup.map(|point| number(&point.id)),
                there.then_some(id)
            );
        }
        subject.db.delete_collection(&name).wait().expect("deleted");
        let refused = |query: Query, by: GroupBy, kind, says: &str| {
            let error = subject.docs.search_groups(query, by).wait().unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(says), "{error}");
        };
        let wrong = ErrorKind::InvalidInput;
        let any = || Query::random(1);
        let by = GroupBy::new("third").lookup("nowhere");
        refused(any(), by, ErrorKind::NotFound, "nowhere");
        refused(any(), GroupBy::new(""), wrong, "empty");
        refused(any(), GroupBy::new("n").size(0), wrong, "of 0 hits each");
        refused(any().limit(0), GroupBy::new("n"), wrong, "0 groups");
        refused(
            any().limit(5_000),
            GroupBy::new("n"),
            wrong,
            "at most 10000 hits together",
        );
        refused(
            any().mmr(Mmr::new(0.5)),
            GroupBy::new("n"),
            wrong,
            "has an MMR",
        );
    });
}

#[test]
fn a_matrix_has_the_nearest_of_each_among_the_sample() {
    Subject::everywhere(|subject| {
        for (name, metric) in VECTORS {
            for (sample, limit) in [(1, 1), (20, 3), (500, 7)] {
                for (filter, keep) in filters() {
                    let question = DistanceMatrix::new(name)
                        .seed(3)
                        .sample(sample)
                        .limit(limit);
                    let answer = subject.docs.distance_matrix(question.filter(filter)).wait();
                    let answer = answer.expect("a matrix");
                    let has = |id: u64| keep(id) && subject.vector(id, name).is_some();
                    let there = subject.points.keys().filter(|id| has(**id)).count();
                    assert_eq!(answer.len(), there.min(sample));
                    assert!(answer.is_sorted_by(|a, b| a.id < b.id));
                    let ids: Vec<u64> = answer.iter().map(|it| number(&it.id)).collect();
                    assert!(ids.iter().all(|id| has(*id)));
                    for (own, id) in answer.iter().zip(&ids) {
                        let score = |other: &u64| {
                            let vector = |id| subject.vector(id, name).expect("it has one");
                            nearest::score(metric, vector(*id), vector(*other)).0 as f32
                        };
                        let others = ids.iter().filter(|other| *other != id);
                        let mut all: Vec<(f32, u64)> = others.map(|it| (score(it), *it)).collect();
                        super::sort(&mut all);
                        assert_eq!(own.nearest.len(), all.len().min(limit));
                        for ((other, found), (expected, at)) in own.nearest.iter().zip(all) {
                            assert!((found - expected).abs() < 1e-4, "{id} {other}");
                            assert!(metric == Metric::Cosine || number(other) == at);
                            assert!((found - score(&number(other))).abs() < 1e-4);
                        }
                    }
                }
            }
        }
        let refused = |question: DistanceMatrix, says: &str| {
            let error = subject.docs.distance_matrix(question).wait().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(error.to_string().contains(says), "{error}");
        };
        refused(DistanceMatrix::new("absent"), "no vector \"absent\"");
        refused(DistanceMatrix::new("dot").sample(0), "of 0 points");
        refused(DistanceMatrix::new("dot").limit(0), "the 0 nearest");
        refused(
            DistanceMatrix::new("dot").sample(10_001),
            "at most 10000 points",
        );
        refused(
            DistanceMatrix::new("dot").sample(10_000).limit(101),
            "at most 1000000 scores",
        );
        let lists = Vector::new(DIMENSIONS as u32, Metric::Dot).multi();
        let schema = Schema::new().vector("list", lists);
        if let Ok(other) = subject.db.create_collection("lists", schema).wait() {
            let error = other
                .distance_matrix(DistanceMatrix::new("list"))
                .wait()
                .unwrap_err();
            assert!(error.to_string().contains("a list"), "{error}");
            subject
                .db
                .delete_collection("lists")
                .wait()
                .expect("deleted");
        }
    });
}
