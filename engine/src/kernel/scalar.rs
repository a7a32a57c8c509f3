//! The portable kernels: what all others are tested against, and what runs where no other does.
//!
//! Written so that the compiler makes vector instructions of them, as far as it may use any.

use super::{
    fold::{fold, padded, totals},
    half::{from_half, to_half},
    kernels::{Convert, Kernels},
    measure::measure,
};
use std::array;

/// Numbers of a block: two registers of four.
const LANES: usize = 8;
/// The compiler makes the most of one row at a time.
const ROWS: usize = 1;

/// Runs everywhere.
pub(super) fn kernels() -> Kernels {
    Kernels {
        name: "scalar",
        dot: measure!(dot, ROWS, f32, f32 => f32),
        squared_l2: measure!(squared_l2, ROWS, f32, f32 => f32),
        l1: measure!(l1, ROWS, f32, f32 => f32),
        half_dot: measure!(half_dot, ROWS, f32, u16 => f32),
        half_squared_l2: measure!(half_squared_l2, ROWS, f32, u16 => f32),
        half_l1: measure!(half_l1, ROWS, f32, u16 => f32),
        code_dot: measure!(code_dot, ROWS, i8, u8 => i32),
        code_l1: measure!(code_l1, ROWS, u8, u8 => u32),
        hamming: measure!(hamming, ROWS, u64, u64 => u32),
        bit_dot: measure!(bit_dot, ROWS, [u64; 4], u64 => u32),
        // SAFETY: it is compiled for every CPU.
        to_halves: unsafe { Convert::new(to_halves) },
        // SAFETY: likewise.
        from_halves: unsafe { Convert::new(from_halves) },
    }
}

fn dot<const R: usize>(query: &[f32], rows: [&[f32]; R]) -> [f32; R] {
    floats(query, rows, |x| x, add_product)
}

fn squared_l2<const R: usize>(query: &[f32], rows: [&[f32]; R]) -> [f32; R] {
    floats(query, rows, |x| x, add_square)
}

fn l1<const R: usize>(query: &[f32], rows: [&[f32]; R]) -> [f32; R] {
    floats(query, rows, |x| x, add_distance)
}

fn half_dot<const R: usize>(query: &[f32], rows: [&[u16]; R]) -> [f32; R] {
    floats(query, rows, from_half, add_product)
}

fn half_squared_l2<const R: usize>(query: &[f32], rows: [&[u16]; R]) -> [f32; R] {
    floats(query, rows, from_half, add_square)
}

fn half_l1<const R: usize>(query: &[f32], rows: [&[u16]; R]) -> [f32; R] {
    floats(query, rows, from_half, add_distance)
}

fn add_product(sum: f32, x: f32, y: f32) -> f32 {
    sum + x * y
}

fn add_square(sum: f32, x: f32, y: f32) -> f32 {
    sum + (x - y) * (x - y)
}

fn add_distance(sum: f32, x: f32, y: f32) -> f32 {
    sum + (x - y).abs()
}

#[inline(always)]
fn floats<T: Copy + Default, const R: usize>(
    query: &[f32],
    rows: [&[T]; R],
    value: impl Fn(T) -> f32,
    add: impl Fn(f32, f32, f32) -> f32,
) -> [f32; R] {
    let step = |sums: [f32; LANES], x: &[f32; LANES], y: &[T; LANES]| {
        let y = y.map(&value);
        array::from_fn(|lane| add(sums[lane], x[lane], y[lane]))
    };
    let tail = |sums, x: &[f32], y: &[T]| step(sums, &padded(x), &padded(y));
    let sums = fold(query, rows, [0.0; LANES], step, tail);
    totals(sums, |sums| sums.as_flattened().iter().sum())
}

fn code_dot<const R: usize>(query: &[i8], rows: [&[u8]; R]) -> [i32; R] {
    let products = |x: &[i8], y: &[u8]| -> i32 {
        let pairs = x.iter().zip(y);
        pairs.map(|(x, y)| i32::from(*x) * i32::from(*y)).sum()
    };
    let step = |sum, x: &[i8; 32], y: &[u8; 32]| sum + products(x, y);
    let sums = fold(query, rows, 0, step, |sum, x, y| sum + products(x, y));
    totals(sums, |sums| sums.iter().sum())
}

fn code_l1<const R: usize>(query: &[u8], rows: [&[u8]; R]) -> [u32; R] {
    let distances = |x: &[u8], y: &[u8]| -> u32 {
        let pairs = x.iter().zip(y);
        pairs.map(|(x, y)| u32::from(x.abs_diff(*y))).sum()
    };
    let step = |sum, x: &[u8; 32], y: &[u8; 32]| sum + distances(x, y);
    let sums = fold(query, rows, 0, step, |sum, x, y| sum + distances(x, y));
    totals(sums, |sums| sums.iter().sum())
}

/// Also for instruction sets that count bits one word at a time.
#[inline(always)]
pub(super) fn hamming<const R: usize>(query: &[u64], rows: [&[u64]; R]) -> [u32; R] {
    let step = |sum, x: &[u64; 1], y: &[u64; 1]| sum + (x[0] ^ y[0]).count_ones();
    let sums = fold(query, rows, 0, step, |sum, _, _| sum);
    totals(sums, |sums| sums.iter().sum())
}

/// Also for instruction sets that count bits one word at a time.
#[inline(always)]
pub(super) fn bit_dot<const R: usize>(query: &[[u64; 4]], rows: [&[u64]; R]) -> [u32; R] {
    let step = |sum, planes: &[[u64; 4]; 1], word: &[u64; 1]| {
        let ones = planes[0].map(|plane| (plane & word[0]).count_ones());
        sum + ones[0] + (ones[1] << 1) + (ones[2] << 2) + (ones[3] << 3)
    };
    let sums = fold(query, rows, 0, step, |sum, _, _| sum);
    totals(sums, |sums| sums.iter().sum())
}

fn to_halves(values: &[f32], halves: &mut [u16]) {
    for (half, value) in halves.iter_mut().zip(values) {
        *half = to_half(*value);
    }
}

fn from_halves(halves: &[u16], values: &mut [f32]) {
    for (value, half) in values.iter_mut().zip(halves) {
        *value = from_half(*half);
    }
}
