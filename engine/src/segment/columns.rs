//! The columns of a segment: of each field that was declared when it was written.
//!
//! What a column is made of is `fields/`'s matter. It is checked throughout when it is first asked
//! for, since conditions look at it all over; from then on finding it reads its header alone.

use super::{
    format::{ColumnEntry, Kind, Output, Sections},
    writer::Source,
};
use crate::{
    cancel::Cancel,
    codec::Decoded,
    container::SectionId,
    error::Result,
    fields::{Builder, Column},
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
    /// Finds the section `number`; reads nothing of it.
    pub(super) fn open(sections: &Sections, number: u32, entry: ColumnEntry) -> Result<Self> {
        Ok(Self {
            name: entry.name.into(),
            field: entry.field,
            section: sections.need(Kind::Column, number)?,
            is_checked: AtomicBool::new(false),
        })
    }

    pub(super) fn is_of(&self, name: &str) -> bool {
        &*self.name == name
    }

    pub(super) fn get<'a>(&self, sections: &'a Sections, cancel: &Cancel) -> Result<Column<'a>> {
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
    pub(super) fn verify(&self, sections: &Sections) -> Result<()> {
        let column = self.get(sections, &Cancel::default())?;
        self.sound(sections, column.verify())
    }

    fn sound<T>(&self, sections: &Sections, found: Decoded<T>) -> Result<T> {
        found.map_err(|error| sections.corrupted(self.section, 0, error))
    }
}

/// Writes the columns of these fields, in one pass over the payloads.
pub(super) fn write_columns(
    output: &mut Output<'_>,
    fields: &BTreeMap<String, Field>,
    source: &mut dyn Source,
) -> Result<Vec<ColumnEntry>> {
    if fields.is_empty() {
        return Ok(Vec::new());
    }
    let builder = |(name, field): (&String, &Field)| (name.clone(), *field, Builder::new(*field));
    let mut builders: Vec<_> = fields.iter().map(builder).collect();
    for row in 0..source.rows() {
        output.check_at(row)?;
        let payload = source.payload(row)?;
        let payload = payload.checked()?;
        for (name, _, builder) in &mut builders {
            builder.add(payload, name);
        }
    }
    let mut written = Vec::new();
    for (name, field, builder) in builders {
        let Some(bytes) = builder.finish() else {
            continue;
        };
        output.begin(Kind::Column, written.len() as u32)?;
        output.put(&bytes)?;
        written.push(ColumnEntry { name, field });
    }
    Ok(written)
}
