//! How long things took: counts by duration, recorded without a lock.
//!
//! Buckets grow by a quarter of a power of two, so that a percentile is off by at most a quarter
//! of itself. Recording is one relaxed addition; a reading taken meanwhile is of some moment.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Four buckets for each power of two of nanoseconds, up to 2^44 ns, about five hours.
const BUCKETS: usize = 4 * 44;

/// Durations by how often they were seen.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BUCKETS],
}

impl Histogram {
    /// How many durations were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The duration that `share` of all do not exceed, rounded up to its bucket's end: 0.5 is the
    /// median. Zero when there are none.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Duration {
        let total = self.count();
        if total == 0 {
            return Duration::ZERO;
        }
        let rank = ((total as f64 * share).ceil() as u64).clamp(1, total);
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        Duration::from_nanos(bucket.map_or(u64::MAX, bucket_end))
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count())
            .field("p50", &self.percentile(0.5))
            .field("p99", &self.percentile(0.99))
            .finish()
    }
}

/// A histogram that is being recorded.
#[derive(Debug)]
pub(crate) struct Recorder {
    counts: [AtomicU64; BUCKETS],
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self {
            counts: [const { AtomicU64::new(0) }; BUCKETS],
        }
    }

    /// Records a duration that stands for `weight` of its kind.
    pub(crate) fn record(&self, duration: Duration, weight: u32) {
        self.counts[bucket(duration)].fetch_add(weight.into(), Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Histogram {
        Histogram {
            counts: std::array::from_fn(|i| self.counts[i].load(Ordering::Relaxed)),
        }
    }
}

fn bucket(duration: Duration) -> usize {
    let nanos = u64::try_from(duration.as_nanos())
        .unwrap_or(u64::MAX)
        .max(4);
    let power = nanos.ilog2() as usize;
    let quarter = (nanos >> (power - 2)) as usize & 3;
    (4 * (power - 2) + quarter).min(BUCKETS - 1)
}

/// The largest number of nanoseconds in a bucket.
fn bucket_end(bucket: usize) -> u64 {
    let (power, quarter) = (bucket / 4 + 2, (bucket % 4) as u64);
    ((5 + quarter) << (power - 2)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_what_its_end_says() {
        for nanos in (4..5_000).chain([u64::from(u32::MAX), 1 << 43]) {
            let end = bucket_end(bucket(Duration::from_nanos(nanos)));
            assert!(nanos <= end && end <= nanos + nanos / 4, "{nanos} in {end}");
        }
    }

    #[test]
    fn percentiles_come_from_the_ranks() {
        let recorder = Recorder::new();
        for micros in 1..=100 {
            recorder.record(Duration::from_micros(micros), 1);
        }
        let histogram = recorder.read();
        assert_eq!(histogram.count(), 100);
        let near = |share, micros: u64| {
            let found = histogram.percentile(share).as_nanos() as f64 / 1_000.0;
            (micros as f64..=micros as f64 * 1.25).contains(&found)
        };
        assert!(near(0.5, 50) && near(0.99, 99) && near(1.0, 100));
        assert_eq!(Recorder::new().read().percentile(0.5), Duration::ZERO);
    }
}
