//! What the user asked, checked against schema and limits before anything runs.
//!
//! Going down the tree, each query takes from those above it what it does not say itself, so that
//! what runs ([`Checked`]) says everything in its place.

mod examples;

use super::{
    Bm25, Conditions, Effort, Fusion, Mmr, Query, QueryKind, Scope, Shows, TextQuery,
    formula::Formula,
    judge::{Judged, Rule},
    nearest::Nearest,
    order::Ordered,
    sample,
    sparse::Weights,
    text::{self, Searched},
    words::Words,
};
use crate::{
    analysis::Analyzer,
    error::{Error, Result},
    id::PointId,
    options::Limits,
    schema::{Metric, Schema, Vector, quoted},
    shape::Shape,
    vector::check_multi,
};
use examples::judged;
use std::{mem, sync::Arc};

/// So many times as many hits as are wanted in the end are fused, and chosen from, unless it is said.
const TIMES: usize = 10;

/// A [`Query`] that may run.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(super) node: Node,
    pub(super) shows: Shows,
    pub(super) shown: Vec<Shown>,
    pub(super) with_scores: bool,
}

/// A text that hits show a part of.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) name: String,
    pub(super) number: u32,
    pub(super) analyzer: Analyzer,
    /// The most characters of the part.
    pub(super) characters: usize,
}

/// One query of a tree. What it asks is found first; the rest is left out and chosen from that.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) ask: Ask,
    /// If there are any, what is asked is asked of their hits alone.
    pub(super) prefetches: Vec<Node>,
    /// So many of the best are what is left out and chosen from.
    pub(super) candidates: usize,
    /// The points that are examples, and no hits.
    pub(super) left_out: Vec<PointId>,
    pub(super) score_threshold: Option<f32>,
    pub(super) diversity: Option<Diversity>,
    pub(super) limit: usize,
    pub(super) offset: usize,
}

/// What is asked. A kind of question that is not made of others is one more variant here, one more arm
/// in [`Node::checked`] and one in `search`.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Nearest(Nearest),
    Text(Words),
    Sparse(Weights),
    Judged(Judged),
    Ordered(Ordered),
    Sample(sample::Sample),
    Fuse(Fusion),
    Formula(Formula),
}

/// An [`Mmr`] in the terms of a schema.
#[derive(Clone, Copy, Debug)]
pub(super) struct Diversity {
    pub(super) lambda: f32,
    /// The number of the vector by which hits are alike.
    pub(super) vector: u32,
    pub(super) metric: Metric,
}

/// What holds for a query by those above it.
#[derive(Clone)]
struct Above {
    /// How many queries there are above.
    depth: usize,
    filter: Option<Conditions>,
    effort: Option<Effort>,
    oversampling: Option<f32>,
    bm25: Option<Bm25>,
    limit: usize,
    /// Whether nobody asked for the limit, so that it is no one's mistake what it exceeds.
    is_derived: bool,
}

/// What holds for all queries of a tree.
struct Terms<'a, 'b> {
    scope: &'a mut Scope<'b>,
    shape: &'b Shape,
    limits: &'b Limits,
    /// How many prefetches there may be yet.
    prefetches: usize,
}

impl Query {
    /// The query in the terms of the points that it is asked of, if it may run.
    pub(crate) fn checked(self, scope: &mut Scope<'_>) -> Result<Checked> {
        self.checked_with(scope, false)
    }

    /// The same of a query that was checked before, but for its limit, which is not the caller's.
    pub(crate) fn limited(mut self, limit: usize, scope: &mut Scope<'_>) -> Result<Checked> {
        self.limit = Some(limit);
        self.checked_with(scope, true)
    }

