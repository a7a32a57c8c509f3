//! The points: passages with their authors, real embeddings, and fields of every kind that are drawn; and what is asked
//! of them.

use crate::{
    bm25::Bm25,
    protocol::{Sparse, write_lines},
    question::{
        EMBEDDING, Examples, Formula, Hold, Order, Question, Row, Search, Shape, Terms, What,
    },
};
use amphora_blocking::amphora::{Field, Filter, GeoPoint, Metric, PointId, field};
use amphora_tests::{
    clustered::normalize,
    data::{self, Matrix},
    passages::words,
    random::Random,
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fs, io, path::Path};

const POINTS: usize = 100_000;
pub(super) const SEED: u64 = 1_854;
const M: usize = 16;
const EF_CONSTRUCTION: usize = 128;
const THREADS: usize = 2;
/// The others', as much as they need for a hundred.
const EF: usize = 128;
/// What each part of a fusion finds.
const DEPTH: usize = 100;
/// How far a number of an embedding is moved that was there before, at most.
const JITTER: f32 = 0.03;
const TERMS: &str = "terms";
/// Steps of weights that 16 bits hold exactly.
const STEPS: f32 = 512.0;
const TAGS: u64 = 40;

pub(super) struct Points {
    /// Those of passages in turns, moved from the second turn on.
    base: Matrix,
    /// Of passages that are none of them.
    queries: Matrix,
    payloads: Vec<Map<String, Value>>,
    bm25: Bm25,
}

impl Points {
    /// `None`, with a line on standard error, when the data is not there.
    pub(super) fn load() -> Option<Self> {
        let (books, mut queries) = data::books().zip(data::book_queries())?;
        let passages = data::objects("books_text/passages.jsonl.zst")?;
        let mut random = Random(SEED);
        let passages = passages.into_iter().take(POINTS);
        let payloads = passages.map(|passage| payload(&passage, &mut random));
        let payloads: Vec<Map<String, Value>> = payloads.collect();
        let texts = payloads
            .iter()
            .map(|it| it["text"].as_str().unwrap_or_default());
        let mut bm25 = Bm25::new(texts);
        for value in bm25.rows.iter_mut().flat_map(|row| &mut row.values) {
            *value = (*value * STEPS).round().max(1.0) / STEPS;
        }
        let mut base = Matrix {
            dimensions: books.dimensions,
            values: books
                .values
                .iter()
                .copied()
                .cycle()
                .take(POINTS * books.dimensions)
                .collect(),
        };
        for value in &mut base.values[books.values.len()..] {
            *value += JITTER * random.unit();
        }
        normalize(&mut base);
        normalize(&mut queries);
        Some(Self {
            base,
            queries,
            payloads,
            bm25,
        })
    }

    /// Writes what systems take in.
    pub(super) fn write(&self, directory: &Path) -> io::Result<Hold> {
        let base = directory.join("base.f32");
        fs::write(&base, bytemuck::cast_slice(&self.base.values))?;
        let rows = (0..).zip(&self.payloads).zip(&self.bm25.rows);
        let rows = rows.map(|((id, payload), terms)| Row {
            id: PointId::Number(id),
            vectors: BTreeMap::new(),
            sparse: BTreeMap::from([(TERMS.to_owned(), self::terms(terms))]),
            payload: payload.clone(),
        });
        let points = directory.join("points.jsonl");
        write_lines(&points, rows)?;
        let fields = [
            ("author", Field::Keyword),
            ("work", Field::Keyword),
            ("tags", Field::Keyword),
            ("year", Field::Integer),
            ("price", Field::Float),
            ("when", Field::DateTime),
            ("place", Field::Geo),
        ];
        Ok(Hold {
            points,
            base: Some(base),
            vectors: vec![(
                EMBEDDING.to_owned(),
                self.base.dimensions as u32,
                Metric::Cosine,
            )],
            sparse: vec![(TERMS.to_owned(), true)],
            fields: fields
                .map(|(name, field)| (name.to_owned(), field))
                .to_vec(),
            texts: vec!["text".to_owned()],
            deleted: Vec::new(),
            in_memory: false,
            m: M,
            ef_construction: EF_CONSTRUCTION,
            threads: THREADS,
            directory: directory.to_owned(),
        })
    }

