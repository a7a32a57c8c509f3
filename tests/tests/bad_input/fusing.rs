//! Trees of queries that are refused, before anything of them runs.

use super::{Case, check, refusal};
use amphora::{Fusion, Mmr, Query, field};

fn nearest() -> Query {
    Query::nearest("dot", [1.0, 2.0, 3.0])
}

fn fused() -> Query {
    Query::fuse(Fusion::rrf()).prefetch(nearest())
}

fn both(fusion: Fusion) -> Query {
    Query::fuse(fusion).prefetch(nearest()).prefetch(nearest())
}

/// So many queries above one for the nearest.
fn nested(depth: usize) -> Query {
    (0..depth).fold(nearest(), |inner, _| {
        Query::fuse(Fusion::rrf()).prefetch(inner)
    })
}

/// A case of a query that is refused with these words.
macro_rules! case {
    ($name:literal, $query:expr, $($says:literal),+) => {
        Case {
            name: $name,
            refused: |_, docs| refusal(|| docs.search($query)),
            says: &[$($says),+],
        }
    };
}

#[test]
fn fusions() {
    check(&[
        case!(
            "nothing to fuse",
            Query::fuse(Fusion::rrf()),
            "has no prefetches; expected at least one"
        ),
        case!(
            "a wrong prefetch of what does not fuse",
            nearest().prefetch(nearest().limit(0)),
            "prefetch 0: ",
            "limit of a query is 0"
        ),
        case!(
            "a wrong prefetch",
            fused().prefetch(Query::nearest("absent", [1.0])),
            "prefetch 1: ",
            "no vector \"absent\""
        ),
        case!(
            "a wrong prefetch of a prefetch",
            fused().prefetch(fused().prefetch(nearest().limit(0))),
            "prefetch 1: prefetch 1: ",
            "limit of a query is 0; expected 1 to 100"
        ),
        case!(
            "a wrong filter of a prefetch",
            fused().prefetch(nearest().filter(field("").eq(1))),
            "prefetch 1: ",
            "empty"
        ),
        case!(
            "a wrong filter above",
            fused().filter(field("").eq(1)),
            "empty"
        ),
        case!(
            "one prefetch too many",
            Query::fuse(Fusion::rrf())
                .prefetch(both(Fusion::rrf()))
                .prefetch(both(Fusion::rrf())),
            "more than 5 prefetches, those below prefetches counted"
        ),
        case!(
            "an oversampling above",
            fused().oversampling(f32::NAN),
            "oversampling",
            "NaN"
        ),
        case!("an effort above", fused().ef(0), "ef of a query is 0"),
        case!(
            "one weight for two",
            both(Fusion::rrf().weights([1.0])),
            "number of weights of a fusion is 1; expected 2"
        ),
        case!(
            "two weights for one",
            Query::fuse(Fusion::alpha(0.5)).prefetch(nearest()),
            "number of weights of a fusion is 2; expected 1"
        ),
        case!(
            "an alpha above 1",
            both(Fusion::alpha(1.5)),
            "weight of prefetch 1 is -0.5; expected 0 to 1000000"
        ),
        case!(
            "a weight that is no number",
            both(Fusion::dbsf().weights([f32::NAN, 1.0])),
            "weight of prefetch 0 is NaN"
        ),
        case!(
            "a weight too large",
            both(Fusion::weighted([1.0, 1.1e6])),
            "weight of prefetch 1 is 1100000"
        ),
        case!(
            "no weight at all",
            both(Fusion::weighted([0.0, 0.0])),
            "all weights of a fusion are 0"
        ),
        case!(
            "a negative k",
            both(Fusion::rrf().k(-1.0)),
            "k of a fusion is -1"
        ),
        case!(
            "an infinite k",
            both(Fusion::rrf().k(f32::INFINITY)),
            "k of a fusion is inf"
        ),
        case!(
            "an offset too far",
            nearest().limit(60).offset(41),
            "offset of a query is 41 at a limit of 60; expected 100 together"
        ),
        case!(
            "the farthest offset",
            nearest().offset(usize::MAX),
            "expected 100 together"
        ),
        case!(
            "a threshold that is no number",
            fused().score_threshold(f32::NAN),
            "score threshold of a query is NaN"
        ),
    ]);
}

#[test]
fn diverse_hits() {
    check(&[
        case!(
            "a lambda above 1",
            nearest().mmr(1.01),
            "lambda of an MMR is 1.01; expected 0 to 1"
        ),
        case!(
            "a lambda that is no number",
            nearest().mmr(f32::NAN),
            "lambda of an MMR is NaN"
        ),
        case!(
            "fewer candidates than hits",
            nearest()
                .limit(10)
                .offset(5)
                .mmr(Mmr::new(0.5).candidates(14)),
            "candidates of an MMR are 14; expected 15, which are chosen, to 100"
        ),
        case!(
            "too many candidates",
            nearest().mmr(Mmr::new(0.5).candidates(101)),
            "candidates of an MMR are 101",
            "to 100"
        ),
        case!(
            "an unknown vector",
            nearest().mmr(Mmr::new(0.5).vector("absent")),
            "no vector \"absent\""
        ),
        case!(
            "a list of vectors",
            nearest().mmr(Mmr::new(0.5).vector("list")),
            "an MMR compares \"list\", which is a list of vectors"
        ),
        case!(
            "no vector",
            Query::nearest_multi("list", [[1.0, 2.0]]).mmr(0.5),
            "an MMR names no vector"
        ),
    ]);
}

#[test]
fn a_tree_may_be_so_deep_and_no_deeper() {
    check(&[
        // Six prefetches, of which there may be five.
        case!(
            "too many levels for the number",
            nested(6),
            "more than 5 prefetches"
        ),
    ]);
    // With as many prefetches as one likes.
    let options = amphora::Options {
        limits: amphora::Limits {
            prefetches: usize::MAX,
            ..amphora::Limits::default()
        },
        ..amphora::Options::default()
    };
    let directory = tempfile::tempdir().unwrap();
    let builder = amphora_blocking::builder(directory.path()).options(options);
    let db = builder.open().wait().unwrap();
    let docs = db
        .create_collection("docs", super::schema())
        .wait()
        .unwrap();
    let most = nested(Query::MAX_DEPTH - 1);
    assert_eq!(docs.search(most).wait().unwrap(), []);
    for depth in [Query::MAX_DEPTH, 100_000] {
        let error = docs.search(nested(depth)).wait().unwrap_err();
        let says = "nested deeper than 16 levels";
        assert!(error.to_string().contains(says), "{error}");
    }
    // Nor does looking for the vector of an MMR go down a stack.
    let error = docs.search(nested(100_000).mmr(0.5)).wait().unwrap_err();
    assert!(error.to_string().contains("nested deeper"), "{error}");
    drop(nested(1_000_000));
    db.close().wait().unwrap();
}
