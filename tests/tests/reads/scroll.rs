//! Pages in the order of ids: what a sorted map gives, wherever points lie, and stable while they are written.

use super::{ids, new, point};
use amphora::vfs::MemoryVfs;
use amphora::{Collection, Cursor, ErrorKind, Filter, Point, PointId, Projection, Scroll, field};
use amphora_tests::{
    opening::{self, Memory},
    random::Random,
};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

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
            docs.add_field("even", amphora::Field::Bool).wait().unwrap();
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
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for seed in 0..2 {
            let (db, docs, over) = (&db, &docs, &over);
            scope.spawn(move || {
                let mut random = Random(seed);
                for version in 1.. {
                    if over.load(Ordering::Relaxed) {
                        return;
                    }
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
                }
            });
        }
        for round in 0..40 {
            let scroll = Scroll::new().limit(7 + round);
            let found = ids(&pages(&docs, &scroll));
            assert!(found.is_sorted_by(|a, b| a < b), "ascending, and each once");
            let staying = found
                .iter()
                .filter(|id| matches!(id, PointId::Number(id) if stays(*id)));
            assert_eq!(staying.count(), 300);
        }
        over.store(true, Ordering::Relaxed);
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
    for (scroll, told) in [
        (Scroll::new().limit(0), "limit of a page is 0"),
        (Scroll::new().limit(10_001), "10001"),
        (Scroll::new().after(Cursor { id: "".into() }), "empty"),
        (Scroll::new().filter(field("").eq(1)), "empty"),
        (Scroll::new().with_vectors(Projection::include(["x"])), "x"),
    ] {
        let refused = docs.scroll_page(scroll).wait().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        assert!(refused.to_string().contains(told), "{refused}");
    }
}
