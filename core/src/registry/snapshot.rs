use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::Kind;
use crate::instrument::HistogramSnapshot;

/// A registry at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RegistrySnapshot {
    /// By name.
    pub families: Vec<FamilySnapshot>,
    /// Values refused because they were not finite.
    pub refused_values: u64,
    /// Bindings that went to an overflow series because their family was full.
    pub overflowed_series: u64,
}

/// A family at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FamilySnapshot {
    /// The name.
    pub name: String,
    /// What it counts in.
    pub kind: Kind,
    /// The unit of its values; empty if they have none.
    pub unit: String,
    /// What it means.
    pub help: String,
    /// By labels.
    pub series: Vec<SeriesSnapshot>,
}

/// A series at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeriesSnapshot {
    /// Value by name.
    pub labels: BTreeMap<String, String>,
    /// What was recorded.
    #[serde(flatten)]
    pub value: Value,
}

/// What a series recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// A counter's total.
    Counter(u64),
    /// A gauge's present figure.
    Gauge(f64),
    /// A histogram's buckets.
    Histogram(HistogramSnapshot),
}

impl RegistrySnapshot {
    /// The series of this family with these labels.
    pub fn series(&self, family: &str, labels: &[(&str, &str)]) -> Option<&Value> {
        let family = self.families.iter().find(|held| held.name == family)?;
        let same = |series: &&SeriesSnapshot| {
            series.labels.len() == labels.len()
                && labels.iter().all(|(name, value)| series.labels.get(*name).is_some_and(|held| held == value))
        };
        family.series.iter().find(same).map(|series| &series.value)
    }

    /// A counter's total.
    pub fn counter(&self, family: &str, labels: &[(&str, &str)]) -> Option<u64> {
        if let Value::Counter(total) = self.series(family, labels)? { Some(*total) } else { None }
    }

    /// A gauge's figure.
    pub fn gauge(&self, family: &str, labels: &[(&str, &str)]) -> Option<f64> {
        if let Value::Gauge(figure) = self.series(family, labels)? { Some(*figure) } else { None }
    }

    /// A histogram's buckets.
    pub fn histogram(&self, family: &str, labels: &[(&str, &str)]) -> Option<&HistogramSnapshot> {
        if let Value::Histogram(buckets) = self.series(family, labels)? { Some(buckets) } else { None }
    }
}
