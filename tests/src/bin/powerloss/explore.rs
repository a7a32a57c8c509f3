//! One script: its record, and the images of each of its prefixes.

use amphora::vfs::{CrashModel, Loss};
use amphora_tests::{
    power_loss::{Failure, Image, Run},
    random::Random,
    workload::{coda, random_script, script},
};
use std::{
    fmt,
    time::{Duration, Instant},
};

/// What was opened, and what was wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) scripts: u64,
    pub(crate) calls: u64,
    /// Images after one power loss. Of those at one prefix no two are the same.
    pub(crate) images: u64,
    /// Images after a crash of the recovery from one, or from a kill.
    pub(crate) second: u64,
    /// Images of runs that went on in an image.
    pub(crate) again: u64,
    /// What all this took, in each thread.
    pub(crate) time: Duration,
    pub(crate) failures: Vec<Found>,
}

/// A failure, and at which crash.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) second: bool,
    pub(crate) failure: Failure,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let crash = if self.second { "second crash, " } else { "" };
        write!(f, "{crash}{}", self.failure)
    }
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        self.scripts += other.scripts;
        self.calls += other.calls;
        self.images += other.images;
        self.second += other.second;
        self.again += other.again;
        self.time += other.time;
        self.failures.extend(other.failures);
    }

    fn note(&mut self, second: bool, result: Result<Run, Failure>) -> Option<Run> {
        result
            .map_err(|failure| self.failures.push(Found { second, failure }))
            .ok()
    }
}

/// Images drawn at random at each prefix, besides those that are enumerated.
const RANDOM: u64 = 16;
/// Of so many images one goes on, and one crashes again at each call of its recovery.
const ONE_OF: u64 = 250;

/// Runs the script of this seed, and opens what a power loss may leave of it.
pub(crate) fn explore(seed: u64, fixed: bool) -> Counts {
    let started = Instant::now();
    let mut counts = Counts {
        scripts: 1,
        ..Counts::default()
    };
    let steps = if fixed { script() } else { random_script(seed) };
    if let Some(run) = counts.note(false, Run::recorded(&steps)) {
        counts.calls = run.calls.len() as u64;
        let random = Random(!seed);
        Explorer { counts, random }.run_of(&run, started)
    } else {
        counts
    }
}

struct Explorer {
    counts: Counts,
    random: Random,
}

impl Explorer {
    fn run_of(mut self, run: &Run, started: Instant) -> Counts {
        let all = run.each_prefix(run.prefixes(), |prefix, model| {
            if !run.is_as_before(prefix) {
                self.images_at(run, prefix, model);
            }
            Ok::<_, Failure>(())
        });
        debug_assert!(all.is_ok(), "failures are counted");
        self.counts.time = started.elapsed();
        self.counts
    }

    fn images_at(&mut self, run: &Run, prefix: usize, model: &CrashModel) {
        for image in Image::distinct(model, losses(model, RANDOM, &mut self.random)) {
            self.counts.images += 1;
            let steps = match self.random.below(ONE_OF) {
                0 => coda(),
                _ => Vec::new(),
            };
            let again = run.lost_power(prefix, image, &steps);
            let Some(again) = self.counts.note(false, again) else {
                continue;
            };
            if self.random.below(ONE_OF) == 0 {
                self.crash_in_recovery(&again);
            }
            if !steps.is_empty() {
                self.lose_again(&again);
            }
        }
        if self.random.below(ONE_OF / 4) == 0 {
            let again = run.kill(prefix, model, &coda());
            if let Some(again) = self.counts.note(true, again) {
                self.crash_in_recovery(&again);
                self.lose_again(&again);
            }
        }
    }

    /// Loses power after each call of a recovery.
    fn crash_in_recovery(&mut self, again: &Run) {
        let all = again.each_prefix(again.opening(), |prefix, model| {
            for image in Image::distinct(model, losses(model, 2, &mut self.random)) {
                self.counts.second += 1;
                let result = again.lost_power(prefix, image, &[]);
                self.counts.note(true, result);
            }
            Ok::<_, Failure>(())
        });
        debug_assert!(all.is_ok(), "failures are counted");
    }

    /// Loses power at some later calls of a run that went on.
    fn lose_again(&mut self, again: &Run) {
        for _ in 0..4 {
            let later = again.calls.len() - again.shown + 1;
            let prefix = again.shown + self.random.below(later as u64) as usize;
            let loss = match self.random.below(4) {
                0 => Loss::All,
                1 => Loss::Ordered(self.random.draw()),
                _ => Loss::Random(self.random.draw()),
            };
            self.counts.again += 1;
            let result = again.lose_power(prefix, &again.model_at(prefix), loss, &[]);
            self.counts.note(false, result);
        }
    }
}

/// The ways to lose power at this point: all that can be enumerated, and some at random.
fn losses(model: &CrashModel, some: u64, random: &mut Random) -> Vec<Loss> {
    let mut losses = vec![Loss::All];
    if model.unsynced() == 0 {
        return losses;
    }
    losses.extend([Loss::Nothing, Loss::Zeros, Loss::Garbage(random.draw())]);
    losses.extend((0..model.unsynced()).flat_map(|n| [Loss::OnlyOne(n), Loss::AllButOne(n)]));
    losses.extend((0..some).map(|n| match n % 4 {
        0 => Loss::Ordered(random.draw()),
        _ => Loss::Random(random.draw()),
    }));
    losses
}
