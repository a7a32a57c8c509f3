//! One question of each kind, and whether its answer is that of the loops.

use crate::{
    Points,
    draw::{filter, id, pick, vector},
    mix,
};
use amphora::{
    Collection, Example, Facet, Filter, Hit, OrderBy, Point, PointId, Query, Recommend, Scroll,
};
use amphora_tests::{
    brute::{self, Asked},
    nearest,
    random::Random,
};
use serde_json::Value;
use std::{cmp::Ordering, collections::BTreeMap};

/// Asks a collection of these points; an error is a difference. False if nothing was asked, since the answer would not
/// be known.
type Ask = fn(&Collection, &Points, &mut Random) -> Result<bool, String>;

pub(crate) const KINDS: [(&str, Ask); 14] = [
    ("filter", count),
    ("scroll", scroll),
    ("nearest", nearest_by),
    ("order", order),
    ("facet", facet),
    ("recommend", recommend),
    ("discover", discover),
    ("context", context),
    ("sparse", mix::by_weights),
    ("text", mix::text),
    ("fuse", mix::fuse),
    ("formula", mix::formula),
    ("groups", mix::groups),
    ("matrix", mix::matrix),
];

/// Of two scores in single precision, beside what the metric says.
pub(crate) const WITHIN: f64 = 1e-5;

pub(crate) fn failed(error: impl std::fmt::Display) -> String {
    format!("it failed: {error}")
}

pub(crate) fn passes(filter: &Filter, point: &Point, payload: &Value) -> bool {
    let dense = point.vectors.iter().map(|(name, _)| name.as_str());
    let sparse = point.sparse_vectors.iter().map(|(name, _)| name.as_str());
    let vectors: Vec<&str> = dense.chain(sparse).collect();
    let asked = Asked {
        id: &point.id,
        vectors: &vectors,
        payload,
    };
    brute::passes(filter, asked)
}

pub(crate) fn matching<'a>(points: &'a Points, filter: Option<&Filter>) -> Vec<&'a Point> {
    let payloads = points
        .values()
        .map(|point| (point, point.payload.to_value()));
    let found = payloads
        .filter(|(point, payload)| filter.is_none_or(|filter| passes(filter, point, payload)));
    found.map(|(point, _)| point).collect()
}

/// As built, as typed, or as JSON: it is the same.
fn written(random: &mut Random, filter: &Filter) -> Result<Filter, String> {
    Ok(match random.below(4) {
        0 => Filter::parse(&filter.to_string()).map_err(failed)?,
        1 => {
            let json = serde_json::to_string(filter).map_err(failed)?;
            serde_json::from_str(&json).map_err(failed)?
        }
        _ => filter.clone(),
    })
}

pub(crate) fn maybe(random: &mut Random) -> Option<Filter> {
    (random.below(3) > 0).then(|| filter(random, 1))
}

fn count(docs: &Collection, points: &Points, random: &mut Random) -> Result<bool, String> {
    let asked = filter(random, 3);
    let expected = matching(points, Some(&asked)).len() as u64;
    let given = written(random, &asked)?;
    let found = docs.count_matching(given.clone()).wait().map_err(failed)?;
    let about = docs.estimate_count(given).wait().map_err(failed)?;
    if found == expected && (about.least..=about.most).contains(&expected) {
        return Ok(true);
    }
    Err(format!(
        "{found} of {about:?} points, not {expected}: {asked}"
    ))
}

