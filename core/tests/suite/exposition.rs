use tachograph_core::exposition::{Format, Page};
use tachograph_core::registry::{Descriptor, Registry};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// A page, at most so many bytes at a time, and what was left out of it.
fn page_in(registry: &Registry, format: Format, bytes: usize) -> (String, u64) {
    let mut page = Page::new(registry, format, 0);
    let mut text = Vec::new();
    while page.write(&mut text, bytes) {}
    assert!(!page.write(&mut text, bytes), "the end is written once");
    (String::from_utf8(text).unwrap(), page.left_out())
}

fn page(registry: &Registry, format: Format) -> String {
    page_in(registry, format, 1).0
}

/// One family of each kind.
fn every_kind() -> Registry {
    let registry = Registry::new();
    let served = registry.counter(&Descriptor::new("served_total", "Requests").label("route").label("code")).unwrap();
    served.with(&[("route", "/"), ("code", "200")]).unwrap().add(12);
    served.with(&[("route", "/x"), ("code", "")]).unwrap().inc();
    let lag = registry.gauge(&Descriptor::new("lag_seconds", "How late").unit("s")).unwrap();
    lag.with(&[]).unwrap().set(0.25);
    let time = Descriptor::new("time_ms", "Time").unit("ms").label("route").bounds(&[10.0, 1e6]);
    let time = registry.histogram(&time).unwrap();
    [5.0, 10.0, 11.0, 2e6].iter().for_each(|value| time.with(&[("route", "/")]).unwrap().record(*value));
    registry
}

#[test]
fn open_metrics_has_each_kind_as_its_specification_says() {
    let expected = r##"# HELP lag_seconds How late
# TYPE lag_seconds gauge
# UNIT lag_seconds seconds
lag_seconds 0.25
# HELP served Requests
# TYPE served counter
served_total{route="/",code="200"} 12
served_total{route="/x",code=""} 1
# HELP time_ms Time
# TYPE time_ms histogram
# UNIT time_ms ms
time_ms_bucket{route="/",le="10.0"} 2
time_ms_bucket{route="/",le="1e+06"} 3
time_ms_bucket{route="/",le="+Inf"} 4
time_ms_sum{route="/"} 2000026.0
time_ms_count{route="/"} 4
# EOF
"##;
    assert_eq!(page(&every_kind(), Format::OpenMetrics), expected);
}

#[test]
fn prometheus_text_names_a_counter_as_its_samples_and_has_no_units() {
    let text = page(&every_kind(), Format::Prometheus);
    assert!(text.contains("# HELP served_total Requests\n# TYPE served_total counter\nserved_total{"), "{text}");
    assert!(!text.contains("UNIT") && !text.contains("EOF"), "{text}");
}

#[test]
fn pieces_of_any_size_make_the_same_page() {
    let registry = every_kind();
    let whole = page_in(&registry, Format::OpenMetrics, usize::MAX);
    for bytes in [1, 7, 100, 1_000] {
        assert_eq!(page_in(&registry, Format::OpenMetrics, bytes), whole, "{bytes} bytes");
    }
}

#[test]
fn hostile_texts_stay_in_their_place() {
    let registry = Registry::new();
    let family = registry.counter(&Descriptor::new("seen", "a \"b\"\nc \\").label("by")).unwrap();
    for value in ["\"} 1\n# EOF\nforged 2", "\\", "\\n", "ä\u{1f600}\0", "\r"] {
        family.with(&[("by", value)]).unwrap().inc();
    }
    let expected = [
        "# HELP seen a \\\"b\\\"\\nc \\\\",
        "# TYPE seen counter",
        "seen_total{by=\"\\\"} 1\\n# EOF\\nforged 2\"} 1",
        "seen_total{by=\"\\\\\"} 1",
        "seen_total{by=\"\\\\n\"} 1",
        "seen_total{by=\"ä\u{1f600}\0\"} 1",
        "seen_total{by=\"\r\"} 1",
        "# EOF",
        "",
    ];
    assert_eq!(page(&registry, Format::OpenMetrics).split('\n').collect::<Vec<_>>(), expected);
    let prometheus = page(&registry, Format::Prometheus);
    assert!(prometheus.starts_with("# HELP seen_total a \"b\"\\nc \\\\\n"), "a quote in a help text is none there");
}

#[test]
fn a_histogram_without_bounds_has_the_powers_of_two_that_it_needs() {
    let registry = Registry::new();
    let sizes = registry.histogram(&Descriptor::new("sizes", "")).unwrap();
    [-3.0, 0.0, 0.75, 1.0, 1.5, 2.0, 100.0].iter().for_each(|size| sizes.with(&[]).unwrap().record(*size));
    let expected = r##"# TYPE sizes histogram
sizes_bucket{le="0.0"} 2
sizes_bucket{le="1.0"} 4
sizes_bucket{le="2.0"} 6
sizes_bucket{le="128.0"} 7
sizes_bucket{le="+Inf"} 7
sizes_sum 102.25
sizes_count 7
"##;
    assert_eq!(page(&registry, Format::Prometheus), expected);
}

