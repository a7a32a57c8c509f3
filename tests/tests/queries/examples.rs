//! Points as examples, and what is asked by several.

use super::{DIMENSIONS, Ranked, Subject, VECTORS, filters, number, ranked, same, values};
use amphora::{
    ErrorKind, Example, Metric, Point, Query, Recommend, RecommendStrategy, Schema, SparseVector,
    Vector,
};
use amphora_tests::{nearest, random::Random};

/// So much may scores be off that are not of whole numbers.
const OFF: f32 = 1e-5;

fn score(metric: Metric, a: &[f32], b: &[f32]) -> f32 {
    nearest::score(metric, a, b).0 as f32
}

#[test]
fn a_point_stands_for_its_vector_and_is_no_hit() {
    Subject::everywhere(|subject| {
        if subject.points.is_empty() {
            return;
        }
        let mut random = Random(7);
        for (name, _) in VECTORS {
            for _ in 0..10 {
                let id = subject.any_with(name, &mut random);
                let values = subject.vector(id, name).expect("it has one");
                let by_point = Query::nearest(name, Example::point(id)).exact().limit(15);
                let by_values = Query::nearest(name, values).exact().limit(16);
                let mut expected = ranked(&subject.search(by_values));
                expected.retain(|(_, other)| *other != id);
                expected.truncate(15);
                assert_eq!(ranked(&subject.search(by_point.clone())), expected);
                let offset = ranked(&subject.search(by_point.clone().offset(3).limit(12)));
                assert_eq!(offset, expected[3..]);
                let many = [by_point.clone(), by_point];
                for hits in subject.docs.search_many(many).wait().expect("hits") {
                    assert_eq!(ranked(&hits), expected);
                }
            }
        }
        // Of another vector of the point.
        let id = subject.any_with("manhattan", &mut random);
        let values = subject.vector(id, "manhattan").expect("it has one");
        let example = Example::point(id).vector("manhattan");
        let found = ranked(&subject.search(Query::nearest("dot", example).limit(500).exact()));
        let mut expected =
            ranked(&subject.search(Query::nearest("dot", values).limit(500).exact()));
        expected.retain(|(_, other)| *other != id);
        assert_eq!(found, expected);
    });
}

#[test]
fn a_point_stands_for_its_sparse_vector() {
    Subject::everywhere(|subject| {
        for (id, point) in subject.points.iter().step_by(17) {
            let by_point = Query::sparse("words", Example::point(*id)).limit(20);
            let Some((_, words)) = point.sparse_vectors.first() else {
                let error = subject.docs.search(by_point).wait().unwrap_err();
                assert!(
                    error.to_string().contains("has no vector \"words\""),
                    "{error}"
                );
                continue;
            };
            let mut expected =
                ranked(&subject.search(Query::sparse("words", words.clone()).limit(21)));
            expected.retain(|(_, other)| other != id);
            expected.truncate(20);
            assert_eq!(ranked(&subject.search(by_point)), expected);
        }
    });
}

#[test]
fn examples_of_other_collections_and_ones_that_cannot_be() {
    Subject::everywhere(|subject| {
        let name = format!("other {}", subject.points.len());
        let schema = Schema::new()
            .vector("v", Vector::new(DIMENSIONS as u32, Metric::Dot))
            .vector("list", Vector::new(DIMENSIONS as u32, Metric::Dot).multi())
            .vector("short", Vector::new(2, Metric::Dot));
        let made = subject.db.create_collection(&name, schema).wait();
        let Ok(other) = made else { return };
        let sought = [1.0, 2.0, -1.0, 0.5];
        other
            .upsert([Point::new(60)
                .vector("v", sought)
                .vector("short", [1.0, 2.0])
                .multi_vector("list", [sought, sought])])
            .wait()
            .expect("written");
        let nearest = |example| Query::nearest("dot", example).exact().limit(400);
        let of_other = || Example::point(60).of(&name);
        // A point of the same id is a hit.
        let found = subject.search(nearest(of_other().vector("v").into()));
        let expected = subject.search(nearest(sought.into()));
        assert_eq!(ranked(&found), ranked(&expected));
        let point = Point::new(62).multi_vector("list", [sought, [0.0; 4]]);
        other.upsert([point]).wait().expect("written");
        let lists = Query::nearest("list", Example::point(60)).limit(5);
        let hits = other.search(lists).wait().expect("hits");
        assert_eq!(ranked(&hits), [(12.5, 62)]);

        let refused = |example: Example, kind, says: &[&str]| {
            let error = subject.docs.search(nearest(example)).wait().unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            for says in says {
                assert!(error.to_string().contains(says), "{error}");
            }
        };
        let wrong = ErrorKind::InvalidInput;
        refused(of_other().into(), wrong, &["no vector \"dot\""]);
        let short = of_other().vector("short").into();
        refused(
            short,
            wrong,
            &["point 60", "found 2 dimensions; expected 4"],
        );
        let list = of_other().vector("list").into();
        refused(
            list,
            wrong,
            &["point 60", "a list of vectors; expected one"],
        );
        let none = Example::point(61).of(&name).into();
        refused(none, ErrorKind::NotFound, &["no point 61 of collection"]);
        refused(
            Example::point(9_999).into(),
            ErrorKind::NotFound,
            &["no point 9999"],
        );
        let nowhere = Example::point(1).of("nowhere").into();
        refused(nowhere, ErrorKind::NotFound, &["nowhere"]);
        let sparse = SparseVector::new([(1, 1.0)]).expect("it is one").into();
        refused(sparse, wrong, &["\"dot\"", "is a sparse vector"]);
        subject.db.delete_collection(&name).wait().expect("deleted");
    });
}

