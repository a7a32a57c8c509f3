//! The payloads of a segment's rows: JSON in small compressed units.
//!
//! ```text
//! payloads       the units, one behind the other
//! payload units  for each: offset u64, length u32, length when unpacked u32, first row u32,
//!                1 if packed by LZ4 or else 0, u32
//! unit, unpacked count u32, for each payload where it ends u32 (from the first payload on),
//!                the payloads as JSON objects
//! ```
//!
//! A hit needs one payload, and should not pay for many: a unit holds about [`UNIT_JSON`] bytes,
//! or one payload that is larger. Nothing is parsed before its unit was found whole.

use super::{
    format::{Kind, Output, Sections},
    writer::Source,
};
use crate::{
    codec::{put_u32, put_u64},
    container::SectionId,
    error::{Error, Result},
    options::Limits,
    payload::Payload,
};
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};
use serde_json::{Map, Value};
use std::sync::atomic::{AtomicU64, Ordering};

/// How much JSON shares a unit.
const UNIT_JSON: usize = 1 << 10;
/// The longest payload that is written or read back.
const MAX_JSON: usize = Limits::MAX_BATCH_BYTES;
/// No unit is longer than this when unpacked: every payload has at least two bytes.
const MAX_UNIT: usize = MAX_JSON + 4 + 4 * (UNIT_JSON / 2);
/// A unit is packed if it has a fifth fewer bytes then: else unpacking costs more than it saves.
const WORTH: usize = 4;
/// LZ4 packs at most so many bytes into one.
const MAX_RATIO: usize = 255;
/// The length of an entry of the units.
const ENTRY: usize = 24;
const PACKED: u32 = 1;

/// Where the payloads of a segment are.
#[derive(Debug)]
pub(super) struct Payloads {
    units: SectionId,
    bytes: SectionId,
    count: usize,
    /// A bit for every row whose payload was parsed before: it need not be again to be given away.
    parsed: Box<[AtomicU64]>,
}

/// A unit, as the units' section lists it.
#[derive(Clone, Copy, Debug)]
struct Unit {
    index: usize,
    offset: u64,
    len: usize,
    unpacked_len: usize,
    first_row: u32,
    /// The first row of the unit behind it.
    end_row: u32,
    flags: u32,
}

/// The shortest payload, and the only one of its length.
const EMPTY: &[u8] = b"{}";

impl Unit {
    /// Whether every payload in it is as short as one can be: nothing need be read to know them.
    fn is_of_empty(&self) -> bool {
        let count = (self.end_row - self.first_row) as usize;
        self.unpacked_len == 4 + count * (4 + EMPTY.len())
    }
}

impl Payloads {
    /// Finds the sections and checks their lengths; reads nothing of them.
    pub(super) fn open(sections: &Sections) -> Result<Self> {
        let units = sections.need(Kind::PayloadUnits, 0)?;
        let count = sections.len(units) / ENTRY;
        let possible = count <= sections.rows as usize && (count == 0) == (sections.rows == 0);
        sections.expect_len(units, Some((count * ENTRY) as u64).filter(|_| possible))?;
        Ok(Self {
            units,
            bytes: sections.need(Kind::Payloads, 0)?,
            count,
            parsed: (0..sections.rows.div_ceil(u64::BITS))
                .map(|_| AtomicU64::new(0))
                .collect(),
        })
    }

    /// The word and the bit of a row.
    fn parsed(&self, row: u32) -> Option<(&AtomicU64, u64)> {
        let word = self.parsed.get((row / u64::BITS) as usize)?;
        Some((word, 1 << (row % u64::BITS)))
    }

    fn first_row(&self, sections: &Sections, index: usize) -> Result<u32> {
        if index >= self.count {
            return Ok(sections.rows);
        }
        let entry: [u32; 6] = sections.value(self.units, index)?;
        Ok(entry[4])
    }

    fn unit(&self, sections: &Sections, index: usize) -> Result<Unit> {
        let entry: [u32; 6] = sections.value(self.units, index)?;
        let unit = Unit {
            index,
            offset: u64::from(entry[0]) | u64::from(entry[1]) << 32,
            len: entry[2] as usize,
            unpacked_len: entry[3] as usize,
            first_row: entry[4],
            end_row: self.first_row(sections, index + 1)?,
            flags: entry[5],
        };
        let ratio = if unit.flags == PACKED { MAX_RATIO } else { 1 };
        let is_possible = unit.flags <= PACKED
            && unit.first_row < unit.end_row
            && unit.unpacked_len <= MAX_UNIT
            && unit.unpacked_len <= unit.len.saturating_mul(ratio);
        if is_possible {
            return Ok(unit);
        }
        Err(sections.corrupted(
            self.units,
            index * ENTRY,
            "a unit cannot be as it is listed",
        ))
    }

