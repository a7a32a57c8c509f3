//! What filters mean, as built, as JSON and as typed.

use super::{Condition, Conditions, Filter, Subject, Terms, field};
use crate::{
    error::{ErrorKind, Result},
    geo::GeoPoint,
    id::PointId,
    options::Limits,
    payload::Payload,
    schema::{Metric, Schema, Sparse, Text, Tokenization, Tokenizer, Tokenizers, Vector},
    shape::Shape,
    texts::Analyzers,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::{
    ops::{Bound, Range},
    sync::Arc,
};

/// A point without vectors.
struct Known(PointId, Payload);

impl Subject for Known {
    fn id(&self) -> Result<PointId> {
        Ok(self.0.clone())
    }

    fn has_vector(&self, number: u32) -> Result<bool> {
        Ok(number == 0)
    }

    fn payload(&mut self) -> Result<&Map<String, Value>> {
        self.1.checked()
    }
}

fn checked(filter: &Filter) -> Result<Conditions> {
    let vector = || Vector::new(2, Metric::Cosine);
    let schema = Schema::new()
        .vector("one", vector())
        .vector("two", vector())
        .sparse("three", Sparse::new())
        .text("body", Text::english());
    filter.checked(Terms {
        shape: &Shape::new(schema),
        limits: &Limits::default(),
        analyzers: &Arc::default(),
    })
}

fn matches(filter: &Filter, payload: &Value) -> bool {
    let mut point = Known(7.into(), Payload::from(payload.clone()));
    checked(filter).unwrap().hold_for(&mut point).unwrap()
}

#[test]
fn conditions_by_table() {
    let payload = json!({
        "work": "Walden", "year": 1854, "draft": false, "score": 2.5, "none": null,
        "tags": ["pond", 7, null], "author": { "name": "Thoreau" },
        "editions": [{ "year": 1854, "by": "T" }, { "year": 1893, "by": "H" }], "a.b": 1, "big": u64::MAX,
        "nothing": [], "nulls": [null], "nested": [[1, 2]],
        "at": "1854-08-09T12:00:00-05:00", "body": ["The woods in winter", "A pond"],
        "place": { "lon": -71.34, "lat": 42.44 }, "broken": { "lon": 200, "lat": 0 },
    });
    for (filter, expected) in [
        (field("work").eq("Walden"), true),
        (field("work").eq("walden"), false),
        (field("work").at_least(0), false),
        (field("year").eq(1854), true),
        (field("year").eq(1854.0), true),
        (field("year").eq("1854"), false),
        (field("year").within(1854..1855), true),
        (field("year").within(1850..1854), false),
        (field("year").within(1850..=1854), true),
        (
            field("year").above(1853.5) & field("year").below(1854.5),
            true,
        ),
        (field("year").above(1854), false),
        (field("score").at_most(2.5), true),
        (field("score").below(2.5), false),
        (field("score").eq(2), false),
        (field("draft").eq(false), true),
        (field("draft").eq(0), false),
        (field("none").eq("x"), false),
        (!field("none").eq("x"), true),
        (field("absent").at_least(0), false),
        (!field("absent").at_least(0), true),
        (field("tags").eq("pond"), true),
        (field("tags[]").eq("pond"), true),
        (field("tags").at_least(7), true),
        (field("tags").eq("lake"), false),
        (field("tags").any_of(["lake", "pond"]), true),
        (field("tags").any_of([7.0]), true),
        (field("tags").any_of::<i32>([]), false),
        (field("tags").none_of(["lake"]), true),
        (field("tags").none_of(["pond"]), false),
        (field("absent").none_of(["pond"]), true),
        (field("tags").except(["pond"]), true),
        (field("tags").except([json!("pond"), json!(7)]), false),
        (field("absent").except(["pond"]), false),
        (field("none").except(["pond"]), false),
        (field("author.name").eq("Thoreau"), true),
        (field("author.born").eq(1817), false),
        (field("editions.year").eq(1893), true),
        (field("editions[].year").eq(1893), true),
        (field("a.b").eq(1), true),
        (field("big").eq(u64::MAX), true),
        (field("big").below(u64::MAX), false),
        (field("big").above(1.8e19), true),
        (field("work").starts_with("Wal"), true),
        (field("work").starts_with("wal"), false),
        (field("work").starts_with(""), true),
        (field("year").starts_with(""), false),
        (field("work").contains("lde"), true),
        (field("work").contains("pond"), false),
        (field("tags").contains("on"), true),
        (field("at").at_least("1854-08-09T17:00:00Z"), true),
        (field("at").above("1854-08-09T17:00:00Z"), false),
        (field("at").within("1854-08-09".."1854-08-10"), true),
        (field("work").at_least("1854-08-09"), false),
        (field("body").has_words("Winter WOOD"), true),
        (field("body[]").has_words("Winter WOOD"), true),
        (field("body").has_words("pond woods"), true),
        (field("body").has_words("pond lake"), false),
        (field("body").has_any_word("lake pond"), true),
        (field("body").has_any_word("lake"), false),
        (field("body").has_phrase("woods in winter"), true),
        (field("body").has_phrase("woods winter"), false),
        (field("body").has_phrase("winter pond"), false),
        (field("body").has_words(""), false),
        (field("work").has_words("walden"), true),
        (field("work").has_words("waldens"), false),
        (
            field("place").near(GeoPoint::new(-71.35, 42.46), 3_000.0),
            true,
        ),
        (
            field("place").near(GeoPoint::new(-71.35, 42.46), 2_000.0),
            false,
        ),
        (
            field("place").in_box(GeoPoint::new(-72.0, 43.0), GeoPoint::new(-71.0, 42.0)),
            true,
        ),
        (
            field("broken").in_box(GeoPoint::new(-180.0, 90.0), GeoPoint::new(180.0, -90.0)),
            false,
        ),
        (field("place.lat").above(42), true),
        (field("none").is_null(), true),
        (field("tags").is_null(), true),
        (field("absent").is_null(), false),
        (field("work").is_null(), false),
        (field("none").is_empty(), true),
        (field("nothing").is_empty(), true),
        (field("nulls").is_empty(), true),
        (field("absent").is_empty(), true),
        (field("tags").is_empty(), false),
        (field("author").is_empty(), false),
        (field("tags").count(3..), true),
        (field("tags").count(..3), false),
        (field("work").count(1..=1), true),
        (field("none").count(0..1), true),
        (field("absent").count(..1), true),
        (field("editions.year").count(2..=2), true),
        (
            field("editions").any(field("year").eq(1893) & field("by").eq("H")),
            true,
        ),
        (
            field("editions").any(field("year").eq(1893) & field("by").eq("T")),
            false,
        ),
        (field("editions").any(!field("by").eq("T")), true),
        (field("author").any(field("name").eq("Thoreau")), true),
        (field("work").any(field("name").is_empty()), false),
        (
            Filter::at_least(
                2,
                [
                    field("year").eq(1854),
                    field("year").eq(1),
                    field("draft").eq(false),
                ],
            ),
            true,
        ),
        (
            Filter::at_least(
                3,
                [
                    field("year").eq(1854),
                    field("year").eq(1),
                    field("draft").eq(false),
                ],
            ),
            false,
        ),
        (Filter::at_least(0, []), true),
        (Filter::at_least(1, []), false),
        (Filter::ids([7, 8]), true),
        (Filter::ids(["7"]), false),
        (Filter::has_vector("one"), true),
        (Filter::has_vector("two"), false),
        (Filter::has_vector("three"), false),
        (field("work").eq("x") | field("year").eq(1854), true),
        (Filter::All(vec![]), true),
        (Filter::Any(vec![]), false),
    ] {
        assert_eq!(matches(&filter, &payload), expected, "{filter}");
        let json = serde_json::to_string(&filter).unwrap();
        let read: Filter = serde_json::from_str(&json).unwrap();
        assert_eq!(matches(&read, &payload), expected, "{json}");
        let read = Filter::parse(&filter.to_string()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(matches(&read, &payload), expected, "{filter}");
        assert_eq!(read.to_string(), filter.to_string());
    }
}

#[test]
fn a_tokenizer_that_panics_is_an_error() {
    struct Broken;

    impl Tokenizer for Broken {
        fn tokenize(&self, text: &str, each: &mut dyn FnMut(&str, Range<usize>)) {
            assert!(!text.contains("broken"), "{text}");
            each(text, 0..text.len());
        }
    }

    let text = Text::plain().tokenizer(Tokenization::Custom("broken".to_owned()));
    let shape = Shape::new(Schema::new().text("body", text));
    let analyzers = Arc::new(Analyzers::new(Tokenizers::new().with("broken", Broken)));
    let checked = |words: &str| {
        field("body").has_words(words).checked(Terms {
            shape: &shape,
            limits: &Limits::default(),
            analyzers: &analyzers,
        })
    };
    assert_eq!(checked("broken").unwrap_err().kind(), ErrorKind::Panicked);
    let conditions = checked("whole").unwrap();
    let asked = |body: &str| {
        let payload = json!({ "body": body });
        conditions.hold_for(&mut Known(7.into(), payload.into()))
    };
    assert!(asked("whole").unwrap() && !asked("half").unwrap());
    let error = asked("broken").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(error.to_string().contains("\"body\" panicked"), "{error}");
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let refused = |filter: Filter| checked(&filter).unwrap_err().to_string();
    assert!(refused(field("x").eq(f64::NAN)).contains("not finite"));
    assert!(refused(field("x").eq(json!([1]))).contains("an array"));
    assert!(refused(field("x").any_of([json!({})])).contains("an object"));
    assert!(refused(field("x").at_least("a")).contains("\"a\"; expected date-times"));
    assert!(refused(field("x").within(json!(1)..json!("2024-01-01"))).contains("a number"));
    assert!(refused(field("x").at_least(true)).contains("a boolean"));
    assert!(refused(field("").eq(1)).contains("empty"));
    assert!(refused(Filter::has_vector("four")).contains("\"four\""));
    assert!(refused(Filter::ids([""])).contains("empty string"));
    assert!(refused(field("x").near(GeoPoint::new(181.0, 0.0), 1.0)).contains("longitude 181"));
    assert!(refused(field("x").any(Filter::ids([1]))).contains("nested"));
    let long = "x".repeat(Filter::MAX_STRING_BYTES + 1);
    assert!(refused(field("x").contains(long)).contains("65537 bytes"));
    let many = field("x").any_of(0..=Filter::MAX_VALUES as u64);
    assert!(refused(many).contains("100001 values"));
}

#[test]
fn a_huge_or_deep_filter_is_refused_without_overflowing_a_stack() {
    let most = Limits::default().filter_conditions;
    let wide = Filter::Any(vec![field("x").eq(1); most]);
    assert!(checked(&wide).is_err());
    let deep = (0..1_000_000).fold(field("x").eq(1), |inner, _| Filter::All(vec![inner]));
    assert!(checked(&deep).is_err());
    let nested = (0..1_000_000).fold(field("x").eq(1), |inner, _| field("x").any(inner));
    assert!(checked(&nested).is_err());
    let wide = Filter::Any(vec![field("x").eq(1); most - 1]);
    assert!(checked(&wide).is_ok());
    let nest = |count| (1..count).fold(field("x").eq(1), |inner, _| !Filter::All(vec![inner]));
    assert!(checked(&nest(Filter::MAX_DEPTH / 2)).is_ok());
    assert!(checked(&nest(Filter::MAX_DEPTH)).is_err());
}

#[test]
fn json_is_read_as_for_qdrant() {
    let filter = json!({
        "must": [{ "key": "city", "match": { "value": "London" } }],
        "should": { "key": "price", "range": { "gte": 10.5, "lt": null } },
        "must_not": [
            { "key": "sold", "match": { "value": true } },
            { "is_empty": { "key": "tags" } },
        ],
        "min_should": { "conditions": [{ "has_id": [1, "a"] }, { "has_vector": "v" }], "min_count": 2 },
    });
    let expected = Filter::All(vec![
        field("city").eq("London"),
        Filter::Any(vec![field("price").at_least(10.5)]),
        Filter::at_least(
            2,
            [
                Filter::Ids(vec![1.into(), "a".into()]),
                Filter::has_vector("v"),
            ],
        ),
        !field("sold").eq(true),
        !field("tags").is_empty(),
    ]);
    assert_eq!(serde_json::from_value::<Filter>(filter).unwrap(), expected);
    let wrong = |json: Value| {
        serde_json::from_value::<Filter>(json)
            .unwrap_err()
            .to_string()
    };
    assert!(wrong(json!({ "key": "x" })).contains("expected one"));
    assert!(wrong(json!({ "match": { "value": 1 } })).contains("no key"));
    assert!(wrong(json!({ "key": "x", "match": { "value": 1 }, "range": {} })).contains("several"));
    assert!(wrong(json!({ "key": "x", "range": { "gt": 1, "gte": 1 } })).contains("gt and gte"));
    assert!(wrong(json!({ "musst": [] })).contains("unknown field `musst`"));
    assert!(wrong(json!({ "key": "x", "match": { "vlue": 1 } })).contains("vlue"));
    assert!(wrong(json!([1])).contains("invalid"));
}

#[test]
fn what_is_typed_is_read_by_table() {
    for (text, expected) in [
        (
            "a = 1 OR b = 2 AND c = 3",
            field("a").eq(1) | (field("b").eq(2) & field("c").eq(3)),
        ),
        (
            "not a = 1 and b = -2.5e3",
            !field("a").eq(1) & field("b").eq(-2.5e3),
        ),
        (
            "\"id\" IN ('a') AND ID IN ('a') OR \"Id\" NOT IN (7)",
            (field("id").any_of(["a"]) & Filter::ids(["a"])) | !field("Id").any_of([7]),
        ),
        (
            "NOT (a = true OR a <> 'it''s')",
            !(field("a").eq(true) | !field("a").eq("it's")),
        ),
        (
            "\"in\" = 1 AND \"a\"\"b\" IS NOT NULL",
            field("in").eq(1) & !field("a\"b").is_null(),
        ),
        (
            "a BETWEEN 1 AND 2 AND b = 3",
            field("a").within(1..=2) & field("b").eq(3),
        ),
        (
            "a between above 1 and below 2.5",
            Filter::Field(
                "a".into(),
                Condition::Within(Bound::Excluded(1.into()), Bound::Excluded(2.5.into())),
            ),
        ),
        (
            "at = 1 AND id = 2 AND count = 3 AND has = 4",
            field("at").eq(1) & field("id").eq(2) & field("count").eq(3) & field("has").eq(4),
        ),
        ("COUNT(a.b[]) >= 2", field("a.b[]").count(2..)),
        (
            "AT LEAST 2 OF (a = 1, b = 2 OR c = 3)",
            Filter::at_least(2, [field("a").eq(1), field("b").eq(2) | field("c").eq(3)]),
        ),
        (
            "ID IN (1, 'x') AND HAS VECTOR \"my vector\"",
            Filter::Ids(vec![1.into(), "x".into()]) & Filter::has_vector("my vector"),
        ),
        (
            "r ANY (by = 'ann' AND stars >= 4)",
            field("r").any(field("by").eq("ann") & field("stars").at_least(4)),
        ),
        (
            "p NEAR (13.4 -52.5, 1e3)",
            field("p").near(GeoPoint::new(13.4, -52.5), 1e3),
        ),
        ("straße IN ()", field("straße").any_of::<i32>([])),
    ] {
        assert_eq!(
            Filter::parse(text).unwrap_or_else(|error| panic!("{error}")),
            expected,
            "{text}"
        );
        let printed = expected.to_string();
        assert_eq!(Filter::parse(&printed).as_ref(), Ok(&expected), "{printed}");
    }
}

/// What is printed is no deeper than what was typed.
#[test]
fn the_deepest_filter_is_read_as_it_is_printed() {
    let nested = |inner: &str| {
        let levels = Filter::MAX_DEPTH - 1;
        [&"a ANY (".repeat(levels), inner, &")".repeat(levels)].concat()
    };
    for inner in [
        "x = 1 AND y = 2 OR z = 3",
        "x = 1 AND y = 2",
        "x != 1 OR z = 3 AND y NOT IN (1)",
    ] {
        let text = nested(inner);
        let filter = Filter::parse(&text).unwrap();
        assert_eq!(filter.to_string().parse::<Filter>(), Ok(filter));
    }
}

#[test]
fn errors_point_at_the_character() {
    for (text, character, message) in [
        ("", 0, "expected a field"),
        ("year >= ", 8, "expected a number, a string"),
        ("year 5", 5, "expected ="),
        ("year = 5 year", 9, "expected AND, OR or the end"),
        ("(a = 1", 0, "not closed"),
        ("a = 'x", 4, "quote is not closed"),
        ("ä = 1x", 4, "no number"),
        ("a IN (1 2)", 8, "a comma"),
        ("a IN 1", 5, "expected ("),
        ("a STARTS 'x'", 9, "expected WITH"),
        ("a IS 5", 5, "expected EMPTY"),
        ("AT LEAST x OF (a = 1)", 9, "a whole number"),
        ("and = 1", 0, "expected a name"),
        ("a = 1 AND #", 10, "stands for nothing"),
        ("a IN BOX (1 2)", 2, "two corners"),
        ("ID IN (1.5)", 7, "an id"),
    ] {
        let error = Filter::parse(text).unwrap_err();
        assert!(error.message.contains(message), "{text}: {error}");
        assert_eq!(error.character, character, "{text}: {error}");
    }
}

#[test]
fn what_is_typed_may_be_huge_or_deep() {
    for opened in ["(", "NOT ", "a ANY (", "AT LEAST 1 OF ("] {
        let deep = opened.repeat(50_000);
        let error = Filter::parse(&deep).unwrap_err();
        assert!(error.message.contains("64 levels"), "{error}");
    }
    assert!(Filter::parse(&" ".repeat(Filter::MAX_TYPED_BYTES + 1)).is_err());
    let wide = vec!["a = 1"; 100_000].join(" OR ");
    assert!(matches!(Filter::parse(&wide), Ok(Filter::Any(ref all)) if all.len() == 100_000));
    let deep = "{\"must\":[".repeat(100_000);
    assert!(serde_json::from_str::<Filter>(&deep).is_err());
}

proptest! {
    /// Whatever is typed, it is read or refused, and what is read can be printed and read again.
    #[test]
    fn no_text_panics(text in "[a-c .,()'\"=<>!0-9ANDORTILSV]{0,40}|\\PC{0,40}") {
        if let Ok(filter) = Filter::parse(&text) {
            let printed = filter.to_string();
            let again = Filter::parse(&printed).unwrap();
            prop_assert_eq!(again.to_string(), printed);
        }
    }
}
