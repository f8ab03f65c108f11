use alloc::collections::BTreeMap;

/// Buckets an octave: scale 6 of the base-2 exponential histogram.
const BUCKETS_PER_OCTAVE: usize = 64;
/// What is smaller lands in the lowest bucket, so that the number of buckets is bounded.
const SMALLEST: f64 = 1.0 / 1024.0;
/// What is larger lands in the highest bucket.
const LARGEST: f64 = 16_777_216.0;
/// The mantissa bits at which each bucket of an octave begins: those of 2^(k/64).
const STARTS: [u64; BUCKETS_PER_OCTAVE] = bucket_starts();

/// Positive values with quantiles, in bounded memory: a base-2 exponential histogram of scale 6.
///
/// A quantile is off by at most 0.55 % of its value (half of a bucket's width, 2^(1/64)) for
/// values from 2^-10 to 2^24; others count in the bucket at the edge. The largest value is exact.
/// At most 2,177 buckets exist. It has one owner; instruments shared between threads are
/// [`Histogram`](super::Histogram)s.
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
    buckets: BTreeMap<u16, u64>,
    count: u64,
    max: f64,
}

impl Distribution {
    /// Counts a value; one that is not finite is ignored, one below zero counts as zero.
    pub fn record(&mut self, value: f64) {
        if value.is_finite() {
            *self.buckets.entry(bucket_of(value)).or_default() += 1;
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
        let rank = (q.clamp(0.0, 1.0) * self.count as f64) as u64;
        let rank = rank.min(self.count.saturating_sub(1));
        let mut seen = 0;
        for (bucket, count) in &self.buckets {
            seen += count;
            if seen > rank {
                return middle_of(*bucket).min(self.max);
            }
        }
        0.0
    }
}

/// The bucket's number, counted from the one that holds [`SMALLEST`].
fn bucket_of(value: f64) -> u16 {
    let bits = value.clamp(SMALLEST, LARGEST).to_bits();
    let octave = (bits >> 52) - (SMALLEST.to_bits() >> 52);
    let mantissa = bits & ((1 << 52) - 1);
    let step = STARTS.partition_point(|start| *start <= mantissa) - 1;
    octave as u16 * BUCKETS_PER_OCTAVE as u16 + step as u16
}

/// Halfway between a bucket's bounds.
fn middle_of(bucket: u16) -> f64 {
    let (octave, step) = (usize::from(bucket) / BUCKETS_PER_OCTAVE, usize::from(bucket) % BUCKETS_PER_OCTAVE);
    let exponent = (SMALLEST.to_bits() >> 52) + octave as u64;
    let lower = f64::from_bits(exponent << 52 | STARTS[step]);
    let upper = match STARTS.get(step + 1) {
        Some(start) => f64::from_bits(exponent << 52 | start),
        None => f64::from_bits((exponent + 1) << 52),
    };
    (lower + upper) / 2.0
}

/// 2^(k/64) as the product of the roots of two that k's bits name, in fixed point with 62 bits.
const fn bucket_starts() -> [u64; BUCKETS_PER_OCTAVE] {
    const ONE: u128 = 1 << 62;
    let mut starts = [0; BUCKETS_PER_OCTAVE];
    let mut step = 0;
    while step < BUCKETS_PER_OCTAVE {
        let (mut value, mut root, mut bit) = (ONE, ONE * 2, BUCKETS_PER_OCTAVE / 2);
        while bit > 0 {
            root = (root * ONE).isqrt();
            if step & bit != 0 {
                value = value * root / ONE;
            }
            bit /= 2;
        }
        starts[step] = ((value - ONE) >> 10) as u64;
        step += 1;
    }
    starts
}
