//! How good a graph is at finding, measured on its own points when it is built: which `ef` finds
//! which share of the nearest, and how far codes err.

use super::{
    VectorSource,
    bits::{BitProbe, Bits, Glanced},
    codes::{Codes, Encoder, Probe, Scores, Table},
    hnsw::{Nodes, Scratch, Walk, Whole},
    score,
};
use crate::{cancel::Cancel, error::Result, schema::Metric, top_k::TopK};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// How many points are searched for.
const SAMPLES: usize = 256;
/// How many of the nearest are to be found.
const NEAREST: usize = 10;
/// What is tried, up to where more is of no use.
const LADDER: [usize; 14] = [
    10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640, 896,
];
/// So much of what may be missed is looked for in addition.
const CAUTION: f32 = 0.05;
/// A share that is as good as all.
const ENOUGH: f32 = 0.999;
/// How many more are wanted if so many times as many of the nearest are: `ef` grows as this power.
const GROWTH: f32 = 0.7;
/// So many points are compared with each sample, to see how far codes err.
const COMPARED: u32 = 32;
/// Two scores by codes are taken to be off by at most so many times what is usual for one.
const DEVIATIONS: f32 = 6.0;

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Curve {
    /// An `ef`, and the share of the nearest 10 that it finds; both grow.
    steps: Vec<(usize, f32)>,
    /// The standard deviation of a score by codes, for a query of length 1.
    deviation: f32,
}

impl Curve {
    /// Whether it may have been measured.
    pub(super) fn is_sound(&self) -> bool {
        let is_sound = |(ef, found): &(usize, f32)| *ef > 0 && (0.0..=1.0).contains(found);
        self.steps.iter().all(is_sound)
            && self.steps.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1)
            && self.deviation.is_finite()
            && self.deviation >= 0.0
    }

    /// The `ef` that finds this share of the nearest `limit`, and a little more: what was measured
    /// errs, too.
    pub(super) fn ef(&self, recall: f32, limit: usize) -> usize {
        let most = self.steps.last().map_or(0.0, |(_, found)| *found);
        let cautious = recall + (1.0 - recall) * CAUTION;
        let recall = cautious.min(most).max(recall);
        let at = self.steps.partition_point(|(_, found)| *found < recall);
        let (before, after) = self.steps.split_at(at);
        let ef = match (before.last(), after.first()) {
            (Some((less, low)), Some((more, high))) => {
                let share = (recall - low) / (high - low).max(f32::EPSILON);
                let less = *less as f32;
                less * (*more as f32 / less).powf(share)
            }
            (None, Some((ef, _))) => *ef as f32,
            (Some((most, _)), None) => *most as f32 * 2.0,
            (None, None) => NEAREST as f32,
        };
        let times = (limit as f32 / NEAREST as f32).max(1.0);
        ((ef * times.powf(GROWTH)).ceil() as usize).max(limit)
    }

    /// How much worse than another a score may seem that is as good, for a query of this length.
    pub(super) fn margin(&self, length: f32) -> f32 {
        DEVIATIONS * self.deviation * length
    }
}

/// What is measured: a graph that was built over some vectors.
pub(super) struct Walked<'a> {
    pub(super) nodes: &'a Whole<'a, Codes<'a>>,
    /// What walks go by, if it is not the codes.
    pub(super) bits: Option<Bits<'a>>,
    pub(super) encoder: &'a Encoder,
    pub(super) source: &'a dyn VectorSource,
    /// For each node its place in the source.
    pub(super) places: &'a [u32],
}

