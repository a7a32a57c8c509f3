//! An index in a file, read in place.
//!
//! Opening it reads its header. Looking a term up reads some keys and one block of the dictionary, and
//! then nothing but the term's own lists.

use super::{
    Index, Lengths, Matched, Matches, Pattern, Section, Statistics,
    dictionary::{Entry, HEADER, Header, KEY, Terms, key},
    pattern::Walk,
};
use crate::{
    cancel::Cancel,
    codec::{DecodeError, Decoded},
    error::{Error, Result},
    postings::{List, Source},
};
use std::cmp::Ordering;

/// An index in a file of sections.
#[derive(Debug)]
pub(crate) struct Stored<S> {
    source: S,
    header: Header,
}

impl<S: Source<Section>> Stored<S> {
    /// An index of a part that has so many rows.
    pub(crate) fn open(source: S, rows: u32) -> Result<Self> {
        let bytes = source.bytes(Section::Dictionary, 0, HEADER)?;
        let flaw = |flaw| source.corrupted(Section::Dictionary, 0, flaw);
        let header = Header::decode(bytes).map_err(flaw)?;
        let keys = (header.blocks() * KEY) as u64;
        let expected = [
            (
                Section::Dictionary,
                keys.checked_add(HEADER as u64 + header.blocks),
            ),
            (Section::Postings, Some(header.postings)),
            (Section::Positions, Some(header.positions)),
            (Section::Lengths, Some(header.rows.into())),
        ];
        let fits = |(section, len)| len == Some(source.len(section) as u64);
        if header.rows != rows
            || header.blocks > u64::from(u32::MAX)
            || !expected.into_iter().all(fits)
        {
            return Err(flaw(DecodeError(
                "a text index is not as long as its header says",
            )));
        }
        Ok(Self { source, header })
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    pub(super) fn source(&self) -> &S {
        &self.source
    }

    pub(super) fn sound<T>(&self, section: Section, at: usize, found: Decoded<T>) -> Result<T> {
        found.map_err(|flaw| self.source.corrupted(section, at, flaw))
    }

    /// The key of a block, and where the block starts.
    fn key(&self, block: usize) -> Result<([u8; 8], usize)> {
        let at = HEADER + block * KEY;
        let bytes = self.source.bytes(Section::Dictionary, at, KEY)?;
        let split = bytes.split_first_chunk::<8>();
        let found = split.and_then(|(key, start)| Some((*key, start.try_into().ok()?)));
        let (key, start) = self.sound(
            Section::Dictionary,
            at,
            found.ok_or(DecodeError("a key is missing")),
        )?;
        Ok((key, u32::from_le_bytes(start) as usize))
    }

    /// The terms of a block.
    pub(super) fn block(&self, block: usize) -> Result<Terms<'_>> {
        let blocks = self.header.blocks();
        let start = self.key(block)?.1;
        let end = match block + 1 < blocks {
            true => self.key(block + 1)?.1,
            false => self.header.blocks as usize,
        };
        let first = HEADER + blocks * KEY;
        let len = end.checked_sub(start);
        let len = len.ok_or(DecodeError("the blocks of a dictionary do not ascend"));
        let len = self.sound(Section::Dictionary, first, len)?;
        let bytes = self.source.bytes(Section::Dictionary, first + start, len)?;
        let terms = Terms::new(
            bytes,
            self.header.terms_in(block),
            self.header.has_positions,
        );
        self.sound(Section::Dictionary, first + start, terms)
    }

    /// How the first term of a block compares with this one.
    fn compare(&self, block: usize, term: &[u8]) -> Result<Ordering> {
        match self.key(block)?.0.cmp(&key(term)) {
            Ordering::Equal => {
                let mut terms = self.block(block)?;
                self.next(&mut terms)?;
                Ok(terms.term().cmp(term))
            }
            order => Ok(order),
        }
    }

    /// The first block, from `block` on, that begins above `term`.
    fn block_above(&self, block: usize, term: &[u8]) -> Result<usize> {
        let (mut low, mut high) = (block, self.header.blocks());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.compare(middle, term)?.is_gt() {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(low)
    }

    pub(super) fn next(&self, terms: &mut Terms<'_>) -> Result<bool> {
        self.sound(Section::Dictionary, 0, terms.next())
    }

    fn find(&self, term: &[u8]) -> Result<Option<Entry>> {
        let Some(block) = self.block_above(0, term)?.checked_sub(1) else {
            return Ok(None);
        };
        let mut terms = self.block(block)?;
        while self.next(&mut terms)? {
            match terms.term().cmp(term) {
                Ordering::Less => {}
                Ordering::Equal => return Ok(Some(terms.entry().clone())),
                Ordering::Greater => break,
            }
        }
        Ok(None)
    }

    pub(super) fn list_of(&self, entry: &Entry, positions: bool) -> Result<List<'_>> {
        // Lengths that no memory has are refused by the source.
        let bytes = |section, range: &std::ops::Range<u64>| {
            let start = usize::try_from(range.start).unwrap_or(usize::MAX);
            let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
            Ok::<_, Error>((start, self.source.bytes(section, start, len)?))
        };
        let postings = bytes(Section::Postings, &entry.postings)?;
        let positions: &[u8] = match positions && self.header.has_positions {
            true => bytes(Section::Positions, &entry.positions)?.1,
            false => &[],
        };
        let Header {
            rows,
            has_positions,
            ..
        } = self.header;
        let list = List::stored(postings, positions, entry.count, rows, has_positions);
        self.sound(Section::Postings, postings.0, list)
    }
}

