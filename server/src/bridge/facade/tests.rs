use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram, with_local_recorder};
use tachograph_core::registry::OVERFLOW;
use tachograph_core::snapshot::{RegistrySnapshot, Value};

use super::*;

type Failure = Box<dyn std::error::Error>;

/// What is in the registry after `count` ran under a recorder.
fn counted(count: impl FnOnce()) -> RegistrySnapshot {
    counted_with(Recorder::builder(), count)
}

fn counted_with(builder: RecorderBuilder, count: impl FnOnce()) -> RegistrySnapshot {
    let registry = Registry::new();
    with_local_recorder(&builder.build(&registry).unwrap(), count);
    registry.snapshot()
}

fn refused(snapshot: &RegistrySnapshot, reason: &str) -> u64 {
    snapshot.counter("tachograph_facade_refused", &[("reason", reason)]).unwrap()
}

fn all_refused(snapshot: &RegistrySnapshot) -> u64 {
    Reason::VALUES.iter().map(|reason| refused(snapshot, reason)).sum()
}

fn descriptor(snapshot: &RegistrySnapshot, name: &str) -> Descriptor {
    Descriptor::clone(&snapshot.family(name).unwrap().descriptor)
}

#[test]
fn counters_gauges_and_histograms_arrive() {
    let snapshot = counted(|| {
        counter!("requests", "route" => "/").increment(2);
        counter!("requests", "route" => "/").increment(1);
        gauge!("depth").set(4.0);
        gauge!("depth").increment(2.5);
        gauge!("depth").decrement(0.5);
        histogram!("seconds").record(0.25);
        histogram!("seconds").record_many(0.5, 3);
    });
    assert_eq!(snapshot.counter("requests", &[("route", "/")]), Some(3));
    assert_eq!(snapshot.gauge("depth", &[]), Some(6.0));
    let seconds = snapshot.histogram("seconds", &[]).unwrap();
    assert_eq!((seconds.count(), seconds.sum()), (4, 1.75));
    assert_eq!(all_refused(&snapshot), 0);
}

#[test]
fn an_absolute_count_never_goes_back() {
    let snapshot = counted(|| {
        let bytes = counter!("bytes");
        for value in [5, 9, 7, 9] {
            bytes.absolute(value);
        }
        bytes.increment(1);
        bytes.absolute(10);
    });
    assert_eq!(snapshot.counter("bytes", &[]), Some(10));
}

#[test]
fn threads_that_say_absolute_counts_of_one_series_count_once() -> Result<(), Failure> {
    let registry = Registry::new();
    let recorder = Recorder::new(&registry)?;
    let say = |labels: &'static [metrics::Label]| {
        with_local_recorder(&recorder, || {
            // Two keys, one series: a label that is missing is empty.
            (1..=1_000).for_each(|value| counter!("bytes", labels.iter()).absolute(value));
        });
    };
    static EMPTY: [metrics::Label; 1] = [metrics::Label::from_static_parts("route", "")];
    say(&EMPTY[..]);
    std::thread::scope(|scope| {
        for labels in [&EMPTY[..], &[]] {
            scope.spawn(move || say(labels));
        }
    });
    assert_eq!(registry.snapshot().counter("bytes", &[("route", "")]), Some(1_000));
    Ok(())
}

#[test]
fn descriptions_before_the_first_use_are_kept() {
    let snapshot = counted(|| {
        describe_counter!("sent", metrics::Unit::Bytes, "before");
        describe_counter!("sent", metrics::Unit::Bytes, "Bytes sent");
        describe_gauge!("lag", metrics::Unit::Seconds, "How late it was");
        describe_histogram!("time", metrics::Unit::Microseconds, "Time taken");
        describe_histogram!("unused", metrics::Unit::Count, "Never used");
        counter!("sent").increment(1);
        gauge!("lag").set(1.0);
        histogram!("time").record(1.0);
        counter!("un.described").increment(1);
    });
    let said = |name| {
        let descriptor = descriptor(&snapshot, name);
        (descriptor.help_text().to_owned(), descriptor.unit_name().to_owned())
    };
    assert_eq!(said("sent"), ("Bytes sent".into(), "bytes".into()));
    assert_eq!(said("lag"), ("How late it was".into(), "s".into()));
    assert_eq!(said("time"), ("Time taken".into(), "us".into()));
    assert_eq!(said("un_described"), ("un.described".into(), String::new()));
    assert!(snapshot.family("unused").is_none());
    assert_eq!(all_refused(&snapshot), 0);
}

