//! Amphora's queries of a vector and words, fused: `amphora-compare serve-hybrid amphora`, the twin of
//! `hybrid.py`.
//!
//! Amphora answers with its default settings.

use super::{Clock, Data, Result, amphora::Amphora, each_line};
use crate::{
    hybrid::{AUTHOR, TEXT},
    protocol::{Ask, Asked, Build, Fuse, Took},
    serve::amphora::VECTOR,
    systems::AMPHORA,
};
use amphora_blocking::amphora::{
    Field, Fusion, Metric, Query, Schema, StopWords, Text, Vector, field,
};
use amphora_tests::truth;
use std::{fs, process::ExitCode, time::Instant};

pub(crate) fn run(name: &str) -> ExitCode {
    if name != AMPHORA {
        eprintln!("{name:?} answers no hybrid queries in this program");
        return ExitCode::FAILURE;
    }
    let mut holding = None;
    each_line(|ask| match ask {
        Ask::Build(build) => {
            let data = Data::read(&build.data)?;
            let clock = Clock::start();
            let system = self::build(&build, &data)?;
            let took = clock.stop();
            holding = Some((system, data));
            Ok(took)
        }
        Ask::Fuse(fuse) => {
            let (system, data) = holding.as_ref().ok_or("nothing was built")?;
            self::fuse(system, data, &fuse)
        }
        Ask::Search(_) | Ask::Index(_) | Ask::Find(_) => {
            Err("this process has hybrid queries alone".into())
        }
    });
    ExitCode::SUCCESS
}

fn build(build: &Build, data: &Data) -> Result<Amphora> {
    let vector = Vector::new(u32::try_from(data.dimensions)?, Metric::Cosine);
    let text = Text::english().stop_words(StopWords::None).fold(false);
    let schema = Schema::new()
        .vector(VECTOR, vector)
        .text(TEXT, text.positions(false))
        .field(AUTHOR, Field::Keyword);
    Amphora::fill(build, data, schema)
}

fn fuse(system: &Amphora, data: &Data, fuse: &Fuse) -> Result<Took> {
    let asked = fs::read_to_string(&fuse.queries)?;
    let asked = asked.lines().zip(data.queries(0..fuse.count));
    let requests = asked.map(|(line, values)| {
        let asked: Asked = serde_json::from_str(line)?;
        Ok(request(&asked, values, fuse))
    });
    let requests: Vec<Query> = requests.collect::<Result<_>>()?;
    let mut answers = Vec::with_capacity(requests.len());
    let mut walls = Vec::with_capacity(requests.len());
    let clock = Clock::start();
    for request in requests {
        let begun = Instant::now();
        answers.push(system.points.search(request).wait()?);
        walls.push(begun.elapsed().as_secs_f64());
    }
    let mut took = clock.stop();
    took.rows = answers.iter().map(|hits| truth::rows(hits)).collect();
    took.walls = walls;
    Ok(took)
}

fn request(asked: &Asked, values: &[f32], fuse: &Fuse) -> Query {
    let parts = [
        Query::nearest(VECTOR, values),
        Query::text(TEXT, asked.words.as_str()),
    ];
    let fused = parts
        .into_iter()
        .fold(Query::fuse(Fusion::rrf()), |fused, part| {
            let part = part.limit(fuse.depth);
            fused.prefetch(match fuse.is_filtered {
                true => part.filter(field(AUTHOR).eq(asked.author.as_str())),
                false => part,
            })
        });
    fused.limit(fuse.k).with_payload(fuse.with_payload)
}
