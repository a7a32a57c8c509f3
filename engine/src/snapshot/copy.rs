//! Copying a range of one file into another, piece by piece.

use crate::{
    cancel::Cancel,
    codec::Checksum,
    error::{Error, Result},
    vfs::{Vfs, VfsFile},
};
use std::{ops::Range, sync::Arc};

/// How much is copied between two looks at whether to go on.
const PIECE: u64 = 1 << 20;

/// Opens the file `name` for its first `len` bytes, or all, and gives how many these are.
pub(super) fn open(
    source: &dyn Vfs,
    name: &str,
    len: Option<u64>,
) -> Result<(Arc<dyn VfsFile>, u64)> {
    let open = || {
        let file = source.open_read(name)?;
        let all = file.len()?;
        Ok((file, len.unwrap_or(all)))
    };
    open().map_err(|error| Error::io(format_args!("opening {name}"), error))
}

/// Copies `range` of `source` to `at` in `target`, and gives its checksum.
pub(super) fn copy(
    source: &dyn VfsFile,
    range: Range<u64>,
    target: &dyn VfsFile,
    at: u64,
    cancel: &Cancel,
) -> Result<u32> {
    let mut sum = Checksum::default();
    let mut buffer = Vec::new();
    let mut done = 0;
    let len = range.end.saturating_sub(range.start);
    while done < len {
        cancel.check()?;
        buffer.resize(PIECE.min(len - done) as usize, 0);
        source
            .read_exact_at(&mut buffer, range.start + done)
            .map_err(|error| Error::io("reading", error))?;
        sum.update(&buffer);
        target
            .write_all_at(&buffer, at + done)
            .map_err(|error| Error::io("writing", error))?;
        done += buffer.len() as u64;
    }
    Ok(sum.finish())
}

/// Copies `range` of `source` to the new file `name`, durable but for its name.
pub(super) fn copy_to_file(
    source: &dyn VfsFile,
    range: Range<u64>,
    target: &dyn Vfs,
    name: &str,
    cancel: &Cancel,
) -> Result<u32> {
    let create = || {
        let file = target.create(name);
        let file = file.map_err(|error| Error::io("creating it", error))?;
        let sum = copy(source, range, &*file, 0, cancel)?;
        file.sync().map_err(|error| Error::io("syncing", error))?;
        Ok(sum)
    };
    create().map_err(|error: Error| error.context(format_args!("copying {name}")))
}
