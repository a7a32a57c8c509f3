//! Round trip of a closure to a pool of two threads and back to the awaiting task.
//!
//! One caller: the median latency. 64 and 1,024 callers: round trips per second, each caller
//! awaiting one before it begins the next. Every way runs under every runtime that it can, in
//! turns with new threads and in a new order each: which processor a thread begins on, and what
//! ran before (a pool of 500 threads that fall asleep), change a turn by a third, and so hit all
//! alike. The figure is the median over the turns. The last part compares `wait()` of a read with
//! a direct call.

mod runtimes;
mod ways;

use crate::sample::{median, percentile};
use amphora::{Lane, PoolOptions, Pools};
use amphora_tests::{random::Random, report::Figure};
use runtimes::Runtime;
use std::{
    hint::black_box,
    time::{Duration, Instant},
};
use ways::Way;

/// A closure that keeps a processor busy for a fixed number of steps, about so long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    steps: u64,
}

impl Work {
    fn of(duration: Duration) -> Self {
        let measure = |steps| {
            let work = Self { steps };
            let started = Instant::now();
            for _ in 0..200 {
                work.run();
            }
            started.elapsed().as_secs_f64() / 200.0
        };
        let mut runs: Vec<f64> = (0..51).map(|_| measure(1_000)).collect();
        let per_step = median(&mut runs) / 1_000.0;
        Self {
            steps: (duration.as_secs_f64() / per_step) as u64,
        }
    }

    pub(crate) fn run(self) {
        // A dependent chain: a step cannot start before the one before it.
        let mut x = black_box(1u64);
        for _ in 0..self.steps {
            x = x.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(13);
        }
        black_box(x);
    }
}

pub(crate) fn run(quick: bool, only: Option<&str>) {
    let turns = if quick { 11 } else { 31 };
    for (name, micros) in [("1us", 1), ("50us", 50)] {
        let work = Work::of(Duration::from_micros(micros));
        for callers in [1, 64, 1_024] {
            for runtime in Runtime::ALL {
                let path = format!("{name}/{callers}/{}", runtime.name());
                if only.is_some_and(|only| !path.contains(only)) {
                    continue;
                }
                compare(name, work, callers, runtime, turns, micros);
            }
        }
    }
    wait_against_direct(turns);
}

/// All ways under one runtime; ours beside the best of the others.
fn compare(name: &str, work: Work, callers: usize, runtime: Runtime, turns: usize, micros: u64) {
    let kinds: Vec<Way> = Way::under(runtime);
    let mut samples: Vec<Vec<f64>> = vec![Vec::new(); kinds.len()];
    // About as long for each turn, whatever the closure takes.
    let calls = (if callers == 1 { 4_000 } else { 40_000 } / micros.clamp(1, 20)) as usize;
    let mut random = Random(7);
    for _ in 0..turns {
        let ways = Way::under(runtime);
        let mut order: Vec<usize> = (0..ways.len()).collect();
        order.sort_by_cached_key(|_| random.draw());
        for place in order {
            samples[place].push(measure(&ways[place], work, callers, calls, runtime));
        }
    }
    let figures: Vec<f64> = samples.iter_mut().map(|turns| median(turns)).collect();
    let single = callers == 1;
    let peers = kinds.iter().zip(&figures).filter(|(way, _)| way.is_peer());
    let best = peers
        .map(|(_, figure)| *figure)
        .reduce(if single { f64::min } else { f64::max });
    let n = (calls * turns) as u64;
    for ((way, figure), samples) in kinds.iter().zip(&figures).zip(&mut samples) {
        let spread = percentile(samples, 0.9) / percentile(samples, 0.1);
        let path = format!("handoff/{name}/{callers}/{}/{}", runtime.name(), way.name());
        let unit = if single { "us" } else { "1/s" };
        let mut line = Figure::new(format!("{path} (p90/p10 {spread:.2})"), *figure, unit, n);
        if let (Way::Amphora(_), Some(best)) = (way, best) {
            line = line.against(best);
            line = if single {
                line.ratio_at_most(1.0)
            } else {
                line.ratio_at_least(1.0)
            };
        }
        line.print();
    }
}

/// Microseconds at the median for one caller, round trips per second for many.
fn measure(way: &Way, work: Work, callers: usize, calls: usize, runtime: Runtime) -> f64 {
    if callers == 1 {
        let mut latencies = runtime.latencies(way, work, calls);
        return median(&mut latencies);
    }
    let each = (calls / callers).max(2);
    let seconds = runtime.seconds(way, work, callers, each);
    (callers * each) as f64 / seconds
}

/// What `wait()` adds to a closure that runs on the calling thread either way.
fn wait_against_direct(turns: usize) {
    const CALLS: u32 = 20_000;
    let pools = Pools::new(&PoolOptions::default()).expect("a private set of pools");
    let work = Work::of(Duration::from_micros(1));
    let nanos = |call: &dyn Fn()| {
        let started = Instant::now();
        (0..CALLS).for_each(|_| call());
        started.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
    };
    let (mut direct, mut waited) = (Vec::new(), Vec::new());
    for _ in 0..turns * 3 {
        direct.push(nanos(&|| work.run()));
        waited.push(nanos(&|| {
            pools
                .run(Lane::Search, move || work.run())
                .wait()
                .expect("it runs");
        }));
    }
    let (direct, waited) = (median(&mut direct), median(&mut waited));
    let n = u64::from(CALLS) * turns as u64 * 3;
    Figure::new("handoff/wait/direct", direct, "ns", n).print();
    Figure::new("handoff/wait/added", waited - direct, "ns", n)
        .at_most(300.0)
        .print();
}
