//! What is kept of a sparse vector, and what that says.

use crate::{
    error::{Error, Result},
    kernel,
    schema::{Datatype, quoted},
    sparse_vector::{Halves, SparseVector, is_weight},
};

/// What is kept of `vector` as the sparse vector `name`: its weights rounded to 16 bits, without those
/// that this makes zero.
///
/// # Errors
/// `InvalidInput` when a weight is larger than any number of 16 bits.
pub(crate) fn accept(name: &str, vector: &SparseVector) -> Result<Halves> {
    let most = Datatype::Float16.max_magnitude();
    let is_larger = |(_, weight): &(u32, f32)| weight.abs() > most;
    if let Some((dimension, weight)) = vector.iter().find(is_larger) {
        return Err(Error::invalid(format!(
            "sparse vector {}: the weight of dimension {dimension} is {weight}; expected at most {most:?} \
             in magnitude, what 16 bits hold",
            quoted(name)
        )));
    }
    let mut halves = vec![0; vector.len()];
    kernel::to_halves(vector.weights(), &mut halves);
    let entries = vector.dimensions().iter().copied().zip(halves);
    let (dimensions, halves) = entries.filter(|(_, half)| is_weight(*half)).unzip();
    Halves::new(dimensions, halves)
        .ok_or_else(|| Error::invalid(format!("sparse vector {} is none", quoted(name))))
}

/// The same vector, exactly.
pub(crate) fn widened(halves: &Halves) -> SparseVector {
    let mut weights = vec![0.0; halves.weights().len()];
    kernel::from_halves(halves.weights(), &mut weights);
    SparseVector::of_sound(halves.dimensions().to_vec(), weights)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_rounded_to_16_bits_or_refused() {
        let kept = |weight: f32| -> Result<Vec<(u32, f32)>> {
            let vector = SparseVector::new([(3, weight), (9, 1.0)])?;
            Ok(widened(&accept("v", &vector)?).iter().collect())
        };
        for (weight, expected) in [
            (0.1, Some(0.099_975_586)),
            (-65_504.0, Some(-65_504.0)),
            (4e-8, Some(5.960_464_5e-8)),
            (2e-8, None),
        ] {
            let expected = expected.map(|weight| (3, weight)).into_iter();
            let expected: Vec<_> = expected.chain([(9, 1.0)]).collect();
            assert_eq!(kept(weight).unwrap(), expected);
        }
        for weight in [65_504.004, -1e16] {
            let error = kept(weight).unwrap_err().to_string();
            assert!(
                error.contains("\"v\"") && error.contains("dimension 3"),
                "{error}"
            );
        }
    }

    #[test]
    fn rounding_is_off_by_what_is_documented() {
        let mut weight = 6.2e-5f32;
        while weight < 65_504.0 {
            let vector = SparseVector::new([(0, weight)]).unwrap();
            let kept = widened(&accept("v", &vector).unwrap()).weights()[0];
            let off = (f64::from(kept) - f64::from(weight)).abs();
            assert!(off <= f64::from(weight) / 2048.0, "{weight} became {kept}");
            weight *= 1.000_37;
        }
    }
}
