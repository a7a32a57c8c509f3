//! The terms of a part in memory, numbered as they come.
//!
//! All bytes of all terms lie in one arena, and a table of their numbers finds them by their hash, so
//! that a term costs its bytes and sixteen more.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use std::hash::{BuildHasher, Hasher, RandomState};

/// No term.
const FREE: u32 = u32::MAX;

#[derive(Debug)]
pub(super) struct Terms {
    /// Drawn at random, so that nobody can choose terms that meet in one place.
    seed: u64,
    arena: Vec<u8>,
    /// For each term the lower half of its hash, and where it ends in the arena.
    hashes: Vec<u32>,
    ends: Vec<u32>,
    /// A power of two of places, at most three quarters of which are taken.
    slots: Vec<u32>,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            seed: RandomState::new().build_hasher().finish(),
            arena: Vec::new(),
            hashes: Vec::new(),
            ends: Vec::new(),
            slots: vec![FREE; 64],
        }
    }
}

impl Terms {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let numbers = self.hashes.capacity() + self.ends.capacity() + self.slots.capacity();
        self.arena.capacity() + 4 * numbers
    }

    pub(super) fn term(&self, number: u32) -> &[u8] {
        let end = |number: usize| self.ends.get(number).map_or(0, |end| *end as usize);
        let start = (number as usize).checked_sub(1).map_or(0, end);
        self.arena.get(start..end(number as usize)).unwrap_or(&[])
    }

    pub(super) fn find(&self, term: &[u8]) -> Option<u32> {
        let number = self.slots[self.slot(term, self.hash(term))];
        (number != FREE).then_some(number)
    }

    /// The number of a term, and a new one if it has none. `None` when the arena is full, at 4 GiB.
    pub(super) fn enter(&mut self, term: &[u8]) -> Option<u32> {
        let hash = self.hash(term);
        let slot = self.slot(term, hash);
        if self.slots[slot] != FREE {
            return Some(self.slots[slot]);
        }
        let end = u32::try_from(self.arena.len() + term.len()).ok()?;
        let number = self.ends.len() as u32;
        self.arena.extend_from_slice(term);
        self.ends.push(end);
        self.hashes.push(hash as u32);
        self.slots[slot] = number;
        if self.len() * 4 > self.slots.len() * 3 {
            self.grow();
        }
        Some(number)
    }

    fn hash(&self, term: &[u8]) -> u64 {
        xxh3_64_with_seed(term, self.seed)
    }

    /// Where a term is in the table, or would be.
    fn slot(&self, term: &[u8], hash: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash as u32 as usize & mask;
        loop {
            let number = self.slots[slot];
            if number == FREE
                || self.hashes[number as usize] == hash as u32 && self.term(number) == term
            {
                return slot;
            }
            slot = (slot + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let mask = self.slots.len() * 2 - 1;
        let mut slots = vec![FREE; mask + 1];
        for (number, hash) in (0..).zip(&self.hashes) {
            let mut slot = *hash as usize & mask;
            while slots[slot] != FREE {
                slot = (slot + 1) & mask;
            }
            slots[slot] = number;
        }
        self.slots = slots;
    }
}
