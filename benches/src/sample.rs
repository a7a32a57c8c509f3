//! Samples and what is read from them.

/// The value at this share of the sorted samples: 0.5 is the median.
pub(crate) fn percentile(samples: &mut [f64], share: f64) -> f64 {
    assert!(!samples.is_empty(), "a percentile needs samples");
    samples.sort_by(f64::total_cmp);
    let rank = (samples.len() as f64 * share).ceil() as usize;
    samples[rank.clamp(1, samples.len()) - 1]
}

/// The median.
pub(crate) fn median(samples: &mut [f64]) -> f64 {
    percentile(samples, 0.5)
}
