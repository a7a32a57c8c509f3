//! The file of a manifest: written whole, synced, and only then named.
//!
//! ```text
//! 0 header (64 bytes, kind 4)  64 length of body u32  68 checksum u32 over length, file id and body
//! 72 body, as JSON
//! ```
//!
//! A damaged manifest is an error, never a reason to take an older one: files that the older one
//! names may be gone.

use super::{Manifest, number_of};
use crate::{
    codec::{
        checksum,
        header::{FILE_HEADER, FileHeader, FileKind},
    },
    error::{Error, ErrorKind, Result},
    vfs::{Vfs, create_anew},
};

const PREFIX: usize = FILE_HEADER + 8;
/// The most bytes that a manifest can have: about a million segments, snapshots included.
pub(crate) const MAX_BYTES: u64 = 256 << 20;

/// Why a manifest was not written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// It was not named: the one before it counts.
    NotNamed(Error),
    /// It may have been named or not: either may be found when the database is opened again.
    Unknown(Error),
}

impl WriteError {
    /// What went wrong, whatever is known of the outcome.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::NotNamed(error) | Self::Unknown(error) => error,
        }
    }
}

/// The name of the manifest file with this number.
pub(super) fn file_name(number: u64) -> String {
    format!("manifest-{number:010}.mft")
}

pub(super) fn file_number(name: &str) -> Option<u64> {
    number_of(name, "manifest-", ".mft")
}

/// Writes a manifest, durable with its name, and removes the one before it. All files that it
/// names must be durable with their content; their names become durable with its own.
pub(crate) fn write(vfs: &dyn Vfs, manifest: &Manifest) -> std::result::Result<(), WriteError> {
    let name = file_name(manifest.number);
    let temporary = format!("{name}.tmp");
    let failed = |error| Error::io(format_args!("writing {name}"), error);
    let bytes = encode(manifest, vfs.unique()).map_err(WriteError::NotNamed)?;
    let prepare = || {
        let file = create_anew(vfs, &temporary)?;
        file.write_all_at(&bytes, 0)?;
        file.sync()?;
        // The files that it names get their names before it does.
        vfs.sync_dir()
    };
    if let Err(error) = prepare() {
        let _ = vfs.remove(&temporary);
        return Err(WriteError::NotNamed(failed(error)));
    }
    let switch = || {
        vfs.rename(&temporary, &name)?;
        vfs.sync_dir()
    };
    switch().map_err(|error| WriteError::Unknown(failed(error)))?;
    let before = file_name(manifest.number - 1);
    if manifest.number > 1
        && let Err(error) = vfs.remove(&before)
    {
        // It is older, so that it does no harm; the next opening removes it.
        tracing::debug!(%error, file = before, "an old manifest stays");
    }
    Ok(())
}

/// The number of the newest manifest among these files.
pub(crate) fn newest(names: &[String]) -> Option<u64> {
    names.iter().filter_map(|name| file_number(name)).max()
}

/// The newest manifest; `None` when there is none.
pub(crate) fn read_newest(vfs: &dyn Vfs, names: &[String]) -> Result<Option<Manifest>> {
    let Some(number) = newest(names) else {
        return Ok(None);
    };
    let name = file_name(number);
    let read = || {
        let file = vfs.open_read(&name)?;
        let len = file.len()?.min(MAX_BYTES);
        let mut bytes = vec![0; len as usize];
        file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error| Error::io(format_args!("reading {name}"), error))?;
    let manifest = decode(&name, &bytes)?;
    if manifest.number != number {
        return Err(Error::corrupted(&name, 0, "it is another's number"));
    }
    Ok(Some(manifest))
}

/// The bytes of a manifest file.
pub(crate) fn encode(manifest: &Manifest, file_id: u64) -> Result<Vec<u8>> {
    let body = serde_json::to_vec(manifest)
        .map_err(|error| Error::invalid(format!("the manifest is no JSON: {error}")))?;
    if (PREFIX + body.len()) as u64 > MAX_BYTES {
        return Err(Error::new(
            ErrorKind::StorageFull,
            format!("the manifest would have more than {MAX_BYTES} bytes: merge or delete first"),
        ));
    }
    let len = (body.len() as u32).to_le_bytes();
    let header = FileHeader {
        kind: FileKind::Manifest,
        file_id,
    };
    let mut bytes = header.encode();
    bytes.extend_from_slice(&len);
    let sum = checksum(&[&len, &file_id.to_le_bytes(), &body]);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// The manifest in the bytes of the file `name`.
pub(crate) fn decode(name: &str, bytes: &[u8]) -> Result<Manifest> {
    let corrupted = |offset, what: &str| Error::corrupted(name, offset, what);
    let Some((header, _)) = bytes.split_first_chunk() else {
        return Err(corrupted(0, "the file ends too soon"));
    };
    let FileHeader { file_id, .. } =
        FileHeader::decode(header, FileKind::Manifest).map_err(|error| error.of(name))?;
    let (Some(prefix), Some(body)) = (bytes.get(FILE_HEADER..PREFIX), bytes.get(PREFIX..)) else {
        return Err(corrupted(FILE_HEADER as u64, "the file ends too soon"));
    };
    let (len, sum) = prefix.split_at(4);
    if len != (body.len() as u32).to_le_bytes() {
        return Err(corrupted(FILE_HEADER as u64, "its length differs"));
    }
    if checksum(&[len, &file_id.to_le_bytes(), body]).to_le_bytes() != sum {
        return Err(corrupted(PREFIX as u64, "its checksum differs"));
    }
    let manifest: Manifest = serde_json::from_slice(body)
        .map_err(|error| corrupted(PREFIX as u64, &format!("it is not as expected: {error}")))?;
    manifest
        .check()
        .map_err(|error| corrupted(PREFIX as u64, &error.to_string()))?;
    Ok(manifest)
}
