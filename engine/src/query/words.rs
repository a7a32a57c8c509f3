//! Searching texts: which points are best by BM25 for the terms of a query, part by part.
//!
//! What a term is worth follows from all parts together, so that a score does not depend on how points
//! are split into parts. It asks its [`Cancel`] at least every few hundred microseconds.

use super::{
    Conditions,
    best::Best,
    explained::{Strategy, Trace},
    found::{Found, Within},
    text::Node,
};
use crate::{
    cancel::Cancel,
    error::{Error, Result},
    shape::Shape,
    text::{self, Bm25, Index, Pattern, Weighed},
    texts::{Analyzers, TextField},
    view::View,
};
use std::sync::Arc;

/// How many terms a prefix and a misspelling stand for at most: those that most rows have, of
/// misspellings those with the fewest edits.
const PREFIXED: usize = 1_024;
const MISSPELT: usize = 64;

/// A question for texts, checked against a schema.
#[derive(Clone, Debug)]
pub(super) struct Words {
    /// In the numbers of texts; none finds nothing.
    pub(super) node: Option<Node>,
    pub(super) bm25: Bm25,
    pub(super) filter: Option<Conditions>,
    pub(super) limit: usize,
    pub(super) analyzers: Arc<Analyzers>,
}

/// What matches best, the best first.
pub(super) fn best(
    view: &View,
    words: &Words,
    within: Option<&Within>,
    trace: Option<&mut Trace>,
    cancel: &Cancel,
) -> Result<Vec<Found>> {
    let (parts, analyzers) = (view.parts()?, &*words.analyzers);
    let Some(node) = &words.node else {
        return Ok(Vec::new());
    };
    let mut fields = Vec::new();
    let query = in_places(node, &mut fields);
    let fields = named(&fields, view.shape())?;
    let mut indexes = Vec::with_capacity(parts.len());
    for part in parts {
        let of_part = fields
            .iter()
            .map(|field| part.text(*field, analyzers, cancel));
        indexes.push(of_part.collect::<Result<Vec<Box<dyn Index + '_>>>>()?);
    }
    let indexes: Vec<Vec<Option<&dyn Index>>> = indexes
        .iter()
        .map(|indexes| indexes.iter().map(|index| Some(&**index)).collect())
        .collect();
    let all: Vec<&text::Fields<'_>> = indexes.iter().map(|indexes| &indexes[..]).collect();
    let weighed = Weighed::new(&query, words.bm25, &all, cancel)?;
    let best = Best::new(parts, words.filter.as_ref(), within, words.limit, cancel);
    let mut best = best.traced(trace);
    for (number, fields) in all.into_iter().enumerate() {
        let (mut collector, listed) = best.part(number, Strategy::Lists)?;
        match listed {
            Some(rows) => text::search_rows(&weighed, fields, rows, &mut collector, cancel)?,
            None => text::search(&weighed, fields, &mut collector, cancel)?,
        }
    }
    Ok(best.into_found())
}

/// The texts of these numbers.
fn named<'a>(numbers: &[u32], shape: &'a Shape) -> Result<Vec<TextField<'a>>> {
    let field = |wanted: &u32| {
        let mut texts = shape.texts();
        let found = texts.find(|(_, number, _)| number == wanted);
        let (name, number, text) =
            found.ok_or_else(|| Error::invalid("a text was dropped from the schema meanwhile"))?;
        Ok(TextField { name, number, text })
    };
    numbers.iter().map(field).collect()
}

/// The query with the places of texts among `fields` in place of their numbers; those that it comes across
/// are added.
fn in_places(node: &Node, fields: &mut Vec<u32>) -> text::Query {
    let mut place = |number: u32| {
        let known = fields.iter().position(|field| *field == number);
        known.unwrap_or_else(|| {
            fields.push(number);
            fields.len() - 1
        })
    };
    match node {
        Node::Term { field, term, boost } => text::Query::Term {
            field: place(*field),
            term: term.clone().into_bytes(),
            boost: *boost,
        },
        Node::Prefix {
            field,
            prefix,
            boost,
        } => text::Query::Expand {
            field: place(*field),
            pattern: Pattern::prefix(prefix.as_bytes()),
            limit: PREFIXED,
            boost: *boost,
        },
        Node::Fuzzy {
            field,
            term,
            distance,
            exact_prefix,
            boost,
        } => text::Query::Expand {
            field: place(*field),
            pattern: Pattern::fuzzy(term, *distance as u8, *exact_prefix as usize),
            limit: MISSPELT,
            boost: *boost,
        },
        Node::Phrase {
            field,
            terms,
            slop,
            boost,
        } => text::Query::Phrase {
            field: place(*field),
            terms: terms
                .iter()
                .map(|(place, term)| (term.clone().into_bytes(), *place))
                .collect(),
            slop: *slop,
            boost: *boost,
        },
        Node::Bool {
            must,
            should,
            must_not,
            at_least,
        } => {
            let mut all = |nodes: &[Node]| -> Vec<text::Query> {
                nodes.iter().map(|node| in_places(node, fields)).collect()
            };
            text::Query::Bool {
                must: all(must),
                should: all(should),
                must_not: all(must_not),
                at_least: *at_least,
                boost: 1.0,
            }
        }
    }
}
