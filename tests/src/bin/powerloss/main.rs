//! Loses power after every call of recorded runs, in every way that the strict model knows.
//!
//! Scripts of writes are run on a directory in memory that records. For each prefix of a record
//! the images that a power loss may leave are opened and compared with the model; some are written
//! to and lose power again, and some lose it while they are being opened. The first script is the
//! fixed one of the tests, the others are drawn from seeds, one after the other.

mod explore;

use amphora_tests::{
    power_loss::Wrong,
    report::Figure,
    settings::{Settings, number, unknown},
};
use explore::{Counts, explore};
use std::{
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

const HELP: &str = "\
Opens the images that a power loss may leave; no acknowledged write may be missing in one.
With --quick at least 100,000 images, and 10,000 of a second crash.

  --scripts N     so many scripts, whatever the number of images";

const IMAGES: u64 = 100_000;
const SECOND: u64 = 10_000;
const THREADS: usize = 2;
/// Failures that are described; the others are counted.
const DESCRIBED: u64 = 8;

fn main() -> ExitCode {
    amphora_tests::opening::with_indexes();
    let mut scripts = None;
    let settings = Settings::read_with(HELP, |argument, rest| match argument {
        "--scripts" => {
            scripts = Some(number(argument, rest)?);
            Ok(())
        }
        _ => Err(unknown(argument)),
    });
    let settings = match settings {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let work = Work {
        settings,
        scripts,
        started: Instant::now(),
        next: AtomicU64::new(0),
        counts: Mutex::default(),
    };
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| work.run());
        }
    });
    ExitCode::from(u8::from(!work.report()))
}

struct Work {
    settings: Settings,
    scripts: Option<u64>,
    started: Instant,
    /// The number of the next script; number 0 is the fixed one.
    next: AtomicU64,
    counts: Mutex<Counts>,
}

impl Work {
    fn run(&self) {
        while !self.is_done() {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if self.scripts.is_some_and(|scripts| number >= scripts) {
                return;
            }
            // Script N of seed S is script 0 of seed S + N, but for the fixed one.
            let seed = self.settings.seed.wrapping_add(number);
            let found = explore(seed, number == 0 && self.scripts.is_none());
            let mut counts = self.counts();
            for failure in &found.failures {
                if counts.failures.len() as u64 <= DESCRIBED {
                    eprintln!("--seed {seed} --scripts 1: {failure}");
                }
            }
            counts.add(found);
        }
    }

    fn is_done(&self) -> bool {
        match (self.settings.duration, self.scripts) {
            (Some(duration), _) => self.started.elapsed() >= duration,
            (None, Some(_)) => false,
            (None, None) => {
                let counts = self.counts();
                counts.images >= IMAGES && counts.second >= SECOND
            }
        }
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints what was found, and says whether it is as it should be.
    fn report(&self) -> bool {
        let counts = self.counts();
        let seed = self.settings.seed;
        let all = self.scripts.is_none() && self.settings.duration.is_none();
        let figure = |name: &str, value: u64, n: u64| {
            Figure::new(format!("powerloss/{name}"), value as f64, "count", n).seeded(seed)
        };
        let mut figures = Vec::new();
        for (name, n, least) in [
            ("images", counts.images, IMAGES),
            ("second_crash", counts.second, SECOND),
        ] {
            let opened = figure(name, n, n);
            figures.push(if all {
                opened.at_least(least as f64)
            } else {
                opened
            });
            let of = |wrong| {
                let second = name == "second_crash";
                let matches = |f: &&explore::Found| f.second == second && f.failure.wrong == wrong;
                counts.failures.iter().filter(matches).count() as u64
            };
            for (what, wrong) in [
                ("lost", Wrong::Lost),
                ("half_batches", Wrong::Half),
                ("not_opened", Wrong::NotOpened),
                ("forged", Wrong::Forged),
                ("refused", Wrong::Refused),
                ("panicked", Wrong::Panicked),
            ] {
                figures.push(figure(&format!("{name}/{what}"), of(wrong), n).at_most(0.0));
            }
        }
        figures.push(figure("written_and_lost_again", counts.again, counts.again));
        figures.push(figure("scripts", counts.scripts, counts.scripts));
        figures.push(figure("calls", counts.calls, counts.calls));
        let opened = counts.images + counts.second + counts.again;
        let each = Duration::as_secs_f64(&counts.time) * 1e6 / opened.max(1) as f64;
        figures.push(Figure::new("powerloss/time_of_each", each, "us", opened));
        let took = self.started.elapsed().as_secs_f64();
        figures.push(Figure::new("powerloss/time", took, "s", 1));
        let printed: Vec<Figure> = figures.into_iter().map(Figure::print).collect();
        printed.iter().all(|figure| figure.met != Some(false))
    }
}
