//! Where in a text a query's words are, and the part of the text that shows most of them.
//!
//! Pure: a text, the analyzer that its terms came from, and what the query asks for in terms. The text is
//! analyzed anew; no index is asked.

use super::lower::Node;
use crate::analysis::Analyzer;
use serde::{Deserialize, Serialize};
use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

/// A part of a text, and where in it a query's words are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snippet {
    /// The part.
    pub text: String,
    /// Where in the part the words are, in bytes: in their order, none over another.
    pub matches: Vec<Range<usize>>,
    /// Where the part is in the whole text, in bytes.
    pub span: Range<usize>,
}

/// What a query looks for in one text of the schema.
#[derive(Default)]
pub(crate) struct Wanted<'a> {
    terms: HashSet<&'a str>,
    prefixes: Vec<&'a str>,
    /// With their distances and how many characters at the beginning must be the same.
    fuzzy: Vec<(&'a str, u32, u32)>,
    /// Terms with their places, and slop.
    phrases: Vec<(&'a [(u32, String)], u32)>,
}

impl<'a> Wanted<'a> {
    /// What queries look for in the text of this number; nothing of what they exclude.
    pub(crate) fn of(nodes: &[&'a Node], field: u32) -> Self {
        let mut wanted = Self::default();
        let mut open = nodes.to_vec();
        while let Some(node) = open.pop() {
            match node {
                Node::Bool { must, should, .. } => open.extend(must.iter().chain(should)),
                Node::Term {
                    field: of, term, ..
                } if *of == field => {
                    wanted.terms.insert(term);
                }
                Node::Prefix {
                    field: of, prefix, ..
                } if *of == field => wanted.prefixes.push(prefix),
                Node::Fuzzy {
                    field: of,
                    term,
                    distance,
                    exact_prefix,
                    ..
                } if *of == field => wanted.fuzzy.push((term, *distance, *exact_prefix)),
                Node::Phrase {
                    field: of,
                    terms,
                    slop,
                    ..
                } if *of == field => wanted.phrases.push((terms, *slop)),
                _ => {}
            }
        }
        wanted
    }

    /// Where in a text what is looked for is, in bytes: in order, none over another. Words of a phrase
    /// count only where the phrase is.
    pub(crate) fn spans(&self, analyzer: &mut Analyzer, text: &str) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        // Of each phrase the places of its terms, as if each were the first.
        let mut places = vec![Vec::new(); self.phrases.len()];
        let mut in_phrases: HashMap<&str, Vec<(usize, usize)>> = HashMap::new();
        for (phrase, (terms, _)) in self.phrases.iter().enumerate() {
            for (place, (_, term)) in terms.iter().enumerate() {
                in_phrases.entry(term).or_default().push((phrase, place));
            }
        }
        analyzer.analyze(text, |token| {
            for (phrase, place) in in_phrases.get(token.term).into_iter().flatten() {
                let (relative, _) = &self.phrases[*phrase].0[*place];
                let first = i64::from(token.position) - i64::from(*relative);
                places[*phrase].push((first, *place, token.span.clone()));
            }
            if self.has(token.term) {
                found.push(token.span);
            }
        });
        for ((terms, slop), places) in self.phrases.iter().zip(places) {
            found.extend(in_phrase(places, terms.len(), *slop));
        }
        merged(found)
    }

    fn has(&self, term: &str) -> bool {
        self.terms.contains(term)
            || self.prefixes.iter().any(|prefix| term.starts_with(prefix))
            || self.fuzzy.iter().any(|wanted| is_near(term, *wanted))
    }
}

/// Whether a term is spelled almost like another.
fn is_near(term: &str, (wanted, distance, exact_prefix): (&str, u32, u32)) -> bool {
    let exact = exact_prefix as usize;
    let lengths = term.chars().count().abs_diff(wanted.chars().count());
    lengths <= distance as usize
        && term.chars().take(exact).eq(wanted.chars().take(exact))
        && strsim::osa_distance(term, wanted) <= distance as usize
}

/// The spans of those places that together make the phrase: one of each term, with no more than `slop`
/// between where the first would stand.
fn in_phrase(
    mut places: Vec<(i64, usize, Range<usize>)>,
    terms: usize,
    slop: u32,
) -> Vec<Range<usize>> {
    places.sort_unstable_by_key(|(first, place, _)| (*first, *place));
    let mut counts = vec![0_usize; terms];
    let mut distinct = 0;
    let mut spans = Vec::new();
    let (mut end, mut taken) = (0, 0);
    for start in 0..places.len() {
        while let Some((first, place, _)) = places.get(end)
            && first - places[start].0 <= i64::from(slop)
        {
            distinct += usize::from(counts[*place] == 0);
            counts[*place] += 1;
            end += 1;
        }
        if distinct == terms {
            let new = &places[start.max(taken)..end];
            spans.extend(new.iter().map(|(_, _, span)| span.clone()));
            taken = end;
        }
        let place = places[start].1;
        counts[place] -= 1;
        distinct -= usize::from(counts[place] == 0);
    }
    spans
}

/// In order, and those that lie over each other as one.
fn merged(mut spans: Vec<Range<usize>>) -> Vec<Range<usize>> {
    spans.sort_unstable_by_key(|span| (span.start, span.end));
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start < last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}

/// The part of a text, of so many characters at most, that shows most of the spans, with some text on both
/// sides; its beginning if there are none. It begins and ends between words where there are spaces.
pub(crate) fn snippet(text: &str, spans: &[Range<usize>], characters: usize) -> Snippet {
    let core = densest(text, spans, characters);
    let shown = text[core.clone()].chars().count();
    let rest = characters.saturating_sub(shown);
    let before = back(text, core.start, rest / 2);
    let after = forth(
        text,
        core.end,
        rest - text[before..core.start].chars().count(),
    );
    let end = if text[after..].starts_with(char::is_whitespace) || after == text.len() {
        after
    } else {
        let space = text[core.end..after].rfind(char::is_whitespace);
        space.map_or(after, |space| core.end + space)
    };
    // What the end did not use is the beginning's.
    let before = back(text, core.start, rest - text[core.end..end].chars().count());
    let start = if before == 0 || text[..before].ends_with(char::is_whitespace) {
        before
    } else {
        let space = text[before..core.start].find(char::is_whitespace);
        space.map_or(before, |space| before + space)
    };
    let start = end - text[start..end].trim_start().len();
    let end = start + text[start..end].trim_end().len();
    let within = spans
        .iter()
        .filter(|span| span.start < end && span.end > start);
    let matches = within
        .map(|span| span.start.max(start) - start..span.end.min(end) - start)
        .collect();
    Snippet {
        text: text[start..end].to_owned(),
        matches,
        span: start..end,
    }
}

/// From the first to the last of most spans that lie within so many characters; the first such.
fn densest(text: &str, spans: &[Range<usize>], characters: usize) -> Range<usize> {
    let (mut most, mut core) = (0, 0..0);
    // How many characters lie between the start of the first span and the end of the last.
    let (mut length, mut first) = (0, 0);
    for (last, span) in spans.iter().enumerate() {
        let from = if last == first {
            length = 0;
            span.start
        } else {
            spans[last - 1].end
        };
        length += text[from..span.end].chars().count();
        while length > characters && first < last {
            length -= text[spans[first].start..spans[first + 1].start]
                .chars()
                .count();
            first += 1;
        }
        if last + 1 - first > most {
            most = last + 1 - first;
            core = spans[first].start..span.end;
        }
    }
    // One span alone may be longer.
    core.end = core.end.min(forth(text, core.start, characters));
    core
}

/// So many characters before.
fn back(text: &str, from: usize, characters: usize) -> usize {
    let starts = text[..from].char_indices().rev();
    starts.take(characters).last().map_or(from, |(at, _)| at)
}

/// So many characters after.
fn forth(text: &str, from: usize, characters: usize) -> usize {
    let mut starts = text[from..].char_indices();
    starts
        .nth(characters)
        .map_or(text.len(), |(at, _)| from + at)
}

#[cfg(test)]
mod tests;
