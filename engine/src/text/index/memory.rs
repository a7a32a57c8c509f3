//! An index in memory: appended to by one thread, read by any number.
//!
//! Of each term the postings of full blocks are packed as in a file, shared with those who read
//! them and copied when they are written on meanwhile; what is left is a few bytes that are copied for each
//! reader. A reader holds the lock for as long as it takes to find a term and copy these, or to look at a
//! thousand terms; the writer for as long as it takes to enter one row. Listing terms passes over
//! all of them, in the order in which they came, and sorts what matches.

use super::{
    Index, MAX_TERM, Matched, Matches, Pattern, Statistics,
    lengths::{Lengths, SHARED_PAGE, encode},
    list::push_block,
    terms::Terms,
};
use crate::{
    cancel::Cancel,
    codec::{DecodeError, Decoded, Decoder, put_varint},
    error::{Error, Result},
    postings::{BLOCK, Blocks, Cursor, List, put_rest_entry, take_rest},
};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// Terms that are looked at under one lock.
const TERMS_AT_ONCE: usize = 1_024;

/// The writer's side.
#[derive(Debug)]
pub(crate) struct Memory {
    lists: Arc<RwLock<Lists>>,
    has_positions: bool,
    /// For each row that has a token, with those before it.
    history: Vec<(u32, Statistics)>,
    /// Of the row that is being added: each token's term and position.
    tokens: Vec<u64>,
    bytes: usize,
}

/// The reader's side: the rows below a number.
#[derive(Clone, Debug)]
pub(crate) struct View {
    lists: Arc<RwLock<Lists>>,
    has_positions: bool,
    rows: u32,
    statistics: Statistics,
}

#[derive(Debug, Default)]
struct Lists {
    terms: Terms,
    /// For each term.
    entries: Vec<Entry>,
    /// Codes of the lengths of rows: full pages, and the one that is being filled.
    pages: Arc<Vec<Arc<[u8]>>>,
    page: Vec<u8>,
}

/// What is known of one term.
#[derive(Debug, Default)]
struct Entry {
    count: u32,
    /// The last row, if there is one.
    last: u32,
    blocks: Arc<Blocks>,
    rest: Vec<u8>,
    rest_positions: Vec<u8>,
}

impl Memory {
    pub(crate) fn new(has_positions: bool) -> Self {
        Self {
            lists: Arc::default(),
            has_positions,
            history: Vec::new(),
            tokens: Vec::new(),
            bytes: 0,
        }
    }

    /// About how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds the tokens of a row above all that were added: each a term of 1 to 255 bytes, and its
    /// position. Positions are in no order; a term counts once at each.
    ///
    /// # Errors
    /// `InvalidInput` when a term is too long, or the row not above the last. Nothing was added then.
    pub(crate) fn add<T: AsRef<[u8]>>(
        &mut self,
        row: u32,
        tokens: impl IntoIterator<Item = (T, u32)>,
    ) -> Result<()> {
        let mut lists = self.lists.write().unwrap_or_else(PoisonError::into_inner);
        if lists.next_row() > row as usize || row == u32::MAX {
            return Err(Error::invalid(format!(
                "row {row} of a text comes too late"
            )));
        }
        let before = lists.heap_bytes();
        self.tokens.clear();
        for (term, position) in tokens {
            let term = term.as_ref();
            if term.is_empty() || term.len() > MAX_TERM {
                let len = term.len();
                return Err(Error::invalid(format!(
                    "a term has {len} bytes; expected 1 to {MAX_TERM}"
                )));
            }
            let number = lists.terms.enter(term);
            let number =
                number.ok_or_else(|| Error::invalid("the terms of a part exceed 4 GiB"))?;
            self.tokens
                .push(u64::from(number) << 32 | u64::from(position));
        }
        // By term, then by position.
        self.tokens.sort_unstable();
        self.tokens.dedup();
        let len = u32::try_from(self.tokens.len()).unwrap_or(u32::MAX);
        lists.set_length(row, encode(len));
        let terms = lists.terms.len();
        lists.entries.resize_with(terms, Entry::default);
        for occurrences in self.tokens.chunk_by(|a, b| a >> 32 == b >> 32) {
            let grown = lists
                .append(row, occurrences, self.has_positions)
                .map_err(|flaw| Error::corrupted("memory", 0, flaw))?;
            self.bytes += grown;
        }
        // What grew beside the entries' own bytes. Nothing of it ever shrinks.
        self.bytes += lists.heap_bytes() - before;
        if len > 0 {
            let mut all = self.history.last().map(|(_, all)| *all).unwrap_or_default();
            all += Statistics {
                rows: 1,
                tokens: len.into(),
            };
            self.history.push((row, all));
            self.bytes += size_of::<(u32, Statistics)>();
        }
        Ok(())
    }

    /// What the first `rows` add up to.
    fn statistics(&self, rows: u32) -> Statistics {
        let seen = self.history.partition_point(|(row, _)| *row < rows);
        let last = seen.checked_sub(1).and_then(|last| self.history.get(last));
        last.map(|(_, all)| *all).unwrap_or_default()
    }

    /// What was added, in a part that has so many rows.
    pub(crate) fn view(&self, rows: u32) -> View {
        View {
            lists: Arc::clone(&self.lists),
            has_positions: self.has_positions,
            rows,
            statistics: self.statistics(rows),
        }
    }
}

impl Lists {
    fn next_row(&self) -> usize {
        self.pages.len() * SHARED_PAGE + self.page.len()
    }

