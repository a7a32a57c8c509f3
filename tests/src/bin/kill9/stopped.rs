//! The child that stops at one storage call, and is killed there.
//!
//! At that call it says so and holds every further one, of all threads, until it is killed: what is
//! on the disk is what the calls before it did, and of a write its first half.

use crate::child::say;
use amphora::{
    Result,
    vfs::{DiskVfs, Vfs, VfsFile},
};
use amphora_tests::workload::{Step, open, script, start};
use futures::future::join_all;
use std::{
    any::Any,
    io,
    path::Path,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// What it says when it stops.
pub(crate) const STOPS: &str = "stops";

/// Arguments: directory, the number of the call, and whether to run the script or only open.
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let [directory, stop_at, what] = arguments else {
        return ExitCode::from(2);
    };
    let stop_at = stop_at.parse().expect("the parent passes a number");
    let disk = DiskVfs::open(Path::new(directory), true).expect("a directory");
    let disk = StoppingVfs {
        inner: Arc::new(disk),
        calls: Arc::default(),
        stop_at,
    };
    let steps = if what == "script" {
        script()
    } else {
        Vec::new()
    };
    match perform(&disk, &steps) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the child failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Says before each step how many writes were issued, and after each write its number.
fn perform(disk: &StoppingVfs, steps: &[Step]) -> Result<()> {
    let mut db = open(disk.clone())?;
    let mut number = 0;
    for step in steps {
        match step {
            Step::Reopen => {
                db.close().wait()?;
                db = open(disk.clone())?;
            }
            Step::Optimize => db.optimize().wait()?,
            Step::Write(_) | Step::Together(_) => {
                say(&format!("issued {}", number + step.changes().len()));
                let writes = step.changes().iter().map(|change| {
                    number += 1;
                    let (write, number) = (start(&db, change), number);
                    async move {
                        write.await?;
                        say(&format!("acknowledged {number}"));
                        Ok(())
                    }
                });
                let answers = futures::executor::block_on(join_all(writes));
                answers.into_iter().collect::<Result<()>>()?;
            }
        }
    }
    db.close().wait()
}

/// A directory that makes one call after the other, and none from a certain one on.
#[derive(Clone, Debug)]
struct StoppingVfs {
    inner: Arc<dyn Vfs>,
    calls: Arc<Mutex<u64>>,
    stop_at: u64,
}

impl StoppingVfs {
    fn call<T>(&self, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.call_or(act, || {})
    }

    /// Makes the call, or half of it and stops.
    fn call_or<T>(
        &self,
        act: impl FnOnce() -> io::Result<T>,
        half: impl FnOnce(),
    ) -> io::Result<T> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls += 1;
        if *calls == self.stop_at {
            half();
            say(STOPS);
            loop {
                thread::park();
            }
        }
        act()
    }

    fn file(&self, inner: Arc<dyn VfsFile>) -> Arc<dyn VfsFile> {
        let vfs = self.clone();
        Arc::new(StoppingFile { vfs, inner })
    }
}

impl Vfs for StoppingVfs {
    fn create(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        self.call(|| self.inner.create(name)).map(|f| self.file(f))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        self.call(|| self.inner.open(name)).map(|f| self.file(f))
    }

    fn open_read(&self, name: &str) -> io::Result<Arc<dyn VfsFile>> {
        let opened = self.call(|| self.inner.open_read(name));
        opened.map(|f| self.file(f))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.call(|| self.inner.rename(from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.call(|| self.inner.remove(name))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.call(|| self.inner.list())
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.call(|| self.inner.sync_dir())
    }

    fn lock(&self) -> io::Result<Box<dyn Any + Send>> {
        self.call(|| self.inner.lock())
    }
}

#[derive(Debug)]
struct StoppingFile {
    vfs: StoppingVfs,
    inner: Arc<dyn VfsFile>,
}

impl VfsFile for StoppingFile {
    fn len(&self) -> io::Result<u64> {
        self.vfs.call(|| self.inner.len())
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.vfs.call(|| self.inner.read_exact_at(buffer, offset))
    }

    fn map(&self) -> io::Result<amphora::vfs::Map> {
        self.vfs.call(|| self.inner.map())
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let half = || {
            // What became of it is the parent's question.
            let _ = self.inner.write_all_at(&bytes[..bytes.len() / 2], offset);
        };
        let write = || self.inner.write_all_at(bytes, offset);
        self.vfs.call_or(write, half)
    }

    fn sync(&self) -> io::Result<()> {
        self.vfs.call(|| self.inner.sync())
    }
}
