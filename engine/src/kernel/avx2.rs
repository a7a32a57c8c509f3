//! x86-64 with AVX2, FMA and F16C: Haswell (2013), Zen (2017) and later.

use super::{
    fold::{SUMS, fold, padded, totals},
    half::{from_half, to_half},
    kernels::{Convert, Kernels},
    measure::measure,
    scalar,
};
use std::arch::x86_64::*;

/// Two rows with four sums each keep both units busy and fit into sixteen registers.
const ROWS: usize = 2;

macro_rules! avx2 {
    ($($measure:tt)*) => {
        measure!(#[target_feature(enable = "avx2,fma,f16c,popcnt")] $($measure)*)
    };
}

/// If the CPU has what they need.
pub(super) fn kernels(_lower: &Kernels) -> Option<Kernels> {
    let has_all = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
        && is_x86_feature_detected!("popcnt");
    has_all.then(|| Kernels {
        name: "AVX2",
        dot: avx2!(dot, ROWS, f32, f32 => f32),
        squared_l2: avx2!(squared_l2, ROWS, f32, f32 => f32),
        l1: avx2!(l1, ROWS, f32, f32 => f32),
        half_dot: avx2!(half_dot, ROWS, f32, u16 => f32),
        half_squared_l2: avx2!(half_squared_l2, ROWS, f32, u16 => f32),
        half_l1: avx2!(half_l1, ROWS, f32, u16 => f32),
        code_dot: avx2!(code_dot, ROWS, i8, u8 => i32),
        code_l1: avx2!(code_l1, ROWS, u8, u8 => u32),
        hamming: avx2!(hamming, ROWS, u64, u64 => u32),
        bit_dot: avx2!(bit_dot, ROWS, [u64; 4], u64 => u32),
        // SAFETY: the CPU was asked.
        to_halves: unsafe { Convert::new(to_halves) },
        // SAFETY: likewise.
        from_halves: unsafe { Convert::new(from_halves) },
    })
}

#[target_feature(enable = "avx2,fma,f16c,popcnt")]
fn dot<const R: usize>(query: &[f32], rows: [&[f32]; R]) -> [f32; R] {
    floats(query, rows, |sum, x, y| add_product(sum, x, y))
}

#[target_feature(enable = "avx2,fma,f16c,popcnt")]
fn squared_l2<const R: usize>(query: &[f32], rows: [&[f32]; R]) -> [f32; R] {
    floats(query, rows, |sum, x, y| add_square(sum, x, y))
}

#[target_feature(enable = "avx2,fma,f16c,popcnt")]
fn l1<const R: usize>(query: &[f32], rows: [&[f32]; R]) -> [f32; R] {
    floats(query, rows, |sum, x, y| add_distance(sum, x, y))
}

#[target_feature(enable = "avx2,fma,f16c,popcnt")]
fn half_dot<const R: usize>(query: &[f32], rows: [&[u16]; R]) -> [f32; R] {
    halves(query, rows, |sum, x, y| add_product(sum, x, y))
}

#[target_feature(enable = "avx2,fma,f16c,popcnt")]
fn half_squared_l2<const R: usize>(query: &[f32], rows: [&[u16]; R]) -> [f32; R] {
    halves(query, rows, |sum, x, y| add_square(sum, x, y))
}

#[target_feature(enable = "avx2,fma,f16c,popcnt")]
fn half_l1<const R: usize>(query: &[f32], rows: [&[u16]; R]) -> [f32; R] {
    halves(query, rows, |sum, x, y| add_distance(sum, x, y))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,popcnt")]
fn add_product(sum: __m256, x: __m256, y: __m256) -> __m256 {
    _mm256_fmadd_ps(x, y, sum)
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,popcnt")]
fn add_square(sum: __m256, x: __m256, y: __m256) -> __m256 {
    let difference = _mm256_sub_ps(x, y);
    _mm256_fmadd_ps(difference, difference, sum)
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,popcnt")]
fn add_distance(sum: __m256, x: __m256, y: __m256) -> __m256 {
    let difference = _mm256_sub_ps(x, y);
    _mm256_add_ps(sum, _mm256_andnot_ps(_mm256_set1_ps(-0.0), difference))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,popcnt")]
fn floats<const R: usize>(
    query: &[f32],
    rows: [&[f32]; R],
    add: impl Fn(__m256, __m256, __m256) -> __m256,
) -> [f32; R] {
    let step = |sum, x: &[f32; 8], y: &[f32; 8]| add(sum, load(x), load(y));
    let tail = |sum, x: &[f32], y: &[f32]| step(sum, &padded(x), &padded(y));
    let sums = fold(query, rows, _mm256_setzero_ps(), step, tail);
    totals(sums, |sums| total(sums))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,popcnt")]
fn halves<const R: usize>(
    query: &[f32],
    rows: [&[u16]; R],
    add: impl Fn(__m256, __m256, __m256) -> __m256,
) -> [f32; R] {
    let step = |sum, x: &[f32; 8], y: &[u16; 8]| add(sum, load(x), load_halves(y));
    let tail = |sum, x: &[f32], y: &[u16]| step(sum, &padded(x), &padded(y));
    let sums = fold(query, rows, _mm256_setzero_ps(), step, tail);
    totals(sums, |sums| total(sums))
}

/// In 16 bits the products are exact; `maddubs`, which needs no widening, saturates.
#[target_feature(enable = "avx2,fma,f16c,popcnt")]
fn code_dot<const R: usize>(query: &[i8], rows: [&[u8]; R]) -> [i32; R] {
    let step = |sum, x: &[i8; 16], y: &[u8; 16]| {
        let x = _mm256_cvtepi8_epi16(load_16(bytemuck::cast_ref(x)));
        let y = _mm256_cvtepu8_epi16(load_16(y));
        _mm256_add_epi32(sum, _mm256_madd_epi16(x, y))
    };
    let tail = |sum, x: &[i8], y: &[u8]| step(sum, &padded(x), &padded(y));
    let sums = fold(query, rows, _mm256_setzero_si256(), step, tail);
    totals(sums, |[a, b, c, d]| {
        let sum = _mm256_add_epi32(_mm256_add_epi32(a, b), _mm256_add_epi32(c, d));
        let lanes: [i32; 8] = bytemuck::cast(sum);
        lanes.iter().sum()
    })
}

#[target_feature(enable = "avx2,fma,f16c,popcnt")]
fn code_l1<const R: usize>(query: &[u8], rows: [&[u8]; R]) -> [u32; R] {
    let step = |sum, x: &[u8; 32], y: &[u8; 32]| {
        _mm256_add_epi64(sum, _mm256_sad_epu8(load_32(x), load_32(y)))
    };
    let tail = |sum, x: &[u8], y: &[u8]| step(sum, &padded(x), &padded(y));
    let sums = fold(query, rows, _mm256_setzero_si256(), step, tail);
    totals(sums, |[a, b, c, d]| {
        let sum = _mm256_add_epi64(_mm256_add_epi64(a, b), _mm256_add_epi64(c, d));
        let lanes: [u64; 4] = bytemuck::cast(sum);
        lanes.iter().sum::<u64>() as u32
    })
}

#[target_feature(enable = "avx2,fma,f16c,popcnt")]
fn hamming<const R: usize>(query: &[u64], rows: [&[u64]; R]) -> [u32; R] {
    scalar::hamming(query, rows)
}

#[target_feature(enable = "avx2,fma,f16c,popcnt")]
fn bit_dot<const R: usize>(query: &[[u64; 4]], rows: [&[u64]; R]) -> [u32; R] {
    scalar::bit_dot(query, rows)
}

#[target_feature(enable = "avx2,fma,f16c,popcnt")]
fn to_halves(values: &[f32], halves: &mut [u16]) {
    let len = values.len().min(halves.len());
    let (blocks, rest) = values[..len].as_chunks::<8>();
    let (half_blocks, half_rest) = halves[..len].as_chunks_mut::<8>();
    for (halves, values) in half_blocks.iter_mut().zip(blocks) {
        *halves = bytemuck::cast(_mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(load(values)));
    }
    for (half, value) in half_rest.iter_mut().zip(rest) {
        *half = to_half(*value);
    }
}

#[target_feature(enable = "avx2,fma,f16c,popcnt")]
fn from_halves(halves: &[u16], values: &mut [f32]) {
    let len = halves.len().min(values.len());
    let (blocks, rest) = halves[..len].as_chunks::<8>();
    let (value_blocks, value_rest) = values[..len].as_chunks_mut::<8>();
    for (values, halves) in value_blocks.iter_mut().zip(blocks) {
        *values = bytemuck::cast(load_halves(halves));
    }
    for (value, half) in value_rest.iter_mut().zip(rest) {
        *value = from_half(*half);
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,popcnt")]
fn total([a, b, c, d]: [__m256; SUMS]) -> f32 {
    let sum = _mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d));
    let sum = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps::<1>(sum));
    let sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
    _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,popcnt")]
fn load(values: &[f32; 8]) -> __m256 {
    bytemuck::cast(*values)
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,popcnt")]
fn load_halves(values: &[u16; 8]) -> __m256 {
    _mm256_cvtph_ps(bytemuck::cast(*values))
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,popcnt")]
fn load_16(bytes: &[u8; 16]) -> __m128i {
    bytemuck::cast(*bytes)
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c,popcnt")]
fn load_32(bytes: &[u8; 32]) -> __m256i {
    bytemuck::cast(*bytes)
}
