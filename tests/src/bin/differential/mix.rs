//! Questions of what is made of other answers, and of words: each beside what its parts were answered.
//!
//! What is compared is asked of one held view, since what text scores depend on changes with every merge.
//!
//! The lists that are fused, grouped and computed with are the engine's own answers, of which `ask` judges every kind.

use crate::{
    Points,
    ask::{WITHIN, are_best, compare, failed, matching, maybe, passes, scalars, similar, values},
    draw::{filter, pick, sparse, vector, word},
};
use amphora::{
    Collection, Decay, DecayShape, DistanceMatrix, ErrorKind, Expr, Filter, Function, Fusion,
    Group, GroupBy, Hit, Least, OrderBy, Point, PointId, Query, ReadView, SparseVector, TextQuery,
};
use amphora_tests::{brute, random::Random};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// More than there are points.
const ALL: usize = 1_000;

fn search(docs: &ReadView, query: &Query) -> Result<Vec<Hit>, String> {
    docs.search(query.clone()).wait().map_err(failed)
}

fn held(docs: &Collection) -> Result<ReadView, String> {
    docs.read_view().wait().map_err(failed)
}

/// Hits as their ids and scores.
type Plain<'a> = Vec<(&'a PointId, f32)>;

fn plain(hits: &[Hit]) -> Plain<'_> {
    hits.iter().map(|hit| (&hit.id, hit.score)).collect()
}

fn weights(point: &Point) -> Option<&SparseVector> {
    let own = point.sparse_vectors.iter().find(|(name, _)| name == "s");
    own.map(|(_, vector)| vector)
}

/// The weights that are drawn are halves, so that sums of their products are exact.
pub(crate) fn by_weights(
    docs: &Collection,
    points: &Points,
    random: &mut Random,
) -> Result<bool, String> {
    let docs = &held(docs)?;
    let (asked, filter) = (sparse(random), maybe(random));
    let (limit, offset) = (1 + random.below(20) as usize, random.below(4) as usize);
    let score = |point: &&Point| {
        let own: BTreeMap<u32, f32> = weights(point)?.iter().collect();
        let products = asked.iter().filter_map(|(dimension, weight)| {
            let own = own.get(&dimension)?;
            Some(f64::from(weight) * f64::from(*own))
        });
        let products: Vec<f64> = products.collect();
        (!products.is_empty()).then(|| products.iter().sum::<f64>() as f32 + 0.0)
    };
    let found = matching(points, filter.as_ref()).into_iter();
    let mut expected: Vec<(&PointId, f32)> = found
        .filter_map(|point| Some((&point.id, score(&point)?)))
        .collect();
    expected.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    let expected: Vec<_> = expected.into_iter().skip(offset).take(limit).collect();
    let mut query = Query::sparse("s", asked.clone())
        .limit(limit)
        .offset(offset);
    query.filter.clone_from(&filter);
    let hits = search(docs, &query)?;
    if plain(&hits) == expected {
        return Ok(true);
    }
    let found = plain(&hits);
    Err(format!("{found:?}, not {expected:?}, asked {query:?}"))
}

/// What is looked for, and the words that score if it is nothing but some of them.
fn text_query(random: &mut Random, depth: u64) -> TextQuery {
    let mut several = || {
        let words: BTreeSet<&str> = (0..1 + random.below(3)).map(|_| word(random)).collect();
        words.into_iter().collect::<Vec<_>>().join(" ")
    };
    let text = several();
    match random.below(if depth > 0 { 7 } else { 5 }) {
        0 | 1 => TextQuery::any(text),
        2 => TextQuery::all(text),
        3 => TextQuery::phrase(text),
        4 => {
            let word = word(random);
            TextQuery::prefix(&word[..1 + random.below(word.len() as u64) as usize])
        }
        _ => {
            let mut some = |most: u64| -> Vec<TextQuery> {
                let count = random.below(most);
                (0..count).map(|_| text_query(random, depth - 1)).collect()
            };
            let (must, should, must_not) = (some(3), some(3), some(2));
            if must.is_empty() && should.is_empty() {
                return TextQuery::any(text);
            }
            let at_least = (!should.is_empty() && random.below(3) == 0)
                .then(|| random.below(should.len() as u64 + 1) as u32);
            TextQuery::Bool {
                must,
                should,
                must_not,
                at_least,
            }
        }
    }
}

