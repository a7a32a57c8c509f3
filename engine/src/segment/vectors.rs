//! The vectors of a segment's rows, read in place.
//!
//! Vectors of one name lie one after the other in the order of their rows, so that a scan is one
//! pass over the file. Where some rows have none, a second section says which vector is a row's;
//! where rows have lists of them, a third says where each list begins.

use super::{
    format::{Kind, NO_PLACE, Output, Sections, VectorEntry},
    lists::Lists,
    writer::{Source, VectorShape},
};
use crate::{
    container::SectionId,
    error::{Error, Result},
    kernel,
    schema::Datatype,
    vector::{Values, count_in},
};
use std::{ops::Range, slice::ChunksExact};

/// How many bytes a scan asks to be checked at once.
const SCAN_BYTES: usize = 64 << 10;
/// How many vectors ahead of the one that is visited memory is asked for.
const AHEAD: usize = 2;

/// Where a vector of the schema is.
#[derive(Debug)]
pub(super) struct Vectors {
    pub(super) shape: VectorShape,
    count: usize,
    values: SectionId,
    /// Absent if every row has the vector.
    places: Option<SectionId>,
    /// Absent if every scale is 1.
    scales: Option<SectionId>,
    /// Absent if no row has more than one.
    lists: Option<Lists>,
}

impl Vectors {
    /// Finds the sections and checks their lengths; reads nothing of them.
    pub(super) fn open(sections: &Sections, entry: VectorEntry) -> Result<Self> {
        let count = u64::from(entry.count);
        let (values, datatype) = match sections.find(Kind::HalfVector, entry.number) {
            Some(halves) => (halves, Datatype::Float16),
            None => {
                let floats = sections.need(Kind::Vector, entry.number)?;
                (floats, Datatype::Float32)
            }
        };
        let lists = Lists::open(sections, entry.number, entry.count)?;
        let shape = VectorShape {
            number: entry.number,
            dimensions: entry.dimensions,
            datatype,
            multi: lists.is_some(),
        };
        // How many vectors lists come to is known to who reads them.
        if lists.is_none() {
            sections.expect_len(values, count.checked_mul(shape.bytes() as u64))?;
        }
        let places = if entry.count == sections.rows {
            None
        } else {
            let places = sections.need(Kind::VectorRows, entry.number)?;
            sections.expect_len(places, Some(u64::from(sections.rows) * 4))?;
            Some(places)
        };
        let scales = sections.find(Kind::VectorScales, entry.number);
        if let Some(scales) = scales {
            sections.expect_len(scales, Some(count * 4))?;
        }
        Ok(Self {
            shape,
            count: entry.count as usize,
            values,
            places,
            scales,
            lists,
        })
    }

    /// How many rows have it.
    pub(super) fn count(&self) -> u32 {
        self.count as u32
    }

    /// How many there are, of all rows together.
    pub(super) fn total(&self, sections: &Sections) -> u64 {
        (sections.len(self.values) / self.shape.bytes()) as u64
    }

