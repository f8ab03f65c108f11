use alloc::string::String;
use alloc::vec::Vec;

use super::bounds::each_bound;
use super::exemplars::{EXEMPLAR_LABEL, Exemplar};
use super::names::{BOUND, base_of, joined, suffix_of, unit_in_name};
use super::number::{bound_text, put_float, put_seconds, put_whole};
use crate::label::LabelValues;
use crate::registry::{Descriptor, Kind};
use crate::snapshot::{HistogramSnapshot, Value};

/// Which of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    OpenMetrics,
    Prometheus,
}

/// A family as it is written: what all its lines have in common is made once.
#[derive(Debug)]
pub(super) enum FamilyText {
    /// A line a series.
    Single(Lead),
    Histogram(HistogramText),
}

#[derive(Debug)]
pub(super) struct HistogramText {
    /// Of a bucket, up to its bound.
    bucket: Lead,
    sum: Lead,
    count: Lead,
    /// As they are written; one without bounds makes them as they come.
    bounds: Vec<String>,
    /// A series' line of a bucket up to its bound.
    line: Vec<u8>,
    /// Whether a sum may go down.
    sums_fall: bool,
}

/// What stands before a sample's figure: its name and its labels.
#[derive(Debug)]
pub(super) struct Lead {
    /// What stands before each label's value; without labels, before the figure.
    pieces: Vec<String>,
    /// Whether the last label's value stands right before the figure.
    is_closed: bool,
}

impl Lead {
    /// With `le` as the last label, if there is one, whose value is still to come.
    fn new(name: &str, labels: &[String], has_bound: bool) -> Self {
        let before = |place: usize| if place == 0 { [name, "{"] } else { ["\"", ","] }.concat();
        let piece = |(place, label): (usize, &str)| [&before(place), label, "=\""].concat();
        let names = labels.iter().map(String::as_str).chain(has_bound.then_some(BOUND));
        let mut pieces: Vec<String> = names.enumerate().map(piece).collect();
        if pieces.is_empty() {
            pieces.push(joined(name, " "));
        }
        Self { pieces, is_closed: !labels.is_empty() && !has_bound }
    }

    #[inline]
    fn put(&self, labels: &LabelValues, out: &mut Vec<u8>) {
        let mut values = labels.iter();
        for piece in &self.pieces {
            out.extend_from_slice(piece.as_bytes());
            if let Some(value) = values.next() {
                put_value(value, out);
            }
        }
        if self.is_closed {
            out.extend_from_slice(b"\"} ");
        }
    }

    #[inline]
    fn put_line(&self, labels: &LabelValues, out: &mut Vec<u8>, put_figure: impl FnOnce(&mut Vec<u8>)) {
        self.put(labels, out);
        put_figure(out);
        out.push(b'\n');
    }
}

impl FamilyText {
    /// Writes what stands above the family's lines.
    pub(super) fn begin(kind: Kind, descriptor: &Descriptor, format: Text, out: &mut Vec<u8>) -> Self {
        let (base, labels) = (base_of(kind, descriptor.name()), descriptor.label_names());
        let name = joined(base, suffix_of(kind));
        put_head(kind, descriptor, if format == Text::OpenMetrics { base } else { &name }, format, out);
        let lead = |suffix: &str, has_bound| Lead::new(&joined(base, suffix), labels, has_bound);
        match kind {
            Kind::Counter | Kind::Gauge => Self::Single(Lead::new(&name, labels, false)),
            Kind::Histogram => Self::Histogram(HistogramText {
                bucket: lead("_bucket", true),
                sum: lead("_sum", false),
                count: lead("_count", false),
                bounds: descriptor.bucket_bounds().iter().map(|bound| bound_text(*bound)).collect(),
                line: Vec::new(),
                sums_fall: format == Text::Prometheus,
            }),
        }
    }

    #[inline]
    pub(super) fn write(&mut self, labels: &LabelValues, value: &Value, exemplars: &[Exemplar], out: &mut Vec<u8>) {
        match (self, value) {
            (Self::Single(lead), Value::Counter(total)) => lead.put_line(labels, out, |out| put_whole(*total, out)),
            (Self::Single(lead), Value::Gauge(gauge)) => {
                lead.put_line(labels, out, |out| put_float(gauge.value(), out));
            }
            (Self::Histogram(text), Value::Histogram(histogram)) => text.write(labels, histogram, exemplars, out),
            // A family's values are all of its kind.
            _ => {}
        }
    }
}

