use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

use super::descriptor::{Descriptor, Kind};
use super::snapshot::{FamilySnapshot, SeriesSnapshot, Value};
use crate::instrument::{Counter, Gauge, Histogram};
use crate::sync::Lock;

/// The value of every label of the series that takes what a full family has no room for.
pub const OVERFLOW: &str = "__overflow__";

/// A family of counters.
pub type CounterFamily = Family<Counter>;
/// A family of gauges.
pub type GaugeFamily = Family<Gauge>;
/// A family of histograms.
pub type HistogramFamily = Family<Histogram>;

/// The series of one name, found by their labels. Clones share the same series.
pub struct Family<I>(Arc<Shared<I>>);

struct Shared<I> {
    descriptor: Descriptor,
    limit: usize,
    overflowed: Counter,
    make: Box<dyn Fn() -> I + Send + Sync>,
    /// Sorted by label values, which stand in the descriptor's order.
    series: Lock<Vec<(Vec<String>, I)>>,
}

impl<I: Clone> Family<I> {
    pub(super) fn new(
        descriptor: &Descriptor,
        limit: usize,
        overflowed: &Counter,
        make: impl Fn() -> I + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Shared {
            descriptor: descriptor.clone(),
            limit,
            overflowed: overflowed.clone(),
            make: Box::new(make),
            series: Lock::default(),
        }))
    }

    /// Binds the series with these labels, in any order; it begins at zero when it is new.
    ///
    /// A series found costs no allocation. Beyond the registry's limit all new label sets share the
    /// series whose labels read [`OVERFLOW`], and each such call is counted.
    ///
    /// # Errors
    /// A label missing, unknown or named twice.
    pub fn with(&self, labels: &[(&str, &str)]) -> Result<I, LabelError> {
        let shared = &*self.0;
        shared.check(labels)?;
        let mut series = shared.series.lock();
        let place = match series.binary_search_by(|(values, _)| shared.compare(values, labels)) {
            Ok(place) => return Ok(series[place].1.clone()),
            Err(place) => place,
        };
        let full = series.len() >= shared.limit;
        let values = if full { shared.overflow_values() } else { shared.values(labels) };
        if full {
            shared.overflowed.inc();
        }
        let place = if full { series.partition_point(|(held, _)| *held < values) } else { place };
        if series.get(place).is_none_or(|(held, _)| *held != values) {
            series.insert(place, (values, (shared.make)()));
        }
        Ok(series[place].1.clone())
    }

    fn snapshot(&self, kind: Kind, value: impl Fn(&I) -> Value) -> FamilySnapshot {
        let Shared { descriptor, series, .. } = &*self.0;
        let labels = |values: &[String]| -> BTreeMap<String, String> {
            descriptor.label_names().iter().cloned().zip(values.iter().cloned()).collect()
        };
        FamilySnapshot {
            name: descriptor.name().into(),
            kind,
            unit: descriptor.unit_name().into(),
            help: descriptor.help_text().into(),
            series: (series.lock().iter())
                .map(|(values, instrument)| SeriesSnapshot { labels: labels(values), value: value(instrument) })
                .collect(),
        }
    }
}

impl<I> Shared<I> {
    fn check(&self, labels: &[(&str, &str)]) -> Result<(), LabelError> {
        let names = self.descriptor.label_names();
        if names.iter().any(|name| !labels.iter().any(|(label, _)| label == name)) {
            return Err(LabelError::Missing);
        }
        if labels.len() == names.len() { Ok(()) } else { Err(LabelError::Unknown) }
    }

    /// The given values in the descriptor's order.
    fn ordered<'a>(&'a self, labels: &'a [(&str, &'a str)]) -> impl Iterator<Item = &'a str> {
        let value = |name: &String| labels.iter().find(|(label, _)| label == name).map_or("", |(_, value)| *value);
        self.descriptor.label_names().iter().map(value)
    }

    fn compare(&self, held: &[String], labels: &[(&str, &str)]) -> Ordering {
        held.iter().map(String::as_str).cmp(self.ordered(labels))
    }

    fn values(&self, labels: &[(&str, &str)]) -> Vec<String> {
        self.ordered(labels).map(String::from).collect()
    }

    fn overflow_values(&self) -> Vec<String> {
        self.descriptor.label_names().iter().map(|_| OVERFLOW.into()).collect()
    }
}

impl<I> Clone for Family<I> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<I> fmt::Debug for Family<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Family").field(&self.0.descriptor).finish()
    }
}

/// A family of any kind, as the registry holds it.
#[derive(Clone, Debug)]
pub(super) enum AnyFamily {
    Counter(CounterFamily),
    Gauge(GaugeFamily),
    Histogram(HistogramFamily),
}

impl AnyFamily {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Counter(_) => Kind::Counter,
            Self::Gauge(_) => Kind::Gauge,
            Self::Histogram(_) => Kind::Histogram,
        }
    }

    pub(super) fn descriptor(&self) -> &Descriptor {
        match self {
            Self::Counter(family) => &family.0.descriptor,
            Self::Gauge(family) => &family.0.descriptor,
            Self::Histogram(family) => &family.0.descriptor,
        }
    }

    pub(super) fn snapshot(&self) -> FamilySnapshot {
        match self {
            Self::Counter(family) => family.snapshot(self.kind(), |counter| Value::Counter(counter.value())),
            Self::Gauge(family) => family.snapshot(self.kind(), |gauge| Value::Gauge(gauge.value())),
            Self::Histogram(family) => family.snapshot(self.kind(), |histogram| Value::Histogram(histogram.snapshot())),
        }
    }

    pub(super) fn into_counter(self) -> Option<CounterFamily> {
        if let Self::Counter(family) = self { Some(family) } else { None }
    }

    pub(super) fn into_gauge(self) -> Option<GaugeFamily> {
        if let Self::Gauge(family) = self { Some(family) } else { None }
    }

    pub(super) fn into_histogram(self) -> Option<HistogramFamily> {
        if let Self::Histogram(family) = self { Some(family) } else { None }
    }
}

/// Why no series was bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LabelError {
    /// A label of the family has no value.
    Missing,
    /// A label that the family does not have, or one named twice.
    Unknown,
}

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "every label of the family needs a value",
            Self::Unknown => "a label that the family does not have, or one named twice",
        })
    }
}

impl core::error::Error for LabelError {}
