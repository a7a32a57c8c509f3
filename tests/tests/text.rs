//! Searching texts, against every point looked at and scored: in memory, in segments, merged, after edits
//! and reopening, with filters, and where a text joins the schema later.

use amphora::{
    Collection, Database, ErrorKind, Field, Filter, Fusion, Hit, Metric, Options, Point, Query,
    Schema, Text, TextQuery, Tokenization, Tokenizer, Tokenizers, Vector, field, vfs::MemoryVfs,
};
use amphora_tests::{
    random::Random,
    subject::{self, Subject, check_wherever_points_lie},
    truth::number,
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::Range,
};

/// Few words, so that texts have many in common; some are much more frequent.
const WORDS: [&str; 24] = [
    "the",
    "of",
    "heat",
    "transfer",
    "wing",
    "flow",
    "boundary",
    "layer",
    "shock",
    "wave",
    "plate",
    "supersonic",
    "laminar",
    "turbulent",
    "jet",
    "nozzle",
    "drag",
    "lift",
    "body",
    "slender",
    "cone",
    "blunt",
    "mach",
    "number",
];
const LIMIT: usize = 12;

fn schema() -> Schema {
    Schema::new()
        .vector("v", Vector::new(2, Metric::Dot))
        .field("part", Field::Integer)
        .text("title", Text::plain())
        .text("body", Text::plain())
}

/// A title and a body, below 40 words so that their lengths are kept as they are.
type Texts = (String, String);

fn words(most: u64, random: &mut Random) -> String {
    let count = random.below(most);
    let word = |_| {
        // The smaller of two: the first words are the more frequent.
        let (a, b) = (random.below(24), random.below(24));
        WORDS[a.min(b) as usize]
    };
    (0..count).map(word).collect::<Vec<_>>().join(" ")
}

/// The texts of points.
#[derive(Clone)]
struct Kept {
    texts: BTreeMap<u64, Texts>,
    random: Random,
}

impl Kept {
    /// What any of some words in a text comes to, by scoring everything.
    fn best(&self, text: usize, query: &str, passes: impl Fn(u64) -> bool) -> Vec<(u64, f64)> {
        let split = |texts: &Texts| -> Vec<String> {
            let text = if text == 0 { &texts.0 } else { &texts.1 };
            text.split_whitespace().map(str::to_owned).collect()
        };
        let rows: BTreeMap<u64, Vec<String>> = self
            .texts
            .iter()
            .map(|(id, texts)| (*id, split(texts)))
            .collect();
        let filled = rows.values().filter(|words| !words.is_empty()).count() as f64;
        let tokens: usize = rows.values().map(Vec::len).sum();
        let average = tokens as f64 / filled.max(1.0);
        let mut scores = HashMap::new();
        for word in query.split_whitespace() {
            let with = rows
                .values()
                .filter(|words| words.iter().any(|w| w == word));
            let with = with.count() as f64;
            let idf = (1.0 + (filled - with + 0.5) / (with + 0.5)).ln();
            for (id, words) in &rows {
                let times = words.iter().filter(|w| *w == word).count() as f64;
                let norm = 1.2 * (0.25 + 0.75 * words.len() as f64 / average);
                if times > 0.0 && passes(*id) {
                    *scores.entry(*id).or_insert(0.0) += idf * times / (times + norm);
                }
            }
        }
        let mut scores: Vec<_> = scores.into_iter().collect();
        scores.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        scores.truncate(LIMIT);
        scores
    }
}

impl subject::Kept for Kept {
    fn fill(&mut self, ids: Range<u64>) -> Vec<Point> {
        let mut points = Vec::new();
        for id in ids {
            let texts = (words(6, &mut self.random), words(39, &mut self.random));
            points.push(Point::new(id).payload(json!({
                "title": texts.0,
                "body": texts.1,
                "part": id % 7,
            })));
            self.texts.insert(id, texts);
        }
        points
    }

    fn forget(&mut self, ids: Range<u64>) {
        self.texts.retain(|id, _| !ids.contains(id));
    }

