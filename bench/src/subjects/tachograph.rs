//! Tachograph itself.

use std::hint::black_box;

use tachograph_core::exposition::{Format, Page};
use tachograph_core::instrument::{Counter, Gauge, Histogram};
use tachograph_core::registry::{Descriptor, Registry};

use super::{
    LABELS, Operation, QUANTILES, Role, SeriesSet, Site, Subject, Text, Worker, each_user, each_value, in_turn, repeat,
};
use crate::values::MS;

tachograph_core::labels! {
    /// Where a request goes.
    pub enum Route {
        Home = "/",
        Login = "/login",
        Logout = "/logout",
        Search = "/search",
        Users = "/users",
        Orders = "/orders",
        Items = "/orders/items",
        Health = "/health",
    }
}

tachograph_core::labels! {
    /// How it ends.
    pub enum Outcome {
        Ok = "ok",
        Failed = "failed",
    }
}

tachograph_core::labels! {
    /// What a request is counted by.
    pub struct Request {
        route: Route,
        outcome: Outcome,
    }
}

pub struct Tachograph {
    /// For as long as the process lives, as in a program that registers its metrics once.
    registry: &'static Registry,
}

impl Tachograph {
    pub fn new() -> Self {
        Self { registry: registry() }
    }

    fn counter(&self, name: &str) -> Counter {
        let family = self.registry.counter(&Descriptor::new(name, "Requests served")).expect("a valid descriptor");
        family.bind(&[]).expect("no labels")
    }

    fn counters_in_turn(&self, series: usize) -> [Counter; 8] {
        std::array::from_fn(|index| self.counter(&format!("requests_{series}_{index}")))
    }

    fn bound(&self, series: usize) -> Counter {
        let (route, outcome) = LABELS[0];
        let family = self.registry.counter(&labelled(series)).expect("a valid descriptor");
        family.bind(&[("route", route), ("outcome", outcome)]).expect("both labels")
    }

    fn gauge(&self, series: usize) -> Gauge {
        let descriptor = Descriptor::new(&format!("depth_{series}"), "Requests waiting");
        self.registry.gauge(&descriptor).expect("a valid descriptor").bind(&[]).expect("no labels")
    }

    fn histogram(&self, series: usize) -> Histogram {
        let descriptor = Descriptor::new(&format!("time_{series}"), "Time to answer").unit("ms");
        self.registry.histogram(&descriptor).expect("a valid descriptor").bind(&[]).expect("no labels")
    }

    fn by_enum(&self, series: usize) -> Worker {
        let descriptor = Descriptor::new(&format!("requests_typed_{series}"), "Requests served");
        let family = self.registry.counter_of::<Request>(&descriptor).expect("a valid descriptor");
        let requests = requests();
        Box::new(move |iterations| in_turn(&requests, iterations, |request| family.at(request).inc()))
    }

    fn by_strings(&self, series: usize) -> Worker {
        let family = self.registry.counter(&labelled(series)).expect("a valid descriptor");
        Box::new(move |iterations| {
            in_turn(&LABELS, iterations, |&(route, outcome)| {
                family.with(&[("route", route), ("outcome", outcome)]).expect("both labels").inc();
            });
        })
    }
}

