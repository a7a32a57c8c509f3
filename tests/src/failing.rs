//! Runs of scripts on a disk that fails, and what must hold of them.
//!
//! Whatever fails, nothing panics, nothing is acknowledged that is not there when the directory is
//! opened again, and nothing that was refused is. After a failed sync writes answer `Poisoned`;
//! after a failed write they go on as soon as the disk does.

use crate::{
    faults::{Fault, FaultyVfs},
    indexes,
    layer::Kind,
    opening,
    power_loss::{Failure, Image, Wrong},
    workload::{Change, Model, Step, coda, open, start},
};
use amphora::{
    Database, Error, ErrorKind,
    vfs::{CrashModel, Loss, MemoryVfs},
};
use futures::{executor::block_on, future::join_all};
use std::{
    fmt, panic,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// What the error says of a write that was refused, and of which the disk kept a part.
pub const MAY_BE_FOUND: &str = "may be found when the database is opened again";

/// A run on a disk that fails, and what it knows.
pub struct Attempt {
    disk: FaultyVfs,
    /// What else makes the disk work again.
    space: Option<Box<dyn Fn() + Send>>,
    /// What records the calls, if power shall be lost.
    memory: Option<MemoryVfs>,
    db: Option<Database>,
    /// All that was acknowledged.
    model: Model,
    /// Writes whose outcome the error left open, in their order.
    unknown: Vec<Change>,
    /// Refused writes that may be found all the same, until a later one succeeds.
    remains: Vec<Change>,
    poisoned: bool,
    /// Writes that were refused as `Poisoned`.
    pub refused_as_poisoned: u64,
    /// Images of a power loss that were opened.
    pub images: u64,
}

type Checked<T = ()> = Result<T, Failure>;

impl Attempt {
    /// On an empty directory, whose calls `memory` records if power shall be lost too.
    #[must_use]
    pub fn on(disk: FaultyVfs, memory: Option<MemoryVfs>) -> Self {
        Self {
            disk,
            space: None,
            memory,
            db: None,
            model: Model::default(),
            unknown: Vec::new(),
            remains: Vec::new(),
            poisoned: false,
            refused_as_poisoned: 0,
            images: 0,
        }
    }

    /// On a disk that is full until `space` is called.
    #[must_use]
    pub fn until(mut self, space: impl Fn() + Send + 'static) -> Self {
        self.space = Some(Box::new(space));
        self
    }

    /// Runs steps to the end, whatever fails; then power is lost as it stands, and at last the disk
    /// works again and is written to.
    ///
    /// # Errors
    /// What did not hold.
    pub fn run(&mut self, steps: &[Step]) -> Checked {
        self.open()?;
        for step in steps {
            let before = self.poisoned;
            match step {
                Step::Reopen => {
                    self.close()?;
                    self.open()?;
                    continue;
                }
                Step::Optimize => self.optimize()?,
                Step::Write(_) | Step::Together(_) => self.step(step)?,
            }
            if self.poisoned && !before {
                self.lose_power()?;
            }
        }
        self.lose_power()?;
        self.heal();
        if !self.poisoned && !self.is_poisoned()? {
            self.go_on()?;
        }
        self.close()?;
        self.open_healed()?;
        self.close()?;
        let problem = indexes::problem(&self.disk);
        let problem = problem.map_err(|error| Failure::new(Wrong::NotOpened, error))?;
        problem.map_or(Ok(()), |problem| Err(Failure::new(Wrong::Refused, problem)))
    }

    fn heal(&self) {
        self.disk.heal();
        self.memory.iter().for_each(|memory| memory.fail_sync(0));
        self.space.iter().for_each(|space| space());
    }

    /// Whether a part that works by itself has met the fault.
    fn is_poisoned(&self) -> Checked<bool> {
        let health = self.db.as_ref().map(|db| db.health().wait()).transpose();
        let health = health.map_err(|error| Failure::new(Wrong::Refused, error).at("health"))?;
        Ok(health.is_some_and(|health| health.poisoned.is_some()))
    }

    fn step(&mut self, step: &Step) -> Checked {
        let Some(db) = &self.db else { return Ok(()) };
        let writes = step.changes().iter().map(|change| start(db, change));
        let answers = block_on(join_all(writes));
        let mut answers = step.changes().iter().zip(answers);
        answers.try_for_each(|(change, answer)| self.note(change, answer))
    }

    /// Writes and merges on a disk that works again. What failed for want of space rests for a
    /// moment before it is tried again, and may hold up writes until then.
    fn go_on(&mut self) -> Checked {
        let Some(db) = self.db.clone() else {
            return Ok(());
        };
        for step in coda() {
            let mut answers = block_on(join_all(step.changes().iter().map(|c| start(&db, c))));
            for (change, answer) in step.changes().iter().zip(answers.drain(..)) {
                let retry = || block_on(start(&db, change));
                patiently(answer, retry)?;
                self.acknowledged(change);
            }
        }
        patiently(opening::optimize(&db), || opening::optimize(&db))
    }

    fn optimize(&mut self) -> Checked {
        let Some(db) = &self.db else { return Ok(()) };
        let Err(error) = opening::optimize(db) else {
            return match self.poisoned {
                true => Err(Failure::new(
                    Wrong::NotPoisoned,
                    "merged after a failed sync",
                )),
                false => Ok(()),
            };
        };
        let failed = |wrong| Err(Failure::new(wrong, &error).at("merging"));
        match error.kind() {
            ErrorKind::Poisoned if self.something_failed() => self.poisoned = true,
            _ if self.is_expected(&error) => {}
            ErrorKind::Panicked => return failed(Wrong::Panicked),
            ErrorKind::Timeout(_) => return failed(Wrong::Hung),
            _ => return failed(Wrong::Refused),
        }
        Ok(())
    }

    fn acknowledged(&mut self, change: &Change) {
        if self.unknown.is_empty() && self.remains.is_empty() {
            return self.model.apply(change);
        }
        let before = self.model.clone();
        self.model.apply(change);
        // What may have been left of earlier ones was taken back first, unless this came to nothing
        // and touched no file.
        if self.model != before {
            self.unknown.clear();
            self.remains.clear();
        }
    }

    fn note(&mut self, change: &Change, answer: amphora::Result<()>) -> Checked {
        let wrong = |wrong, what: &dyn fmt::Display| {
            Err(Failure::new(wrong, format_args!("{change:?}: {what}")))
        };
        let Err(error) = answer else {
            if self.poisoned {
                return wrong(Wrong::NotPoisoned, &"accepted after a failed sync");
            }
            self.acknowledged(change);
            return Ok(());
        };
        let is_unknown = error
            .to_string()
            .contains("outcome of the write is unknown");
        match error.kind() {
            ErrorKind::Poisoned => {
                // The database was poisoned by another while this was under way.
                self.unknown.extend(is_unknown.then(|| change.clone()));
                self.refused_as_poisoned += 1;
                // A part that works by itself may have met the fault.
                if !self.poisoned && !self.something_failed() {
                    return wrong(Wrong::Refused, &error);
                }
                self.poisoned = true;
            }
            // Collections that were not created, or not deleted, because of the fault.
            ErrorKind::NotFound | ErrorKind::AlreadyExists => {}
            // A field that was not declared likewise.
            ErrorKind::InvalidInput
                if matches!(change, Change::Declare(_, None)) && self.something_failed() => {}
            ErrorKind::Io | ErrorKind::StorageFull => {
                let says = |what| error.to_string().contains(what);
                if is_unknown {
                    self.poisoned = true;
                    self.unknown.push(change.clone());
                } else if self.poisoned {
                    return wrong(Wrong::NotPoisoned, &error);
                } else if says(MAY_BE_FOUND) {
                    self.remains.push(change.clone());
                }
            }
            ErrorKind::Panicked => return wrong(Wrong::Panicked, &error),
            ErrorKind::Timeout(_) => return wrong(Wrong::Hung, &error),
            _ => return wrong(Wrong::Refused, &error),
        }
        Ok(())
    }

    fn something_failed(&self) -> bool {
        let syncs = self.memory.as_ref().is_some_and(MemoryVfs::has_failed_sync);
        self.space.is_some() || syncs || !self.disk.failed().is_empty()
    }

    /// Opens the database; if the fault prevents that, again once it has gone.
    fn open(&mut self) -> Checked {
        match open(self.disk.clone()) {
            Ok(db) => self.opened(db),
            Err(error) if self.is_expected(&error) => {
                self.heal();
                self.open_healed()
            }
            Err(error) => Err(Failure::new(Wrong::NotOpened, error)),
        }
    }

    fn open_healed(&mut self) -> Checked {
        let healed = |error| Failure::new(Wrong::NotOpened, error).at("healed");
        let db = open(self.disk.clone()).map_err(healed)?;
        self.opened(db)
    }

    fn is_expected(&self, error: &Error) -> bool {
        let expected = [ErrorKind::Io, ErrorKind::StorageFull];
        expected.contains(&error.kind()) && self.something_failed()
    }

    fn opened(&mut self, db: Database) -> Checked {
        let found = Model::read(&db).map_err(|error| Failure::new(Wrong::NotOpened, error))?;
        self.model = self.check(&found)?;
        self.unknown.clear();
        self.remains.clear();
        self.poisoned = false;
        self.db = Some(db);
        Ok(())
    }

    fn close(&mut self) -> Checked {
        let Some(db) = self.db.take() else {
            return Ok(());
        };
        match db.close().wait() {
            Ok(()) if self.poisoned => Err(Failure::new(
                Wrong::NotPoisoned,
                "closed as if nothing had happened after a failed sync",
            )),
            Ok(()) => Ok(()),
            Err(error) if self.is_expected(&error) || error.kind() == ErrorKind::Poisoned => Ok(()),
            Err(error) => Err(Failure::new(Wrong::Refused, error).at("closing")),
        }
    }

    /// What was acknowledged is there, and of the open end a beginning at most. Gives the state that
    /// was found, which knows its snapshots.
    fn check(&self, found: &Model) -> Checked<Model> {
        let mut states = self.model.states(&self.unknown);
        states.extend(self.model.states(&self.remains));
        if let Some(state) = states.iter().position(|state| state == found) {
            return Ok(states.swap_remove(state));
        }
        let missing = self.model.0.iter().any(|(name, points)| {
            let found = found.0.get(name);
            points
                .keys()
                .any(|id| found.is_none_or(|f| !f.contains_key(id)))
        });
        let wrong = if missing { Wrong::Lost } else { Wrong::Forged };
        let what = format!("found {found:?}\nexpected one of {states:?}");
        Err(Failure::new(wrong, what))
    }

    /// Power is lost as it stands: what is not synced goes, what was acknowledged stays.
    fn lose_power(&mut self) -> Checked {
        let Some(memory) = &self.memory else {
            return Ok(());
        };
        let mut model = CrashModel::default();
        let record = memory.record();
        record.iter().for_each(|call| model.apply(call));
        let seed = record.len() as u64;
        let random = [seed, !seed].map(Loss::Random);
        let losses = [Loss::All, Loss::Nothing, Loss::Zeros].into_iter();
        for image in Image::distinct(&model, losses.chain(random)) {
            let place = format!("power lost at the end, {:?}", image.loss);
            let not_opened = |error| Failure::new(Wrong::NotOpened, error).at(&place);
            let db = open(image.directory()).map_err(not_opened)?;
            let found = Model::read(&db).map_err(not_opened)?;
            self.check(&found).map_err(|failure| failure.at(&place))?;
            let closed = db.close().wait();
            closed.map_err(|error| Failure::new(Wrong::Refused, error).at(&place))?;
            self.images += 1;
        }
        Ok(())
    }
}

/// Tries again for some seconds for as long as the answer is that the disk did not work, as it was
/// when the memory was to be written out.
fn patiently(mut answer: amphora::Result<()>, again: impl Fn() -> amphora::Result<()>) -> Checked {
    const PATIENCE: Duration = Duration::from_secs(5);
    let started = Instant::now();
    while let Err(error) = answer {
        let rests = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::Io);
        if !rests || started.elapsed() > PATIENCE {
            return Err(Failure::new(Wrong::Refused, error).at("healed"));
        }
        thread::sleep(Duration::from_millis(20));
        answer = again();
    }
    Ok(())
}

