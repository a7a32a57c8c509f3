//! Searching for the nearest: part by part, through an index where there is one, point by point
//! where not.
//!
//! An index says which rows are worth a look; whether they are hits, and in which order, is decided
//! by their vectors, as it is for every other row. It asks its [`Cancel`] every few microseconds.

use super::{
    Conditions, Effort,
    bound::Bound,
    explained::{ExplainedPart, Lap, Trace},
    found::{Found, Within},
    lists::{self, nearest_lists},
    plan::{Facts, Plan, patience, plan, plan_lists, why},
    scan::count_in,
};
use crate::{
    cancel::Cancel,
    error::Result,
    id::PointId,
    schema::Metric,
    top_k::TopK,
    vector::{Glancer, Index, MaxSim, Passes, Pick, Seen, Tally, Values, Wanted, scale, score},
    view::{Part, Stored, View},
};
use std::{ops::Range, time::Duration};

/// A question for the nearest, checked against a schema.
#[derive(Clone, Debug)]
pub(super) struct Nearest {
    /// The number of the vector.
    pub(super) vector: u32,
    pub(super) metric: Metric,
    /// Of a list of vectors all, one after the other.
    pub(super) values: Vec<f32>,
    /// The dimensions of each vector, if it is a list.
    pub(super) list_of: Option<usize>,
    pub(super) filter: Option<Conditions>,
    pub(super) limit: usize,
    /// How many of what an index finds are compared by their vectors; as many as it takes if it is
    /// not said.
    pub(super) oversampled: Option<usize>,
    pub(super) effort: Effort,
    /// Whether it may lie far from all points, where walks miss more of the nearest than by the recall of an index.
    pub(super) is_apart: bool,
}

/// So many times as much is kept in view for what may lie far from all points.
const APART: usize = 16;
/// So many of the rows near to a query tell whether its filter is about something else. The less of
/// them match, the more is kept in view, up to so many times as much: what matches is then far from
/// the query, and much of it about equally far.
const NEAR: usize = 16;
const FARTHEST: f32 = 16.0;
/// With so many times as much the filter is taken to be about something else.
const FAR: f32 = 3.0;
/// How many rows are glanced at in one go.
const AT_ONCE: u32 = 256;
/// How many rows that may be near enough are gathered at most before they are compared: the more, the
/// sooner the nearest of them come, by which the others are seen to be too far.
const ENOUGH: usize = 1 << 14;
/// With a higher recall no matches are left out that may be among the nearest.
const USUAL_RECALL: f32 = 0.98;

/// What is nearest, the best first.
pub(super) fn nearest(
    view: &View,
    query: &Nearest,
    within: Option<&Within>,
    trace: Option<&mut Trace>,
    cancel: &Cancel,
) -> Result<Vec<Found>> {
    let parts = view.parts()?;
    let mut search = Search {
        query,
        parts,
        scale: scale(&query.values, query.metric),
        list: query
            .list_of
            .map(|dimensions| MaxSim::new(query.metric, dimensions, &query.values)),
        best: TopK::new(query.limit),
        glancer: Glancer::default(),
        trace,
        tally: Tally::default(),
        compared: 0,
        cancel,
    };
    for (number, part) in parts.iter().enumerate() {
        match within {
            Some(within) => search.compare(number, part, within.rows(number))?,
            None => search.part(number, part)?,
        }
    }
    Ok(search.best.into_sorted().map(Found::from).collect())
}

struct Search<'a> {
    query: &'a Nearest,
    parts: &'a [Part],
    /// What the query is scaled with.
    scale: f32,
    /// If it is a list of vectors.
    list: Option<MaxSim<'a>>,
    /// The best so far, each with its part and row.
    best: TopK<(PointId, usize, u32)>,
    glancer: Glancer,
    /// What is noted of each part, if anybody wants to know.
    trace: Option<&'a mut Trace>,
    /// What was looked at in a part to find rows worth comparing.
    tally: Tally,
    /// How many rows of a part were compared by their vectors.
    compared: u64,
    cancel: &'a Cancel,
}

