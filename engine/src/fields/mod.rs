//! Columns: the values of one payload field in the rows of one segment, sorted and by row.
//!
//! A [`Builder`] is given payloads row by row and makes bytes of them, which a [`Column`] reads in
//! place: how many rows hold a value, which they are, and whether a given row is one of them,
//! without any payload. What the values of a field are and how they compare is defined here, for
//! payloads too. It knows no segment and no log, and never guesses: a question that a column cannot
//! answer exactly gets no answer.

mod number;
mod order;
mod path;
mod place;
mod format;
mod build;
mod column;

pub(crate) use build::Builder;
pub(crate) use column::{Column, Found, Selection};
pub(crate) use number::Key;
pub(crate) use order::{SortKey, Strings, extreme};
pub(crate) use path::{each_value, some_value};
