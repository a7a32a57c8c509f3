//! From the words of a query to the terms of a schema's texts.
//!
//! Pure: what a query asks for, said in terms and numbers of texts alone. Nothing is looked up.

use super::{Distance, Least, TextQuery, too_many};
use crate::{
    analysis::{Analyzer, Token},
    error::{Error, Result},
    options::Limits,
    schema::{Text, quoted},
};
use std::collections::HashMap;

/// A text of the schema, as a query sees it.
#[derive(Clone, Copy)]
pub(crate) struct Searched<'a> {
    pub(crate) name: &'a str,
    pub(crate) number: u32,
    pub(crate) text: &'a Text,
    pub(crate) analyzer: &'a Analyzer,
}

/// A query in terms. Nested as deep as [`TextQuery::MAX_DEPTH`] and a few more at most.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Term {
        field: u32,
        term: String,
        boost: f32,
    },
    /// Terms that begin with this one.
    Prefix {
        field: u32,
        prefix: String,
        boost: f32,
    },
    /// Terms that are at most so many edits away, and begin with so many of the same characters.
    Fuzzy {
        field: u32,
        term: String,
        /// 1 or 2.
        distance: u32,
        exact_prefix: u32,
        boost: f32,
    },
    /// Two terms or more, each with its place relative to the first.
    Phrase {
        field: u32,
        terms: Vec<(u32, String)>,
        slop: u32,
        boost: f32,
    },
    /// All of `must`, at least so many of `should`, none of `must_not`; `must` or `should` has some.
    Bool {
        must: Vec<Node>,
        should: Vec<Node>,
        must_not: Vec<Node>,
        /// At most as many as `should` has, and at least 1 where `must` has none.
        at_least: usize,
    },
}

/// Brings a query to terms: in the texts `default`, each with its boost, or in all of them if none is
/// named, where the query does not say where to look. `None` finds nothing.
pub(crate) fn lower(
    query: &TextQuery,
    default: &[(String, f32)],
    texts: &[Searched<'_>],
    limits: &Limits,
) -> Result<Option<Node>> {
    query.check(limits)?;
    let same = |a: &Searched<'_>| texts.iter().position(|b| a.text == b.text);
    let mut lowering = Lowering {
        texts,
        kinds: texts.iter().map(|text| same(text).unwrap_or(0)).collect(),
        limits,
        nodes: 0,
    };
    let all = texts.iter().map(|text| (text.name, 1.0));
    let named = default.iter().map(|(name, boost)| (name.as_str(), *boost));
    let mut fields = if default.is_empty() {
        lowering.groups(all)?
    } else {
        lowering.groups(named)?
    };
    lowering.query(query, &mut fields, 1.0)
}

/// Texts that are analyzed alike.
struct Group<'a> {
    /// Which of the texts is the first of them.
    kind: usize,
    text: &'a Text,
    name: &'a str,
    analyzer: Analyzer,
    /// Their numbers and boosts.
    fields: Vec<(u32, f32)>,
}

struct Lowering<'a> {
    texts: &'a [Searched<'a>],
    /// Of each text the first that is analyzed like it.
    kinds: Vec<usize>,
    limits: &'a Limits,
    /// How many leaves there are so far.
    nodes: usize,
}

