//! What is typed and what it means, and that nothing that is typed does harm.

use super::*;
use crate::error::Error;
use proptest::prelude::*;
use std::time::{Duration, Instant};

fn parsed(text: &str) -> TextQuery {
    TextQuery::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn boolean(must: Vec<TextQuery>, should: Vec<TextQuery>, must_not: Vec<TextQuery>) -> TextQuery {
    TextQuery::Bool {
        must,
        should,
        must_not,
        at_least: None,
    }
}

#[test]
fn queries_by_table() {
    let any = |text: &str| TextQuery::any(text);
    let all = |text: &str| TextQuery::all(text);
    let phrase = |text: &str| TextQuery::phrase(text);
    let prefix = |text: &str| TextQuery::prefix(text);
    let fuzzy = |text: &str| TextQuery::fuzzy(text);
    for (text, expected) in [
        ("", any("")),
        ("  ()  ", any("")),
        ("heat  transfer", any("heat transfer")),
        ("wi-fi c++ - +", any("wi-fi c++ - +")),
        ("+heat", boolean(vec![all("heat")], vec![], vec![])),
        (
            "heat -cold",
            boolean(vec![], vec![any("heat")], vec![all("cold")]),
        ),
        ("\"heat transfer\"", phrase("heat transfer")),
        ("\"heat transfer\"~12", phrase("heat transfer").slop(12)),
        (r#""a \"b\" \\""#, phrase(r#"a "b" \"#)),
        ("ther*", prefix("ther")),
        ("laminer~", fuzzy("laminer")),
        ("laminer~0", fuzzy("laminer").distance(0)),
        ("heat^2", all("heat").boost(2.0)),
        ("ther*^.5", prefix("ther").boost(0.5)),
        ("title:heat", all("heat").field("title")),
        ("title:wi-fi", all("wi-fi").field("title")),
        (
            "author.name:\"a b\"^2",
            phrase("a b").field("author.name").boost(2.0),
        ),
        ("title:(a b)", any("a b").field("title")),
        ("title:ther*", prefix("ther").field("title")),
        (
            "title:laminer~1",
            fuzzy("laminer").distance(1).field("title"),
        ),
        (r"\+a \-b 12\:30 x\*", any("+a -b 12:30 x*")),
        ("a AND b or c", any("a AND b or c")),
        (
            "a \"b c\" d",
            boolean(vec![], vec![any("a"), phrase("b c"), any("d")], vec![]),
        ),
        (
            "a b +c (d +e) -f:g*",
            boolean(
                vec![all("c")],
                vec![any("a b"), boolean(vec![all("e")], vec![any("d")], vec![])],
                vec![prefix("g").field("f")],
            ),
        ),
        (
            "-(a b) c",
            boolean(vec![], vec![any("c")], vec![any("a b")]),
        ),
        ("+-a", boolean(vec![all("-a")], vec![], vec![])),
        ("東京 été", any("東京 été")),
    ] {
        assert_eq!(parsed(text), expected, "{text}");
        assert_eq!(text.parse(), Ok(expected));
    }
}

#[test]
fn errors_point_at_the_character() {
    let deep = "(".repeat(MAX_GROUPS + 1);
    let long = "a".repeat(TextQuery::MAX_BYTES + 1);
    for (text, character, part) in [
        ("été \"heat", 4, "quotation is not closed"),
        ("a (b (c)", 2, "parenthesis is not closed"),
        ("a) b", 1, "was not opened"),
        ("-a", 0, "not looked for alone"),
        ("x (-a -b)", 3, "not looked for alone"),
        ("title: heat", 6, "after the colon"),
        ("title:", 6, "after the colon"),
        (":a", 0, "expected a word"),
        ("*", 0, "expected a word"),
        ("a:*", 2, "expected a word"),
        ("pre*fix", 4, "a space after the *"),
        ("a~~", 2, "a space after the ~"),
        ("a~3", 2, "0, 1 or 2"),
        ("a~99999999999", 2, "too large"),
        ("\"a b\"~", 6, "0 to 1000"),
        ("\"a b\"~1001", 6, "0 to 1000"),
        ("a^", 2, "how many times"),
        ("a^1.2.3", 2, "how many times"),
        ("a^-1", 2, "how many times"),
        ("a^2b", 3, "a space after the ^"),
        ("a^2^2", 3, "a space after the ^"),
        ("a(b", 1, "a space before this"),
        ("a:b:c", 3, "a space before this"),
        ("a\\", 2, "after the backslash"),
        (&deep, MAX_GROUPS, "too deep"),
        (&long, 0, "65536 bytes"),
    ] {
        let error = TextQuery::parse(text).unwrap_err();
        assert!(error.message.contains(part), "{text}: {error}");
        assert_eq!(error.character, character, "{error}");
        assert_eq!(text[..error.byte].chars().count(), character);
        let shown = error.to_string();
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines.len(), 3, "{shown}");
        assert_eq!(lines[2].chars().count(), error.caret + 1);
    }
    let text = format!("{}\n{} (", "a ".repeat(60), "b ".repeat(60));
    let error = TextQuery::parse(&text).unwrap_err();
    assert_eq!(error.excerpt.chars().count(), 41);
    assert!(Error::from(error).to_string().contains("cannot be read"));
}

#[test]
fn what_is_long_is_read_in_proportion() {
    for unit in [
        "a ", "+a ", "(a) ", "\"", "\\", "a:b ", "a^1 ", "-(a b)", "a~1 ", "(", ")", "é*  ", "\\(",
        "a:",
    ] {
        let text = unit.repeat(TextQuery::MAX_BYTES / unit.len());
        let start = Instant::now();
        let _ = TextQuery::parse(&text);
        assert!(start.elapsed() < Duration::from_secs(2), "{unit}");
    }
}

/// A query with how it is typed, and whether that is nothing but words.
fn typed(depth: u32) -> BoxedStrategy<(String, TextQuery)> {
    let word = "[a-zé東][a-z\\-]{0,5}";
    let leaf = prop_oneof![
        word.prop_map(|word| (format!("{word}*"), TextQuery::prefix(word))),
        (word, 0..3_u32)
            .prop_map(|(word, n)| (format!("{word}~{n}"), TextQuery::fuzzy(word).distance(n))),
        ("[a-z ()*~^:é]{0,9}", 0..1_001_u32)
            .prop_map(|(text, n)| (format!("\"{text}\"~{n}"), TextQuery::phrase(text).slop(n))),
        (word, 0..100_u8).prop_map(|(word, n)| {
            (
                format!("{word}^{n}"),
                TextQuery::all(word).boost(f32::from(n)),
            )
        }),
        (word, word)
            .prop_map(|(name, word)| (format!("{name}:{word}"), TextQuery::all(word).field(name))),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let clauses = prop::collection::vec((0..3_u8, typed(depth - 1)), 1..4);
    let group = clauses.prop_filter_map("it finds something", |clauses| {
        if clauses.iter().all(|(sign, _)| *sign == 2) {
            return None;
        }
        let (mut must, mut should, mut must_not) = (vec![], vec![], vec![]);
        let mut text = Vec::new();
        for (sign, (typed, query)) in clauses {
            text.push(format!("{}{typed}", ["", "+", "-"][usize::from(sign)]));
            [&mut should, &mut must, &mut must_not][usize::from(sign)].push(query);
        }
        let alone = must.is_empty() && must_not.is_empty() && should.len() == 1;
        let query = if alone {
            should.remove(0)
        } else {
            boolean(must, should, must_not)
        };
        Some((format!("({})", text.join(" ")), query))
    });
    prop_oneof![leaf, group].boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_was_typed_is_what_is_read((text, query) in typed(3)) {
        prop_assert_eq!(parsed(&text), query);
    }

    #[test]
    fn anything_may_be_typed(text in prop_oneof![any::<String>(), r#"[ab é:^~*+\-"()\\0-9.]{0,40}"#]) {
        match TextQuery::parse(&text) {
            Ok(query) => prop_assert!(query.check(&crate::options::Limits::default()).is_ok()),
            Err(error) => {
                prop_assert!(text.is_char_boundary(error.byte));
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}