    /// Checks what may be nested deeper than a stack allows, so that the query can be cloned.
    pub(crate) fn check_depth(&self, scope: &mut Scope<'_>) -> Result<()> {
        let terms = Terms::new(scope);
        let (mut level, mut next, mut depth) = (vec![self], Vec::new(), 0);
        while !level.is_empty() {
            check_depth(depth)?;
            for query in level.drain(..) {
                let filter = query.filter.as_ref();
                filter.map_or(Ok(()), |filter| {
                    filter.checked(terms.scope.terms()).map(drop)
                })?;
                match &query.kind {
                    QueryKind::Formula(expr) => {
                        expr.checked(query.prefetches.len(), terms.scope.terms())?;
                    }
                    QueryKind::Text { texts, query } => drop(terms.lowered(texts, query)?),
                    QueryKind::OrderBy(order) => {
                        drop(order.checked(&terms.shape.schema, None, 1)?);
                    }
                    _ => {}
                }
                next.extend(&query.prefetches);
            }
            mem::swap(&mut level, &mut next);
            depth += 1;
        }
        Ok(())
    }

    fn checked_with(mut self, scope: &mut Scope<'_>, is_derived: bool) -> Result<Checked> {
        let shape = scope.shape();
        let mut terms = Terms::new(scope);
        let above = Above {
            depth: 0,
            filter: None,
            effort: None,
            oversampling: None,
            bm25: None,
            limit: Self::DEFAULT_LIMIT,
            is_derived,
        };
        let shows = Shows {
            payload: self.with_payload.take(),
            vectors: self.with_vectors.take(),
        };
        shows.check(shape)?;
        Ok(Checked {
            node: terms.node(&mut self, above)?,
            shows,
            shown: terms.shown(&self.highlights)?,
            with_scores: self.with_scores,
        })
    }
}

impl Checked {
    /// Asks only for points that match this, too. The query has no prefetches.
    pub(super) fn narrow(&mut self, conditions: Conditions) {
        let filter = match &mut self.node.ask {
            Ask::Nearest(Nearest { filter, .. })
            | Ask::Text(Words { filter, .. })
            | Ask::Sparse(Weights { filter, .. })
            | Ask::Judged(Judged { filter, .. })
            | Ask::Ordered(Ordered { filter, .. })
            | Ask::Sample(sample::Sample { filter, .. }) => filter,
            // These ask for hits of prefetches alone.
            Ask::Fuse(_) | Ask::Formula(_) => return,
        };
        *filter = Some(match filter.take() {
            Some(own) => own.and(conditions),
            None => conditions,
        });
    }

    /// Visits the numbers of the vectors that are searched for the nearest.
    pub(crate) fn each_vector(&self, mut visit: impl FnMut(u32)) {
        self.node.each(&mut |node| match &node.ask {
            Ask::Nearest(nearest) if node.prefetches.is_empty() => visit(nearest.vector),
            _ => {}
        });
    }
}

impl Node {
    /// Visits it and all below it. They are no deeper than queries may be.
    pub(super) fn each<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        self.prefetches.iter().for_each(|node| node.each(visit));
    }
}

impl<'a, 'b> Terms<'a, 'b> {
    fn new(scope: &'a mut Scope<'b>) -> Self {
        let (shape, limits) = (scope.shape(), scope.limits);
        Self {
            scope,
            shape,
            limits,
            prefetches: limits.prefetches,
        }
    }

