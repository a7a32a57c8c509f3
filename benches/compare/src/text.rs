//! Searching the passages of `books_text` by two to five of their words, indexing them, and what their
//! index takes.
//!
//! Systems take in the passages in turns, once with an index over the words and once without; what one
//! has more of is the index alone. Queries too are answered in turns.

use crate::{
    dataset::K,
    options::Options,
    process::{Process, this_program},
    protocol::{Ask, Find, Index, Took, Way},
    rounds::in_rounds,
    systems::{AMPHORA, SYSTEMS, System, TANTIVY},
};
use amphora_tests::{
    passages::{Passages, SEED},
    random::Random,
    report::Figure,
    sample::{Samples, shuffled},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The ways that queries are answered, and what the figures of each are called.
const WAYS: [(Way, &str); 3] = [
    (Way::Rows, "cpu"),
    (Way::Texts, "cpu-with-texts"),
    (Way::Prepared, "cpu-prepared"),
];
/// How much of the best may differ: scores are rounded by each in its own way, and texts that are worth
/// the same are in any order.
const ALIKE: f64 = 0.95;
const MIB: f64 = (1 << 20) as f64;

pub(crate) fn run(options: &Options) -> usize {
    let Some(passages) = Passages::load() else {
        return 1;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let work = Work::write(&passages, directory.path()).expect("room on the disk");
    let mut skipped = 0;
    let mut entries = Vec::new();
    for system in SYSTEMS
        .iter()
        .filter(|it| holds_texts(it) && options.wants(it))
    {
        match Entry::start(system, &work) {
            Ok(entry) => entries.push(entry),
            Err(error) => {
                eprintln!("{} is skipped: {error}", system.name);
                skipped += 1;
            }
        }
    }
    let (builds, rounds) = if options.quick { (3, 5) } else { (7, 21) };
    skipped += in_rounds(&mut entries, builds, |entry, _| entry.build(&work));
    report_builds(&entries, &work);
    skipped += in_rounds(&mut entries, rounds, |entry, random| {
        entry.round(&work, random)
    });
    for (place, kind) in work.kinds.iter().enumerate() {
        report_overlap(&entries, place, kind);
        report_searches(&entries, place, kind);
    }
    skipped
}

fn holds_texts(system: &System) -> bool {
    [AMPHORA, TANTIVY].contains(&system.name)
}

/// The files that every system reads.
struct Work {
    directory: PathBuf,
    texts: PathBuf,
    count: usize,
    kinds: Vec<Kind>,
}

/// Queries of one kind.
struct Kind {
    name: &'static str,
    queries: PathBuf,
    count: usize,
}

impl Work {
    fn write(passages: &Passages, directory: &Path) -> io::Result<Self> {
        let texts = directory.join("texts");
        fs::write(&texts, passages.texts.join("\n"))?;
        let kind = |(name, queries): (&'static str, Vec<Vec<&str>>)| {
            let lines: Vec<String> = queries.iter().map(|words| words.join(" ")).collect();
            let path = directory.join(name);
            fs::write(&path, lines.join("\n"))?;
            Ok(Kind {
                name,
                queries: path,
                count: lines.len(),
            })
        };
        Ok(Self {
            directory: directory.to_owned(),
            texts,
            count: passages.texts.len(),
            kinds: passages
                .queries()
                .into_iter()
                .map(kind)
                .collect::<io::Result<_>>()?,
        })
    }
}

/// A system with what was measured of it.
struct Entry {
    system: &'static System,
    process: Process,
    /// With an index and without.
    built: [Built; 2],
    /// Microseconds per query, for each kind and way.
    cpu: Vec<[Samples; WAYS.len()]>,
    /// What each query of each kind finds.
    found: Vec<Vec<Vec<i64>>>,
}

/// Seconds of processor time, and the files in MiB.
#[derive(Default)]
struct Built {
    cpu: Samples,
    size: f64,
}

impl Entry {
    fn start(system: &'static System, work: &Work) -> Result<Self, String> {
        let mut command = this_program("serve-texts")?;
        Ok(Self {
            system,
            process: Process::start(command.arg(system.name))?,
            built: Default::default(),
            cpu: work.kinds.iter().map(|_| Default::default()).collect(),
            found: vec![Vec::new(); work.kinds.len()],
        })
    }

    fn ask(&mut self, ask: &Ask) -> Result<Took, String> {
        let name = self.system.name;
        let answer = self.process.ask(ask);
        answer.map_err(|error| format!("{name} cannot answer: {error}"))
    }

    /// Takes in the texts without an index, and then with one.
    fn build(&mut self, work: &Work) -> Result<(), String> {
        let directory = work.directory.join(self.system.name);
        for (place, is_indexed) in [(1, false), (0, true)] {
            let took = self.ask(&Ask::Index(Index {
                texts: work.texts.clone(),
                is_indexed,
                directory: directory.clone(),
            }))?;
            self.built[place].cpu.push(took.cpu);
            self.built[place].size = size_below(&directory) as f64 / MIB;
        }
        Ok(())
    }

    fn round(&mut self, work: &Work, random: &mut Random) -> Result<(), String> {
        for place in shuffled(work.kinds.len(), random) {
            let kind = &work.kinds[place];
            // Before what is measured, since another system ran before.
            self.found[place] = self.find(kind, Way::Rows)?.rows;
            for at in shuffled(WAYS.len(), random) {
                let way = WAYS[at].0;
                if self.takes(way) {
                    let took = self.find(kind, way)?;
                    self.cpu[place][at].push(took.cpu * 1e6 / kind.count as f64);
                }
            }
        }
        Ok(())
    }

    /// Whether it can be asked this way.
    fn takes(&self, way: Way) -> bool {
        way != Way::Prepared || self.system.name == TANTIVY
    }

    fn find(&mut self, kind: &Kind, way: Way) -> Result<Took, String> {
        self.ask(&Ask::Find(Find {
            queries: kind.queries.clone(),
            k: K,
            way,
        }))
    }

    /// Seconds and MiB: of all, or of what the index has more of.
    fn costs(&self, alone: bool) -> (f64, f64) {
        let [with, without] = &self.built;
        match alone {
            true => (
                with.cpu.median() - without.cpu.median(),
                with.size - without.size,
            ),
            false => (with.cpu.median(), with.size),
        }
    }
}

fn size_below(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else {
        return 0;
    };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(data) if data.is_dir() => size_below(&entry.path()),
        Ok(data) => data.len(),
        // It was removed meanwhile.
        Err(_) => 0,
    };
    entries.filter_map(Result::ok).map(size).sum()
}

/// Seconds until all texts can be found, and what they take on the disk; the index alone too.
fn report_builds(entries: &[Entry], work: &Work) {
    for (alone, name) in [(false, "index"), (true, "index-alone")] {
        for (what, unit) in [("cpu", "s"), ("size", "MiB")] {
            let cost = |entry: &Entry| match what {
                "cpu" => entry.costs(alone).0,
                _ => entry.costs(alone).1,
            };
            let costs = entries.iter().map(|entry| (entry, cost(entry)));
            let costs: Vec<(&Entry, f64)> = costs.collect();
            for (entry, own) in &costs {
                let spread = match (what, alone) {
                    ("cpu", false) => format!(" {}", entry.built[0].cpu.spread()),
                    _ => String::new(),
                };
                let name = format!("text/{name}/{what}/{}{spread}", entry.system.name);
                let figure = Figure::new(name, *own, unit, work.count as u64);
                let other = beside(&costs, entry).into_iter();
                let figure = other.fold(figure, Figure::against);
                // Most of what is on the disk are the texts, which say nothing of the index.
                let has_target = (what, alone) != ("size", false);
                match entry.system.name {
                    AMPHORA if has_target => figure.ratio_at_most(1.2).print(),
                    _ => figure.print(),
                };
            }
        }
    }
}

/// The share of the best that two systems have in common.
fn report_overlap(entries: &[Entry], place: usize, kind: &Kind) {
    let [ours, theirs] = entries else { return };
    let (mut same, mut all) = (0, 0);
    for (ours, theirs) in ours.found[place].iter().zip(&theirs.found[place]) {
        same += ours.iter().filter(|row| theirs.contains(row)).count();
        all += ours.len().max(theirs.len());
    }
    let name = format!("text/{}/overlap", kind.name);
    let share = same as f64 / f64::from(all.max(1) as u32);
    Figure::new(name, share, "share", kind.count as u64)
        .at_least(ALIKE)
        .print();
}

fn report_searches(entries: &[Entry], place: usize, kind: &Kind) {
    for (at, (way, what)) in WAYS.into_iter().enumerate() {
        let cost = |entry: &Entry| {
            // Amphora has no other way than from what was typed.
            let at = if entry.takes(way) { at } else { 0 };
            entry.cpu[place][at].median()
        };
        let costs = entries.iter().map(|entry| (entry, cost(entry)));
        let costs: Vec<(&Entry, f64)> = costs.collect();
        for (entry, own) in costs.iter().filter(|(entry, _)| entry.takes(way)) {
            let samples = &entry.cpu[place][at];
            let (name, spread) = (entry.system.name, samples.spread());
            let name = format!("text/{}/{what}/{name} {spread}", kind.name);
            let n = samples.len() * kind.count;
            let figure = Figure::new(name, *own, "us", n as u64).seeded(SEED);
            let other = beside(&costs, entry).into_iter();
            let figure = other.fold(figure, Figure::against);
            match (entry.system.name, way) {
                (AMPHORA, Way::Rows) => figure.ratio_at_most(1.0).print(),
                _ => figure.print(),
            };
        }
    }
}

/// What the cheapest of the others takes.
fn beside(costs: &[(&Entry, f64)], entry: &Entry) -> Option<f64> {
    let is_other = |other: &Entry| other.system.name != entry.system.name;
    let others = costs.iter().filter(|(other, _)| is_other(other));
    others.map(|(_, cost)| *cost).min_by(f64::total_cmp)
}