    fn check(&self, docs: &Collection) -> Vec<Vec<Hit>> {
        let mut random = Random(99);
        let search = |query: Query| docs.search(query).wait().expect("hits");
        let mut all = Vec::new();
        for round in 0..30 {
            let (text, name) = if round % 3 == 0 {
                (0, "title")
            } else {
                (1, "body")
            };
            let words: BTreeSet<&str> = (0..1 + random.below(5))
                .map(|_| WORDS[random.below(24) as usize])
                .collect();
            let words = words.into_iter().collect::<Vec<_>>().join(" ");
            let query = Query::text(name, words.as_str()).limit(LIMIT);
            let hits = search(query.clone());
            same(&hits, &self.best(text, &words, |_| true));
            all.push(hits);
            let some = search(query.filter(field("part").at_most(2)));
            same(&some, &self.best(text, &words, |id| id % 7 <= 2));
        }
        all
    }

    fn check_all(&self, docs: &Collection) {
        let hits = docs.search(Query::text("body", "heat wing flow").limit(2_000));
        let hits = hits.wait().expect("hits");
        let expected = self.texts.values().filter(|(_, body)| {
            let mut words = body.split_whitespace();
            words.any(|word| ["heat", "wing", "flow"].contains(&word))
        });
        assert_eq!(hits.len(), expected.count().min(2_000));
        assert!(
            hits.iter()
                .all(|hit| self.texts.contains_key(&number(&hit.id)))
        );
    }
}

/// Whether hits are what scoring everything gave; who comes first of those that score alike is told by
/// their ids only where scores are alike to the last bit.
fn same(hits: &[Hit], best: &[(u64, f64)]) {
    assert_eq!(hits.len(), best.len());
    for (hit, (_, score)) in hits.iter().zip(best) {
        assert!(
            (f64::from(hit.score) - score).abs() < 1e-5,
            "{hit:?} {score}"
        );
    }
    assert!(hits.is_sorted_by(|a, b| (b.score, &a.id) <= (a.score, &b.id)));
    let found: BTreeSet<u64> = hits.iter().map(|hit| number(&hit.id)).collect();
    let last = best.last().map_or(0.0, |(_, score)| *score);
    for (id, score) in best {
        assert!(found.contains(id) || score - last < 1e-5, "{id}");
    }
}

fn nothing() -> Kept {
    Kept {
        texts: BTreeMap::new(),
        random: Random(4),
    }
}

#[test]
fn scores_are_those_of_all_points_wherever_they_lie() {
    check_wherever_points_lie(schema(), nothing());
}

#[test]
fn a_text_that_joins_the_schema_finds_what_is_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = &directory.path().join("db");
    let bare = Schema::new()
        .vector("v", Vector::new(2, Metric::Dot))
        .field("part", Field::Integer);
    let mut subject = Subject::create(path, bare, nothing());
    subject.fill(0..400);
    subject.db.optimize().wait().expect("a segment");
    subject.fill(400..500);
    let query = || Query::text("body", "heat");
    let error = subject.docs.search(query()).wait().expect_err("no text");
    assert!(
        error.to_string().contains("there is no text \"body\""),
        "{error}"
    );
    for name in ["title", "body"] {
        let added = subject.docs.add_text(name, Text::plain()).wait();
        added.expect("added");
    }
    let found = subject.check();
    subject.fill(500..550);
    subject.check();
    let mut subject = subject.reopened(path);
    subject.delete(500..550);
    subject.db.optimize().wait().expect("merged");
    assert_eq!(subject.check(), found);
    subject.docs.drop_text("body").wait().expect("dropped");
    assert!(subject.docs.search(query()).wait().is_err());
    // Under the same name, but of its own.
    let added = subject.docs.add_text("body", Text::plain()).wait();
    added.expect("added");
    assert_eq!(subject.check(), found);
    subject.db.close().wait().expect("closed");
}

