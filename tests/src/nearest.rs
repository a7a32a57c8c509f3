//! Searches judged by the points that there are, which are worked out the slow and obvious way.
//!
//! A search of every point finds the nearest. One through an index may miss some, but what it finds
//! is there, scored and ordered as it should be. That it finds anything near is asked of it too: it
//! gives half of what it could, and half of the points are found by their own vectors.

use amphora::{Collection, Example, Hit, Metric, Point, Projection, Query, QueryKind, Result};
use std::collections::BTreeSet;

/// All of them.
pub const METRICS: [Metric; 4] = [
    Metric::Cosine,
    Metric::Dot,
    Metric::Euclidean,
    Metric::Manhattan,
];

/// How many points are searched for by their own vectors.
const SAMPLES: usize = 6;

/// The score of two vectors, and how far a sum in single precision may be from it.
#[must_use]
pub fn score(metric: Metric, a: &[f32], b: &[f32]) -> (f64, f64) {
    let wide = |x: &[f32]| x.iter().map(|x| f64::from(*x)).collect::<Vec<_>>();
    let (x, y) = (wide(a), wide(b));
    let sum = |term: fn(f64, f64) -> f64| x.iter().zip(&y).map(|(x, y)| term(*x, *y)).sum::<f64>();
    let length = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    let (score, size) = match metric {
        Metric::Cosine => (sum(|x, y| x * y) / (length(&x) * length(&y)), 1.0),
        Metric::Dot => (sum(|x, y| x * y), sum(|x, y| (x * y).abs())),
        Metric::Euclidean => {
            let distance = sum(|x, y| (x - y) * (x - y)).sqrt();
            (-distance, distance)
        }
        Metric::Manhattan => {
            let distance = sum(|x, y| (x - y).abs());
            (-distance, distance)
        }
    };
    // A sum of nothing but negative zeros is one, and no different from zero.
    let score = score + 0.0;
    // Small integers lose nothing in single precision, and a root is rounded once.
    let is_small = |x: &f64| x.fract() == 0.0 && x.abs() <= 16.0;
    if metric != Metric::Cosine && x.iter().chain(&y).all(is_small) {
        return (f64::from(score as f32), 0.0);
    }
    (score, size * 1e-5 + f64::from(f32::MIN_POSITIVE))
}

/// The score of two lists of vectors, and how far it may be off.
#[must_use]
pub fn max_sim(metric: Metric, query: &[Vec<f32>], list: &[Vec<f32>]) -> (f64, f64) {
    let (mut sum, mut within) = (0.0, 0.0);
    for own in query {
        let scores = || list.iter().map(|values| score(metric, own, values));
        sum += scores().map(|(score, _)| score).fold(f64::MIN, f64::max);
        within += scores().map(|(_, within)| within).fold(0.0, f64::max);
    }
    if within == 0.0 {
        return (f64::from(sum as f32), 0.0);
    }
    (sum, within + sum.abs() * 1e-6)
}

/// How many hits an indexed search gives at the least, of so many that it could.
#[must_use]
pub fn least(there: usize, limit: usize) -> usize {
    limit.min(there.div_ceil(2))
}

/// How many hits a query wants at most.
#[must_use]
pub fn limit_of(query: &Query) -> usize {
    query.limit.unwrap_or(Query::DEFAULT_LIMIT)
}

/// What a query for the nearest compares; nothing if it is another.
#[must_use]
pub fn values_of(query: &Query) -> &[f32] {
    match &query.kind {
        QueryKind::Nearest {
            example: Example::Vector(values),
            ..
        } => values,
        _ => &[],
    }
}

/// Searches a collection that holds these points for each of its vectors, in all ways. What is
/// wrong with the hits, if anything is.
///
/// # Errors
/// Those of searching.
pub fn problem(collection: &Collection, points: &[&Point]) -> Result<Option<String>> {
    let schema = collection.schema();
    for (name, vector) in schema.vectors.iter().filter(|(_, vector)| !vector.multi) {
        let values = points.iter().filter_map(|point| {
            let (_, values) = point.vectors.iter().find(|(known, _)| known == name)?;
            Some((*point, &values[..]))
        });
        let judge = Judge {
            collection,
            name,
            metric: vector.metric,
            points: values.collect(),
        };
        if let Some(problem) = judge.problem()? {
            return Ok(Some(format!(
                "searching {name:?} of {}: {problem}",
                collection.name()
            )));
        }
    }
    Ok(None)
}