#[test]
fn a_description_that_comes_late_is_counted_unless_it_says_the_same() {
    let snapshot = counted(|| {
        describe_counter!("sent", "Bytes sent");
        counter!("sent").increment(1);
        describe_counter!("sent", "Bytes sent");
        describe_counter!("sent", "Something else");
        describe_gauge!("sent", "Bytes sent");
    });
    assert_eq!(descriptor(&snapshot, "sent").help_text(), "Bytes sent");
    assert_eq!((refused(&snapshot, "description"), refused(&snapshot, "kind")), (1, 1));
}

#[test]
fn names_that_the_registry_does_not_take_are_written_with_underscores() {
    let long = "n".repeat(257);
    let snapshot = counted(|| {
        counter!("http.requests-total/s", "net.peer" => "a", "7" => "b").increment(1);
        counter!("2xx").increment(2);
        counter!("größe:λ").increment(3);
        counter!("").increment(4);
        counter!(long).increment(5);
        counter!("x\"\n{}").increment(6);
    });
    assert_eq!(snapshot.counter("http_requests_total_s", &[("net_peer", "a"), ("_7", "b")]), Some(1));
    assert_eq!(snapshot.counter("_2xx", &[]), Some(2));
    assert_eq!(snapshot.counter("gr__e__", &[]), Some(3));
    assert_eq!(snapshot.counter("x____", &[]), Some(6));
    assert_eq!((refused(&snapshot, "name"), all_refused(&snapshot)), (2, 2));
}

#[test]
fn two_names_never_become_one() {
    let snapshot = counted(|| {
        counter!("http.requests").increment(1);
        counter!("http_requests").increment(10);
        counter!("http_requests").increment(10);
        counter!("http-requests", "route" => "/").increment(100);
        counter!("http.requests").increment(1);
    });
    assert_eq!(snapshot.counter("http_requests", &[]), Some(2));
    assert_eq!((refused(&snapshot, "name_taken"), all_refused(&snapshot)), (3, 3));
}

#[test]
fn a_name_of_the_program_itself_is_not_taken_over() -> Result<(), Failure> {
    let registry = Registry::new();
    let own = registry.counter(&Descriptor::new("frames", "Frames seen"))?.bind(&[])?;
    with_local_recorder(&Recorder::new(&registry)?, || {
        counter!("frames").increment(5);
        counter!("tachograph_facade_refused", "reason" => "kind").increment(7);
    });
    let snapshot = registry.snapshot();
    assert_eq!((own.value(), refused(&snapshot, "name_taken"), refused(&snapshot, "kind")), (0, 2, 0));
    Ok(())
}

#[test]
fn one_name_is_of_one_kind() {
    let snapshot = counted(|| {
        counter!("depth").increment(1);
        let gauge = gauge!("depth");
        gauge.set(3.0);
        gauge.increment(1.0);
        gauge.decrement(1.0);
        histogram!("depth").record_many(1.0, 4);
        histogram!("depth", "a" => "b").record(1.0);
        let as_gauge = gauge!("level");
        as_gauge.set(2.0);
        let as_counter = counter!("level");
        as_counter.increment(7);
        as_counter.absolute(7);
    });
    assert_eq!((snapshot.counter("depth", &[]), snapshot.gauge("level", &[])), (Some(1), Some(2.0)));
    assert_eq!((refused(&snapshot, "kind"), all_refused(&snapshot)), (10, 10));
}