    /// Beside what entries point to.
    fn heap_bytes(&self) -> usize {
        let entries = self.entries.capacity() * size_of::<Entry>();
        self.terms.heap_bytes() + entries + self.next_row()
    }

    fn set_length(&mut self, row: u32, code: u8) {
        while self.next_row() < row as usize {
            self.push_length(0);
        }
        self.push_length(code);
    }

    fn push_length(&mut self, code: u8) {
        self.page.push(code);
        if self.page.len() == SHARED_PAGE {
            // Queries share the list of pages until one is added.
            Arc::make_mut(&mut self.pages).push(self.page.as_slice().into());
            self.page.clear();
        }
    }

    /// Appends a posting of one term, and gives how many bytes it took.
    fn append(&mut self, row: u32, occurrences: &[u64], has_positions: bool) -> Decoded<usize> {
        let term = occurrences.first().map_or(0, |token| token >> 32);
        let Some(entry) = self.entries.get_mut(term as usize) else {
            return Ok(0);
        };
        let bytes = |entry: &Entry| {
            entry.rest.capacity() + entry.rest_positions.capacity() + entry.blocks.heap_bytes()
        };
        let before = bytes(entry);
        let last = (entry.count > 0).then_some(entry.last);
        put_rest_entry(&mut entry.rest, last, row, occurrences.len() as u32 - 1);
        if has_positions {
            let mut last = 0;
            for token in occurrences {
                let position = *token as u32;
                put_varint(&mut entry.rest_positions, u64::from(position - last));
                last = position;
            }
        }
        entry.last = row;
        entry.count += 1;
        if (entry.count as usize).is_multiple_of(BLOCK) {
            let (pages, page) = (&self.pages, &self.page);
            entry.pack(has_positions, |row| {
                let (number, at) = (row as usize / SHARED_PAGE, row as usize % SHARED_PAGE);
                let page = pages.get(number).map_or(&page[..], |page| page);
                page.get(at).copied().unwrap_or(0)
            })?;
        }
        Ok(bytes(entry).saturating_sub(before))
    }
}

impl Entry {
    /// Makes a block of the rest.
    fn pack(&mut self, has_positions: bool, code: impl Fn(u32) -> u8) -> Decoded<()> {
        let (mut rows, mut values) = ([0; BLOCK], [0; BLOCK]);
        take_rest(
            &self.rest,
            self.blocks.last(),
            BLOCK,
            &mut rows,
            &mut values,
        )?;
        let mut gaps = Vec::new();
        let mut numbers = Decoder::new(&self.rest_positions);
        while !numbers.is_empty() {
            gaps.push(numbers.varint_u32()?);
        }
        let gaps = has_positions.then_some(&gaps[..]);
        push_block(Arc::make_mut(&mut self.blocks), &rows, &values, gaps, code)?;
        self.rest.clear();
        self.rest_positions.clear();
        Ok(())
    }
}

impl View {
    fn lists(&self) -> RwLockReadGuard<'_, Lists> {
        self.lists.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn shared(&self, term: &[u8], positions: bool) -> Option<(List<'_>, bool)> {
        let lists = self.lists();
        let entry = lists.entries.get(lists.terms.find(term)? as usize)?;
        if entry.count == 0 {
            return None;
        }
        let rest_positions = if positions {
            &entry.rest_positions[..]
        } else {
            &[]
        };
        let list = List::shared(
            Arc::clone(&entry.blocks),
            (entry.rest[..].into(), rest_positions.into()),
            entry.count,
            self.rows,
            self.has_positions,
        );
        Some((list, entry.last < self.rows))
    }
}

impl Index for View {
    fn rows(&self) -> u32 {
        self.rows
    }

    fn statistics(&self) -> Statistics {
        self.statistics
    }

    fn has_positions(&self) -> bool {
        self.has_positions
    }

    fn count(&self, term: &[u8]) -> Result<u32> {
        match self.shared(term, false) {
            None => Ok(0),
            Some((list, true)) => Ok(list.count()),
            Some((list, false)) => Cursor::seen(list).map_err(|flaw| self.flaw(0, flaw)),
        }
    }

    fn list(&self, term: &[u8], positions: bool) -> Result<Option<List<'_>>> {
        Ok(self.shared(term, positions).map(|(list, _)| list))
    }

    fn lengths(&self) -> Lengths<'_> {
        let lists = self.lists();
        Lengths::Shared(Arc::clone(&lists.pages), lists.page[..].into())
    }

    fn terms<'a>(&'a self, pattern: &'a Pattern, cancel: &'a Cancel) -> Result<Matches<'a>> {
        let mut found = Vec::new();
        let all = self.lists().entries.len();
        for first in (0..all).step_by(TERMS_AT_ONCE) {
            cancel.check()?;
            let lists = self.lists();
            for number in first..all.min(first + TERMS_AT_ONCE) {
                let term = lists.terms.term(number as u32);
                if let Some(distance) = pattern.distance(term) {
                    found.push((term.to_vec(), distance));
                }
            }
        }
        found.sort_unstable();
        Ok(Box::new(found.into_iter().filter_map(
            |(term, distance)| match self.count(&term) {
                Ok(0) => None,
                counted => Some(counted.map(|count| Matched {
                    term,
                    count,
                    distance,
                })),
            },
        )))
    }

    fn flaw(&self, _: usize, flaw: DecodeError) -> Error {
        Error::corrupted("memory", 0, flaw)
    }
}
