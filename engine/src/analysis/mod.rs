//! From texts to terms: what a [`Text`](crate::Text) of the schema says, done.
//!
//! An [`Analyzer`] takes the texts of points when they are written, and those of queries, and calls back
//! with each term, its position and the bytes where it stands. It knows no index: what becomes of a
//! term is not decided here. It takes time in proportion to the text, whatever that holds, and never
//! fails on one.

mod cache;
mod normal;
mod words;

use crate::{
    error::{Error, Result},
    schema::{Language, StopWords, Text, Tokenization, Tokenizer, Tokenizers, quoted},
};
use cache::Cache;
use std::{collections::HashSet, fmt, ops::Range, sync::Arc};

/// How many positions lie between two strings of one field, so that no phrase goes from one to the other.
pub(crate) const POSITION_GAP: u32 = 100;

/// A word of more bytes is left out unseen: what is shorter may still come to a term that is short enough.
const LONGEST_WORD: usize = 4 * Text::MAX_TERM_BYTES;

/// What Lucene leaves out of English texts.
const ENGLISH: &str = "a an and are as at be but by for if in into is it no not of on or such that the \
                       their then there these they this to was will with";

/// A term of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    /// Not empty, and at most [`Text::MAX_TERM_BYTES`] long.
    pub(crate) term: &'a str,
    /// How many words stand before it, those included that are left out. Grams that begin at the same
    /// character have the same one.
    pub(crate) position: u32,
    /// The bytes of the text that it comes from.
    pub(crate) span: Range<usize>,
}

/// Takes texts apart as a text of the schema says. It remembers words, so that one that is kept is
/// quicker than a new one; a clone shares what does not change, and remembers words of its own.
pub(crate) struct Analyzer {
    chain: Arc<Chain>,
    for_queries: bool,
    cache: Cache,
    term: String,
    scratch: String,
}

/// What every word goes through.
struct Chain {
    split: Split,
    lower_case: bool,
    turkish: bool,
    fold: bool,
    /// Whether accents go before stop words and stems are looked for: the rules of other languages know
    /// their accents, and those of English would miss the ending of `résumés`.
    fold_first: bool,
    stop_words: HashSet<Box<str>>,
    stemmer: Option<frostem::Stemmer>,
    min_length: usize,
    max_length: usize,
}

enum Split {
    Words,
    Pieces,
    Grams { least: u32, most: u32, edge: bool },
    Custom(Arc<dyn Tokenizer>),
}

impl fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Analyzer").finish_non_exhaustive()
    }
}

impl Clone for Analyzer {
    fn clone(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            for_queries: self.for_queries,
            cache: Cache::default(),
            term: String::new(),
            scratch: String::new(),
        }
    }
}

impl Analyzer {
    /// What a text that was checked says. Only an unknown tokenizer is an error.
    pub(crate) fn new(text: &Text, tokenizers: &Tokenizers) -> Result<Self> {
        Ok(Self {
            chain: Arc::new(Chain::new(text, tokenizers)?),
            for_queries: false,
            cache: Cache::default(),
            term: String::new(),
            scratch: String::new(),
        })
    }

    /// The same for the texts of queries: it looks for the longest of a word's n-grams alone, and does
    /// not set out to remember words.
    pub(crate) fn for_queries(&self) -> Self {
        Self {
            for_queries: true,
            ..self.clone()
        }
    }

