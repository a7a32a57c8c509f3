//! Facets and estimated counts against counting point by point: in memory, in segments, with and without a
//! declared field.

use super::new;
use amphora::{
    Collection, CountEstimate, ErrorKind, Facet, FacetHit, Field, Filter, Point, PointId, field,
};
use amphora_tests::random::Random;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

type Model = BTreeMap<PointId, Point>;

const FIELDS: [&str; 4] = ["word", "number", "flag", "mixed"];

/// A point that fits declared fields, or not.
fn point(id: u64, fits: bool, random: &mut Random) -> Point {
    let word = |random: &mut Random| json!(format!("w{}", random.below(5)));
    let mixed = [
        json!(1),
        json!(1.0),
        json!("1"),
        json!(true),
        json!(null),
        json!([[1], {}]),
    ];
    let payload = json!({
        "id": id,
        "word": match random.below(5) {
            0 => json!(null),
            // Some values come twice.
            1 if fits => json!([word(random), word(random), "w1"]),
            1 => json!([word(random), word(random), 7, "w1"]),
            _ => word(random),
        },
        "number": match random.below(6) {
            0 => json!(u64::MAX - random.below(2)),
            1 => json!([-1.5, 2, 2.0]),
            _ => json!(random.below(4)),
        },
        "flag": random.below(3) == 0,
        "mixed": mixed[random.below(mixed.len() as u64) as usize],
        "inner": [{ "x": random.below(3) }, { "x": random.below(3) }],
    });
    Point::new(id).payload(payload)
}

/// What a value is the same as others by: its kind and what it is worth.
fn key(value: &Value) -> Option<(u8, i128, String)> {
    match value {
        Value::Bool(value) => Some((0, i128::from(*value), String::new())),
        // Halves are the only fractions here.
        Value::Number(number) => {
            let whole = number.as_i128().map(|number| number * 2);
            let twice = whole.unwrap_or((number.as_f64().unwrap() * 2.0) as i128);
            Some((1, twice, String::new()))
        }
        Value::String(text) => Some((2, 0, text.clone())),
        _ => None,
    }
}

fn values<'a>(point: &'a Value, path: &str) -> Vec<&'a Value> {
    let found = match path.split_once('.') {
        Some((outer, inner)) => {
            let items = point[outer].as_array().unwrap().iter();
            return items.map(|item| &item[inner]).collect();
        }
        None => &point[path],
    };
    found
        .as_array()
        .map_or_else(|| vec![found], |items| items.iter().collect())
}

