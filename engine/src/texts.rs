//! Indexes over the texts of rows that have none in a file: of what is in memory, and of segments that
//! are older than the text in the schema.
//!
//! They are made as far as somebody asks, by whoever asks: a search, or the job that writes a segment.

use crate::{
    analysis::{Analyzer, Token},
    cancel::Cancel,
    error::{Error, ErrorKind, Result},
    fields::some_value,
    grown::{Grow, Grown},
    payload::Payload,
    schema::{Schema, Text, Tokenizers, quoted},
    sync::{Mutex, lock},
    text::{Memory, View},
};
use serde_json::Value;
use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// The analyzers of all texts that were asked for.
#[derive(Debug, Default)]
pub(crate) struct Analyzers {
    tokenizers: Tokenizers,
    known: Mutex<Vec<(Text, Analyzer)>>,
}

impl Analyzers {
    pub(crate) fn new(tokenizers: Tokenizers) -> Self {
        Self {
            tokenizers,
            known: Mutex::default(),
        }
    }

    /// Refuses a schema with a text that nothing takes apart.
    pub(crate) fn check(&self, schema: &Schema) -> Result<()> {
        let mut texts = schema.texts.iter();
        texts.try_for_each(|(name, text)| {
            let of_text = |error: Error| error.context(format_args!("text {}", quoted(name)));
            self.get(text).map(drop).map_err(of_text)
        })
    }

    /// What takes apart a text of the schema. Only an unknown tokenizer is an error.
    pub(crate) fn get(&self, text: &Text) -> Result<Analyzer> {
        let mut known = lock(&self.known);
        if let Some((_, analyzer)) = known.iter().find(|(other, _)| other == text) {
            return Ok(analyzer.clone());
        }
        let analyzer = Analyzer::new(text, &self.tokenizers)?;
        known.push((text.clone(), analyzer.clone()));
        Ok(analyzer)
    }
}

/// A text of the schema: where it is in payloads, and what becomes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextField<'a> {
    pub(crate) name: &'a str,
    pub(crate) number: u32,
    pub(crate) text: &'a Text,
}

/// The indexes over the texts of the rows of one part, by the numbers of the texts.
#[derive(Debug, Default)]
pub(crate) struct GrownTexts(Grown<Entered>);

/// What one of them is made with.
#[derive(Debug)]
struct Entered {
    index: Memory,
    analyzer: Analyzer,
    tokens: Tokens,
    /// So many rows were looked at.
    rows: u32,
}

impl Grow for Entered {
    fn bytes(&self) -> usize {
        self.index.bytes()
    }
}

impl GrownTexts {
    /// The index over a text of the first `rows`. `payload` gives that of a row, if there is one; every
    /// row is asked for once, whether or not it is live.
    ///
    /// # Errors
    /// Those of `payload`, `Panicked` when a tokenizer of the user's does, and `Cancelled`, also while
    /// another one is at work.
    pub(crate) fn up_to(
        &self,
        rows: u32,
        field: TextField<'_>,
        analyzers: &Analyzers,
        mut payload: impl FnMut(u32) -> Result<Option<Payload>>,
        cancel: &Cancel,
    ) -> Result<View> {
        let new = || Entered::new(field, analyzers);
        let (entered, view) = self.0.with(field.number, new, cancel, |grown| {
            let enter = || {
                (grown.rows..rows).try_for_each(|row| {
                    cancel.check_at(row)?;
                    if let Some(payload) = payload(row)? {
                        grown.enter(row, &payload, field.name)?;
                    }
                    grown.rows = row + 1;
                    Ok(())
                })
            };
            let entered = tokenized(field.name, enter);
            (entered, grown.index.view(rows.min(grown.rows)))
        })?;
        entered?.map(|()| view)
    }

    /// About how much memory they take.
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

/// What comes of a tokenizer, which may be the user's and panic: then an error that names the text.
pub(crate) fn tokenized<T>(name: &str, tokenize: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(tokenize)).map_err(|panic| {
        // What it says may quote the text, and dropping it is foreign code.
        mem::forget(panic);
        let message = format!("the tokenizer of the text {} panicked", quoted(name));
        Error::new(ErrorKind::Panicked, message)
    })
}

impl Entered {
    fn new(field: TextField<'_>, analyzers: &Analyzers) -> Result<Self> {
        Ok(Self {
            index: Memory::new(field.text.positions),
            analyzer: analyzers.get(field.text)?,
            tokens: Tokens::default(),
            rows: 0,
        })
    }

    fn enter(&mut self, row: u32, payload: &Payload, name: &str) -> Result<()> {
        self.tokens.clear();
        let mut next = 0;
        each_text(payload, name, |text| {
            let tokens = &mut self.tokens;
            let each = |token: Token<'_>| tokens.push(token.term, token.position);
            next = self.analyzer.analyze_from(next, text, each);
        })?;
        self.index.add(row, self.tokens.iter())
    }
}

/// Calls `each` with the strings of a payload that are the text `name`.
pub(crate) fn each_text(payload: &Payload, name: &str, mut each: impl FnMut(&str)) -> Result<()> {
    some_value(payload.checked()?, name, &mut |value: &Value| {
        value.as_str().into_iter().for_each(&mut each);
        false
    });
    Ok(())
}

/// The tokens of one row.
#[derive(Debug, Default)]
struct Tokens {
    terms: String,
    /// For each where its term ends, and its position.
    ends: Vec<(usize, u32)>,
}

impl Tokens {
    fn clear(&mut self) {
        self.terms.clear();
        self.ends.clear();
    }

    fn push(&mut self, term: &str, position: u32) {
        self.terms.push_str(term);
        self.ends.push((self.terms.len(), position));
    }

    fn iter(&self) -> impl Iterator<Item = (&str, u32)> {
        let mut start = 0;
        self.ends.iter().map(move |(end, position)| {
            let term = &self.terms[start..*end];
            start = *end;
            (term, *position)
        })
    }
}
