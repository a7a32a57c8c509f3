//! What is looked for, as terms; and the same weighed by the statistics of all parts.

use super::{
    super::index::{Index, Matched, Pattern, Statistics, least, take},
    score::{Bm25, Grid, idf},
};
use crate::{
    cancel::Cancel,
    error::{Error, Result},
};
use std::{cmp::Ordering, collections::BinaryHeap};

/// The fields of one part, by their number; none where the part has no index of a field.
pub(crate) type Fields<'a> = [Option<&'a dyn Index>];

/// The largest boost.
pub(crate) const MAX_BOOST: f32 = 1e6;

/// What rows are to have. A field is a number in [`Fields`]. Who makes one bounds how deep it is.
#[derive(Debug)]
pub(crate) enum Query {
    Term {
        field: usize,
        term: Vec<u8>,
        boost: f32,
    },
    /// Terms one after the other, each with its place.
    Phrase {
        field: usize,
        terms: Vec<(Vec<u8>, u32)>,
        /// How far the terms may be from their places, together: 0 for none, 2 also exchanges two
        /// neighbours. A match that is off by `d` counts as `1 / (1 + d)` occurrences.
        slop: u32,
        boost: f32,
    },
    /// The terms that a prefix or a misspelling stands for, any of them. Each counts as a term of its own,
    /// as rare as the most frequent of them, and by `1 - edits / length` (Lucene's top terms with
    /// blended frequencies).
    Expand {
        field: usize,
        pattern: Pattern,
        /// How many terms are kept: those with the fewest edits, of these the ones that most rows
        /// have, of these the first.
        limit: usize,
        boost: f32,
    },
    /// Rows that match all of `must`, none of `must_not`, and at least so many of `should`: at least one
    /// where there is no `must`. What matches of `must` and `should` adds up.
    Bool {
        must: Vec<Query>,
        should: Vec<Query>,
        must_not: Vec<Query>,
        at_least: usize,
        boost: f32,
    },
}

#[cfg(test)]
impl Query {
    pub(crate) fn term(field: usize, term: impl Into<Vec<u8>>) -> Self {
        Self::Term {
            field,
            term: term.into(),
            boost: 1.0,
        }
    }

    /// Rows that match one or more of these.
    pub(crate) fn any(should: Vec<Self>) -> Self {
        Self::at_least(1, should)
    }

    /// Rows that match so many of these, or more.
    pub(crate) fn at_least(count: usize, should: Vec<Self>) -> Self {
        Self::Bool {
            must: Vec::new(),
            should,
            must_not: Vec::new(),
            at_least: count,
            boost: 1.0,
        }
    }

    /// Rows that match all of these.
    pub(crate) fn all(must: Vec<Self>) -> Self {
        Self::Bool {
            must,
            should: Vec::new(),
            must_not: Vec::new(),
            at_least: 0,
            boost: 1.0,
        }
    }
}

/// A query that knows what each of its terms is worth.
pub(crate) struct Weighed {
    pub(super) root: Node,
    /// For each field.
    pub(super) tables: Vec<[f32; 256]>,
    pub(super) grid: Grid,
}

/// What is left of a query: no term that is nowhere, and no alternative within alternatives.
#[derive(Debug)]
pub(super) enum Node {
    Nothing,
    Term {
        field: usize,
        term: Vec<u8>,
        weight: f32,
    },
    Phrase {
        field: usize,
        terms: Vec<(Vec<u8>, u32)>,
        slop: u32,
        weight: f32,
    },
    Bool(Branch<Node>),
}

#[derive(Debug)]
pub(super) struct Branch<T> {
    pub(super) must: Vec<T>,
    pub(super) should: Vec<T>,
    pub(super) must_not: Vec<T>,
    pub(super) at_least: usize,
}

