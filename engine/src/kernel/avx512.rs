//! x86-64 with AVX-512: Skylake-X (2017), Zen 4 (2022) and later; with what later ones added for
//! codes (VNNI) and bits (VPOPCNTDQ).

use super::{
    fold::{SUMS, fold, padded, totals},
    kernels::Kernels,
    measure::measure,
};
use std::arch::x86_64::*;

/// A load of the query serves so many rows; with four sums each they take half of the registers.
const ROWS: usize = 4;

macro_rules! avx512 {
    ($($measure:tt)*) => {
        measure!(#[target_feature(enable = "avx512f,avx512bw,avx512vl")] $($measure)*)
    };
}

/// If the CPU has what they need; bits stay as on lower ones.
pub(super) fn kernels(lower: &Kernels) -> Option<Kernels> {
    has_base().then(|| Kernels {
        name: "AVX-512",
        dot: avx512!(dot, ROWS, f32, f32 => f32),
        squared_l2: avx512!(squared_l2, ROWS, f32, f32 => f32),
        l1: avx512!(l1, ROWS, f32, f32 => f32),
        half_dot: avx512!(half_dot, ROWS, f32, u16 => f32),
        half_squared_l2: avx512!(half_squared_l2, ROWS, f32, u16 => f32),
        half_l1: avx512!(half_l1, ROWS, f32, u16 => f32),
        code_dot: avx512!(code_dot, ROWS, i8, u8 => i32),
        code_l1: avx512!(code_l1, ROWS, u8, u8 => u32),
        ..lower.clone()
    })
}

/// With products of codes in one instruction, if the CPU has it.
pub(super) fn with_vnni(lower: &Kernels) -> Option<Kernels> {
    let has_all = has_base() && is_x86_feature_detected!("avx512vnni");
    has_all.then(|| Kernels {
        name: "AVX-512 VNNI",
        code_dot: measure!(
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
            code_dot_vnni, ROWS, i8, u8 => i32
        ),
        ..lower.clone()
    })
}

/// With bits counted in vectors, if the CPU can.
pub(super) fn with_vpopcntdq(lower: &Kernels) -> Option<Kernels> {
    let has_all = has_base() && is_x86_feature_detected!("avx512vpopcntdq");
    has_all.then(|| Kernels {
        name: "AVX-512 VPOPCNTDQ",
        hamming: measure!(
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq")]
            hamming, ROWS, u64, u64 => u32
        ),
        bit_dot: measure!(
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq")]
            bit_dot, ROWS, [u64; 4], u64 => u32
        ),
        ..lower.clone()
    })
}

fn has_base() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn dot<const R: usize>(query: &[f32], rows: [&[f32]; R]) -> [f32; R] {
    floats(query, rows, |sum, x, y| add_product(sum, x, y))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn squared_l2<const R: usize>(query: &[f32], rows: [&[f32]; R]) -> [f32; R] {
    floats(query, rows, |sum, x, y| add_square(sum, x, y))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn l1<const R: usize>(query: &[f32], rows: [&[f32]; R]) -> [f32; R] {
    floats(query, rows, |sum, x, y| add_distance(sum, x, y))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn half_dot<const R: usize>(query: &[f32], rows: [&[u16]; R]) -> [f32; R] {
    halves(query, rows, |sum, x, y| add_product(sum, x, y))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn half_squared_l2<const R: usize>(query: &[f32], rows: [&[u16]; R]) -> [f32; R] {
    halves(query, rows, |sum, x, y| add_square(sum, x, y))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn half_l1<const R: usize>(query: &[f32], rows: [&[u16]; R]) -> [f32; R] {
    halves(query, rows, |sum, x, y| add_distance(sum, x, y))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn add_product(sum: __m512, x: __m512, y: __m512) -> __m512 {
    _mm512_fmadd_ps(x, y, sum)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn add_square(sum: __m512, x: __m512, y: __m512) -> __m512 {
    let difference = _mm512_sub_ps(x, y);
    _mm512_fmadd_ps(difference, difference, sum)
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn add_distance(sum: __m512, x: __m512, y: __m512) -> __m512 {
    _mm512_add_ps(sum, _mm512_abs_ps(_mm512_sub_ps(x, y)))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn floats<const R: usize>(
    query: &[f32],
    rows: [&[f32]; R],
    add: impl Fn(__m512, __m512, __m512) -> __m512,
) -> [f32; R] {
    let step = |sum, x: &[f32; 16], y: &[f32; 16]| add(sum, bytemuck::cast(*x), bytemuck::cast(*y));
    let tail = |sum, x: &[f32], y: &[f32]| add(sum, load_tail(x), load_tail(y));
    let sums = fold(query, rows, _mm512_setzero_ps(), step, tail);
    totals(sums, |sums| total(sums))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn halves<const R: usize>(
    query: &[f32],
    rows: [&[u16]; R],
    add: impl Fn(__m512, __m512, __m512) -> __m512,
) -> [f32; R] {
    let step = |sum, x: &[f32; 16], y: &[u16; 16]| {
        add(sum, bytemuck::cast(*x), _mm512_cvtph_ps(bytemuck::cast(*y)))
    };
    let tail =
        |sum, x: &[f32], y: &[u16]| add(sum, load_tail(x), _mm512_cvtph_ps(load_halves_tail(y)));
    let sums = fold(query, rows, _mm512_setzero_ps(), step, tail);
    totals(sums, |sums| total(sums))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn total([a, b, c, d]: [__m512; SUMS]) -> f32 {
    _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d)))
}

/// In 16 bits the products are exact; `maddubs`, which needs no widening, saturates.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn code_dot<const R: usize>(query: &[i8], rows: [&[u8]; R]) -> [i32; R] {
    let step = |sum, x: &[i8; 32], y: &[u8; 32]| {
        let x = _mm512_cvtepi8_epi16(bytemuck::cast(*x));
        let y = _mm512_cvtepu8_epi16(bytemuck::cast(*y));
        _mm512_add_epi32(sum, _mm512_madd_epi16(x, y))
    };
    let tail = |sum, x: &[i8], y: &[u8]| step(sum, &padded(x), &padded(y));
    let sums = fold(query, rows, _mm512_setzero_si512(), step, tail);
    totals(sums, |sums| total_i32(sums))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
fn code_dot_vnni<const R: usize>(query: &[i8], rows: [&[u8]; R]) -> [i32; R] {
    let step = |sum, x: &[i8; 64], y: &[u8; 64]| {
        _mm512_dpbusd_epi32(sum, bytemuck::cast(*y), bytemuck::cast(*x))
    };
    let tail = |sum, x: &[i8], y: &[u8]| {
        let x = load_bytes_tail(bytemuck::cast_slice(x));
        _mm512_dpbusd_epi32(sum, load_bytes_tail(y), x)
    };
    let sums = fold(query, rows, _mm512_setzero_si512(), step, tail);
    totals(sums, |sums| total_i32(sums))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn total_i32([a, b, c, d]: [__m512i; SUMS]) -> i32 {
    _mm512_reduce_add_epi32(_mm512_add_epi32(
        _mm512_add_epi32(a, b),
        _mm512_add_epi32(c, d),
    ))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn code_l1<const R: usize>(query: &[u8], rows: [&[u8]; R]) -> [u32; R] {
    let add = |sum, x, y| _mm512_add_epi64(sum, _mm512_sad_epu8(x, y));
    let step = |sum, x: &[u8; 64], y: &[u8; 64]| add(sum, bytemuck::cast(*x), bytemuck::cast(*y));
    let tail = |sum, x: &[u8], y: &[u8]| add(sum, load_bytes_tail(x), load_bytes_tail(y));
    let sums = fold(query, rows, _mm512_setzero_si512(), step, tail);
    totals(sums, |sums| total_u64(sums) as u32)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq")]
fn hamming<const R: usize>(query: &[u64], rows: [&[u64]; R]) -> [u32; R] {
    let add = |sum, x, y| _mm512_add_epi64(sum, _mm512_popcnt_epi64(_mm512_xor_si512(x, y)));
    let step = |sum, x: &[u64; 8], y: &[u64; 8]| add(sum, bytemuck::cast(*x), bytemuck::cast(*y));
    let tail = |sum, x: &[u64], y: &[u64]| add(sum, load_words_tail(x), load_words_tail(y));
    let sums = fold(query, rows, _mm512_setzero_si512(), step, tail);
    totals(sums, |sums| total_u64(sums) as u32)
}

/// Two words of a row meet the eight of the query's planes at once. Each lane counts for one plane.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq")]
fn bit_dot<const R: usize>(query: &[[u64; 4]], rows: [&[u64]; R]) -> [u32; R] {
    let spread = _mm512_setr_epi64(0, 0, 0, 0, 1, 1, 1, 1);
    let step = |sum, planes: &[[u64; 4]; 2], words: &[u64; 2]| {
        let words = _mm512_castsi128_si512(bytemuck::cast(*words));
        let words = _mm512_permutexvar_epi64(spread, words);
        let ones = _mm512_and_si512(bytemuck::cast(*planes), words);
        _mm512_add_epi64(sum, _mm512_popcnt_epi64(ones))
    };
    let tail = |sum, x: &[[u64; 4]], y: &[u64]| step(sum, &padded(x), &padded(y));
    let sums = fold(query, rows, _mm512_setzero_si512(), step, tail);
    totals(sums, |sums| {
        let weights = _mm512_setr_epi64(0, 1, 2, 3, 0, 1, 2, 3);
        total_u64(sums.map(|sum| _mm512_sllv_epi64(sum, weights))) as u32
    })
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn total_u64([a, b, c, d]: [__m512i; SUMS]) -> i64 {
    _mm512_reduce_add_epi64(_mm512_add_epi64(
        _mm512_add_epi64(a, b),
        _mm512_add_epi64(c, d),
    ))
}

/// One bit for each value, up to 63.
#[inline(always)]
fn mask<T>(values: &[T]) -> u64 {
    !(u64::MAX << values.len().min(63))
}

/// Fewer than 16 values, then zeros.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn load_tail(values: &[f32]) -> __m512 {
    // SAFETY: nothing is read where the mask is zero, and it has a one for values alone.
    unsafe { _mm512_maskz_loadu_ps(mask(values) as u16, values.as_ptr()) }
}

/// Fewer than 16 values, then zeros.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn load_halves_tail(values: &[u16]) -> __m256i {
    // SAFETY: as above.
    unsafe { _mm256_maskz_loadu_epi16(mask(values) as u16, values.as_ptr().cast()) }
}

/// Fewer than 64 values, then zeros.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn load_bytes_tail(values: &[u8]) -> __m512i {
    // SAFETY: as above.
    unsafe { _mm512_maskz_loadu_epi8(mask(values), values.as_ptr().cast()) }
}

/// Fewer than 8 values, then zeros.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn load_words_tail(values: &[u64]) -> __m512i {
    // SAFETY: as above.
    unsafe { _mm512_maskz_loadu_epi64(mask(values) as u8, values.as_ptr().cast()) }
}
