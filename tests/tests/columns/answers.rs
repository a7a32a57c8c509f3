//! Every way of asking of a field, before it is declared, while its columns are made, and afterwards.

use super::{FIELDS, declare, files, fill, new, open, settle};
use amphora::{
    Collection, Database, Facet, Field, Filter, GeoPoint, GroupBy, OrderBy, Query, Scroll, field,
};
use amphora_tests::random::Random;
use serde_json::json;

fn filters() -> Vec<Filter> {
    let mut filters = vec![
        field("tag").eq("tag-3"),
        field("tag").any_of(["tag-1", "tag-7", "none"]),
        field("tag").except(["tag-1", "tag-2"]),
        field("tag").starts_with("tag-1"),
        field("tag").contains("-4"),
        field("whole").within(-5..12),
        field("whole").eq(7),
        field("number").at_least(12.25) & field("number").below(20),
        field("flag").eq(true),
        !field("flag").eq(false),
        field("time").at_least("2024-01-20"),
        field("time").eq("2024-01-03T00:00:00Z"),
        field("key").eq(uuid::Uuid::from_u128(4).to_string()),
        field("place").near(GeoPoint::new(20.0, 10.0), 3e6),
        field("author.born").above(1820),
    ];
    for (name, _) in FIELDS {
        filters.push(field(name).is_null());
        filters.push(field(name).is_empty());
        filters.push(field(name).count(2..));
        filters.push(field(name).eq("seven"));
    }
    filters.push(field("tag").eq("tag-3") | field("whole").eq(3) & !field("flag").eq(true));
    filters
}

