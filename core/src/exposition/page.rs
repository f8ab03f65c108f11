use alloc::vec::Vec;
use core::fmt;

use super::family::FamilyText;
use super::names::Names;
use crate::registry::{Registry, Walk};

/// How a registry is written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextFormat {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Prometheus,
}

impl TextFormat {
    /// What an answer in this format calls itself.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// A page of text, written piece by piece: however many series there are, it takes the memory of one.
///
/// ```
/// use tachograph_core::exposition::{TextFormat, TextPage};
/// use tachograph_core::registry::{Descriptor, Registry};
///
/// let registry = Registry::new();
/// let served = registry.counter(&Descriptor::new("served", "Requests served").label("route"))?;
/// served.with(&[("route", "/")])?.add(3);
/// let mut page = TextPage::new(&registry, TextFormat::OpenMetrics, 1_767_225_600_000);
/// let mut text = Vec::new();
/// while page.write(&mut text, 16 * 1024) {}
/// assert_eq!(
///     String::from_utf8(text)?,
///     "# HELP served Requests served\n# TYPE served counter\nserved_total{route=\"/\"} 3\n# EOF\n",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TextPage {
    walk: Walk,
    format: TextFormat,
    names: Names,
    /// The family that is written; none if it is left out.
    family: Option<FamilyText>,
    left_out: u64,
    is_done: bool,
}

impl TextPage {
    /// A page of what is registered now; `at` is now in Unix milliseconds.
    pub fn new(registry: &Registry, format: TextFormat, at: u64) -> Self {
        let walk = registry.walk(at);
        Self { walk, format, names: Names::default(), family: None, left_out: 0, is_done: false }
    }

    /// Adds whole series to `out` until it has grown by `bytes` or more. Returns whether there is more.
    pub fn write(&mut self, out: &mut Vec<u8>, bytes: usize) -> bool {
        let enough = out.len().saturating_add(bytes);
        let Self { walk, format, names, family, left_out, is_done } = self;
        while !*is_done && out.len() < enough {
            let Some(series) = walk.next() else {
                *is_done = true;
                if *format == TextFormat::OpenMetrics {
                    out.extend_from_slice(b"# EOF\n");
                }
                break;
            };
            if series.is_first {
                *family = names
                    .take(series.kind, series.descriptor)
                    .then(|| FamilyText::begin(series.kind, series.descriptor, *format, out));
                *left_out += u64::from(family.is_none());
            }
            if let Some(family) = family {
                family.write(series.labels, series.value, out);
            }
        }
        !*is_done
    }

    /// Families left out until now because their samples would be called as others'.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

impl fmt::Debug for TextPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextPage").field("format", &self.format).field("walk", &self.walk).finish_non_exhaustive()
    }
}
