//! A search, from the leaves of its tree to its hits: all of it over one view.
//!
//! A leaf finds rows and scores; what is above makes one list of several. Payloads and vectors are
//! read for the hits that are left in the end, and for no others.

use super::{
    Hit, PrefetchScore,
    check::{Ask, Checked, Diversity, Node},
    explained::{Explained, Trace},
    formula,
    found::{Found, Within},
    fusion::fuse,
    highlights::Highlighter,
    judge::{self, Rule},
    mmr::Candidates,
    nearest::nearest,
    order,
    projection::Vectors,
    sample, sparse, words,
};
use crate::{
    cancel::Cancel,
    error::{Error, Result},
    view::{Part, Payloads, View},
};
use std::{collections::HashMap, time::Instant};

/// The hits of a query, the best first.
pub(crate) fn search(view: &View, query: &Checked, cancel: &Cancel) -> Result<Vec<Hit>> {
    let answer = find(view, query, cancel)?;
    hits(view, query, answer, cancel)
}

/// The same, and how they were found; with how many points match in each part, if it is asked for.
pub(crate) fn explain(
    view: &View,
    query: &Checked,
    counts_matches: bool,
    cancel: &Cancel,
) -> Result<(Vec<Hit>, Explained)> {
    let begun = Instant::now();
    let trace = Some(Trace::new(counts_matches));
    let (answer, trace) = find_by(view, query, trace, cancel)?;
    let found = Instant::now();
    let hits = hits(view, query, answer, cancel)?;
    let traced = trace.and_then(Trace::into_query);
    let explained = Explained {
        query: traced.ok_or_else(|| Error::invalid("a query was not traced"))?,
        hits: hits.len(),
        reading: found.elapsed(),
        took: begun.elapsed(),
    };
    Ok((hits, explained))
}

/// What a query finds, the best first.
pub(super) struct Answer {
    pub(super) found: Vec<Found>,
    /// What each prefetch has found, each before those below it, if that is wanted.
    pub(super) lists: Option<Vec<List>>,
}

pub(super) fn find(view: &View, query: &Checked, cancel: &Cancel) -> Result<Answer> {
    find_by(view, query, None, cancel).map(|(answer, _)| answer)
}

/// The same, and what was noted, if anything is to be.
fn find_by(
    view: &View,
    query: &Checked,
    trace: Option<Trace>,
    cancel: &Cancel,
) -> Result<(Answer, Option<Trace>)> {
    let mut search = Search {
        view,
        lists: query.with_scores.then(Vec::new),
        trace,
        cancel,
    };
    let found = search.node(&query.node)?;
    let lists = search.lists;
    Ok((Answer { found, lists }, search.trace))
}

/// What is read of what was found.
pub(super) fn hits(
    view: &View,
    query: &Checked,
    Answer { found, lists }: Answer,
    cancel: &Cancel,
) -> Result<Vec<Hit>> {
    let parts = view.parts()?;
    let mut scores = match lists {
        Some(lists) => scores(&found, &lists, cancel)?,
        None => Vec::new(),
    };
    let mut highlighter = (!query.shown.is_empty()).then(|| Highlighter::new(query));
    let mut payloads: Vec<Payloads<'_>> = parts.iter().map(Part::payloads).collect();
    let values = match &query.node.ask {
        Ask::Ordered(ordered) => Some(order::Values::new(ordered, parts, cancel)?),
        _ => None,
    };
    let hit = |(place, found): (usize, Found)| {
        cancel.check()?;
        let part = &parts[found.part];
        let place_of_hit = found.place();
        let Vectors {
            vectors,
            multi_vectors,
            sparse_vectors,
        } = query.shows.vectors(part, view.shape(), found.row)?;
        let snippets = match &mut highlighter {
            Some(highlighter) => highlighter.snippets(&payloads[found.part].get(found.row)?)?,
            None => Vec::new(),
        };
        Ok(Hit {
            id: found.id,
            score: found.score,
            payload: query.shows.payload(&mut payloads[found.part], found.row)?,
            vectors,
            multi_vectors,
            sparse_vectors,
            snippets,
            order_value: match &values {
                Some(values) => values.get(place_of_hit, &mut payloads[found.part])?,
                None => None,
            },
            scores: scores
                .get_mut(place)
                .map(std::mem::take)
                .unwrap_or_default(),
        })
    };
    found.into_iter().enumerate().map(hit).collect()
}

/// What a prefetch has found: where it lies, and its score.
pub(super) type List = Vec<((usize, u32), f32)>;

struct Search<'a> {
    view: &'a View,
    /// What each prefetch has found, each before those below it, if it is wanted.
    lists: Option<Vec<List>>,
    /// What is noted, if anybody wants to know.
    trace: Option<Trace>,
    cancel: &'a Cancel,
}

