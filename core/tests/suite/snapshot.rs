use tachograph_core::registry::{Aggregation, Descriptor, Registry, SelfMetrics};
use tachograph_core::snapshot::{ExactSum, FamilySnapshot, HistogramSnapshot, MergeError, RegistrySnapshot};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const AGGREGATIONS: [Aggregation; 4] = [Aggregation::Sum, Aggregation::Max, Aggregation::Min, Aggregation::Last];

fn gauge_of(aggregation: Aggregation, figure: f64, at: u64) -> RegistrySnapshot {
    let registry = Registry::new();
    let descriptor = Descriptor::new("figure", "").aggregation(aggregation);
    registry.gauge(&descriptor).unwrap().with(&[]).unwrap().set(figure);
    let mut collector = registry.collector();
    collector.collect(at);
    collector.into_snapshot()
}

fn counter_of(source: &str, amount: u64) -> RegistrySnapshot {
    let registry = Registry::new();
    let family = registry.counter(&Descriptor::new("frames", "").label("source")).unwrap();
    family.with(&[("source", source)]).unwrap().add(amount);
    registry.snapshot()
}

fn histogram_of(values: &[f64], bounds: &[f64], scale: u8) -> RegistrySnapshot {
    let registry = Registry::new();
    let descriptor = Descriptor::new("time", "").bounds(bounds).scale(scale);
    let family = registry.histogram(&descriptor).unwrap();
    let time = family.with(&[]).unwrap();
    values.iter().for_each(|value| time.record(*value));
    registry.snapshot()
}

fn histogram(snapshot: &RegistrySnapshot) -> &HistogramSnapshot {
    snapshot.histogram("time", &[]).unwrap()
}

fn merged(mut one: RegistrySnapshot, other: &RegistrySnapshot) -> RegistrySnapshot {
    one.merge(other).unwrap();
    one
}

#[test]
fn counters_add_up_and_stay_at_the_maximum() {
    let both = merged(counter_of("mic", 2), &counter_of("mic", 3));
    assert_eq!(both.counter("frames", &[("source", "mic")]), Some(5));
    let most = merged(counter_of("mic", u64::MAX), &counter_of("mic", 3));
    assert_eq!(most.counter("frames", &[("source", "mic")]), Some(u64::MAX));
}

#[test]
fn what_only_one_side_has_is_kept_in_order() {
    let both = merged(counter_of("mic", 2), &counter_of("app", 3));
    let both = merged(both, &histogram_of(&[1.0], &[], 6));
    assert_eq!(both.counter("frames", &[("source", "app")]), Some(3));
    assert_eq!(both.counter("frames", &[("source", "mic")]), Some(2));
    let sources: Vec<_> = both.family("frames").unwrap().series.iter().flat_map(|s| s.labels.iter()).collect();
    assert_eq!(sources, ["app", "mic"]);
    assert_eq!(both.families.iter().map(FamilySnapshot::name).collect::<Vec<_>>(), ["frames", "time"]);
    assert_eq!(both.series, 3);
}

#[test]
fn gauges_of_two_machines_become_one_as_their_descriptor_says() {
    for (aggregation, figure) in AGGREGATIONS.into_iter().zip([3.5, 5.0, -1.5, -1.5]) {
        let both = merged(gauge_of(aggregation, 5.0, 1_000), &gauge_of(aggregation, -1.5, 2_000));
        assert_eq!(both.gauge("figure", &[]), Some(figure), "{aggregation:?}");
    }
}

#[test]
fn the_newest_gauge_counts_in_any_order_also_after_a_trip_as_json() {
    let sent = |snapshot: &RegistrySnapshot| -> RegistrySnapshot {
        serde_json::from_str(&serde_json::to_string(snapshot).unwrap()).unwrap()
    };
    let [old, middle, new] =
        [(1.0, 1_000), (2.0, 2_000), (3.0, 3_000)].map(|(figure, at)| sent(&gauge_of(Aggregation::Last, figure, at)));
    for [a, b, c] in [[&old, &middle, &new], [&new, &middle, &old], [&middle, &new, &old]] {
        let all = merged(merged(a.clone(), b), c);
        assert_eq!((all.gauge("figure", &[]), all.at), (Some(3.0), 3_000));
    }
}

#[test]
fn what_does_not_go_together_is_refused_and_changes_nothing() {
    let refused = |one: RegistrySnapshot, other: &RegistrySnapshot| {
        let mut changed = one.clone();
        let error = changed.merge(other).unwrap_err();
        assert_eq!(changed, one);
        error
    };
    let named = |descriptor: Descriptor| {
        let registry = Registry::new();
        registry.gauge(&descriptor).unwrap();
        registry.counter(&Descriptor::new("a_first", "")).unwrap().with(&[]).unwrap().inc();
        registry.snapshot()
    };
    let plain = || Descriptor::new("figure", "");
    for other in [plain().unit("s"), plain().label("source"), plain().aggregation(Aggregation::Max)] {
        assert_eq!(refused(named(plain()), &named(other)), MergeError::Family);
    }
    let counter = Registry::new();
    counter.counter(&plain()).unwrap();
    assert_eq!(refused(named(plain()), &counter.snapshot()), MergeError::Family);
    let bounds = refused(histogram_of(&[1.0], &[2.0], 6), &histogram_of(&[1.0], &[3.0], 6));
    assert_eq!(bounds, MergeError::Bounds);
}

