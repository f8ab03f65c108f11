use tachograph_core::registry::{Aggregation, Descriptor, Kind, LabelError, OVERFLOW, RegisterError, Registry};
use tachograph_core::snapshot::{RegistrySnapshot, Value};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn plain(name: &str) -> Descriptor {
    Descriptor::new(name, "help")
}

#[test]
fn a_name_is_a_word_that_does_not_begin_with_a_digit() {
    let registry = Registry::new();
    for name in ["", "1st", "a-b", "a b", "ä", "a.b", "a:b"] {
        assert_eq!(registry.counter(&plain(name)).err(), Some(RegisterError::InvalidName), "{name}");
        let label = plain("ok").label(name);
        assert_eq!(registry.counter(&label).err(), Some(RegisterError::InvalidLabel), "{name}");
    }
    for name in ["__name__", "__"] {
        assert_eq!(registry.counter(&plain("ok").label(name)).err(), Some(RegisterError::InvalidLabel), "{name}");
        assert!(registry.counter(&plain(name)).is_ok(), "{name}");
    }
    for name in ["a", "_", "A1_b"] {
        assert!(registry.counter(&plain(name).label(name)).is_ok(), "{name}");
    }
}

#[test]
fn a_label_is_named_once() {
    let twice = plain("frames").label("source").label("kind").label("source");
    assert_eq!(Registry::new().counter(&twice).err(), Some(RegisterError::DuplicateLabel));
}

#[test]
fn a_histograms_bounds_are_finite_and_ascending() {
    let registry = Registry::new();
    let bad: [&[f64]; 5] = [&[2.0, 1.0], &[1.0, 1.0], &[f64::NAN], &[1.0, f64::INFINITY], &[1.0, f64::NAN, 2.0]];
    for bounds in bad {
        let histogram = registry.histogram(&plain("time").bounds(bounds));
        assert_eq!(histogram.err(), Some(RegisterError::InvalidBounds), "{bounds:?}");
    }
    registry.histogram(&plain("time").bounds(&[1.0])).unwrap();
    registry.histogram(&plain("size")).unwrap();
}

#[test]
fn counters_and_gauges_have_no_bounds() {
    let bounded = plain("frames").bounds(&[1.0]);
    assert_eq!(Registry::new().counter(&bounded).err(), Some(RegisterError::InvalidBounds));
    assert_eq!(Registry::new().gauge(&bounded).err(), Some(RegisterError::InvalidBounds));
}

#[test]
fn a_name_belongs_to_one_description_of_one_kind() {
    let registry = Registry::new();
    let first = plain("frames").unit("frames").label("source");
    registry.counter(&first).unwrap().with(&[("source", "mic")]).unwrap().inc();
    let others = [
        first.clone().label("kind"),
        first.clone().unit("bytes"),
        plain("frames").unit("frames"),
        Descriptor::new("frames", "other").unit("frames").label("source"),
    ];
    for other in others {
        assert_eq!(registry.counter(&other).err(), Some(RegisterError::Conflict));
    }
    assert_eq!(registry.gauge(&first).err(), Some(RegisterError::Conflict));
    registry.counter(&first).unwrap().with(&[("source", "mic")]).unwrap().inc();
    assert_eq!(registry.snapshot().counter("frames", &[("source", "mic")]), Some(2));
}

#[test]
fn a_refused_description_leaves_no_trace() {
    let registry = Registry::new();
    registry.counter(&plain("frames").bounds(&[1.0])).unwrap_err();
    assert_eq!(registry.snapshot(), RegistrySnapshot::default());
}

#[test]
fn registries_do_not_mix_and_clones_of_one_are_the_same() {
    let (one, other) = (Registry::new(), Registry::new());
    one.clone().counter(&plain("frames")).unwrap().with(&[]).unwrap().inc();
    assert_eq!(one.snapshot().counter("frames", &[]), Some(1));
    assert_eq!(other.snapshot().counter("frames", &[]), None);
}

#[test]
fn a_series_needs_exactly_the_labels_of_its_family() {
    let family = Registry::new().counter(&plain("frames").label("source").label("kind")).unwrap();
    let missing: [&[(&str, &str)]; 3] = [&[], &[("source", "a")], &[("source", "a"), ("source", "b")]];
    let unknown: [&[(&str, &str)]; 2] =
        [&[("source", "a"), ("kind", "b"), ("x", "c")], &[("source", "a"), ("kind", "b"), ("kind", "c")]];
    missing
        .into_iter()
        .for_each(|labels| assert_eq!(family.with(labels).err(), Some(LabelError::Missing), "{labels:?}"));
    unknown
        .into_iter()
        .for_each(|labels| assert_eq!(family.with(labels).err(), Some(LabelError::Unknown), "{labels:?}"));
    let bare = Registry::new().counter(&plain("frames")).unwrap();
    assert_eq!(bare.with(&[("source", "a")]).err(), Some(LabelError::Unknown));
}

