use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::instrument::SCALE;
use crate::label::LABELS_MAX;

/// What a family counts in.
///
/// ```
/// use tachograph_core::registry::{Descriptor, Kind, Registry};
///
/// let registry = Registry::new();
/// registry.gauge(&Descriptor::new("viewers", "Pages connected"))?.bind(&[])?;
/// assert_eq!(registry.snapshot().families[0].kind, Kind::Gauge);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts values in buckets.
    Histogram,
}

/// How the figures of several holders, processes or machines become one. Counters and histograms
/// always add up.
///
/// ```
/// use tachograph_core::registry::{Aggregation, Descriptor, Registry};
///
/// let registry = Registry::new();
/// let lag = Descriptor::new("lag_seconds", "How late the newest tick was").unit("s").aggregation(Aggregation::Max);
/// let lag = registry.gauge(&lag)?.bind(&[])?;
/// let (one, other) = (lag.part(), lag.part());
/// one.set(0.2);
/// other.set(0.5);
/// assert_eq!(lag.value(), 0.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// They add up, such as what waits in queues.
    #[default]
    Sum,
    /// The largest counts, such as a lag.
    Max,
    /// The smallest counts, such as room left.
    Min,
    /// The newest counts, such as a setting.
    Last,
}

impl Aggregation {
    /// Of one process' figures; the newest of those is the second.
    pub(crate) fn of(self, one: f64, other: f64) -> f64 {
        match self {
            Self::Sum => (one + other).clamp(f64::MIN, f64::MAX),
            Self::Max => one.max(other),
            Self::Min => one.min(other),
            Self::Last => other,
        }
    }
}

/// What a family is called, what it means, which labels its series carry, and how they add up.
///
/// ```
/// use tachograph_core::registry::Descriptor;
///
/// let descriptor = Descriptor::new("inference_time_ms", "Time inside the provider")
///     .unit("ms")
///     .label("source")
///     .bounds(&[50.0, 100.0, 250.0]);
/// assert_eq!(descriptor.name(), "inference_time_ms");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Descriptor {
    name: String,
    help: String,
    unit: String,
    labels: Vec<String>,
    aggregation: Aggregation,
    bounds: Vec<f64>,
    scale: u8,
}

impl Descriptor {
    /// A family without unit, labels or bounds, whose figures add up.
    pub fn new(name: &str, help: &str) -> Self {
        Self {
            name: name.into(),
            help: help.into(),
            unit: String::new(),
            labels: Vec::new(),
            aggregation: Aggregation::Sum,
            bounds: Vec::new(),
            scale: SCALE,
        }
    }

    /// The unit of the values, such as `ms` or `bytes`.
    #[must_use]
    pub fn unit(mut self, unit: &str) -> Self {
        self.unit = unit.into();
        self
    }

    /// One more label that every series carries; there can be 16.
    #[must_use]
    pub fn label(mut self, name: &str) -> Self {
        self.labels.push(name.into());
        self
    }

    /// How the figures of a gauge become one.
    #[must_use]
    pub fn aggregation(mut self, aggregation: Aggregation) -> Self {
        self.aggregation = aggregation;
        self
    }

    /// Upper bounds, inclusive, between which a histogram's values are counted exactly, beside its
    /// exponential buckets.
    #[must_use]
    pub fn bounds(mut self, bounds: &[f64]) -> Self {
        self.bounds = bounds.into();
        self
    }

    /// The scale that a histogram's snapshots have: 0 to 6, which is 2^scale buckets an octave.
    #[must_use]
    pub fn scale(mut self, scale: u8) -> Self {
        self.scale = scale;
        self
    }

    /// The family's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it means.
    pub fn help_text(&self) -> &str {
        &self.help
    }

    /// The unit of its values; empty if they have none.
    pub fn unit_name(&self) -> &str {
        &self.unit
    }

    /// The labels that every series carries.
    pub fn label_names(&self) -> &[String] {
        &self.labels
    }

    /// How a gauge's figures become one.
    pub fn aggregation_rule(&self) -> Aggregation {
        self.aggregation
    }

