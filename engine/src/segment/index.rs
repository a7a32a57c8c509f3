//! An index in the sections of a segment: where these are, and how they are read. What they hold is the matter of
//! whose index it is.

use super::format::{Kind, Sections};
use crate::{
    codec::DecodeError,
    container::SectionId,
    error::{Error, Result},
    postings::Source,
};
use std::marker::PhantomData;

/// How many sections an index has.
const SECTIONS: usize = 4;

/// The names of an index's sections.
pub(super) trait Section: Copy {
    /// What each is in a segment, in the order of their places.
    const KINDS: [Kind; SECTIONS];

    fn place(self) -> usize;
}

/// Where an index is.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredIndex<S> {
    /// That of its text or sparse vector in the schema.
    number: u32,
    places: [SectionId; SECTIONS],
    names: PhantomData<S>,
}

/// The sections of one index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IndexSections<'a, S> {
    sections: &'a Sections,
    index: StoredIndex<S>,
}

impl<S: Section> StoredIndex<S> {
    /// Finds the sections of the index `number`; reads nothing of them.
    pub(super) fn open(sections: &Sections, number: u32) -> Result<Self> {
        let [a, b, c, d] = S::KINDS.map(|kind| sections.need(kind, number));
        Ok(Self {
            number,
            places: [a?, b?, c?, d?],
            names: PhantomData,
        })
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn of(self, sections: &Sections) -> IndexSections<'_, S> {
        IndexSections {
            sections,
            index: self,
        }
    }
}

impl<S: Section> Source<S> for IndexSections<'_, S> {
    fn len(&self, section: S) -> usize {
        self.sections.len(self.index.places[section.place()])
    }

    fn bytes(&self, section: S, start: usize, len: usize) -> Result<&[u8]> {
        let place = self.index.places[section.place()];
        self.sections.bytes(place, start, len)
    }

    fn corrupted(&self, section: S, at: usize, flaw: DecodeError) -> Error {
        let place = self.index.places[section.place()];
        self.sections.corrupted(place, at, flaw)
    }
}