impl Weighed {
    /// Weighs a query for the parts that it is to be searched in: all of them, however many of them
    /// are searched in the end, since their statistics are summed.
    ///
    /// # Errors
    /// `InvalidInput` for a boost, `k1` or `b` out of bounds, and for a phrase in a field of which a part
    /// keeps no positions; `Cancelled`; and what reading gives.
    pub(crate) fn new(
        query: &Query,
        bm25: Bm25,
        parts: &[&Fields<'_>],
        cancel: &Cancel,
    ) -> Result<Self> {
        bm25.check()?;
        let fields = parts.iter().map(|fields| fields.len()).max().unwrap_or(0);
        let mut statistics = vec![Statistics::default(); fields];
        for fields in parts {
            for (statistics, index) in statistics.iter_mut().zip(*fields) {
                if let Some(index) = index {
                    *statistics += index.statistics();
                }
            }
        }
        let mut weigher = Weigher {
            parts,
            statistics,
            cancel,
            most: 0.0,
        };
        let root = weigher.weigh(query, 1.0)?;
        Ok(Self {
            root,
            tables: weigher
                .statistics
                .iter()
                .map(|all| bm25.table(*all))
                .collect(),
            grid: Grid::of(weigher.most),
        })
    }
}

struct Weigher<'a> {
    parts: &'a [&'a Fields<'a>],
    /// Of each field, over all parts.
    statistics: Vec<Statistics>,
    cancel: &'a Cancel,
    /// What no score exceeds.
    most: f64,
}

impl Weigher<'_> {
    fn weigh(&mut self, query: &Query, boost: f32) -> Result<Node> {
        self.cancel.check()?;
        match query {
            Query::Term {
                field,
                term,
                boost: own,
            } => {
                let count = self.count(*field, term)?;
                let boost = boosted(boost, *own)?;
                Ok(self.term(*field, term.clone(), count, count, boost))
            }
            Query::Phrase {
                field,
                terms,
                slop,
                boost: own,
            } => self.phrase(*field, terms, *slop, boosted(boost, *own)?),
            Query::Expand {
                field,
                pattern,
                limit,
                boost: own,
            } => {
                let found = self.expand(*field, pattern, *limit)?;
                let boost = boosted(boost, *own)?;
                let most = found.iter().map(|(_, count)| *count).max().unwrap_or(0);
                let terms = found.into_iter().map(|(matched, count)| {
                    let boost = boost * pattern.similarity(&matched);
                    self.term(*field, matched.term, count, most, boost)
                });
                Ok(any(terms.collect()))
            }
            Query::Bool {
                must,
                should,
                must_not,
                at_least,
                boost: own,
            } => {
                let boost = boosted(boost, *own)?;
                let mut all = |queries: &[Query]| -> Result<Vec<Node>> {
                    queries
                        .iter()
                        .map(|query| self.weigh(query, boost))
                        .collect()
                };
                let (must, should) = (all(must)?, all(should)?);
                // What excludes adds nothing.
                let most = self.most;
                let must_not = must_not.iter().map(|query| self.weigh(query, 0.0));
                let must_not = must_not.collect::<Result<Vec<_>>>()?;
                self.most = most;
                Ok(Branch {
                    must,
                    should,
                    must_not,
                    at_least: *at_least,
                }
                .simplified())
            }
        }
    }

    fn indexes(&self, field: usize) -> impl Iterator<Item = &dyn Index> {
        self.parts
            .iter()
            .filter_map(move |fields| fields.get(field).copied().flatten())
    }

    /// How many rows of all parts have a term.
    fn count(&self, field: usize, term: &[u8]) -> Result<u64> {
        let counts = self.indexes(field).map(|index| index.count(term));
        counts.map(|count| count.map(u64::from)).sum()
    }

    fn idf(&self, field: usize, count: u64) -> f64 {
        let rows = self.statistics.get(field).map_or(0, |all| all.rows);
        idf(rows, count)
    }

    /// A term in `count` rows that is as rare as one in `like` rows.
    fn term(&mut self, field: usize, term: Vec<u8>, count: u64, like: u64, boost: f32) -> Node {
        if count == 0 {
            return Node::Nothing;
        }
        let weight = (f64::from(boost) * self.idf(field, like)) as f32;
        self.most += f64::from(weight);
        Node::Term {
            field,
            term,
            weight,
        }
    }

    /// Weighs what all its terms weigh, as in Lucene.
    fn phrase(
        &mut self,
        field: usize,
        terms: &[(Vec<u8>, u32)],
        slop: u32,
        boost: f32,
    ) -> Result<Node> {
        if let [(term, _)] = terms {
            let count = self.count(field, term)?;
            return Ok(self.term(field, term.clone(), count, count, boost));
        }
        if self.indexes(field).any(|index| !index.has_positions()) {
            return Err(Error::invalid(
                "a phrase is looked for in a field without positions",
            ));
        }
        let mut weight = 0.0;
        for (term, _) in terms {
            let count = self.count(field, term)?;
            if count == 0 {
                return Ok(Node::Nothing);
            }
            weight += f64::from(boost) * self.idf(field, count);
        }
        if terms.is_empty() {
            return Ok(Node::Nothing);
        }
        let weight = weight as f32;
        self.most += f64::from(weight);
        Ok(Node::Phrase {
            field,
            terms: terms.to_vec(),
            slop,
            weight,
        })
    }

    /// The best terms of all parts, each with the number of rows that have it, ascending.
    fn expand(&self, field: usize, pattern: &Pattern, limit: usize) -> Result<Vec<(Matched, u64)>> {
        let mut listings = Vec::new();
        for index in self.indexes(field) {
            listings.push(index.terms(pattern, self.cancel)?.peekable());
        }
        let mut kept = BinaryHeap::new();
        while let Some(term) = least(&mut listings)? {
            self.cancel.check()?;
            let mut all: Option<Ranked> = None;
            for listing in &mut listings {
                if let Some(matched) = take(listing, &term) {
                    let count = u64::from(matched.count) + all.map_or(0, |all| all.count);
                    all = Some(Ranked { matched, count });
                }
            }
            kept.extend(all);
            if kept.len() > limit {
                kept.pop();
            }
        }
        let mut kept: Vec<_> = kept
            .into_iter()
            .map(|all| (all.matched, all.count))
            .collect();
        kept.sort_unstable_by(|a, b| a.0.term.cmp(&b.0.term));
        Ok(kept)
    }
}

