//! What is written is read back as it was, whatever it is; what cannot be read is named; no depth does harm.

mod draw;

use crate::{
    id::PointId,
    payload::Payload,
    point::Point,
    query::{
        CountEstimate, Decay, DistanceMatrix, Example, Explained, ExplainedPart, ExplainedQuery,
        Expr, Facet, FacetHit, Filter, Fusion, Get, Group, GroupBy, Neighbors, OrderBy, Projection,
        Query, Scroll, ScrollPage, Strategy as Way, TextQuery,
    },
};
use proptest::{collection::vec, option::of, prelude::*};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{fmt::Debug, time::Duration};
use uuid::Uuid;

/// What is written is read back, as text and as a [`Value`].
fn travels<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let json = serde_json::to_string(value).unwrap();
    let read: T = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{json}: {error}"));
    assert_eq!(&read, value, "{json}");
    let tree = serde_json::to_value(value).unwrap();
    assert_eq!(&serde_json::from_value::<T>(tree).unwrap(), value, "{json}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn queries_travel(query in draw::query()) {
        travels(&query);
    }

    #[test]
    fn what_queries_are_made_of_travels(
        formula in draw::formula(), text in draw::text(), filter in draw::filter(), fusion in draw::fusion(), order in draw::order(),
        mmr in draw::mmr(), projection in draw::projection(), effort in draw::effort(),
    ) {
        travels(&formula);
        travels(&text);
        travels(&filter);
        travels(&fusion);
        travels(&order);
        travels(&mmr);
        travels(&projection);
        travels(&effort);
    }

    #[test]
    fn points_and_hits_travel(point in draw::point(), hit in draw::hit(), key in draw::value()) {
        travels(&point);
        travels(&hit);
        travels(&Group { key, hits: vec![hit], lookup: Some(point) });
    }

    #[test]
    fn other_questions_travel(
        ids in vec(draw::id(), 0..3), with_payload in draw::projection(), with_vectors in draw::projection(), scroll in draw::scroll(),
        name in draw::name(), filter in of(draw::filter()), number in any::<usize>(), seed in any::<u64>(),
        lookup in of(draw::name()),
    ) {
        travels(&Get { ids, with_payload, with_vectors });
        travels(&scroll);
        let (limit, sample, size) = (number, number, number);
        let approximate = seed % 2 == 0;
        travels(&Facet { field: name.clone(), filter: filter.clone(), limit, approximate });
        travels(&DistanceMatrix { vector: name.clone(), sample, limit, seed, filter });
        travels(&GroupBy { field: name, size, lookup });
    }

    #[test]
    fn other_answers_travel(
        points in vec(draw::point(), 0..3), next in of(draw::cursor()), nearest in vec((draw::id(), draw::float()), 0..3), id in draw::id(),
        value in draw::value(), count in any::<u64>(), why in draw::name(), ef in any::<usize>(),
    ) {
        travels(&ScrollPage { points, next });
        travels(&Neighbors { id, nearest });
        travels(&FacetHit { value, count });
        travels(&CountEstimate { least: 0, most: count });
        let took = Duration::from_nanos(count);
        for strategy in [
            Way::OneByOne, Way::Matches, Way::Walk { ef }, Way::WalkMatches { ef },
        ] {
            let part = ExplainedPart {
                segment: Some(count), rows: count, strategy, gave_up: ef % 2 == 0, why: why.clone(), estimated: None,
                matches: Some(count), visited: 1, glanced: 2, compared: 3, planning: took, finding: took, comparing: took,
            };
            let inner = ExplainedQuery {
                kind: "nearest".into(), found: ef, took, parts: vec![part], prefetches: Vec::new(),
            };
            let query = ExplainedQuery {
                kind: "fuse".into(), found: ef, took, parts: Vec::new(), prefetches: vec![inner],
            };
            travels(&Explained { query, hits: ef, reading: took, took });
        }
    }

    /// Text of the grammar that says nothing at all.
    #[test]
    fn no_json_panics(text in r#"([\[\]{},:]|"(nearest|text|formula|sum|\$score|must|key|match|id)"|[0-9-]|\PC){0,30}"#) {
        let _ = serde_json::from_str::<Query>(&text);
        let _ = serde_json::from_str::<Expr>(&text);
        let _ = serde_json::from_str::<TextQuery>(&text);
        let _ = serde_json::from_str::<Point>(&text);
    }
}

