//! Random queries and filters, answered by the engine and by going through plain vectors and payloads.
//!
//! A round draws points (`draw`), writes them to three collections, one that declares its fields, one that declares
//! none, and one that declares them when points lie in segments, and asks all the same questions (`ask`): while the points
//! are in memory, when they lie in many segments with some of them replaced and deleted, and when these are merged. Every answer must be that of the loops over the points
//! (`amphora_tests::brute`). A difference is printed with what was asked, and the seed of its round.

mod ask;
mod draw;
mod mix;

use amphora::{
    Database, Field, Metric, Point, PointId, Schema, Sparse, Text, Vector, vfs::MemoryVfs,
};
use amphora_tests::{opening::Memory, random::Random, report::Figure, settings::Settings};
use std::{collections::BTreeMap, process::ExitCode, thread};

const HELP: &str = "\
Random questions of every kind, answered by the engine and by loops; every answer must be the same.
Without --duration at least 20,000 of each kind.";

/// Questions of each kind to one collection at one stage.
const QUESTIONS: u64 = 95;
/// Rounds without `--duration`: each has three collections at three stages.
const ROUNDS: u64 = 27;

/// What a collection holds.
pub(crate) type Points = BTreeMap<PointId, Point>;

/// How many questions of each kind were asked.
type Tally = BTreeMap<&'static str, u64>;

fn main() -> ExitCode {
    let settings = match Settings::read(HELP) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let (mut tally, mut differences) = (Tally::new(), 0u64);
    let round = |round: u64| {
        let seed = Random(settings.seed.wrapping_add(round)).draw();
        let mut tally = Tally::new();
        let problem = run(seed, &mut tally).err();
        if let Some(problem) = &problem {
            eprintln!("round {round}, seed {seed}: {problem}");
        }
        (tally, problem.is_some())
    };
    settings.rounds(ROUNDS, round, |(counts, differs)| {
        for (kind, count) in counts {
            *tally.entry(kind).or_default() += count;
        }
        differences += u64::from(differs);
    });
    let mut all_met = true;
    let mut print = |figure: Figure| all_met &= figure.print().met == Some(true);
    for (kind, count) in &tally {
        let name = format!("differential/{kind}");
        print(Figure::new(name, *count as f64, "count", *count).at_least(20_000.0));
    }
    let all = tally.values().sum();
    let name = format!("differential/differences/seed-{}", settings.seed);
    print(Figure::new(name, differences as f64, "count", all).at_most(0.0));
    ExitCode::from(u8::from(!all_met))
}

/// One round, up to the first difference.
fn run(seed: u64, tally: &mut Tally) -> Result<(), String> {
    let random = &mut Random(seed);
    let memory = Memory::ALL[random.below(3) as usize];
    let failed = |error: amphora::Error| format!("it failed: {error}");
    let db = amphora_tests::opening::open(MemoryVfs::new(), memory).map_err(failed)?;
    let vectors = Schema::new()
        .vector("v", Vector::new(4, METRICS[random.below(4) as usize]))
        .vector("w", Vector::new(2, Metric::Dot))
        .sparse("s", Sparse::new())
        .text("title", Text::plain());
    let fields = FIELDS.into_iter();
    let declared = fields.fold(vectors.clone(), |it, (name, field)| it.field(name, field));
    let declared = declared.text("body", Text::plain());
    let mut points = Points::new();
    for (name, schema) in NAMES
        .into_iter()
        .zip([declared, vectors.clone(), vectors.clone()])
    {
        db.create_collection(name, schema).wait().map_err(failed)?;
    }
    for stage in 0..3 {
        match stage {
            0 => write(&db, &mut points, random, 1).map_err(failed)?,
            1 => {
                write(&db, &mut points, random, 6).map_err(failed)?;
                db.flush().wait().map_err(failed)?;
                declare(&db, random).map_err(failed)?;
            }
            _ => db.optimize().wait().map_err(failed)?,
        }
        for name in NAMES {
            let collection = db.collection(name).wait().map_err(failed)?;
            for _ in 0..QUESTIONS {
                for (kind, ask) in ask::KINDS {
                    let asked = ask(&collection, &points, random);
                    let asked = asked
                        .map_err(|problem| format!("{kind} of {name}, stage {stage}: {problem}"))?;
                    *tally.entry(kind).or_default() += u64::from(asked);
                }
            }
        }
    }
    db.close().wait().map_err(failed)
}

const NAMES: [&str; 3] = ["declared", "bare", "late"];

const FIELDS: [(&str, Field); 7] = [
    ("tag", Field::Keyword),
    ("number", Field::Float),
    ("whole", Field::Integer),
    ("flag", Field::Bool),
    ("time", Field::DateTime),
    ("place", Field::Geo),
    ("author.name", Field::Keyword),
];

/// Declares what was not; then questions are asked while columns are made of it, or afterwards.
fn declare(db: &Database, random: &mut Random) -> amphora::Result<()> {
    let late = db.collection("late").wait()?;
    for (name, field) in FIELDS {
        late.add_field(name, field).wait()?;
    }
    if random.below(2) == 0 {
        while db.stats().wanting_columns > 0 {
            thread::yield_now();
        }
    }
    Ok(())
}

const METRICS: [Metric; 4] = [
    Metric::Cosine,
    Metric::Dot,
    Metric::Euclidean,
    Metric::Manhattan,
];

/// Writes batches of points, over earlier ones too, and deletes some, each batch to a segment of its own if there are
/// several.
fn write(
    db: &Database,
    points: &mut Points,
    random: &mut Random,
    batches: u64,
) -> amphora::Result<()> {
    for _ in 0..batches {
        let batch: Vec<Point> = (0..20 + random.below(20))
            .map(|_| draw::point(random))
            .collect();
        let ended: Vec<PointId> = points
            .keys()
            .filter(|_| random.below(12) == 0)
            .cloned()
            .collect();
        for name in NAMES {
            let collection = db.collection(name).wait()?;
            if !ended.is_empty() {
                collection.delete(ended.clone()).wait()?;
            }
            collection.upsert(batch.clone()).wait()?;
        }
        points.retain(|id, _| !ended.contains(id));
        points.extend(batch.into_iter().map(|point| (point.id.clone(), point)));
        if batches > 1 {
            db.flush().wait()?;
        }
    }
    Ok(())
}
