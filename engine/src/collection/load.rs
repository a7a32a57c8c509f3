//! Reading what a manifest names into tables: its segments, and the log behind them.
//!
//! Opening a database does it on the live directory; going back to a snapshot, and checking what
//! came from elsewhere, do it beside the live tables. Nothing here repairs or replaces a file.

use super::{
    build::build,
    clock::Clock,
    columns, index,
    placed::{Placed, Unread},
    state::State,
    tables::{Table, Tables},
};
use crate::{
    cancel::Cancel,
    error::{Error, ErrorKind, Result},
    expiry::Expiry,
    id::{CollectionId, SeqNo},
    manifest::{CollectionFiles, Manifest, SegmentFiles, deletes_name, missed_name, segment_name},
    options::Options,
    schema::{Vector, check_name},
    segment::{self, Deletes, Segment},
    shape::Shape,
    texts::{Analyzers, GrownTexts},
    vector::check_stored,
    vfs::Vfs,
    view::OpenSegment,
    wal::{self, Change, Plan},
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// What a snapshot holds, all of it in segments.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    pub(super) collections: Vec<LoadedCollection>,
    pub(super) aliases: BTreeMap<String, CollectionId>,
    /// The files that were written for it, which nothing names yet.
    pub(super) written: Vec<String>,
}

#[derive(Debug)]
pub(super) struct LoadedCollection {
    pub(super) id: CollectionId,
    pub(super) name: String,
    pub(super) shape: Arc<Shape>,
    pub(super) segments: Vec<Placed>,
}

/// How loading ended, unless writing failed.
pub(super) type LoadResult = Result<Loaded>;

impl Loaded {
    /// Numbers its collections from `first` on, so that no handle or record means one of them.
    pub(super) fn renumber(&mut self, first: CollectionId) {
        let mut renumbered = BTreeMap::new();
        for (collection, number) in self.collections.iter_mut().zip(first.0..) {
            renumbered.insert(collection.id, CollectionId(number));
            collection.id = CollectionId(number);
        }
        for id in self.aliases.values_mut() {
            *id = renumbered.get(id).copied().unwrap_or(*id);
        }
    }

    /// What the manifest says of its collections.
    pub(super) fn files(&self) -> Vec<CollectionFiles> {
        let files = |collection: &LoadedCollection| CollectionFiles {
            id: collection.id,
            name: collection.name.clone(),
            shape: (*collection.shape).clone(),
            segments: collection
                .segments
                .iter()
                .map(|s| s.files.clone())
                .collect(),
        };
        self.collections.iter().map(files).collect()
    }

    /// All its segments.
    pub(super) fn segments(&self) -> impl Iterator<Item = Arc<OpenSegment>> {
        let segments = self.collections.iter().flat_map(|c| &c.segments);
        segments.filter_map(|placed| placed.segment.clone())
    }

    /// Puts it in place of all that there is, which `seq` is the last change of.
    pub(super) fn install(self, state: &State, tables: &mut Tables, seq: SeqNo) {
        let (new_state, mut new) = (state.twin(), Tables::default());
        new.skip_to(tables.next());
        for collection in self.collections {
            let LoadedCollection {
                id,
                name,
                shape,
                segments,
            } = collection;
            new.create(&new_state, id, name, shape, segments);
        }
        for (alias, id) in self.aliases {
            let meant = new.get(id).map(|table| Arc::clone(&table.state));
            new_state.set_alias(alias, meant);
        }
        new.publish_all(seq);
        *tables = new;
        state.replace_names(new_state);
    }
}

/// Loads a snapshot that `manifest` is that of, and writes the points that are in its log alone to
/// segments. The outer error says that writing failed, the inner one that reading did.
pub(super) fn load(
    vfs: &dyn Vfs,
    manifest: &Manifest,
    next_file: &AtomicU64,
    analyzers: &Arc<Analyzers>,
    cancel: &Cancel,
) -> Result<LoadResult> {
    match read(vfs, manifest, Arc::clone(analyzers), cancel) {
        Ok(read) => write_out(vfs, read, next_file, cancel).map(Ok),
        Err(error) => Ok(Err(error)),
    }
}

