use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::add_float;
use crate::instrument::Counter;
use crate::sync::{AtomicU64, Ordering};

/// Counts values in buckets with explicit upper bounds, inclusive, and one more above the last.
///
/// A value that is not finite is refused and counted.
///
/// ```
/// use tachograph_core::registry::{Descriptor, Registry};
///
/// let descriptor = Descriptor::new("size", "Bytes a frame").bounds(&[10.0, 100.0]);
/// let size = Registry::new().histogram(&descriptor)?.with(&[])?;
/// size.record(10.0);
/// size.record(11.0);
/// assert_eq!(size.snapshot().buckets, [1, 1, 0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Histogram {
    buckets: Arc<Buckets>,
    refused: Counter,
}

/// The storage that all handles of one series share.
#[derive(Debug)]
struct Buckets {
    bounds: Arc<[f64]>,
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// A histogram at one moment. Its count is the sum of its buckets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HistogramSnapshot {
    /// Upper bounds, inclusive, ascending.
    pub bounds: Vec<f64>,
    /// Values per bucket, not cumulative; one more than there are bounds.
    pub buckets: Vec<u64>,
    /// Sum of all values.
    pub sum: f64,
}

impl Histogram {
    pub(crate) fn new(bounds: Arc<[f64]>, refused: Counter) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { buckets: Arc::new(Buckets { bounds, counts, sum: AtomicU64::new(0) }), refused }
    }

    /// Counts one value.
    pub fn record(&self, value: f64) {
        let Buckets { bounds, counts, sum } = &*self.buckets;
        if !value.is_finite() || !add_float(sum, value) {
            return self.refused.inc();
        }
        let bucket = bounds.partition_point(|bound| *bound < value);
        counts[bucket].fetch_add(1, Ordering::Relaxed);
    }

    /// The buckets now.
    pub fn snapshot(&self) -> HistogramSnapshot {
        HistogramSnapshot {
            bounds: self.buckets.bounds.to_vec(),
            buckets: self.buckets.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            sum: f64::from_bits(self.buckets.sum.load(Ordering::Relaxed)),
        }
    }
}

impl HistogramSnapshot {
    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}
