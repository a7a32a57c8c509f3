//! Trees of prefetches, wherever the points lie: beside a model that ranks every point and goes by the
//! documented formulas.
//!
//! Vectors are small whole numbers, so that scores are exact and many of them equal.

use amphora::{
    Collection, Database, Filter, Fusion, Hit, Metric, Mmr, Point, PointId, Query, Schema, Vector,
    field,
};
use amphora_tests::{nearest, opening::open_indexing, random::Random};
use serde_json::json;
use std::collections::BTreeMap;

const DIMENSIONS: usize = 4;
/// Without an exact search an index is asked from here on.
const INDEX_FROM: usize = 50;
const VECTORS: [(&str, Metric); 3] = [
    ("dot", Metric::Dot),
    ("euclidean", Metric::Euclidean),
    ("manhattan", Metric::Manhattan),
];

/// What a filter shall keep, by the number of the point.
type Keep = fn(u64) -> bool;

fn filters() -> [(Filter, Keep); 3] {
    [
        (field("even").eq(true), |id| id.is_multiple_of(2)),
        (field("n").below(70), |id| id < 70),
        (!field("third").eq(0), |id| !id.is_multiple_of(3)),
    ]
}

#[derive(Clone, Debug)]
enum Ask {
    Nearest(usize, Vec<f32>),
    /// The nearest of what these find.
    Rescore(usize, Vec<f32>, Vec<Tree>),
    Fuse(How, Vec<Tree>),
}

#[derive(Clone, Debug)]
enum How {
    Rrf(f32, Option<Vec<f32>>),
    Weighted(Vec<f32>),
    Dbsf(Option<Vec<f32>>),
}

/// A query as the model knows it.
#[derive(Clone, Debug)]
struct Tree {
    ask: Ask,
    filter: Option<usize>,
    limit: Option<usize>,
    offset: usize,
    threshold: Option<f32>,
    /// Lambda, candidates, and the vector.
    mmr: Option<(f32, Option<usize>, usize)>,
}

/// A score with an id.
type Ranked = (f32, u64);

impl Tree {
    fn query(&self) -> Query {
        let mut query = match &self.ask {
            Ask::Nearest(vector, values) => Query::nearest(VECTORS[*vector].0, values.clone()),
            Ask::Rescore(vector, values, prefetches) => {
                let nearest = Query::nearest(VECTORS[*vector].0, values.clone());
                prefetches
                    .iter()
                    .fold(nearest, |query, it| query.prefetch(it.query()))
            }
            Ask::Fuse(how, prefetches) => {
                let fusion = match how {
                    How::Rrf(k, None) => Fusion::rrf().k(*k),
                    How::Rrf(k, Some(weights)) => Fusion::rrf().k(*k).weights(weights.clone()),
                    How::Weighted(weights) => Fusion::weighted(weights.clone()),
                    How::Dbsf(None) => Fusion::dbsf(),
                    How::Dbsf(Some(weights)) => Fusion::dbsf().weights(weights.clone()),
                };
                prefetches
                    .iter()
                    .fold(Query::fuse(fusion), |query, it| query.prefetch(it.query()))
            }
        };
        if let Some(filter) = self.filter {
            query = query.filter(filters()[filter].0.clone());
        }
        if let Some(limit) = self.limit {
            query = query.limit(limit);
        }
        if let Some(least) = self.threshold {
            query = query.score_threshold(least);
        }
        if let Some((lambda, candidates, vector)) = self.mmr {
            let mut mmr = Mmr::new(lambda).vector(VECTORS[vector].0);
            mmr.candidates = candidates;
            query = query.mmr(mmr);
        }
        query.offset(self.offset)
    }

