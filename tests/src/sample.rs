//! Samples of a measurement, and what is read from them.

use crate::random::Random;

/// The value at this share of the sorted samples: 0.5 is the median.
///
/// # Panics
/// Without samples.
#[must_use]
pub fn percentile(samples: &mut [f64], share: f64) -> f64 {
    assert!(!samples.is_empty(), "a percentile needs samples");
    samples.sort_by(f64::total_cmp);
    let rank = (samples.len() as f64 * share).ceil() as usize;
    samples[rank.clamp(1, samples.len()) - 1]
}

/// The median.
///
/// # Panics
/// Without samples.
#[must_use]
pub fn median(samples: &mut [f64]) -> f64 {
    percentile(samples, 0.5)
}

/// The samples of each of `ways`, measured in turns, each turn in another order: what changes on
/// the machine meanwhile hits all alike.
pub fn in_turns(turns: usize, ways: usize, mut measure: impl FnMut(usize) -> f64) -> Vec<Samples> {
    let mut samples = vec![Samples::default(); ways];
    let mut random = Random(7);
    for _ in 0..turns {
        for way in shuffled(ways, &mut random) {
            samples[way].push(measure(way));
        }
    }
    samples
}

/// The numbers below `count` in some order.
#[must_use]
pub fn shuffled(count: usize, random: &mut Random) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by_cached_key(|_| random.draw());
    order
}

/// What one way took each time.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// One more.
    pub fn push(&mut self, sample: f64) {
        self.0.push(sample);
    }

    /// The median.
    ///
    /// # Panics
    /// Without samples.
    #[must_use]
    pub fn median(&self) -> f64 {
        median(&mut self.0.clone())
    }

    /// The value at this share of the sorted samples.
    ///
    /// # Panics
    /// Without samples.
    #[must_use]
    pub fn percentile(&self, share: f64) -> f64 {
        percentile(&mut self.0.clone(), share)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How far the turns differ, to be read beside a figure's name.
    ///
    /// # Panics
    /// Without samples.
    #[must_use]
    pub fn spread(&self) -> String {
        let mut samples = self.0.clone();
        let spread = percentile(&mut samples, 0.9) / percentile(&mut samples, 0.1);
        format!("(p90/p10 {spread:.2})")
    }
}
