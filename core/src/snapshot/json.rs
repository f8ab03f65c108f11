//! Families as JSON: a series' labels stand beside its value by name.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{FamilySnapshot, RegistrySnapshot, SeriesSnapshot, Value};
use crate::label::LabelValues;
use crate::registry::{Aggregation, Descriptor, Kind};

#[derive(Serialize)]
struct FamilyOut<'a> {
    name: &'a str,
    kind: Kind,
    unit: &'a str,
    help: &'a str,
    aggregation: Aggregation,
    labels: &'a [String],
    series: Vec<SeriesOut<'a>>,
}

#[derive(Serialize)]
struct SeriesOut<'a> {
    labels: LabelsOut<'a>,
    #[serde(flatten)]
    value: &'a Value,
}

struct LabelsOut<'a>(&'a FamilySnapshot, &'a SeriesSnapshot);

impl Serialize for LabelsOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(family, series) = self;
        let mut labels = serializer.serialize_map(None)?;
        family.labels(series).try_for_each(|(name, value)| labels.serialize_entry(name, value))?;
        labels.end()
    }
}

impl Serialize for FamilySnapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let family = FamilyOut {
            name: self.name(),
            kind: self.kind,
            unit: self.descriptor.unit_name(),
            help: self.descriptor.help_text(),
            aggregation: self.descriptor.aggregation_rule(),
            labels: self.descriptor.label_names(),
            series: (self.series.iter())
                .map(|series| SeriesOut { labels: LabelsOut(self, series), value: &series.value })
                .collect(),
        };
        family.serialize(serializer)
    }
}

#[derive(Deserialize)]
struct FamilyIn {
    name: String,
    kind: Kind,
    unit: String,
    help: String,
    aggregation: Aggregation,
    labels: Vec<String>,
    series: Vec<SeriesIn>,
}

#[derive(Deserialize)]
struct SeriesIn {
    labels: BTreeMap<String, String>,
    #[serde(flatten)]
    value: Value,
}

impl<'de> Deserialize<'de> for FamilySnapshot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        FamilyIn::deserialize(deserializer).map(Self::from)
    }
}

impl From<FamilyIn> for FamilySnapshot {
    fn from(family: FamilyIn) -> Self {
        let FamilyIn { name, kind, unit, help, aggregation, labels, series } = family;
        let value_of = |held: &BTreeMap<String, String>, name: &String| held.get(name).cloned().unwrap_or_default();
        let read = |SeriesIn { labels: held, value }: SeriesIn| {
            let values: Vec<String> = labels.iter().map(|name| value_of(&held, name)).collect();
            SeriesSnapshot { labels: LabelValues::new(values.iter().map(|value| &**value)), value }
        };
        let mut series: Vec<SeriesSnapshot> = series.into_iter().map(read).collect();
        series.sort_by(|one, other| one.labels.cmp(&other.labels));
        let described = Descriptor::new(&name, &help).unit(&unit).aggregation(aggregation);
        let histogram = series.iter().find_map(|series| series.value.histogram());
        let described = match histogram {
            Some(histogram) => described.bounds(histogram.bounds()).scale(histogram.scale()),
            None => described,
        };
        let descriptor = labels.iter().fold(described, |descriptor, label| descriptor.label(label));
        Self { kind, descriptor: Arc::new(descriptor), series }
    }
}

#[derive(Deserialize)]
struct RegistryIn {
    at: u64,
    families: Vec<FamilySnapshot>,
    series: u64,
    refused_values: u64,
    overflowed_series: u64,
    bytes_held: u64,
    threads_sharing: u64,
    snapshot_seconds: f64,
}

impl<'de> Deserialize<'de> for RegistrySnapshot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RegistryIn::deserialize(deserializer).map(Self::from)
    }
}

impl From<RegistryIn> for RegistrySnapshot {
    fn from(registry: RegistryIn) -> Self {
        let at = registry.at;
        let mut read = Self {
            at,
            families: registry.families,
            series: registry.series,
            refused_values: registry.refused_values,
            overflowed_series: registry.overflowed_series,
            bytes_held: registry.bytes_held,
            threads_sharing: registry.threads_sharing,
            snapshot_seconds: registry.snapshot_seconds,
        };
        // A gauge on the wire is its figure alone; it was read when the snapshot was taken.
        for series in read.families.iter_mut().flat_map(|family| &mut family.series) {
            if let Value::Gauge(gauge) = &mut series.value {
                gauge.at = at;
            }
        }
        read.families.sort_by(|one, other| one.name().cmp(other.name()));
        read
    }
}
