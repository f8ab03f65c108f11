//! Names and collects: a [`Registry`] holds families, a family holds one series per label set.
//!
//! Registries are instances and never mix. Registering and snapshotting take a lock; recording
//! through a bound handle does not.

mod defaults;
mod descriptor;
mod family;
mod snapshot;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;

pub use defaults::{DefaultMetrics, SourceInstruments};
pub use descriptor::{Descriptor, Kind, RegisterError};
pub use family::{CounterFamily, GaugeFamily, HistogramFamily, LabelError, OVERFLOW};
pub use snapshot::{FamilySnapshot, RegistrySnapshot, SeriesSnapshot, Value};

use crate::instrument::{Counter, Gauge, Histogram};
use crate::sync::Lock;
use family::{AnyFamily, Family};

/// Series a family holds at most, unless [`Registry::with_series_limit`] says otherwise.
pub const DEFAULT_SERIES_LIMIT: usize = 2_000;

/// A set of metric families. Clones share the same families.
///
/// ```
/// use tachograph_core::registry::{Descriptor, Registry, RegisterError};
///
/// let registry = Registry::new();
/// let lag = Descriptor::new("lag", "How late the tick was").unit("s");
/// registry.gauge(&lag)?.with(&[])?.set(0.25);
/// assert_eq!(registry.counter(&lag).err(), Some(RegisterError::Conflict));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Registry {
    families: Arc<Lock<BTreeMap<String, AnyFamily>>>,
    series_limit: usize,
    refused: Counter,
    overflowed: Counter,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// An empty registry with room for [`DEFAULT_SERIES_LIMIT`] series a family.
    pub fn new() -> Self {
        Self::with_series_limit(DEFAULT_SERIES_LIMIT)
    }

    /// An empty registry with room for `series_limit` series a family. Label sets beyond it share
    /// one series, whose labels all read [`OVERFLOW`].
    pub fn with_series_limit(series_limit: usize) -> Self {
        Self { families: Arc::default(), series_limit, refused: Counter::default(), overflowed: Counter::default() }
    }

    /// The family of counters that `descriptor` names; the same one each time.
    ///
    /// # Errors
    /// An invalid name or label, or another descriptor registered under this name.
    pub fn counter(&self, descriptor: &Descriptor) -> Result<CounterFamily, RegisterError> {
        let family = Family::new(descriptor, self.series_limit, &self.overflowed, Counter::default);
        self.register(descriptor, AnyFamily::Counter(family))?.into_counter().ok_or(RegisterError::Conflict)
    }

    /// The family of gauges that `descriptor` names; the same one each time.
    ///
    /// # Errors
    /// An invalid name or label, or another descriptor registered under this name.
    pub fn gauge(&self, descriptor: &Descriptor) -> Result<GaugeFamily, RegisterError> {
        let refused = self.refused.clone();
        let make = move || Gauge::new(refused.clone());
        let family = Family::new(descriptor, self.series_limit, &self.overflowed, make);
        self.register(descriptor, AnyFamily::Gauge(family))?.into_gauge().ok_or(RegisterError::Conflict)
    }

    /// The family of histograms that `descriptor` names; the same one each time.
    ///
    /// # Errors
    /// An invalid name, label or bound, or another descriptor registered under this name.
    pub fn histogram(&self, descriptor: &Descriptor) -> Result<HistogramFamily, RegisterError> {
        let (refused, bounds) = (self.refused.clone(), descriptor.shared_bounds());
        let make = move || Histogram::new(bounds.clone(), refused.clone());
        let family = Family::new(descriptor, self.series_limit, &self.overflowed, make);
        self.register(descriptor, AnyFamily::Histogram(family))?.into_histogram().ok_or(RegisterError::Conflict)
    }

    /// All families and series now, by name and then by labels.
    pub fn snapshot(&self) -> RegistrySnapshot {
        let families = self.families.lock();
        RegistrySnapshot {
            families: families.values().map(AnyFamily::snapshot).collect(),
            refused_values: self.refused_values(),
            overflowed_series: self.overflowed.value(),
        }
    }

    /// Values refused because they were not finite.
    pub fn refused_values(&self) -> u64 {
        self.refused.value()
    }

    fn register(&self, descriptor: &Descriptor, family: AnyFamily) -> Result<AnyFamily, RegisterError> {
        descriptor.validate(family.kind())?;
        let mut families = self.families.lock();
        let held = families.entry(descriptor.name().into()).or_insert(family);
        if held.descriptor() == descriptor { Ok(held.clone()) } else { Err(RegisterError::Conflict) }
    }
}