    fn node(&mut self, query: &mut Query, above: Above) -> Result<Node> {
        let limits = self.limits;
        let is_derived = match above.depth {
            0 => above.is_derived,
            _ => query.limit.is_none(),
        };
        let mut limit = query.limit.unwrap_or(above.limit);
        if is_derived {
            let candidates = query.mmr.as_ref().and_then(|mmr| mmr.candidates);
            let most = candidates.unwrap_or(limits.hits).min(limits.hits);
            limit = limit.min(most.saturating_sub(query.offset)).max(1);
        }
        if !(1..=limits.hits).contains(&limit) {
            return Err(Error::invalid(format!(
                "the limit of a query is {limit}; expected 1 to {}",
                limits.hits
            )));
        }
        let offset = query.offset;
        let wanted = limit.saturating_add(offset);
        if wanted > limits.hits {
            return Err(Error::invalid(format!(
                "the offset of a query is {offset} at a limit of {limit}; expected {} together at most",
                limits.hits
            )));
        }
        if let Some(least) = query.score_threshold
            && !least.is_finite()
        {
            return Err(Error::invalid(format!(
                "the score threshold of a query is {least}; expected a finite number"
            )));
        }
        let candidates = match &query.mmr {
            Some(mmr) => candidates(mmr, wanted, limits)?,
            None => wanted,
        };
        let filter = query.filter.as_ref();
        let filter = filter.map(|filter| filter.checked(self.scope.terms()));
        let filter = filter.transpose()?;
        let within = Above {
            depth: above.depth + 1,
            filter: match (above.filter, filter) {
                (Some(above), Some(own)) => Some(above.and(own)),
                (above, own) => above.or(own),
            },
            effort: match query.effort {
                Some(effort) => Some(effort.checked(limits)?),
                None => above.effort,
            },
            oversampling: query.oversampling.or(above.oversampling),
            bm25: query.bm25.or(above.bm25),
            limit: match (query.limit, above.depth) {
                (None, 1..) => above.limit,
                _ => limit.saturating_mul(TIMES),
            }
            .max(candidates)
            .min(limits.hits),
            is_derived,
        };
        let diversity = match &query.mmr {
            Some(mmr) => Some(self.diversity(mmr, query)?),
            None => None,
        };
        let prefetches = mem::take(&mut query.prefetches);
        let prefetches = self.prefetches(prefetches, &within)?;
        let mut left_out = Vec::new();
        Ok(Node {
            ask: self.ask(query, within, candidates, prefetches.len(), &mut left_out)?,
            prefetches,
            candidates,
            left_out,
            score_threshold: query.score_threshold,
            diversity,
            limit,
            offset,
        })
    }

    /// What is asked, for so many hits, of a query with so many prefetches. Points that are examples are
    /// to be left out: as many more are asked for.
    fn ask(
        &mut self,
        query: &mut Query,
        within: Above,
        wanted: usize,
        prefetches: usize,
        left_out: &mut Vec<PointId>,
    ) -> Result<Ask> {
        match &mut query.kind {
            QueryKind::Nearest { vector, example } => {
                let (number, spec) = self.shape.vector_named(vector)?;
                let (values, point) = self.scope.dense(example, vector, spec)?;
                left_out.extend(point);
                self.nearest((number, spec), values, within, wanted, left_out.len())
            }
            QueryKind::Recommend { vector, examples } => {
                self.recommend(vector, examples, within, wanted, left_out)
            }
            QueryKind::Discover {
                vector,
                target,
                pairs,
            } => {
                let (number, spec) = self.dense_named(vector, 2 * pairs.len() + 1)?;
                let target = self.sample(target, (vector, spec), left_out)?;
                let rule = Rule::Discover(target, self.pairs(pairs, (vector, spec), left_out)?);
                Ok(judged((number, spec), rule, within, wanted, left_out))
            }
            QueryKind::Context { vector, pairs } => {
                let (number, spec) = self.dense_named(vector, 2 * pairs.len())?;
                let rule = Rule::Context(self.pairs(pairs, (vector, spec), left_out)?);
                Ok(judged((number, spec), rule, within, wanted, left_out))
            }
            QueryKind::NearestMulti { vector, values } => {
                let (number, spec) = self.shape.vector_named(vector)?;
                let values = check_multi(vector, spec, values)?;
                self.nearest((number, spec), values, within, wanted, 0)
            }
            QueryKind::Text { texts, query } => {
                let bm25 = within.bm25.unwrap_or_default();
                bm25.check()?;
                Ok(Ask::Text(Words {
                    node: self.lowered(texts, query)?,
                    bm25,
                    filter: within.filter,
                    limit: wanted,
                    analyzers: Arc::clone(self.scope.analyzers),
                }))
            }
            QueryKind::Sparse { vector, example } => {
                let (number, sparse) = self.shape.sparse_named(vector)?;
                let (values, point) = self.scope.sparse(example, vector)?;
                left_out.extend(point);
                let (found, most) = (values.len(), self.limits.sparse_entries);
                if found > most {
                    return Err(Error::invalid(format!(
                        "the sparse vector of a query has {found} entries; expected at most {most}"
                    )));
                }
                Ok(Ask::Sparse(Weights {
                    number,
                    idf: sparse.idf,
                    values,
                    filter: within.filter,
                    limit: wanted.saturating_add(left_out.len()),
                }))
            }
            QueryKind::OrderBy(order) => {
                let ordered = order.checked(&self.shape.schema, within.filter, wanted)?;
                Ok(Ask::Ordered(ordered))
            }
            QueryKind::Random { seed } => Ok(Ask::Sample(sample::Sample {
                seed: *seed,
                vector: None,
                filter: within.filter,
                limit: wanted,
            })),
            QueryKind::Formula(expr) => {
                Ok(Ask::Formula(expr.checked(prefetches, self.scope.terms())?))
            }
            QueryKind::Fuse(fusion) => {
                if prefetches == 0 {
                    return Err(Error::invalid(
                        "a query that fuses has no prefetches; expected at least one",
                    ));
                }
                fusion.check(prefetches)?;
                Ok(Ask::Fuse(fusion.clone()))
            }
        }
    }

