//! Ten thousand callers on a queue of 256: memory stays flat, and everyone is answered in time.
//!
//! Half of the callers want to be refused rather than wait; all have a deadline. Three loads, each
//! on tokio's two runtimes: jobs that take 2 ms, searches, and writes on a disk whose sync takes
//! 20 ms. What callers were told is compared with what the engine counted, and with what is there.

use amphora::{
    Collection, Database, ErrorKind, Lane, Metric, Op, Options, Outcome, Point, PointId,
    PoolOptions, Pools, Query, Schema, Vector, vfs::MemoryVfs,
};
use amphora_tests::{
    faults::FaultyVfs,
    process::{Growth, resident},
    random::Random,
    report::Figure,
};
use amphora_tokio::TokioExecutor;
use std::{
    collections::BTreeSet,
    env,
    process::{Command, ExitCode},
    thread,
    time::{Duration, Instant},
};
use tokio::{runtime, task::JoinSet};

const HELP: &str = "\
Many concurrent callers on a short queue; memory stays flat and all are answered in time.

  --quick       10,000 callers with deadlines of up to 1,000 ms (the default)
  --callers N   so many
  --longest MS  deadlines of up to this";

const QUEUE: usize = 256;
/// How much the resident memory may grow, in MiB.
const GROWTH: f64 = 64.0;
/// How long after its deadline a caller may be answered, in ms: the timers of a runtime that has
/// thousands of tasks to wake.
const LATENESS: f64 = 50.0;
/// A caller that has no answer by then has been forgotten.
const FORGOTTEN: Duration = Duration::from_secs(20);
const DIMENSIONS: u32 = 128;

fn main() -> ExitCode {
    let mut load = Load {
        callers: 10_000,
        longest: 1_000,
    };
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--one") {
        return one(&arguments[1..]);
    }
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let size = match argument.as_str() {
            "--quick" => continue,
            "--callers" => &mut load.callers,
            "--longest" => &mut load.longest,
            _ => {
                eprintln!("{HELP}");
                return ExitCode::from(2);
            }
        };
        let value = arguments.next().and_then(|value| value.parse().ok());
        *size = value.unwrap_or(*size).max(1);
    }
    // Each in a process of its own: memory that an earlier one has freed would hide a growth.
    let program = env::current_exe().expect("the path of this program");
    let mut met = true;
    for runtime in ["current_thread", "multi_thread"] {
        for kind in ["jobs", "searches", "writes"] {
            let [callers, longest] = [load.callers, load.longest].map(|size| size.to_string());
            let arguments = ["--one", runtime, kind, &callers, &longest];
            let status = Command::new(&program).args(arguments).status();
            met &= status.is_ok_and(|status| status.success());
        }
    }
    ExitCode::from(u8::from(!met))
}

/// Arguments: the runtime, the kind of load, callers, the longest deadline.
fn one(arguments: &[String]) -> ExitCode {
    let [runtime, kind, callers, longest] = arguments else {
        return ExitCode::from(2);
    };
    let size = |text: &str| text.parse().expect("a number");
    let load = Load {
        callers: size(callers),
        longest: size(longest),
    };
    let mut builder = match runtime.as_str() {
        "current_thread" => runtime::Builder::new_current_thread(),
        _ => runtime::Builder::new_multi_thread(),
    };
    let name = format!("overload/{kind}/{runtime}");
    let met = builder
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(async {
            match kind.as_str() {
                "jobs" => jobs(&name, load).await,
                "searches" => searches(&name, load).await,
                _ => writes(&name, load).await,
            }
        });
    ExitCode::from(u8::from(!met))
}

/// How many callers there are, and how long the most patient waits, in ms.
#[derive(Clone, Copy)]
struct Load {
    callers: u64,
    longest: u64,
}

/// Blocking jobs of 2 ms.
async fn jobs(name: &str, load: Load) -> bool {
    let pools = Pools::new(&pool_options()).expect("a pool");
    let answers = crowd(load, |_| {
        pools.run(Lane::Search, || thread::sleep(Duration::from_millis(2)))
    });
    let answers = answers.await;
    let refused = pools.stats().search.refused;
    answers.report(name, refused)
}

/// Searches over a collection, each of about a millisecond.
async fn searches(name: &str, load: Load) -> bool {
    let (db, docs) = database(FaultyVfs::new(MemoryVfs::new())).await;
    let mut random = Random(1);
    let mut values = || -> Vec<f32> { (0..DIMENSIONS).map(|_| random.unit()).collect() };
    for first in (0..8_000).step_by(500) {
        let points: Vec<_> = (first..first + 500)
            .map(|id| Point::new(id).vector("v", values()))
            .collect();
        docs.upsert(points).await.expect("room for the points");
    }
    let query = Query::nearest("v", values()).limit(100);
    let answers = crowd(load, |_| docs.search(query.clone())).await;
    let refused = db.stats().pools.search.refused;
    let met = answers.report(name, refused);
    db.close().await.expect("nothing prevents closing");
    met
}