fn expected(
    model: &Model,
    path: &str,
    keep: impl Fn(u64) -> bool,
) -> Vec<((u8, i128, String), u64)> {
    let mut counts = BTreeMap::new();
    for point in model.values() {
        let payload = point.payload.to_value();
        if keep(payload["id"].as_u64().unwrap()) {
            let keys: BTreeSet<_> = values(&payload, path).into_iter().filter_map(key).collect();
            keys.into_iter()
                .for_each(|key| *counts.entry(key).or_insert(0) += 1);
        }
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

fn keyed(hits: &[FacetHit]) -> Vec<((u8, i128, String), u64)> {
    hits.iter()
        .map(|hit| (key(&hit.value).unwrap(), hit.count))
        .collect()
}

fn check(docs: &Collection, model: &Model, place: &str) {
    for path in FIELDS.into_iter().chain(["inner.x", "none"]) {
        if path == "none" {
            assert_eq!(docs.facet(Facet::new(path)).wait().unwrap(), []);
            continue;
        }
        type Keep = fn(u64) -> bool;
        let filters: [(Option<Filter>, Keep); 4] = [
            (None, |_| true),
            (Some(field("id").at_least(100)), |id| id >= 100),
            (Some(field("id").below(20)), |id| id < 20),
            (Some(!field("id").below(20)), |id| id >= 20),
        ];
        for (filter, keep) in filters {
            let all = expected(model, path, keep);
            for limit in [1, 3, 100] {
                // Parts are small: what is approximate is exact, but for rows that have ended.
                let mut facet = Facet::new(path).limit(limit);
                facet.filter = filter.clone();
                let hits = docs.facet(facet.clone()).wait().unwrap();
                let most: Vec<_> = all.iter().take(limit).cloned().collect();
                assert_eq!(keyed(&hits), most, "{path} {filter:?} in {place}");
                let about = docs.facet(facet.approximate()).wait().unwrap();
                if filter.is_some() {
                    assert_eq!(about, hits);
                } else {
                    let counted = |hits: &[FacetHit]| hits.iter().map(|hit| hit.count).sum::<u64>();
                    assert!(counted(&about) >= counted(&hits));
                }
            }
        }
    }
    for (filter, of_columns) in [
        (field("number").at_least(2), true),
        (field("word").eq("w1"), true),
        (!field("word").eq("w1") & field("flag").eq(true), true),
        (field("number").eq(1) | field("flag").eq(true), true),
        (field("inner.x").eq(1), false),
    ] {
        let CountEstimate { least, most } = docs.estimate_count(filter.clone()).wait().unwrap();
        let count = docs.count_matching(filter.clone()).wait().unwrap();
        assert!(
            (least..=most).contains(&count),
            "{count} of {least} to {most}, {filter:?} in {place}"
        );
        if place == "merged" && of_columns && filter == field("word").eq("w1") {
            assert_eq!((least, most), (count, count));
        }
    }
}

#[test]
fn facets_and_estimates_agree_with_counting_wherever_points_lie() {
    for declared in [false, true] {
        let (db, docs) = new();
        let (mut model, mut random) = (Model::new(), Random(7));
        let soon = SystemTime::now() + Duration::from_millis(30);
        for step in 0..30u64 {
            let fits = declared && step >= 10;
            // What was written before may be of other types.
            if declared && step == 10 {
                let kinds = [Field::Keyword, Field::Float, Field::Bool];
                for (name, kind) in FIELDS.into_iter().zip(kinds) {
                    docs.add_field(name, kind).wait().unwrap();
                }
                docs.add_field("id", Field::Integer).wait().unwrap();
            }
            let points: Vec<_> = (0..20)
                .map(|_| point(random.below(300), fits, &mut random))
                .collect();
            let expiring = Point {
                expires_at: Some(soon),
                ..point(1_000 + step, fits, &mut random)
            };
            model.extend(points.iter().map(|it| (it.id.clone(), it.clone())));
            docs.upsert(points.into_iter().chain([expiring]))
                .wait()
                .unwrap();
            let gone: Vec<PointId> = (0..5).map(|_| random.below(300).into()).collect();
            docs.delete(&gone).wait().unwrap();
            model.retain(|id, _| !gone.contains(id));
        }
        while SystemTime::now() < soon + Duration::from_millis(5) {
            std::thread::yield_now();
        }
        check(&docs, &model, "memory and segments");
        db.optimize().wait().unwrap();
        check(
            &docs,
            &model,
            if declared {
                "merged"
            } else {
                "merged, undeclared"
            },
        );
        docs.delete((0..300).step_by(3)).wait().unwrap();
        model.retain(|id, _| !matches!(id, PointId::Number(id) if id % 3 == 0));
        check(&docs, &model, "a segment with holes");
    }
}

#[test]
fn a_sample_is_about_right_whatever_the_rhythm() {
    let (db, docs) = new();
    for first in (0..48_000u64).step_by(6_000) {
        let points = (first..first + 6_000)
            .map(|id| Point::new(id).payload(json!({ "kind": id % 16, "even": id % 2 == 0 })));
        docs.upsert(points).wait().unwrap();
    }
    db.optimize().wait().unwrap();
    let facet = Facet::new("kind").limit(20).approximate();
    for (facet, values, each) in [
        (facet.clone(), 16, 3_000.0),
        (facet.filter(field("even").eq(true)), 8, 3_000.0),
    ] {
        let hits = docs.facet(facet).wait().unwrap();
        assert_eq!(hits.len(), values);
        for hit in hits {
            let off = (hit.count as f64 - each).abs() / each;
            // Ten deviations of a sample of a third.
            assert!(off < 0.27, "{hit:?} is to be about {each}");
        }
    }
}

#[test]
fn what_is_no_facet_is_refused() {
    let (_, docs) = new();
    for (facet, told) in [
        (Facet::new(""), "empty"),
        (Facet::new("a").limit(0), "limit of a facet is 0"),
        (Facet::new("a").limit(10_001), "10001"),
        (Facet::new("a").filter(field("").eq(1)), "empty"),
    ] {
        let refused = docs.facet(facet).wait().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        assert!(refused.to_string().contains(told), "{refused}");
    }
}
