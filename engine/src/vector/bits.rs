//! One bit for each number of a vector, to tell at a glance which of many rows are worth a closer
//! look (Gao and Long, `RaBitQ`, 2024).
//!
//! What is left of a row when the center is taken away is turned by a rotation that looks random,
//! the same for all, and the signs of the result are kept. With `r` for the turned rest of a row,
//! `s` for its signs as -1 and 1, and `q` for the turned rest of a query,
//!
//! `q·r ≈ q·s |r|² / Σ|r|`,
//!
//! which is right on average, and off by a standard deviation of `|q| |r| √((1/o² - 1) / (d - 1))`
//! in `d` dimensions, where `o = Σ|r| / (√d |r|)` is how well the signs stand for the row: usually
//! 0.8. The rest of a score are the terms that [`codes`](super::codes) add too. Of the query 4 bits
//! of each number are used, which adds little to that.
//!
//! A row is a cell of whole words: its bits, then two words of [`Factors`]. In 384 dimensions that
//! is a line of cache. The words of a query that meet the factors are zero.

use super::codes::{Probe, Scores, Table};
use crate::{kernel, schema::Metric};
use std::f32::consts::FRAC_1_SQRT_2;
use xxhash_rust::xxh3::xxh3_64_with_seed;

const WORD: usize = u64::BITS as usize;
/// Words of a cell after its bits.
const FACTORS: usize = size_of::<Factors>() / size_of::<u64>();
/// A number of a query is one of 16, at most so many steps from zero.
const MOST: f32 = 7.5;
/// How often values are mixed with each other.
const ROUNDS: u64 = 4;

/// The cells of rows, one after another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bits<'a> {
    pub(crate) dimensions: usize,
    pub(crate) cells: &'a [u64],
}

/// What the bits of a row are multiplied with, and what is added.
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Factors {
    scale: f32,
    offset: f32,
    /// The standard deviation of a score, for a query of length 1.
    deviation: f32,
    /// How many of the bits are set.
    ones: u32,
}

/// What rows are compared with. Reused from one query to the next.
#[derive(Debug, Default)]
pub(crate) struct BitProbe {
    turned: Vec<f32>,
    /// For each word of a cell the four bits of 64 numbers.
    planes: Vec<[u64; 4]>,
    step: f32,
    /// The sum of all numbers.
    sum: f32,
    length: f32,
    /// The standard deviation of a product with signs that 4 bits add.
    rough: f32,
    /// How much the offsets of rows count.
    weight: f32,
}

/// Rows that are compared with one query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glanced<'a> {
    pub(crate) bits: Bits<'a>,
    pub(crate) probe: &'a BitProbe,
}

/// A score, about, and its standard deviation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glance {
    pub(crate) score: f32,
    pub(crate) deviation: f32,
}

/// How many words a row takes.
pub(crate) fn words(dimensions: usize) -> usize {
    dimensions.div_ceil(WORD) + FACTORS
}

/// Whether rows can be told apart by signs: sums of absolute differences are kept by no rotation.
pub(crate) fn serve(metric: Metric) -> bool {
    metric != Metric::Manhattan
}

/// What is added to the product of a row with a query, if this is left of the row without the center.
pub(crate) fn offset(metric: Metric, center: &[f32], rest: &[f32], squares: f32) -> f32 {
    match metric {
        Metric::Dot => kernel::dot(rest, center),
        _ => -0.5 * squares,
    }
}

