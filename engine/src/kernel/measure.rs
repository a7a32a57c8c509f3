//! The ways in which a query meets rows: one, all of a table in turn, and those of given numbers.
//!
//! An instruction set brings functions that compare a query with a few rows at once. What is made
//! of them here is the same for all: see [`measure!`].

use super::prefetch::prefetch;
use bytemuck::NoUninit;
use std::array;

/// How many rows ahead memory is asked for, when rows lie here and there; of short rows more, so
/// that as many bytes are on their way.
const AHEAD: usize = 4;
const ON_THE_WAY: usize = 2_048;
/// Rows in turn are asked for from so many bytes on: the CPU itself sees ahead along one row, not
/// along several at once. Measured at 384 dimensions on a Zen 5: rows of 768 and 1,536 bytes gain
/// up to half of the time, rows of 384 lose a third.
const WIDE: usize = 512;

/// Fills scores, the last, from a query, a table, and numbers of rows.
type RowsAt<Q, T, O> = unsafe fn(&[Q], &[T], &[u32], &mut [O]);

/// One way to compare, in the instructions of one CPU.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure<Q, T, O> {
    pair: unsafe fn(&[Q], &[T]) -> O,
    rows: unsafe fn(&[Q], &[T], &mut [O]),
    rows_at: RowsAt<Q, T, O>,
}

impl<Q, T, O> Measure<Q, T, O> {
    /// # Safety
    ///
    /// The CPU must have the instructions that these functions are compiled for. They must ask
    /// nothing else of their callers.
    pub(super) const unsafe fn new(
        pair: unsafe fn(&[Q], &[T]) -> O,
        rows: unsafe fn(&[Q], &[T], &mut [O]),
        rows_at: RowsAt<Q, T, O>,
    ) -> Self {
        Self {
            pair,
            rows,
            rows_at,
        }
    }

    /// The query against one row.
    #[inline]
    pub(super) fn pair(&self, query: &[Q], row: &[T]) -> O {
        // SAFETY: whoever made this has asked the CPU; see `new`.
        unsafe { (self.pair)(query, row) }
    }

    /// The query against the first `out.len()` rows of a table.
    #[inline]
    pub(super) fn rows(&self, query: &[Q], table: &[T], out: &mut [O]) {
        // SAFETY: as above.
        unsafe { (self.rows)(query, table, out) }
    }

    /// The query against the rows of these numbers.
    #[inline]
    pub(super) fn rows_at(&self, query: &[Q], table: &[T], rows: &[u32], out: &mut [O]) {
        // SAFETY: as above.
        unsafe { (self.rows_at)(query, table, rows, out) }
    }
}

/// What a comparison gives.
pub(super) trait Score: Copy + Default {
    /// In place of what a row outside of the table would have given.
    const OUTSIDE: Self;
}

impl Score for f32 {
    const OUTSIDE: Self = Self::NAN;
}

impl Score for i32 {
    const OUTSIDE: Self = Self::MIN;
}

impl Score for u32 {
    const OUTSIDE: Self = Self::MAX;
}

/// Rows of one width, one after the other.
#[derive(Clone, Copy)]
struct Table<'a, T> {
    values: &'a [T],
    width: usize,
}

impl<'a, T: NoUninit> Table<'a, T> {
    #[inline(always)]
    fn row(self, number: usize) -> Option<&'a [T]> {
        let start = number.checked_mul(self.width)?;
        self.values.get(start..start.checked_add(self.width)?)
    }

    #[inline(always)]
    fn prefetch(self, numbers: impl Iterator<Item = usize>) {
        for row in numbers.filter_map(|number| self.row(number)) {
            prefetch(bytemuck::cast_slice(row));
        }
    }

    /// What `compare` makes of rows: of all at once if all of them are there.
    #[inline(always)]
    fn scores<O: Score, const R: usize>(
        self,
        numbers: [usize; R],
        one: impl Fn([&[T]; 1]) -> [O; 1],
        some: impl Fn([&[T]; R]) -> [O; R],
    ) -> [O; R] {
        let mut rows: [&[T]; R] = [&[]; R];
        let mut outside = false;
        for (row, number) in rows.iter_mut().zip(numbers) {
            match self.row(number) {
                Some(found) => *row = found,
                None => outside = true,
            }
        }
        if !outside {
            return some(rows);
        }
        numbers.map(|number| self.row(number).map_or(O::OUTSIDE, |row| one([row])[0]))
    }
}

