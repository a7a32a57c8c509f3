//! A vector of which almost all numbers are zero: the others, each with its dimension.
//!
//! Made by the caller, and sound from then on: dimensions ascend and weights are finite. What is
//! kept of one that is written has its weights in 16 bits; rounding is the work of `sparse`.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// A vector of which almost all numbers are zero: its other numbers, the weights, each with its
/// dimension. What SPLADE and other learned models make of a text, or what BM25 and tf-idf do.
///
/// Dimensions are any numbers of 32 bits; nothing says how many there are. Weights may be negative. A weight
/// of zero says what a missing dimension says, and is dropped.
///
/// In a point weights are kept in 16 bits (IEEE 754 binary16): each is rounded to the nearest of these numbers when
/// it is written, which changes it by at most 2^-11 of itself from 0.00006 on. Smaller ones lose more, and below
/// 0.00000003 they become zero and are dropped; ones above 65,504 are refused. The weights of a query are not rounded.
///
/// ```
/// use amphora::SparseVector;
///
/// let vector = SparseVector::new([(70_123, 0.5), (7, 1.25), (9, 0.0)])?;
/// assert_eq!(vector.iter().collect::<Vec<_>>(), [(7, 1.25), (70_123, 0.5)]);
/// assert!(SparseVector::new([(7, 1.25), (7, 0.5)]).is_err());
/// # Ok::<_, amphora::Error>(())
/// ```
///
/// As JSON: `{ "indices": [7, 70123], "values": [1.25, 0.5] }`, read in any order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written")]
pub struct SparseVector {
    #[serde(rename = "indices")]
    dimensions: Vec<u32>,
    #[serde(rename = "values")]
    weights: Vec<f32>,
}

/// A [`SparseVector`] as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    indices: Vec<u32>,
    values: Vec<f32>,
}

impl TryFrom<Written> for SparseVector {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        Self::from_parts(&written.indices, &written.values)
    }
}

impl SparseVector {
    /// The most entries of a vector, those of weight zero counted.
    pub const MAX_ENTRIES: usize = 65_536;
    /// The largest absolute value of a weight: with it, no score can overflow. Weights in points are
    /// bounded by their 16 bits.
    pub const MAX_WEIGHT: f32 = 1e16;

    /// A vector of these dimensions, in any order, each with its weight.
    ///
    /// # Errors
    /// `InvalidInput` when a dimension comes twice, a weight is no finite number of at most
    /// [`MAX_WEIGHT`](Self::MAX_WEIGHT), or there are more than [`MAX_ENTRIES`](Self::MAX_ENTRIES).
    pub fn new(entries: impl IntoIterator<Item = (u32, f32)>) -> Result<Self> {
        // One too many is enough to be refused.
        let entries = entries.into_iter().take(Self::MAX_ENTRIES + 1);
        let mut entries: Vec<(u32, f32)> = entries.collect();
        check_count(entries.len())?;
        entries.sort_unstable_by_key(|(dimension, _)| *dimension);
        if let Some([(twice, _), _]) = entries.array_windows().find(|[a, b]| a.0 == b.0) {
            return Err(wrong(format_args!("dimension {twice} is given twice")));
        }
        // Also found by this are weights that are no numbers.
        let is_bounded = |weight: f32| weight.abs() <= Self::MAX_WEIGHT;
        if let Some((dimension, weight)) = entries.iter().find(|(_, weight)| !is_bounded(*weight)) {
            return Err(wrong(format_args!(
                "the weight of dimension {dimension} is {weight}; expected a finite number of at most {:e}",
                Self::MAX_WEIGHT
            )));
        }
        entries.retain(|(_, weight)| *weight != 0.0);
        let (dimensions, weights) = entries.into_iter().unzip();
        Ok(Self {
            dimensions,
            weights,
        })
    }

    /// A vector of dimensions, in any order, and their weights, as models give them: the first weight is
    /// that of the first dimension.
    ///
    /// # Errors
    /// As [`new`](Self::new), and when there are not as many weights as dimensions.
    pub fn from_parts(dimensions: &[u32], weights: &[f32]) -> Result<Self> {
        if dimensions.len() != weights.len() {
            let (dimensions, weights) = (dimensions.len(), weights.len());
            return Err(wrong(format_args!(
                "it has {dimensions} dimensions and {weights} weights; expected as many"
            )));
        }
        Self::new(dimensions.iter().copied().zip(weights.iter().copied()))
    }

    /// How many weights are not zero.
    #[must_use]
    pub fn len(&self) -> usize {
        self.dimensions.len()
    }

