//! Sparse vectors of segments that are tested, made up from payloads.

use super::super::{Segment, writer::PutLists};
use crate::{
    cancel::Cancel,
    error::Result,
    payload::Payload,
    sparse::{GrownSparse, Input, merge},
    sparse_vector::Halves,
};

/// The numbers of sparse vectors: one that most rows have, one that few have, and one that none has.
pub(crate) const NUMBERS: [u32; 3] = [1_000, 1_001, 1_002];

/// The sparse vector of a row with this payload.
pub(crate) fn of(payload: &Payload, number: u32) -> Option<Halves> {
    let bytes = serde_json::to_vec(&payload.to_value()).unwrap();
    let is_there = match number {
        1_000 => bytes.len() % 5 != 4,
        1_001 => bytes.len() % 7 == 2,
        _ => false,
    };
    let mut dimensions: Vec<u32> = bytes.iter().map(|byte| u32::from(*byte) << 18).collect();
    dimensions.sort_unstable();
    dimensions.dedup();
    let weights = (0..).take(dimensions.len());
    let weights = weights.map(|n| 0x3c00 + bytes.len() as u16 % 300 + n);
    is_there.then(|| Halves::new(dimensions, weights.collect()).unwrap())
}

/// The lists over the sparse vectors of rows with these payloads.
pub(crate) fn lists<'a>(
    payloads: impl Iterator<Item = &'a Payload>,
    number: u32,
    filled: u32,
    put: PutLists<'_>,
) -> Result<Vec<u8>> {
    let vectors: Vec<_> = payloads.map(|payload| of(payload, number)).collect();
    let (rows, cancel) = (vectors.len() as u32, Cancel::default());
    let vector = |row: u32| vectors[row as usize].as_ref();
    let index = &GrownSparse::default().up_to(rows, number, vector, &cancel)?;
    merge(&[Input { index, map: &Some }], (rows, filled), &cancel, put)
}

/// All sparse vectors of a row with this payload.
pub(crate) fn all_of(payload: &Payload) -> Vec<Option<Halves>> {
    NUMBERS.map(|number| of(payload, number)).into()
}

/// All sparse vectors of a row as the segment has them.
pub(crate) fn found(segment: &Segment, row: u32) -> Result<Vec<Option<Halves>>> {
    let found = |number| {
        let index = segment.sparse(number)?;
        index.map_or(Ok(None), |index| index.vector(row))
    };
    NUMBERS.into_iter().map(found).collect()
}
