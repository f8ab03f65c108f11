use tachograph_core::registry::{DefaultMetrics, Descriptor, Kind, RegisterError, Registry};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::{Bench, took};

const MIC: &[(&str, &str)] = &[("source", "mic")];
const SYSTEM: &[(&str, &str)] = &[("source", "system")];

#[test]
fn the_default_metrics_have_their_names_kinds_units_and_labels() {
    let registry = Registry::new();
    DefaultMetrics::register(&registry).unwrap().source("mic").unwrap();
    let snapshot = registry.snapshot();
    let told: Vec<_> = (snapshot.families.iter())
        .map(|f| {
            (
                f.name(),
                f.kind,
                f.descriptor.unit_name(),
                f.labels(&f.series[0]).map(|(name, _)| name).collect::<Vec<_>>(),
            )
        })
        .collect();
    let by_source = || vec!["source"];
    assert_eq!(
        told,
        [
            ("active_sessions", Kind::Gauge, "", vec![]),
            ("asr_chunks_processed", Kind::Counter, "", by_source()),
            ("asr_errors", Kind::Counter, "", by_source()),
            ("audio_bytes_dropped", Kind::Counter, "bytes", by_source()),
            ("audio_bytes_received", Kind::Counter, "bytes", by_source()),
            ("audio_frames_dropped", Kind::Counter, "", by_source()),
            ("audio_frames_received", Kind::Counter, "", by_source()),
            ("inference_time_ms", Kind::Histogram, "ms", by_source()),
            ("processing_lag_seconds", Kind::Gauge, "s", by_source()),
            ("processing_time_ms", Kind::Histogram, "ms", by_source()),
            ("queue_depth", Kind::Gauge, "frames", by_source()),
            ("ws_connections_total", Kind::Counter, "", vec![]),
            ("ws_disconnects_total", Kind::Counter, "", vec![]),
        ]
    );
}

#[test]
fn the_default_histograms_have_their_bounds() {
    let registry = Registry::new();
    DefaultMetrics::register(&registry).unwrap().source("mic").unwrap();
    let snapshot = registry.snapshot();
    let bounds = |name| snapshot.histogram(name, MIC).unwrap().bounds().to_vec();
    assert_eq!(bounds("inference_time_ms"), [50.0, 100.0, 250.0, 500.0, 1000.0, 2000.0, 5000.0]);
    assert_eq!(bounds("processing_time_ms"), [100.0, 250.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0]);
}

#[test]
fn registering_the_default_metrics_again_finds_them() {
    let registry = Registry::new();
    DefaultMetrics::register(&registry).unwrap().connections.inc();
    DefaultMetrics::register(&registry).unwrap().connections.inc();
    assert_eq!(registry.snapshot().counter("ws_connections_total", &[]), Some(2));
}

#[test]
fn a_default_name_that_is_taken_is_a_conflict() {
    let registry = Registry::new();
    registry.gauge(&Descriptor::new("asr_errors", "")).unwrap();
    assert_eq!(DefaultMetrics::register(&registry).err(), Some(RegisterError::Conflict));
}

#[test]
fn every_metric_is_updated_where_the_thing_happens() {
    let mut bench = Bench::new();
    assert_eq!(bench.counted().gauge("active_sessions", &[]), Some(1.0));

    bench.hear(250, 0);
    let counted = bench.counted();
    assert_eq!(counted.counter("audio_bytes_received", SYSTEM), Some(8_000));
    assert_eq!(counted.counter("audio_frames_received", SYSTEM), Some(3));
    assert_eq!(counted.gauge("queue_depth", SYSTEM), Some(3.0));

    let chunk = bench.take(100).unwrap();
    assert_eq!(bench.counted().gauge("queue_depth", SYSTEM), Some(0.0));

    bench.end_chunk(&chunk, took(75), 400);
    let counted = bench.counted();
    assert_eq!(counted.counter("asr_chunks_processed", SYSTEM), Some(1));
    assert_eq!(counted.gauge("processing_lag_seconds", SYSTEM), Some(0.4));
    let inference = counted.histogram("inference_time_ms", SYSTEM).unwrap();
    assert_eq!((inference.buckets(), inference.sum()), (&[0, 1, 0, 0, 0, 0, 0, 0][..], 75.0));
    let processing = counted.histogram("processing_time_ms", SYSTEM).unwrap();
    assert_eq!((processing.buckets(), processing.sum()), (&[0, 0, 1, 0, 0, 0, 0, 0][..], 400.0));
}

#[test]
fn a_chunk_that_fails_is_an_error_and_its_audio_dropped() {
    let mut bench = Bench::new();
    bench.hear(250, 0);
    let chunk = bench.take(0).unwrap();
    bench.end_chunk(&chunk, None, 100);
    let counted = bench.counted();
    assert_eq!(counted.counter("asr_errors", SYSTEM), Some(1));
    assert_eq!(counted.counter("asr_chunks_processed", SYSTEM), Some(0));
    assert_eq!(counted.counter("audio_frames_dropped", SYSTEM), Some(3));
    assert_eq!(counted.counter("audio_bytes_dropped", SYSTEM), Some(8_000));
}

#[test]
fn the_gauges_return_to_zero_when_a_session_ends_and_when_it_is_only_dropped() {
    for ends in [true, false] {
        let mut bench = Bench::new();
        bench.hear(1_950, 0);
        bench.hear(300, 0);
        let registry = bench.registry.clone();
        if ends {
            bench.end(10);
        }
        drop(bench);
        let counted = registry.snapshot();
        assert_eq!(counted.gauge("queue_depth", SYSTEM), Some(0.0), "{ends}");
        assert_eq!(counted.gauge("active_sessions", &[]), Some(0.0), "{ends}");
        assert_eq!(counted.counter("audio_bytes_dropped", SYSTEM), Some(72_000), "{ends}");
    }
}

#[test]
fn the_queue_depth_of_a_source_is_summed_over_sessions() {
    let registry = Registry::new();
    let metrics = DefaultMetrics::register(&registry).unwrap();
    let sessions = [metrics.source("mic").unwrap(), metrics.source("mic").unwrap()];
    sessions[0].queue_depth.set(2.0);
    sessions[1].queue_depth.set(3.0);
    assert_eq!(registry.snapshot().gauge("queue_depth", MIC), Some(5.0));
}

#[test]
fn the_processing_lag_of_a_source_is_the_longest_of_its_sessions_and_goes_with_them() {
    let registry = Registry::new();
    let metrics = DefaultMetrics::register(&registry).unwrap();
    let (one, other) = (metrics.source("mic").unwrap(), metrics.source("mic").unwrap());
    let lag = || registry.snapshot().gauge("processing_lag_seconds", MIC);
    one.processing_lag_seconds.set(0.5);
    other.processing_lag_seconds.set(0.25);
    assert_eq!(lag(), Some(0.5));
    drop(one);
    assert_eq!(lag(), Some(0.25));
    drop(other);
    assert_eq!(lag(), Some(0.0));
}
