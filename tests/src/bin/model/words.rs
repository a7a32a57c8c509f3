//! Texts of words between spaces: drawn, and searched by looking at every word.
//!
//! It follows what the engine documents, and shares no code with it.

use super::{collection::Collection, draw::pick};
use amphora::{Least, Query, Text, TextQuery};
use amphora_tests::{brute::values, random::Random};
use serde_json::Value;
use std::collections::BTreeSet;

/// Payload fields that are searched as text; the second is nested, and often declared as nothing else.
pub(crate) const TEXTS: [&str; 2] = ["words", "author.name"];
const WORDS: [&str; 8] = ["pond", "Pond", "po", "urn", "a.b", "🏺", "wine", "absent"];

/// Texts are taken apart alike if they both have positions, or neither.
pub(crate) fn text(random: &mut Random) -> Text {
    Text::whitespace().positions(random.below(3) > 0)
}

/// A few words, of which the last is in no text.
fn some(random: &mut Random, most: u64, of: u64) -> String {
    let words = (0..random.below(most + 1)).map(|_| WORDS[random.below(of) as usize]);
    words.collect::<Vec<_>>().join(" ")
}

/// What a field holds: words, unless it is meant to be refused.
pub(crate) fn value(random: &mut Random) -> Value {
    match random.below(300) {
        0 => 7.into(),
        _ => some(random, 7, WORDS.len() as u64 - 1).into(),
    }
}

pub(crate) fn query(random: &mut Random, collection: Option<&Collection>) -> Query {
    let looked_for = |random: &mut Random, most| some(random, most, WORDS.len() as u64);
    let query = match random.below(6) {
        0 | 1 => TextQuery::any(looked_for(random, 3)),
        2 => TextQuery::all(looked_for(random, 3)),
        3 => TextQuery::at_least(1 + random.below(3) as u32, looked_for(random, 4)),
        4 => TextQuery::phrase(looked_for(random, 3)),
        _ => TextQuery::prefix(looked_for(random, 2)),
    };
    let texts = collection.map(|collection| &collection.schema.texts);
    let known = texts.is_some_and(|texts| texts.len() == TEXTS.len());
    match random.below(3) {
        0 => Query::texts([(*pick(random, &TEXTS), 1.0)], query),
        1 if known => Query::texts(TEXTS.map(|name| (name, 1.5)), query),
        _ => Query::texts([("", 1.0); 0], query),
    }
}

/// Whether a payload has what is looked for in these texts; none if that cannot be told of them.
pub(crate) fn has(payload: &Value, texts: &[(&str, &Text)], query: &TextQuery) -> Option<bool> {
    let positions = texts.iter().any(|(_, text)| text.positions);
    if let TextQuery::Phrase { text, .. } = query
        && text.split_whitespace().nth(1).is_some()
        && !positions
        && !texts.is_empty()
    {
        return None;
    }
    let alike = [true, false].map(|positions| {
        let alike = texts.iter().filter(|(_, text)| text.positions == positions);
        let strings = alike.flat_map(|(name, _)| values(payload, name));
        let strings = strings.filter_map(Value::as_str);
        (positions, strings.collect::<Vec<_>>())
    });
    let mut alike = alike.into_iter();
    Some(alike.any(|(positions, strings)| is_in(&strings, positions, query)))
}

fn is_in(strings: &[&str], positions: bool, query: &TextQuery) -> bool {
    let words: BTreeSet<&str> = strings
        .iter()
        .flat_map(|string| string.split_whitespace())
        .collect();
    match query {
        TextQuery::Match { text, least } => {
            let asked: BTreeSet<&str> = text.split_whitespace().collect();
            let found = asked.intersection(&words).count();
            let least = match least {
                Least::Any => 1,
                Least::All => asked.len(),
                Least::Of(least) => asked.len().min(*least as usize),
            };
            found >= least.max(1)
        }
        TextQuery::Phrase { text, .. } => {
            let asked: Vec<&str> = text.split_whitespace().collect();
            let mut found = strings.iter().filter(|string| {
                let own: Vec<&str> = string.split_whitespace().collect();
                let mut stretches = own.windows(asked.len().max(1));
                stretches.any(|stretch| stretch == asked)
            });
            (positions || asked.len() == 1) && found.next().is_some()
        }
        TextQuery::Prefix(text) => {
            let asked: Vec<&str> = text.split_whitespace().collect();
            let Some((beginning, whole)) = asked.split_last() else {
                return false;
            };
            whole.iter().all(|word| words.contains(word))
                && words.iter().any(|word| word.starts_with(beginning))
        }
        other => panic!("the model does not know {other:?}"),
    }
}