#[test]
fn labels_that_are_missing_are_empty_and_in_any_order() {
    let snapshot = counted(|| {
        counter!("requests", "route" => "/", "status" => "2xx").increment(1);
        counter!("requests", "status" => "2xx", "route" => "/").increment(1);
        counter!("requests", "status" => "5xx").increment(4);
        counter!("requests").increment(8);
    });
    let count = |route, status| snapshot.counter("requests", &[("route", route), ("status", status)]);
    assert_eq!([count("/", "2xx"), count("", "5xx"), count("", "")], [Some(2), Some(4), Some(8)]);
    assert_eq!(all_refused(&snapshot), 0);
}

#[test]
fn labels_that_a_family_does_not_have_go_to_one_beside() {
    let snapshot = counted(|| {
        counter!("requests").increment(1);
        counter!("requests", "route" => "/", "http.status" => "2xx").increment(2);
        counter!("requests", "route" => "/").increment(3);
        counter!("requests", "http_status" => "2xx").increment(4);
    });
    assert_eq!(snapshot.counter("requests", &[]), Some(1));
    let beside = |status| snapshot.counter("requests_by_route_http_status", &[("route", "/"), ("http_status", status)]);
    assert_eq!((beside("2xx"), beside("")), (Some(2), Some(3)));
    // Another label than the one with a dot.
    assert_eq!(snapshot.counter("requests_by_http_status", &[("http_status", "2xx")]), Some(4));
    assert_eq!(all_refused(&snapshot), 0);
}

#[test]
fn a_name_has_a_bounded_number_of_families() {
    let snapshot = counted(|| {
        for label in 'a'..='j' {
            counter!("requests", label.to_string() => "x").increment(1);
        }
        counter!("requests", "a" => "y").increment(1);
    });
    let families = snapshot.families.iter().filter(|family| family.descriptor.name().starts_with("requests"));
    assert_eq!((families.count(), refused(&snapshot, "too_many_label_sets")), (8, 2));
    assert_eq!(snapshot.counter("requests", &[("a", "y")]), Some(1));
}

#[test]
fn a_family_beside_does_not_take_the_name_of_another_metric() {
    let snapshot = counted(|| {
        counter!("requests_by_route").increment(1);
        counter!("requests").increment(2);
        counter!("requests", "route" => "/").increment(4);
    });
    assert_eq!(snapshot.counter("requests_by_route", &[]), Some(1));
    assert_eq!((snapshot.counter("requests", &[]), refused(&snapshot, "name_taken")), (Some(2), 1));
}

#[test]
fn labels_that_no_family_can_have_are_refused() {
    let many: Vec<(String, String)> = (0..17).map(|place| (format!("l{place}"), "x".into())).collect();
    let snapshot = counted(|| {
        counter!("a", "" => "x").increment(1);
        counter!("b", "l".repeat(257) => "x").increment(1);
        counter!("c", "l" => "x", "l" => "y").increment(1);
        counter!("d", "l.m" => "x", "l_m" => "y").increment(1);
        counter!("d", "l.m" => "x").increment(1);
        counter!("e", &many).increment(1);
        counter!("e", &many[..16]).increment(1);
    });
    assert_eq!((refused(&snapshot, "label"), refused(&snapshot, "too_many_labels")), (4, 1));
    assert_eq!(snapshot.counter("d", &[("l_m", "x")]), Some(1));
    assert_eq!(descriptor(&snapshot, "e").label_names().len(), 16);
}

#[test]
fn values_that_are_too_long_or_too_many_share_the_overflow_series() -> Result<(), Failure> {
    let registry = Registry::with_series_limit(16);
    with_local_recorder(&Recorder::new(&registry)?, || {
        counter!("requests", "path" => "x".repeat(1_025)).increment(1);
        counter!("requests", "path" => "x".repeat(100_000)).increment(1);
        (0..20).for_each(|path| counter!("requests", "path" => path.to_string()).increment(1));
    });
    let snapshot = registry.snapshot();
    assert_eq!(snapshot.counter("requests", &[("path", OVERFLOW)]), Some(6));
    // The longest key of all is not kept.
    assert_eq!(snapshot.counter("tachograph_facade_uncached", &[]), Some(1));
    Ok(())
}

