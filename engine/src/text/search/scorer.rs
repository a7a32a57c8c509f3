//! Goes through the rows of one part that match a query, in their order, and scores them.

use super::{
    super::index::{Index, Lengths},
    leaf::Leaf,
    phrase::Phrase,
    query::{Branch, Fields, Node, Weighed},
    score::Weight,
};
use crate::{cancel::Cancel, error::Result, postings::END};

/// Asks whether to go on, now and then.
pub(super) struct Ticks<'a> {
    cancel: &'a Cancel,
    count: u32,
}

impl<'a> Ticks<'a> {
    pub(super) fn new(cancel: &'a Cancel) -> Self {
        Self { cancel, count: 0 }
    }

    /// For what takes some microseconds.
    pub(super) fn check(&self) -> Result<()> {
        self.cancel.check()
    }

    /// Once for each step of a loop.
    #[inline]
    pub(super) fn tick(&mut self) -> Result<()> {
        self.count = self.count.wrapping_add(1);
        self.cancel.check_at(self.count)
    }
}

/// A place among the rows that match.
pub(super) enum Scorer<'a> {
    Nothing,
    Term(Box<Leaf<'a>>),
    Phrase(Box<Phrase<'a>>),
    Bool(Branch<Scorer<'a>>),
}

/// What a scorer is opened with.
pub(super) struct Opener<'a> {
    weighed: &'a Weighed,
    fields: &'a Fields<'a>,
    /// Of each field.
    lengths: Vec<Option<Lengths<'a>>>,
}

impl<'a> Opener<'a> {
    pub(super) fn new(weighed: &'a Weighed, fields: &'a Fields<'a>) -> Self {
        let lengths = fields.iter().map(|index| index.map(Index::lengths));
        Self {
            weighed,
            fields,
            lengths: lengths.collect(),
        }
    }

    pub(super) fn open(&'a self, node: &Node) -> Result<Scorer<'a>> {
        Ok(match node {
            Node::Nothing => Scorer::Nothing,
            Node::Term {
                field,
                term,
                weight,
            } => match self.leaf(*field, term, *weight, false)? {
                Some(leaf) => Scorer::Term(Box::new(leaf)),
                None => Scorer::Nothing,
            },
            Node::Phrase {
                field,
                terms,
                slop,
                weight,
            } => {
                let mut leaves = Vec::with_capacity(terms.len());
                for (term, place) in terms {
                    let Some(leaf) = self.leaf(*field, term, *weight, true)? else {
                        return Ok(Scorer::Nothing);
                    };
                    leaves.push((leaf, *place));
                }
                Scorer::Phrase(Box::new(Phrase::new(leaves, *slop)))
            }
            Node::Bool(branch) => {
                let all = |nodes: &[Node]| -> Result<Vec<Scorer<'a>>> {
                    nodes.iter().map(|node| self.open(node)).collect()
                };
                let is_there = |scorer: &Scorer<'_>| !matches!(scorer, Scorer::Nothing);
                let mut branch = Branch {
                    must: all(&branch.must)?,
                    should: all(&branch.should)?,
                    must_not: all(&branch.must_not)?,
                    at_least: branch.at_least,
                };
                branch.should.retain(is_there);
                branch.must_not.retain(is_there);
                if !branch.must.iter().all(is_there) || branch.should.len() < branch.at_least {
                    return Ok(Scorer::Nothing);
                }
                // What few rows have says where to look at the others.
                branch.must.sort_by_key(Scorer::count);
                Scorer::Bool(branch)
            }
        })
    }

    /// The rows of a term, if there are any in this part.
    pub(super) fn leaf(
        &'a self,
        field: usize,
        term: &[u8],
        weight: f32,
        positions: bool,
    ) -> Result<Option<Leaf<'a>>> {
        let index = self.fields.get(field).copied().flatten();
        let lengths = self.lengths.get(field).and_then(Option::as_ref);
        let table = self.weighed.tables.get(field);
        let (Some(index), Some(lengths), Some(table)) = (index, lengths, table) else {
            return Ok(None);
        };
        let Some(list) = index.list(term, positions)? else {
            return Ok(None);
        };
        let weight = Weight {
            weight,
            grid: self.weighed.grid,
            table,
        };
        Leaf::open(index, list, lengths, weight).map(Some)
    }
}

