use tachograph_core::instrument::{Counter, Histogram};
use tachograph_core::registry::{Descriptor, Registry};
use tachograph_core::snapshot::HistogramSnapshot;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn counter() -> Counter {
    Registry::new().counter(&Descriptor::new("frames", "")).unwrap().bind(&[]).unwrap()
}

fn snapshot(registry: &Registry) -> HistogramSnapshot {
    registry.snapshot().histogram("size", &[]).unwrap().clone()
}

fn histogram(registry: &Registry) -> Histogram {
    let descriptor = Descriptor::new("size", "").bounds(&[10.0, 100.0]);
    registry.histogram(&descriptor).unwrap().bind(&[]).unwrap()
}

#[test]
fn a_counter_stays_at_its_maximum() {
    let counter = counter();
    counter.add(u64::MAX - 1);
    counter.add(5);
    assert_eq!(counter.value(), u64::MAX);
    counter.inc();
    assert_eq!(counter.value(), u64::MAX);
}

#[test]
fn clones_of_a_handle_count_into_the_same_series() {
    let counter = counter();
    counter.clone().add(2);
    counter.inc();
    assert_eq!(counter.value(), 3);
}

#[test]
fn a_gauge_refuses_and_counts_what_is_not_finite() {
    let registry = Registry::new();
    let gauge = registry.gauge(&Descriptor::new("depth", "")).unwrap().bind(&[]).unwrap();
    gauge.set(2.5);
    gauge.add(-4.0);
    [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].into_iter().for_each(|odd| gauge.set(odd));
    [f64::NAN, f64::INFINITY].into_iter().for_each(|odd| gauge.add(odd));
    assert_eq!(gauge.value(), -1.5);
    gauge.set(f64::MAX);
    gauge.add(f64::MAX);
    assert_eq!(gauge.value(), f64::MAX);
    assert_eq!(registry.refused_values(), 6);
    assert_eq!(registry.snapshot().refused_values, 6);
}

#[test]
fn a_histograms_bounds_are_inclusive_and_the_last_bucket_takes_the_rest() {
    let registry = Registry::new();
    let histogram = histogram(&registry);
    [-1.0, 10.0, 10.1, 100.0, 100.1, 1e9].into_iter().for_each(|value| histogram.record(value));
    let snapshot = snapshot(&registry);
    assert_eq!(snapshot.bounds(), [10.0, 100.0]);
    assert_eq!(snapshot.buckets(), [2, 2, 2]);
    assert_eq!(snapshot.count(), 6);
    assert_eq!(snapshot.sum(), -1.0 + 10.0 + 10.1 + 100.0 + 100.1 + 1e9);
}

#[test]
fn a_histogram_refuses_and_counts_what_is_not_finite() {
    let registry = Registry::new();
    let histogram = histogram(&registry);
    [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].into_iter().for_each(|odd| histogram.record(odd));
    assert_eq!(snapshot(&registry).count(), 0);
    assert_eq!(registry.refused_values(), 3);
}

#[test]
fn a_histograms_sum_stays_at_the_largest_float() {
    let registry = Registry::new();
    let histogram = histogram(&registry);
    [f64::MAX, f64::MAX].into_iter().for_each(|most| histogram.record(most));
    histogram.record(f64::INFINITY);
    assert_eq!((snapshot(&registry).count(), snapshot(&registry).sum()), (2, f64::MAX));
    assert_eq!(registry.refused_values(), 1);
}
