//! The parent: kills one child after another, and compares what each left with what it had said.

use crate::{
    Wanted,
    plan::{
        Expected, Model, Points, SHARED, THREADS, found, found_in_snapshot, open, planned, schema,
        search_problem,
    },
};
use amphora::{Database, ErrorKind, Result, vfs::DiskVfs};
use amphora_tests::{child::Child, faults::FaultyVfs, indexes, random::Random, report::Figure};
use std::{
    ffi::OsString,
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// A log that is longer is left behind for an empty directory: reading it takes the time.
const LOG_BYTES: u64 = 8 << 20;
/// A child that has not opened the database by then never will.
const OPENING: Duration = Duration::from_secs(20);

pub(crate) struct Parent {
    wanted: Wanted,
    random: Random,
    home: Home,
    /// How long the last child took to open the database.
    opening: Duration,
    tally: Tally,
}

/// A directory, and what is in it.
struct Home {
    directory: tempfile::TempDir,
    seed: u64,
    /// For each thread, how many of its operations were done.
    done: Vec<u64>,
    expected: Vec<Model>,
}

#[derive(Default)]
struct Tally {
    cycles: u64,
    acknowledged: u64,
    lost: u64,
    not_opened: u64,
    /// Operations that were done and whose answer the kill cut off.
    unanswered: u64,
    killed_opening: u64,
    closed: u64,
    /// Snapshots that were gone back to.
    snapshots: u64,
    /// Searches that gave what is not there, and indexes that are not as they should be.
    wrong_searches: u64,
}

/// How one child ended.
struct Ended {
    opened: bool,
    closed: bool,
    failed: bool,
    /// For each thread, how many operations were acknowledged.
    acknowledged: Vec<u64>,
}

impl Home {
    fn new(seed: u64) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let db = open(directory.path()).expect("a new database");
        for name in SHARED {
            db.create_collection(name, schema())
                .wait()
                .expect("a new collection");
        }
        db.close().wait().expect("nothing prevents closing");
        let expected = (0..THREADS).map(|thread| Model::after(seed, thread, 0));
        Self {
            directory,
            seed,
            done: vec![0; THREADS as usize],
            expected: expected.collect(),
        }
    }

    fn log_bytes(&self) -> u64 {
        let files = fs::read_dir(self.directory.path()).into_iter().flatten();
        files
            .filter_map(|file| Some(file.ok()?.metadata().ok()?.len()))
            .sum()
    }

    fn start_child(&self, close_after: u64) -> Child {
        let mut arguments = vec!["--child".into(), self.directory.path().into()];
        let numbers = [self.seed, close_after];
        let numbers = numbers.iter().chain(&self.done);
        arguments.extend(numbers.map(|number| OsString::from(number.to_string())));
        Child::start(arguments)
    }
}