/// Whether a database of this manifest can be opened, read to its end, and compared, whoever wrote
/// its files.
pub(crate) fn check_whole(vfs: &dyn Vfs, manifest: &Manifest, cancel: &Cancel) -> Result<()> {
    let Read {
        state,
        tables,
        last,
    } = read(vfs, manifest, Arc::default(), cancel)?;
    tables.publish_all(last);
    for table in tables.all() {
        check_name("collection", &table.state.name())?;
        verify_points(table, cancel)?;
    }
    let names = state.names();
    let aliases = || names.aliases.keys();
    aliases().try_for_each(|alias| check_name("alias", alias))?;
    let mut taken = aliases().any(|alias| names.collections.contains_key(alias));
    taken |= names.collections.len() != tables.all().count();
    if taken || tables.next() > CollectionId::MAX {
        return Err(Error::invalid("a name or a number is that of two"));
    }
    Ok(())
}

fn verify_points(table: &Table, cancel: &Cancel) -> Result<()> {
    for segment in table.segments.iter().filter_map(Placed::readable) {
        let flaws = segment.segment.verify(cancel)?;
        flaws.into_iter().next().map_or(Ok(()), Err)?;
    }
    let view = table.state.view();
    let mut room = Vec::new();
    for (name, number, vector) in table.shape.vectors() {
        for part in view.parts()? {
            part.vectors(number, 0..part.rows(), cancel, |_, values, _| {
                check_stored(name, vector, values.widened(&mut room))
            })?;
        }
    }
    Ok(())
}

/// The tables of a snapshot.
struct Read {
    state: State,
    tables: Tables,
    last: SeqNo,
}

fn read(
    vfs: &dyn Vfs,
    manifest: &Manifest,
    analyzers: Arc<Analyzers>,
    cancel: &Cancel,
) -> Result<Read> {
    let state = State::new(Clock::default(), analyzers);
    let mut tables = Tables::default();
    open_segments(vfs, manifest, false, &state, &mut tables, cancel)?;
    let last = wal::read_closed(vfs, plan(manifest), |seq, change| {
        cancel.check()?;
        apply_logged(&state, &mut tables, manifest.applied, seq, change)
    })?;
    if let Some(flaw) = tables.all().flat_map(Table::flaws).next() {
        return Err(flaw.clone());
    }
    Ok(Read {
        state,
        tables,
        last,
    })
}

/// Writes memtables to segments. What an error leaves of them is removed.
fn write_out(vfs: &dyn Vfs, read: Read, next_file: &AtomicU64, cancel: &Cancel) -> Result<Loaded> {
    let Read {
        state,
        mut tables,
        last,
    } = read;
    let mut written = Vec::new();
    for (collection, shape, part) in tables.seal(last) {
        let file = next_file.fetch_add(1, Ordering::Relaxed);
        match build(vfs, file, &shape, &[part], state.analyzers(), cancel) {
            Ok(built) => {
                written.extend(built.as_ref().map(|_| segment_name(file)));
                let built = built.as_ref().map(|built| (built, built.files()));
                tables.install(collection, built, None, last);
            }
            Err(error) => {
                for name in &written {
                    let _ = vfs.remove(name);
                }
                return Err(error);
            }
        }
    }
    let collections = tables.all().map(|table| LoadedCollection {
        id: table.state.id,
        name: table.state.name(),
        shape: Arc::clone(&table.shape),
        segments: table.segments.clone(),
    });
    let aliases = state.names().alias_ids();
    Ok(Loaded {
        collections: collections.collect(),
        aliases,
        written,
    })
}

/// Which part of the log the segments do not hold.
pub(super) fn plan(manifest: &Manifest) -> Plan {
    Plan {
        first: manifest.first_log,
        applied: manifest.applied,
        closed: manifest.closed.map(|closed| (closed.log, closed.end)),
    }
}

/// Repeats one change of the log.
pub(super) fn apply_logged(
    state: &State,
    tables: &mut Tables,
    applied: SeqNo,
    seq: SeqNo,
    change: Change,
) -> Result<()> {
    // Nobody is told how many points were live.
    let now = Expiry::BEGINNING;
    let targets = loop {
        match tables.resolve(&change, now) {
            // Read no more, a damaged segment has nothing to say.
            Err(error) if tables.set_unread(&error, applied) => {}
            targets => break targets?,
        }
    };
    tables.apply(state, seq, change, &targets, now).map(drop)
}

