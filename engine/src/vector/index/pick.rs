//! The best of rows that are all compared: at a glance, and by their codes if that says they may be
//! among the best.

use crate::{
    cancel::Cancel,
    error::Result,
    top_k::TopK,
    vector::{
        bits::{BitProbe, Bits, Glance, Glanced},
        codes::{Codes, Probe, Scores, Table},
        hnsw::NONE,
    },
};

/// With fewer rows it is not worth it to look at their bits first.
const GLANCED: usize = 256;
/// How many rows are glanced at before the best of them are compared: their cells stay close at
/// hand.
const AT_ONCE: usize = 256;
/// A score at a glance is taken to be off by at most so many times what is usual for it: of what
/// belongs to the answer 2 % seem farther away, and 0.003 %.
const DEVIATIONS: f32 = 2.0;
const MOST_DEVIATIONS: f32 = 4.0;

/// What rows are picked by. Reused from one query to the next.
#[derive(Debug, Default)]
pub(super) struct Picker {
    bit_probe: BitProbe,
    glances: Vec<Glance>,
    scores: Scores,
    /// The rows that are compared at once, and their nodes.
    compared: Vec<u32>,
    nodes: Vec<u32>,
    best: Best,
}

/// What is picked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pick {
    pub(crate) limit: usize,
    /// How many to give: see [`Wanted`](super::Wanted).
    pub(crate) compared: Option<usize>,
    /// Whether hardly any of the best may be missed.
    pub(crate) thorough: bool,
}

/// Rows that may be among the best, judged by scores that err.
#[derive(Debug)]
struct Best {
    best: TopK<u32>,
    /// The score of the last of the best.
    bar: f32,
    /// Rows that were near to the best when they came, with what their scores are at most.
    rows: Vec<(f32, u32)>,
}

/// Rows of a segment with their nodes, and what these are compared by.
pub(super) struct Candidates<'a> {
    /// One of them there is at least.
    pub(super) codes: Option<Codes<'a>>,
    pub(super) bits: Option<Bits<'a>>,
    /// The node of each row of the segment.
    pub(super) nodes: &'a [u32],
}

impl Picker {
    /// Those of `rows` that pass and may be among the best, these included. Two rows whose scores
    /// by codes are closer than the margin may change places.
    pub(super) fn pick(
        &mut self,
        candidates: &Candidates<'_>,
        (probe, margin): (&Probe, f32),
        Pick {
            limit,
            compared,
            thorough,
        }: Pick,
        rows: &[u32],
        cancel: &Cancel,
        mut passes: impl FnMut(u32) -> Result<bool>,
    ) -> Result<Vec<u32>> {
        let is_worth_it = rows.len() >= GLANCED || candidates.codes.is_none();
        let bits = candidates.bits.filter(|_| is_worth_it);
        if bits.is_some() {
            self.bit_probe.set(probe);
        }
        let deviations = if thorough {
            MOST_DEVIATIONS
        } else {
            DEVIATIONS
        };
        let margin = if compared.is_some() { 0.0 } else { margin };
        self.best.begin(compared.unwrap_or(limit));
        for rows in rows.chunks(AT_ONCE) {
            cancel.check()?;
            self.choose(candidates.nodes, rows);
            if let Some(bits) = bits {
                self.glance(bits, deviations);
            }
            match &candidates.codes {
                Some(codes) => {
                    codes.scores(probe, &self.nodes, &mut self.scores);
                    for (row, score) in self.compared.iter().zip(&self.scores.values) {
                        self.best.offer(*score, margin, *row, &mut passes)?;
                    }
                }
                None => {
                    for (row, Glance { score, deviation }) in
                        self.compared.iter().zip(&self.glances)
                    {
                        let off = compared.map_or(deviations * deviation, |_| 0.0);
                        self.best.offer(score - off, 2.0 * off, *row, &mut passes)?;
                    }
                }
            }
        }
        Ok(self.best.near())
    }

    /// Compares those of `rows` next that have a node.
    fn choose(&mut self, nodes: &[u32], rows: &[u32]) {
        self.nodes.clear();
        self.compared.clear();
        for row in rows {
            let node = nodes.get(*row as usize);
            if let Some(node) = node.filter(|node| **node != NONE) {
                self.nodes.push(*node);
                self.compared.push(*row);
            }
        }
    }

    /// Leaves out those that are too far from the best so far, as their bits tell.
    fn glance(&mut self, bits: Bits<'_>, deviations: f32) {
        let glanced = Glanced {
            bits,
            probe: &self.bit_probe,
        };
        self.glances.clear();
        self.glances
            .extend(glanced.glances(&self.nodes, &mut self.scores.sums));
        let mut kept = 0;
        for at in 0..self.glances.len() {
            let glance = self.glances[at];
            // Also false for what is not a number.
            let is_far = glance.score + deviations * glance.deviation < self.best.bar;
            self.nodes[kept] = self.nodes[at];
            self.compared[kept] = self.compared[at];
            self.glances[kept] = glance;
            kept += usize::from(!is_far);
        }
        self.nodes.truncate(kept);
        self.compared.truncate(kept);
        self.glances.truncate(kept);
    }
}

impl Default for Best {
    fn default() -> Self {
        Self {
            best: TopK::default(),
            bar: f32::NEG_INFINITY,
            rows: Vec::new(),
        }
    }
}

impl Best {
    fn begin(&mut self, limit: usize) {
        self.best = TopK::new(limit);
        self.bar = f32::NEG_INFINITY;
        self.rows.clear();
    }

    /// Takes a row that may be among the best, if it passes. One that is infinitely far away is
    /// none.
    fn offer(
        &mut self,
        score: f32,
        margin: f32,
        row: u32,
        passes: &mut impl FnMut(u32) -> Result<bool>,
    ) -> Result<()> {
        let most = score + margin;
        if most < self.bar || score == f32::NEG_INFINITY || !passes(row)? {
            return Ok(());
        }
        self.rows.push((most, row));
        if self.best.wants(score) {
            self.best.offer(score, row);
            self.bar = self.best.last_wanted();
        }
        Ok(())
    }

    fn near(&self) -> Vec<u32> {
        let near = self.rows.iter().filter(|(most, _)| *most >= self.bar);
        near.map(|(_, row)| *row).collect()
    }
}