impl Subject for Tachograph {
    fn name(&self) -> &'static str {
        "Tachograph"
    }

    fn role(&self) -> Role {
        Role::Reference
    }

    fn package(&self) -> Option<&'static str> {
        Some("tachograph-core")
    }

    fn worker(&self, operation: Operation, site: Site) -> Option<Worker> {
        Some(match operation {
            Operation::CounterInc => {
                let counter = self.counter(&format!("requests_{}_0", site.series));
                Box::new(move |iterations| repeat(&counter, iterations, Counter::inc))
            }
            Operation::CounterInTurn => {
                let counters = self.counters_in_turn(site.series);
                Box::new(move |iterations| in_turn(&counters, iterations, Counter::inc))
            }
            Operation::BoundLabelled => {
                let bound = self.bound(site.series);
                Box::new(move |iterations| repeat(&bound, iterations, Counter::inc))
            }
            Operation::EnumLabelled => self.by_enum(site.series),
            Operation::DynamicLabels => self.by_strings(site.series),
            Operation::GaugeSet => {
                let gauge = self.gauge(site.series);
                Box::new(move |iterations| {
                    each_value(&mut &gauge, &MS, iterations, |gauge, value| gauge.set(value));
                })
            }
            Operation::HistogramRecord => {
                let histogram = self.histogram(site.series);
                Box::new(move |iterations| {
                    each_value(&mut &histogram, &MS, iterations, |histogram, value| histogram.record(value));
                })
            }
        })
    }

    fn counters(&self, count: usize) -> Option<SeriesSet> {
        let registry = registry();
        let descriptor = Descriptor::new("many", "Many series").label("user");
        let family = registry.counter(&descriptor).expect("a valid descriptor");
        let mut collector = registry.collector();
        let mut second = registry.collector();
        let [mut text, mut protobuf] = [Vec::new(), Vec::new()];
        Some(SeriesSet {
            touch: Box::new(move || {
                each_user(count, |user| family.with(&[("user", user)]).expect("its label").inc());
            }),
            snapshot: Box::new(move || {
                black_box(collector.collect(0));
            }),
            holds: Box::new(move |user| second.collect(0).counter("many", &[("user", user)]).is_some()),
            means: "`Collector::collect`, which reuses its buffers",
            text: Text::Own(Box::new(move || write(registry, Format::OpenMetrics, &mut text))),
            protobuf: Some(Box::new(move || write(registry, Format::Protobuf, &mut protobuf))),
            shared: true,
        })
    }

    fn histograms(&self, count: usize, values: Vec<f64>) -> Option<SeriesSet> {
        let descriptor = Descriptor::new("many", "Many series").label("user").unit("ms");
        let family = registry().histogram(&descriptor).expect("a valid descriptor");
        Some(SeriesSet::written(move || {
            each_user(count, |user| {
                let histogram = family.with(&[("user", user)]).expect("its label");
                values.iter().for_each(|ms| histogram.record(*ms));
            });
        }))
    }

    fn quantiles(&self, values: &[f64]) -> Option<[f64; 4]> {
        let registry = registry();
        let descriptor = Descriptor::new("time", "Time to answer").unit("ms");
        let histogram = registry.histogram(&descriptor).expect("a valid descriptor").bind(&[]).expect("no labels");
        values.iter().for_each(|ms| histogram.record(*ms));
        let mut collector = registry.collector();
        let snapshot = collector.collect(0);
        Some(QUANTILES.map(|q| snapshot.histogram("time", &[]).map_or(f64::NAN, |times| times.quantile(q))))
    }
}

fn registry() -> &'static Registry {
    Box::leak(Box::new(Registry::with_series_limit(200_000)))
}

fn labelled(series: usize) -> Descriptor {
    Descriptor::new(&format!("requests_by_{series}"), "Requests served").label("route").label("outcome")
}

/// The label values of [`LABELS`].
fn requests() -> [Request; 8] {
    [
        Request { route: Route::Home, outcome: Outcome::Ok },
        Request { route: Route::Login, outcome: Outcome::Failed },
        Request { route: Route::Logout, outcome: Outcome::Ok },
        Request { route: Route::Search, outcome: Outcome::Failed },
        Request { route: Route::Users, outcome: Outcome::Ok },
        Request { route: Route::Orders, outcome: Outcome::Failed },
        Request { route: Route::Items, outcome: Outcome::Ok },
        Request { route: Route::Health, outcome: Outcome::Failed },
    ]
}

/// Piece by piece, as the server does.
fn write(registry: &Registry, format: Format, out: &mut Vec<u8>) {
    const PIECE_BYTES: usize = 64 * 1024;
    let mut page = Page::new(registry, format, 0);
    let mut has_more = true;
    while has_more {
        out.clear();
        has_more = page.write(out, PIECE_BYTES);
        black_box(&out);
    }
}
