//! What a query finds, before anything but the score is read of it.
//!
//! Every kind of question comes down to a list of these, the best first; fusion and the choice of
//! diverse hits make another one of them. Payloads and vectors are read for the last list alone.

use crate::id::PointId;

/// A live row of a part of the view, and its score.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) score: f32,
    pub(super) id: PointId,
    /// The number of the part.
    pub(super) part: usize,
    pub(super) row: u32,
}

impl Found {
    /// Where it lies, which tells points of one view apart.
    pub(super) fn place(&self) -> (usize, u32) {
        (self.part, self.row)
    }
}

/// What is kept of the best: the smaller id is the better of equal scores.
impl From<(f32, (PointId, usize, u32))> for Found {
    fn from((score, (id, part, row)): (f32, (PointId, usize, u32))) -> Self {
        Self {
            score,
            id,
            part,
            row,
        }
    }
}

/// The rows that prefetches have found: all that a query with prefetches looks at. They are live, and
/// match its filter, since that holds for prefetches too.
pub(super) struct Within(Vec<Vec<u32>>);

impl Within {
    /// The rows of these lists, of so many parts.
    pub(super) fn of(lists: &[Vec<Found>], parts: usize) -> Self {
        let mut rows = vec![Vec::new(); parts];
        for found in lists.iter().flatten() {
            rows[found.part].push(found.row);
        }
        for rows in &mut rows {
            rows.sort_unstable();
            rows.dedup();
        }
        Self(rows)
    }

    /// Those of a part, ascending.
    pub(super) fn rows(&self, part: usize) -> &[u32] {
        self.0.get(part).map_or(&[], Vec::as_slice)
    }
}
