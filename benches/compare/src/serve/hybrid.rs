//! Amphora's queries of a vector and words, fused, or of words alone: `amphora-compare serve-hybrid NAME`,
//! the twin of `hybrid.py`.
//!
//! Amphora answers with its default settings. It finds words by a text, or by a sparse vector of them.

use super::{
    Clock, Data, Result,
    amphora::{Amphora, VECTOR, points},
    each_line,
};
use crate::{
    hybrid::{AUTHOR, TEXT},
    protocol::{Ask, Asked, Build, Fuse, Sparse, Took},
    systems::{AMPHORA, AMPHORA_SPARSE},
};
use amphora_blocking::amphora::{
    self, Field, Fusion, Metric, Point, Query, Schema, SparseVector, StopWords, Text, Vector, field,
};
use amphora_tests::truth;
use std::{fs, process::ExitCode, time::Instant};

/// The sparse vector.
const TERMS: &str = "terms";

pub(crate) fn run(name: &str) -> ExitCode {
    let is_sparse = name == AMPHORA_SPARSE;
    if !is_sparse && name != AMPHORA {
        eprintln!("{name:?} answers no hybrid queries in this program");
        return ExitCode::FAILURE;
    }
    let mut holding = None;
    each_line(|ask| match ask {
        Ask::Build(build) => {
            let data = Data::read(&build.data)?;
            let clock = Clock::start();
            let system = self::build(&build, &data, is_sparse)?;
            let took = clock.stop();
            holding = Some((system, data));
            Ok(took)
        }
        Ask::Fuse(fuse) => {
            let (system, data) = holding.as_ref().ok_or("nothing was built")?;
            self::fuse(system, data, &fuse, is_sparse)
        }
        _ => Err("this process has hybrid queries alone".into()),
    });
    ExitCode::SUCCESS
}

fn build(build: &Build, data: &Data, is_sparse: bool) -> Result<Amphora> {
    let vector = Vector::new(u32::try_from(data.dimensions)?, Metric::Cosine);
    let schema = Schema::new()
        .vector(VECTOR, vector)
        .field(AUTHOR, Field::Keyword);
    if !is_sparse {
        let text = Text::english().stop_words(StopWords::None).fold(false);
        let schema = schema.text(TEXT, text.positions(false));
        return Amphora::fill(build, schema, points(data));
    }
    let schema = schema.sparse(TERMS, amphora::Sparse::new().idf());
    let terms = fs::read_to_string(build.data.terms.as_ref().ok_or("there are no terms")?)?;
    let terms = terms
        .lines()
        .map(|line| sparse(&serde_json::from_str(line)?));
    let terms: Vec<SparseVector> = terms.collect::<Result<_>>()?;
    let points = points(data).zip(terms);
    let points = points.map(|(point, terms): (Point, _)| point.sparse(TERMS, terms));
    Amphora::fill(build, schema, points)
}

fn sparse(terms: &Sparse) -> Result<SparseVector> {
    Ok(SparseVector::from_parts(&terms.indices, &terms.values)?)
}

fn fuse(system: &Amphora, data: &Data, fuse: &Fuse, is_sparse: bool) -> Result<Took> {
    let asked = fs::read_to_string(&fuse.queries)?;
    let asked = asked.lines().zip(data.queries(0..fuse.count));
    let requests = asked.map(|(line, values)| {
        let asked: Asked = serde_json::from_str(line)?;
        request(&asked, values, fuse, is_sparse)
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

fn request(asked: &Asked, values: &[f32], fuse: &Fuse, is_sparse: bool) -> Result<Query> {
    let words = match is_sparse {
        true => Query::sparse(TERMS, sparse(&asked.terms)?),
        false => Query::text(TEXT, asked.words.as_str()),
    };
    let kept = |query: Query| match fuse.is_filtered {
        true => query.filter(field(AUTHOR).eq(asked.author.as_str())),
        false => query,
    };
    let query = if fuse.by_terms {
        kept(words)
    } else {
        let parts = [Query::nearest(VECTOR, values), words];
        parts
            .into_iter()
            .fold(Query::fuse(Fusion::rrf()), |fused, part| {
                fused.prefetch(kept(part.limit(fuse.depth)))
            })
    };
    Ok(query.limit(fuse.k).with_payload(fuse.with_payload))
}
