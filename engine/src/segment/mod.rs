//! Points on disk: one immutable file for each segment, its deletes beside it.
//!
//! [`write`] makes a segment from a [`Source`]: a memtable that is full, or segments that are
//! merged. [`Segment`] reads it through a map, checking each chunk when it is first touched, so
//! that opening costs the same for any size. Nothing here ever changes a file, decides which
//! files there are, or asks whether a row is live: that is the version's work, with [`Deletes`].

mod columns;
mod deletes;
mod format;
mod ids;
mod lists;
mod missed;
mod payloads;
mod index;
mod texts;
mod sparse;
mod reader;
mod late;
mod tombstones;
mod vectors;
mod writer;

pub(crate) use deletes::Deletes;
pub(crate) use late::{Beside, Late, LateColumns};
pub(crate) use missed::{read_missed, write_missed};
pub(crate) use payloads::PayloadReader;
pub(crate) use reader::Segment;
pub(crate) use tombstones::{read_deletes, write_deletes};
pub(crate) use writer::{Layout, PutLists, Source, VectorShape, write};

#[cfg(test)]
mod tests;
