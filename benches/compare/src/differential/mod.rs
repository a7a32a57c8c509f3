//! Random questions of every kind, answered by Amphora and by qdrant-edge: ids must be the same, ties aside, and scores
//! to within 1e-4.
//!
//! A round draws points (`world`), has them taken in by qdrant-edge, by Amphora in memory, and by Amphora in segments, and
//! asks all the same questions (`draw`). What the two are known to answer differently is never among these: it is asked
//! for by itself (`known`), and has to differ.

mod draw;
mod known;
mod world;

use crate::{
    agree::agree,
    options::Options,
    peer::Answering,
    protocol::write_lines,
    question::{Question, Questions, Search, What},
    systems::{AMPHORA, QDRANT_EDGE},
};
use amphora_tests::{random::Random, report::Figure};
use draw::{Draw, KINDS};
use serde_json::Value;
use std::{collections::BTreeMap, path::Path};
use world::World;

const SEED: u64 = 1_854;
/// Questions of each of [`KINDS`] in a round, with and without `--quick`.
const QUESTIONS: [usize; 2] = [600, 300];
/// With and without `--quick`.
const ROUNDS: [u64; 2] = [10, 1];
/// So many differences of a kind and form are printed.
const PRINTED: u64 = 5;

/// How many answers were compared, and what came of it, for each kind.
#[derive(Clone, Copy, Default)]
struct Tally {
    compared: u64,
    differing: u64,
    /// Of whose prefetches hits are worth the same, so that their order is not known.
    tied: u64,
    refused: u64,
    /// That rest on statistics of rows of which some have ended.
    excused: u64,
}

/// By the kind of question, and the form of Amphora.
type Tallies = BTreeMap<(&'static str, &'static str), Tally>;

pub(crate) fn run(options: &Options) -> usize {
    let quick = usize::from(options.quick);
    let mut tallies = Tallies::new();
    let mut wrong = 0;
    for number in 0..ROUNDS[quick] {
        let seed = Random(SEED + number).draw();
        for has_ended in [false, true] {
            match round(seed, has_ended, QUESTIONS[quick], &mut tallies) {
                Ok(stale) => wrong += stale,
                Err(error) => {
                    eprintln!("round {number}, seed {seed}: {error}");
                    wrong += 1;
                }
            }
        }
    }
    for ((kind, form), tally) in &tallies {
        let figure = |what, count: u64| {
            let name = format!("differential/{kind}/{what}/{form}");
            Figure::new(name, count as f64, "count", tally.compared).seeded(SEED)
        };
        figure("differing", tally.differing).at_most(0.0).print();
        figure("tied", tally.tied).print();
        figure("refused-by-both", tally.refused).print();
        figure("excused", tally.excused).print();
        wrong += tally.differing as usize;
    }
    let all = tallies.values().map(|tally| tally.compared).sum::<u64>();
    let figure = Figure::new("differential/compared", all as f64, "count", all);
    figure.seeded(SEED).at_least(20_000.0).print();
    wrong
}

