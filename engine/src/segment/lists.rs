//! Where the lists of vectors of a segment's rows begin, if rows have lists.
//!
//! The vectors of all lists lie one after the other, as those do of which a row has one.

use super::format::{Kind, NO_PLACE, Sections};
use crate::{container::SectionId, error::Result, schema::Vector};

/// The first vector of each list, and one more behind the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lists(SectionId);

impl Lists {
    /// Finds the section of the vector `number`, of which so many rows have a list, and checks its
    /// length.
    pub(super) fn open(sections: &Sections, number: u32, count: u32) -> Result<Option<Self>> {
        let found = sections.find(Kind::VectorStarts, number);
        if let Some(section) = found {
            sections.expect_len(section, Some((u64::from(count) + 1) * 8))?;
        }
        Ok(found.map(Self))
    }

    /// The first vector of the list at a place, and how many it has.
    pub(super) fn get(self, sections: &Sections, place: usize) -> Result<(usize, usize)> {
        let starts: &[u64] = sections.values(self.0, place, 2)?;
        if let [first, end] = *starts
            && let Ok(first) = usize::try_from(first)
            && let Some(Ok(count)) = end.checked_sub(first as u64).map(usize::try_from)
            && (1..=Vector::MAX_MULTI).contains(&count)
        {
            return Ok((first, count));
        }
        let what = "a list of vectors is empty, or too long";
        Err(sections.corrupted(self.0, place * 8, what))
    }

    /// How many vectors there are, given the places of all rows: whether lists lie one after the
    /// other, in the order of the rows that have one.
    pub(super) fn verify(
        self,
        sections: &Sections,
        places: impl Iterator<Item = Result<u32>>,
    ) -> Result<usize> {
        let (mut next_place, mut next) = (0, 0);
        for place in places {
            let place = place?;
            if place == NO_PLACE {
                continue;
            }
            let place = place as usize;
            let (first, count) = self.get(sections, place)?;
            if (place, first) != (next_place, next) {
                let what = "a list of vectors is not behind the one before it";
                return Err(sections.corrupted(self.0, place * 8, what));
            }
            (next_place, next) = (place + 1, first + count);
        }
        Ok(next)
    }
}
