//! Indexes over the sparse vectors of rows in memory, made as far as somebody asks.

use super::memory::{Memory, View};
use crate::{
    cancel::Cancel,
    error::Result,
    grown::{Grow, Grown},
    sparse_vector::Halves,
};

/// The indexes over the sparse vectors of the rows of one part, by the numbers of these.
#[derive(Debug, Default)]
pub(crate) struct GrownSparse(Grown<Entered>);

#[derive(Debug, Default)]
struct Entered {
    index: Memory,
    /// So many rows were looked at.
    rows: u32,
}

impl Grow for Entered {
    fn bytes(&self) -> usize {
        self.index.bytes()
    }
}

impl GrownSparse {
    /// The index over the sparse vector `number` of the first `rows`. `vector` gives that of a row, live
    /// or not, if it has one; every row is asked for once.
    ///
    /// # Errors
    /// `Cancelled`, also while another one is at work.
    pub(crate) fn up_to<'a>(
        &self,
        rows: u32,
        number: u32,
        vector: impl Fn(u32) -> Option<&'a Halves>,
        cancel: &Cancel,
    ) -> Result<View> {
        let new = || Ok(Entered::default());
        self.0.with(number, new, cancel, |grown| {
            for row in grown.rows..rows {
                cancel.check_at(row)?;
                if let Some(vector) = vector(row) {
                    grown.index.add(row, vector)?;
                }
                grown.rows = row + 1;
            }
            Ok(grown.index.view(rows))
        })?
    }

    /// About how much memory they take.
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes()
    }
}
