//! Scores by a formula, beside the same arithmetic over every point.

use super::{Ranked, Subject, VECTORS, filters, number, same};
use amphora::{Decay, DecayShape, ErrorKind, Expr, Function, GeoPoint, Payload, Query};
use amphora_tests::random::Random;
use serde_json::Value;
use std::collections::BTreeMap;

/// What a point is for a formula.
struct Given<'a> {
    id: u64,
    payload: &'a Payload,
    scores: Vec<Option<f32>>,
}

/// The first number of a field.
fn first(payload: &Payload, field: &str) -> Option<f64> {
    match payload.get(field)? {
        Value::Array(items) => items.iter().find_map(Value::as_f64),
        value => value.as_f64(),
    }
}

type Computes = Box<dyn Fn(&Given<'_>) -> Option<f64>>;

/// A random formula, with a function that computes it.
type Made = (Expr, Computes);

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

fn made(random: &mut Random, depth: u64) -> Made {
    if depth == 0 || random.below(6) == 0 {
        return match random.below(5) {
            0 => {
                let value = random.below(9) as f64 / 2.0 - 2.0;
                (value.into(), Box::new(move |_| Some(value)))
            }
            1 => {
                let number = random.below(2) as usize;
                (
                    Expr::prefetch_score(number),
                    Box::new(move |it| it.scores[number].map(f64::from)),
                )
            }
            2 => {
                let filter = random.below(3) as usize;
                let (condition, keep) = filters()[filter].clone();
                (
                    Expr::condition(condition),
                    Box::new(move |it| Some(f64::from(u8::from(keep(it.id))))),
                )
            }
            _ => {
                let field = ["n", "rank", "group", "absent", "name"][random.below(5) as usize];
                (
                    Expr::field(field),
                    Box::new(move |it| first(it.payload, field)),
                )
            }
        };
    }
    let (a, of_a) = made(random, depth - 1);
    let two = |random: &mut Random,
               make: fn(Expr, Expr) -> Expr,
               of: fn(f64, f64) -> f64,
               of_a: Computes,
               a: Expr|
     -> Made {
        let (b, of_b) = made(random, depth - 1);
        (
            make(a, b),
            Box::new(move |it| finite(of(of_a(it)?, of_b(it)?))),
        )
    };
    let one = |make: fn(Expr) -> Expr, of: fn(f64) -> f64, of_a: Computes, a: Expr| -> Made {
        (make(a), Box::new(move |it| finite(of(of_a(it)?))))
    };
    match random.below(15) {
        0 | 1 => two(random, |a, b| a + b, |a, b| a + b, of_a, a),
        2 => two(random, |a, b| a - b, |a, b| a - b, of_a, a),
        3 => two(random, |a, b| a * b, |a, b| a * b, of_a, a),
        4 => two(random, |a, b| a / b, |a, b| a / b, of_a, a),
        5 => two(random, Expr::pow, f64::powf, of_a, a),
        6 => two(random, Expr::min, f64::min, of_a, a),
        7 => two(random, Expr::max, f64::max, of_a, a),
        8 => one(|a| -a, |a| -a, of_a, a),
        9 => one(Expr::abs, f64::abs, of_a, a),
        10 => one(Expr::sqrt, f64::sqrt, of_a, a),
        11 => one(|a| (a * 0.01).exp(), |a| (a * 0.01).exp(), of_a, a),
        12 => match random.below(2) {
            0 => one(Expr::ln, f64::ln, of_a, a),
            _ => one(Expr::log10, f64::log10, of_a, a),
        },
        13 => (a.or(1.5), Box::new(move |it| Some(of_a(it).unwrap_or(1.5)))),
        _ => {
            let (shape, make): (u64, fn(Expr) -> Decay) = match random.below(3) {
                0 => (0, Decay::linear),
                1 => (1, Decay::exponential),
                _ => (2, Decay::gauss),
            };
            let (target, scale, midpoint) = (
                random.below(9) as f64 - 4.0,
                0.5 + random.below(60) as f64,
                0.3,
            );
            let decay = make(a).target(target).scale(scale).midpoint(midpoint);
            (
                decay.into(),
                Box::new(move |it| {
                    let d = (of_a(it)? - target).abs();
                    finite(match shape {
                        0 => (1.0 - (1.0 - midpoint) / scale * d).max(0.0),
                        1 => (midpoint.ln() / scale * d).exp(),
                        _ => (midpoint.ln() / (scale * scale) * d * d).exp(),
                    })
                }),
            )
        }
    }
}

#[test]
fn formulas_come_to_what_arithmetic_says() {
    Subject::everywhere(|subject| {
        let mut random = Random(21);
        for round in 0..300 {
            let (expr, of) = made(&mut random, round % 5);
            let prefetches = [0, 1].map(|place| {
                let query = Query::nearest(VECTORS[place].0, [1.0, 2.0, -1.0, 0.0]);
                query.limit(30 + 10 * place).exact()
            });
            let scores = prefetches.clone().map(|query| -> BTreeMap<u64, f32> {
                let hits = subject.search(query);
                hits.iter()
                    .map(|hit| (number(&hit.id), hit.score))
                    .collect()
            });
            let mut expected: Vec<Ranked> = Vec::new();
            let mut lacking = 0;
            let found = scores.iter().flat_map(BTreeMap::keys);
            for id in found.collect::<std::collections::BTreeSet<_>>() {
                let given = Given {
                    id: *id,
                    payload: &subject.points[id].payload,
                    scores: scores
                        .iter()
                        .map(|scores| scores.get(id).copied())
                        .collect(),
                };
                match of(&given)
                    .map(|value| value as f32)
                    .filter(|value| value.is_finite())
                {
                    Some(value) => expected.push((value + 0.0, *id)),
                    None => lacking += 1,
                }
            }
            let [first, second] = prefetches;
            let query = Query::formula(expr.clone())
                .prefetch(first)
                .prefetch(second)
                .limit(25);
            let answer = subject.docs.search(query).wait();
            if lacking > 0 {
                let error = answer.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                assert!(error.to_string().contains("no value for point "), "{error}");
                continue;
            }
            same(&answer.expect("hits"), expected, 25, 1e-5);
        }
    });
}

#[test]
fn date_times_and_places_are_numbers_too() {
    Subject::everywhere(|subject| {
        let place = |id: u64| GeoPoint::new(13.0 + id as f64 / 100.0, 52.0);
        let from = place(7);
        let seconds = Expr::datetime_field("time") - Expr::datetime("2024-05-01T00:00:00Z");
        let query = |formula: Expr| {
            let all = Query::random(1).limit(500);
            Query::formula(formula).prefetch(all).limit(500)
        };
        let points = || subject.points.keys();
        let expected = points().map(|id| ((*id * 3_600) as f32, *id)).collect();
        same(&subject.search(query(seconds)), expected, 500, 1e-6);
        let expected = points()
            .map(|id| (from.distance(place(*id)) as f32, *id))
            .collect();
        let distance = Expr::geo_distance(from, "place");
        same(&subject.search(query(distance)), expected, 500, 1e-6);
        let refused = |formula: Expr, says: &str| {
            let error = subject.docs.search(query(formula)).wait().unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        };
        refused(
            Expr::datetime("soon"),
            "a date-time of a formula is \"soon\"",
        );
        refused(Expr::geo_distance(GeoPoint::new(0.0, 91.0), "place"), "91");
        if !subject.points.is_empty() {
            refused(
                Expr::datetime_field("n"),
                "its field \"n\" has no date-time",
            );
            refused(
                Expr::geo_distance(from, "time"),
                "its field \"time\" has no place",
            );
        }
    });
}

#[test]
fn formulas_that_cannot_be_are_refused() {
    Subject::everywhere(|subject| {
        let nearest = || Query::nearest("dot", [1.0, 2.0, 3.0, 4.0]);
        let refused = |formula: Expr, says: &str| {
            let query = Query::formula(formula).prefetch(nearest());
            let error = subject.docs.search(query).wait().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(says), "{error}");
        };
        let error = subject.docs.search(Query::formula(1.0)).wait().unwrap_err();
        assert!(error.to_string().contains("no prefetches"), "{error}");
        refused(
            Expr::prefetch_score(1),
            "the score of prefetch 1; expected less than 1",
        );
        refused(Expr::from(f64::NAN), "a constant of a formula is NaN");
        refused(Expr::score().or(f64::INFINITY), "an or of a formula is inf");
        refused(Expr::field(""), "empty");
        refused(
            Expr::Apply(Function::Div, vec![Expr::score()]),
            "applied to 1 numbers; expected 2",
        );
        refused(
            Decay::linear(1.0).scale(0.0).into(),
            "scale of a decay is 0",
        );
        refused(
            Decay::gauss(1.0).midpoint(1.0).into(),
            "midpoint of a decay is 1",
        );
        assert_eq!(Decay::gauss(1.0).shape, DecayShape::Gauss);
        let deep = (0..1_000_000).fold(Expr::score(), |inner, _| -inner);
        refused(deep, "nested deeper than 64 levels");
        let long = (0..2_000).fold(Expr::score(), |sum, _| sum + 1.0);
        refused(long, "more than 1024 terms");
        if let Some(id) = subject.points.keys().next() {
            let of = |formula: Expr| {
                let all = Query::random(1).limit(500);
                subject
                    .docs
                    .search(Query::formula(formula).prefetch(all))
                    .wait()
            };
            let error = of(Expr::field("absent")).unwrap_err();
            assert!(
                error
                    .to_string()
                    .contains("its field \"absent\" has no number"),
                "{error}"
            );
            let error = of(1.0 / Expr::score()).unwrap_err();
            assert!(
                error.to_string().contains("Div is not a finite number"),
                "{error}"
            );
            assert_eq!(
                of(1.0 / Expr::score() + 1.0).unwrap_err().kind(),
                ErrorKind::InvalidInput
            );
            let hits = of((1.0 / Expr::score()).or(3.0)).expect("hits");
            assert_eq!((hits[0].score, number(&hits[0].id)), (3.0, *id));
        }
    });
}
