use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

/// What a family counts in.
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

/// What a family is called, what it means, and which labels its series carry.
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
    bounds: Vec<f64>,
}

impl Descriptor {
    /// A family without unit, labels or bounds.
    pub fn new(name: &str, help: &str) -> Self {
        Self { name: name.into(), help: help.into(), unit: String::new(), labels: Vec::new(), bounds: Vec::new() }
    }

    /// The unit of the values, such as `ms` or `bytes`.
    #[must_use]
    pub fn unit(mut self, unit: &str) -> Self {
        self.unit = unit.into();
        self
    }

    /// One more label that every series carries.
    #[must_use]
    pub fn label(mut self, name: &str) -> Self {
        self.labels.push(name.into());
        self
    }

    /// The upper bounds, inclusive, of a histogram's buckets.
    #[must_use]
    pub fn bounds(mut self, bounds: &[f64]) -> Self {
        self.bounds = bounds.into();
        self
    }

    /// The family's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn help_text(&self) -> &str {
        &self.help
    }

    pub(super) fn unit_name(&self) -> &str {
        &self.unit
    }

    pub(super) fn label_names(&self) -> &[String] {
        &self.labels
    }

    pub(super) fn shared_bounds(&self) -> Arc<[f64]> {
        self.bounds.as_slice().into()
    }

    pub(super) fn validate(&self, kind: Kind) -> Result<(), RegisterError> {
        if !is_name(&self.name) {
            return Err(RegisterError::InvalidName);
        }
        if !self.labels.iter().all(|label| is_name(label)) {
            return Err(RegisterError::InvalidLabel);
        }
        if (1..self.labels.len()).any(|i| self.labels[..i].contains(&self.labels[i])) {
            return Err(RegisterError::DuplicateLabel);
        }
        let ascending = self.bounds.windows(2).all(|pair| pair[0] < pair[1]);
        let finite = self.bounds.iter().all(|bound| bound.is_finite());
        let wanted = (kind == Kind::Histogram) != self.bounds.is_empty();
        if ascending && finite && wanted { Ok(()) } else { Err(RegisterError::InvalidBounds) }
    }
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`, as in Prometheus.
fn is_name(name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(word) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

/// Why a family was not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// The name is not `[a-zA-Z_][a-zA-Z0-9_]*`.
    InvalidName,
    /// A label's name is not `[a-zA-Z_][a-zA-Z0-9_]*`.
    InvalidLabel,
    /// A label is named twice.
    DuplicateLabel,
    /// A histogram needs bounds, finite and ascending; a counter or gauge has none.
    InvalidBounds,
    /// The name is registered already, with another kind, help, unit, labels or bounds.
    Conflict,
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidName => "a metric's name must match [a-zA-Z_][a-zA-Z0-9_]*",
            Self::InvalidLabel => "a label's name must match [a-zA-Z_][a-zA-Z0-9_]*",
            Self::DuplicateLabel => "a label is named twice",
            Self::InvalidBounds => "a histogram needs finite, ascending bounds; other kinds take none",
            Self::Conflict => "this name is registered already with another description",
        })
    }
}

impl core::error::Error for RegisterError {}