/// One vector of a collection, and the points that have it.
struct Judge<'a> {
    collection: &'a Collection,
    name: &'a str,
    metric: Metric,
    points: Vec<(&'a Point, &'a [f32])>,
}

impl Judge<'_> {
    fn problem(&self) -> Result<Option<String>> {
        let step = self.points.len().div_ceil(SAMPLES).max(1);
        let samples: Vec<&[f32]> = self.points.iter().step_by(step).map(|(_, v)| *v).collect();
        let mut found = 0;
        for (number, values) in samples.iter().enumerate() {
            let limit = if number % 2 == 0 {
                2
            } else {
                self.points.len()
            };
            // Of two hits at most, since payloads may be long.
            let nearest = || Query::nearest(self.name, *values).with_payload(limit == 2);
            for (query, is_exact) in [
                (nearest().limit(limit).exact(), true),
                (nearest().limit(limit), false),
                (nearest().limit(2).ef(2), false),
            ] {
                let hits = self.collection.search(query.clone()).wait()?;
                if let Some(problem) = self.differs(&query, is_exact, &hits) {
                    return Ok(Some(format!("{problem}, asked {query:?}")));
                }
            }
            let best = self.best(values, 1);
            let query = nearest().limit(1).ef(1);
            let hits = self.collection.search(query.clone()).wait()?;
            if let Some(problem) = self.differs(&query, false, &hits) {
                return Ok(Some(format!("{problem}, asked {query:?}")));
            }
            let is_best = |hit: &Hit| {
                best.iter()
                    .all(|(score, within)| f64::from(hit.score) >= score - 2.0 * within)
            };
            found += usize::from(hits.first().is_some_and(is_best));
        }
        let missed = samples.len() - found;
        Ok((missed > found).then(|| {
            let count = samples.len();
            format!("of {count} points {missed} are not found by their own vectors")
        }))
    }

    /// The best scores, and how far each may be off.
    fn best(&self, values: &[f32], limit: usize) -> Vec<(f64, f64)> {
        let scores = self.points.iter();
        let scores = scores.map(|(_, vector)| score(self.metric, values, vector));
        let mut scores: Vec<_> = scores.collect();
        scores.sort_by(|a, b| b.0.total_cmp(&a.0));
        scores.truncate(limit);
        scores
    }

    fn differs(&self, query: &Query, is_exact: bool, hits: &[Hit]) -> Option<String> {
        let most = self.points.len().min(limit_of(query));
        let fewest = match is_exact {
            true => most,
            false => least(self.points.len(), limit_of(query)),
        };
        if !(fewest..=most).contains(&hits.len()) {
            return Some(format!("{} hits, not {fewest} to {most}", hits.len()));
        }
        let ids: BTreeSet<_> = hits.iter().map(|hit| &hit.id).collect();
        if ids.len() < hits.len() {
            return Some(format!("a point twice among {hits:?}"));
        }
        if !hits.is_sorted_by(|a, b| a.score >= b.score) {
            return Some(format!("not in the order of their scores: {hits:?}"));
        }
        hits.iter()
            .find_map(|hit| self.forged(query, hit))
            .or_else(|| {
                let best = self.best(values_of(query), most);
                let mut pairs = hits.iter().zip(&best);
                let worse = |(hit, (score, within)): (&Hit, &(f64, f64))| {
                    f64::from(hit.score) < score - 2.0 * within
                };
                let missing = is_exact && pairs.any(worse);
                missing.then(|| format!("{hits:?} are not the nearest"))
            })
    }

    /// Says that a hit is no point, or not as it is.
    fn forged(&self, query: &Query, hit: &Hit) -> Option<String> {
        let point = self.points.iter().find(|(point, _)| point.id == hit.id);
        let Some((point, vector)) = point else {
            return Some(format!("{hit:?} is no point"));
        };
        let (score, within) = score(self.metric, values_of(query), vector);
        let payload = match query.with_payload == Projection::All {
            true => hit.payload == point.payload,
            false => hit.payload.is_empty(),
        };
        let is_it = (f64::from(hit.score) - score).abs() <= within && payload;
        (!is_it).then(|| format!("{hit:?} is not {point:?}, of score {score}"))
    }
}
