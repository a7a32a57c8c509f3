//! The best of rows that are all compared by their codes.

use crate::{
    error::Result,
    top_k::TopK,
    vector::codes::{Codes, Probe, Scores},
};

/// Rows that may be among the best, judged by scores that err.
#[derive(Debug, Default)]
pub(super) struct Picked {
    /// Two rows whose scores are closer than this may change places.
    margin: f32,
    best: TopK<u32>,
    /// Rows that were near to the best when they came, with their scores.
    rows: Vec<(f32, u32)>,
    /// The rows that are compared at once, and their nodes.
    compared: Vec<u32>,
    nodes: Vec<u32>,
    scores: Scores,
}

impl Picked {
    pub(super) fn begin(&mut self, limit: usize, margin: f32) {
        self.margin = margin;
        self.best = TopK::new(limit);
        self.rows.clear();
    }

    /// Compares those of `rows` that have a node.
    pub(super) fn add(
        &mut self,
        codes: &Codes<'_>,
        probe: &Probe,
        rows: &[u32],
        nodes: &[u32],
        passes: &mut impl FnMut(u32) -> Result<bool>,
    ) -> Result<()> {
        self.nodes.clear();
        self.compared.clear();
        for row in rows {
            if let Some(node) = nodes.get(*row as usize) {
                self.nodes.push(*node);
                self.compared.push(*row);
            }
        }
        // A node that is none is infinitely far away.
        codes.scores(probe, &self.nodes, &mut self.scores);
        for (row, score) in self.compared.iter().zip(&self.scores.values) {
            if self.best.wants(*score + self.margin) && *score > f32::NEG_INFINITY && passes(*row)?
            {
                self.rows.push((*score, *row));
                if self.best.wants(*score) {
                    self.best.offer(*score, *row);
                }
            }
        }
        Ok(())
    }

    /// Those that may be among the best, these included.
    pub(super) fn near(&self) -> Vec<u32> {
        let is_near = |(score, _): &&(f32, u32)| self.best.wants(*score + self.margin);
        let near = self.rows.iter().filter(is_near);
        near.map(|(_, row)| *row).collect()
    }
}
