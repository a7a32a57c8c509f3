//! An index in memory: appended to by one thread, read by any number.
//!
//! Of each dimension the postings of full blocks are packed as in a file, shared with those who read
//! them and copied when they are written on meanwhile; what is left is a few bytes that are copied for each
//! reader. A reader holds the lock for as long as it takes to find a dimension and copy these; the writer for as long
//! as it takes to enter one row.

use super::{Index, list::push_block};
use crate::{
    cancel::Cancel,
    codec::{DecodeError, Decoded},
    error::{Error, Result},
    postings::{BLOCK, Blocks, Cursor, List, put_rest_entry, take_rest},
    sparse_vector::Halves,
};
use std::{
    collections::{HashMap, hash_map},
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

/// What a dimension takes in the table beside its own bytes, about.
const ENTRY_BYTES: usize = 2 * (size_of::<Entry>() + 8);

/// The writer's side.
#[derive(Debug, Default)]
pub(super) struct Memory {
    lists: Arc<RwLock<Lists>>,
    /// The rows that have the vector.
    filled: Vec<u32>,
    bytes: usize,
}

/// The reader's side: the rows below a number.
#[derive(Clone, Debug)]
pub(crate) struct View {
    lists: Arc<RwLock<Lists>>,
    rows: u32,
    filled: u64,
}

/// By dimension.
#[derive(Debug, Default)]
struct Lists(HashMap<u32, Entry>);

/// What is known of one dimension.
#[derive(Debug, Default)]
struct Entry {
    count: u32,
    /// The last row, if there is one.
    last: u32,
    /// Most dimensions have none.
    blocks: Option<Arc<Blocks>>,
    rest: Vec<u8>,
}

impl Memory {
    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.filled.capacity() * size_of::<u32>()
    }

    /// Adds the vector of a row above all that were added.
    pub(super) fn add(&mut self, row: u32, vector: &Halves) -> Result<()> {
        let late = self.filled.last().is_some_and(|last| *last >= row);
        if late || row == u32::MAX {
            return Err(Error::invalid(format!(
                "row {row} of a sparse vector comes too late"
            )));
        }
        let mut lists = self.lists.write().unwrap_or_else(PoisonError::into_inner);
        for (dimension, weight) in vector.dimensions().iter().zip(vector.weights()) {
            let entry = match lists.0.entry(*dimension) {
                hash_map::Entry::Occupied(entry) => entry.into_mut(),
                hash_map::Entry::Vacant(entry) => {
                    self.bytes += ENTRY_BYTES;
                    entry.insert(Entry::default())
                }
            };
            let before = entry.bytes();
            entry
                .append(row, (*weight).into())
                .map_err(|flaw| Error::corrupted("memory", 0, flaw))?;
            self.bytes += entry.bytes().saturating_sub(before);
        }
        self.filled.push(row);
        Ok(())
    }

    /// What was added, in a part that has so many rows.
    pub(super) fn view(&self, rows: u32) -> View {
        View {
            lists: Arc::clone(&self.lists),
            rows,
            filled: self.filled.partition_point(|row| *row < rows) as u64,
        }
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        self.rest.capacity() + self.blocks.as_ref().map_or(0, |blocks| blocks.heap_bytes())
    }

    fn append(&mut self, row: u32, value: u32) -> Decoded<()> {
        let last = (self.count > 0).then_some(self.last);
        put_rest_entry(&mut self.rest, last, row, value);
        self.last = row;
        self.count += 1;
        if !(self.count as usize).is_multiple_of(BLOCK) {
            return Ok(());
        }
        let blocks = Arc::make_mut(self.blocks.get_or_insert_default());
        let (mut rows, mut values) = ([0; BLOCK], [0; BLOCK]);
        take_rest(&self.rest, blocks.last(), BLOCK, &mut rows, &mut values)?;
        push_block(blocks, &rows, &values)?;
        self.rest.clear();
        Ok(())
    }
}

impl View {
    fn lists(&self) -> RwLockReadGuard<'_, Lists> {
        self.lists.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A list, and whether all of it is seen.
    fn shared(&self, dimension: u32) -> Option<(List<'_>, bool)> {
        let lists = self.lists();
        let entry = lists.0.get(&dimension)?;
        let list = List::shared(
            entry.blocks.clone().unwrap_or_default(),
            (entry.rest[..].into(), Box::default()),
            entry.count,
            self.rows,
            false,
        );
        Some((list, entry.last < self.rows))
    }
}

impl Index for View {
    fn rows(&self) -> u32 {
        self.rows
    }

    fn filled(&self) -> u64 {
        self.filled
    }

    fn count(&self, dimension: u32) -> Result<u32> {
        match self.shared(dimension) {
            None => Ok(0),
            Some((list, true)) => Ok(list.count()),
            Some((list, false)) => Cursor::seen(list).map_err(|flaw| self.flaw(0, flaw)),
        }
    }

    fn list(&self, dimension: u32) -> Result<Option<List<'_>>> {
        Ok(self.shared(dimension).map(|(list, _)| list))
    }

    fn dimensions(&self, cancel: &Cancel) -> Result<Vec<u32>> {
        let mut dimensions: Vec<u32> = self.lists().0.keys().copied().collect();
        cancel.check()?;
        dimensions.sort_unstable();
        Ok(dimensions)
    }

    fn flaw(&self, _: usize, flaw: DecodeError) -> Error {
        Error::corrupted("memory", 0, flaw)
    }
}
