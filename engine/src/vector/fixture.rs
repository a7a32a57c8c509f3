//! Vectors that tests make up.

use super::{VectorSource, scale, score};
use crate::{error::Result, schema::Metric, top_k::TopK};

/// Numbers that look random (`SplitMix64`, Steele et al., 2014).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From -1 to 1.
    pub(super) fn uniform(&mut self) -> f32 {
        (self.number() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// About normal, of variance 1.
    pub(super) fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() / 2.0
    }
}

/// Rows with what they are scaled with.
pub(super) struct Rows {
    pub(super) metric: Metric,
    pub(super) dimensions: usize,
    values: Vec<f32>,
}

impl Rows {
    pub(super) fn new(metric: Metric, dimensions: usize, values: Vec<f32>) -> Self {
        Self {
            metric,
            dimensions,
            values,
        }
    }

    /// Rows around 40 centers, the lengths of which differ.
    pub(super) fn clusters(metric: Metric, rows: usize, dimensions: usize, seed: u64) -> Self {
        let mut random = Random(99);
        let centers: Vec<f32> = (0..40 * dimensions).map(|_| random.normal()).collect();
        let mut random = Random(seed);
        let mut values = Vec::new();
        for _ in 0..rows {
            let center = random.number() as usize % 40 * dimensions;
            let center = &centers[center..][..dimensions];
            values.extend(center.iter().map(|value| value + 0.4 * random.normal()));
        }
        Self::new(metric, dimensions, values)
    }

    /// Copies of some vectors, in turn.
    pub(super) fn copies(metric: Metric, rows: usize, of: usize) -> Self {
        let mut random = Random(7);
        let originals: Vec<f32> = (0..of * 8).map(|_| random.normal()).collect();
        let values = originals.iter().copied().cycle().take(rows * 8).collect();
        Self::new(metric, 8, values)
    }

    pub(super) fn scaled(&self, place: usize) -> (&[f32], f32) {
        let values = &self.values[place * self.dimensions..][..self.dimensions];
        (values, scale(values, self.metric))
    }

    /// All numbers, row by row.
    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }

    pub(super) fn count(&self) -> usize {
        self.values.len() / self.dimensions
    }

    /// The best of these rows for a query, the best first.
    pub(super) fn best(
        &self,
        query: (&[f32], f32),
        limit: usize,
        rows: impl Iterator<Item = u32>,
    ) -> Vec<u32> {
        let mut best = TopK::new(limit);
        for row in rows {
            best.offer(score(self.metric, query, self.scaled(row as usize)), row);
        }
        best.into_sorted().map(|(_, row)| row).collect()
    }
}

impl VectorSource for Rows {
    fn len(&self) -> u32 {
        self.count() as u32
    }

    fn vector<'a>(&'a self, place: u32, _: &'a mut Vec<f32>) -> Result<(&'a [f32], f32)> {
        Ok(self.scaled(place as usize))
    }

    /// Every second row of the segment has the vector.
    fn row(&self, place: u32) -> u32 {
        place * 2
    }
}

pub(super) const METRICS: [Metric; 4] = [
    Metric::Cosine,
    Metric::Dot,
    Metric::Euclidean,
    Metric::Manhattan,
];
