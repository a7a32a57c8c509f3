//! How several lists of hits become one: pure functions of ranks and scores.
//!
//! Ranks and scores of a list are those of the hits that its query gave, and of no others. Sums are
//! made in double precision, in the order of the lists, and rounded once, so that hits whose sums are
//! the same are ties, of which the smaller id comes first.

use super::found::Found;
use crate::{
    cancel::Cancel,
    error::{Error, Result},
    json,
    top_k::TopK,
};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::HashMap;

/// How the hits of several prefetches become one list: each adds to the score of its hits, and
/// nothing to that of others.
///
/// With the weight `w` of a prefetch, a hit of rank `r` (1 for the first) and score `s` in it gets
///
/// | | adds | |
/// |---|---|---|
/// | [`rrf`](Self::rrf) | `w / (k + r)` | by ranks alone |
/// | [`weighted`](Self::weighted), [`alpha`](Self::alpha) | `w * (s - min) / (max - min)` | 0 to 1 between the lowest and the highest score of its hits |
/// | [`dbsf`](Self::dbsf) | `w * (s - (mean - 3 sd)) / (6 sd)` | by the mean and the standard deviation of their scores |
///
/// Where all scores of a prefetch are equal, as that of an only hit is, `weighted` adds `w` for each and
/// `dbsf` adds `w / 2`. A prefetch without hits adds nothing.
///
/// ```
/// use amphora::{Fusion, Query};
///
/// let by_ranks = Fusion::rrf().k(20.0).weights([2.0, 1.0]);
/// let by_scores = Fusion::alpha(0.7);
/// assert_eq!(by_scores, Fusion::weighted([0.7, 1.0 - 0.7]));
/// let query = Query::fuse(by_ranks)
///     .prefetch(Query::nearest("title", [0.1, 0.2]))
///     .prefetch(Query::nearest("text", [0.3, 0.4]));
/// # let _ = (query, by_scores);
/// ```
///
/// As JSON: `{ "method": "rrf", "k": 20, "weights": [2, 1] }`, of which all but the method may be missing; others are `"weighted"`
/// and `"dbsf"`. Where a fusion is asked for, the method alone may stand for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub struct Fusion {
    method: Method,
    /// Of each prefetch; 1 for all if there are none.
    weights: Option<Vec<f32>>,
}

/// The `k` of reciprocal rank fusion unless changed.
const RRF_K: f32 = 60.0;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Method {
    Rrf { k: f32 },
    MinMax,
    Distribution,
}

/// A [`Fusion`] as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    method: Name,
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "json::finite"
    )]
    k: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weights: Option<Vec<f32>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Name {
    Rrf,
    Weighted,
    Dbsf,
}

impl From<Fusion> for Written {
    fn from(fusion: Fusion) -> Self {
        let (method, k) = match fusion.method {
            Method::Rrf { k } => (Name::Rrf, Some(k)),
            Method::MinMax => (Name::Weighted, None),
            Method::Distribution => (Name::Dbsf, None),
        };
        Self {
            method,
            k,
            weights: fusion.weights,
        }
    }
}

impl TryFrom<Written> for Fusion {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, &'static str> {
        let method = match (written.method, written.k) {
            (Name::Rrf, k) => Method::Rrf {
                k: k.unwrap_or(RRF_K),
            },
            (_, Some(_)) => return Err("a fusion has a k that is not by rrf; expected none"),
            (Name::Weighted, None) => Method::MinMax,
            (Name::Dbsf, None) => Method::Distribution,
        };
        Ok(Self {
            method,
            weights: written.weights,
        })
    }
}

/// Reads a fusion, or the name of its method.
pub(super) fn method_or_fusion<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Fusion, D::Error> {
    let expected = "\"rrf\", \"weighted\", \"dbsf\", or an object with method, k and weights";
    json::object_or(deserializer, expected, |method| {
        serde_json::from_value(serde_json::json!({ "method": method })).map_err(|it| it.to_string())
    })
}

/// What is added to the score of a hit of one list, but for the weight of this.
#[derive(Clone, Copy, Debug)]
enum Gain {
    Rank { k: f64 },
    Score { low: f64, high: f64 },
    Same(f64),
}

impl Fusion {
    /// The largest weight of a prefetch.
    pub const MAX_WEIGHT: f32 = 1e6;

