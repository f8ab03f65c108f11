//! Instructions of a thousand operations, counted under valgrind, so that a thousandth of each figure
//! is one operation. Unlike times, they are the same on each run and can be limits.
//!
//! Needs valgrind and gungraun-runner of gungraun's version, which `make instructions` installs.

use std::hint::black_box;

use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};
use tachograph_core::registry::{Descriptor, Registry};

const OPERATIONS: usize = 1_000;
const SERIES: usize = 1_000;

/// The most instructions that a thousand operations, or the snapshot, may take: what was measured, and
/// a tenth more.
mod limit {
    pub const COUNTER_INC: u64 = 14_500;
    pub const ENUM_LABELLED: u64 = 26_500;
    pub const DYNAMIC_LABELS: u64 = 237_000;
    pub const GAUGE_SET: u64 = 17_700;
    pub const HISTOGRAM_RECORD: u64 = 51_000;
    pub const SNAPSHOT: u64 = 99_000;
}

tachograph_core::labels! {
    /// Where a request goes.
    pub enum Route {
        Home = "/",
        Users = "/users",
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

type Work = Box<dyn FnMut()>;

#[library_benchmark(setup = warm)]
#[bench::counter_inc(args = (counter_inc()), config = at_most(limit::COUNTER_INC))]
#[bench::enum_labelled(args = (enum_labelled()), config = at_most(limit::ENUM_LABELLED))]
#[bench::dynamic_labels(args = (dynamic_labels()), config = at_most(limit::DYNAMIC_LABELS))]
#[bench::gauge_set(args = (gauge_set()), config = at_most(limit::GAUGE_SET))]
#[bench::histogram_record(args = (histogram_record()), config = at_most(limit::HISTOGRAM_RECORD))]
#[bench::snapshot(args = (snapshot()), config = at_most(limit::SNAPSHOT))]
fn instructions(mut work: Work) -> Work {
    work();
    work
}

library_benchmark_group!(name = instruments, benchmarks = [instructions]);
main!(library_benchmark_groups = instruments);

fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(Callgrind::default().hard_limits([(EventKind::Ir, instructions)]));
    config
}

/// What happens once, such as a thread's first update, is not counted.
fn warm(mut work: Work) -> Work {
    work();
    work
}

fn counter_inc() -> Work {
    let family = registry().counter(&Descriptor::new("requests", "Requests served")).expect("a valid descriptor");
    let requests = family.bind(&[]).expect("no labels");
    thousand(move |_| black_box(&requests).inc())
}

fn enum_labelled() -> Work {
    let descriptor = Descriptor::new("requests_typed", "Requests served");
    let family = registry().counter_of::<Request>(&descriptor).expect("a valid descriptor");
    let requests = [
        Request { route: Route::Home, outcome: Outcome::Ok },
        Request { route: Route::Users, outcome: Outcome::Failed },
    ];
    thousand(move |index| family.at(&black_box(&requests)[index % 2]).inc())
}

fn dynamic_labels() -> Work {
    let descriptor = Descriptor::new("requests_by", "Requests served").label("route").label("outcome");
    let family = registry().counter(&descriptor).expect("a valid descriptor");
    let requests = [("/", "ok"), ("/users", "failed")];
    thousand(move |index| {
        let (route, outcome) = black_box(&requests)[index % 2];
        family.with(&[("route", route), ("outcome", outcome)]).expect("both labels").inc();
    })
}

fn gauge_set() -> Work {
    let family = registry().gauge(&Descriptor::new("depth", "Requests waiting")).expect("a valid descriptor");
    let depth = family.bind(&[]).expect("no labels");
    thousand(move |index| black_box(&depth).set(index as f64))
}

fn histogram_record() -> Work {
    let family =
        registry().histogram(&Descriptor::new("time", "Time to answer").unit("ms")).expect("a valid descriptor");
    let time = family.bind(&[]).expect("no labels");
    thousand(move |index| black_box(&time).record(0.125 + index as f64))
}

fn snapshot() -> Work {
    let registry = registry();
    let descriptor = Descriptor::new("many", "Many series").label("user");
    let family = registry.counter(&descriptor).expect("a valid descriptor");
    for index in 0..SERIES {
        family.with(&[("user", &format!("u{index:06}"))]).expect("its label").inc();
    }
    let mut collector = registry.collector();
    Box::new(move || {
        black_box(collector.collect(0));
    })
}

fn thousand(operation: impl Fn(usize) + 'static) -> Work {
    Box::new(move || (0..OPERATIONS).for_each(&operation))
}

/// For as long as the process lives.
fn registry() -> &'static Registry {
    Box::leak(Box::new(Registry::with_series_limit(200_000)))
}