#[test]
fn a_point_is_found_by_its_last_text_as_soon_as_it_is_written() {
    let db = Database::builder_on(MemoryVfs::new()).open().wait();
    let db = db.expect("it opens");
    let docs = db.create_collection("docs", schema()).wait().expect("new");
    for round in 0..10 {
        let body = format!("common word{round}");
        let point = Point::new(1).payload(json!({ "body": body }));
        docs.upsert([point]).wait().expect("written");
        for other in 0..10 {
            let query = Query::text("body", format!("word{other}").as_str());
            let hits = docs.search(query).wait().expect("hits");
            assert_eq!(hits.len(), usize::from(other == round));
        }
        let hits = docs.search(Query::text("body", "common")).wait();
        assert_eq!(hits.expect("hits").len(), 1);
        if round % 3 == 2 {
            db.optimize().wait().expect("optimized");
        }
    }
    docs.set_payload([1], json!({ "body": "other" }))
        .wait()
        .expect("set");
    let count = |word: &str| {
        let hits = docs.search(Query::text("body", word)).wait();
        hits.expect("hits").len()
    };
    assert_eq!((count("common"), count("other")), (0, 1));
    docs.delete([1]).wait().expect("deleted");
    assert_eq!(count("other"), 0);
    db.close().wait().expect("closed");
}

#[test]
fn text_and_vectors_are_fused_over_one_moment() {
    let db = Database::builder_on(MemoryVfs::new()).open().wait();
    let db = db.expect("it opens");
    let docs = db.create_collection("docs", schema()).wait().expect("new");
    let points = (0..60u64).map(|id| {
        let body = format!("heat {}", "of ".repeat(id as usize % 30));
        let point = Point::new(id).vector("v", [1.0, id as f32]);
        point.payload(json!({ "body": body, "part": id % 2 }))
    });
    docs.upsert(points.collect::<Vec<_>>())
        .wait()
        .expect("written");
    let text = Query::text("body", "heat").limit(20);
    let dense = Query::nearest("v", [0.0, 1.0]).exact().limit(20);
    for _ in 0..2 {
        let even = || field("part").eq(0);
        let ranks = |query: &Query| -> HashMap<u64, f64> {
            let hits = docs.search(query.clone().filter(even())).wait();
            let hits = hits.expect("hits");
            let of = |(rank, hit): (usize, &Hit)| (number(&hit.id), 1.0 / (61.0 + rank as f64));
            hits.iter().enumerate().map(of).collect()
        };
        let (by_text, by_vector) = (ranks(&text), ranks(&dense));
        let ids: BTreeSet<u64> = by_text.keys().chain(by_vector.keys()).copied().collect();
        let score = |id: &u64| {
            by_text.get(id).copied().unwrap_or(0.0) + by_vector.get(id).copied().unwrap_or(0.0)
        };
        let mut expected: Vec<(u64, f64)> = ids.iter().map(|id| (*id, score(id))).collect();
        expected.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let query = Query::fuse(Fusion::rrf())
            .prefetch(text.clone())
            .prefetch(dense.clone())
            .filter(even())
            .highlight("body", 20)
            .limit(8);
        let hits = docs.search(query).wait().expect("hits");
        assert_eq!(hits.len(), 8);
        for (hit, (id, score)) in hits.iter().zip(expected) {
            assert_eq!(number(&hit.id), id);
            assert!((f64::from(hit.score) - score).abs() < 1e-6);
            let (name, snippet) = &hit.snippets[0];
            assert_eq!((name.as_str(), &snippet.text[..4]), ("body", "heat"));
            assert_eq!(snippet.matches.first(), Some(&(0..4)));
        }
        db.optimize().wait().expect("a segment");
    }
    db.close().wait().expect("closed");
}

/// The ids that a query finds, in their order.
fn ids(docs: &Collection, query: impl Into<TextQuery>, filter: Option<Filter>) -> Vec<u64> {
    let query = Query::text("body", query);
    let query = match filter {
        Some(filter) => query.filter(filter),
        None => query,
    };
    let hits = docs.search(query).wait().expect("hits");
    hits.iter().map(|hit| number(&hit.id)).collect()
}

