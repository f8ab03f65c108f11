use alloc::vec::Vec;

use serde::Serialize;

use super::{FamilySnapshot, HistogramSnapshot, MergeError, SeriesSnapshot, Value};

/// A registry at one moment, or several merged.
///
/// ```
/// use tachograph_core::registry::{Descriptor, Registry};
///
/// let (one, other) = (Registry::new(), Registry::new());
/// for (registry, orders) in [(&one, 3), (&other, 4)] {
///     registry.counter(&Descriptor::new("orders", "Orders"))?.bind(&[])?.add(orders);
/// }
/// let mut all = one.snapshot();
/// all.merge(&other.snapshot())?;
/// assert_eq!(all.counter("orders", &[]), Some(7));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RegistrySnapshot {
    /// When it was taken, in Unix milliseconds; 0 if nobody said.
    pub at: u64,
    /// By name.
    pub families: Vec<FamilySnapshot>,
    /// Series in all families.
    pub series: u64,
    /// Values refused because they were not finite.
    pub refused_values: u64,
    /// Bindings that went to an overflow series because their family was full.
    pub overflowed_series: u64,
    /// Memory that the registry holds: descriptors, labels, tables and, in every thread, cells.
    pub bytes_held: u64,
    /// Threads until now that came when 256 others had memory of their own, and count with locked
    /// operations.
    pub threads_sharing: u64,
    /// How long the taking of the snapshot took; 0 if nobody gave a clock.
    pub snapshot_seconds: f64,
}

impl RegistrySnapshot {
    /// The family of this name.
    pub fn family(&self, name: &str) -> Option<&FamilySnapshot> {
        let place = self.families.binary_search_by(|family| family.name().cmp(name)).ok()?;
        Some(&self.families[place])
    }

    /// The series of this family with these labels, in any order.
    pub fn series(&self, family: &str, labels: &[(&str, &str)]) -> Option<&Value> {
        Some(&self.family(family)?.series(labels)?.value)
    }

    /// A counter's total.
    pub fn counter(&self, family: &str, labels: &[(&str, &str)]) -> Option<u64> {
        self.series(family, labels)?.counter()
    }

    /// A gauge's figure.
    pub fn gauge(&self, family: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.series(family, labels)?.gauge()
    }

    /// A histogram's buckets.
    pub fn histogram(&self, family: &str, labels: &[(&str, &str)]) -> Option<&HistogramSnapshot> {
        self.series(family, labels)?.histogram()
    }

    /// Adds another registry's snapshot: exact, and the same in any order and grouping.
    ///
    /// ```
    /// use tachograph_core::registry::{Descriptor, Registry};
    ///
    /// let count = |amount| {
    ///     let registry = Registry::new();
    ///     let family = registry.counter(&Descriptor::new("frames", "Frames seen"))?;
    ///     family.bind(&[])?.add(amount);
    ///     Ok::<_, Box<dyn std::error::Error>>(registry.snapshot())
    /// };
    /// let mut both = count(3)?;
    /// both.merge(&count(4)?)?;
    /// assert_eq!(both.counter("frames", &[]), Some(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// A family that both have does not go together; nothing is changed.
    pub fn merge(&mut self, other: &Self) -> Result<(), MergeError> {
        let pairs = other.families.iter().filter_map(|family| Some((self.family(family.name())?, family)));
        pairs.into_iter().try_for_each(|(own, others)| own.goes_with(others))?;
        for family in &other.families {
            match self.families.binary_search_by(|own| own.name().cmp(family.name())) {
                Ok(place) => self.families[place].merge(family)?,
                Err(place) => self.families.insert(place, family.clone()),
            }
        }
        self.at = self.at.max(other.at);
        self.series = self.families.iter().map(|family| family.series.len() as u64).sum();
        self.refused_values = self.refused_values.saturating_add(other.refused_values);
        self.overflowed_series = self.overflowed_series.saturating_add(other.overflowed_series);
        self.bytes_held = self.bytes_held.saturating_add(other.bytes_held);
        self.threads_sharing = self.threads_sharing.saturating_add(other.threads_sharing);
        self.snapshot_seconds = self.snapshot_seconds.max(other.snapshot_seconds);
        Ok(())
    }

    /// What happened since `earlier`, a snapshot of the same registry. Gauges, and what the registry
    /// says of itself but for refused values and overflowed series, are as they are now.
    ///
    /// # Errors
    /// The two do not go together, or `earlier` counted more.
    pub fn since(&self, earlier: &Self) -> Result<Self, MergeError> {
        let back = |now: u64, before: u64| now.checked_sub(before).ok_or(MergeError::WentBack);
        let mut since = Self { families: Vec::with_capacity(self.families.len()), ..*self };
        for family in &self.families {
            let before = earlier.family(family.name());
            since.families.push(before.map_or_else(|| Ok(family.clone()), |before| family.since(before))?);
        }
        since.refused_values = back(self.refused_values, earlier.refused_values)?;
        since.overflowed_series = back(self.overflowed_series, earlier.overflowed_series)?;
        Ok(since)
    }

    /// Every family's series.
    pub fn all_series(&self) -> impl Iterator<Item = (&FamilySnapshot, &SeriesSnapshot)> {
        self.families.iter().flat_map(|family| family.series.iter().map(move |series| (family, series)))
    }
}