/// What is asked, and the answer.
fn answers(docs: &Collection) -> Vec<(String, String)> {
    let mut answers = Vec::new();
    let mut answer =
        |what: String, answer: &dyn std::fmt::Debug| answers.push((what, format!("{answer:?}")));
    for filter in filters() {
        let count = docs.count_matching(filter.clone()).wait().unwrap();
        let about = docs.estimate_count(filter.clone()).wait().unwrap();
        assert!(
            (about.least..=about.most).contains(&count),
            "{filter}: {about:?}, not {count}"
        );
        let query = Query::nearest("v", [400.0, 1.0])
            .filter(filter.clone())
            .limit(20);
        let hits = docs.search(query).wait().unwrap();
        let all: Vec<_> = docs
            .scroll_matching(filter.clone())
            .into_iter()
            .map(|point| point.unwrap().id)
            .collect();
        assert_eq!(all.len() as u64, count);
        answer(filter.to_string(), &(hits, all));
    }
    for (name, _) in FIELDS {
        for filter in [
            None,
            Some(field("id").below(300)),
            Some(field("flag").eq(true)),
        ] {
            let mut facet = Facet::new(name).limit(100);
            facet.filter = filter;
            let what = format!("{facet:?}");
            answer(what, &docs.facet(facet).wait().unwrap());
        }
        for order in [OrderBy::ascending(name), OrderBy::descending(name)] {
            let query = Query::order_by(order.clone())
                .offset(3)
                .limit(40)
                .with_payload(false);
            answer(format!("{query:?}"), &docs.search(query).wait().unwrap());
            let scroll = || {
                Scroll::new()
                    .order_by(order.clone())
                    .with_vectors(false)
                    .limit(130)
            };
            let (mut ids, mut after) = (Vec::new(), None);
            loop {
                let page = docs.scroll_page(scroll().after(after)).wait().unwrap();
                ids.extend(page.points.into_iter().map(|point| point.id));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            answer(format!("pages by {order:?}"), &ids);
        }
        let query = Query::nearest("v", [300.0, 1.0]).limit(5);
        let groups = docs.search_groups(query, GroupBy::new(name).size(3));
        answer(format!("groups by {name}"), &groups.wait().unwrap());
    }
    answers
}

fn check(docs: &Collection, expected: &[(String, String)], when: &str) {
    for ((what, found), (_, expected)) in answers(docs).iter().zip(expected) {
        assert_eq!(found, expected, "{what}, {when}");
    }
}

/// How many segments have nothing for this field but payloads.
fn unknown(docs: &Collection, filter: Filter) -> usize {
    let query = Query::nearest("v", [1.0, 1.0]).filter(filter);
    let explained = docs.explain(query).wait().unwrap();
    let parts = explained.query.parts.into_iter();
    parts
        .filter(|part| part.segment.is_some() && part.estimated.is_none())
        .count()
}

fn asked(docs: &Collection) -> Vec<usize> {
    [
        field("tag").eq("tag-3"),
        field("whole").below(3),
        field("flag").eq(true),
        field("time").at_least("2024-01-20"),
        field("place").near(GeoPoint::new(20.0, 10.0), 3e6),
    ]
    .map(|filter| unknown(docs, filter))
    .to_vec()
}

fn several_segments(db: &Database) -> usize {
    let segments = db.stats().segments;
    assert!(segments >= 2, "{segments} segments");
    segments
}

#[test]
fn answers_are_the_same_before_while_and_after_columns_are_made() {
    for fits in [true, false] {
        let (vfs, db, docs) = new();
        fill(&db, &docs, fits, &mut Random(11));
        let expected = answers(&docs);
        let segments = several_segments(&db);
        assert_eq!(asked(&docs), [segments; 5], "nothing is declared");
        let held = docs.read_view().wait().unwrap();

        declare(&docs, &FIELDS);
        check(&docs, &expected, "while columns are made");
        settle(&db);
        check(&docs, &expected, "with columns");
        assert_eq!(asked(&docs)[..2], [0; 2], "no payload is asked");
        if fits {
            assert_eq!(asked(&docs), [0; 5]);
        }
        assert_eq!(files(&vfs).len(), segments, "one for each segment");
        assert_eq!(
            held.count_matching(field("tag").eq("tag-3"))
                .wait()
                .unwrap(),
            {
                docs.count_matching(field("tag").eq("tag-3"))
                    .wait()
                    .unwrap()
            }
        );
        db.close().wait().unwrap();

        let db = open(&vfs);
        let docs = db.collection("docs").wait().unwrap();
        assert_eq!(db.stats().wanting_columns, 0);
        check(&docs, &expected, "opened again");
        assert_eq!(asked(&docs)[..2], [0; 2]);
        db.optimize().wait().unwrap();
        check(&docs, &expected, "merged");
        assert_eq!(files(&vfs), [""; 0], "the merged segment has its own");
        db.close().wait().unwrap();
    }
}

#[test]
fn answers_are_the_same_when_a_field_is_declared_anew() {
    let (vfs, db, docs) = new();
    fill(&db, &docs, true, &mut Random(5));
    let expected = answers(&docs);
    declare(&docs, &FIELDS);
    settle(&db);
    let segments = several_segments(&db);
    let before = files(&vfs);

    // Of another type, whose columns take the place of the others.
    for (name, other) in [
        ("whole", Field::Float),
        ("tag", Field::Uuid),
        ("time", Field::Keyword),
    ] {
        docs.drop_field(name).wait().unwrap();
        docs.add_field(name, other).wait().unwrap();
        check(&docs, &expected, "while other columns are made");
    }
    settle(&db);
    check(&docs, &expected, "with other columns");
    assert_eq!(unknown(&docs, field("time").starts_with("2024-01-2")), 0);
    let after = files(&vfs);
    assert_eq!(after.len(), segments);
    assert!(before.iter().all(|name| !after.contains(name)));

    // A column of the segment's own, of a type that is no longer declared.
    db.optimize().wait().unwrap();
    assert_eq!(files(&vfs).len(), 0);
    docs.drop_field("time").wait().unwrap();
    docs.add_field("time", Field::DateTime).wait().unwrap();
    settle(&db);
    assert_eq!(files(&vfs).len(), 1);
    assert_eq!(unknown(&docs, field("time").at_least("2024-01-20")), 0);
    check(&docs, &expected, "with a column beside that of the segment");
    // And back.
    docs.drop_field("time").wait().unwrap();
    docs.add_field("time", Field::Keyword).wait().unwrap();
    settle(&db);
    check(&docs, &expected, "with the column of the segment");
    assert_eq!(files(&vfs).len(), 0);
    db.close().wait().unwrap();
}

/// Without the points to count: what is damaged says so.
#[test]
fn with_columns_no_payload_is_read() {
    use amphora::{ErrorKind, Point, vfs::Vfs};
    let (vfs, db, docs) = new();
    let mut random = Random(3);
    let needle = |id: u64| format!("needle-{id:06}-");
    let points: Vec<Point> = (0..400)
        .map(|id| {
            let noise: String = (0..900)
                .map(|_| (33 + random.below(90)) as u8 as char)
                .collect();
            let noise = noise.replace(['"', '\\'], "!");
            let payload =
                json!({ "n": id % 7, "m": id % 7, "noise": format!("{}{noise}", needle(id)) });
            Point::new(id)
                .vector("v", [id as f32, 1.0])
                .payload(payload)
        })
        .collect();
    docs.upsert(points).wait().unwrap();
    db.optimize().wait().unwrap();
    docs.add_field("n", Field::Integer).wait().unwrap();
    settle(&db);
    db.close().wait().unwrap();
    let segment = vfs
        .list()
        .unwrap()
        .into_iter()
        .find(|name| name.ends_with(".seg"))
        .unwrap();
    let mut content = vfs.content(&segment).unwrap();
    for id in 0..400 {
        let needle = needle(id).into_bytes();
        let at = content
            .windows(needle.len())
            .position(|window| window == needle);
        content[at.expect("what cannot be packed stands there")] ^= 1;
    }
    vfs.set_content(&segment, content);

    let db = open(&vfs);
    let docs = db.collection("docs").wait().unwrap();
    let bare = |query: Query| query.with_payload(false).with_vectors(false);
    assert_eq!(docs.count_matching(field("n").eq(3)).wait().unwrap(), 57);
    let about = docs.estimate_count(field("n").eq(3)).wait().unwrap();
    assert_eq!((about.least, about.most), (57, 57));
    let facets = docs.facet(Facet::new("n")).wait().unwrap();
    assert_eq!((facets.len(), facets[0].count), (7, 58));
    let nearest = bare(
        Query::nearest("v", [9.0, 1.0])
            .filter(field("n").eq(2))
            .limit(3),
    );
    assert_eq!(docs.search(nearest).wait().unwrap()[0].id, 9.into());
    let ids = docs.scroll_by(Scroll::new().filter(field("n").eq(6)).with_payload(false));
    assert_eq!(ids.into_iter().filter(Result::is_ok).count(), 57);
    for refused in [
        docs.count_matching(field("m").eq(3)).wait().unwrap_err(),
        docs.facet(Facet::new("m")).wait().unwrap_err(),
        docs.get(3).wait().unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::Corrupted, "{refused}");
    }
    db.close().wait().unwrap();
}
