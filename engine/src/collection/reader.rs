//! A database that is opened for reading only: its state as of the opening, beside a writer or
//! on a medium that takes no writes. It locks nothing, creates nothing and writes nothing.
//!
//! In place of the commit thread stands one that refuses all writes, keeps the pools, and lets
//! them go where waiting for their threads hurts nobody.

use super::{
    clock::Clock,
    load::{apply_logged, note_damage, open_segments, plan},
    open::list,
    state::State,
    tables::Tables,
    write::{Applied, Request, Write},
};
use crate::{
    cancel::{Cancel, cancelled},
    error::{Error, ErrorKind, Result},
    executor::block_on,
    manifest::{self, LogEnd},
    options::Options,
    pool::Pools,
    texts::Analyzers,
    vfs::{Held, Vfs},
    wal,
};
use async_channel::Receiver;
use std::{sync::Arc, thread};

/// How often the opening is tried while a writer takes the files away that it reads.
const ATTEMPTS: usize = 200;

pub(crate) struct Reader {
    state: Arc<State>,
    pools: Pools,
}

impl Reader {
    /// Reads the database in `vfs` as it is now.
    pub(crate) fn open(
        vfs: &Arc<dyn Vfs>,
        options: &Options,
        pools: Pools,
        cancel: &Cancel,
    ) -> Result<Self> {
        let mut attempt = 1;
        loop {
            cancel.check()?;
            let names = list(&**vfs)?;
            let loaded = load(vfs, &names, options, cancel);
            // All files were there all the time, unless another manifest has come since.
            let stayed = manifest::newest(&list(&**vfs)?) == manifest::newest(&names);
            match loaded {
                Ok((state, held)) if held || stayed => return Ok(Self { state, pools }),
                Err(error) if stayed || attempt == ATTEMPTS => return Err(error),
                Ok(_) if attempt == ATTEMPTS => return Err(too_busy()),
                _ => attempt += 1,
            }
        }
    }

    pub(crate) fn state(&self) -> Arc<State> {
        Arc::clone(&self.state)
    }

    /// Starts the thread, which ends when the queue is closed or it is told to close.
    pub(crate) fn start(self, queue: Receiver<Write>) -> Result<()> {
        let thread = thread::Builder::new().name("amphora-reader".into());
        match thread.spawn(move || self.run(&queue)) {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::io("starting the reader's thread", error)),
        }
    }

    fn run(self, queue: &Receiver<Write>) {
        while let Ok(write) = block_on(queue.recv()) {
            match write.request {
                Request::Ping | Request::Sync => write.answer(Ok(Applied::Done)),
                Request::Close if write.cancel.claim() => return self.close(queue, write),
                Request::Close => write.answer(Err(cancelled())),
                _ => write.answer(Err(read_only())),
            }
        }
    }

    fn close(self, queue: &Receiver<Write>, write: Write) {
        self.state.close();
        queue.close();
        while queue.try_recv().is_ok() {}
        drop(self.pools);
        write.answer(Ok(Applied::Done));
    }
}

/// The state that the files `names` make, and whether all were held from the first moment on: a
/// busy writer may replace files faster than they are read, but not faster than they are opened.
fn load(
    vfs: &Arc<dyn Vfs>,
    names: &[String],
    options: &Options,
    cancel: &Cancel,
) -> Result<(Arc<State>, bool)> {
    let clock = Clock::new(Arc::clone(vfs));
    let Some(manifest) = manifest::read_newest(&**vfs, names)? else {
        let what = "the directory holds no database that could be read";
        return Err(Error::new(ErrorKind::NotFound, what));
    };
    let needed = manifest.read_at_opening(names);
    let vfs = &Held::open(&**vfs, needed.iter().cloned());
    let analyzers = Arc::new(Analyzers::new(options.tokenizers.clone()));
    let state = Arc::new(State::new(clock, analyzers));
    let mut tables = Tables::default();
    open_segments(
        vfs,
        &manifest,
        options.set_aside_damaged,
        &state,
        &mut tables,
        cancel,
    )?;
    let end = wal::read(vfs, names, plan(&manifest), |seq, change| {
        cancel.check()?;
        apply_logged(&state, &mut tables, manifest.applied, seq, change)
    })?;
    note_damage(&mut tables, options);
    tables.check_texts(state.analyzers())?;
    tables.publish_all(end.last);
    state.set_log_end(LogEnd {
        log: end.number,
        end: end.end,
    });
    Ok((state, vfs.len() == needed.len()))
}

fn read_only() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the database was opened for reading only",
    )
}

fn too_busy() -> Error {
    Error::new(
        ErrorKind::Io,
        format!("a writer replaced files each time that they were read, {ATTEMPTS} times"),
    )
}