/// Whether a text of these words is found.
fn finds(query: &TextQuery, words: &[&str]) -> bool {
    let has = |word: &str| words.contains(&word);
    let count = |some: &[TextQuery]| some.iter().filter(|query| finds(query, words)).count();
    match query {
        TextQuery::Match { text, least } => match least {
            Least::All => text.split(' ').all(has),
            _ => text.split(' ').any(has),
        },
        TextQuery::Phrase { text, .. } => {
            let phrase: Vec<&str> = text.split(' ').collect();
            words.windows(phrase.len()).any(|window| window == phrase)
        }
        TextQuery::Prefix(start) => words.iter().any(|word| word.starts_with(start.as_str())),
        TextQuery::Bool {
            must,
            should,
            must_not,
            at_least,
        } => {
            let least = at_least.unwrap_or(0).max(u32::from(must.is_empty()));
            count(must) == must.len() && count(should) >= least as usize && count(must_not) == 0
        }
        other => panic!("the model does not know {other:?}"),
    }
}

fn title(point: &Point) -> Vec<&str> {
    let title = point.payload.get("title").and_then(Value::as_str);
    title.map_or(Vec::new(), |title| title.split_whitespace().collect())
}

/// How well the words match each text.
fn bm25<'a>(points: &'a Points, asked: &str) -> BTreeMap<&'a PointId, f64> {
    let titles: BTreeMap<&PointId, Vec<&str>> =
        points.iter().map(|(id, it)| (id, title(it))).collect();
    let filled = titles.values().filter(|words| !words.is_empty()).count() as f64;
    let average = titles.values().map(Vec::len).sum::<usize>() as f64 / filled.max(1.0);
    let mut scores = BTreeMap::new();
    for word in asked.split(' ') {
        let with = titles
            .values()
            .filter(|words| words.contains(&word))
            .count() as f64;
        let idf = (1.0 + (filled - with + 0.5) / (with + 0.5)).ln();
        for (id, words) in &titles {
            let times = words.iter().filter(|own| **own == word).count() as f64;
            let norm = 1.2 * (0.25 + 0.75 * words.len() as f64 / average);
            *scores.entry(*id).or_insert(0.0) += idf * times / (times + norm);
        }
    }
    scores
}

pub(crate) fn text(
    docs: &Collection,
    points: &Points,
    random: &mut Random,
) -> Result<bool, String> {
    let docs = &held(docs)?;
    let (asked, filter) = (text_query(random, 2), maybe(random));
    let mut query = Query::text("title", asked.clone()).limit(ALL);
    query.filter.clone_from(&filter);
    let expected: BTreeSet<&PointId> = matching(points, filter.as_ref())
        .into_iter()
        .filter(|point| finds(&asked, &title(point)))
        .map(|point| &point.id)
        .collect();
    let hits = search(docs, &query)?;
    let found: BTreeSet<&PointId> = hits.iter().map(|hit| &hit.id).collect();
    let wrong = |what: &dyn std::fmt::Debug| {
        let found = plain(&hits);
        Err(format!("{found:?}, not {what:?}, asked {query:?}"))
    };
    if hits.len() != found.len() || found != expected {
        return wrong(&expected);
    }
    // What was replaced or deleted counts for the worth of words until it is merged away.
    let explained = docs.explain(Query::nearest("v", vector(random, 4))).wait();
    let parts = explained.map_err(failed)?.query.parts;
    let is_known = parts.iter().map(|part| part.rows).sum::<u64>() == points.len() as u64;
    if let (TextQuery::Match { text, .. }, true) = (&asked, is_known) {
        let scores = bm25(points, text);
        let scores = expected.iter().map(|id| (*id, (scores[id], WITHIN)));
        let scores: BTreeMap<_, _> = scores.collect();
        if !are_best(&hits, &scores, ALL) {
            return wrong(&scores);
        }
    }
    Ok(true)
}

