//! Building, checking and storing queries.

use super::*;

fn refused(query: &TextQuery) -> String {
    let error = query.check(&Limits::default()).unwrap_err();
    error.to_string()
}

#[test]
fn operators_flatten_and_keep_what_excludes_apart() {
    let word = |word: &str| TextQuery::any(word);
    let all = |must: Vec<TextQuery>, must_not: Vec<TextQuery>| TextQuery::Bool {
        must,
        should: vec![],
        must_not,
        at_least: None,
    };
    let query = word("a") & word("b") & !word("c") & !word("d");
    let expected = all(vec![word("a"), word("b")], vec![word("c"), word("d")]);
    assert_eq!(query, expected);
    assert_eq!(
        !word("c") & word("a"),
        all(vec![word("a")], vec![word("c")])
    );
    assert_eq!(!!word("a"), word("a"));
    let TextQuery::Bool { should, .. } = &(word("a") | word("b") | word("c")) else {
        panic!("expected alternatives");
    };
    assert_eq!(should.len(), 3);
    let nested = (word("a") | word("b")) & word("c");
    let expected = all(vec![word("a") | word("b"), word("c")], vec![]);
    assert_eq!(nested, expected);
    let least = TextQuery::at_least_of(2, [word("a"), word("b")]) | word("c");
    assert!(matches!(&least, TextQuery::Bool { should, at_least: None, .. } if should.len() == 2));
}

#[test]
fn what_cannot_be_looked_for_is_refused() {
    let word = || TextQuery::any("a");
    for (query, part) in [
        (!word(), "not looked for alone"),
        (word() | !word(), "not looked for alone"),
        (word().boost(f32::NAN), "a boost is NaN"),
        (word().boost(f32::INFINITY), "a boost is inf"),
        (word().boost(-1.0), "a boost is -1"),
        (word().fields([("a", f32::NAN)]), "a boost is NaN"),
        (word().field(""), "empty"),
        (TextQuery::phrase("a").slop(1_001), "0 to 1000"),
        (TextQuery::fuzzy("a").distance(3), "0 to 2"),
        (TextQuery::at_least(0, "a b"), "1 to"),
        (TextQuery::at_least_of(2, [word()]), "2 of 1"),
        (
            TextQuery::any("a".repeat(TextQuery::MAX_BYTES + 1)),
            "65537 bytes",
        ),
        (
            TextQuery::at_least_of(1, vec![word(); 1_024]),
            "1024 clauses",
        ),
        ((0..64).fold(word(), |query, _| query.boost(1.0)), "64 deep"),
    ] {
        let error = refused(&query);
        assert!(error.contains(part), "{error}");
    }
    let limits = Limits::default();
    let most = TextQuery::at_least_of(1_023, vec![word(); 1_023]);
    assert!(most.check(&limits).is_ok());
    let deepest = (0..63).fold(word(), |query, _| query.boost(0.0));
    assert!(deepest.check(&limits).is_ok());
}

#[test]
fn a_deep_query_overflows_no_stack() {
    let deep = (0..1_000_000).fold(TextQuery::any("a"), |query, _| query.boost(1.0));
    assert!(refused(&deep).contains("deep"));
    let deep = (0..1_000_000).fold(TextQuery::any("a"), |query, _| {
        TextQuery::at_least_of(1, [query])
    });
    drop(deep);
}

#[test]
fn a_query_travels_as_json() {
    let query = TextQuery::any("heat transfer").field("body").boost(2.0)
        & !(TextQuery::phrase("boundary layer").slop(1) | TextQuery::fuzzy("laminer").distance(1))
        & TextQuery::at_least(2, "a b c")
        & TextQuery::prefix("therm");
    let json = serde_json::to_string(&query).unwrap();
    assert_eq!(serde_json::from_str::<TextQuery>(&json).unwrap(), query);
    let written = r#"{"bool":{"must":[{"match":{"text":"heat"}},{"prefix":"th"}],"at_least":0}}"#;
    let read: TextQuery = serde_json::from_str(written).unwrap();
    let TextQuery::Bool { must, .. } = &read else {
        panic!("expected a boolean query");
    };
    assert!(serde_json::from_str::<TextQuery>(r#"{"bool":{"mist":[]}}"#).is_err());
    assert_eq!(must[..], [TextQuery::any("heat"), TextQuery::prefix("th")]);
}
