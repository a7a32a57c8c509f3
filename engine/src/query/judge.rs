//! Scoring by examples, which no index is ordered by.
//!
//! Where there are indexes, what is nearest to some of the examples is scored first: how near the last of these is
//! bounds what any other point scores. Where that does not tell, every point is scored. It asks its [`Cancel`] at least
//! every few thousand comparisons.

use super::{
    Conditions, Effort,
    best::Best,
    explained::{Strategy, Trace},
    found::{Found, Within},
    nearest::{Nearest, nearest},
};
use crate::{
    cancel::Cancel,
    error::Result,
    postings::Collector,
    schema::Metric,
    vector::{Values, scale, score},
    view::{Part, View},
};

/// A question by examples, checked against a schema.
#[derive(Clone, Debug)]
pub(super) struct Judged {
    /// The number of the vector that is compared.
    pub(super) vector: u32,
    pub(super) metric: Metric,
    pub(super) rule: Rule,
    pub(super) filter: Option<Conditions>,
    pub(super) limit: usize,
    pub(super) effort: Effort,
}

/// How similarities make a score: see [`RecommendStrategy`](super::RecommendStrategy),
/// [`Query::discover`](super::Query::discover) and [`Query::context`](super::Query::context).
#[derive(Clone, Debug)]
pub(super) enum Rule {
    Best(Vec<Sample>, Vec<Sample>),
    Sum(Vec<Sample>, Vec<Sample>),
    Discover(Sample, Vec<(Sample, Sample)>),
    Context(Vec<(Sample, Sample)>),
}

/// The numbers of an example, and what they are scaled with.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) values: Vec<f32>,
    pub(super) scale: f32,
}

/// So many vectors are compared between two looks.
const COMPARED: usize = 2_048;
/// What is nearest to examples is looked for where it is at most one in so many points.
const LED: u64 = 16;
/// Sums of which no number is larger are of examples that cancel each other.
const CANCELLED: f32 = 1e-6;

impl Sample {
    pub(super) fn new(values: Vec<f32>, metric: Metric) -> Self {
        let scale = scale(&values, metric);
        Self { values, scale }
    }
}

/// What is like the positive ones and unlike the negative ones: twice their average less that of these;
/// nothing without positive ones.
pub(super) fn average(positive: &[Sample], negative: &[Sample]) -> Option<Vec<f32>> {
    let mean = |samples: &[Sample], at: usize| {
        let value = |sample: &Sample| f64::from(sample.values[at]) * f64::from(sample.scale);
        samples.iter().map(value).sum::<f64>() / samples.len() as f64
    };
    let dimensions = 0..positive.first()?.values.len();
    let value = |at| match negative {
        [] => mean(positive, at),
        _ => 2.0 * mean(positive, at) - mean(negative, at),
    };
    Some(dimensions.map(|at| value(at) as f32).collect())
}

impl Rule {
    /// How many vectors each point is compared with.
    fn samples(&self) -> usize {
        match self {
            Self::Best(a, b) | Self::Sum(a, b) => a.len() + b.len(),
            Self::Discover(_, pairs) => 2 * pairs.len() + 1,
            Self::Context(pairs) => 2 * pairs.len(),
        }
    }

    fn score(&self, similarity: impl Fn(&Sample) -> f32) -> f32 {
        let most = |samples: &[Sample]| {
            let all = samples.iter().map(&similarity);
            all.fold(f32::NEG_INFINITY, f32::max)
        };
        match self {
            Self::Best(positive, negative) => {
                let (positive, negative) = (most(positive), most(negative));
                match positive > negative {
                    true => scaled(positive),
                    false => -scaled(negative),
                }
            }
            Self::Sum(positive, negative) => {
                let all = |samples: &[Sample]| -> f64 {
                    samples.iter().map(|it| f64::from(similarity(it))).sum()
                };
                let sum = all(positive) - all(negative);
                sum.clamp(f32::MIN.into(), f32::MAX.into()) as f32
            }
            Self::Discover(target, pairs) => {
                let rank = |(positive, negative): &(Sample, Sample)| {
                    let (positive, negative) = (similarity(positive), similarity(negative));
                    f32::from(positive > negative) - f32::from(positive < negative)
                };
                pairs.iter().map(rank).sum::<f32>() + scaled(similarity(target))
            }
            Self::Context(pairs) => {
                let loss = |(positive, negative): &(Sample, Sample)| {
                    let gap = similarity(positive) - similarity(negative) - f32::EPSILON;
                    sigmoid(gap.min(0.0))
                };
                pairs.iter().map(loss).sum()
            }
        }
    }
}