    /// Reciprocal rank fusion (Cormack, Clarke and Büttcher, 2009): `1 / (60 + rank)` for each
    /// prefetch. It needs no scores that can be compared.
    #[must_use]
    pub fn rrf() -> Self {
        Self::by(Method::Rrf { k: RRF_K })
    }

    /// The `k` of [`rrf`](Self::rrf), from 0 on: the smaller it is, the more the first few ranks count.
    /// No other fusion has one, and is changed by it.
    #[must_use]
    pub fn k(mut self, k: f32) -> Self {
        if let Method::Rrf { .. } = self.method {
            self.method = Method::Rrf { k };
        }
        self
    }

    /// The weighted sum of scores that are brought to 0 to 1 for each prefetch by their minimum and
    /// maximum. One weight for each prefetch, as for [`weights`](Self::weights).
    #[must_use]
    pub fn weighted(weights: impl IntoIterator<Item = f32>) -> Self {
        Self::by(Method::MinMax).weights(weights)
    }

    /// [`weighted`](Self::weighted) with `alpha` for the first of two prefetches, by custom the one by
    /// vectors, and `1 - alpha` for the second. 1 asks the first alone, 0 the second.
    #[must_use]
    pub fn alpha(alpha: f32) -> Self {
        Self::weighted([alpha, 1.0 - alpha])
    }

    /// Distribution-based score fusion (Mazzeschi, 2023): the sum of scores that are brought to about 0
    /// to 1 for each prefetch by their mean, less and plus three standard deviations, these with
    /// `n - 1`. What is farther out than that is below 0 or above 1. With [`weights`](Self::weights),
    /// the weighted sum.
    #[must_use]
    pub fn dbsf() -> Self {
        Self::by(Method::Distribution)
    }

    /// How much each prefetch counts, from 0 up to [a million](Self::MAX_WEIGHT): one weight for each, in
    /// their order, at least one of them above 0. One of weight 0 is not searched, as if it had no hits.
    #[must_use]
    pub fn weights(mut self, weights: impl IntoIterator<Item = f32>) -> Self {
        self.weights = Some(weights.into_iter().collect());
        self
    }

    fn by(method: Method) -> Self {
        Self {
            method,
            weights: None,
        }
    }

    /// Whether it may fuse so many prefetches.
    pub(super) fn check(&self, prefetches: usize) -> Result<()> {
        if let Method::Rrf { k } = self.method
            && !(k >= 0.0 && k.is_finite())
        {
            return Err(Error::invalid(format!(
                "the k of a fusion is {k}; expected a finite number from 0 on"
            )));
        }
        let Some(weights) = &self.weights else {
            return Ok(());
        };
        if weights.len() != prefetches {
            return Err(Error::invalid(format!(
                "the number of weights of a fusion is {}; expected {prefetches}, one for each prefetch",
                weights.len()
            )));
        }
        let most = Self::MAX_WEIGHT;
        let is_wrong = |weight: &f32| !(0.0..=most).contains(weight);
        if let Some(at) = weights.iter().position(is_wrong) {
            return Err(Error::invalid(format!(
                "the weight of prefetch {at} is {}; expected 0 to {most}",
                weights[at]
            )));
        }
        if weights.iter().all(|weight| *weight == 0.0) {
            return Err(Error::invalid(
                "all weights of a fusion are 0; expected at least one above",
            ));
        }
        Ok(())
    }

    /// How much a prefetch counts.
    pub(super) fn weight(&self, prefetch: usize) -> f32 {
        let weights = self.weights.as_ref();
        weights.map_or(1.0, |weights| weights[prefetch])
    }
}

impl Method {
    fn gain(self, list: &[Found]) -> Gain {
        let scores = || list.iter().map(|found| f64::from(found.score));
        let (low, high) = scores().fold((f64::MAX, f64::MIN), |(low, high), score| {
            (low.min(score), high.max(score))
        });
        match self {
            Self::Rrf { k } => Gain::Rank { k: k.into() },
            Self::MinMax if low < high => Gain::Score { low, high },
            Self::MinMax => Gain::Same(1.0),
            Self::Distribution if low < high => {
                let count = list.len() as f64;
                let mean = scores().sum::<f64>() / count;
                let squares = scores().map(|score| (score - mean).powi(2)).sum::<f64>();
                let three_deviations = 3.0 * (squares / (count - 1.0)).sqrt();
                Gain::Score {
                    low: mean - three_deviations,
                    high: mean + three_deviations,
                }
            }
            Self::Distribution => Gain::Same(0.5),
        }
    }
}

