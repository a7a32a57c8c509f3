//! What searches find: the same as scoring every row, however rows are split and wherever they lie.

use super::{
    super::{
        index::{Index, Pattern, Statistics, decode, encode},
        tests::*,
    },
    *,
};
use crate::{error::ErrorKind, top_k::TopK};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn queries() -> impl Strategy<Value = Query> {
    let boost = prop::sample::select(vec![0.0f32, 0.5, 1.0, 1.0, 1.0, 3.0, 1e6]);
    let term = (0usize..3, word(), boost.clone()).prop_map(|(field, term, boost)| Query::Term {
        field,
        term: term.into(),
        boost,
    });
    let words = prop::collection::vec((word(), 1u32..3), 1..4);
    let phrase = (0usize..2, words, 0u32..4).prop_map(|(field, words, slop)| {
        let mut place = 0;
        let terms = words.into_iter().map(|(word, step)| {
            place += step;
            (word.into_bytes(), place)
        });
        Query::Phrase {
            field,
            terms: terms.collect(),
            slop,
            boost: 1.0,
        }
    });
    let expand = (0usize..2, word(), 0u8..4, 1usize..8, boost.clone()).prop_map(
        |(field, word, distance, limit, boost)| Query::Expand {
            field,
            pattern: match distance {
                3 => Pattern::prefix(&word.as_bytes()[..1]),
                _ => Pattern::fuzzy(&word, distance, 1),
            },
            limit,
            boost,
        },
    );
    let leaf = prop_oneof![6 => term, 2 => phrase, 1 => expand];
    let flat = prop::collection::vec(leaf.clone(), 1..6).prop_map(Query::any);
    let tree = leaf.prop_recursive(3, 12, 4, move |inner| {
        let some = move |inner: BoxedStrategy<Query>| prop::collection::vec(inner, 0..3);
        let inner = inner.boxed();
        (
            some(inner.clone()),
            some(inner.clone()),
            some(inner),
            0usize..3,
            boost.clone(),
        )
            .prop_map(|(must, should, must_not, at_least, boost)| Query::Bool {
                must,
                should,
                must_not,
                at_least,
                boost,
            })
    });
    prop_oneof![flat, tree]
}

/// A part: the texts of two fields, one of which an older part may not have.
struct Part {
    rows: u32,
    indexes: Vec<Option<Box<dyn Index>>>,
}

impl Part {
    fn fields(&self) -> Vec<Option<&dyn Index>> {
        self.indexes.iter().map(Option::as_deref).collect()
    }
}

fn part(fields: [&Texts; 2], rows: std::ops::Range<usize>, is_stored: bool) -> Part {
    let index = |texts: &&Texts| -> Option<Box<dyn Index>> {
        let texts: Texts = texts[rows.clone()].to_vec();
        if texts.iter().all(Vec::is_empty) {
            return None;
        }
        Some(match is_stored {
            true => Box::new(open(build(&texts, true), texts.len())),
            false => Box::new(view(&texts, true)),
        })
    };
    Part {
        rows: rows.len() as u32,
        indexes: fields.iter().map(index).collect(),
    }
}

fn weigh(query: &Query, bm25: Bm25, parts: &[Part]) -> Weighed {
    let fields: Vec<_> = parts.iter().map(Part::fields).collect();
    let fields: Vec<&Fields<'_>> = fields.iter().map(|fields| &fields[..]).collect();
    Weighed::new(query, bm25, &fields, &Cancel::default()).unwrap()
}

type Live<'a> = &'a dyn Fn(u32, u32) -> bool;

