//! Search under filters that keep half to a thousandth of 100,000 points, at random or together.
//!
//! Amphora answers with its default settings, the others with one `ef`; recall and cost are read
//! together.

use crate::{
    dataset::{Dataset, K},
    options::Options,
    peer::{self, Peer, Role},
    protocol::{Below, Search},
    rounds::in_rounds,
    systems::{AMPHORA, Kind, System},
};
use amphora_tests::{
    random::Random,
    report::Figure,
    sample::{Samples, shuffled},
    selective::{Kept, POINTS, Selective},
    truth::recall,
};

const EF: usize = 128;
/// The least recall that counts as an answer.
const ENOUGH: f64 = 0.98;

pub(crate) fn run(options: &Options) -> usize {
    let queries = if options.quick { 200 } else { 1_000 };
    let rounds = if options.quick { 5 } else { 21 };
    let selective = Selective::new(queries);
    let filters: Vec<Filter> = selective.filters(K).into_iter().map(Filter::new).collect();
    let points = dataset(selective);
    let directory = tempfile::tempdir().expect("a directory");
    let files = points.write(directory.path()).expect("room on the disk");
    let databases = |system: &System| system.kind == Kind::Database;
    let (peers, mut skipped) =
        peer::start(options, Role::Vectors, databases, &files, directory.path());
    for peer in &peers {
        let name = |what| format!("filtered/build-{what}/{}", peer.system.name);
        Figure::new(name("cpu"), peer.built.cpu, "s", 1).print();
        Figure::new(name("wall"), peer.built.wall, "s", 1).print();
    }
    let mut entries: Vec<Entry> = peers
        .into_iter()
        .map(|it| Entry::new(it, filters.len()))
        .collect();
    skipped += in_rounds(&mut entries, rounds, |entry, random| {
        entry.round(&filters, queries, random)
    });
    for (place, filter) in filters.iter().enumerate() {
        report(&entries, place, filter, rounds * queries);
    }
    skipped
}

fn dataset(points: Selective) -> Dataset {
    let payloads = (0..POINTS).map(|row| points.payload(row));
    Dataset {
        payloads: payloads.collect(),
        indexed: Selective::fields().map(str::to_owned).collect(),
        base: points.base,
        queries: points.queries,
    }
}

struct Filter {
    name: String,
    below: Below,
    truth: Vec<Vec<u32>>,
}

impl Filter {
    fn new(kept: Kept) -> Self {
        Self {
            name: kept.name,
            below: Below {
                field: kept.field.to_owned(),
                below: kept.below,
            },
            truth: kept.truth,
        }
    }
}

/// A database with what was measured of it, filter by filter.
struct Entry {
    peer: Peer,
    cpu: Vec<Samples>,
    recall: Vec<f64>,
}

impl Entry {
    fn new(peer: Peer, filters: usize) -> Self {
        Self {
            peer,
            cpu: vec![Samples::default(); filters],
            recall: vec![0.0; filters],
        }
    }

    fn round(
        &mut self,
        filters: &[Filter],
        queries: usize,
        random: &mut Random,
    ) -> Result<(), String> {
        for place in shuffled(filters.len(), random) {
            let filter = &filters[place];
            let took = self.peer.search(&Search {
                ef: EF,
                first: 0,
                count: queries,
                k: K,
                filter: Some(filter.below.clone()),
            })?;
            self.cpu[place].push(took.cpu * 1e6 / queries as f64);
            self.recall[place] = recall(&took.rows, &filter.truth, K);
        }
        Ok(())
    }
}

/// Amphora beside the cheapest of the others that find enough, and the others beside Amphora.
fn report(entries: &[Entry], place: usize, filter: &Filter, n: usize) {
    let is_ours = |entry: &&Entry| entry.peer.system.name == AMPHORA;
    let ours = entries.iter().find(is_ours);
    let ours = ours.map(|entry| entry.cpu[place].median());
    let cheapest = entries
        .iter()
        .filter(|entry| !is_ours(entry) && entry.recall[place] >= ENOUGH)
        .map(|entry| entry.cpu[place].median())
        .min_by(f64::total_cmp);
    for entry in entries {
        let name = entry.peer.system.name;
        let found = format!("filtered/{}/recall/{name}", filter.name);
        let found = Figure::new(found, entry.recall[place], "share", n as u64);
        let cost = &entry.cpu[place];
        let spread = cost.spread();
        let cpu = format!("filtered/{}/cpu/{name} {spread}", filter.name);
        let cpu = Figure::new(cpu, cost.median(), "us", n as u64);
        if is_ours(&entry) {
            found.at_least(ENOUGH).print();
            let cpu = cheapest.into_iter().fold(cpu, Figure::against);
            cpu.ratio_at_most(1.0).print();
        } else {
            found.print();
            ours.into_iter().fold(cpu, Figure::against).print();
        }
    }
}