/// Runs a script on a disk with one fault. Gives the first call that failed, if the run got as far
/// as that.
///
/// # Errors
/// What did not hold.
pub fn run_with(fault: Fault, steps: &[Step]) -> Checked<Option<Kind>> {
    let memory = MemoryVfs::recording();
    let disk = FaultyVfs::new(memory.clone());
    disk.fail(fault);
    // Healing forgets the fault, not what it did.
    let result = Attempt::on(disk.clone(), Some(memory)).run(steps);
    result.map_err(|failure| failure.at(format_args!("{fault:?}")))?;
    Ok(disk.failed().first().copied())
}

/// Calls `act` on a thread of its own, which may neither panic nor take longer than `deadline`.
/// One that hangs is left to itself.
///
/// # Errors
/// What `act` found, or what became of it.
pub fn watched<T: Send + 'static>(
    deadline: Duration,
    act: impl FnOnce() -> Checked<T> + Send + 'static,
) -> Checked<T> {
    let (answer, answered) = mpsc::channel();
    let run = move || {
        let result = panic::catch_unwind(panic::AssertUnwindSafe(act));
        let result = result.unwrap_or_else(|panic| Err(Failure::of_panic(&*panic)));
        let _ = answer.send(result);
    };
    let spawned = thread::Builder::new().name("attempt".into()).spawn(run);
    spawned.map_err(|error| Failure::new(Wrong::Refused, error))?;
    let hung = |_| Failure::new(Wrong::Hung, format_args!("no end within {deadline:?}"));
    answered.recv_timeout(deadline).map_err(hung)?
}
