//! A directory that fails on demand: the Nth call of a kind, once or from then on, or slowly.
//!
//! It stands before another [`Vfs`] and hands on what it does not fail. A failed sync does not
//! reach that one, so that what was not synced stays so; a short write reaches it in part.

use crate::layer::{Kind, Layer, Layered, LayeredFile};
use amphora::vfs::Vfs;
use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// With this error of the system, without having done anything.
    Error(i32),
    /// A write with this error after half of its bytes; another call as by [`How::Error`], and a
    /// later write too, since nothing more fits.
    Short(i32),
    /// It says that it was done, and nothing was: a sync that is skipped, a write that is lost.
    /// Calls that answer with more than that are not skipped.
    Skip,
}

impl How {
    fn answer(self) -> io::Result<()> {
        match self {
            Self::Skip => Ok(()),
            Self::Error(code) | Self::Short(code) => Err(io::Error::from_raw_os_error(code)),
        }
    }
}

/// The disk reports an error.
pub const EIO: i32 = 5;
/// The disk is full.
pub const ENOSPC: i32 = 28;
/// A signal came.
pub const EINTR: i32 = 4;

/// Which calls fail, and how.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Only calls of this kind, if there is one.
    pub kind: Option<Kind>,
    /// The first call that fails, counted from 1 when the fault is set.
    pub nth: usize,
    /// Whether all later ones fail too.
    pub lasting: bool,
    /// What they answer.
    pub how: How,
}

/// A directory that fails on demand. Clones are the same directory.
pub type FaultyVfs = Layered<Faults>;

/// What fails, and what was seen.
#[derive(Debug, Default)]
pub struct Faults(Mutex<Plan>);

#[derive(Debug, Default)]
struct Plan {
    fault: Option<Fault>,
    /// Calls that the fault may be about, since it was set.
    seen: usize,
    failed: Vec<Kind>,
    calls: Vec<Kind>,
    sync_takes: Duration,
}

impl FaultyVfs {
    /// Before `below`, without a fault.
    pub fn new(below: impl Vfs + 'static) -> Self {
        Self::on(below, Faults::default())
    }

    /// Fails calls from now on, in place of an earlier fault.
    pub fn fail(&self, fault: Fault) {
        let mut plan = self.plan();
        plan.fault = Some(fault);
        plan.seen = 0;
        plan.failed.clear();
    }

    /// Fails nothing from now on.
    pub fn heal(&self) {
        self.plan().fault = None;
    }

    /// Each sync of a file takes so long from now on.
    pub fn sync_takes(&self, time: Duration) {
        self.plan().sync_takes = time;
    }

    /// The calls made so far, failed ones included.
    #[must_use]
    pub fn calls(&self) -> Vec<Kind> {
        self.plan().calls.clone()
    }

    /// The calls that were failed since the fault was set.
    #[must_use]
    pub fn failed(&self) -> Vec<Kind> {
        self.plan().failed.clone()
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.layer().plan()
    }
}

impl Faults {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, and says how it fails if it does.
    fn note(&self, kind: Kind) -> Option<How> {
        let mut plan = self.plan();
        plan.calls.push(kind);
        let fault = plan.fault?;
        if fault.kind.is_some_and(|only| only != kind) {
            return None;
        }
        plan.seen += 1;
        let fails = plan.seen == fault.nth || fault.lasting && plan.seen > fault.nth;
        if !fails {
            return None;
        }
        let was_short = plan.failed.contains(&Kind::Write);
        plan.failed.push(kind);
        match fault.how {
            How::Short(code) if was_short => Some(How::Error(code)),
            how => Some(how),
        }
    }
}

impl Layer for Faults {
    type File = ();

    fn call<T>(&self, kind: Kind, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.note(kind).map_or(Ok(()), How::answer)?;
        make()
    }

    fn act(&self, kind: Kind, make: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        self.note(kind).map_or_else(make, How::answer)
    }

    fn write(&self, file: &LayeredFile<Self>, bytes: &[u8], offset: u64) -> io::Result<()> {
        let Some(how) = self.note(Kind::Write) else {
            return file.below.write_all_at(bytes, offset);
        };
        if let How::Short(_) = how {
            file.below.write_all_at(&bytes[..bytes.len() / 2], offset)?;
        }
        how.answer()
    }

    fn sync(&self, file: &LayeredFile<Self>) -> io::Result<()> {
        let takes = self.plan().sync_takes;
        if !takes.is_zero() {
            thread::sleep(takes);
        }
        self.act(Kind::Sync, || file.below.sync())
    }
}