#[test]
fn values_that_are_not_finite_are_the_registrys_to_refuse() {
    let snapshot = counted(|| {
        gauge!("depth").set(f64::NAN);
        gauge!("depth").increment(f64::INFINITY);
        histogram!("seconds").record(f64::NEG_INFINITY);
    });
    assert_eq!((snapshot.refused_values, snapshot.gauge("depth", &[])), (3, Some(0.0)));
}

#[test]
fn rules_give_bounds_and_labels() {
    let builder = Recorder::builder().bounds("http.time", &[0.1, 1.0]).labels("http.time", &["route", "net.status"]);
    let snapshot = counted_with(builder, || {
        histogram!("http.time").record(0.05);
        histogram!("http.time", "net.status" => "2xx").record(5.0);
        histogram!("http.time", "other" => "x").record(0.5);
    });
    let times = |labels: &[(&str, &str)]| snapshot.histogram("http_time", labels).unwrap().buckets().to_vec();
    assert_eq!(times(&[("route", ""), ("net_status", "")]), [1, 0, 0]);
    assert_eq!(times(&[("route", ""), ("net_status", "2xx")]), [0, 0, 1]);
    let beside = snapshot.histogram("http_time_by_other", &[("other", "x")]).unwrap();
    assert_eq!(beside.buckets(), [0, 1, 0]);
}

#[test]
fn rules_that_no_family_can_keep_are_told_when_it_is_built() {
    let build = |builder: RecorderBuilder| builder.build(&Registry::new()).err();
    assert_eq!(build(Recorder::builder().bounds("a", &[1.0, 1.0])), Some(RegisterError::InvalidBounds));
    assert_eq!(build(Recorder::builder().bounds("a", &[f64::NAN])), Some(RegisterError::InvalidBounds));
    assert_eq!(build(Recorder::builder().labels("a", &["b", "b"])), Some(RegisterError::DuplicateLabel));
    assert_eq!(build(Recorder::builder().labels("a", &[""])), Some(RegisterError::InvalidLabel));
}

/// The law of the facade, over calls of any kind: what is not in a family was refused and counted.
#[test]
fn every_update_is_in_a_family_or_was_refused() {
    const CALLS: u64 = 20_000;
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let long = "x".repeat(300);
    let names = ["a", "a.b", "a_b", "a-b", "7", "_7", "", "é", "a_by_a", &long, "b", "c", "tachograph_facade_refused"];
    let snapshot = counted(|| {
        for _ in 0..CALLS {
            let label = |random: &mut dyn FnMut(usize) -> usize| {
                metrics::Label::new(names[random(names.len())].to_owned(), names[random(names.len())].to_owned())
            };
            let labels: Vec<_> = (0..[0, 0, 1, 1, 2, 3, 17][random(7)]).map(|_| label(&mut random)).collect();
            let name = names[random(names.len())].to_owned();
            match random(4) {
                0 => counter!(name, labels).increment(1),
                1 => gauge!(name, labels).increment(1.0),
                2 => histogram!(name, labels).record(1.0),
                _ => counter!(name).increment(1),
            }
        }
    });
    const OWN: [&str; 2] = ["tachograph_facade_refused", "tachograph_facade_uncached"];
    let others = snapshot.all_series().filter(|(family, _)| !OWN.contains(&family.descriptor.name()));
    let updates = others.map(|(_, series)| match &series.value {
        Value::Counter(count) => *count,
        Value::Gauge(gauge) => gauge.value() as u64,
        Value::Histogram(histogram) => histogram.count(),
    });
    let counted: u64 = updates.sum();
    assert!(counted > CALLS / 10 && all_refused(&snapshot) > CALLS / 10);
    assert_eq!(counted + all_refused(&snapshot), CALLS);
}

