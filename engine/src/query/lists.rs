//! Which lists of vectors may be near to one: an index is asked for each vector of the query, and what
//! it says is added up.
//!
//! What an index does not say of a row and a vector of the query, it being too far away, is taken to
//! be as far as the farthest that it says.

use crate::{
    cancel::Cancel,
    error::Result,
    schema::Metric,
    vector::{Index, Passes, Tally, Wanted, scale},
};
use std::collections::HashMap;

/// How many times as many as the limit are compared by their vectors, unless it is said.
const OVERSAMPLED: usize = 64;
/// So many times the limit are looked for near to each vector of a query.
const NEAR: usize = 32;

/// How many rows are looked for near to each vector.
pub(super) fn near(limit: usize) -> usize {
    limit.saturating_mul(NEAR)
}

/// The rows that seem to be the nearest to a list of vectors: `compared` of them, or some times the
/// limit. `None` when the index gives up, since too few rows pass.
pub(super) fn nearest_lists(
    index: &Index,
    (metric, dimensions, query): (Metric, usize, &[f32]),
    wanted: Wanted,
    cancel: &Cancel,
    mut passes: Option<Passes<'_>>,
    tally: &Tally,
) -> Result<Option<Vec<u32>>> {
    let each = Wanted {
        limit: wanted.ef,
        compared: Some(wanted.ef),
        ..wanted
    };
    let mut gains: HashMap<u32, Gain> = HashMap::new();
    for (number, values) in query.chunks_exact(dimensions).enumerate() {
        let scale = scale(values, metric);
        let passes: Option<Passes<'_>> = match &mut passes {
            Some(passes) => Some(&mut **passes),
            None => None,
        };
        let Some(found) = index.search(values, scale, each, cancel, passes, tally)? else {
            return Ok(None);
        };
        let farthest = found.last().map_or(0.0, |(score, _)| *score);
        for (score, row) in found {
            let gain = gains.entry(row).or_default();
            // The first of a row is its best.
            if gain.vectors <= number {
                gain.vectors = number + 1;
                gain.sum += f64::from(score - farthest);
            }
        }
    }
    let mut rows: Vec<(f64, u32)> = gains.iter().map(|(row, gain)| (gain.sum, *row)).collect();
    rows.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let most = wanted.limit.saturating_mul(OVERSAMPLED);
    rows.truncate(wanted.compared.unwrap_or(most));
    Ok(Some(rows.into_iter().map(|(_, row)| row).collect()))
}

/// How much nearer a row is than what was not found.
#[derive(Default)]
struct Gain {
    sum: f64,
    /// So many vectors of the query were looked at when it was last found.
    vectors: usize,
}
