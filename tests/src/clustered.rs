//! Vectors that lie together as embeddings do, the same each time.

use crate::{data::Matrix, random::Random, truth::dot};

/// What they are drawn from.
pub const SEED: u64 = 1_854;

const CENTRES: u64 = 200;
const AXES: usize = 24;
const NOISE: f32 = 0.2;

/// Rows around centres, of length 1, as many as each count says. They differ from their centre
/// along some common axes above all: distances between points that differ along hundreds of
/// independent ones would all be alike.
#[must_use]
pub fn clustered<const N: usize>(dimensions: usize, counts: [usize; N]) -> [Matrix; N] {
    let mut random = Random(SEED);
    let mut directions = |count| -> Vec<Vec<f32>> {
        (0..count)
            .map(|_| direction(dimensions, &mut random))
            .collect()
    };
    let (centres, axes) = (directions(CENTRES as usize), directions(AXES));
    counts.map(|count| {
        let mut values = Vec::with_capacity(count * dimensions);
        for _ in 0..count {
            let mut row = centres[random.below(CENTRES) as usize].clone();
            for axis in &axes {
                add(&mut row, axis, normal(&mut random) / (AXES as f32).sqrt());
            }
            add(&mut row, &direction(dimensions, &mut random), NOISE);
            values.extend(row);
        }
        let mut rows = Matrix { dimensions, values };
        normalize(&mut rows);
        rows
    })
}

/// A direction, each about as likely as any other.
#[must_use]
pub fn direction(dimensions: usize, random: &mut Random) -> Vec<f32> {
    let mut values: Vec<f32> = (0..dimensions).map(|_| normal(random)).collect();
    scale(&mut values);
    values
}

/// Makes the length of every row 1.
pub fn normalize(rows: &mut Matrix) {
    rows.values
        .chunks_exact_mut(rows.dimensions)
        .for_each(scale);
}

fn add(row: &mut [f32], other: &[f32], times: f32) {
    for (value, other) in row.iter_mut().zip(other) {
        *value += other * times;
    }
}

/// The sum of some uniform numbers is nearly normal; this one's variance is 1.
fn normal(random: &mut Random) -> f32 {
    (0..3).map(|_| random.unit()).sum()
}

fn scale(values: &mut [f32]) {
    let length = dot(values, values).sqrt();
    values.iter_mut().for_each(|value| *value /= length);
}
