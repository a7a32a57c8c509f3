//! Reads all of an index in a file, and whether it says the same everywhere.

use super::{Index, Section, Statistics, Stored, bounds::covers, lengths::encode};
use crate::{
    cancel::Cancel,
    codec::DecodeError,
    error::Result,
    postings::{BLOCK, Cursor, END, List, Source},
};

impl<S: Source<Section>> Stored<S> {
    /// Reads everything. Checksums were compared before.
    ///
    /// # Errors
    /// What is wrong first, or `Cancelled`.
    pub(crate) fn verify(&self, cancel: &Cancel) -> Result<()> {
        let header = *self.header();
        let mut check = Check {
            codes: self
                .source()
                .bytes(Section::Lengths, 0, header.rows as usize)?,
            has_positions: header.has_positions,
            lens: vec![0; header.rows as usize],
            gaps: Vec::new(),
            cancel,
        };
        let (mut last, mut postings, mut positions) = (Vec::new(), 0, 0);
        for block in 0..header.blocks() {
            let mut terms = self.block(block)?;
            while self.next(&mut terms)? {
                let entry = terms.entry();
                let follows = (last.is_empty() || terms.term() > &last[..])
                    && entry.postings.start == postings
                    && entry.positions.start == positions;
                let flaw = DecodeError("the terms of a dictionary do not follow each other");
                self.sound(Section::Dictionary, 0, follows.then_some(()).ok_or(flaw))?;
                (postings, positions) = (entry.postings.end, entry.positions.end);
                let list = self.list_of(entry, true)?;
                let place = list.place();
                self.sound(Section::Postings, place, check.list(list))??;
                if self.count(terms.term())? != entry.count {
                    let flaw = DecodeError("a term is not found where its dictionary has it");
                    return Err(self.source().corrupted(Section::Dictionary, 0, flaw));
                }
                last = terms.term().to_vec();
            }
        }
        let statistics = Statistics {
            rows: check.lens.iter().filter(|len| **len > 0).count() as u64,
            tokens: check.lens.iter().map(|len| u64::from(*len)).sum(),
        };
        let agrees = statistics == header.statistics
            && (postings, positions) == (header.postings, header.positions)
            && check
                .lens
                .iter()
                .zip(check.codes)
                .all(|(len, code)| encode(*len) == *code);
        let flaw = DecodeError("the postings of a text index contradict its lengths");
        self.sound(Section::Lengths, 0, agrees.then_some(()).ok_or(flaw))
    }
}

struct Check<'a> {
    codes: &'a [u8],
    has_positions: bool,
    /// How many occurrences each row has so far.
    lens: Vec<u32>,
    gaps: Vec<u32>,
    cancel: &'a Cancel,
}

impl Check<'_> {
    fn list(&mut self, list: List<'_>) -> Result<Result<()>, DecodeError> {
        let all = list.bound();
        let full = list.full_blocks();
        let expected = list.count() as usize;
        let mut found = 0;
        let mut cursor = Cursor::new(list)?;
        while cursor.row() != END {
            if let Err(error) = self.cancel.check() {
                return Ok(Err(error));
            }
            let block = cursor.block();
            if self.has_positions {
                cursor.positions(&mut self.gaps)?;
            }
            let bounds = match block < full {
                true => [all, Some(cursor.list().skip(block)?.bound)],
                false => [None, None],
            };
            let (rows, values) = cursor.left()?;
            let mut gaps = &self.gaps[..];
            for (row, value) in rows.iter().zip(values) {
                let at = *row as usize;
                let (Some(code), Some(len)) = (self.codes.get(at), self.lens.get_mut(at)) else {
                    return Err(DecodeError("a posting list has a row that is none"));
                };
                *len = value.saturating_add(1).saturating_add(*len);
                if !bounds
                    .iter()
                    .flatten()
                    .all(|bound| covers(*bound, *value, *code))
                {
                    return Err(DecodeError("a posting is worth more than its bound says"));
                }
                if self.has_positions {
                    let none = DecodeError("a posting has fewer positions than occurrences");
                    let (own, rest) = gaps.split_at_checked(*value as usize + 1).ok_or(none)?;
                    let end = own.iter().map(|gap| u64::from(*gap)).sum::<u64>();
                    if own[1..].contains(&0) || end > u32::MAX.into() {
                        return Err(DecodeError("the positions of a row do not ascend"));
                    }
                    gaps = rest;
                }
            }
            let count = rows.len();
            found += count;
            debug_assert!(count <= BLOCK, "a block at a time");
            cursor.skip(count)?;
        }
        if found != expected {
            return Err(DecodeError("a posting list is shorter than its count says"));
        }
        Ok(Ok(()))
    }
}