/// Writes the cell of a row, of which `rest` is left without the center; it is turned.
pub(crate) fn encode(metric: Metric, center: &[f32], rest: &mut [f32], cell: &mut [u64]) {
    let squares = kernel::dot(rest, rest);
    let offset = offset(metric, center, rest, squares);
    turn(rest);
    let (bits, factors) = cell.split_at_mut(cell.len() - FACTORS);
    for (word, values) in bits.iter_mut().zip(rest.chunks(WORD)) {
        let ones = values
            .iter()
            .zip(0..)
            .map(|(value, bit)| u64::from(*value > 0.0) << bit);
        *word = ones.fold(0, |word, bit| word | bit);
    }
    let sum: f32 = rest.iter().map(|value| value.abs()).sum();
    let scale = if sum > 0.0 { squares / sum } else { 0.0 };
    // |r|² (1/o² - 1), which rounding may take below zero.
    let astray = (scale * scale * rest.len() as f32 - squares).max(0.0);
    let factor = Factors {
        scale,
        offset,
        // Of the longest vectors it overflows.
        deviation: (astray / (rest.len() as f32 - 1.0).max(1.0))
            .sqrt()
            .min(f32::MAX.sqrt()),
        ones: bits.iter().map(|word| word.count_ones()).sum(),
    };
    factors.copy_from_slice(&bytemuck::cast::<Factors, [u64; FACTORS]>(factor));
}

/// Writes the cell of a row of which nothing is known: it may be as near as any.
pub(crate) fn leave_open(cell: &mut [u64]) {
    let factors = Factors {
        deviation: f32::INFINITY,
        ..Factors::default()
    };
    let (bits, tail) = cell.split_at_mut(cell.len() - FACTORS);
    bits.fill(0);
    tail.copy_from_slice(&bytemuck::cast::<Factors, [u64; FACTORS]>(factors));
}

impl BitProbe {
    /// Takes a query over.
    pub(crate) fn set(&mut self, probe: &Probe) {
        let (rest, weight) = probe.rest();
        (self.length, self.weight) = (probe.length(), weight);
        self.turned.clear();
        self.turned.extend_from_slice(rest);
        turn(&mut self.turned);
        let most = self
            .turned
            .iter()
            .fold(0.0f32, |most, value| most.max(value.abs()));
        self.step = most / MOST;
        let divisor = if self.step > 0.0 { self.step } else { 1.0 };
        self.planes.clear();
        self.planes.resize(words(self.turned.len()), [0; 4]);
        let mut total = 0;
        for (planes, values) in self.planes.iter_mut().zip(self.turned.chunks(WORD)) {
            for (bit, value) in values.iter().enumerate() {
                let number = (value / divisor + MOST).round_ties_even().clamp(0.0, 15.0) as u64;
                total += number;
                for (plane, word) in planes.iter_mut().enumerate() {
                    *word |= (number >> plane & 1) << bit;
                }
            }
        }
        let dimensions = self.turned.len() as f32;
        self.sum = self.step * (total as f32 - MOST * dimensions);
        self.rough = self.step * (dimensions / 12.0).sqrt();
    }
}

impl Bits<'_> {
    fn cell(&self, row: u32) -> Option<&[u64]> {
        let width = words(self.dimensions);
        let start = (row as usize).checked_mul(width)?;
        self.cells.get(start..start.checked_add(width)?)
    }
}

impl Glanced<'_> {
    /// How near rows seem to be: larger for the nearer. A row that is none is the farthest.
    pub(crate) fn glances(
        &self,
        rows: &[u32],
        sums: &mut Vec<i32>,
    ) -> impl Iterator<Item = Glance> {
        sums.resize(rows.len(), 0);
        let sums: &mut [u32] = bytemuck::cast_slice_mut(sums);
        kernel::bit_dots_at(&self.probe.planes, self.bits.cells, rows, sums);
        let sums = rows.iter().zip(&*sums);
        sums.map(|(row, sum)| match self.bits.cell(*row) {
            Some(cell) => self.probe.glance(*sum, cell),
            None => Glance {
                score: f32::NEG_INFINITY,
                deviation: 0.0,
            },
        })
    }
}

impl Table for Glanced<'_> {
    fn len(&self) -> usize {
        self.bits.cells.len() / words(self.bits.dimensions)
    }

    /// With the query that it was made with.
    fn scores(&self, _: &Probe, rows: &[u32], Scores { values, sums }: &mut Scores) {
        values.clear();
        values.extend(self.glances(rows, sums).map(|glance| glance.score));
    }

    fn prefetch(&self, row: u32) {
        kernel::prefetch(bytemuck::cast_slice(
            self.bits.cell(row).unwrap_or_default(),
        ));
    }
}

