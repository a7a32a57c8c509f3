//! Recorded runs, and the question that a power loss asks of them: is what is left a state that
//! the run may have been in, at or after the last acknowledged write?
//!
//! A run records the calls on a directory in memory and marks among them when each write was
//! issued and when it was acknowledged. It knows no file names and no order of calls: the engine's
//! threads may make them as they like. It judges images; which ones are built is the caller's.

use crate::{
    faults::FaultyVfs,
    indexes,
    opening::optimize,
    workload::{Change, Model, Step, open, start},
};
use amphora::vfs::{Call, CrashModel, Loss, MemoryVfs};
use futures::{executor::block_on, future::join_all};
use std::{
    any::Any,
    collections::{BTreeMap, VecDeque},
    fmt,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

/// Marks in a record the issue of an operation, as its number marks its acknowledgement.
const ISSUED: u64 = 1 << 32;

/// What can be wrong with what is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wrong {
    /// The database does not open, or cannot be read.
    NotOpened,
    /// An acknowledged write is missing.
    Lost,
    /// A part of a batch is there and a part is not.
    Half,
    /// It is no state that there ever was.
    Forged,
    /// A write was refused, or read back wrongly, on a disk that works.
    Refused,
    /// A write was accepted after a failed sync.
    NotPoisoned,
    /// Something panicked.
    Panicked,
    /// It did not end in time.
    Hung,
}

/// What was wrong, and where.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its kind.
    pub wrong: Wrong,
    /// Its circumstances.
    pub what: String,
}

impl Failure {
    /// A failure of this kind.
    pub fn new(wrong: Wrong, what: impl fmt::Display) -> Self {
        let what = what.to_string();
        Self { wrong, what }
    }

    /// From what a panic left.
    #[must_use]
    pub fn of_panic(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Self::new(Wrong::Panicked, text.unwrap_or("panicked"))
    }

    /// With the circumstances said before.
    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.what = format!("{place}: {}", self.what);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.wrong, self.what)
    }
}

/// A recorded run and what it may leave.
#[derive(Clone, Debug)]
pub struct Run {
    /// What the directory was before.
    start: CrashModel,
    /// All calls of this run.
    pub calls: Vec<Call>,
    /// Where it had opened the database; nothing was shown before.
    pub shown: usize,
    /// What may be found when power is lost while it opens.
    before: Window,
    /// What may be found later: the states after each of its changes.
    states: Arc<[Model]>,
    /// For each prefix of the calls, the last acknowledged and the last issued change.
    known: Vec<(usize, usize)>,
}

impl Run {
    /// Records steps on an empty directory.
    ///
    /// # Errors
    /// What is wrong with what was found.
    pub fn recorded(steps: &[Step]) -> Result<Self, Failure> {
        let vfs = MemoryVfs::recording();
        let disk = FaultyVfs::new(vfs.clone());
        Self::on_empty(&vfs, &disk, steps)
    }

    /// Records steps on an empty directory through `disk`, which may do to the calls what it
    /// likes.
    ///
    /// # Errors
    /// What is wrong with what was found.
    pub fn on_empty(vfs: &MemoryVfs, disk: &FaultyVfs, steps: &[Step]) -> Result<Self, Failure> {
        let slow = Duration::from_millis(2);
        let empty = Window {
            states: Arc::from([Model::default()]),
            first: 0,
            last: 0,
        };
        Self::record(vfs, disk, CrashModel::default(), empty, steps, slow)
    }

    /// Records steps on a directory that was `start` before. It is an error when it does not open,
    /// or holds something else than one of `before`. While steps are issued together a sync
    /// takes so long, which gathers them into groups.
    fn record(
        vfs: &MemoryVfs,
        disk: &FaultyVfs,
        start_of_run: CrashModel,
        before: Window,
        steps: &[Step],
        slow: Duration,
    ) -> Result<Self, Failure> {
        let not_opened = |error| Failure::new(Wrong::NotOpened, error);
        let refused = |error| Failure::new(Wrong::Refused, error);
        let mut db = open(disk.clone()).map_err(not_opened)?;
        let shown = vfs.recorded();
        let found = Model::read(&db).map_err(not_opened)?;
        let found = before.judge(&found)?;
        let changes: Vec<_> = steps.iter().flat_map(Step::changes).cloned().collect();
        let states: Arc<[Model]> = found.states(&changes).into();
        let only = |state| Window {
            states: Arc::clone(&states),
            first: state,
            last: state,
        };
        let mut number = 0;
        for step in steps {
            if let Step::Reopen = step {
                db.close().wait().map_err(refused)?;
                db = open(disk.clone()).map_err(not_opened)?;
                let found = Model::read(&db).map_err(not_opened)?;
                only(number as usize).judge(&found)?;
                continue;
            }
            if let Step::Optimize = step {
                optimize(&db).map_err(refused)?;
                continue;
            }
            let together = step.changes().len() > 1;
            disk.sync_takes(if together { slow } else { Duration::ZERO });
            let writes = step.changes().iter().map(|change| {
                number += 1;
                vfs.acknowledged(ISSUED + number);
                let (write, vfs, number) = (start(&db, change), vfs.clone(), number);
                async move {
                    write.await?;
                    vfs.acknowledged(number);
                    Ok(())
                }
            });
            let answers: amphora::Result<Vec<()>> =
                block_on(join_all(writes)).into_iter().collect();
            answers.map_err(refused)?;
        }
        if !changes.is_empty() {
            only(changes.len()).judge(&Model::read(&db).map_err(not_opened)?)?;
        }
        db.close().wait().map_err(refused)?;
        let calls = vfs.record();
        Ok(Self {
            start: start_of_run,
            known: known(&calls, &states),
            calls,
            shown,
            before,
            states,
        })
    }

