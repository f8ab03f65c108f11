use prost::Message;
use tachograph_core::registry::Kind;
use tachograph_core::snapshot::{FamilySnapshot, HistogramSnapshot, RegistrySnapshot, SeriesSnapshot, Value};

use super::Peer;

/// `io.prometheus.client.MetricFamily`, each behind its length. Histograms are native ones.
pub struct PrometheusProtobuf;

impl Peer for PrometheusProtobuf {
    fn name(&self) -> &'static str {
        "Prometheus protobuf"
    }

    fn encode(&self, snapshot: &RegistrySnapshot, out: &mut Vec<u8>) {
        for family in &snapshot.families {
            MetricFamily::of(family).encode_length_delimited(out).expect("a vector takes everything");
        }
    }

    fn decode(&self, mut bytes: &[u8]) -> Option<usize> {
        let mut series = 0;
        while !bytes.is_empty() {
            series += MetricFamily::decode_length_delimited(&mut bytes).expect("what was just written").metric.len();
        }
        Some(series)
    }
}

/// As in the public schema, without what is never set here.
#[derive(Clone, PartialEq, Message)]
struct MetricFamily {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    help: Option<String>,
    /// 0 counter, 1 gauge, 4 histogram.
    #[prost(int32, optional, tag = "3")]
    kind: Option<i32>,
    #[prost(message, repeated, tag = "4")]
    metric: Vec<Metric>,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Figure>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Figure>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
struct LabelPair {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    value: Option<String>,
}

/// `Gauge` and `Counter` are alike.
#[derive(Clone, PartialEq, Message)]
struct Figure {
    #[prost(double, optional, tag = "1")]
    value: Option<f64>,
}

/// Lists of numbers are not packed: the schema is proto2.
#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    sample_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    sample_sum: Option<f64>,
    #[prost(sint32, optional, tag = "5")]
    schema: Option<i32>,
    #[prost(double, optional, tag = "6")]
    zero_threshold: Option<f64>,
    #[prost(uint64, optional, tag = "7")]
    zero_count: Option<u64>,
    #[prost(message, repeated, tag = "9")]
    negative_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, packed = "false", tag = "10")]
    negative_delta: Vec<i64>,
    #[prost(message, repeated, tag = "12")]
    positive_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, packed = "false", tag = "13")]
    positive_delta: Vec<i64>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct BucketSpan {
    #[prost(sint32, optional, tag = "1")]
    offset: Option<i32>,
    #[prost(uint32, optional, tag = "2")]
    length: Option<u32>,
}

impl MetricFamily {
    fn of(family: &FamilySnapshot) -> Self {
        let kind = match family.kind {
            Kind::Counter => 0,
            Kind::Gauge => 1,
            Kind::Histogram => 4,
        };
        Self {
            name: Some(family.name().to_owned()),
            help: Some(family.descriptor.help_text().to_owned()),
            kind: Some(kind),
            metric: family.series.iter().map(|series| Metric::of(family, series)).collect(),
        }
    }
}

impl Metric {
    fn of(family: &FamilySnapshot, series: &SeriesSnapshot) -> Self {
        let pair = |(name, value): (&str, &str)| LabelPair { name: Some(name.into()), value: Some(value.into()) };
        let mut metric = Self { label: family.labels(series).map(pair).collect(), ..Self::default() };
        match &series.value {
            Value::Counter(total) => metric.counter = Some(Figure { value: Some(*total as f64) }),
            Value::Gauge(gauge) => metric.gauge = Some(Figure { value: Some(gauge.value()) }),
            Value::Histogram(histogram) => metric.histogram = Some(Histogram::of(histogram)),
        }
        metric
    }
}

impl Histogram {
    fn of(histogram: &HistogramSnapshot) -> Self {
        let (negative_span, negative_delta) = spans(histogram.negative());
        let (positive_span, positive_delta) = spans(histogram.positive());
        Self {
            sample_count: Some(histogram.count()),
            sample_sum: Some(histogram.sum()),
            schema: Some(histogram.scale().into()),
            zero_threshold: Some(f64::MIN_POSITIVE),
            zero_count: Some(histogram.zero()),
            negative_span,
            negative_delta,
            positive_span,
            positive_delta,
        }
    }
}

/// Runs of buckets that are not empty, and the difference of each bucket's count to the one before.
fn spans(buckets: &[(i32, u64)]) -> (Vec<BucketSpan>, Vec<i64>) {
    let (mut spans, mut deltas) = (Vec::<BucketSpan>::new(), Vec::new());
    let (mut next, mut last) = (0, 0);
    for (index, count) in buckets {
        // Prometheus numbers a bucket by its upper bound, one above OpenTelemetry's number.
        let gap = index + 1 - next;
        match spans.last_mut().filter(|_| gap == 0) {
            Some(span) => span.length = span.length.map(|length| length + 1),
            None => spans.push(BucketSpan { offset: Some(gap), length: Some(1) }),
        }
        deltas.push(*count as i64 - last);
        (next, last) = (index + 2, *count as i64);
    }
    (spans, deltas)
}