impl Scorer<'_> {
    /// How many rows match at most.
    fn count(&self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Term(leaf) => leaf.count(),
            Self::Phrase(phrase) => phrase.count_most(),
            Self::Bool(branch) => match branch.must.first() {
                Some(rarest) => rarest.count(),
                None => branch.should.iter().map(Self::count).sum(),
            },
        }
    }

    /// The first row from `row` on that matches. Rows ascend from call to call.
    pub(super) fn seek(&mut self, row: u32, ticks: &mut Ticks<'_>) -> Result<u32> {
        match self {
            Self::Nothing => Ok(END),
            Self::Term(leaf) => leaf.seek(row),
            Self::Phrase(phrase) => phrase.seek(row, ticks),
            Self::Bool(branch) => branch.seek(row, ticks),
        }
    }

    /// The score of the row that it stands at, which is `row`.
    pub(super) fn score(&mut self, row: u32, ticks: &mut Ticks<'_>) -> Result<f64> {
        match self {
            Self::Nothing => Ok(0.0),
            Self::Term(leaf) => leaf.score(),
            Self::Phrase(phrase) => phrase.score(),
            Self::Bool(branch) => branch.score(row, ticks),
        }
    }

    /// A row from `row` on, and what no row from `row` up to it scores more than. Rows ascend from
    /// call to call.
    pub(super) fn bound_at(&mut self, row: u32) -> Result<(u32, f64)> {
        match self {
            Self::Nothing => Ok((END, 0.0)),
            Self::Term(leaf) => leaf.bound_at(row),
            Self::Phrase(phrase) => phrase.bound_at(row),
            Self::Bool(branch) => {
                let (mut last, mut bound) = (END, 0.0);
                for scorer in branch.must.iter_mut().chain(&mut branch.should) {
                    let own = scorer.bound_at(row)?;
                    last = last.min(own.0);
                    bound += own.1;
                }
                Ok((last, bound))
            }
        }
    }
}

impl Branch<Scorer<'_>> {
    fn seek(&mut self, mut row: u32, ticks: &mut Ticks<'_>) -> Result<u32> {
        loop {
            ticks.tick()?;
            row = match self.must.is_empty() {
                true => self.next_should(row, ticks)?,
                false => self.next_must(row, ticks)?,
            };
            if row == END || self.has_enough(row, ticks)? && !self.is_excluded(row, ticks)? {
                return Ok(row);
            }
            row += 1;
        }
    }

    fn next_should(&mut self, row: u32, ticks: &mut Ticks<'_>) -> Result<u32> {
        let mut next = END;
        for scorer in &mut self.should {
            next = next.min(scorer.seek(row, ticks)?);
        }
        Ok(next)
    }

    fn next_must(&mut self, mut row: u32, ticks: &mut Ticks<'_>) -> Result<u32> {
        'rows: loop {
            ticks.tick()?;
            for (at, scorer) in self.must.iter_mut().enumerate() {
                let found = scorer.seek(row, ticks)?;
                if at > 0 && found > row {
                    row = found;
                    continue 'rows;
                }
                row = found;
            }
            return Ok(row);
        }
    }

    fn has_enough(&mut self, row: u32, ticks: &mut Ticks<'_>) -> Result<bool> {
        let mut left = self.at_least;
        // One that is there was found already.
        if self.must.is_empty() && left <= 1 {
            return Ok(true);
        }
        for scorer in &mut self.should {
            if left == 0 {
                break;
            }
            left -= usize::from(scorer.seek(row, ticks)? == row);
        }
        Ok(left == 0)
    }

    fn is_excluded(&mut self, row: u32, ticks: &mut Ticks<'_>) -> Result<bool> {
        for scorer in &mut self.must_not {
            if scorer.seek(row, ticks)? == row {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn score(&mut self, row: u32, ticks: &mut Ticks<'_>) -> Result<f64> {
        let mut score = 0.0;
        for scorer in &mut self.must {
            score += scorer.score(row, ticks)?;
        }
        for scorer in &mut self.should {
            if scorer.seek(row, ticks)? == row {
                score += scorer.score(row, ticks)?;
            }
        }
        Ok(score)
    }
}
