//! What a vector must be to be compared.
//!
//! The one place where vectors are checked, whether they are written or searched for, so that no
//! score is ever infinite or undefined. `values` are the numbers as they are stored, `multi` what
//! points have several of. Beside stands the index over the vectors of a segment: `codes` stand for
//! vectors, `bits` for a glance at them, `sketch` for rows without an index, `hnsw` is a graph over codes, `curve` what it was found to be
//! able to find, `index` the file of it all.

#[cfg(test)]
mod fixture;
mod values;
mod multi;
mod codes;
mod bits;
mod sketch;
mod hnsw;
mod curve;
mod index;

pub(crate) use hnsw::{Params, Tally};
pub(crate) use index::{Build, Index, Moved, Passes, Pick, Subject, Wanted, memory, write};
pub(crate) use multi::{MaxSim, accept_multi, check_is_multi, check_multi, count_in, most_of};
pub(crate) use sketch::{Center, Glancer, Seen, Sketch, Sketcher, sketch_bytes};
pub(crate) use values::{OwnedValues, Values};

use crate::{
    error::{Error, Result},
    kernel,
    schema::{Datatype, Metric, Vector, quoted},
};
use std::fmt;

/// Makes of `values` what is stored as the vector `name` of a schema, if they can be.
pub(crate) fn accept_vector(name: &str, vector: &Vector, values: &mut [f32]) -> Result<()> {
    if vector.datatype == Datatype::Float32 {
        return check_vector(name, vector, values);
    }
    check_numbers(name, vector, values, vector.datatype.max_magnitude())?;
    values::round(values, vector.datatype);
    check_vector(name, vector, values).map_err(|error| error.context("rounded to 16 bits"))
}

/// Whether `values` can be compared as the vector `name` of a schema.
pub(crate) fn check_vector(name: &str, vector: &Vector, values: &[f32]) -> Result<()> {
    check_numbers(name, vector, values, Vector::MAX_MAGNITUDE)?;
    if vector.metric == Metric::Cosine && kernel::norm(values) < Vector::MIN_COSINE_LENGTH {
        return Err(wrong(
            name,
            format_args!(
                "its length is {:e}; expected at least {:e} under cosine, which has no angle for a zero vector",
                kernel::norm(values),
                Vector::MIN_COSINE_LENGTH
            ),
        ));
    }
    Ok(())
}

/// Whether what is stored as the vector `name` can be compared.
pub(crate) fn check_stored(name: &str, vector: &Vector, values: &[f32]) -> Result<()> {
    if !vector.multi {
        return check_vector(name, vector, values);
    }
    check_len(name, vector, values.len())?;
    let mut vectors = values.chunks(vector.dimensions as usize);
    vectors.try_for_each(|values| check_vector(name, vector, values))
}

/// Whether so many numbers can be stored as the vector `name`.
pub(crate) fn check_len(name: &str, vector: &Vector, len: usize) -> Result<()> {
    match count_in(len, vector.dimensions, vector.multi) {
        Some(_) => Ok(()),
        None => Err(wrong(name, format_args!("found {len} numbers"))),
    }
}

/// Whether there are as many as the vector has dimensions, none larger than `most`.
fn check_numbers(name: &str, vector: &Vector, values: &[f32], most: f32) -> Result<()> {
    if values.len() != vector.dimensions as usize {
        let (found, expected) = (values.len(), vector.dimensions);
        let what = format_args!("found {found} dimensions; expected {expected}");
        return Err(wrong(name, what));
    }
    // Also false for what is not a number.
    let is_bounded = |value: &f32| value.abs() <= most;
    // Without a branch for each value, which keeps the compiler from vector instructions.
    let all_bounded = values
        .iter()
        .fold(true, |all, value| all & is_bounded(value));
    if !all_bounded && let Some(at) = values.iter().position(|value| !is_bounded(value)) {
        let found = values[at];
        let what =
            format_args!("dimension {at} is {found}; expected a finite number of at most {most:?}");
        return Err(wrong(name, what));
    }
    Ok(())
}

