//! Sums of products, rounded once: the f32 that is nearest to what the sum is exactly.
//!
//! A product of a query's weight, an f32, and a row's, which has 16 bits, is exact in an f64. Their sum is
//! computed in f64 as it comes, in any order. What that may be off by is known; where both ends of what the sum
//! may be are rounded to the same f32, that is the score. Only where they are not, as a rule less than once in
//! a hundred thousand rows, is the sum computed exactly. So no score depends on the order of a sum.

/// What a sum of `count` products of at most `most` together in magnitude may be off by.
pub(super) fn off_by(count: usize, most: f64) -> f64 {
    // (n - 1) 2^-53 of the sum of magnitudes, in any order (Higham, Accuracy and Stability of Numerical
    // Algorithms, 2002, section 4.2), and as much again for the rounding of what is done with it.
    (count + 1) as f64 * f64::EPSILON * most
}

/// The nearest f32 to a sum that is off by `off` at most, if that leaves no doubt.
#[inline]
pub(super) fn rounded(sum: f64, off: f64) -> Option<f32> {
    let (low, high) = ((sum - off) as f32, (sum + off) as f32);
    // A zero has no sign.
    (low.to_bits() == high.to_bits()).then_some(low + 0.0)
}

/// The nearest f32 to the exact sum of finite numbers.
///
/// By partial sums that do not overlap (Shewchuk, Adaptive Precision Floating-Point Arithmetic, 1997).
pub(super) fn exact(products: impl IntoIterator<Item = f64>) -> f32 {
    // Ascending in magnitude; none has a bit in the place of another's.
    let mut partials: Vec<f64> = Vec::new();
    for mut sum in products {
        let mut kept = 0;
        for at in 0..partials.len() {
            let (high, low) = two_sum(sum, partials[at]);
            if low != 0.0 {
                partials[kept] = low;
                kept += 1;
            }
            sum = high;
        }
        partials.truncate(kept);
        partials.push(sum);
    }
    let mut high = partials.pop().unwrap_or(0.0);
    while let Some(next) = partials.pop() {
        let (sum, low) = two_sum(high, next);
        high = sum;
        if low != 0.0 {
            // What is left is less than this. To the odd one of the two neighbors, so that rounding
            // that to fewer bits is as rounding the sum itself.
            if high.to_bits() & 1 == 0 {
                high = if low > 0.0 {
                    high.next_up()
                } else {
                    high.next_down()
                };
            }
            break;
        }
    }
    high as f32 + 0.0
}

/// A sum, and what it is off by (Knuth).
#[inline]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    let a_part = sum - b_part;
    (sum, (a - a_part) + (b - b_part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::from_half;
    use proptest::prelude::*;

    /// The exact sum as a whole number of 2^-174, in limbs of 32 bits, rounded by hand.
    fn by_limbs(products: &[(f32, u16)]) -> f32 {
        let mut limbs = [0i128; 12];
        for (weight, half) in products {
            // Whole numbers: of 2^-149 and of 2^-24.
            let bits = weight.to_bits();
            let (exponent, fraction) = (bits >> 23 & 0xff, bits & 0x7f_ffff);
            let (mut value, shift) = match exponent {
                0 => (i128::from(fraction), 0),
                _ => (i128::from(fraction | 0x80_0000), exponent - 1),
            };
            value *= (f64::from(from_half(*half)) * f64::from(1 << 24)) as i128;
            if bits >> 31 == 1 {
                value = -value;
            }
            // 24 and 41 bits, and up to 31 more.
            limbs[shift as usize / 32] += value << (shift % 32);
        }
        let mut carry = 0;
        for limb in &mut limbs {
            *limb += carry;
            carry = *limb >> 32;
            *limb &= 0xffff_ffff;
        }
        let negative = carry < 0;
        if negative {
            let mut carry = 1;
            for limb in &mut limbs {
                *limb = (!*limb & 0xffff_ffff) + carry;
                carry = *limb >> 32;
                *limb &= 0xffff_ffff;
            }
        }
        let bit = |at: usize| limbs[at / 32] >> (at % 32) & 1 == 1;
        let Some(top) = (0..12 * 32).rev().find(|at| bit(*at)) else {
            return 0.0;
        };
        // The last bit that an f32 of this size has: 2^-149 is bit 24.
        let last = (top.max(23) - 23).max(24);
        let whole: u64 = (last..=top)
            .rev()
            .fold(0, |whole, at| whole << 1 | u64::from(bit(at)));
        let (half, rest) = (bit(last - 1), (0..last - 1).any(bit));
        let whole = whole + u64::from(half && (rest || whole & 1 == 1));
        let value = (whole as f64 * (last as f64 - 173.0).exp2()) as f32;
        if negative && value != 0.0 {
            -value
        } else {
            value
        }
    }

    fn any_weight() -> impl Strategy<Value = f32> {
        prop_oneof![
            -4.0f32..4.0,
            (-8i8..8).prop_map(f32::from),
            (-1e16f32..1e16),
            (0u32..0x5a00_0000, any::<bool>()).prop_map(|(bits, negative)| {
                let weight = f32::from_bits(bits);
                if negative { -weight } else { weight }
            }),
        ]
    }

    fn any_half() -> impl Strategy<Value = u16> {
        prop_oneof![
            0x3000u16..0x4400,
            0u16..0x7c00,
            0x8000u16..0xfc00,
            Just(0x3c00)
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn sums_are_rounded_once(mut entries in prop::collection::vec((any_weight(), any_half()), 0..40), turn: usize) {
            let products = |entries: &[(f32, u16)]| -> Vec<f64> {
                let product = |(a, b): &(f32, u16)| f64::from(*a) * f64::from(from_half(*b));
                entries.iter().map(product).collect()
            };
            let expected = by_limbs(&entries);
            prop_assert_eq!(exact(products(&entries)).to_bits(), expected.to_bits());
            if !entries.is_empty() {
                let len = entries.len();
                entries.rotate_left(turn % len);
            }
            prop_assert_eq!(exact(products(&entries)).to_bits(), expected.to_bits());
            let all = products(&entries);
            let off = off_by(all.len(), all.iter().map(|product| product.abs()).sum());
            if let Some(found) = rounded(all.iter().sum(), off) {
                prop_assert_eq!(found.to_bits(), expected.to_bits());
            }
        }
    }

    #[test]
    fn what_cancels_and_what_lies_between() {
        assert_eq!(exact([]).to_bits(), 0);
        assert_eq!(exact([1e20, 1.0, -1e20]), 1.0);
        assert_eq!(exact([-0.0, 0.0]).to_bits(), 0);
        let tie = 1.0 + f64::from(f32::EPSILON) / 2.0;
        assert_eq!(exact([tie]), 1.0);
        // Far below the last bit of an f64.
        assert_eq!(exact([tie, 1e-40]), 1.0f32.next_up());
        assert_eq!(exact([1e-40, tie]), 1.0f32.next_up());
        assert_eq!(exact([tie, -1e-40]), 1.0);
        assert_eq!(rounded(tie, 1e-12), None);
        assert_eq!(rounded(1.0, 1e-12), Some(1.0));
        assert_eq!(rounded(0.0, 1e-12), None);
    }
}
