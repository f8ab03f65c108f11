use std::io::Write;

use tachograph_core::registry::Kind;
use tachograph_core::snapshot::{FamilySnapshot, HistogramSnapshot, RegistrySnapshot, SeriesSnapshot, Value};

use super::{Peer, buckets};

/// The text exposition, version 0.0.4. A histogram is a classic one, with a bound for each bucket that is
/// not empty.
pub struct PrometheusText;

impl Peer for PrometheusText {
    fn name(&self) -> &'static str {
        "Prometheus text"
    }

    fn encode(&self, snapshot: &RegistrySnapshot, out: &mut Vec<u8>) {
        snapshot.families.iter().for_each(|family| put_family(out, family));
    }

    fn decode(&self, _bytes: &[u8]) -> Option<usize> {
        None
    }
}

fn put_family(out: &mut Vec<u8>, family: &FamilySnapshot) {
    let name = family.name();
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    let help = family.descriptor.help_text().replace('\\', "\\\\").replace('\n', "\\n");
    put(out, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    for series in &family.series {
        let labels = labels(family, series);
        match &series.value {
            Value::Counter(total) => put_line(out, name, &labels, *total as f64),
            Value::Gauge(gauge) => put_line(out, name, &labels, gauge.value()),
            Value::Histogram(histogram) => put_histogram(out, name, &labels, histogram),
        }
    }
}

/// With a comma between them, without the braces.
fn labels(family: &FamilySnapshot, series: &SeriesSnapshot) -> String {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs: Vec<_> = family.labels(series).map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    pairs.join(",")
}

fn put_histogram(out: &mut Vec<u8>, name: &str, labels: &str, histogram: &HistogramSnapshot) {
    let comma = if labels.is_empty() { "" } else { "," };
    let mut below = 0;
    for (bound, count) in buckets(histogram) {
        below += count;
        put(out, format_args!("{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {below}\n"));
    }
    put(out, format_args!("{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {below}\n"));
    put_line(out, &format!("{name}_sum"), labels, histogram.sum());
    put_line(out, &format!("{name}_count"), labels, below as f64);
}

fn put_line(out: &mut Vec<u8>, name: &str, labels: &str, value: f64) {
    if labels.is_empty() {
        put(out, format_args!("{name} {value}\n"));
    } else {
        put(out, format_args!("{name}{{{labels}}} {value}\n"));
    }
}

fn put(out: &mut Vec<u8>, line: std::fmt::Arguments<'_>) {
    out.write_fmt(line).expect("a vector takes everything");
}
