//! The best rows of all parts, of what is found by going through lists: texts and sparse vectors.

use super::{Filter, bound::Bound, found::Found};
use crate::{
    cancel::Cancel, error::Result, id::PointId, postings::Collector, top_k::TopK, view::Part,
};

/// Where a filter lets so small a share of the rows pass, these are listed and scored.
const LISTED: u64 = 64;

/// The best so far, of live rows that match a filter.
pub(super) struct Best<'a> {
    parts: &'a [Part],
    filter: Option<&'a Filter>,
    /// Each with its part and row.
    best: TopK<(PointId, usize, u32)>,
}

/// The best so far, of which one part is being searched.
pub(super) struct OfPart<'a, 'b> {
    best: &'b mut TopK<(PointId, usize, u32)>,
    number: usize,
    part: &'a Part,
    filter: Option<Bound<'a>>,
}

impl<'a> Best<'a> {
    pub(super) fn new(parts: &'a [Part], filter: Option<&'a Filter>, limit: usize) -> Self {
        Self {
            parts,
            filter,
            best: TopK::new(limit),
        }
    }

    /// What takes the best rows of a part; and if these are few, the rows that match the filter,
    /// ascending, which are all that need be scored.
    pub(super) fn part<'b>(
        &'b mut self,
        number: usize,
        cancel: &'a Cancel,
    ) -> Result<(OfPart<'a, 'b>, Option<Vec<u32>>)> {
        let part = &self.parts[number];
        let filter = self.filter;
        let mut filter = filter
            .map(|filter| Bound::new(filter, part, cancel))
            .transpose()?;
        let few = filter.as_ref().and_then(Bound::estimate);
        let few = few.is_some_and(|few| few * LISTED < u64::from(part.rows()));
        let listed = filter.as_mut().filter(|_| few).map(Bound::rows);
        let mut listed = listed.transpose()?;
        if let Some(rows) = &mut listed {
            rows.sort_unstable();
        }
        let collector = OfPart {
            best: &mut self.best,
            number,
            part,
            filter,
        };
        Ok((collector, listed))
    }

    /// The best first.
    pub(super) fn into_found(self) -> Vec<Found> {
        self.best.into_sorted().map(Found::from).collect()
    }
}

impl Collector for OfPart<'_, '_> {
    fn last_wanted(&self) -> f32 {
        self.best.last_wanted()
    }

    fn accepts(&mut self, row: u32) -> Result<bool> {
        if !self.part.is_live(row)? {
            return Ok(false);
        }
        let filter = self.filter.as_mut();
        filter.map_or(Ok(true), |filter| filter.matches(row))
    }

    fn offer(&mut self, row: u32, score: f32) -> Result<()> {
        if self.best.wants(score) {
            let id = self.part.id(row)?;
            self.best.offer(score, (id, self.number, row));
        }
        Ok(())
    }
}
