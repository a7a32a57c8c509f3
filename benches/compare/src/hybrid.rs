//! Queries of a vector and words over the passages of `books30k`, fused by reciprocal ranks, in all works
//! and in those of one author; and of words alone, as a sparse vector.
//!
//! As in the project's own bench `hybrid`, a query has the vector of a passage that is none of them, four
//! of its words, and its author. What is found is judged by the fusion of what is truly nearest with what
//! truly scores most; of words alone by what scores most.

use crate::{
    bm25::Bm25,
    dataset::{Dataset, K},
    options::Options,
    peer::{self, Peer, Role},
    protocol::{Asked, Files, Fuse, Took, write_lines},
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
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

pub(crate) const TEXT: &str = "text";
pub(crate) const AUTHOR: &str = "author";
const SEED: u64 = 1_854;
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

/// What is asked for.
pub(crate) struct Asking {
    bench: &'static str,
    /// How many words at most.
    words: usize,
    /// Whether a sparse vector alone: then nothing is fused.
    by_terms: bool,
    /// Whether the works of one author alone are looked at, and whether payloads are given back.
    ways: &'static [(bool, bool)],
    of: fn(&System) -> bool,
}

pub(crate) const FUSED: Asking = Asking {
    bench: "hybrid",
    words: 4,
    by_terms: false,
    ways: &[(false, false), (true, false), (false, true), (true, true)],
    of: |system| {
        [Kind::Hybrid, Kind::Sparse].contains(&system.kind)
            || [AMPHORA, QDRANT_EDGE].contains(&system.name)
    },
};

pub(crate) const SPARSE: Asking = Asking {
    bench: "sparse",
    words: 4,
    by_terms: true,
    ways: &[(false, false), (true, false)],
    of: |system| system.kind == Kind::Sparse,
};

/// About as many as models give.
pub(crate) const LONG_SPARSE: Asking = Asking {
    bench: "sparse-long",
    words: 32,
    ..SPARSE
};

pub(crate) fn run(options: &Options, asking: &Asking) -> usize {
    let Some((books, asked)) = Dataset::books().zip(data::objects("books30k/queries.jsonl.zst"))
    else {
        return 1;
    };
    let queries = if options.quick { 100 } else { 200 };
    let work = Work::new(books, &asked[..queries], asking);
    let directory = tempfile::tempdir().expect("a directory");
    let (files, path) = work.write(directory.path()).expect("room on the disk");
    let (peers, mut skipped) =
        peer::start(options, Role::Hybrid, asking.of, &files, directory.path());
    for peer in &peers {
        let name = |what| format!("{}/build-{what}/{}", asking.bench, peer.system.name);
        Figure::new(name("cpu"), peer.built.cpu, "s", 1).print();
        Figure::new(name("wall"), peer.built.wall, "s", 1).print();
    }
    let entries = peers.into_iter().map(|peer| Entry::new(peer, asking));
    let mut entries: Vec<Entry> = entries.collect();
    let rounds = if options.quick { 5 } else { 21 };
    skipped += in_rounds(&mut entries, rounds, |entry, random| {
        entry.round(&work, asking, &path, random)
    });
    let n = rounds * queries;
    for is_filtered in [false, true] {
        report_overlap(&entries, asking, is_filtered, queries);
        for (place, way) in asking.ways.iter().enumerate() {
            if way.0 == is_filtered {
                report(&entries, asking, place, "wall-p50", |it| &it.wall, n);
                report(&entries, asking, place, "cpu", |it| &it.cpu, n);
            }
        }
    }
    skipped
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
    fn new(mut passages: Dataset, asked: &[Value], asking: &Asking) -> Self {
        for payload in &mut passages.payloads {
            // Words are told apart alike by all.
            payload[TEXT] = json!(words(text(payload, TEXT)));
        }
        let texts = passages.payloads.iter().map(|payload| text(payload, TEXT));
        let bm25 = Bm25::new(texts);
        let mut random = Random(SEED);
        let ask = |query| ask(query, asking.words, &bm25, &mut random);
        let asked = asked.iter().map(ask);
        let asked: Vec<Asked> = asked.collect();
        let queries: Vec<(&Asked, &[f32])> = asked.iter().zip(passages.queries.rows()).collect();
        let truth = queries.par_iter().map(|(asked, values)| {
            [false, true].map(|is_filtered| {
                let author = is_filtered.then_some(asked.author.as_str());
                let keep = |row: usize| {
                    let payload = &passages.payloads[row];
                    author.is_none_or(|author| text(payload, AUTHOR) == author)
                };
                let scored = bm25.best(&asked.terms, DEPTH, keep);
                match asking.by_terms {
                    true => Truth::scored(scored),
                    false => Truth::fused(&passages, values, scored, keep),
                }
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

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().expect("a text")
}

/// The vector is in the same row of the queries.
fn ask(query: &Value, words: usize, bm25: &Bm25, random: &mut Random) -> Asked {
    let long = text(query, TEXT).split(|c: char| !c.is_alphabetic());
    let mut long: Vec<&str> = long.filter(|word| word.len() > 3).collect();
    let mut chosen = Vec::new();
    while chosen.len() < words && !long.is_empty() {
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

/// What each row is worth that should be found.
struct Truth(BTreeMap<i64, f64>);

impl Truth {
    /// What it scores by words.
    fn scored(scored: Vec<(u32, f64)>) -> Self {
        let scored = scored.into_iter();
        Self(scored.map(|(row, score)| (i64::from(row), score)).collect())
    }

    /// What it is worth by either part, when each finds what it should.
    fn fused(
        passages: &Dataset,
        values: &[f32],
        scored: Vec<(u32, f64)>,
        keep: impl Fn(usize) -> bool + Sync,
    ) -> Self {
        let query = Matrix {
            dimensions: values.len(),
            values: values.to_vec(),
        };
        let nearest = truth::nearest(&passages.base, &query, DEPTH, keep);
        let scored = scored.into_iter().map(|(row, _)| row).collect();
        let parts = [&nearest[0], &scored];
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

/// A system with what was measured of it, for each of the [`Asking::ways`].
struct Entry {
    peer: Peer,
    /// Microseconds per query.
    cpu: Vec<Samples>,
    /// Microseconds that half of the queries take at most.
    wall: Vec<Samples>,
    /// In all works, and in those of one author.
    overlap: [f64; 2],
}

impl Entry {
    fn new(peer: Peer, asking: &Asking) -> Self {
        let samples = || asking.ways.iter().map(|_| Samples::default()).collect();
        Self {
            peer,
            cpu: samples(),
            wall: samples(),
            overlap: [0.0; 2],
        }
    }

    fn round(
        &mut self,
        work: &Work,
        asking: &Asking,
        queries: &Path,
        random: &mut Random,
    ) -> Result<(), String> {
        let ask = |(is_filtered, with_payload): (bool, bool), count| Fuse {
            queries: queries.to_owned(),
            count,
            ef: EF,
            depth: DEPTH,
            by_terms: asking.by_terms,
            k: K,
            is_filtered,
            with_payload,
        };
        for place in shuffled(asking.ways.len(), random) {
            let (count, way) = (work.asked.len(), asking.ways[place]);
            self.peer.fuse(&ask(way, WARM_UP))?;
            let took = self.peer.fuse(&ask(way, count))?;
            self.cpu[place].push(took.cpu * 1e6 / count as f64);
            let mut walls = Samples::default();
            took.walls.iter().for_each(|wall| walls.push(wall * 1e6));
            self.wall[place].push(walls.median());
            self.judge(work, way.0, &took);
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

/// The share of the best that was found.
fn report_overlap(entries: &[Entry], asking: &Asking, is_filtered: bool, n: usize) {
    for entry in entries {
        let (bench, system) = (asking.bench, entry.peer.system);
        let found = format!("{bench}/{}/overlap/{}", name_of(is_filtered), system.name);
        let share = entry.overlap[usize::from(is_filtered)];
        let found = Figure::new(found, share, "share", n as u64).seeded(SEED);
        match system.is_ours() {
            true => found.at_least(ENOUGH).print(),
            false => found.print(),
        };
    }
}

/// Amphora beside the cheapest of the others that find enough, and the others beside Amphora.
fn report<'a>(
    entries: &'a [Entry],
    asking: &Asking,
    place: usize,
    what: &str,
    costs: impl Fn(&'a Entry) -> &'a [Samples],
    n: usize,
) {
    let (is_filtered, with_payload) = asking.ways[place];
    let cost = |entry: &'a Entry| &costs(entry)[place];
    let is_ours = |entry: &&Entry| entry.peer.system.is_ours();
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
            "{}/{}/{what}{}/{} {}",
            asking.bench,
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
