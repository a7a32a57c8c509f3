//! What queries come to in the terms of a schema.

use super::*;
use crate::schema::{StopWords, Tokenization, Tokenizers};
use proptest::{prelude::*, prop_oneof};

/// Texts by their names, numbered from 10 on.
struct Fields(Vec<(&'static str, Text, Analyzer)>);

impl Fields {
    fn new(texts: Vec<(&'static str, Text)>) -> Self {
        let analyzed = |(name, text): (_, Text)| {
            let analyzer = Analyzer::new(&text, &Tokenizers::new()).unwrap();
            (name, text, analyzer)
        };
        Self(texts.into_iter().map(analyzed).collect())
    }

    fn try_lower(&self, query: &TextQuery, default: &[(String, f32)]) -> Result<Option<Node>> {
        let texts = self.0.iter().zip(10..);
        let searched = texts.map(|((name, text, analyzer), number)| Searched {
            name,
            number,
            text,
            analyzer,
        });
        let searched: Vec<_> = searched.collect();
        lower(query, default, &searched, &Limits::default())
    }

    fn lower(&self, query: &TextQuery) -> Option<Node> {
        self.try_lower(query, &[]).unwrap()
    }
}

fn english() -> Fields {
    Fields::new(vec![("body", Text::english())])
}

fn term(field: u32, term: &str, boost: f32) -> Node {
    Node::Term {
        field,
        term: term.into(),
        boost,
    }
}

fn either(should: Vec<Node>) -> Node {
    Node::Bool {
        must: vec![],
        should,
        must_not: vec![],
        at_least: 1,
    }
}

fn every(must: Vec<Node>) -> Node {
    Node::Bool {
        must,
        should: vec![],
        must_not: vec![],
        at_least: 0,
    }
}

#[test]
fn words_by_table() {
    let fuzzy = |term: &str, distance, exact_prefix| Node::Fuzzy {
        field: 10,
        term: term.into(),
        distance,
        exact_prefix,
        boost: 1.0,
    };
    let phrase = |terms: &[(u32, &str)], slop| Node::Phrase {
        field: 10,
        terms: terms
            .iter()
            .map(|(place, term)| (*place, (*term).into()))
            .collect(),
        slop,
        boost: 1.0,
    };
    let prefix = |prefix: &str| Node::Prefix {
        field: 10,
        prefix: prefix.into(),
        boost: 1.0,
    };
    let one = |word: &str| term(10, word, 1.0);
    for (query, expected) in [
        (
            TextQuery::any("Falling wheels"),
            either(vec![one("fall"), one("wheel")]),
        ),
        (TextQuery::any("the falls"), one("fall")),
        (
            TextQuery::any("fall falls x"),
            either(vec![term(10, "fall", 2.0), one("x")]),
        ),
        (
            TextQuery::all("heat of flow"),
            every(vec![one("heat"), one("flow")]),
        ),
        (
            TextQuery::at_least(2, "a1 b1 c1"),
            Node::Bool {
                must: vec![],
                should: vec![one("a1"), one("b1"), one("c1")],
                must_not: vec![],
                at_least: 2,
            },
        ),
        (
            TextQuery::at_least(9, "heat flow"),
            Node::Bool {
                must: vec![],
                should: vec![one("heat"), one("flow")],
                must_not: vec![],
                at_least: 2,
            },
        ),
        (
            TextQuery::phrase("the state of the arts").slop(3),
            phrase(&[(0, "state"), (3, "art")], 3),
        ),
        (TextQuery::phrase("the arts"), one("art")),
        (
            TextQuery::prefix("Thermodynamics"),
            prefix("thermodynamics"),
        ),
        (TextQuery::prefix("the"), prefix("the")),
        (
            TextQuery::prefix("heating tra"),
            every(vec![one("heat"), prefix("tra")]),
        ),
        (TextQuery::prefix("of tra "), prefix("tra")),
        (TextQuery::fuzzy("ab"), one("ab")),
        (
            TextQuery::fuzzy("heaat").exact_prefix(2),
            fuzzy("heaat", 1, 2),
        ),
        (TextQuery::fuzzy("laminer"), fuzzy("lamin", 1, 0)),
        (TextQuery::fuzzy("boundary"), fuzzy("boundari", 2, 0)),
        (
            TextQuery::fuzzy("boundary").distance(1),
            fuzzy("boundari", 1, 0),
        ),
        (
            TextQuery::any("heat").boost(2.0).field("body").boost(3.0),
            term(10, "heat", 6.0),
        ),
    ] {
        assert_eq!(english().lower(&query), Some(expected), "{query:?}");
    }
}

#[test]
fn what_comes_to_nothing_asks_for_nothing() {
    let (nothing, heat) = (|| TextQuery::all("of the"), || TextQuery::any("heat"));
    let one = || term(10, "heat", 1.0);
    for query in [
        TextQuery::any(""),
        TextQuery::phrase("the"),
        TextQuery::fuzzy("the"),
        TextQuery::prefix("!"),
        nothing() & !heat(),
        nothing() | nothing(),
    ] {
        assert_eq!(english().lower(&query), None, "{query:?}");
    }
    for query in [nothing() & heat(), heat() & !nothing(), heat() | nothing()] {
        assert_eq!(english().lower(&query), Some(one()), "{query:?}");
    }
    let some = TextQuery::parse("+the heat -flow").unwrap();
    let expected = Node::Bool {
        must: vec![],
        should: vec![one()],
        must_not: vec![term(10, "flow", 1.0)],
        at_least: 1,
    };
    assert_eq!(english().lower(&some), Some(expected));
}

#[test]
fn a_word_may_be_in_any_text_of_one_kind() {
    let fields = Fields::new(vec![
        ("body", Text::english()),
        ("name", Text::plain()),
        ("title", Text::english()),
    ]);
    let in_both = |word: &str| either(vec![term(10, word, 1.0), term(12, word, 2.0)]);
    let query = TextQuery::all("heat flows").fields([("body", 1.0), ("title", 2.0)]);
    let expected = every(vec![in_both("heat"), in_both("flow")]);
    assert_eq!(fields.lower(&query), Some(expected.clone()));
    // Where words come to other terms, all of them are in texts of one kind.
    let query = TextQuery::all("heat flows").fields([("body", 1.0), ("title", 2.0), ("name", 1.0)]);
    let plain = every(vec![term(11, "heat", 1.0), term(11, "flows", 1.0)]);
    assert_eq!(fields.lower(&query), Some(either(vec![expected, plain])));
    // The innermost says where to look, and all are looked in unless something does.
    let query = TextQuery::any("x").field("name").field("body");
    assert_eq!(fields.lower(&query), Some(term(11, "x", 1.0)));
    let default = [("title".to_owned(), 3.0)];
    let found = fields.try_lower(&TextQuery::any("x"), &default).unwrap();
    assert_eq!(found, Some(term(12, "x", 3.0)));
    let Some(Node::Bool { should, .. }) = fields.lower(&TextQuery::any("x")) else {
        panic!("expected alternatives");
    };
    assert_eq!(should.len(), 2);
}

#[test]
fn what_cannot_be_looked_for_is_refused() {
    let fields = Fields::new(vec![("body", Text::english().positions(false))]);
    let refused = |query: TextQuery| fields.try_lower(&query, &[]).unwrap_err().to_string();
    assert!(refused(TextQuery::phrase("x y")).contains("\"body\", which has no positions"));
    assert_eq!(
        fields.lower(&TextQuery::phrase("the x")),
        Some(term(10, "x", 1.0))
    );
    let both = Fields::new(vec![
        ("name", Text::plain().positions(false)),
        ("body", Text::plain()),
    ]);
    let found = both.lower(&TextQuery::phrase("a b"));
    assert!(
        matches!(found, Some(Node::Phrase { field: 11, .. })),
        "{found:?}"
    );
    let error = refused(TextQuery::any("x").field("title"));
    assert!(
        error.ends_with("no text \"title\"; the schema has \"body\""),
        "{error}"
    );
    let many: String = (0..2_000).map(|n| format!("w{n} ")).collect();
    assert!(refused(TextQuery::any(many.as_str())).contains("1024 clauses and terms"));
    assert!(refused(TextQuery::fuzzy(many.as_str())).contains("1024 clauses and terms"));
    let boosted = TextQuery::any("x").boost(1e30).boost(1e30);
    assert!(refused(boosted).contains("multiply"));
    let nowhere = TextQuery::any("x").fields(Vec::<(String, f32)>::new());
    assert_eq!(fields.lower(&nowhere), None);
    let none = Fields::new(vec![]);
    assert_eq!(none.lower(&TextQuery::any("x")), None);
}

#[test]
fn grams_of_queries_are_the_longest() {
    let grams = Tokenization::EdgeNgrams { least: 1, most: 4 };
    let fields = Fields::new(vec![("part", Text::plain().tokenizer(grams))]);
    assert_eq!(
        fields.lower(&TextQuery::any("Heating")),
        Some(term(10, "heat", 1.0))
    );
}

fn any_query() -> impl Strategy<Value = TextQuery> {
    let text = prop_oneof![proptest::arbitrary::any::<String>(), "[a-e the]{0,12}"];
    let leaf = (text, 0..6_u8).prop_map(|(text, kind)| match kind {
        0 => TextQuery::any(text),
        1 => TextQuery::all(text),
        2 => TextQuery::at_least(2, text),
        3 => TextQuery::phrase(text).slop(2),
        4 => TextQuery::prefix(text),
        _ => TextQuery::fuzzy(text),
    });
    leaf.prop_recursive(5, 24, 4, |inner| {
        (prop::collection::vec(inner, 1..4), 0..5_u8).prop_map(|(queries, kind)| {
            let least = queries.len() as u32;
            let mut each = queries.into_iter();
            let first = each.next().unwrap();
            match kind {
                0 => each.fold(first, |every, query| every & query),
                1 => each.fold(first, |either, query| either | query),
                2 => each.fold(first, |every, query| every & !query),
                3 => TextQuery::at_least_of(least, each.chain([first])),
                _ => first.boost(0.5).field("body"),
            }
        })
    })
}

/// Whether every part of it finds something.
fn is_sound(node: &Node) -> bool {
    match node {
        Node::Term { term, .. } | Node::Prefix { prefix: term, .. } => !term.is_empty(),
        Node::Fuzzy { term, distance, .. } => !term.is_empty() && (1..=2).contains(distance),
        Node::Phrase { terms, .. } => {
            terms.len() > 1 && terms.is_sorted_by_key(|(place, _)| *place)
        }
        Node::Bool {
            must,
            should,
            must_not,
            at_least,
        } => {
            let least = usize::from(must.is_empty());
            (least..=should.len()).contains(at_least)
                && must.len() + should.len() + must_not.len() > 1
                && must.iter().chain(should).chain(must_not).all(is_sound)
        }
    }
}

proptest! {
    #[test]
    fn any_query_is_refused_or_sound(query in any_query()) {
        let fields = Fields::new(vec![
            ("body", Text::english()),
            ("name", Text::plain().stop_words(StopWords::list(["a"]))),
        ]);
        if let Ok(Some(node)) = fields.try_lower(&query, &[]) {
            prop_assert!(is_sound(&node), "{:?}", node);
        }
    }
}
