//! Points, batches and schemas that are refused.

use super::{Case, check, good, nested, refusal};
use amphora::{Field, Hnsw, Metric, Point, Quantization, Schema, Vector};
use serde_json::{Map, Value, json};

fn with(name: &'static str, values: &'static [f32]) -> Point {
    Point::new(9).vector(name, values)
}

fn listing(name: &'static str, list: Vec<Vec<f32>>) -> Point {
    Point::new(9).multi_vector(name, list)
}

fn carrying(payload: Value) -> Point {
    Point::new(9).payload(payload)
}

/// An object with one key. The `json!` macro would copy the value by recursion.
fn holding(value: Value) -> Value {
    Value::Object(Map::from_iter([("a".to_owned(), value)]))
}

#[test]
fn vectors() {
    check(&[
        Case {
            name: "too short",
            refused: |_, docs| refusal(|| docs.upsert([with("dot", &[1.0, 2.0])])),
            says: &["\"dot\"", "found 2 dimensions", "expected 3", "id \"9\""],
        },
        Case {
            name: "too long",
            refused: |_, docs| refusal(|| docs.upsert([with("dot", &[1.0; 4])])),
            says: &["found 4 dimensions", "expected 3"],
        },
        Case {
            name: "empty",
            refused: |_, docs| refusal(|| docs.upsert([with("dot", &[])])),
            says: &["found 0 dimensions", "expected 3"],
        },
        Case {
            name: "not a number",
            refused: |_, docs| refusal(|| docs.upsert([with("dot", &[1.0, f32::NAN, 1.0])])),
            says: &["dimension 1 is NaN", "expected a finite number"],
        },
        Case {
            name: "infinity",
            refused: |_, docs| refusal(|| docs.upsert([with("dot", &[1.0, 1.0, f32::INFINITY])])),
            says: &["dimension 2 is inf", "expected a finite number"],
        },
        Case {
            name: "negative infinity",
            refused: |_, docs| refusal(|| docs.upsert([with("dot", &[-f32::INFINITY, 0.0, 0.0])])),
            says: &["dimension 0 is -inf"],
        },
        Case {
            name: "too large",
            refused: |_, docs| refusal(|| docs.upsert([with("dot", &[f32::MAX, 0.0, 0.0])])),
            says: &["dimension 0", "at most 1e16"],
        },
        Case {
            name: "zero under cosine",
            refused: |_, docs| refusal(|| docs.upsert([with("cosine", &[0.0, -0.0, 0.0])])),
            says: &["\"cosine\"", "zero vector", "expected at least"],
        },
        Case {
            name: "almost zero under cosine",
            refused: |_, docs| refusal(|| docs.upsert([with("cosine", &[1e-30, 0.0, 0.0])])),
            says: &["expected at least"],
        },
        Case {
            name: "too large for 16 bits",
            refused: |_, docs| refusal(|| docs.upsert([with("half", &[1.0, 65_505.0, 0.0])])),
            says: &["\"half\"", "dimension 1 is 65505", "at most 65504"],
        },
        Case {
            name: "not a number of 16 bits",
            refused: |_, docs| refusal(|| docs.upsert([with("half", &[0.0, 1.0, f32::NAN])])),
            says: &["dimension 2 is NaN", "at most 65504"],
        },
        Case {
            name: "zero under cosine once it is rounded",
            refused: |_, docs| refusal(|| docs.upsert([with("half", &[1e-8; 3])])),
            says: &["rounded to 16 bits", "zero vector"],
        },
        Case {
            name: "one where a list is expected",
            refused: |_, docs| refusal(|| docs.upsert([with("list", &[1.0, 2.0])])),
            says: &["\"list\"", "found one vector; expected a list", "id \"9\""],
        },
        Case {
            name: "a list where one is expected",
            refused: |_, docs| refusal(|| docs.upsert([listing("dot", vec![vec![1.0; 3]])])),
            says: &["\"dot\"", "found a list of vectors; expected one"],
        },
        Case {
            name: "an empty list",
            refused: |_, docs| refusal(|| docs.upsert([listing("list", Vec::new())])),
            says: &["\"list\"", "found 0 vectors; expected 1 to 4096"],
        },
        Case {
            name: "too long a list",
            refused: |_, docs| {
                refusal(|| docs.upsert([listing("list", vec![vec![1.0; 2]; 4_097])]))
            },
            says: &["found 4097 vectors; expected 1 to 4096"],
        },
        Case {
            name: "a list of which one is too short",
            refused: |_, docs| {
                refusal(|| docs.upsert([listing("list", vec![vec![1.0; 2], vec![1.0]])]))
            },
            says: &["number 1 of a list", "found 1 dimensions; expected 2"],
        },
        Case {
            name: "a list of which one is zero under cosine",
            refused: |_, docs| refusal(|| docs.upsert([listing("list", vec![vec![0.0; 2]])])),
            says: &["number 0 of a list", "zero vector"],
        },
        Case {
            name: "a list given twice",
            refused: |_, docs| {
                let list = || vec![vec![1.0; 2]];
                refusal(|| docs.upsert([listing("list", list()).multi_vector("list", list())]))
            },
            says: &["\"list\" is given twice"],
        },
        Case {
            name: "unknown",
            refused: |_, docs| refusal(|| docs.upsert([with("dott", &[1.0; 3])])),
            says: &["no vector \"dott\"", "\"cosine\", \"dot\", \"half\""],
        },
        Case {
            name: "given twice",
            refused: |_, docs| {
                refusal(|| docs.upsert([with("dot", &[1.0; 3]).vector("dot", [2.0; 3])]))
            },
            says: &["\"dot\" is given twice"],
        },
    ]);
}