impl Search<'_> {
    fn part(&mut self, number: usize, part: &Part) -> Result<()> {
        if let Part::Stored(stored) = part
            && let Some(index) = stored.segment.indexes.get(self.query.vector)
        {
            match self.planned(number, part, Some((stored, &index))) {
                Err(error)
                    if error
                        .location()
                        .is_some_and(|(file, _)| index.is_file(file)) =>
                {
                    tracing::error!(%error, "an index is read no more");
                    stored.segment.indexes.remove(self.query.vector);
                }
                searched => return searched,
            }
        }
        self.planned(number, part, None)
    }

    fn planned(
        &mut self,
        number: usize,
        part: &Part,
        index: Option<(&Stored, &Index)>,
    ) -> Result<()> {
        self.compared = 0;
        self.tally.take();
        let mut lap = Lap::begin(self.trace.is_some());
        let mut filter = self.bind(part)?;
        let facts = self.facts(part, index, filter.as_mut())?;
        let plan = self.plan(facts);
        let planning = lap.end();
        let walked = match (plan, index) {
            (Plan::Walk { ef } | Plan::WalkMatches { ef }, Some(index)) => {
                let visits = match self.list {
                    Some(_) => usize::MAX,
                    None => patience(ef, facts),
                };
                let few_pass = matches!(plan, Plan::WalkMatches { .. });
                self.walk(index, (ef, visits), few_pass, filter.as_mut())?
            }
            (Plan::Matches, _) => None,
            _ => {
                self.one_by_one(number, part, filter)?;
                let stages = [planning, Duration::ZERO, lap.end()];
                return self.note(part, index.is_some(), (plan, facts, false), stages);
            }
        };
        let gave_up = walked.is_none() && plan != Plan::Matches;
        let rows = match (walked, &mut filter) {
            (Some(rows), _) => rows,
            // Those that match are fewer than the estimate said, or lie elsewhere.
            (None, Some(filter)) => self.matches(index, filter)?,
            // Many rows have ended, or those near to the query.
            (None, None) => {
                let rows = index.map(|(stored, _)| stored.rows_left().collect());
                self.pick(index, rows.unwrap_or_default())?
            }
        };
        let finding = lap.end();
        self.compare(number, part, &rows)?;
        let stages = [planning, finding, lap.end()];
        self.note(part, index.is_some(), (plan, facts, gave_up), stages)
    }

    fn bind<'b>(&self, part: &'b Part) -> Result<Option<Bound<'b>>>
    where
        Self: 'b,
    {
        let filter = self.query.filter.as_ref();
        filter
            .map(|filter| Bound::new(filter, part, self.cancel))
            .transpose()
    }

    /// Notes what was done in a part.
    fn note(
        &mut self,
        part: &Part,
        has_index: bool,
        (plan, facts, gave_up): (Plan, Facts, bool),
        stages: [Duration; 3],
    ) -> Result<()> {
        let Some(counts_matches) = self.trace.as_ref().map(|trace| trace.counts_matches) else {
            return Ok(());
        };
        let matches = match counts_matches {
            true => Some(count_in(part, self.query.filter.as_ref(), self.cancel)?),
            false => None,
        };
        let (visited, glanced) = self.tally.take();
        let [planning, finding, comparing] = stages;
        let noted = ExplainedPart {
            segment: part.file(),
            rows: part.rows().into(),
            strategy: plan.into(),
            gave_up,
            why: why(plan, facts, has_index),
            estimated: facts.matching.map(|matching| matching as u64),
            matches,
            visited,
            glanced,
            compared: self.compared,
            planning,
            finding,
            comparing,
        };
        if let Some(trace) = &mut self.trace {
            trace.parts.push(noted);
        }
        Ok(())
    }

    fn plan(&self, facts: Facts) -> Plan {
        match self.list {
            Some(_) => plan_lists(facts, self.query.limit),
            None => plan(facts),
        }
    }

    fn facts(
        &self,
        part: &Part,
        index: Option<(&Stored, &Index)>,
        filter: Option<&mut Bound<'_>>,
    ) -> Result<Facts> {
        let rows = match (index, &self.list) {
            (Some((_, index)), None) => index.rows(),
            _ => part.rows(),
        };
        let matching = match &filter {
            None => Some(u64::from(rows)),
            Some(filter) => filter.estimate(),
        };
        let left = index.map_or(1.0, |(stored, _)| stored.segment.share_live());
        let mut facts = Facts {
            rows: rows as usize,
            matching: matching.map(|matching| (matching as f64 * left) as usize),
            ef: index.and_then(|(_, index)| self.effort(index)),
            is_far: false,
        };
        if let (Plan::Walk { .. } | Plan::WalkMatches { .. }, Some(index), Some(filter)) =
            (self.plan(facts), index, filter)
            && self.list.is_none()
        {
            let times = self.farther(index, facts, filter)?;
            facts.ef = facts.ef.map(|ef| (ef as f32 * times) as usize);
            facts.is_far = times > FAR;
        }
        Ok(facts)
    }

    /// How many rows an index is to keep in view; `None` when it shall not be asked.
    fn effort(&self, index: &Index) -> Option<usize> {
        let limit = match self.list {
            Some(_) => lists::near(self.query.limit),
            None => self.query.limit,
        };
        let ef = match self.query.effort {
            Effort::Exact => return None,
            Effort::Ef(ef) => ef.max(limit),
            Effort::Recall(recall) if self.query.is_apart => APART * index.ef(recall, limit),
            Effort::Recall(recall) => index.ef(recall, limit),
        };
        // As many as are compared have to be found.
        Some(ef.max(self.query.oversampled.unwrap_or(0)))
    }

    /// How many times as many of all rows match as of those near to the query; not below 1.
    fn farther(
        &self,
        (stored, index): (&Stored, &Index),
        Facts { rows, matching, .. }: Facts,
        filter: &mut Bound<'_>,
    ) -> Result<f32> {
        let wanted = Wanted {
            limit: NEAR,
            compared: None,
            ef: NEAR,
            visits: usize::MAX,
            few_pass: false,
        };
        let values = &self.query.values;
        let (cancel, tally) = (self.cancel, &self.tally);
        let near = index.search(values, self.scale, wanted, cancel, None, tally)?;
        let near = near.unwrap_or_default();
        let mut count = 0;
        for (_, row) in &near {
            index.check_row(*row, stored.segment.segment.rows())?;
            count += usize::from(filter.matches(*row)? && stored.is_live(*row)?);
        }
        let share = matching.unwrap_or(rows) as f32 / rows as f32;
        let expected = near.len() as f32 * share;
        Ok((expected / count.max(1) as f32).clamp(1.0, FARTHEST))
    }

    /// Rows near to the query that an index leads to; `None` when it would lead to nearly all of
    /// them before it led to enough.
    fn walk(
        &self,
        (stored, index): (&Stored, &Index),
        (ef, visits): (usize, usize),
        few_pass: bool,
        mut filter: Option<&mut Bound<'_>>,
    ) -> Result<Option<Vec<u32>>> {
        let wanted = Wanted {
            limit: self.query.limit,
            compared: self.query.oversampled,
            ef,
            visits,
            few_pass,
        };
        let rows = stored.segment.segment.rows();
        let all_pass = filter.is_none() && stored.are_all_live();
        let mut passes = |row| {
            index.check_row(row, rows)?;
            let matches = filter
                .as_mut()
                .map_or(Ok(true), |filter| filter.matches(row))?;
            Ok(matches && stored.is_live(row)?)
        };
        let passes: Option<Passes<'_>> = match all_pass {
            true => None,
            false => Some(&mut passes),
        };
        let (values, cancel, tally) = (&self.query.values[..], self.cancel, &self.tally);
        let found = match self.query.list_of {
            Some(dimensions) => {
                let query = (self.query.metric, dimensions, values);
                nearest_lists(index, query, wanted, cancel, passes, tally)?
            }
            None => {
                let found = index.search(values, self.scale, wanted, cancel, passes, tally)?;
                found.map(|found| found.into_iter().map(|(_, row)| row).collect())
            }
        };
        if all_pass && let Some(found) = &found {
            let mut found = found.iter();
            found.try_for_each(|row| index.check_row(*row, rows))?;
        }
        index.check_on()?;
        Ok(found)
    }

    /// The rows that match or, where an index may be asked, those of them that are near to the query.
    fn matches(
        &self,
        index: Option<(&Stored, &Index)>,
        filter: &mut Bound<'_>,
    ) -> Result<Vec<u32>> {
        let rows = filter.rows()?;
        self.pick(index, rows)
    }

    /// These rows or, where an index may be asked, those of them that are near to the query.
    fn pick(&self, index: Option<(&Stored, &Index)>, rows: Vec<u32>) -> Result<Vec<u32>> {
        let limit = self.query.limit;
        let Some((stored, index)) = index else {
            return Ok(rows);
        };
        let is_list = self.list.is_some();
        if self.query.effort == Effort::Exact || is_list || rows.len() <= limit {
            return Ok(rows);
        }
        index.check_on()?;
        let (values, is_live) = (&self.query.values, |row| stored.is_live(row));
        let pick = Pick {
            limit,
            compared: self.query.oversampled,
            thorough: match self.query.effort {
                Effort::Recall(recall) => recall > USUAL_RECALL,
                Effort::Ef(_) | Effort::Exact => true,
            },
        };
        self.tally.compare(rows.len());
        let picked = index.nearest_of(&rows, values, self.scale, pick, self.cancel, is_live)?;
        Ok(picked.unwrap_or(rows))
    }

    /// Compares these rows, those that are live.
    fn compare(&mut self, number: usize, part: &Part, rows: &[u32]) -> Result<()> {
        for (count, row) in (0..).zip(rows) {
            self.cancel.check_at(count)?;
            self.compare_row(number, part, *row, None)?;
        }
        Ok(())
    }

    /// Compares a row if it is live. True when it is one of the best now.
    fn compare_row(
        &mut self,
        number: usize,
        part: &Part,
        row: u32,
        filter: Option<&mut Bound<'_>>,
    ) -> Result<bool> {
        if !part.is_live(row)? {
            return Ok(false);
        }
        let Some(found) = part.vector(row, self.query.vector)? else {
            return Ok(false);
        };
        let score = self.score(found)?;
        let is_wanted =
            self.best.wants(score) && filter.map_or(Ok(true), |filter| filter.matches(row))?;
        if is_wanted {
            self.offer(score, number, part, row)?;
        }
        Ok(is_wanted)
    }

    /// Compares all rows but those that are seen to be too far away.
    fn one_by_one(
        &mut self,
        number: usize,
        part: &Part,
        mut filter: Option<Bound<'_>>,
    ) -> Result<()> {
        let may_err = self.query.effort != Effort::Exact && self.list.is_none();
        let mut seen = Vec::new();
        let mut bar = self.bar()?;
        part.stretches(self.query.vector, |stretch, sketch| {
            let Some(sketch) = sketch.filter(|_| may_err) else {
                return self.stretch(number, part, stretch, filter.as_mut());
            };
            if !self.glancer.knows(sketch) {
                self.compare_seen(number, part, std::mem::take(&mut seen), filter.as_mut())?;
                self.glancer.set(sketch, &self.query.values, self.scale);
                bar = self.bar()?;
            }
            for first in stretch.clone().step_by(AT_ONCE as usize) {
                self.cancel.check()?;
                let some = first..stretch.end.min(first.saturating_add(AT_ONCE));
                self.tally.compare(some.len());
                self.glancer
                    .glance(sketch, stretch.start, some, bar, &mut seen);
                if seen.len() >= ENOUGH {
                    let seen = std::mem::take(&mut seen);
                    self.compare_seen(number, part, seen, filter.as_mut())?;
                    bar = self.bar()?;
                }
            }
            Ok(())
        })?;
        self.compare_seen(number, part, seen, filter.as_mut())
    }

    /// Compares those rows that may be near enough by what was seen of them: first the ones that seem
    /// to be the nearest, which tell how near is near enough.
    fn compare_seen(
        &mut self,
        number: usize,
        part: &Part,
        mut seen: Vec<Seen>,
        mut filter: Option<&mut Bound<'_>>,
    ) -> Result<()> {
        let first = self.query.limit;
        if seen.is_empty() {
            return Ok(());
        }
        if first < seen.len() {
            seen.select_nth_unstable_by(first, |a, b| b.score.total_cmp(&a.score));
        }
        let mut bar = self.bar()?;
        for (count, Seen { row, most, .. }) in (0..).zip(&seen) {
            self.cancel.check_at(count)?;
            // Also false for what is not a number.
            let is_far = *most < bar;
            if !is_far && self.compare_row(number, part, *row, filter.as_deref_mut())? {
                bar = self.bar()?;
            }
        }
        Ok(())
    }

    /// What a row must seem to be at a glance to be wanted.
    fn bar(&mut self) -> Result<f32> {
        let last = self.best.last().map(|(_, part, row)| (*part, *row));
        let Some((part, row)) = last else {
            return Ok(f32::NEG_INFINITY);
        };
        let vector = self.parts[part].vector(row, self.query.vector)?;
        Ok(vector.map_or(f32::NEG_INFINITY, |(values, scale)| {
            self.glancer.bar(values, scale)
        }))
    }

    fn stretch(
        &mut self,
        number: usize,
        part: &Part,
        stretch: Range<u32>,
        mut filter: Option<&mut Bound<'_>>,
    ) -> Result<()> {
        let cancel = self.cancel;
        let mut passes = |row| {
            let filter = filter.as_mut();
            filter.map_or(Ok(true), |filter| filter.matches(row))
        };
        // The score of one vector is cheaper than most filters, and few scores are wanted; that of a
        // list is not.
        let scores_first = self.list.is_none();
        let vector = self.query.vector;
        part.vectors(vector, stretch, cancel, |row, values, scale| {
            if !scores_first && !passes(row)? {
                return Ok(());
            }
            let score = self.score((values, scale))?;
            if scores_first && self.best.wants(score) && !passes(row)? {
                return Ok(());
            }
            self.offer(score, number, part, row)
        })
    }

    fn score(&mut self, found: (Values<'_>, f32)) -> Result<f32> {
        self.compared += 1;
        match &mut self.list {
            Some(list) => list.score(found.0, self.cancel),
            None => {
                let query = (&self.query.values[..], self.scale);
                Ok(score(self.query.metric, query, found))
            }
        }
    }

    fn offer(&mut self, score: f32, number: usize, part: &Part, row: u32) -> Result<()> {
        if self.best.wants(score) {
            self.best.offer(score, (part.id(row)?, number, row));
        }
        Ok(())
    }
}
