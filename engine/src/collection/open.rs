//! Opening: the manifest, the segments that it names, the log behind them, and the garbage that
//! a crash may have left. Nothing is removed before all that counts was read.

use super::{
    clock::Clock,
    committer::Committer,
    load::{apply_logged, note_damage, open_segments, plan},
    state::State,
    sweep::Sweep,
    tables::Tables,
    touched::Touched,
    upkeep::Upkeep,
};
use crate::{
    cancel::Cancel,
    error::{Error, Result},
    manifest::{self, Manifest},
    options::Options,
    pool::Pools,
    texts::Analyzers,
    vfs::Vfs,
    wal::{self, Wal},
};
use std::{any::Any, collections::VecDeque, sync::Arc};

impl Committer {
    /// Opens the database in `vfs`, or creates one. What it shows is durable.
    pub(crate) fn open(
        vfs: Arc<dyn Vfs>,
        options: &Options,
        lock: Box<dyn Any + Send>,
        pools: Pools,
        cancel: &Cancel,
    ) -> Result<Self> {
        let names = list(&*vfs)?;
        manifest::check_place(&names, options.create)?;
        let analyzers = Arc::new(Analyzers::new(options.tokenizers.clone()));
        let state = Arc::new(State::new(Clock::new(Arc::clone(&vfs)), analyzers));
        let mut tables = Tables::default();
        let (manifest, wal) = match manifest::read_newest(&*vfs, &names)? {
            Some(manifest) => {
                let set_aside = options.set_aside_damaged;
                open_segments(&*vfs, &manifest, set_aside, &state, &mut tables, cancel)?;
                let wal = replay(&*vfs, &names, &manifest, &state, &mut tables, cancel)?;
                note_damage(&mut tables, options);
                wal::remove_garbage(&*vfs, manifest::garbage(&manifest, &names))?;
                (manifest, wal)
            }
            None => create(&*vfs, &names)?,
        };
        tables.check_texts(state.analyzers())?;
        tables.publish_all(wal.last_seq());
        let entrances = pools.entrances();
        let sweep = Sweep::new(entrances.update.clone());
        let upkeep = Upkeep::new(
            Arc::clone(&vfs),
            entrances,
            Arc::clone(&state),
            manifest,
            options,
        );
        let committer = Self {
            state,
            vfs,
            wal,
            tables,
            upkeep,
            limits: options.limits.clone(),
            memtable_bytes: options.memtable_bytes,
            staged: Vec::new(),
            replies: Vec::new(),
            sync_group: false,
            sync_by: None,
            touched: Touched::default(),
            sweep,
            optimizing: Vec::new(),
            progress: None,
            snapshots: VecDeque::new(),
            closing: false,
            lock,
            pools,
        };
        committer.state.set_log_end(committer.log_end());
        Ok(committer)
    }
}

/// Whether a database is in `vfs`, or may be created there. Writes nothing.
pub(crate) fn check_place(vfs: &dyn Vfs, create: bool) -> Result<()> {
    manifest::check_place(&list(vfs)?, create)
}

pub(super) fn list(vfs: &dyn Vfs) -> Result<Vec<String>> {
    vfs.list()
        .map_err(|error| Error::io("listing the directory", error))
}

/// The log first: without a manifest its file is garbage, and nobody was told of anything.
fn create(vfs: &dyn Vfs, names: &[String]) -> Result<(Manifest, Wal)> {
    let wal = wal::open(vfs, names, None, |_, _| Ok(()))?;
    let manifest = Manifest::empty();
    let garbage = manifest::garbage(&manifest, names);
    wal::remove_garbage(vfs, garbage.filter(|name| !wal::is_log(name)))?;
    manifest::write(vfs, &manifest).map_err(manifest::WriteError::into_error)?;
    Ok((manifest, wal))
}

/// Repeats the changes that the segments do not hold.
fn replay(
    vfs: &dyn Vfs,
    names: &[String],
    manifest: &Manifest,
    state: &State,
    tables: &mut Tables,
    cancel: &Cancel,
) -> Result<Wal> {
    wal::open(vfs, names, Some(plan(manifest)), |seq, change| {
        cancel.check()?;
        apply_logged(state, tables, manifest.applied, seq, change)
    })
}
