//! What is looked for, and the best rows of one part by BM25.
//!
//! A [`Query`] is weighed by the statistics of all parts ([`Weighed`]), then each part is searched for
//! itself: for the best rows, or for the best of given rows. Alternatives of
//! terms, which is what most queries are, are searched window by window (`any_of.rs`). Everything else
//! goes from row to row that matches, over stretches that cannot reach what is wanted by the bounds of
//! their blocks. Scores are the same to the last bit either way, as `score.rs` says.

mod any_of;
mod leaf;
mod phrase;
mod query;
mod score;
mod scorer;

#[cfg(test)]
mod tests;

use crate::{
    cancel::Cancel,
    error::Result,
    postings::{Collector, END},
};
use query::Node;
use scorer::{Opener, Scorer, Ticks};

pub(crate) use query::{Fields, Query, Weighed};
pub use score::Bm25;

/// Offers every row of a part that matches and may be among the best.
///
/// # Errors
/// What the collector and reading give, and `Cancelled`.
pub(crate) fn search(
    weighed: &Weighed,
    fields: &Fields<'_>,
    collector: &mut impl Collector,
    cancel: &Cancel,
) -> Result<()> {
    let opener = Opener::new(weighed, fields);
    let ticks = &mut Ticks::new(cancel);
    if let Some((terms, at_least, must_not)) = alternatives(&weighed.root) {
        let mut leaves = Vec::with_capacity(terms.len());
        for node in terms {
            if let Node::Term {
                field,
                term,
                weight,
            } = node
            {
                leaves.extend(opener.leaf(*field, term, *weight, false)?.map(Box::new));
            }
        }
        let must_not = must_not.iter().map(|node| opener.open(node));
        let mut must_not = must_not.collect::<Result<Vec<_>>>()?;
        return any_of::search(&mut leaves, at_least, &mut must_not, collector, ticks);
    }
    each_match(&mut opener.open(&weighed.root)?, collector, ticks)
}

/// Offers those of the given rows, which ascend, that match and may be among the best.
///
/// # Errors
/// As [`search`].
pub(crate) fn search_rows(
    weighed: &Weighed,
    fields: &Fields<'_>,
    rows: impl IntoIterator<Item = u32>,
    collector: &mut impl Collector,
    cancel: &Cancel,
) -> Result<()> {
    let opener = Opener::new(weighed, fields);
    let ticks = &mut Ticks::new(cancel);
    let mut scorer = opener.open(&weighed.root)?;
    for row in rows {
        ticks.tick()?;
        if scorer.seek(row, ticks)? == row {
            offer(&mut scorer, row, collector, ticks)?;
        }
    }
    Ok(())
}

/// The terms of which a row is to have some, how many, and what it must not match, if a query is that.
fn alternatives(root: &Node) -> Option<(&[Node], u16, &[Node])> {
    let is_term = |node: &Node| matches!(node, Node::Term { .. });
    match root {
        Node::Term { .. } => Some((std::slice::from_ref(root), 1, &[])),
        Node::Bool(branch) if branch.must.is_empty() && branch.should.iter().all(is_term) => {
            // Of more terms than can be counted some are looked for one row after the other.
            u16::try_from(branch.should.len()).ok()?;
            let at_least = u16::try_from(branch.at_least).ok()?;
            Some((&branch.should, at_least, &branch.must_not))
        }
        _ => None,
    }
}

fn each_match(
    scorer: &mut Scorer<'_>,
    collector: &mut impl Collector,
    ticks: &mut Ticks<'_>,
) -> Result<()> {
    // Up to here no row scores more than the bound.
    let (mut last, mut bound) = scorer.bound_at(0)?;
    let mut row = 0;
    loop {
        ticks.tick()?;
        if last < row {
            (last, bound) = scorer.bound_at(row)?;
        }
        if (bound as f32) < collector.last_wanted() {
            if last == END {
                return Ok(());
            }
            row = last + 1;
            continue;
        }
        let found = scorer.seek(row, ticks)?;
        if found == END {
            return Ok(());
        }
        if found <= last {
            offer(scorer, found, collector, ticks)?;
            row = found + 1;
        } else {
            row = found;
        }
    }
}

/// Offers the row that a scorer stands at, if it is wanted and counts.
fn offer(
    scorer: &mut Scorer<'_>,
    row: u32,
    collector: &mut impl Collector,
    ticks: &mut Ticks<'_>,
) -> Result<()> {
    let score = scorer.score(row, ticks)? as f32;
    if score >= collector.last_wanted() && collector.accepts(row)? {
        collector.offer(row, score)?;
    }
    Ok(())
}