/// What the best are looked for among: the nearest to each of some vectors.
struct Leads {
    vectors: Vec<Vec<f32>>,
    /// So many times as many as are wanted, one after the other until that is enough.
    times: Vec<usize>,
    /// Whether they may lie far from all points.
    are_apart: bool,
}

impl Rule {
    /// Nothing if the best may be far from all that is known.
    fn leads(&self, metric: Metric) -> Option<Leads> {
        let of = |sample: &Sample| sample.values.clone();
        match self {
            Self::Best(positive, _) if !positive.is_empty() => Some(Leads {
                vectors: positive.iter().map(of).collect(),
                times: vec![2, 32],
                are_apart: false,
            }),
            // A sum of products is a product with the sum.
            Self::Sum(positive, negative) if matches!(metric, Metric::Cosine | Metric::Dot) => {
                let sum = sum(positive, negative);
                let size = sum.iter().map(|value| value.abs()).fold(0.0, f32::max);
                let leads = Leads {
                    vectors: vec![sum],
                    times: vec![2],
                    are_apart: true,
                };
                (size > CANCELLED).then_some(leads)
            }
            // Each pair leaves half of the points, as a rule.
            Self::Discover(target, pairs) if pairs.len() <= 4 => Some(Leads {
                vectors: vec![of(target)],
                times: vec![4 << pairs.len(), 32 << pairs.len()],
                are_apart: false,
            }),
            _ => None,
        }
    }

    /// The most that a point scores which is this similar to each of the leads at most.
    fn most(&self, similarity: f32) -> f32 {
        match self {
            Self::Best(..) => scaled(similarity),
            Self::Discover(_, pairs) => pairs.len() as f32 + scaled(similarity),
            Self::Sum(..) | Self::Context(_) => f32::NEG_INFINITY,
        }
    }
}

/// What has a product with any vector that is the sum of those with the positive ones less that of those with
/// the negative ones.
fn sum(positive: &[Sample], negative: &[Sample]) -> Vec<f32> {
    let all = positive.iter().chain(negative);
    let dimensions = all.map(|sample| sample.values.len()).max().unwrap_or(0);
    let total = |samples: &[Sample], at: usize| {
        let value = |sample: &Sample| f64::from(sample.values[at]) * f64::from(sample.scale);
        samples.iter().map(value).sum::<f64>()
    };
    let value = |at| (total(positive, at) - total(negative, at)) as f32;
    (0..dimensions).map(value).collect()
}

/// From -1 to 1.
fn sigmoid(x: f32) -> f32 {
    x / (1.0 + x.abs())
}

/// From 0 to 1.
fn scaled(x: f32) -> f32 {
    0.5 * (sigmoid(x) + 1.0)
}

/// What scores best, the best first.
pub(super) fn best(
    view: &View,
    judged: &Judged,
    within: Option<&Within>,
    mut trace: Option<&mut Trace>,
    cancel: &Cancel,
) -> Result<Vec<Found>> {
    if within.is_none()
        && judged.effort != Effort::Exact
        && let Some(leads) = judged.rule.leads(judged.metric)
        && let Some(found) = led(view, judged, &leads, trace.as_deref_mut(), cancel)?
    {
        return Ok(found);
    }
    scored(view, judged, within, trace, cancel)
}

