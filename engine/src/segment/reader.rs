//! A segment that is read: its points by row and by id.
//!
//! Opening it reads the directory alone, so that it takes the same time whatever the size. What a
//! segment holds never changes; which of its rows have ended is [`Deletes`](super::Deletes)'
//! question. Rows beyond the last have no id, vector or payload: they are refused as invalid.

use super::{
    columns::StoredColumn,
    format::{Contents, Kind, Sections},
    ids::Ids,
    index::{IndexSections, StoredIndex},
    payloads::{PayloadReader, Payloads},
    vectors::Vectors,
    writer::VectorShape,
};
#[cfg(test)]
use crate::payload::Payload;
use crate::{
    cancel::Cancel,
    container::SectionId,
    error::{Error, Result},
    expiry::Expiry,
    fields::Column,
    id::PointId,
    schema::Field,
    sparse, text,
    vector::Values,
    vfs::Vfs,
};
use std::ops::Range;

type StoredText<'a> = text::Stored<IndexSections<'a, text::Section>>;
type StoredSparse<'a> = sparse::Stored<IndexSections<'a, sparse::Section>>;

/// An open segment file.
#[derive(Debug)]
pub(crate) struct Segment {
    sections: Sections,
    ids: Ids,
    vectors: Box<[Vectors]>,
    payloads: Payloads,
    columns: Box<[StoredColumn]>,
    texts: Box<[StoredIndex<text::Section>]>,
    sparse: Box<[StoredIndex<sparse::Section>]>,
    /// Absent if no row expires.
    expiries: Option<SectionId>,
}

impl Segment {
    /// Opens the segment `name`.
    pub(crate) fn open(vfs: &dyn Vfs, name: &str) -> Result<Self> {
        let sections = Sections::open(vfs, name)?;
        let contents = Contents::decode(sections.extra(), sections.rows)
            .map_err(|error| sections.corrupted_directory(error))?;
        let (vectors, columns) = (contents.vectors.into_iter(), contents.columns.into_iter());
        Ok(Self {
            ids: Ids::open(&sections)?,
            vectors: vectors
                .map(|entry| Vectors::open(&sections, entry))
                .collect::<Result<_>>()?,
            payloads: Payloads::open(&sections)?,
            columns: columns
                .zip(0..)
                .map(|(entry, number)| {
                    let section = sections.need(Kind::Column, number)?;
                    Ok(StoredColumn::new(entry, section))
                })
                .collect::<Result<_>>()?,
            texts: contents
                .texts
                .iter()
                .map(|number| StoredIndex::open(&sections, *number))
                .collect::<Result<_>>()?,
            sparse: contents
                .sparse
                .iter()
                .map(|number| StoredIndex::open(&sections, *number))
                .collect::<Result<_>>()?,
            expiries: open_expiries(&sections)?,
            sections,
        })
    }

    /// The number of rows, live or not.
    pub(crate) fn rows(&self) -> u32 {
        self.sections.rows
    }

    /// The length of its file in bytes.
    pub(crate) fn file_len(&self) -> u64 {
        self.sections.file_len()
    }

    /// What its deletes and indexes name it by.
    pub(crate) fn file_id(&self) -> u64 {
        self.sections.file_id
    }

    /// The id of a row.
    pub(crate) fn id(&self, row: u32) -> Result<PointId> {
        self.sections.check_row(row)?;
        self.ids.id(&self.sections, row)
    }

    /// The row of an id. Allocates nothing for numbers and UUIDs.
    pub(crate) fn find(&self, id: &PointId) -> Result<Option<u32>> {
        self.ids.find(&self.sections, id)
    }

    /// All rows, live or not, in the order of their ids. Sorts them when it is first called.
    pub(crate) fn rows_by_id(&self, cancel: &Cancel) -> Result<&[u32]> {
        self.ids.sorted(&self.sections, cancel)
    }

    /// What the vector `number` is, if any row has it.
    pub(crate) fn shape(&self, number: u32) -> Option<VectorShape> {
        self.vectors(number).map(|vectors| vectors.shape)
    }

    /// How many rows have the vector `number`.
    pub(crate) fn count(&self, number: u32) -> u32 {
        self.vectors(number).map_or(0, Vectors::count)
    }

    /// How many vectors `number` all rows have together, where rows have lists of them.
    pub(crate) fn total(&self, number: u32) -> u64 {
        let vectors = self.vectors(number);
        vectors.map_or(0, |vectors| vectors.total(&self.sections))
    }

    /// The vector `number` of a row and its scale, if the row has it.
    pub(crate) fn vector(&self, row: u32, number: u32) -> Result<Option<(Values<'_>, f32)>> {
        self.sections.check_row(row)?;
        self.vectors(number)
            .map_or(Ok(None), |vectors| vectors.get(&self.sections, row))
    }