fn wrong(name: &str, what: fmt::Arguments<'_>) -> Error {
    Error::invalid(format!("vector {}: {what}", quoted(name)))
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
    /// A vector, and what it is scaled with to be compared. `room` is where it is put, if it is
    /// not stored as such.
    fn vector<'a>(&'a self, place: u32, room: &'a mut Vec<f32>) -> Result<(&'a [f32], f32)>;
    /// The row of the segment that it is of.
    fn row(&self, place: u32) -> u32;
}

/// How near two vectors are, each with what it is scaled with: larger for the nearer, under every
/// metric. Values are bounded, so that it is finite.
pub(crate) fn score<'a>(
    metric: Metric,
    (a, a_scale): (&[f32], f32),
    (b, b_scale): (impl Into<Values<'a>>, f32),
) -> f32 {
    let b = b.into();
    let compared = match metric {
        Metric::Cosine | Metric::Dot => values::dot(a, b),
        Metric::Euclidean => values::squared_l2(a, b),
        Metric::Manhattan => values::l1(a, b),
    };
    score_of(metric, compared, a_scale, b_scale)
}

/// What a dot product, a squared distance or a sum of differences is worth.
fn score_of(metric: Metric, compared: f32, a_scale: f32, b_scale: f32) -> f32 {
    match metric {
        Metric::Cosine => (compared * a_scale * b_scale).clamp(-1.0, 1.0),
        Metric::Dot => compared,
        Metric::Euclidean => -compared.sqrt(),
        Metric::Manhattan => -compared,
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
        let too_short = check_vector("v", &Vector::new(3, Metric::Dot), &[1.0]);
        let error = too_short.unwrap_err();
        assert!(
            error.to_string().contains("found 1 dimensions; expected 3"),
            "{error}"
        );
    }

    #[test]
    fn what_is_kept_in_16_bits_is_rounded_or_refused() {
        let vector = |metric| Vector::new(2, metric).datatype(Datatype::Float16);
        for (metric, values, expected) in [
            (
                Metric::Dot,
                [0.1, -65_504.0],
                Ok([0.099_975_586, -65_504.0]),
            ),
            (Metric::Dot, [2e-8, 4e-8], Ok([0.0, 5.960_464_5e-8])),
            (Metric::Cosine, [2e-8, 4e-8], Ok([0.0, 5.960_464_5e-8])),
            (Metric::Cosine, [2e-8, 1e-8], Err("rounded to 16 bits")),
            (
                Metric::Dot,
                [0.0, -65_504.004],
                Err("dimension 1 is -65504.004"),
            ),
            (Metric::Dot, [65_519.0, 0.0], Err("of at most 65504.0")),
            (
                Metric::Euclidean,
                [f32::NAN, 0.0],
                Err("dimension 0 is NaN"),
            ),
        ] {
            let mut found = values;
            match accept_vector("v", &vector(metric), &mut found) {
                Ok(()) => assert_eq!(Ok(found), expected, "{values:?} under {metric:?}"),
                Err(error) => assert!(
                    expected.is_err_and(|what| error.to_string().contains(what)),
                    "{values:?} under {metric:?}: {error}"
                ),
            }
            // What is searched for is not stored.
            let is_finite = values.iter().all(|value| value.is_finite());
            assert_eq!(
                check_vector("v", &vector(metric), &values).is_ok(),
                is_finite
            );
        }
    }

    #[test]
    fn scores_do_not_depend_on_how_numbers_are_stored() {
        let query: Vec<f32> = (0..37).map(|n| (n as f32 * 0.37).sin()).collect();
        let mut values: Vec<f32> = (0..37).map(|n| (n as f32 * 0.11).cos()).collect();
        values::round(&mut values, Datatype::Float16);
        let halves = OwnedValues::new(values.clone(), Datatype::Float16);
        assert_eq!(halves.view().to_vec(), values);
        for metric in fixture::METRICS {
            let scale = scale(&values, metric);
            let in_floats = score(metric, (&query, 0.5), (&values[..], scale));
            let in_halves = score(metric, (&query, 0.5), (halves.view(), scale));
            assert_eq!(in_floats.to_bits(), in_halves.to_bits(), "{metric:?}");
        }
    }
}
