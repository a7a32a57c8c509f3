//! What texts come to, and that nothing that a text may hold takes long or does harm.

use super::*;
use proptest::prelude::*;
use std::time::{Duration, Instant};

fn analyzer(text: &Text) -> Analyzer {
    Analyzer::new(text, &Tokenizers::new()).unwrap()
}

fn terms(text: &Text, of: &str) -> Vec<String> {
    let mut found = Vec::new();
    analyzer(text).analyze(of, |token| found.push(token.term.to_owned()));
    found
}

/// Terms with their positions.
fn places(analyzer: &mut Analyzer, of: &str) -> Vec<(String, u32)> {
    let mut found = Vec::new();
    analyzer.analyze(of, |token| {
        found.push((token.term.to_owned(), token.position));
    });
    found
}

fn expect(expected: &[(&str, u32)]) -> Vec<(String, u32)> {
    let owned = expected
        .iter()
        .map(|(term, place)| ((*term).to_owned(), *place));
    owned.collect()
}

#[test]
fn terms_by_table() {
    let language = Text::language;
    let no_stop = |text: Text| text.stop_words(StopWords::None);
    for (text, of, expected) in [
        (
            Text::english(),
            "The Connections of the wheels",
            &["connect", "wheel"][..],
        ),
        (
            Text::english(),
            "Résumés, naïve; the dog’s",
            &["resum", "naiv", "dog"],
        ),
        (Text::english(), "to be or not to be", &[]),
        (
            Text::plain(),
            "The Café's ＡＢＣ ﬁsh",
            &["the", "cafe's", "abc", "fish"],
        ),
        (Text::plain().fold(false), "Café ﬁsh", &["café", "ﬁsh"]),
        (
            Text::plain().lower_case(false),
            "The Café",
            &["The", "Cafe"],
        ),
        (
            Text::whitespace(),
            "The C++ “é”\u{a0}x",
            &["The", "C++", "“é”", "x"],
        ),
        (
            language(Language::German),
            "Die Häuser und das Haus",
            &["haus", "haus"],
        ),
        (
            language(Language::French),
            "L’économie des économies",
            &["econom", "econom"],
        ),
        (
            language(Language::Russian),
            "книги и книга",
            &["книг", "книг"],
        ),
        (
            language(Language::Turkish),
            "KIRMIZI kırmızı",
            &["kirmiz", "kirmiz"],
        ),
        (
            language(Language::Greek),
            "οι δρόμοι δρόμος",
            &["δρομ", "δρομ"],
        ),
        (no_stop(Text::english()), "the running", &["the", "run"]),
        (
            Text::plain().min_length(2).max_length(3),
            "a ab abc abcd",
            &["ab", "abc"],
        ),
        (
            Text::plain().stop_words(StopWords::list(["Fig", "É"])),
            "fig é x",
            &["x"],
        ),
        (
            Text::english(),
            "東京都の人口",
            &["東京", "京都", "都の", "の人", "人口"],
        ),
    ] {
        assert_eq!(terms(&text, of), expected, "{of}");
    }
}

#[test]
fn what_is_left_out_keeps_its_place_and_strings_lie_apart() {
    let mut english = analyzer(&Text::english());
    let found = places(&mut english, "heat of the transfer");
    assert_eq!(found, expect(&[("heat", 0), ("transfer", 3)]));

    let mut found = Vec::new();
    let mut each = |token: Token<'_>| found.push((token.term.to_owned(), token.position));
    let next = english.analyze_from(0, "one two", &mut each);
    let next = english.analyze_from(next, "", &mut each);
    english.analyze_from(next, "three", &mut each);
    assert_eq!(found, expect(&[("one", 0), ("two", 1), ("three", 202)]));
    let last = english.analyze_from(u32::MAX - 1, "four five six", |_| {});
    assert_eq!(last, u32::MAX);
}

#[test]
fn spans_are_where_the_words_stand() {
    let text = "L’Été, the FALLING wheels 東京";
    let mut found = Vec::new();
    analyzer(&Text::english()).analyze(text, |token| found.push(text[token.span].to_owned()));
    assert_eq!(found, ["L’Été", "FALLING", "wheels", "東京"]);
}

#[test]
fn grams_share_the_place_of_their_first_character() {
    let grams = |least, most| Tokenization::Ngrams { least, most };
    let mut index = analyzer(&Text::plain().tokenizer(grams(2, 3)));
    let found = places(&mut index, "ÀBC d");
    let expected = [("ab", 0), ("abc", 0), ("bc", 1), ("d", 2)];
    assert_eq!(found, expect(&expected));
    let mut query = index.for_queries();
    assert_eq!(
        places(&mut query, "abcd"),
        expect(&[("abc", 0), ("bcd", 1)])
    );
    assert_eq!(places(&mut query, "ab"), expect(&[("ab", 0)]));

    let edges = Tokenization::EdgeNgrams { least: 1, most: 3 };
    let mut index = analyzer(&Text::plain().tokenizer(edges));
    let found = places(&mut index, "heat x");
    let expected = [("h", 0), ("he", 0), ("hea", 0), ("x", 1)];
    assert_eq!(found, expect(&expected));
    let mut query = index.for_queries();
    assert_eq!(
        places(&mut query, "heat x"),
        expect(&[("hea", 0), ("x", 1)])
    );
}

#[test]
fn words_alone_are_neither_stopped_nor_stemmed() {
    let mut found = Vec::new();
    let mut english = analyzer(&Text::english()).for_queries();
    english.words("The Cafés", |token| found.push(token.term.to_owned()));
    assert_eq!(found, ["the", "cafes"]);
}

