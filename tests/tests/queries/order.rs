//! Points in the order of a field, and by chance.

use super::{Subject, filters, number};
use amphora::{Database, ErrorKind, Field, Fusion, OrderBy, Point, Query, Schema, Scroll};
use amphora_tests::brute;
use serde_json::{Value, json};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    thread,
};

/// Booleans, numbers, strings.
fn compare(a: &Value, b: &Value) -> Ordering {
    let kind = |value: &Value| match value {
        Value::Bool(_) => 0,
        Value::Number(_) => 1,
        _ => 2,
    };
    let same_kind = || match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => {
            a.as_f64().partial_cmp(&b.as_f64()).expect("finite numbers")
        }
        (Value::String(a), Value::String(b)) => a.cmp(b),
        _ => Ordering::Equal,
    };
    kind(a).cmp(&kind(b)).then_with(same_kind)
}

/// A value as hits show it.
fn told(value: Value) -> Value {
    let whole = value.as_f64().filter(|number| number.fract() == 0.0);
    whole.map_or(value, |number| (number as i64).into())
}

/// All points in order, each with its value.
fn model(subject: &Subject, order: &OrderBy, keep: impl Fn(u64) -> bool) -> Vec<(u64, Value)> {
    let directed = |a: &Value, b: &Value| match order.descending {
        true => compare(b, a),
        false => compare(a, b),
    };
    let mut all = Vec::new();
    for (id, point) in subject.points.iter().filter(|(id, _)| keep(**id)) {
        let payload = point.payload.to_value();
        let value = payload.get(&order.field).cloned().unwrap_or(Value::Null);
        let values = match value {
            Value::Array(items) => items,
            value => vec![value],
        };
        let values = values.into_iter().filter(|value| !value.is_null());
        let first = values.min_by(directed);
        let starts = |value: &Value| {
            let start = order.start_from.as_ref();
            start.is_none_or(|start| directed(value, start).is_ge())
        };
        all.extend(first.filter(starts).map(|value| (*id, told(value))));
    }
    all.sort_by(|a, b| directed(&a.1, &b.1).then(a.0.cmp(&b.0)));
    all
}

fn found(subject: &Subject, query: Query) -> Vec<(u64, Value)> {
    let hits = subject.search(query).into_iter();
    hits.map(|hit| {
        assert_eq!(hit.score, 0.0);
        (number(&hit.id), hit.order_value.expect("a value"))
    })
    .collect()
}

#[test]
fn points_come_in_the_order_of_any_field() {
    Subject::everywhere(|subject| {
        let fields = ["n", "rank", "name", "flag", "mixed", "group", "absent"];
        let starts = [
            None,
            Some(json!(2)),
            Some(json!("name 17")),
            Some(json!(true)),
            Some(json!(-0.75)),
        ];
        for (field, start) in fields
            .iter()
            .flat_map(|field| starts.iter().map(move |it| (field, it)))
        {
            for descending in [false, true] {
                let mut order = match descending {
                    false => OrderBy::ascending(*field),
                    true => OrderBy::descending(*field),
                };
                if let Some(start) = start {
                    order = order.start_from(start.clone());
                }
                let all = model(subject, &order, |_| true);
                let query = Query::order_by(order.clone());
                for limit in [1, 12, 10_000] {
                    let expected = &all[..all.len().min(limit)];
                    assert_eq!(
                        found(subject, query.clone().limit(limit)),
                        expected,
                        "{order:?}"
                    );
                }
                let page = found(
                    subject,
                    query.clone().offset(5).limit(5).with_payload(false),
                );
                let expected: Vec<_> = all.iter().skip(5).take(5).cloned().collect();
                assert_eq!(page, expected);
                for (filter, keep) in filters() {
                    let mut some = model(subject, &order, keep);
                    some.truncate(20);
                    let filtered = query.clone().filter(filter).limit(20);
                    assert_eq!(found(subject, filtered), some, "{order:?}");
                }
                let nearest = Query::nearest("dot", [1.0, 0.0, 2.0, -1.0]).limit(40);
                let among = subject.search(nearest.clone());
                let among: Vec<u64> = among.iter().map(|hit| number(&hit.id)).collect();
                let some = model(subject, &order, |id| among.contains(&id));
                let anew = query.limit(40).prefetch(nearest);
                assert_eq!(found(subject, anew), some);
            }
        }
    });
}

