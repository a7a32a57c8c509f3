//! Questions of every kind over 100,000 points with payloads, Amphora's time beside that of another database.
//!
//! Answers are compared in the same run: exact ones have to be the same; of those for which an index is asked, the share
//! of the exact ones is told.

mod points;

use crate::{
    agree::{agree, overlap},
    differential::is_tied,
    options::Options,
    peer::Answering,
    protocol::{Took, write_lines},
    question::{Hold, Question, Questions},
    rounds::in_rounds,
    systems::{AMPHORA, QDRANT_EDGE, SYSTEMS, System},
};
use amphora_tests::{report::Figure, sample::Samples};
use points::{Points, SEED};
use serde_json::Value;
use std::{
    io,
    path::{Path, PathBuf},
};

/// The least share of the exact answer that counts as an answer.
const ENOUGH: f64 = 0.95;
/// Questions that are answered before those that are measured, since another system ran before.
const WARM_UP: usize = 5;

pub(crate) fn run(options: &Options) -> usize {
    let Some(points) = Points::load() else {
        return 1;
    };
    let mut kinds = points.kinds(if options.quick { 40 } else { 200 });
    if let Some(kind) = &options.kind {
        kinds.retain(|(name, _)| name.starts_with(kind.as_str()));
    }
    let directory = tempfile::tempdir().expect("a directory");
    let hold = points.write(directory.path()).expect("room on the disk");
    let files: Vec<Asked> = kinds
        .iter()
        .map(|(name, questions)| Asked::write(directory.path(), name, questions))
        .collect::<io::Result<_>>()
        .expect("room on the disk");
    let (mut systems, mut skipped) = start(options, &hold);
    for asked in &files {
        skipped += check(asked, &mut systems, directory.path());
    }
    let entries = (0..systems.len()).flat_map(|at| files.iter().map(move |asked| (at, asked)));
    let mut entries: Vec<(usize, &Asked, Samples)> = entries
        .map(|(at, asked)| (at, asked, Samples::default()))
        .collect();
    let rounds = if options.quick { 5 } else { 21 };
    skipped += in_rounds(&mut entries, rounds, |(at, asked, samples), _| {
        let system = &mut systems[*at];
        asked.ask(system, WARM_UP, false)?;
        let took = asked.ask(system, usize::MAX, false)?;
        let mut walls = Samples::default();
        took.walls.iter().for_each(|wall| walls.push(wall * 1e6));
        samples.push(walls.median());
        Ok(())
    });
    for asked in &files {
        let of_kind = entries
            .iter()
            .filter(|(_, other, _)| other.name == asked.name);
        let medians: Vec<(&Answering, &Samples)> = of_kind
            .map(|(at, _, samples)| (&systems[*at], samples))
            .collect();
        report(asked, &medians, rounds * asked.questions.len());
    }
    skipped
}

/// Questions of a kind.
struct Asked {
    name: String,
    questions: Vec<Question>,
    file: PathBuf,
    /// The same without help of indexes that may miss some of the best, if any of them may.
    exact: Option<Box<Asked>>,
}

impl Asked {
    fn write(directory: &Path, name: &str, questions: &[Question]) -> io::Result<Self> {
        let exact: Vec<Question> = questions.iter().map(Question::exact).collect();
        let is_exact = serde_json::to_value(&exact)? == serde_json::to_value(questions)?;
        let exact = match is_exact {
            true => None,
            false => Some(Box::new(Self::write(
                directory,
                &format!("{name}-exact"),
                &exact,
            )?)),
        };
        let file = directory.join(format!("{}.jsonl", name.replace('/', "-")));
        write_lines(&file, questions)?;
        Ok(Self {
            name: name.to_owned(),
            questions: questions.to_vec(),
            file,
            exact,
        })
    }

    /// Has a system answer the first of them.
    fn ask(
        &self,
        system: &mut Answering,
        count: usize,
        with_answers: bool,
    ) -> Result<Took, String> {
        system.ask(&Questions {
            questions: self.file.clone(),
            first: 0,
            count: count.min(self.questions.len()),
            with_answers,
        })
    }
}