    /// The vector of a row, which exists, and its scale.
    pub(super) fn get<'a>(
        &self,
        sections: &'a Sections,
        row: u32,
    ) -> Result<Option<(Values<'a>, f32)>> {
        let place = self.place(sections, row)?;
        if place == NO_PLACE {
            return Ok(None);
        }
        let place = place as usize;
        let (first, count) = self.list(sections, place)?;
        let values = self.values(sections, first, count)?;
        let scale = match self.scales {
            None => 1.0,
            Some(scales) => sections.value(scales, place)?,
        };
        Ok(Some((values, scale)))
    }

    fn place(&self, sections: &Sections, row: u32) -> Result<u32> {
        match self.places {
            None => Ok(row),
            Some(places) => sections.value(places, row as usize),
        }
    }

    /// The first vector of the row at a place, and how many it has.
    fn list(&self, sections: &Sections, place: usize) -> Result<(usize, usize)> {
        let lists = self.lists;
        lists.map_or(Ok((place, 1)), |lists| lists.get(sections, place))
    }

    /// Visits those of `rows`, which exist, that have the vector, in their order.
    pub(super) fn scan(
        &self,
        sections: &Sections,
        rows: Range<u32>,
        visit: &mut impl FnMut(u32, Values<'_>, f32),
    ) -> Result<()> {
        if self.shape.multi {
            return self.scan_lists(sections, rows, visit);
        }
        let step = (SCAN_BYTES / self.shape.bytes()).max(1);
        for first in rows.clone().step_by(step) {
            let batch = first..rows.end.min(first.saturating_add(step as u32));
            match self.places {
                None => {
                    let found = Found::of(self, sections, first as usize, batch.len())?;
                    found
                        .zip(batch)
                        .for_each(|((v, scale), row)| visit(row, v, scale));
                }
                Some(places) => {
                    let places = sections.values(places, first as usize, batch.len())?;
                    let present = self.present(sections, batch, places)?;
                    let Some((_, start)) = present.clone().next() else {
                        continue;
                    };
                    let count = present.clone().count();
                    let found = Found::of(self, sections, start as usize, count)?;
                    found
                        .zip(present)
                        .for_each(|((v, scale), (row, _))| visit(row, v, scale));
                }
            }
        }
        Ok(())
    }

    /// The same of lists, one row at a time: they are long.
    fn scan_lists(
        &self,
        sections: &Sections,
        rows: Range<u32>,
        visit: &mut impl FnMut(u32, Values<'_>, f32),
    ) -> Result<()> {
        for row in rows {
            if let Some((values, scale)) = self.get(sections, row)? {
                visit(row, values, scale);
            }
        }
        Ok(())
    }

    /// The numbers of so many consecutive vectors.
    fn values<'a>(&self, sections: &'a Sections, first: usize, count: usize) -> Result<Values<'a>> {
        let width = self.shape.dimensions as usize;
        let (first, count) = (first.saturating_mul(width), count.saturating_mul(width));
        Ok(match self.shape.datatype {
            Datatype::Float32 => Values::Float32(sections.values(self.values, first, count)?),
            Datatype::Float16 => Values::Float16(sections.values(self.values, first, count)?),
        })
    }

    /// The rows of a batch that have the vector, with its place. Places must count up, else a
    /// row would be given the vector of another.
    fn present<'a>(
        &self,
        sections: &Sections,
        batch: Range<u32>,
        places: &'a [u32],
    ) -> Result<impl Iterator<Item = (u32, u32)> + Clone + use<'a>> {
        let at = batch.start as usize * 4;
        let present = batch
            .zip(places.iter().copied())
            .filter(|(_, place)| *place != NO_PLACE);
        let counts_up = present
            .clone()
            .zip(present.clone().skip(1))
            .all(|((_, place), (_, next))| place.checked_add(1) == Some(next));
        match self.places {
            Some(section) if !counts_up => {
                Err(sections.corrupted(section, at, "the places of vectors do not count up"))
            }
            _ => Ok(present),
        }
    }

    /// Whether each vector belongs to exactly one row, and every number can be compared.
    pub(super) fn verify(&self, sections: &Sections) -> Result<()> {
        if let Some(lists) = self.lists {
            let places = (0..sections.rows).map(|row| self.place(sections, row));
            let count = lists.verify(sections, places)?;
            let bytes = count.checked_mul(self.shape.bytes());
            sections.expect_len(self.values, bytes.map(|bytes| bytes as u64))?;
        }
        let mut visited = 0;
        let mut flawed = None;
        self.scan(sections, 0..sections.rows, &mut |_, values, scale| {
            let is_sound = scale.is_finite() && values.are_finite();
            if !is_sound && flawed.is_none() {
                flawed = Some(visited);
            }
            visited += 1;
        })?;
        if let Some(place) = flawed {
            let (first, _) = self.list(sections, place)?;
            let at = first * self.shape.bytes();
            return Err(sections.corrupted(self.values, at, "a vector holds no finite numbers"));
        }
        if visited != self.count {
            let message = format!("{visited} rows have one of {} vectors", self.count);
            return Err(sections.corrupted(self.values, 0, message));
        }
        Ok(())
    }
}

