use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::Registry;
use super::family::{Places, Shared};
use crate::instrument::Reading;
use crate::memory::process::threads_sharing;
use crate::snapshot::RegistrySnapshot;
use crate::time::Moment;

/// Takes snapshots of one registry into the same memory, again and again: once all series are there
/// it allocates nothing, and it never makes a writer wait.
///
/// ```
/// use tachograph_core::registry::{Descriptor, Registry};
///
/// let registry = Registry::new();
/// let frames = registry.counter(&Descriptor::new("frames", "Frames seen"))?.bind(&[])?;
/// let mut collector = registry.collector();
/// frames.inc();
/// assert_eq!(collector.collect(1_767_225_600_000).counter("frames", &[]), Some(1));
/// frames.inc();
/// assert_eq!(collector.collect(1_767_225_601_000).counter("frames", &[]), Some(2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Collector {
    registry: Registry,
    /// As in the snapshot: by name.
    families: Vec<(Arc<Shared>, Places)>,
    reading: Reading,
    snapshot: RegistrySnapshot,
}

impl Collector {
    pub(super) fn new(registry: &Registry) -> Self {
        let snapshot = RegistrySnapshot::default();
        Self { registry: registry.clone(), families: Vec::new(), reading: Reading::default(), snapshot }
    }

    /// Everything now; `wall_ms` is now in Unix milliseconds.
    pub fn collect(&mut self, wall_ms: u64) -> &RegistrySnapshot {
        self.list_families();
        self.reading.restart(wall_ms);
        let storage = &self.registry.storage;
        storage.parts_into(&mut self.reading.parts);
        for ((family, places), snapshot) in self.families.iter_mut().zip(&mut self.snapshot.families) {
            family.read_into(&mut self.reading, places, snapshot);
        }
        let series = self.snapshot.families.iter().map(|family| family.series.len() as u64).sum();
        let snapshot = &mut self.snapshot;
        (snapshot.at, snapshot.series) = (wall_ms, series);
        (snapshot.refused_values, snapshot.overflowed_series) = (storage.refused(), storage.overflowed());
        snapshot.bytes_held = storage.bytes() + self.reading.bytes;
        snapshot.threads_sharing = threads_sharing();
        snapshot
    }

    /// The same, and how long it took, by a monotonic clock.
    pub fn collect_timed(&mut self, wall_ms: u64, now: impl Fn() -> Moment) -> &RegistrySnapshot {
        let begun = now();
        self.collect(wall_ms);
        self.snapshot.snapshot_seconds = now().since(begun).as_secs_f64();
        &self.snapshot
    }

    /// The newest snapshot, to be kept.
    pub fn into_snapshot(self) -> RegistrySnapshot {
        self.snapshot
    }

    /// Families are never taken away, so that their number tells whether there are new ones.
    fn list_families(&mut self) {
        let registered = self.registry.families.lock();
        if registered.len() != self.families.len() {
            self.families = registered.iter().map(|family| (Arc::clone(family), Places::default())).collect();
            self.snapshot.families = registered.iter().map(|family| family.empty_snapshot()).collect();
        }
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").field("registry", &Arc::as_ptr(&self.registry.storage)).finish_non_exhaustive()
    }
}
