//! Makes a column of the payloads of a segment's rows.
//!
//! Holds eight bytes for each row and each different value once, until the bytes are made.

use super::{
    format::{Class, HEADER, Header, KNOWN, MANY, NONE, NULLS, OTHERS, REPEATED, RESTS},
    number::Key,
    path::some_value,
    place::Place,
};
use crate::{datetime::micros, geo::GeoPoint, schema::Field};
use serde_json::{Map, Value};
use std::{collections::HashMap, mem};

/// A column that is being gathered. Values are numbered as they come, and by their order only in
/// the end.
#[derive(Debug)]
pub(crate) struct Builder {
    values: Values,
    /// What there is beside the values of the column: its flags.
    flags: u32,
    /// The values of each row, one row after the other.
    ordinals: Vec<u32>,
    /// For each row where its ordinals end.
    ends: Vec<u32>,
    /// Of the row that is being added.
    row: Vec<u32>,
}

/// The different values, each with its number.
#[derive(Debug)]
enum Values {
    Texts(HashMap<Box<str>, u32>),
    Numbers(HashMap<Key, u32>),
    Bools(HashMap<Key, u32>),
    Times(HashMap<Key, u32>),
    Places(HashMap<Place, u32>),
}

/// The different values in their order, as they are written.
#[derive(Default)]
struct Sorted {
    keys: Vec<u64>,
    rests: Vec<i16>,
    texts: Vec<u8>,
    /// For each number that a value had its place.
    places: Vec<u32>,
}

impl Builder {
    /// A column of a field of this type, without rows.
    pub(crate) fn new(field: Field) -> Self {
        Self {
            values: match Class::declared(field) {
                Class::Text => Values::Texts(HashMap::new()),
                Class::Number => Values::Numbers(HashMap::new()),
                Class::Bool => Values::Bools(HashMap::new()),
                Class::Time => Values::Times(HashMap::new()),
                Class::Place => Values::Places(HashMap::new()),
            },
            flags: KNOWN,
            ordinals: Vec::new(),
            ends: Vec::new(),
            row: Vec::new(),
        }
    }

    /// Adds the next row with the values that its payload has at `path`.
    pub(crate) fn add(&mut self, payload: &Map<String, Value>, path: &str) {
        let mut row = mem::take(&mut self.row);
        row.clear();
        some_value(payload, path, &mut |value| {
            match self.values.number(value) {
                Some(number) => row.push(number),
                None if value.is_null() => self.flags |= NULLS,
                None => self.flags |= Class::of(value).map_or(OTHERS, Class::stray),
            }
            false
        });
        let values = row.len();
        row.sort_unstable();
        row.dedup();
        self.flags |= if row.len() < values { REPEATED } else { 0 };
        self.ordinals.extend_from_slice(&row);
        // Of too many entries no column is made.
        self.ends.push(self.ordinals.len() as u32);
        self.row = row;
    }

    /// The bytes of the column; none if it has more entries than can be counted.
    pub(crate) fn finish(mut self) -> Option<Vec<u8>> {
        let entries = u32::try_from(self.ordinals.len()).ok()?;
        let rows = u32::try_from(self.ends.len()).ok()?;
        let sorted = self.values.sorted();
        for ordinal in &mut self.ordinals {
            *ordinal = sorted.places[*ordinal as usize];
        }
        let (starts, postings) = self.postings(sorted.keys.len());
        let has_rests = sorted.rests.iter().any(|rest| *rest != 0);
        let has_many = self.spans().any(|(_, span)| span.len() > 1);
        let header = Header {
            rows,
            values: sorted.keys.len() as u32,
            entries,
            flags: self.flags | if has_many { MANY } else { 0 } | if has_rests { RESTS } else { 0 },
            texts: sorted.texts.len() as u64,
        };
        let width = 8 * self.ends.len() + 8 * self.ordinals.len() + 16 * sorted.keys.len();
        let mut out = Vec::with_capacity(HEADER + width + sorted.texts.len());
        header.encode(&mut out);
        out.extend_from_slice(bytemuck::cast_slice(&sorted.keys));
        out.extend_from_slice(bytemuck::cast_slice(&starts));
        out.extend_from_slice(bytemuck::cast_slice(&postings));
        if has_many {
            out.extend_from_slice(&0u32.to_le_bytes());
            out.extend_from_slice(bytemuck::cast_slice(&self.ends));
            out.extend_from_slice(bytemuck::cast_slice(&self.ordinals));
        } else {
            let first = |(_, span): (u32, &[u32])| span.first().copied().unwrap_or(NONE);
            self.spans()
                .map(first)
                .for_each(|ordinal| out.extend_from_slice(&ordinal.to_le_bytes()));
        }
        if has_rests {
            out.extend_from_slice(bytemuck::cast_slice(&sorted.rests));
        }
        out.extend_from_slice(&sorted.texts);
        Some(out)
    }

