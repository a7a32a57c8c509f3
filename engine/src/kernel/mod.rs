//! Distances: numbers in, a number out.
//!
//! Which kernels run is chosen once, when the first distance is asked for: the highest instruction
//! set that the CPU has. Every one gives the same integers; sums of f32 may differ in their last
//! bits from one CPU to the next, but never between the three ways of asking on the same CPU.
//!
//! # The three ways
//!
//! For each distance there are
//!
//! - `dot(query, row)`: one row,
//! - `dots(query, table, out)`: the first `out.len()` rows of a table, in which rows lie one after
//!   the other, as wide as the query,
//! - `dots_at(query, table, rows, out)`: the rows of these numbers, in any order. Memory is asked
//!   for some rows ahead.
//!
//! Lengths fit by contract. Where they do not, nothing outside is read, and nothing panics: the
//! shorter of two lengths counts, and a row outside of the table is NaN, `i32::MIN` or `u32::MAX`.
//!
//! Numbers of 16 bits give the same bits as the same numbers of 32 bits would.
//!
//! # Errors of f32
//!
//! A sum of `n` terms, each a product, a square or a difference, is off by at most
//! `(n + 2) * f32::EPSILON` of the sum of the absolute terms, as long as no term overflows or
//! vanishes. (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 4.2.)
//!
//! # Bounds of integers
//!
//! Sums of codes are exact up to 65,535 dimensions: 65,535 x 255 x 128 < 2^31. Sums of bits are
//! exact up to 2^28 bits.

#![expect(
    unsafe_code,
    reason = "instructions that not every CPU has, after the CPU was asked"
)]

mod prefetch;
mod half;
mod fold;
mod measure;
mod kernels;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

pub(crate) use prefetch::{prefetch, prefetch_first};

use kernels::Kernels;
use std::sync::LazyLock;

/// What the CPU can run, from the lowest to the highest level, each given the one below.
#[cfg(target_arch = "x86_64")]
const LEVELS: &[fn(&Kernels) -> Option<Kernels>] = &[
    avx2::kernels,
    avx512::kernels,
    avx512::with_vnni,
    avx512::with_vpopcntdq,
];
#[cfg(target_arch = "aarch64")]
const LEVELS: &[fn(&Kernels) -> Option<Kernels>] = &[neon::kernels];
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const LEVELS: &[fn(&Kernels) -> Option<Kernels>] = &[];

static KERNELS: LazyLock<Kernels> = LazyLock::new(|| {
    LEVELS.iter().fold(scalar::kernels(), |lower, level| {
        level(&lower).unwrap_or(lower)
    })
});

/// The three ways to ask for a distance, as functions.
macro_rules! distances {
    ($($(#[$doc:meta])* $pair:ident, $rows:ident, $rows_at:ident:
        $query:ty, $value:ty => $out:ty;)*) => {$(
        $(#[$doc])*
        #[inline]
        pub(crate) fn $pair(query: &[$query], row: &[$value]) -> $out {
            KERNELS.$pair.pair(query, row)
        }

        #[doc = concat!("[`", stringify!($pair), "`] with the first rows of a table.")]
        #[inline]
        pub(crate) fn $rows(query: &[$query], table: &[$value], out: &mut [$out]) {
            KERNELS.$pair.rows(query, table, out);
        }

        #[doc = concat!("[`", stringify!($pair), "`] with the rows of these numbers.")]
        #[inline]
        pub(crate) fn $rows_at(
            query: &[$query],
            table: &[$value],
            rows: &[u32],
            out: &mut [$out],
        ) {
            KERNELS.$pair.rows_at(query, table, rows, out);
        }
    )*};
}

distances! {
    /// The sum over all dimensions of the products.
    dot, dots, dots_at: f32, f32 => f32;
    /// The sum over all dimensions of the squared differences.
    squared_l2, squared_l2s, squared_l2s_at: f32, f32 => f32;
    /// The sum over all dimensions of the absolute differences.
    l1, l1s, l1s_at: f32, f32 => f32;
    /// The sum of the products with a row of numbers of 16 bits, IEEE 754 binary16 by their bits.
    half_dot, half_dots, half_dots_at: f32, u16 => f32;
    /// The sum of the squared differences to a row of numbers of 16 bits.
    half_squared_l2, half_squared_l2s, half_squared_l2s_at: f32, u16 => f32;
    /// The sum of the absolute differences to a row of numbers of 16 bits.
    half_l1, half_l1s, half_l1s_at: f32, u16 => f32;
    /// The sum of the products of a query's codes, signed, and a row's, unsigned.
    code_dot, code_dots, code_dots_at: i8, u8 => i32;
    /// The sum of the absolute differences of codes.
    code_l1, code_l1s, code_l1s_at: u8, u8 => u32;
    /// How many bits differ.
    hamming, hammings, hammings_at: u64, u64 => u32;
    /// The sum of the query's numbers of 4 bits where the row has a one. Each word of the row meets
    /// four of the query: bit `j` of 64 numbers each, for `j` from 0 to 3. (Gao and Long, `RaBitQ`,
    /// 2024, section 3.3.2.)
    bit_dot, bit_dots, bit_dots_at: [u64; 4], u64 => u32;
}

/// The nearest numbers of 16 bits, of two equally near the even one; infinite from 65,520 on.
#[inline]
pub(crate) fn to_halves(values: &[f32], halves: &mut [u16]) {
    KERNELS.to_halves.convert(values, halves);
}

/// The same numbers, exactly.
#[inline]
pub(crate) fn from_halves(halves: &[u16], values: &mut [f32]) {
    KERNELS.from_halves.convert(halves, values);
}

/// The same number, exactly. Without branches, so that loops over it become vector instructions.
#[inline(always)]
pub(crate) fn from_half(half: u16) -> f32 {
    half::from_half(half)
}

/// The Euclidean length, scaled so that no square overflows or vanishes.
pub(crate) fn norm(a: &[f32]) -> f32 {
    const LANES: usize = 16;
    let square = |x: f32| f64::from(x) * f64::from(x);
    let (blocks, rest) = a.as_chunks::<LANES>();
    let mut sums = [0.0f64; LANES];
    for block in blocks {
        for lane in 0..LANES {
            sums[lane] += square(block[lane]);
        }
    }
    let rest: f64 = rest.iter().map(|x| square(*x)).sum();
    (sums.iter().sum::<f64>() + rest).sqrt() as f32
}

#[cfg(test)]
mod tests;