    pub(crate) fn bucket_bounds(&self) -> &[f64] {
        &self.bounds
    }

    pub(crate) fn bucket_scale(&self) -> u8 {
        self.scale
    }

    /// Whether series of this family and of `other` can be merged.
    pub(crate) fn goes_with(&self, other: &Self) -> bool {
        self.unit == other.unit && self.labels == other.labels && self.aggregation == other.aggregation
    }

    pub(crate) fn validate(&self, kind: Kind) -> Result<(), RegisterError> {
        if !is_name(&self.name) {
            return Err(RegisterError::InvalidName);
        }
        // Readers keep those that begin with two underscores to themselves: `__name__` is the metric's own.
        if !self.labels.iter().all(|label| is_name(label) && !label.starts_with("__")) {
            return Err(RegisterError::InvalidLabel);
        }
        if (1..self.labels.len()).any(|i| self.labels[..i].contains(&self.labels[i])) {
            return Err(RegisterError::DuplicateLabel);
        }
        if self.labels.len() > LABELS_MAX {
            return Err(RegisterError::TooManyLabels);
        }
        if self.aggregation != Aggregation::Sum && kind != Kind::Gauge {
            return Err(RegisterError::InvalidAggregation);
        }
        self.validate_buckets(kind)
    }

    fn validate_buckets(&self, kind: Kind) -> Result<(), RegisterError> {
        let ascending = self.bounds.windows(2).all(|pair| pair[0] < pair[1]);
        let finite = self.bounds.iter().all(|bound| bound.is_finite());
        let wanted = kind == Kind::Histogram || self.bounds.is_empty();
        if !(ascending && finite && wanted) {
            return Err(RegisterError::InvalidBounds);
        }
        let wanted = kind == Kind::Histogram || self.scale == SCALE;
        if self.scale <= SCALE && wanted { Ok(()) } else { Err(RegisterError::InvalidScale) }
    }
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`, as in Prometheus.
fn is_name(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(word) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

/// Why a family was not registered.
///
/// ```
/// use tachograph_core::registry::{Descriptor, RegisterError, Registry};
///
/// let registry = Registry::new();
/// registry.counter(&Descriptor::new("requests", "Requests served"))?;
/// let taken = registry.gauge(&Descriptor::new("requests", "Requests served")).unwrap_err();
/// assert_eq!(taken, RegisterError::Conflict);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// The name is not `[a-zA-Z_][a-zA-Z0-9_]*`.
    InvalidName,
    /// A label's name is not `[a-zA-Z_][a-zA-Z0-9_]*`, or begins with `__`.
    InvalidLabel,
    /// A label is named twice.
    DuplicateLabel,
    /// More labels than 16.
    TooManyLabels,
    /// Only a gauge's figures can do something else than add up.
    InvalidAggregation,
    /// A histogram's bounds are finite and ascending; a counter or gauge has none.
    InvalidBounds,
    /// A histogram's scale is from 0 to 6; a counter or gauge has none.
    InvalidScale,
    /// A label type knows more label sets than a family may have series.
    TooManySeries,
    /// The process has no room for more series.
    NoRoom,
    /// The name is registered already, with another kind, help, unit, labels, aggregation or buckets.
    Conflict,
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidName => "a metric's name must match [a-zA-Z_][a-zA-Z0-9_]*",
            Self::InvalidLabel => "a label's name must match [a-zA-Z_][a-zA-Z0-9_]* and not begin with __",
            Self::DuplicateLabel => "a label is named twice",
            Self::TooManyLabels => "a family has 16 labels at most",
            Self::InvalidAggregation => "counters and histograms add up; only a gauge has another aggregation",
            Self::InvalidBounds => "a histogram's bounds must be finite and ascending; other kinds take none",
            Self::InvalidScale => "a histogram's scale is from 0 to 6; other kinds take none",
            Self::TooManySeries => "the label type knows more label sets than the family may have series",
            Self::NoRoom => "the process has no room for more series; drop registries that are not used",
            Self::Conflict => "this name is registered already with another description; use that, or another name",
        })
    }
}

impl core::error::Error for RegisterError {}
