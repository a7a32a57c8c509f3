//! Memory and disk stay bounded: while a million points are written, and under upserts and deletes
//! that go on and on.
//!
//! The first part watches the anonymous memory of the process while it writes, beside what it was given
//! for memtables and for building indexes. The second writes
//! and deletes points of a fixed range of ids, in rounds that end with `optimize`, and looks at
//! memory, open files, maps, threads, and the directory: at the most of each round, and at what is
//! left when it is settled. What later rounds take beyond earlier ones is a leak.

use amphora::{Collection, Database, Metric, Options, Point, PoolOptions, Schema, Vector};
use amphora_tests::{
    count::Count,
    process::{Growth, anonymous, directory_size, maps_below},
    random::Random,
    report::Figure,
    settings::Settings,
};
use serde_json::json;
use std::{
    env,
    path::Path,
    process::{Command, ExitCode},
    time::Duration,
};
use tempfile::TempDir;

const HELP: &str = "\
Memory and disk stay bounded while points are written, and steady while they are rewritten.";

/// What a process may take in MiB beyond what it was given for memtables and indexes while it takes in
/// a million points: groups of writes, the tables of a merge (about 30 bytes for each row), and what
/// the allocator keeps.
const BEYOND_BUDGETS: f64 = 96.0;
/// What the building of an index is given.
const INDEX_BYTES: usize = 128 << 20;
const DIMENSIONS: u32 = 128;
const POINTS: u64 = 1_000_000;
const BATCH: u64 = 1_000;

/// The soak: points, batches of a round, and writes of a batch.
const IDS: u64 = 20_000;
const BATCHES: u64 = 200;
const UPSERTS: u64 = 400;
const DELETES: u64 = 200;
/// Rounds before those that count, in which pools start and buffers find their size.
const WARM_UP: usize = 2;
/// The fewest rounds that count.
const ROUNDS: usize = 12;
/// How far later rounds may exceed earlier ones at their peak, which chance moves: it depends on
/// what is flushed and merged at the moment of a look.
const PEAK_NOISE: f64 = 1.25;
/// And when they are settled.
const SETTLED_NOISE: f64 = 1.1;

fn main() -> ExitCode {
    let mut part = None;
    let other = |argument: &str, _: amphora_tests::settings::Values<'_>| match argument {
        "--ingest" | "--soak" => {
            part = Some(argument.to_owned());
            Ok(())
        }
        _ => Err(amphora_tests::settings::unknown(argument)),
    };
    let settings = match Settings::read_with(HELP, other) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let met = match part.as_deref() {
        Some("--ingest") => ingest(settings),
        Some(_) => soak(settings),
        // Each in a process of its own: memory that one has freed would hide what the other takes.
        None => ["--ingest", "--soak"].map(again).iter().all(|met| *met),
    };
    ExitCode::from(u8::from(!met))
}

fn again(part: &str) -> bool {
    let program = env::current_exe().expect("the path of this program");
    let arguments = env::args().skip(1).chain([part.to_owned()]);
    let status = Command::new(program).args(arguments).status();
    status.is_ok_and(|status| status.success())
}

/// Pools of their own and always the same, so that nothing depends on the machine.
fn open(
    directory: &Path,
    memtable_bytes: usize,
    index_memory_bytes: usize,
) -> (Database, Collection) {
    let options = Options {
        memtable_bytes,
        index_memory_bytes,
        pools: Some(PoolOptions {
            search_threads: 1,
            update_threads: 1,
            io_threads: 2,
            ..PoolOptions::default()
        }),
        ..Options::default()
    };
    let db = Database::builder(directory).options(options).open().wait();
    let db = db.expect("a new database");
    let schema = Schema::new().vector("v", Vector::new(DIMENSIONS, Metric::Cosine));
    let docs = db.create_collection("docs", schema).wait();
    (db, docs.expect("a new collection"))
}

fn point(id: u64, random: &mut Random) -> Point {
    let values: Vec<f32> = (0..DIMENSIONS).map(|_| random.unit()).collect();
    let payload = json!({ "row": id, "text": format!("{:x} ", random.draw()).repeat(6) });
    Point::new(id).vector("v", values).payload(payload)
}