    /// The same run on a disk that said that the call of this number was done, and did nothing.
    #[must_use]
    pub fn without(&self, call: usize) -> Self {
        let mut run = self.clone();
        run.calls.remove(call);
        run.known = known(&run.calls, &run.states);
        run.shown -= usize::from(call < self.shown);
        run
    }

    /// What is durable after so many calls, and what is not.
    #[must_use]
    pub fn model_at(&self, prefix: usize) -> CrashModel {
        let mut model = self.start.clone();
        self.calls[..prefix]
            .iter()
            .for_each(|call| model.apply(call));
        model
    }

    /// Goes through the prefixes of the calls, in their order, with the model of each.
    ///
    /// # Errors
    /// The first one that `visit` gives.
    pub fn each_prefix<E>(
        &self,
        prefixes: Range<usize>,
        mut visit: impl FnMut(usize, &CrashModel) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut model = self.model_at(prefixes.start);
        for prefix in prefixes {
            visit(prefix, &model)?;
            self.calls
                .get(prefix)
                .into_iter()
                .for_each(|call| model.apply(call));
        }
        Ok(())
    }

    /// The prefixes after which nothing was shown yet, the first and the last included.
    #[must_use]
    pub fn opening(&self) -> Range<usize> {
        0..self.shown + 1
    }

    /// All prefixes, that of all calls included.
    #[must_use]
    pub fn prefixes(&self) -> Range<usize> {
        0..self.calls.len() + 1
    }

    /// Whether power that is lost after so many calls finds the disk and the caller as after one
    /// call less.
    #[must_use]
    pub fn is_as_before(&self, prefix: usize) -> bool {
        let last = prefix.checked_sub(1).and_then(|last| self.calls.get(last));
        matches!(last, Some(Call::Acknowledged(number)) if *number > ISSUED)
    }

    /// What may be found when power is lost after so many calls.
    fn allowed(&self, prefix: usize) -> Window {
        if prefix < self.shown {
            return self.before.clone();
        }
        let (first, last) = self.known[prefix];
        let states = Arc::clone(&self.states);
        Window {
            states,
            first,
            last,
        }
    }

    /// Loses power after so many calls, opens what is left, and goes on with `steps`. `model` is
    /// [`model_at`](Self::model_at) that prefix.
    ///
    /// # Errors
    /// What is wrong with what is left.
    pub fn lose_power(
        &self,
        prefix: usize,
        model: &CrashModel,
        loss: Loss,
        steps: &[Step],
    ) -> Result<Self, Failure> {
        self.lost_power(prefix, Image::new(model, loss), steps)
    }

    /// As [`lose_power`](Self::lose_power), in an image that is there already.
    ///
    /// # Errors
    /// What is wrong with what is left.
    pub fn lost_power(&self, prefix: usize, image: Image, steps: &[Step]) -> Result<Self, Failure> {
        let (vfs, Image { loss, left }) = (image.directory(), image);
        self.go_on(prefix, &vfs, left, steps)
            .map_err(|failure| failure.at(format_args!("power lost after call {prefix}, {loss:?}")))
    }

    /// Kills the process after so many calls: what was written stays written, and unsynced.
    ///
    /// # Errors
    /// What is wrong with what is left.
    pub fn kill(&self, prefix: usize, model: &CrashModel, steps: &[Step]) -> Result<Self, Failure> {
        let vfs = model.image(Loss::Nothing);
        self.go_on(prefix, &vfs, model.clone(), steps)
            .map_err(|failure| failure.at(format_args!("killed after call {prefix}")))
    }

    fn go_on(
        &self,
        prefix: usize,
        vfs: &MemoryVfs,
        start: CrashModel,
        steps: &[Step],
    ) -> Result<Self, Failure> {
        let allowed = self.allowed(prefix);
        let disk = FaultyVfs::new(vfs.clone());
        let run = || {
            let run = Self::record(vfs, &disk, start, allowed, steps, Duration::ZERO)?;
            if !steps.is_empty() {
                check_indexes(&vfs.fork())?;
            }
            Ok(run)
        };
        catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| Err(Failure::of_panic(&*panic)))
    }
}

/// Whatever became of index files, they are built again, and none is left that is of no use.
fn check_indexes(vfs: &MemoryVfs) -> Result<(), Failure> {
    let problem = indexes::problem(vfs);
    let problem = problem.map_err(|error| Failure::new(Wrong::Refused, error))?;
    problem.map_or(Ok(()), |problem| Err(Failure::new(Wrong::Refused, problem)))
}

