//! Columns of fields that were declared after a segment was written: which are wanting, how they are made and
//! opened.

use crate::{
    cancel::Cancel,
    error::Result,
    manifest::{SegmentFiles, columns_name},
    schema::{Field, Schema},
    segment::{Beside, Late, LateColumns, Segment},
    vfs::Vfs,
    view::OpenSegment,
};
use std::{collections::BTreeMap, sync::Arc};

/// The fields that are to have their columns beside a segment, if these are not what lies there. Of
/// a field of another type than it had, the segment's own column is of no use.
pub(super) fn wanting(
    segment: &Segment,
    beside: &Beside,
    schema: &Schema,
) -> Option<BTreeMap<String, Field>> {
    let is_late = |(name, field): &(&String, &Field)| segment.field(name) != Some(**field);
    let late = || schema.fields.iter().filter(is_late);
    let is_there = match beside {
        Beside::Nothing => late().next().is_none(),
        Beside::Columns(columns) => !columns.is_damaged() && columns.fields().iter().eq(late()),
        Beside::Damaged => false,
    };
    let owned = |(name, field): (&String, &Field)| (name.clone(), *field);
    (!is_there).then(|| late().map(owned).collect())
}

/// Makes the file of the columns of these fields over a segment, durable but for its name, and
/// checked. None is made of none.
pub(super) fn make(
    vfs: &dyn Vfs,
    name: &str,
    segment: &OpenSegment,
    fields: &BTreeMap<String, Field>,
    cancel: &Cancel,
) -> Result<Beside> {
    if fields.is_empty() {
        return Ok(Beside::Nothing);
    }
    let beside = segment.late.get();
    let known = beside.columns();
    let made = LateColumns::create(vfs, name, &segment.segment, fields, known, cancel)?;
    Ok(Beside::Columns(Arc::new(made)))
}

/// Opens the columns that the manifest names. What is damaged or missing is left out: it will be made anew.
pub(super) fn open(vfs: &dyn Vfs, files: &SegmentFiles, segment: &Segment) -> Late {
    let opened = files
        .columns
        .map(|file| LateColumns::open(vfs, &columns_name(file), segment));
    Late::new(match opened {
        None => Beside::Nothing,
        Some(Ok(columns)) => Beside::Columns(Arc::new(columns)),
        Some(Err(error)) => {
            tracing::warn!(%error, "columns will be made anew");
            Beside::Damaged
        }
    })
}
