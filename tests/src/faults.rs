//! A directory that fails on demand: the Nth call of a kind, once or from then on, or slowly.
//!
//! It stands before another [`Vfs`] and hands on what it does not fail. A failed sync does not
//! reach that one, so that what was not synced stays so; a short write reaches it in part.

use amphora::vfs::{Vfs, VfsFile};
use std::{
    any::Any,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// What a directory or a file is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Create a file.
    Create,
    /// Open a file.
    Open,
    /// Rename a file.
    Rename,
    /// Remove a file.
    Remove,
    /// List the files.
    List,
    /// Make names durable.
    SyncDir,
    /// Lock the directory.
    Lock,
    /// Ask a file for its length.
    Len,
    /// Read from a file.
    Read,
    /// Write to a file.
    Write,
    /// Make a file durable.
    Sync,
}

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
#[derive(Clone, Debug)]
pub struct FaultyVfs {
    inner: Arc<dyn Vfs>,
    plan: Arc<Mutex<Plan>>,
}

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
    /// Before `inner`, without a fault.
    pub fn new(inner: impl Vfs + 'static) -> Self {
        Self {
            inner: Arc::new(inner),
            plan: Arc::default(),
        }
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
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, and says how it fails if it does.
    fn call(&self, kind: Kind) -> Option<How> {
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

    /// Makes a call that answers nothing, unless it fails.
    fn act(&self, kind: Kind, act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        match self.call(kind) {
            None => act(),
            Some(How::Skip) => Ok(()),
            Some(How::Error(code) | How::Short(code)) => Err(io::Error::from_raw_os_error(code)),
        }
    }

    /// Before a call that answers something.
    fn check(&self, kind: Kind) -> io::Result<()> {
        self.act(kind, || Ok(()))
    }

    fn file(&self, inner: Arc<dyn VfsFile>) -> Arc<dyn VfsFile> {
        let vfs = self.clone();
        Arc::new(FaultyFile { vfs, inner })
    }
}

impl Vfs for FaultyVfs {
    fn create(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        self.check(Kind::Create)?;
        Ok(self.file(self.inner.create(name)?))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        self.check(Kind::Open)?;
        Ok(self.file(self.inner.open(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.act(Kind::Rename, || self.inner.rename(from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.act(Kind::Remove, || self.inner.remove(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.check(Kind::List)?;
        self.inner.list()
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.act(Kind::SyncDir, || self.inner.sync_dir())
    }

    fn lock(&self) -> io::Result<Box<dyn Any + Send>> {
        self.check(Kind::Lock)?;
        self.inner.lock()
    }

    fn unique(&self) -> u64 {
        self.inner.unique()
    }
}

#[derive(Debug)]
struct FaultyFile {
    vfs: FaultyVfs,
    inner: Arc<dyn VfsFile>,
}

impl VfsFile for FaultyFile {
    fn len(&self) -> io::Result<u64> {
        self.vfs.check(Kind::Len)?;
        self.inner.len()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.vfs.check(Kind::Read)?;
        self.inner.read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self.vfs.call(Kind::Write) {
            None => self.inner.write_all_at(bytes, offset),
            Some(How::Skip) => Ok(()),
            Some(How::Error(code)) => Err(io::Error::from_raw_os_error(code)),
            Some(How::Short(code)) => {
                self.inner.write_all_at(&bytes[..bytes.len() / 2], offset)?;
                Err(io::Error::from_raw_os_error(code))
            }
        }
    }

    fn sync(&self) -> io::Result<()> {
        let takes = self.vfs.plan().sync_takes;
        if !takes.is_zero() {
            thread::sleep(takes);
        }
        self.vfs.act(Kind::Sync, || self.inner.sync())
    }
}