/// What a power loss left.
#[derive(Clone, Debug)]
pub struct Image {
    /// In which way it was lost.
    pub loss: Loss,
    left: CrashModel,
}

impl Image {
    /// What this loss leaves at this point.
    #[must_use]
    pub fn new(model: &CrashModel, loss: Loss) -> Self {
        let left = model.after(loss);
        Self { loss, left }
    }

    /// A directory that holds it.
    #[must_use]
    pub fn directory(&self) -> MemoryVfs {
        self.left.directory()
    }

    /// Those of `losses` that leave different things.
    #[must_use]
    pub fn distinct(model: &CrashModel, losses: impl IntoIterator<Item = Loss>) -> Vec<Self> {
        let mut images: Vec<Self> = Vec::new();
        for loss in losses {
            let image = Self::new(model, loss);
            if !images
                .iter()
                .any(|known| known.left.holds_the_same(&image.left))
            {
                images.push(image);
            }
        }
        images
    }
}

/// The last images of a run that were judged. What a power loss leaves is often what it would have left a
/// call before, and is not judged twice by the same states.
#[derive(Debug, Default)]
pub struct Judged {
    images: VecDeque<(Image, Expected)>,
}

/// Which states may be found: whether they are those before the run, the first and the last.
#[derive(Clone, Copy, Debug)]
struct Expected {
    before: bool,
    first: usize,
    last: usize,
}

impl Judged {
    /// How many images are known.
    const KNOWN: usize = 32;

    /// Of the images that `losses` leave after so many calls of `run`, always the same run, those that were
    /// not judged yet. `model` is [`Run::model_at`] that prefix.
    pub fn others(
        &mut self,
        run: &Run,
        prefix: usize,
        model: &CrashModel,
        losses: impl IntoIterator<Item = Loss>,
    ) -> Vec<Image> {
        let Window { first, last, .. } = run.allowed(prefix);
        let before = prefix < run.shown;
        let now = Expected {
            before,
            first,
            last,
        };
        let mut others = Image::distinct(model, losses);
        others.retain(|image| {
            // One of few states is one of more.
            let is_known = self.images.iter().any(|(known, then)| {
                then.before == before
                    && (first..=last).contains(&then.first)
                    && (first..=last).contains(&then.last)
                    && known.left.holds_the_same(&image.left)
            });
            if !is_known {
                self.images.truncate(Self::KNOWN - 1);
                self.images.push_front((image.clone(), now));
            }
            !is_known
        });
        others
    }
}

/// The states of a run that may be found.
#[derive(Clone, Debug)]
struct Window {
    /// All states, those before and after it too.
    states: Arc<[Model]>,
    first: usize,
    last: usize,
}

impl Window {
    /// The one that was found, which knows its snapshots; an error that says what is wrong with
    /// `found`, if it is none of these.
    fn judge(&self, found: &Model) -> Result<&Model, Failure> {
        let Self {
            ref states,
            first,
            last,
        } = *self;
        let mut allowed = states[first..=last].iter().rev();
        if let Some(state) = allowed.find(|state| *state == found) {
            return Ok(state);
        }
        let known = |(name, id, point): (&String, _, _)| {
            let state = |state: &Model| state.0.get(name).and_then(|c| c.get(id)) == Some(point);
            states[..=last].iter().any(state)
        };
        let points = |(name, points)| BTreeMap::iter(points).map(move |(id, p)| (name, id, p));
        let wrong = if states[..first].contains(found) {
            Wrong::Lost
        } else if found.0.iter().flat_map(points).all(known) {
            Wrong::Half
        } else {
            Wrong::Forged
        };
        let what = format!(
            "found {found:?}\nexpected {:?}, or a later state, up to number {last} from {first}",
            states[first]
        );
        Err(Failure::new(wrong, what))
    }
}

fn known(calls: &[Call], states: &[Model]) -> Vec<(usize, usize)> {
    let (mut acknowledged, mut issued) = (0, 0);
    // One that comes to nothing may be answered before the writes that it found under way.
    let comes_to_nothing = |n: u64| states[n as usize] == states[n as usize - 1];
    let after = calls.iter().map(|call| {
        match *call {
            Call::Acknowledged(n) if n > ISSUED => issued = issued.max((n - ISSUED) as usize),
            Call::Acknowledged(n) if comes_to_nothing(n) => {}
            Call::Acknowledged(n) => acknowledged = acknowledged.max(n as usize),
            _ => {}
        }
        (acknowledged, issued)
    });
    std::iter::once((0, 0)).chain(after).collect()
}

/// A script of this many upserts of one size, each with an overwrite of the same point.
#[must_use]
pub fn upserts(sizes: impl IntoIterator<Item = usize>) -> Vec<Step> {
    let sizes = sizes.into_iter().zip(0..);
    let upsert = |(text, version)| {
        let points = vec![
            crate::workload::point(version, version, text),
            crate::workload::point(0, version, 0),
        ];
        Step::Write(Change::Upsert("docs", points))
    };
    std::iter::once(Step::Write(Change::Create("docs")))
        .chain(sizes.map(upsert))
        .collect()
}
