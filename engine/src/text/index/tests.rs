//! What is in an index, however it came to be.

use super::{super::tests::*, *};
use crate::error::ErrorKind;
use proptest::prelude::*;
use std::collections::BTreeMap;

type Lists = BTreeMap<String, Vec<(u32, Vec<u32>)>>;

fn lists(texts: &Texts) -> Lists {
    let mut lists = Lists::new();
    for (row, tokens) in (0..).zip(texts) {
        for (term, position) in tokens {
            let list = lists.entry(term.clone()).or_default();
            match list.last_mut().filter(|last| last.0 == row) {
                Some((_, positions)) => positions.push(*position),
                None => list.push((row, vec![*position])),
            }
        }
    }
    lists
}

fn holds(index: &dyn Index, texts: &Texts, positions: bool) {
    let expected = lists(texts);
    let tokens = texts.iter().map(Vec::len).sum::<usize>() as u64;
    let rows = texts.iter().filter(|tokens| !tokens.is_empty()).count() as u64;
    assert_eq!(index.statistics(), Statistics { rows, tokens });
    assert_eq!(
        (index.rows(), index.has_positions()),
        (texts.len() as u32, positions)
    );
    for (row, tokens) in (0..).zip(texts) {
        let code = index.lengths().code(row).unwrap();
        assert_eq!(code, encode(tokens.len() as u32));
    }
    let all = Pattern::prefix(b"");
    let cancel = Cancel::default();
    let found: Vec<_> = index
        .terms(&all, &cancel)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let counts = expected
        .iter()
        .map(|(term, list)| (term.as_bytes(), list.len() as u32));
    assert!(counts.eq(found.iter().map(|found| (&found.term[..], found.count))));
    for (term, list) in &expected {
        assert_eq!(
            index.count(term.as_bytes()).unwrap(),
            list.len() as u32,
            "{term}"
        );
        let without = |(row, places): &(u32, Vec<u32>)| (*row, vec![0; places.len()]);
        let list = if positions {
            list.clone()
        } else {
            list.iter().map(without).collect()
        };
        assert_eq!(postings(index, term), list, "{term}");
    }
    for term in ["", "nowhere", "zzz", "a\0", "\u{10ffff}"] {
        assert_eq!(index.count(term.as_bytes()).unwrap(), 0);
        assert!(index.list(term.as_bytes(), true).unwrap().is_none());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn both_twins_hold_what_was_added(some in texts(1..40), times in 1usize..20, positions: bool) {
        let texts = repeated(&some, times);
        holds(&view(&texts, positions), &texts, positions);
        let stored = open(build(&texts, positions), texts.len());
        holds(&stored, &texts, positions);
        stored.verify(&Cancel::default()).unwrap();
    }

    /// A view shows for ever what was there when it was taken.
    #[test]
    fn views_are_frozen(some in texts(1..30), times in 1usize..20, at in any::<prop::sample::Index>()) {
        let texts = repeated(&some, times);
        let seen = at.index(texts.len() + 1);
        let mut memory = memory(&texts[..seen].to_vec(), true);
        let view = memory.view(seen as u32);
        let held = view.list(b"the", true).unwrap();
        for (row, tokens) in (0..).zip(&texts).skip(seen) {
            memory.add(row, tokens.iter().map(|(term, at)| (term, *at))).unwrap();
        }
        holds(&view, &texts[..seen].to_vec(), true);
        holds(&memory.view(texts.len() as u32), &texts, true);
        let held = held.map_or(Vec::new(), |list| read(list, true).unwrap());
        prop_assert_eq!(held, postings(&view, "the"));
    }

    #[test]
    fn a_merge_makes_the_bytes_that_building_anew_makes(
        some in texts(1..30),
        times in 1usize..20,
        splits in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..4),
        keep in 1usize..7,
        positions: bool,
    ) {
        let texts = repeated(&some, times);
        let mut ends: Vec<_> = splits.iter().map(|(at, _)| at.index(texts.len() + 1)).collect();
        ends.push(texts.len());
        ends.sort_unstable();
        // Some in memory, some as bytes.
        let (mut views, mut stored, mut start) = (Vec::new(), Vec::new(), 0);
        for (number, end) in ends.into_iter().enumerate() {
            let part = texts[start..end].to_vec();
            if splits.get(number).is_some_and(|split| split.1) {
                views.push((start, view(&part, positions)));
            } else {
                stored.push((start, open(build(&part, positions), part.len())));
            }
            start = end;
        }
        let survives = |row: usize| row % keep != keep - 1 || keep == 1;
        let survivors: Vec<usize> = (0..texts.len()).filter(|row| survives(*row)).collect();
        let map = |start: usize| {
            let survivors = &survivors;
            move |row: u32| survivors.binary_search(&(start + row as usize)).ok().map(|new| new as u32)
        };
        let mut parts: Vec<(usize, &dyn Index)> = Vec::new();
        parts.extend(views.iter().map(|(start, view)| (*start, view as &dyn Index)));
        parts.extend(stored.iter().map(|(start, stored)| (*start, stored as &dyn Index)));
        parts.sort_by_key(|(start, part)| (*start, part.rows()));
        let maps: Vec<_> = parts.iter().map(|(start, _)| map(*start)).collect();
        let inputs: Vec<_> = parts
            .iter()
            .zip(&maps)
            .map(|((_, index), map)| Input { index: *index, map })
            .collect();
        let rows = survivors.len() as u32;
        let merged = merge(&inputs, rows, positions, &Cancel::default()).unwrap();
        let left: Texts = survivors.iter().map(|row| texts[*row].clone()).collect();
        prop_assert!(merged == build(&left, positions));
    }

    /// Bounds are of use whatever a query's parameters.
    #[test]
    fn bounds_hold(postings in prop::collection::vec((0u32..400, 0u32..5_000), 1..130)) {
        let mut pareto = bounds::Pareto::default();
        let coded = |(value, len): &(u32, u32)| (*value, encode(*len));
        postings.iter().map(coded).for_each(|(value, code)| pareto.add(value, code));
        let bound = pareto.bound();
        prop_assert!(postings.iter().map(coded).all(|(value, code)| bounds::covers(bound, value, code)));
    }

    #[test]
    fn terms_are_listed_by_prefix_and_by_edits(
        words in prop::collection::btree_set("[abcé]{1,6}", 1..200),
        prefix in "[abcé]{0,3}",
        word in "[abcé]{1,6}",
        distance in 0u8..3,
        exact in 0usize..3,
    ) {
        let texts: Texts = vec![words.iter().map(|word| (word.clone(), 0)).collect()];
        let (view, stored) = (view(&texts, false), open(build(&texts, false), 1));
        let cancel = Cancel::default();
        let list = |index: &dyn Index, pattern: &Pattern| -> Vec<(String, u8)> {
            let found = index.terms(pattern, &cancel).unwrap().map(Result::unwrap);
            found.map(|found| (String::from_utf8(found.term).unwrap(), found.distance)).collect()
        };
        let pattern = Pattern::prefix(prefix.as_bytes());
        let begin = words.iter().filter(|word| word.starts_with(&prefix));
        let expected: Vec<_> = begin.map(|word| (word.clone(), 0)).collect();
        prop_assert_eq!(list(&view, &pattern), expected.clone());
        prop_assert_eq!(list(&stored, &pattern), expected);

        let pattern = Pattern::fuzzy(&word, distance, exact);
        let start: String = word.chars().take(exact).collect();
        let near = |other: &String| {
            let edits = edits(&word, other);
            (edits <= usize::from(distance) && other.starts_with(&start)).then(|| (other.clone(), edits as u8))
        };
        let expected: Vec<_> = words.iter().filter_map(near).collect();
        prop_assert_eq!(list(&view, &pattern), expected.clone());
        prop_assert_eq!(list(&stored, &pattern), expected);
    }
}

