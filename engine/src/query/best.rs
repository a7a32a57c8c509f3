//! The best rows of all parts, of what is scored or ranked row by row.

use super::{
    Conditions,
    bound::Bound,
    explained::{ExplainedPart, Lap, Strategy, Trace},
    found::{Found, Within},
    plan::share,
    scan::count_in,
};
use crate::{
    cancel::Cancel, error::Result, id::PointId, postings::Collector, top_k::TopK, view::Part,
};
use std::time::Duration;

/// Where a filter lets so small a share of the rows pass, these are listed and scored.
const LISTED: u64 = 64;
/// The same where columns alone say which these are, and listed rows are scored together.
const LISTED_TOGETHER: u64 = 3;

/// What is kept of a row: by what it is ranked among equal scores, its id, part and row.
type Kept<R> = (R, PointId, usize, u32);

/// The best so far, of live rows that match a filter.
pub(super) struct Best<'a, R = ()> {
    parts: &'a [Part],
    filter: Option<&'a Conditions>,
    within: Option<&'a Within>,
    scores_together: bool,
    limit: usize,
    best: TopK<Kept<R>>,
    /// How many rows of a part were good enough to be asked whether they match.
    compared: u64,
    /// What is noted of each part, if anybody wants to know.
    trace: Option<&'a mut Trace>,
    noting: Option<ExplainedPart>,
    lap: Lap,
    cancel: &'a Cancel,
}

/// The best so far, of which one part is being searched.
pub(super) struct OfPart<'a, 'b, R = ()> {
    best: &'b mut TopK<Kept<R>>,
    number: usize,
    part: &'a Part,
    filter: Option<Bound<'a>>,
    compared: &'b mut u64,
}

impl<'a, R: Ord> Best<'a, R> {
    pub(super) fn new(
        parts: &'a [Part],
        filter: Option<&'a Conditions>,
        within: Option<&'a Within>,
        limit: usize,
        cancel: &'a Cancel,
    ) -> Self {
        Self {
            parts,
            filter: filter.filter(|_| within.is_none()),
            within,
            scores_together: false,
            limit,
            best: TopK::new(limit),
            compared: 0,
            trace: None,
            noting: None,
            lap: Lap::begin(false),
            cancel,
        }
    }

    /// Notes what is done in each part, but among what prefetches have found.
    pub(super) fn traced(mut self, trace: Option<&'a mut Trace>) -> Self {
        self.trace = trace.filter(|_| self.within.is_none());
        self.lap = Lap::begin(self.trace.is_some());
        self
    }

    /// For who scores listed rows together, which costs less than one after the other.
    pub(super) fn together(mut self) -> Self {
        self.scores_together = true;
        self
    }

    /// What takes the best rows of a part; and if these are few, the rows that may be hits, ascending,
    /// which are all that need be scored. The part is searched in this way if not.
    pub(super) fn part<'b>(
        &'b mut self,
        number: usize,
        way: Strategy,
    ) -> Result<(OfPart<'a, 'b, R>, Option<Vec<u32>>)> {
        self.end_part();
        let part = &self.parts[number];
        let filter = self.filter;
        let mut filter = filter
            .map(|filter| Bound::new(filter, part, self.cancel))
            .transpose()?;
        let listed = match &filter {
            Some(filter) if self.scores_together && !filter.reads_payloads() => LISTED_TOGETHER,
            _ => LISTED,
        };
        let estimated = match &filter {
            Some(filter) => filter.estimate(),
            None => Some(part.rows().into()),
        };
        let few = estimated.is_some_and(|few| few * listed < u64::from(part.rows()));
        let listed = filter.as_mut().filter(|_| few).map(Bound::rows);
        let mut listed = listed.transpose()?;
        if let Some(within) = self.within {
            listed = Some(within.rows(number).to_vec());
        } else if let Some(rows) = &mut listed {
            rows.sort_unstable();
            // All of them match.
            filter = None;
        } else if let (Some(filter), Strategy::Values) = (&mut filter, way) {
            filter.prepare(filter.asked(self.limit))?;
        }
        self.begin_part(part, if few { Strategy::Matches } else { way }, estimated)?;
        let collector = OfPart {
            best: &mut self.best,
            number,
            part,
            filter,
            compared: &mut self.compared,
        };
        Ok((collector, listed))
    }

    /// Notes what will be done in a part.
    fn begin_part(&mut self, part: &Part, way: Strategy, estimated: Option<u64>) -> Result<()> {
        let Some(trace) = &self.trace else {
            return Ok(());
        };
        let share = share(estimated.map(|it| it as usize), part.rows() as usize);
        let why = match way {
            Strategy::Matches => "looking at those costs least",
            Strategy::Lists => "those that may score enough are looked at",
            Strategy::Values => "those with the first values are looked at",
            _ => "all are looked at",
        };
        let planning = self.lap.end();
        let matches = match trace.counts_matches {
            true => Some(count_in(part, self.filter, self.cancel)?),
            false => None,
        };
        self.noting = Some(ExplainedPart {
            segment: part.file(),
            rows: part.rows().into(),
            strategy: way,
            gave_up: false,
            why: format!("{share}: {why}"),
            estimated,
            matches,
            visited: 0,
            glanced: 0,
            compared: 0,
            planning,
            finding: Duration::ZERO,
            comparing: Duration::ZERO,
        });
        self.compared = 0;
        self.lap.end();
        Ok(())
    }

    /// Notes what was done in the part before.
    fn end_part(&mut self) {
        if let Some((trace, mut part)) = self.trace.as_deref_mut().zip(self.noting.take()) {
            part.compared = self.compared;
            part.comparing = self.lap.end();
            trace.parts.push(part);
        }
    }

    /// The best first.
    pub(super) fn into_found(mut self) -> Vec<Found> {
        self.end_part();
        let found = |(score, (_, id, part, row))| Found::from((score, (id, part, row)));
        self.best.into_sorted().map(found).collect()
    }
}

impl<R: Ord> OfPart<'_, '_, R> {
    /// Whether a row is live and matches.
    pub(super) fn accepts(&mut self, row: u32) -> Result<bool> {
        *self.compared += 1;
        if !self.part.is_live(row)? {
            return Ok(false);
        }
        let filter = self.filter.as_mut();
        filter.map_or(Ok(true), |filter| filter.matches(row))
    }

    /// The id of a live row.
    pub(super) fn id(&self, row: u32) -> Result<PointId> {
        self.part.id(row)
    }

    /// The rank of the last that is kept, if all places are taken.
    pub(super) fn last(&self) -> Option<&R> {
        self.best.last().map(|(rank, ..)| rank)
    }

    /// Takes a row that counts by its rank alone, of which the smallest is the best.
    pub(super) fn offer_ranked(&mut self, rank: R, id: PointId, row: u32) {
        self.best.offer(0.0, (rank, id, self.number, row));
    }
}

impl Collector for OfPart<'_, '_> {
    fn last_wanted(&self) -> f32 {
        self.best.last_wanted()
    }

    fn accepts(&mut self, row: u32) -> Result<bool> {
        OfPart::accepts(self, row)
    }

    fn offer(&mut self, row: u32, score: f32) -> Result<()> {
        if self.best.wants(score) {
            let id = self.part.id(row)?;
            self.best.offer(score, ((), id, self.number, row));
        }
        Ok(())
    }
}
