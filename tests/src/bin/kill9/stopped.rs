//! The child that stops at one storage call, and is killed there.
//!
//! At that call it says so and holds every further one, of all threads, until it is killed: what is
//! on the disk is what the calls before it did, and of a write its first half.

use crate::child::say;
use amphora::{Result, vfs::DiskVfs};
use amphora_tests::{
    layer::{Kind, Layer, Layered, LayeredFile},
    workload::{Step, open, script, start},
};
use futures::future::join_all;
use std::{
    io,
    path::Path,
    process::ExitCode,
    sync::{Mutex, PoisonError},
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
    let calls = Mutex::default();
    let disk = StoppingVfs::on(disk, Stopping { calls, stop_at });
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
type StoppingVfs = Layered<Stopping>;

#[derive(Debug)]
struct Stopping {
    calls: Mutex<u64>,
    stop_at: u64,
}

impl Stopping {
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
}

impl Layer for Stopping {
    type File = ();

    fn call<T>(&self, _: Kind, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.call_or(make, || {})
    }

    fn write(&self, file: &LayeredFile<Self>, bytes: &[u8], offset: u64) -> io::Result<()> {
        let half = || {
            // What became of it is the parent's question.
            let _ = file.below.write_all_at(&bytes[..bytes.len() / 2], offset);
        };
        let write = || file.below.write_all_at(bytes, offset);
        self.call_or(write, half)
    }
}
