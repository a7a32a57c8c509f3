//! Every level that this CPU has, against sums in double precision and in 64 bits.

use super::{
    half::{from_half, to_half},
    measure::{Measure, Score},
    *,
};
use bytemuck::NoUninit;
use proptest::{prelude::*, sample::select};
use std::{fmt::Debug, iter};

/// The levels, the lowest first.
fn available() -> Vec<Kernels> {
    let mut levels = vec![scalar::kernels()];
    for level in LEVELS {
        let next = level(&levels[levels.len() - 1]);
        levels.extend(next);
    }
    levels
}

/// Random numbers, by Steele, Lea and Flood (`SplitMix`, 2014).
fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

/// A query, and a table that may begin anywhere in a cache line.
#[derive(Clone, Debug)]
struct Case {
    width: usize,
    rows: usize,
    offset: usize,
    seed: u64,
}

impl Case {
    fn any() -> impl Strategy<Value = Self> {
        let width = prop_oneof![8 => 0usize..=200, 1 => select(&[384, 768, 1_536, 4_096])];
        (width, 0usize..12, 0usize..4, any::<u64>()).prop_map(|(width, rows, offset, seed)| Self {
            width,
            rows,
            offset,
            seed,
        })
    }

    /// Compares each level's ways with each other, and its scores with what `expect` says.
    fn check<Q, T, O: Score + PartialEq + Debug + NoUninit>(
        &self,
        measure: impl Fn(&Kernels) -> &Measure<Q, T, O>,
        make_query: impl Fn(u64) -> Q,
        make_row: impl Fn(u64) -> T,
        is_right: impl Fn(&[Q], &[T], O) -> bool,
    ) {
        let mut next = random(self.seed);
        let count = self.offset + self.width * self.rows;
        let query: Vec<Q> = (0..self.offset + self.width)
            .map(|_| make_query(next()))
            .collect();
        let table: Vec<T> = (0..count).map(|_| make_row(next())).collect();
        let (query, table) = (&query[self.offset..], &table[self.offset..]);
        for level in available() {
            let measure = measure(&level);
            let pairs: Vec<O> = (0..self.rows)
                .map(|row| &table[row * self.width..][..self.width])
                .map(|row| {
                    let score = measure.pair(query, row);
                    assert!(is_right(query, row, score), "{}: {score:?}", level.name);
                    score
                })
                .collect();
            // A row without values lies in every table.
            let beyond = if self.width == 0 {
                O::default()
            } else {
                O::OUTSIDE
            };
            let expected = |row: u32| pairs.get(row as usize).copied().unwrap_or(beyond);

            let numbers: Vec<u32> = (0..self.rows as u32 + 5).collect();
            let mut out = vec![O::default(); numbers.len()];
            measure.rows(query, table, &mut out);
            assert_same(&level, &out, numbers.iter().copied().map(expected));

            let odd = [u32::MAX, self.rows as u32, 0, u32::MAX / 2];
            let outside = next() as usize % 5;
            let numbers: Vec<u32> = (0..next() % 12)
                .map(|_| next() as u32 % (self.rows as u32 + 1))
                .chain(odd.into_iter().take(outside))
                .collect();
            let mut out = vec![O::default(); numbers.len()];
            measure.rows_at(query, table, &numbers, &mut out);
            assert_same(&level, &out, numbers.iter().copied().map(expected));
        }
    }
}

/// Bit by bit, since NaN is not equal to itself.
fn assert_same<O: NoUninit + Debug>(level: &Kernels, out: &[O], expected: impl Iterator<Item = O>) {
    let expected: Vec<O> = expected.collect();
    let (found, wanted): (&[u32], &[u32]) =
        (bytemuck::cast_slice(out), bytemuck::cast_slice(&expected));
    assert_eq!(found, wanted, "{}: {out:?}, not {expected:?}", level.name);
}

fn float(random: u64) -> f32 {
    (random >> 40) as f32 / (1 << 20) as f32 - 8.0
}

/// Whether a sum lies within the bound that the module states.
fn is_near(score: f32, terms: impl Iterator<Item = f64>) -> bool {
    let (mut count, mut sum, mut size) = (0, 0.0, 0.0);
    for term in terms {
        count += 1;
        sum += term;
        size += term.abs();
    }
    (f64::from(score) - sum).abs() <= f64::from(count + 2) * f64::from(f32::EPSILON) * size
}

/// The terms of dot, squared L2 and L1.
const TERMS: [fn(f64, f64) -> f64; 3] =
    [|x, y| x * y, |x, y| (x - y) * (x - y), |x, y| (x - y).abs()];

