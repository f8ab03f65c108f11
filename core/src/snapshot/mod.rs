//! A registry at one moment: plain values that are compared, merged and sent.
//!
//! Merging is exact, associative and commutative: snapshots of threads, processes and machines can
//! be added up in any order. Counters and histograms add up; a gauge does what its descriptor's
//! [`Aggregation`](crate::registry::Aggregation) says. The difference of two snapshots of one
//! registry is what happened between them.

mod buckets;
mod exact_sum;
mod family;
mod histogram;
mod json;
mod registry;
mod value;

use core::fmt;

pub(crate) use buckets::Buckets;
pub use exact_sum::ExactSum;
pub use family::{FamilySnapshot, SeriesSnapshot};
pub use histogram::HistogramSnapshot;
pub use registry::RegistrySnapshot;
pub use value::{GaugeSnapshot, Value};

/// Why two snapshots do not go together.
///
/// ```
/// use tachograph_core::registry::{Descriptor, Registry};
/// use tachograph_core::snapshot::MergeError;
///
/// let registry = Registry::new();
/// let orders = registry.counter(&Descriptor::new("orders", "Orders"))?.bind(&[])?;
/// let earlier = registry.snapshot();
/// orders.inc();
/// let later = registry.snapshot();
/// assert_eq!(later.since(&earlier)?.counter("orders", &[]), Some(1));
/// assert_eq!(earlier.since(&later), Err(MergeError::WentBack));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MergeError {
    /// A family of the same name is of another kind, unit or aggregation, or has other labels.
    Family,
    /// A histogram has other bounds.
    Bounds,
    /// What should be the earlier snapshot counted more: it is later, or of another start.
    WentBack,
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Family => "a family of the same name has another kind, unit, aggregation or other labels",
            Self::Bounds => "a histogram has other bounds",
            Self::WentBack => "the earlier snapshot counted more: it is later, or of another start",
        })
    }
}

impl core::error::Error for MergeError {}