#[test]
fn an_order_may_be_fused_and_what_is_none_is_refused() {
    Subject::everywhere(|subject| {
        let by = |order| Query::order_by(order).limit(500);
        let query = Query::fuse(Fusion::rrf().k(1.0))
            .prefetch(by(OrderBy::ascending("n")))
            .prefetch(by(OrderBy::descending("n")))
            .limit(500);
        let count = subject.points.len();
        let mut expected: Vec<(f32, u64)> = (0..)
            .zip(subject.points.keys())
            .map(|(place, id)| {
                let gain = |rank: usize| 1.0 / (1.0 + rank as f64);
                ((gain(place + 1) + gain(count - place)) as f32, *id)
            })
            .collect();
        super::sort(&mut expected);
        assert_eq!(super::ranked(&subject.search(query)), expected);

        for order in [
            OrderBy::ascending(""),
            OrderBy::ascending("n").start_from(json!([1])),
            OrderBy::ascending("n").start_from(f64::NAN),
        ] {
            let error = subject
                .docs
                .search(Query::order_by(order))
                .wait()
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        }
    });
}

fn sample(subject: &Subject, query: Query) -> Vec<u64> {
    subject
        .search(query)
        .iter()
        .map(|hit| number(&hit.id))
        .collect()
}

#[test]
fn a_sample_is_of_the_points_that_match_and_stays() {
    Subject::everywhere(|subject| {
        let size = subject.points.len();
        for seed in 0..20 {
            let all = sample(subject, Query::random(seed).limit(10_000));
            let ids: BTreeSet<u64> = all.iter().copied().collect();
            assert_eq!((all.len(), ids.len()), (size, size));
            assert!(ids.iter().eq(subject.points.keys()));
            let some = sample(subject, Query::random(seed).offset(2).limit(9));
            assert!(some.iter().eq(all.iter().skip(2).take(9)));
            for (filter, keep) in filters() {
                let some = sample(subject, Query::random(seed).filter(filter).limit(9));
                assert!(some.iter().eq(all.iter().filter(|id| keep(**id)).take(9)));
            }
            let first = Query::order_by(OrderBy::ascending("n")).limit(30);
            let among = sample(subject, Query::random(seed).limit(9).prefetch(first));
            let firsts: Vec<u64> = subject.points.keys().take(30).copied().collect();
            assert!(
                among
                    .iter()
                    .eq(all.iter().filter(|id| firsts.contains(id)).take(9))
            );
        }
    });
}

#[test]
fn every_point_is_as_likely_at_every_place() {
    Subject::everywhere(|subject| {
        let size = subject.points.len() as u64;
        if size == 0 {
            return;
        }
        let mut drawn: BTreeMap<u64, u64> = BTreeMap::new();
        let (samples, each) = (150, 20);
        for seed in 0..samples {
            for id in sample(subject, Query::random(seed).limit(each).with_payload(false)) {
                *drawn.entry(id).or_default() += 1;
            }
        }
        // The sum of squared deviations, in units of what is expected of it: chi squared.
        let expected = (samples * each as u64) as f64 / size as f64;
        let square = |id: &u64| {
            let count = *drawn.get(id).unwrap_or(&0) as f64;
            (count - expected).powi(2) / expected
        };
        let chi: f64 = subject.points.keys().map(square).sum();
        let freedom = size as f64 * (1.0 - each as f64 / size as f64);
        // Six standard deviations.
        let slack = 6.0 * (2.0 * freedom).sqrt();
        assert!((chi - freedom).abs() < slack, "{chi} of {freedom}");
    });
}