impl HistogramText {
    fn write(
        &mut self,
        labels: &LabelValues,
        histogram: &HistogramSnapshot,
        exemplars: &[Exemplar],
        out: &mut Vec<u8>,
    ) {
        self.line.clear();
        self.bucket.put(labels, &mut self.line);
        let mut put_bucket = |bound: f64, text: &str, count: u64| {
            for part in [&self.line, text.as_bytes(), b"\"} "] {
                out.extend_from_slice(part);
            }
            put_whole(count, out);
            if let Some(exemplar) = Exemplar::of_bucket(bound, exemplars) {
                put_exemplar(exemplar, out);
            }
            out.push(b'\n');
        };
        let mut texts = self.bounds.iter();
        each_bound(histogram, |bound, below| match texts.next() {
            Some(text) => put_bucket(bound, text, below),
            None => put_bucket(bound, &bound_text(bound), below),
        });
        let count = histogram.count();
        put_bucket(f64::INFINITY, "+Inf", count);
        if self.sums_fall || only_rises(histogram) {
            self.sum.put_line(labels, out, |out| put_float(histogram.sum(), out));
            self.count.put_line(labels, out, |out| put_whole(count, out));
        }
    }
}

/// Whether no value has lowered the sum, and none is foreseen that would.
fn only_rises(histogram: &HistogramSnapshot) -> bool {
    let lowest = histogram.bounds().first().copied().unwrap_or_default();
    histogram.negative().is_empty() && lowest.min(histogram.sum()) >= 0.0
}

/// Behind a bucket's figure.
fn put_exemplar(exemplar: &Exemplar, out: &mut Vec<u8>) {
    for part in [" # {", EXEMPLAR_LABEL, "=\""] {
        out.extend_from_slice(part.as_bytes());
    }
    put_value(&exemplar.session_id, out);
    out.extend_from_slice(b"\"} ");
    put_float(exemplar.value, out);
    out.push(b' ');
    put_seconds(exemplar.at, out);
}

fn put_head(kind: Kind, descriptor: &Descriptor, name: &str, format: Text, out: &mut Vec<u8>) {
    let is_open_metrics = format == Text::OpenMetrics;
    let mut put = |word: &str, text: &str| {
        for part in ["# ", word, " ", name, " "] {
            out.extend_from_slice(part.as_bytes());
        }
        put_escaped(text, is_open_metrics, out);
        out.push(b'\n');
    };
    if !descriptor.help_text().is_empty() {
        put("HELP", descriptor.help_text());
    }
    put(
        "TYPE",
        match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        },
    );
    if let Some(unit) = unit_in_name(name, descriptor.unit_name()).filter(|_| is_open_metrics) {
        put("UNIT", unit);
    }
}

/// A label's value, in quotes.
#[inline]
fn put_value(value: &str, out: &mut Vec<u8>) {
    if is_plain(value.as_bytes()) {
        out.extend_from_slice(value.as_bytes());
    } else {
        put_escaped(value, true, out);
    }
}

/// Whether nothing of a value is to be escaped, eight bytes at a time: nearly all values are such.
#[inline]
fn is_plain(value: &[u8]) -> bool {
    match value.last_chunk() {
        Some(last) => value.as_chunks().0.iter().chain([last]).all(|eight| !has_special(*eight)),
        None => !value.iter().any(|byte| matches!(byte, b'\\' | b'\n' | b'"')),
    }
}

/// Whether one of eight bytes is a backslash, a line feed or a quote: less one, with its highest bit, a byte has
/// that bit if it was zero, which those are that equal what they are compared with.
#[inline]
fn has_special(eight: [u8; 8]) -> bool {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHEST: u64 = u64::from_le_bytes([0x80; 8]);
    let word = u64::from_le_bytes(eight);
    let zeros = |byte: u8| {
        let compared = word ^ (ONES * u64::from(byte));
        compared.wrapping_sub(ONES) & !compared & HIGHEST
    };
    (zeros(b'\\') | zeros(b'\n') | zeros(b'"')) != 0
}

/// A backslash, a line feed and, in quotes, a quote are written with a backslash.
#[cold]
fn put_escaped(text: &str, is_quoted: bool, out: &mut Vec<u8>) {
    let is_special = |byte: &u8| matches!(byte, b'\\' | b'\n') || (*byte == b'"' && is_quoted);
    let mut rest = text.as_bytes();
    while let Some(place) = rest.iter().position(is_special) {
        out.extend_from_slice(&rest[..place]);
        out.extend_from_slice(match rest[place] {
            b'\n' => b"\\n",
            b'"' => b"\\\"",
            _ => b"\\\\",
        });
        rest = &rest[place + 1..];
    }
    out.extend_from_slice(rest);
}