    /// The unit of a row. Rows are spread about evenly, so that the first guess is close: guessing
    /// and halving take turns, and either way the range shrinks.
    fn unit_of(&self, sections: &Sections, row: u32) -> Result<Unit> {
        let (mut low, mut low_row) = (0, 0u32);
        let (mut high, mut high_row) = (self.count, sections.rows);
        let mut guess = true;
        let whole: Option<&[[u32; 6]]> = sections.whole(self.units);
        let first_row = |index: usize| match whole {
            Some(units) => Ok(units
                .get(index)
                .map_or(sections.rows, |entry: &[u32; 6]| entry[4])),
            None => self.first_row(sections, index),
        };
        while high - low > 1 {
            let width = (high - low) as u64;
            let share = u64::from(row.saturating_sub(low_row)) * width
                / u64::from(high_row.saturating_sub(low_row)).max(1);
            let step = if guess { share } else { width / 2 };
            let middle = low + step.clamp(1, width - 1) as usize;
            let first = first_row(middle)?;
            if first <= row {
                (low, low_row) = (middle, first);
                // Most often this is the one.
                if first_row(middle + 1)? > row {
                    break;
                }
            } else {
                (high, high_row) = (middle, first);
            }
            guess = !guess;
        }
        let unit = self.unit(sections, low)?;
        if (unit.first_row..unit.end_row).contains(&row) {
            return Ok(unit);
        }
        let message = format!("no unit has row {row}");
        Err(sections.corrupted(self.units, low * ENTRY, message))
    }
}

/// Reads payloads, keeping the last unit, so that reading row after row unpacks each unit once.
#[derive(Debug)]
pub(crate) struct PayloadReader<'a> {
    sections: &'a Sections,
    payloads: &'a Payloads,
    unit: Option<Unit>,
    /// Of a unit that is stored as it is.
    stored: &'a [u8],
    /// Of a unit that was packed.
    unpacked: Vec<u8>,
}

impl<'a> PayloadReader<'a> {
    pub(super) fn new(sections: &'a Sections, payloads: &'a Payloads) -> Self {
        Self {
            sections,
            payloads,
            unit: None,
            stored: &[],
            unpacked: Vec::new(),
        }
    }

    /// The payload of a row. The first time it is parsed, so that none is given away that is damaged.
    pub(crate) fn payload(&mut self, row: u32) -> Result<Payload> {
        let parsed = self.payloads.parsed(row);
        let json = self.json(row)?;
        if json == EMPTY {
            return Ok(Payload::default());
        }
        if parsed.is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0) {
            return Ok(Payload::known(json));
        }
        let payload = self.parse(row)?;
        if let Some((word, bit)) = parsed {
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Ok(payload)
    }

    fn parse(&mut self, row: u32) -> Result<Payload> {
        let map: Option<Map<String, Value>> = serde_json::from_slice(self.json(row)?).ok();
        let payload = map.map(Payload::from);
        payload
            .filter(|payload| payload.checked().is_ok())
            .ok_or_else(|| self.damaged(format_args!("the payload of row {row} is not JSON")))
    }

    /// The JSON of the payload of a row.
    pub(crate) fn json(&mut self, row: u32) -> Result<&[u8]> {
        let unit = match self.unit {
            Some(unit) if (unit.first_row..unit.end_row).contains(&row) => unit,
            _ => self.load(row)?,
        };
        if unit.is_of_empty() {
            return Ok(EMPTY);
        }
        let bytes: &[u8] = match unit.flags {
            PACKED => &self.unpacked,
            _ => self.stored,
        };
        payload_in(bytes, unit, row)
            .ok_or_else(|| self.damaged(format_args!("row {row} is not in its unit")))
    }

    /// Makes the unit of a row the one that is kept.
    fn load(&mut self, row: u32) -> Result<Unit> {
        self.sections.check_row(row)?;
        self.unit = None;
        let unit = self.payloads.unit_of(self.sections, row)?;
        if unit.is_of_empty() {
            self.unit = Some(unit);
            return Ok(unit);
        }
        let section = self.payloads.bytes;
        let start = usize::try_from(unit.offset).unwrap_or(usize::MAX);
        let bytes = self.sections.bytes(section, start, unit.len)?;
        if unit.flags == PACKED {
            // Bounded by the bytes that are there and by what a payload may have.
            self.unpacked.clear();
            self.unpacked.resize(unit.unpacked_len, 0);
            let unpacked = decompress_into(bytes, &mut self.unpacked);
            if unpacked.ok() != Some(unit.unpacked_len) {
                return Err(self
                    .sections
                    .corrupted(section, start, "a unit cannot be unpacked"));
            }
        } else {
            self.stored = bytes;
        }
        self.unit = Some(unit);
        Ok(unit)
    }

    /// The unit that is kept does not hold what it should.
    fn damaged(&self, message: impl std::fmt::Display) -> Error {
        let start = self.unit.map_or(0, |unit| unit.offset as usize);
        self.sections.corrupted(self.payloads.bytes, start, message)
    }