    /// Calls `each` for each term of a text, in the order of positions.
    pub(crate) fn analyze(&mut self, text: &str, mut each: impl FnMut(Token<'_>)) {
        self.run(text, 0, true, &mut each);
    }

    /// The same for one of several strings of a field, the first of which begins at 0. Says where the
    /// next begins.
    pub(crate) fn analyze_from(
        &mut self,
        position: u32,
        text: &str,
        mut each: impl FnMut(Token<'_>),
    ) -> u32 {
        let end = self.run(text, position, true, &mut each);
        end.saturating_add(POSITION_GAP)
    }

    /// Calls `each` for each word of a text, lower-cased and folded alone: neither stop words nor stems.
    pub(crate) fn words(&mut self, text: &str, mut each: impl FnMut(Token<'_>)) {
        self.run(text, 0, false, &mut each);
    }

    /// The position after the last word.
    fn run(
        &mut self,
        text: &str,
        position: u32,
        whole: bool,
        each: &mut impl FnMut(Token<'_>),
    ) -> u32 {
        let Self {
            chain,
            for_queries,
            cache,
            term,
            scratch,
        } = self;
        let (chain, for_queries) = (&**chain, *for_queries);
        let mut next = position;
        let mut emit = |word: &str, position, span: Range<usize>| {
            let mut work = |word: &str, term: &mut String| chain.apply(word, whole, term, scratch);
            let cached = if for_queries || !whole || chain.is_quick(word) {
                None
            } else {
                cache.term(word, &mut work)
            };
            let term = cached.unwrap_or_else(|| {
                work(word, term);
                term
            });
            if !term.is_empty() {
                each(Token {
                    term,
                    position,
                    span,
                });
            }
        };
        let mut count = |word: &str, span| {
            emit(word, next, span);
            next = next.saturating_add(1);
        };
        match &chain.split {
            Split::Words => words::words(text, count),
            Split::Pieces => words::pieces(text, count),
            Split::Custom(tokenizer) => tokenizer.tokenize(text, &mut |word, span| {
                if !word.is_empty() && text.get(span.clone()).is_some() {
                    count(word, span);
                }
            }),
            Split::Grams { least, most, edge } => words::words(text, |word, span| {
                let Some(length) = chain.length(word) else {
                    next = next.saturating_add(1);
                    return;
                };
                let longest = (length as u32).clamp(*least, *most);
                let least = if for_queries { longest } else { *least };
                let mut last = 0;
                words::grams(word, least, *most, |place, part| {
                    if place == 0 || !edge {
                        last = place;
                        let span = span.start + part.start..span.start + part.end;
                        emit(&word[part], next.saturating_add(place), span);
                    }
                });
                next = next.saturating_add(last).saturating_add(1);
            }),
        }
        next
    }
}

impl Chain {
    fn new(text: &Text, tokenizers: &Tokenizers) -> Result<Self> {
        let split = match &text.tokenizer {
            Tokenization::Words => Split::Words,
            Tokenization::Whitespace => Split::Pieces,
            Tokenization::Ngrams { least, most } => Split::Grams {
                least: *least,
                most: *most,
                edge: false,
            },
            Tokenization::EdgeNgrams { least, most } => Split::Grams {
                least: *least,
                most: *most,
                edge: true,
            },
            Tokenization::Custom(name) => {
                let found = tokenizers.named(name).cloned();
                Split::Custom(found.ok_or_else(|| no_tokenizer(name, tokenizers))?)
            }
        };
        let mut chain = Self {
            split,
            lower_case: text.lower_case,
            turkish: text.stemmer == Some(Language::Turkish),
            fold: text.fold,
            fold_first: matches!(text.stemmer, None | Some(Language::English)),
            stop_words: HashSet::new(),
            stemmer: text
                .stemmer
                .map(|language| frostem::Stemmer::new(language.algorithm())),
            min_length: text.min_length as usize,
            max_length: text.max_length as usize,
        };
        let mut scratch = String::new();
        let mut stop = |word: &str| {
            let mut normal = String::new();
            chain.normalize(word, &mut normal);
            if chain.fold_first {
                chain.fold(&mut normal, &mut scratch);
            }
            chain.stop_words.insert(normal.into());
        };
        match &text.stop_words {
            StopWords::None => {}
            StopWords::List(words) => words.iter().for_each(|word| stop(word)),
            StopWords::Language(Language::English) => ENGLISH.split(' ').for_each(stop),
            StopWords::Language(language) => {
                let words = stop_words::lookup(language.code()).unwrap_or_default();
                words.iter().for_each(|word| stop(word));
            }
        }
        Ok(chain)
    }

    /// How many characters a word has, unless it is left out for that.
    fn length(&self, word: &str) -> Option<usize> {
        if word.len() > LONGEST_WORD {
            return None;
        }
        let length = if word.is_ascii() {
            word.len()
        } else {
            word.chars().count()
        };
        (self.min_length..=self.max_length)
            .contains(&length)
            .then_some(length)
    }

    /// Whether working a word out is quicker than looking it up.
    fn is_quick(&self, word: &str) -> bool {
        self.stemmer.is_none() && self.stop_words.is_empty() && word.is_ascii()
    }

    /// Makes `term` what a word comes to; empty if nothing.
    fn apply(&self, word: &str, whole: bool, term: &mut String, scratch: &mut String) {
        term.clear();
        // The length of n-grams was looked at before: it is that of their words.
        if !matches!(self.split, Split::Grams { .. }) && self.length(word).is_none() {
            return;
        }
        self.normalize(word, term);
        if self.fold_first {
            self.fold(term, scratch);
        }
        if whole {
            if self.stop_words.contains(term.as_str()) {
                term.clear();
                return;
            }
            if let Some(stemmer) = &self.stemmer {
                scratch.clear();
                scratch.push_str(&stemmer.stem(term));
                std::mem::swap(term, scratch);
            }
        }
        self.fold(term, scratch);
        if term.len() > Text::MAX_TERM_BYTES {
            term.clear();
        }
    }

    fn fold(&self, term: &mut String, scratch: &mut String) {
        if self.fold && !term.is_ascii() {
            normal::fold(term, scratch);
            std::mem::swap(term, scratch);
        }
    }

    /// Makes `out` the word in the form that stop words and stems are looked for in.
    fn normalize(&self, word: &str, out: &mut String) {
        if self.fold && !word.is_ascii() {
            normal::compose(word, out);
        } else {
            out.clear();
            out.push_str(word);
        }
        if self.lower_case {
            normal::lower_case(out, self.turkish);
        }
    }
}

fn no_tokenizer(name: &str, tokenizers: &Tokenizers) -> Error {
    let known: Vec<_> = tokenizers.names().map(quoted).collect();
    Error::invalid(format!(
        "there is no tokenizer {}; the options have {}",
        quoted(name),
        if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        }
    ))
}

#[cfg(test)]
mod tests;
