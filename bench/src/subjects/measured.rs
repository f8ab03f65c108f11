//! measured.

use std::hint::black_box;
use std::sync::Arc;

use measured::label::StaticLabelSet;
use measured::metric::MetricFamilyEncoding as _;
use measured::metric::histogram::Thresholds;
use measured::metric::name::MetricName;
use measured::text::BufferedTextEncoder;
use measured::{Counter, CounterVec, FixedCardinalityLabel, FloatGauge, Histogram, HistogramVec, LabelGroup};
use paracord::ParaCord;

use super::{LABELS, Operation, Role, SeriesSet, Site, Subject, Text, Worker, each_user, each_value, in_turn, repeat};
use crate::values::{BOUNDS_S, SECONDS};

pub struct Measured {
    /// By series.
    instruments: Vec<Arc<Instruments>>,
}

impl Measured {
    pub fn new(series: usize) -> Self {
        Self { instruments: (0..series).map(|_| Arc::new(Instruments::new())).collect() }
    }
}

impl Subject for Measured {
    fn name(&self) -> &'static str {
        "measured"
    }

    fn role(&self) -> Role {
        Role::Peer
    }

    fn package(&self) -> Option<&'static str> {
        Some("measured")
    }

    fn worker(&self, operation: Operation, site: Site) -> Option<Worker> {
        let own = Arc::clone(&self.instruments[site.series]);
        Some(match operation {
            Operation::CounterInc => Box::new(move |iterations| repeat(&*own.counters[0], iterations, Counter::inc)),
            Operation::CounterInTurn => {
                Box::new(move |iterations| in_turn(&own.counters, iterations, |counter| counter.inc()))
            }
            Operation::BoundLabelled => {
                let bound = own.typed.with_labels(Typed::from(REQUESTS[0]));
                Box::new(move |iterations| repeat(&bound, iterations, |bound| own.typed.get_metric(*bound).inc()))
            }
            Operation::EnumLabelled => Box::new(move |iterations| {
                in_turn(&REQUESTS, iterations, |request| own.typed.inc(Typed::from(*request)));
            }),
            Operation::DynamicLabels => Box::new(move |iterations| {
                in_turn(&LABELS, iterations, |&(route, outcome)| own.named.inc(Named { route, outcome }));
            }),
            Operation::GaugeSet => Box::new(move |iterations| {
                each_value(&mut &own.gauge, &SECONDS, iterations, |gauge, value| gauge.get_metric().set(value));
            }),
            Operation::HistogramRecord => Box::new(move |iterations| {
                each_value(&mut &own.histogram, &SECONDS, iterations, |histogram, value| histogram.observe(value));
            }),
        })
    }

    fn counters(&self, count: usize) -> Option<SeriesSet> {
        let family = Arc::new(CounterVec::with_label_set(UserSet::new(ParaCord::default())));
        let [touched, read] = [Arc::clone(&family), Arc::clone(&family)];
        let mut encoder = BufferedTextEncoder::new();
        let mut second = BufferedTextEncoder::new();
        Some(SeriesSet {
            touch: Box::new(move || each_user(count, |user| touched.inc(User { user }))),
            snapshot: Box::new(move || drop(black_box(text(&family, &mut encoder)))),
            holds: Box::new(move |user| {
                text(&read, &mut second).windows(user.len()).any(|window| window == user.as_bytes())
            }),
            means: "`collect_family_into` a reused `BufferedTextEncoder`",
            text: Text::Snapshot,
            protobuf: None,
            shared: true,
        })
    }

    fn histograms(&self, count: usize, values: Vec<f64>) -> Option<SeriesSet> {
        let set = UserSet::new(ParaCord::default());
        let family = HistogramVec::with_label_set_and_metadata(set, Thresholds::with_buckets(BOUNDS_S));
        Some(SeriesSet::written(move || {
            each_user(count, |user| values.iter().for_each(|ms| family.observe(User { user }, ms / 1e3)));
        }))
    }

    fn remarks(&self) -> &'static [&'static str] {
        &["measured's dynamic labels are interned by `ParaCord`, which it names first for them."]
    }
}

struct Instruments {
    /// Each on its own, as in a struct of metrics that other fields are between.
    counters: [Box<Counter>; 8],
    typed: CounterVec<TypedSet>,
    named: CounterVec<NamedSet>,
    gauge: FloatGauge,
    histogram: Histogram<11>,
}

impl Instruments {
    fn new() -> Self {
        let typed = TypedSet { route: StaticLabelSet::new(), outcome: StaticLabelSet::new() };
        Self {
            counters: std::array::from_fn(|_| Box::default()),
            typed: CounterVec::with_label_set(typed),
            named: CounterVec::with_label_set(NamedSet::new(ParaCord::default(), ParaCord::default())),
            gauge: FloatGauge::new(),
            histogram: Histogram::with_metadata(Thresholds::with_buckets(BOUNDS_S)),
        }
    }
}

#[derive(Clone, Copy, FixedCardinalityLabel)]
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

#[derive(Clone, Copy, FixedCardinalityLabel)]
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

#[derive(Clone, Copy, LabelGroup)]
#[label(set = TypedSet)]
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

#[derive(Clone, Copy, LabelGroup)]
#[label(set = NamedSet)]
struct Named<'a> {
    #[label(dynamic_with = ParaCord)]
    route: &'a str,
    #[label(dynamic_with = ParaCord)]
    outcome: &'a str,
}

#[derive(Clone, Copy, LabelGroup)]
#[label(set = UserSet)]
struct User<'a> {
    #[label(dynamic_with = ParaCord)]
    user: &'a str,
}

fn text(
    family: &CounterVec<UserSet>,
    encoder: &mut BufferedTextEncoder,
) -> impl AsRef<[u8]> + std::ops::Deref<Target = [u8]> + use<> {
    let Ok(()) = family.collect_family_into(MetricName::from_str("many"), encoder);
    encoder.finish()
}
