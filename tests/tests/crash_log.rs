//! The log against the strict crash model: power is lost after every call, in many ways.
//!
//! A scripted run is recorded. For each prefix of the record the images that a power loss may
//! leave are opened, and hold what the model says: all that was acknowledged, nothing that was not
//! asked for, batches whole. Each opened image is written to and loses power in its turn, also
//! while it is being opened. Controls skip syncs, and must be found out.

use amphora::vfs::{Call, Loss, MemoryVfs, Vfs};
use amphora_tests::{
    faults::{Fault, FaultyVfs, How, Kind},
    random::Random,
    workload::{Change, Model, Step, coda, open, point, script, start},
};
use futures::{executor::block_on, future::join_all};
use std::{ops::Range, time::Duration};

/// Marks in a record the issue of an operation, as its number marks its acknowledgement.
const ISSUED: u64 = 1 << 32;

/// A recorded run and what it may leave.
struct Run {
    /// All calls since the directory was empty.
    calls: Vec<Call>,
    /// Where this run began.
    begin: usize,
    /// Where it had opened the database; nothing was shown before.
    shown: usize,
    /// What may be found when power is lost while it opens.
    before: Vec<Model>,
    /// What may be found later: the states after each of its changes.
    states: Vec<Model>,
}

impl Run {
    /// Records steps on a directory. `base` are the calls that made it what it is. It is an error
    /// when it does not open, or holds something else than one of `before`.
    fn record(
        vfs: &MemoryVfs,
        base: Vec<Call>,
        before: &[Model],
        steps: &[Step],
        fault: Option<Fault>,
    ) -> Result<Self, String> {
        let begin = base.len();
        let skip = vfs.record().len();
        let disk = FaultyVfs::new(vfs.clone());
        fault.into_iter().for_each(|fault| disk.fail(fault));
        let mut db = open(disk.clone()).map_err(|error| error.to_string())?;
        let shown = begin + vfs.record().len() - skip;
        let found = Model::read(&db).unwrap();
        if !before.contains(&found) {
            return Err(format!("found {found:#?}\nexpected one of {before:#?}"));
        }
        let changes: Vec<_> = steps.iter().flat_map(Step::changes).cloned().collect();
        let states = found.states(&changes);
        let mut number = 0;
        for step in steps {
            if let Step::Reopen = step {
                db.close().wait().unwrap();
                db = open(disk.clone()).unwrap();
                assert_eq!(Model::read(&db).unwrap(), states[number as usize]);
                continue;
            }
            // A slow sync gathers what is issued meanwhile into one group.
            let together = step.changes().len() > 1;
            disk.sync_takes(Duration::from_millis(u64::from(together) * 2));
            let writes = step.changes().iter().map(|change| {
                number += 1;
                vfs.acknowledged(ISSUED + number);
                let (write, vfs, number) = (start(&db, change), vfs.clone(), number);
                async move {
                    write.await.unwrap();
                    vfs.acknowledged(number);
                }
            });
            block_on(join_all(writes));
        }
        assert_eq!(Some(&Model::read(&db).unwrap()), states.last());
        db.close().wait().unwrap();
        let mut calls = base;
        calls.extend_from_slice(&vfs.record()[skip..]);
        Ok(Self {
            calls,
            begin,
            shown,
            before: before.to_vec(),
            states,
        })
    }

    /// What may be found when power is lost after so many calls.
    fn allowed(&self, prefix: usize) -> &[Model] {
        if prefix < self.shown {
            return &self.before;
        }
        let (mut acknowledged, mut issued) = (0, 0);
        for call in &self.calls[self.begin..prefix] {
            match *call {
                Call::Acknowledged(n) if n > ISSUED => issued = issued.max(n - ISSUED),
                Call::Acknowledged(n) => acknowledged = acknowledged.max(n),
                _ => {}
            }
        }
        &self.states[acknowledged as usize..=issued as usize]
    }

    /// Loses power after so many calls, opens what is left, and goes on with `steps`.
    fn lose_power(&self, prefix: usize, loss: Loss, steps: &[Step]) -> Result<Self, String> {
        let vfs = MemoryVfs::after_power_loss(&self.calls[..prefix], loss);
        let base = contents(&vfs);
        Self::record(&vfs, base, self.allowed(prefix), steps, None)
            .map_err(|found| format!("power lost after call {prefix}, {loss:?}: {found}"))
    }

    /// Kills the process after so many calls: what was written stays written, and unsynced.
    fn kill(&self, prefix: usize, steps: &[Step]) -> Result<Self, String> {
        let calls = &self.calls[..prefix];
        let vfs = MemoryVfs::after_power_loss(calls, Loss::Nothing);
        Self::record(&vfs, calls.to_vec(), self.allowed(prefix), steps, None)
            .map_err(|found| format!("killed after call {prefix}: {found}"))
    }

    /// The calls after which nothing was shown yet, the first and the last included.
    fn opening(&self) -> Range<usize> {
        self.begin..self.shown + 1
    }
}

