//! The indexes over the texts of a segment. What one is made of is `text/`'s matter.

use super::format::{Kind, Output, Sections};
use crate::{
    cancel::Cancel,
    codec::DecodeError,
    container::SectionId,
    error::{Error, Result},
    text::{self, Section, Stored},
};

/// Where the index over a text is.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredText {
    number: u32,
    dictionary: SectionId,
    postings: SectionId,
    positions: SectionId,
    lengths: SectionId,
}

/// The sections of one index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TextSections<'a> {
    sections: &'a Sections,
    text: StoredText,
}

impl StoredText {
    /// Finds the sections of the text `number`; reads nothing of them.
    pub(super) fn open(sections: &Sections, number: u32) -> Result<Self> {
        Ok(Self {
            number,
            dictionary: sections.need(Kind::TextDictionary, number)?,
            postings: sections.need(Kind::TextPostings, number)?,
            positions: sections.need(Kind::TextPositions, number)?,
            lengths: sections.need(Kind::TextLengths, number)?,
        })
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn get(self, sections: &Sections) -> Result<Stored<TextSections<'_>>> {
        let rows = sections.rows;
        let source = TextSections {
            sections,
            text: self,
        };
        Stored::open(source, rows)
    }

    /// Whether it holds together. Its checksums were compared before.
    pub(super) fn verify(self, sections: &Sections, cancel: &Cancel) -> Result<()> {
        self.get(sections)?.verify(cancel)
    }
}

impl TextSections<'_> {
    fn id(&self, section: Section) -> SectionId {
        match section {
            Section::Dictionary => self.text.dictionary,
            Section::Postings => self.text.postings,
            Section::Positions => self.text.positions,
            Section::Lengths => self.text.lengths,
        }
    }
}

impl text::Source for TextSections<'_> {
    fn len(&self, section: Section) -> usize {
        self.sections.len(self.id(section))
    }

    fn bytes(&self, section: Section, start: usize, len: usize) -> Result<&[u8]> {
        self.sections.bytes(self.id(section), start, len)
    }

    fn corrupted(&self, section: Section, at: usize, flaw: DecodeError) -> Error {
        self.sections.corrupted(self.id(section), at, flaw)
    }
}

/// Writes the index over the text `number`.
pub(super) fn write_text(output: &mut Output<'_>, number: u32, bytes: &text::Bytes) -> Result<()> {
    for (kind, bytes) in [
        (Kind::TextDictionary, &bytes.dictionary),
        (Kind::TextPostings, &bytes.postings),
        (Kind::TextPositions, &bytes.positions),
        (Kind::TextLengths, &bytes.lengths),
    ] {
        output.begin(kind, number)?;
        output.put(bytes)?;
    }
    Ok(())
}
