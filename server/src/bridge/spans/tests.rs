use std::thread::sleep;

use tachograph_core::snapshot::{HistogramSnapshot, RegistrySnapshot};
use tracing::{error, info_span, subscriber::with_default, warn};
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;

use super::*;

type Failure = Box<dyn std::error::Error>;

const MOMENT: Duration = Duration::from_millis(20);

fn labels<'a>(span: &'a str, target: &'a str) -> [(&'a str, &'a str); 2] {
    [("span", span), ("target", target)]
}

/// Of a span of this module.
fn times<'a>(snapshot: &'a RegistrySnapshot, family: &str, span: &str) -> Option<&'a HistogramSnapshot> {
    snapshot.histogram(family, &labels(span, module_path!()))
}

#[test]
fn a_span_counts_once_it_is_over() -> Result<(), Failure> {
    let registry = Registry::new();
    with_default(tracing_subscriber::registry().with(SpanTimes::new(&registry)?), || {
        let span = info_span!("work");
        let clone = span.clone();
        span.in_scope(|| ());
        drop(span);
        assert!(times(&registry.snapshot(), "span_duration_seconds", "work").is_none());
        drop(clone);
    });
    let snapshot = registry.snapshot();
    let count = |family| times(&snapshot, family, "work").map(HistogramSnapshot::count);
    assert_eq!((count("span_duration_seconds"), count("span_busy_seconds")), (Some(1), Some(1)));
    Ok(())
}

#[test]
fn busy_is_the_time_in_which_it_was_entered() -> Result<(), Failure> {
    let registry = Registry::new();
    with_default(tracing_subscriber::registry().with(SpanTimes::new(&registry)?), || {
        let span = info_span!("work");
        span.in_scope(|| sleep(MOMENT));
        sleep(5 * MOMENT);
        // Entered twice at once, it is busy once.
        span.in_scope(|| span.in_scope(|| sleep(MOMENT)));
        info_span!("idle");
    });
    let snapshot = registry.snapshot();
    let seconds = |family, span| times(&snapshot, family, span).map_or(f64::NAN, HistogramSnapshot::sum);
    let (duration, busy) = (seconds("span_duration_seconds", "work"), seconds("span_busy_seconds", "work"));
    assert!(busy >= 2.0 * MOMENT.as_secs_f64(), "{busy}");
    assert!(duration - busy >= 5.0 * MOMENT.as_secs_f64(), "{duration} {busy}");
    assert_eq!(seconds("span_busy_seconds", "idle"), 0.0);
    Ok(())
}

#[test]
fn a_span_can_be_entered_by_two_threads_at_once() -> Result<(), Failure> {
    let registry = Registry::new();
    let dispatch = tracing::Dispatch::new(tracing_subscriber::registry().with(SpanTimes::new(&registry)?));
    tracing::dispatcher::with_default(&dispatch, || {
        let span = info_span!("shared");
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..1_000).for_each(|_| span.in_scope(|| ())));
            }
        });
    });
    let snapshot = registry.snapshot();
    let sum = |family| times(&snapshot, family, "shared").unwrap().sum();
    assert!(sum("span_busy_seconds") <= sum("span_duration_seconds"));
    Ok(())
}

#[test]
fn errors_count_for_the_span_that_they_are_in() -> Result<(), Failure> {
    let registry = Registry::new();
    with_default(tracing_subscriber::registry().with(SpanTimes::new(&registry)?), || {
        error!("in no span");
        info_span!(target: "shop", "outer").in_scope(|| {
            error!("one");
            warn!("not an error");
            info_span!(target: "shop", "inner").in_scope(|| (0..3).for_each(|_| error!("another")));
        });
    });
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.counter("span_errors", &labels("outer", "shop")), Some(1));
    assert_eq!(snapshot.counter("span_errors", &labels("inner", "shop")), Some(3));
    assert_eq!(snapshot.family("span_errors").unwrap().series.len(), 2);
    Ok(())
}

#[test]
fn a_filter_says_which_spans_are_timed() -> Result<(), Failure> {
    let registry = Registry::new();
    let timed = SpanTimes::new(&registry)?.with_filter(filter_fn(|metadata| metadata.target() != "noise"));
    let subscriber = tracing_subscriber::registry().with(timed).with(LevelFilter::INFO);
    with_default(subscriber, || {
        info_span!(target: "noise", "tick").in_scope(|| {
            info_span!(target: "shop", "sale").in_scope(|| ());
            tracing::debug_span!(target: "shop", "detail").in_scope(|| ());
        });
    });
    let snapshot = registry.snapshot();
    let names: Vec<String> = snapshot
        .family("span_duration_seconds")
        .unwrap()
        .series
        .iter()
        .map(|held| format!("{:?}", held.labels))
        .collect();
    assert_eq!(names, [r#"["sale", "shop"]"#]);
    Ok(())
}

#[test]
fn a_second_layer_leaves_the_spans_to_the_first() -> Result<(), Failure> {
    let registries = [Registry::new(), Registry::new()];
    let [first, second] = &registries;
    let subscriber = tracing_subscriber::registry().with(SpanTimes::new(first)?).with(SpanTimes::new(second)?);
    with_default(subscriber, || info_span!("work").in_scope(|| sleep(MOMENT)));
    let [first, second] = registries.map(|registry| registry.snapshot());
    assert!(times(&first, "span_busy_seconds", "work").unwrap().sum() >= MOMENT.as_secs_f64());
    assert!(times(&second, "span_busy_seconds", "work").is_none());
    assert_eq!(second.counter("span_times_left_out", &[]), Some(1));
    Ok(())
}

#[test]
fn names_beyond_the_registrys_limit_share_a_series() -> Result<(), Failure> {
    let registry = Registry::with_series_limit(2);
    with_default(tracing_subscriber::registry().with(SpanTimes::new(&registry)?), || {
        drop((info_span!("a"), info_span!("b"), info_span!("c"), info_span!("d")));
    });
    let overflow = tachograph_core::registry::OVERFLOW;
    let snapshot = registry.snapshot();
    let times = snapshot.histogram("span_duration_seconds", &labels(overflow, overflow));
    assert_eq!(times.map(HistogramSnapshot::count), Some(2));
    Ok(())
}
