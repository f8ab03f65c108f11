//! prometheus-client.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::prometheus_protobuf::encode_to_vec;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::{LABELS, Operation, Role, SeriesSet, Site, Subject, Text, Worker, each_user, each_value, in_turn, repeat};
use crate::values::{BOUNDS_S, SECONDS};

pub struct PrometheusClient {
    /// By series.
    instruments: Vec<Instruments>,
}

impl PrometheusClient {
    pub fn new(series: usize) -> Self {
        Self { instruments: (0..series).map(|_| Instruments::new()).collect() }
    }
}

impl Subject for PrometheusClient {
    fn name(&self) -> &'static str {
        "prometheus-client"
    }

    fn role(&self) -> Role {
        Role::Peer
    }

    fn package(&self) -> Option<&'static str> {
        Some("prometheus-client")
    }

    fn worker(&self, operation: Operation, site: Site) -> Option<Worker> {
        let Instruments { counters, typed, named, gauge, histogram } = self.instruments[site.series].clone();
        let bound = typed.get_or_create_owned(&Typed::from(REQUESTS[0]));
        Some(match operation {
            Operation::CounterInc => Box::new(move |iterations| repeat(&counters[0], iterations, inc)),
            Operation::CounterInTurn => Box::new(move |iterations| in_turn(&counters, iterations, inc)),
            Operation::BoundLabelled => Box::new(move |iterations| repeat(&bound, iterations, inc)),
            Operation::EnumLabelled => Box::new(move |iterations| {
                in_turn(&REQUESTS, iterations, |request| inc(&typed.get_or_create(&Typed::from(*request))));
            }),
            Operation::DynamicLabels => Box::new(move |iterations| {
                in_turn(&LABELS, iterations, |labels| inc(&named.get_or_create(&Named::from(*labels))));
            }),
            Operation::GaugeSet => Box::new(move |iterations| {
                each_value(&mut &gauge, &SECONDS, iterations, |gauge, value| {
                    black_box(gauge.set(value));
                });
            }),
            Operation::HistogramRecord => Box::new(move |iterations| {
                each_value(&mut &histogram, &SECONDS, iterations, |histogram, value| histogram.observe(value));
            }),
        })
    }

    fn counters(&self, count: usize) -> Option<SeriesSet> {
        let family = Family::<User, Counter>::default();
        let mut registry = Registry::default();
        registry.register("many", "Many series", family.clone());
        let registry = Arc::new(registry);
        let [read, written] = [Arc::clone(&registry), Arc::clone(&registry)];
        let mut buffer = String::new();
        Some(SeriesSet {
            touch: Box::new(move || {
                each_user(count, |user| inc(&family.get_or_create(&User { user: user.to_owned() })));
            }),
            snapshot: Box::new(move || {
                buffer.clear();
                text(&registry, &mut buffer);
            }),
            holds: Box::new(move |user| {
                let mut buffer = String::new();
                text(&read, &mut buffer);
                buffer.contains(user)
            }),
            means: "`encoding::text::encode` into a reused string",
            text: Text::Snapshot,
            protobuf: Some(Box::new(move || drop(black_box(encode_to_vec(&written).expect("a vector takes all"))))),
            shared: true,
        })
    }

    fn histograms(&self, count: usize, values: Vec<f64>) -> Option<SeriesSet> {
        let family = Family::<User, Histogram, Bounds>::new_with_constructor(Bounds);
        Some(SeriesSet::written(move || {
            each_user(count, |user| {
                let histogram = family.get_or_create_owned(&User { user: user.to_owned() });
                values.iter().for_each(|ms| histogram.observe(ms / 1e3));
            });
        }))
    }

    fn remarks(&self) -> &'static [&'static str] {
        &["prometheus-client's families look up an owned label set, so that borrowed strings are copied first."]
    }
}

#[derive(Clone)]
struct Instruments {
    counters: [Counter; 8],
    typed: Family<Typed, Counter>,
    named: Family<Named, Counter>,
    gauge: Gauge<f64, AtomicU64>,
    histogram: Histogram,
}

impl Instruments {
    /// Without a registry: it takes no part in an update.
    fn new() -> Self {
        Self {
            counters: std::array::from_fn(|_| Counter::default()),
            typed: Family::default(),
            named: Family::default(),
            gauge: Gauge::default(),
            histogram: Bounds.new_metric(),
        }
    }
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
enum Route {
    Home,
    Login,
    Logout,
    Search,
    Users,
    Orders,
    Items,
    Health,
}

#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
enum Outcome {
    Ok,
    Failed,
}

/// The label values of [`LABELS`].
const REQUESTS: [(Route, Outcome); 8] = [
    (Route::Home, Outcome::Ok),
    (Route::Login, Outcome::Failed),
    (Route::Logout, Outcome::Ok),
    (Route::Search, Outcome::Failed),
    (Route::Users, Outcome::Ok),
    (Route::Orders, Outcome::Failed),
    (Route::Items, Outcome::Ok),
    (Route::Health, Outcome::Failed),
];

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Typed {
    route: Route,
    outcome: Outcome,
}

impl From<(Route, Outcome)> for Typed {
    #[inline]
    fn from((route, outcome): (Route, Outcome)) -> Self {
        Self { route, outcome }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Named {
    route: String,
    outcome: String,
}

impl From<(&str, &str)> for Named {
    #[inline]
    fn from((route, outcome): (&str, &str)) -> Self {
        Self { route: route.to_owned(), outcome: outcome.to_owned() }
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct User {
    user: String,
}

#[derive(Clone)]
struct Bounds;

impl MetricConstructor<Histogram> for Bounds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BOUNDS_S)
    }
}

/// The value before, which is returned, counts as used.
#[inline(always)]
fn inc(counter: &Counter) {
    black_box(counter.inc());
}

fn text(registry: &Registry, buffer: &mut String) {
    encode(buffer, registry).expect("a string takes all");
    black_box(buffer);
}