    /// The texts that hits show.
    fn shown(&self, highlights: &[(String, usize)]) -> Result<Vec<Shown>> {
        let most = Schema::MAX_TEXTS;
        if highlights.len() > most {
            return Err(Error::invalid(format!(
                "a query highlights {} texts; expected at most {most}",
                highlights.len()
            )));
        }
        let shown = highlights.iter().map(|(name, characters)| {
            if !(1..=Query::MAX_SNIPPET).contains(characters) {
                return Err(Error::invalid(format!(
                    "a snippet is to have {characters} characters; expected 1 to {}",
                    Query::MAX_SNIPPET
                )));
            }
            let (number, text) = self.shape.text_named(name)?;
            Ok(Shown {
                name: name.clone(),
                number,
                analyzer: self.scope.analyzers.get(text)?,
                characters: *characters,
            })
        });
        shown.collect()
    }

    /// A text query in the terms of the schema's texts.
    fn lowered(&self, default: &[(String, f32)], query: &TextQuery) -> Result<Option<text::Node>> {
        let texts = self.shape.texts();
        let analyzers = texts.map(|(_, _, text)| self.scope.analyzers.get(text));
        let analyzers = analyzers.collect::<Result<Vec<_>>>()?;
        let texts = self.shape.texts().zip(&analyzers);
        let texts = texts.map(|((name, number, text), analyzer)| Searched {
            name,
            number,
            text,
            analyzer,
        });
        let texts: Vec<_> = texts.collect();
        text::lower(query, default, &texts, self.limits)
    }

    fn nearest(
        &self,
        (vector, spec): (u32, &Vector),
        values: Vec<f32>,
        within: Above,
        wanted: usize,
        left_out: usize,
    ) -> Result<Ask> {
        let limit = wanted.saturating_add(left_out);
        let sampled = |times| match sampled(times, limit, self.limits) {
            Err(_) if within.is_derived && times >= 1.0 => Ok(self.limits.ef.max(limit)),
            sampled => sampled,
        };
        Ok(Ask::Nearest(Nearest {
            vector,
            metric: spec.metric,
            list_of: spec.multi.then_some(spec.dimensions as usize),
            values,
            filter: within.filter,
            limit,
            oversampled: within.oversampling.map(sampled).transpose()?,
            effort: within.effort.unwrap_or_default(),
            is_apart: false,
        }))
    }