impl<'a> Lowering<'a> {
    fn groups<'n>(&self, names: impl Iterator<Item = (&'n str, f32)>) -> Result<Vec<Group<'a>>> {
        let mut groups: Vec<Group<'a>> = Vec::new();
        for (name, boost) in names {
            let mut texts = self.texts.iter().zip(&self.kinds);
            let found = texts.find(|(text, _)| text.name == name);
            let (found, kind) = found.ok_or_else(|| self.no_text(name))?;
            let field = (found.number, boost);
            match groups.iter_mut().find(|group| group.kind == *kind) {
                Some(group) => group.fields.push(field),
                None => groups.push(Group {
                    kind: *kind,
                    text: found.text,
                    name: found.name,
                    analyzer: found.analyzer.for_queries(),
                    fields: vec![field],
                }),
            }
        }
        Ok(groups)
    }

    fn no_text(&self, name: &str) -> Error {
        let known: Vec<_> = self.texts.iter().map(|text| quoted(text.name)).collect();
        Error::invalid(format!(
            "there is no text {}; the schema has {}",
            quoted(name),
            if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            }
        ))
    }

    fn query(
        &mut self,
        query: &TextQuery,
        groups: &mut [Group<'a>],
        boost: f32,
    ) -> Result<Option<Node>> {
        match query {
            TextQuery::Boost { query, times } => self.query(query, groups, boost * times),
            TextQuery::In { fields, query } => {
                let named = fields.iter().map(|(name, boost)| (name.as_str(), *boost));
                let mut groups = self.groups(named)?;
                self.query(query, &mut groups, boost)
            }
            TextQuery::Bool {
                must,
                should,
                must_not,
                at_least,
            } => {
                let mut lowered = |queries: &[TextQuery]| {
                    let each = queries.iter().map(|query| self.query(query, groups, boost));
                    each.filter_map(Result::transpose).collect::<Result<_>>()
                };
                let (must, should) = (lowered(must)?, lowered(should)?);
                Ok(boolean(must, should, lowered(must_not)?, *at_least))
            }
            leaf => {
                let positions = groups.iter().any(|group| group.text.positions);
                let each = groups
                    .iter_mut()
                    .map(|group| self.leaf(leaf, group, positions, boost));
                let each: Vec<Node> = each.filter_map(Result::transpose).collect::<Result<_>>()?;
                Ok(any(each))
            }
        }
    }

    /// A query of words alone, in texts that are analyzed alike. Phrases are looked for in those texts that
    /// have positions, of which there must be `some`.
    fn leaf(
        &mut self,
        leaf: &TextQuery,
        group: &mut Group<'a>,
        some: bool,
        boost: f32,
    ) -> Result<Option<Node>> {
        let fields = &group.fields;
        match leaf {
            TextQuery::Match { text, least } => {
                let mut words: Vec<(String, f32)> = Vec::new();
                let mut known = HashMap::new();
                for (term, _) in terms(&mut group.analyzer, text) {
                    let place = *known.entry(term.clone()).or_insert(words.len());
                    match words.get_mut(place) {
                        Some((_, times)) => *times += 1.0,
                        None => words.push((term, 1.0)),
                    }
                }
                let word = |(term, times): (String, f32)| {
                    self.in_each(fields, boost * times, |field, boost| Node::Term {
                        field,
                        term: term.clone(),
                        boost,
                    })
                };
                let words = words.into_iter().map(word).collect::<Result<Vec<_>>>()?;
                Ok(match least {
                    Least::Any => any(words),
                    Least::All => all(words),
                    Least::Of(least) => boolean(vec![], words, vec![], Some(*least)),
                })
            }
            TextQuery::Phrase { text, slop } => {
                let mut terms = terms(&mut group.analyzer, text);
                let first = terms.first().map_or(0, |(_, position)| *position);
                if terms.len() < 2 {
                    let only = terms.pop().map(|(term, _)| term);
                    let node = |term: String| {
                        self.in_each(fields, boost, |field, boost| Node::Term {
                            field,
                            term: term.clone(),
                            boost,
                        })
                    };
                    return only.map(node).transpose();
                }
                if !group.text.positions {
                    return if some {
                        Ok(None)
                    } else {
                        Err(no_positions(group.name))
                    };
                }
                let places = terms.into_iter();
                let terms: Vec<_> = places.map(|(term, place)| (place - first, term)).collect();
                self.nodes += terms.len();
                let node = self.in_each(fields, boost, |field, boost| Node::Phrase {
                    field,
                    terms: terms.clone(),
                    slop: *slop,
                    boost,
                });
                node.map(Some)
            }
            TextQuery::Prefix(text) => self.prefix(text, group, boost),
            TextQuery::Fuzzy {
                text,
                distance,
                exact_prefix,
            } => {
                let word = |(term, _): (String, u32)| {
                    let distance = edits(*distance, &term);
                    self.in_each(fields, boost, |field, boost| {
                        let term = term.clone();
                        if distance == 0 {
                            return Node::Term { field, term, boost };
                        }
                        Node::Fuzzy {
                            field,
                            term,
                            distance,
                            exact_prefix: *exact_prefix,
                            boost,
                        }
                    })
                };
                let words = terms(&mut group.analyzer, text).into_iter().map(word);
                Ok(all(words.collect::<Result<_>>()?))
            }
            TextQuery::Bool { .. } | TextQuery::Boost { .. } | TextQuery::In { .. } => Ok(None),
        }
    }

    /// All words but the last as they are, and the last as a beginning: neither stemmed nor compared with
    /// stop words, since it is no whole word.
    fn prefix(&mut self, text: &str, group: &mut Group<'a>, boost: f32) -> Result<Option<Node>> {
        let mut last = None;
        let keep = |token: Token<'_>| {
            last = Some((token.term.to_owned(), token.span.start));
        };
        group.analyzer.words(text, keep);
        let Some((prefix, start)) = last else {
            return Ok(None);
        };
        let before = terms(&mut group.analyzer, &text[..start]);
        let fields = &group.fields;
        let mut nodes = Vec::with_capacity(before.len() + 1);
        for (term, _) in before {
            nodes.push(self.in_each(fields, boost, |field, boost| Node::Term {
                field,
                term: term.clone(),
                boost,
            })?);
        }
        nodes.push(self.in_each(fields, boost, |field, boost| Node::Prefix {
            field,
            prefix: prefix.clone(),
            boost,
        })?);
        Ok(all(nodes))
    }

    /// A word in any of some fields.
    fn in_each(
        &mut self,
        fields: &[(u32, f32)],
        boost: f32,
        node: impl Fn(u32, f32) -> Node,
    ) -> Result<Node> {
        self.nodes += fields.len();
        if self.nodes > self.limits.text_clauses {
            return Err(too_many(self.limits));
        }
        let mut nodes = Vec::with_capacity(fields.len());
        for (field, times) in fields {
            let boost = boost * times;
            if !boost.is_finite() {
                let what = "the boosts of a text query multiply to more than a number can hold";
                return Err(Error::invalid(what));
            }
            nodes.push(node(*field, boost));
        }
        any(nodes).ok_or_else(|| Error::invalid("a text query names no text to look in"))
    }
}

