//! aarch64 with NEON, which all of them have.

use super::{
    fold::{SUMS, fold, padded, totals},
    half::{from_half, to_half},
    kernels::{Convert, Kernels},
    measure::measure,
    scalar,
};
use std::arch::aarch64::*;

/// A load of the query serves so many rows; with four sums each they take half of the registers.
const ROWS: usize = 4;

macro_rules! neon {
    ($($measure:tt)*) => { measure!(#[target_feature(enable = "neon")] $($measure)*) };
}

/// If the CPU has what they need.
pub(super) fn kernels(_lower: &Kernels) -> Option<Kernels> {
    std::arch::is_aarch64_feature_detected!("neon").then(|| Kernels {
        name: "NEON",
        dot: neon!(dot, ROWS, f32, f32 => f32),
        squared_l2: neon!(squared_l2, ROWS, f32, f32 => f32),
        l1: neon!(l1, ROWS, f32, f32 => f32),
        half_dot: neon!(half_dot, ROWS, f32, u16 => f32),
        half_squared_l2: neon!(half_squared_l2, ROWS, f32, u16 => f32),
        half_l1: neon!(half_l1, ROWS, f32, u16 => f32),
        code_dot: neon!(code_dot, ROWS, i8, u8 => i32),
        code_l1: neon!(code_l1, ROWS, u8, u8 => u32),
        hamming: neon!(hamming, ROWS, u64, u64 => u32),
        bit_dot: neon!(bit_dot, ROWS, [u64; 4], u64 => u32),
        // SAFETY: the CPU was asked.
        to_halves: unsafe { Convert::new(to_halves) },
        // SAFETY: likewise.
        from_halves: unsafe { Convert::new(from_halves) },
    })
}

#[target_feature(enable = "neon")]
fn dot<const R: usize>(query: &[f32], rows: [&[f32]; R]) -> [f32; R] {
    floats(query, rows, |sum, x, y| add_product(sum, x, y))
}

#[target_feature(enable = "neon")]
fn squared_l2<const R: usize>(query: &[f32], rows: [&[f32]; R]) -> [f32; R] {
    floats(query, rows, |sum, x, y| add_square(sum, x, y))
}

#[target_feature(enable = "neon")]
fn l1<const R: usize>(query: &[f32], rows: [&[f32]; R]) -> [f32; R] {
    floats(query, rows, |sum, x, y| add_distance(sum, x, y))
}

#[target_feature(enable = "neon")]
fn half_dot<const R: usize>(query: &[f32], rows: [&[u16]; R]) -> [f32; R] {
    halves(query, rows, |sum, x, y| add_product(sum, x, y))
}

#[target_feature(enable = "neon")]
fn half_squared_l2<const R: usize>(query: &[f32], rows: [&[u16]; R]) -> [f32; R] {
    halves(query, rows, |sum, x, y| add_square(sum, x, y))
}

#[target_feature(enable = "neon")]
fn half_l1<const R: usize>(query: &[f32], rows: [&[u16]; R]) -> [f32; R] {
    halves(query, rows, |sum, x, y| add_distance(sum, x, y))
}

#[inline]
#[target_feature(enable = "neon")]
fn add_product(sum: float32x4_t, x: float32x4_t, y: float32x4_t) -> float32x4_t {
    vfmaq_f32(sum, x, y)
}

#[inline]
#[target_feature(enable = "neon")]
fn add_square(sum: float32x4_t, x: float32x4_t, y: float32x4_t) -> float32x4_t {
    let difference = vsubq_f32(x, y);
    vfmaq_f32(sum, difference, difference)
}

#[inline]
#[target_feature(enable = "neon")]
fn add_distance(sum: float32x4_t, x: float32x4_t, y: float32x4_t) -> float32x4_t {
    vaddq_f32(sum, vabdq_f32(x, y))
}

#[inline]
#[target_feature(enable = "neon")]
fn floats<const R: usize>(
    query: &[f32],
    rows: [&[f32]; R],
    add: impl Fn(float32x4_t, float32x4_t, float32x4_t) -> float32x4_t,
) -> [f32; R] {
    let step = |sum, x: &[f32; 4], y: &[f32; 4]| add(sum, bytemuck::cast(*x), bytemuck::cast(*y));
    let tail = |sum, x: &[f32], y: &[f32]| step(sum, &padded(x), &padded(y));
    let sums = fold(query, rows, vdupq_n_f32(0.0), step, tail);
    totals(sums, |sums| total(sums))
}

#[inline]
#[target_feature(enable = "neon")]
fn halves<const R: usize>(
    query: &[f32],
    rows: [&[u16]; R],
    add: impl Fn(float32x4_t, float32x4_t, float32x4_t) -> float32x4_t,
) -> [f32; R] {
    let step = |sum, x: &[f32; 4], y: &[u16; 4]| {
        add(sum, bytemuck::cast(*x), bytemuck::cast(y.map(from_half)))
    };
    let tail = |sum, x: &[f32], y: &[u16]| step(sum, &padded(x), &padded(y));
    let sums = fold(query, rows, vdupq_n_f32(0.0), step, tail);
    totals(sums, |sums| total(sums))
}

#[inline]
#[target_feature(enable = "neon")]
fn total([a, b, c, d]: [float32x4_t; SUMS]) -> f32 {
    vaddvq_f32(vaddq_f32(vaddq_f32(a, b), vaddq_f32(c, d)))
}

#[target_feature(enable = "neon")]
fn code_dot<const R: usize>(query: &[i8], rows: [&[u8]; R]) -> [i32; R] {
    let step = |sum, x: &[i8; 8], y: &[u8; 8]| {
        let x = vmovl_s8(bytemuck::cast(*x));
        let y = vreinterpretq_s16_u16(vmovl_u8(bytemuck::cast(*y)));
        let sum = vmlal_s16(sum, vget_low_s16(x), vget_low_s16(y));
        vmlal_high_s16(sum, x, y)
    };
    let tail = |sum, x: &[i8], y: &[u8]| step(sum, &padded(x), &padded(y));
    let sums = fold(query, rows, vdupq_n_s32(0), step, tail);
    totals(sums, |[a, b, c, d]| {
        vaddvq_s32(vaddq_s32(vaddq_s32(a, b), vaddq_s32(c, d)))
    })
}

#[target_feature(enable = "neon")]
fn code_l1<const R: usize>(query: &[u8], rows: [&[u8]; R]) -> [u32; R] {
    let step = |sum, x: &[u8; 16], y: &[u8; 16]| {
        let difference = vabdq_u8(bytemuck::cast(*x), bytemuck::cast(*y));
        vpadalq_u16(sum, vpaddlq_u8(difference))
    };
    let tail = |sum, x: &[u8], y: &[u8]| step(sum, &padded(x), &padded(y));
    let sums = fold(query, rows, vdupq_n_u32(0), step, tail);
    totals(sums, |[a, b, c, d]| {
        vaddvq_u32(vaddq_u32(vaddq_u32(a, b), vaddq_u32(c, d)))
    })
}

#[target_feature(enable = "neon")]
fn hamming<const R: usize>(query: &[u64], rows: [&[u64]; R]) -> [u32; R] {
    scalar::hamming(query, rows)
}

#[target_feature(enable = "neon")]
fn bit_dot<const R: usize>(query: &[[u64; 4]], rows: [&[u64]; R]) -> [u32; R] {
    scalar::bit_dot(query, rows)
}

#[target_feature(enable = "neon")]
fn to_halves(values: &[f32], halves: &mut [u16]) {
    for (half, value) in halves.iter_mut().zip(values) {
        *half = to_half(*value);
    }
}

#[target_feature(enable = "neon")]
fn from_halves(halves: &[u16], values: &mut [f32]) {
    for (value, half) in values.iter_mut().zip(halves) {
        *value = from_half(*half);
    }
}