/// A query of some kind, with a limit.
fn part(random: &mut Random) -> Query {
    let query = match random.below(5) {
        0 => Query::nearest("v", vector(random, 4)).exact(),
        1 => Query::nearest("w", vector(random, 2)).exact(),
        2 => Query::sparse("s", sparse(random)),
        3 => Query::text("title", text_query(random, 1)),
        _ => Query::order_by(OrderBy::ascending(pick(
            random,
            &["number", "tag", "absent"],
        ))),
    };
    let mut query = query.limit(1 + random.below(60) as usize);
    query.filter = maybe(random);
    query
}

/// The prefetches of a query, and their hits under its filter.
fn parts(
    docs: &ReadView,
    random: &mut Random,
    above: Option<&Filter>,
) -> Result<(Vec<Query>, Vec<Vec<Hit>>), String> {
    let count = 1 + random.below(3);
    let queries: Vec<Query> = (0..count).map(|_| part(random)).collect();
    let hits = queries.iter().map(|query| {
        let mut query = query.clone();
        let filters = [query.filter.take(), above.cloned()];
        query.filter = Some(Filter::All(filters.into_iter().flatten().collect()));
        search(docs, &query)
    });
    let hits = hits.collect::<Result<_, _>>()?;
    Ok((queries, hits))
}

pub(crate) fn fuse(docs: &Collection, _: &Points, random: &mut Random) -> Result<bool, String> {
    let docs = &held(docs)?;
    let filter = maybe(random);
    let (queries, lists) = parts(docs, random, filter.as_ref())?;
    let weights: Vec<f32> = lists
        .iter()
        .map(|_| 1.0 + random.below(5) as f32 / 2.0)
        .collect();
    let k = random.below(80) as f32;
    let method = random.below(3);
    let fusion = match method {
        0 => Fusion::rrf().k(k).weights(weights.clone()),
        1 => Fusion::weighted(weights.clone()),
        _ => Fusion::dbsf().weights(weights.clone()),
    };
    let mut scores: BTreeMap<&PointId, (f64, f64)> = BTreeMap::new();
    for (list, weight) in lists.iter().zip(&weights) {
        let all = || list.iter().map(|hit| f64::from(hit.score));
        let (low, high) = (
            all().fold(f64::MAX, f64::min),
            all().fold(f64::MIN, f64::max),
        );
        let count = list.len() as f64;
        let mean = all().sum::<f64>() / count;
        let squares: f64 = all().map(|score| (score - mean).powi(2)).sum();
        let deviation = (squares / (count - 1.0)).sqrt();
        for (rank, hit) in (1u32..).zip(list) {
            let score = f64::from(hit.score);
            let gain = match method {
                0 => 1.0 / (f64::from(k) + f64::from(rank)),
                1 if low == high => 1.0,
                1 => (score - low) / (high - low),
                _ if low == high => 0.5,
                _ => (score - (mean - 3.0 * deviation)) / (6.0 * deviation),
            };
            let known = scores.entry(&hit.id).or_insert((0.0, WITHIN));
            known.0 += gain * f64::from(*weight);
        }
    }
    let limit = 1 + random.below(30) as usize;
    let mut query = Query::fuse(fusion).limit(limit);
    query.filter.clone_from(&filter);
    query.prefetches = queries;
    let hits = search(docs, &query)?;
    if are_best(&hits, &scores, limit) {
        return Ok(true);
    }
    let found = plain(&hits);
    Err(format!("{found:?}, not {scores:?}, asked {query:?}"))
}

/// A formula that mostly has a value.
fn expr(random: &mut Random, scores: usize, depth: u64) -> Expr {
    if depth == 0 {
        return match random.below(5) {
            0 => Expr::Constant(random.below(9) as f64 / 2.0 - 2.0),
            1 | 2 => Expr::prefetch_score(random.below(scores as u64) as usize).or(-0.5),
            3 => Expr::condition(filter(random, 1)),
            _ => {
                let path = pick(random, &["number", "things.x", "absent", "tag"]);
                let read = Expr::field(path);
                if random.below(20) == 0 {
                    read
                } else {
                    read.or(0.25)
                }
            }
        };
    }
    let part = |random: &mut Random| expr(random, scores, depth - 1);
    let a = part(random);
    match random.below(12) {
        0 | 1 => a + part(random),
        2 => a - part(random),
        3 => a * part(random),
        4 => (a / part(random)).or(3.0),
        5 => a.min(part(random)),
        6 => a.max(part(random)),
        7 => a.abs().sqrt(),
        8 => a.abs().ln().or(0.0),
        9 => (-a).exp().or(1.0),
        10 => a.abs().pow(part(random)).or(2.0),
        _ => {
            let shape = pick(random, &[Decay::linear, Decay::exponential, Decay::gauss]);
            let target = part(random);
            shape(a).target(target).scale(1.5).midpoint(0.3).into()
        }
    }
}