    fn random(random: &mut Random, depth: usize) -> Self {
        let limit = random.below(3) > 0;
        let limit = limit.then(|| 1 + random.below(30) as usize);
        let ask = match depth {
            0 => Ask::Nearest(random.below(3) as usize, values(random)),
            _ => {
                let count = 1 + random.below(3);
                let inner = |_| {
                    let below = random.below(depth as u64) as usize;
                    Self::random(random, below)
                };
                let prefetches: Vec<Self> = (0..count).map(inner).collect();
                let rescores = random.below(4) == 0;
                let weight = |_: &Tree| random.below(4) as f32 * 0.5;
                let mut weights: Vec<f32> = prefetches.iter().map(weight).collect();
                weights[0] += 0.5;
                let how = match random.below(5) {
                    0 => How::Rrf(60.0, None),
                    1 => How::Rrf(1.5, Some(weights)),
                    2 => How::Weighted(weights),
                    3 => How::Dbsf(None),
                    _ => How::Dbsf(Some(weights)),
                };
                match rescores {
                    true => Ask::Rescore(random.below(3) as usize, values(random), prefetches),
                    false => Ask::Fuse(how, prefetches),
                }
            }
        };
        let wanted = limit.unwrap_or(10);
        let offset = match random.below(4) {
            0 => random.below(5) as usize,
            _ => 0,
        };
        let mmr = (random.below(4) == 0).then(|| {
            let candidates = (limit.is_some() && random.below(2) == 0)
                .then(|| wanted + offset + random.below(20) as usize);
            // By a distance, whose numbers are exact.
            (
                random.below(5) as f32 / 4.0,
                candidates,
                1 + random.below(2) as usize,
            )
        });
        Self {
            filter: (random.below(3) == 0).then(|| random.below(3) as usize),
            threshold: (random.below(4) == 0).then(|| match &ask {
                Ask::Fuse(..) => 0.0201,
                _ => -4.3,
            }),
            ask,
            limit,
            offset,
            mmr,
        }
    }
}

fn values(random: &mut Random) -> Vec<f32> {
    let value = |_| random.below(7) as f32 - 3.0;
    (0..DIMENSIONS).map(value).collect()
}

/// The points that there are, by their numbers: their vectors, of which some lack some.
type Points = BTreeMap<u64, [Option<Vec<f32>>; 3]>;

/// What holds for a query by those above it.
#[derive(Clone)]
struct Above {
    keep: Vec<Keep>,
    limit: usize,
    is_outermost: bool,
}

impl Above {
    fn nothing() -> Self {
        Self {
            keep: Vec::new(),
            limit: 10,
            is_outermost: true,
        }
    }
}

/// The answer, and what every prefetch comes to.
fn model(points: &Points, tree: &Tree, mut above: Above) -> (Vec<Ranked>, Vec<Vec<Ranked>>) {
    let limit = tree.limit.unwrap_or(above.limit);
    let wanted = limit + tree.offset;
    let candidates = match tree.mmr {
        Some((_, candidates, _)) => candidates.unwrap_or(wanted * 10),
        None => wanted,
    };
    above
        .keep
        .extend(tree.filter.map(|filter| filters()[filter].1));
    let keep = above.keep.clone();
    let mut lists = Vec::new();
    let nearest = |vector: usize, values: &[f32], among: Option<Vec<u64>>| -> Vec<Ranked> {
        let among = |id| among.as_ref().is_none_or(|ids| ids.contains(id));
        let kept = points
            .iter()
            .filter(|(id, _)| keep.iter().all(|keep| keep(**id)) && among(id));
        let metric = VECTORS[vector].1;
        kept.filter_map(|(id, vectors)| {
            let (score, _) = nearest::score(metric, values, vectors[vector].as_ref()?);
            Some((score as f32, *id))
        })
        .collect()
    };
    if above.is_outermost || tree.limit.is_some() {
        above.limit = limit * 10;
    }
    above.limit = above.limit.max(candidates);
    above.is_outermost = false;
    let all_of = |prefetches: &[Tree]| -> Vec<(Vec<Ranked>, Vec<Vec<Ranked>>)> {
        let found = prefetches
            .iter()
            .map(|prefetch| model(points, prefetch, above.clone()));
        found.collect()
    };
    let mut list: Vec<Ranked> = match &tree.ask {
        Ask::Nearest(vector, values) => nearest(*vector, values, None),
        Ask::Rescore(vector, values, prefetches) => {
            let mut among = Vec::new();
            for (list, below) in all_of(prefetches) {
                among.extend(list.iter().map(|(_, id)| *id));
                lists.push(list);
                lists.extend(below);
            }
            nearest(*vector, values, Some(among))
        }
        Ask::Fuse(how, prefetches) => {
            let found = all_of(prefetches);
            let weights = match how {
                How::Rrf(_, weights) | How::Dbsf(weights) => weights.clone(),
                How::Weighted(weights) => Some(weights.clone()),
            };
            let weights = weights.unwrap_or_else(|| vec![1.0; found.len()]);
            let mut sums: BTreeMap<u64, f64> = BTreeMap::new();
            for ((list, below), weight) in found.into_iter().zip(&weights) {
                let is_asked = *weight > 0.0;
                let asked = |list: Vec<Ranked>| if is_asked { list } else { Vec::new() };
                let list = asked(list);
                let gains = gains(how, &list);
                for ((_, id), gain) in list.iter().zip(gains) {
                    *sums.entry(*id).or_default() += f64::from(*weight) * gain;
                }
                lists.push(list);
                lists.extend(below.into_iter().map(asked));
            }
            sums.into_iter().map(|(id, sum)| (sum as f32, id)).collect()
        }
    };
    sort(&mut list);
    list.truncate(candidates);
    list.retain(|(score, _)| tree.threshold.is_none_or(|least| *score >= least));
    if let Some((lambda, _, vector)) = tree.mmr {
        list = diverse(points, &list, lambda.into(), vector, wanted);
    }
    list.truncate(wanted);
    list.drain(..tree.offset.min(list.len()));
    (list, lists)
}