/// Strings that are date-times come by their instants once the field is declared to hold such, before all others.
#[test]
fn declared_date_times_come_in_the_order_of_time() {
    let directory = tempfile::tempdir().expect("a directory");
    let db = Database::builder(directory.path())
        .open()
        .wait()
        .expect("it opens");
    let docs = db
        .create_collection("docs", Schema::new())
        .wait()
        .expect("new");
    // The hour, and how far ahead of UTC the clock is; what is none only before it is declared.
    let written = |id: u64| match id {
        10 => json!(["not yet", 7]),
        11 => json!("not yet"),
        _ if id.is_multiple_of(9) => json!("2024-05-02"),
        _ => {
            let (hour, ahead) = (12 + id * 7 % 12, id * 5 % 11);
            json!(format!("2024-05-01T{hour:02}:00:00+{ahead:02}:00"))
        }
    };
    let points =
        |ids: Range<u64>| ids.map(|id| Point::new(id).payload(json!({ "at": written(id) })));
    // Numbers, instants, other strings.
    let key = |value: &Value| match value.as_str().map(brute::instant) {
        None => (0, 0),
        Some(Some(at)) => (1, at),
        Some(None) => (2, 0),
    };
    let first = |id: u64, descending: bool| {
        let keys = match written(id) {
            Value::Array(all) => all.iter().map(key).collect(),
            one => vec![key(&one)],
        };
        let first = if descending {
            keys.iter().max()
        } else {
            keys.iter().min()
        };
        *first.expect("a value")
    };
    let check = |ids: Range<u64>, when: &str| {
        for descending in [false, true] {
            for start in [None, Some("2024-05-01T20:00:00+02:00"), Some("not yet")] {
                let directed = |a: &(i32, i64), b: &(i32, i64)| match descending {
                    true => b.cmp(a),
                    false => a.cmp(b),
                };
                let from = start.map(|start| key(&start.into()));
                let mut expected: Vec<_> = ids
                    .clone()
                    .map(|id| (first(id, descending), id))
                    .filter(|(key, _)| from.is_none_or(|from| directed(key, &from).is_ge()))
                    .collect();
                expected.sort_by(|a, b| directed(&a.0, &b.0).then(a.1.cmp(&b.1)));
                let expected: Vec<_> = expected.into_iter().map(|(_, id)| id).collect();
                let mut order = match descending {
                    true => OrderBy::descending("at"),
                    false => OrderBy::ascending("at"),
                };
                if let Some(start) = start {
                    order = order.start_from(start);
                }
                let hits = docs
                    .search(Query::order_by(order.clone()).limit(500))
                    .wait();
                let hits = hits.expect("hits").into_iter().map(|hit| number(&hit.id));
                assert_eq!(hits.collect::<Vec<_>>(), expected, "{when}, {order:?}");
                let (mut paged, mut after) = (Vec::new(), None);
                loop {
                    let page = Scroll::new().order_by(order.clone()).limit(7).after(after);
                    let page = docs.scroll_page(page).wait().expect("a page");
                    paged.extend(page.points.iter().map(|point| number(&point.id)));
                    after = page.next;
                    if after.is_none() {
                        break;
                    }
                }
                assert_eq!(paged, expected, "{when}, page by page, {order:?}");
            }
        }
    };
    docs.upsert(points(0..20)).wait().expect("written");
    db.flush().wait().expect("flushed");
    docs.add_field("at", Field::DateTime)
        .wait()
        .expect("declared");
    check(0..20, "while a column is made, or beside it");
    while db.stats().wanting_columns > 0 {
        thread::yield_now();
    }
    check(0..20, "with others beside a column");
    docs.upsert(points(20..80)).wait().expect("written");
    check(0..80, "also in memory");
    db.flush().wait().expect("flushed");
    check(0..80, "also in a column that has all of its segment");
    docs.upsert(points(80..150)).wait().expect("written");
    db.optimize().wait().expect("merged");
    check(0..150, "in one segment");
    docs.delete([10, 11]).wait().expect("deleted");
    db.optimize().wait().expect("merged");
    let first = Query::order_by(OrderBy::ascending("at")).limit(1);
    let hits = docs.search(first).wait().expect("hits");
    let earliest = (0..150).filter(|id| *id != 10 && *id != 11);
    let earliest = earliest.min_by_key(|id| (key(&written(*id)), *id));
    assert_eq!(Some(number(&hits[0].id)), earliest);
}
