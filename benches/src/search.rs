//! Search through the public interface on the 30,000 passages of `books30k`, payloads returned, by
//! one caller: what it costs the processor at each recall, beside comparing every point.

use crate::sample::{Samples, in_turns};
use amphora::{
    Collection, Database, Hit, Metric, Options, Point, PointId, PoolOptions, Query, Schema, Vector,
};
use amphora_tests::{
    data::{self, Matrix},
    report::Figure,
};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    time::{Duration, Instant},
};

const VECTOR: &str = "embedding";
const K: usize = 10;
const LONG: Duration = Duration::from_secs(600);
/// What recall by request is measured at.
const RECALLS: [f32; 4] = [0.8, 0.9, 0.95, 0.99];
const LADDER: [usize; 14] = [10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 104, 136, 176, 240];
/// Queries that are answered by comparing every point.
const EXACT: usize = 100;

struct Books {
    docs: Collection,
    queries: Matrix,
    /// For each query its nearest passages.
    nearest: Vec<Vec<u32>>,
}

/// How a search is asked for.
#[derive(Clone, Copy)]
enum Way {
    Exact,
    Ef(usize),
    Recall(f32),
    /// Without payloads.
    Bare(usize),
    /// The time that it takes, waited for.
    Wait(usize),
    /// The same awaited on tokio's current-thread runtime.
    Await(usize),
}

pub(crate) fn run(quick: bool, only: Option<&str>) {
    let Some(((base, queries), nearest)) = data::books()
        .zip(data::book_queries())
        .zip(data::book_neighbours())
    else {
        return;
    };
    let Some(payloads) = payloads() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let options = Options {
        pools: Some(PoolOptions {
            update_threads: 2,
            ..PoolOptions::default()
        }),
        ..Options::default()
    };
    let db = Database::builder(directory.path()).options(options);
    let db = db.open().wait().expect("it opens");
    let schema = Schema::new().vector(VECTOR, Vector::new(base.dimensions as u32, Metric::Cosine));
    let docs = db
        .create_collection("books", schema)
        .wait()
        .expect("it is new");
    let (wall, cpu) = (Instant::now(), processor());
    fill(&docs, &base, &payloads);
    db.optimize().timeout(LONG).wait().expect("it is indexed");
    let rows = base.rows().len() as u64;
    Figure::new("search/build/cpu", processor() - cpu, "s", rows).print();
    Figure::new("search/build/wall", wall.elapsed().as_secs_f64(), "s", rows).print();
    let books = Books {
        docs,
        queries,
        nearest,
    };
    if only.is_none_or(|only| only == "books") {
        books.measure(quick);
    }
    db.close().wait().expect("it closes");
}

impl Books {
    fn measure(&self, quick: bool) {
        let mut ways = vec![("exact".to_owned(), Way::Exact)];
        ways.extend(LADDER.map(|ef| (format!("ef-{ef}"), Way::Ef(ef))));
        ways.extend(RECALLS.map(|recall| (format!("recall-{recall}"), Way::Recall(recall))));
        ways.push(("without-payload/ef-48".to_owned(), Way::Bare(48)));
        ways.push(("wait/ef-48".to_owned(), Way::Wait(48)));
        ways.push(("await/ef-48".to_owned(), Way::Await(48)));
        let recalls: Vec<f64> = ways.iter().map(|(_, way)| self.recall(*way)).collect();
        let turns = if quick { 5 } else { 21 };
        let costs = in_turns(turns, ways.len(), |way| self.cost(ways[way].1));
        let exact = costs[0].median();
        let figure = |name: &str, way: Way, costs: &Samples| {
            let what = match way {
                Way::Wait(_) | Way::Await(_) => "wall",
                _ => "cpu",
            };
            let name = format!("search/books/{name}/{what} {}", costs.spread());
            Figure::new(name, costs.median(), "us", turns as u64).against(exact)
        };
        let cheapest = |least: f64| {
            let good = ways.iter().zip(&recalls).zip(&costs);
            let good = good
                .filter(|(((_, way), recall), _)| matches!(way, Way::Ef(_)) && **recall >= least);
            good.map(|(_, costs)| costs.median()).min_by(f64::total_cmp)
        };
        for (((name, way), recall), costs) in ways.iter().zip(&recalls).zip(&costs) {
            let n = self.nearest.len() as u64;
            let found = Figure::new(format!("search/books/{name}/recall"), *recall, "share", n);
            let Way::Recall(asked) = way else {
                found.print();
                figure(name, *way, costs).print();
                continue;
            };
            let asked = f64::from(*asked);
            found.at_least(asked - 0.01).print();
            let name = format!("search/books/{name}/cpu {}", costs.spread());
            let cost = Figure::new(name, costs.median(), "us", turns as u64);
            match cheapest(asked) {
                Some(least) => cost.against(least).ratio_at_most(1.5).print(),
                None => cost.print(),
            };
        }
    }