fn scroll(docs: &Collection, points: &Points, random: &mut Random) -> Result<bool, String> {
    let asked = filter(random, 2);
    let expected = matching(points, Some(&asked));
    let given = written(random, &asked)?;
    let mut found = Vec::new();
    if random.below(2) == 0 {
        let (limit, mut after) = (1 + random.below(40) as usize, None);
        loop {
            let page = Scroll::new()
                .filter(given.clone())
                .limit(limit)
                .after(after)
                .with_vectors(true);
            let page = docs.scroll_page(page).wait().map_err(failed)?;
            found.extend(page.points);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    } else {
        let all = docs.scroll_matching(given).into_iter();
        found = all.collect::<Result<_, _>>().map_err(failed)?;
        found.sort_by(|a, b| a.id.cmp(&b.id));
    }
    if found.iter().eq(expected.iter().copied()) {
        return Ok(true);
    }
    let ids: Vec<_> = found.iter().map(|point| &point.id).collect();
    Err(format!("{ids:?}, not as it should be: {asked}"))
}

/// Whether hits are the best by these scores, each with how far it may be off.
pub(crate) fn are_best(
    hits: &[Hit],
    scores: &BTreeMap<&PointId, (f64, f64)>,
    limit: usize,
) -> bool {
    let mut best: Vec<(f64, f64)> = scores.values().copied().collect();
    best.sort_by(|a, b| b.0.total_cmp(&a.0));
    best.truncate(limit);
    let is_it =
        |score: f32, (expected, within): (f64, f64)| (f64::from(score) - expected).abs() <= within;
    let is_own = |hit: &Hit| {
        scores
            .get(&hit.id)
            .is_some_and(|own| is_it(hit.score, *own))
    };
    let in_order = |a: &Hit, b: &Hit| match a.score.total_cmp(&b.score) {
        Ordering::Greater => true,
        Ordering::Equal => a.id < b.id,
        Ordering::Less => false,
    };
    hits.len() == best.len()
        && hits.iter().all(is_own)
        && hits.is_sorted_by(in_order)
        && hits
            .iter()
            .zip(best)
            .all(|(hit, best)| is_it(hit.score, (best.0, 2.0 * best.1)))
}

/// Asks a query over "v", whose score of a vector is this.
fn ranked(
    docs: &Collection,
    points: &Points,
    random: &mut Random,
    query: Query,
    but: Option<&PointId>,
    score: impl Fn(&[f32]) -> (f64, f64),
) -> Result<bool, String> {
    let filter = maybe(random);
    let limit = 1 + random.below(20) as usize;
    let mut query = query.limit(limit).exact();
    query.filter.clone_from(&filter);
    let points = matching(points, filter.as_ref()).into_iter();
    let points = points.filter(|point| but != Some(&point.id));
    let scores = points.map(|point| (&point.id, score(values(point))));
    let scores: BTreeMap<&PointId, (f64, f64)> = scores.collect();
    let hits = docs.search(query.clone()).wait().map_err(failed)?;
    if are_best(&hits, &scores, limit) {
        return Ok(true);
    }
    let found: Vec<_> = hits
        .iter()
        .map(|hit| (&hit.id, hit.score, scores.get(&hit.id)))
        .collect();
    Err(format!("{found:?}, asked {query:?}"))
}

pub(crate) fn values(point: &Point) -> &[f32] {
    let own = point.vectors.iter().find(|(name, _)| name == "v");
    own.map_or(&[], |(_, values)| values)
}

pub(crate) fn similar(docs: &Collection, a: &[f32], b: &[f32]) -> (f64, f64) {
    nearest::score(docs.schema().vectors["v"].metric, a, b)
}

fn nearest_by(docs: &Collection, points: &Points, random: &mut Random) -> Result<bool, String> {
    let own = id(random);
    if let (0, Some(point)) = (random.below(3), points.get(&own)) {
        let query = Query::nearest("v", Example::point(own.clone()));
        let score = |other: &[f32]| similar(docs, values(point), other);
        return ranked(docs, points, random, query, Some(&own), score);
    }
    let like = vector(random, 4);
    let query = Query::nearest("v", like.clone());
    ranked(docs, points, random, query, None, |other| {
        similar(docs, &like, other)
    })
}

/// No point is as near to two of them, but by chance.
fn examples(random: &mut Random, count: u64) -> Vec<Vec<f32>> {
    let mut example = || (0..4).map(|_| random.unit()).collect();
    (0..count).map(|_| example()).collect()
}

/// `x / (1 + |x|)`.
fn sigmoid(x: f64) -> f64 {
    x / (1.0 + x.abs())
}

fn scaled(x: f64) -> f64 {
    0.5 * (sigmoid(x) + 1.0)
}

/// Where it is close which of two numbers is the larger, a score is not known.
fn is_close(a: f64, b: f64) -> bool {
    (a - b).abs() <= WITHIN * (1.0 + a.abs())
}

fn recommend(docs: &Collection, points: &Points, random: &mut Random) -> Result<bool, String> {
    let (count, others) = (1 + random.below(3), random.below(3));
    let (positive, negative) = (examples(random, count), examples(random, others));
    let all = |like: &[Vec<f32>], other: &[f32]| -> Vec<f64> {
        like.iter()
            .map(|like| similar(docs, like, other).0)
            .collect()
    };
    if random.below(2) == 0 {
        let examples = Recommend::sum_scores()
            .positive(positive.clone())
            .negative(negative.clone());
        let query = Query::recommend("v", examples);
        return ranked(docs, points, random, query, None, |other| {
            let (plus, minus) = (all(&positive, other), all(&negative, other));
            let size: f64 = plus.iter().chain(&minus).map(|x| x.abs()).sum();
            let sum = plus.iter().sum::<f64>() - minus.iter().sum::<f64>();
            (sum, WITHIN * (1.0 + size))
        });
    }
    let examples = Recommend::best_score()
        .positive(positive.clone())
        .negative(negative.clone());
    let query = Query::recommend("v", examples);
    let best = |scores: Vec<f64>| scores.into_iter().fold(f64::NEG_INFINITY, f64::max);
    // Either may be right where both are as near.
    let is_unclear = |point: &Point| {
        let own = values(point);
        is_close(best(all(&positive, own)), best(all(&negative, own)))
    };
    if points.values().any(is_unclear) {
        return Ok(false);
    }
    ranked(docs, points, random, query, None, |other| {
        let (plus, minus) = (best(all(&positive, other)), best(all(&negative, other)));
        let score = if plus > minus {
            scaled(plus)
        } else {
            -scaled(minus)
        };
        (score, WITHIN)
    })
}

fn discover(docs: &Collection, points: &Points, random: &mut Random) -> Result<bool, String> {
    let count = 1 + random.below(3);
    let (target, like, unlike) = (
        vector(random, 4),
        examples(random, count),
        examples(random, count),
    );
    let pairs = || like.iter().zip(&unlike);
    let scores = |own: &[f32]| -> Vec<(f64, f64)> {
        let both = pairs().map(|(a, b)| (similar(docs, a, own).0, similar(docs, b, own).0));
        both.collect()
    };
    if points
        .values()
        .any(|point| scores(values(point)).iter().any(|(a, b)| is_close(*a, *b)))
    {
        return Ok(false);
    }
    let query = Query::discover(
        "v",
        target.clone(),
        pairs().map(|(a, b)| (a.clone(), b.clone())),
    );
    ranked(docs, points, random, query, None, |own| {
        let rank: f64 = scores(own)
            .iter()
            .map(|(a, b)| if a > b { 1.0 } else { -1.0 })
            .sum();
        (rank + scaled(similar(docs, &target, own).0), WITHIN * 4.0)
    })
}

fn context(docs: &Collection, points: &Points, random: &mut Random) -> Result<bool, String> {
    let count = 1 + random.below(3);
    let (like, unlike) = (examples(random, count), examples(random, count));
    let pairs = || like.iter().zip(&unlike);
    let query = Query::context("v", pairs().map(|(a, b)| (a.clone(), b.clone())));
    ranked(docs, points, random, query, None, |own| {
        let loss = pairs().map(|(a, b)| {
            let (a, b) = (similar(docs, a, own).0, similar(docs, b, own).0);
            (
                sigmoid((a - b - f64::from(f32::EPSILON)).min(0.0)),
                1.0 + a.abs() + b.abs(),
            )
        });
        let (loss, size) = loss.fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
        (loss, WITHIN * size)
    })
}

/// Booleans, then numbers, then strings.
pub(crate) fn compare(a: &Value, b: &Value) -> Ordering {
    let kind = |value: &Value| (value.is_number(), value.is_string());
    let exact = |value: &Value| (value.as_i64(), value.as_f64());
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(_), Value::Number(_)) => match (exact(a), exact(b)) {
            ((Some(a), _), (Some(b), _)) => a.cmp(&b),
            // The fractions that are drawn are small.
            ((_, Some(a)), (_, Some(b))) => a.total_cmp(&(b + 0.0)),
            _ => Ordering::Equal,
        },
        _ => match (kind(a), kind(b)) {
            ((_, true), _) => Ordering::Greater,
            (_, (_, true)) => Ordering::Less,
            ((true, _), _) => Ordering::Greater,
            _ => Ordering::Less,
        },
    }
}