/// The same points in several systems, the last of which is not Amphora.
struct Systems {
    ours: Vec<(&'static str, Answering)>,
    theirs: Answering,
}

/// How many known differences there are no more.
fn round(
    seed: u64,
    has_ended: bool,
    questions: usize,
    tallies: &mut Tallies,
) -> Result<usize, String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let directory = directory.path();
    let mut random = Random(seed);
    let world = World::new(has_ended, &mut random);
    let points = directory.join("points.jsonl");
    write_lines(&points, &world.rows).map_err(|error| error.to_string())?;
    let start = |name, place: &str, in_memory| {
        let hold = world.hold(&points, &directory.join(place), in_memory);
        Ok::<_, String>(Answering::start(name, &hold)?.0)
    };
    let mut systems = Systems {
        ours: vec![
            ("memory", start(AMPHORA, "memory", true)?),
            ("segments", start(AMPHORA, "segments", false)?),
        ],
        theirs: start(QDRANT_EDGE, "edge", false)?,
    };
    for (kind, draw) in KINDS {
        let asked = (0..questions).map(|_| {
            draw(&mut Draw {
                world: &world,
                random: &mut random,
            })
        });
        let asked: Vec<Question> = asked.collect();
        systems.compare(
            &asked,
            directory,
            |systems, form, question, ours, theirs| {
                let tally = tallies.entry((*kind, form)).or_default();
                tally.compared += 1;
                tally.refused += u64::from(ours.is_string() && theirs.is_string());
                let Err(error) = agree(question, ours, theirs) else {
                    return Ok(());
                };
                if has_ended && known::counts_ended_rows(question) {
                    tally.excused += 1;
                    return Ok(());
                }
                if is_tied(question, &mut systems.ours[0].1, directory)? {
                    tally.tied += 1;
                    return Ok(());
                }
                tally.differing += 1;
                if tally.differing <= PRINTED {
                    let question = serde_json::to_string(question).unwrap_or_default();
                    eprintln!(
                        "{kind}, {form}, seed {seed}: {error}\n  {question}\n  {ours}\n  {theirs}"
                    );
                }
                Ok(())
            },
        )?;
    }
    known::check(&mut systems, directory)
}

impl Systems {
    /// Has all answer, and looks at the answers of each form of Amphora beside the other's.
    fn compare(
        &mut self,
        questions: &[Question],
        directory: &Path,
        mut look: impl FnMut(&mut Self, &'static str, &Question, &Value, &Value) -> Result<(), String>,
    ) -> Result<(), String> {
        let theirs = answers(&mut self.theirs, questions, directory)?;
        for number in 0..self.ours.len() {
            let (form, ours) = &mut self.ours[number];
            let form = *form;
            let ours = answers(ours, questions, directory)?;
            for ((question, ours), theirs) in questions.iter().zip(&ours).zip(&theirs) {
                look(self, form, question, ours, theirs)?;
            }
        }
        Ok(())
    }
}

fn answers(
    system: &mut Answering,
    questions: &[Question],
    directory: &Path,
) -> Result<Vec<Value>, String> {
    let file = directory.join("questions.jsonl");
    write_lines(&file, questions).map_err(|error| error.to_string())?;
    let took = system.ask(&Questions {
        questions: file,
        first: 0,
        count: questions.len(),
        with_answers: true,
    })?;
    Ok(took.answers)
}

/// Whether what comes of a question depends on the order of prefetched hits whose scores are nearly the same. That
/// of a rounded sum decides then.
pub(crate) fn is_tied(
    question: &Question,
    ours: &mut Answering,
    directory: &Path,
) -> Result<bool, String> {
    let Question::Search(search) = question else {
        return Ok(false);
    };
    let mut parts: Vec<Question> = Vec::new();
    gather(search, search.filter.as_ref(), &mut parts);
    let lists = answers(ours, &parts, directory)?;
    let are_near = |pair: &[f64]| (pair[0] - pair[1]).abs() <= 1e-6 * (1.0 + pair[0].abs());
    let is_tied = |list: &Value| {
        let scores = list.as_array().into_iter().flatten();
        let scores: Vec<f64> = scores.filter_map(|hit| hit[1].as_f64()).collect();
        scores.windows(2).any(are_near)
    };
    Ok(lists.iter().any(is_tied))
}

/// The prefetches, and those below, as questions of their own that find one more.
fn gather(
    search: &Search,
    filter: Option<&amphora_blocking::amphora::Filter>,
    parts: &mut Vec<Question>,
) {
    for prefetch in &search.prefetches {
        let mut part = prefetch.clone();
        let both = [filter.cloned(), part.filter.take()];
        part.filter = both.into_iter().flatten().reduce(|one, other| one & other);
        gather(prefetch, part.filter.as_ref(), parts);
        // One that is scored by others' hits is tied as these are.
        part.limit += usize::from(!matches!(part.what, What::Rrf { .. } | What::Dbsf {}));
        parts.push(Question::Search(part));
    }
}