/// What a formula comes to for a point, if it has a value.
fn compute(expr: &Expr, point: &Point, scores: &[Option<f32>]) -> Option<f64> {
    let payload = point.payload.to_value();
    let value = match expr {
        Expr::Constant(value) => *value,
        Expr::Score(number) => f64::from(scores[*number]?),
        Expr::Field(path) => {
            let values = brute::values(&payload, path);
            values.iter().find_map(|value| value.as_f64())?
        }
        Expr::Condition(filter) => f64::from(u8::from(passes(filter, point, &payload))),
        Expr::Apply(Function::Or(value), inner) => {
            compute(&inner[0], point, scores).unwrap_or(*value)
        }
        Expr::Apply(function, inner) => {
            let inner = inner.iter().map(|expr| compute(expr, point, scores));
            let inner: Vec<f64> = inner.collect::<Option<_>>()?;
            let a = inner[0];
            match function {
                Function::Sum => inner.iter().sum(),
                Function::Product => inner.iter().product(),
                Function::Min => inner.iter().copied().fold(a, f64::min),
                Function::Max => inner.iter().copied().fold(a, f64::max),
                Function::Div => a / inner[1],
                Function::Pow => a.powf(inner[1]),
                Function::Neg => -a,
                Function::Abs => a.abs(),
                Function::Sqrt => a.sqrt(),
                Function::Exp => a.exp(),
                Function::Ln => a.ln(),
                Function::Decay {
                    shape,
                    scale,
                    midpoint,
                } => decay(*shape, (a - inner[1]).abs() / scale, *midpoint),
                other => panic!("the model does not know {other:?}"),
            }
        }
        other => panic!("the model does not know {other:?}"),
    };
    value.is_finite().then_some(value)
}

fn decay(shape: DecayShape, away: f64, midpoint: f64) -> f64 {
    match shape {
        DecayShape::Linear => (1.0 - (1.0 - midpoint) * away).max(0.0),
        DecayShape::Exponential => midpoint.powf(away),
        DecayShape::Gauss => midpoint.powf(away * away),
        other => panic!("the model does not know {other:?}"),
    }
}

pub(crate) fn formula(
    docs: &Collection,
    points: &Points,
    random: &mut Random,
) -> Result<bool, String> {
    let docs = &held(docs)?;
    let filter = maybe(random);
    let (queries, lists) = parts(docs, random, filter.as_ref())?;
    let depth = random.below(4);
    let formula = expr(random, lists.len(), depth);
    let limit = 1 + random.below(30) as usize;
    let mut query = Query::formula(formula.clone()).limit(limit);
    query.filter.clone_from(&filter);
    query.prefetches = queries;
    let mut scores = BTreeMap::new();
    for id in lists.iter().flatten().map(|hit| &hit.id) {
        let of = |list: &Vec<Hit>| {
            let hit = list.iter().find(|hit| hit.id == *id);
            hit.map(|hit| hit.score)
        };
        let own: Vec<Option<f32>> = lists.iter().map(of).collect();
        let value = compute(&formula, &points[id], &own);
        let value = value.filter(|value| (*value as f32).is_finite());
        scores.insert(id, value.map(|value| (value, value.abs() * WITHIN + 1e-9)));
    }
    let answer = docs.search(query.clone()).wait();
    let known: Option<BTreeMap<_, _>> = scores
        .iter()
        .map(|(id, score)| Some((*id, (*score)?)))
        .collect();
    let is_it = match (&answer, &known) {
        (Ok(hits), Some(scores)) => are_best(hits, scores, limit),
        (Err(error), None) => {
            error.kind() == ErrorKind::InvalidInput && error.to_string().contains("has no value")
        }
        _ => false,
    };
    if is_it {
        return Ok(true);
    }
    let found = answer.as_ref().map(|hits| plain(hits));
    Err(format!("{found:?}, not {scores:?}, asked {query:?}"))
}

