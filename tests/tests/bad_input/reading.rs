//! Queries, filters and ids that are refused.

use super::{Case, check, nested, refusal};
use amphora::{
    Database, ErrorKind, Filter, Fusion, GroupBy, Point, Query, Schema, field, vfs::MemoryVfs,
};
use serde_json::json;
use std::{env, process::Command};

fn query() -> Query {
    Query::nearest("dot", [1.0, 2.0, 3.0])
}

/// Twice as many conditions as there may be.
fn wide() -> Filter {
    Filter::Any((0..32).map(|n| field("year").eq(n)).collect())
}

/// Far deeper than a stack would bear.
fn deep() -> Filter {
    (0..100_000).fold(field("year").eq(1), |inner, _| Filter::All(vec![inner]))
}

#[test]
fn queries() {
    check(&[
        Case {
            name: "too short",
            refused: |_, docs| refusal(|| docs.search(Query::nearest("dot", [1.0]))),
            says: &["\"dot\"", "found 1 dimensions", "expected 3"],
        },
        Case {
            name: "not a number",
            refused: |_, docs| refusal(|| docs.search(Query::nearest("dot", [f32::NAN; 3]))),
            says: &["dimension 0 is NaN", "expected a finite number"],
        },
        Case {
            name: "infinity",
            refused: |_, docs| refusal(|| docs.search(Query::nearest("dot", [f32::INFINITY; 3]))),
            says: &["dimension 0 is inf"],
        },
        Case {
            name: "too large",
            refused: |_, docs| refusal(|| docs.search(Query::nearest("dot", [-1e17; 3]))),
            says: &["dimension 0", "at most 1e16"],
        },
        Case {
            name: "zero under cosine",
            refused: |_, docs| refusal(|| docs.search(Query::nearest("cosine", [0.0; 3]))),
            says: &["\"cosine\"", "zero vector"],
        },
        Case {
            name: "unknown vector",
            refused: |_, docs| refusal(|| docs.search(Query::nearest("../x", [1.0; 3]))),
            says: &["no vector \"../x\"", "\"cosine\", \"dot\""],
        },
        Case {
            name: "one vector where points have lists",
            refused: |_, docs| refusal(|| docs.search(Query::nearest("list", [1.0; 2]))),
            says: &["\"list\"", "found one vector; expected a list"],
        },
        Case {
            name: "a list where points have one vector",
            refused: |_, docs| refusal(|| docs.search(Query::nearest_multi("dot", [[1.0; 3]]))),
            says: &["\"dot\"", "found a list of vectors; expected one"],
        },
        Case {
            name: "no vectors",
            refused: |_, docs| refusal(|| docs.search(Query::nearest_multi("list", [[0.0; 2]; 0]))),
            says: &["found 0 vectors; expected 1 to 4096"],
        },
        Case {
            name: "too many vectors",
            refused: |_, docs| {
                let list = || Query::nearest_multi("list", vec![[1.0; 2]; 4_097]);
                refusal(|| docs.search(list()))
            },
            says: &["found 4097 vectors; expected 1 to 4096"],
        },
        Case {
            name: "one of a list is too long",
            refused: |_, docs| {
                refusal(|| docs.search(Query::nearest_multi("list", [vec![1.0; 2], vec![1.0; 3]])))
            },
            says: &["number 1 of a list", "found 3 dimensions"],
        },
        Case {
            name: "limit 0",
            refused: |_, docs| refusal(|| docs.search(query().limit(0))),
            says: &["limit of a query is 0", "expected 1 to 100"],
        },
        Case {
            name: "limit 1 too high",
            refused: |_, docs| refusal(|| docs.search(query().limit(101))),
            says: &["limit of a query is 101", "expected 1 to 100"],
        },
        Case {
            name: "the highest limit there is",
            refused: |_, docs| refusal(|| docs.search(query().limit(usize::MAX))),
            says: &["expected 1 to 100"],
        },
        Case {
            name: "ef 0",
            refused: |_, docs| refusal(|| docs.search(query().ef(0))),
            says: &["ef of a query is 0", "expected 1 to 200"],
        },
        Case {
            name: "ef 1 too high",
            refused: |_, docs| refusal(|| docs.search(query().ef(201))),
            says: &["ef of a query is 201", "expected 1 to 200"],
        },
        Case {
            name: "fewer compared than wanted",
            refused: |_, docs| refusal(|| docs.search(query().oversampling(0.9))),
            says: &["oversampling of a query is 0.9", "expected 1 or more"],
        },
        Case {
            name: "more compared than may be",
            refused: |_, docs| refusal(|| docs.search(query().limit(10).oversampling(20.1))),
            says: &["20.1 at a limit of 10", "at most 200 points"],
        },
        Case {
            name: "an oversampling that is no number",
            refused: |_, docs| refusal(|| docs.search(query().oversampling(f32::NAN))),
            says: &["oversampling of a query is NaN"],
        },
        Case {
            name: "no recall",
            refused: |_, docs| refusal(|| docs.search(query().recall(0.0))),
            says: &["recall of a query is 0", "more than 0 and at most 1"],
        },
        Case {
            name: "a recall of more than all",
            refused: |_, docs| refusal(|| docs.search(query().recall(1.01))),
            says: &["recall of a query is 1.01", "at most 1"],
        },
        Case {
            name: "a recall that is no number",
            refused: |_, docs| refusal(|| docs.search(query().recall(f32::NAN))),
            says: &["recall of a query is NaN"],
        },
        Case {
            name: "no ids",
            refused: |_, docs| refusal(|| docs.get_many([0u64; 0])),
            says: &["no ids", "expected 1 to 1000"],
        },
        Case {
            name: "ids without end",
            refused: |_, docs| refusal(|| docs.get_many(0u64..)),
            says: &["too many ids", "expected 1 to 1000"],
        },
        Case {
            name: "no queries",
            refused: |_, docs| refusal(|| docs.search_many([])),
            says: &["no queries", "expected 1 to 20"],
        },
        Case {
            name: "queries without end",
            refused: |_, docs| refusal(|| docs.search_many(std::iter::repeat_with(query))),
            says: &["too many queries", "expected 1 to 20"],
        },
        Case {
            name: "one of many queries",
            refused: |_, docs| refusal(|| docs.search_many([query(), query().limit(0)])),
            says: &["query 1", "limit"],
        },
    ]);
}