    fn prefetches(&mut self, queries: Vec<Query>, within: &Above) -> Result<Vec<Node>> {
        if queries.is_empty() {
            return Ok(Vec::new());
        }
        check_depth(within.depth)?;
        let Some(left) = self.prefetches.checked_sub(queries.len()) else {
            return Err(Error::invalid(format!(
                "a query has more than {} prefetches, those below prefetches counted",
                self.limits.prefetches
            )));
        };
        self.prefetches = left;
        let nodes = queries.into_iter().enumerate().map(|(number, mut query)| {
            let node = self.node(&mut query, within.clone());
            node.map_err(|error| error.context(format_args!("prefetch {number}")))
        });
        nodes.collect()
    }

    fn diversity(&self, mmr: &Mmr, query: &Query) -> Result<Diversity> {
        let Mmr { lambda, .. } = *mmr;
        if !(0.0..=1.0).contains(&lambda) {
            return Err(Error::invalid(format!(
                "the lambda of an MMR is {lambda}; expected 0 to 1"
            )));
        }
        let Some(name) = mmr.vector.as_deref().or_else(|| own_vector(query)) else {
            return Err(Error::invalid(
                "an MMR names no vector; expected one, since the query is not for the nearest to one",
            ));
        };
        let (vector, spec) = self.shape.vector_named(name)?;
        if spec.multi {
            return Err(Error::invalid(format!(
                "an MMR compares {}, which is a list of vectors; expected one vector",
                quoted(name)
            )));
        }
        Ok(Diversity {
            lambda,
            vector,
            metric: spec.metric,
        })
    }
}

/// Whether there may be a query with so many above it.
fn check_depth(depth: usize) -> Result<()> {
    if depth < Query::MAX_DEPTH {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "a query is nested deeper than {} levels",
        Query::MAX_DEPTH
    )))
}

/// The vector that a query is about.
fn own_vector(query: &Query) -> Option<&str> {
    let mut open = vec![query];
    while let Some(query) = open.pop() {
        match &query.kind {
            QueryKind::Nearest { vector, .. }
            | QueryKind::Recommend { vector, .. }
            | QueryKind::Discover { vector, .. }
            | QueryKind::Context { vector, .. } => return Some(vector),
            _ => open.extend(query.prefetches.iter().rev()),
        }
    }
    None
}

/// How many hits so many are chosen from.
fn candidates(mmr: &Mmr, wanted: usize, limits: &Limits) -> Result<usize> {
    let most = limits.hits;
    let usual = wanted.saturating_mul(TIMES).min(most);
    let candidates = mmr.candidates.unwrap_or(usual);
    if (wanted..=most).contains(&candidates) {
        return Ok(candidates);
    }
    Err(Error::invalid(format!(
        "the candidates of an MMR are {candidates}; expected {wanted}, which are chosen, to {most}"
    )))
}

/// How many points are compared by their vectors with this oversampling.
fn sampled(times: f32, limit: usize, limits: &Limits) -> Result<usize> {
    let sampled = limit as f32 * times;
    if times >= 1.0 && sampled <= limits.ef as f32 {
        return Ok(sampled.ceil() as usize);
    }
    Err(Error::invalid(format!(
        "the oversampling of a query is {times} at a limit of {limit}; expected 1 or more, and at most \
         {} points",
        limits.ef
    )))
}

impl Effort {
    fn checked(self, limits: &Limits) -> Result<Self> {
        match self {
            Self::Recall(recall) if !(recall > 0.0 && recall <= 1.0) => Err(Error::invalid(
                format!("the recall of a query is {recall}; expected more than 0 and at most 1"),
            )),
            Self::Recall(1.0) => Ok(Self::Exact),
            Self::Ef(ef) if !(1..=limits.ef).contains(&ef) => Err(Error::invalid(format!(
                "the ef of a query is {ef}; expected 1 to {}",
                limits.ef
            ))),
            Self::Exact | Self::Recall(_) | Self::Ef(_) => Ok(self),
        }
    }
}
