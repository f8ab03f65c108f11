use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{MergeError, Value};
use crate::label::LabelValues;
use crate::registry::{Descriptor, Kind};

/// A family at one moment.
///
/// ```
/// use tachograph_core::registry::{Descriptor, Registry};
///
/// let registry = Registry::new();
/// registry.counter(&Descriptor::new("frames", "Frames").label("source"))?.bind(&[("source", "mic")])?.add(3);
/// let snapshot = registry.snapshot();
/// let frames = snapshot.family("frames").ok_or("no such family")?;
/// assert_eq!((frames.name(), frames.series.len()), ("frames", 1));
/// assert!(frames.series(&[("source", "mic")]).is_some_and(|series| series.value.counter() == Some(3)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FamilySnapshot {
    /// What it counts in.
    pub kind: Kind,
    /// Its name, unit, help and labels.
    pub descriptor: Arc<Descriptor>,
    /// By labels.
    pub series: Vec<SeriesSnapshot>,
}

/// A series at one moment.
///
/// ```
/// use tachograph_core::registry::{Descriptor, Registry};
///
/// let registry = Registry::new();
/// registry.gauge(&Descriptor::new("level", "Level").label("source"))?.bind(&[("source", "mic")])?.set(0.5);
/// let series = &registry.snapshot().families[0].series[0];
/// assert!(series.labels.iter().eq(["mic"]));
/// assert_eq!(series.value.gauge(), Some(0.5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SeriesSnapshot {
    /// In the order of the descriptor's labels.
    pub labels: LabelValues,
    /// What was recorded.
    pub value: Value,
}

impl FamilySnapshot {
    /// The name.
    pub fn name(&self) -> &str {
        self.descriptor.name()
    }

    /// Names and values of a series' labels.
    pub fn labels<'a>(&'a self, series: &'a SeriesSnapshot) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.descriptor.label_names().iter().map(|name| &**name).zip(series.labels.iter())
    }

    /// The series with these labels, in any order.
    pub fn series(&self, labels: &[(&str, &str)]) -> Option<&SeriesSnapshot> {
        let same = |series: &&SeriesSnapshot| {
            self.labels(series).count() == labels.len() && self.labels(series).all(|label| labels.contains(&label))
        };
        self.series.iter().find(same)
    }

    /// What is in both is merged, what is only in `other` is taken over.
    ///
    /// # Errors
    /// They do not go together; nothing is changed.
    pub fn merge(&mut self, other: &Self) -> Result<(), MergeError> {
        self.goes_with(other)?;
        let aggregation = self.descriptor.aggregation_rule();
        for series in &other.series {
            match self.find(&series.labels) {
                Ok(place) => self.series[place].value.merge(&series.value, aggregation)?,
                Err(place) => self.series.insert(place, series.clone()),
            }
        }
        Ok(())
    }

    /// What happened since `earlier`; a gauge is as it is now.
    ///
    /// # Errors
    /// They do not go together, or `earlier` counted more.
    pub fn since(&self, earlier: &Self) -> Result<Self, MergeError> {
        self.goes_with(earlier)?;
        let mut since = self.clone();
        for series in &mut since.series {
            if let Ok(place) = earlier.find(&series.labels) {
                series.value = series.value.since(&earlier.series[place].value)?;
            }
        }
        Ok(since)
    }

    pub(super) fn goes_with(&self, other: &Self) -> Result<(), MergeError> {
        if self.kind != other.kind || !self.descriptor.goes_with(&other.descriptor) {
            return Err(MergeError::Family);
        }
        let pairs =
            other.series.iter().filter_map(|series| Some((&self.series[self.find(&series.labels).ok()?], series)));
        pairs.into_iter().try_for_each(|(own, others)| own.value.goes_with(&others.value))
    }

    fn find(&self, labels: &LabelValues) -> Result<usize, usize> {
        self.series.binary_search_by(|series| series.labels.cmp(labels))
    }
}
