use alloc::vec::Vec;
use core::fmt;

use super::exemplars::{Exemplar, Exemplars};
use super::names::Names;
use super::protobuf::FamilyProtobuf;
use super::text::{FamilyText, Text};
use crate::registry::{Kind, Registry, Walk, Walked};

/// How a registry is written for those who scrape it.
///
/// ```
/// use tachograph_core::exposition::Format;
///
/// assert!(Format::OpenMetrics.media_type().starts_with("application/openmetrics-text"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Prometheus,
    /// Prometheus' protobuf, with native histograms: `io.prometheus.client.MetricFamily`, each behind its length.
    Protobuf,
}

impl Format {
    /// What an answer in this format calls itself.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }
}

/// A page of metrics, written piece by piece: however many series there are, it takes the memory of one.
///
/// ```
/// use tachograph_core::exposition::{Format, Page};
/// use tachograph_core::registry::{Descriptor, Registry};
///
/// let registry = Registry::new();
/// let served = registry.counter(&Descriptor::new("served", "Requests served").label("route"))?;
/// served.with(&[("route", "/")])?.add(3);
/// let mut page = Page::new(&registry, Format::OpenMetrics, 1_767_225_600_000);
/// let mut text = Vec::new();
/// while page.write(&mut text, 16 * 1024) {}
/// assert_eq!(
///     String::from_utf8(text)?,
///     "# HELP served Requests served\n# TYPE served counter\nserved_total{route=\"/\"} 3\n# EOF\n",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Page {
    walk: Walk,
    format: Format,
    names: Names,
    exemplars: Option<Exemplars>,
    /// Those of the series that is written.
    series_exemplars: Vec<Exemplar>,
    /// The family that is written; none if it is left out.
    family: Option<Family>,
    left_out: u64,
    is_done: bool,
}

#[derive(Debug)]
enum Family {
    Text(FamilyText),
    Protobuf(FamilyProtobuf),
}

impl Family {
    fn begin(series: &Walked<'_>, format: Format, out: &mut Vec<u8>) -> Self {
        let Walked { kind, descriptor, .. } = series;
        match format {
            Format::OpenMetrics => Self::Text(FamilyText::begin(*kind, descriptor, Text::OpenMetrics, out)),
            Format::Prometheus => Self::Text(FamilyText::begin(*kind, descriptor, Text::Prometheus, out)),
            Format::Protobuf => Self::Protobuf(FamilyProtobuf::new(*kind, descriptor)),
        }
    }

    fn write(&mut self, series: &Walked<'_>, exemplars: &[Exemplar], out: &mut Vec<u8>) {
        match self {
            Self::Text(family) => family.write(series.labels, series.value, exemplars, out),
            Self::Protobuf(family) => family.write(series.labels, series.value, exemplars, out),
        }
    }
}

/// Nothing more is written of the family for now.
fn end(family: &mut Option<Family>, out: &mut Vec<u8>) {
    if let Some(Family::Protobuf(family)) = family {
        family.end(out);
    }
}

impl Page {
    /// A page of what is registered now; `wall_ms` is now in Unix milliseconds.
    pub fn new(registry: &Registry, format: Format, wall_ms: u64) -> Self {
        Self {
            walk: registry.walk(wall_ms),
            format,
            names: Names::default(),
            exemplars: None,
            series_exemplars: Vec::new(),
            family: None,
            left_out: 0,
            is_done: false,
        }
    }

    /// With these exemplars at the buckets of histograms, where the format has such.
    #[must_use]
    pub fn with_exemplars(mut self, exemplars: &Exemplars) -> Self {
        self.exemplars = (self.format != Format::Prometheus).then(|| exemplars.clone());
        self
    }

    /// Adds whole series to `out` until it has grown by `bytes` or more. Returns whether there is more.
    pub fn write(&mut self, out: &mut Vec<u8>, bytes: usize) -> bool {
        let enough = out.len().saturating_add(bytes);
        while !self.is_done && out.len() < enough {
            self.is_done = !self.write_series(out);
        }
        // Each piece is of whole messages.
        end(&mut self.family, out);
        !self.is_done
    }

    /// Returns whether there was one more.
    fn write_series(&mut self, out: &mut Vec<u8>) -> bool {
        let Self { walk, format, names, exemplars, series_exemplars, family, left_out, .. } = self;
        let Some(series) = walk.next() else {
            if *format == Format::OpenMetrics {
                out.extend_from_slice(b"# EOF\n");
            }
            return false;
        };
        if series.is_first {
            end(family, out);
            *family = names.take(series.kind, series.descriptor).then(|| Family::begin(&series, *format, out));
            *left_out += u64::from(family.is_none());
        }
        if let Some(family) = family {
            if let (Some(exemplars), Kind::Histogram) = (exemplars, series.kind) {
                exemplars.copy_into(series.descriptor.name(), series.labels, series_exemplars);
            }
            family.write(&series, series_exemplars, out);
        }
        true
    }

    /// Families left out until now because their samples would be called as others'.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").field("format", &self.format).field("walk", &self.walk).finish_non_exhaustive()
    }
}
