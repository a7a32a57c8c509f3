//! The ids of a segment's rows, and the table that finds the row of an id.
//!
//! The table is open addressing over the file itself: nothing is loaded, and a lookup touches the
//! chunks of the slots that it probes and of the ids that it compares. It is hashed with the file
//! id as seed, so that nobody can choose ids that collide.

use super::{
    format::{Kind, Output, Sections},
    writer::Source,
};
use crate::{
    cancel::Cancel,
    codec::{
        Decoder,
        id::{RawId, put_id, with_id_bytes},
    },
    container::SectionId,
    error::{Error, Result},
    id::PointId,
};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
    sync::OnceLock,
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Where the ids of a segment are.
#[derive(Debug)]
pub(super) struct Ids {
    rows: u32,
    seed: u64,
    encoding: Encoding,
    table: SectionId,
    /// One less than the count of slots, which is a power of two.
    mask: u64,
    /// All rows by their ids, from when somebody asks for them: four bytes for each.
    sorted: OnceLock<Box<[u32]>>,
}

/// How many ids are sorted before it is asked whether to go on.
const RUN: usize = 4_096;

#[derive(Debug)]
enum Encoding {
    Numbers(SectionId),
    Mixed {
        offsets: SectionId,
        /// Whether offsets have 64 bits.
        wide: bool,
        bytes: SectionId,
    },
}

impl Ids {
    /// Finds the sections and checks their lengths; reads nothing of them.
    pub(super) fn open(sections: &Sections) -> Result<Self> {
        let rows = u64::from(sections.rows);
        let encoding = match sections.find(Kind::IdNumbers, 0) {
            Some(numbers) => {
                sections.expect_len(numbers, rows.checked_mul(8))?;
                Encoding::Numbers(numbers)
            }
            None => {
                let offsets = sections.need(Kind::IdOffsets, 0)?;
                let wide = sections.len(offsets) as u64 != (rows + 1) * 4;
                sections.expect_len(offsets, Some((rows + 1) * if wide { 8 } else { 4 }))?;
                Encoding::Mixed {
                    offsets,
                    wide,
                    bytes: sections.need(Kind::IdBytes, 0)?,
                }
            }
        };
        let table = sections.need(Kind::IdTable, 0)?;
        let slots = sections.len(table) as u64 / 8;
        if !slots.is_power_of_two() || slots <= rows {
            return Err(sections.corrupted(table, 0, "a table has the wrong count of slots"));
        }
        sections.expect_len(table, slots.checked_mul(8))?;
        Ok(Self {
            rows: sections.rows,
            seed: sections.file_id,
            encoding,
            table,
            mask: slots - 1,
            sorted: OnceLock::new(),
        })
    }

    /// The id of a row, which exists.
    pub(super) fn id(&self, sections: &Sections, row: u32) -> Result<PointId> {
        self.raw(sections, row).map(PointId::from)
    }

    /// All rows in the order of their ids. Sorts them when it is first called.
    pub(super) fn sorted(&self, sections: &Sections, cancel: &Cancel) -> Result<&[u32]> {
        if let Some(sorted) = self.sorted.get() {
            return Ok(sorted);
        }
        let mut ids = Vec::with_capacity(self.rows as usize);
        for row in 0..self.rows {
            cancel.check_at(row)?;
            ids.push((self.raw(sections, row)?, row));
        }
        let sorted = sorted(ids, cancel)?;
        // Who comes second has sorted in vain, and waited for nobody.
        Ok(self.sorted.get_or_init(|| sorted))
    }