/// Consecutive vectors with their scales.
struct Found<'a> {
    values: Rows<'a>,
    /// The same, some rows ahead: memory is asked for what comes.
    ahead: Rows<'a>,
    scales: std::slice::Iter<'a, f32>,
}

impl<'a> Found<'a> {
    fn of(vectors: &Vectors, sections: &'a Sections, first: usize, count: usize) -> Result<Self> {
        let values = vectors.values(sections, first, count)?;
        let scales = match vectors.scales {
            None => &[],
            Some(scales) => sections.values(scales, first, count)?,
        };
        let values = Rows::of(values, vectors.shape.dimensions as usize);
        let mut ahead = values.clone();
        ahead.by_ref().take(AHEAD).for_each(drop);
        Ok(Self {
            values,
            ahead,
            scales: scales.iter(),
        })
    }
}

impl<'a> Iterator for Found<'a> {
    type Item = (Values<'a>, f32);

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(values) = self.ahead.next() {
            kernel::prefetch_first(values.bytes());
        }
        let scale = self.scales.next().copied().unwrap_or(1.0);
        Some((self.values.next()?, scale))
    }
}

/// Vectors that lie one after the other.
#[derive(Clone)]
enum Rows<'a> {
    Float32(ChunksExact<'a, f32>),
    Float16(ChunksExact<'a, u16>),
}

impl<'a> Rows<'a> {
    fn of(values: Values<'a>, width: usize) -> Self {
        match values {
            Values::Float32(values) => Self::Float32(values.chunks_exact(width)),
            Values::Float16(halves) => Self::Float16(halves.chunks_exact(width)),
        }
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Values<'a>;

    fn next(&mut self) -> Option<Values<'a>> {
        match self {
            Self::Float32(rows) => rows.next().map(Values::Float32),
            Self::Float16(rows) => rows.next().map(Values::Float16),
        }
    }
}

impl VectorShape {
    /// The bytes of its numbers.
    fn bytes(self) -> usize {
        self.dimensions as usize * self.datatype.bytes()
    }
}

/// Writes the sections of one vector, unless no row has it.
pub(super) fn write_vector(
    output: &mut Output<'_>,
    shape: VectorShape,
    source: &mut dyn Source,
) -> Result<Option<VectorEntry>> {
    let rows = source.rows();
    let kind = match shape.datatype {
        Datatype::Float32 => Kind::Vector,
        Datatype::Float16 => Kind::HalfVector,
    };
    let mut places = Vec::with_capacity(rows as usize);
    let mut scales = Vec::new();
    let mut starts = vec![0u64];
    for row in 0..rows {
        output.check_at(row)?;
        let Some((values, scale)) = source.vector(row, shape.number)? else {
            places.push(NO_PLACE);
            continue;
        };
        let found = count_in(values.len(), shape.dimensions, shape.multi);
        let Some(found) = found.filter(|_| values.datatype() == shape.datatype) else {
            return Err(Error::invalid(format!(
                "row {row} of a segment has {} numbers of {:?}; expected {} of {:?}",
                values.len(),
                values.datatype(),
                shape.dimensions,
                shape.datatype
            )));
        };
        if scales.is_empty() {
            output.begin(kind, shape.number)?;
        }
        places.push(scales.len() as u32);
        scales.push(scale);
        if shape.multi {
            starts.push(starts.last().copied().unwrap_or_default() + found as u64);
        }
        output.put(values.bytes())?;
    }
    let count = scales.len() as u32;
    if count == 0 {
        return Ok(None);
    }
    if shape.multi {
        output.begin(Kind::VectorStarts, shape.number)?;
        output.put(bytemuck::cast_slice(&starts))?;
    }
    if count != rows {
        output.begin(Kind::VectorRows, shape.number)?;
        output.put(bytemuck::cast_slice(&places))?;
    }
    if scales.iter().any(|scale| *scale != 1.0) {
        output.begin(Kind::VectorScales, shape.number)?;
        output.put(bytemuck::cast_slice(&scales))?;
    }
    Ok(Some(VectorEntry {
        number: shape.number,
        dimensions: shape.dimensions,
        count,
    }))
}