#[test]
fn names_have_a_bound() {
    let snapshot = counted(|| {
        for name in 0..4_100 {
            counter!(format!("n{name}")).increment(1);
        }
        describe_counter!("one more", "Not known");
        counter!("n0").increment(1);
    });
    assert_eq!((refused(&snapshot, "too_many_names"), snapshot.counter("n0", &[])), (5, Some(2)));
}

#[test]
fn keys_beyond_the_table_are_counted_all_the_same() -> Result<(), Failure> {
    let registry = Registry::with_series_limit(20_000);
    with_local_recorder(&Recorder::new(&registry)?, || {
        for _ in 0..2 {
            (0..9_000).for_each(|user| counter!("logins", "user" => user.to_string()).increment(1));
        }
    });
    let snapshot = registry.snapshot();
    let series = &snapshot.family("logins").unwrap().series;
    assert!(series.len() == 9_000 && series.iter().all(|series| series.value.counter() == Some(2)));
    assert!(snapshot.counter("tachograph_facade_uncached", &[]).unwrap() >= 2 * (9_000 - 8_192));
    Ok(())
}

#[test]
fn recorders_of_one_process_do_not_mix() -> Result<(), Failure> {
    let registries = [Registry::new(), Registry::new()];
    let recorders = [Recorder::new(&registries[0])?, Recorder::new(&registries[1])?];
    std::thread::scope(|scope| {
        for (recorder, amount) in recorders.iter().zip([1, 10]) {
            scope.spawn(move || {
                let count = || (0..100).for_each(|_| counter!("frames", "source" => "mic").increment(amount));
                with_local_recorder(recorder, count);
            });
        }
    });
    let counts = registries.map(|registry| registry.snapshot().counter("frames", &[("source", "mic")]));
    assert_eq!(counts, [Some(100), Some(1_000)]);
    Ok(())
}

#[test]
fn threads_that_use_a_name_first_at_once_share_its_series() -> Result<(), Failure> {
    let registry = Registry::new();
    let recorder = Recorder::new(&registry)?;
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let count = |place: u64| counter!(format!("n{}", place % 100), "place" => "x").increment(1);
                with_local_recorder(&recorder, || (0..1_000).for_each(count));
            });
        }
    });
    let snapshot = registry.snapshot();
    assert!((0..100).all(|name| snapshot.counter(&format!("n{name}"), &[("place", "x")]) == Some(40)));
    assert_eq!(all_refused(&snapshot), 0);
    Ok(())
}

#[test]
fn a_process_has_one_recorder() -> Result<(), Failure> {
    let registry = Registry::new();
    let recorder = Recorder::new(&registry)?;
    recorder.clone().install()?;
    assert_eq!(recorder.install(), Err(AlreadyInstalled));
    counter!("of_the_whole_process").increment(1);
    std::thread::spawn(|| counter!("of_the_whole_process").increment(1)).join().map_err(|_| "it panicked")?;
    assert_eq!(registry.snapshot().counter("of_the_whole_process", &[]), Some(2));
    Ok(())
}

/// Counts warnings, through the facade itself, as a log's own metrics would.
struct CountingLog(AtomicU64);

impl tracing::Subscriber for &'static CountingLog {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        counter!("log.lines").increment(1);
        counter!("").increment(1);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn the_log_names_a_metric_once_and_may_count_itself() {
    static LOG: CountingLog = CountingLog(AtomicU64::new(0));
    let snapshot = tracing::subscriber::with_default(&LOG, || {
        counted(|| {
            counter!("depth").increment(1);
            gauge!("depth").set(1.0);
            gauge!("depth", "a" => "b").set(1.0);
            gauge!("log.lines").set(1.0);
        })
    });
    // Of `depth` and of `log.lines`; what a log itself tells of the one without a name, tracing leaves out.
    assert_eq!(LOG.0.load(Ordering::Relaxed), 2);
    assert_eq!((refused(&snapshot, "kind"), refused(&snapshot, "name")), (3, 2));
    assert_eq!(snapshot.counter("log_lines", &[]), Some(2));
}
