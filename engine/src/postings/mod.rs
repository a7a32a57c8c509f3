//! Posting lists: ascending rows with a number each, in blocks that can be skipped by a bound.
//!
//! A list is written by [`Blocks`] and [`put_rest`], and read by a [`Cursor`] over a [`List`], which lies
//! in a file or in memory. What the numbers mean (occurrences of a word, a quantized weight) is the
//! owner's matter, and so is what a [`Bound`] says of a block. No byte of a list is trusted: what
//! cannot be a list is a `DecodeError`, never a panic. The layout stands at the head of `list.rs`.

mod block;
mod collector;
mod cursor;
mod list;
mod source;

pub(crate) use block::{BLOCK, put_numbers, put_rest, put_rest_entry, take_rest};
pub(crate) use collector::Collector;
pub(crate) use cursor::{Cursor, END};
pub(crate) use list::{Blocks, Bound, List};
pub(crate) use source::Source;

#[cfg(test)]
mod tests;