/// An example, its numbers, and the point that they are of.
type Given = (Example, Vec<f32>, Option<u64>);

/// Some example.
fn example(subject: &Subject, name: &str, random: &mut Random) -> Given {
    match random.below(2) {
        0 => {
            let values = values(random);
            (values.clone().into(), values, None)
        }
        _ => {
            let id = subject.any_with(name, random);
            let values = subject.vector(id, name).expect("it has one").to_vec();
            (Example::point(id).into(), values, Some(id))
        }
    }
}

/// Checks a query, also filtered and asked of what a prefetch finds.
fn check(
    subject: &Subject,
    name: &str,
    query: &Query,
    left_out: &[Option<u64>],
    score: impl Fn(&[f32]) -> f32,
) {
    let off = if name == "cosine" { 1e-4 } else { OFF };
    let all = |keep: &dyn Fn(u64) -> bool| -> Vec<Ranked> {
        let kept = subject
            .points
            .keys()
            .filter(|id| keep(**id) && !left_out.contains(&Some(**id)));
        kept.filter_map(|id| Some((score(subject.vector(*id, name)?), *id)))
            .collect()
    };
    let query = query.clone().limit(20).exact();
    same(&subject.search(query.clone()), all(&|_| true), 20, off);
    for (filter, keep) in filters() {
        let filtered = query.clone().filter(filter);
        same(&subject.search(filtered), all(&keep), 20, off);
    }
    let prefetch = Query::nearest("euclidean", [1.0, 0.0, 2.0, -1.0]).limit(70);
    let among = subject.search(prefetch.clone());
    let among: Vec<u64> = among.iter().map(|hit| number(&hit.id)).collect();
    let found = subject.search(query.prefetch(prefetch));
    same(&found, all(&|id| among.contains(&id)), 20, off);
}

fn scaled(x: f32) -> f32 {
    0.5 * (x / (1.0 + x.abs()) + 1.0)
}

#[test]
fn recommended_is_what_the_formulas_say() {
    Subject::everywhere(|subject| {
        if subject.points.is_empty() {
            return;
        }
        let mut random = Random(3);
        for (name, metric) in VECTORS {
            for round in 0..12 {
                let some = |random: &mut Random, least: u64| -> Vec<_> {
                    let count = least + random.below(4);
                    (0..count).map(|_| example(subject, name, random)).collect()
                };
                let (strategy, make) = [
                    (
                        RecommendStrategy::Average,
                        Recommend::average as fn() -> Recommend,
                    ),
                    (RecommendStrategy::BestScore, Recommend::best_score),
                    (RecommendStrategy::SumScores, Recommend::sum_scores),
                ][round % 3];
                let positive = some(&mut random, u64::from(round < 6));
                let negative = some(&mut random, 1);
                if strategy == RecommendStrategy::Average && positive.is_empty() {
                    continue;
                }
                let given = |list: &[Given]| -> Vec<Example> {
                    list.iter().map(|(example, _, _)| example.clone()).collect()
                };
                let examples = make().positive(given(&positive)).negative(given(&negative));
                let left_out: Vec<_> = positive.iter().chain(&negative).map(|it| it.2).collect();
                let average = |list: &[Given]| -> Vec<f64> {
                    let length = |v: &[f32]| match metric {
                        Metric::Cosine => v.iter().map(|x| f64::from(x * x)).sum::<f64>().sqrt(),
                        _ => 1.0,
                    };
                    let mean = |at: usize| {
                        let sum: f64 = list
                            .iter()
                            .map(|(_, v, _)| f64::from(v[at]) / length(v))
                            .sum();
                        sum / list.len() as f64
                    };
                    (0..DIMENSIONS).map(mean).collect()
                };
                let most = |list: &[Given], own: &[f32]| {
                    let all = list.iter().map(|(_, v, _)| score(metric, v, own));
                    all.fold(f32::NEG_INFINITY, f32::max)
                };
                let sum = |list: &[Given], own: &[f32]| -> f32 {
                    list.iter().map(|(_, v, _)| score(metric, v, own)).sum()
                };
                let query = Query::recommend(name, examples);
                check(subject, name, &query, &left_out, |own| match strategy {
                    RecommendStrategy::BestScore => {
                        let (positive, negative) = (most(&positive, own), most(&negative, own));
                        match positive > negative {
                            true => scaled(positive),
                            false => -scaled(negative),
                        }
                    }
                    RecommendStrategy::SumScores => sum(&positive, own) - sum(&negative, own),
                    _ => {
                        let (positive, negative) = (average(&positive), average(&negative));
                        let both = positive.iter().zip(negative);
                        let sought: Vec<f32> = both.map(|(p, n)| (p + (p - n)) as f32).collect();
                        score(metric, &sought, own)
                    }
                });
            }
        }
    });
}

