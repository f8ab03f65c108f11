use std::f64::consts::TAU;

use tachograph_core::instrument::{Counter, Gauge, Histogram};
use tachograph_core::registry::{Descriptor, Kind, Registry};

use super::families::{FAMILIES, Template};
use super::scenario::Conditions;
use crate::Failure;
use crate::chance::Chance;

/// Series that move in each second, and how often the others do: two of five move by turns.
const STEADY: f64 = 0.25;
const SELDOM: f64 = 0.2;
/// Traffic comes in waves of so many seconds, by so much.
const WAVE_SECONDS: f64 = 180.0;
const WAVE: f64 = 0.3;
/// How much series of one family differ.
const SIZE_SPREAD: f64 = 0.8;
const VALUE_SPREAD: f64 = 0.6;
const COUNT_SPREAD: f64 = 0.25;
/// By how much of its range a gauge moves at once.
const GAUGE_STEP: f64 = 0.06;

/// The series that are there beside the listener's own.
#[derive(Debug)]
pub(super) struct Metrics {
    series: Vec<Series>,
    chance: Chance,
}

#[derive(Debug)]
struct Series {
    /// How often it moves, by second.
    activity: f64,
    size: f64,
    /// Where in the wave it is.
    phase: f64,
    handle: Handle,
}

#[derive(Debug)]
enum Handle {
    Counter(Counter),
    Gauge { gauge: Gauge, share: f64 },
    Histogram { histogram: Histogram, median: f64 },
}

impl Metrics {
    /// Registers so many series.
    pub(super) fn register(registry: &Registry, series: usize, mut chance: Chance) -> Result<Self, Failure> {
        let weights: usize = FAMILIES.iter().map(|template| template.weight).sum();
        let (mut weight, mut held) = (0, Vec::with_capacity(series));
        for template in &FAMILIES {
            weight += template.weight;
            let first = held.len();
            for place in 0..series * weight / weights - first {
                held.push(Series::register(registry, template, place, &mut chance)?);
            }
        }
        Ok(Self { series: held, chance })
    }

    /// Moves the series on by a second.
    pub(super) fn run_second(&mut self, second: u64, conditions: &Conditions) {
        for series in &mut self.series {
            if self.chance.happens(series.activity) {
                series.run(second, conditions, &mut self.chance);
            }
        }
    }
}

impl Series {
    fn register(registry: &Registry, template: &Template, place: usize, chance: &mut Chance) -> Result<Self, Failure> {
        let described = Descriptor::new(template.name, template.help).unit(template.unit);
        let described = template.labels.iter().fold(described, |described, label| described.label(label.name));
        let values = label_values(template, place);
        let labels: Vec<_> = template.labels.iter().map(|label| label.name).zip(values.iter().map(|v| &**v)).collect();
        let handle = match template.kind {
            Kind::Counter => Handle::Counter(registry.counter(&described)?.bind(&labels)?),
            Kind::Gauge => {
                let (gauge, share) = (registry.gauge(&described)?.bind(&labels)?, chance.between(0.2, 0.6));
                gauge.set(shown(template.size, share));
                Handle::Gauge { gauge, share }
            }
            Kind::Histogram => {
                let median = template.median * chance.log_normal(VALUE_SPREAD);
                Handle::Histogram { histogram: registry.histogram(&described)?.bind(&labels)?, median }
            }
        };
        let spread = if template.kind == Kind::Gauge { 1.0 } else { chance.log_normal(SIZE_SPREAD) };
        Ok(Self {
            activity: if chance.happens(STEADY) { 1.0 } else { SELDOM },
            size: template.size * spread,
            phase: chance.between(0.0, TAU),
            handle,
        })
    }

    fn run(&mut self, second: u64, conditions: &Conditions, chance: &mut Chance) {
        let wave = 1.0 + WAVE * (second as f64 * TAU / WAVE_SECONDS + self.phase).sin();
        let count = (self.size * wave * chance.log_normal(COUNT_SPREAD)).ceil() as u64;
        match &mut self.handle {
            Handle::Counter(counter) => counter.add(count),
            Handle::Gauge { gauge, share } => {
                *share = (*share + chance.between(-GAUGE_STEP, GAUGE_STEP)).clamp(0.0, 1.0);
                gauge.set(shown(self.size, *share * conditions.strain.sqrt()));
            }
            Handle::Histogram { histogram, median } => {
                for _ in 0..count {
                    histogram.record(*median * conditions.strain * chance.log_normal(VALUE_SPREAD));
                }
            }
        }
    }
}

/// So much of a gauge's range: whole where that is many, else with two decimals.
fn shown(range: f64, share: f64) -> f64 {
    let value = range * share.min(1.0);
    if range > 1.0 { value.round() } else { (value * 100.0).round() / 100.0 }
}

/// The values of the family's series at this place; the first label's get a number once all were used.
fn label_values(template: &Template, place: usize) -> Vec<String> {
    let (mut rest, mut values) = (place, Vec::new());
    for label in template.labels {
        values.push(label.values[rest % label.values.len()].to_owned());
        rest /= label.values.len();
    }
    if let Some(first) = values.first_mut().filter(|_| rest > 0) {
        first.push_str(&format!("-{rest}"));
    }
    values
}