#[test]
fn the_difference_is_what_happened_between() {
    let registry = Registry::new();
    let frames = registry.counter(&Descriptor::new("frames", "").label("source")).unwrap();
    let time = registry.histogram(&Descriptor::new("time", "").bounds(&[10.0])).unwrap().bind(&[]).unwrap();
    let depth = registry.gauge(&Descriptor::new("depth", "")).unwrap().bind(&[]).unwrap();
    let all = |amount: u64, value: f64| {
        frames.with(&[("source", "mic")]).unwrap().add(amount);
        time.record(value);
        depth.set(value);
        time.record(f64::NAN);
    };
    all(3, 5.0);
    let before = registry.snapshot();
    all(4, 50.0);
    frames.with(&[("source", "new")]).unwrap().inc();
    let since = registry.snapshot().since(&before).unwrap();
    assert_eq!(since.counter("frames", &[("source", "mic")]), Some(4));
    assert_eq!(since.counter("frames", &[("source", "new")]), Some(1));
    assert_eq!(since.gauge("depth", &[]), Some(50.0));
    assert_eq!(since.refused_values, 1);
    let time = histogram(&since);
    assert_eq!((time.count(), time.sum(), time.buckets()), (1, 50.0, &[0, 1][..]));
    assert_eq!(time.positive().len(), 1);
}

#[test]
fn an_earlier_snapshot_that_counted_more_is_refused() {
    let [few, many] = [2, 3].map(|amount| counter_of("mic", amount));
    assert_eq!(few.since(&many).err(), Some(MergeError::WentBack));
    let [few, many] = [&[1.0][..], &[1.0, 2.0]].map(|values| histogram_of(values, &[], 6));
    assert_eq!(few.since(&many).err(), Some(MergeError::WentBack));
}

#[test]
fn a_coarser_scale_joins_neighbours_and_keeps_every_count() {
    let values: Vec<f64> = (1..=2_000).map(|value| f64::from(value) * 0.01).chain([-3.0, -3.01, 0.0]).collect();
    let fine = histogram_of(&values, &[5.0], 6);
    for scale in (0..6).rev() {
        let coarse = histogram_of(&values, &[5.0], scale);
        let mut joined = histogram(&fine).clone();
        joined.coarsen(scale);
        assert_eq!(joined, *histogram(&coarse));
        assert_eq!((joined.scale(), joined.count()), (scale, 2_003));
        let error =
            (2_f64.powf(0.5_f64.powi(i32::from(scale))) - 1.0) / (2_f64.powf(0.5_f64.powi(i32::from(scale))) + 1.0);
        let truth = 10.0;
        assert!((joined.quantile(0.5) - truth).abs() <= (error + 0.001) * truth, "{scale}: {}", joined.quantile(0.5));
    }
}

#[test]
fn histograms_of_two_scales_merge_at_the_coarser() {
    let (fine, coarse) = (histogram_of(&[1.1, 2.2, -3.3], &[], 6), histogram_of(&[1.1, 40.0], &[], 2));
    let both = merged(fine.clone(), &coarse);
    assert_eq!(histogram(&both), histogram(&merged(coarse, &fine)));
    assert_eq!((histogram(&both).scale(), histogram(&both).count()), (2, 5));
}

#[test]
fn buckets_are_numbered_as_opentelemetry_does() {
    let index = |value: f64| histogram(&histogram_of(&[value], &[], 6)).positive()[0].0;
    assert_eq!([index(1.0), index(1.0 + f64::EPSILON), index(2.0), index(4.0), index(0.5)], [-1, 0, 63, 127, -65]);
    let negative = histogram_of(&[-2.0], &[], 6);
    assert_eq!(histogram(&negative).negative(), [(63, 1)]);
    let zeros = histogram_of(&[0.0, -0.0, f64::MIN_POSITIVE / 2.0, -f64::MIN_POSITIVE / 4.0], &[], 6);
    assert_eq!((histogram(&zeros).zero(), histogram(&zeros).count()), (4, 4));
    assert_eq!(histogram(&histogram_of(&[f64::MAX], &[], 6)).positive(), [(1024 * 64 - 1, 1)]);
}

