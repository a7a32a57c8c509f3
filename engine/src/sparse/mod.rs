//! Sparse vectors: what is kept of them, which rows have a dimension, and which rows are best by their dot
//! product with a query.
//!
//! An index is over one sparse vector of the rows of one part: a posting list for each dimension, of rows
//! with their weights. In memory it is grown over the rows by who asks (`grown`, `memory`); in a file it lies
//! beside the vectors themselves (`stored`), and is made by merging others (`merge`). Searching (`search`) goes over
//! the lists of a part. Nothing here knows a segment or a log. No byte that was read is trusted, and
//! what is found is exact: bounds only say what need not be looked at.

mod accept;
mod dot;
mod weight;
mod list;
mod stored;
mod verify;
mod memory;
mod grown;
mod merge;
mod leaf;
mod search;

#[cfg(test)]
mod tests;

pub(crate) use accept::{accept, widened};
pub(crate) use grown::GrownSparse;
pub(crate) use merge::{Input, merge};
pub(crate) use search::{Weighed, search, search_rows};
pub(crate) use stored::{Section, Stored, put_vector, vector_len};

use crate::{
    cancel::Cancel,
    codec::DecodeError,
    error::{Error, Result},
    postings::List,
};

/// One sparse vector of the rows of one part, in memory or in a file.
pub(crate) trait Index {
    /// Rows of the part, with the vector or without.
    fn rows(&self) -> u32;

    /// How many rows have the vector.
    fn filled(&self) -> u64;

    /// How many rows have a dimension.
    fn count(&self, dimension: u32) -> Result<u32>;

    /// The rows that have a dimension, with their weights in 16 bits.
    fn list(&self, dimension: u32) -> Result<Option<List<'_>>>;

    /// The dimensions that some row has, ascending; in memory also ones that only later rows have.
    fn dimensions(&self, cancel: &Cancel) -> Result<Vec<u32>>;

    /// The error about a list that lies at `place`.
    fn flaw(&self, place: usize, flaw: DecodeError) -> Error;
}
