//! Search through the public interface on the 30,000 passages of `books30k`, payloads returned, by
//! one caller: what it costs the processor at each recall, beside comparing every point.

use crate::{
    sample::{Samples, in_turns},
    subject::{K, Subject, VECTOR, building_fast, schema},
};
use amphora::{Point, Query};
use amphora_tests::{
    data::{self, Matrix},
    process::processor,
    report::Figure,
};
use std::time::Instant;

/// What recall by request is measured at.
const RECALLS: [f32; 4] = [0.8, 0.9, 0.95, 0.99];
const LADDER: [usize; 14] = [10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 104, 136, 176, 240];
/// Queries that are answered by comparing every point.
const EXACT: usize = 100;

struct Books {
    subject: Subject,
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
    let Some(payloads) = data::book_payloads() else {
        return;
    };
    let subject = Subject::new(schema(base.dimensions), building_fast());
    let rows = (0u64..).zip(base.rows().zip(payloads));
    let points = rows
        .map(|(row, (values, payload))| Point::new(row).vector(VECTOR, values).payload(payload));
    let points: Vec<Point> = points.collect();
    let (wall, cpu) = (Instant::now(), processor());
    subject.fill(points.into_iter());
    subject.optimize();
    let rows = base.rows().len() as u64;
    Figure::new("search/build/cpu", processor() - cpu, "s", rows).print();
    Figure::new("search/build/wall", wall.elapsed().as_secs_f64(), "s", rows).print();
    let books = Books {
        subject,
        queries,
        nearest,
    };
    if only.is_none_or(|only| only == "books") {
        books.measure(quick);
    }
    books.subject.close();
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
        let values = self.queries.row(number);
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
        let queries = (0..count).map(|number| self.query(number, way));
        self.subject.recall(queries, &self.nearest[..count])
    }

    /// Microseconds for a search, of processor time unless the way says otherwise.
    fn cost(&self, way: Way) -> f64 {
        let count = self.count(way);
        let queries = (0..count).map(|number| self.query(number, way));
        if !matches!(way, Way::Wait(_) | Way::Await(_)) {
            return self.subject.cost(queries);
        }
        let queries: Vec<Query> = queries.collect();
        let started = Instant::now();
        if let Way::Await(_) = way {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            runtime.expect("a runtime").block_on(async {
                for query in queries {
                    self.subject.points.search(query).await.expect("hits");
                }
            });
        } else {
            for query in queries {
                self.subject.search(query);
            }
        }
        started.elapsed().as_secs_f64() * 1e6 / count as f64
    }

    fn count(&self, way: Way) -> usize {
        match way {
            Way::Exact => EXACT,
            _ => self.nearest.len(),
        }
    }
}