impl BitProbe {
    /// How near the row seems to be whose cell this is.
    pub(crate) fn score(&self, cell: &[u64]) -> f32 {
        self.glance(kernel::bit_dot(&self.planes, cell), cell).score
    }

    /// What the sum that a cell comes to means.
    fn glance(&self, sum: u32, cell: &[u64]) -> Glance {
        let row = cell.last_chunk::<FACTORS>();
        let row: Factors = row.map_or_else(Factors::default, |words| bytemuck::cast(*words));
        let product = 2.0 * self.step * (sum as f32 - MOST * row.ones as f32) - self.sum;
        Glance {
            score: product * row.scale + row.offset * self.weight,
            deviation: row.deviation * self.length + row.scale * self.rough,
        }
    }
}

/// A rotation of a space of any dimension, the same each time, by which every value comes to depend
/// on every other. In each of four rounds
///
/// - values change their signs where a bit is set: those of the 64 values from `64 n` on, the lowest
///   first, are XXH3 of `n` as 8 bytes, seeded by the number of the round;
/// - as many values as the largest power of two that there is go through a Walsh-Hadamard transform,
///   the first ones in even rounds, the last ones in odd rounds;
/// - unless these are all, the first half of the values and the second are added to each other and
///   subtracted from each other, over the root of two.
fn turn(values: &mut [f32]) {
    let len = values.len();
    let block = 1 << len.max(1).ilog2();
    for round in 0..ROUNDS {
        for (number, values) in (0u64..).zip(values.chunks_mut(WORD)) {
            let signs = xxh3_64_with_seed(&number.to_le_bytes(), round);
            for (bit, value) in values.iter_mut().enumerate() {
                let sign = (signs >> bit & 1) as u32;
                *value = f32::from_bits(value.to_bits() ^ sign << 31);
            }
        }
        let first = if round % 2 == 0 { 0 } else { len - block };
        mix(&mut values[first..first + block]);
        if block < len {
            let (low, high) = values.split_at_mut(len / 2);
            for (low, high) in low.iter_mut().zip(high) {
                butterfly(low, high, FRAC_1_SQRT_2);
            }
        }
    }
}

/// The Walsh-Hadamard transform of a power of two of values, which keeps their length.
fn mix(values: &mut [f32]) {
    let mut half = 1;
    while half < values.len() {
        for pair in values.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (low, high) in low.iter_mut().zip(high) {
                butterfly(low, high, FRAC_1_SQRT_2);
            }
        }
        half *= 2;
    }
}

