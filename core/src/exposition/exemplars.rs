use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use ecow::EcoString;

use super::bounds::bound_of;
use crate::label::LabelValues;
use crate::registry::{HistogramFamily, LabelError};
use crate::sync::Lock;

/// The label of an exemplar.
pub const EXEMPLAR_LABEL: &str = "session_id";
/// Characters that the session's name can have: with the label's they are 128, OpenMetrics' limit.
pub const EXEMPLAR_CHARACTERS_MAX: usize = 128 - EXEMPLAR_LABEL.len();
/// Series with exemplars, unless [`Exemplars::with_series_limit`] says otherwise.
const SERIES_MAX: usize = 256;
/// Buckets of a series that have one; beyond them the oldest is let go.
const BUCKETS_MAX: usize = 32;

/// Which session a value of a histogram came from: of each bucket's values the newest.
///
/// It stands beside the registry, so that recording into a histogram takes no longer. Give it to a
/// [`Page`](super::Page) to have its exemplars there. Clones share the same.
///
/// ```
/// use tachograph_core::exposition::{Exemplars, Format, Page};
/// use tachograph_core::registry::{Descriptor, Registry};
///
/// let registry = Registry::new();
/// let times = registry.histogram(&Descriptor::new("time_ms", "Time").label("source").bounds(&[50.0]))?;
/// let exemplars = Exemplars::new();
/// times.with(&[("source", "mic")])?.record(12.5);
/// exemplars.record(&times, &[("source", "mic")], 12.5, "call-7", 1_767_225_600_000)?;
///
/// let mut page = Page::new(&registry, Format::OpenMetrics, 0).with_exemplars(&exemplars);
/// let mut text = Vec::new();
/// while page.write(&mut text, 16 * 1024) {}
/// let line = "time_ms_bucket{source=\"mic\",le=\"50.0\"} 1 # {session_id=\"call-7\"} 12.5 1767225600.000\n";
/// assert!(String::from_utf8(text)?.contains(line));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Exemplars {
    held: Arc<Lock<Held>>,
    series_limit: usize,
}

#[derive(Debug, Default)]
struct Held {
    /// By family and labels.
    families: BTreeMap<String, BTreeMap<LabelValues, Vec<Exemplar>>>,
    series: usize,
}

/// A value, and where it came from.
#[derive(Clone, Debug)]
pub(super) struct Exemplar {
    /// Of its bucket.
    pub(super) bound: f64,
    pub(super) value: f64,
    pub(super) session_id: EcoString,
    /// Unix milliseconds.
    pub(super) at: u64,
}

impl Exemplar {
    /// Of a series' exemplars that of the bucket with this bound.
    pub(super) fn of_bucket(bound: f64, exemplars: &[Self]) -> Option<&Self> {
        exemplars.iter().find(|exemplar| exemplar.bound.total_cmp(&bound).is_eq())
    }
}

impl Default for Exemplars {
    fn default() -> Self {
        Self::new()
    }
}

impl Exemplars {
    /// Room for the exemplars of 256 series.
    pub fn new() -> Self {
        Self::with_series_limit(SERIES_MAX)
    }

    /// Room for the exemplars of so many series, each with 32 buckets at most.
    pub fn with_series_limit(series_limit: usize) -> Self {
        Self { held: Arc::default(), series_limit }
    }

    /// Keeps for its bucket that a value of the series with these labels came from this session; `wall_ms` is now in
    /// Unix milliseconds.
    ///
    /// # Errors
    /// It is left out: a label is missing, unknown or named twice, the value is not finite, the session's name is
    /// empty or longer than [`EXEMPLAR_CHARACTERS_MAX`] or has a quote or a control character, or there is no room
    /// for one more series.
    pub fn record(
        &self,
        family: &HistogramFamily,
        labels: &[(&str, &str)],
        value: f64,
        session_id: &str,
        wall_ms: u64,
    ) -> Result<(), ExemplarError> {
        let descriptor = family.descriptor();
        let labels = family.label_values(labels).map_err(ExemplarError::Label)?;
        if !value.is_finite() {
            return Err(ExemplarError::NotFinite);
        }
        if !(1..=EXEMPLAR_CHARACTERS_MAX).contains(&session_id.chars().count()) {
            return Err(ExemplarError::Length);
        }
        if session_id.contains(|character: char| character == '"' || character.is_control()) {
            return Err(ExemplarError::Character);
        }
        let bound = bound_of(value, descriptor.bucket_bounds());
        let exemplar = Exemplar { bound, value, session_id: session_id.into(), at: wall_ms };
        self.held.lock().keep(descriptor.name(), labels, exemplar, self.series_limit)
    }

    /// Those of a series, the oldest first, in place of what `out` held.
    pub(super) fn copy_into(&self, family: &str, labels: &LabelValues, out: &mut Vec<Exemplar>) {
        out.clear();
        let held = self.held.lock();
        out.extend(held.families.get(family).and_then(|series| series.get(labels)).into_iter().flatten().cloned());
    }
}

impl Held {
    fn keep(
        &mut self,
        family: &str,
        labels: LabelValues,
        exemplar: Exemplar,
        series_limit: usize,
    ) -> Result<(), ExemplarError> {
        let known = self.families.get_mut(family).and_then(|series| series.get_mut(&labels));
        if let Some(buckets) = known {
            replace(buckets, exemplar);
            return Ok(());
        }
        if self.series >= series_limit {
            return Err(ExemplarError::NoRoom);
        }
        self.series += 1;
        self.families.entry(family.into()).or_default().insert(labels, Vec::from([exemplar]));
        Ok(())
    }
}

/// The newest is the last.
fn replace(buckets: &mut Vec<Exemplar>, newest: Exemplar) {
    let replaced = buckets.iter().position(|held| held.bound.total_cmp(&newest.bound).is_eq());
    let oldest = (buckets.len() >= BUCKETS_MAX).then_some(0);
    if let Some(place) = replaced.or(oldest) {
        buckets.remove(place);
    }
    buckets.push(newest);
}

/// Why an exemplar was left out.
///
/// ```
/// use tachograph_core::exposition::{ExemplarError, Exemplars};
/// use tachograph_core::registry::{Descriptor, Registry};
///
/// let times = Registry::new().histogram(&Descriptor::new("time_ms", "Time"))?;
/// let left_out = Exemplars::new().record(&times, &[], f64::NAN, "call-7", 0).unwrap_err();
/// assert_eq!(left_out, ExemplarError::NotFinite);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExemplarError {
    /// The labels are not the family's.
    Label(LabelError),
    /// No histogram counts such a value.
    NotFinite,
    /// The session has no name, or one of more than [`EXEMPLAR_CHARACTERS_MAX`] characters.
    Length,
    /// The session's name has a quote or a control character. Readers in use refuse the whole page for such: one
    /// takes a quote for the name's end whether it is escaped or not, one takes a zero for the page's end.
    Character,
    /// There are exemplars of as many series as there may be.
    NoRoom,
}

impl fmt::Display for ExemplarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(error) => error.fmt(f),
            Self::NotFinite => f.write_str("the value must be finite, as a histogram's are"),
            Self::Length => write!(f, "the session's name must have 1 to {EXEMPLAR_CHARACTERS_MAX} characters"),
            Self::Character => f.write_str("the session's name must have no quote and no control character"),
            Self::NoRoom => f.write_str("there is no room for one more series; allow more, or give it fewer labels"),
        }
    }
}

impl core::error::Error for ExemplarError {}
