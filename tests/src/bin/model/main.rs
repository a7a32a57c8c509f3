//! Random operations, with reopening, on a database and on a model of it, which must agree.
//!
//! An episode is a list of operations that follows from a seed. Each is done twice: by the engine
//! (`world`), and by a model of maps and loops (`model`, `collection`) that knows nothing of logs,
//! segments or indexes. When the answers differ, the episode is cut down to the steps that matter
//! (`shrink`) and printed. An operation that the engine gains is one variant of `Step`, one arm of
//! `Model::step`, one arm of `World::step`, and one line in the table of `draw`.

mod collection;
mod draw;
mod draw_edit;
mod edit;
mod model;
mod shrink;
mod step;
mod words;
mod world;

use amphora_tests::{opening::Memory, random::Random, report::Figure, settings::Settings};
use model::Model;
use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
};
use step::Step;
use world::World;

const HELP: &str = "\
Random operations with reopening, on a database and on a model; every answer must be the same.";

/// Steps of one episode.
const STEPS: usize = 3_000;
/// Episodes without `--duration`: 300,000 steps.
const EPISODES: u64 = 100;

/// How often each kind of step was done, over all episodes.
type Tally = BTreeMap<&'static str, u64>;

fn main() -> ExitCode {
    amphora_tests::opening::with_indexes();
    let settings = match Settings::read(HELP) {
        Ok(settings) => settings,
        Err(code) => return code,
    };
    let (mut tally, mut episodes, mut differences) = (Tally::new(), 0, 0u64);
    let episode = |episode: u64| {
        let seed = Random(settings.seed.wrapping_add(episode)).draw();
        run(episode, seed)
    };
    settings.rounds(EPISODES, episode, |(counts, differs)| {
        for (kind, count) in counts {
            *tally.entry(kind).or_default() += count;
        }
        episodes += 1;
        differences += u64::from(differs);
    });
    let steps = tally.values().sum::<u64>();
    for (kind, count) in &tally {
        Figure::new(format!("model/steps/{kind}"), *count as f64, "count", steps).print();
    }
    let seconds = settings.elapsed().as_secs_f64();
    Figure::new("model/seconds", seconds, "s", episodes).print();
    let name = format!("model/steps/all/seed-{}", settings.seed);
    let enough = Figure::new(name, steps as f64, "count", steps).at_least(100_000.0);
    let differences = Figure::new("model/differences", differences as f64, "count", steps);
    let figures = [enough, differences.at_most(0.0)].map(Figure::print);
    ExitCode::from(u8::from(figures.iter().any(|f| f.met != Some(true))))
}

/// One episode: how often each kind of step was done, and whether an answer was wrong.
fn run(episode: u64, seed: u64) -> (Tally, bool) {
    let memory = Memory::ALL[(seed % 3) as usize];
    let mut random = Random(seed);
    let mut model = Model::default();
    let mut world = World::new(memory);
    let mut steps = Vec::with_capacity(STEPS);
    let mut tally = Tally::new();
    for number in 0..STEPS {
        let step = if number + 1 == STEPS {
            Step::Everything
        } else {
            draw::step(&mut random, &model)
        };
        *tally.entry(step.kind()).or_default() += 1;
        steps.push(step.clone());
        let Some(problem) = difference(&mut model, &mut world, &step) else {
            continue;
        };
        eprintln!("episode {episode}, seed {seed}, {memory:?}, step {number}: {problem}");
        let (script, problem) = shrink::shrink(steps, memory);
        eprintln!("the {} steps that matter end in: {problem}", script.len());
        for step in script {
            eprintln!("  {step:?}");
        }
        return (tally, true);
    }
    (tally, false)
}

/// Does a step twice, and says in what the answers differ. A panic is a difference too.
fn difference(model: &mut Model, world: &mut World, step: &Step) -> Option<String> {
    let expected = model.step(step);
    let found = catch_unwind(AssertUnwindSafe(|| world.step(step)));
    match found {
        Ok(found) => expected.differs(&found),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
            Some(format!("a panic: {}", said.unwrap_or("of another kind")))
        }
    }
}
