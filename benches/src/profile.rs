//! What it costs to profile a search, beside the search: among 50,000 points of 128 dimensions through an index,
//! under a filter, and fused.

use crate::{
    sample::in_turns,
    subject::{K, Subject, VECTOR, building_fast, schema},
};
use amphora::{Field, Fusion, Point, Query, field};
use amphora_tests::{
    clustered::{SEED, clustered},
    process::processor,
    report::Figure,
};
use serde_json::json;

const POINTS: usize = 50_000;
const DIMENSIONS: usize = 128;
/// A search with its profile may cost so many times as much as without.
const MOST: f64 = 1.05;

/// Makes a query of a vector.
type Ask<'a> = &'a dyn Fn(&[f32]) -> Query;

pub(crate) fn run(quick: bool, only: Option<&str>) {
    let (queries, turns) = if quick { (200, 11) } else { (1_000, 41) };
    let [base, asked] = clustered(DIMENSIONS, [POINTS, queries]);
    let subject = Subject::new(
        schema(DIMENSIONS).field("part", Field::Integer),
        building_fast(),
    );
    subject.fill((0..POINTS).map(|row| {
        Point::new(row as u64)
            .vector(VECTOR, base.row(row))
            .payload(json!({ "part": row % 10 }))
    }));
    subject.optimize();
    let nearest = |values: &[f32]| Query::nearest(VECTOR, values).limit(K).with_payload(false);
    let filtered = |values: &[f32]| nearest(values).filter(field("part").below(3));
    let ways: [(&str, Ask<'_>); 3] = [
        ("nearest", &nearest),
        ("filtered", &filtered),
        ("fused", &|values| {
            let fused = Query::fuse(Fusion::rrf()).limit(K).with_payload(false);
            fused.prefetch(nearest(values)).prefetch(filtered(values))
        }),
    ];
    for (name, query) in ways {
        let name = format!("profile/{name}");
        if only.is_some_and(|only| !name.contains(only)) {
            continue;
        }
        let costs = in_turns(turns, 2, |way| {
            let asked: Vec<Query> = asked.rows().map(query).collect();
            let before = processor();
            for query in asked {
                match way {
                    0 => drop(subject.search(query)),
                    _ => drop(subject.points.search_profiled(query).wait().expect("hits")),
                }
            }
            (processor() - before) * 1e6 / queries as f64
        });
        let [search, profiled] = &costs[..] else {
            return;
        };
        let n = (queries * turns) as u64;
        Figure::new(format!("{name}/cpu"), profiled.median(), "us", n)
            .against(search.median())
            .ratio_at_most(MOST)
            .seeded(SEED)
            .print();
    }
    subject.close();
}
