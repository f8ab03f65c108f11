use super::{Aggregation, Descriptor, RegisterError, Registry};
use crate::instrument::{Counter, Gauge};
use crate::snapshot::RegistrySnapshot;

/// What a registry says of itself, as metrics of its own: `tachograph_registry_series`,
/// `tachograph_registry_bytes`, `tachograph_registry_snapshot_seconds`,
/// `tachograph_registry_refused_values`, `tachograph_registry_overflowed_series` and
/// `tachograph_registry_threads_sharing`.
///
/// ```
/// use tachograph_core::registry::{Registry, SelfMetrics};
///
/// let registry = Registry::new();
/// let own = SelfMetrics::register(&registry)?;
/// own.update(&registry.snapshot());
/// assert_eq!(registry.snapshot().gauge("tachograph_registry_series", &[]), Some(6.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SelfMetrics {
    series: Gauge,
    bytes: Gauge,
    snapshot_seconds: Gauge,
    refused_values: Counter,
    overflowed_series: Counter,
    threads_sharing: Counter,
}

impl SelfMetrics {
    /// Registers all of them, or finds them registered.
    ///
    /// # Errors
    /// One of the names is taken by another description.
    pub fn register(registry: &Registry) -> Result<Self, RegisterError> {
        let gauge = |descriptor| registry.gauge(&descriptor)?.unlabelled();
        let counter = |descriptor| registry.counter(&descriptor)?.unlabelled();
        let named = |name, help| Descriptor::new(name, help);
        Ok(Self {
            series: gauge(named("tachograph_registry_series", "Series in all families"))?,
            bytes: gauge(
                named("tachograph_registry_bytes", "Memory that descriptors, labels and cells hold").unit("bytes"),
            )?,
            snapshot_seconds: gauge(
                named("tachograph_registry_snapshot_seconds", "How long the newest snapshot took")
                    .unit("s")
                    .aggregation(Aggregation::Max),
            )?,
            refused_values: counter(named(
                "tachograph_registry_refused_values",
                "Values refused because they were not finite",
            ))?,
            overflowed_series: counter(named(
                "tachograph_registry_overflowed_series",
                "Bindings that went to an overflow series because their family was full",
            ))?,
            threads_sharing: counter(named(
                "tachograph_registry_threads_sharing",
                "Threads that found no memory of their own left and count with locked operations",
            ))?,
        })
    }

    /// Takes on what `snapshot` says; the next one has it as metrics.
    pub fn update(&self, snapshot: &RegistrySnapshot) {
        self.series.set(snapshot.series as f64);
        self.bytes.set(snapshot.bytes_held as f64);
        self.snapshot_seconds.set(snapshot.snapshot_seconds);
        let catch_up = |counter: &Counter, total: u64| counter.add(total.saturating_sub(counter.value()));
        catch_up(&self.refused_values, snapshot.refused_values);
        catch_up(&self.overflowed_series, snapshot.overflowed_series);
        catch_up(&self.threads_sharing, snapshot.threads_sharing);
    }
}
