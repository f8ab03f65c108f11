//! metrics with the recorder of metrics-exporter-prometheus.

use std::hint::black_box;
use std::sync::Arc;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

use super::{LABELS, Operation, Role, SeriesSet, Site, Subject, Text, Worker, each_user, each_value, in_turn, repeat};
use crate::values::{BOUNDS_S, SECONDS};

pub struct Metrics {
    recorder: Arc<PrometheusRecorder>,
    /// By series.
    instruments: Vec<Instruments>,
}

impl Metrics {
    pub fn new(series: usize) -> Self {
        let recorder = Arc::new(recorder());
        let instruments = with_local_recorder(&*recorder, || (0..series).map(Instruments::new).collect());
        Self { recorder, instruments }
    }
}

impl Subject for Metrics {
    fn name(&self) -> &'static str {
        "metrics"
    }

    fn role(&self) -> Role {
        Role::Peer
    }

    fn package(&self) -> Option<&'static str> {
        Some("metrics")
    }

    fn worker(&self, operation: Operation, site: Site) -> Option<Worker> {
        let recorder = Arc::clone(&self.recorder);
        let Instruments { labelled, counters, bound, gauge, histogram } = self.instruments[site.series].clone();
        Some(match operation {
            Operation::CounterInc => Box::new(move |iterations| repeat(&counters[0], iterations, inc)),
            Operation::CounterInTurn => Box::new(move |iterations| in_turn(&counters, iterations, inc)),
            Operation::BoundLabelled => Box::new(move |iterations| repeat(&bound, iterations, inc)),
            Operation::EnumLabelled => return None,
            Operation::DynamicLabels => Box::new(move |iterations| {
                with_local_recorder(&*recorder, || {
                    in_turn(&LABELS, iterations, |&(route, outcome)| inc(&request(labelled, route, outcome)));
                });
            }),
            Operation::GaugeSet => Box::new(move |iterations| {
                each_value(&mut &gauge, &SECONDS, iterations, |gauge, value| gauge.set(value));
            }),
            Operation::HistogramRecord => Box::new(move |iterations| {
                each_value(&mut &histogram, &SECONDS, iterations, |histogram, value| histogram.record(value));
            }),
        })
    }

    fn counters(&self, count: usize) -> Option<SeriesSet> {
        let recorder = recorder();
        let handle = recorder.handle();
        let read = handle.clone();
        Some(SeriesSet {
            touch: Box::new(move || {
                with_local_recorder(&recorder, || {
                    each_user(count, |user| inc(&counter!("many", "user" => user.to_owned())));
                });
            }),
            snapshot: Box::new(move || drop(black_box(handle.render()))),
            holds: Box::new(move |user| read.render().contains(user)),
            means: "`PrometheusHandle::render`",
            text: Text::Snapshot,
            protobuf: None,
            shared: true,
        })
    }

    fn histograms(&self, count: usize, values: Vec<f64>) -> Option<SeriesSet> {
        let recorder = recorder();
        let handle = recorder.handle();
        Some(SeriesSet::written(move || {
            with_local_recorder(&recorder, || {
                each_user(count, |user| {
                    let histogram = histogram!("many", "user" => user.to_owned());
                    values.iter().for_each(|ms| histogram.record(ms / 1e3));
                    handle.run_upkeep();
                });
            });
        }))
    }

    /// A histogram's values pile up until this counts them into buckets, every 5 s by default.
    fn settle(&self) {
        self.recorder.handle().run_upkeep();
    }

    fn remarks(&self) -> &'static [&'static str] {
        &["metrics, with the recorder of metrics-exporter-prometheus, keeps each recorded value until an upkeep task \
           counts it into buckets. The upkeep runs between the slices and is not in the time; bytes are those after it."]
    }
}

#[derive(Clone)]
struct Instruments {
    /// The name of the family that the dynamic lookups use.
    labelled: &'static str,
    counters: [Counter; 8],
    bound: Counter,
    gauge: Gauge,
    histogram: Histogram,
}

impl Instruments {
    fn new(series: usize) -> Self {
        let labelled: &'static str = format!("requests_by_{series}").leak();
        let (route, outcome) = LABELS[0];
        Self {
            labelled,
            counters: std::array::from_fn(|index| counter!(format!("requests_{series}_{index}"))),
            bound: request(labelled, route, outcome),
            gauge: gauge!(format!("depth_{series}")),
            histogram: histogram!(format!("time_{series}")),
        }
    }
}

#[inline(always)]
fn request(family: &'static str, route: &str, outcome: &str) -> Counter {
    counter!(family, "route" => route.to_owned(), "outcome" => outcome.to_owned())
}

#[inline(always)]
fn inc(counter: &Counter) {
    counter.increment(1);
}

fn recorder() -> PrometheusRecorder {
    PrometheusBuilder::new().set_buckets(&BOUNDS_S).expect("not empty").build_recorder()
}
