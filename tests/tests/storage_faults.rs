//! A disk that fails: each call of a scripted run in turn, once or from then on, in several ways.
//!
//! Whatever fails, nothing panics, nothing is acknowledged that is not there when the directory is
//! opened again, and nothing that was refused is. After a failed sync writes answer `Poisoned`;
//! after a failed write they go on as soon as the disk does.

use amphora::{
    Database, Error, ErrorKind, Result,
    vfs::{Call, Loss, MemoryVfs},
};
use amphora_tests::{
    faults::{EINTR, EIO, ENOSPC, Fault, FaultyVfs, How, Kind},
    workload::{Change, Model, Step, coda, open, point, script, start},
};
use futures::{executor::block_on, future::join_all};
use std::{thread, time::Duration};

/// What the error says of a write that was refused, and of which the disk kept a part.
const MAY_BE_FOUND: &str = "may be found when the database is opened again";

/// A run of the script on a disk that fails, and what it knows.
struct Run {
    disk: FaultyVfs,
    memory: MemoryVfs,
    db: Option<Database>,
    /// All that was acknowledged.
    model: Model,
    /// Writes whose outcome the error left open, in their order.
    unknown: Vec<Change>,
    /// Refused writes that may be found all the same, until a later one succeeds.
    remains: Vec<Change>,
    poisoned: bool,
    what: String,
}

impl Run {
    fn on(memory: MemoryVfs, fault: Fault) -> Self {
        let disk = FaultyVfs::new(memory.clone());
        disk.fail(fault);
        Self {
            disk,
            memory,
            db: None,
            model: Model::default(),
            unknown: Vec::new(),
            remains: Vec::new(),
            poisoned: false,
            what: format!("{fault:?}"),
        }
    }

    /// Runs steps to the end, whatever fails.
    fn run(&mut self, steps: &[Step]) {
        self.open();
        for step in steps {
            if let Step::Reopen = step {
                self.close();
                self.open();
                continue;
            }
            let Some(db) = &self.db else { return };
            let writes = step.changes().iter().map(|change| start(db, change));
            let answers = block_on(join_all(writes));
            for (change, answer) in step.changes().iter().zip(answers) {
                self.note(change, answer);
            }
        }
    }

    fn note(&mut self, change: &Change, answer: Result<()>) {
        let what = &self.what;
        let Err(error) = answer else {
            assert!(!self.poisoned, "{what}: {change:?} after a failed sync");
            // What may have been left of earlier ones was taken back first.
            self.unknown.clear();
            self.model.apply(change);
            self.remains.clear();
            return;
        };
        match error.kind() {
            ErrorKind::Poisoned => assert!(self.poisoned, "{what}: {error}"),
            // Collections that were not created, or not deleted, because of the fault.
            ErrorKind::NotFound | ErrorKind::AlreadyExists => {}
            ErrorKind::Io | ErrorKind::StorageFull => {
                if error
                    .to_string()
                    .contains("outcome of the write is unknown")
                {
                    self.poisoned = true;
                    self.unknown.push(change.clone());
                } else if error.to_string().contains("may be found when") {
                    assert!(!self.poisoned, "{what}: {error}");
                    self.unknown.push(change.clone());
                } else {
                    assert!(!self.poisoned, "{what}: {error}");
                    if error.to_string().contains(MAY_BE_FOUND) {
                        self.remains.push(change.clone());
                    }
                }
            }
            _ => panic!("{what}: {change:?}: {error}"),
        }
    }

    /// Opens the database; if the fault prevents that, again once it has gone.
    fn open(&mut self) {
        let opened = open(self.disk.clone()).or_else(|error| {
            let expected = [ErrorKind::Io, ErrorKind::StorageFull];
            assert!(expected.contains(&error.kind()), "{}: {error}", self.what);
            self.disk.heal();
            open(self.disk.clone())
        });
        let db = opened.unwrap_or_else(|error| panic!("{}: healed: {error}", self.what));
        let found = Model::read(&db).unwrap();
        self.check(&found);
        self.model = found;
        self.unknown.clear();
        self.remains.clear();
        self.poisoned = false;
        self.db = Some(db);
    }

