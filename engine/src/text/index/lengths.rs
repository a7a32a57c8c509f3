//! The length of a row in tokens, as one byte.
//!
//! Lucene's `SmallFloat.intToByte4`: exact below 40, from there on the four highest bits, rounded
//! down. Rows in memory and in files are rounded alike, so that they are scored alike.

use super::Section;
use crate::{error::Result, postings::Source};
use std::sync::Arc;

/// Codes that stand for themselves before the floats begin.
const EXACT: u32 = 24;
/// Lengths that are looked at together.
pub(super) const PAGE: usize = 16 << 10;
/// As many in memory, where the last page is copied for each query.
pub(super) const SHARED_PAGE: usize = 1 << 10;

/// The code of a length. It is never above that of a longer one.
pub(in crate::text) fn encode(len: u32) -> u8 {
    let Some(above) = len.checked_sub(EXACT) else {
        return len as u8;
    };
    let bits = u32::BITS - above.leading_zeros();
    let float = match bits {
        0..4 => above,
        _ => {
            let shift = bits - 4;
            (above >> shift) & 7 | (shift + 1) << 3
        }
    };
    // Lengths above 2^31 would need more.
    (EXACT + float).min(255) as u8
}

/// The length that a code stands for.
pub(in crate::text) fn decode(code: u8) -> u32 {
    let Some(float) = u32::from(code).checked_sub(EXACT) else {
        return u32::from(code);
    };
    let (bits, exponent) = (float & 7, float >> 3);
    EXACT
        + match exponent {
            0 => bits,
            _ => (bits | 8) << (exponent - 1),
        }
}

/// The codes of all rows of a part, to be looked at for one query.
pub(crate) enum Lengths<'a> {
    /// In a file, with the number of rows.
    Stored(&'a dyn Source<Section>, u32),
    /// Full pages in memory, and a copy of the last one.
    Shared(Arc<Vec<Arc<[u8]>>>, Box<[u8]>),
}

/// The codes of the rows from `start` on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Page<'a> {
    pub(super) start: u32,
    pub(super) codes: &'a [u8],
}

impl Lengths<'_> {
    /// The codes around a row; none of them may be its own if there is no such row.
    pub(in crate::text) fn page(&self, row: u32) -> Result<Page<'_>> {
        let page = |start: usize, codes| Page {
            start: start as u32,
            codes,
        };
        match self {
            Self::Stored(source, rows) => {
                let start = row as usize / PAGE * PAGE;
                let len = PAGE.min((*rows as usize).saturating_sub(start));
                let codes = source.bytes(Section::Lengths, start.min(*rows as usize), len)?;
                Ok(page(start, codes))
            }
            Self::Shared(full, last) => {
                let number = row as usize / SHARED_PAGE;
                let codes = full.get(number).map_or(&last[..], |page| page);
                Ok(page(number.min(full.len()) * SHARED_PAGE, codes))
            }
        }
    }

    /// The code of a row; zero where there is none.
    #[cfg(test)]
    pub(in crate::text) fn code(&self, row: u32) -> Result<u8> {
        Ok(self.page(row)?.code(row).unwrap_or(0))
    }
}

impl Page<'_> {
    #[inline]
    pub(in crate::text) fn code(&self, row: u32) -> Option<u8> {
        self.codes
            .get(row.wrapping_sub(self.start) as usize)
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_exact_below_40_and_rounded_down_to_their_highest_bits() {
        for len in 0..40 {
            assert_eq!((decode(encode(len)), u32::from(encode(len))), (len, len));
        }
        // Lucene's `SmallFloat.byte4ToInt(intToByte4(len))`.
        for (len, kept) in [(40, 40), (41, 40), (57, 56), (100, 96), (1_000, 984)] {
            assert_eq!(decode(encode(len)), kept, "{len}");
        }
        assert_eq!((encode(i32::MAX as u32), encode(u32::MAX)), (255, 255));
        let codes: Vec<u8> = (0..100_000).map(encode).collect();
        assert!(codes.is_sorted());
        assert!((0..=255).all(|code| encode(decode(code)) == code));
    }
}
