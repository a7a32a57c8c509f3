//! Eight bits for each number of a vector, which is what a graph is walked on: a quarter of the
//! bytes to fetch, and products of whole numbers. The best that a walk finds is compared again by
//! the vectors themselves.
//!
//! A row is coded relative to the center of all rows, in steps of its own, so that nothing
//! depends on how long vectors are or where they lie. With `c` for the center, `x'` for `x - c`,
//! and `x̂` for what the code of `x'` stands for:
//!
//! | metric | the score of two vectors | by codes |
//! |---|---|---|
//! | Euclidean | `-|x-y|² / 2` | `x̂·ŷ - |x̂|²/2 - |ŷ|²/2` |
//! | cosine | the same at length 1, where it is `x·y - 1` | the same |
//! | dot | `x·y` | `x̂·ŷ + c·x' + c·y'`, and a constant |
//! | Manhattan | `-Σ|x-y|` | `-Σ|x̂-ŷ|`, all rows in one step |
//!
//! The last two terms of a sum are each row's `offset`; that of a query is left out, since it is
//! the same for all rows. Lengths are those of codes, not of vectors: what a code errs by then
//! counts along `x - y` alone, which is short for those that are near. Of a query under dot only
//! so much of the center is taken away as lies in its direction, `(q·c / |c|²) c`, so that what is
//! left is short, however long the query is.

use super::VectorSource;
use crate::{cancel::Cancel, error::Result, kernel, schema::Metric};

/// A number of a code is at most this far from the middle.
const MOST: f32 = 127.0;
/// The middle of a stored byte, which stands for 0.
const MIDDLE: u8 = 128;
/// 1.5 * 2^23. A sum with it has no room for a fraction, and the whole number in its lowest bits.
const ROUND: f32 = 12_582_912.0;
/// The center is that of so many rows at most.
const CENTER_ROWS: u32 = 1 << 16;

/// How vectors become codes; the same for all rows of an index.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Encoder {
    pub(crate) metric: Metric,
    pub(crate) center: Vec<f32>,
    /// The step of every row, where all must have the same.
    pub(crate) step: Option<f32>,
}

/// What the code of a row is multiplied with and what is added, to give a score.
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Factors {
    pub(crate) step: f32,
    pub(crate) offset: f32,
}

/// The codes of rows, one after another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Codes<'a> {
    pub(crate) metric: Metric,
    pub(crate) dimensions: usize,
    pub(crate) bytes: &'a [u8],
    pub(crate) factors: &'a [Factors],
}

/// What rows are compared with: a query, or a row in its place. Reused from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    /// Relative to the middle.
    code: Vec<i8>,
    /// The same as stored.
    bytes: Vec<u8>,
    /// What is left of a query when the center is taken away.
    rest: Vec<f32>,
    factors: Factors,
    /// How much of the center was taken away, and so how much the offsets of rows count.
    weight: f32,
    length: f32,
    /// What the middle of the stored bytes adds to each product.
    bias: i32,
}

/// The scores of some rows, and room to compute them in.
#[derive(Debug, Default)]
pub(crate) struct Scores {
    pub(crate) values: Vec<f32>,
    pub(super) sums: Vec<i32>,
}