/// Writes of one point each, on a disk whose sync takes 20 ms.
async fn writes(name: &str, load: Load) -> bool {
    let disk = FaultyVfs::new(MemoryVfs::new());
    let (db, docs) = database(disk.clone()).await;
    disk.sync_takes(Duration::from_millis(20));
    let values = vec![0.5; DIMENSIONS as usize];
    let answers = crowd(load, |caller| {
        docs.upsert([Point::new(caller).vector("v", values.clone())])
    });
    let answers = answers.await;
    let refused = db.stats().refused_writes;
    let mut met = answers.report(name, refused);

    // A write that timed out with an unknown outcome may still be under way: this one is behind it.
    let point = Point::new(load.callers).vector("v", values);
    docs.upsert([point]).await.expect("the queue is empty");
    let ids = docs
        .scroll()
        .into_iter()
        .map(|point| point.expect("a point").id);
    let there: BTreeSet<_> = ids.collect();
    let wrong = (0..).zip(&answers.0).filter(|(caller, answer)| {
        let there = there.contains(&PointId::Number(*caller));
        match answer.as_ref().map(|answer| answer.told) {
            Some(Ok(())) => !there,
            Some(Err(ErrorKind::Timeout(Outcome::Unknown))) | None => false,
            Some(Err(_)) => there,
        }
    });
    let wrong = wrong.count() as f64;
    let figure = Figure::new(format!("{name}/told_wrong"), wrong, "count", load.callers);
    met &= figure.at_most(0.0).print().met == Some(true);
    db.close().await.expect("nothing prevents closing");
    met
}

fn pool_options() -> PoolOptions {
    PoolOptions {
        queue: QUEUE,
        ..PoolOptions::default()
    }
}

async fn database(vfs: FaultyVfs) -> (Database, Collection) {
    let options = Options {
        write_queue: QUEUE,
        pools: Some(pool_options()),
        ..Options::default()
    };
    let executor = TokioExecutor::current().expect("a runtime");
    let builder = Database::builder_on(vfs)
        .options(options)
        .executor(executor);
    let db = builder.open().await.expect("a new database");
    let schema = Schema::new().vector("v", Vector::new(DIMENSIONS, Metric::Cosine));
    let docs = db.create_collection("docs", schema).await;
    (db, docs.expect("a new collection"))
}

/// What each caller was told, if anything.
struct Answers(Vec<Option<Answer>>, Growth);

#[derive(Clone, Copy)]
struct Answer {
    told: Result<(), ErrorKind>,
    /// How long after its deadline.
    late: Duration,
}

/// Makes all callers, each a task with an operation of its own, and awaits them.
async fn crowd<T: Send + 'static>(load: Load, make: impl Fn(u64) -> Op<T>) -> Answers {
    let growth = Growth::begin(resident);
    let mut tasks = JoinSet::new();
    for caller in 0..load.callers {
        // From a tenth of the longest on, in no order.
        let shortest = load.longest / 10;
        let millis = shortest + (caller * 7_919) % (load.longest - shortest);
        let timeout = Duration::from_millis(millis);
        let mut op = make(caller).timeout(timeout);
        if caller % 2 == 0 {
            op = op.try_admit();
        }
        tasks.spawn(async move {
            let started = Instant::now();
            let told = op.await.map(drop).map_err(|error| error.kind());
            let late = started.elapsed().saturating_sub(timeout);
            (caller, Answer { told, late })
        });
    }
    let mut answers = vec![None; load.callers as usize];
    let all = async {
        while let Some(answered) = tasks.join_next().await {
            let (caller, answer) = answered.expect("no caller panics");
            answers[caller as usize] = Some(answer);
        }
    };
    // Those who are missing then show in the answers.
    let _ = tokio::time::timeout(FORGOTTEN, all).await;
    Answers(answers, growth)
}

impl Answers {
    fn report(&self, name: &str, counted: u64) -> bool {
        let callers = self.0.len() as u64;
        let answers = || self.0.iter().flatten();
        let told = |kind: fn(&Result<(), ErrorKind>) -> bool| {
            answers().filter(|answer| kind(&answer.told)).count() as f64
        };
        let done = told(Result::is_ok);
        let refused = told(|told| *told == Err(ErrorKind::Overloaded));
        let timed_out = told(|told| matches!(told, Err(ErrorKind::Timeout(_))));
        let answered = answers().count() as f64;
        let late = answers()
            .map(|answer| answer.late)
            .max()
            .unwrap_or_default();
        let figure =
            |what, value, unit| Figure::new(format!("{name}/{what}"), value, unit, callers);
        let figures = [
            figure("growth", self.1.end(), "MiB").at_most(GROWTH),
            figure("latest", late.as_secs_f64() * 1e3, "ms").at_most(LATENESS),
            figure("unanswered", callers as f64 - answered, "count").at_most(0.0),
            figure("miscounted", (refused - counted as f64).abs(), "count").at_most(0.0),
            figure("refused", refused, "count"),
            figure("done", done, "count"),
            figure("timed_out", timed_out, "count"),
            figure("other", answered - done - refused - timed_out, "count").at_most(0.0),
        ];
        figures
            .map(Figure::print)
            .iter()
            .all(|figure| figure.met != Some(false))
    }
}