#[test]
fn payloads() {
    check(&[
        Case {
            name: "a number for a string",
            refused: |_, docs| refusal(|| docs.upsert([carrying(json!({ "work": 1 }))])),
            says: &["\"work\"", "a string"],
        },
        Case {
            name: "a string for an integer",
            refused: |_, docs| refusal(|| docs.upsert([carrying(json!({ "year": "1854" }))])),
            says: &["\"year\"", "an integer"],
        },
        Case {
            name: "a fraction for an integer",
            refused: |_, docs| refusal(|| docs.upsert([carrying(json!({ "year": 1854.5 }))])),
            says: &["\"year\"", "an integer"],
        },
        Case {
            name: "a boolean for a number",
            refused: |_, docs| refusal(|| docs.upsert([carrying(json!({ "weight": true }))])),
            says: &["\"weight\"", "a number"],
        },
        Case {
            name: "a number for a boolean",
            refused: |_, docs| refusal(|| docs.upsert([carrying(json!({ "draft": 0 }))])),
            says: &["\"draft\"", "a boolean"],
        },
        Case {
            name: "an object for a string",
            refused: |_, docs| refusal(|| docs.upsert([carrying(json!({ "work": {} }))])),
            says: &["\"work\"", "a string"],
        },
        Case {
            name: "one wrong item",
            refused: |_, docs| refusal(|| docs.upsert([carrying(json!({ "work": ["a", 1] }))])),
            says: &["\"work\"", "an array of such"],
        },
        Case {
            name: "10,000 levels of arrays",
            refused: |_, docs| refusal(|| docs.upsert([carrying(holding(nested(10_000)))])),
            says: &["nested deeper than 64 levels"],
        },
        Case {
            name: "10,000 levels of objects",
            refused: |_, docs| {
                let deep = || (0..10_000).fold(Value::Null, |inner, _| holding(inner));
                refusal(|| docs.upsert([carrying(deep())]))
            },
            says: &["nested deeper than 64 levels"],
        },
        Case {
            name: "one level too many",
            refused: |_, docs| refusal(|| docs.upsert([carrying(holding(nested(63)))])),
            says: &["nested deeper than 64 levels"],
        },
        Case {
            name: "too big",
            refused: |_, docs| {
                refusal(|| docs.upsert([carrying(json!({ "text": "x".repeat(64 << 10) }))]))
            },
            says: &["the payload has 65", "expected at most 65536"],
        },
        Case {
            name: "an array",
            refused: |_, docs| refusal(|| docs.upsert([carrying(json!([1]))])),
            says: &["a payload is an array", "expected a JSON object"],
        },
        Case {
            name: "null",
            refused: |_, docs| refusal(|| docs.upsert([carrying(Value::Null)])),
            says: &["a payload is null", "expected a JSON object"],
        },
        Case {
            name: "a string",
            refused: |_, docs| refusal(|| docs.upsert([carrying(json!("{}"))])),
            says: &["a payload is a string", "expected a JSON object"],
        },
    ]);
}