impl Encoder {
    /// Looks at the rows that are to be coded.
    pub(crate) fn train(
        source: &dyn VectorSource,
        dimensions: usize,
        metric: Metric,
        cancel: &Cancel,
    ) -> Result<Self> {
        let mut sums = vec![0.0f64; dimensions];
        let rows = source.len();
        let stride = rows.div_ceil(CENTER_ROWS).max(1);
        let (mut count, mut room) = (0u32, Vec::new());
        for place in (0..rows).step_by(stride as usize) {
            cancel.check_at(place)?;
            let (values, scale) = source.vector(place, &mut room)?;
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += f64::from(value * scale);
            }
            count += 1;
        }
        let center = sums
            .iter()
            .map(|sum| (sum / f64::from(count.max(1))) as f32);
        let mut encoder = Self {
            metric,
            center: center.collect(),
            step: None,
        };
        if metric == Metric::Manhattan {
            let (mut most, mut rest) = (0.0f32, Vec::new());
            for place in 0..rows {
                cancel.check_at(place)?;
                let (values, scale) = source.vector(place, &mut room)?;
                encoder.subtract(1.0, values, scale, &mut rest);
                most = most.max(reach(&rest));
            }
            encoder.step = Some(most / MOST);
        }
        Ok(encoder)
    }

    /// Writes the code of a row. `rest` is room to compute in.
    pub(crate) fn encode(
        &self,
        values: &[f32],
        scale: f32,
        rest: &mut Vec<f32>,
        code: &mut [u8],
    ) -> Factors {
        self.subtract(1.0, values, scale, rest);
        let step = self.quantize(rest, code);
        let offset = match self.metric {
            Metric::Cosine | Metric::Euclidean => {
                -0.5 * (squared_length(code) as f32 * step * step)
            }
            Metric::Dot => kernel::dot(rest, &self.center),
            Metric::Manhattan => 0.0,
        };
        Factors { step, offset }
    }

    /// What a query is compared by.
    pub(crate) fn probe(&self, values: &[f32], scale: f32, probe: &mut Probe) {
        probe.weight = self.weight(values);
        self.subtract(probe.weight, values, scale, &mut probe.rest);
        probe.bytes.resize(values.len(), 0);
        probe.factors = Factors {
            step: self.quantize(&probe.rest, &mut probe.bytes),
            offset: 0.0,
        };
        probe.length = match self.metric {
            Metric::Manhattan => 1.0,
            Metric::Cosine | Metric::Dot | Metric::Euclidean => {
                kernel::dot(&probe.rest, &probe.rest).sqrt()
            }
        };
        probe.sign();
    }

    /// How much of the center is taken away from a query.
    fn weight(&self, query: &[f32]) -> f32 {
        let squares = kernel::dot(&self.center, &self.center);
        if self.metric == Metric::Dot && squares > f32::MIN_POSITIVE {
            kernel::dot(query, &self.center) / squares
        } else {
            1.0
        }
    }

    /// What is left of a vector without so much of the center.
    pub(crate) fn subtract(&self, weight: f32, values: &[f32], scale: f32, rest: &mut Vec<f32>) {
        let values = values.iter().zip(&self.center);
        rest.clear();
        rest.extend(values.map(|(value, center)| value * scale - weight * center));
    }

    /// Writes a code, and gives its step.
    fn quantize(&self, rest: &[f32], code: &mut [u8]) -> f32 {
        let step = self.step.unwrap_or_else(|| reach(rest) / MOST);
        let divisor = if step > 0.0 { step } else { 1.0 };
        for (byte, value) in code.iter_mut().zip(rest) {
            // By division, since the reciprocal of the smallest steps is infinite.
            let steps = (value / divisor).clamp(-MOST, MOST);
            *byte = (steps + ROUND).to_bits() as u8 ^ MIDDLE;
        }
        step
    }
}

/// The largest magnitude. Those of numbers are in the order of their bits.
fn reach(values: &[f32]) -> f32 {
    let bits = values.iter().map(|value| value.abs().to_bits());
    f32::from_bits(bits.fold(0, u32::max))
}

/// The sum of the squares of a code, below 2^31 for up to 65,535 dimensions.
fn squared_length(code: &[u8]) -> i32 {
    let signed = code.iter().map(|byte| i32::from(signed(*byte)));
    signed.map(|number| number * number).sum()
}

fn signed(byte: u8) -> i8 {
    (byte ^ MIDDLE) as i8
}

/// Rows that can be compared with what is searched for.
pub(crate) trait Table {
    /// How many there are.
    fn len(&self) -> usize;
    /// How near rows are to a probe: larger for the nearer. A row that is none is the farthest.
    fn scores(&self, probe: &Probe, rows: &[u32], scores: &mut Scores);
    /// Begins to load what the score of a row takes.
    fn prefetch(&self, row: u32);
}

impl Codes<'_> {
    /// The code of a row; empty if there is none.
    fn code(&self, row: u32) -> &[u8] {
        let start = row as usize * self.dimensions;
        self.bytes
            .get(start..start + self.dimensions)
            .unwrap_or_default()
    }

    /// Makes a row the probe.
    pub(crate) fn probe_row(&self, row: u32, probe: &mut Probe) {
        probe.bytes.clear();
        probe.bytes.extend_from_slice(self.code(row));
        probe.factors = self.factors.get(row as usize).copied().unwrap_or_default();
        probe.weight = 1.0;
        probe.sign();
    }
}

impl Table for Codes<'_> {
    fn len(&self) -> usize {
        self.factors.len()
    }

    fn scores(&self, probe: &Probe, rows: &[u32], scores: &mut Scores) {
        let Scores { values, sums } = scores;
        sums.resize(rows.len(), 0);
        match self.metric {
            Metric::Cosine | Metric::Dot | Metric::Euclidean => {
                kernel::code_dots_at(&probe.code, self.bytes, rows, sums);
            }
            Metric::Manhattan => {
                let sums = bytemuck::cast_slice_mut(sums);
                kernel::code_l1s_at(&probe.bytes, self.bytes, rows, sums);
            }
        }
        values.clear();
        values.extend(rows.iter().zip(sums).map(|(row, sum)| {
            let factors = self.factors.get(*row as usize);
            factors.map_or(f32::NEG_INFINITY, |factors| {
                probe.score_of(self.metric, *sum, *factors)
            })
        }));
    }

    fn prefetch(&self, row: u32) {
        let factors = self.factors.get(row as usize);
        kernel::prefetch(factors.map_or(&[], bytemuck::bytes_of));
        kernel::prefetch(self.code(row));
    }
}

