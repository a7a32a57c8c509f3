//! Building a graph on all threads of a pool, with the same outcome on any number of them.
//!
//! Nodes are added in batches. Each node of a batch looks for its neighbours in the graph as the
//! batch found it, all at once; then its links are written, and the links back, for each target at
//! once. What a thread computes depends on nothing that another one does meanwhile. A graph may begin
//! with one that is there already: then only the nodes that are new to it are added.

use super::{
    base::Base,
    beam::Found,
    grow::{self, Gathering},
    layer::Layer,
    order::Order,
    reach,
    select::Chooser,
    walk::{Scratch, Walk},
    whole::Whole,
};
use crate::{
    cancel::Cancel,
    error::{Error, Result},
    sync::{Mutex, lock},
    vector::codes::{Codes, Probe},
};
use rayon::prelude::*;
use std::ops::RangeInclusive;

/// A batch has one in so many of the nodes that are there, on each of its levels, so that few neighbours
/// are missed.
const SHARE: u32 = 32;
/// The most nodes of a batch.
const BATCH: u32 = 2_048;

/// How a graph is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Params {
    /// Neighbours of a node on the upper levels; twice as many at level 0.
    pub(crate) m: usize,
    /// Nodes that are kept in view while the neighbours of a new one are looked for.
    pub(crate) ef_construction: usize,
    pub(crate) seed: u64,
}

impl Params {
    /// What `m` may be: with less than two there are no directions to choose between.
    pub(crate) const M: RangeInclusive<usize> = 2..=1024;

    /// Whether a graph can be built so.
    pub(crate) fn check(&self) -> Result<()> {
        if Self::M.contains(&self.m) {
            return Ok(());
        }
        let (least, most) = (Self::M.start(), Self::M.end());
        Err(Error::invalid(format!(
            "m is {}; expected {least} to {most}",
            self.m
        )))
    }

    /// How many nodes are kept in view while a graph of so many is built: among more of them, more are
    /// nearly as near, and a graph that is built with the same view finds ever less.
    fn view(&self, nodes: u32) -> usize {
        let doublings = (nodes >> 16).checked_ilog2().unwrap_or(0) as usize;
        self.ef_construction + self.ef_construction * doublings * 3 / 16
    }

    /// The most neighbours of a node.
    pub(crate) fn width(&self, level: usize) -> usize {
        if level == 0 { self.m * 2 } else { self.m }
    }
}

/// The neighbours of all nodes, level by level.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Graph {
    pub(crate) params: Params,
    /// How many nodes each level has.
    pub(crate) counts: Vec<u32>,
    /// For each level the lists of its nodes, all of one width, filled up with [`NONE`].
    pub(crate) links: Vec<Vec<u32>>,
}

/// Which row each node is of, those of a base first within each level.
pub(crate) fn plan(rows: u32, params: &Params, base: Option<&Base<'_>>) -> Order {
    Order::new(rows, params.m, params.seed, base)
}

/// Links the nodes whose codes these are, in the order of [`plan`]; those of the base that this was
/// made with are linked already. `progress` hears how many are.
pub(crate) fn build(
    codes: Codes<'_>,
    order: &Order,
    base: Option<&Base<'_>>,
    params: Params,
    cancel: &Cancel,
    progress: &(dyn Fn(u32) + Sync),
) -> Result<Graph> {
    let mut builder = Builder::new(codes, order.counts.clone(), params);
    if let Some(base) = base {
        builder.carry(base, order, cancel)?;
        progress(builder.linked[0]);
    }
    let mut left = &order.new[..];
    while !left.is_empty() {
        cancel.check()?;
        let beside = builder.linked[builder.level(left[0])];
        let most = (beside / SHARE).clamp(1, BATCH) as usize;
        let (batch, rest) = left.split_at(most.min(left.len()));
        builder.add(batch, cancel)?;
        progress(builder.linked[0]);
        left = rest;
    }
    let mut graph = builder.finish();
    if let Some(links) = graph.links.first_mut() {
        reach::connect(links, params.width(0), cancel)?;
    }
    Ok(graph)
}

struct Builder<'a> {
    codes: Codes<'a>,
    params: Params,
    /// Nodes that are kept in view.
    view: usize,
    counts: Vec<u32>,
    layers: Vec<Layer>,
    /// How many nodes of each level are linked so far.
    linked: Vec<u32>,
    rooms: Mutex<Vec<Room>>,
}

/// What a thread computes in.
#[derive(Default)]
struct Room {
    scratch: Scratch,
    probe: Probe,
    chooser: Chooser,
    gathering: Gathering,
}

/// A link that a node of the batch wants back.
#[derive(Clone, Copy)]
struct Edge {
    level: usize,
    target: u32,
    source: Found,
}

impl<'a> Builder<'a> {
    fn new(codes: Codes<'a>, counts: Vec<u32>, params: Params) -> Self {
        let layer =
            |(level, count): (usize, &u32)| Layer::new(*count as usize, params.width(level));
        let layers = counts.iter().enumerate().map(layer).collect();
        Self {
            codes,
            params,
            view: params.view(counts.first().copied().unwrap_or(0)),
            linked: vec![0; counts.len()],
            counts,
            layers,
            rooms: Mutex::default(),
        }
    }

    fn finish(self) -> Graph {
        Graph {
            params: self.params,
            counts: self.counts,
            links: self.layers.into_iter().map(Layer::into_links).collect(),
        }
    }