#[test]
fn a_decay_travels_as_the_formula_that_it_is() {
    let decay = Decay::linear(Expr::field("a"));
    let decay = decay.target(2.0).scale(3.0).midpoint(0.25);
    travels(&decay);
    let json = serde_json::to_string(&Expr::from(decay.clone())).unwrap();
    assert_eq!(serde_json::to_string(&decay).unwrap(), json);
    let error = serde_json::from_str::<Decay>(r#"{"neg":1}"#).unwrap_err();
    assert!(error.to_string().contains("expected lin_decay"), "{error}");
}

#[test]
fn names_keep_their_order_and_come_twice_as_text() {
    let query = Query::texts([("b", 1.0), ("a", 2.0), ("b", 3.0)], "heat");
    let json = serde_json::to_string(&query).unwrap();
    assert!(json.contains(r#"{"b":1.0,"a":2.0,"b":3.0}"#), "{json}");
    assert_eq!(serde_json::from_str::<Query>(&json).unwrap(), query);
}

#[test]
fn what_stands_for_another_is_read_by_table() {
    let nearest = |example: Value| json!({ "nearest": { "vector": "v", "example": example } });
    let point = |id: PointId| Query::nearest("v", Example::point(id));
    let texts = |query| Query::texts([("", 0.0); 0], query);
    for (json, expected) in [
        (nearest(json!([0.5, 1])), Query::nearest("v", [0.5, 1.0])),
        (nearest(json!(7)), point(7.into())),
        (nearest(json!("a")), point("a".into())),
        (
            nearest(json!({ "id": { "uuid": Uuid::from_u128(7).to_string() } })),
            point(Uuid::from_u128(7).into()),
        ),
        (json!({ "fuse": "rrf" }), Query::fuse(Fusion::rrf())),
        (
            json!({ "fuse": { "method": "dbsf", "weights": [2, 1] } }),
            Query::fuse(Fusion::dbsf().weights([2.0, 1.0])),
        ),
        (
            json!({ "order_by": "year" }),
            Query::order_by(OrderBy::ascending("year")),
        ),
        (
            json!({ "text": { "query": "heat -cold" } }),
            texts(TextQuery::parse("heat -cold").unwrap()),
        ),
        (
            json!({ "text": { "query": { "bool": { "must": ["\"a b\""], "should": [{ "prefix": "c" }] } } } }),
            texts(TextQuery::Bool {
                must: vec![TextQuery::phrase("a b")],
                should: vec![TextQuery::prefix("c")],
                must_not: Vec::new(),
                at_least: None,
            }),
        ),
        (
            json!({ "random": { "seed": 1 }, "with_payload": ["a"], "limit": null, "bm25": { "b": 0.5 } }),
            Query::random(1)
                .with_payload(Projection::include(["a"]))
                .bm25(1.2, 0.5),
        ),
        (
            json!({ "formula": { "gauss_decay": { "x": { "field": "a" } } } }),
            Query::formula(Decay::gauss(Expr::field("a"))),
        ),
    ] {
        let read = serde_json::from_value::<Query>(json.clone());
        assert_eq!(
            read.unwrap_or_else(|error| panic!("{json}: {error}")),
            expected
        );
    }
    let order: Scroll = serde_json::from_value(json!({ "order": { "field": "year" } })).unwrap();
    assert_eq!(order, Scroll::new().order_by(OrderBy::ascending("year")));
}

#[test]
fn what_is_null_is_as_if_it_were_missing() {
    let bare: Query = serde_json::from_value(json!({ "random": { "seed": 1 } })).unwrap();
    for key in &super::KEYS[super::KINDS..] {
        let json = json!({ "random": { "seed": 1 }, *key: null });
        let read = serde_json::from_value::<Query>(json);
        assert_eq!(read.unwrap_or_else(|error| panic!("{key}: {error}")), bare);
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    for (json, told) in [
        (
            r#"{"nearst":{"vector":"v","example":[1]}}"#,
            "unknown field `nearst`, expected one of `nearest`",
        ),
        (r#"{"random":{"seed":1},"limti":1}"#, "`limti`"),
        (
            r#"{"random":{"seed":1},"limit":1,"limit":2}"#,
            "duplicate field `limit`",
        ),
        (r#"{"random":{"seed":1},"limit":-1}"#, "-1"),
        (
            r#"{"random":{"seed":1},"fuse":"rrf"}"#,
            "asks for random and for fuse; expected one",
        ),
        (
            r#"{"limit":1}"#,
            "expected one of nearest, nearest_multi, text",
        ),
        (r#"[1]"#, "a query: an object"),
        (
            r#"{"nearest":{"vector":"v","exmple":[1]}}"#,
            "unknown field `exmple`, expected `vector` or `example`",
        ),
        (r#"{"nearest":{"vector":"v"}}"#, "missing field `example`"),
        (
            r#"{"nearest":{"vector":"v","example":true}}"#,
            "a list of numbers, a point id",
        ),
        (
            r#"{"nearest":{"vector":"v","example":{"id":1,"values":[1]}}}"#,
            "expected indices and values, or an id",
        ),
        (r#"{"nearest":{"vector":"v","example":[null]}}"#, "null"),
        (
            r#"{"sparse":{"vector":"v","example":{"indices":[1,1],"values":[1,2]}}}"#,
            "dimension 1 is given twice",
        ),
        (
            r#"{"sparse":{"vector":"v","example":{"indices":[1],"valuse":[1]}}}"#,
            "`valuse`",
        ),
        (
            r#"{"recommend":{"vector":"v","examples":{"strategy":"best"}}}"#,
            "unknown variant `best`, expected one of `average`",
        ),
        (
            r#"{"context":{"vector":"v","pairs":[{"positive":1,"negatif":2}]}}"#,
            "`negatif`",
        ),
        (
            r#"{"text":{"query":"heat ("}}"#,
            "this parenthesis is not closed, at character 5",
        ),
        (
            r#"{"text":{"query":{"phrase":{"text":"a"},"prefix":"b"}}}"#,
            "key \"prefix\" stands beside another",
        ),
        (
            r#"{"text":{"query":{"fraze":{"text":"a"}}}}"#,
            "unknown variant `fraze`, expected one of `match`",
        ),
        (
            r#"{"fuse":"rff"}"#,
            "unknown variant `rff`, expected one of `rrf`, `weighted`, `dbsf`",
        ),
        (
            r#"{"fuse":{"method":"dbsf","k":1}}"#,
            "a k that is not by rrf",
        ),
        (r#"{"fuse":{"method":"rrf","weihgts":[1]}}"#, "`weihgts`"),
        (
            r#"{"formula":{"summ":[1]}}"#,
            "unknown variant `summ`, expected one of `field`",
        ),
        (
            r#"{"formula":{"sum":[1],"mult":[2]}}"#,
            "key \"mult\" stands beside another",
        ),
        (r#"{"formula":"likes"}"#, "$score[1]"),
        (r#"{"formula":"$score[-1]"}"#, "$score[1]"),
        (r#"{"formula":{"or":[1]}}"#, "length 1"),
        (r#"{"formula":{"div":{"left":1,"rigth":2}}}"#, "`rigth`"),
        (r#"{"order_by":{"feld":"a"}}"#, "`feld`"),
        (
            r#"{"random":{"seed":1},"effort":{"recal":1}}"#,
            "unknown variant `recal`, expected one of `exact`, `recall`, `ef`",
        ),
        (r#"{"random":{"seed":1},"mmr":{"lamda":1}}"#, "`lamda`"),
        (
            r#"{"random":{"seed":1},"with_payload":{"inclde":[]}}"#,
            "unknown variant `inclde`, expected `include` or `exclude`",
        ),
        (
            r#"{"random":{"seed":1},"with_payload":{"include":[],"exclude":[]}}"#,
            "key \"exclude\" stands",
        ),
        (
            r#"{"random":{"seed":1},"filter":{"musst":[]}}"#,
            "unknown field `musst`",
        ),
        (
            r#"{"random":{"seed":1},"prefetches":[{"limit":1}]}"#,
            "expected one of nearest",
        ),
    ] {
        let error = serde_json::from_str::<Query>(json).unwrap_err().to_string();
        assert!(error.contains(told), "{json}: {error}");
    }
    let told = |json: Value| {
        serde_json::from_value::<Point>(json)
            .unwrap_err()
            .to_string()
    };
    assert!(told(json!({ "id": 1, "payload": [1] })).contains("a map"));
    assert!(told(json!({ "id": 1, "payloda": {} })).contains("`payloda`"));
    assert!(told(json!({ "id": 1, "expires_at": "tomorrow" })).contains("RFC 3339"));
    let deep = (0..Payload::MAX_DEPTH).fold(json!({}), |inner, _| json!({ "a": inner }));
    assert!(told(json!({ "id": 1, "payload": deep })).contains("64 levels"));
}

#[test]
fn numbers_without_json_are_refused_and_not_lost() {
    let random = || Query::random(1);
    for query in [
        random().score_threshold(f32::NAN),
        random().oversampling(f32::INFINITY),
        Query::fuse(Fusion::rrf().k(f32::NAN)),
        Query::formula(f64::NAN),
        Query::formula(Decay::gauss(Expr::score()).scale(f64::NAN)),
        Query::formula(Decay::gauss(Expr::score()).target(f64::NAN)),
        Query::nearest("v", [f32::NAN]),
        random().recall(f32::NAN),
        Query::formula(Expr::score().or(f64::INFINITY)),
        random().mmr(f32::NAN),
    ] {
        let read = serde_json::to_string(&query).map(|json| serde_json::from_str::<Query>(&json));
        assert!(!matches!(read, Ok(Ok(_))), "{query:?}");
    }
}

/// So deep that recursion would overflow any stack, and as deep as may be read.
#[test]
fn depth_overflows_no_stack() {
    fn check<'de, T: Deserialize<'de> + Debug>(open: &str, inner: &str, close: &str, deep: usize) {
        let nested = |depth| [&open.repeat(depth), inner, &close.repeat(depth)].concat();
        let json: &'static str = nested(100_000).leak();
        let error = serde_json::from_str::<T>(json).unwrap_err().to_string();
        assert!(error.contains("recursion limit"), "{open}: {error}");
        let json: &'static str = nested(deep).leak();
        serde_json::from_str::<T>(json).unwrap_or_else(|error| panic!("{open}: {error}"));
    }
    check::<Query>(
        r#"{"fuse":"rrf","prefetches":["#,
        r#"{"fuse":"dbsf"}"#,
        "]}",
        63,
    );
    check::<Query>(
        r#"{"random":{"seed":1},"prefetches":["#,
        r#"{"fuse":"dbsf"}"#,
        "]}",
        63,
    );
    check::<Filter>(r#"{"must":["#, r#"{"has_vector":"v"}"#, "]}", 63);
    check::<Filter>(r#"{"must_not":"#, r#"{"has_vector":"v"}"#, "}", 126);
    check::<Filter>(
        r#"{"nested":{"key":"a","filter":"#,
        r#"{"has_vector":"v"}"#,
        "}}",
        63,
    );
    check::<Expr>(r#"{"neg":"#, "1", "}", 127);
    check::<Expr>(r#"{"sum":["#, "1", "]}", 63);
    check::<Expr>(r#"{"gauss_decay":{"target":"#, "1", ",\"x\":1}}", 63);
    check::<TextQuery>(r#"{"boost":{"times":2,"query":"#, r#""a""#, "}}", 63);
    check::<TextQuery>(r#"{"bool":{"must":["#, r#""a""#, "]}}", 42);
    check::<Value>("[", "", "]", 127);
    check::<OrderBy>("{\"field\":\"a\",\"start_from\":[", "", "]}", 1);
    check::<Payload>("{\"a\":", "1", "}", 64);
    let deep = (0..Query::MAX_DEPTH).fold(Query::random(1), |inner, _| {
        Query::fuse(Fusion::rrf()).prefetch(inner)
    });
    travels(&deep);
}
