//! opentelemetry with its SDK.

use std::sync::{Arc, Weak};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, Counter, Gauge, Histogram, Meter, MeterProvider as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics, SumDataPoint};
use opentelemetry_sdk::metrics::reader::MetricReader;
use opentelemetry_sdk::metrics::{
    Instrument, InstrumentKind, ManualReader, Pipeline, SdkMeterProvider, Stream, Temporality,
};

use super::{LABELS, Operation, Role, SeriesSet, Site, Subject, Text, Worker, each_user, each_value, in_turn, repeat};
use crate::values::{BOUNDS_S, SECONDS};

pub struct OpenTelemetry {
    /// Updates do nothing once it is dropped.
    _provider: SdkMeterProvider,
    /// By series.
    instruments: Vec<Instruments>,
}

impl OpenTelemetry {
    pub fn new(series: usize) -> Self {
        let (provider, _) = provider(2_000);
        let meter = provider.meter("bench");
        Self { instruments: (0..series).map(|series| Instruments::new(&meter, series)).collect(), _provider: provider }
    }
}

impl Subject for OpenTelemetry {
    fn name(&self) -> &'static str {
        "opentelemetry"
    }

    fn role(&self) -> Role {
        Role::Peer
    }

    fn package(&self) -> Option<&'static str> {
        Some("opentelemetry_sdk")
    }

    fn worker(&self, operation: Operation, site: Site) -> Option<Worker> {
        let Instruments { counters, labelled, gauge, histogram } = self.instruments[site.series].clone();
        let unlabelled = counters.each_ref().map(|counter| counter.bind(&[]));
        let (route, outcome) = LABELS[0];
        let bound = labelled.bind(&request(route, outcome));
        Some(match operation {
            Operation::CounterInc => Box::new(move |iterations| repeat(&unlabelled[0], iterations, inc)),
            Operation::CounterInTurn => Box::new(move |iterations| in_turn(&unlabelled, iterations, inc)),
            Operation::BoundLabelled => Box::new(move |iterations| repeat(&bound, iterations, inc)),
            Operation::EnumLabelled => return None,
            Operation::DynamicLabels => Box::new(move |iterations| {
                in_turn(&LABELS, iterations, |&(route, outcome)| labelled.add(1, &request(route, outcome)));
            }),
            Operation::GaugeSet => {
                let gauge = gauge.bind(&[]);
                Box::new(move |iterations| {
                    each_value(&mut &gauge, &SECONDS, iterations, |gauge, value| gauge.record(value));
                })
            }
            Operation::HistogramRecord => {
                let histogram = histogram.bind(&[]);
                Box::new(move |iterations| {
                    each_value(&mut &histogram, &SECONDS, iterations, |histogram, value| histogram.record(value));
                })
            }
        })
    }

    fn counters(&self, count: usize) -> Option<SeriesSet> {
        let (provider, reader) = provider(2 * count);
        let counter = provider.meter("bench").u64_counter("many").build();
        let read = reader.clone();
        let mut reused = ResourceMetrics::default();
        Some(SeriesSet {
            touch: Box::new(move || each_user(count, |user| counter.add(1, &[KeyValue::new("user", user.to_owned())]))),
            snapshot: Box::new(move || reader.collect(&mut reused).expect("a live provider")),
            holds: Box::new(move |user| {
                // The provider lives as long as what reads from it.
                let _provider = &provider;
                collected_users(&read).iter().any(|value| value == user)
            }),
            means: "`ManualReader::collect` into a reused `ResourceMetrics`",
            text: Text::None,
            protobuf: None,
            shared: true,
        })
    }

    fn histograms(&self, count: usize, values: Vec<f64>) -> Option<SeriesSet> {
        let (provider, _) = provider(2 * count);
        let histogram = histogram(&provider.meter("bench"), "many");
        Some(SeriesSet::written(move || {
            let _provider = &provider;
            each_user(count, |user| {
                let labels = [KeyValue::new("user", user.to_owned())];
                values.iter().for_each(|ms| histogram.record(ms / 1e3, &labels));
            });
        }))
    }

    fn remarks(&self) -> &'static [&'static str] {
        &["opentelemetry's handles are its bound instruments (an experimental feature), its dynamic labels a \
           `KeyValue` each, which owns its string."]
    }
}

#[derive(Clone)]
struct Instruments {
    counters: [Counter<u64>; 8],
    labelled: Counter<u64>,
    gauge: Gauge<f64>,
    histogram: Histogram<f64>,
}

impl Instruments {
    fn new(meter: &Meter, series: usize) -> Self {
        Self {
            counters: std::array::from_fn(|index| meter.u64_counter(format!("requests_{series}_{index}")).build()),
            labelled: meter.u64_counter(format!("requests_by_{series}")).build(),
            gauge: meter.f64_gauge(format!("depth_{series}")).build(),
            histogram: histogram(meter, &format!("time_{series}")),
        }
    }
}

#[inline(always)]
fn inc(counter: &BoundCounter<u64>) {
    counter.add(1);
}

#[inline(always)]
fn request(route: &str, outcome: &str) -> [KeyValue; 2] {
    [KeyValue::new("route", route.to_owned()), KeyValue::new("outcome", outcome.to_owned())]
}

fn histogram(meter: &Meter, name: &str) -> Histogram<f64> {
    meter.f64_histogram(name.to_owned()).with_boundaries(BOUNDS_S.to_vec()).build()
}

/// With room for `limit` label sets a family.
fn provider(limit: usize) -> (SdkMeterProvider, SharedReader) {
    let reader = SharedReader(Arc::new(ManualReader::builder().build()));
    let raised = move |_: &Instrument| Stream::builder().with_cardinality_limit(limit).build().ok();
    (SdkMeterProvider::builder().with_reader(reader.clone()).with_view(raised).build(), reader)
}

/// The label values in one collection.
fn collected_users(reader: &SharedReader) -> Vec<String> {
    let mut collected = ResourceMetrics::default();
    reader.collect(&mut collected).expect("a live provider");
    let metric = collected.scope_metrics().flat_map(ScopeMetrics::metrics).next().expect("one family");
    let AggregatedMetrics::U64(MetricData::Sum(sum)) = metric.data() else { return Vec::new() };
    sum.data_points().flat_map(SumDataPoint::attributes).map(|label| label.value.to_string()).collect()
}

/// A reader that can still be asked once the provider owns it.
#[derive(Clone, Debug)]
struct SharedReader(Arc<ManualReader>);

impl MetricReader for SharedReader {
    fn register_pipeline(&self, pipeline: Weak<Pipeline>) {
        self.0.register_pipeline(pipeline);
    }

    fn collect(&self, metrics: &mut ResourceMetrics) -> OTelSdkResult {
        self.0.collect(metrics)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self, kind: InstrumentKind) -> Temporality {
        self.0.temporality(kind)
    }
}