/// Fills `out` from the first rows of a table, `R` at a time. It must be inlined: only then it is
/// compiled for the instructions that the comparisons use.
#[inline(always)]
pub(super) fn rows<T: NoUninit, O: Score, const R: usize>(
    (values, width): (&[T], usize),
    out: &mut [O],
    one: impl Fn([&[T]; 1]) -> [O; 1],
    some: impl Fn([&[T]; R]) -> [O; R],
) {
    let table = Table { values, width };
    let is_wide = size_of::<T>() * width >= WIDE;
    let (groups, rest) = out.as_chunks_mut::<R>();
    let mut next = 0;
    for group in groups {
        if is_wide {
            table.prefetch((next + AHEAD..).take(R));
        }
        *group = table.scores(array::from_fn(|at| next + at), &one, &some);
        next += R;
    }
    for out in rest {
        [*out] = table.scores([next], &one, &one);
        next += 1;
    }
}

/// Fills `out` from the rows of these numbers, `R` at a time, while memory is asked for the next
/// ones. It must be inlined, like [`rows`].
#[inline(always)]
pub(super) fn rows_at<T: NoUninit, O: Score, const R: usize>(
    (values, width): (&[T], usize),
    numbers: &[u32],
    out: &mut [O],
    one: impl Fn([&[T]; 1]) -> [O; 1],
    some: impl Fn([&[T]; R]) -> [O; R],
) {
    let table = Table { values, width };
    let count = numbers.len().min(out.len());
    let (numbers, out) = (&numbers[..count], &mut out[..count]);
    let (groups, rest) = numbers.as_chunks::<R>();
    let (out_groups, out_rest) = out.as_chunks_mut::<R>();
    let mut ahead = numbers.iter().map(|number| *number as usize);
    let row = size_of::<T>() * width.max(1);
    table.prefetch(ahead.by_ref().take(AHEAD.max(ON_THE_WAY / row)));
    for (group, out) in groups.iter().zip(out_groups) {
        table.prefetch(ahead.by_ref().take(R));
        *out = table.scores(group.map(|row| row as usize), &one, &some);
    }
    for (number, out) in rest.iter().zip(out_rest) {
        [*out] = table.scores([*number as usize], &one, &one);
    }
}

/// A [`Measure`] from a function that compares a query with any number of rows at once, `$rows` at
/// best: `fn $compare<const R: usize>(query: &[$q], rows: [&[$t]; R]) -> [$o; R]`.
macro_rules! measure {
    ($(#[$features:meta])? $compare:ident, $rows:expr, $q:ty, $t:ty => $o:ty) => {{
        $(#[$features])?
        fn pair(query: &[$q], row: &[$t]) -> $o {
            $compare::<1>(query, [row])[0]
        }
        $(#[$features])?
        fn rows(query: &[$q], table: &[$t], out: &mut [$o]) {
            $crate::kernel::measure::rows::<_, _, { $rows }>(
                (table, query.len()),
                out,
                |row| $compare(query, row),
                |rows| $compare(query, rows),
            );
        }
        $(#[$features])?
        fn rows_at(query: &[$q], table: &[$t], numbers: &[u32], out: &mut [$o]) {
            $crate::kernel::measure::rows_at::<_, _, { $rows }>(
                (table, query.len()),
                numbers,
                out,
                |row| $compare(query, row),
                |rows| $compare(query, rows),
            );
        }
        // SAFETY: kernels leave the file of their instruction set only after the CPU was asked
        // whether it has these.
        unsafe { $crate::kernel::measure::Measure::new(pair, rows, rows_at) }
    }};
}
pub(super) use measure;
