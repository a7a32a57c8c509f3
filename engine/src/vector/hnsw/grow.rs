//! Begins a graph with one that is over some of its rows already, so that these need not be linked
//! anew: what a merge does with the largest graph of its inputs.
//!
//! Its nodes keep their links. In place of a node that has gone, those come into question that it
//! led to, as when stale nodes of a graph on disk are consolidated (Singh et al., `FreshDiskANN`,
//! 2021).

use super::{NONE, base::Base, beam::Found, order::Order, select::Chooser};
use crate::vector::codes::{Codes, Probe, Scores, Table};

/// What the links of a node are gathered in.
#[derive(Default)]
pub(super) struct Gathering {
    probe: Probe,
    nodes: Vec<u32>,
    scores: Scores,
}

/// The links of a node of the base at a level of the graph that is grown, the best first and at most
/// as many as its list is wide.
pub(super) fn links(
    base: &Base<'_>,
    (level, node, width): (usize, u32, usize),
    (codes, order): (&Codes<'_>, &Order),
    (gathering, chooser): (&mut Gathering, &mut Chooser),
) -> Vec<Found> {
    let Gathering {
        probe,
        nodes,
        scores,
    } = gathering;
    let at_level = order.counts.get(level).copied().unwrap_or(0);
    let carried = |node: u32| {
        let now = order.carried.get(node as usize).copied();
        now.filter(|now| *now < at_level)
    };
    let own = carried(node).unwrap_or(NONE);
    nodes.clear();
    nodes.extend(base.list(level, node).filter_map(carried));
    nodes.retain(|link| *link != own);
    nodes.sort_unstable();
    nodes.dedup();
    let stay = nodes.len();
    let gone = base
        .list(level, node)
        .filter(|link| carried(*link).is_none());
    nodes.extend(
        gone.flat_map(|gone| base.list(level, gone))
            .filter_map(carried),
    );
    codes.probe_row(own, probe);
    codes.scores(probe, nodes, scores);
    let found = nodes.iter().zip(&scores.values);
    let mut found: Vec<Found> = found
        .map(|(node, score)| Found {
            score: *score,
            node: *node,
        })
        .collect();
    let mut others = found.split_off(stay);
    others.retain(|other| other.node != own && nodes[..stay].binary_search(&other.node).is_err());
    others.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.node.cmp(&b.node)));
    others.dedup();
    chooser.choose_beside(&nodes[..stay], codes, &mut others, width);
    found.append(&mut others);
    found
}
