//! Disks that fail, everywhere: each call in turn, each sync before a power loss, each disk size.
//!
//! A script of every kind of write is run once for each place where the disk may fail. What the
//! callers were told is compared with what is there when the directory is opened again.

mod calls;
mod full;

use amphora_tests::{
    power_loss::{Failure, Wrong},
    report::Figure,
    settings::Settings,
    workload::{Step, random_script, script},
};
use std::{
    collections::BTreeMap,
    env,
    process::ExitCode,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

const HELP: &str = "\
Disks that fail; nothing acknowledged may be missing, nothing may panic or hang.
The fixed script with each call, sync and disk size once; then, with --duration, scripts drawn
from seeds.";

/// Most runs wait: for space, or for a sync.
const THREADS: usize = 8;
/// No run takes a tenth of that.
const DEADLINE: Duration = Duration::from_secs(30);
/// Failures that are described; the others are counted.
const DESCRIBED: usize = 8;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--on-tmpfs") {
        return full::on_tmpfs(&arguments[1..]);
    }
    let settings = match Settings::read(HELP) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let started = Instant::now();
    // The fixed script first; it is the same for all seeds.
    let mut met = all(&script(), None);
    met &= full::real();
    if let Some(duration) = settings.duration {
        let mut seed = settings.seed;
        while started.elapsed() < duration {
            eprintln!("seed {seed}");
            met &= all(&random_script(seed), Some(seed));
            seed = seed.wrapping_add(1);
        }
    }
    let took = started.elapsed().as_secs_f64();
    Figure::new("faults/time", took, "s", 1).print();
    ExitCode::from(u8::from(!met))
}

fn all(steps: &[Step], seed: Option<u64>) -> bool {
    let met = [
        calls::each_fails(steps, seed),
        calls::each_sync_fails_before_power_is_lost(steps, seed),
        full::at_every_size(steps, seed),
    ];
    met == [true; 3]
}

/// What a series of runs found.
#[derive(Default)]
struct Found {
    runs: AtomicU64,
    failures: Mutex<BTreeMap<Wrong, u64>>,
}

impl Found {
    fn note<T>(&self, result: Result<T, Failure>) -> Option<T> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        result
            .map_err(|failure| {
                let mut failures = self.failures();
                *failures.entry(failure.wrong).or_default() += 1;
                if failures.values().sum::<u64>() as usize <= DESCRIBED {
                    eprintln!("{failure}");
                }
            })
            .ok()
    }

    fn failures(&self) -> MutexGuard<'_, BTreeMap<Wrong, u64>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints a figure of each kind of failure, and says whether there was none.
    fn report(&self, name: &str, seed: Option<u64>) -> bool {
        let failures = self.failures();
        let runs = self.runs.load(Ordering::Relaxed);
        let mut met = runs > 0;
        for (what, kinds) in [
            ("lost", &[Wrong::Lost][..]),
            ("not_opened", &[Wrong::NotOpened]),
            ("forged", &[Wrong::Forged, Wrong::Half]),
            ("accepted_after_a_failed_sync", &[Wrong::NotPoisoned]),
            ("wrongly_refused", &[Wrong::Refused]),
            ("panics", &[Wrong::Panicked]),
            ("hangs", &[Wrong::Hung]),
        ] {
            let count: u64 = kinds.iter().filter_map(|kind| failures.get(kind)).sum();
            let mut figure = Figure::new(format!("{name}/{what}"), count as f64, "count", runs);
            figure.seed = seed;
            met &= figure.at_most(0.0).print().met == Some(true);
        }
        met
    }
}

/// Calls `act` with the numbers from 1 on, on several threads, until it says that it is done.
fn each(act: impl Fn(usize) -> bool + Sync) {
    let next = AtomicU64::new(1);
    let done = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while done.load(Ordering::Relaxed) == 0 {
                    if act(next.fetch_add(1, Ordering::Relaxed) as usize) {
                        done.store(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
}
