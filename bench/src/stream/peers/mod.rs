//! Formats in use for the same purpose. Each says all of it each time.

mod json;
mod otlp;
mod prometheus_protobuf;
mod prometheus_text;

use tachograph_core::snapshot::{HistogramSnapshot, RegistrySnapshot};

/// A format that says all of a registry.
pub trait Peer {
    fn name(&self) -> &'static str;

    /// Appends the snapshot.
    fn encode(&self, snapshot: &RegistrySnapshot, out: &mut Vec<u8>);

    /// Into the structs that whoever reads this format has; returns how many series there were, or None where
    /// that is not done here.
    fn decode(&self, bytes: &[u8]) -> Option<usize>;
}

pub static JSON: json::Json = json::Json;
pub static OTLP: otlp::Otlp = otlp::Otlp;

pub fn all() -> [&'static dyn Peer; 4] {
    [&JSON, &prometheus_text::PrometheusText, &prometheus_protobuf::PrometheusProtobuf, &OTLP]
}

/// All of a histogram's buckets that are not empty: the upper bound and the count of each, ascending.
fn buckets(histogram: &HistogramSnapshot) -> Vec<(f64, u64)> {
    let negative = histogram.negative().iter().rev();
    let negative = negative.map(|(index, count)| (-histogram.lower_bound(*index), *count));
    let zero = (histogram.zero() > 0).then(|| (0.0, histogram.zero()));
    let positive = histogram.positive().iter().map(|(index, count)| (histogram.lower_bound(index + 1), *count));
    negative.chain(zero).chain(positive).collect()
}
