//! Writes a segment from a [`Source`], section by section.
//!
//! A source is asked for the same rows once for each section, so that what is held meanwhile is
//! what ids need (about 11 to 31 bytes for each row), then what columns need (8 bytes for each row
//! and field, and their different values), then one text's index at a time, then the dimensions of one sparse
//! vector and its longest list, and some buffers, whatever the size of vectors and
//! payloads. The directory is the caller's to sync.

use super::{
    columns::write_columns,
    format::{Contents, Kind, MAX_ROWS, Output},
    ids::write_ids,
    payloads::write_payloads,
    sparse::write_sparse,
    texts::write_text,
    vectors::write_vector,
};
use crate::{
    cancel::Cancel,
    error::{Error, Result},
    expiry::Expiry,
    id::PointId,
    payload::Payload,
    schema::{Datatype, Field},
    sparse_vector::Halves,
    text,
    vector::Values,
    vfs::Vfs,
};
use std::{borrow::Cow, collections::BTreeMap};

/// The rows of a segment to be, in their order. Asked several times for each row, in passes from
/// the first to the last, and to give the same answer each time.
pub(crate) trait Source {
    /// How many rows there are.
    fn rows(&self) -> u32;
    /// The id of a row; no two rows have the same.
    fn id(&mut self, row: u32) -> Result<PointId>;
    /// The vector `number` of a row and its scale, if the row has it.
    fn vector(&mut self, row: u32, number: u32) -> Result<Option<(Values<'_>, f32)>>;
    /// When a row expires.
    fn expiry(&mut self, row: u32) -> Result<Expiry>;
    /// The payload of a row.
    fn payload(&mut self, row: u32) -> Result<Payload>;
    /// Adds the payload of a row to `out`, as a JSON object.
    fn payload_json(&mut self, row: u32, out: &mut Vec<u8>) -> Result<()>;
    /// The index over the text `number` of all rows; none if it is to be made later.
    fn text(&mut self, number: u32) -> Result<Option<text::Bytes>>;
    /// The sparse vector `number` of a row, if the row has it.
    fn sparse(&mut self, row: u32, number: u32) -> Result<SparseOf<'_>>;
    /// Gives the posting lists over the sparse vector `number`, which so many rows have, to `put`, and what
    /// is written of their dimensions.
    fn sparse_lists(&mut self, number: u32, filled: u32, put: PutLists<'_>) -> Result<Vec<u8>>;
}

/// The sparse vector of a row, if it has one.
pub(crate) type SparseOf<'a> = Option<Cow<'a, Halves>>;
/// Takes posting lists, one after the other.
pub(crate) type PutLists<'a> = &'a mut dyn FnMut(&[u8]) -> Result<()>;

/// What rows may have, and what is written of them beside their payloads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout<'a> {
    pub(crate) vectors: &'a [VectorShape],
    /// The fields that get a column.
    pub(crate) fields: &'a BTreeMap<String, Field>,
    /// The numbers of texts that get an index, ascending.
    pub(crate) texts: &'a [u32],
    /// The numbers of sparse vectors that rows may have, ascending.
    pub(crate) sparse: &'a [u32],
}

/// A vector that rows may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VectorShape {
    pub(crate) number: u32,
    pub(crate) dimensions: u32,
    pub(crate) datatype: Datatype,
    /// Whether a row has a list of them, one after the other.
    pub(crate) multi: bool,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentMeta {
    pub(crate) rows: u32,
    pub(crate) bytes: u64,
    pub(crate) file_id: u64,
    /// When the first row expires.
    pub(crate) first_expiry: Expiry,
}

/// Writes the rows of `source` to the new file `name` and syncs it. What an error leaves of the
/// file is removed, as far as the directory allows.
pub(crate) fn write(
    vfs: &dyn Vfs,
    name: &str,
    layout: Layout<'_>,
    source: &mut dyn Source,
    cancel: &Cancel,
) -> Result<SegmentMeta> {
    let rows = source.rows();
    if rows > MAX_ROWS {
        return Err(Error::invalid(format!("a segment cannot have {rows} rows")));
    }
    let file_id = vfs.unique();
    let file = vfs
        .create(name)
        .map_err(|error| Error::io(format_args!("creating {name}"), error))?;
    let written = Output::new(file, name, file_id, cancel)
        .and_then(|output| write_sections(output, layout, source));
    match written {
        Ok((bytes, first_expiry)) => Ok(SegmentMeta {
            rows,
            bytes,
            file_id,
            first_expiry,
        }),
        Err(error) => {
            // Nothing names it: what stays is garbage, and cleared as such.
            let _ = vfs.remove(name);
            Err(error)
        }
    }
}

fn write_sections(
    mut output: Output<'_>,
    layout: Layout<'_>,
    source: &mut dyn Source,
) -> Result<(u64, Expiry)> {
    write_ids(&mut output, source)?;
    let mut vectors = Vec::new();
    for shape in layout.vectors {
        vectors.extend(write_vector(&mut output, *shape, source)?);
    }
    write_payloads(&mut output, source)?;
    let first_expiry = write_expiries(&mut output, source)?;
    let columns = write_columns(&mut output, layout.fields, source)?;
    let mut texts = Vec::new();
    for number in layout.texts {
        if let Some(bytes) = source.text(*number)? {
            write_text(&mut output, *number, &bytes)?;
            texts.push(*number);
        }
    }
    let mut sparse = Vec::new();
    for number in layout.sparse {
        if write_sparse(&mut output, *number, source)? {
            sparse.push(*number);
        }
    }
    let contents = Contents {
        vectors,
        columns,
        texts,
        sparse,
    };
    let bytes = output.finish(source.rows(), contents.encode())?;
    Ok((bytes, first_expiry))
}

/// Writes when rows expire, unless none does.
fn write_expiries(output: &mut Output<'_>, source: &mut dyn Source) -> Result<Expiry> {
    let mut first = Expiry::NEVER;
    for row in 0..source.rows() {
        output.check_at(row)?;
        first = first.min(source.expiry(row)?);
    }
    if first != Expiry::NEVER {
        output.begin(Kind::Expiries, 0)?;
        for row in 0..source.rows() {
            output.put(&source.expiry(row)?.0.to_le_bytes())?;
        }
    }
    Ok(first)
}