fn start(options: &Options, hold: &Hold) -> (Vec<Answering>, usize) {
    let (mut started, mut skipped) = (Vec::new(), 0);
    let is_one = |system: &&System| [AMPHORA, QDRANT_EDGE].contains(&system.name);
    for system in SYSTEMS.iter().filter(is_one).filter(|it| options.wants(it)) {
        let hold = Hold {
            directory: hold.directory.join(system.name),
            ..hold.clone()
        };
        match Answering::start(system.name, &hold) {
            Ok((answering, built)) => {
                let name = |what| format!("queries/build-{what}/{}", system.name);
                Figure::new(name("cpu"), built.cpu, "s", 1).print();
                Figure::new(name("wall"), built.wall, "s", 1).print();
                started.push(answering);
            }
            Err(error) => {
                eprintln!("{} is skipped: {error}", system.name);
                skipped += 1;
            }
        }
    }
    (started, skipped)
}

/// Whether all give the same exact answers, and how much of them is found by the help of indexes; how many
/// questions could not be compared.
fn check(asked: &Asked, systems: &mut [Answering], directory: &Path) -> usize {
    let exact = asked.exact.as_deref().unwrap_or(asked);
    let answers = |asked: &Asked, system: &mut Answering| {
        let took = asked.ask(system, usize::MAX, true);
        took.map(|took| took.answers)
    };
    let mut truth: Option<Vec<Value>> = None;
    let mut skipped = 0;
    for at in 0..systems.len() {
        let system = &mut systems[at];
        let all = answers(exact, system).and_then(|it| Ok((it, answers(asked, system)?)));
        let (exact_answers, found) = match all {
            Ok(all) => all,
            Err(error) => {
                eprintln!("{error}");
                skipped += 1;
                continue;
            }
        };
        let n = exact_answers.len() as u64;
        if asked.exact.is_some() {
            let truth = truth.as_ref().unwrap_or(&exact_answers);
            let shares = truth.iter().zip(&found);
            let shares: Vec<f64> = shares
                .filter_map(|(it, found)| overlap(it, found))
                .collect();
            let share = shares.iter().sum::<f64>() / shares.len().max(1) as f64;
            let name = format!("queries/{}/overlap/{}", asked.name, system.system.name);
            let figure = Figure::new(name, share, "share", n).seeded(SEED);
            match system.system.is_ours() {
                true => figure.at_least(ENOUGH).print(),
                false => figure.print(),
            };
        }
        let Some(truth) = &truth else {
            truth = Some(exact_answers);
            continue;
        };
        let name = |what| format!("queries/{}/{what}/{}", asked.name, system.system.name);
        let (differing_name, tied_name) = (name("differing"), name("tied"));
        let (mut differing, mut tied) = (0, 0);
        for ((question, ours), theirs) in exact.questions.iter().zip(truth).zip(&exact_answers) {
            if let Err(error) = agree(question, ours, theirs) {
                if is_tied(question, &mut systems[0], directory) == Ok(true) {
                    tied += 1;
                    continue;
                }
                differing += 1;
                if differing == 1 {
                    let question = serde_json::to_string(question).unwrap_or_default();
                    let question: String = question.chars().take(400).collect();
                    eprintln!("{}: {error}: {question}", asked.name);
                }
            }
        }
        let figure = Figure::new(differing_name, f64::from(differing), "count", n);
        figure.seeded(SEED).at_most(0.0).print();
        if tied > 0 {
            let figure = Figure::new(tied_name, f64::from(tied), "count", n);
            figure.seeded(SEED).print();
        }
    }
    skipped
}

/// Amphora beside the other, and the other beside Amphora.
fn report(asked: &Asked, medians: &[(&Answering, &Samples)], n: usize) {
    for (answering, samples) in medians {
        let other = medians
            .iter()
            .find(|(other, _)| other.system.name != answering.system.name);
        let name = answering.system.name;
        let name = format!(
            "queries/{}/wall-p50/{name} {}",
            asked.name,
            samples.spread()
        );
        let figure = Figure::new(name, samples.median(), "us", n as u64).seeded(SEED);
        let other = other.map(|(_, samples)| samples.median());
        let figure = other.into_iter().fold(figure, Figure::against);
        match answering.system.is_ours() {
            true => figure.ratio_at_most(0.5).print(),
            false => figure.print(),
        };
    }
}
