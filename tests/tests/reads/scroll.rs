//! Pages in the order of ids: what a sorted map gives, wherever points lie, and stable while they are written.

use super::{ids, new, point};
use amphora::{
    Collection, Cursor, CursorValue, ErrorKind, Field, Filter, OrderBy, Point, PointId, Projection,
    Scroll, field, vfs::MemoryVfs,
};
use amphora_tests::{
    meanwhile::meanwhile,
    opening::{self, Memory},
    random::Random,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Model = BTreeMap<PointId, Point>;

/// An id of any of the three sorts.
fn id(number: u64) -> PointId {
    match number % 4 {
        0 => uuid::Uuid::from_u128(u128::from(number.wrapping_mul(0x9E37_79B9)) << 64).into(),
        1 => format!("text {}", number % 97).into(),
        _ => number.into(),
    }
}

fn is_even(point: &Point) -> bool {
    point.payload.get("even") == Some(&true.into())
}

fn even() -> Filter {
    field("even").eq(true)
}

/// All pages, each from what its cursor is as a string.
fn pages(docs: &Collection, scroll: &Scroll) -> Vec<Point> {
    let (mut points, mut after) = (Vec::new(), scroll.after.clone());
    loop {
        let page = docs
            .scroll_page(scroll.clone().after(after.take()))
            .wait()
            .unwrap();
        let limit = scroll.limit.unwrap_or(Scroll::DEFAULT_PAGE);
        assert!(page.points.len() <= limit);
        assert!(page.next.is_none() || page.points.len() == limit);
        let last = page.points.last().map(|point| point.id.clone());
        assert!(page.next.is_none() || page.next.as_ref().map(|it| &it.id) == last.as_ref());
        points.extend(page.points);
        match page.next {
            Some(next) => after = Some(next.to_string().parse().unwrap()),
            None => return points,
        }
    }
}

fn check(docs: &Collection, model: &Model, random: &mut Random) {
    let limit = 1 + random.below(40) as usize;
    let all: Vec<&Point> = model.values().collect();
    assert!(
        pages(docs, &Scroll::new().limit(limit))
            .iter()
            .eq(all.iter().copied())
    );
    let matching = pages(docs, &Scroll::new().limit(limit).filter(even()));
    assert!(
        matching
            .iter()
            .eq(all.iter().copied().filter(|it| is_even(it)))
    );

    let after = Cursor {
        id: id(random.below(600)),
        value: None,
    };
    let behind: Vec<&Point> = model.values().filter(|it| it.id > after.id).collect();
    let scroll = Scroll::new().limit(limit).after(after);
    assert!(pages(docs, &scroll).iter().eq(behind.iter().copied()));
    let feed: Vec<Point> = docs
        .scroll_by(scroll)
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert!(feed.iter().eq(behind.into_iter().take(limit)));

    let bare = Scroll::new()
        .order_by_id()
        .with_payload(false)
        .with_vectors(false);
    let feed = docs.scroll_by(bare).into_iter().map(Result::unwrap);
    assert!(feed.eq(model.keys().map(Point::new)));
    let shown = Scroll::new()
        .limit(limit)
        .with_payload(Projection::include(["even"]));
    let mut written: Vec<_> = docs
        .scroll_by(shown)
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert_eq!(written.len(), limit.min(model.len()));
    written.sort_by_key(|it| it.id.clone());
    for point in written {
        let whole = &model[&point.id];
        assert_eq!(point.vectors, whole.vectors);
        assert_eq!(point.payload.get("even"), whole.payload.get("even"));
        assert_eq!(point.payload.get("version"), None);
    }
}

#[test]
fn pages_are_what_a_sorted_map_gives_wherever_points_lie() {
    for seed in 0..3 {
        let (db, docs) = new();
        if seed == 1 {
            docs.add_field("even", Field::Bool).wait().unwrap();
        }
        let (mut model, mut random) = (Model::new(), Random(seed));
        for step in 0..60 {
            let points: Vec<Point> = (0..random.below(20))
                .map(|_| {
                    let number = random.below(600);
                    Point {
                        id: id(number),
                        ..point(number, step)
                    }
                })
                .collect();
            model.extend(points.iter().map(|point| (point.id.clone(), point.clone())));
            if !points.is_empty() {
                docs.upsert(points).wait().unwrap();
            }
            let gone: Vec<_> = (0..=random.below(6))
                .map(|_| id(random.below(600)))
                .collect();
            docs.delete(&gone).wait().unwrap();
            model.retain(|id, _| !gone.contains(id));
            if step % 20 == 19 {
                db.optimize().wait().unwrap();
            }
            if step % 7 == 0 || step % 20 == 19 {
                check(&docs, &model, &mut random);
            }
        }
    }
}

/// Writers replace, delete and write all points but the ones that are looked for, while these are paged through:
/// they come in order, and each once.
#[test]
fn what_stays_comes_once_and_in_order_while_writers_run() {
    let (db, docs) = new();
    let stays = |id: u64| id.is_multiple_of(3);
    docs.upsert((0..900).map(|id| point(id, 0))).wait().unwrap();
    let writes = |random: &mut Random, version| {
        // What stays is written again, what does not comes and goes.
        let some = (0..15).map(|_| point(random.below(900), version));
        docs.upsert(some.collect::<Vec<_>>()).wait().unwrap();
        let gone: Vec<u64> = (0..15).map(|_| random.below(900)).collect();
        docs.delete(gone.into_iter().filter(|id| !stays(*id)))
            .wait()
            .unwrap_or_default();
        if version % 50 == 0 {
            db.optimize().wait().unwrap();
        }
    };
    meanwhile(2, writes, || {
        for round in 0..40 {
            let scroll = Scroll::new().limit(7 + round);
            let found = ids(&pages(&docs, &scroll));
            assert!(found.is_sorted_by(|a, b| a < b), "ascending, and each once");
            let staying = found
                .iter()
                .filter(|id| matches!(id, PointId::Number(id) if stays(*id)));
            assert_eq!(staying.count(), 300);
        }
    });
}

/// The value that a point is ordered by: booleans, then numbers, then strings; of a list the smallest or the largest.
fn key(point: &Point, descending: bool) -> Option<(u8, i64, String)> {
    let key = |value: &Value| match value {
        Value::Bool(value) => Some((0, i64::from(*value), String::new())),
        // Halves are the only fractions here.
        Value::Number(number) => Some((1, (number.as_f64().unwrap() * 2.0) as i64, String::new())),
        Value::String(text) => Some((2, 0, text.clone())),
        _ => None,
    };
    let value = point.payload.get("rank")?;
    let values = value
        .as_array()
        .map_or_else(|| vec![value], |items| items.iter().collect());
    let keys = values.into_iter().filter_map(key);
    if descending { keys.max() } else { keys.min() }
}

fn ranked(number: u64, fits: bool, random: &mut Random) -> Point {
    let rank = match random.below(8) {
        0 => json!(null),
        1 => json!([random.below(9), random.below(9)]),
        2 if !fits => json!([true, "b", 3.5]),
        3 if !fits => json!(random.below(2) == 0),
        4 if !fits => json!(format!("text {}", random.below(5))),
        5 => json!(random.below(9) as f64 + 0.5),
        _ => json!(random.below(9)),
    };
    let payload = json!({ "rank": rank, "even": number.is_multiple_of(2) });
    Point::new(id(number)).payload(payload)
}

fn check_order(docs: &Collection, model: &Model, random: &mut Random) {
    for descending in [false, true] {
        let order = match descending {
            false => OrderBy::ascending("rank"),
            true => OrderBy::descending("rank"),
        };
        let scroll = Scroll::new()
            .order_by(order)
            .limit(1 + random.below(40) as usize);
        for filter in [None, Some(even())] {
            let kept = model.values().filter(|it| filter.is_none() || is_even(it));
            let mut expected: Vec<_> = kept
                .filter_map(|it| Some((key(it, descending)?, &it.id)))
                .collect();
            expected.sort_by(|a, b| match descending {
                false => a.cmp(b),
                true => b.0.cmp(&a.0).then(a.1.cmp(b.1)),
            });
            let mut scroll = scroll.clone();
            scroll.filter = filter;
            let found = ids(&pages(docs, &scroll));
            assert!(found.iter().eq(expected.iter().map(|(_, id)| *id)));
            scroll.limit = None;
            let feed = docs.scroll_by(scroll).into_iter().map(|it| it.unwrap().id);
            assert!(feed.eq(found));
        }
    }
}

#[test]
fn pages_in_the_order_of_a_field_are_what_sorting_gives_wherever_points_lie() {
    for declared in [false, true] {
        let (db, docs) = new();
        let (mut model, mut random) = (Model::new(), Random(11));
        for step in 0..40 {
            let fits = declared && step >= 10;
            if declared && step == 10 {
                docs.add_field("rank", Field::Float).wait().unwrap();
            }
            let points: Vec<Point> = (0..15)
                .map(|_| ranked(random.below(400), fits, &mut random))
                .collect();
            model.extend(points.iter().map(|it| (it.id.clone(), it.clone())));
            docs.upsert(points).wait().unwrap();
            let gone: Vec<_> = (0..4).map(|_| id(random.below(400))).collect();
            docs.delete(&gone).wait().unwrap();
            model.retain(|id, _| !gone.contains(id));
            if step % 20 == 19 {
                check_order(&docs, &model, &mut random);
                db.optimize().wait().unwrap();
                check_order(&docs, &model, &mut random);
            }
        }
    }
}

/// As above, by a value that those points keep: others come and go, and change their values.
#[test]
fn what_keeps_its_value_comes_once_and_in_order_while_writers_run() {
    let (db, docs) = new();
    docs.add_field("version", Field::Integer).wait().unwrap();
    let stays = |id: u64| id.is_multiple_of(3);
    let version = |id: u64| id * 7 % 50;
    docs.upsert((0..600).map(|id| point(id, version(id))))
        .wait()
        .unwrap();
    let writes = |random: &mut Random, round| {
        let some: Vec<u64> = (0..15).map(|_| random.below(600)).collect();
        let points = some.iter().map(|id| match stays(*id) {
            true => point(*id, version(*id)),
            false => point(*id, random.below(50)),
        });
        docs.upsert(points.collect::<Vec<_>>()).wait().unwrap();
        if round % 50 == 0 {
            db.optimize().wait().unwrap();
        }
    };
    meanwhile(1, writes, || {
        for round in 0..20 {
            let scroll = Scroll::new().order_by(OrderBy::descending("version"));
            let found = pages(&docs, &scroll.limit(11 + round));
            let key = |it: &Point| it.payload.get("version").and_then(Value::as_u64).unwrap();
            let in_order = |a: &Point, b: &Point| (key(b), &a.id) < (key(a), &b.id);
            assert!(found.is_sorted_by(in_order), "descending, and then by ids");
            let staying = found
                .iter()
                .filter(|it| matches!(it.id, PointId::Number(id) if stays(id)));
            assert_eq!(staying.count(), 200);
        }
    });
}

#[test]
fn a_cursor_goes_on_in_another_database_handle() {
    let vfs = MemoryVfs::new();
    let open = || opening::open(vfs.clone(), Memory::Tiny).unwrap();
    let db = open();
    let docs = db
        .create_collection("docs", amphora::Schema::new())
        .wait()
        .unwrap();
    docs.upsert((0..50u64).map(Point::new)).wait().unwrap();
    let first = docs.scroll_page(Scroll::new().limit(20)).wait().unwrap();
    let cursor = first.next.unwrap().to_string();
    // The point that the page ended with goes.
    docs.delete([19]).wait().unwrap();
    db.close().wait().unwrap();
    let docs = open().collection("docs").wait().unwrap();
    let scroll = Scroll::new().after(cursor.parse::<Cursor>().unwrap());
    let rest = docs.scroll_page(scroll).wait().unwrap();
    assert_eq!(
        ids(&rest.points),
        (20..50).map(PointId::from).collect::<Vec<_>>()
    );
    assert_eq!(rest.next, None);
}

#[test]
fn what_no_page_can_have_is_refused() {
    let (_, docs) = new();
    let by_id = || Cursor {
        id: 1.into(),
        value: None,
    };
    let by_field = |value| Cursor {
        value: Some(CursorValue {
            field: "a".into(),
            descending: true,
            value,
        }),
        ..by_id()
    };
    for (scroll, told) in [
        (Scroll::new().limit(0), "limit of a page is 0"),
        (Scroll::new().limit(10_001), "10001"),
        (
            Scroll::new().after(Cursor {
                id: "".into(),
                value: None,
            }),
            "empty",
        ),
        (Scroll::new().filter(field("").eq(1)), "empty"),
        (Scroll::new().order_by(OrderBy::ascending("")), "empty"),
        (
            Scroll::new()
                .order_by(OrderBy::ascending("a"))
                .after(by_id()),
            "order of ids; expected one of the order of field \"a\", ascending",
        ),
        (
            Scroll::new()
                .order_by(OrderBy::ascending("a"))
                .after(by_field(json!(1))),
            "field \"a\", descending; expected",
        ),
        (Scroll::new().after(by_field(json!([1]))), "an array"),
        (Scroll::new().after(by_field(json!(1))), "order of ids"),
        (Scroll::new().with_vectors(Projection::include(["x"])), "x"),
    ] {
        let refused = docs.scroll_page(scroll).wait().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        assert!(refused.to_string().contains(told), "{refused}");
    }
}