impl<S: Source<Section>> Index for Stored<S> {
    fn rows(&self) -> u32 {
        self.header.rows
    }

    fn statistics(&self) -> Statistics {
        self.header.statistics
    }

    fn has_positions(&self) -> bool {
        self.header.has_positions
    }

    fn count(&self, term: &[u8]) -> Result<u32> {
        Ok(self.find(term)?.map_or(0, |entry| entry.count))
    }

    fn list(&self, term: &[u8], positions: bool) -> Result<Option<List<'_>>> {
        let found = self.find(term)?;
        found
            .map(|entry| self.list_of(&entry, positions))
            .transpose()
    }

    fn lengths(&self) -> Lengths<'_> {
        Lengths::Stored(&self.source, self.header.rows)
    }

    fn terms<'a>(&'a self, pattern: &'a Pattern, cancel: &'a Cancel) -> Result<Matches<'a>> {
        // The block before the first that begins above may hold the first that match.
        let block = self.block_above(0, pattern.start())?.saturating_sub(1);
        Ok(Box::new(Listing {
            index: self,
            pattern,
            cancel,
            walk: Walk::new(pattern),
            block,
            terms: None,
            is_over: false,
        }))
    }

    fn flaw(&self, place: usize, flaw: DecodeError) -> Error {
        self.source.corrupted(Section::Postings, place, flaw)
    }
}

/// Goes through the terms that match.
struct Listing<'a, S> {
    index: &'a Stored<S>,
    pattern: &'a Pattern,
    cancel: &'a Cancel,
    walk: Walk<'a>,
    /// The block that is read next, and what is left of the one before.
    block: usize,
    terms: Option<Terms<'a>>,
    is_over: bool,
}

impl<S: Source<Section>> Listing<'_, S> {
    fn advance(&mut self) -> Result<Option<Matched>> {
        loop {
            let Some(terms) = &mut self.terms else {
                if !self.next_block()? {
                    return Ok(None);
                }
                continue;
            };
            if !self.index.next(terms)? {
                self.terms = None;
                continue;
            }
            let term = terms.term();
            if !self.pattern.begins(term) {
                if term > self.pattern.start() {
                    return Ok(None);
                }
                continue;
            }
            if let Some(distance) = self.walk.go(term, terms.shared()) {
                return Ok(Some(Matched {
                    term: term.to_vec(),
                    count: terms.entry().count,
                    distance,
                }));
            }
            if let Some(dead) = self.walk.dead() {
                let dead = term[..dead].to_vec();
                self.skip(&dead)?;
            }
        }
    }

    /// Opens the next block, if there is one.
    fn next_block(&mut self) -> Result<bool> {
        if self.block >= self.index.header.blocks() {
            return Ok(false);
        }
        self.cancel.check()?;
        self.terms = Some(self.index.block(self.block)?);
        self.block += 1;
        Ok(true)
    }

    /// Passes over the blocks of which all terms begin with `dead`.
    fn skip(&mut self, dead: &[u8]) -> Result<()> {
        let blocks = self.index.header.blocks();
        let begins = key(dead);
        let len = dead.len().min(8);
        // A look at the next block tells in most cases that there is nothing to pass over.
        if dead.len() > 8
            || self.block >= blocks
            || self.index.key(self.block)?.0[..len] != begins[..len]
        {
            return Ok(());
        }
        let Some(last) = dead.iter().rposition(|byte| *byte < u8::MAX) else {
            return Ok(());
        };
        let mut above = dead[..=last].to_vec();
        above[last] += 1;
        // The last block that begins below what follows the dead may end with that.
        let block = self.index.block_above(self.block, &above)?;
        self.block = block.saturating_sub(1).max(self.block);
        self.terms = None;
        Ok(())
    }
}

impl<S: Source<Section>> Iterator for Listing<'_, S> {
    type Item = Result<Matched>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let found = self.advance().transpose();
        self.is_over = !matches!(found, Some(Ok(_)));
        found
    }
}