    /// Whether units lie one behind the other and their rows too, and every payload is JSON.
    /// Gives the first flaw of each unit.
    pub(super) fn verify(&mut self, mut check: impl FnMut() -> Result<()>) -> Result<Vec<Error>> {
        let mut flaws = Vec::new();
        let mut end = 0;
        let mut row = 0;
        for index in 0..self.payloads.count {
            check()?;
            let unit = match self.payloads.unit(self.sections, index) {
                Ok(unit) => unit,
                Err(flaw) => {
                    flaws.push(flaw);
                    continue;
                }
            };
            if unit.offset != end || unit.first_row != row {
                let at = unit.index * ENTRY;
                let message = "a unit is not behind the one before it";
                flaws.push(self.sections.corrupted(self.payloads.units, at, message));
            }
            end = unit.offset.saturating_add(unit.len as u64);
            row = unit.end_row;
            let mut rows = unit.first_row..unit.end_row;
            flaws.extend(rows.find_map(|row| self.parse(row).err()));
        }
        if end != self.sections.len(self.payloads.bytes) as u64 {
            let message = "the units end before their section";
            flaws.push(self.sections.corrupted(self.payloads.bytes, 0, message));
        }
        Ok(flaws)
    }
}

/// The payload of `row` in an unpacked unit, if it is there.
fn payload_in(bytes: &[u8], unit: Unit, row: u32) -> Option<&[u8]> {
    let (count, rest) = bytes.split_first_chunk()?;
    let count = u32::from_le_bytes(*count);
    if count != unit.end_row - unit.first_row {
        return None;
    }
    let (ends, json) = rest.split_at_checked((count as usize).checked_mul(4)?)?;
    let ends = ends.as_chunks::<4>().0;
    let end_of = |index: usize| Some(u32::from_le_bytes(*ends.get(index)?) as usize);
    let index = (row - unit.first_row) as usize;
    let start = match index.checked_sub(1) {
        None => 0,
        Some(before) => end_of(before)?,
    };
    json.get(start..end_of(index)?)
}

/// Writes the sections of payloads.
pub(super) fn write_payloads(output: &mut Output<'_>, source: &mut dyn Source) -> Result<()> {
    output.begin(Kind::Payloads, 0)?;
    let mut writer = UnitWriter::default();
    let mut payload = Vec::new();
    for row in 0..source.rows() {
        output.check_at(row)?;
        payload.clear();
        source.payload_json(row, &mut payload)?;
        writer.add(output, row, &payload)?;
    }
    writer.end_unit(output)?;
    output.begin(Kind::PayloadUnits, 0)?;
    output.put(&writer.entries)
}

/// Gathers payloads until they make a unit.
#[derive(Default)]
struct UnitWriter {
    /// Of the unit that is being gathered.
    first_row: u32,
    ends: Vec<u32>,
    json: Vec<u8>,
    /// Reused from unit to unit.
    unpacked: Vec<u8>,
    packed: Vec<u8>,
    /// Where the unit begins.
    offset: u64,
    /// Of all units before it: about two bytes for each row.
    entries: Vec<u8>,
}

impl UnitWriter {
    fn add(&mut self, output: &mut Output<'_>, row: u32, payload: &[u8]) -> Result<()> {
        if !(2..=MAX_JSON).contains(&payload.len()) {
            return Err(Error::invalid(format!(
                "the payload of row {row} of a segment has {} bytes",
                payload.len()
            )));
        }
        if self.json.len() + payload.len() > UNIT_JSON {
            self.end_unit(output)?;
        }
        if self.ends.is_empty() {
            self.first_row = row;
        }
        self.json.extend_from_slice(payload);
        self.ends.push(self.json.len() as u32);
        Ok(())
    }

    fn end_unit(&mut self, output: &mut Output<'_>) -> Result<()> {
        if self.ends.is_empty() {
            return Ok(());
        }
        self.unpacked.clear();
        put_u32(&mut self.unpacked, self.ends.len() as u32);
        self.ends
            .iter()
            .for_each(|end| put_u32(&mut self.unpacked, *end));
        self.unpacked.append(&mut self.json);
        self.ends.clear();

        self.packed
            .resize(get_maximum_output_size(self.unpacked.len()), 0);
        let packed = compress_into(&self.unpacked, &mut self.packed).ok();
        let packed = packed.and_then(|len| self.packed.get(..len));
        let (bytes, flags) = match packed {
            Some(packed) if packed.len() + packed.len() / WORTH <= self.unpacked.len() => {
                (packed, PACKED)
            }
            _ => (&self.unpacked[..], 0),
        };
        output.put(bytes)?;
        put_u64(&mut self.entries, self.offset);
        put_u32(&mut self.entries, bytes.len() as u32);
        put_u32(&mut self.entries, self.unpacked.len() as u32);
        put_u32(&mut self.entries, self.first_row);
        put_u32(&mut self.entries, flags);
        self.offset += bytes.len() as u64;
        Ok(())
    }
}
