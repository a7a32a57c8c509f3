//! Systems in Rust behind the line protocol: `amphora-compare serve NAME`, the twin of `peers.py`, and
//! `serve-texts NAME`, `serve-hybrid NAME` and `serve-questions NAME`.
//!
//! Requests are made before the clock starts and answers are taken apart after it stops.

mod amphora;
#[cfg(feature = "hannoy")]
mod hannoy;
#[cfg(feature = "hnsw_rs")]
mod hnsw_rs;
pub(crate) mod hybrid;
pub(crate) mod questions;
pub(crate) mod texts;

use crate::{
    protocol::{Answer, Ask, Build, Files, Search, Took},
    systems::AMPHORA,
};
use amphora_tests::process::processor;
use std::{
    error::Error,
    fs,
    io::{self, BufRead},
    ops::Range,
    process::ExitCode,
    time::Instant,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A system that holds the data.
trait Served: Sized {
    /// A query in its terms.
    type Request;
    /// What it gives back.
    type Hits;

    /// Takes in the data until all of it is indexed. This is timed.
    fn build(build: &Build, data: &Data) -> Result<Self>;
    fn request(&self, values: &[f32], search: &Search) -> Result<Self::Request>;
    /// This is timed.
    fn answer(&self, request: Self::Request, search: &Search) -> Result<Self::Hits>;
    fn rows(hits: Self::Hits) -> Vec<i64>;
}

struct Data {
    dimensions: usize,
    base: Vec<f32>,
    queries: Vec<f32>,
    payloads: Vec<serde_json::Value>,
    indexed: Vec<String>,
}

impl Data {
    fn read(files: &Files) -> Result<Self> {
        let vectors = |path| Ok::<_, io::Error>(bytemuck::pod_collect_to_vec(&fs::read(path)?));
        let payloads = fs::read_to_string(&files.payloads)?;
        let payloads = payloads.lines().map(serde_json::from_str);
        Ok(Self {
            dimensions: files.dimensions,
            base: vectors(&files.base)?,
            queries: vectors(&files.queries)?,
            payloads: payloads.collect::<std::result::Result<_, _>>()?,
            indexed: files.indexed.clone(),
        })
    }

    fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.base.chunks_exact(self.dimensions)
    }

    fn queries(&self, range: Range<usize>) -> impl Iterator<Item = &[f32]> {
        let queries = self.queries.chunks_exact(self.dimensions);
        queries.skip(range.start).take(range.len())
    }
}

pub(crate) fn run(name: &str) -> ExitCode {
    match name {
        AMPHORA => serve::<amphora::Amphora>(),
        #[cfg(feature = "hannoy")]
        "hannoy" => serve::<hannoy::Hannoy>(),
        #[cfg(feature = "hnsw_rs")]
        "hnsw_rs" => serve::<hnsw_rs::HnswRs>(),
        _ => {
            eprintln!("{name:?} is not a system of this program");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn serve<S: Served>() {
    let mut holding = None;
    each_line(|ask| match ask {
        Ask::Build(build) => {
            // An earlier one goes before the clock starts.
            holding = None;
            let data = Data::read(&build.data)?;
            let clock = Clock::start();
            let system = S::build(&build, &data)?;
            let took = clock.stop();
            holding = Some((system, data));
            Ok(took)
        }
        Ask::Search(search) => {
            let (system, data) = holding.as_ref().ok_or("nothing was built")?;
            self::search(system, data, &search)
        }
        _ => Err("this process has vectors alone".into()),
    });
}

fn each_line(mut answer: impl FnMut(Ask) -> Result<Took>) {
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        let ask = serde_json::from_str(&line).map_err(Box::from);
        let answer = match ask.and_then(&mut answer) {
            Ok(took) => Answer::Done(took),
            Err(error) => Answer::Failed(error.to_string()),
        };
        println!("{}", serde_json::to_string(&answer).expect("it is JSON"));
    }
}

fn search<S: Served>(system: &S, data: &Data, search: &Search) -> Result<Took> {
    let queries = data.queries(search.first..search.first + search.count);
    let requests = queries.map(|it| system.request(it, search));
    let requests: Vec<_> = requests.collect::<Result<_>>()?;
    let mut answers = Vec::with_capacity(requests.len());
    let clock = Clock::start();
    for request in requests {
        answers.push(system.answer(request, search)?);
    }
    let mut took = clock.stop();
    took.rows = answers.into_iter().map(S::rows).collect();
    Ok(took)
}

/// Wall time, and processor time of all threads of this process.
struct Clock {
    wall: Instant,
    cpu: f64,
}

impl Clock {
    fn start() -> Self {
        let (wall, cpu) = (Instant::now(), processor());
        Self { wall, cpu }
    }

    fn stop(self) -> Took {
        let cpu = processor() - self.cpu;
        let wall = self.wall.elapsed().as_secs_f64();
        Took {
            rows: Vec::new(),
            wall,
            cpu,
            walls: Vec::new(),
            answers: Vec::new(),
        }
    }
}
