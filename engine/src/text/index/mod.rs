//! One text field of the rows of one part: terms, the rows that have each, and lengths.
//!
//! In memory an index is a [`Memory`], which one thread appends to and any number read through
//! [`View`]s; [`merge`] makes bytes of views, and of bytes, which a [`Stored`] reads in place. Both are
//! an [`Index`], and all that searches is written over that.

mod bounds;
mod dictionary;
mod lengths;
mod list;
mod memory;
mod merge;
mod pattern;
mod stored;
mod terms;
mod verify;

#[cfg(test)]
mod tests;

use crate::{
    cancel::Cancel,
    codec::DecodeError,
    error::{Error, Result},
    postings::List,
};

pub(super) use bounds::{MANY, pairs};
#[cfg(test)]
pub(super) use lengths::encode;
pub(super) use lengths::{Page, decode};
pub(super) use merge::{least, take};

pub(crate) use lengths::Lengths;
pub(crate) use memory::{Memory, View};
#[cfg(test)]
pub(crate) use merge::Builder;
pub(crate) use merge::{Bytes, Input, merge};
pub(crate) use pattern::{Matched, Pattern};
pub(crate) use stored::Stored;

/// The longest term in bytes.
pub(crate) const MAX_TERM: usize = 255;

/// The parts of an index in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Dictionary,
    Postings,
    /// Empty if positions are not kept.
    Positions,
    /// A byte for each row.
    Lengths,
}

/// What a part adds to what BM25 knows of a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Statistics {
    /// Rows that have a token.
    pub(crate) rows: u64,
    pub(crate) tokens: u64,
}

impl std::ops::AddAssign for Statistics {
    fn add_assign(&mut self, other: Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.tokens = self.tokens.saturating_add(other.tokens);
    }
}

/// One text field of the rows of one part, in memory or in a file.
pub(crate) trait Index {
    /// Rows of the part, with a text or without.
    fn rows(&self) -> u32;

    fn statistics(&self) -> Statistics;

    fn has_positions(&self) -> bool;

    /// How many rows have a term.
    fn count(&self, term: &[u8]) -> Result<u32>;

    /// The rows that have a term, with positions if these are asked for and kept.
    fn list(&self, term: &[u8], positions: bool) -> Result<Option<List<'_>>>;

    fn lengths(&self) -> Lengths<'_>;

    /// The terms that match, ascending.
    fn terms<'a>(&'a self, pattern: &'a Pattern, cancel: &'a Cancel) -> Result<Matches<'a>>;

    /// The error about a list that lies at `place`.
    fn flaw(&self, place: usize, flaw: DecodeError) -> Error;
}

/// Terms as they are asked for.
pub(crate) type Matches<'a> = Box<dyn Iterator<Item = Result<Matched>> + 'a>;