#[test]
fn every_kind_of_query_finds_what_it_says() {
    let db = Database::builder_on(MemoryVfs::new()).open().wait();
    let db = db.expect("it opens");
    let schema = Schema::new()
        .text("title", Text::english())
        .text("body", Text::english());
    let docs = db.create_collection("docs", schema).wait().expect("new");
    let point = |id: u64, title: &str, body: serde_json::Value| {
        Point::new(id).payload(json!({ "title": title, "body": body, "id": id }))
    };
    let points = [
        point(
            1,
            "heat",
            json!("The transfer of heat in a laminar boundary layer"),
        ),
        point(2, "flow", json!("Heat transfers at the boundary of layers")),
        point(3, "shock", json!(["Shock waves", "and their boundary"])),
        point(4, "wing", json!("Supersonic flow past a slender body")),
        point(5, "none", json!(null)),
    ];
    docs.upsert(points).wait().expect("written");
    let check = || {
        let find = |query: TextQuery| {
            let mut found = ids(&docs, query, None);
            found.sort_unstable();
            found
        };
        let parse = |query: &str| find(TextQuery::parse(query).expect("a query"));
        assert_eq!(find(TextQuery::any("heating shocks")), [1, 2, 3]);
        assert_eq!(find(TextQuery::all("heat layer")), [1, 2]);
        assert_eq!(
            find(TextQuery::at_least(2, "heat layer flow body")),
            [1, 2, 4]
        );
        assert_eq!(find(TextQuery::phrase("boundary layer")), [1]);
        assert_eq!(find(TextQuery::phrase("boundary layer").slop(1)), [1, 2]);
        assert!(find(TextQuery::phrase("waves and their boundary")).is_empty());
        assert_eq!(find(TextQuery::prefix("super")), [4]);
        assert_eq!(find(TextQuery::fuzzy("slendr")), [4]);
        assert_eq!(parse("heat -laminar"), [2]);
        assert_eq!(parse("+boundary +(heat shock)"), [1, 2, 3]);
        assert_eq!(parse("title:wing heat"), [1, 2, 4]);
        assert_eq!(parse("\"heat transfer\" shock^3"), [2, 3]);
        assert!(parse("the of").is_empty());
        let filter = || Some(field("id").at_most(1));
        assert_eq!(ids(&docs, "boundary", filter()), [1]);
    };
    check();
    db.optimize().wait().expect("a segment");
    check();
    docs.upsert([point(6, "extra", json!("nothing of interest"))])
        .wait()
        .expect("written");
    check();
    let error = TextQuery::parse("heat AND (flow").expect_err("no query");
    assert!(error.to_string().contains('^'), "{error}");
    db.close().wait().expect("closed");
}

fn open_with(vfs: &MemoryVfs, tokenizers: Tokenizers) -> amphora::Result<Database> {
    let options = Options {
        tokenizers,
        ..Options::default()
    };
    let db = Database::builder_on(vfs.clone()).options(options).open();
    db.wait()
}

struct Commas;

impl Tokenizer for Commas {
    fn tokenize(&self, text: &str, each: &mut dyn FnMut(&str, Range<usize>)) {
        let mut start = 0;
        for part in text.split(',') {
            each(part, start..start + part.len());
            start += part.len() + 1;
        }
    }
}

#[test]
fn tokenizers_of_the_callers_own_are_asked_for_at_every_opening() {
    let vfs = MemoryVfs::new();
    let open = |tokenizers| open_with(&vfs, tokenizers);
    let text = Text::whitespace().tokenizer(Tokenization::Custom("commas".into()));
    let schema = Schema::new().text("body", text);
    let db = open(Tokenizers::new()).expect("it opens");
    let error = db.create_collection("docs", schema.clone()).wait();
    let error = error.expect_err("nobody knows commas");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        error.to_string().contains("no tokenizer \"commas\""),
        "{error}"
    );
    db.close().wait().expect("closed");

    let commas = || Tokenizers::new().with("commas", Commas);
    let db = open(commas()).expect("it opens");
    let docs = db.create_collection("docs", schema).wait().expect("new");
    let point = Point::new(1).payload(json!({ "body": "a b,c" }));
    docs.upsert([point]).wait().expect("written");
    assert_eq!(ids(&docs, "a b", None), [1]);
    assert!(ids(&docs, "b", None).is_empty());
    db.close().wait().expect("closed");
    let error = open(Tokenizers::new()).expect_err("a tokenizer is wanting");
    assert!(
        error.to_string().contains("no tokenizer \"commas\""),
        "{error}"
    );
    let db = open(commas()).expect("it opens");
    let docs = db.collection("docs").wait().expect("there");
    assert_eq!(ids(&docs, "a b", None), [1]);
    db.close().wait().expect("closed");
}

