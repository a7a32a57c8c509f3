//! A set of the rows of one part: a bit for each, so that sets are joined 64 rows at a time.

/// Rows below a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RowSet {
    rows: u32,
    /// Bits of rows that there are not are never set.
    words: Box<[u64]>,
}

impl RowSet {
    pub(super) fn none(rows: u32) -> Self {
        Self {
            rows,
            words: vec![0; (rows as usize).div_ceil(64)].into(),
        }
    }

    pub(super) fn all(rows: u32) -> Self {
        let mut all = Self::none(rows);
        all.invert();
        all
    }

    /// Adds a row; one that there is not is left out.
    #[inline]
    pub(super) fn insert(&mut self, row: u32) {
        if row < self.rows {
            self.words[row as usize / 64] |= 1 << (row % 64);
        }
    }

    pub(super) fn has(&self, row: u32) -> bool {
        let word = self.words.get(row as usize / 64);
        word.is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Keeps what is in both.
    pub(super) fn keep(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word &= other;
        }
    }

    /// Adds what is in the other.
    pub(super) fn join(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    /// Leaves what was not in it.
    pub(super) fn invert(&mut self) {
        self.words.iter_mut().for_each(|word| *word = !*word);
        let beyond = self.words.len() as u32 * 64 - self.rows;
        if let Some(last) = self.words.last_mut() {
            *last &= u64::MAX >> beyond;
        }
    }

    pub(super) fn len(&self) -> u64 {
        let ones = self.words.iter().map(|word| u64::from(word.count_ones()));
        ones.sum()
    }

    /// Ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        let words = (0..).step_by(64).zip(&self.words);
        words.flat_map(|(first, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let row = (left != 0).then(|| first + left.trailing_zeros())?;
                left &= left - 1;
                Some(row)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn sets_are_those_of_a_tree(
            rows in 0u32..200,
            a in prop::collection::btree_set(0u32..220, 0..100),
            b in prop::collection::btree_set(0u32..220, 0..100),
        ) {
            let within = |set: &BTreeSet<u32>| -> BTreeSet<u32> {
                set.iter().copied().filter(|row| *row < rows).collect()
            };
            let of = |set: &BTreeSet<u32>| {
                let mut rows = RowSet::none(rows);
                set.iter().for_each(|row| rows.insert(*row));
                rows
            };
            let check = |found: &RowSet, expected: BTreeSet<u32>| {
                prop_assert_eq!(found.len(), expected.len() as u64);
                prop_assert!((0..230).all(|row| found.has(row) == expected.contains(&row)));
                prop_assert!(found.iter().eq(expected));
                Ok(())
            };
            let (left, right) = (within(&a), within(&b));
            check(&of(&a), left.clone())?;
            check(&RowSet::all(rows), (0..rows).collect())?;
            let mut both = of(&a);
            both.keep(&of(&b));
            check(&both, left.intersection(&right).copied().collect())?;
            let mut either = of(&a);
            either.join(&of(&b));
            check(&either, left.union(&right).copied().collect())?;
            either.invert();
            check(&either, (0..rows).filter(|row| !left.contains(row) && !right.contains(row)).collect())?;
        }
    }
}
