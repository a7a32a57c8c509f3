//! Who takes the rows that a search over lists finds.

use crate::error::Result;

/// Takes the best rows.
pub(crate) trait Collector {
    /// What a score must be at least to be of use. It never falls.
    fn last_wanted(&self) -> f32;

    /// Whether a row counts. Asked of rows whose scores are wanted alone.
    fn accepts(&mut self, row: u32) -> Result<bool>;

    /// Takes a row that counts. Rows ascend.
    fn offer(&mut self, row: u32, score: f32) -> Result<()>;
}