    /// The highest level of a node.
    fn level(&self, node: u32) -> usize {
        let own = self.counts.iter().rposition(|count| *count > node);
        own.unwrap_or(0)
    }

    /// Takes the nodes of a base over with their links.
    fn carry(&mut self, base: &Base<'_>, order: &Order, cancel: &Cancel) -> Result<()> {
        for level in 0..self.layers.len() {
            let (count, width) = (self.counts[level], self.layers[level].width);
            let nodes = (0..).zip(&order.carried).filter(|(_, now)| **now < count);
            let nodes: Vec<(u32, u32)> = nodes.map(|(node, now)| (node, *now)).collect();
            let lists = nodes.par_iter().map(|(node, _)| {
                cancel.check_at(*node)?;
                Ok(self.in_room(|room| {
                    let rooms = (&mut room.gathering, &mut room.chooser);
                    grow::links(base, (level, *node, width), (&self.codes, order), rooms)
                }))
            });
            let lists: Vec<Vec<Found>> = lists.collect::<Result<_>>()?;
            for ((_, now), list) in nodes.iter().zip(&lists) {
                self.layers[level].set(*now, list);
            }
            self.linked[level] = nodes.len() as u32;
        }
        Ok(())
    }

    fn add(&mut self, batch: &[u32], cancel: &Cancel) -> Result<()> {
        let lists = self.layers.iter().map(Layer::links);
        let nodes = Whole::new(self.codes, self.params, lists);
        let found: Vec<Vec<(usize, Vec<Found>)>> = batch
            .par_iter()
            .map(|node| {
                cancel.check()?;
                self.in_room(|room| self.neighbours(&nodes, *node, room, cancel))
            })
            .collect::<Result<_>>()?;
        let mut edges = Vec::new();
        for (node, levels) in batch.iter().copied().zip(found) {
            for (level, found) in levels {
                edges.extend(found.iter().map(|neighbour| Edge {
                    level,
                    target: neighbour.node,
                    source: Found { node, ..*neighbour },
                }));
                self.layers[level].set(node, &found);
            }
        }
        self.link_back(edges, cancel)?;
        for node in batch {
            let own = self.level(*node);
            self.linked[..=own].iter_mut().for_each(|count| *count += 1);
        }
        Ok(())
    }

    /// The links of a new node on each of its levels.
    fn neighbours(
        &self,
        nodes: &Whole<'_, Codes<'_>>,
        node: u32,
        room: &mut Room,
        cancel: &Cancel,
    ) -> Result<Vec<(usize, Vec<Found>)>> {
        let Room {
            scratch,
            probe,
            chooser,
            ..
        } = room;
        if self.linked[0] == 0 {
            return Ok(Vec::new());
        }
        self.codes.probe_row(node, probe);
        let walk = Walk {
            nodes,
            probe,
            hidden: None,
            visits: usize::MAX,
            cancel,
        };
        let top = self.counts.len() - 1;
        let own = self.level(node);
        let mut entry = walk.descend(top, (own + 1).min(top), scratch)?;
        let mut levels = Vec::with_capacity(own + 1);
        for level in (0..=own).rev() {
            walk.spread(level, entry, self.view, |_| Ok(true), scratch)?;
            let mut found: Vec<Found> = scratch.answers().collect();
            entry = found.first().copied().unwrap_or(entry);
            chooser.choose(&self.codes, &mut found, self.params.m);
            levels.push((level, found));
        }
        Ok(levels)
    }

    /// Adds links back, and for a target that has too many chooses among them anew.
    fn link_back(&mut self, mut edges: Vec<Edge>, cancel: &Cancel) -> Result<()> {
        edges.par_sort_unstable_by(|a, b| {
            let place = |edge: &Edge| (edge.level, edge.target, edge.source.node);
            place(a).cmp(&place(b))
        });
        let groups: Vec<&[Edge]> = edges
            .chunk_by(|a, b| (a.level, a.target) == (b.level, b.target))
            .collect();
        let lists: Vec<Vec<Found>> = groups
            .par_iter()
            .map(|group| {
                cancel.check()?;
                Ok(self.in_room(|room| self.relinked(group, &mut room.chooser)))
            })
            .collect::<Result<_>>()?;
        for (group, list) in groups.iter().zip(&lists) {
            self.layers[group[0].level].set(group[0].target, list);
        }
        Ok(())
    }

    /// The links of a target with those that are added.
    fn relinked(&self, added: &[Edge], chooser: &mut Chooser) -> Vec<Found> {
        let Edge { level, target, .. } = added[0];
        let layer = &self.layers[level];
        let mut list: Vec<Found> = layer
            .get(target)
            .chain(added.iter().map(|edge| edge.source))
            .collect();
        if list.len() > layer.width {
            list.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(a.node.cmp(&b.node)));
            chooser.choose(&self.codes, &mut list, layer.width);
        }
        list
    }

    fn in_room<T>(&self, act: impl FnOnce(&mut Room) -> T) -> T {
        let mut room = lock(&self.rooms).pop().unwrap_or_default();
        let answer = act(&mut room);
        lock(&self.rooms).push(room);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_graphs_are_built_with_more_in_view() {
        let params = Params {
            m: 16,
            ef_construction: 128,
            seed: 0,
        };
        let views = [0, 1, 131_071, 131_072, 262_143, 262_144, 1_000_000].map(|n| params.view(n));
        assert_eq!(views, [128, 128, 128, 152, 152, 176, 200]);
    }
}