    fn close(&mut self) {
        if let Some(db) = self.db.take() {
            match db.close().wait() {
                Ok(()) => assert!(!self.poisoned, "{}: closed after a failed sync", self.what),
                Err(error) => {
                    let expected = [ErrorKind::Io, ErrorKind::StorageFull, ErrorKind::Poisoned];
                    assert!(expected.contains(&error.kind()), "{}: {error}", self.what);
                }
            }
        }
    }

    /// What was acknowledged is there, and of the open end a beginning at most.
    fn check(&self, found: &Model) {
        let mut states = self.model.states(&self.unknown);
        states.extend(self.model.states(&self.remains));
        assert!(
            states.contains(found),
            "{}: found {found:#?}\nexpected one of {states:#?}",
            self.what
        );
    }

    /// Opens what was left, on a disk that does not fail.
    fn check_what_is_left(&mut self) {
        self.close();
        let db = open(self.memory.clone()).unwrap_or_else(|e| panic!("{}: {e}", self.what));
        self.check(&Model::read(&db).unwrap());
        db.close().wait().unwrap();
    }
}

/// The calls of a run in which nothing fails.
fn calls() -> Vec<Kind> {
    let never = Fault {
        kind: None,
        nth: usize::MAX,
        lasting: false,
        how: How::Error(EIO),
    };
    let mut run = Run::on(MemoryVfs::new(), never);
    run.run(&script());
    run.check_what_is_left();
    run.disk.calls()
}

/// Fails each call in turn in this way.
fn fail_each(how: How, lasting: bool) {
    let calls = calls();
    for nth in 1..=calls.len() {
        let fault = Fault {
            kind: None,
            nth,
            lasting,
            how,
        };
        let mut run = Run::on(MemoryVfs::recording(), fault);
        run.run(&script());
        // Power is lost as it stands: what is not synced goes, what was acknowledged stays.
        let record = run.memory.record();
        for loss in [Loss::All, Loss::Nothing, Loss::Random(nth as u64)] {
            let image = MemoryVfs::after_power_loss(&record, loss);
            let db = open(image).unwrap_or_else(|e| panic!("{}: {loss:?}: {e}", run.what));
            run.check(&Model::read(&db).unwrap());
        }
        let writable = !run.poisoned;
        run.disk.heal();
        if let Some(db) = run.db.clone().filter(|_| writable) {
            for step in coda() {
                let writes = step.changes().iter().map(|change| start(&db, change));
                for (change, answer) in step.changes().iter().zip(block_on(join_all(writes))) {
                    answer.unwrap_or_else(|e| panic!("{}: healed: {e}", run.what));
                    run.model.apply(change);
                }
            }
        }
        run.check_what_is_left();
    }
    println!(
        "{} calls failed with {how:?}, lasting: {lasting}",
        calls.len()
    );
}

#[test]
fn every_call_fails_once_with_an_io_error() {
    fail_each(How::Error(EIO), false);
}

#[test]
fn every_call_fails_from_then_on_with_an_io_error() {
    fail_each(How::Error(EIO), true);
}

#[test]
fn every_call_is_interrupted_once() {
    fail_each(How::Error(EINTR), false);
}

#[test]
fn every_call_fails_once_because_the_disk_is_full() {
    fail_each(How::Error(ENOSPC), false);
}

#[test]
fn every_call_fails_from_then_on_because_the_disk_is_full() {
    fail_each(How::Error(ENOSPC), true);
}

#[test]
fn every_write_is_short_once() {
    fail_each(How::Short(ENOSPC), false);
}

#[test]
fn every_write_is_short_from_then_on() {
    fail_each(How::Short(ENOSPC), true);
}

