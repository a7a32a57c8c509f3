//! Search through the public interface on the 30,000 passages of `books30k`, payloads returned, by
//! one caller: what it costs the processor at each recall, beside comparing every point.

use crate::{
    sample::{Samples, in_turns},
    subject::{K, Subject, VECTOR, building_fast, schema},
};
use amphora::{Lane, Op, Point, PoolOptions, Pools, Query, Result};
use amphora_tests::{
    data::{self, Matrix},
    process::processor,
    report::Figure,
};
use std::{
    hint,
    time::{Duration, Instant},
};

/// What recall by request is measured at.
const RECALLS: [f32; 4] = [0.8, 0.9, 0.95, 0.99];
const LADDER: [usize; 14] = [10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 104, 136, 176, 240];
/// How many times as long as a job of its length a search that is awaited may take.
const AS_HANDED: f64 = 1.1;
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
}

/// How an answer is had.
#[derive(Clone, Copy)]
enum Had {
    Waited,
    /// On tokio's current-thread runtime.
    Awaited,
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
        let recalls: Vec<f64> = ways.iter().map(|(_, way)| self.recall(*way)).collect();
        let turns = if quick { 5 } else { 21 };
        let costs = in_turns(turns, ways.len(), |way| self.cost(ways[way].1));
        let exact = costs[0].median();
        let figure = |name: &str, what, costs: &Samples| {
            let name = format!("search/books/{name}/{what} {}", costs.spread());
            Figure::new(name, costs.median(), "us", turns as u64)
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
                figure(name, "cpu", costs).against(exact).print();
                continue;
            };
            let asked = f64::from(*asked);
            found.at_least(asked - 0.01).print();
            let cost = figure(name, "cpu", costs);
            match cheapest(asked) {
                Some(least) => cost.against(least).ratio_at_most(1.5).print(),
                None => cost.print(),
            };
        }
        let [waited, awaited, job] = self.walls(turns);
        figure("wait/ef-48", "wall", &waited).print();
        figure("job-of-that-length/await", "wall", &job).print();
        let awaited = figure("await/ef-48", "wall", &awaited).against(job.median());
        awaited.ratio_at_most(AS_HANDED).print();
    }

    /// Microseconds that pass for a search: waited for, awaited, and for a job that does nothing
    /// for as long as was waited, which is handed over and awaited as a search is.
    fn walls(&self, turns: usize) -> [Samples; 3] {
        let pools = Pools::new(&PoolOptions::default()).expect("threads start");
        let job = |length: Duration| {
            let run = move || {
                let began = Instant::now();
                while began.elapsed() < length {
                    hint::spin_loop();
                }
            };
            pools.run(Lane::Search, run)
        };
        let mut walls: [Samples; 3] = Default::default();
        for _ in 0..turns {
            let waited = self.wall(|query| self.subject.points.search(query), Had::Waited);
            let length = Duration::from_secs_f64(waited / 1e6);
            walls[0].push(waited);
            walls[1].push(self.wall(|query| self.subject.points.search(query), Had::Awaited));
            walls[2].push(self.wall(|_| job(length), Had::Awaited));
        }
        walls
    }

    fn wall<T: Send + 'static>(&self, op: impl Fn(Query) -> Op<T>, had: Had) -> f64 {
        let way = Way::Ef(48);
        let count = self.count(way);
        let queries = (0..count).map(|number| self.query(number, way));
        let queries: Vec<Query> = queries.collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.expect("a runtime");
        let began = Instant::now();
        let each = |answer: Result<T>| drop(answer.expect("nothing prevents it"));
        match had {
            Had::Waited => queries.into_iter().for_each(|query| each(op(query).wait())),
            Had::Awaited => runtime.block_on(async {
                for query in queries {
                    each(op(query).await);
                }
            }),
        }
        began.elapsed().as_secs_f64() * 1e6 / count as f64
    }

    fn query(&self, number: usize, way: Way) -> Query {
        let values = self.queries.row(number);
        let query = Query::nearest(VECTOR, values).limit(K);
        match way {
            Way::Exact => query.exact(),
            Way::Ef(ef) => query.ef(ef),
            Way::Recall(recall) => query.recall(recall),
            Way::Bare(ef) => query.ef(ef).with_payload(false),
        }
    }

    fn recall(&self, way: Way) -> f64 {
        let count = self.count(way);
        let queries = (0..count).map(|number| self.query(number, way));
        self.subject.recall(queries, &self.nearest[..count])
    }

    /// Microseconds of processor time for a search.
    fn cost(&self, way: Way) -> f64 {
        let queries = (0..self.count(way)).map(|number| self.query(number, way));
        self.subject.cost(queries)
    }

    fn count(&self, way: Way) -> usize {
        match way {
            Way::Exact => EXACT,
            _ => self.nearest.len(),
        }
    }
}
