//! Columns of fields that were declared after their segment was written: a file of their own, beside it.
//!
//! All that it holds follows from the payloads of the segment, and each column is as it would be in
//! the segment. One that is found damaged is given no more, so that whoever asks goes without, and
//! the file is made anew by whoever looks.

use super::{
    columns::{StoredColumn, gather},
    format::{ColumnEntry, decode_columns, put_columns},
    reader::Segment,
};
use crate::{
    cancel::Cancel,
    codec::{DecodeError, Decoded, Decoder, header::FileKind, put_u64},
    container::{self, SectionKind},
    error::{Error, ErrorKind, Result},
    fields::Column,
    schema::{Field, Schema},
    sync::{Mutex, lock},
    vfs::Vfs,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// The columns beside a segment: they come after it, and others take their place.
#[derive(Debug, Default)]
pub(crate) struct Late(Mutex<Beside>);

/// What lies beside a segment.
#[derive(Clone, Debug, Default)]
pub(crate) enum Beside {
    #[default]
    Nothing,
    Columns(Arc<LateColumns>),
    /// A file that is damaged or missing.
    Damaged,
}

type Output<'a> = container::Output<'a, Kind>;
type Sections = container::Sections<Kind>;

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Column,
}

impl SectionKind for Kind {
    const FILE: FileKind = FileKind::Columns;
    const MAX_SECTIONS: usize = Schema::MAX_FIELDS;
    const ALL: &'static [Self] = &[Self::Column];

    fn code(self) -> u32 {
        // As in a segment.
        super::format::Kind::Column as u32
    }
}

/// An open file of columns.
#[derive(Debug)]
pub(crate) struct LateColumns {
    sections: Sections,
    /// The fields that it was made for.
    fields: BTreeMap<String, Field>,
    /// Of each of these, unless it had more values than can be counted.
    columns: Box<[StoredColumn]>,
    is_damaged: AtomicBool,
}

impl Late {
    pub(crate) fn new(beside: Beside) -> Self {
        Self(Mutex::new(beside))
    }

    pub(crate) fn get(&self) -> Beside {
        lock(&self.0).clone()
    }

    /// Shows columns to views that are made from now on, in place of what there was.
    pub(crate) fn set(&self, beside: Beside) {
        *lock(&self.0) = beside;
    }
}

impl Beside {
    pub(crate) fn columns(&self) -> Option<&LateColumns> {
        match self {
            Self::Columns(columns) => Some(columns),
            Self::Nothing | Self::Damaged => None,
        }
    }
}

impl LateColumns {
    /// Opens the file `name` beside a segment; reads its directory alone.
    pub(crate) fn open(vfs: &dyn Vfs, name: &str, segment: &Segment) -> Result<Self> {
        let sections = Sections::open(vfs, name)?;
        let (of, entries) =
            decode(sections.extra()).map_err(|error| sections.corrupted_directory(error))?;
        if (of, sections.rows) != (segment.file_id(), segment.rows()) {
            return Err(sections.corrupted_directory("it has the columns of another segment"));
        }
        let fields = entries.iter();
        let fields = fields.map(|entry| (entry.name.clone(), entry.field));
        let fields = fields.collect();
        let columns = entries.into_iter().zip(0..);
        let columns = columns.filter_map(|(entry, number)| {
            let section = sections.find(Kind::Column, number)?;
            Some(StoredColumn::new(entry, section))
        });
        Ok(Self {
            fields,
            columns: columns.collect(),
            sections,
            is_damaged: AtomicBool::new(false),
        })
    }

    /// Makes the file `name` with the columns of these fields over a segment, durable but for its
    /// name, and opens it. Those that `known` has are taken from there. What an error leaves of it is removed.
    pub(crate) fn create(
        vfs: &dyn Vfs,
        name: &str,
        segment: &Segment,
        fields: &BTreeMap<String, Field>,
        known: Option<&Self>,
        cancel: &Cancel,
    ) -> Result<Self> {
        let file_id = vfs.unique();
        let file = vfs
            .create(name)
            .map_err(|error| Error::io(format_args!("creating {name}"), error))?;
        let create = || {
            let output = Output::new(file, name, file_id, cancel)?;
            write(output, segment, fields, known, cancel)?;
            let created = Self::open(vfs, name, segment)?;
            for column in &created.columns {
                column.get(&created.sections, cancel)?;
            }
            Ok(created)
        };
        create().inspect_err(|_| {
            // Nothing names it: what stays is garbage, and cleared as such.
            let _ = vfs.remove(name);
        })
    }

