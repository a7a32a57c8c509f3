//! Distances between vectors: numbers in, a number out.
//!
//! The portable form, written so that the compiler makes vector instructions of it: sixteen
//! independent sums hide the latency of an addition. Lengths are equal by contract; these
//! functions check nothing and never allocate.

/// Independent partial sums: four registers of four, or two of eight.
const LANES: usize = 16;

/// The sum over all dimensions of `a * b`.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |sum, x, y| sum + x * y)
}

/// The sum over all dimensions of the squared differences.
pub(crate) fn squared_l2(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |sum, x, y| sum + (x - y) * (x - y))
}

/// The sum over all dimensions of the absolute differences.
pub(crate) fn l1(a: &[f32], b: &[f32]) -> f32 {
    fold(a, b, |sum, x, y| sum + (x - y).abs())
}

/// The Euclidean length, scaled so that no square overflows or vanishes.
pub(crate) fn norm(a: &[f32]) -> f32 {
    let square = |x: f32| f64::from(x) * f64::from(x);
    let (blocks, rest) = a.as_chunks::<LANES>();
    let mut sums = [0.0f64; LANES];
    for block in blocks {
        for lane in 0..LANES {
            sums[lane] += square(block[lane]);
        }
    }
    let rest: f64 = rest.iter().map(|x| square(*x)).sum();
    (sums.iter().sum::<f64>() + rest).sqrt() as f32
}

#[inline(always)]
fn fold(a: &[f32], b: &[f32], step: impl Fn(f32, f32, f32) -> f32) -> f32 {
    debug_assert_eq!(a.len(), b.len(), "vectors of one length");
    let (blocks_a, rest_a) = a.as_chunks::<LANES>();
    let (blocks_b, rest_b) = b.as_chunks::<LANES>();
    let mut sums = [0.0f32; LANES];
    for (block_a, block_b) in blocks_a.iter().zip(blocks_b) {
        for lane in 0..LANES {
            sums[lane] = step(sums[lane], block_a[lane], block_b[lane]);
        }
    }
    let rest = rest_a
        .iter()
        .zip(rest_b)
        .fold(0.0, |sum, (x, y)| step(sum, *x, *y));
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reference(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
        a.iter()
            .zip(b)
            .map(|(x, y)| term(f64::from(*x), f64::from(*y)))
            .sum()
    }

    fn pair() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        (0usize..100).prop_flat_map(|len| {
            let values = || prop::collection::vec(-10.0f32..10.0, len);
            (values(), values())
        })
    }

    proptest! {
        #[test]
        fn every_length_agrees_with_the_sum_in_double_precision((a, b) in pair()) {
            let bound = |exact: f64, size: f64| (exact.abs() + size + 1.0) * 1e-5;
            let size = reference(&a, &b, |x, y| (x.abs() + y.abs()) * (x.abs() + y.abs()));
            for (fast, exact) in [
                (dot(&a, &b), reference(&a, &b, |x, y| x * y)),
                (squared_l2(&a, &b), reference(&a, &b, |x, y| (x - y) * (x - y))),
                (l1(&a, &b), reference(&a, &b, |x, y| (x - y).abs())),
                (norm(&a), reference(&a, &a, |x, y| x * y).sqrt()),
            ] {
                prop_assert!((f64::from(fast) - exact).abs() <= bound(exact, size));
            }
        }
    }

    #[test]
    fn a_norm_neither_overflows_nor_vanishes() {
        assert!(norm(&[f32::MAX / 2.0, 0.0]).is_finite());
        assert!(norm(&[f32::MIN_POSITIVE, 0.0]) > 0.0);
    }
}