/// Reads the footers of all segments, and which of their rows have ended.
pub(super) fn open_segments(
    vfs: &dyn Vfs,
    manifest: &Manifest,
    set_aside: bool,
    state: &State,
    tables: &mut Tables,
    cancel: &Cancel,
) -> Result<()> {
    for collection in &manifest.collections {
        let segments = collection.segments.iter();
        let segments = segments.map(|files| {
            cancel.check()?;
            let mut placed = place_segment(vfs, files, &collection.shape, manifest.applied)?;
            if set_aside {
                read_whole(&mut placed, manifest.applied, cancel)?;
            }
            Ok(placed)
        });
        let segments = segments.collect::<Result<Vec<_>>>()?;
        let shape = Arc::new(collection.shape.clone());
        tables.create(
            state,
            collection.id,
            collection.name.clone(),
            shape,
            segments,
        );
    }
    tables.skip_to(manifest.next_collection);
    for (alias, id) in &manifest.aliases {
        let table = tables.get(*id).ok_or_else(|| {
            Error::invalid(format!(
                "an alias means collection number {}, which is not there",
                id.0
            ))
        })?;
        state.set_alias(alias.clone(), Some(Arc::clone(&table.state)));
    }
    Ok(())
}

/// A segment as far as it can be read: damage to it stays its own.
fn place_segment(
    vfs: &dyn Vfs,
    files: &SegmentFiles,
    shape: &Shape,
    applied: SeqNo,
) -> Result<Placed> {
    let missed = match files.missed {
        Some(number) => segment::read_missed(vfs, &missed_name(number), files.file)?,
        None => Vec::new(),
    };
    let opened = open_segment(vfs, files, shape, applied).and_then(|segment| {
        for id in &missed {
            if let Some(row) = segment.segment.find(id)? {
                segment.deletes.end(row, applied);
            }
        }
        Ok(segment)
    });
    match opened {
        Ok(segment) => Ok(Placed::sound(files.clone(), Arc::new(segment))),
        Err(error) if error.kind() == ErrorKind::Corrupted => Ok(Placed {
            files: files.clone(),
            segment: None,
            unread: Some(Unread::new(error, missed, applied)),
            next_expiry: Expiry::NEVER,
        }),
        Err(error) => Err(error),
    }
}

/// Looks for damage that would only be found when it is touched.
fn read_whole(placed: &mut Placed, applied: SeqNo, cancel: &Cancel) -> Result<()> {
    if let Some(segment) = placed.readable() {
        let flaws = segment.segment.verify(cancel)?;
        let flaw = flaws.into_iter().next();
        placed.unread = flaw.map(|error| Unread::new(error, Vec::new(), applied));
    }
    Ok(())
}

/// Lists what is damaged, and refuses from now on what would need it, unless it was to be set aside.
pub(super) fn note_damage(tables: &mut Tables, options: &Options) {
    for table in tables.all() {
        let flaws = table.flaws().cloned();
        flaws.for_each(|error| table.state.note_damage(error));
    }
    if !options.set_aside_damaged {
        tables.refuse_damaged();
    }
}

pub(super) fn missing(name: &str) -> Error {
    Error::corrupted(name, 0, "the file is missing")
}

/// What the manifest names must be there, in a format that goes with its own.
fn of_a_file(name: &str, error: Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound => missing(name),
        ErrorKind::Unsupported => Error::corrupted(name, 0, error),
        _ => error,
    }
}

pub(super) fn open_segment(
    vfs: &dyn Vfs,
    files: &SegmentFiles,
    shape: &Shape,
    applied: SeqNo,
) -> Result<OpenSegment> {
    let name = segment_name(files.file);
    let segment = Segment::open(vfs, &name).map_err(|error| of_a_file(&name, error))?;
    let fits = |(_, number, vector): (&str, u32, &Vector)| {
        let shape = segment.shape(number);
        shape.is_none_or(|shape| {
            (shape.dimensions, shape.datatype, shape.multi)
                == (vector.dimensions, vector.datatype, vector.multi)
        })
    };
    if !shape.vectors().all(fits) {
        let what = "its vectors are not those of the schema";
        return Err(Error::corrupted(&name, 0, what));
    }
    if (segment.rows(), segment.file_len()) != (files.rows, files.bytes) {
        let what = "the manifest names a segment of another size";
        return Err(Error::corrupted(&name, 0, what));
    }
    let indexes = index::open(vfs, files, &segment, shape);
    let late = columns::open(vfs, files, &segment);
    let deletes = Deletes::new(segment.rows());
    if let Some(file) = files.deletes {
        let name = deletes_name(file.file);
        let ended = segment::read_deletes(vfs, &name, segment.file_id(), segment.rows())
            .map_err(|error| of_a_file(&name, error))?;
        if ended.len() != u64::from(file.rows) {
            let what = "the manifest names another number of ended rows";
            return Err(Error::corrupted(&name, 0, what));
        }
        for row in ended {
            deletes.end(row, applied);
        }
    }
    Ok(OpenSegment {
        file: files.file,
        segment,
        deletes,
        first_expiry: files.first_expiry,
        indexes,
        late,
        texts: GrownTexts::default(),
    })
}
