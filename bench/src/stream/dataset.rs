//! A service's metrics, ticking: a real registry whose series change as often as is asked for.

use tachograph_core::instrument::{Counter, Gauge, Histogram};
use tachograph_core::registry::{Collector, Descriptor, Registry};
use tachograph_core::snapshot::RegistrySnapshot;

use crate::random::Random;

/// Series a family.
pub const FAMILY_SERIES: usize = 100;
/// What a histogram counted before the first tick.
pub const HISTOGRAM_HISTORY: usize = 100;
/// The first tick, in Unix milliseconds.
pub const EPOCH_MS: u64 = 1_767_225_600_000;
const METHODS: [&str; 5] = ["GET", "PUT", "POST", "PATCH", "DELETE"];

/// Which kinds of series there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Of ten families seven of counters, two of gauges, one of histograms.
    Mixed,
    /// Of nine families seven of counters, two of gauges.
    Scalars,
    Counters,
    Gauges,
    Histograms,
}

impl Mix {
    /// Those that are measured in all sizes.
    pub const MAIN: [Self; 2] = [Self::Mixed, Self::Scalars];
    /// One kind each, to tell what a mixed figure is made of.
    pub const KINDS: [Self; 3] = [Self::Counters, Self::Gauges, Self::Histograms];

    pub fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::Scalars => "counters and gauges",
            Self::Counters => "counters only",
            Self::Gauges => "gauges only",
            Self::Histograms => "histograms only",
        }
    }
}

/// How much there is and how much of it changes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    pub mix: Mix,
    pub series: usize,
    /// The share of series that change each tick.
    pub churn: f64,
}

/// A series and how it changes.
enum Series {
    /// Grows by 1 to 20, such as requests.
    Slow(Counter),
    /// Grows by a log-normal amount with a median of 300, such as bytes.
    Fast(Counter),
    /// A whole number that walks by 1 to 5, such as a queue.
    Whole(Gauge, i64),
    /// Three decimals, walking by up to a half, such as a ratio or a load. In thousandths.
    Decimal(Gauge, i64),
    /// Any float, walking, such as a temperature.
    Float(Gauge, f64),
    /// Takes in one to four log-normal values with a median of 8.
    Times(Histogram),
}

impl Series {
    fn change(&mut self, random: &mut Random) {
        match self {
            Self::Slow(counter) => counter.add(1 + random.below(20)),
            Self::Fast(counter) => counter.add(random.log_normal(300.0, 1.0).ceil() as u64),
            Self::Whole(gauge, value) => {
                *value += step(random, 5);
                gauge.set(*value as f64);
            }
            Self::Decimal(gauge, thousandths) => {
                *thousandths += step(random, 500);
                gauge.set(*thousandths as f64 / 1e3);
            }
            Self::Float(gauge, value) => {
                *value += random.normal();
                gauge.set(*value);
            }
            Self::Times(histogram) => (0..=random.below(4)).for_each(|_| histogram.record(time(random))),
        }
    }

    /// As if it had run for a while.
    fn settle(&mut self, random: &mut Random) {
        match self {
            Self::Slow(counter) | Self::Fast(counter) => counter.add(random.log_normal(20_000.0, 2.0) as u64),
            Self::Times(histogram) => (0..HISTOGRAM_HISTORY).for_each(|_| histogram.record(time(random))),
            Self::Whole(..) | Self::Decimal(..) | Self::Float(..) => self.change(random),
        }
    }
}

/// A time in ms.
fn time(random: &mut Random) -> f64 {
    random.log_normal(8.0, 0.8)
}

/// From 1 to `most`, up or down: a change always changes something.
fn step(random: &mut Random, most: u64) -> i64 {
    let size = 1 + random.below(most) as i64;
    if random.happens(0.5) { size } else { -size }
}

/// A service.
pub struct Dataset {
    collector: Collector,
    series: Vec<Series>,
    random: Random,
    churn: f64,
    tick: u64,
}

impl Dataset {
    /// The same for the same shape; all series are there and have a past.
    pub fn new(shape: Shape) -> Self {
        let registry = Registry::with_series_limit(FAMILY_SERIES);
        let mut random = Random::new(0x7ac40);
        let families = shape.series.div_ceil(FAMILY_SERIES);
        let mut series: Vec<Series> = (0..families).flat_map(|number| family(&registry, shape.mix, number)).collect();
        series.truncate(shape.series);
        series.iter_mut().for_each(|series| series.settle(&mut random));
        Self { collector: registry.collector(), series, random, churn: shape.churn, tick: 0 }
    }

    /// Lets the share of the series change; what they are then, and its tick.
    pub fn tick(&mut self) -> (u64, &RegistrySnapshot) {
        for series in &mut self.series {
            if self.random.happens(self.churn) {
                series.change(&mut self.random);
            }
        }
        self.tick += 1;
        (self.tick, self.collector.collect(EPOCH_MS + self.tick * 1_000))
    }

    /// As many ticks, kept.
    pub fn ticks(&mut self, count: usize) -> Vec<RegistrySnapshot> {
        (0..count).map(|_| self.tick().1.clone()).collect()
    }
}

fn family(registry: &Registry, mix: Mix, number: usize) -> Vec<Series> {
    let part = format!("part_{number:04}");
    let place = number % if mix == Mix::Scalars { 9 } else { 10 };
    match (mix, place) {
        (Mix::Mixed | Mix::Scalars, 7 | 8) | (Mix::Gauges, _) => gauges(registry, &part),
        (Mix::Mixed, 9) | (Mix::Histograms, _) => histograms(registry, &part),
        _ => counters(registry, &part),
    }
}

fn counters(registry: &Registry, part: &str) -> Vec<Series> {
    let family = registry.counter(&labelled(&format!("{part}_requests_total"), "Requests that the part answered"));
    let family = family.expect("a family that is valid");
    let bind = |number| family.bind(&[("method", method(number)), ("route", &route(number))]).expect("room");
    let series = |number| if number % 2 == 0 { Series::Slow(bind(number)) } else { Series::Fast(bind(number)) };
    (0..FAMILY_SERIES).map(series).collect()
}

/// Of ten, five are whole numbers, three have decimals, two are any floats.
fn gauges(registry: &Registry, part: &str) -> Vec<Series> {
    let family = registry.gauge(&labelled(&format!("{part}_waiting"), "What waits in the part"));
    let family = family.expect("a family that is valid");
    let bind = |number| family.bind(&[("method", method(number)), ("route", &route(number))]).expect("room");
    let series = |number| match number % 10 {
        0..5 => Series::Whole(bind(number), 1_000),
        5..8 => Series::Decimal(bind(number), 20_000),
        _ => Series::Float(bind(number), 300.0),
    };
    (0..FAMILY_SERIES).map(series).collect()
}

fn histograms(registry: &Registry, part: &str) -> Vec<Series> {
    let descriptor = labelled(&format!("{part}_time_ms"), "Time that the part took to answer").unit("ms");
    let family = registry.histogram(&descriptor).expect("a family that is valid");
    let bind = |number| family.bind(&[("method", method(number)), ("route", &route(number))]).expect("room");
    (0..FAMILY_SERIES).map(|number| Series::Times(bind(number))).collect()
}

fn labelled(name: &str, help: &str) -> Descriptor {
    Descriptor::new(name, help).label("method").label("route")
}

fn method(number: usize) -> &'static str {
    METHODS[number % METHODS.len()]
}

fn route(number: usize) -> String {
    format!("/api/v1/things/{:02}", number / METHODS.len())
}
