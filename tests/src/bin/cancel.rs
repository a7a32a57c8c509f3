//! A thousand searches given up after a millisecond: how soon the machine is free again.
//!
//! Each search takes several milliseconds on its own. The callers are tasks of a current-thread
//! runtime that are dropped, threads that await, and threads that wait, both with a token. The
//! figures are the time from giving up until the search lane is idle, and until the last caller
//! has its answer; a search that is waited for runs on its caller's thread and not on the lane.

use amphora::{
    CancelToken, Collection, Database, ErrorKind, Metric, Options, Point, PoolOptions, Query,
    Result, Schema, Vector, block_on, vfs::MemoryVfs,
};
use amphora_tests::{random::Random, report::Figure};
use std::{
    env,
    process::ExitCode,
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};
use tokio::{runtime, task::JoinSet};

const HELP: &str = "\
Searches that are given up after a millisecond, and the time until the pool is idle.

  --quick        1,000 searches, 10 rounds of each kind (the default)
  --searches N   so many
  --rounds N     so many";

const DIMENSIONS: u32 = 384;
const POINTS: u64 = 50_000;
/// The machine is free again within this time, in ms.
const WITHIN: f64 = 50.0;
/// A search lane that is not idle by then will not be.
const FOREVER: Duration = Duration::from_secs(20);

struct Bench {
    db: Database,
    docs: Collection,
    query: Query,
    searches: usize,
}

fn main() -> ExitCode {
    let (mut searches, mut rounds) = (1_000, 10);
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let size = match argument.as_str() {
            "--quick" => continue,
            "--searches" => &mut searches,
            "--rounds" => &mut rounds,
            _ => {
                eprintln!("{HELP}");
                return ExitCode::from(2);
            }
        };
        let value = arguments.next().and_then(|value| value.parse().ok());
        *size = value.unwrap_or(*size).max(1);
    }
    let bench = Bench::new(searches).expect("a database in memory");
    bench.one_search(rounds);
    // A thousand threads that are woken at once come to run when the system lets them: that the
    // last of them has its answer is bounded only where the searches run on them.
    let kinds: [(&str, bool, Kind); 3] = [
        ("tokio_current_thread/dropped", true, Bench::dropped_tasks),
        ("threads/awaiting", false, |bench| bench.threads(true)),
        ("threads/waiting", true, |bench| bench.threads(false)),
    ];
    let mut met = true;
    for (name, bounded, kind) in kinds {
        let results: Vec<Round> = (0..rounds).map(|_| kind(&bench)).collect();
        let sorted = |time: fn(&Round) -> Duration| {
            let millis = results.iter().map(|round| time(round).as_secs_f64() * 1e3);
            let mut millis: Vec<f64> = millis.collect();
            millis.sort_by(f64::total_cmp);
            (millis[rounds / 2], millis[rounds - 1])
        };
        let all = (searches * rounds) as u64;
        let figure = |what: String, value, unit| {
            Figure::new(format!("cancel/{name}/{what}"), value, unit, all)
        };
        for (what, bound, (median, worst)) in [
            ("idle", true, sorted(|round| round.idle)),
            ("answered", bounded, sorted(|round| round.answered)),
        ] {
            figure(format!("{what}_median"), median, "ms").print();
            let worst = figure(format!("{what}_worst"), worst, "ms");
            let worst = if bound { worst.at_most(WITHIN) } else { worst };
            met &= worst.print().met != Some(false);
        }
        let given_up: usize = results.iter().map(|round| round.given_up).sum();
        figure("given_up".into(), given_up as f64, "count").print();
    }
    ExitCode::from(u8::from(!met))
}

/// A way to search and to give up.
type Kind = fn(&Bench) -> Round;

/// How a round went.
struct Round {
    idle: Duration,
    answered: Duration,
    /// Searches that did not find the time to answer.
    given_up: usize,
}

impl Bench {
    fn new(searches: usize) -> Result<Self> {
        let options = Options {
            pools: Some(PoolOptions::default()),
            ..Options::default()
        };
        let builder = Database::builder_on(MemoryVfs::new()).options(options);
        let db = builder.open().wait()?;
        let schema = Schema::new().vector("v", Vector::new(DIMENSIONS, Metric::Cosine));
        let docs = db.create_collection("docs", schema).wait()?;
        let mut random = Random(7);
        let mut values = || -> Vec<f32> { (0..DIMENSIONS).map(|_| random.unit()).collect() };
        for first in (0..POINTS).step_by(1_000) {
            let points: Vec<_> = (first..first + 1_000)
                .map(|id| Point::new(id).vector("v", values()))
                .collect();
            docs.upsert(points).wait()?;
        }
        let query = Query::nearest("v", values());
        Ok(Self {
            db,
            docs,
            query,
            searches,
        })
    }

    /// What one search takes when nothing else runs.
    fn one_search(&self, rounds: usize) {
        let mut took: Vec<f64> = (0..rounds)
            .map(|_| {
                let started = Instant::now();
                self.docs.search(self.query.clone()).wait().expect("hits");
                started.elapsed().as_secs_f64() * 1e3
            })
            .collect();
        took.sort_by(f64::total_cmp);
        Figure::new("cancel/one_search", took[rounds / 2], "ms", rounds as u64).print();
    }

    fn dropped_tasks(&self) -> Round {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let mut tasks = JoinSet::new();
            for _ in 0..self.searches {
                let search = self.docs.search(self.query.clone());
                tasks.spawn(async move { search.await.map(drop) });
            }
            // The first turn of the runtime polls them all, and takes a while of its own.
            tokio::task::yield_now().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
            let started = Instant::now();
            tasks.abort_all();
            let mut given_up = 0;
            while let Some(ended) = tasks.join_next().await {
                given_up += usize::from(ended.is_err());
            }
            Round {
                answered: started.elapsed(),
                idle: self.idle(started),
                given_up,
            }
        })
    }

    /// A thread for each search. Awaited it runs on the lane, waited for on its thread.
    fn threads(&self, awaited: bool) -> Round {
        let token = CancelToken::new();
        let ready = Arc::new(Barrier::new(self.searches + 1));
        let callers: Vec<_> = (0..self.searches)
            .map(|_| {
                let search = self.docs.search(self.query.clone()).cancel_on(&token);
                let ready = Arc::clone(&ready);
                let caller = move || {
                    ready.wait();
                    let answer = if awaited {
                        block_on(search)
                    } else {
                        search.wait()
                    };
                    (answer.err(), Instant::now())
                };
                let thread = thread::Builder::new().stack_size(256 << 10);
                thread.spawn(caller).expect("a thread")
            })
            .collect();
        ready.wait();
        thread::sleep(Duration::from_millis(1));
        let started = Instant::now();
        token.cancel();
        let idle = self.idle(started);
        let (mut answered, mut given_up) = (Duration::ZERO, 0);
        for caller in callers {
            let (error, at) = caller.join().expect("no caller panics");
            answered = answered.max(at.saturating_duration_since(started));
            if let Some(error) = error {
                assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
                given_up += 1;
            }
        }
        Round {
            idle,
            answered,
            given_up,
        }
    }

    /// How long it took until nothing was queued and nothing ran.
    fn idle(&self, started: Instant) -> Duration {
        loop {
            let lane = self.db.stats().pools.search;
            let waited = started.elapsed();
            if lane.queued == 0 && lane.running == 0 || waited > FOREVER {
                return waited;
            }
            thread::sleep(Duration::from_micros(100));
        }
    }
}