fn first_of(kind: Kind, lasting: bool, code: i32) -> Fault {
    Fault {
        kind: Some(kind),
        nth: 1,
        lasting,
        how: How::Error(code),
    }
}

fn upsert(db: &Database, id: u64) -> Result<()> {
    block_on(start(db, &Change::Upsert("docs", vec![point(id, id, 9)])))
}

/// A sync that failed once is not tried again: the second would succeed and mean nothing.
#[test]
fn after_one_failed_sync_all_writes_are_refused_until_it_is_opened_again() {
    let disk = FaultyVfs::new(MemoryVfs::new());
    let db = open(disk.clone()).unwrap();
    block_on(start(&db, &Change::Create("docs"))).unwrap();
    upsert(&db, 1).unwrap();

    disk.fail(first_of(Kind::Sync, false, EIO));
    assert_eq!(upsert(&db, 2).unwrap_err().kind(), ErrorKind::Io);
    let syncs = |calls: &[Kind]| calls.iter().filter(|kind| **kind == Kind::Sync).count();
    let before = syncs(&disk.calls());
    for change in [
        Change::Create("more"),
        Change::Remove("docs"),
        Change::Upsert("docs", vec![point(3, 3, 0)]),
        Change::Delete("docs", vec![1.into()]),
    ] {
        let error = block_on(start(&db, &change)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Poisoned, "{change:?}: {error}");
    }
    assert_eq!(syncs(&disk.calls()), before, "a sync was tried again");
    assert!(db.health().wait().unwrap().poisoned.is_some());
    let docs = db.collection("docs").wait().unwrap();
    assert!(docs.get(1).wait().unwrap().is_some(), "reads go on");
    assert!(
        docs.get(2).wait().unwrap().is_none(),
        "it is not known to be there"
    );
    assert_eq!(db.close().wait().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(syncs(&disk.calls()), before, "closing tried a sync again");

    let db = open(disk).unwrap();
    upsert(&db, 4).unwrap();
    db.close().wait().unwrap();
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_space() {
    let disk = FaultyVfs::new(MemoryVfs::new());
    let db = open(disk.clone()).unwrap();
    block_on(start(&db, &Change::Create("docs"))).unwrap();
    upsert(&db, 1).unwrap();

    disk.fail(first_of(Kind::Write, true, ENOSPC));
    for id in 2..5 {
        assert_eq!(upsert(&db, id).unwrap_err().kind(), ErrorKind::StorageFull);
    }
    assert!(db.health().wait().unwrap().poisoned.is_none());
    disk.heal();
    upsert(&db, 5).unwrap();
    db.close().wait().unwrap();

    let db = open(disk).unwrap();
    let docs = db.collection("docs").wait().unwrap();
    let found: Vec<_> = docs.scroll().into_iter().map(|p| p.unwrap().id).collect();
    assert_eq!(found, [1.into(), 5.into()]);
    db.close().wait().unwrap();
}

/// Two writes in one group, of which the disk takes the first and half of the second. Both are
/// refused.
fn refuse_half_a_group(lasting: bool) -> (Database, FaultyVfs, MemoryVfs, Model, Vec<Error>) {
    let memory = MemoryVfs::recording();
    let disk = FaultyVfs::new(memory.clone());
    let db = open(disk.clone()).unwrap();
    block_on(start(&db, &Change::Create("docs"))).unwrap();

    // The first occupies the commit thread, so that the others wait and become one group.
    disk.sync_takes(Duration::from_millis(300));
    let changes =
        [0, 1, 2].map(|id| Change::Upsert("docs", vec![point(id, id, 2_000 * id as usize)]));
    let mut writes: Vec<_> = changes.iter().map(|change| start(&db, change)).collect();
    let rest = writes.split_off(1);
    let written = |calls: &[Kind]| calls.iter().filter(|kind| **kind == Kind::Write).count();
    let before = written(&disk.calls());
    let first = thread::spawn(move || block_on(join_all(writes)));
    while written(&disk.calls()) == before {
        thread::yield_now();
    }
    disk.fail(Fault {
        kind: Some(Kind::Write),
        nth: 1,
        lasting,
        how: How::Short(ENOSPC),
    });
    let refused = block_on(join_all(rest)).into_iter();
    let refused: Vec<Error> = refused.map(Result::unwrap_err).collect();
    first.join().unwrap().into_iter().for_each(Result::unwrap);
    disk.sync_takes(Duration::ZERO);
    for error in &refused {
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error}");
    }
    let acknowledged = Model::read(&db).unwrap();
    assert_eq!(acknowledged.0["docs"].len(), 1);
    (db, disk, memory, acknowledged, refused)
}

/// What is found when the process is killed here.
fn after_a_kill(memory: &MemoryVfs) -> Model {
    let killed = MemoryVfs::after_power_loss(&memory.record(), Loss::Nothing);
    Model::read(&open(killed).unwrap()).unwrap()
}

#[test]
fn a_write_that_was_refused_does_not_come_back_after_a_kill() {
    let (_db, _, memory, acknowledged, refused) = refuse_half_a_group(false);
    assert!(
        !refused[0].to_string().contains(MAY_BE_FOUND),
        "{}",
        refused[0]
    );
    let found = after_a_kill(&memory);
    assert!(
        found == acknowledged,
        "a refused write is there: {found:#?}"
    );
}

/// A disk that takes nothing any more does not take the taking back either. Then the error says
/// so, and the next write that succeeds makes an end of it.
#[test]
fn a_refused_write_that_cannot_be_taken_back_says_so() {
    let (db, disk, memory, mut acknowledged, refused) = refuse_half_a_group(true);
    for error in &refused {
        assert!(error.to_string().contains(MAY_BE_FOUND), "{error}");
    }
    assert!(
        after_a_kill(&memory) != acknowledged,
        "the test has lost its point"
    );
    disk.heal();
    upsert(&db, 9).unwrap();
    acknowledged.apply(&Change::Upsert("docs", vec![point(9, 9, 9)]));
    assert!(after_a_kill(&memory) == acknowledged);
}

/// After a failed sync the system holds pages that it takes for written and that are not: a later
/// sync says nothing of them. Who opens the log again reads them, and must write them again before
/// anything is built on them, or the next power loss tears a hole into what was acknowledged.
#[test]
fn what_a_failed_sync_left_in_the_cache_is_written_again_when_it_is_opened() {
    let memory = MemoryVfs::recording();
    let disk = FaultyVfs::new(memory.clone());
    let db = open(disk.clone()).unwrap();
    block_on(start(&db, &Change::Create("docs"))).unwrap();
    upsert(&db, 1).unwrap();
    disk.fail(first_of(Kind::Sync, false, EIO));
    upsert(&db, 2).unwrap_err();
    db.close().wait().unwrap_err();
    // What was written since the last sync will never be durable by a sync alone.
    let mut calls = memory.record();
    let failed = calls.len();
    let synced = calls.iter().rposition(|call| matches!(call, Call::Sync(_)));
    let mut place = 0;
    calls.retain(|call| {
        place += 1;
        Some(place - 1) < synced || !matches!(call, Call::Write(..))
    });
    assert_eq!(failed - calls.len(), 1, "one write was not synced");

    let db = open(disk).unwrap();
    upsert(&db, 3).unwrap();
    let acknowledged = Model::read(&db).unwrap();
    calls.extend_from_slice(&memory.record()[failed..]);
    let image = MemoryVfs::after_power_loss(&calls, Loss::All);
    let found = open(image).and_then(|db| Model::read(&db));
    let found = found.unwrap_or_else(|error| panic!("after a power loss: {error}"));
    assert!(found == acknowledged, "found {found:#?}");
}
