//! Points by chance.
//!
//! Each id is hashed with the seed, and the smallest hashes are the sample: it depends on which points there are,
//! and not on where they lie. It asks its [`Cancel`] at every block of rows.

use super::{
    Conditions,
    best::Best,
    explained::{Strategy, Trace},
    found::{Found, Within},
};
use crate::{cancel::Cancel, codec::id::with_id_bytes, error::Result, id::PointId, view::View};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// So many points, each as likely as any other.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) seed: u64,
    /// The number of a vector that they have.
    pub(super) vector: Option<u32>,
    pub(super) filter: Option<Conditions>,
    pub(super) limit: usize,
}

/// The sample, in the order in which it was drawn. All scores are zero.
pub(super) fn sample(
    view: &View,
    sample: &Sample,
    within: Option<&Within>,
    trace: Option<&mut Trace>,
    cancel: &Cancel,
) -> Result<Vec<Found>> {
    let parts = view.parts()?;
    let best = Best::new(parts, sample.filter.as_ref(), within, sample.limit, cancel);
    let mut best = best.traced(trace);
    for (number, part) in parts.iter().enumerate() {
        let (mut kept, listed) = best.part(number, Strategy::OneByOne)?;
        let mut offer = |count: u32, row: u32| -> Result<()> {
            cancel.check_at(count)?;
            if !part.is_live(row)? {
                return Ok(());
            }
            let id = kept.id(row)?;
            let drawn = drawn(&id, sample.seed);
            let has_vector = || -> Result<bool> {
                match sample.vector {
                    Some(number) => Ok(part.vector(row, number)?.is_some()),
                    None => Ok(true),
                }
            };
            // Whether it matches is dearer than its turn.
            if kept.last().is_none_or(|last| drawn <= *last) && kept.accepts(row)? && has_vector()?
            {
                kept.offer_ranked(drawn, id, row);
            }
            Ok(())
        };
        match listed {
            Some(rows) => (0..)
                .zip(rows)
                .try_for_each(|(count, row)| offer(count, row))?,
            None => (0..part.rows()).try_for_each(|row| offer(row, row))?,
        }
    }
    Ok(best.into_found())
}

/// When a point is drawn: the smallest first.
fn drawn(id: &PointId, seed: u64) -> u64 {
    with_id_bytes(id, |bytes| xxh3_64_with_seed(bytes, seed))
}
