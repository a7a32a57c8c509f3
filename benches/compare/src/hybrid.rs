//! Queries of a vector and words over the passages of `books30k`, fused by reciprocal ranks, in all works
//! and in those of one author.
//!
//! As in the project's own bench `hybrid`, a query has the vector of a passage that is none of them, four
//! of its words, and its author. What is found is judged by the fusion of what is truly nearest with what
//! truly scores most.

use crate::{
    bm25::Bm25,
    dataset::{Dataset, K},
    options::Options,
    peer::{self, Peer, Role},
    protocol::{Asked, Files, Fuse, Took},
    rounds::in_rounds,
    systems::{AMPHORA, Kind, QDRANT_EDGE, System},
};
use amphora_tests::{
    data::{self, Matrix},
    passages::words,
    random::Random,
    report::Figure,
    sample::{Samples, shuffled},
    truth,
};
use rayon::prelude::*;
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

pub(crate) const TEXT: &str = "text";
pub(crate) const AUTHOR: &str = "author";
const SEED: u64 = 1_854;
const WORDS: usize = 4;
/// What each part finds.
const DEPTH: usize = 100;
/// The others', as much as they need for so many.
const EF: usize = 128;
/// Of reciprocal ranks.
const RRF: f64 = 60.0;
/// The least overlap that counts as an answer.
const ENOUGH: f64 = 0.95;
/// Queries that are answered before those that are measured, since another system ran before.
const WARM_UP: usize = 30;

/// Whether the works of one author alone are looked at, and whether payloads are given back.
const WAYS: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

pub(crate) fn run(options: &Options) -> usize {
    let Some((books, asked)) = Dataset::books().zip(data::objects("books30k/queries.jsonl.zst"))
    else {
        return 1;
    };
    let queries = if options.quick { 100 } else { 200 };
    let work = Work::new(books, &asked[..queries]);
    let directory = tempfile::tempdir().expect("a directory");
    let (files, path) = work.write(directory.path()).expect("room on the disk");
    let (peers, mut skipped) =
        peer::start(options, Role::Hybrid, is_hybrid, &files, directory.path());
    for peer in &peers {
        let name = |what| format!("hybrid/build-{what}/{}", peer.system.name);
        Figure::new(name("cpu"), peer.built.cpu, "s", 1).print();
        Figure::new(name("wall"), peer.built.wall, "s", 1).print();
    }
    let mut entries: Vec<Entry> = peers.into_iter().map(Entry::new).collect();
    let rounds = if options.quick { 5 } else { 21 };
    skipped += in_rounds(&mut entries, rounds, |entry, random| {
        entry.round(&work, &path, random)
    });
    let n = rounds * queries;
    for is_filtered in [false, true] {
        report_overlap(&entries, is_filtered, queries);
        for (place, way) in WAYS.into_iter().enumerate() {
            if way.0 == is_filtered {
                report(&entries, way, "wall-p50", |entry| &entry.wall[place], n);
                report(&entries, way, "cpu", |entry| &entry.cpu[place], n);
            }
        }
    }
    skipped
}

fn is_hybrid(system: &System) -> bool {
    system.kind == Kind::Hybrid || [AMPHORA, QDRANT_EDGE].contains(&system.name)
}

/// What is looked through, asked for, and to be found.
struct Work {
    passages: Dataset,
    bm25: Bm25,
    asked: Vec<Asked>,
    /// For each query, in all works and in its author's.
    truth: Vec<[Truth; 2]>,
}

impl Work {
    fn new(mut passages: Dataset, asked: &[Value]) -> Self {
        for payload in &mut passages.payloads {
            // Words are told apart alike by all.
            payload[TEXT] = json!(words(text(payload, TEXT)));
        }
        let texts = passages.payloads.iter().map(|payload| text(payload, TEXT));
        let bm25 = Bm25::new(texts);
        let mut random = Random(SEED);
        let asked = asked.iter().map(|query| ask(query, &bm25, &mut random));
        let asked: Vec<Asked> = asked.collect();
        let queries: Vec<(&Asked, &[f32])> = asked.iter().zip(passages.queries.rows()).collect();
        let truth = queries.par_iter().map(|(asked, values)| {
            [false, true].map(|is_filtered| {
                let author = is_filtered.then_some(asked.author.as_str());
                Truth::new(&passages, &bm25, asked, values, author)
            })
        });
        Self {
            truth: truth.collect(),
            asked,
            bm25,
            passages,
        }
    }

    /// The files that every system reads, and the queries.
    fn write(&self, directory: &Path) -> io::Result<(Files, PathBuf)> {
        let terms = directory.join("terms.jsonl");
        let files = Files {
            terms: Some(terms.clone()),
            ..self.passages.write(directory)?
        };
        write_lines(&terms, &self.bm25.rows)?;
        let asked = directory.join("asked.jsonl");
        write_lines(&asked, &self.asked)?;
        Ok((files, asked))
    }
}

fn write_lines(path: &Path, lines: &[impl Serialize]) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for line in lines {
        serde_json::to_writer(&mut file, line)?;
        writeln!(file)?;
    }
    file.flush()
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().expect("a text")
}

/// The vector is in the same row of the queries.
fn ask(query: &Value, bm25: &Bm25, random: &mut Random) -> Asked {
    let long = text(query, TEXT).split(|c: char| !c.is_alphabetic());
    let mut long: Vec<&str> = long.filter(|word| word.len() > 3).collect();
    let mut chosen = Vec::new();
    while chosen.len() < WORDS && !long.is_empty() {
        let word = long.swap_remove(random.below(long.len() as u64) as usize);
        long.retain(|other| other.to_lowercase() != word.to_lowercase());
        chosen.push(word);
    }
    let words = chosen.join(" ");
    Asked {
        terms: bm25.query(&words),
        author: text(query, AUTHOR).to_owned(),
        words,
    }
}