#[test]
fn batches_and_ids() {
    check(&[
        Case {
            name: "no points",
            refused: |_, docs| refusal(|| docs.upsert([])),
            says: &["no points", "expected 1 to 1000"],
        },
        Case {
            name: "too many points",
            refused: |_, docs| refusal(|| docs.upsert((0..1_001).map(Point::new))),
            says: &["too many points", "expected 1 to 1000"],
        },
        Case {
            name: "points without end",
            refused: |_, docs| refusal(|| docs.upsert((0..).map(|n: u64| Point::new(n)))),
            says: &["too many points", "expected 1 to 1000"],
        },
        Case {
            name: "too many bytes",
            refused: |_, docs| {
                let payload = json!({ "text": "x".repeat(60 << 10) });
                let point = |n| Point::new(n).payload(payload.clone());
                refusal(|| docs.upsert((0..5).map(point)))
            },
            says: &["more than 262144 bytes"],
        },
        Case {
            name: "one bad point among good ones",
            refused: |_, docs| refusal(|| docs.upsert([good(5), with("dot", &[1.0]), good(6)])),
            says: &["point 1, id \"9\"", "expected 3"],
        },
        Case {
            name: "one bad point in a batch that is prepared on a pool",
            refused: |_, docs| {
                let many = || (10..900).map(good).chain([with("dot", &[1.0])]);
                refusal(|| docs.upsert(many()))
            },
            says: &["point 890, id \"9\"", "expected 3"],
        },
        Case {
            name: "an empty id",
            refused: |_, docs| refusal(|| docs.upsert([Point::new("")])),
            says: &["id is an empty string", "expected 1 to 255"],
        },
        Case {
            name: "a long id",
            refused: |_, docs| refusal(|| docs.upsert([Point::new("i".repeat(256))])),
            says: &["256 bytes", "expected 1 to 255"],
        },
        Case {
            name: "a very long id",
            refused: |_, docs| refusal(|| docs.upsert([Point::new("\0".repeat(1 << 16))])),
            says: &["65536 bytes", "expected 1 to 255"],
        },
        Case {
            name: "nothing to delete",
            refused: |_, docs| refusal(|| docs.delete([0u64; 0])),
            says: &["no ids", "expected 1 to 1000"],
        },
        Case {
            name: "too much to delete",
            refused: |_, docs| refusal(|| docs.delete(0..1_001)),
            says: &["too many ids", "expected 1 to 1000"],
        },
        Case {
            name: "deletes an empty id",
            refused: |_, docs| refusal(|| docs.delete(["good", ""])),
            says: &["id is an empty string"],
        },
    ]);
}

#[test]
fn schemas() {
    check(&[
        Case {
            name: "no dimensions",
            refused: |db, _| {
                let schema = || Schema::new().vector("v", Vector::new(0, Metric::Dot));
                refusal(|| db.create_collection("new", schema()))
            },
            says: &["\"v\" has 0 dimensions", "expected 1 to 65535"],
        },
        Case {
            name: "too many dimensions",
            refused: |db, _| {
                let schema = || Schema::new().vector("v", Vector::new(65_536, Metric::Dot));
                refusal(|| db.create_collection("new", schema()))
            },
            says: &["65536 dimensions", "expected 1 to 65535"],
        },
        Case {
            name: "too many vectors",
            refused: |db, _| {
                let schema = (0..65).fold(Schema::new(), |schema, n| {
                    schema.vector(format!("v{n}"), Vector::new(1, Metric::Dot))
                });
                refusal(|| db.create_collection("new", schema.clone()))
            },
            says: &["65 vectors", "at most 64"],
        },
        Case {
            name: "too many fields",
            refused: |db, _| {
                let schema = (0..1_025).fold(Schema::new(), |schema, n| {
                    schema.field(format!("f{n}"), Field::Bool)
                });
                refusal(|| db.create_collection("new", schema.clone()))
            },
            says: &["1025 fields", "at most 1024"],
        },
        Case {
            name: "a vector without a name",
            refused: |db, _| {
                let schema = || Schema::new().vector("", Vector::new(1, Metric::Dot));
                refusal(|| db.create_collection("new", schema()))
            },
            says: &["the name of a vector is empty"],
        },
        Case {
            name: "a field with a control character",
            refused: |db, _| {
                let schema = || Schema::new().field("a\u{7}b", Field::Bool);
                refusal(|| db.create_collection("new", schema()))
            },
            says: &["the name of a field", "control character"],
        },
        Case {
            name: "a graph of too few links",
            refused: |db, _| refusal(|| db.create_collection("new", linked(3, 100))),
            says: &["vector \"v\": m is 3; expected 4 to 128"],
        },
        Case {
            name: "a graph of too many links",
            refused: |db, _| refusal(|| db.create_collection("new", linked(129, 200))),
            says: &["m is 129; expected 4 to 128"],
        },
        Case {
            name: "a graph built with fewer candidates than links",
            refused: |db, _| refusal(|| db.create_collection("new", linked(16, 15))),
            says: &["ef_construction is 15; expected 16 to 4096"],
        },
        Case {
            name: "a graph built with too many candidates",
            refused: |db, _| refusal(|| db.create_collection("new", linked(16, 4_097))),
            says: &["ef_construction is 4097; expected 16 to 4096"],
        },
        Case {
            name: "bits under manhattan",
            refused: |db, _| {
                let vector = Vector::new(2, Metric::Manhattan);
                let schema =
                    || Schema::new().vector("v", vector.clone().quantization(Quantization::Binary));
                refusal(|| db.create_collection("new", schema()))
            },
            says: &["vector \"v\": binary quantization", "manhattan"],
        },
    ]);
}

fn linked(m: u32, ef_construction: u32) -> Schema {
    let hnsw = Hnsw { m, ef_construction };
    Schema::new().vector("v", Vector::new(2, Metric::Dot).hnsw(hnsw))
}
