//! How long a search takes while points are written, so that flushes, merges and builds of indexes go
//! on, beside how long it takes while nothing else happens.
//!
//! The points are the passages of `books30k`, which are replaced again and again, in their order.
//! One caller searches at intervals and waits for each answer; another writes, at a bounded rate or
//! as quickly as it can, and waits as well. All sizes of pools and memory are the defaults.
//!
//! Beside the time that passes is the processor time of the thread that searches: the work of a
//! search, without its waiting for a processor.

use crate::subject::{K, LONG, Subject, VECTOR, schema};
use amphora::{Options, Point, PoolOptions, Query};
use amphora_tests::{
    data::{self, Matrix},
    process::thread_processor,
    report::Figure,
    sample::Samples,
};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

/// Between the end of a search and the beginning of the next.
const PAUSE: Duration = Duration::from_millis(2);
/// The fewest searches of a way.
const LEAST: usize = 2_000;
const BATCH: usize = 100;
/// How much longer a search may take.
const LONGER: f64 = 3.0;

/// How points are written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writing {
    /// Not at all.
    No,
    /// So many each second.
    Paced(u32),
    /// As quickly as they can be.
    Unbounded,
}

const WAYS: [(&str, Writing); 3] = [
    ("idle", Writing::No),
    ("4000-upserts-per-second", Writing::Paced(4_000)),
    ("upserts-at-full-speed", Writing::Unbounded),
];

/// What was seen of one way.
#[derive(Default)]
struct Seen {
    /// Milliseconds.
    wall: Samples,
    cpu: Samples,
    /// Searches that began while the update lane worked.
    beside_update: usize,
    written: usize,
    seconds: f64,
}

pub(crate) fn run(quick: bool, only: Option<&str>) {
    let Some((base, queries)) = data::books().zip(data::book_queries()) else {
        return;
    };
    let duration = Duration::from_secs(if quick { 10 } else { 60 });
    let subject = Subject::new(
        schema(base.dimensions),
        Options {
            // Its own, so that they count this work alone.
            pools: Some(PoolOptions::default()),
            ..Options::default()
        },
    );
    subject.fill((0..base.rows().len()).map(|row| point(&base, row)));
    let mut idle = None;
    for (name, writing) in WAYS {
        if writing != Writing::No && only.is_some_and(|only| !name.contains(only)) {
            continue;
        }
        subject.optimize();
        let seen = measure(&subject, &base, &queries, writing, duration);
        seen.report(name, idle.as_ref());
        idle.get_or_insert(seen);
    }
    subject.close();
}

fn measure(
    subject: &Subject,
    base: &Matrix,
    queries: &Matrix,
    writing: Writing,
    duration: Duration,
) -> Seen {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| write(subject, base, writing, &over));
        let mut seen = search(subject, queries, duration);
        over.store(true, Ordering::Relaxed);
        seen.written = writer.join().expect("the writer does not panic");
        seen
    })
}

fn search(subject: &Subject, queries: &Matrix, duration: Duration) -> Seen {
    let mut seen = Seen::default();
    let began = Instant::now();
    for values in queries.rows().cycle() {
        if began.elapsed() >= duration && seen.wall.len() >= LEAST {
            break;
        }
        thread::sleep(PAUSE);
        let update = subject.db.stats().pools.update;
        seen.beside_update += usize::from(update.running > 0);
        let query = Query::nearest(VECTOR, values).limit(K);
        let (started, before) = (Instant::now(), thread_processor());
        subject.search(query);
        seen.cpu.push((thread_processor() - before) * 1e3);
        seen.wall.push(started.elapsed().as_secs_f64() * 1e3);
    }
    seen.seconds = began.elapsed().as_secs_f64();
    seen
}

/// Writes until it is `over`, and says how many points.
fn write(subject: &Subject, base: &Matrix, writing: Writing, over: &AtomicBool) -> usize {
    let began = Instant::now();
    let mut written = 0;
    while writing != Writing::No && !over.load(Ordering::Relaxed) {
        if let Writing::Paced(rate) = writing {
            let due = began + Duration::from_secs(written as u64) / rate;
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let rows = (written..written + BATCH).map(|row| row % base.rows().len());
        let points: Vec<Point> = rows.map(|row| point(base, row)).collect();
        let upserted = subject.points.upsert(points).timeout(LONG).wait();
        upserted.expect("nothing prevents writing");
        written += BATCH;
    }
    written
}

fn point(base: &Matrix, row: usize) -> Point {
    Point::new(row as u64).vector(VECTOR, base.row(row))
}

impl Seen {
    fn report(&self, name: &str, idle: Option<&Self>) {
        let n = self.wall.len() as u64;
        let figure =
            |what: &str, value, unit| Figure::new(format!("mixed/{name}/{what}"), value, unit, n);
        for (what, samples, idle) in [
            ("wall", &self.wall, idle.map(|idle| &idle.wall)),
            ("cpu", &self.cpu, idle.map(|idle| &idle.cpu)),
        ] {
            for (percent, share) in [("p50", 0.5), ("p99", 0.99)] {
                let value = samples.percentile(share);
                let figure = figure(&format!("{what}/{percent}"), value, "ms");
                let Some(idle) = idle else {
                    figure.print();
                    continue;
                };
                let figure = figure.against(idle.percentile(share));
                match (what, percent) {
                    ("wall", "p99") => figure.ratio_at_most(LONGER).print(),
                    _ => figure.print(),
                };
            }
        }
        if idle.is_some() {
            let beside = self.beside_update as f64 / n as f64;
            figure("beside-the-update-lane", beside, "share").print();
            let rate = self.written as f64 / self.seconds;
            figure("upserts", rate, "1/s").print();
        }
    }
}
