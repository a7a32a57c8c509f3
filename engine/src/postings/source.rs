//! Where the bytes of an index in a file come from.

use crate::{
    codec::DecodeError,
    error::{Error, Result},
};

/// The sections of an index, named by `S`.
pub(crate) trait Source<S> {
    fn len(&self, section: S) -> usize;

    /// `len` bytes from `start` on; an error if they lead out of the section.
    fn bytes(&self, section: S, start: usize, len: usize) -> Result<&[u8]>;

    /// The error that the section does not hold at byte `at` what was expected.
    fn corrupted(&self, section: S, at: usize, flaw: DecodeError) -> Error;
}