proptest! {
    #[test]
    fn floats_are_near_the_sum_in_double_precision(case in Case::any()) {
        let is_right = |term: fn(f64, f64) -> f64| move |x: &[f32], y: &[f32], score: f32| {
            is_near(score, x.iter().zip(y).map(|(x, y)| term((*x).into(), (*y).into())))
        };
        case.check(|level| &level.dot, float, float, is_right(TERMS[0]));
        case.check(|level| &level.squared_l2, float, float, is_right(TERMS[1]));
        case.check(|level| &level.l1, float, float, is_right(TERMS[2]));
    }

    #[test]
    fn halves_are_near_the_sum_in_double_precision(case in Case::any()) {
        let half = |random| to_half(float(random));
        let is_right = |term: fn(f64, f64) -> f64| move |x: &[f32], y: &[u16], score: f32| {
            let pairs = x.iter().zip(y);
            is_near(score, pairs.map(|(x, y)| term((*x).into(), from_half(*y).into())))
        };
        case.check(|level| &level.half_dot, float, half, is_right(TERMS[0]));
        case.check(|level| &level.half_squared_l2, float, half, is_right(TERMS[1]));
        case.check(|level| &level.half_l1, float, half, is_right(TERMS[2]));
    }

    #[test]
    fn codes_are_exact(case in Case::any()) {
        let dot = |x: &[i8], y: &[u8], score: i32| {
            let exact: i64 = x.iter().zip(y).map(|(x, y)| i64::from(*x) * i64::from(*y)).sum();
            i64::from(score) == exact
        };
        let l1 = |x: &[u8], y: &[u8], score: u32| {
            let exact: u64 = x.iter().zip(y).map(|(x, y)| u64::from(x.abs_diff(*y))).sum();
            u64::from(score) == exact
        };
        case.check(|level| &level.code_dot, |x| x as i8, |x| x as u8, dot);
        case.check(|level| &level.code_l1, |x| x as u8, |x| x as u8, l1);
    }

    #[test]
    fn bits_are_exact(case in Case::any()) {
        let hamming = |x: &[u64], y: &[u64], score: u32| {
            score == x.iter().zip(y).map(|(x, y)| (x ^ y).count_ones()).sum::<u32>()
        };
        let planes = |x: u64| [x, x.rotate_left(21), !x, x.wrapping_mul(x | 1)];
        let bit = |word: u64, at: usize| (word >> at & 1) as u32;
        let bit_dot = |x: &[[u64; 4]], y: &[u64], score: u32| {
            let numbers = |planes: [u64; 4], at| (0..4).map(|j| bit(planes[j], at) << j).sum::<u32>();
            let word = |planes, y| (0..64).map(|at| numbers(planes, at) * bit(y, at)).sum::<u32>();
            score == x.iter().zip(y).map(|(x, y)| word(*x, *y)).sum::<u32>()
        };
        case.check(|level| &level.hamming, |x| x, |x| x, hamming);
        case.check(|level| &level.bit_dot, planes, |x| x, bit_dot);
    }

    #[test]
    fn the_shorter_length_counts(lens in prop::array::uniform2(0usize..150), seed: u64) {
        let mut next = random(seed);
        let a: Vec<i8> = (0..lens[0]).map(|_| next() as i8).collect();
        let b: Vec<u8> = (0..lens[1]).map(|_| next() as u8).collect();
        let exact: i32 = a.iter().zip(&b).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum();
        let (floats_a, floats_b) = (vec![1.0; lens[0]], vec![2.0; lens[1]]);
        for level in available() {
            prop_assert_eq!(level.code_dot.pair(&a, &b), exact);
            let dot = level.dot.pair(&floats_a, &floats_b);
            prop_assert_eq!(dot, 2.0 * lens[0].min(lens[1]) as f32);
            // Of numbers and places, too.
            let mut out = vec![0; lens[1] % 9];
            level.code_dot.rows_at(&a[..lens[0].min(1)], &b, &vec![0; lens[0] % 9], &mut out);
            let filled = (lens[0] % 9).min(lens[1] % 9);
            prop_assert!(out[filled..].iter().all(|score| *score == 0));
        }
    }

    #[test]
    fn numbers_become_the_same_halves_on_every_level(len in 0usize..70, seed: u64) {
        let mut next = random(seed);
        let values: Vec<f32> = (0..len).map(|_| f32::from_bits(next() as u32)).collect();
        for level in available() {
            let mut halves = vec![0; len];
            level.to_halves.convert(&values, &mut halves);
            let expected: Vec<u16> = values.iter().copied().map(to_half).collect();
            prop_assert_eq!(halves, expected, "{}", level.name);
        }
    }

    /// What is kept in 16 bits is compared as if it had been widened before, to the last bit.
    #[test]
    fn halves_and_the_same_floats_give_the_same_bits(width in 0usize..=200, seed: u64) {
        let mut next = random(seed);
        let query: Vec<f32> = (0..width).map(|_| float(next())).collect();
        let halves: Vec<u16> = (0..width).map(|_| to_half(float(next()))).collect();
        for level in available() {
            let mut floats = vec![0.0; width];
            level.from_halves.convert(&halves, &mut floats);
            for (half, float) in [
                (&level.half_dot, &level.dot),
                (&level.half_squared_l2, &level.squared_l2),
                (&level.half_l1, &level.l1),
            ] {
                let (half, float) = (half.pair(&query, &halves), float.pair(&query, &floats));
                prop_assert_eq!(half.to_bits(), float.to_bits(), "{}", level.name);
            }
        }
    }
}