    fn raw<'a>(&self, sections: &'a Sections, row: u32) -> Result<RawId<'a>> {
        let bytes = match self.encoding {
            Encoding::Numbers(numbers) => {
                return sections.value(numbers, row as usize).map(RawId::Number);
            }
            Encoding::Mixed { bytes, .. } => bytes,
        };
        let (start, encoded) = self.encoded(sections, row)?;
        let mut decoder = Decoder::new(encoded);
        match decoder.raw_id() {
            Ok(id) if decoder.is_empty() => Ok(id),
            _ => Err(sections.corrupted(bytes, start, "a point id cannot be read")),
        }
    }

    /// The row of an id.
    pub(super) fn find(&self, sections: &Sections, id: &PointId) -> Result<Option<u32>> {
        with_id_bytes(id, |bytes| {
            let hash = Hash::of(bytes, self.seed);
            for step in 0..=self.mask {
                let at = (hash.home.wrapping_add(step) & self.mask) as usize;
                let slot: u64 = sections.value(self.table, at)?;
                let Some((fingerprint, row)) = read_slot(slot) else {
                    return Ok(None);
                };
                if row >= self.rows {
                    return Err(sections.corrupted(self.table, at * 8, "a slot has no row"));
                }
                if fingerprint == hash.fingerprint && self.is(sections, row, id, bytes)? {
                    return Ok(Some(row));
                }
            }
            Err(sections.corrupted(self.table, 0, "a table has no empty slot"))
        })
    }

    /// Whether the row of an id is found by it.
    pub(super) fn verify(&self, sections: &Sections, row: u32) -> Result<()> {
        let found = self.find(sections, &self.id(sections, row)?)?;
        if found == Some(row) {
            return Ok(());
        }
        let message = format!("the id of row {row} is found at {found:?}");
        Err(sections.corrupted(self.table, 0, message))
    }

    fn is(&self, sections: &Sections, row: u32, id: &PointId, bytes: &[u8]) -> Result<bool> {
        match (&self.encoding, id) {
            (Encoding::Numbers(numbers), PointId::Number(number)) => {
                Ok(sections.value::<u64>(*numbers, row as usize)? == *number)
            }
            (Encoding::Numbers(_), _) => Ok(false),
            (Encoding::Mixed { .. }, _) => Ok(self.encoded(sections, row)?.1 == bytes),
        }
    }

    /// The bytes of a row's id, and where they start.
    fn encoded<'a>(&self, sections: &'a Sections, row: u32) -> Result<(usize, &'a [u8])> {
        let Encoding::Mixed {
            offsets,
            wide,
            bytes,
        } = self.encoding
        else {
            return Ok((0, &[]));
        };
        let offset = |index: usize| -> Result<usize> {
            let offset = if wide {
                sections.value::<u64>(offsets, index)?
            } else {
                u64::from(sections.value::<u32>(offsets, index)?)
            };
            usize::try_from(offset)
                .map_err(|_| sections.corrupted(offsets, index, "an offset is too large"))
        };
        let (start, end) = (offset(row as usize)?, offset(row as usize + 1)?);
        let Some(len) = end.checked_sub(start) else {
            return Err(sections.corrupted(bytes, start, "an id ends before it starts"));
        };
        Ok((start, sections.bytes(bytes, start, len)?))
    }
}