/// The calls that would make a directory what it is, all of it durable. An image starts from
/// content that is in no record, so that a second power loss needs them before its own.
fn contents(vfs: &MemoryVfs) -> Vec<Call> {
    let mut calls = Vec::new();
    for name in vfs.list().unwrap() {
        // The number of a file shows in what is recorded of it alone.
        vfs.open(&name).unwrap().sync().unwrap();
        if let Some(Call::Sync(file)) = vfs.record().last() {
            let content = vfs.content(&name).unwrap();
            calls.push(Call::Create(name, *file));
            calls.push(Call::Write(*file, 0, content.into()));
            calls.push(Call::Sync(*file));
        }
    }
    calls.push(Call::SyncDir);
    calls
}

/// Records steps on an empty directory.
fn recorded(steps: &[Step], fault: Option<Fault>) -> Run {
    let vfs = MemoryVfs::recording();
    Run::record(&vfs, Vec::new(), &[Model::default()], steps, fault).unwrap()
}

fn one_of(seed: &mut Random, range: Range<usize>) -> usize {
    range.start + seed.below(range.len() as u64) as usize
}

fn any_loss(seed: &mut Random) -> Loss {
    match seed.below(4) {
        0 => Loss::All,
        _ => Loss::Random(seed.draw()),
    }
}

#[test]
fn power_loss_after_every_call_keeps_what_was_acknowledged() {
    let run = recorded(&script(), None);
    let mut seed = Random(1);
    let (mut images, mut second, mut in_recovery) = (0, 0, 0);
    for prefix in 0..=run.calls.len() {
        let random = (0..10).map(|n| Loss::Random(prefix as u64 * 1_000 + n));
        for loss in [Loss::All, Loss::Nothing].into_iter().chain(random) {
            let again = run.lose_power(prefix, loss, &coda()).unwrap();
            images += 1;
            let later = one_of(&mut seed, again.shown..again.calls.len() + 1);
            again.lose_power(later, any_loss(&mut seed), &[]).unwrap();
            second += 1;
            for _ in 0..2 {
                let opening = one_of(&mut seed, again.opening());
                again.lose_power(opening, any_loss(&mut seed), &[]).unwrap();
                in_recovery += 1;
            }
        }
    }
    println!(
        "{} calls: {images} images, {second} after a second loss, {in_recovery} inside recovery",
        run.calls.len()
    );
}

/// A killed process leaves all that it wrote, but not durable. What the next one shows and
/// acknowledges on top of that must survive a power loss as well.
#[test]
fn power_loss_after_a_kill_keeps_what_was_acknowledged() {
    let run = recorded(&script(), None);
    let mut seed = Random(2);
    let mut images = 0;
    for prefix in 0..=run.calls.len() {
        let again = run.kill(prefix, &coda()).unwrap();
        let at_random = (0..14).map(|_| one_of(&mut seed, again.shown..again.calls.len() + 1));
        let prefixes: Vec<usize> = again.opening().chain(at_random).collect();
        for prefix in prefixes {
            for loss in [Loss::All, Loss::Random(seed.draw())] {
                again.lose_power(prefix, loss, &[]).unwrap();
                images += 1;
            }
        }
    }
    println!("{images} images after a kill");
}

/// Writes that are longer than what the log prepares for, and so many that it prepares again.
#[test]
fn power_loss_at_the_end_of_the_prepared_space_keeps_what_was_acknowledged() {
    let mut steps = vec![Step::Write(Change::Create("docs"))];
    for version in 0..24 {
        let text = if version % 6 == 5 { 150_000 } else { 60_000 };
        let points = vec![point(version, version, text), point(0, version, 0)];
        steps.push(Step::Write(Change::Upsert("docs", points)));
    }
    let run = recorded(&steps, None);
    let mut images = 0;
    for prefix in 0..=run.calls.len() {
        for loss in [Loss::All, Loss::Nothing, Loss::Random(prefix as u64)] {
            run.lose_power(prefix, loss, &[]).unwrap();
            images += 1;
        }
    }
    println!("{} calls: {images} images", run.calls.len());
}

/// Loses power after every call, and says whether anything was found missing.
fn finds_a_loss(run: &Run) -> bool {
    (0..=run.calls.len()).any(|prefix| run.lose_power(prefix, Loss::All, &[]).is_err())
}

/// The control: each sync that the script needs is skipped in turn, and that must be seen.
#[test]
fn a_sync_that_is_skipped_is_found_out() {
    let skip = |kind, nth, lasting| Fault {
        kind: Some(kind),
        nth,
        lasting,
        how: How::Skip,
    };
    // One group for each write, so that the same syncs are made in every run.
    let steps: Vec<Step> = script().into_iter().take(6).collect();
    let run = recorded(&steps, None);
    assert!(
        !finds_a_loss(&run),
        "nothing is lost when nothing is skipped"
    );
    let syncs = run.calls.iter().filter(|c| matches!(c, Call::Sync(_)));
    // The last sync is of the record that says closed, which may be lost.
    let needed = syncs.count() - 1;
    assert_eq!(needed, 1 + steps.len(), "of the header and of each write");
    for nth in 1..=needed {
        let run = recorded(&steps, Some(skip(Kind::Sync, nth, false)));
        assert!(finds_a_loss(&run), "sync {nth} of {needed} was skipped");
    }
    for kind in [Kind::Sync, Kind::SyncDir] {
        let run = recorded(&steps, Some(skip(kind, 1, true)));
        assert!(finds_a_loss(&run), "every {kind:?} was skipped");
    }
}