/// The strings, numbers and booleans at a path.
pub(crate) fn scalars(point: &Point, path: &str) -> Vec<Value> {
    let payload = point.payload.to_value();
    let values = brute::values(&payload, path).into_iter();
    let values = values.filter(|value| !value.is_array() && !value.is_object());
    values.cloned().collect()
}

const ORDERED: [&str; 7] = [
    "tag",
    "number",
    "whole",
    "flag",
    "time",
    "author.name",
    "things.x",
];

fn order(docs: &Collection, points: &Points, random: &mut Random) -> Result<bool, String> {
    let (path, descending) = (pick(random, &ORDERED), random.below(2) == 0);
    let filter = maybe(random);
    let by = match descending {
        true => OrderBy::descending(path),
        false => OrderBy::ascending(path),
    };
    let instants = path == "time" && docs.schema().fields.contains_key(path);
    let instant = |value: &Value| instants.then(|| brute::instant(value.as_str()?)).flatten();
    let ascending = |a: &Value, b: &Value| match (instant(a), instant(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (None, None) => compare(a, b),
        // Before all other strings, after all that is none.
        (Some(_), None) if b.is_string() => Ordering::Less,
        (None, Some(_)) if a.is_string() => Ordering::Greater,
        _ => compare(a, b),
    };
    let directed = |a: &Value, b: &Value| match descending {
        true => ascending(b, a),
        false => ascending(a, b),
    };
    let found = matching(points, filter.as_ref()).into_iter();
    let mut expected: Vec<(Value, &PointId)> = found
        .filter_map(|point| {
            Some((
                scalars(point, path).into_iter().min_by(directed)?,
                &point.id,
            ))
        })
        .collect();
    expected.sort_by(|a, b| directed(&a.0, &b.0).then(a.1.cmp(b.1)));
    let (limit, offset) = (1 + random.below(30) as usize, random.below(5) as usize);
    let mut query = Query::order_by(by).limit(limit).offset(offset);
    query.filter.clone_from(&filter);
    let hits = docs.search(query.clone()).wait().map_err(failed)?;
    let expected: Vec<_> = expected.into_iter().skip(offset).take(limit).collect();
    let is_it = |(hit, (value, id)): (&Hit, &(Value, &PointId))| {
        let own = hit.order_value.as_ref();
        hit.id == **id && own.is_some_and(|own| ascending(own, value).is_eq())
    };
    if hits.len() == expected.len() && hits.iter().zip(&expected).all(is_it) {
        return Ok(true);
    }
    let ids: Vec<_> = hits.iter().map(|hit| (&hit.id, &hit.order_value)).collect();
    Err(format!("{ids:?}, not {expected:?}, asked {query:?}"))
}

fn facet(docs: &Collection, points: &Points, random: &mut Random) -> Result<bool, String> {
    let path = pick(random, &ORDERED);
    let filter = maybe(random);
    let mut counts: Vec<(Value, u64)> = Vec::new();
    for point in matching(points, filter.as_ref()) {
        let mut values = scalars(point, path);
        values.sort_by(compare);
        values.dedup_by(|a, b| compare(a, b).is_eq());
        for value in values {
            match counts
                .iter_mut()
                .find(|(known, _)| compare(known, &value).is_eq())
            {
                Some((_, count)) => *count += 1,
                None => counts.push((value, 1)),
            }
        }
    }
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(compare(&a.0, &b.0)));
    let limit = 1 + random.below(8) as usize;
    counts.truncate(limit);
    let mut facet = Facet::new(path).limit(limit);
    facet.filter.clone_from(&filter);
    let hits = docs.facet(facet.clone()).wait().map_err(failed)?;
    let is_it = |(hit, (value, count)): (&amphora::FacetHit, &(Value, u64))| {
        hit.count == *count && compare(&hit.value, value).is_eq()
    };
    if hits.len() == counts.len() && hits.iter().zip(&counts).all(is_it) {
        return Ok(true);
    }
    Err(format!("{hits:?}, not {counts:?}, asked {facet:?}"))
}
