//! Search by every metric, against a reference that is too simple to be wrong.

use super::{METRICS, point, points, schema, vector};
use amphora::{Filter, Metric, PointId, Query, field};
use amphora_tests::runtimes::Way;
use std::path::PathBuf;

const POINTS: u64 = 700;

/// What a filter shall keep, by the number of the point.
type Keep = fn(u64) -> bool;

/// The scores of all points that are kept, the best first, in twice the precision.
fn reference(place: u64, metric: Metric, query: &[f32], keep: Keep) -> Vec<(f64, u64)> {
    let score = |n: u64| {
        let stored = vector(n * 4 + place);
        let pairs = || {
            let numbers = query.iter().zip(&stored);
            numbers.map(|(a, b)| (f64::from(*a), f64::from(*b)))
        };
        let length = |of: fn((f64, f64)) -> f64| pairs().map(|p| of(p).powi(2)).sum::<f64>().sqrt();
        let dot: f64 = pairs().map(|(a, b)| a * b).sum();
        match metric {
            Metric::Cosine => dot / length(|p| p.0) / length(|p| p.1),
            Metric::Dot => dot,
            Metric::Euclidean => -length(|(a, b)| a - b),
            Metric::Manhattan => -pairs().map(|(a, b)| (a - b).abs()).sum::<f64>(),
        }
    };
    let mut all: Vec<_> = (0..POINTS)
        .filter(|n| keep(*n))
        .map(|n| (score(n), n))
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all
}

pub(crate) async fn every_metric(way: Way, path: PathBuf) {
    let db = way.open(&path).await.unwrap();
    let docs = way
        .finish(db.create_collection("docs", schema()))
        .await
        .unwrap();
    // Written twice, so that there are rows that must not be found.
    for _ in 0..2 {
        way.finish(docs.upsert(points(0..POINTS))).await.unwrap();
    }
    let filters: [(Option<Filter>, Keep); 3] = [
        (None, |_| true),
        (Some(field("group").eq("g2")), |n| n % 7 == 2),
        (
            Some(field("n").within(100..=250) & field("tags").eq(0)),
            |n| (100..=250).contains(&n) && n % 2 == 0,
        ),
    ];
    for ((name, metric), place) in METRICS.into_iter().zip(0..) {
        for (filter, keep) in &filters {
            for (limit, seed) in [(1, 100_001), (10, 100_002), (1_000, 100_003)] {
                let values = vector(seed);
                let mut query = Query::nearest(name, values.clone()).limit(limit);
                query.filter.clone_from(filter);
                let hits = way.finish(docs.search(query)).await.unwrap();

                let expected = reference(place, metric, &values, *keep);
                assert_eq!(hits.len(), expected.len().min(limit));
                for (hit, (score, n)) in hits.iter().zip(expected) {
                    let found = f64::from(hit.score);
                    assert!((found - score).abs() < 1e-4, "{metric:?}: {found}, {score}");
                    assert_eq!((&hit.id, &hit.payload), (&point(n).id, &point(n).payload));
                }
            }
        }
    }

    let lean = Query::nearest("dot", vector(7))
        .limit(3)
        .with_payload(false);
    let rich = lean.clone().with_payload(true).with_vectors(true);
    let lean = way.finish(docs.search(lean)).await.unwrap();
    let rich = way.finish(docs.search(rich)).await.unwrap();
    for (lean, rich) in lean.iter().zip(&rich) {
        assert_eq!((&lean.id, lean.score), (&rich.id, rich.score));
        assert!(lean.payload.is_empty() && lean.vectors.is_empty());
        let stored = way.finish(docs.get(&rich.id)).await.unwrap().unwrap();
        assert_eq!(
            (&stored.vectors, &stored.payload),
            (&rich.vectors, &rich.payload)
        );
    }

    // Equal scores: the smaller id first.
    let twins: Vec<_> = ["b", "a", "c"].map(|id| point_with(id, vector(1))).into();
    let named = way
        .finish(db.create_collection("twins", schema()))
        .await
        .unwrap();
    way.finish(named.upsert(twins)).await.unwrap();
    let hits = way
        .finish(named.search(Query::nearest("cosine", vector(1)).limit(2)))
        .await;
    let ids: Vec<_> = hits.unwrap().into_iter().map(|hit| hit.id).collect();
    assert_eq!(ids, ["a", "b"].map(PointId::from));
    way.finish(db.close()).await.unwrap();
}

fn point_with(id: &str, values: Vec<f32>) -> amphora::Point {
    amphora::Point::new(id).vector("cosine", values)
}