impl Search<'_> {
    fn node(&mut self, node: &Node) -> Result<Vec<Found>> {
        let begun = self.trace.as_mut().map(Trace::begin);
        let found = self.found(node)?;
        if let (Some(trace), Some(begun)) = (&mut self.trace, begun) {
            trace.end(begun, node.ask.kind(), found.len());
        }
        Ok(found)
    }

    fn found(&mut self, node: &Node) -> Result<Vec<Found>> {
        let counts = |number| match &node.ask {
            Ask::Fuse(fusion) => fusion.weight(number) > 0.0,
            _ => true,
        };
        let prefetches = node.prefetches.iter().enumerate();
        let lists = prefetches.map(|(number, prefetch)| self.prefetch(prefetch, counts(number)));
        let lists: Vec<Vec<Found>> = lists.collect::<Result<_>>()?;
        let (view, cancel) = (self.view, self.cancel);
        let mut found = match &node.ask {
            Ask::Fuse(fusion) => fuse(fusion, lists, node.candidates, cancel)?,
            Ask::Formula(formula) => formula::best(view, formula, &lists, node.candidates, cancel)?,
            ask => {
                let within = match node.prefetches.is_empty() {
                    true => None,
                    false => Some(Within::of(&lists, view.parts()?.len())),
                };
                let (within, trace) = (within.as_ref(), self.trace.as_mut());
                match ask {
                    Ask::Nearest(query) => nearest(view, query, within, trace, cancel)?,
                    Ask::Text(words) => words::best(view, words, within, trace, cancel)?,
                    Ask::Sparse(query) => sparse::best(view, query, within, trace, cancel)?,
                    Ask::Judged(judged) => judge::best(view, judged, within, trace, cancel)?,
                    Ask::Ordered(ordered) => order::ordered(view, ordered, within, trace, cancel)?,
                    Ask::Sample(sample) => sample::sample(view, sample, within, trace, cancel)?,
                    Ask::Fuse(_) | Ask::Formula(_) => Vec::new(),
                }
            }
        };
        if !node.left_out.is_empty() {
            found.retain(|found| !node.left_out.contains(&found.id));
            found.truncate(node.candidates);
        }
        if let Some(least) = node.score_threshold {
            found.truncate(found.partition_point(|found| found.score >= least));
        }
        let wanted = node.limit.saturating_add(node.offset);
        if let Some(diversity) = &node.diversity {
            found = self.diverse(&found, *diversity, wanted)?;
        }
        found.drain(..node.offset.min(found.len()));
        Ok(found)
    }

    /// What a prefetch finds; nothing if it does not count.
    fn prefetch(&mut self, node: &Node, is_asked: bool) -> Result<Vec<Found>> {
        let number = self.lists.as_ref().map(Vec::len);
        if let Some(lists) = &mut self.lists {
            let below = if is_asked { 1 } else { node.lists() };
            lists.resize_with(lists.len() + below, List::new);
        }
        if !is_asked {
            return Ok(Vec::new());
        }
        let found = self.node(node)?;
        if let (Some(lists), Some(number)) = (&mut self.lists, number) {
            lists[number] = found.iter().map(|it| (it.place(), it.score)).collect();
        }
        Ok(found)
    }

    fn diverse(&self, found: &[Found], how: Diversity, wanted: usize) -> Result<Vec<Found>> {
        let parts = self.view.parts()?;
        let vector = |(count, found): (u32, &Found)| {
            self.cancel.check_at(count)?;
            let vector = parts[found.part].vector(found.row, how.vector)?;
            Ok(vector.map(|(values, _)| values.to_vec()))
        };
        let vectors = (0..).zip(found).map(vector).collect::<Result<_>>()?;
        let scores: Vec<f32> = found.iter().map(|found| found.score).collect();
        let candidates = Candidates::new(how.metric, &scores, vectors);
        let chosen = candidates.choose(how.lambda, wanted, self.cancel)?;
        Ok(chosen.into_iter().map(|at| found[at].clone()).collect())
    }
}

impl Ask {
    fn kind(&self) -> &'static str {
        match self {
            Self::Nearest(_) => "nearest",
            Self::Text(_) => "text",
            Self::Sparse(_) => "sparse",
            Self::Judged(judged) => match judged.rule {
                Rule::Best(..) | Rule::Sum(..) => "recommend",
                Rule::Discover(..) => "discover",
                Rule::Context(_) => "context",
            },
            Self::Ordered(_) => "order by",
            Self::Sample(_) => "random",
            Self::Fuse(_) => "fuse",
            Self::Formula(_) => "formula",
        }
    }
}

impl Node {
    /// How many lists it has as a prefetch, with those below it.
    fn lists(&self) -> usize {
        let mut lists = 0;
        self.each(&mut |_| lists += 1);
        lists
    }
}

/// What each hit is in each list.
fn scores(
    found: &[Found],
    lists: &[List],
    cancel: &Cancel,
) -> Result<Vec<Vec<Option<PrefetchScore>>>> {
    let mut scores = vec![vec![None; lists.len()]; found.len()];
    let places = found.iter().map(Found::place).zip(0..);
    let places: HashMap<(usize, u32), usize> = places.collect();
    for (number, list) in lists.iter().enumerate() {
        for (rank, (place, score)) in (1..).zip(list) {
            cancel.check_at(rank)?;
            if let Some(hit) = places.get(place) {
                scores[*hit][number] = Some(PrefetchScore {
                    rank: rank as usize,
                    score: *score,
                });
            }
        }
    }
    // A point that is a hit of several groups is looked for once.
    for (at, found) in found.iter().enumerate() {
        let known = places.get(&found.place()).copied().unwrap_or(at);
        if known != at {
            scores[at] = scores[known].clone();
        }
    }
    Ok(scores)
}