/// The best of those that are nearest to the leads, if no other point scores more. Of the nearest as many are
/// found as the effort says.
fn led(
    view: &View,
    judged: &Judged,
    leads: &Leads,
    mut trace: Option<&mut Trace>,
    cancel: &Cancel,
) -> Result<Option<Vec<Found>>> {
    let parts = view.parts()?;
    let (mut all, mut indexed) = (0, 0);
    for part in parts {
        let rows = u64::from(part.rows());
        all += rows;
        if let Part::Stored(stored) = part
            && stored.segment.indexes.get(judged.vector).is_some()
        {
            indexed += rows;
        }
    }
    for times in &leads.times {
        let limit = judged.limit.saturating_mul(*times);
        let looked_at = (limit as u64).saturating_mul(leads.vectors.len() as u64);
        if indexed * 2 < all || looked_at.saturating_mul(LED) > all {
            return Ok(None);
        }
        let mut farthest: Option<f32> = None;
        let mut lists = Vec::with_capacity(leads.vectors.len());
        for values in &leads.vectors {
            let query = Nearest {
                vector: judged.vector,
                metric: judged.metric,
                values: values.clone(),
                list_of: None,
                filter: judged.filter.clone(),
                limit,
                oversampled: None,
                effort: judged.effort,
                is_apart: leads.are_apart,
            };
            let list = nearest(view, &query, None, trace.as_deref_mut(), cancel)?;
            if let Some(last) = list.last().filter(|_| list.len() == limit) {
                farthest = Some(farthest.map_or(last.score, |it| it.max(last.score)));
            }
            lists.push(list);
        }
        let within = Within::of(&lists, parts.len());
        let found = scored(view, judged, Some(&within), None, cancel)?;
        // Without a farthest one all that match were found.
        let is_certain = farthest.is_none_or(|farthest| {
            let last = found.last().filter(|_| found.len() == judged.limit);
            last.is_some_and(|last| last.score > judged.rule.most(farthest))
        });
        if is_certain {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The best of all, or of those that prefetches have found.
fn scored(
    view: &View,
    judged: &Judged,
    within: Option<&Within>,
    trace: Option<&mut Trace>,
    cancel: &Cancel,
) -> Result<Vec<Found>> {
    let parts = view.parts()?;
    let (number, samples) = (judged.vector, judged.rule.samples());
    // Where columns say which rows match, that costs less than to score them.
    let best = Best::new(parts, judged.filter.as_ref(), within, judged.limit, cancel);
    let mut best = best.together().traced(trace);
    let mut compared = 0;
    for (place, part) in parts.iter().enumerate() {
        let (mut collector, listed) = best.part(place, Strategy::OneByOne)?;
        let mut look = |row: u32, values: Values<'_>, scale: f32| {
            compared += samples;
            if compared >= COMPARED {
                compared = 0;
                cancel.check()?;
            }
            let score = judged.rule.score(|sample| {
                let sample = (&sample.values[..], sample.scale);
                score(judged.metric, sample, (values, scale))
            });
            if score >= collector.last_wanted() && collector.accepts(row)? {
                collector.offer(row, score)?;
            }
            Ok(())
        };
        match listed {
            None => part.vectors(number, 0..part.rows(), cancel, look)?,
            Some(rows) => {
                for (count, row) in (0..).zip(rows) {
                    cancel.check_at(count)?;
                    if let Some((values, scale)) = part.vector(row, number)? {
                        look(row, values, scale)?;
                    }
                }
            }
        }
    }
    Ok(best.into_found())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_the_largest_similarities_are_finite() {
        let some = |count| vec![Sample::new(vec![1.0], Metric::Dot); count];
        for (positive, negative, expected) in [(3, 0, f32::MAX), (3, 3, 0.0), (0, 3, f32::MIN)] {
            let rule = Rule::Sum(some(positive), some(negative));
            assert_eq!(rule.score(|_| f32::MAX), expected);
        }
    }
}
