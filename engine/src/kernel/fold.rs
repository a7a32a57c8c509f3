//! The one loop of all kernels: a query and some rows, block by block.

/// Independent sums for each row, so that an addition need not wait for the one before it.
pub(super) const SUMS: usize = 4;

/// Adds up what `step` makes of each block of `N` values of the query and of a row, and what `tail`
/// makes of the fewer values that are left; up to the shortest length, if they differ.
///
/// What a row comes to does not depend on the rows beside it. It must be inlined: only then it is
/// compiled for the instructions that the steps use.
#[inline(always)]
pub(super) fn fold<Q, T, S: Copy, const N: usize, const R: usize>(
    query: &[Q],
    rows: [&[T]; R],
    zero: S,
    step: impl Fn(S, &[Q; N], &[T; N]) -> S,
    tail: impl Fn(S, &[Q], &[T]) -> S,
) -> [[S; SUMS]; R] {
    let len = rows.iter().fold(query.len(), |len, row| len.min(row.len()));
    let (query, query_tail) = query[..len].as_chunks::<N>();
    let (query, query_rest) = query.as_chunks::<SUMS>();
    let mut sums = [[zero; SUMS]; R];
    for (at, query) in query.iter().enumerate() {
        for (place, query) in query.iter().enumerate() {
            for (row, sums) in rows.iter().zip(&mut sums) {
                let (blocks, _) = row[..len].as_chunks::<N>();
                let (blocks, _) = blocks.as_chunks::<SUMS>();
                sums[place] = step(sums[place], query, &blocks[at][place]);
            }
        }
    }
    for (row, sums) in rows.iter().zip(&mut sums) {
        let (blocks, row_tail) = row[..len].as_chunks::<N>();
        let (_, row_rest) = blocks.as_chunks::<SUMS>();
        // A loop of constant length, which leaves the sums in registers.
        for (place, sum) in sums.iter_mut().enumerate() {
            if let (Some(query), Some(block)) = (query_rest.get(place), row_rest.get(place)) {
                *sum = step(*sum, query, block);
            }
        }
        if !query_tail.is_empty() {
            sums[SUMS - 1] = tail(sums[SUMS - 1], query_tail, row_tail);
        }
    }
    sums
}

/// The sums of each row as one number. It must be inlined, like [`fold`].
#[inline(always)]
pub(super) fn totals<S: Copy, O: Copy + Default, const R: usize>(
    sums: [[S; SUMS]; R],
    total: impl Fn([S; SUMS]) -> O,
) -> [O; R] {
    let mut totals = [O::default(); R];
    for (to, sums) in totals.iter_mut().zip(sums) {
        *to = total(sums);
    }
    totals
}

/// A whole block: the values that are left, then zeros.
#[inline(always)]
pub(super) fn padded<T: Copy + Default, const N: usize>(rest: &[T]) -> [T; N] {
    let mut block = [T::default(); N];
    for (to, from) in block.iter_mut().zip(rest) {
        *to = *from;
    }
    block
}
