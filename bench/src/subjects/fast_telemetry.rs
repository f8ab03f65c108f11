//! fast-telemetry.

use std::hint::black_box;
use std::sync::Arc;

use fast_telemetry::{
    Counter, DeriveLabel, DistributionSnapshot, DynamicCounter, DynamicCounterSeries, DynamicHistogram, ExportMetrics,
    GaugeF64, Histogram, HistogramSnapshot, LabelEnum as _, LabeledCounter, MetricLabels, MetricMeta, MetricVisitor,
};

use super::{LABELS, Operation, Role, SeriesSet, Site, Subject, Text, Worker, each_user, each_value, in_turn, repeat};
use crate::values::{self, BOUNDS_S, MS, NANOSECONDS};

pub struct FastTelemetry {
    /// A shard for each thread that updates.
    shards: usize,
    /// By series.
    instruments: Vec<Arc<Instruments>>,
}

impl FastTelemetry {
    pub fn new(threads: usize) -> Self {
        let instruments = (0..threads).map(|_| Arc::new(Instruments::new(threads))).collect();
        Self { shards: threads, instruments }
    }
}

impl Subject for FastTelemetry {
    fn name(&self) -> &'static str {
        "fast-telemetry"
    }

    fn role(&self) -> Role {
        Role::Peer
    }

    fn package(&self) -> Option<&'static str> {
        Some("fast-telemetry")
    }

    fn worker(&self, operation: Operation, site: Site) -> Option<Worker> {
        let own = Arc::clone(&self.instruments[site.series]);
        Some(match operation {
            Operation::CounterInc => Box::new(move |iterations| repeat(&own.counters[0], iterations, Counter::inc)),
            Operation::CounterInTurn => Box::new(move |iterations| in_turn(&own.counters, iterations, Counter::inc)),
            Operation::BoundLabelled => {
                let (route, outcome) = LABELS[0];
                let bound = own.named.series(&[("route", route), ("outcome", outcome)]);
                Box::new(move |iterations| repeat(&bound, iterations, DynamicCounterSeries::inc))
            }
            Operation::EnumLabelled => {
                let requests: [Request; 8] = std::array::from_fn(Request::from_index);
                Box::new(move |iterations| in_turn(&requests, iterations, |request| own.typed.inc(*request)))
            }
            Operation::DynamicLabels => Box::new(move |iterations| {
                in_turn(&LABELS, iterations, |&(route, outcome)| {
                    own.named.inc(&[("route", route), ("outcome", outcome)]);
                });
            }),
            Operation::GaugeSet => Box::new(move |iterations| {
                each_value(&mut &own.gauge, &MS, iterations, |gauge, value| gauge.set(value));
            }),
            Operation::HistogramRecord => Box::new(move |iterations| {
                each_value(&mut &own.histogram, &NANOSECONDS, iterations, |histogram, value| histogram.record(value));
            }),
        })
    }

    fn counters(&self, count: usize) -> Option<SeriesSet> {
        let family = Arc::new(Many { many: DynamicCounter::with_max_series(self.shards, 2 * count) });
        let [touched, read] = [Arc::clone(&family), Arc::clone(&family)];
        Some(SeriesSet {
            touch: Box::new(move || each_user(count, |user| touched.many.inc(&[("user", user)]))),
            snapshot: Box::new(move || family.visit_metrics(&mut Visitor { wanted: "", found: false })),
            holds: Box::new(move |user| {
                let mut visitor = Visitor { wanted: user, found: false };
                read.visit_metrics(&mut visitor);
                visitor.found
            }),
            means: "`visit_metrics`, which lends labels and value",
            text: Text::None,
            protobuf: None,
            shared: true,
        })
    }

    fn histograms(&self, count: usize, values: Vec<f64>) -> Option<SeriesSet> {
        let family = DynamicHistogram::new(&bounds(), self.shards);
        Some(SeriesSet::written(move || {
            each_user(count, |user| {
                let histogram = family.series(&[("user", user)]);
                values.iter().for_each(|ms| histogram.record(values::nanoseconds(*ms)));
            });
        }))
    }

    fn remarks(&self) -> &'static [&'static str] {
        &["fast-telemetry has as many shards as threads here, all allocated at once, so that a further thread adds \
           nothing. Its enum labels are one enum of 16 values; its histogram records integers (ns)."]
    }
}

struct Instruments {
    counters: [Counter; 8],
    typed: LabeledCounter<Request>,
    named: DynamicCounter,
    gauge: GaugeF64,
    histogram: Histogram,
}

impl Instruments {
    fn new(shards: usize) -> Self {
        Self {
            counters: std::array::from_fn(|_| Counter::new(shards)),
            typed: LabeledCounter::new(shards),
            named: DynamicCounter::new(shards),
            gauge: GaugeF64::new(),
            histogram: Histogram::new(&bounds(), shards),
        }
    }
}

/// Route and outcome in one: an instrument takes one enum.
#[derive(Clone, Copy, Debug, DeriveLabel)]
#[label_name = "request"]
enum Request {
    HomeOk,
    LoginFailed,
    LogoutOk,
    SearchFailed,
    UsersOk,
    OrdersFailed,
    ItemsOk,
    HealthFailed,
    HomeFailed,
    LoginOk,
    LogoutFailed,
    SearchOk,
    UsersFailed,
    OrdersOk,
    ItemsFailed,
    HealthOk,
}

#[derive(ExportMetrics)]
#[metric_prefix = "bench"]
struct Many {
    #[help = "Many series"]
    many: DynamicCounter,
}

/// Reads each series, and notes whether one has the wanted label value.
struct Visitor<'a> {
    wanted: &'a str,
    found: bool,
}

impl MetricVisitor for Visitor<'_> {
    fn counter(&mut self, _: MetricMeta<'_>, labels: MetricLabels<'_>, value: i64) {
        black_box(value);
        self.found |= labels.iter().any(|label| black_box(label.value) == self.wanted);
    }

    fn gauge_i64(&mut self, _: MetricMeta<'_>, _: MetricLabels<'_>, _: i64) {}

    fn gauge_f64(&mut self, _: MetricMeta<'_>, _: MetricLabels<'_>, _: f64) {}

    fn histogram(&mut self, _: MetricMeta<'_>, _: MetricLabels<'_>, _: &dyn HistogramSnapshot) {}

    fn distribution(&mut self, _: MetricMeta<'_>, _: MetricLabels<'_>, _: &dyn DistributionSnapshot) {}
}

fn bounds() -> [u64; 11] {
    BOUNDS_S.map(|seconds| values::nanoseconds(seconds * 1e3))
}
