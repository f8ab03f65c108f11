use tachograph_core::instrument::Counter;
use tachograph_core::label::{LABEL_BYTES_MAX, LABELS_MAX, LabelSet, LabelValues};
use tachograph_core::labels;
use tachograph_core::registry::{Descriptor, OVERFLOW, RegisterError, Registry, TypedFamily};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

labels! {
    /// How a request ended.
    pub enum Outcome {
        Ok = "ok",
        Failed = "failed",
        /// Nobody waited.
        GivenUp = "given_up",
    }
}

labels! {
    /// All values are known.
    pub struct Ending {
        pub outcome: Outcome,
        pub cached: bool,
    }
}

labels! {
    /// The route is not known before it is asked for.
    pub struct Request<'a> {
        pub route: &'a str,
        pub outcome: Outcome,
    }
}

fn family<L: LabelSet>(registry: &Registry) -> TypedFamily<Counter, L> {
    registry.counter_of(&Descriptor::new("requests", "")).unwrap()
}

#[test]
fn with_known_values_every_series_is_there_from_the_start() {
    let registry = Registry::new();
    let requests = family::<Ending>(&registry);
    assert_eq!(registry.snapshot().series, 6);
    requests.at(&Ending { outcome: Outcome::GivenUp, cached: true }).add(5);
    let snapshot = registry.snapshot();
    for (outcome, cached, count) in [("given_up", "true", 5), ("given_up", "false", 0), ("ok", "true", 0)] {
        assert_eq!(snapshot.counter("requests", &[("outcome", outcome), ("cached", cached)]), Some(count));
    }
}

#[test]
fn each_known_label_set_has_a_series_of_its_own() {
    let registry = Registry::new();
    let requests = family::<Ending>(&registry);
    let mut amount = 0;
    for outcome in [Outcome::Ok, Outcome::Failed, Outcome::GivenUp] {
        for cached in [false, true] {
            amount += 1;
            requests.at(&Ending { outcome, cached }).add(amount);
        }
    }
    let dynamic = registry.counter(&Descriptor::new("requests", "").label("outcome").label("cached")).unwrap();
    let value = |outcome, cached| dynamic.with(&[("cached", cached), ("outcome", outcome)]).unwrap().value();
    assert_eq!([value("ok", "false"), value("ok", "true")], [1, 2]);
    assert_eq!([value("failed", "false"), value("failed", "true")], [3, 4]);
    assert_eq!([value("given_up", "false"), value("given_up", "true")], [5, 6]);
}

#[test]
fn a_text_is_looked_up_and_found_again() {
    let registry = Registry::new();
    let requests = family::<Request<'_>>(&registry);
    assert_eq!(registry.snapshot().series, 0);
    for route in ["/", "/users", "/"] {
        requests.at(&Request { route, outcome: Outcome::Ok }).inc();
    }
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.counter("requests", &[("route", "/"), ("outcome", "ok")]), Some(2));
    assert_eq!(snapshot.counter("requests", &[("route", "/users"), ("outcome", "ok")]), Some(1));
}

#[test]
fn a_typed_family_that_is_full_has_an_overflow_series() {
    let registry = Registry::with_series_limit(1);
    let requests = family::<Request<'_>>(&registry);
    ["/a", "/b", "/c"].into_iter().for_each(|route| requests.at(&Request { route, outcome: Outcome::Ok }).inc());
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.counter("requests", &[("route", OVERFLOW), ("outcome", OVERFLOW)]), Some(2));
    assert_eq!(snapshot.overflowed_series, 2);
}

#[test]
fn more_known_label_sets_than_series_are_refused() {
    let registry = Registry::with_series_limit(5);
    let refused = registry.counter_of::<Ending>(&Descriptor::new("requests", ""));
    assert_eq!(refused.err(), Some(RegisterError::TooManySeries));
}

#[test]
fn a_family_has_so_many_labels_at_most() {
    let labelled = |count| (0..count).fold(Descriptor::new("many", ""), |held, n| held.label(&format!("l{n}")));
    let registry = Registry::new();
    assert_eq!(registry.counter(&labelled(LABELS_MAX + 1)).err(), Some(RegisterError::TooManyLabels));
    let family = registry.counter(&labelled(LABELS_MAX)).unwrap();
    let names: Vec<String> = (0..LABELS_MAX).map(|n| format!("l{n}")).collect();
    let mut labels: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &name[1..])).collect();
    family.with(&labels).unwrap().inc();
    labels.reverse();
    family.with(&labels).unwrap().inc();
    assert_eq!(registry.snapshot().counter("many", &labels), Some(2));
}

#[test]
fn any_text_is_a_value() {
    let registry = Registry::new();
    let family = registry.gauge(&Descriptor::new("depth", "").label("a").label("b")).unwrap();
    let long = |length| "x".repeat(length);
    let texts: Vec<String> =
        ["", "\0", "\"'\n", "ä€😀", "a", "ab", "abc", "abcd", "0123456789abcdef", "0123456789abcdefg"]
            .into_iter()
            .map(String::from)
            .chain([7, 8, 15, 127, 128, 129, LABEL_BYTES_MAX].map(long))
            .collect();
    for (number, one) in texts.iter().enumerate() {
        for (other_number, other) in texts.iter().enumerate() {
            family.with(&[("a", one), ("b", other)]).unwrap().set((number * 100 + other_number) as f64);
        }
    }
    let snapshot = registry.snapshot();
    for (number, one) in texts.iter().enumerate() {
        for (other_number, other) in texts.iter().enumerate() {
            let held = snapshot.gauge("depth", &[("a", one), ("b", other)]);
            assert_eq!(held, Some((number * 100 + other_number) as f64), "{one:?} {other:?}");
        }
    }
    assert_eq!((snapshot.series, snapshot.overflowed_series), ((texts.len() * texts.len()) as u64, 0));
}

#[test]
fn a_value_that_is_too_long_goes_to_the_overflow_series_and_is_counted() {
    let registry = Registry::new();
    let family = registry.counter(&Descriptor::new("frames", "").label("source")).unwrap();
    family.with(&[("source", &"x".repeat(LABEL_BYTES_MAX + 1))]).unwrap().inc();
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.counter("frames", &[("source", OVERFLOW)]), Some(1));
    assert_eq!((snapshot.series, snapshot.overflowed_series), (1, 1));
}

#[test]
fn values_come_back_in_order_and_compare_as_texts_do() {
    let values = LabelValues::new(["b", "", "ä"]);
    assert_eq!(values.iter().collect::<Vec<_>>(), ["b", "", "ä"]);
    assert!(LabelValues::new(["a", "z"]) < LabelValues::new(["b", "a"]));
    assert!(LabelValues::new(["zz"]) > LabelValues::new(["za", "z"]));
    assert!(LabelValues::new(["aaa"]) < LabelValues::new(["b"]));
    assert_eq!(LabelValues::new(["x".repeat(2_000).as_str()]).iter().map(str::len).sum::<usize>(), LABEL_BYTES_MAX);
}

#[test]
fn values_that_run_into_each_other_are_told_apart() {
    let registry = Registry::new();
    let family = registry.counter(&Descriptor::new("frames", "").label("a").label("b")).unwrap();
    family.with(&[("a", "xy"), ("b", "z")]).unwrap().inc();
    family.with(&[("a", "x"), ("b", "yz")]).unwrap().add(2);
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.counter("frames", &[("a", "xy"), ("b", "z")]), Some(1));
    assert_eq!(snapshot.counter("frames", &[("a", "x"), ("b", "yz")]), Some(2));
}
