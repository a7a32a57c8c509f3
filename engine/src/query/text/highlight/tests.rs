//! What is marked, and what is shown.

use super::*;
use crate::{
    options::Limits,
    query::text::{
        TextQuery,
        lower::{Searched, lower},
    },
    schema::{Text, Tokenization, Tokenizers},
};
use proptest::prelude::*;

/// Marks a query's words in a text with brackets.
fn marked(schema: &Text, query: &str, text: &str) -> String {
    let mut analyzer = Analyzer::new(schema, &Tokenizers::new()).unwrap();
    let searched = Searched {
        name: "body",
        number: 3,
        text: schema,
        analyzer: &analyzer,
    };
    let query = TextQuery::parse(query).unwrap();
    let node = lower(&query, &[], &[searched], &Limits::default())
        .unwrap()
        .unwrap();
    let spans = Wanted::of(&[&node], 3).spans(&mut analyzer, text);
    assert!(
        Wanted::of(&[&node], 4)
            .spans(&mut analyzer, text)
            .is_empty()
    );
    with_brackets(text, &spans)
}

fn with_brackets(text: &str, spans: &[Range<usize>]) -> String {
    let mut out = String::new();
    let mut at = 0;
    for span in spans {
        out += &format!("{}[{}]", &text[at..span.start], &text[span.clone()]);
        at = span.end;
    }
    out + &text[at..]
}

#[test]
fn marks_by_table() {
    let english = Text::english();
    let grams = Text::plain().tokenizer(Tokenization::Ngrams { least: 2, most: 3 });
    for (schema, query, text, expected) in [
        (
            &english,
            "wheel",
            "Wheels, wheeling; a WHEEL.",
            "[Wheels], [wheeling]; a [WHEEL].",
        ),
        (&english, "heat -flow", "heat flow", "[heat] flow"),
        (
            &english,
            "ther*",
            "the thermal theory",
            "the [thermal] theory",
        ),
        (&english, "thermel~", "thermal theory", "[thermal] theory"),
        (
            &english,
            "\"heat flow\"",
            "flow heat, heat flow flow",
            "flow heat, [heat] [flow] flow",
        ),
        (
            &english,
            "\"state of art\"",
            "state art; state or art",
            "state art; [state] or [art]",
        ),
        (
            &english,
            "\"heat flow\"~1",
            "heat x flow, heat x y flow",
            "[heat] x [flow], heat x y flow",
        ),
        (&english, "\"heat flow\"~2", "flow heat", "[flow] [heat]"),
        (&english, "\"heat flow\" flow", "flow heat", "[flow] heat"),
        (&english, "京都", "東京都の京都", "東[京都]の[京都]"),
        (&english, "東京都", "東京都", "[東京都]"),
        (&grams, "heat", "reheated", "re[heat]ed"),
        (&english, "resume", "A Résumé’s", "A [Résumé’s]"),
    ] {
        assert_eq!(marked(schema, query, text), expected, "{query}");
    }
}

#[test]
fn near_terms_by_table() {
    for (term, wanted, near) in [
        ("ab", ("ba", 1, 0), true),
        ("ab", ("ba", 1, 1), false),
        ("abc", ("abcde", 1, 0), false),
        ("abc", ("abcde", 2, 0), true),
        ("été", ("ete", 2, 0), true),
        ("été", ("ete", 1, 0), false),
    ] {
        assert_eq!(is_near(term, wanted), near, "{term} {wanted:?}");
    }
}

#[test]
fn snippets_by_table() {
    let text = "one two three four five six seven eight nine ten";
    let of = |words: &[&str], characters| {
        let spans = words.iter().map(|word| {
            let at = text.find(word).unwrap();
            at..at + word.len()
        });
        let snippet = snippet(text, &spans.collect::<Vec<_>>(), characters);
        assert_eq!(&text[snippet.span.clone()], snippet.text);
        with_brackets(&snippet.text, &snippet.matches)
    };
    for (words, characters, expected) in [
        (&[][..], 12, "one two"),
        (&[], 100, text),
        (&["one"], 10, "[one] two"),
        (&["ten"], 10, "nine [ten]"),
        (&["five"], 16, "four [five] six"),
        (&["two", "eight", "nine"], 20, "seven [eight] [nine] ten"),
        (&["two", "three", "ten"], 14, "one [two] [three]"),
        (&["three"], 2, "[th]"),
        (&["three"], 0, ""),
        (
            &["one", "ten"],
            100,
            "[one] two three four five six seven eight nine [ten]",
        ),
    ] {
        assert_eq!(of(words, characters), expected, "{words:?} {characters}");
    }
    // Without spaces it is cut between characters.
    let text = "東京都の人口は多い";
    let found = 9..15;
    let cut = snippet(text, std::slice::from_ref(&found), 4);
    assert_eq!(with_brackets(&cut.text, &cut.matches), "都[の人]口");
}

proptest! {
    #[test]
    fn a_snippet_is_a_part_of_its_text(
        text in prop_oneof![any::<String>(), "[a-c é東]{0,80}"],
        characters in 0..40_usize,
    ) {
        let mut analyzer = Analyzer::new(&Text::plain(), &Tokenizers::new()).unwrap();
        let mut spans = Vec::new();
        analyzer.analyze(&text, |token| {
            if token.term.starts_with('a') || token.position % 3 == 0 {
                spans.push(token.span);
            }
        });
        let spans = merged(spans);
        let cut = snippet(&text, &spans, characters);
        prop_assert!(cut.text.chars().count() <= characters);
        prop_assert_eq!(&text[cut.span.clone()], &cut.text);
        let mut end = 0;
        for found in &cut.matches {
            prop_assert!(end <= found.start && found.start < found.end);
            prop_assert!(cut.text.is_char_boundary(found.start) && cut.text.is_char_boundary(found.end));
            end = found.end;
        }
        let fits = spans.iter().any(|span| text[span.clone()].chars().count() <= characters);
        prop_assert!(!fits || spans.is_empty() || !cut.matches.is_empty());
    }
}
