//! Search under filters that keep half to a thousandth of 100,000 points, at random or together:
//! recall and cost as they are by default, beside comparing every point that a filter keeps.

use crate::{
    sample::in_turns,
    subject::{K, Subject, VECTOR, building_fast, schema},
};
use amphora::{Field, Point, Query, field};
use amphora_tests::{
    report::Figure,
    selective::{Kept, POINTS, SEED, Selective},
};

/// The least recall.
const ENOUGH: f64 = 0.98;
/// Queries that are answered by comparing every point.
const EXACT: usize = 20;

pub(crate) fn run(quick: bool, only: Option<&str>) {
    let (queries, turns) = if quick { (200, 5) } else { (1_000, 21) };
    let selective = Selective::new(queries);
    let filters = selective.filters(K);
    let subject = build(&selective);
    for filter in filters {
        let name = format!("filtered/{}", filter.name);
        if only.is_none_or(|only| name.contains(only)) {
            measure(&subject, &selective, &filter, &name, turns);
        }
    }
    subject.close();
}

fn build(selective: &Selective) -> Subject {
    let schema = schema(selective.base.dimensions);
    let schema = Selective::fields().fold(schema, |it, field| it.field(field, Field::Integer));
    let subject = Subject::new(schema, building_fast());
    subject.fill((0..POINTS).map(|row| {
        Point::new(row as u64)
            .vector(VECTOR, selective.base.row(row))
            .payload(selective.payload(row))
    }));
    subject.optimize();
    subject
}

fn measure(subject: &Subject, selective: &Selective, filter: &Kept, name: &str, turns: usize) {
    let query = |values| {
        let kept = field(filter.field).below(filter.below);
        Query::nearest(VECTOR, values).limit(K).filter(kept)
    };
    let usual = || selective.queries.rows().map(query);
    let exact = || {
        selective
            .queries
            .rows()
            .take(EXACT)
            .map(query)
            .map(Query::exact)
    };
    let recall = |what: &str, recall, n| {
        let name = format!("{name}/{what}recall");
        Figure::new(name, recall, "share", n as u64).seeded(SEED)
    };
    let n = filter.truth.len();
    let found = subject.recall(usual(), &filter.truth);
    recall("", found, n).at_least(ENOUGH).print();
    let found = subject.recall(exact(), &filter.truth[..EXACT]);
    recall("exact/", found, EXACT).at_least(0.999).print();
    let costs = in_turns(turns, 2, |way| match way {
        0 => subject.cost(usual()),
        _ => subject.cost(exact()),
    });
    let [usual, exact] = &costs[..] else { return };
    Figure::new(
        format!("{name}/cpu {}", usual.spread()),
        usual.median(),
        "us",
        (n * turns) as u64,
    )
    .against(exact.median())
    .seeded(SEED)
    .print();
}
