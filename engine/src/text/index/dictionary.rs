//! The terms of an index in a file, ascending, and where their postings are.
//!
//! ```text
//! header  rows u32, flags u32 (1: positions), terms u32, zero u32, rows with a token u64, tokens u64,
//!         length of postings u64, length of positions u64, length of blocks u64, zero u64
//! keys    for each block its first term's first 8 bytes, zeros where it has fewer; where the block
//!         starts in blocks u32
//! blocks  for every 32 terms: where their lists start in postings and in positions, varints, then for
//!         each term: how many bytes it shares with the one before, how many follow, varints; these
//!         bytes; rows, length of its list, and if there are positions length of these, varints
//! ```
//!
//! The lists lie one behind the other in the order of terms. The first term of a block shares nothing.

use super::{MAX_TERM, Statistics};
use crate::codec::{DecodeError, Decoded, Decoder, put_u32, put_u64, put_varint};
use std::ops::Range;

/// Terms of a block.
pub(super) const TERMS: usize = 32;
pub(super) const HEADER: usize = 64;
pub(super) const KEY: usize = 12;
const POSITIONS: u32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) rows: u32,
    pub(super) has_positions: bool,
    pub(super) terms: u32,
    pub(super) statistics: Statistics,
    pub(super) postings: u64,
    pub(super) positions: u64,
    pub(super) blocks: u64,
}

impl Header {
    fn encode(self, out: &mut Vec<u8>) {
        put_u32(out, self.rows);
        put_u32(out, if self.has_positions { POSITIONS } else { 0 });
        put_u32(out, self.terms);
        put_u32(out, 0);
        let Statistics { rows, tokens } = self.statistics;
        for number in [rows, tokens, self.postings, self.positions, self.blocks, 0] {
            put_u64(out, number);
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Decoded<Self> {
        let mut decoder = Decoder::new(bytes);
        let rows = decoder.u32()?;
        let flags = decoder.u32()?;
        let terms = decoder.u32()?;
        let zero = decoder.u32()?;
        let header = Self {
            rows,
            has_positions: flags & POSITIONS != 0,
            terms,
            statistics: Statistics {
                rows: decoder.u64()?,
                tokens: decoder.u64()?,
            },
            postings: decoder.u64()?,
            positions: decoder.u64()?,
            blocks: decoder.u64()?,
        };
        let is_sound = flags & !POSITIONS == 0
            && zero == 0
            && decoder.u64()? == 0
            && header.statistics.rows <= u64::from(rows)
            && header.statistics.rows <= header.statistics.tokens
            && (header.has_positions || header.positions == 0);
        if !is_sound {
            return Err(DecodeError("a text index cannot be as its header says"));
        }
        Ok(header)
    }

    /// Blocks of terms.
    pub(super) fn blocks(&self) -> usize {
        (self.terms as usize).div_ceil(TERMS)
    }

    /// Terms in the block of this number.
    pub(super) fn terms_in(&self, block: usize) -> usize {
        TERMS.min((self.terms as usize).saturating_sub(block.saturating_mul(TERMS)))
    }
}

/// Where the lists of a term are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// Rows that have the term.
    pub(super) count: u32,
    pub(super) postings: Range<u64>,
    pub(super) positions: Range<u64>,
}

/// Takes terms in ascending order.
#[derive(Debug, Default)]
pub(super) struct Writer {
    has_positions: bool,
    terms: u32,
    last: Vec<u8>,
    keys: Vec<u8>,
    blocks: Vec<u8>,
    postings: u64,
    positions: u64,
}

impl Writer {
    pub(super) fn new(has_positions: bool) -> Self {
        Self {
            has_positions,
            ..Self::default()
        }
    }