fn no_positions(name: &str) -> Error {
    Error::invalid(format!(
        "a phrase is looked for in text {}, which has no positions; expected one with them",
        quoted(name)
    ))
}

/// The terms of a text with their positions.
fn terms(analyzer: &mut Analyzer, text: &str) -> Vec<(String, u32)> {
    let mut terms = Vec::new();
    analyzer.analyze(text, |token| {
        terms.push((token.term.to_owned(), token.position));
    });
    terms
}

/// How many edits a term may be away.
fn edits(distance: Distance, term: &str) -> u32 {
    match (distance, term.chars().count()) {
        (Distance::Edits(edits), _) => edits,
        (Distance::Auto, 0..=2) => 0,
        (Distance::Auto, 3..=5) => 1,
        (Distance::Auto, _) => 2,
    }
}

fn any(nodes: Vec<Node>) -> Option<Node> {
    boolean(vec![], nodes, vec![], None)
}

fn all(nodes: Vec<Node>) -> Option<Node> {
    boolean(nodes, vec![], vec![], None)
}

/// What is left where some came to nothing; `None` if there is nothing to find.
fn boolean(
    mut must: Vec<Node>,
    mut should: Vec<Node>,
    must_not: Vec<Node>,
    at_least: Option<u32>,
) -> Option<Node> {
    let alone = must_not.is_empty() && must.len() + should.len() == 1;
    let least = usize::from(must.is_empty());
    let at_least = at_least.map_or(least, |set| set as usize);
    let at_least = at_least.max(least).min(should.len());
    match (must.is_empty(), should.is_empty()) {
        (true, true) => None,
        (false, true) if alone => must.pop(),
        (true, false) if alone => should.pop(),
        _ => Some(Node::Bool {
            must,
            should,
            must_not,
            at_least,
        }),
    }
}

#[cfg(test)]
mod tests;