    /// Some questions of each kind.
    pub(super) fn kinds(&self, count: usize) -> Vec<(&'static str, Vec<Question>)> {
        let mut random = Random(SEED);
        let mut kinds: Vec<(&'static str, Vec<Question>)> = KINDS
            .iter()
            .map(|(name, ask)| {
                let questions = (0..count).map(|number| {
                    ask(&mut Draw {
                        points: self,
                        random: &mut random,
                        number,
                    })
                });
                (*name, questions.collect())
            })
            .collect();
        let everything = Question::Scroll {
            filter: None,
            page: 1_000,
            order: None,
            with_payload: true,
            to_the_end: true,
        };
        kinds.push(("scroll/everything", vec![everything]));
        kinds
    }
}

fn terms(terms: &Sparse) -> Terms {
    Terms {
        indices: terms.indices.clone(),
        values: terms.values.clone(),
    }
}

fn payload(passage: &Value, random: &mut Random) -> Map<String, Value> {
    let tags = (0..random.below(4)).map(|_| tag(random));
    let tags: Value = tags.collect();
    let payload = json!({
        "text": words(passage["text"].as_str().unwrap_or_default()),
        "author": passage["author"],
        "work": passage["work"],
        "tags": tags,
        "year": 1_800 + random.below(200),
        "price": random.below(1 << 20) as f64 / 1_024.0 + 0.5 / 1_024.0,
        "when": date(random),
        "place": { "lon": f64::from(random.unit()) * 180.0, "lat": f64::from(random.unit()) * 80.0 },
    });
    match payload {
        Value::Object(payload) => payload,
        _ => Map::new(),
    }
}

/// The smaller its number, the more often.
fn tag(random: &mut Random) -> String {
    let most = random.below(TAGS) + 1;
    format!("tag-{}", random.below(most))
}

fn date(random: &mut Random) -> String {
    let mut two = |from, count| format!("{:02}", from + random.below(count));
    let (month, day, hour) = (two(1, 12), two(1, 28), two(0, 24));
    let (minute, second) = (two(0, 60), two(0, 60));
    format!("20{}-{month}-{day}T{hour}:{minute}:{second}Z", two(10, 15))
}

/// Draws a question.
struct Draw<'a> {
    points: &'a Points,
    random: &'a mut Random,
    /// Of the question among those of its kind.
    number: usize,
}

