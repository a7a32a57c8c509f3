//! Weights as the values of postings: the bits of a number of 16 bits (IEEE 754 binary16); and what
//! bounds those of a block: the least and the largest of them.

use crate::{kernel::from_half, postings::Bound};

/// The weight that a value stands for.
#[inline(always)]
pub(super) fn weight(value: u32) -> f32 {
    from_half(value as u16)
}

/// A number that orders halves as what they stand for.
#[inline]
fn key(half: u16) -> u16 {
    match half & 0x8000 {
        0 => half | 0x8000,
        _ => !half,
    }
}

/// The half that has this key.
fn of_key(key: u16) -> u16 {
    match key & 0x8000 {
        0 => !key,
        _ => key & 0x7fff,
    }
}

/// What weights lie between, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    low: u16,
    high: u16,
}

impl Span {
    /// That of values, of which there is one at least.
    pub(super) fn of(values: &[u32]) -> Self {
        let mut span = Self {
            low: u16::MAX,
            high: 0,
        };
        for value in values {
            let key = key(*value as u16);
            span.low = span.low.min(key);
            span.high = span.high.max(key);
        }
        span
    }

    pub(super) fn joined(self, other: Self) -> Self {
        Self {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
        }
    }

    pub(super) fn of_bound(bound: Bound) -> Self {
        let half = |at: usize| key(u16::from_le_bytes([bound[at], bound[at + 1]]));
        Self {
            low: half(0),
            high: half(2),
        }
    }

    pub(super) fn bound(self) -> Bound {
        let mut bound = Bound::default();
        bound[..2].copy_from_slice(&of_key(self.low).to_le_bytes());
        bound[2..4].copy_from_slice(&of_key(self.high).to_le_bytes());
        bound
    }

    /// The least and the largest weight.
    pub(super) fn weights(self) -> (f32, f32) {
        (from_half(of_key(self.low)), from_half(of_key(self.high)))
    }

    pub(super) fn covers(self, value: u32) -> bool {
        (self.low..=self.high).contains(&key(value as u16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_weights() {
        let finite = |half: &u16| half & 0x7fff < 0x7c00;
        let mut halves: Vec<u16> = (0..=u16::MAX).filter(finite).collect();
        assert!(halves.iter().all(|half| of_key(key(*half)) == *half));
        halves.sort_unstable_by_key(|half| key(*half));
        assert!(halves.is_sorted_by(|a, b| from_half(*a) <= from_half(*b)));
        let span = Span::of(&[0x3c00, 0xbc00, 0x0001]);
        assert_eq!(span.weights(), (-1.0, 1.0));
        assert_eq!(Span::of_bound(span.bound()), span);
        let wider = span.joined(Span::of(&[0xc000]));
        assert_eq!(wider.weights(), (-2.0, 1.0));
        assert!(wider.covers(0xc000) && !span.covers(0xc000));
    }
}