#[test]
fn the_order_of_labels_does_not_matter() {
    let registry = Registry::new();
    let family = registry.counter(&plain("frames").label("z").label("a")).unwrap();
    family.with(&[("z", "1"), ("a", "2")]).unwrap().inc();
    family.with(&[("a", "2"), ("z", "1")]).unwrap().inc();
    family.with(&[("z", "2"), ("a", "1")]).unwrap().inc();
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.counter("frames", &[("a", "2"), ("z", "1")]), Some(2));
    assert_eq!(snapshot.counter("frames", &[("z", "1"), ("a", "2")]), Some(2));
    assert_eq!(snapshot.counter("frames", &[("z", "2"), ("a", "1")]), Some(1));
}

#[test]
fn beyond_its_limit_a_family_shares_one_series_and_counts_each_binding() {
    let registry = Registry::with_series_limit(2);
    let family = registry.counter(&plain("frames").label("source")).unwrap();
    for source in ["a", "b", "c", "d", "c", "a"] {
        family.with(&[("source", source)]).unwrap().inc();
    }
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.counter("frames", &[("source", "a")]), Some(2));
    assert_eq!(snapshot.counter("frames", &[("source", "b")]), Some(1));
    assert_eq!(snapshot.counter("frames", &[("source", "c")]), None);
    assert_eq!(snapshot.counter("frames", &[("source", OVERFLOW)]), Some(3));
    assert_eq!(snapshot.overflowed_series, 3);
    assert_eq!(snapshot.families[0].series.len(), 3);
}

#[test]
fn one_full_family_leaves_the_others_their_room() {
    let registry = Registry::with_series_limit(1);
    let bind = |name: &str, source: &str| {
        registry.gauge(&plain(name).label("source")).unwrap().with(&[("source", source)]).unwrap().set(1.0);
    };
    bind("one", "a");
    bind("one", "b");
    bind("two", "b");
    assert_eq!(registry.snapshot().gauge("two", &[("source", "b")]), Some(1.0));
}

#[test]
fn a_snapshot_is_sorted_and_says_what_each_family_is() {
    let registry = Registry::new();
    registry.histogram(&plain("b_time").unit("ms").bounds(&[1.0])).unwrap().with(&[]).unwrap().record(2.0);
    let family = registry.gauge(&plain("a_depth").label("source")).unwrap();
    ["mic", "app"].into_iter().for_each(|source| family.with(&[("source", source)]).unwrap().set(1.0));
    let snapshot = registry.snapshot();
    let told: Vec<_> = (snapshot.families.iter())
        .map(|f| (f.name(), f.kind, f.descriptor.unit_name(), f.descriptor.help_text()))
        .collect();
    assert_eq!(told, [("a_depth", Kind::Gauge, "", "help"), ("b_time", Kind::Histogram, "ms", "help")]);
    let sources: Vec<_> = snapshot.families[0].series.iter().flat_map(|series| series.labels.iter()).collect();
    assert_eq!(sources, ["app", "mic"]);
}

#[test]
fn a_snapshot_answers_only_for_the_right_name_labels_and_kind() {
    let registry = Registry::new();
    registry.gauge(&plain("depth").label("source")).unwrap().with(&[("source", "mic")]).unwrap().set(3.0);
    let snapshot = registry.snapshot();
    let mic = &[("source", "mic")];
    assert_eq!(snapshot.series("depth", mic).and_then(Value::gauge), Some(3.0));
    assert_eq!(snapshot.gauge("depth", mic), Some(3.0));
    assert_eq!(snapshot.counter("depth", mic), None);
    assert_eq!(snapshot.histogram("depth", mic), None);
    assert_eq!(snapshot.gauge("depth", &[("source", "system")]), None);
    assert_eq!(snapshot.gauge("depth", &[]), None);
    assert_eq!(snapshot.gauge("depths", mic), None);
}

#[test]
fn memory_of_a_registry_that_is_gone_is_used_again_and_begins_at_zero() {
    for round in 0..50_u64 {
        let registry = Registry::new();
        let frames = registry.counter(&plain("frames")).unwrap().bind(&[]).unwrap();
        let depth = registry.gauge(&plain("depth")).unwrap().bind(&[]).unwrap();
        let time = registry.histogram(&plain("time")).unwrap().bind(&[]).unwrap();
        let before = registry.snapshot();
        assert_eq!((frames.value(), depth.value()), (0, 0.0));
        assert_eq!(before.histogram("time", &[]).unwrap().count(), 0);
        frames.add(round);
        depth.part().set(3.0);
        depth.set(1.0);
        time.record(round as f64);
        assert_eq!(registry.snapshot().histogram("time", &[]).unwrap().count(), 1);
    }
}