fn sort(list: &mut [Ranked]) {
    list.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
}

fn bounds(list: &[Ranked]) -> (f64, f64) {
    let scores = || list.iter().map(|(score, _)| f64::from(*score));
    (
        scores().fold(f64::MAX, f64::min),
        scores().fold(f64::MIN, f64::max),
    )
}

/// What a list adds to each of its hits.
fn gains(how: &How, list: &[Ranked]) -> Vec<f64> {
    let (low, high) = bounds(list);
    let count = list.len() as f64;
    let mean = list.iter().map(|(score, _)| f64::from(*score)).sum::<f64>() / count;
    let squares = list
        .iter()
        .map(|(score, _)| (f64::from(*score) - mean).powi(2));
    let deviation = (squares.sum::<f64>() / (count - 1.0)).sqrt();
    let gain = |(place, (score, _)): (usize, &Ranked)| {
        let score = f64::from(*score);
        match how {
            How::Rrf(k, _) => 1.0 / (f64::from(*k) + place as f64 + 1.0),
            How::Weighted(_) if low == high => 1.0,
            How::Weighted(_) => (score - low) / (high - low),
            How::Dbsf(_) if low == high => 0.5,
            How::Dbsf(_) => (score - (mean - 3.0 * deviation)) / (6.0 * deviation),
        }
    };
    list.iter().enumerate().map(gain).collect()
}

fn diverse(
    points: &Points,
    list: &[Ranked],
    lambda: f64,
    vector: usize,
    wanted: usize,
) -> Vec<Ranked> {
    let (low, high) = bounds(list);
    let of = |ranked: &Ranked| points[&ranked.1][vector].as_ref();
    let distance = |a: &[f32], b: &[f32]| -nearest::score(VECTORS[vector].1, a, b).0;
    let first = list.iter().find_map(of);
    let far = list
        .iter()
        .filter_map(of)
        .map(|it| distance(first.expect("there"), it));
    let reach = far.fold(0.0, f64::max);
    let similarity = |a: &Ranked, b: &Ranked| match (of(a), of(b)) {
        (Some(_), Some(_)) if reach == 0.0 => 1.0,
        (Some(a), Some(b)) => 1.0 - distance(a, b) / reach,
        _ => 0.0,
    };
    let (mut left, mut chosen) = (list.to_vec(), Vec::<Ranked>::new());
    while !left.is_empty() && chosen.len() < wanted {
        let worth = |it: &Ranked| {
            let relevance = match low < high {
                true => (f64::from(it.0) - low) / (high - low),
                false => 1.0,
            };
            let alike = chosen.iter().map(|other| similarity(it, other));
            match chosen.is_empty() {
                true => relevance,
                false => lambda * relevance - (1.0 - lambda) * alike.fold(f64::MIN, f64::max),
            }
        };
        let worths: Vec<f64> = left.iter().map(worth).collect();
        let most = worths.iter().copied().fold(f64::MIN, f64::max);
        let best = worths.iter().position(|worth| *worth == most);
        chosen.push(left.remove(best.expect("there is one")));
    }
    chosen
}

