//! What a collection keeps of a vector, worked out apart from the engine.

use amphora::{Datatype, Metric, Vector};
use half::f16;

/// The values as they are read back, or none if they are refused.
#[must_use]
pub fn stored(vector: &Vector, values: &[f32]) -> Option<Vec<f32>> {
    let stored = match vector.datatype {
        Datatype::Float16 => values.iter().map(|x| rounded(*x)).collect::<Option<_>>()?,
        _ => values.to_vec(),
    };
    let has_angle = vector.metric != Metric::Cosine || stored.iter().any(|x| *x != 0.0);
    (stored.len() == vector.dimensions as usize && has_angle).then_some(stored)
}

fn rounded(value: f32) -> Option<f32> {
    let fits = value.abs() <= f32::from(f16::MAX);
    fits.then(|| f16::from_f32(value).to_f32())
}