    /// The rows with their ordinals.
    fn spans(&self) -> impl Iterator<Item = (u32, &[u32])> {
        let mut start = 0;
        (0..).zip(&self.ends).map(move |(row, end)| {
            let span = &self.ordinals[start..*end as usize];
            start = *end as usize;
            (row, span)
        })
    }

    /// The rows of each value, and where they start.
    fn postings(&self, values: usize) -> (Vec<u32>, Vec<u32>) {
        let mut starts = vec![0; values + 1];
        for ordinal in &self.ordinals {
            starts[*ordinal as usize + 1] += 1;
        }
        for value in 0..values {
            starts[value + 1] += starts[value];
        }
        let mut next = starts.clone();
        let mut postings = vec![0; self.ordinals.len()];
        for (row, span) in self.spans() {
            for ordinal in span {
                let at = &mut next[*ordinal as usize];
                postings[*at as usize] = row;
                *at += 1;
            }
        }
        (starts, postings)
    }
}

impl Values {
    /// The number of a value, if it is one of these.
    fn number(&mut self, value: &Value) -> Option<u32> {
        match (self, value) {
            (Self::Texts(known), Value::String(text)) => {
                if let Some(number) = known.get(text.as_str()) {
                    return Some(*number);
                }
                let number = known.len() as u32;
                known.insert(text.as_str().into(), number);
                Some(number)
            }
            (Self::Numbers(known), Value::Number(number)) => {
                let next = known.len() as u32;
                Some(*known.entry(Key::of(number)).or_insert(next))
            }
            (Self::Bools(known), Value::Bool(value)) => {
                let next = known.len() as u32;
                Some(*known.entry(Key::from(*value)).or_insert(next))
            }
            (Self::Times(known), Value::String(text)) => {
                let next = known.len() as u32;
                Some(*known.entry(Key::from(micros(text)?)).or_insert(next))
            }
            (Self::Places(known), Value::Object(_)) => {
                let next = known.len() as u32;
                let place = Place::of(GeoPoint::of(value)?);
                Some(*known.entry(place).or_insert(next))
            }
            _ => None,
        }
    }

    fn sorted(&mut self) -> Sorted {
        let mut sorted = Sorted::default();
        match self {
            Self::Texts(known) => {
                for text in sorted.order(known) {
                    sorted.texts.extend_from_slice(text.as_bytes());
                    sorted.keys.push(sorted.texts.len() as u64);
                }
            }
            Self::Places(known) => {
                for place in sorted.order(known) {
                    sorted.texts.extend_from_slice(&place.bytes());
                    sorted.keys.push(place.cell);
                    sorted.rests.push(0);
                }
            }
            Self::Numbers(known) | Self::Bools(known) | Self::Times(known) => {
                for key in sorted.order(known) {
                    sorted.keys.push(key.float);
                    sorted.rests.push(key.rest);
                }
            }
        }
        sorted
    }
}

impl Sorted {
    /// Gives the values their places.
    fn order<T: Ord>(&mut self, known: &mut HashMap<T, u32>) -> Vec<T> {
        let mut values: Vec<(T, u32)> = known.drain().collect();
        values.sort_unstable();
        self.places = vec![0; values.len()];
        for ((_, number), place) in values.iter().zip(0..) {
            self.places[*number as usize] = place;
        }
        values.into_iter().map(|(value, _)| value).collect()
    }
}