/// The best rows of all parts, each with its number over all of them.
fn find(
    weighed: &Weighed,
    parts: &[Part],
    k: usize,
    live: Live<'_>,
    by_rows: bool,
) -> Vec<(u32, u32)> {
    let cancel = Cancel::default();
    let mut best = Best {
        top: TopK::new(k),
        live,
        part: 0,
    };
    let mut starts = vec![0];
    for part in parts {
        let fields = part.fields();
        if by_rows {
            search_rows(weighed, &fields, 0..part.rows, &mut best, &cancel).unwrap();
        } else {
            search(weighed, &fields, &mut best, &cancel).unwrap();
        }
        best.part += 1;
        starts.push(starts[starts.len() - 1] + part.rows);
    }
    let found = best.top.into_sorted();
    found
        .map(|(score, (part, row))| (starts[part as usize] + row, score.to_bits()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_best_are_those_of_scoring_every_row(
        first in texts(1..25),
        second in texts(1..9),
        times in 1usize..24,
        query in queries(),
        k in prop::sample::select(vec![1usize, 3, 10, 1_000]),
        splits in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..4),
        bm25 in (0.0f32..3.0, 0.0f32..=1.0).prop_map(|(k1, b)| Bm25 { k1, b }),
        dead in 2u32..6,
    ) {
        let first = repeated(&first, times);
        let second: Texts = (0..first.len()).map(|row| second[row % second.len()].clone()).collect();
        let rows = first.len();
        let fields = [&first, &second];
        let mut ends: Vec<_> = splits.iter().map(|(at, _)| at.index(rows + 1)).collect();
        ends.extend([0, rows]);
        ends.sort_unstable();
        let stored = |at: usize| splits.get(at).is_none_or(|split| split.1);
        let parts: Vec<Part> = ends
            .windows(2)
            .enumerate()
            .map(|(at, ends)| part(fields, ends[0]..ends[1], stored(at)))
            .collect();
        let weighed = weigh(&query, bm25, &parts);

        let starts = &ends[..ends.len() - 1];
        let live = |part: u32, row: u32| !(starts[part as usize] as u32 + row).is_multiple_of(dead);
        let found = find(&weighed, &parts, k, &live, false);
        prop_assert_eq!(&found, &find(&weighed, &parts, k, &live, true));
        // All in one, with neither bounds nor more than one part in its way.
        let one = [part(fields, 0..rows, false)];
        let alone = weigh(&query, bm25, &one);
        let live = |_: u32, row: u32| !row.is_multiple_of(dead);
        let all = find(&alone, &one, usize::MAX, &live, true);
        prop_assert_eq!(&found[..], &all[..k.min(all.len())]);

        // By the book.
        let all_of = |texts: &Texts| view(texts, false).statistics();
        let statistics = [all_of(&first), all_of(&second)];
        let mut scores = all.iter().copied().collect::<BTreeMap<u32, u32>>();
        let mut matching = Vec::new();
        for row in 0..rows {
            let expected = score(&alone.root, &fields.map(|texts| texts), row, &statistics, bm25);
            matching.extend(expected.is_some().then_some(row as u32));
            let score = scores.remove(&(row as u32)).map(|bits| f64::from(f32::from_bits(bits)));
            if let Some(expected) = expected.filter(|_| !(row as u32).is_multiple_of(dead)) {
                let score = score.unwrap();
                // A millionth of the largest contribution there may be.
                let slack = 1e-6 * expected.max(most(&alone.root));
                prop_assert!((score - expected).abs() <= slack, "{score} for {expected}");
            } else {
                prop_assert_eq!(score, None);
            }
        }
        for by_rows in [false, true] {
            let found = find(&alone, &one, usize::MAX, &|_, _| true, by_rows);
            let found: BTreeSet<u32> = found.into_iter().map(|(row, _)| row).collect();
            prop_assert!(found.iter().eq(&matching));
        }
    }
}

/// Many different rows, so that bounds decide: whatever is looked for, what is passed over was not
/// wanted.
#[test]
fn nothing_is_passed_over_that_is_wanted() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    // The word of a number is about half as frequent as that of half the number.
    let mut word = {
        let mut random = random;
        move || format!("w{}", 60 / (random(60) + 1) + random(3))
    };
    let texts: Texts = (0..9_000)
        .map(|_| {
            let len = random(4) * random(30) + random(12);
            (0..len as u32).map(|at| (word(), at)).collect()
        })
        .collect();
    let none: Texts = vec![Vec::new(); texts.len()];
    let split = 5_000;
    let parts = [
        part([&texts, &none], 0..split, true),
        part([&texts, &none], split..texts.len(), false),
    ];
    for round in 0..400u32 {
        let mut terms = || -> Vec<Query> {
            let count = 1 + round % 5;
            (0..count).map(|_| Query::term(0, word())).collect()
        };
        let query = match round % 4 {
            0 | 1 => Query::any(terms()),
            2 => Query::at_least(2, terms()),
            _ => Query::Bool {
                must: terms(),
                should: terms(),
                must_not: vec![Query::term(0, "w60")],
                at_least: 0,
                boost: 1.0,
            },
        };
        let bm25 = Bm25 {
            k1: [1.2, 0.4, 3.0][round as usize % 3],
            b: [0.75, 0.0, 1.0, 0.3][round as usize / 3 % 4],
        };
        let weighed = weigh(&query, bm25, &parts);
        let live = |_: u32, row: u32| !row.is_multiple_of(5);
        for k in [1, 3, 10, 100] {
            let found = find(&weighed, &parts, k, &live, false);
            assert_eq!(found, find(&weighed, &parts, k, &live, true), "{query:?}");
        }
    }
}

