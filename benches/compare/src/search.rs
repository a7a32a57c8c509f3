//! Vector search over the passages of `books30k`, without filters.
//!
//! Every system is first asked once at the rungs of a ladder of `ef`, which tells the rungs on both
//! sides of each recall. These are then measured in rounds: all systems in each, in a new order, so
//! that what changes on the machine meanwhile hits all alike. A figure is the median over the rounds
//! of what a query costs at exactly that recall.

use crate::{
    dataset::{Dataset, K},
    ladder::{LADDER, RECALLS, Rung, around, cost_at},
    options::Options,
    peer::{self, Peer, Role},
    plot::{self, Line},
    protocol::{Search, Took},
    rounds::in_rounds,
    systems::{AMPHORA, Kind, System},
};
use amphora_tests::{
    data,
    random::Random,
    report::Figure,
    sample::{Samples, shuffled},
    truth::recall,
};

/// Queries that are answered before those that are measured, since another system ran before.
const WARM_UP: usize = 50;

pub(crate) fn run(options: &Options) -> usize {
    let Some((books, truth)) = Dataset::books().zip(data::book_neighbours()) else {
        return 1;
    };
    let directory = tempfile::tempdir().expect("a directory");
    let files = books.write(directory.path()).expect("room on the disk");
    let vectors = |system: &System| matches!(system.kind, Kind::Index | Kind::Database);
    let (peers, mut skipped) =
        peer::start(options, Role::Vectors, vectors, &files, directory.path());
    report_builds(&peers);
    let queries = if options.quick { 500 } else { truth.len() };
    let mut entries = Vec::new();
    for peer in peers {
        match Entry::new(peer, &truth[..queries]) {
            Ok(entry) => entries.push(entry),
            Err(error) => {
                eprintln!("{error}");
                skipped += 1;
            }
        }
    }
    let rounds = if options.quick { 5 } else { 21 };
    skipped += in_rounds(&mut entries, rounds, |entry, random| {
        entry.round(queries, random)
    });
    for (place, recall) in RECALLS.into_iter().enumerate() {
        report(&entries, place, recall, rounds * queries);
    }
    if let Some(path) = &options.plot {
        let lines: Vec<Line> = entries.iter().map(Entry::line).collect();
        if let Err(error) = plot::draw(path, "30,000 passages x 384, one caller", &lines) {
            eprintln!("{error}");
            skipped += 1;
        }
    }
    skipped
}

/// Seconds until everything is indexed; an index library's are beside those of `hnswlib`.
fn report_builds(peers: &[Peer]) {
    for (what, seconds) in [
        ("cpu", (|took: &Took| took.cpu) as fn(&Took) -> f64),
        ("wall", |took| took.wall),
    ] {
        let hnswlib = peers.iter().find(|peer| peer.system.name == "hnswlib");
        let hnswlib = hnswlib.map(|peer| seconds(&peer.built));
        for peer in peers {
            let name = peer.system.name;
            let figure = Figure::new(
                format!("search/books30k/build-{what}/{name}"),
                seconds(&peer.built),
                "s",
                1,
            );
            let figure = hnswlib.into_iter().fold(figure, Figure::against);
            if name == AMPHORA {
                figure.ratio_at_most(1.0).print();
            } else {
                figure.print();
            }
        }
    }
}

/// A system with what was measured of it.
struct Entry {
    peer: Peer,
    rungs: Vec<Rung>,
    /// Microseconds per query, for each rung.
    rung_cpu: Vec<Samples>,
    /// Microseconds per query, for each of [`RECALLS`] that was reached.
    cpu: [Samples; RECALLS.len()],
    wall: [Samples; RECALLS.len()],
}

impl Entry {
    fn new(mut peer: Peer, truth: &[Vec<u32>]) -> Result<Self, String> {
        let mut rungs = Vec::new();
        for ef in LADDER {
            let took = peer.search(&search(ef, truth.len()))?;
            let recall = recall(&took.rows, truth, K);
            rungs.push(Rung { ef, recall });
            if recall >= RECALLS[RECALLS.len() - 1] {
                break;
            }
        }
        let rungs = around(&rungs);
        Ok(Self {
            peer,
            rung_cpu: vec![Samples::default(); rungs.len()],
            rungs,
            cpu: Default::default(),
            wall: Default::default(),
        })
    }

    fn round(&mut self, queries: usize, random: &mut Random) -> Result<(), String> {
        let Some(lowest) = self.rungs.first() else {
            return Ok(());
        };
        self.peer.search(&search(lowest.ef, WARM_UP))?;
        let mut cpu = vec![0.0; self.rungs.len()];
        let mut wall = cpu.clone();
        for rung in shuffled(self.rungs.len(), random) {
            let took = self.peer.search(&search(self.rungs[rung].ef, queries))?;
            cpu[rung] = took.cpu * 1e6 / queries as f64;
            wall[rung] = took.wall * 1e6 / queries as f64;
            self.rung_cpu[rung].push(cpu[rung]);
        }
        for (place, recall) in RECALLS.into_iter().enumerate() {
            for (samples, costs) in [(&mut self.cpu, &cpu), (&mut self.wall, &wall)] {
                if let Some(cost) = cost_at(recall, &self.rungs, costs) {
                    samples[place].push(cost);
                }
            }
        }
        Ok(())
    }

    fn line(&self) -> Line {
        let rungs = self.rungs.iter().zip(&self.rung_cpu);
        Line {
            name: self.peer.system.name.to_owned(),
            is_ours: self.peer.system.name == AMPHORA,
            points: rungs
                .map(|(rung, cpu)| (rung.recall, cpu.median()))
                .collect(),
        }
    }
}

fn search(ef: usize, count: usize) -> Search {
    Search {
        ef,
        first: 0,
        count,
        k: K,
        filter: None,
    }
}

/// Amphora beside the cheapest of the others, and the others beside Amphora.
fn report(entries: &[Entry], place: usize, recall: f64, n: usize) {
    for (what, samples) in [
        (
            "cpu",
            (|entry: &Entry| &entry.cpu) as fn(&Entry) -> &[Samples; RECALLS.len()],
        ),
        ("wall", |entry| &entry.wall),
    ] {
        let reached = |entry: &&Entry| {
            let last = entry.rungs.last();
            last.is_some_and(|rung| rung.recall >= recall)
        };
        let costs: Vec<(&Entry, &Samples)> = entries
            .iter()
            .filter(reached)
            .map(|entry| (entry, &samples(entry)[place]))
            .collect();
        let is_ours = |entry: &Entry| entry.peer.system.name == AMPHORA;
        let ours = costs.iter().find(|(entry, _)| is_ours(entry));
        let ours = ours.map(|(_, samples)| samples.median());
        let others = costs.iter().filter(|(entry, _)| !is_ours(entry));
        let cheapest = others
            .map(|(_, samples)| samples.median())
            .min_by(f64::total_cmp);
        for (entry, samples) in &costs {
            let system = entry.peer.system;
            let kind = match system.kind {
                Kind::Index => "index",
                Kind::Database => "database",
                Kind::Texts => "texts",
                Kind::Hybrid | Kind::Sparse => "hybrid",
            };
            let spread = samples.spread();
            let name = format!(
                "search/books30k/{what}-at-{recall:.2}/{kind}/{} {spread}",
                system.name
            );
            let figure = Figure::new(name, samples.median(), "us", n as u64);
            if is_ours(entry) {
                let figure = cheapest.into_iter().fold(figure, Figure::against);
                figure.ratio_at_most(1.0).print();
            } else {
                ours.into_iter().fold(figure, Figure::against).print();
            }
        }
    }
}