/// A collection, and the points that it must hold.
struct Subject {
    db: Database,
    docs: Collection,
    points: Points,
    random: Random,
}

impl Subject {
    fn create(path: &std::path::Path) -> Self {
        let db = open_indexing(path, INDEX_FROM);
        let schema = VECTORS
            .iter()
            .fold(Schema::new(), |schema, (name, metric)| {
                schema.vector(*name, Vector::new(DIMENSIONS as u32, *metric))
            });
        let docs = db.create_collection("docs", schema).wait().expect("new");
        Self {
            db,
            docs,
            points: Points::new(),
            random: Random(4),
        }
    }

    fn fill(&mut self, ids: std::ops::Range<u64>) {
        let mut batch = Vec::new();
        for id in ids {
            let random = &mut self.random;
            let vectors = [0, 1, 2].map(|_| (random.below(8) > 0).then(|| values(random)));
            let point = Point::new(id)
                .payload(json!({ "even": id.is_multiple_of(2), "n": id, "third": id % 3 }));
            batch.push(
                VECTORS.iter().zip(&vectors).fold(
                    point,
                    |point, ((name, _), values)| match values {
                        Some(values) => point.vector(*name, values.clone()),
                        None => point,
                    },
                ),
            );
            self.points.insert(id, vectors);
        }
        self.docs.upsert(batch).wait().expect("written");
    }

    fn search(&self, query: Query) -> Vec<Hit> {
        self.docs.search(query).wait().expect("hits")
    }

    /// Random trees, beside the model.
    fn check(&self) {
        let mut random = Random(11);
        for round in 0..400 {
            let tree = Tree::random(&mut random, round % 4);
            let (expected, lists) = model(&self.points, &tree, Above::nothing());
            // Said at the top, it holds for all prefetches.
            let query = tree.query().exact().with_payload(round % 2 == 0);
            let hits = self.search(query.clone().with_scores(true));
            assert_eq!(ranked(&hits), expected, "{tree:?}");
            for hit in &hits {
                let PointId::Number(id) = hit.id else {
                    panic!("not ours: {hit:?}");
                };
                assert_eq!(hit.scores.len(), lists.len(), "{tree:?}");
                for (score, list) in hit.scores.iter().zip(&lists) {
                    let place = list.iter().position(|(_, other)| *other == id);
                    let expected = place.map(|place| (place + 1, list[place].0));
                    assert_eq!(score.map(|it| (it.rank, it.score)), expected, "{tree:?}");
                }
                match round % 2 {
                    0 => assert_eq!(hit.payload.get("n"), Some(&json!(id))),
                    _ => assert!(hit.payload.is_empty()),
                }
            }
            let without = self.search(query);
            assert_eq!(ranked(&without), expected);
            assert!(without.iter().all(|hit| hit.scores.is_empty()));
        }
    }
}

fn ranked(hits: &[Hit]) -> Vec<Ranked> {
    let ranked = hits.iter().map(|hit| match hit.id {
        PointId::Number(id) => (hit.score, id),
        _ => panic!("not ours: {hit:?}"),
    });
    ranked.collect()
}

