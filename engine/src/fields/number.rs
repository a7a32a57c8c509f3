//! The order of JSON numbers, exact also among integers that no float can hold.

use serde_json::Number;

/// A number as what it is worth: 1 and 1.0 have one key, and so have zeros of either sign.
///
/// The nearest float, as an integer of the same order, and what an integer exceeds it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(super) float: u64,
    pub(super) rest: i16,
}

impl Key {
    pub(crate) fn of(number: &Number) -> Self {
        // Adding zero takes the sign from a negative one.
        let float = number.as_f64().unwrap_or(0.0) + 0.0;
        // Integers have at most 65 bits, floats next to them 53: they lie within 1,024.
        let rest = number.as_i128().map_or(0, |exact| exact - float as i128);
        Self {
            float: ordered(float),
            rest: rest as i16,
        }
    }
}

impl Key {
    /// The number that this is the key of; of equal ones a whole one.
    pub(crate) fn number(self) -> Number {
        let float = self.float();
        let whole = (float.fract() == 0.0).then(|| float as i128 + i128::from(self.rest));
        let whole = whole.and_then(|whole| {
            let negative = || i64::try_from(whole).ok().map(Number::from);
            u64::try_from(whole)
                .ok()
                .map(Number::from)
                .or_else(negative)
        });
        // One that is no number comes from no value.
        whole.unwrap_or_else(|| Number::from_f64(float).unwrap_or_else(|| 0.into()))
    }

    /// The nearest float.
    pub(super) fn float(self) -> f64 {
        f64::from_bits(match self.float & SIGN {
            0 => !self.float,
            _ => self.float ^ SIGN,
        })
    }

    /// The microseconds that it was made from.
    pub(super) fn micros(self) -> i64 {
        (self.float ^ SIGN) as i64
    }
}

/// A time in microseconds.
impl From<i64> for Key {
    fn from(micros: i64) -> Self {
        Self {
            float: (micros as u64) ^ SIGN,
            rest: 0,
        }
    }
}

impl From<bool> for Key {
    fn from(value: bool) -> Self {
        Self {
            float: u64::from(value),
            rest: 0,
        }
    }
}

const SIGN: u64 = 1 << 63;

/// Integers that are ordered as the floats are.
fn ordered(float: f64) -> u64 {
    let bits = float.to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use std::cmp::Ordering;

    fn compare(a: Value, b: Value) -> Ordering {
        let key = |value: &Value| Key::of(value.as_number().unwrap());
        key(&a).cmp(&key(&b))
    }

    #[test]
    fn a_key_tells_its_number() {
        for number in [
            json!(0),
            json!(-1),
            json!(u64::MAX),
            json!(u64::MAX - 1),
            json!(i64::MIN),
            json!(i64::MIN + 1),
            json!((1i64 << 53) + 1),
            json!(0.5),
            json!(-2.75),
            json!(1e300),
            json!(f64::MIN_POSITIVE),
        ] {
            let number = number.as_number().unwrap();
            assert_eq!(Key::of(number).number(), *number);
        }
        for (float, whole) in [
            (json!(-0.0), json!(0)),
            (json!(3.0), json!(3)),
            (json!(1e18), json!(10u64.pow(18))),
        ] {
            let key = Key::of(float.as_number().unwrap());
            assert_eq!(Value::Number(key.number()), whole);
        }
    }

    #[test]
    fn numbers_that_floats_cannot_hold_are_told_apart() {
        let big = (1i64 << 53) + 1;
        assert!(compare(json!(big), json!(9007199254740992.0)).is_gt());
        assert!(compare(json!(9007199254740992.0), json!(big)).is_lt());
        assert!(compare(json!(i64::MIN), json!(-1e300)).is_gt());
        assert!(compare(json!(i64::MIN), json!(i64::MIN as f64)).is_eq());
        assert!(compare(json!(-1), json!(-1.5)).is_gt());
        assert!(compare(json!(0), json!(-0.0)).is_eq());
        assert!(compare(json!(0.0), json!(-0.0)).is_eq());
        assert!(compare(json!(5e-324), json!(0)).is_gt());
        assert!(compare(json!(u64::MAX), json!(-1)).is_gt());
        assert!(compare(json!(u64::MAX), json!(u64::MAX as f64)).is_lt());
        assert!(compare(json!(u64::MAX), json!(u64::MAX - 1)).is_gt());
        assert!(compare(json!(f64::MAX), json!(u64::MAX)).is_gt());
    }

    proptest! {
        #[test]
        fn integers_are_ordered(a: i64, b: u64, c: i64, near in -3i64..=3) {
            prop_assert_eq!(compare(json!(a), json!(b)), i128::from(a).cmp(&i128::from(b)));
            prop_assert_eq!(compare(json!(a), json!(c)), a.cmp(&c));
            let d = a.saturating_add(near);
            prop_assert_eq!(compare(json!(a), json!(d)), a.cmp(&d));
            let e = b.saturating_add_signed(near);
            prop_assert_eq!(compare(json!(b), json!(e)), b.cmp(&e));
        }

        #[test]
        fn floats_are_ordered(a: f64, b: f64) {
            if let (Some(_), Some(order)) = (Number::from_f64(a), a.partial_cmp(&b)) && b.is_finite() {
                prop_assert_eq!(compare(json!(a), json!(b)), order);
            }
        }

        /// By what is known of the integers next to a float.
        #[test]
        fn integers_and_floats_are_ordered(a: i64, b in -1.2e19f64..2e19) {
            let expected = match i128::from(a).cmp(&(b.floor() as i128)) {
                Ordering::Equal if b.fract() != 0.0 => Ordering::Less,
                order => order,
            };
            prop_assert_eq!(compare(json!(a), json!(b)), expected);
        }
    }
}