/// Does not understand question marks.
struct Picky;

impl Tokenizer for Picky {
    fn tokenize(&self, text: &str, each: &mut dyn FnMut(&str, Range<usize>)) {
        assert!(!text.contains('?'), "a question about {text}");
        Commas.tokenize(text, each);
    }
}

#[test]
fn a_tokenizer_that_panics_fails_searches_alone() {
    let vfs = MemoryVfs::new();
    let open = |tokenizers| open_with(&vfs, tokenizers).expect("it opens");
    let commas = Tokenization::Custom("commas".into());
    let schema = Schema::new().text("body", Text::whitespace().tokenizer(commas));
    let db = open(Tokenizers::new().with("commas", Picky));
    let docs = db.create_collection("docs", schema).wait().expect("new");
    for (id, body) in [(1, "a,b"), (2, "why?,b"), (3, "b,c")] {
        let point = Point::new(id).payload(json!({ "body": body }));
        docs.upsert([point]).wait().expect("written");
    }
    let find = |docs: &Collection| {
        let found = docs.search(Query::text("body", "b")).wait();
        found.expect_err("it panics")
    };
    for _ in 0..2 {
        let error = find(&docs);
        assert_eq!(error.kind(), ErrorKind::Panicked, "{error}");
        let said = error.to_string();
        assert!(said.contains("\"body\"") && !said.contains("why"), "{said}");
    }
    db.optimize().wait().expect("what was written is kept");
    assert_eq!(find(&docs).kind(), ErrorKind::Panicked);
    assert_eq!(docs.count().wait().expect("counted"), 3);
    db.close().wait().expect("closed");

    let db = open(Tokenizers::new().with("commas", Commas));
    let docs = db.collection("docs").wait().expect("there");
    let mut found = ids(&docs, "b", None);
    found.sort_unstable();
    assert_eq!(found, [1, 2, 3]);
    db.close().wait().expect("closed");
}

#[test]
fn what_is_no_text_is_refused_and_bad_queries_say_why() {
    let db = Database::builder_on(MemoryVfs::new()).open().wait();
    let db = db.expect("it opens");
    let schema = Schema::new().text("body", Text::english().positions(false));
    let docs = db.create_collection("docs", schema).wait().expect("new");
    for body in [
        json!(7),
        json!([["nested"]]),
        json!(["a", 1]),
        json!({ "a": "b" }),
    ] {
        let point = Point::new(1).payload(json!({ "body": body }));
        let error = docs.upsert([point]).wait().expect_err("it is no text");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains("body"), "{error}");
    }
    let point = Point::new(1).payload(json!({ "body": "heat transfer" }));
    docs.upsert([point]).wait().expect("written");
    for (query, expected) in [
        (Query::text("title", "heat"), "no text \"title\""),
        (
            Query::text("body", TextQuery::phrase("heat transfer")),
            "positions",
        ),
        (Query::text("body", "heat").limit(0), "limit"),
        (Query::text("body", "heat").bm25(-1.0, 0.5), "k1"),
        (Query::text("body", "heat").bm25(1.2, 1.5), "b 1.5"),
    ] {
        let error = docs.search(query).wait().expect_err("it cannot run");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let many: Vec<String> = (0..10_000).map(|n| format!("w{n}")).collect();
    let answer = docs
        .search(Query::text("body", many.join(" ").as_str()))
        .wait();
    let error = answer.expect_err("too many terms");
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    db.close().wait().expect("closed");
}