impl Parent {
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self {
            random: Random(wanted.seed),
            home: Home::new(wanted.seed),
            wanted,
            opening: Duration::from_millis(10),
            tally: Tally::default(),
        }
    }

    /// Kills one child after another, and says whether nothing was lost.
    pub(crate) fn run(mut self) -> bool {
        let started = Instant::now();
        while match self.wanted.duration {
            Some(duration) => started.elapsed() < duration,
            None => self.tally.cycles < self.wanted.cycles,
        } {
            self.cycle();
        }
        let Tally {
            cycles,
            acknowledged,
            lost,
            not_opened,
            ..
        } = self.tally;
        let figures = [
            Figure::new("kill9/cycles", cycles as f64, "count", cycles),
            Figure::new("kill9/lost_writes", lost as f64, "count", acknowledged).at_most(0.0),
            Figure::new("kill9/not_opened", not_opened as f64, "count", cycles).at_most(0.0),
            Figure::new(
                "kill9/wrong_searches_or_indexes",
                self.tally.wrong_searches as f64,
                "count",
                cycles,
            )
            .at_most(0.0),
            Figure::new(
                "kill9/acknowledged_writes",
                acknowledged as f64,
                "count",
                cycles,
            ),
            Figure::new(
                "kill9/done_unanswered",
                self.tally.unanswered as f64,
                "count",
                cycles,
            ),
            Figure::new(
                "kill9/killed_opening",
                self.tally.killed_opening as f64,
                "count",
                cycles,
            ),
            Figure::new(
                "kill9/closed_before",
                self.tally.closed as f64,
                "count",
                cycles,
            ),
            Figure::new(
                "kill9/snapshots",
                self.tally.snapshots as f64,
                "count",
                cycles,
            ),
            Figure::new(
                "kill9/seconds",
                started.elapsed().as_secs_f64(),
                "s",
                cycles,
            ),
        ];
        let figures = figures.map(Figure::print);
        figures.iter().all(|figure| figure.met != Some(false))
    }

    /// One child, its end, and a look at what it left.
    fn cycle(&mut self) {
        self.tally.cycles += 1;
        let mut ended = self.kill_a_child();
        self.tally.killed_opening += u64::from(!ended.opened);
        self.tally.closed += u64::from(ended.closed);
        let acknowledged = ended.acknowledged.iter().zip(&self.home.done);
        self.tally.acknowledged += acknowledged.map(|(now, before)| now - before).sum::<u64>();
        if self.wanted.plant {
            // One may have been under way and some change nothing; not all of so many.
            ended.acknowledged[0] += 5;
        }
        let whole = !ended.failed && self.check(&ended.acknowledged);
        if ended.failed {
            self.tally.not_opened += 1;
        }
        if !whole {
            self.leave_behind();
        } else if self.home.log_bytes() > LOG_BYTES {
            self.home = Home::new(self.random.draw());
        }
    }

    fn kill_a_child(&mut self) -> Ended {
        let while_opening = self.random.below(5) == 0;
        let closes = !while_opening && self.random.below(6) == 0;
        let close_after = if closes { 1 + self.random.below(30) } else { 0 };
        let started = Instant::now();
        let mut child = self.home.start_child(close_after);
        let mut opened = false;
        let most = if while_opening {
            self.opening.as_micros() as u64
        } else {
            opened = child.line(OPENING).is_ok_and(|said| said == "open");
            self.opening = started.elapsed();
            60_000
        };
        thread::sleep(Duration::from_micros(self.random.below(most)));
        child.kill();
        let (status, lines) = child.end();

        let mut acknowledged = self.home.done.clone();
        for said in &lines {
            match said.split_once(' ') {
                None => opened |= said == "open",
                Some((thread, n)) => {
                    let thread: usize = thread.parse().expect("a thread's number");
                    assert_eq!(
                        n.parse(),
                        Ok(acknowledged[thread]),
                        "the child left one out"
                    );
                    acknowledged[thread] += 1;
                }
            }
        }
        Ended {
            opened,
            closed: status.success(),
            // A kill gives no code.
            failed: !status.success() && status.code().is_some() || !while_opening && !opened,
            acknowledged,
        }
    }

    /// Opens what the child left and compares. True if all is well.
    fn check(&mut self, acknowledged: &[u64]) -> bool {
        // On a copy the next child is the first to see what the kill left.
        let copy = (self.random.below(2) == 0).then(|| copy(self.home.directory.path()));
        let place = copy.as_ref().unwrap_or(&self.home.directory).path();
        let found = open(place).and_then(|db| {
            let found = found(&db)?;
            let mut problem = search_problem(&db)?;
            // On a copy nobody minds that it goes back.
            let kept = if copy.is_some() {
                kept(&db, &found)?
            } else {
                Vec::new()
            };
            problem = problem.or(search_problem(&db)?);
            db.close().wait()?;
            if copy.is_some() {
                let disk = DiskVfs::open(place, false).expect("the directory is there");
                problem = problem.or(indexes::problem(&FaultyVfs::new(disk))?);
            }
            Ok((found, kept, problem))
        });
        let (found, kept, problem) = match found {
            Ok(found) => found,
            Err(error) => {
                self.tally.not_opened += 1;
                eprintln!("cycle {}: {error}", self.tally.cycles);
                assert_ne!(
                    error.kind(),
                    ErrorKind::Locked,
                    "the killed child holds a lock"
                );
                return false;
            }
        };
        let mut whole = problem.is_none();
        if let Some(problem) = problem {
            self.tally.wrong_searches += 1;
            eprintln!("cycle {}: {problem}", self.tally.cycles);
        }
        for (thread, found) in (0..).zip(&found) {
            whole &= self.check_thread(thread, found, acknowledged[thread as usize]);
        }
        for (thread, points) in kept {
            whole &= self.check_snapshot(thread, &points);
        }
        whole
    }

    fn check_snapshot(&mut self, thread: u64, points: &Points) -> bool {
        let whole = self.home.expected[thread as usize].snapshot == *points;
        self.tally.snapshots += 1;
        if !whole {
            self.tally.lost += 1;
            let cycle = self.tally.cycles;
            eprintln!("cycle {cycle}: the snapshot of thread {thread} holds something else");
        }
        whole
    }

    fn check_thread(&mut self, thread: u64, found: &Expected, acknowledged: u64) -> bool {
        let Home {
            seed,
            done,
            expected,
            ..
        } = &mut self.home;
        let (done, expected) = (&mut done[thread as usize], &mut expected[thread as usize]);
        let before = *done;
        for n in before..acknowledged {
            expected.apply(planned(*seed, thread, n), n);
        }
        *done = acknowledged;
        if *found == expected.now {
            return true;
        }
        // The one that was under way may have been done, whole.
        expected.apply(planned(*seed, thread, acknowledged), acknowledged);
        *done += 1;
        if *found == expected.now {
            self.tally.unanswered += 1;
            return true;
        }
        let kept = (0..acknowledged)
            .rev()
            .find(|n| Model::after(*seed, thread, *n).now == *found);
        let lost = kept.map_or(1, |kept| acknowledged - kept);
        self.tally.lost += lost;
        let cycle = self.tally.cycles;
        match kept {
            Some(kept) => eprintln!(
                "cycle {cycle}: thread {thread} was acknowledged {acknowledged} operations and \
                 {kept} are there"
            ),
            None => eprintln!(
                "cycle {cycle}: thread {thread} was acknowledged {acknowledged} operations and \
                 what is there is the result of no beginning of them"
            ),
        }
        false
    }

    /// Goes on in an empty directory, and keeps the one in which something is wrong.
    fn leave_behind(&mut self) {
        let next = Home::new(self.random.draw());
        let home = std::mem::replace(&mut self.home, next);
        if !self.wanted.plant {
            eprintln!("the directory is kept: {}", home.directory.keep().display());
        }
    }
}

/// What the snapshots hold, each of its thread.
fn kept(db: &Database, found: &[Expected]) -> Result<Vec<(u64, Points)>> {
    let threads = (0..).zip(found).filter(|(_, found)| found.has_snapshot);
    let kept = threads.map(|(thread, _)| Ok((thread, found_in_snapshot(db, thread)?)));
    kept.collect()
}

fn copy(directory: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a temporary directory");
    for file in fs::read_dir(directory).expect("the directory is there") {
        let file = file.expect("a file of the directory");
        fs::copy(file.path(), copy.path().join(file.file_name())).expect("room for a copy");
    }
    copy
}