/// Searches for some of the points, each as if it were not in the graph.
pub(super) fn measure(walked: &Walked<'_>, cancel: &Cancel) -> Result<Curve> {
    // From the last node back to the middle, where no level but the lowest misses them.
    let len = walked.places.len();
    let count = SAMPLES.min(len / 4);
    let samples: Vec<u32> = (0..count)
        .map(|n| (len - 1 - n * len / (2 * count)) as u32)
        .collect();
    let last = samples.par_iter().map_init(Room::default, |room, sample| {
        last_of_nearest(walked.nodes, *sample, room, cancel)
    });
    let last: Vec<f32> = last.collect::<Result<_>>()?;
    let wanted = count * NEAREST.min(len.saturating_sub(1));
    let mut steps: Vec<(usize, f32)> = Vec::new();
    let mut best = 0.0f32;
    for ef in LADDER {
        let searched = samples.par_iter().zip(&last);
        let found = searched.map_init(Room::default, |room, (sample, last)| {
            walked.found(*sample, *last, ef, room, cancel)
        });
        let found = found.try_reduce(|| 0, |a, b| Ok(a + b))?;
        let share = if wanted == 0 {
            1.0
        } else {
            found as f32 / wanted as f32
        };
        best = best.max(share);
        steps.push((ef, best));
        if best >= ENOUGH {
            break;
        }
    }
    steps.dedup_by(|next, before| next.1 <= before.1);
    let deviation = walked.deviation(&samples)?;
    Ok(Curve { steps, deviation })
}

/// What a thread computes in.
#[derive(Default)]
struct Room {
    scratch: Scratch,
    probe: Probe,
    scores: Scores,
    bit_probe: BitProbe,
    nodes: Vec<u32>,
    values: Vec<f32>,
}

/// How near the last of those is that are nearest to a node. Who is as near is as good: of many
/// that are alike a search may find any.
fn last_of_nearest(
    nodes: &Whole<'_, Codes<'_>>,
    sample: u32,
    room: &mut Room,
    cancel: &Cancel,
) -> Result<f32> {
    let Room { probe, scores, .. } = room;
    nodes.table.probe_row(sample, probe);
    let mut best = TopK::new(NEAREST);
    let len = nodes.len() as u32;
    let mut others = Vec::with_capacity(Cancel::STRIDE as usize);
    for first in (0..len).step_by(Cancel::STRIDE as usize) {
        cancel.check()?;
        others.clear();
        let chunk = first..len.min(first + Cancel::STRIDE);
        others.extend(chunk.filter(|node| *node != sample));
        nodes.table.scores(probe, &others, scores);
        for (node, score) in others.iter().zip(&scores.values) {
            if best.wants(*score) {
                best.offer(*score, *node);
            }
        }
    }
    let last = best.into_sorted().last();
    Ok(last.map_or(f32::NEG_INFINITY, |(score, _)| score))
}

impl Walked<'_> {
    /// How many of the nearest a search finds.
    fn found(
        &self,
        sample: u32,
        last: f32,
        ef: usize,
        room: &mut Room,
        cancel: &Cancel,
    ) -> Result<usize> {
        let Room {
            scratch,
            probe,
            bit_probe,
            nodes,
            scores,
            values,
        } = room;
        match self.bits {
            Some(bits) => {
                let place = self.places[sample as usize];
                let (values, scale) = self.source.vector(place, values)?;
                self.encoder.probe(values, scale, probe);
                bit_probe.set(probe);
                let probe = bit_probe;
                let nodes = self.nodes.by(Glanced { bits, probe });
                search(&nodes, &Probe::default(), sample, ef, scratch, cancel)?;
            }
            None => {
                self.nodes.table.probe_row(sample, probe);
                search(self.nodes, probe, sample, ef, scratch, cancel)?;
            }
        }
        // They are compared again.
        self.nodes.table.probe_row(sample, probe);
        nodes.clear();
        nodes.extend(scratch.answers().map(|found| found.node));
        self.nodes.table.scores(probe, nodes, scores);
        let near = scores.values.iter().filter(|score| **score >= last);
        Ok(near.count().min(NEAREST))
    }

    /// The standard deviation of scores by codes, or by bits, from those by vectors, for each unit of
    /// what they grow with.
    fn deviation(&self, samples: &[u32]) -> Result<f32> {
        let Self {
            nodes,
            encoder,
            source,
            places,
            ..
        } = self;
        let Room {
            mut probe,
            mut scores,
            mut bit_probe,
            ..
        } = Room::default();
        let (mut squares, mut lengths) = (0.0f64, 0.0f64);
        let (mut own, mut others_own) = (Vec::new(), Vec::new());
        for sample in samples {
            let (values, scale) = source.vector(places[*sample as usize], &mut own)?;
            encoder.probe(values, scale, &mut probe);
            let others: Vec<u32> = (0..COMPARED.min(nodes.len() as u32))
                .filter(|node| node != sample)
                .collect();
            match self.bits {
                Some(bits) => {
                    bit_probe.set(&probe);
                    let glanced = Glanced {
                        bits,
                        probe: &bit_probe,
                    };
                    glanced.scores(&probe, &others, &mut scores);
                }
                None => nodes.table.scores(&probe, &others, &mut scores),
            }
            let mut errors = Vec::with_capacity(others.len());
            for (other, about) in others.iter().zip(&scores.values) {
                let other = source.vector(places[*other as usize], &mut others_own)?;
                let score = comparable(
                    encoder.metric,
                    score(encoder.metric, (values, scale), other),
                );
                errors.push(f64::from(*about) - score);
            }
            // What is the same for all changes no order.
            let mean = errors.iter().sum::<f64>() / errors.len().max(1) as f64;
            squares += errors
                .iter()
                .map(|error| (error - mean).powi(2))
                .sum::<f64>();
            // Summed up first: a query may well be the center itself.
            lengths += f64::from(probe.length()).powi(2) * errors.len() as f64;
        }
        Ok(if lengths > 0.0 {
            (squares / lengths).sqrt() as f32
        } else {
            0.0
        })
    }
}

