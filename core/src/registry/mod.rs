//! Names and collects: a [`Registry`] holds families, a family holds one series per label set.
//!
//! Registries are instances and never mix. Registering and making a series take a lock; finding a
//! series, recording and taking a snapshot do not.

mod collector;
mod defaults;
mod descriptor;
mod family;
mod index;
mod self_metrics;
mod walk;

use alloc::sync::Arc;
use alloc::vec::Vec;

pub use collector::Collector;
pub use defaults::{DefaultMetrics, SourceInstruments};
pub use descriptor::{Aggregation, Descriptor, Kind, RegisterError};
pub use family::{CounterFamily, Family, GaugeFamily, HistogramFamily, LabelError, OVERFLOW, TypedFamily};
pub use self_metrics::SelfMetrics;
pub use walk::{Walk, Walked};

use crate::instrument::{Counter, Gauge, Histogram};
use crate::label::LabelSet;
use crate::memory::handle::Instrument;
use crate::memory::storage::Storage;
use crate::snapshot::RegistrySnapshot;
use crate::sync::Lock;

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
    /// By name.
    families: Arc<Lock<Vec<Arc<family::Shared>>>>,
    series_limit: usize,
    storage: Arc<Storage>,
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
    /// one series, whose labels all read [`OVERFLOW`]. A process has room for about a million series.
    pub fn with_series_limit(series_limit: usize) -> Self {
        Self { families: Arc::default(), series_limit, storage: Arc::default() }
    }

    /// The family of counters that `descriptor` names; the same one each time.
    ///
    /// # Errors
    /// An invalid descriptor, another one registered under this name, or no room.
    pub fn counter(&self, descriptor: &Descriptor) -> Result<CounterFamily, RegisterError> {
        self.family(descriptor)
    }

    /// The family of gauges that `descriptor` names; the same one each time.
    ///
    /// # Errors
    /// An invalid descriptor, another one registered under this name, or no room.
    pub fn gauge(&self, descriptor: &Descriptor) -> Result<GaugeFamily, RegisterError> {
        self.family(descriptor)
    }

    /// The family of histograms that `descriptor` names; the same one each time.
    ///
    /// # Errors
    /// An invalid descriptor, another one registered under this name, or no room.
    pub fn histogram(&self, descriptor: &Descriptor) -> Result<HistogramFamily, RegisterError> {
        self.family(descriptor)
    }

    /// The family of counters that `descriptor` names, with the labels of `L`; see
    /// [`labels!`](crate::labels).
    ///
    /// # Errors
    /// As of [`counter`](Self::counter), and more known label sets than the family has room for.
    pub fn counter_of<L: LabelSet>(&self, descriptor: &Descriptor) -> Result<TypedFamily<Counter, L>, RegisterError> {
        TypedFamily::new(self.counter(&labelled::<L>(descriptor))?)
    }

    /// The family of gauges that `descriptor` names, with the labels of `L`.
    ///
    /// # Errors
    /// As of [`counter_of`](Self::counter_of).
    pub fn gauge_of<L: LabelSet>(&self, descriptor: &Descriptor) -> Result<TypedFamily<Gauge, L>, RegisterError> {
        TypedFamily::new(self.gauge(&labelled::<L>(descriptor))?)
    }

    /// The family of histograms that `descriptor` names, with the labels of `L`.
    ///
    /// # Errors
    /// As of [`counter_of`](Self::counter_of).
    pub fn histogram_of<L: LabelSet>(
        &self,
        descriptor: &Descriptor,
    ) -> Result<TypedFamily<Histogram, L>, RegisterError> {
        TypedFamily::new(self.histogram(&labelled::<L>(descriptor))?)
    }

    /// All families and series now, by name and then by labels. [`collector`](Self::collector) does it
    /// again and again without allocating.
    pub fn snapshot(&self) -> RegistrySnapshot {
        let mut collector = self.collector();
        collector.collect(0);
        collector.into_snapshot()
    }

    /// What takes snapshots into the same memory.
    pub fn collector(&self) -> Collector {
        Collector::new(self)
    }

    /// Reads one series after another, without a snapshot of all; `wall_ms` is now in Unix milliseconds.
    pub fn walk(&self, wall_ms: u64) -> Walk {
        Walk::new(self, wall_ms)
    }

    /// Values refused because they were not finite.
    pub fn refused_values(&self) -> u64 {
        self.storage.refused()
    }

    fn family<I: Instrument>(&self, descriptor: &Descriptor) -> Result<Family<I>, RegisterError> {
        Family::of(&self.find_or_register(I::KIND, descriptor)?).ok_or(RegisterError::Conflict)
    }

    fn find_or_register(&self, kind: Kind, descriptor: &Descriptor) -> Result<Arc<family::Shared>, RegisterError> {
        let mut families = self.families.lock();
        match families.binary_search_by(|held| held.descriptor().name().cmp(descriptor.name())) {
            Ok(place) if families[place].descriptor() == descriptor => Ok(Arc::clone(&families[place])),
            Ok(_) => Err(RegisterError::Conflict),
            Err(place) => {
                let family = Arc::new(family::Shared::new(kind, descriptor, self.series_limit, &self.storage)?);
                families.insert(place, Arc::clone(&family));
                Ok(family)
            }
        }
    }
}

fn labelled<L: LabelSet>(descriptor: &Descriptor) -> Descriptor {
    L::NAMES.iter().fold(descriptor.clone(), |descriptor, name| descriptor.label(name))
}