#[test]
fn trees_come_to_what_the_formulas_say_wherever_points_lie() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut subject = Subject::create(directory.path());
    subject.check();
    subject.fill(0..100);
    subject.check();
    subject.db.optimize().wait().expect("optimized");
    assert!(subject.db.stats().indexes > 0);
    subject.check();
    // In a segment, of which some rows have ended, and in memory.
    subject.fill(80..150);
    subject.docs.delete(0..20u64).wait().expect("deleted");
    subject.points.retain(|id, _| *id >= 20);
    subject.check();
    subject.db.optimize().wait().expect("merged");
    subject.check();
    subject.db.close().wait().expect("closed");
}

#[test]
fn trees_are_searched_through_indexes_and_many_at_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut subject = Subject::create(directory.path());
    subject.fill(0..2_000);
    subject.db.optimize().wait().expect("optimized");
    let mut random = Random(8);
    let queries: Vec<Query> = (0..30)
        .map(|_| {
            Query::fuse(Fusion::rrf())
                .prefetch(Query::nearest("dot", values(&mut random)))
                .prefetch(Query::nearest("euclidean", values(&mut random)).limit(40))
                .limit(10)
        })
        .collect();
    let many = subject
        .docs
        .search_many(queries.clone())
        .wait()
        .expect("hits");
    let (mut found, mut all) = (0, 0);
    for (query, hits) in queries.into_iter().zip(many) {
        assert_eq!(subject.search(query.clone()), hits);
        let exact = subject.search(query.exact());
        found += exact
            .iter()
            .filter(|hit| hits.iter().any(|it| it.id == hit.id))
            .count();
        all += exact.len();
    }
    // A missed hit moves the ranks of those behind it, and there are many ties.
    assert!(found * 10 > all * 9, "{found} of {all}");
    subject.db.close().wait().expect("closed");
}

/// A query that scores the first hit of a prefetch 1 and its last 0.
fn stretched(prefetch: Query) -> Query {
    Query::fuse(Fusion::weighted([1.0])).prefetch(prefetch)
}

#[test]
fn a_prefetch_without_a_limit_gives_ten_times_as_many_as_are_wanted() {
    let directory = tempfile::tempdir().expect("a directory");
    let db = open_indexing(directory.path(), usize::MAX);
    let schema = Schema::new().vector("v", Vector::new(1, Metric::Dot));
    let docs = db.create_collection("docs", schema).wait().expect("new");
    let points = (0..5_000u64).map(|id| Point::new(id).vector("v", [id as f32]));
    docs.upsert(points).wait().expect("written");
    // Scores fall by one from hit to hit, so that the score of the second tells how many there are.
    let count = |score: f32| (1.0 + 1.0 / (1.0 - score)).round() as usize;
    let given = |query: Query| {
        let hits = docs.search(query.with_scores(true)).wait().expect("hits");
        let below = hits[1].scores[0].expect("in the prefetch").score;
        (count(hits[1].score), count(below))
    };
    let nearest = || Query::nearest("v", [1.0]);
    let flat = |query: Query| given(query).0;
    assert_eq!(flat(stretched(nearest())), 100);
    assert_eq!(flat(stretched(nearest()).limit(3)), 30);
    assert_eq!(flat(stretched(nearest().limit(7)).limit(3)), 7);
    assert_eq!(flat(stretched(nearest().limit(7)).limit(50)), 7);
    // More are looked for than that.
    let mmr = stretched(nearest())
        .limit(3)
        .mmr(Mmr::new(1.0).candidates(77));
    assert_eq!(flat(mmr), 77);
    assert_eq!(flat(stretched(nearest()).limit(3).mmr(1.0)), 30);
    // Of a tree the closest limit counts.
    let tree = |inner: Query| stretched(stretched(inner));
    assert_eq!(given(tree(nearest())), (100, 100));
    assert_eq!(given(tree(nearest()).limit(3)), (30, 30));
    assert_eq!(given(tree(nearest().limit(40)).limit(3)), (30, 40));
    let inner = stretched(nearest()).limit(20);
    assert_eq!(given(stretched(inner).limit(3)), (20, 200));
    let mmr = stretched(nearest()).mmr(Mmr::new(1.0).candidates(500));
    assert_eq!(given(stretched(mmr).limit(3)), (30, 500));
    db.close().wait().expect("closed");
}