/// What each row is worth that either part finds, when each finds what it should.
struct Truth(BTreeMap<i64, f64>);

impl Truth {
    fn new(
        passages: &Dataset,
        bm25: &Bm25,
        asked: &Asked,
        values: &[f32],
        author: Option<&str>,
    ) -> Self {
        let keep = |row: usize| {
            let payload = &passages.payloads[row];
            author.is_none_or(|author| text(payload, AUTHOR) == author)
        };
        let query = Matrix {
            dimensions: values.len(),
            values: values.to_vec(),
        };
        let nearest = truth::nearest(&passages.base, &query, DEPTH, keep);
        let parts = [&nearest[0], &bm25.best(&asked.terms, DEPTH, keep)];
        let mut worth = BTreeMap::new();
        for part in parts {
            for (rank, row) in (1..).zip(part) {
                *worth.entry(i64::from(*row)).or_default() += 1.0 / (RRF + f64::from(rank));
            }
        }
        Self(worth)
    }

    /// How many of the found are worth as much as the last of the best, and how many should be. Rows
    /// that are found by one part alone are often worth the same, and then in any order.
    fn overlap(&self, found: &[i64]) -> (usize, usize) {
        let mut worths: Vec<f64> = self.0.values().copied().collect();
        worths.sort_by(|a, b| b.total_cmp(a));
        worths.truncate(K);
        let last = worths.last().copied().unwrap_or_default();
        let is_good = |row: &&i64| self.0.get(row).is_some_and(|worth| *worth > last - 1e-9);
        let good = found.iter().take(K).filter(is_good).count();
        (good, worths.len())
    }
}

/// A system with what was measured of it, for each of [`WAYS`].
struct Entry {
    peer: Peer,
    /// Microseconds per query.
    cpu: [Samples; WAYS.len()],
    /// Microseconds that half of the queries take at most.
    wall: [Samples; WAYS.len()],
    /// In all works, and in those of one author.
    overlap: [f64; 2],
}

impl Entry {
    fn new(peer: Peer) -> Self {
        Self {
            peer,
            cpu: Default::default(),
            wall: Default::default(),
            overlap: [0.0; 2],
        }
    }

    fn round(&mut self, work: &Work, queries: &Path, random: &mut Random) -> Result<(), String> {
        let ask = |(is_filtered, with_payload): (bool, bool), count| Fuse {
            queries: queries.to_owned(),
            count,
            ef: EF,
            depth: DEPTH,
            k: K,
            is_filtered,
            with_payload,
        };
        for place in shuffled(WAYS.len(), random) {
            let count = work.asked.len();
            self.peer.fuse(&ask(WAYS[place], WARM_UP))?;
            let took = self.peer.fuse(&ask(WAYS[place], count))?;
            self.cpu[place].push(took.cpu * 1e6 / count as f64);
            let mut walls = Samples::default();
            took.walls.iter().for_each(|wall| walls.push(wall * 1e6));
            self.wall[place].push(walls.median());
            self.judge(work, WAYS[place].0, &took);
        }
        Ok(())
    }

    fn judge(&mut self, work: &Work, is_filtered: bool, took: &Took) {
        let at = usize::from(is_filtered);
        let (mut good, mut all) = (0, 0);
        for (truth, found) in work.truth.iter().zip(&took.rows) {
            let (found, wanted) = truth[at].overlap(found);
            good += found;
            all += wanted;
        }
        self.overlap[at] = good as f64 / f64::from(all.max(1) as u32);
    }
}

fn name_of(is_filtered: bool) -> &'static str {
    if is_filtered { "filtered" } else { "all" }
}

/// The share of the fused best that was found.
fn report_overlap(entries: &[Entry], is_filtered: bool, n: usize) {
    for entry in entries {
        let name = entry.peer.system.name;
        let found = format!("hybrid/{}/overlap/{name}", name_of(is_filtered));
        let share = entry.overlap[usize::from(is_filtered)];
        let found = Figure::new(found, share, "share", n as u64).seeded(SEED);
        match name {
            AMPHORA => found.at_least(ENOUGH).print(),
            _ => found.print(),
        };
    }
}

/// Amphora beside the cheapest of the others that find enough, and the others beside Amphora.
fn report<'a>(
    entries: &'a [Entry],
    (is_filtered, with_payload): (bool, bool),
    what: &str,
    cost: impl Fn(&'a Entry) -> &'a Samples,
    n: usize,
) {
    let is_ours = |entry: &&Entry| entry.peer.system.name == AMPHORA;
    let ours = entries.iter().find(is_ours);
    let ours = ours.map(|entry| cost(entry).median());
    let cheapest = entries
        .iter()
        .filter(|it| !is_ours(it) && it.overlap[usize::from(is_filtered)] >= ENOUGH)
        .map(|entry| cost(entry).median())
        .min_by(f64::total_cmp);
    for entry in entries {
        let samples = cost(entry);
        let name = format!(
            "hybrid/{}/{what}{}/{} {}",
            name_of(is_filtered),
            if with_payload { "-with-payloads" } else { "" },
            entry.peer.system.name,
            samples.spread()
        );
        let figure = Figure::new(name, samples.median(), "us", n as u64).seeded(SEED);
        if is_ours(&entry) {
            let figure = cheapest.into_iter().fold(figure, Figure::against);
            figure.ratio_at_most(1.0).print();
        } else {
            ours.into_iter().fold(figure, Figure::against).print();
        }
    }
}
