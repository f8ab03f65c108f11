use alloc::boxed::Box;

use serde::{Deserialize, Serialize};

use super::{ExactSum, HistogramSnapshot, MergeError};
use crate::registry::{Aggregation, Kind};

/// What a series recorded.
///
/// ```
/// use tachograph_core::snapshot::Value;
///
/// assert_eq!((Value::Counter(3).counter(), Value::Counter(3).gauge()), (Some(3), None));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// A counter's total.
    Counter(u64),
    /// A gauge's figure.
    Gauge(GaugeSnapshot),
    /// A histogram's buckets.
    Histogram(Box<HistogramSnapshot>),
}

/// A gauge's figure, and when it was read.
///
/// ```
/// use tachograph_core::snapshot::{GaugeSnapshot, Value};
///
/// let gauge = GaugeSnapshot::new(0.5, 1_767_225_600_000);
/// assert_eq!((gauge.value(), Value::Gauge(gauge.clone()).gauge()), (0.5, Some(0.5)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "f64", into = "f64")]
pub struct GaugeSnapshot {
    figure: ExactSum,
    /// Unix milliseconds.
    pub(super) at: u64,
}

impl From<f64> for GaugeSnapshot {
    fn from(figure: f64) -> Self {
        Self::new(figure, 0)
    }
}

impl From<GaugeSnapshot> for f64 {
    fn from(gauge: GaugeSnapshot) -> Self {
        gauge.value()
    }
}

impl GaugeSnapshot {
    /// Read at `wall_ms`, in Unix milliseconds.
    pub fn new(figure: f64, wall_ms: u64) -> Self {
        Self { figure: figure.into(), at: wall_ms }
    }

    /// The figure.
    pub fn value(&self) -> f64 {
        self.figure.value()
    }

    fn merge(&mut self, other: &Self, aggregation: Aggregation) {
        let takes_other = match aggregation {
            Aggregation::Sum => {
                self.figure.merge(&other.figure);
                false
            }
            Aggregation::Max => other.value() > self.value(),
            Aggregation::Min => other.value() < self.value(),
            // Of two read at once the larger, so that the order of merging does not matter.
            Aggregation::Last => (other.at, other.value()) > (self.at, self.value()),
        };
        if takes_other {
            self.figure = other.figure.clone();
        }
        self.at = self.at.max(other.at);
    }
}

impl Value {
    /// A counter's total.
    pub fn counter(&self) -> Option<u64> {
        if let Self::Counter(total) = self { Some(*total) } else { None }
    }

    /// A gauge's figure.
    pub fn gauge(&self) -> Option<f64> {
        if let Self::Gauge(gauge) = self { Some(gauge.value()) } else { None }
    }

    /// A histogram's buckets.
    pub fn histogram(&self) -> Option<&HistogramSnapshot> {
        if let Self::Histogram(histogram) = self { Some(histogram) } else { None }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Counter(_) => Kind::Counter,
            Self::Gauge(_) => Kind::Gauge,
            Self::Histogram(_) => Kind::Histogram,
        }
    }

    /// The histogram in it, to be reused; a new one if it is something else.
    pub(crate) fn take_histogram(&mut self) -> Box<HistogramSnapshot> {
        match core::mem::replace(self, Self::Counter(0)) {
            Self::Histogram(histogram) => histogram,
            _ => Box::default(),
        }
    }

    /// Whether `other` can be merged into this.
    pub(super) fn goes_with(&self, other: &Self) -> Result<(), MergeError> {
        match (self, other) {
            (Self::Histogram(own), Self::Histogram(others)) => own.goes_with(others),
            _ if self.kind() == other.kind() => Ok(()),
            _ => Err(MergeError::Family),
        }
    }

    pub(super) fn merge(&mut self, other: &Self, aggregation: Aggregation) -> Result<(), MergeError> {
        match (self, other) {
            (Self::Counter(own), Self::Counter(others)) => *own = own.saturating_add(*others),
            (Self::Gauge(own), Self::Gauge(others)) => own.merge(others, aggregation),
            (Self::Histogram(own), Self::Histogram(others)) => own.merge(others)?,
            _ => return Err(MergeError::Family),
        }
        Ok(())
    }

    pub(super) fn since(&self, earlier: &Self) -> Result<Self, MergeError> {
        Ok(match (self, earlier) {
            (Self::Counter(own), Self::Counter(earlier)) => {
                Self::Counter(own.checked_sub(*earlier).ok_or(MergeError::WentBack)?)
            }
            (Self::Gauge(own), Self::Gauge(_)) => Self::Gauge(own.clone()),
            (Self::Histogram(own), Self::Histogram(earlier)) => Self::Histogram(Box::new(own.since(earlier)?)),
            _ => return Err(MergeError::Family),
        })
    }
}