impl Probe {
    /// What the errors of scores grow with: how far from the center the query is, unless all
    /// codes have the same step.
    pub(crate) fn length(&self) -> f32 {
        self.length
    }

    /// What is left of the query without the center, and how much of that was taken away.
    pub(crate) fn rest(&self) -> (&[f32], f32) {
        (&self.rest, self.weight)
    }

    /// How near a row is, given its code: the same as [`Codes::scores`] says.
    pub(crate) fn score(&self, metric: Metric, code: &[u8], factors: Factors) -> f32 {
        let sum = match metric {
            Metric::Cosine | Metric::Dot | Metric::Euclidean => kernel::code_dot(&self.code, code),
            Metric::Manhattan => kernel::code_l1(&self.bytes, code).cast_signed(),
        };
        self.score_of(metric, sum, factors)
    }

    /// The score that a product of codes, or a sum of their differences, comes to.
    fn score_of(&self, metric: Metric, sum: i32, Factors { step, offset }: Factors) -> f32 {
        match metric {
            Metric::Cosine | Metric::Dot | Metric::Euclidean => {
                let product = sum.wrapping_sub(self.bias) as f32;
                // In this order: the product of two small steps may vanish.
                product * step * self.factors.step + (offset * self.weight + self.factors.offset)
            }
            Metric::Manhattan => -(sum as f32) * self.factors.step,
        }
    }

    /// Derives the signed code from the stored one.
    fn sign(&mut self) {
        self.code.clear();
        self.code
            .extend(self.bytes.iter().map(|byte| signed(*byte)));
        let sum: i32 = self.code.iter().map(|value| i32::from(*value)).sum();
        self.bias = i32::from(MIDDLE) * sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::fixture::{METRICS, Random, Rows};
    use proptest::prelude::*;

    /// Rows, coded.
    struct Coded {
        encoder: Encoder,
        bytes: Vec<u8>,
        factors: Vec<Factors>,
    }

    impl Coded {
        fn new(rows: &Rows) -> Self {
            let width = rows.dimensions;
            let encoder = Encoder::train(rows, width, rows.metric, &Cancel::default()).unwrap();
            let mut bytes = vec![0; rows.count() * width];
            let mut rest = Vec::new();
            let factors = bytes.chunks_mut(width).zip(0..).map(|(code, row)| {
                let (values, scale) = rows.scaled(row);
                encoder.encode(values, scale, &mut rest, code)
            });
            Self {
                factors: factors.collect(),
                encoder,
                bytes,
            }
        }

        fn codes(&self) -> Codes<'_> {
            Codes {
                metric: self.encoder.metric,
                dimensions: self.encoder.center.len(),
                bytes: &self.bytes,
                factors: &self.factors,
            }
        }

        fn scores(&self, probe: &Probe) -> Vec<f32> {
            let mut scores = Scores::default();
            let rows: Vec<u32> = (0..self.factors.len() as u32).collect();
            self.codes().scores(probe, &rows, &mut scores);
            for (row, score) in rows.iter().zip(&scores.values) {
                let factors = self.factors[*row as usize];
                let one = probe.score(self.encoder.metric, self.codes().code(*row), factors);
                assert_eq!(one.to_bits(), score.to_bits(), "row {row}");
            }
            scores.values
        }
    }

    fn widened(values: &[f32], scale: f32) -> Vec<f64> {
        values
            .iter()
            .map(|value| f64::from(*value) * f64::from(scale))
            .collect()
    }

    fn sum(terms: impl Iterator<Item = f64>) -> f64 {
        terms.sum()
    }

