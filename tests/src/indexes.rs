//! Index files seen from outside, and files of columns: that the newest manifest names all that there are, and
//! that what should have an index has one, and the columns of all fields.

use crate::opening::{Memory, options};
use amphora::{Database, Options, Result, vfs::Vfs};
use serde_json::Value;
use std::{collections::BTreeSet, io};

/// What comes before the JSON of a manifest.
const PREFIX: u64 = 72;

/// Opens a database that builds no index by itself, so that those that are there are used as they
/// are.
///
/// # Errors
/// Those of opening it.
pub fn open_as_it_is(vfs: impl Vfs + 'static) -> Result<Database> {
    let options = Options {
        index_from: usize::MAX,
        ..options(Memory::Tiny)
    };
    Database::builder_on(vfs).options(options).open().wait()
}

/// Builds what is wanting, opens the database once more, and says what is wrong with the index
/// files that there are then.
///
/// # Errors
/// Those of opening and optimizing.
pub fn problem<V: Vfs + Clone + 'static>(vfs: &V) -> Result<Option<String>> {
    let db = Database::builder_on(vfs.clone()).options(options(Memory::Tiny));
    let db = db.open().wait()?;
    db.optimize().wait()?;
    db.close().wait()?;
    let db = open_as_it_is(vfs.clone())?;
    let wanting = db.stats().wanting_columns;
    let problem = match wanting {
        0 => of_files(vfs).unwrap_or_else(|error| Some(error.to_string())),
        _ => Some(format!("{wanting} segments want columns")),
    };
    db.close().wait()?;
    Ok(problem)
}

fn of_files(vfs: &impl Vfs) -> io::Result<Option<String>> {
    let names = vfs.list()?;
    let is_manifest = |name: &&String| name.starts_with("manifest-") && !name.ends_with(".tmp");
    let Some(newest) = names.iter().filter(is_manifest).max() else {
        return Ok(Some("there is no manifest".to_owned()));
    };
    let file = vfs.open_read(newest)?;
    let mut body = vec![0; file.len()?.saturating_sub(PREFIX) as usize];
    file.read_exact_at(&mut body, PREFIX)?;
    let manifest: Value = serde_json::from_slice(&body)?;

    if let Some(segment) = segments(&manifest).find(|segment| lacks_index(segment)) {
        return Ok(Some(format!("there is no index of {segment}")));
    }
    let pinned = items(&manifest["snapshots"]).flat_map(segments);
    let named: BTreeSet<String> = segments(&manifest)
        .chain(pinned)
        .flat_map(|segment| indexes(segment).chain(columns(segment)))
        .collect();
    let is_index = |name: &&String| name.starts_with("index-") || name.starts_with("columns-");
    let there: BTreeSet<String> = names.iter().filter(is_index).cloned().collect();
    let differ = there != named;
    Ok(differ.then(|| format!("there are {there:?} and {named:?} are named")))
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

/// Those of a manifest, or of a snapshot in it.
fn segments(of: &Value) -> impl Iterator<Item = &Value> {
    items(&of["collections"]).flat_map(|collection| items(&collection["segments"]))
}

/// The names of the files of a segment's indexes.
fn indexes(segment: &Value) -> impl Iterator<Item = String> {
    let numbers = segment["indexes"].as_object().into_iter().flatten();
    numbers.map(|(_, number)| format!("index-{:010}.idx", number.as_u64().unwrap_or_default()))
}

/// The name of the file of the columns that a segment lacks.
fn columns(segment: &Value) -> Option<String> {
    let number = segment["columns"].as_u64();
    number.map(|number| format!("columns-{number:010}.col"))
}

fn lacks_index(segment: &Value) -> bool {
    let least = options(Memory::Tiny).index_from as u64;
    segment["rows"].as_u64() >= Some(least) && indexes(segment).next().is_none()
}
