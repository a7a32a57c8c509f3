//! What a vector must be to be compared.
//!
//! The one place where vectors are checked, whether they are written or searched for, so that no
//! score is ever infinite or undefined. Beside it stands the index over the vectors of a segment:
//! `codes` stand for vectors, `bits` for a glance at them, `hnsw` is a graph over codes, `curve` what it was found to be able
//! to find, `index` the file of it all.

#[cfg(test)]
mod fixture;
mod codes;
mod bits;
mod hnsw;
mod curve;
mod index;

pub(crate) use hnsw::Params;
pub(crate) use index::{Index, Subject, Wanted, write};

use crate::{
    error::{Error, Result},
    kernel,
    schema::{Metric, Vector, quoted},
};

/// Whether `values` can be compared as the vector `name` of a schema.
pub(crate) fn check_vector(name: &str, vector: &Vector, values: &[f32]) -> Result<()> {
    let wrong = |what: String| Err(Error::invalid(format!("vector {}: {what}", quoted(name))));
    if values.len() != vector.dimensions as usize {
        return wrong(format!(
            "found {} dimensions; expected {}",
            values.len(),
            vector.dimensions
        ));
    }
    // Also false for what is not a number.
    let is_bounded = |value: &f32| value.abs() <= Vector::MAX_MAGNITUDE;
    // Without a branch for each value, which keeps the compiler from vector instructions.
    let all_bounded = values
        .iter()
        .fold(true, |all, value| all & is_bounded(value));
    if !all_bounded && let Some(at) = values.iter().position(|value| !is_bounded(value)) {
        return wrong(format!(
            "dimension {at} is {}; expected a finite number of at most {:e}",
            values[at],
            Vector::MAX_MAGNITUDE
        ));
    }
    if vector.metric == Metric::Cosine && kernel::norm(values) < Vector::MIN_COSINE_LENGTH {
        return wrong(format!(
            "its length is {:e}; expected at least {:e} under cosine, which has no angle for a zero vector",
            kernel::norm(values),
            Vector::MIN_COSINE_LENGTH
        ));
    }
    Ok(())
}

/// What a dot product is multiplied with for each of its two vectors.
pub(crate) fn scale(values: &[f32], metric: Metric) -> f32 {
    match metric {
        Metric::Cosine => kernel::norm(values).recip(),
        Metric::Dot | Metric::Euclidean | Metric::Manhattan => 1.0,
    }
}

/// The vectors that an index is built over.
pub(crate) trait VectorSource: Sync {
    /// How many there are.
    fn len(&self) -> u32;
    /// A vector, and what it is scaled with to be compared.
    fn vector(&self, place: u32) -> Result<(&[f32], f32)>;
    /// The row of the segment that it is of.
    fn row(&self, place: u32) -> u32;
}

/// How near two vectors are, each with what it is scaled with: larger for the nearer, under every
/// metric. Values are bounded, so that it is finite.
pub(crate) fn score(
    metric: Metric,
    (a, a_scale): (&[f32], f32),
    (b, b_scale): (&[f32], f32),
) -> f32 {
    match metric {
        Metric::Cosine => (kernel::dot(a, b) * a_scale * b_scale).clamp(-1.0, 1.0),
        Metric::Dot => kernel::dot(a, b),
        Metric::Euclidean => -kernel::squared_l2(a, b).sqrt(),
        Metric::Manhattan => -kernel::l1(a, b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_compared_and_what_cannot() {
        for (metric, values, expected) in [
            (Metric::Cosine, [1.0, 2.0], ""),
            (Metric::Cosine, [0.0, 0.0], "zero vector"),
            (Metric::Cosine, [1e-20, 0.0], "zero vector"),
            (Metric::Dot, [0.0, -0.0], ""),
            (Metric::Dot, [f32::NAN, 0.0], "dimension 0 is NaN"),
            (
                Metric::Euclidean,
                [0.0, f32::INFINITY],
                "dimension 1 is inf",
            ),
            (Metric::Manhattan, [0.0, -2e16], "dimension 1 is -2"),
            (Metric::Manhattan, [1e16, -1e16], ""),
        ] {
            let vector = Vector::new(2, metric);
            match check_vector("v", &vector, &values) {
                Ok(()) => assert_eq!(expected, "", "{values:?} under {metric:?}"),
                Err(error) => assert!(
                    !expected.is_empty() && error.to_string().contains(expected),
                    "{error}"
                ),
            }
        }
        let error = check_vector("v", &Vector::new(3, Metric::Dot), &[1.0]).unwrap_err();
        assert!(
            error.to_string().contains("found 1 dimensions; expected 3"),
            "{error}"
        );
    }
}