#[test]
fn discovered_is_what_the_formulas_say() {
    Subject::everywhere(|subject| {
        if subject.points.is_empty() {
            return;
        }
        let mut random = Random(5);
        for (name, metric) in VECTORS {
            for _ in 0..6 {
                let target = example(subject, name, &mut random);
                let count = 1 + random.below(4);
                let pairs: Vec<_> = (0..count)
                    .map(|_| {
                        (
                            example(subject, name, &mut random),
                            example(subject, name, &mut random),
                        )
                    })
                    .collect();
                let given = || pairs.iter().map(|(p, n)| (p.0.clone(), n.0.clone()));
                let mut left_out: Vec<_> = pairs.iter().flat_map(|(p, n)| [p.2, n.2]).collect();
                let query = Query::context(name, given());
                check(subject, name, &query, &left_out, |own| {
                    let loss = |(p, n): &(Given, Given)| {
                        let gap =
                            score(metric, &p.1, own) - score(metric, &n.1, own) - f32::EPSILON;
                        gap.min(0.0) / (1.0 + gap.min(0.0).abs())
                    };
                    pairs.iter().map(loss).sum()
                });
                if name == "cosine" {
                    // Which of two is nearer is not certain where they are about as near.
                    continue;
                }
                left_out.push(target.2);
                let query = Query::discover(name, target.0.clone(), given());
                check(subject, name, &query, &left_out, |own| {
                    let rank = pairs.iter().map(|(p, n)| {
                        let (p, n) = (score(metric, &p.1, own), score(metric, &n.1, own));
                        if p > n {
                            1.0
                        } else if p < n {
                            -1.0
                        } else {
                            0.0
                        }
                    });
                    rank.sum::<f32>() + scaled(score(metric, &target.1, own))
                });
            }
        }
    });
}

#[test]
fn examples_that_make_no_question_are_refused() {
    Subject::everywhere(|subject| {
        let refused = |query: Query, says: &str| {
            let error = subject.docs.search(query).wait().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(says), "{error}");
        };
        let one = || [[1.0, 0.0, 0.0, 0.0]];
        refused(
            Query::recommend("dot", Recommend::best_score()),
            "0 examples; expected 1 to 1000",
        );
        let no_positive = Recommend::average().negative(one());
        refused(Query::recommend("dot", no_positive), "no positive example");
        let nothing = Recommend::average()
            .positive(one())
            .negative([[2.0, 0.0, 0.0, 0.0]]);
        let query = Query::recommend("cosine", nothing.negative([[2.0, 0.0, 0.0, 0.0]]));
        assert!(subject.docs.search(query).wait().is_ok());
        let cancels = Recommend::average().positive([[1.0, 0.0, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0]]);
        refused(
            Query::recommend("cosine", cancels),
            "the average of the examples",
        );
        let many = Recommend::sum_scores().positive(vec![[1.0; 4]; 1_001]);
        refused(
            Query::recommend("dot", many),
            "1001 examples; expected 1 to 1000",
        );
        let pairs: [(Example, Example); 0] = [];
        refused(Query::context("dot", pairs), "0 examples");
        refused(
            Query::context("absent", [([1.0], [1.0])]),
            "no vector \"absent\"",
        );
        refused(
            Query::discover("dot", [1.0], [([1.0; 4], [1.0; 4])]),
            "found 1 dimensions",
        );
    });
}