type Ask = fn(&mut Draw<'_>) -> Question;

const KINDS: &[(&str, Ask)] = &[
    ("count/range", |draw| Question::Count {
        filter: Some(draw.years()),
    }),
    ("count/several", |draw| {
        let filter = (draw.years() | draw.author()) & draw.tag() & !field("price").below(500.0);
        Question::Count {
            filter: Some(filter),
        }
    }),
    ("count/words", |draw| {
        let filter = field("text").has_words(draw.words(2));
        Question::Count {
            filter: Some(filter & draw.years()),
        }
    }),
    ("count/place", |draw| {
        let radius = 200_000.0 + draw.random.below(2_000_000) as f64;
        let filter = field("place").near(draw.place(), radius);
        Question::Count {
            filter: Some(filter),
        }
    }),
    ("facet/all", |draw| Question::Facet {
        field: draw.one(&["author", "work", "tags"]).to_owned(),
        limit: 10,
        filter: None,
    }),
    ("facet/filtered", |draw| Question::Facet {
        field: draw.one(&["author", "work", "tags"]).to_owned(),
        limit: 10,
        filter: Some(draw.years()),
    }),
    ("scroll/filtered", |draw| Question::Scroll {
        filter: Some(draw.years() & draw.tag()),
        page: 100,
        order: None,
        with_payload: true,
        to_the_end: false,
    }),
    ("order/all", |draw| draw.order(None)),
    ("order/filtered", |draw| {
        let filter = draw.author();
        draw.order(Some(filter))
    }),
    ("recommend/average", |draw| draw.search(What::Average, None)),
    ("recommend/best-score", |draw| {
        draw.search(What::BestScore, None)
    }),
    ("recommend/best-score-filtered", |draw| {
        let filter = draw.author();
        draw.search(What::BestScore, Some(filter))
    }),
    ("recommend/sum-scores", |draw| {
        draw.search(What::SumScores, None)
    }),
    ("recommend/sum-scores-filtered", |draw| {
        let filter = draw.author();
        draw.search(What::SumScores, Some(filter))
    }),
    ("discover/all", |draw| draw.discover(None)),
    ("discover/filtered", |draw| {
        let filter = draw.author();
        draw.discover(Some(filter))
    }),
    ("fusion/all", |draw| draw.fusion(None)),
    ("fusion/filtered", |draw| {
        let filter = draw.years();
        draw.fusion(Some(filter))
    }),
    ("formula", |draw| draw.formula()),
];

impl Draw<'_> {
    fn one<T: Copy>(&mut self, some: &[T]) -> T {
        some[self.random.below(some.len() as u64) as usize]
    }

    fn row(&mut self) -> usize {
        self.random.below(POINTS as u64) as usize
    }

    fn years(&mut self) -> Filter {
        let from = 1_800 + self.random.below(190);
        field("year").within(from..=from + self.random.below(40))
    }

    fn author(&mut self) -> Filter {
        let row = self.row();
        field("author").eq(self.points.payloads[row]["author"].clone())
    }

    fn tag(&mut self) -> Filter {
        let tags = [tag(self.random), tag(self.random)];
        field("tags").any_of(tags)
    }

    fn place(&mut self) -> GeoPoint {
        let unit = |random: &mut Random| f64::from(random.unit());
        GeoPoint::new(unit(self.random) * 170.0, unit(self.random) * 70.0)
    }

    /// Some of a passage.
    fn words(&mut self, count: usize) -> String {
        let row = self.row();
        let text = self.points.payloads[row]["text"]
            .as_str()
            .unwrap_or_default();
        let words: Vec<&str> = text.split(' ').filter(|word| word.len() > 3).collect();
        let words = (0..count).filter_map(|_| {
            let at = self.random.below(words.len() as u64) as usize;
            words.get(at).copied()
        });
        words.collect::<Vec<_>>().join(" ")
    }

    fn order(&mut self, filter: Option<Filter>) -> Question {
        let mut search = Search::new(What::OrderBy(Order {
            field: self.one(&["price", "when"]).to_owned(),
            descending: self.one(&[true, false]),
            from: None,
        }));
        search.filter = filter;
        search.limit = 100;
        Question::Search(search)
    }

    fn query(&self) -> Vec<f32> {
        let count = self.points.queries.rows().len();
        self.points.queries.row(self.number % count).to_vec()
    }

    fn vectors(&mut self, count: usize) -> Vec<Vec<f32>> {
        let rows = (0..count).map(|_| {
            let row = self.row();
            self.points.base.row(row).to_vec()
        });
        rows.collect()
    }

    fn search(&mut self, what: fn(Examples) -> What, filter: Option<Filter>) -> Question {
        let mut search = Search::new(what(Examples {
            using: EMBEDDING.to_owned(),
            positive: self.vectors(3),
            negative: self.vectors(2),
        }));
        search.filter = filter;
        search.ef = Some(EF);
        Question::Search(search)
    }

    fn discover(&mut self, filter: Option<Filter>) -> Question {
        let (first, second) = (self.vectors(2), self.vectors(2));
        let mut search = Search::new(What::Discover {
            using: EMBEDDING.to_owned(),
            target: self.query(),
            pairs: first.into_iter().zip(second).collect(),
        });
        search.filter = filter;
        search.ef = Some(EF);
        Question::Search(search)
    }

    fn nearest(&self) -> Search {
        let mut nearest = Search::new(What::Nearest {
            using: EMBEDDING.to_owned(),
            vector: self.query(),
        });
        nearest.limit = DEPTH;
        nearest.ef = Some(EF);
        nearest
    }

    fn fusion(&mut self, filter: Option<Filter>) -> Question {
        let words = self.words(4);
        let mut sparse = Search::new(What::Sparse {
            using: TERMS.to_owned(),
            vector: terms(&self.points.bm25.query(&words)),
        });
        sparse.limit = DEPTH;
        let mut fusion = Search::new(What::Rrf { k: 60 });
        fusion.prefetches = vec![self.nearest(), sparse];
        for prefetch in &mut fusion.prefetches {
            prefetch.filter.clone_from(&filter);
        }
        Question::Search(fusion)
    }

    /// The nearest, rather those that are new, cheap, and by an author.
    fn formula(&mut self) -> Question {
        let decay = |shape, x, target, scale| Formula::Decay {
            shape,
            x: Box::new(x),
            target: Box::new(target),
            scale,
            midpoint: 0.5,
        };
        let price = Formula::Field {
            path: "price".to_owned(),
            or: 1_000.0,
        };
        let when = Formula::DateTimeField("when".to_owned());
        let now = Formula::DateTime("2025-01-01T00:00:00Z".to_owned());
        let is_by = Formula::Condition(self.author());
        let mut formula = Search::new(What::Formula(Formula::Sum(vec![
            Formula::Score(0),
            decay(Shape::Exponential, price, Formula::Constant(0.0), 200.0),
            decay(Shape::Gauss, when, now, 86_400.0 * 365.0),
            Formula::Product(vec![Formula::Constant(0.5), is_by]),
        ])));
        formula.prefetches = vec![self.nearest()];
        Question::Search(formula)
    }
}
