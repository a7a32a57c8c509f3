//! Scoring every point by examples, which no index could find the best of.
//!
//! It asks its [`Cancel`] at least every few thousand comparisons.

use super::{
    Conditions,
    best::Best,
    found::{Found, Within},
};
use crate::{
    cancel::Cancel,
    error::Result,
    postings::Collector,
    schema::Metric,
    vector::{Values, scale, score},
    view::View,
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
                let sum = |samples: &[Sample]| samples.iter().map(&similarity).sum::<f32>();
                sum(positive) - sum(negative)
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
    cancel: &Cancel,
) -> Result<Vec<Found>> {
    let parts = view.parts()?;
    let (number, samples) = (judged.vector, judged.rule.samples());
    let mut best = Best::new(parts, judged.filter.as_ref(), within, judged.limit);
    let mut compared = 0;
    for (place, part) in parts.iter().enumerate() {
        let (mut collector, listed) = best.part(place, cancel)?;
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