#[test]
fn what_cannot_be_added_is_refused_and_changes_nothing() {
    let mut memory = Memory::new(true);
    memory.add(3, [("sea", 0), ("sea", 0), ("sea", 7)]).unwrap();
    for (row, term) in [(3, "sea"), (2, "sea"), (4, ""), (u32::MAX, "sea")] {
        let error = memory.add(row, [("shell", 1), (term, 0)]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    assert!(memory.add(4, [("x".repeat(256), 0)]).is_err());
    memory.add(4, [("x".repeat(255), u32::MAX)]).unwrap();
    let view = memory.view(6);
    assert_eq!(postings(&view, "sea"), [(3, vec![0, 7])]);
    assert_eq!(
        (view.count(b"shell").unwrap(), view.statistics().tokens),
        (0, 3)
    );
    assert!(memory.bytes() > 255);
}

#[test]
fn long_words_have_automata() {
    for len in [1, 63, 64, 65, 255] {
        let word = "x".repeat(len);
        let pattern = Pattern::fuzzy(&word, 2, 0);
        assert_eq!(pattern.distance(word.as_bytes()), Some(0));
        assert_eq!(pattern.distance(&word.as_bytes()[1..]), Some(1));
    }
}

/// Edits between two words, neighbours exchanged counting as one, each place edited once.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            table[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let other = usize::from(a[i - 1] != b[j - 1]);
                let exchanged = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
                let mut least = table[i - 1][j - 1] + other;
                least = least.min(table[i - 1][j] + 1).min(table[i][j - 1] + 1);
                if exchanged {
                    least = least.min(table[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    table[a.len()][b.len()]
}
