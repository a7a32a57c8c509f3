//! A graph over one vector of a segment, in a file of its own: how it is built, written, searched.
//!
//! | kind | section | content |
//! |---|---|---|
//! | 1 | center | f32 for each dimension: what codes are relative to |
//! | 2 | rows | u32 for each node: its row in the segment |
//! | 3 | codes | a byte for each dimension, node by node; not with binary quantization |
//! | 4 | factors | step f32, offset f32, node by node; with codes |
//! | 5 | links | of the level that is its number: u32, node by node |
//! | 6 | nodes | u32 for each row up to the last that has one: its node, or the largest u32; empty where rows have lists of vectors, each of which is a node |
//! | 7 | bits | the cell of each node: see [`bits`](super::bits); not under Manhattan |
//!
//! The directory holds [`About`] as JSON. All that an index says follows from the segment: one that
//! is damaged or missing is built anew. One over rows of which many have an index already begins with
//! its graph.

mod pick;
mod read;
mod write;

pub(crate) use pick::Pick;
pub(crate) use read::{Index, Passes};
pub(crate) use write::{Build, Moved, memory, write};

use super::{
    curve::Curve,
    hnsw::{MAX_LEVELS, MAX_NODES, Params},
};
use crate::{
    codec::header::FileKind,
    container::SectionKind,
    schema::{Metric, Quantization},
};
use serde::{Deserialize, Serialize};

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Kind {
    Center = 1,
    Rows = 2,
    Codes = 3,
    Factors = 4,
    Links = 5,
    Nodes = 6,
    Bits = 7,
}

impl SectionKind for Kind {
    const FILE: FileKind = FileKind::Index;
    const MAX_SECTIONS: usize = 6 + MAX_LEVELS;
    const ALL: &'static [Self] = &[
        Self::Center,
        Self::Rows,
        Self::Codes,
        Self::Factors,
        Self::Links,
        Self::Nodes,
        Self::Bits,
    ];

    fn code(self) -> u32 {
        self as u32
    }
}

/// What an index is of, and how it was built.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct About {
    /// The file id of the segment.
    segment: u64,
    /// The number of the vector.
    vector: u32,
    metric: Metric,
    dimensions: u32,
    quantization: Quantization,
    /// Whether rows have lists of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    multi: bool,
    m: usize,
    ef_construction: usize,
    seed: u64,
    /// Nodes of each level.
    levels: Vec<u32>,
    /// The step of all codes, where there is one.
    step: Option<f32>,
    curve: Curve,
}

/// What is to be indexed: a vector of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    /// The file id of the segment.
    pub(crate) segment: u64,
    /// The number of the vector.
    pub(crate) vector: u32,
    pub(crate) metric: Metric,
    pub(crate) dimensions: u32,
    pub(crate) quantization: Quantization,
    /// Whether rows have lists of it, each vector of which is a node.
    pub(crate) multi: bool,
}

/// What a search wants of an index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) limit: usize,
    /// How many of what is found to give; those that may belong to the limit, as far as codes err,
    /// if it is not said.
    pub(crate) compared: Option<usize>,
    pub(crate) ef: usize,
    /// The most nodes to visit: see [`Walk`](super::hnsw::Walk).
    pub(crate) visits: usize,
    /// Whether so few of the rows pass that the walk goes from one to the next.
    pub(crate) few_pass: bool,
}

impl About {
    fn params(&self) -> Params {
        Params {
            m: self.m,
            ef_construction: self.ef_construction,
            seed: self.seed,
        }
    }

    fn subject(&self) -> Subject {
        Subject {
            segment: self.segment,
            vector: self.vector,
            metric: self.metric,
            dimensions: self.dimensions,
            quantization: self.quantization,
            multi: self.multi,
        }
    }

    /// Whether an index of so many rows can be like this.
    fn is_sound(&self, rows: u32) -> bool {
        let upper = self.levels.get(1..).unwrap_or_default();
        let step_is_sound = match self.step {
            Some(step) => self.metric == Metric::Manhattan && step.is_finite() && step >= 0.0,
            None => self.metric != Metric::Manhattan,
        };
        rows <= MAX_NODES
            && self.levels.first() == Some(&rows)
            && self.levels.is_sorted_by(|below, above| below >= above)
            && !upper.contains(&0)
            && self.levels.len() <= MAX_LEVELS
            && self.params().check().is_ok()
            && step_is_sound
            && self.curve.is_sound()
    }
}

#[cfg(test)]
mod tests;