#[test]
fn codes_do_not_overflow_at_the_most_dimensions() {
    const MOST: usize = 65_535;
    for level in available() {
        for code in [127i8, -127, -128] {
            let found = level.code_dot.pair(&[code; MOST], &[255; MOST]);
            let exact = MOST as i64 * 255 * i64::from(code);
            assert_eq!(i64::from(found), exact, "{}", level.name);
        }
        assert_eq!(
            level.code_l1.pair(&[0; MOST], &[255; MOST]),
            MOST as u32 * 255
        );
        let (planes, row) = ([[u64::MAX; 4]; 1_024], [u64::MAX; 1_024]);
        assert_eq!(level.bit_dot.pair(&planes, &row), 15 * 65_536);
        assert_eq!(level.hamming.pair(&[0; 1_024], &row), 65_536);
    }
}

#[test]
fn every_half_is_read_exactly() {
    for bits in 0..=u16::MAX {
        let exact = ::half::f16::from_bits(bits).to_f32();
        let read = from_half(bits);
        assert!(read.to_bits() == exact.to_bits() || exact.is_nan() && read.is_nan());
        for level in available() {
            let mut widened = [0.0; 9];
            level.from_halves.convert(&[bits; 9], &mut widened);
            assert_eq!(
                widened.map(f32::to_bits),
                [read.to_bits(); 9],
                "{}",
                level.name
            );
            let read = level.half_dot.pair(&[1.0], &[bits]);
            assert!(
                read == exact || exact.is_nan() && read.is_nan(),
                "{}",
                level.name
            );
        }
    }
}

#[test]
fn numbers_between_two_halves_are_rounded_to_the_nearest() {
    let largest = f32::from_bits(0x7f7f_ffff);
    let halves = (0..0x7c00).map(from_half);
    let between = halves.clone().zip(halves.skip(1).chain([65_536.0]));
    let near = between.flat_map(|(low, high)| {
        let middle = (low + high) / 2.0;
        [low, middle.next_down(), middle, middle.next_up()]
    });
    for value in near.chain([largest, f32::INFINITY, f32::MIN_POSITIVE]) {
        for value in [value, -value] {
            assert_eq!(
                to_half(value),
                ::half::f16::from_f32(value).to_bits(),
                "{value}"
            );
        }
    }
}

#[test]
fn the_highest_level_is_chosen() {
    let levels = available();
    assert_eq!(KERNELS.name, levels[levels.len() - 1].name);
    let (x, y) = ([1.0, 2.0, 3.0], [3.0, 2.0, 0.0]);
    assert_eq!(
        (dot(&x, &y), squared_l2(&x, &y), l1(&x, &y)),
        (7.0, 13.0, 5.0)
    );
    // Nothing to see, but it must bear every slice.
    for bytes in [&[0; 200][..], &[1; 200][37..38], &[]] {
        prefetch(bytes);
    }
}

#[test]
fn a_norm_is_near_and_neither_overflows_nor_vanishes() {
    let values: Vec<f32> = iter::repeat_n(3.0, 16).chain([4.0; 7]).collect();
    assert_eq!(norm(&values), 256f32.sqrt());
    assert!(norm(&[f32::MAX / 2.0, 0.0]).is_finite());
    assert!(norm(&[f32::MIN_POSITIVE, 0.0]) > 0.0);
}
