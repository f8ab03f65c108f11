//! `io.prometheus.client.MetricFamily`, each behind its length.

use alloc::vec::Vec;

use super::bounds::each_bound;
use super::exemplars::{EXEMPLAR_LABEL, Exemplar};
use super::message::{Begin, put_all_signed, put_double, put_message, put_signed, put_text, put_unsigned};
use super::names::{base_of, joined, suffix_of, unit_in_name};
use crate::label::LabelValues;
use crate::registry::{Descriptor, Kind};
use crate::snapshot::{HistogramSnapshot, Value};

/// Metrics of a message at most: a family with more is several messages of the same name.
const METRICS_MAX: usize = 256;

// The numbers of the fields, as the public schema has them.

const FAMILY_NAME: u32 = 1;
const FAMILY_HELP: u32 = 2;
const FAMILY_KIND: u32 = 3;
const FAMILY_METRIC: u32 = 4;
const FAMILY_UNIT: u32 = 5;

const METRIC_LABEL: u32 = 1;
const METRIC_GAUGE: u32 = 2;
const METRIC_COUNTER: u32 = 3;
const METRIC_HISTOGRAM: u32 = 7;

const LABEL_NAME: u32 = 1;
const LABEL_VALUE: u32 = 2;

/// Of a counter and of a gauge.
const FIGURE: u32 = 1;

const HISTOGRAM_COUNT: u32 = 1;
const HISTOGRAM_SUM: u32 = 2;
const HISTOGRAM_BUCKET: u32 = 3;
const HISTOGRAM_SCHEMA: u32 = 5;
const HISTOGRAM_ZERO_THRESHOLD: u32 = 6;
const HISTOGRAM_ZERO_COUNT: u32 = 7;
const HISTOGRAM_NEGATIVE: Side = Side { span: 9, delta: 10 };
const HISTOGRAM_POSITIVE: Side = Side { span: 12, delta: 13 };
const HISTOGRAM_EXEMPLAR: u32 = 16;

const BUCKET_COUNT: u32 = 1;
const BUCKET_BOUND: u32 = 2;
const BUCKET_EXEMPLAR: u32 = 3;

const SPAN_OFFSET: u32 = 1;
const SPAN_LENGTH: u32 = 2;

const EXEMPLAR_LABELS: u32 = 1;
const EXEMPLAR_VALUE: u32 = 2;
const EXEMPLAR_TIMESTAMP: u32 = 3;

const TIMESTAMP_SECONDS: u32 = 1;
const TIMESTAMP_NANOS: u32 = 2;

/// A family as it is written: what all its messages have in common is made once.
#[derive(Debug)]
pub(super) struct FamilyProtobuf {
    /// Name, help, kind and unit.
    head: Vec<u8>,
    /// The name of each label, as a pair begins with it.
    labels: Vec<Vec<u8>>,
    /// The message that is being written.
    message: Option<Message>,
}

#[derive(Debug)]
struct Message {
    begin: Begin,
    metrics: usize,
}

impl FamilyProtobuf {
    pub(super) fn new(kind: Kind, descriptor: &Descriptor) -> Self {
        let name_of = |label: &str| {
            let mut name = Vec::new();
            put_text(LABEL_NAME, label, &mut name);
            name
        };
        let labels = descriptor.label_names().iter().map(|label| name_of(label)).collect();
        Self { head: head(kind, descriptor), labels, message: None }
    }

    /// Adds a metric to the message that is being written, and begins one if there is none.
    pub(super) fn write(&mut self, labels: &LabelValues, value: &Value, exemplars: &[Exemplar], out: &mut Vec<u8>) {
        let message = self.message.get_or_insert_with(|| Message::begin(&self.head, out));
        put_message(FAMILY_METRIC, out, |out| {
            for (name, value) in self.labels.iter().zip(labels.iter()) {
                put_message(METRIC_LABEL, out, |out| {
                    out.extend_from_slice(name);
                    put_text(LABEL_VALUE, value, out);
                });
            }
            put_value(value, exemplars, out);
        });
        message.metrics += 1;
        if message.metrics >= METRICS_MAX {
            self.end(out);
        }
    }

    /// Ends the message that is being written.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        if let Some(Message { begin, .. }) = self.message.take() {
            begin.end(out);
        }
    }
}

impl Message {
    fn begin(head: &[u8], out: &mut Vec<u8>) -> Self {
        let begin = Begin::of(out);
        out.extend_from_slice(head);
        Self { begin, metrics: 0 }
    }
}

