//! Searching lists of vectors through an index, beside comparing every list.
//!
//! A point has four passages of `books30k` that follow each other, and a query four passages of a
//! chapter that is in no point.

use crate::{
    sample::in_turns,
    subject::{K, Subject, VECTOR, building_fast},
};
use amphora::{Metric, Point, Query, Schema, Vector};
use amphora_tests::{
    data::{self, Matrix},
    report::Figure,
    truth,
};

/// The passages of a point, and of a query.
const OF_POINT: usize = 4;
const OF_QUERY: usize = 4;
/// What is found by default, of the nearest.
const RECALL: f64 = 0.98;
/// The most that it may cost of comparing everything.
const COST: f64 = 0.8;

pub(crate) fn run(quick: bool, _only: Option<&str>) {
    let Some((base, queries)) = data::books().zip(data::book_queries()) else {
        return;
    };
    let vector = Vector::new(base.dimensions as u32, Metric::Cosine).multi();
    let subject = Subject::new(Schema::new().vector(VECTOR, vector), building_fast());
    let points = (0u64..).zip(lists(&base, OF_POINT));
    subject.fill(points.map(|(id, list)| Point::new(id).multi_vector(VECTOR, list)));
    subject.optimize();
    let queries: Vec<Query> = lists(&queries, OF_QUERY)
        .map(|list| Query::nearest_multi(VECTOR, list).limit(K))
        .collect();
    let exact = |query: &Query| query.clone().exact();
    let some = queries.len().min(if quick { 50 } else { queries.len() });
    let ask = |way: usize| -> Vec<Query> {
        match way {
            0 => queries[..some].iter().map(exact).collect(),
            _ => queries.clone(),
        }
    };
    let nearest: Vec<Vec<u32>> = queries
        .iter()
        .map(|query| truth::rows(&subject.search(exact(query))))
        .map(|rows| rows.into_iter().map(|row| row as u32).collect())
        .collect();
    let n = queries.len() as u64;
    let recall = subject.recall(queries.iter().cloned(), &nearest);
    Figure::new("lists/books/recall", recall, "share", n)
        .at_least(RECALL)
        .print();
    let turns = if quick { 3 } else { 11 };
    let costs = in_turns(turns, 2, |way| subject.cost(ask(way).into_iter()));
    let name = format!("lists/books/cpu {}", costs[1].spread());
    Figure::new(name, costs[1].median(), "us", turns as u64)
        .against(costs[0].median())
        .ratio_at_most(COST)
        .print();
    subject.close();
}

/// Rows that follow each other, so many in each list.
fn lists(rows: &Matrix, each: usize) -> impl Iterator<Item = Vec<Vec<f32>>> {
    let all: Vec<Vec<f32>> = rows.rows().map(<[f32]>::to_vec).collect();
    let count = all.len() / each;
    (0..count).map(move |list| all[list * each..][..each].to_vec())
}