    /// Scores by codes from those by vectors, and by how much they may differ from one row to another.
    ///
    /// A number of a code is off by half a step: `|x' - x̂| <= s/2` and `|q' - q̂| <= t/2` in every
    /// dimension. What a score is off by follows, since
    ///
    /// - `x̂·q̂ - x'·q' = (x̂ - x')·q̂ + x'·(q̂ - q')`,
    /// - `|û|² - |u|² = 2 u·(û - u) + |û - u|²`, with `u = x' - q'`,
    /// - `||x̂ - q̂| - |x' - q'|| <= (s + t) / 2`, but where the query is beyond every row and its code at
    ///   the end, by which all rows are off alike.
    fn check_bounds(rows: &Rows, (query, scale): (&[f32], f32)) {
        let coded = Coded::new(rows);
        let mut probe = Probe::default();
        coded.encoder.probe(query, scale, &mut probe);
        let center = widened(&coded.encoder.center, 1.0);
        let query = widened(query, scale);
        let weight = f64::from(probe.weight);
        let rest: Vec<f64> = query
            .iter()
            .zip(&center)
            .map(|(q, c)| q - weight * c)
            .collect();
        let t = f64::from(probe.factors.step);
        let decoded: Vec<f64> = probe.code.iter().map(|code| f64::from(*code) * t).collect();
        let n = query.len() as f64;
        let epsilon = (n + 16.0) * f64::from(f32::EPSILON);
        for (row, by_codes) in coded.scores(&probe).into_iter().enumerate() {
            assert!(by_codes.is_finite(), "{by_codes}");
            let (values, scale) = rows.scaled(row);
            let x = widened(values, scale);
            let s = f64::from(coded.factors[row].step);
            let each = || {
                x.iter()
                    .zip(&center)
                    .zip(query.iter().zip(&rest))
                    .zip(&decoded)
            };
            let (expected, bound, slack) = match rows.metric {
                Metric::Dot => (
                    sum(each().map(|(((x, c), (_, r)), _)| (x - c) * r + weight * c * (x - c))),
                    sum(each().map(|(((x, c), _), d)| s / 2.0 * d.abs() + t / 2.0 * (x - c).abs())),
                    sum(each().map(|(((x, c), (q, _)), _)| {
                        (x.abs() + c.abs()) * (q.abs() + (weight * c).abs())
                    })),
                ),
                Metric::Cosine | Metric::Euclidean => (
                    sum(each().map(|(((x, _), (q, _)), d)| (d * d - (x - q).powi(2)) / 2.0)),
                    sum(each().map(|(((x, _), (q, _)), _)| {
                        (x - q).abs() * (s + t) / 2.0 + (s + t).powi(2) / 8.0
                    })),
                    sum(each().map(|(((x, c), (q, r)), d)| {
                        let length = (x - c).powi(2) + r * r + d * d;
                        length + (x.abs() + c.abs() + q.abs()) * (x - q).abs()
                    })),
                ),
                Metric::Manhattan => (
                    -sum(each().map(|(((x, _), (q, r)), _)| {
                        (x - q).abs() - (r.abs() - 127.0 * t).max(0.0)
                    })),
                    n * (s + t) / 2.0,
                    sum(each().map(|(((x, c), (q, _)), _)| x.abs() + c.abs() + q.abs())),
                ),
            };
            let bound = bound + epsilon * slack + n * f64::from(f32::MIN_POSITIVE);
            let error = (f64::from(by_codes) - expected).abs();
            assert!(
                error <= bound,
                "row {row}: {by_codes}, not {expected}, beyond {bound}"
            );
        }
    }

