//! Points, gathered into requests of a bounded size.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;
use tachograph_core::registry::{Descriptor, Kind, Walked};

use super::message::{
    AggregationTemporality, Data, ExponentialHistogram, ExportMetricsServiceRequest, Gauge, InstrumentationScope,
    KeyValue, Metric, Resource, ResourceMetrics, ScopeMetrics, Sum,
};
use super::point::{Point, ucum};

/// A request that has as many points, or bytes before compression, takes no more.
const POINTS_MAX: usize = 2_000;
pub(super) const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Keys and lengths around a point or a family.
const FRAMING_BYTES: usize = 16;

/// What all requests have in common.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) resource: Vec<(String, String)>,
    pub(super) temporality: AggregationTemporality,
    pub(super) gzip: bool,
}

/// A request that waits for the collector.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) body: Bytes,
    pub(super) is_compressed: bool,
    pub(super) points: u64,
    /// The reading of the registry that it is a part of.
    pub(super) cut: u64,
}

/// A request that is being filled.
#[derive(Debug, Default)]
pub(super) struct Draft {
    metrics: Vec<Metric>,
    points: usize,
    bytes: usize,
}

impl Draft {
    pub(super) fn is_empty(&self) -> bool {
        self.points == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.points >= POINTS_MAX || self.bytes >= REQUEST_BYTES_MAX
    }

    /// Adds a point of a series, whose family's others come just before or after it.
    pub(super) fn add(&mut self, series: &Walked<'_>, point: Point, envelope: &Envelope) {
        if self.metrics.last().is_none_or(|metric| metric.name != series.descriptor.name()) {
            let metric = metric(series.kind, series.descriptor, envelope.temporality);
            self.bytes += FRAMING_BYTES + metric.encoded_len();
            self.metrics.push(metric);
        }
        let data = self.metrics.last_mut().and_then(|metric| metric.data.as_mut());
        let length = match (data, point) {
            (Some(Data::Gauge(Gauge { data_points }) | Data::Sum(Sum { data_points, .. })), Point::Number(point)) => {
                let length = point.encoded_len();
                data_points.push(point);
                length
            }
            (Some(Data::ExponentialHistogram(histogram)), Point::Exponential(point)) => {
                let length = point.encoded_len();
                histogram.data_points.push(point);
                length
            }
            // A family has values of its own kind only.
            _ => return,
        };
        self.bytes += FRAMING_BYTES + length;
        self.points += 1;
    }

    /// Points that it holds.
    pub(super) fn points(&self) -> u64 {
        self.points as u64
    }

    /// The request, for a reading of the registry; the draft is empty then.
    pub(super) fn finish(&mut self, envelope: &Envelope, cut: u64) -> Request {
        let Self { metrics, points, .. } = std::mem::take(self);
        let attributes = envelope.resource.iter().map(|(key, value)| KeyValue::new(key, value)).collect();
        let scope = InstrumentationScope { name: "tachograph".into(), version: env!("CARGO_PKG_VERSION").into() };
        let scope_metrics = vec![ScopeMetrics { scope: Some(scope), metrics }];
        let resource_metrics = vec![ResourceMetrics { resource: Some(Resource { attributes }), scope_metrics }];
        let plain = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec();
        let compressed = envelope.gzip.then(|| compressed(&plain)).and_then(Result::ok);
        let is_compressed = compressed.is_some();
        Request { body: compressed.unwrap_or(plain).into(), is_compressed, points: points as u64, cut }
    }
}

fn metric(kind: Kind, descriptor: &Descriptor, temporality: AggregationTemporality) -> Metric {
    let aggregation_temporality = temporality as i32;
    let data = match kind {
        Kind::Counter => Data::Sum(Sum { data_points: Vec::new(), aggregation_temporality, is_monotonic: true }),
        Kind::Gauge => Data::Gauge(Gauge::default()),
        Kind::Histogram => {
            Data::ExponentialHistogram(ExponentialHistogram { data_points: Vec::new(), aggregation_temporality })
        }
    };
    Metric {
        name: descriptor.name().into(),
        description: descriptor.help_text().into(),
        unit: ucum(descriptor.unit_name()).into(),
        data: Some(data),
    }
}

fn compressed(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
    encoder.write_all(plain)?;
    encoder.finish()
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;

    pub(in super::super) fn envelope() -> Envelope {
        let resource = vec![("service.name".into(), "asr".into())];
        Envelope { resource, temporality: AggregationTemporality::Cumulative, gzip: true }
    }

    /// The families of a request.
    pub(in super::super) fn metrics_of(request: &Request) -> Vec<Metric> {
        let mut plain = Vec::new();
        GzDecoder::new(&*request.body).read_to_end(&mut plain).unwrap();
        let message = ExportMetricsServiceRequest::decode(&*plain).unwrap();
        message.resource_metrics.into_iter().flat_map(|one| one.scope_metrics).flat_map(|one| one.metrics).collect()
    }
}