fn head(kind: Kind, descriptor: &Descriptor) -> Vec<u8> {
    let base = base_of(kind, descriptor.name());
    let mut head = Vec::new();
    put_text(FAMILY_NAME, &joined(base, suffix_of(kind)), &mut head);
    if !descriptor.help_text().is_empty() {
        put_text(FAMILY_HELP, descriptor.help_text(), &mut head);
    }
    put_unsigned(
        FAMILY_KIND,
        match kind {
            Kind::Counter => 0,
            Kind::Gauge => 1,
            Kind::Histogram => 4,
        },
        &mut head,
    );
    if let Some(unit) = unit_in_name(base, descriptor.unit_name()) {
        put_text(FAMILY_UNIT, unit, &mut head);
    }
    head
}

fn put_value(value: &Value, exemplars: &[Exemplar], out: &mut Vec<u8>) {
    match value {
        Value::Counter(total) => put_message(METRIC_COUNTER, out, |out| put_double(FIGURE, *total as f64, out)),
        Value::Gauge(gauge) => put_message(METRIC_GAUGE, out, |out| put_double(FIGURE, gauge.value(), out)),
        Value::Histogram(histogram) => {
            put_message(METRIC_HISTOGRAM, out, |out| put_histogram(histogram, exemplars, out));
        }
    }
}

/// With its bounds, if it has any, and always as a native histogram.
fn put_histogram(histogram: &HistogramSnapshot, exemplars: &[Exemplar], out: &mut Vec<u8>) {
    let count = histogram.count();
    put_unsigned(HISTOGRAM_COUNT, count, out);
    put_double(HISTOGRAM_SUM, histogram.sum(), out);
    if histogram.bounds().is_empty() {
        exemplars.iter().for_each(|exemplar| put_exemplar(HISTOGRAM_EXEMPLAR, exemplar, out));
    } else {
        each_bound(histogram, |bound, below| put_bucket(bound, below, exemplars, out));
        put_bucket(f64::INFINITY, count, exemplars, out);
    }
    put_signed(HISTOGRAM_SCHEMA, histogram.scale().into(), out);
    // Readers know a native histogram by it, one without values too.
    put_double(HISTOGRAM_ZERO_THRESHOLD, f64::MIN_POSITIVE, out);
    put_unsigned(HISTOGRAM_ZERO_COUNT, histogram.zero(), out);
    HISTOGRAM_NEGATIVE.put(histogram.negative(), out);
    HISTOGRAM_POSITIVE.put(histogram.positive(), out);
}

fn put_bucket(bound: f64, below: u64, exemplars: &[Exemplar], out: &mut Vec<u8>) {
    put_message(HISTOGRAM_BUCKET, out, |out| {
        put_unsigned(BUCKET_COUNT, below, out);
        put_double(BUCKET_BOUND, bound, out);
        if let Some(exemplar) = Exemplar::of_bucket(bound, exemplars) {
            put_exemplar(BUCKET_EXEMPLAR, exemplar, out);
        }
    });
}

fn put_exemplar(field: u32, exemplar: &Exemplar, out: &mut Vec<u8>) {
    put_message(field, out, |out| {
        put_message(EXEMPLAR_LABELS, out, |out| {
            put_text(LABEL_NAME, EXEMPLAR_LABEL, out);
            put_text(LABEL_VALUE, &exemplar.session_id, out);
        });
        put_double(EXEMPLAR_VALUE, exemplar.value, out);
        put_message(EXEMPLAR_TIMESTAMP, out, |out| {
            put_unsigned(TIMESTAMP_SECONDS, exemplar.at / 1_000, out);
            put_unsigned(TIMESTAMP_NANOS, exemplar.at % 1_000 * 1_000_000, out);
        });
    });
}

/// The fields of the buckets of one sign.
struct Side {
    span: u32,
    delta: u32,
}

impl Side {
    /// Runs of buckets that are not empty, and the difference of each bucket's count to the one before.
    fn put(&self, buckets: &[(i32, u64)], out: &mut Vec<u8>) {
        let mut end = 0;
        for run in buckets.chunk_by(|(one, _), (next, _)| one + 1 == *next) {
            // Prometheus numbers a bucket by its upper bound: one more than its number here.
            let begin = run.first().map_or(end, |(index, _)| index + 1);
            put_message(self.span, out, |out| {
                put_signed(SPAN_OFFSET, i64::from(begin) - i64::from(end), out);
                put_unsigned(SPAN_LENGTH, run.len() as u64, out);
            });
            end = begin + run.len() as i32;
        }
        let mut before = 0;
        let deltas = buckets.iter().map(|(_, count)| {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            count - core::mem::replace(&mut before, count)
        });
        put_all_signed(self.delta, deltas, out);
    }
}