    /// Rows of some magnitude around a point that is as far from the origin as that says.
    fn around(
        metric: Metric,
        dimensions: usize,
        rows: usize,
        size: f32,
        far: f32,
        seed: u64,
    ) -> Rows {
        let mut random = Random(seed);
        let middle: Vec<f32> = (0..dimensions).map(|_| far * random.uniform()).collect();
        let limit = |value: f32| value.clamp(-1e16, 1e16);
        let values = middle.iter().cycle().take(rows * dimensions);
        let values = values.map(|middle| limit(middle + size * random.uniform()));
        Rows::new(metric, dimensions, values.collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn scores_are_off_by_no_more_than_steps_explain(
            metric in prop::sample::select(&METRICS[..]),
            dimensions in prop::sample::select(vec![1usize, 2, 7, 16, 33, 100]),
            rows in 1usize..20,
            size in -10i32..17,
            far in -10i32..17,
            beyond in -3i32..4,
            seed: u64,
        ) {
            let (size, far) = (10f32.powi(size), 10f32.powi(far));
            let rows = around(metric, dimensions, rows, size, far, seed);
            let queries = around(metric, dimensions, 1, size, far, seed);
            check_bounds(&rows, queries.scaled(0));
            let away = (far * 10f32.powi(beyond)).min(1e16);
            check_bounds(&rows, around(metric, dimensions, 1, size, away, seed ^ 1).scaled(0));
        }
    }

    #[test]
    fn the_largest_and_the_smallest_vectors_have_finite_scores() {
        for metric in METRICS {
            for dimensions in [1, 4_096, 65_535] {
                for size in [1e16f32, 1e-12, 1e-19, 1e-30, 1e-38, 1e-42, 0.0] {
                    if metric == Metric::Cosine && size < 1e-12 {
                        continue;
                    }
                    let rows = [size, -size, size / 2.0].into_iter();
                    let rows = rows.flat_map(|value| std::iter::repeat_n(value, dimensions));
                    let rows = Rows::new(metric, dimensions, rows.collect());
                    for query in 0..3 {
                        check_bounds(&rows, rows.scaled(query));
                    }
                    check_bounds(&rows, (&vec![1e16; dimensions], 1e-16));
                }
            }
        }
    }

    #[test]
    fn the_nearer_scores_higher_whatever_the_magnitude() {
        for metric in [Metric::Dot, Metric::Euclidean, Metric::Manhattan] {
            for size in [1e16f32, 1.0, 1e-12, 1e-17] {
                let rows: Vec<f32> = [0.1, 0.3, 0.5, 0.8, 1.0]
                    .map(|part: f32| part * size)
                    .to_vec();
                let coded = Coded::new(&Rows::new(metric, 1, rows));
                let mut probe = Probe::default();
                coded.encoder.probe(&[size], 1.0, &mut probe);
                let scores = coded.scores(&probe);
                assert!(
                    scores.is_sorted_by(|a, b| a < b),
                    "{metric:?} {size}: {scores:?}"
                );
            }
        }
    }

    #[test]
    fn equal_rows_have_equal_scores() {
        for metric in METRICS {
            let rows = Rows::new(metric, 3, [0.5, 0.25, -1.0].repeat(4));
            check_bounds(&rows, rows.scaled(0));
            check_bounds(&rows, (&[2.0, 0.1, 0.3], 1.0));
            let coded = Coded::new(&rows);
            let mut probe = Probe::default();
            coded.encoder.probe(&[2.0, 0.1, 0.3], 1.0, &mut probe);
            let scores = coded.scores(&probe);
            assert!(scores.iter().all(|score| *score == scores[0]), "{scores:?}");
        }
    }

    #[test]
    fn dot_scores_of_very_different_lengths_are_in_order() {
        let mut random = Random(3);
        let mut values = Vec::new();
        for row in 0..64 {
            let length = 10f32.powi(row % 8 - 4);
            values.extend((0..16).map(|_| length * (2.0 + random.uniform())));
        }
        let rows = Rows::new(Metric::Dot, 16, values);
        for length in [1e-6f32, 1.0, 1e6] {
            let query: Vec<f32> = (0..16).map(|_| length * (1.0 + random.uniform())).collect();
            check_bounds(&rows, (&query, 1.0));
            let coded = Coded::new(&rows);
            let mut probe = Probe::default();
            coded.encoder.probe(&query, 1.0, &mut probe);
            let scores = coded.scores(&probe);
            let by_codes =
                (0..64u32).max_by(|a, b| scores[*a as usize].total_cmp(&scores[*b as usize]));
            assert_eq!(by_codes.unwrap(), rows.best((&query, 1.0), 1, 0..64)[0]);
        }
    }

    #[test]
    fn a_row_as_the_probe_scores_as_it_is_scored() {
        for metric in METRICS {
            let rows = Rows::clusters(metric, 30, 20, 1);
            let coded = Coded::new(&rows);
            let (mut a, mut b) = (Probe::default(), Probe::default());
            for row in 0..30 {
                coded.codes().probe_row(row, &mut a);
                for (other, score) in coded.scores(&a).into_iter().enumerate() {
                    coded.codes().probe_row(other as u32, &mut b);
                    let back = coded.scores(&b)[row as usize];
                    assert!(
                        (score - back).abs() <= 1e-4 * score.abs().max(1.0),
                        "{score} {back}"
                    );
                }
            }
        }
    }

    #[test]
    fn rows_that_there_are_not_are_the_farthest() {
        for metric in METRICS {
            let coded = Coded::new(&Rows::clusters(metric, 3, 4, 1));
            let (mut probe, mut scores) = (Probe::default(), Scores::default());
            coded.codes().probe_row(0, &mut probe);
            coded.codes().scores(&probe, &[0, 3, u32::MAX], &mut scores);
            assert!(scores.values[0].is_finite());
            assert_eq!(scores.values[1..], [f32::NEG_INFINITY; 2]);
            // Nor does a probe that is none harm.
            coded.codes().probe_row(u32::MAX, &mut probe);
            coded.codes().scores(&probe, &[0, 1, 2], &mut scores);
            coded.codes().prefetch(u32::MAX);
        }
    }
}
