//! Texts that nobody would write: words without an end, a million different ones, scripts without spaces or
//! from right to left, strings that are no words at all. Each is searched as it can be, or refused by name.

use amphora::{
    Collection, Database, ErrorKind, Hit, Limits, Options, Point, PointId, Query, Schema, Text,
    TextQuery, Tokenization, vfs::MemoryVfs,
};
use serde_json::json;

/// Of plain words, of pieces of three characters, and of words between spaces with their places.
fn schema() -> Schema {
    Schema::new()
        .text("plain", Text::plain())
        .text("spaces", Text::whitespace())
}

fn opened(limits: Limits, schema: Schema) -> (Database, Collection) {
    let options = Options {
        limits,
        ..Options::default()
    };
    let opening = Database::builder_on(MemoryVfs::new()).options(options);
    let db = opening.open().wait().expect("it opens");
    let docs = db.create_collection("docs", schema).wait().expect("new");
    (db, docs)
}

fn point(id: u64, text: &str) -> Point {
    Point::new(id).payload(json!({ "plain": text, "spaces": text }))
}

fn found(docs: &Collection, query: Query) -> Vec<u64> {
    let hits = docs.search(query.with_payload(false)).wait();
    let number = |hit: Hit| match hit.id {
        PointId::Number(number) => number,
        other => panic!("{other} was never written"),
    };
    let mut ids: Vec<u64> = hits.expect("hits").into_iter().map(number).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn a_word_of_100_megabytes_is_refused_or_passed_over() {
    const LONG: usize = 100 << 20;
    let long = "x".repeat(LONG);
    let (db, docs) = opened(Limits::default(), schema());
    let error = docs.upsert([point(1, &long)]).wait().expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    let message = error.to_string();
    assert!(
        message.contains("1048576") && message.len() < 1_000,
        "{message}"
    );
    assert_eq!(docs.count().wait().expect("a count"), 0);
    db.close().wait().expect("closed");

    // Who allows it gets the words around it.
    let wide = Limits {
        payload_bytes: 2 * LONG + 1_000,
        batch_bytes: 3 * LONG,
        ..Limits::default()
    };
    let schema = Schema::new().text("plain", Text::plain());
    let (db, docs) = opened(wide, schema);
    let text = json!({ "plain": format!("before {long} behind") });
    let written = docs.upsert([Point::new(1).payload(text)]).wait();
    written.expect("it is allowed");
    for _ in 0..2 {
        let phrase = TextQuery::phrase("before behind");
        assert_eq!(found(&docs, Query::text("plain", "behind")), [1]);
        assert_eq!(found(&docs, Query::text("plain", phrase)), [0; 0]);
        for query in [
            TextQuery::any(&long),
            TextQuery::prefix(&long),
            TextQuery::fuzzy(&long),
        ] {
            let answer = docs.search(Query::text("plain", query)).wait();
            let error = answer.expect_err("longer than queries may be");
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            let message = error.to_string();
            assert!(
                message.contains("65536") && message.len() < 1_000,
                "{message}"
            );
        }
        db.optimize().wait().expect("a segment");
    }
    db.close().wait().expect("closed");
}

#[test]
fn a_million_different_words_are_found_each() {
    const POINTS: u64 = 1_000;
    const WORDS: u64 = 1_000;
    let schema = Schema::new().text("plain", Text::plain().positions(false));
    let (db, docs) = opened(Limits::default(), schema);
    // Neighbours have nothing in common.
    let word = |number: u64| format!("w{:08x}", (number as u32).wrapping_mul(0x9E37_79B1));
    let points = (0..POINTS).map(|id| {
        let words = (0..WORDS).map(|at| word(id * WORDS + at));
        let text = words.collect::<Vec<_>>().join(" ");
        Point::new(id).payload(json!({ "plain": text }))
    });
    let points: Vec<Point> = points.collect();
    docs.upsert(points).wait().expect("written");
    for _ in 0..2 {
        for number in (0..POINTS * WORDS).step_by(99_991) {
            let asked = Query::text("plain", word(number).as_str());
            assert_eq!(found(&docs, asked), [number / WORDS], "{}", word(number));
        }
        let number = 123_456;
        let almost = format!("{}x", word(number));
        let fuzzy = Query::text("plain", TextQuery::fuzzy(almost).distance(1));
        assert_eq!(found(&docs, fuzzy), [number / WORDS]);
        // All words begin with it: as many of them as a prefix stands for find something.
        let all = Query::text("plain", TextQuery::prefix("w")).limit(POINTS as usize);
        assert!(!found(&docs, all).is_empty());
        assert_eq!(found(&docs, Query::text("plain", "w1")), [0; 0]);
        db.optimize().wait().expect("a segment");
    }
    db.close().wait().expect("closed");
}

#[test]
fn a_query_of_ten_thousand_words_names_what_is_allowed() {
    let (db, docs) = opened(Limits::default(), schema());
    docs.upsert([point(1, "w7")]).wait().expect("written");
    let words = |count: u32| (0..count).map(|n| format!("w{n}")).collect::<Vec<_>>();
    let many = words(10_000).join(" ");
    let each: Vec<TextQuery> = words(10_000).into_iter().map(TextQuery::any).collect();
    for query in [
        TextQuery::any(&many),
        TextQuery::all(&many),
        TextQuery::phrase(&many),
        TextQuery::prefix(&many),
        TextQuery::fuzzy(&many),
        TextQuery::at_least_of(1, each),
    ] {
        let answer = docs.search(Query::text("plain", query)).wait();
        let error = answer.expect_err("too many");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        let message = error.to_string();
        assert!(
            message.contains("1024") && message.len() < 1_000,
            "{message}"
        );
    }
    let error =
        TextQuery::parse(&many).map(|query| docs.search(Query::text("plain", query)).wait());
    let error = error.map_or_else(
        |error| error.to_string(),
        |hits| hits.expect_err("too many").to_string(),
    );
    assert!(error.contains("1024") && error.len() < 1_000, "{error}");
    assert_eq!(
        found(&docs, Query::text("plain", words(1_000).join(" ").as_str())),
        [1]
    );
    db.close().wait().expect("closed");
}

#[test]
fn every_script_is_searched_by_its_own_words() {
    let texts = [
        (1, "السلام عليكم ورحمة الله"),
        (2, "שָׁלוֹם עליכם"),
        (3, "東京都に住んでいます"),
        (4, "我爱北京天安门"),
        (5, "สวัสดีชาวโลก"),
        (6, "Привет, МИР!"),
        (7, "안녕하세요 세계"),
        (8, "e\u{301}te\u{301} ÉTÉ"),
        (9, "left \u{202e}thgir\u{202c} \u{200f}עליכם\u{200e} mixed"),
    ];
    let pieces = Text::plain().tokenizer(Tokenization::Ngrams { least: 2, most: 3 });
    let schema = Schema::new().text("plain", Text::plain());
    let (db, docs) = opened(Limits::default(), schema.text("pieces", pieces));
    let points =
        texts.map(|(id, text)| Point::new(id).payload(json!({ "plain": text, "pieces": text })));
    docs.upsert(points).wait().expect("written");
    let cases: [(Query, &[u64]); 11] = [
        (Query::text("plain", "عليكم"), &[1]),
        (Query::text("plain", "עליכם"), &[2, 9]),
        // Characters of scripts without spaces are words of their own.
        (Query::text("plain", TextQuery::phrase("東京")), &[3]),
        (Query::text("plain", TextQuery::phrase("北京")), &[4]),
        (Query::text("plain", TextQuery::phrase("京北")), &[]),
        (Query::text("pieces", "天安"), &[4]),
        (Query::text("pieces", "ชาว"), &[5]),
        (Query::text("plain", "мир"), &[6]),
        (Query::text("plain", "세계"), &[7]),
        (Query::text("plain", "\u{e9}t\u{e9}"), &[8]),
        (Query::text("plain", "mixed left"), &[9]),
    ];
    for _ in 0..2 {
        for (query, expected) in &cases {
            assert_eq!(&found(&docs, query.clone()), expected, "{query:?}");
        }
        db.optimize().wait().expect("a segment");
    }
    // Spans are those of whole characters, whatever surrounds them.
    for (name, words) in [("plain", "עליכם 京 été"), ("pieces", "東京都 ชาวโลก")]
    {
        let query = Query::text(name, words).highlight(name, 5);
        for hit in docs.search(query).wait().expect("hits") {
            assert!(!hit.snippets.is_empty(), "{hit:?}");
        }
    }
    db.close().wait().expect("closed");
}

#[test]
fn what_has_no_words_is_kept_and_not_found() {
    let (db, docs) = opened(Limits::default(), schema());
    let nothing = [
        "",
        " \t\r\n\u{a0}\u{3000}",
        "\0\u{1}\u{7f}",
        "\u{feff}\u{200b}\u{200d}\u{2060}",
        "\u{fffd}\u{fffd}",
        "!?.,;:\u{2014}\u{2026}",
    ];
    let points = (0..).zip(nothing).map(|(id, text)| point(id, text));
    docs.upsert(points).wait().expect("written");
    let marks = format!("a{}b", "\u{301}".repeat(20_000));
    docs.upsert([point(100, &marks)]).wait().expect("written");
    for _ in 0..2 {
        for text in nothing {
            assert_eq!(found(&docs, Query::text("plain", text)), [0; 0], "{text:?}");
            assert_eq!(
                found(&docs, Query::text("plain", TextQuery::phrase(text))),
                [0; 0]
            );
        }
        // It is one word, longer than any that is kept.
        assert_eq!(found(&docs, Query::text("plain", marks.as_str())), [0; 0]);
        assert_eq!(docs.count().wait().expect("a count"), 7);
        db.optimize().wait().expect("a segment");
    }
    let kept = docs
        .get(100)
        .wait()
        .expect("it is read")
        .expect("it is there");
    assert_eq!(kept.payload.get("plain"), Some(&json!(marks)));
    db.close().wait().expect("closed");
}