fn ingest(settings: Settings) -> bool {
    let directory = TempDir::new().expect("a directory");
    let memtable_bytes = Options::default().memtable_bytes;
    let (db, docs) = open(directory.path(), memtable_bytes, INDEX_BYTES);
    let mut random = Random(settings.seed);
    let growth = Growth::begin(anonymous);
    for first in (0..POINTS).step_by(BATCH as usize) {
        let batch = (first..first + BATCH).map(|id| point(id, &mut random));
        docs.upsert(batch).wait().expect("it is written");
    }
    let growth = growth.end();
    let budgets = (memtable_bytes + INDEX_BYTES) as f64 / f64::from(1 << 20);
    let name = "memory/ingest/beyond-budgets";
    let figure = Figure::new(name, growth - budgets, "MiB", POINTS).seeded(settings.seed);
    let met = figure.at_most(BEYOND_BUDGETS).print().met == Some(true);
    db.close().wait().expect("it closes");
    met
}

/// What the process and its directory hold at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Held([f64; 6]);

const HELD: [(&str, &str); 6] = [
    ("anonymous", "MiB"),
    ("open-files", "count"),
    ("maps", "count"),
    ("threads", "count"),
    ("directory", "MiB"),
    ("files", "count"),
];

impl Held {
    fn now(directory: &Path) -> Self {
        let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let count = Count::now().unwrap_or_default();
        let size = directory_size(directory);
        Self([
            mebibytes(anonymous()),
            count.files() as f64,
            maps_below(directory) as f64,
            count.threads() as f64,
            mebibytes(size.bytes),
            size.files as f64,
        ])
    }

    fn max(self, other: Self) -> Self {
        Self(std::array::from_fn(|at| self.0[at].max(other.0[at])))
    }

    fn most(all: &[Self]) -> Self {
        all.iter().copied().fold(Self::default(), Self::max)
    }
}

fn soak(settings: Settings) -> bool {
    let directory = TempDir::new().expect("a directory");
    let (db, docs) = open(directory.path(), 4 << 20, INDEX_BYTES);
    let mut random = Random(settings.seed);
    let (mut peaks, mut settled) = (Vec::new(), Vec::new());
    while peaks.len() < WARM_UP + ROUNDS || settings.goes_on() {
        peaks.push(round(&docs, directory.path(), &mut random));
        let optimized = db.optimize().timeout(Duration::from_secs(300)).wait();
        optimized.expect("nothing prevents merging");
        settled.push(Held::now(directory.path()));
    }
    let mut met = report("peak", &peaks[WARM_UP..], PEAK_NOISE, settings.seed);
    met &= report("settled", &settled[WARM_UP..], SETTLED_NOISE, settings.seed);
    db.close().wait().expect("it closes");
    met
}

/// Writes and deletes, and gives the most that was held meanwhile.
fn round(docs: &Collection, directory: &Path, random: &mut Random) -> Held {
    let mut most = Held::default();
    for _ in 0..BATCHES {
        let ids: Vec<u64> = (0..UPSERTS).map(|_| random.below(IDS)).collect();
        let points: Vec<Point> = ids.into_iter().map(|id| point(id, random)).collect();
        docs.upsert(points).wait().expect("it is written");
        let ids: Vec<u64> = (0..DELETES).map(|_| random.below(IDS)).collect();
        docs.delete(ids).wait().expect("it is written");
        most = most.max(Held::now(directory));
    }
    most
}

/// The later half of the rounds beside the earlier one.
fn report(name: &str, rounds: &[Held], noise: f64, seed: u64) -> bool {
    let (earlier, later) = rounds.split_at(rounds.len() / 2);
    let (earlier, later) = (Held::most(earlier), Held::most(later));
    let mut met = true;
    for (at, (what, unit)) in HELD.iter().enumerate() {
        let name = format!("memory/soak/{name}/{what}");
        let figure = Figure::new(name, later.0[at], unit, rounds.len() as u64)
            .seeded(seed)
            .against(earlier.0[at].max(1.0));
        met &= figure.ratio_at_most(noise).print().met == Some(true);
    }
    met
}
