//! Making a database of a portable snapshot, whoever wrote it.

use super::{archive::Archive, fresh::create_at};
use crate::{
    cancel::Cancel,
    collection::check_whole,
    error::{Error, Result},
    vfs::open_outside,
};
use std::path::Path;

/// Makes the portable snapshot at `file` a database in the directory at `path`, which is empty or
/// does not exist. All of it is read and checked before it counts.
pub(crate) fn import(file: &Path, path: &Path, cancel: &Cancel) -> Result<()> {
    let source = open_outside(file)
        .map_err(|error| Error::io(format_args!("opening {}", file.display()), error))?;
    let archive = Archive::open(source, file.display().to_string())?;
    let manifest = archive.manifest()?;
    create_at(path, |target| {
        archive.unpack(target, cancel)?;
        check_whole(target, &manifest, cancel)?;
        Ok(manifest)
    })
}