#[test]
fn a_tokenizer_of_the_users_is_found_by_name_and_held_to_the_text() {
    struct Odd;
    impl Tokenizer for Odd {
        fn tokenize(&self, text: &str, each: &mut dyn FnMut(&str, Range<usize>)) {
            each("Walked", 0..1);
            each("", 0..1);
            each("outside", 0..text.len() + 1);
            each("within a letter", 2..text.len());
            each("Fell", 1..text.len());
        }
    }
    let text = Text::english().tokenizer(Tokenization::Custom("odd".into()));
    let odd = Tokenizers::new().with("odd", Odd);
    let mut analyzer = Analyzer::new(&text, &odd).unwrap();
    let found = places(&mut analyzer, "xé");
    assert_eq!(found, expect(&[("walk", 0), ("fell", 1)]));

    let error = Analyzer::new(&text, &Tokenizers::new()).err().unwrap();
    assert!(
        error
            .to_string()
            .ends_with("no tokenizer \"odd\"; the options have none")
    );
    let other = Tokenizers::new().with("even", Odd);
    let error = Analyzer::new(&text, &other).err().unwrap();
    assert!(error.to_string().ends_with("the options have \"even\""));
    assert!(other != odd && odd == odd.clone());
}

#[test]
fn every_language_but_two_has_stop_words() {
    for language in Language::ALL {
        let words = &analyzer(&Text::language(*language)).chain.stop_words;
        let none = [Language::Serbian, Language::Yiddish].contains(language);
        assert_eq!(words.is_empty(), none, "{language:?}");
    }
}

#[test]
fn a_word_without_end_is_left_out() {
    let most = "a".repeat(255);
    let more = "a".repeat(256);
    assert_eq!(terms(&Text::plain(), &most), [most.as_str()]);
    let mut plain = analyzer(&Text::plain());
    let text = format!("x {more} y");
    assert_eq!(places(&mut plain, &text), expect(&[("x", 0), ("y", 2)]));
    // Few characters, but too many bytes.
    assert!(terms(&Text::plain(), &"ж".repeat(128)).is_empty());
    assert_eq!(terms(&Text::plain(), &"ж".repeat(127)).len(), 1);
}

/// Texts that have cost analyzers dearly, of so many bytes.
fn hostile(bytes: usize) -> Vec<String> {
    let units = [
        "a",
        "é",
        "\u{301}",
        "a\u{301}",
        "'",
        "a'",
        "a.\u{301}",
        "1,",
        "_",
        "東",
        "カ\u{3099}",
        "ก",
        "\u{200d}",
        "👩\u{200d}",
        "🇩",
        "👍🏽",
        "ש\u{5b0}",
        "\u{202e}",
        "\0",
        " ",
        "\u{1e}",
        "ﷺ",
        "각",
        "\u{1100}",
        "अ\u{93f}",
        ":\u{301}",
        "\u{ad}",
        "İ",
        "Σ",
        "\u{10ffff}",
    ];
    units
        .iter()
        .map(|unit| unit.repeat(bytes / unit.len()))
        .collect()
}

#[test]
fn hostile_texts_take_time_in_proportion() {
    let grams = Tokenization::Ngrams { least: 1, most: 2 };
    for text in [
        Text::english(),
        Text::language(Language::Turkish),
        Text::whitespace(),
        Text::plain().tokenizer(grams),
    ] {
        let mut analyzer = analyzer(&text);
        for hostile in hostile(1 << 20) {
            let start = Instant::now();
            analyzer.analyze(&hostile, |token| assert!(token.term.len() <= 255));
            let took = start.elapsed();
            // A megabyte takes some 20 to 200 ms; were it quadratic, minutes.
            let unit: String = hostile.chars().take(3).collect();
            assert!(took < Duration::from_secs(5), "{unit:?} took {took:?}");
        }
    }
}

fn any_text() -> impl Strategy<Value = Text> {
    let language = prop::sample::select(Language::ALL);
    (language, any::<[bool; 4]>(), 0..4_u8).prop_map(|(language, flags, tokenizer)| {
        let text = Text::language(language).lower_case(flags[0]).fold(flags[1]);
        let text = match tokenizer {
            0 => text.tokenizer(Tokenization::Whitespace),
            _ => text,
        };
        if flags[2] { text } else { text.stemmer(None) }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_analyzed(
        schema in any_text(),
        text in prop_oneof![any::<String>(), "[a-zA-Zéßğıİ’' ]{0,40}", "[\u{370}-\u{3ff}\u{1f00}-\u{1fff}' ]{0,30}",
            "[\u{400}-\u{4ff}\u{590}-\u{6ff}\u{900}-\u{bff} ]{0,30}"],
    ) {
        let mut analyzer = analyzer(&schema);
        let mut last = None;
        let mut found = Vec::new();
        analyzer.analyze(&text, |token| {
            assert!(!token.term.is_empty() && token.term.len() <= Text::MAX_TERM_BYTES);
            assert!(!text[token.span.clone()].is_empty());
            assert!(last < Some(token.position));
            last = Some(token.position);
            found.push((token.term.to_owned(), token.position));
        });
        // What is remembered is what was found, and queries find the same.
        prop_assert_eq!(&places(&mut analyzer, &text), &found);
        prop_assert_eq!(&places(&mut analyzer.for_queries(), &text), &found);
    }
}
