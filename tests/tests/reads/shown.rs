//! What reads show of points, and that what they do not show is not read.

use super::new;
use amphora::{
    Collection, ErrorKind, Get, Metric, Point, Projection, Query, Sparse, SparseVector, Vector,
};
use serde_json::{Value, json};

fn point(id: u64) -> Point {
    let weights = SparseVector::new([(7, 0.5)]).unwrap();
    Point::new(id)
        .vector("v", [1.0, 2.0])
        .vector("w", [3.0])
        .multi_vector("m", [[4.0], [5.0]])
        .sparse("s", weights)
        .payload(json!({
            "title": format!("{id}"),
            "author": { "name": "Thoreau", "born": 1817 },
            "editions": [{ "year": 1854, "isbn": id }, 7, { "isbn": 0 }],
        }))
}

/// The payload and the names of the vectors that are shown of point 1, which must be the same whatever reads it.
fn shown(docs: &Collection, payload: &Projection, vectors: &Projection) -> (Value, String) {
    let get = Get::new([1])
        .with_payload(payload.clone())
        .with_vectors(vectors.clone());
    let found = docs.get_by(get).wait().unwrap().remove(0).unwrap();
    let query = Query::nearest("v", [1.0, 1.0])
        .limit(1)
        .with_payload(payload.clone())
        .with_vectors(vectors.clone());
    let hit = docs.search(query).wait().unwrap().remove(0);
    assert_eq!(hit.payload, found.payload);
    assert_eq!(hit.vectors, found.vectors);
    assert_eq!(hit.multi_vectors, found.multi_vectors);
    assert_eq!(hit.sparse_vectors, found.sparse_vectors);
    let names = found.vectors.iter().map(|(name, _)| name);
    let names = names.chain(found.multi_vectors.iter().map(|(name, _)| name));
    let names = names.chain(found.sparse_vectors.iter().map(|(name, _)| name));
    (found.payload.to_value(), names.cloned().collect())
}

#[test]
fn parts_of_payloads_and_vectors_are_shown_wherever_a_point_lies() {
    let (db, docs) = new();
    docs.add_vector("w", Vector::new(1, Metric::Dot))
        .wait()
        .unwrap();
    let multi = Vector::new(1, Metric::Dot).multi();
    docs.add_vector("m", multi).wait().unwrap();
    docs.add_sparse("s", Sparse::new()).wait().unwrap();
    docs.upsert([point(1)]).wait().unwrap();
    let whole = point(1).payload.to_value();
    let author = json!({ "title": "1", "author": { "name": "Thoreau" } });
    let years = json!({ "editions": [{ "year": 1854 }] });
    let rest = json!({ "author": { "born": 1817 }, "editions": [{ "year": 1854 }, 7, {}] });
    for place in ["memory", "segment", "segment with all in one"] {
        let cases = [
            (true.into(), whole.clone()),
            (false.into(), json!({})),
            (
                Projection::include(["title", "author.name", "x.y"]),
                author.clone(),
            ),
            (Projection::include(["editions.year"]), years.clone()),
            (
                Projection::exclude(["title", "author.name", "editions.isbn", "x"]),
                rest.clone(),
            ),
        ];
        for (payload, expected) in cases {
            let (found, _) = shown(&docs, &payload, &true.into());
            assert_eq!(found, expected, "{payload:?} in {place}");
        }
        for (vectors, expected) in [
            (true.into(), "vwms"),
            (false.into(), ""),
            (Projection::include(["w", "s"]), "ws"),
            (Projection::exclude(["w", "s"]), "vm"),
        ] {
            let (_, found) = shown(&docs, &false.into(), &vectors);
            assert_eq!(found, expected, "{vectors:?} in {place}");
        }
        match place {
            "memory" => db.optimize().wait().unwrap(),
            _ => {
                // The nearest stays the same.
                docs.upsert((2..40).map(|id| Point::new(id).vector("v", [0.0, 0.0])))
                    .wait()
                    .unwrap();
                db.optimize().wait().unwrap();
            }
        }
    }
}

#[test]
fn what_cannot_be_shown_is_refused_by_name() {
    let (_, docs) = new();
    docs.upsert([Point::new(1).vector("v", [1.0, 2.0])])
        .wait()
        .unwrap();
    let many = vec!["a"; Projection::MAX_NAMES + 1];
    for (payload, vectors, told) in [
        (true.into(), Projection::include(["none"]), "none"),
        (true.into(), Projection::exclude(["none"]), "none"),
        (Projection::include([""]), false.into(), "empty"),
        (Projection::exclude(many), false.into(), "1001 names"),
    ] {
        let get = Get::new([1])
            .with_payload(payload.clone())
            .with_vectors(vectors.clone());
        let query = Query::nearest("v", [1.0, 2.0])
            .with_payload(payload)
            .with_vectors(vectors);
        for refused in [
            docs.get_by(get).wait().unwrap_err(),
            docs.search(query).wait().unwrap_err(),
        ] {
            assert_eq!(refused.kind(), ErrorKind::InvalidInput);
            assert!(refused.to_string().contains(told), "{refused}");
        }
    }
}
