//! What of each series was told already.

use std::collections::HashMap;

use tachograph_core::label::LabelValues;
use tachograph_core::registry::Walked;
use tachograph_core::snapshot::{HistogramSnapshot, Value};

/// What was cut into deltas: one entry a series, so that the registry's limit on series bounds it.
#[derive(Debug, Default)]
pub(super) struct Ledger(HashMap<String, HashMap<LabelValues, Told>>);

#[derive(Debug)]
struct Told {
    value: Value,
    /// Unix nanoseconds.
    until: u64,
}

/// What a series recorded since it was last told, and since when.
#[derive(Debug, PartialEq)]
pub(super) struct Delta {
    pub(super) value: Value,
    /// Unix nanoseconds; none for a series that is new.
    pub(super) start: Option<u64>,
}

impl Ledger {
    /// Takes note of all that a series of counts recorded until `now`, and returns what of it is new; nothing
    /// where there is none, but for a series of which nothing was told yet.
    pub(super) fn take(&mut self, series: &Walked<'_>, now: u64) -> Option<Delta> {
        if !self.0.contains_key(series.descriptor.name()) {
            self.0.insert(series.descriptor.name().into(), HashMap::new());
        }
        let family = self.0.get_mut(series.descriptor.name())?;
        let Some(told) = family.get_mut(series.labels) else {
            family.insert(series.labels.clone(), Told { value: series.value.clone(), until: now });
            return Some(Delta { value: series.value.clone(), start: None });
        };
        // A thread that is just ending can be read with less than before; it is told when it is there again.
        let value = since(series.value, &told.value)?;
        let start = Some(std::mem::replace(&mut told.until, now));
        if is_nothing(&value) {
            return None;
        }
        told.value = series.value.clone();
        Some(Delta { value, start })
    }
}

fn since(now: &Value, told: &Value) -> Option<Value> {
    match (now, told) {
        (Value::Counter(now), Value::Counter(told)) => now.checked_sub(*told).map(Value::Counter),
        (Value::Histogram(now), Value::Histogram(told)) => histogram_since(now, told),
        _ => None,
    }
}

fn histogram_since(now: &HistogramSnapshot, told: &HistogramSnapshot) -> Option<Value> {
    now.since(told).ok().map(|since| Value::Histogram(Box::new(since)))
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Counter(count) => *count == 0,
        Value::Histogram(histogram) => histogram.count() == 0,
        Value::Gauge(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use tachograph_core::registry::{Descriptor, Registry};

    use super::*;

    #[test]
    fn deltas_add_up_to_the_total() {
        let registry = Registry::new();
        let served = registry.counter(&Descriptor::new("served", "Served").label("by")).unwrap();
        let times = registry.histogram(&Descriptor::new("times", "Times")).unwrap();
        let mut ledger = Ledger::default();
        let (mut counted, mut merged) = (0, HistogramSnapshot::default());
        merged.merge(&HistogramSnapshot::default()).unwrap();
        for now in 1..=20_u64 {
            served.with(&[("by", "one")]).unwrap().add(now);
            (0..now).for_each(|value| times.with(&[]).unwrap().record(value as f64 * 1.7));
            let mut walk = registry.walk(0);
            while let Some(series) = walk.next() {
                let delta = ledger.take(&series, now).unwrap();
                assert_eq!(delta.start, now.checked_sub(1).filter(|start| *start > 0));
                match &delta.value {
                    Value::Counter(count) => counted += count,
                    Value::Histogram(histogram) if now == 1 => merged = (**histogram).clone(),
                    Value::Histogram(histogram) => merged.merge(histogram).unwrap(),
                    Value::Gauge(_) => panic!("there is none"),
                }
            }
        }
        let snapshot = registry.snapshot();
        assert_eq!(Some(counted), snapshot.counter("served", &[("by", "one")]));
        let total = snapshot.histogram("times", &[]).unwrap();
        assert_eq!((merged.positive(), merged.zero()), (total.positive(), total.zero()));
        assert!((merged.sum() - total.sum()).abs() < 1e-9);
    }

    #[test]
    fn what_stands_still_is_told_once() {
        let registry = Registry::new();
        let served = registry.counter(&Descriptor::new("served", "Served")).unwrap().bind(&[]).unwrap();
        let mut ledger = Ledger::default();
        let mut take = |now| ledger.take(&registry.walk(0).next().unwrap(), now);
        assert_eq!(take(1), Some(Delta { value: Value::Counter(0), start: None }), "so that it is known");
        assert_eq!((take(2), take(3)), (None, None));
        served.inc();
        assert_eq!(take(4), Some(Delta { value: Value::Counter(1), start: Some(3) }));
    }
}
