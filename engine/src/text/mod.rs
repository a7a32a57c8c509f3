//! Full-text indexes: which rows have a term, how often and where, and which rows are best by BM25.
//!
//! An index is over one text field of the rows of one part: `index/`. Searching goes over the indexes of
//! a part: `search/`. Nothing here knows an analyzer, a segment or a log; terms are bytes. No byte that
//! was read is trusted, and what is found is exact: bounds only say what need not be looked at.

mod index;
mod search;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use index::Builder;
pub(crate) use index::{Bytes, Index, Input, Memory, Pattern, Section, Stored, View, merge};
pub use search::Bm25;
pub(crate) use search::{Fields, Query, Weighed, search, search_rows};