    /// Whether all weights are zero. A point with such a vector has one, and is found by none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dimensions.is_empty()
    }

    /// The dimensions whose weights are not zero, ascending.
    #[must_use]
    pub fn dimensions(&self) -> &[u32] {
        &self.dimensions
    }

    /// The weights of these dimensions, in their order.
    #[must_use]
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// The dimensions with their weights, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u32, f32)> {
        let weights = self.weights.iter().copied();
        self.dimensions.iter().copied().zip(weights)
    }

    /// Of dimensions that ascend and weights that are sound, as many.
    pub(crate) fn of_sound(dimensions: Vec<u32>, weights: Vec<f32>) -> Self {
        debug_assert!(dimensions.is_sorted_by(|a, b| a < b), "they ascend");
        Self {
            dimensions,
            weights,
        }
    }
}

fn check_count(count: usize) -> Result<()> {
    if count <= SparseVector::MAX_ENTRIES {
        return Ok(());
    }
    Err(wrong(format_args!(
        "it has more than {} entries",
        SparseVector::MAX_ENTRIES
    )))
}

fn wrong(what: std::fmt::Arguments<'_>) -> Error {
    Error::invalid(format!("a sparse vector: {what}"))
}

/// A sparse vector as it is kept: its dimensions, which ascend, and as many weights in 16 bits, none of
/// which is zero, infinite or no number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Halves {
    dimensions: Box<[u32]>,
    weights: Box<[u16]>,
}

impl Halves {
    /// The bytes of an entry.
    pub(crate) const ENTRY: usize = 6;

    /// `None` if these are not what they must be.
    pub(crate) fn new(dimensions: Vec<u32>, weights: Vec<u16>) -> Option<Self> {
        let is_sound = dimensions.len() == weights.len()
            && dimensions.len() <= SparseVector::MAX_ENTRIES
            && dimensions.is_sorted_by(|a, b| a < b)
            && weights.iter().all(|weight| is_weight(*weight));
        is_sound.then(|| Self {
            dimensions: dimensions.into(),
            weights: weights.into(),
        })
    }

    /// The dimensions, ascending.
    pub(crate) fn dimensions(&self) -> &[u32] {
        &self.dimensions
    }

    /// Their weights, by their bits.
    pub(crate) fn weights(&self) -> &[u16] {
        &self.weights
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.dimensions.len() * Self::ENTRY
    }
}

/// Whether it is a finite number of 16 bits, and not zero.
pub(crate) fn is_weight(half: u16) -> bool {
    (1..0x7c00).contains(&(half & 0x7fff))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_sparse_vector_is_refused() {
        let new = |entries: &[(u32, f32)]| SparseVector::new(entries.iter().copied());
        for (entries, expected) in [
            (
                &[(7, 1.0), (3, 2.0), (7, 0.0)][..],
                "dimension 7 is given twice",
            ),
            (&[(7, f32::NAN)], "dimension 7 is NaN"),
            (&[(0, f32::NEG_INFINITY)], "dimension 0 is -inf"),
            (&[(1, 1.0), (2, -1.1e16)], "at most 1e16"),
        ] {
            let error = new(entries).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(
            new(&[(u32::MAX, 1e16), (5, -0.0), (0, -2.0)])
                .unwrap()
                .iter()
                .collect::<Vec<_>>(),
            [(0, -2.0), (u32::MAX, 1e16)]
        );
        assert!(new(&[]).unwrap().is_empty());
        let most = SparseVector::MAX_ENTRIES as u32;
        assert!(SparseVector::new((0..most).map(|n| (n, 1.0))).is_ok());
        // It need not end.
        let error = SparseVector::new((0..).map(|n| (n, 0.0))).unwrap_err();
        assert!(error.to_string().contains("65536 entries"), "{error}");
        let error = SparseVector::from_parts(&[1, 2], &[1.0]).unwrap_err();
        assert!(error.to_string().contains("2 dimensions and 1 weights"));
        assert_eq!(
            SparseVector::from_parts(&[2, 1], &[1.0, 3.0]).unwrap(),
            new(&[(1, 3.0), (2, 1.0)]).unwrap()
        );
    }

    #[test]
    fn what_is_kept_is_sound() {
        let sound = |dimensions: &[u32], weights: &[u16]| {
            Halves::new(dimensions.to_vec(), weights.to_vec()).is_some()
        };
        assert!(sound(&[], &[]) && sound(&[0, u32::MAX], &[1, 0xfbff]));
        for weight in [0, 0x8000, 0x7c00, 0xfc00, 0x7e00] {
            assert!(!sound(&[0], &[weight]), "{weight:x}");
        }
        assert!(!sound(&[1, 1], &[1, 1]) && !sound(&[2, 1], &[1, 1]) && !sound(&[1], &[]));
    }
}
