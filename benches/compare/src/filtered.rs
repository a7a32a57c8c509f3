//! Search under filters: 100,000 clustered points, and integers that say which half, tenth,
//! hundredth and thousandth of them a filter keeps.
//!
//! The integers are drawn at random, or they rank the points along one direction, so that what a
//! filter keeps lies together and mostly far from the query. Amphora answers with its default
//! settings, the others with one `ef`; recall and cost are read together.

use crate::{
    dataset::{Dataset, K, clustered, direction, dot, recall},
    options::Options,
    peer::{self, Peer},
    protocol::{Below, Search},
    rounds::in_rounds,
    systems::{AMPHORA, Kind, System},
};
use amphora_tests::{
    random::Random,
    report::Figure,
    sample::{Samples, shuffled},
};
use serde_json::json;

const POINTS: usize = 100_000;
const DIMENSIONS: usize = 384;
const EF: usize = 128;
/// The least recall that counts as an answer.
const ENOUGH: f64 = 0.98;
/// One point in so many is kept.
const SELECTIVITIES: [(&str, usize); 4] = [("50%", 2), ("10%", 10), ("1%", 100), ("0.1%", 1_000)];
/// Fields with what their numbers go by.
const FIELDS: [(&str, &str); 2] = [("random", "n"), ("correlated", "c")];

pub(crate) fn run(options: &Options) -> usize {
    let queries = if options.quick { 200 } else { 1_000 };
    let rounds = if options.quick { 5 } else { 21 };
    let (points, numbers) = points(queries);
    let directory = tempfile::tempdir().expect("a directory");
    let files = points.write(directory.path()).expect("room on the disk");
    let filters = filters(&points, &numbers);
    let databases = |system: &System| system.kind == Kind::Database;
    let (peers, mut skipped) = peer::start(options, databases, &files, directory.path());
    for peer in &peers {
        let name = |what| format!("filtered/build-{what}/{}", peer.system.name);
        Figure::new(name("cpu"), peer.built.cpu, "s", 1).print();
        Figure::new(name("wall"), peer.built.wall, "s", 1).print();
    }
    let mut entries: Vec<Entry> = peers.into_iter().map(Entry::new).collect();
    skipped += in_rounds(&mut entries, rounds, |entry, random| {
        entry.round(&filters, queries, random)
    });
    for (place, filter) in filters.iter().enumerate() {
        report(&entries, place, filter, rounds * queries);
    }
    skipped
}

/// The points, and for each of [`FIELDS`] the numbers of the rows.
fn points(queries: usize) -> (Dataset, [Vec<u64>; FIELDS.len()]) {
    let [base, queries] = clustered(DIMENSIONS, [POINTS, queries]);
    let mut random = Random(1_847);
    let along = direction(DIMENSIONS, &mut random);
    let heights: Vec<f32> = base.rows().map(|row| dot(row, &along)).collect();
    let mut ranked: Vec<usize> = (0..POINTS).collect();
    ranked.sort_by(|a, b| heights[*a].total_cmp(&heights[*b]));
    let numbers = [shuffled(POINTS, &mut random), ranked].map(|order| {
        let mut numbers = vec![0; POINTS];
        for (number, row) in (0..).zip(order) {
            numbers[row] = number;
        }
        numbers
    });
    let payload = |row: usize| json!({ "n": numbers[0][row], "c": numbers[1][row] });
    let points = Dataset {
        base,
        queries,
        payloads: (0..POINTS).map(payload).collect(),
        indexed: FIELDS
            .iter()
            .map(|(_, field)| (*field).to_owned())
            .collect(),
    };
    (points, numbers)
}

struct Filter {
    name: String,
    below: Below,
    truth: Vec<Vec<u32>>,
}

fn filters(points: &Dataset, numbers: &[Vec<u64>]) -> Vec<Filter> {
    let mut filters = Vec::new();
    for ((how, field), numbers) in FIELDS.iter().zip(numbers) {
        for (share, one_in) in SELECTIVITIES {
            let below = (POINTS / one_in) as u64;
            filters.push(Filter {
                name: format!("{how}/{share}"),
                truth: points.nearest(|row| numbers[row] < below),
                below: Below {
                    field: (*field).to_owned(),
                    below,
                },
            });
        }
    }
    filters
}

/// A database with what was measured of it, filter by filter.
struct Entry {
    peer: Peer,
    cpu: Vec<Samples>,
    recall: Vec<f64>,
}

impl Entry {
    fn new(peer: Peer) -> Self {
        let filters = FIELDS.len() * SELECTIVITIES.len();
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
            self.recall[place] = recall(&took.rows, &filter.truth);
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