/// The largest weight.
fn most(node: &Node) -> f64 {
    match node {
        Node::Nothing => 0.0,
        Node::Term { weight, .. } | Node::Phrase { weight, .. } => f64::from(*weight),
        Node::Bool(branch) => {
            let scored = branch.must.iter().chain(&branch.should);
            scored.map(most).fold(0.0, f64::max)
        }
    }
}

#[test]
fn a_score_is_lucenes() {
    let text = |words: &str| -> Vec<(String, u32)> {
        words.split(' ').map(str::to_owned).zip(0..).collect()
    };
    let texts = vec![
        text("the sea the sea"),
        text("the land"),
        text("a ship at sea"),
    ];
    let none: Texts = vec![Vec::new(); 3];
    let parts = [part([&texts, &none], 0..3, true)];
    let weighed = weigh(&Query::term(0, "sea"), Bm25::default(), &parts);
    let found = find(&weighed, &parts, 10, &|_, _| true, false);
    // bm25s 0.2, method "lucene": ln(1 + 1.5 / 2.5) * tf / (tf + 1.2 * (0.25 + 0.75 * 4 / (10 / 3))).
    let idf = (1.0f64 + 1.5 / 2.5).ln();
    let norm = 1.2 * (0.25 + 0.75 * 4.0 / (10.0 / 3.0));
    let expected = [(0, idf * 2.0 / (2.0 + norm)), (2, idf / (1.0 + norm))];
    for ((row, bits), (expected_row, expected)) in found.iter().zip(expected) {
        assert_eq!(*row, expected_row);
        assert!((f64::from(f32::from_bits(*bits)) - expected).abs() < 1e-6);
    }
    assert_eq!(found.len(), 2);
}

#[test]
fn what_cannot_be_weighed_is_refused() {
    let texts: Texts = vec![vec![("sea".to_owned(), 0), ("shell".to_owned(), 1)]];
    let index = view(&texts, false);
    let fields: &Fields<'_> = &[Some(&index)];
    let refused = |query: Query, bm25: Bm25| {
        let error = Weighed::new(&query, bm25, &[fields], &Cancel::default()).err();
        assert_eq!(error.unwrap().kind(), ErrorKind::InvalidInput);
    };
    let terms = vec![(b"sea".to_vec(), 0), (b"shell".to_vec(), 1)];
    refused(
        Query::Phrase {
            field: 0,
            terms,
            slop: 0,
            boost: 1.0,
        },
        Bm25::default(),
    );
    for boost in [-1.0, f32::NAN, 1e7] {
        let query = Query::Term {
            field: 0,
            term: b"sea".to_vec(),
            boost,
        };
        refused(query, Bm25::default());
    }
    for (k1, b) in [
        (-1.0, 0.5),
        (f32::INFINITY, 0.5),
        (1.2, 1.5),
        (1.2, f32::NAN),
    ] {
        refused(Query::term(0, "sea"), Bm25 { k1, b });
    }
}

