//! prometheus.

use std::hint::black_box;

use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, ProtobufEncoder, Registry,
    TextEncoder,
};

use super::{
    LABELS, Operation, Role, SeriesSet, Site, Subject, Text, Work, Worker, each_user, each_value, in_turn, repeat, user,
};
use crate::values::{BOUNDS_S, SECONDS};

pub struct Prometheus {
    /// By series.
    instruments: Vec<Instruments>,
}

impl Prometheus {
    pub fn new(series: usize) -> Self {
        let registry = Registry::new();
        Self { instruments: (0..series).map(|series| Instruments::new(&registry, series)).collect() }
    }
}

impl Subject for Prometheus {
    fn name(&self) -> &'static str {
        "prometheus"
    }

    fn role(&self) -> Role {
        Role::Peer
    }

    fn package(&self) -> Option<&'static str> {
        Some("prometheus")
    }

    fn worker(&self, operation: Operation, site: Site) -> Option<Worker> {
        let Instruments { counters, labelled, gauge, histogram } = self.instruments[site.series].clone();
        let (route, outcome) = LABELS[0];
        let bound = labelled.with_label_values(&[route, outcome]);
        Some(match operation {
            Operation::CounterInc => Box::new(move |iterations| repeat(&counters[0], iterations, IntCounter::inc)),
            Operation::CounterInTurn => Box::new(move |iterations| in_turn(&counters, iterations, IntCounter::inc)),
            Operation::BoundLabelled => Box::new(move |iterations| repeat(&bound, iterations, IntCounter::inc)),
            Operation::EnumLabelled => return None,
            Operation::DynamicLabels => Box::new(move |iterations| {
                in_turn(&LABELS, iterations, |&(route, outcome)| labelled.with_label_values(&[route, outcome]).inc());
            }),
            Operation::GaugeSet => Box::new(move |iterations| {
                each_value(&mut &gauge, &SECONDS, iterations, |gauge, value| gauge.set(value));
            }),
            Operation::HistogramRecord => Box::new(move |iterations| {
                each_value(&mut &histogram, &SECONDS, iterations, |histogram, value| histogram.observe(value));
            }),
        })
    }

    fn counters(&self, count: usize) -> Option<SeriesSet> {
        let registry = Registry::new();
        let family = IntCounterVec::new(Opts::new("many", "Many series"), &["user"]).expect("valid");
        registry.register(Box::new(family.clone())).expect("registered once");
        let [read, as_text, as_protobuf] = [registry.clone(), registry.clone(), registry.clone()];
        Some(SeriesSet {
            touch: Box::new(move || each_user(count, |user| family.with_label_values(&[user]).inc())),
            snapshot: Box::new(move || drop(black_box(registry.gather()))),
            holds: Box::new(move |user| {
                let families = read.gather();
                families[0].get_metric().iter().any(|metric| metric.get_label()[0].value() == user)
            }),
            means: "`Registry::gather`",
            text: Text::Own(encoded(as_text, TextEncoder::new())),
            protobuf: Some(encoded(as_protobuf, ProtobufEncoder::new())),
            shared: true,
        })
    }

    fn histograms(&self, count: usize, values: Vec<f64>) -> Option<SeriesSet> {
        let family = HistogramVec::new(options("many"), &["user"]).expect("valid");
        Some(SeriesSet::written(move || {
            each_user(count, |user| {
                values.iter().for_each(|ms| family.with_label_values(&[user]).observe(ms / 1e3));
            });
        }))
    }
}

/// Writes into the same memory again and again.
fn encoded(registry: Registry, encoder: impl Encoder + Send + 'static) -> Work {
    let mut out = Vec::new();
    Box::new(move || {
        out.clear();
        encoder.encode(&registry.gather(), &mut out).expect("a vector takes all");
        black_box(&out);
    })
}

#[derive(Clone)]
struct Instruments {
    counters: [IntCounter; 8],
    labelled: IntCounterVec,
    gauge: Gauge,
    histogram: Histogram,
}

impl Instruments {
    fn new(registry: &Registry, series: usize) -> Self {
        let counter = |index| IntCounter::new(format!("requests_{series}_{}", user(index)), "Requests").expect("valid");
        let labelled = Opts::new(format!("requests_by_{series}"), "Requests");
        let instruments = Self {
            counters: std::array::from_fn(counter),
            labelled: IntCounterVec::new(labelled, &["route", "outcome"]).expect("valid"),
            gauge: Gauge::new(format!("depth_{series}"), "Depth").expect("valid"),
            histogram: Histogram::with_opts(options(&format!("time_{series}"))).expect("valid"),
        };
        instruments.register(registry);
        instruments
    }

    fn register(&self, registry: &Registry) {
        for counter in &self.counters {
            registry.register(Box::new(counter.clone())).expect("registered once");
        }
        registry.register(Box::new(self.labelled.clone())).expect("registered once");
        registry.register(Box::new(self.gauge.clone())).expect("registered once");
        registry.register(Box::new(self.histogram.clone())).expect("registered once");
    }
}

fn options(name: &str) -> HistogramOpts {
    HistogramOpts::new(name, "Time").buckets(BOUNDS_S.to_vec())
}