/// The rows in the order of their ids. It is sorted run by run, so that it can be given up in between.
fn sorted(mut ids: Vec<(RawId<'_>, u32)>, cancel: &Cancel) -> Result<Box<[u32]>> {
    for run in ids.chunks_mut(RUN) {
        cancel.check()?;
        run.sort_unstable();
    }
    let mut runs: Vec<_> = ids.chunks(RUN).map(<[_]>::iter).collect();
    let heads = runs.iter_mut().enumerate();
    let heads = heads.filter_map(|(run, ids)| Some(Reverse((*ids.next()?, run))));
    let mut heads: BinaryHeap<_> = heads.collect();
    let mut sorted = Vec::with_capacity(ids.len());
    while let Some(mut head) = heads.peek_mut() {
        cancel.check_at(sorted.len() as u32)?;
        let Reverse(((_, row), run)) = *head;
        sorted.push(row);
        match runs[run].next() {
            Some(next) => *head = Reverse((*next, run)),
            None => drop(PeekMut::pop(head)),
        }
    }
    Ok(sorted.into())
}

/// Where the search for an id starts, and what of its hash a slot repeats.
struct Hash {
    home: u64,
    fingerprint: u32,
}

impl Hash {
    fn of(id_bytes: &[u8], seed: u64) -> Self {
        let hash = xxh3_64_with_seed(id_bytes, seed);
        Self {
            home: hash,
            fingerprint: (hash >> 32) as u32,
        }
    }
}

/// A row is kept as one more, so that no slot in use is 0.
fn slot(fingerprint: u32, row: u32) -> u64 {
    u64::from(fingerprint) << 32 | (u64::from(row) + 1)
}

/// The fingerprint and the row, unless the slot is empty.
fn read_slot(slot: u64) -> Option<(u32, u32)> {
    let row = (slot as u32).checked_sub(1)?;
    Some(((slot >> 32) as u32, row))
}

/// At most 7 of 10 slots are in use, so that linear probing stays within a cache line or two.
fn slots_for(rows: u32) -> u64 {
    (u64::from(rows) * 10 / 7 + 1).next_power_of_two()
}

/// Writes the sections of ids.
pub(super) fn write_ids(output: &mut Output<'_>, source: &mut dyn Source) -> Result<()> {
    let mut only_numbers = true;
    for row in 0..source.rows() {
        output.check_at(row)?;
        only_numbers &= matches!(source.id(row)?, PointId::Number(_));
    }
    let mut table = Table {
        slots: vec![0; slots_for(source.rows()) as usize],
        seed: output.file_id,
    };
    if only_numbers {
        write_numbers(output, source, &mut table)?;
    } else {
        write_mixed(output, source, &mut table)?;
    }
    output.begin(Kind::IdTable, 0)?;
    let mut slots = table.slots.iter();
    slots.try_for_each(|slot| output.put(&slot.to_le_bytes()))
}

fn write_numbers(
    output: &mut Output<'_>,
    source: &mut dyn Source,
    table: &mut Table,
) -> Result<()> {
    output.begin(Kind::IdNumbers, 0)?;
    for row in 0..source.rows() {
        output.check_at(row)?;
        let id = source.id(row)?;
        table.enter(row, &id, source)?;
        if let PointId::Number(number) = id {
            output.put(&number.to_le_bytes())?;
        }
    }
    Ok(())
}

fn write_mixed(output: &mut Output<'_>, source: &mut dyn Source, table: &mut Table) -> Result<()> {
    output.begin(Kind::IdBytes, 0)?;
    let mut offsets = vec![0u64];
    let mut end = 0;
    let mut encoded = Vec::new();
    for row in 0..source.rows() {
        output.check_at(row)?;
        let id = source.id(row)?;
        table.enter(row, &id, source)?;
        encoded.clear();
        put_id(&mut encoded, &id);
        output.put(&encoded)?;
        end += encoded.len() as u64;
        offsets.push(end);
    }
    output.begin(Kind::IdOffsets, 0)?;
    let width = if u32::try_from(end).is_ok() { 4 } else { 8 };
    let mut offsets = offsets.iter();
    offsets.try_for_each(|offset| output.put(&offset.to_le_bytes()[..width]))
}

/// The table being filled.
struct Table {
    slots: Vec<u64>,
    seed: u64,
}

impl Table {
    /// Enters an id. Two rows of one id would make one of them unreachable.
    fn enter(&mut self, row: u32, id: &PointId, source: &mut dyn Source) -> Result<()> {
        let hash = with_id_bytes(id, |bytes| Hash::of(bytes, self.seed));
        let mask = self.slots.len() as u64 - 1;
        let mut at = (hash.home & mask) as usize;
        while let Some((fingerprint, other)) = read_slot(self.slots[at]) {
            if fingerprint == hash.fingerprint && source.id(other)? == *id {
                return Err(Error::invalid(format!(
                    "rows {other} and {row} of a segment have the same id"
                )));
            }
            at = (at + 1) & mask as usize;
        }
        self.slots[at] = slot(hash.fingerprint, row);
        Ok(())
    }
}