/// Searches for a node as if it were not there.
fn search(
    nodes: &Whole<'_, impl Table>,
    probe: &Probe,
    sample: u32,
    ef: usize,
    scratch: &mut Scratch,
    cancel: &Cancel,
) -> Result<()> {
    let walk = Walk {
        nodes,
        probe,
        hidden: Some(sample),
        visits: usize::MAX,
        cancel,
    };
    let entry = walk.descend(nodes.top(), 1, scratch)?;
    walk.spread(0, entry, ef, |_| Ok(true), scratch)?;
    Ok(())
}

/// A score as codes have it, but for what is the same for all rows.
fn comparable(metric: Metric, score: f32) -> f64 {
    let score = f64::from(score);
    match metric {
        Metric::Euclidean => -0.5 * score * score,
        Metric::Cosine | Metric::Dot | Metric::Manhattan => score,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn curve(steps: &[(usize, f32)]) -> Curve {
        Curve {
            steps: steps.to_vec(),
            deviation: 0.5,
        }
    }

    #[test]
    fn between_two_steps_ef_grows_by_ratio() {
        let curve = curve(&[(10, 0.5), (40, 0.9), (80, 0.95)]);
        for (recall, limit, expected) in [
            (0.1, 1, 10),
            (0.474, 10, 10),
            (0.684, 10, 20),
            (0.895, 10, 40),
            (0.947, 10, 80),
            (0.95, 10, 80),
            (0.99, 10, 160),
            (0.5, 1_000, 1_000),
            (0.895, 40, 106),
        ] {
            let ef = curve.ef(recall, limit);
            assert!(ef.abs_diff(expected) <= 1, "{recall} {limit}: {ef}");
        }
        assert_eq!(curve.margin(3.0), 9.0);
    }

    proptest! {
        #[test]
        fn ef_grows_with_recall_and_limit(
            found in prop::collection::vec(0f32..=1.0, 0..LADDER.len()),
            recalls in prop::array::uniform2(0f32..=1.0),
            limits: [u16; 2],
        ) {
            let (mut found, mut recalls, mut limits) = (found, recalls, limits);
            found.sort_unstable_by(f32::total_cmp);
            found.dedup();
            let steps: Vec<_> = LADDER.into_iter().zip(found).collect();
            let curve = curve(&steps);
            prop_assert!(curve.is_sound());
            recalls.sort_unstable_by(f32::total_cmp);
            limits.sort_unstable();
            let [less, more] = recalls;
            let [few, many] = limits.map(usize::from);
            prop_assert!(curve.ef(less, few) <= curve.ef(more, few));
            prop_assert!(curve.ef(less, few) <= curve.ef(less, many));
            prop_assert!(curve.ef(less, many) >= many);
        }
    }
}