    /// Visits those of `rows` that have the vector `number`, in their order, with the vector and
    /// its scale. Each stretch of the file is checked once, before its first row is visited.
    pub(crate) fn scan(
        &self,
        number: u32,
        rows: Range<u32>,
        visit: &mut impl FnMut(u32, Values<'_>, f32),
    ) -> Result<()> {
        let rows = rows.start..rows.end.min(self.rows());
        self.vectors(number)
            .map_or(Ok(()), |vectors| vectors.scan(&self.sections, rows, visit))
    }

    /// When a row expires.
    pub(crate) fn expiry(&self, row: u32) -> Result<Expiry> {
        self.sections.check_row(row)?;
        match self.expiries {
            None => Ok(Expiry::NEVER),
            Some(section) => self.sections.value(section, row as usize).map(Expiry),
        }
    }

    /// The payload of a row.
    #[cfg(test)]
    pub(crate) fn payload(&self, row: u32) -> Result<Payload> {
        self.payloads().payload(row)
    }

    /// Reads the payloads of many rows; fast when their order is that of the rows.
    pub(crate) fn payloads(&self) -> PayloadReader<'_> {
        PayloadReader::new(&self.sections, &self.payloads)
    }

    /// The column of the field `name`, if it was declared when the segment was written; one that came later
    /// lies beside it, in [`LateColumns`](super::LateColumns). Reads all of it when it is first asked for.
    pub(crate) fn column(&self, name: &str, cancel: &Cancel) -> Result<Option<Column<'_>>> {
        let column = self.stored_column(name);
        let column = column.map(|column| column.get(&self.sections, cancel));
        column.transpose()
    }

    /// The type of the field `name` when the segment was written, if it has a column of it.
    pub(crate) fn field(&self, name: &str) -> Option<Field> {
        self.stored_column(name).map(StoredColumn::field)
    }

    /// The index over the text `number`, if it was in the schema when the segment was written.
    pub(crate) fn text(&self, number: u32) -> Result<Option<StoredText<'_>>> {
        let text = self.texts.iter().find(|text| text.number() == number);
        text.map(|text| self.open_text(*text)).transpose()
    }

    /// The sparse vector `number` of its rows, if any has it, and the index over it.
    pub(crate) fn sparse(&self, number: u32) -> Result<Option<StoredSparse<'_>>> {
        let sparse = self.sparse.iter().find(|it| it.number() == number);
        sparse.map(|sparse| self.open_sparse(*sparse)).transpose()
    }

    fn open_text(&self, index: StoredIndex<text::Section>) -> Result<StoredText<'_>> {
        text::Stored::open(index.of(&self.sections), self.rows())
    }

    fn open_sparse(&self, index: StoredIndex<sparse::Section>) -> Result<StoredSparse<'_>> {
        sparse::Stored::open(index.of(&self.sections), self.rows())
    }

    /// Reads everything and gives every flaw: each chunk that differs from its checksum, and, of
    /// what is free of such, what contradicts the rest.
    pub(crate) fn verify(&self, cancel: &Cancel) -> Result<Vec<Error>> {
        let mut flaws = self.sections.verify(cancel)?;
        // What was damaged would be reported again for every row that it is needed for.
        if !flaws.is_empty() {
            return Ok(flaws);
        }
        for row in 0..self.rows() {
            cancel.check_at(row)?;
            flaws.extend(self.ids.verify(&self.sections, row).err());
        }
        for vectors in &self.vectors {
            cancel.check()?;
            flaws.extend(vectors.verify(&self.sections).err());
        }
        for column in &self.columns {
            cancel.check()?;
            flaws.extend(column.verify(&self.sections).err());
        }
        for text in &self.texts {
            let found = self.open_text(*text).and_then(|it| it.verify(cancel));
            flaws.extend(found.err());
        }
        for sparse in &self.sparse {
            let found = self.open_sparse(*sparse).and_then(|it| it.verify(cancel));
            flaws.extend(found.err());
        }
        flaws.extend(self.payloads().verify(|| cancel.check())?);
        Ok(flaws)
    }

    fn stored_column(&self, name: &str) -> Option<&StoredColumn> {
        // In the order of their names.
        let found = self
            .columns
            .binary_search_by(|column| column.name().cmp(name));
        self.columns.get(found.ok()?)
    }

    fn vectors(&self, number: u32) -> Option<&Vectors> {
        self.vectors
            .iter()
            .find(|vectors| vectors.shape.number == number)
    }
}

fn open_expiries(sections: &Sections) -> Result<Option<SectionId>> {
    let found = sections.find(Kind::Expiries, 0);
    if let Some(section) = found {
        sections.expect_len(section, Some(u64::from(sections.rows) * 8))?;
    }
    Ok(found)
}