impl Gain {
    fn of(self, rank: u32, score: f32) -> f64 {
        match self {
            Self::Rank { k } => 1.0 / (k + f64::from(rank)),
            Self::Score { low, high } => (f64::from(score) - low) / (high - low),
            Self::Same(gain) => gain,
        }
    }
}

/// The best of several lists, in each of which a point is once at most: as many as are wanted, the best
/// first.
pub(super) fn fuse(
    fusion: &Fusion,
    lists: Vec<Vec<Found>>,
    wanted: usize,
    cancel: &Cancel,
) -> Result<Vec<Found>> {
    let mut sums: HashMap<(usize, u32), (f64, Found)> = HashMap::new();
    for (number, list) in lists.into_iter().enumerate() {
        let weight = f64::from(fusion.weight(number));
        let gain = fusion.method.gain(&list);
        for (rank, found) in (1..).zip(list) {
            cancel.check_at(rank)?;
            let gained = weight * gain.of(rank, found.score);
            let (sum, _) = sums.entry(found.place()).or_insert((0.0, found));
            *sum += gained;
        }
    }
    let mut best = TopK::new(wanted);
    for (count, (sum, found)) in (0..).zip(sums.into_values()) {
        cancel.check_at(count)?;
        let score = sum as f32;
        if best.wants(score) {
            best.offer(score, (found.id, found.part, found.row));
        }
    }
    Ok(best.into_sorted().map(Found::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn list(scores: &[(u64, f32)]) -> Vec<Found> {
        let found = |(id, score): &(u64, f32)| Found {
            score: *score,
            id: (*id).into(),
            part: *id as usize % 3,
            row: *id as u32,
        };
        let mut list: Vec<Found> = scores.iter().map(found).collect();
        list.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
        list
    }

    fn fused(fusion: &Fusion, lists: &[Vec<(u64, f32)>], wanted: usize) -> Vec<(u64, f32)> {
        fusion.check(lists.len()).unwrap();
        let lists = lists.iter().map(|scores| list(scores)).collect();
        let fused = fuse(fusion, lists, wanted, &Cancel::default()).unwrap();
        let pairs = fused
            .into_iter()
            .map(|found| (u64::from(found.row), found.score));
        pairs.collect()
    }

    /// The formulas as they are documented, term by term.
    fn naive(fusion: &Fusion, lists: &[Vec<(u64, f32)>]) -> BTreeMap<u64, f64> {
        let mut sums = BTreeMap::new();
        for (number, scores) in lists.iter().enumerate() {
            let weight = f64::from(fusion.weight(number));
            let all: Vec<f64> = scores.iter().map(|(_, score)| f64::from(*score)).collect();
            let count = all.len() as f64;
            let mean = all.iter().sum::<f64>() / count;
            let low = all.iter().copied().fold(f64::INFINITY, f64::min);
            let high = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let variance =
                all.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / (count - 1.0);
            for (at, (id, score)) in scores.iter().enumerate() {
                let better = scores
                    .iter()
                    .filter(|(other, s)| s > score || s == score && other < id);
                let gain = match fusion.method {
                    Method::Rrf { k } => 1.0 / (f64::from(k) + 1.0 + better.count() as f64),
                    Method::MinMax if low == high => 1.0,
                    Method::MinMax => (all[at] - low) / (high - low),
                    Method::Distribution if low == high => 0.5,
                    Method::Distribution => (all[at] - mean) / (6.0 * variance.sqrt()) + 0.5,
                };
                *sums.entry(*id).or_insert(0.0) += weight * gain;
            }
        }
        sums
    }

    fn lists() -> impl Strategy<Value = Vec<Vec<(u64, f32)>>> {
        // Few scores, so that many are equal.
        let scores = prop_oneof![
            (-3i8..3).prop_map(f32::from),
            (-1e6f32..1e6).prop_map(|score| score),
        ];
        let list = prop::collection::btree_map(0u64..30, scores, 0..20);
        prop::collection::vec(list.prop_map(|list| list.into_iter().collect()), 1..5)
    }

    fn fusions() -> impl Strategy<Value = Fusion> {
        prop_oneof![
            (0.0f32..100.0).prop_map(|k| Fusion::rrf().k(k)),
            Just(Fusion::by(Method::MinMax)),
            Just(Fusion::dbsf()),
        ]
    }

    proptest! {
        #[test]
        fn equals_the_formulas(
            fusion in fusions(),
            lists in lists(),
            weights in prop::option::of(prop::collection::vec(0.1f32..2.0, 4)),
            wanted in 1usize..40,
        ) {
            let fusion = match weights {
                Some(weights) => fusion.weights(weights.into_iter().take(lists.len())),
                None => fusion,
            };
            let found = fused(&fusion, &lists, wanted);
            let expected = naive(&fusion, &lists);
            prop_assert_eq!(found.len(), expected.len().min(wanted));
            let mut best: Vec<f64> = expected.values().copied().collect();
            best.sort_by(|a, b| b.total_cmp(a));
            for ((id, score), best) in found.iter().zip(best) {
                for expected in [expected[id], best] {
                    prop_assert!((f64::from(*score) - expected).abs() < 1e-5 * (1.0 + expected.abs()));
                }
            }
            let in_order = |a: &(u64, f32), b: &(u64, f32)| a.1 > b.1 || a.1 == b.1 && a.0 < b.0;
            prop_assert!(found.is_sorted_by(in_order), "{:?}", found);
        }
    }

    #[test]
    fn edges_by_table() {
        let rrf = || Fusion::rrf();
        let both = || Fusion::weighted([1.0, 1.0]);
        let none: Vec<(u64, f32)> = vec![];
        for (fusion, first, second, expected) in [
            (rrf(), none.clone(), none.clone(), vec![]),
            (both(), none.clone(), none.clone(), vec![]),
            (Fusion::dbsf(), none.clone(), none.clone(), vec![]),
            // One hit, and a list without any.
            (rrf(), vec![(1, -7.0)], none.clone(), vec![(1, 1.0 / 61.0)]),
            (both(), vec![(1, -7.0)], none.clone(), vec![(1, 1.0)]),
            (
                Fusion::dbsf(),
                vec![(1, -7.0)],
                none.clone(),
                vec![(1, 0.5)],
            ),
            // All scores are equal: the smaller id first.
            (
                both(),
                vec![(2, 3.0), (1, 3.0)],
                none.clone(),
                vec![(1, 1.0), (2, 1.0)],
            ),
            (
                Fusion::dbsf(),
                vec![(2, 3.0), (1, 3.0)],
                vec![(2, 0.1)],
                vec![(2, 1.0), (1, 0.5)],
            ),
            // Negative scores, as of distances: the nearest counts 1, the farthest nothing.
            (
                both(),
                vec![(1, -1.0), (2, -3.0), (3, -5.0)],
                none.clone(),
                vec![(1, 1.0), (2, 0.5), (3, 0.0)],
            ),
            // Mean -2, deviation 1.
            (
                Fusion::dbsf(),
                vec![(1, -1.0), (2, -2.0), (3, -3.0)],
                none.clone(),
                vec![(1, 4.0 / 6.0), (2, 0.5), (3, 2.0 / 6.0)],
            ),
            // Equal sums: the smaller id first.
            (
                rrf(),
                vec![(5, 2.0), (4, 1.0)],
                vec![(4, 9.0), (5, 8.0)],
                vec![(4, 1.0 / 61.0 + 1.0 / 62.0), (5, 1.0 / 61.0 + 1.0 / 62.0)],
            ),
            (
                rrf().k(0.0).weights([1.0, 3.0]),
                vec![(1, 2.0), (2, 1.0)],
                vec![(2, 1.0)],
                vec![(2, 3.5), (1, 1.0)],
            ),
            (
                Fusion::alpha(0.75),
                vec![(1, 2.0), (2, 1.0)],
                vec![(3, 2.0), (2, 1.0)],
                vec![(1, 0.75), (3, 0.25), (2, 0.0)],
            ),
        ] {
            let found = fused(&fusion, &[first, second], 10);
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found.0, expected.0, "{fusion:?}");
                assert!((found.1 - expected.1).abs() < 1e-6, "{fusion:?}: {found:?}");
            }
        }
    }
}
