//! Random questions.

use super::world::{
    KEYS, RARE, VECTORS, WORDS, World, date, degrees, number, one_in, pick, price, terms, uuid,
    vector,
};
use crate::question::{Examples, Formula, Order, Pair, Question, Search, Shape, What};
use amphora_blocking::amphora::{Filter, GeoArea, GeoPoint, Metric, field};
use amphora_tests::random::Random;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Those whose scores are similarities.
const SIMILAR: &[(&str, u32, Metric)] = VECTORS.split_at(2).0;

/// Draws a question about a world.
pub(super) struct Draw<'a> {
    pub(super) world: &'a World,
    pub(super) random: &'a mut Random,
}

type Ask = fn(&mut Draw<'_>) -> Question;

/// By their names; a kind that is asked twice as often is there twice.
pub(super) const KINDS: &[(&str, Ask)] = &[
    ("count", |draw| {
        let filter = Some(draw.filter(2));
        Question::Count { filter }
    }),
    ("count", |draw| {
        let filter = Some(draw.filter(0));
        Question::Count { filter }
    }),
    ("scroll", |draw| {
        let filter = Some(draw.filter(1));
        draw.scroll(filter, None)
    }),
    ("scroll-in-order", |draw| {
        let (filter, order) = (draw.maybe_filter(), draw.order());
        draw.scroll(filter, Some(order))
    }),
    ("facet", |draw| Question::Facet {
        field: draw.one(&["key", "tags", "number", "numbers", "flag", "uid"]),
        limit: 1 + draw.random.below(12) as usize,
        filter: draw.maybe_filter(),
    }),
    ("nearest", |draw| {
        let search = draw.nearest();
        draw.asked(search)
    }),
    ("sparse", |draw| {
        let search = draw.sparse();
        draw.asked(search)
    }),
    ("text", |draw| {
        let words = draw.different_words();
        let what = What::Text {
            field: "body".to_owned(),
            words,
        };
        draw.asked(Search::new(what))
    }),
    ("recommend-average", |draw| {
        let what = draw.examples(What::Average, 1);
        draw.asked(Search::new(what))
    }),
    ("recommend-best-score", |draw| {
        let what = draw.examples(What::BestScore, 0);
        draw.asked(Search::new(what))
    }),
    ("recommend-sum-scores", |draw| {
        let what = draw.examples(What::SumScores, 0);
        draw.asked(Search::new(what))
    }),
    ("discover", |draw| {
        let (using, dimensions) = draw.similarity();
        let what = What::Discover {
            using,
            target: vector(draw.random, dimensions),
            pairs: draw.pairs(dimensions),
        };
        draw.asked(Search::new(what))
    }),
    ("context", |draw| {
        let (using, dimensions) = draw.similarity();
        let pairs = draw.pairs(dimensions);
        draw.asked(Search::new(What::Context { using, pairs }))
    }),
    ("order", |draw| {
        let what = What::OrderBy(draw.order());
        draw.asked(Search::new(what))
    }),
    ("fusion-rrf", |draw| {
        let k = 1 + draw.random.below(100) as u32;
        draw.fused(What::Rrf { k }, &VECTORS)
    }),
    ("fusion-dbsf", |draw| draw.fused(What::Dbsf {}, SIMILAR)),
    ("rescored", |draw| {
        let mut search = draw.nearest();
        search.prefetches = draw.prefetches(&VECTORS);
        draw.asked(search)
    }),
    ("formula", |draw| {
        let prefetches = draw.prefetches(&VECTORS);
        let mut search = Search::new(What::Formula(draw.formula(3, prefetches.len())));
        search.prefetches = prefetches;
        draw.asked(search)
    }),
];

impl Draw<'_> {
    fn one(&mut self, some: &[&str]) -> String {
        (*pick(self.random, some)).to_owned()
    }

    /// A field that is declared, or its twin that is not.
    fn either(&mut self, some: &[&str]) -> String {
        let name = self.one(some);
        match one_in(self.random, 2) {
            true => format!("raw.{name}"),
            false => name,
        }
    }

    /// With a page of its own, maybe a filter, and maybe a threshold.
    fn asked(&mut self, mut search: Search) -> Question {
        search.filter = self.maybe_filter();
        search.limit = 1 + self.random.below(40) as usize;
        if one_in(self.random, 4) {
            search.offset = self.random.below(30) as usize;
        }
        Question::Search(search.exact())
    }

    fn maybe_filter(&mut self) -> Option<Filter> {
        one_in(self.random, 2).then(|| self.filter(1))
    }

    fn scroll(&mut self, filter: Option<Filter>, order: Option<Order>) -> Question {
        Question::Scroll {
            filter,
            page: 100 + self.random.below(400) as usize,
            to_the_end: order.is_none() && one_in(self.random, 8),
            with_payload: order.is_some(),
            order,
        }
    }

    fn order(&mut self) -> Order {
        let (name, from) = match self.random.below(3) {
            0 => ("number", number(self.random)),
            1 => ("price", json!(price(self.random))),
            _ => ("made", json!(date(self.random))),
        };
        Order {
            field: name.to_owned(),
            descending: one_in(self.random, 2),
            from: one_in(self.random, 3).then_some(from),
        }
    }

    // What is searched for.

    fn nearest(&mut self) -> Search {
        self.nearest_of(&VECTORS)
    }

    fn nearest_of(&mut self, vectors: &[(&str, u32, Metric)]) -> Search {
        let (name, dimensions, _) = *pick(self.random, vectors);
        let mut search = Search::new(What::Nearest {
            using: name.to_owned(),
            vector: vector(self.random, dimensions),
        });
        if one_in(self.random, 4) {
            // About the middle of what there is.
            let middle = match name {
                "euclid" => -2.3,
                "manhattan" => -5.3,
                _ => 0.0,
            };
            search.score_threshold = Some(middle + self.random.unit());
        }
        search
    }

    fn sparse(&mut self) -> Search {
        Search::new(What::Sparse {
            using: self.one(&["terms", RARE]),
            vector: terms(self.random, 10),
        })
    }

    /// A vector whose scores are similarities.
    fn similarity(&mut self) -> (String, u32) {
        let (name, dimensions, _) = *pick(self.random, SIMILAR);
        (name.to_owned(), dimensions)
    }

    fn examples(&mut self, what: fn(Examples) -> What, least: u64) -> What {
        let (using, dimensions) = self.similarity();
        let count = |random: &mut Random| random.below(4);
        let positive = (least + count(self.random)).max(1);
        // Each counts as much as any other, wherever they are made one.
        let mut some = |count| {
            let one = |_| unit(vector(self.random, dimensions));
            (0..count).map(one).collect()
        };
        let positive: Vec<Vec<f32>> = some(positive);
        let negative = some(positive.len() as u64 / 2);
        what(Examples {
            using,
            positive,
            negative,
        })
    }

    fn pairs(&mut self, dimensions: u32) -> Vec<Pair> {
        let count = 1 + self.random.below(3);
        let mut one = || vector(self.random, dimensions);
        (0..count).map(|_| (one(), one())).collect()
    }

    fn fused(&mut self, what: What, vectors: &[(&str, u32, Metric)]) -> Question {
        let mut search = Search::new(what);
        search.prefetches = self.prefetches(vectors);
        self.asked(search)
    }

    /// One to three, some of them with some of their own.
    fn prefetches(&mut self, vectors: &[(&str, u32, Metric)]) -> Vec<Search> {
        let count = 1 + self.random.below(3);
        let mut all = Vec::new();
        for _ in 0..count {
            let mut search = match one_in(self.random, 3) {
                true => self.sparse(),
                false => self.nearest_of(vectors),
            };
            if one_in(self.random, 5) {
                search.prefetches.push(self.nearest());
                search.prefetches[0].limit = 100 + self.random.below(100) as usize;
            }
            search.filter = self.maybe_filter();
            search.limit = 1 + self.random.below(100) as usize;
            all.push(search);
        }
        all
    }

    // Filters.

    /// With clauses of clauses, so deep.
    pub(super) fn filter(&mut self, depth: u64) -> Filter {
        if depth == 0 || one_in(self.random, 5) {
            return self.condition();
        }
        let count = 1 + self.random.below(3);
        let some: Vec<Filter> = (0..count).map(|_| self.filter(depth - 1)).collect();
        match self.random.below(4) {
            0 => Filter::All(some),
            1 => Filter::Any(some),
            2 => Filter::at_least(self.random.below(some.len() as u64 + 1) as usize, some),
            _ => !Filter::Any(some),
        }
    }

    fn condition(&mut self) -> Filter {
        let strings = ["key", "tags", "uid"];
        match self.random.below(17) {
            0 => {
                let name = self.either(&strings);
                let value = self.of(&name);
                field(name).eq(value)
            }
            1 => {
                let name = self.either(&["number", "numbers"]);
                field(name).eq(number(self.random))
            }
            2 => {
                let name = self.either(&["key", "tags", "uid", "number", "numbers"]);
                let count = self.random.below(4);
                let values: Vec<Value> = (0..count).map(|_| self.of(&name)).collect();
                match one_in(self.random, 2) {
                    true => field(name).any_of(values),
                    false => field(name).except(values),
                }
            }
            3 => {
                let name = self.one(&["author.name", "items[].name", "mixed"]);
                field(name).eq(self.of("key"))
            }
            4 => {
                let name = self.either(&["key", "tags"]);
                let part: String = pick(self.random, &KEYS).chars().take(2).collect();
                match one_in(self.random, 2) {
                    true => field(name).starts_with(part),
                    false => field(name).contains(part),
                }
            }
            5 | 6 => {
                let name = self.either(&["number", "numbers", "price"]);
                let (low, high) = (price(self.random), price(self.random));
                self.range(&name, json!(low), json!(high))
            }
            7 => {
                let name = self.one(&["author.born", "items[].stars", "mixed"]);
                let (low, high) = (number(self.random), number(self.random));
                self.range(&name, low, high)
            }
            8 => {
                let name = self.either(&["when"]);
                let (low, high) = (date(self.random), date(self.random));
                self.range(&name, json!(low), json!(high))
            }
            9 => {
                let (words, name) = (self.words(3), self.one(&["body", "shout"]));
                match self.random.below(3) {
                    0 => field(name).has_words(words),
                    1 => field(name).has_any_word(words),
                    _ => field(name).has_phrase(words),
                }
            }
            10 | 11 => {
                let name = self.either(&["place"]);
                let area = self.area(name != "place");
                field(name).in_area(area)
            }
            12 => {
                let name = self.any_field();
                match one_in(self.random, 2) {
                    true => field(name).is_null(),
                    false => field(name).is_empty(),
                }
            }
            13 => {
                let name = self.any_field();
                let (low, high) = (self.random.below(5), self.random.below(5));
                match self.random.below(3) {
                    0 => field(name).count(low..),
                    1 => field(name).count(..high),
                    _ => field(name).count(low..=high),
                }
            }
            14 => {
                let count = self.random.below(500);
                let ids = (0..count).map(|_| pick(self.random, &self.world.rows).id.clone());
                Filter::ids(ids.collect::<Vec<_>>())
            }
            15 => Filter::has_vector(self.one(&[
                "embedding",
                "dot",
                "euclid",
                "manhattan",
                "terms",
                RARE,
            ])),
            _ => {
                let named = field("name").eq(self.of("key"));
                let (low, high) = (number(self.random), number(self.random));
                let stars = self.range("stars", low, high);
                let inner = match self.random.below(4) {
                    0 => named & stars,
                    1 => named | stars,
                    2 => named & !stars,
                    _ => field("at").is_empty() & stars,
                };
                field("items").any(inner)
            }
        }
    }

    fn any_field(&mut self) -> String {
        match self.random.below(5) {
            0 => self.one(&["items", "author", "author.name", "mixed", "body", "nowhere"]),
            _ => self.either(&[
                "key", "tags", "number", "numbers", "price", "flag", "when", "uid", "place",
            ]),
        }
    }

    /// A value that the field may have.
    fn of(&mut self, name: &str) -> Value {
        match name.trim_start_matches("raw.") {
            "number" | "numbers" => number(self.random),
            "uid" => json!(uuid(self.random.below(40))),
            _ => json!(pick(self.random, &KEYS)),
        }
    }

    fn range(&mut self, name: &str, low: Value, high: Value) -> Filter {
        let field = field(name);
        match self.random.below(5) {
            0 => field.at_least(low),
            1 => field.above(low),
            2 => field.at_most(high),
            3 => field.below(high),
            _ => field.within(low..=high),
        }
    }

    fn words(&mut self, most: u64) -> String {
        let count = 1 + self.random.below(most);
        let words: Vec<&str> = (0..count).map(|_| *pick(self.random, &WORDS)).collect();
        words.join(" ")
    }

    fn different_words(&mut self) -> String {
        let words = self.words(3);
        let words: BTreeSet<&str> = words.split(' ').collect();
        words.into_iter().collect::<Vec<_>>().join(" ")
    }

    fn point(&mut self) -> GeoPoint {
        GeoPoint::new(degrees(self.random, 170.0), degrees(self.random, 80.0))
    }

    /// A box may go across the meridian of 180 degrees, if that is asked for.
    fn area(&mut self, goes_across: bool) -> GeoArea {
        let center = self.point();
        match self.random.below(3) {
            0 => {
                let other = self.point();
                let (mut west, mut east) = (center.lon, other.lon);
                if west > east && !goes_across {
                    (west, east) = (east, west);
                }
                GeoArea::Box {
                    top_left: GeoPoint::new(west, center.lat.max(other.lat)),
                    bottom_right: GeoPoint::new(east, center.lat.min(other.lat)),
                }
            }
            1 => GeoArea::Circle {
                center,
                radius: self.random.below(6_000_000) as f64,
            },
            _ => {
                let west = degrees(self.random, 60.0) - 70.0;
                let ring = |by: f64| {
                    let corner =
                        |lon: f64, lat: f64| GeoPoint::new(west + 70.0 + lon * by, lat * by);
                    vec![
                        corner(-60.0, -50.0),
                        corner(55.0, -60.0),
                        corner(50.0, 45.0),
                        corner(3.0, 10.0),
                        corner(-45.0, 60.0),
                        corner(-60.0, -50.0),
                    ]
                };
                let holes = match one_in(self.random, 2) {
                    true => vec![ring(0.3)],
                    false => Vec::new(),
                };
                GeoArea::Polygon {
                    exterior: ring(1.0),
                    interiors: holes,
                }
            }
        }
    }

    // Formulas: none of them is ever without a value.

    fn formula(&mut self, depth: u64, prefetches: usize) -> Formula {
        if depth == 0 || one_in(self.random, 6) {
            return self.number(prefetches);
        }
        let one = |draw: &mut Self| draw.formula(depth - 1, prefetches);
        let boxed = |draw: &mut Self| Box::new(one(draw));
        // 1 or more.
        let above = |draw: &mut Self| {
            let sum = vec![Formula::Abs(boxed(draw)), Formula::Constant(1.0)];
            Formula::Sum(sum)
        };
        let some = |draw: &mut Self| {
            let count = 1 + draw.random.below(3);
            (0..count).map(|_| one(draw)).collect::<Vec<_>>()
        };
        match self.random.below(12) {
            0 | 1 => Formula::Sum(some(self)),
            2 => Formula::Product(some(self)),
            3 => Formula::Min(some(self)),
            4 => Formula::Max(some(self)),
            5 => Formula::Div(Box::new((one(self), above(self)))),
            6 => {
                let exponent = Formula::Constant(*pick(self.random, &[0.5, 1.5, -1.0]));
                Formula::Pow(Box::new((above(self), exponent)))
            }
            7 => Formula::Neg(boxed(self)),
            8 => Formula::Sqrt(Box::new(above(self))),
            9 => Formula::Ln(Box::new(above(self))),
            10 => Formula::Log10(Box::new(above(self))),
            _ => Formula::Exp(Box::new(self.decay())),
        }
    }

    fn number(&mut self, prefetches: usize) -> Formula {
        match self.random.below(8) {
            0 => Formula::Constant(f64::from(self.random.unit()) * 4.0),
            1 | 2 => Formula::Score(self.random.below(prefetches as u64) as usize),
            3 => of_field(&self.one(&["number", "price"])),
            4 => Formula::Condition(self.filter(1)),
            5 => Formula::GeoDistance {
                from: self.point(),
                path: "spot".to_owned(),
            },
            _ => self.decay(),
        }
    }

    fn decay(&mut self) -> Formula {
        let day = 86_400.0;
        let (x, target, scale) = match self.random.below(3) {
            0 => {
                let made = Formula::DateTimeField("made".to_owned());
                let then = Formula::DateTime(date(self.random));
                (made, then, (1.0 + self.random.below(600) as f64) * day)
            }
            1 => {
                let from = self.point();
                let path = "spot".to_owned();
                let away = Formula::GeoDistance { from, path };
                (away, Formula::Constant(1e6), 3e6)
            }
            _ => {
                let price = of_field("price");
                (
                    price,
                    Formula::Constant(10.0),
                    5.0 + self.random.below(50) as f64,
                )
            }
        };
        Formula::Decay {
            shape: *pick(
                self.random,
                &[Shape::Linear, Shape::Exponential, Shape::Gauss],
            ),
            x: Box::new(x),
            target: Box::new(target),
            scale,
            midpoint: 0.1 + self.random.below(9) as f64 / 11.0,
        }
    }
}

/// Where there is none it is the same in all of a formula, as the others have it.
fn of_field(path: &str) -> Formula {
    Formula::Field {
        path: path.to_owned(),
        or: 0.25,
    }
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|value| *value /= length);
    vector
}
