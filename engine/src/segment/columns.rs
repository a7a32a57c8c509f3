//! The columns of a segment: of each field that was declared when it was written. Those of others lie beside it (`late`).
//!
//! What a column is made of is `fields/`'s matter. It is checked throughout when it is first asked
//! for, since conditions look at it all over; from then on finding it reads its header alone.

use super::{
    format::{ColumnEntry, Kind, Output},
    writer::Source,
};
use crate::{
    cancel::Cancel,
    codec::Decoded,
    container::{SectionId, SectionKind, Sections},
    error::Result,
    fields::{Builder, Column},
    payload::Payload,
    schema::Field,
};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

/// Where the column of a field is.
#[derive(Debug)]
pub(super) struct StoredColumn {
    name: Box<str>,
    field: Field,
    section: SectionId,
    is_checked: AtomicBool,
}

impl StoredColumn {
    /// The column that lies in `section`; reads nothing of it.
    pub(super) fn new(entry: ColumnEntry, section: SectionId) -> Self {
        Self {
            name: entry.name.into(),
            field: entry.field,
            section,
            is_checked: AtomicBool::new(false),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn field(&self) -> Field {
        self.field
    }

    /// Its bytes, sound.
    pub(super) fn bytes<'a, K: SectionKind>(
        &self,
        sections: &'a Sections<K>,
        cancel: &Cancel,
    ) -> Result<&'a [u8]> {
        self.get(sections, cancel)?;
        sections.bytes(self.section, 0, sections.len(self.section))
    }

    pub(super) fn get<'a, K: SectionKind>(
        &self,
        sections: &'a Sections<K>,
        cancel: &Cancel,
    ) -> Result<Column<'a>> {
        // What is noted guards nothing but the file, which does not change.
        let is_checked = self.is_checked.load(Ordering::Relaxed);
        if !is_checked {
            sections.check_all(self.section, cancel)?;
        }
        let bytes = sections.bytes(self.section, 0, sections.len(self.section))?;
        let column = self.sound(sections, Column::open(bytes, self.field, sections.rows))?;
        if !is_checked {
            self.sound(sections, column.check())?;
            self.is_checked.store(true, Ordering::Relaxed);
        }
        Ok(column)
    }

    /// Whether what it says of values is what it says of rows. Its checksums were compared before.
    pub(super) fn verify<K: SectionKind>(&self, sections: &Sections<K>) -> Result<()> {
        let column = self.get(sections, &Cancel::default())?;
        self.sound(sections, column.verify())
    }

    fn sound<T, K: SectionKind>(&self, sections: &Sections<K>, found: Decoded<T>) -> Result<T> {
        found.map_err(|error| sections.corrupted(self.section, 0, error))
    }
}

/// Gathers the columns of these fields, in one pass over the payloads of so many rows.
pub(super) fn gather<'a>(
    fields: impl Iterator<Item = (&'a String, &'a Field)>,
    rows: u32,
    mut payload: impl FnMut(u32) -> Result<Payload>,
) -> Result<Vec<(ColumnEntry, Builder)>> {
    let builder = |(name, field): (&String, &Field)| {
        let (name, field) = (name.clone(), *field);
        (ColumnEntry { name, field }, Builder::new(field))
    };
    let mut builders: Vec<_> = fields.map(builder).collect();
    if builders.is_empty() {
        return Ok(builders);
    }
    for row in 0..rows {
        let payload = payload(row)?;
        let payload = payload.checked()?;
        for (entry, builder) in &mut builders {
            builder.add(payload, &entry.name);
        }
    }
    Ok(builders)
}

/// Writes the columns of these fields.
pub(super) fn write_columns(
    output: &mut Output<'_>,
    fields: &BTreeMap<String, Field>,
    source: &mut dyn Source,
) -> Result<Vec<ColumnEntry>> {
    let builders = gather(fields.iter(), source.rows(), |row| {
        output.check_at(row)?;
        source.payload(row)
    })?;
    let mut written = Vec::new();
    for (entry, builder) in builders {
        let Some(bytes) = builder.finish() else {
            continue;
        };
        output.begin(Kind::Column, written.len() as u32)?;
        output.put(&bytes)?;
        written.push(entry);
    }
    Ok(written)
}
