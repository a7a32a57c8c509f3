//! The indexes over the texts of a segment. What one is made of is `text/`'s matter.

use super::{
    format::{Kind, Output},
    index,
};
use crate::{
    error::Result,
    text::{Bytes, Section},
};

impl index::Section for Section {
    const KINDS: [Kind; 4] = [
        Kind::TextDictionary,
        Kind::TextPostings,
        Kind::TextPositions,
        Kind::TextLengths,
    ];

    fn place(self) -> usize {
        self as usize
    }
}

/// Writes the index over the text `number`.
pub(super) fn write_text(output: &mut Output<'_>, number: u32, bytes: &Bytes) -> Result<()> {
    let bytes = [
        &bytes.dictionary,
        &bytes.postings,
        &bytes.positions,
        &bytes.lengths,
    ];
    for (kind, bytes) in <Section as index::Section>::KINDS.into_iter().zip(bytes) {
        output.begin(kind, number)?;
        output.put(bytes)?;
    }
    Ok(())
}
