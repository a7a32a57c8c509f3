//! Questions by examples where indexes are asked for what is near to these.

use amphora::{Hit, Metric, Options, Point, Query, Recommend, Schema, Vector, field};
use amphora_tests::{
    clustered::clustered,
    opening::{Memory, options},
};
use serde_json::json;

const DIMENSIONS: usize = 16;

/// How much of the exact answers is found, of so many hits; what is found scores what it should, and is in order.
fn share(exact: &[Hit], found: &[Hit]) -> (usize, usize) {
    assert!(found.is_sorted_by(|a, b| a.score > b.score || a.score == b.score && a.id < b.id));
    assert_eq!(found.len(), exact.len());
    let is_good = |hit: &&Hit| exact.iter().any(|other| other.id == hit.id);
    for hit in found.iter().filter(is_good) {
        let other = exact.iter().find(|other| other.id == hit.id);
        assert_eq!(other.map(|other| other.score), Some(hit.score));
    }
    (found.iter().filter(is_good).count(), exact.len())
}

#[test]
fn what_indexes_lead_to_is_what_scoring_every_point_finds() {
    let [base, queries] = clustered(DIMENSIONS, [6_000, 60]);
    for metric in [Metric::Cosine, Metric::Dot, Metric::Euclidean] {
        let options = Options {
            index_from: 1_000,
            ..options(Memory::Default)
        };
        let db = amphora::Database::builder_on(amphora::vfs::MemoryVfs::new()).options(options);
        let db = db.open().wait().expect("opened");
        let schema = Schema::new().vector("v", Vector::new(DIMENSIONS as u32, metric));
        let docs = db
            .create_collection("docs", schema)
            .wait()
            .expect("created");
        let points = (0..).zip(base.rows()).map(|(id, row)| {
            let payload = json!({ "part": id % 3 });
            Point::new(id).vector("v", row).payload(payload)
        });
        let points: Vec<Point> = points.collect();
        for batch in points.chunks(1_000) {
            docs.upsert(batch.to_vec()).wait().expect("written");
        }
        db.optimize().wait().expect("optimized");
        let mut shares = [(0, 0); 2];
        let mut rows = queries.rows().map(<[f32]>::to_vec);
        while let (Some(one), Some(two), Some(three)) = (rows.next(), rows.next(), rows.next()) {
            let asked = [
                Query::recommend(
                    "v",
                    Recommend::best_score()
                        .positive([one.clone(), two.clone()])
                        .negative([three.clone()]),
                ),
                Query::recommend(
                    "v",
                    Recommend::sum_scores()
                        .positive([one.clone(), two.clone()])
                        .negative([three.clone()]),
                ),
                // Nothing leads to what is unlike all.
                Query::recommend("v", Recommend::best_score().negative([three.clone()])),
                // They cancel each other.
                Query::recommend(
                    "v",
                    Recommend::sum_scores()
                        .positive([one.clone()])
                        .negative([one.clone()]),
                ),
                Query::discover("v", one.clone(), [(two.clone(), three.clone())]),
                Query::context("v", [(two, three)]),
            ];
            for query in asked {
                for (number, query) in [query.clone(), query.filter(field("part").eq(1))]
                    .into_iter()
                    .enumerate()
                {
                    let exact = docs.search(query.clone().exact()).wait().expect("hits");
                    let found = docs.search(query).wait().expect("hits");
                    let (good, all) = share(&exact, &found);
                    shares[number].0 += good;
                    shares[number].1 += all;
                }
            }
        }
        for (good, all) in shares {
            assert!(good * 100 >= all * 97, "{metric:?}: {good} of {all}");
        }
        db.close().wait().expect("closed");
    }
}