#[test]
fn a_handle_outlives_its_registry_and_never_counts_in_another() {
    let orphan = Registry::new().counter(&plain("frames")).unwrap().bind(&[]).unwrap();
    let time = Registry::new().histogram(&plain("time")).unwrap().bind(&[]).unwrap();
    let others: Vec<Registry> = (0..20).map(|_| Registry::new()).collect();
    let counters = others.iter().map(|other| other.counter(&plain("frames")).unwrap().bind(&[]).unwrap());
    let counters: Vec<_> = counters.collect();
    others.iter().for_each(|other| other.histogram(&plain("time")).unwrap().with(&[]).unwrap().record(1.0));
    orphan.add(7);
    time.record(2.0);
    assert_eq!(orphan.value(), 7);
    assert!(counters.iter().all(|counter| counter.value() == 0));
    let sums = others.iter().map(|other| other.snapshot().histogram("time", &[]).unwrap().sum());
    assert!(sums.into_iter().all(|sum| sum == 1.0));
}

#[test]
fn the_parts_of_a_gauge_become_one_as_its_descriptor_says() {
    let expected =
        [(Aggregation::Sum, 6.5), (Aggregation::Max, 5.0), (Aggregation::Min, -1.5), (Aggregation::Last, 3.0)];
    for (aggregation, figure) in expected {
        let gauge = Registry::new().gauge(&plain("figure").aggregation(aggregation)).unwrap().bind(&[]).unwrap();
        let parts = [gauge.part(), gauge.part(), gauge.part(), gauge.part()];
        let _never_set = &parts[3];
        parts[0].set(5.0);
        parts[1].set(-1.5);
        parts[2].set(3.0);
        parts[2].set(f64::NAN);
        assert_eq!(gauge.value(), figure, "{aggregation:?}");
    }
}

#[test]
fn a_part_that_is_gone_does_not_count_and_others_take_its_place() {
    let registry = Registry::new();
    let gauges = registry.gauge(&plain("depth").label("source")).unwrap();
    let (mic, app) = (gauges.with(&[("source", "mic")]).unwrap(), gauges.with(&[("source", "app")]).unwrap());
    for round in 1..20 {
        let parts: Vec<_> = (0..round).map(|_| mic.part()).collect();
        parts.iter().for_each(|part| part.set(2.0));
        let other = app.part();
        other.set(0.5);
        assert_eq!((mic.value(), app.value()), (2.0 * f64::from(round), 0.5));
        drop(parts);
        assert_eq!((mic.value(), app.value()), (0.0, 0.5));
    }
    mic.set(1.0);
    assert_eq!(registry.snapshot().gauge("depth", &[("source", "mic")]), Some(1.0));
}

#[test]
fn only_gauges_have_an_aggregation_and_only_histograms_a_scale() {
    let registry = Registry::new();
    let last = plain("last").aggregation(Aggregation::Last);
    assert_eq!(registry.counter(&last).err(), Some(RegisterError::InvalidAggregation));
    assert_eq!(registry.histogram(&last).err(), Some(RegisterError::InvalidAggregation));
    registry.gauge(&last).unwrap();
    assert_eq!(registry.gauge(&plain("coarse").scale(3)).err(), Some(RegisterError::InvalidScale));
    assert_eq!(registry.histogram(&plain("fine").scale(7)).err(), Some(RegisterError::InvalidScale));
    registry.histogram(&plain("coarse").scale(0)).unwrap();
}

#[test]
fn a_histogram_over_more_octaves_than_it_keeps_refuses_and_counts() {
    let registry = Registry::new();
    let time = registry.histogram(&plain("time")).unwrap().bind(&[]).unwrap();
    (0..300).for_each(|octave| time.record(2_f64.powi(octave) * 1.5));
    let snapshot = registry.snapshot();
    assert_eq!((snapshot.histogram("time", &[]).unwrap().count(), snapshot.refused_values), (256, 44));
}

#[test]
fn errors_say_what_is_expected() {
    assert_eq!(RegisterError::InvalidName.to_string(), "a metric's name must match [a-zA-Z_][a-zA-Z0-9_]*");
    let conflict = "this name is registered already with another description; use that, or another name";
    assert_eq!(RegisterError::Conflict.to_string(), conflict);
    assert_eq!(LabelError::Missing.to_string(), "every label of the family needs a value");
}
