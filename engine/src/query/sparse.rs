//! Searching sparse vectors: which points are best by their dot product with a query's, part by part.
//!
//! What a dimension is worth, if that depends on how many points have it, follows from all parts
//! together, so that a score does not depend on how points are split into parts. It asks its [`Cancel`] at least
//! every few hundred microseconds.

use super::{
    Conditions,
    best::Best,
    explained::{Strategy, Trace},
    found::{Found, Within},
};
use crate::{
    cancel::Cancel,
    error::Result,
    sparse::{self, Index, Weighed},
    sparse_vector::SparseVector,
    view::View,
};

/// A question for sparse vectors, checked against a schema.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    /// The number of the sparse vector that is compared.
    pub(super) number: u32,
    pub(super) idf: bool,
    pub(super) values: SparseVector,
    pub(super) filter: Option<Conditions>,
    pub(super) limit: usize,
}

/// What has the largest dot products, the best first.
pub(super) fn best(
    view: &View,
    query: &Weights,
    within: Option<&Within>,
    trace: Option<&mut Trace>,
    cancel: &Cancel,
) -> Result<Vec<Found>> {
    let parts = view.parts()?;
    let indexes = parts.iter();
    let indexes = indexes.map(|part| part.sparse_index(query.number, cancel));
    let indexes = indexes.collect::<Result<Vec<Option<Box<dyn Index + '_>>>>>()?;
    let all: Vec<&dyn Index> = indexes.iter().flatten().map(|index| &**index).collect();
    let weighed = Weighed::new(&query.values, query.idf, &all, cancel)?;
    let best = Best::new(parts, query.filter.as_ref(), within, query.limit, cancel);
    let mut best = best.together().traced(trace);
    for (number, index) in indexes.iter().enumerate() {
        let Some(index) = index.as_deref() else {
            continue;
        };
        let (mut collector, listed) = best.part(number, Strategy::Lists)?;
        match listed {
            Some(rows) => sparse::search_rows(&weighed, index, rows, &mut collector, cancel)?,
            None => sparse::search(&weighed, index, &mut collector, cancel)?,
        }
    }
    Ok(best.into_found())
}