#[test]
fn a_search_is_cancelled() {
    let texts: Texts = vec![vec![("sea".to_owned(), 0)]; 2_000];
    let index = view(&texts, true);
    let fields: &Fields<'_> = &[Some(&index)];
    let query = Query::all(vec![Query::term(0, "sea"), Query::term(0, "sea")]);
    let weighed = Weighed::new(&query, Bm25::default(), &[fields], &Cancel::default()).unwrap();
    let cancel = Cancel::default();
    cancel.cancel();
    let mut best = Best {
        top: TopK::new(10),
        live: &|_, _| true,
        part: 0,
    };
    let found = search(&weighed, fields, &mut best, &cancel);
    assert_eq!(found.unwrap_err().kind(), ErrorKind::Cancelled);
}

// The same by going through all texts, as plainly as can be.

/// The score of a row that matches, in f64, by the formula as it stands in books. Fields are rows of texts.
fn score(
    node: &Node,
    fields: &[&Texts],
    row: usize,
    all: &[Statistics],
    bm25: Bm25,
) -> Option<f64> {
    let weigh = |field: usize, weight: f32, tf: f64| {
        let len = f64::from(decode(encode(fields[field][row].len() as u32)));
        let average = all[field].tokens as f64 / all[field].rows as f64;
        let norm =
            f64::from(bm25.k1) * (1.0 - f64::from(bm25.b) + f64::from(bm25.b) * len / average);
        f64::from(weight) * tf / (tf + norm)
    };
    match node {
        Node::Nothing => None,
        Node::Term {
            field,
            term,
            weight,
        } => {
            let tf = places(&fields[*field][row], term).count();
            (tf > 0).then(|| weigh(*field, *weight, tf as f64))
        }
        Node::Phrase {
            field,
            terms,
            slop,
            weight,
        } => {
            let tf = phrase(&fields[*field][row], terms, *slop);
            (tf > 0.0).then(|| weigh(*field, *weight, tf))
        }
        Node::Bool(branch) => {
            let scored = |nodes: &[Node]| -> Vec<f64> {
                let scores = nodes
                    .iter()
                    .filter_map(|node| score(node, fields, row, all, bm25));
                scores.collect()
            };
            let (must, should) = (scored(&branch.must), scored(&branch.should));
            let matches = must.len() == branch.must.len()
                && should.len() >= branch.at_least
                && scored(&branch.must_not).is_empty();
            matches.then(|| must.iter().chain(&should).sum())
        }
    }
}

fn places<'a>(text: &'a [(String, u32)], term: &'a [u8]) -> impl Iterator<Item = i64> + 'a {
    let of = text.iter().filter(move |(word, _)| word.as_bytes() == term);
    of.map(|(_, position)| i64::from(*position))
}

/// Each stretch with a beginning by every term within it, and none of these within another.
fn phrase(text: &[(String, u32)], terms: &[(Vec<u8>, u32)], slop: u32) -> f64 {
    let beginnings: Vec<Vec<i64>> = terms
        .iter()
        .map(|(term, place)| {
            places(text, term)
                .map(|at| at - i64::from(*place))
                .collect()
        })
        .collect();
    let mut ends: BTreeMap<i64, i64> = BTreeMap::new();
    for start in beginnings.iter().flatten() {
        let firsts = beginnings
            .iter()
            .map(|all| all.iter().copied().filter(|at| at >= start).min());
        if let Some(end) = firsts
            .collect::<Option<Vec<_>>>()
            .and_then(|all| all.into_iter().max())
        {
            let closest = ends.entry(end).or_insert(*start);
            *closest = (*closest).max(*start);
        }
    }
    let near = ends
        .iter()
        .map(|(end, start)| end - start)
        .filter(|off| *off <= i64::from(slop));
    near.map(|off| 1.0 / (1.0 + off as f64)).sum()
}