fn butterfly(low: &mut f32, high: &mut f32, scale: f32) {
    (*low, *high) = ((*low + *high) * scale, (*low - *high) * scale);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cancel::Cancel,
        vector::{codes::Encoder, fixture::Rows},
    };

    const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Dot, Metric::Euclidean];

    fn product(a: &[f32], b: &[f32]) -> f64 {
        let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
        products.sum()
    }

    #[test]
    fn turning_keeps_products_and_spreads_every_number() {
        for dimensions in (1..70).chain([100, 127, 128, 255, 384, 510, 1_000]) {
            let rows = Rows::clusters(Metric::Euclidean, 2, dimensions, 5);
            let [mut a, mut b] = [0, 1].map(|row| rows.scaled(row).0.to_vec());
            let before = [product(&a, &b), product(&a, &a)];
            turn(&mut a);
            turn(&mut b);
            let after = [product(&a, &b), product(&a, &a)];
            for (before, after) in before.into_iter().zip(after) {
                let slack = 1e-5 * before.abs().max(product(&a, &a));
                assert!(
                    (before - after).abs() <= slack,
                    "{dimensions}: {before}, {after}"
                );
            }
            for place in [0, dimensions / 2, dimensions - 1] {
                let mut one = vec![0.0; dimensions];
                one[place] = 1.0;
                turn(&mut one);
                let most = one.iter().fold(0.0f32, |most, value| most.max(value.abs()));
                let usual = (dimensions as f32).sqrt().recip();
                assert!(most <= 1.0001 && most < usual * 6.0, "{dimensions}: {most}");
            }
        }
    }

    /// What a glance is off by, in what it says is usual for it: mean, deviation, and the most.
    fn errors(metric: Metric, dimensions: usize) -> (f64, f64, f64) {
        let rows = Rows::clusters(metric, 2_000, dimensions, 7);
        let encoder = Encoder::train(&rows, dimensions, metric, &Cancel::default()).unwrap();
        let width = words(dimensions);
        let mut cells = vec![0; rows.count() * width];
        let mut rest = Vec::new();
        for (row, cell) in cells.chunks_mut(width).enumerate() {
            let (values, scale) = rows.scaled(row);
            encoder.subtract(1.0, values, scale, &mut rest);
            encode(metric, &encoder.center, &mut rest, cell);
        }
        let bits = Bits {
            dimensions,
            cells: &cells,
        };
        let (mut probe, mut bit_probe) = (Probe::default(), BitProbe::default());
        let (mut glances, mut sums, mut offs) = (Vec::new(), Vec::new(), Vec::new());
        let all: Vec<u32> = (0..rows.count() as u32).collect();
        for query in 0..20 {
            let (values, scale) = rows.scaled(query * 7);
            encoder.probe(values, scale, &mut probe);
            bit_probe.set(&probe);
            let glanced = Glanced {
                bits,
                probe: &bit_probe,
            };
            glances.clear();
            glances.extend(glanced.glances(&all, &mut sums));
            for (row, glance) in glances.iter().enumerate() {
                let one = bit_probe.score(bits.cell(row as u32).unwrap());
                assert_eq!(one.to_bits(), glance.score.to_bits());
            }
            let (q, weight) = probe.rest();
            for (row, glance) in glances.iter().enumerate() {
                let (values, scale) = rows.scaled(row);
                encoder.subtract(1.0, values, scale, &mut rest);
                let offset = match metric {
                    Metric::Dot => product(&rest, &encoder.center) * f64::from(weight),
                    _ => -0.5 * product(&rest, &rest),
                };
                let off = f64::from(glance.score) - (product(&rest, q) + offset);
                assert!(off.is_finite() && glance.deviation >= 0.0);
                if row != query * 7 {
                    offs.push(off / f64::from(glance.deviation).max(1e-9));
                }
            }
        }
        let mean = offs.iter().sum::<f64>() / offs.len() as f64;
        let squares: f64 = offs.iter().map(|off| (off - mean) * (off - mean)).sum();
        let most = offs.iter().fold(0.0f64, |most, off| most.max(off.abs()));
        (mean, (squares / offs.len() as f64).sqrt(), most)
    }

    #[test]
    fn a_glance_is_off_by_what_it_says() {
        for metric in METRICS {
            for dimensions in [16, 61, 128, 300, 384, 768] {
                let (mean, deviation, most) = errors(metric, dimensions);
                let errors = format!("{metric:?}, {dimensions}: {mean} {deviation} {most}");
                println!("{errors}");
                assert!(mean.abs() < 0.2, "{errors}");
                assert!((0.4..1.1).contains(&deviation), "{errors}");
                assert!(most < 7.0, "{errors}");
            }
        }
    }

    #[test]
    fn rows_that_are_alike_or_none_are_seen_as_such() {
        let mut cell = vec![0; words(3)];
        encode(Metric::Euclidean, &[0.0; 3], &mut [0.0; 3], &mut cell);
        let bits = Bits {
            dimensions: 3,
            cells: &cell,
        };
        let probe = &BitProbe {
            planes: vec![[u64::MAX; 4], [0; 4], [0; 4]],
            ..BitProbe::default()
        };
        let mut sums = Vec::new();
        let glanced = Glanced { bits, probe };
        let glances = glanced.glances(&[0, 1, u32::MAX], &mut sums);
        let scores: Vec<f32> = glances.map(|glance| glance.score).collect();
        assert_eq!(scores, [0.0, f32::NEG_INFINITY, f32::NEG_INFINITY]);
    }
}
