use super::exponential::{Position, SCALE, representative};
use crate::snapshot::Buckets;

/// Smaller values count as zero.
const SMALLEST: f64 = 1.0 / 1024.0;
/// Larger values land in the highest bucket.
const LARGEST: f64 = 16_777_216.0;
/// The bucket of zero, below all others.
const ZERO: i32 = i32::MIN;

/// Values with quantiles, in bounded memory, for one owner: the buckets of a
/// [`Histogram`](super::Histogram) without a registry, and the exact maximum.
///
/// A quantile is off by at most 0.55 % of its value for values from 2^-10 to 2^24; smaller ones
/// count as zero, larger ones in the highest of at most 2,178 buckets.
///
/// ```
/// use tachograph_core::instrument::Distribution;
///
/// let mut times = Distribution::default();
/// (1..=1000).for_each(|ms| times.record(f64::from(ms)));
/// assert!((times.quantile(0.5) - 500.0).abs() < 0.0055 * 500.0);
/// assert_eq!(times.max(), 1000.0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Distribution {
    buckets: Buckets,
    count: u64,
    max: f64,
}

impl Distribution {
    /// Counts a value; one that is not finite is ignored, one below zero counts as zero.
    pub fn record(&mut self, value: f64) {
        if value.is_finite() {
            let bucket = if value < SMALLEST { ZERO } else { Position::of(value.min(LARGEST)).index() };
            self.buckets.add(bucket, 1);
            self.count += 1;
            self.max = self.max.max(value);
        }
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest value, exact; 0 without values.
    pub fn max(&self) -> f64 {
        self.max
    }

    /// The value below which the share `q` (0 to 1) of all values lies; 0 without values.
    pub fn quantile(&self, q: f64) -> f64 {
        let rank = rank(q, self.count);
        let mut seen = 0;
        let reaches = |(_, count): &&(i32, u64)| {
            seen += count;
            seen > rank
        };
        match self.buckets.as_slice().iter().find(reaches) {
            Some((bucket, _)) if *bucket != ZERO => representative(*bucket, SCALE).min(self.max),
            _ => 0.0,
        }
    }
}

/// Which of `count` sorted values, from 0, the quantile `q` is.
pub(crate) fn rank(q: f64, count: u64) -> u64 {
    let rank = (q.clamp(0.0, 1.0) * count as f64) as u64;
    rank.min(count.saturating_sub(1))
}
