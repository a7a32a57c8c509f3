//! A kill at every storage call of a script, and at one of the recovery from it.

use crate::stopped::STOPS;
use amphora::vfs::DiskVfs;
use amphora_tests::{
    child::Child,
    faults::FaultyVfs,
    indexes,
    report::Figure,
    workload::{Change, Model, Step, open, script},
};
use std::{
    ffi::{OsStr, OsString},
    path::Path,
    sync::{
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::RecvTimeoutError,
    },
    thread,
    time::Duration,
};

const THREADS: usize = 4;
/// A child that has said nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(30);
/// An opening makes some more calls than that.
const OPENING: u64 = 24;

#[derive(Default)]
struct Tally {
    killed: AtomicU64,
    killed_recovering: AtomicU64,
    acknowledged: AtomicU64,
    lost: AtomicU64,
    not_opened: AtomicU64,
    indexes_wrong: AtomicU64,
    failed: AtomicU64,
}

/// Kills the script at its first call, its second and so on, until it ends before that. Says
/// whether nothing was lost.
pub(crate) fn run() -> bool {
    let tally = Tally::default();
    let changes: Vec<Change> = script().iter().flat_map(Step::changes).cloned().collect();
    let states = Model::default().states(&changes);
    let (next, done) = (AtomicU64::new(1), AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let call = next.fetch_add(1, Ordering::Relaxed);
                    if !tally.kill_at(call, &states) {
                        done.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    tally.report()
}

/// What a child said until it was killed or ended.
struct Said {
    stopped: bool,
    failed: bool,
    acknowledged: usize,
    issued: usize,
}

impl Tally {
    /// False when the script has fewer calls than that.
    fn kill_at(&self, call: u64, states: &[Model]) -> bool {
        let add = |count: &AtomicU64| count.fetch_add(1, Ordering::Relaxed);
        let place = tempfile::tempdir().expect("a temporary directory");
        let said = child(place.path(), call, "script");
        if said.failed {
            eprintln!("call {call}: the child failed or hangs");
            add(&self.failed);
        }
        if !said.stopped {
            return said.failed;
        }
        add(&self.killed);
        self.acknowledged
            .fetch_add(said.acknowledged as u64, Ordering::Relaxed);
        // The next one may die as it recovers, at some call of that.
        let again = child(place.path(), 1 + call % OPENING, "open");
        self.killed_recovering
            .fetch_add(u64::from(again.stopped), Ordering::Relaxed);
        if again.failed {
            eprintln!("call {call}: recovery failed or hangs");
            add(&self.failed);
        }
        let disk = DiskVfs::open(place.path(), false).expect("the directory is there");
        match open(disk).and_then(|db| Model::read(&db)) {
            Ok(found) if states[said.acknowledged..=said.issued].contains(&found) => {
                self.check_indexes(call, place.path());
            }
            Ok(found) => {
                let after = states.iter().position(|state| *state == found);
                eprintln!(
                    "call {call}: {} were acknowledged, and it is as after {after:?}",
                    said.acknowledged
                );
                add(&self.lost);
            }
            Err(error) => {
                eprintln!("call {call}: {error}");
                add(&self.not_opened);
            }
        }
        true
    }

    /// Whatever the kill left of index files: they are built again, and none stays unnamed.
    fn check_indexes(&self, call: u64, place: &Path) {
        let disk = DiskVfs::open(place, false).expect("the directory is there");
        let disk: FaultyVfs = FaultyVfs::new(disk);
        let problem = indexes::problem(&disk).unwrap_or_else(|error| Some(error.to_string()));
        if let Some(problem) = problem {
            eprintln!("call {call}: {problem}");
            self.indexes_wrong.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn report(&self) -> bool {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let killed = of(&self.killed);
        let figure = |name: &str, count: &AtomicU64| {
            let name = format!("kill9/calls{name}");
            Figure::new(name, of(count) as f64, "count", killed)
        };
        let figures = [
            figure("", &self.killed).at_least(1.0),
            figure("/killed_recovering", &self.killed_recovering).at_least(1.0),
            figure("/acknowledged_writes", &self.acknowledged),
            figure("/lost", &self.lost).at_most(0.0),
            figure("/not_opened", &self.not_opened).at_most(0.0),
            figure("/indexes_wrong", &self.indexes_wrong).at_most(0.0),
            figure("/failed", &self.failed).at_most(0.0),
        ];
        let figures = figures.map(Figure::print);
        figures.iter().all(|figure| figure.met != Some(false))
    }
}

/// Runs a child until it stops, and kills it there.
fn child(place: &Path, stop_at: u64, what: &str) -> Said {
    let stop_at = OsString::from(stop_at.to_string());
    let arguments: [&OsStr; 4] = [
        "--stopped".as_ref(),
        place.as_ref(),
        &*stop_at,
        what.as_ref(),
    ];
    let mut child = Child::start(arguments);
    let mut said = Said {
        stopped: false,
        failed: false,
        acknowledged: 0,
        issued: 0,
    };
    loop {
        match child.line(PATIENCE) {
            Ok(line) if line == STOPS => said.stopped = true,
            Ok(line) => {
                said.note(&line);
                continue;
            }
            Err(RecvTimeoutError::Timeout) => said.failed = true,
            Err(RecvTimeoutError::Disconnected) => {}
        }
        break;
    }
    if said.stopped || said.failed {
        child.kill();
    }
    let (status, rest) = child.end();
    // An answer may have come from another thread while it stopped.
    rest.iter().for_each(|line| said.note(line));
    said.failed |= !said.stopped && !status.success();
    said
}

impl Said {
    fn note(&mut self, line: &str) {
        let Some((what, number)) = line.split_once(' ') else {
            return;
        };
        let number = number.parse().expect("the child says numbers");
        match what {
            "issued" => self.issued = self.issued.max(number),
            _ => self.acknowledged = self.acknowledged.max(number),
        }
    }
}