/// The better is the smaller.
#[derive(PartialEq, Eq)]
struct Ranked {
    matched: Matched,
    count: u64,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        let edits = self.matched.distance.cmp(&other.matched.distance);
        edits
            .then(other.count.cmp(&self.count))
            .then_with(|| self.matched.term.cmp(&other.matched.term))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn boosted(boost: f32, own: f32) -> Result<f32> {
    if !(0.0..=MAX_BOOST).contains(&own) {
        return Err(Error::invalid(format!(
            "a boost is {own}; expected 0 to {MAX_BOOST}"
        )));
    }
    Ok((boost * own).min(MAX_BOOST))
}

fn any(should: Vec<Node>) -> Node {
    Branch {
        must: Vec::new(),
        should,
        must_not: Vec::new(),
        at_least: 1,
    }
    .simplified()
}

impl Branch<Node> {
    /// The same without what is nowhere, and alternatives of alternatives as its own.
    fn simplified(mut self) -> Node {
        if self.must.is_empty() {
            self.at_least = self.at_least.max(1);
        }
        let is_nowhere = |node: &Node| matches!(node, Node::Nothing);
        if self.must.iter().any(is_nowhere) {
            return Node::Nothing;
        }
        self.must_not.retain(|node| !is_nowhere(node));
        let mut should = Vec::with_capacity(self.should.len());
        for node in self.should {
            match node {
                Node::Nothing => {}
                Node::Bool(branch) if branch.is_any() && self.at_least <= 1 => {
                    should.extend(branch.should);
                }
                node => should.push(node),
            }
        }
        self.should = should;
        if self.should.len() < self.at_least {
            return Node::Nothing;
        }
        let is_alone = self.must.len() + self.should.len() == 1 && self.must_not.is_empty();
        if is_alone && let Some(node) = self.must.pop().or(self.should.pop()) {
            return node;
        }
        Node::Bool(self)
    }
}

impl<T> Branch<T> {
    /// Whether it is nothing but alternatives.
    pub(super) fn is_any(&self) -> bool {
        self.must.is_empty() && self.must_not.is_empty() && self.at_least <= 1
    }
}