#[test]
fn filters() {
    check(&[
        Case {
            name: "too many conditions in a search",
            refused: |_, docs| refusal(|| docs.search(query().filter(wide()))),
            says: &["more than 16 conditions"],
        },
        Case {
            name: "too many conditions in a count",
            refused: |_, docs| refusal(|| docs.count_matching(wide())),
            says: &["more than 16 conditions"],
        },
        Case {
            name: "too many conditions in a feed",
            refused: |_, docs| docs.scroll_matching(wide()).into_iter().next()?.err(),
            says: &["more than 16 conditions"],
        },
        Case {
            name: "nested too deep for a search",
            refused: |_, docs| refusal(|| docs.search(query().filter(deep()))),
            says: &["more than 16 conditions"],
        },
        Case {
            name: "nested too deep for groups",
            refused: |_, docs| {
                let by = GroupBy::new("year");
                refusal(|| docs.search_groups(query().filter(deep()), by.clone()))
            },
            says: &["more than 16 conditions"],
        },
        Case {
            name: "prefetches too deep for groups",
            refused: |_, docs| {
                let deep = || {
                    let within = |inner, _| Query::fuse(Fusion::rrf()).prefetch(inner);
                    (0..100_000).fold(query(), within)
                };
                refusal(|| docs.search_groups(deep(), GroupBy::new("year")))
            },
            says: &["nested deeper than"],
        },
        Case {
            name: "nested too deep for a count",
            refused: |_, docs| refusal(|| docs.count_matching(deep())),
            says: &["more than 16 conditions"],
        },
        Case {
            name: "a field without a name",
            refused: |_, docs| refusal(|| docs.count_matching(field("").eq(1))),
            says: &["the name of a field is empty"],
        },
        Case {
            name: "a field with a long name",
            refused: |_, docs| refusal(|| docs.count_matching(field("f".repeat(4_096)).eq(1))),
            says: &["4096 bytes", "at most 255"],
        },
        Case {
            name: "equal to null",
            refused: |_, docs| refusal(|| docs.count_matching(field("year").eq(json!(null)))),
            says: &["field \"year\": compared with null", "expected a string"],
        },
        Case {
            name: "equal to what is not a number",
            refused: |_, docs| refusal(|| docs.count_matching(field("weight").eq(f64::NAN))),
            says: &["not finite", "expected a string, a finite number"],
        },
        Case {
            name: "equal to an object",
            refused: |_, docs| refusal(|| docs.count_matching(field("work").eq(json!({})))),
            says: &["compared with an object", "expected a string"],
        },
        Case {
            name: "equal to an array of 10,000 levels",
            refused: |_, docs| refusal(|| docs.count_matching(field("work").eq(nested(10_000)))),
            says: &["compared with an array", "expected a string"],
        },
        Case {
            name: "below infinity",
            refused: |_, docs| {
                refusal(|| docs.count_matching(field("weight").below(f64::INFINITY)))
            },
            says: &["field \"weight\": a range", "expected finite numbers"],
        },
        Case {
            name: "between strings",
            refused: |_, docs| refusal(|| docs.count_matching(field("work").at_least("a"))),
            says: &["bounded by \"a\"", "expected date-times"],
        },
    ]);
}

/// Runs a test in a process of its own, since a stack that overflows ends the process.
fn in_a_child(test: &str, work: fn()) {
    const CHILD: &str = "AMPHORA_BAD_INPUT_CHILD";
    if env::var_os(CHILD).is_some() {
        return work();
    }
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "yes")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{}: {said}", child.status);
}

#[test]
fn a_value_nested_without_bounds() {
    in_a_child("reading::a_value_nested_without_bounds", || {
        check(&[
            Case {
                name: "as a payload",
                refused: |_, docs| {
                    refusal(|| docs.upsert([Point::new(9).payload(nested(1_000_000))]))
                },
                says: &["nested deeper than 64 levels"],
            },
            Case {
                name: "in a filter",
                refused: |_, docs| {
                    refusal(|| docs.count_matching(field("work").eq(nested(1_000_000))))
                },
                says: &["compared with an array", "expected a string"],
            },
        ]);
    });
}

#[test]
fn a_filter_nested_without_bounds_that_never_runs() {
    in_a_child(
        "reading::a_filter_nested_without_bounds_that_never_runs",
        || {
            let db = Database::builder_on(MemoryVfs::new())
                .open()
                .wait()
                .unwrap();
            let docs = db.create_collection("docs", Schema::new()).wait().unwrap();
            drop(docs.count_matching(deep()));
            db.close().wait().unwrap();
            let error = refusal(|| docs.count_matching(deep())).unwrap();
            assert_eq!(error.kind(), ErrorKind::Closed);
        },
    );
}