pub(crate) fn groups(
    docs: &Collection,
    points: &Points,
    random: &mut Random,
) -> Result<bool, String> {
    let docs = &held(docs)?;
    let query = part(random);
    let all = search(docs, &query.clone().limit(ALL))?;
    let path = pick(
        random,
        &[
            "tag",
            "number",
            "flag",
            "time",
            "author.name",
            "things.kind",
        ],
    );
    let size = 1 + random.below(4) as usize;
    let mut expected: Vec<(Value, Plain<'_>)> = Vec::new();
    for hit in &all {
        let mut keys = scalars(&points[&hit.id], path);
        keys.sort_by(compare);
        keys.dedup_by(|a, b| compare(a, b).is_eq());
        for key in keys {
            let known = expected.iter_mut();
            let mut known = known.filter(|(known, _)| compare(known, &key).is_eq());
            match known.next() {
                Some((_, hits)) if hits.len() == size => {}
                Some((_, hits)) => hits.push((&hit.id, hit.score)),
                None => expected.push((key, vec![(&hit.id, hit.score)])),
            }
        }
    }
    let (limit, offset) = (1 + random.below(8) as usize, random.below(3) as usize);
    let expected: Vec<_> = expected.into_iter().skip(offset).take(limit).collect();
    let query = query.limit(limit).offset(offset);
    let found = docs.search_groups(query.clone(), GroupBy::new(path).size(size));
    let found = found.wait().map_err(failed)?;
    let is_it = |(group, (key, hits)): (&Group, &(Value, Plain<'_>))| {
        compare(&group.key, key).is_eq() && plain(&group.hits) == *hits
    };
    if found.len() == expected.len() && found.iter().zip(&expected).all(is_it) {
        return Ok(true);
    }
    let found: Vec<_> = found
        .iter()
        .map(|group| (&group.key, plain(&group.hits)))
        .collect();
    Err(format!(
        "by {path:?}, {size} each: {found:?}, not {expected:?}, asked {query:?}"
    ))
}

pub(crate) fn matrix(
    docs: &Collection,
    points: &Points,
    random: &mut Random,
) -> Result<bool, String> {
    let (sample, limit, seed) = (
        1 + random.below(30) as usize,
        1 + random.below(6) as usize,
        random.draw(),
    );
    let filter = filter(random, 1);
    let question = DistanceMatrix::new("v")
        .sample(sample)
        .limit(limit)
        .seed(seed);
    let answer = docs.distance_matrix(question.filter(filter.clone())).wait();
    let answer = answer.map_err(failed)?;
    let there = matching(points, Some(&filter));
    let ids: Vec<&PointId> = answer.iter().map(|own| &own.id).collect();
    let is_there = |id: &&PointId| there.iter().any(|point| point.id == **id);
    let wrong = |what: &str| {
        Err(format!(
            "{what} in {answer:?} of {filter}, {sample}, {seed}"
        ))
    };
    if ids.len() != there.len().min(sample)
        || !ids.is_sorted_by(|a, b| a < b)
        || !ids.iter().all(is_there)
    {
        return wrong("the sample");
    }
    for own in &answer {
        let score = |id: &PointId| similar(docs, values(&points[&own.id]), values(&points[id]));
        let others = ids.iter().filter(|id| **id != &own.id);
        let scores: BTreeMap<&PointId, (f64, f64)> = others.map(|id| (*id, score(id))).collect();
        let mut best: Vec<(f64, f64)> = scores.values().copied().collect();
        best.sort_by(|a, b| b.0.total_cmp(&a.0));
        best.truncate(limit);
        let is_it = |((id, found), best): (&(PointId, f32), &(f64, f64))| {
            let found = f64::from(*found);
            let near = |(score, within): (f64, f64)| (found - score).abs() <= 2.0 * within;
            near(*best) && scores.get(id).is_some_and(|own| near(*own))
        };
        let in_order = |a: &(PointId, f32), b: &(PointId, f32)| (b.1, &a.0) < (a.1, &b.0);
        if own.nearest.len() != best.len()
            || !own.nearest.is_sorted_by(in_order)
            || !own.nearest.iter().zip(&best).all(is_it)
        {
            return wrong("the nearest");
        }
    }
    Ok(true)
}