    fn query(&self, number: usize, way: Way) -> Query {
        let values = self.queries.rows().nth(number).expect("a query");
        let query = Query::nearest(VECTOR, values).limit(K);
        match way {
            Way::Exact => query.exact(),
            Way::Ef(ef) | Way::Wait(ef) | Way::Await(ef) => query.ef(ef),
            Way::Recall(recall) => query.recall(recall),
            Way::Bare(ef) => query.ef(ef).with_payload(false),
        }
    }

    fn recall(&self, way: Way) -> f64 {
        let count = self.count(way);
        let found = (0..count).map(|number| {
            let hits = self
                .docs
                .search(self.query(number, way))
                .wait()
                .expect("hits");
            let nearest = &self.nearest[number][..K];
            hits.iter().filter(|hit| is_one_of(hit, nearest)).count()
        });
        found.sum::<usize>() as f64 / (count * K) as f64
    }

    /// Microseconds for a search, of processor time unless the way says otherwise.
    fn cost(&self, way: Way) -> f64 {
        let count = self.count(way);
        let queries: Vec<Query> = (0..count).map(|number| self.query(number, way)).collect();
        let (before, started) = (processor(), Instant::now());
        if let Way::Await(_) = way {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.expect("a runtime").block_on(async {
                for query in queries {
                    self.docs.search(query).await.expect("hits");
                }
            });
        } else {
            for query in queries {
                self.docs.search(query).wait().expect("hits");
            }
        }
        let seconds = match way {
            Way::Wait(_) | Way::Await(_) => started.elapsed().as_secs_f64(),
            _ => processor() - before,
        };
        seconds * 1e6 / count as f64
    }

    fn count(&self, way: Way) -> usize {
        match way {
            Way::Exact => EXACT,
            _ => self.nearest.len(),
        }
    }
}

fn is_one_of(hit: &Hit, rows: &[u32]) -> bool {
    matches!(hit.id, PointId::Number(row) if rows.contains(&(row as u32)))
}

fn fill(docs: &Collection, base: &Matrix, payloads: &[Value]) {
    let points = (0u64..)
        .zip(base.rows().zip(payloads))
        .map(|(row, (values, payload))| {
            Point::new(row)
                .vector(VECTOR, values)
                .payload(payload.clone())
        });
    let points: Vec<Point> = points.collect();
    for batch in points.chunks(1_000) {
        docs.upsert(batch.to_vec()).wait().expect("it is written");
    }
}

/// What is known of each passage.
fn payloads() -> Option<Vec<Value>> {
    let bytes = data::read("books30k/passages.jsonl.zst")?;
    let text = ruzstd::decoding::StreamingDecoder::new(&bytes[..]).expect("a zstd file");
    let payload = |line: Result<String, _>| {
        let passage: Value = serde_json::from_str(&line.expect("text")).expect("JSON");
        json!({ "text": passage["text"], "author": passage["author"], "pos": passage["pos"] })
    };
    Some(BufReader::new(text).lines().map(payload).collect())
}

/// Seconds of processor time that the process has used.
fn processor() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