    /// Adds a term in so many rows, of which the lists end there.
    pub(super) fn add(
        &mut self,
        term: &[u8],
        count: u32,
        postings: u64,
        positions: u64,
    ) -> Decoded<()> {
        let full = DecodeError("a text index has too many terms");
        let mut shared = 0;
        if (self.terms as usize).is_multiple_of(TERMS) {
            let start = u32::try_from(self.blocks.len()).map_err(|_| full)?;
            self.keys.extend_from_slice(&key(term));
            self.keys.extend_from_slice(&start.to_le_bytes());
            put_varint(&mut self.blocks, self.postings);
            put_varint(&mut self.blocks, self.positions);
        } else {
            let same = self.last.iter().zip(term).take_while(|(a, b)| a == b);
            shared = same.count();
        }
        self.terms = self.terms.checked_add(1).ok_or(full)?;
        put_varint(&mut self.blocks, shared as u64);
        put_varint(&mut self.blocks, (term.len() - shared) as u64);
        self.blocks.extend_from_slice(&term[shared..]);
        put_varint(&mut self.blocks, count.into());
        put_varint(&mut self.blocks, postings - self.postings);
        if self.has_positions {
            put_varint(&mut self.blocks, positions - self.positions);
        }
        (self.postings, self.positions) = (postings, positions);
        self.last.clear();
        self.last.extend_from_slice(term);
        Ok(())
    }

    pub(super) fn finish(self, rows: u32, statistics: Statistics) -> Vec<u8> {
        let header = Header {
            rows,
            has_positions: self.has_positions,
            terms: self.terms,
            statistics,
            postings: self.postings,
            positions: self.positions,
            blocks: self.blocks.len() as u64,
        };
        let mut out = Vec::with_capacity(HEADER + self.keys.len() + self.blocks.len());
        header.encode(&mut out);
        out.extend_from_slice(&self.keys);
        out.extend_from_slice(&self.blocks);
        out
    }
}

/// The first bytes of a term, which are ordered as terms are where they differ.
pub(super) fn key(term: &[u8]) -> [u8; 8] {
    let mut key = [0; 8];
    let len = term.len().min(8);
    key[..len].copy_from_slice(&term[..len]);
    key
}

/// Reads the terms of one block.
#[derive(Clone, Debug)]
pub(super) struct Terms<'a> {
    numbers: Decoder<'a>,
    has_positions: bool,
    left: usize,
    /// The term that was read last, and how many bytes it had from the one before.
    len: usize,
    shared: usize,
    term: [u8; MAX_TERM],
    entry: Entry,
}

impl<'a> Terms<'a> {
    /// A block of `count` terms.
    pub(super) fn new(bytes: &'a [u8], count: usize, has_positions: bool) -> Decoded<Self> {
        let mut numbers = Decoder::new(bytes);
        let (postings, positions) = (numbers.varint()?, numbers.varint()?);
        Ok(Self {
            numbers,
            has_positions,
            left: count,
            len: 0,
            shared: 0,
            term: [0; MAX_TERM],
            entry: Entry {
                count: 0,
                postings: postings..postings,
                positions: positions..positions,
            },
        })
    }

    pub(super) fn term(&self) -> &[u8] {
        &self.term[..self.len]
    }

    pub(super) fn shared(&self) -> usize {
        self.shared
    }

    pub(super) fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Reads the next term, if there is one.
    pub(super) fn next(&mut self) -> Decoded<bool> {
        if self.left == 0 {
            return match self.numbers.is_empty() {
                true => Ok(false),
                false => Err(DecodeError(
                    "there are bytes behind the last term of a block",
                )),
            };
        }
        self.left -= 1;
        let shared = self.numbers.varint_u32()? as usize;
        let more = self.numbers.varint_u32()? as usize;
        let suffix = self.numbers.take(more)?;
        let rest = self.term.get_mut(shared..).unwrap_or_default();
        let place = rest
            .get_mut(..more)
            .filter(|_| shared <= self.len && more > 0);
        let place = place.ok_or(DecodeError("a term of a dictionary is empty or too long"))?;
        place.copy_from_slice(suffix);
        (self.shared, self.len) = (shared, shared + more);
        self.entry.count = self.numbers.varint_u32()?;
        let range = |start: u64, len: u64| {
            let end = start.checked_add(len);
            Ok(start..end.ok_or(DecodeError("a list is longer than a file can be"))?)
        };
        self.entry.postings = range(self.entry.postings.end, self.numbers.varint()?)?;
        if self.has_positions {
            self.entry.positions = range(self.entry.positions.end, self.numbers.varint()?)?;
        }
        if self.entry.count == 0 {
            return Err(DecodeError("a term of a dictionary is in no row"));
        }
        Ok(true)
    }
}