/// Readers of OpenMetrics refuse the page for a sum that could fall; its rules have the count go with it.
#[test]
fn open_metrics_has_no_sum_that_can_fall() {
    let registry = Registry::new();
    let histogram = |name: &str, bounds: &[f64], values: &[f64]| {
        let family = registry.histogram(&Descriptor::new(name, "").bounds(bounds)).unwrap();
        values.iter().for_each(|value| family.with(&[]).unwrap().record(*value));
    };
    histogram("above", &[0.0, 1.0], &[0.5]);
    histogram("below", &[], &[-2.0, 5.0]);
    histogram("bounded", &[-1.0, 1.0], &[0.5]);
    // So close to zero that it counts as such.
    histogram("tiny", &[], &[-5e-324]);
    let text = page(&registry, Format::OpenMetrics);
    let with_sum: Vec<_> = text.lines().filter(|line| line.contains("_sum ") || line.contains("_count ")).collect();
    assert_eq!(with_sum, ["above_sum 0.5", "above_count 1"]);
    assert!(text.contains("\nbelow_bucket{le=\"+Inf\"} 2\n"), "{text}");
    let prometheus = page(&registry, Format::Prometheus);
    assert!(prometheus.contains("\nbelow_sum 3.0\nbelow_count 2\n"), "{prometheus}");
}

#[test]
fn a_counter_called_total_keeps_its_name() {
    let registry = Registry::new();
    registry.counter(&Descriptor::new("_total", "")).unwrap().with(&[]).unwrap().inc();
    assert_eq!(page(&registry, Format::OpenMetrics), "# TYPE _total counter\n_total_total 1\n# EOF\n");
}

#[test]
fn names_that_would_be_others_are_left_out_and_counted() {
    let registry = Registry::new();
    registry.counter(&Descriptor::new("a", "")).unwrap().with(&[]).unwrap().inc();
    registry.counter(&Descriptor::new("a_total", "")).unwrap().with(&[]).unwrap().inc();
    registry.histogram(&Descriptor::new("b", "")).unwrap().with(&[]).unwrap().record(1.0);
    registry.gauge(&Descriptor::new("b_sum", "")).unwrap().with(&[]).unwrap().set(1.0);
    registry.gauge(&Descriptor::new("c", "")).unwrap().with(&[]).unwrap().set(1.0);
    registry.histogram(&Descriptor::new("d", "").label("le")).unwrap().with(&[("le", "1")]).unwrap().record(1.0);
    let (text, left_out) = page_in(&registry, Format::OpenMetrics, 1);
    assert_eq!(left_out, 3, "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("a_total")).count(), 1);
    assert!(text.contains("\nc 1.0\n"), "{text}");
}

#[test]
fn what_a_family_had_no_room_for_is_there_too_and_an_empty_family_is_not() {
    let registry = Registry::with_series_limit(1);
    let family = registry.counter(&Descriptor::new("seen", "").label("by")).unwrap();
    registry.counter(&Descriptor::new("unseen", "").label("by")).unwrap();
    ["a", "b", "c"].iter().for_each(|by| family.with(&[("by", by)]).unwrap().inc());
    let expected = "# TYPE seen_total counter\nseen_total{by=\"a\"} 1\nseen_total{by=\"__overflow__\"} 2\n";
    assert_eq!(page(&registry, Format::Prometheus), expected);
}

/// A client can call a source so: the series would be there twice.
#[test]
fn what_reads_as_the_overflow_series_is_in_it() {
    let registry = Registry::with_series_limit(2);
    let family = registry.counter(&Descriptor::new("seen", "").label("by")).unwrap();
    ["__overflow__", "a", "b", "c"].iter().for_each(|by| family.with(&[("by", by)]).unwrap().inc());
    let expected = "# TYPE seen_total counter\nseen_total{by=\"a\"} 1\nseen_total{by=\"b\"} 1\nseen_total{by=\"__overflow__\"} 2\n";
    assert_eq!(page(&registry, Format::Prometheus), expected);
    assert_eq!(registry.snapshot().overflowed_series, 2);
}

#[test]
fn a_walk_reads_what_a_snapshot_has() {
    let registry = every_kind();
    let snapshot = registry.snapshot();
    let mut walk = registry.walk(0);
    let mut read = 0;
    while let Some(series) = walk.next() {
        let family = snapshot.family(series.descriptor.name()).unwrap();
        let held = family.series.iter().find(|held| held.labels == *series.labels).unwrap();
        assert_eq!((series.value, series.kind), (&held.value, family.kind));
        read += 1;
    }
    assert_eq!(read, snapshot.series);
}