    /// The fields that it was made for.
    pub(crate) fn fields(&self) -> &BTreeMap<String, Field> {
        &self.fields
    }

    /// Whether damage was found in it.
    pub(crate) fn is_damaged(&self) -> bool {
        self.is_damaged.load(Ordering::Relaxed)
    }

    /// The column of the field `name`, if it is there and sound.
    pub(crate) fn column(&self, name: &str, cancel: &Cancel) -> Result<Option<Column<'_>>> {
        self.read(name, |column| column.get(&self.sections, cancel))
    }

    /// Reads everything and gives every flaw, as [`Segment::verify`] does.
    pub(crate) fn verify(&self, cancel: &Cancel) -> Result<Vec<Error>> {
        let mut flaws = self.sections.verify(cancel)?;
        if flaws.is_empty() {
            for column in &self.columns {
                cancel.check()?;
                flaws.extend(column.verify(&self.sections).err());
            }
        }
        Ok(flaws)
    }

    /// The bytes of the column of a field of this type, if it is there and sound.
    fn bytes(&self, name: &str, field: Field, cancel: &Cancel) -> Result<Option<&[u8]>> {
        if self.fields.get(name) != Some(&field) {
            return Ok(None);
        }
        self.read(name, |column| column.bytes(&self.sections, cancel))
    }

    fn read<'a, T>(
        &'a self,
        name: &str,
        read: impl FnOnce(&'a StoredColumn) -> Result<T>,
    ) -> Result<Option<T>> {
        let found = self.columns.iter().find(|column| column.name() == name);
        let Some(column) = found.filter(|_| !self.is_damaged()) else {
            return Ok(None);
        };
        match read(column) {
            Err(error) if error.kind() == ErrorKind::Corrupted => {
                tracing::warn!(%error, "columns will be made anew");
                self.is_damaged.store(true, Ordering::Relaxed);
                Ok(None)
            }
            read => read.map(Some),
        }
    }
}

fn write(
    mut output: Output<'_>,
    segment: &Segment,
    fields: &BTreeMap<String, Field>,
    known: Option<&LateColumns>,
    cancel: &Cancel,
) -> Result<u64> {
    let mut taken = BTreeMap::new();
    for (name, field) in fields {
        let bytes = known.map(|known| known.bytes(name, *field, cancel));
        if let Some(bytes) = bytes.transpose()?.flatten() {
            taken.insert(name, bytes);
        }
    }
    let missing = fields.iter().filter(|(name, _)| !taken.contains_key(name));
    let mut payloads = segment.payloads();
    let gathered = gather(missing, segment.rows(), |row| {
        cancel.check_at(row)?;
        payloads.payload(row)
    })?;
    let mut gathered = gathered.into_iter();
    let mut entries = Vec::new();
    for ((name, field), number) in fields.iter().zip(0..) {
        let made = match taken.get(name) {
            Some(_) => None,
            None => gathered.next().and_then(|(_, builder)| builder.finish()),
        };
        if let Some(bytes) = taken.get(name).copied().or(made.as_deref()) {
            output.begin(Kind::Column, number)?;
            output.put(bytes)?;
        }
        let (name, field) = (name.clone(), *field);
        entries.push(ColumnEntry { name, field });
    }
    let mut extra = Vec::new();
    put_u64(&mut extra, segment.file_id());
    put_columns(&mut extra, &entries);
    output.finish(segment.rows(), extra)
}

/// The file id of the segment, and the fields.
fn decode(bytes: &[u8]) -> Decoded<(u64, Vec<ColumnEntry>)> {
    let mut decoder = Decoder::new(bytes);
    let found = (decoder.u64()?, decode_columns(&mut decoder)?);
    if !decoder.is_empty() {
        return Err(DecodeError("the directory says more than it can"));
    }
    Ok(found)
}
