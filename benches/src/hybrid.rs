//! Text and vectors in one query with a filter, beside its parts asked one after the other.
//!
//! The 30,000 passages of `books30k`, their authors declared. A query has four words of a passage that is
//! none of them, its vector, and its author, in whose works it looks; parts find as many as are fused.

use crate::{
    sample::{Samples, in_turns},
    subject::{K, Subject, VECTOR, building_fast},
};
use amphora::{Field, Fusion, Metric, Point, Query, Schema, Text, Vector, field};
use amphora_tests::{data, random::Random, report::Figure};
use serde_json::Value;
use std::time::Instant;

const TEXT: &str = "text";
const AUTHOR: &str = "author";
const SEED: u64 = 1_854;
const WORDS: usize = 4;
/// What each part finds.
const DEPTH: usize = 100;
const FUSED: f64 = 1.2;

pub(crate) fn run(quick: bool, _only: Option<&str>) {
    let (Some(base), Some(vectors), Some(payloads), Some(asked)) = (
        data::books(),
        data::book_queries(),
        data::book_payloads(),
        data::objects("books30k/queries.jsonl.zst"),
    ) else {
        return;
    };
    let dimensions = base.dimensions as u32;
    let schema = Schema::new()
        .vector(VECTOR, Vector::new(dimensions, Metric::Cosine))
        .text(TEXT, Text::english())
        .field(AUTHOR, Field::Keyword);
    let subject = Subject::new(schema, building_fast());
    let points = (0u64..).zip(base.rows()).zip(payloads);
    let points = points
        .map(|((row, values), payload)| Point::new(row).vector(VECTOR, values).payload(payload));
    subject.fill(points);
    subject.optimize();

    let mut random = Random(SEED);
    let queries: Vec<Asked> = asked
        .iter()
        .zip(vectors.rows())
        .map(|(query, values)| Asked::new(query, values, &mut random))
        .collect();
    for filtered in [false, true] {
        let ask = |way: usize, query: &Asked| match way {
            0 => query.nearest(filtered).limit(DEPTH).with_payload(false),
            1 => query.text(filtered).limit(DEPTH).with_payload(false),
            _ => Query::fuse(Fusion::rrf())
                .prefetch(query.nearest(filtered).limit(DEPTH))
                .prefetch(query.text(filtered).limit(DEPTH))
                .limit(K),
        };
        let turns = if quick { 5 } else { 21 };
        let times = in_turns(turns, 3, |way| {
            let mut samples = Samples::default();
            for query in &queries {
                let query = ask(way, query);
                let begun = Instant::now();
                assert!(!subject.search(query).is_empty(), "something is found");
                samples.push(begun.elapsed().as_secs_f64() * 1e6);
            }
            samples.median()
        });
        let name = if filtered { "filtered" } else { "all" };
        let n = (turns * queries.len()) as u64;
        let figure = |part: &str, way: usize| {
            let name = format!("hybrid/{name}/{part}/p50 {}", times[way].spread());
            Figure::new(name, times[way].median(), "us", n).seeded(SEED)
        };
        figure("nearest", 0).print();
        figure("text", 1).print();
        figure("fused", 2)
            .against(times[0].median() + times[1].median())
            .ratio_at_most(FUSED)
            .print();
    }
    subject.close();
}

/// What is asked for.
struct Asked {
    values: Vec<f32>,
    words: String,
    author: String,
}

impl Asked {
    fn new(query: &Value, values: &[f32], random: &mut Random) -> Self {
        let text = query["text"].as_str().expect("a text");
        let words = text.split(|c: char| !c.is_alphabetic());
        let words: Vec<&str> = words.filter(|word| word.len() > 3).collect();
        let mut word = || words[random.below(words.len() as u64) as usize];
        let words: Vec<&str> = (0..WORDS).map(|_| word()).collect();
        Self {
            values: values.to_vec(),
            words: words.join(" "),
            author: query["author"].as_str().expect("an author").to_owned(),
        }
    }

    fn nearest(&self, filtered: bool) -> Query {
        self.filtered(Query::nearest(VECTOR, &self.values[..]), filtered)
    }

    fn text(&self, filtered: bool) -> Query {
        self.filtered(Query::text(TEXT, self.words.as_str()), filtered)
    }

    fn filtered(&self, query: Query, filtered: bool) -> Query {
        if filtered {
            query.filter(field(AUTHOR).eq(self.author.as_str()))
        } else {
            query
        }
    }
}
