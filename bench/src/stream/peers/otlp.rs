use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
};
use prost::Message;
use tachograph_core::registry::Kind;
use tachograph_core::snapshot::{FamilySnapshot, HistogramSnapshot, RegistrySnapshot, SeriesSnapshot};

use super::Peer;
use crate::dataset::EPOCH_MS;

/// `ExportMetricsServiceRequest`: cumulative sums, gauges, exponential histograms.
pub struct Otlp;

impl Peer for Otlp {
    fn name(&self) -> &'static str {
        "OTLP protobuf"
    }

    fn encode(&self, snapshot: &RegistrySnapshot, out: &mut Vec<u8>) {
        let scope = ScopeMetrics {
            metrics: snapshot.families.iter().map(|family| metric(family, snapshot.at)).collect(),
            ..ScopeMetrics::default()
        };
        let resource = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
        let request = ExportMetricsServiceRequest { resource_metrics: vec![resource] };
        request.encode(out).expect("a vector takes everything");
    }

    fn decode(&self, bytes: &[u8]) -> Option<usize> {
        let request = ExportMetricsServiceRequest::decode(bytes).expect("what was just written");
        let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
        Some(scopes.flat_map(|scope| &scope.metrics).filter_map(|metric| metric.data.as_ref()).map(points).sum())
    }
}

fn points(data: &metric::Data) -> usize {
    match data {
        metric::Data::Gauge(gauge) => gauge.data_points.len(),
        metric::Data::Sum(sum) => sum.data_points.len(),
        metric::Data::ExponentialHistogram(histogram) => histogram.data_points.len(),
        _ => 0,
    }
}

fn metric(family: &FamilySnapshot, at_ms: u64) -> Metric {
    let cumulative = AggregationTemporality::Cumulative as i32;
    let numbers = || family.series.iter().map(|series| number(family, series, at_ms)).collect();
    let data = match family.kind {
        Kind::Counter => {
            metric::Data::Sum(Sum { data_points: numbers(), aggregation_temporality: cumulative, is_monotonic: true })
        }
        Kind::Gauge => metric::Data::Gauge(Gauge { data_points: numbers() }),
        Kind::Histogram => metric::Data::ExponentialHistogram(ExponentialHistogram {
            data_points: family.series.iter().filter_map(|series| exponential(family, series, at_ms)).collect(),
            aggregation_temporality: cumulative,
        }),
    };
    Metric {
        name: family.name().to_owned(),
        description: family.descriptor.help_text().to_owned(),
        unit: family.descriptor.unit_name().to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn number(family: &FamilySnapshot, series: &SeriesSnapshot, at_ms: u64) -> NumberDataPoint {
    let total = series.value.counter().map(|total| number_data_point::Value::AsInt(total as i64));
    let figure = || series.value.gauge().map(number_data_point::Value::AsDouble);
    NumberDataPoint {
        attributes: attributes(family, series),
        start_time_unix_nano: nanoseconds(EPOCH_MS),
        time_unix_nano: nanoseconds(at_ms),
        value: total.or_else(figure),
        ..NumberDataPoint::default()
    }
}

fn exponential(family: &FamilySnapshot, series: &SeriesSnapshot, at_ms: u64) -> Option<ExponentialHistogramDataPoint> {
    let histogram: &HistogramSnapshot = series.value.histogram()?;
    Some(ExponentialHistogramDataPoint {
        attributes: attributes(family, series),
        start_time_unix_nano: nanoseconds(EPOCH_MS),
        time_unix_nano: nanoseconds(at_ms),
        count: histogram.count(),
        sum: Some(histogram.sum()),
        scale: histogram.scale().into(),
        zero_count: histogram.zero(),
        positive: Some(dense(histogram.positive())),
        negative: Some(dense(histogram.negative())),
        ..ExponentialHistogramDataPoint::default()
    })
}

/// Empty buckets between others are said too.
fn dense(buckets: &[(i32, u64)]) -> Buckets {
    let Some((offset, _)) = buckets.first().copied() else { return Buckets::default() };
    let length = buckets.last().map_or(0, |(last, _)| (last - offset + 1) as usize);
    let mut bucket_counts = vec![0; length];
    buckets.iter().for_each(|(index, count)| bucket_counts[(index - offset) as usize] = *count);
    Buckets { offset, bucket_counts }
}

fn attributes(family: &FamilySnapshot, series: &SeriesSnapshot) -> Vec<KeyValue> {
    let text = |value: &str| AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    let pair = |(name, value): (&str, &str)| KeyValue {
        key: name.to_owned(),
        value: Some(text(value)),
        ..KeyValue::default()
    };
    family.labels(series).map(pair).collect()
}

fn nanoseconds(ms: u64) -> u64 {
    ms * 1_000_000
}