#[test]
fn a_snapshot_survives_a_trip_as_json() {
    let registry = Registry::new();
    let counter = registry.counter(&Descriptor::new("frames", "Frames").unit("frames").label("b").label("a")).unwrap();
    counter.with(&[("a", "\"ä\n"), ("b", "")]).unwrap().add(7);
    let time = Descriptor::new("time", "Time").unit("ms").bounds(&[0.5, 10.0]).scale(4);
    let time = registry.histogram(&time).unwrap().bind(&[]).unwrap();
    [-2.0, 0.0, 0.125, 0.375, 1e9].into_iter().for_each(|value| time.record(value));
    let lag = Descriptor::new("lag", "").aggregation(Aggregation::Min);
    registry.gauge(&lag).unwrap().with(&[]).unwrap().set(-0.25);
    let mut collector = registry.collector();
    let snapshot = collector.collect(1_767_225_600_123);
    let text = serde_json::to_string(snapshot).unwrap();
    let read: RegistrySnapshot = serde_json::from_str(&text).unwrap();
    assert_eq!(read.families.len(), 3);
    assert_eq!(read.counter("frames", &[("a", "\"ä\n"), ("b", "")]), Some(7));
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
    assert_eq!(read.histogram("time", &[]).unwrap().buckets(), [4, 0, 1]);
}

#[test]
fn collecting_into_the_same_memory_is_a_fresh_snapshot() {
    let registry = Registry::with_series_limit(3);
    let mut collector = registry.collector();
    let mut same = || {
        let mut fresh = registry.snapshot();
        let again = collector.collect(0);
        fresh.bytes_held = again.bytes_held;
        assert_eq!(*again, fresh);
    };
    same();
    let frames = registry.counter(&Descriptor::new("frames", "").label("source")).unwrap();
    same();
    for source in ["m", "a", "z", "full", "more"] {
        frames.with(&[("source", source)]).unwrap().add(2);
        same();
    }
    let time = registry.histogram(&Descriptor::new("a_time", "").bounds(&[1.0])).unwrap().bind(&[]).unwrap();
    for value in [3.0, 0.5, 70.0, -1.0] {
        time.record(value);
        same();
    }
    registry.gauge(&Descriptor::new("depth", "")).unwrap().with(&[]).unwrap().set(1.0);
    same();
}

#[test]
fn an_exact_sum_does_not_round() {
    let mut sum = ExactSum::default();
    sum.add_all([1e300, 1.0, -1e300, 1e-300, f64::NAN, f64::INFINITY]);
    assert_eq!(sum.value(), 1.0);
    sum.add(-1.0);
    assert_eq!(sum, ExactSum::from(1e-300));
    sum.add_all([f64::MAX, f64::MAX]);
    assert_eq!(sum.value(), f64::MAX);
    sum.add_all([-f64::MAX, -f64::MAX, -1e-300]);
    assert_eq!(sum, ExactSum::default());
    let mut tenths = ExactSum::default();
    tenths.add_all([0.1; 10]);
    assert_eq!(tenths.value(), 1.0);
    let mut least = ExactSum::from(f64::from_bits(1));
    least.add_all([1.0, -1.0]);
    assert_eq!(least.value(), f64::from_bits(1));
}

#[test]
fn an_exact_sum_rounds_to_the_nearest_float_ties_to_even() {
    let of = |values: &[f64]| {
        let mut sum = ExactSum::default();
        sum.add_all(values.iter().copied());
        sum.value()
    };
    let half = f64::EPSILON / 2.0;
    assert_eq!(of(&[1.0, half]), 1.0);
    assert_eq!(of(&[1.0, half, 1e-300]), 1.0 + f64::EPSILON);
    assert_eq!(of(&[1.0 + f64::EPSILON, half]), 1.0 + 2.0 * f64::EPSILON);
    assert_eq!(of(&[-1.0, -half, -1e-300]), -1.0 - f64::EPSILON);
    assert_eq!(of(&[2.0 - f64::EPSILON, half, 1e-300]), 2.0);
}

#[test]
fn the_registry_tells_of_itself() {
    let registry = Registry::with_series_limit(1);
    let own = SelfMetrics::register(&registry).unwrap();
    let frames = registry.counter(&Descriptor::new("frames", "").label("source")).unwrap();
    ["a", "b", "c"].into_iter().for_each(|source| frames.with(&[("source", source)]).unwrap().inc());
    registry.gauge(&Descriptor::new("depth", "")).unwrap().with(&[]).unwrap().set(f64::NAN);
    let told = |name: &str| registry.snapshot().gauge(name, &[]);
    (0..2).for_each(|_| own.update(&registry.snapshot()));
    assert_eq!(told("tachograph_registry_series"), Some(9.0));
    assert!(told("tachograph_registry_bytes").unwrap() > 1_000.0);
    let counted = |name: &str| registry.snapshot().counter(name, &[]);
    assert_eq!(counted("tachograph_registry_overflowed_series"), Some(2));
    assert_eq!(counted("tachograph_registry_refused_values"), Some(1));
}

#[test]
fn the_bytes_held_grow_with_the_series() {
    let registry = Registry::new();
    let family = registry.counter(&Descriptor::new("frames", "").label("source")).unwrap();
    let before = registry.snapshot().bytes_held;
    (0..1_000).for_each(|source: u32| family.with(&[("source", &source.to_string())]).unwrap().inc());
    let each = (registry.snapshot().bytes_held - before) as f64 / 1_000.0;
    assert!((30.0..100.0).contains(&each), "{each} bytes a series");
}
