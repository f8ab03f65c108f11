use tachograph_core::exposition::{EXEMPLAR_CHARACTERS_MAX, ExemplarError, Exemplars, Format, Page};
use tachograph_core::registry::{Descriptor, HistogramFamily, LabelError, Registry};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn family(registry: &Registry, bounds: &[f64]) -> HistogramFamily {
    registry.histogram(&Descriptor::new("time", "").label("source").label("by").bounds(bounds)).unwrap()
}

/// Records a value and from where it came, at a time.
fn record(family: &HistogramFamily, exemplars: &Exemplars, value: f64, id: &str, at: u64) {
    let labels = [("source", "mic"), ("by", "b")];
    family.with(&labels).unwrap().record(value);
    exemplars.record(family, &labels, value, id, at).unwrap();
}

/// What stands behind the figure of each bucket.
fn shown(registry: &Registry, exemplars: &Exemplars, format: Format) -> Vec<String> {
    let mut page = Page::new(registry, format, 0).with_exemplars(exemplars);
    let mut text = Vec::new();
    while page.write(&mut text, 100) {}
    let text = String::from_utf8(text).unwrap();
    let buckets = text.lines().filter(|line| line.starts_with("time_bucket"));
    buckets.filter_map(|line| Some(line.split_once("le=\"")?.1.replacen("\"} ", " ", 1))).collect()
}

#[test]
fn each_bucket_has_the_newest() {
    let (registry, exemplars) = (Registry::new(), Exemplars::new());
    let family = family(&registry, &[1.0, 10.0]);
    for (number, value) in (1_u64..).zip([0.5, 1.0, 11.0, 0.25, 12.0]) {
        record(&family, &exemplars, value, &format!("call-{number}"), number * 1_001);
    }
    let expected =
        ["1.0 3 # {session_id=\"call-4\"} 0.25 4.004", "10.0 3", "+Inf 5 # {session_id=\"call-5\"} 12.0 5.005"];
    assert_eq!(shown(&registry, &exemplars, Format::OpenMetrics), expected);
    assert_eq!(shown(&registry, &exemplars, Format::Prometheus), ["1.0 3", "10.0 3", "+Inf 5"]);
}

#[test]
fn without_bounds_a_bucket_is_a_power_of_two() {
    let (registry, exemplars) = (Registry::new(), Exemplars::new());
    let family = family(&registry, &[]);
    for (value, id) in [(-3.0, "below"), (0.75, "low"), (1.0, "one"), (1.5, "high")] {
        record(&family, &exemplars, value, id, 5_000);
    }
    let expected = [
        "0.0 1 # {session_id=\"below\"} -3.0 5.000",
        "1.0 3 # {session_id=\"one\"} 1.0 5.000",
        "2.0 4 # {session_id=\"high\"} 1.5 5.000",
        "+Inf 4",
    ];
    assert_eq!(shown(&registry, &exemplars, Format::OpenMetrics), expected);
}

#[test]
fn a_hostile_name_stays_in_its_quotes() {
    let (registry, exemplars) = (Registry::new(), Exemplars::new());
    record(&family(&registry, &[1.0]), &exemplars, 0.5, "} 1 2 # EOF\\", 0);
    let expected = ["1.0 1 # {session_id=\"} 1 2 # EOF\\\\\"} 0.5 0.000", "+Inf 1"];
    assert_eq!(shown(&registry, &exemplars, Format::OpenMetrics), expected);
}

#[test]
fn what_cannot_be_shown_is_left_out_with_its_reason() {
    let registry = Registry::new();
    let exemplars = Exemplars::with_series_limit(1);
    let family = family(&registry, &[1.0]);
    let record = |by: &str, value, id: &str| exemplars.record(&family, &[("by", by), ("source", "mic")], value, id, 0);
    let longest = "\u{1f600}".repeat(EXEMPLAR_CHARACTERS_MAX);
    assert_eq!((EXEMPLAR_CHARACTERS_MAX, record("b", 1.0, &longest)), (118, Ok(())));
    assert_eq!(record("b", 1.0, &[&longest, "a"].concat()), Err(ExemplarError::Length));
    assert_eq!(record("b", 1.0, ""), Err(ExemplarError::Length));
    for id in ["call \"7\"", "\0", "a\nb", "\u{7f}", "\u{85}"] {
        assert_eq!(record("b", 1.0, id), Err(ExemplarError::Character), "{id:?}");
    }
    assert_eq!(record("b", f64::NAN, "call-7"), Err(ExemplarError::NotFinite));
    assert_eq!(record("c", 1.0, "call-7"), Err(ExemplarError::NoRoom));
    assert_eq!(record("b", 2.0, "call-7"), Ok(()), "a series that is there has room");
    let missing = exemplars.record(&family, &[("by", "b")], 1.0, "call-7", 0);
    assert_eq!(missing, Err(ExemplarError::Label(LabelError::Missing)));
    assert_eq!(registry.snapshot().series, 0, "a series is not made of it");
}

#[test]
fn of_too_many_buckets_the_oldest_has_none() {
    let (registry, exemplars) = (Registry::new(), Exemplars::new());
    let family = family(&registry, &[]);
    for octave in 0..40 {
        record(&family, &exemplars, 1.5 * 2f64.powi(octave), "call-7", 0);
    }
    let shown = shown(&registry, &exemplars, Format::OpenMetrics);
    let with = shown.iter().filter(|line| line.contains("call-7")).count();
    assert_eq!((shown.len(), with, shown[7].contains('#'), shown[8].contains('#')), (41, 32, false, true));
}
