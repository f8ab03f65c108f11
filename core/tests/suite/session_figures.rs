use core::time::Duration;

use tachograph_core::registry::{DefaultMetrics, Registry};
use tachograph_core::session::{Audio, AudioConfig, ChunkResult, Session, Voice};
use tachograph_core::wire::{ClientFeatures, MIC, Metrics, SYSTEM, SourceName, rounded};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::{Bench, UNIX, ms, pcm, took};

fn judged(ratio: f64, is_speech: bool) -> Option<ChunkResult> {
    Some(ChunkResult { inference: Duration::from_millis(10), voice: Some(Voice { ratio, is_speech }) })
}

/// One chunk of this audio, in ms, with this result.
fn chunk(bench: &mut Bench, audio: usize, result: Option<ChunkResult>) -> Metrics {
    bench.hear(audio, 0);
    let chunk = bench.take(0).unwrap();
    bench.end_chunk(&chunk, result, 0);
    bench.tick(0)
}

#[test]
fn there_are_figures_for_each_source_that_has_sent_audio_and_for_no_other() {
    let mut bench = Bench::new();
    assert!(bench.session.tick(1, ms(1_000), UNIX).is_empty());
    bench.hear_from(MIC, 10, 0);
    assert_eq!(bench.session.tick(2, ms(2_000), UNIX).len(), 1);
    bench.hear(10, 0);
    let figures = bench.session.tick(3, ms(3_000), UNIX);
    assert_eq!(
        figures.iter().map(|f| (f.source, f.tick, f.timestamp)).collect::<Vec<_>>(),
        [(MIC, 3, UNIX), (SYSTEM, 3, UNIX)]
    );
}

#[test]
fn the_active_sources_are_sorted() {
    let mut bench = Bench::with(AudioConfig { sources_max: 4, ..AudioConfig::default() });
    for name in ["system", "app", "mic", "line"] {
        bench.hear_from(SourceName::parse(name).unwrap(), 10, 0);
    }
    let figures = bench.session.tick(1, ms(0), 0.0);
    for one in &figures {
        assert_eq!(
            serde_json::to_value(&one.sources_active).unwrap(),
            serde_json::json!(["app", "line", "mic", "system"])
        );
    }
}

#[test]
fn the_fill_is_the_larger_of_bytes_and_frames_by_their_bounds() {
    let mut bench = Bench::with(AudioConfig { queue_frames_max: 20, ..AudioConfig::default() });
    bench.hear(500, 0);
    assert_eq!(bench.tick(0).queue_fill_ratio, 0.25);
    (0..5).for_each(|_| bench.hear(1, 0));
    assert_eq!(bench.tick(0).queue_fill_ratio, 0.5);
    bench.hear(1, 0);
    assert_eq!(bench.tick(0).queue_fill_ratio, 0.55);
}

#[test]
fn the_backlog_is_the_waiting_audio_in_seconds_with_2_decimals() {
    let mut bench = Bench::new();
    bench.hear(1_234, 0);
    let figures = bench.tick(0);
    assert_eq!((figures.backlog_seconds, figures.queue_bytes, figures.queue_depth), (1.23, 39_488, 13));
    assert_eq!(figures.queue_fill_ratio, 0.62);
}

#[test]
fn means_are_over_the_last_10_chunks() {
    let mut bench = Bench::new();
    for n in 1..=12 {
        bench.hear(100, n * 10_000);
        let chunk = bench.take(n * 10_000).unwrap();
        bench.end_chunk(&chunk, took(n * 100), n * 10_000 + n * 200);
    }
    let figures = bench.tick(200_000);
    assert_eq!((figures.avg_infer_ms, figures.avg_processing_ms), (750.0, 1_500.0));
    assert_eq!(figures.realtime_factor, 7.5);
    assert_eq!(figures.total_chunks_processed, 12);
}

#[test]
fn means_of_fewer_chunks_are_over_those() {
    let mut bench = Bench::new();
    bench.process(100, 10, 0);
    bench.process(100, 15, 0);
    bench.process(100, 16, 0);
    assert_eq!(bench.tick(0).avg_infer_ms, 13.7);
}

#[test]
fn quantiles_of_the_time_inside_the_provider_are_over_the_last_100_chunks() {
    let mut bench = Bench::new();
    (0..20).for_each(|_| bench.process(100, 9_000, 0));
    (1..=100).for_each(|n| bench.process(100, n, 0));
    let figures = bench.tick(0);
    assert_eq!((figures.infer_p50_ms, figures.infer_p99_ms), (50.0, 99.0));
    bench.process(100, 200, 0);
    let figures = bench.tick(0);
    assert_eq!((figures.infer_p50_ms, figures.infer_p99_ms), (51.0, 100.0));
}

#[test]
fn the_realtime_factor_is_the_sum_of_times_by_the_sum_of_audio() {
    let mut bench = Bench::new();
    bench.process(100, 100, 0);
    bench.process(900, 300, 0);
    assert_eq!(bench.tick(0).realtime_factor, 0.4);
}

#[test]
fn silence_and_waiting_do_not_count_into_the_realtime_factor() {
    let mut bench = Bench::new();
    for start in [0, 60_000] {
        bench.hear(1_000, start);
        let chunk = bench.take(start + 5_000).unwrap();
        bench.end_chunk(&chunk, took(500), start + 20_000);
    }
    let figures = bench.tick(600_000);
    assert_eq!((figures.realtime_factor, figures.avg_infer_ms, figures.avg_processing_ms), (0.5, 500.0, 20_000.0));
}

#[test]
fn processing_is_timed_from_a_chunks_last_frame_arriving() {
    let mut bench = Bench::new();
    bench.hear(500, 0);
    assert!(bench.next_chunk(SYSTEM, false, ms(0)).is_none());
    bench.hear(1_500, 1_500);
    let chunk = bench.next_chunk(SYSTEM, false, ms(1_600)).unwrap();
    bench.hear(100, 1_700);
    bench.end_chunk(&chunk, took(100), 1_800);
    assert_eq!(bench.tick(2_000).avg_processing_ms, 300.0);
}

#[test]
fn a_failed_chunk_enters_no_mean_and_no_chunk_count() {
    let mut bench = Bench::new();
    bench.process(1_000, 500, 0);
    let figures = chunk(&mut bench, 1_000, None);
    assert_eq!((figures.infer_p50_ms, figures.infer_p99_ms), (500.0, 500.0));
    assert_eq!((figures.avg_infer_ms, figures.realtime_factor, figures.total_chunks_processed), (500.0, 0.5, 1));
    assert_eq!(figures.dropped_total, 10);
}

#[test]
fn each_source_has_its_own_chunks() {
    let mut bench = Bench::new();
    bench.process(1_000, 500, 0);
    bench.hear_from(MIC, 1_000, 0);
    let chunk = bench.next_chunk(MIC, true, ms(0)).unwrap();
    bench.end_chunk_of(MIC, &chunk, took(100), ms(0));
    let factors: Vec<_> = bench.session.tick(1, ms(0), 0.0).iter().map(|f| (f.source, f.realtime_factor)).collect();
    assert_eq!(factors, [(MIC, 0.1), (SYSTEM, 0.5)]);
}

#[test]
fn voice_figures_are_over_the_chunks_that_were_judged() {
    let mut bench = Bench::new();
    let figures = chunk(&mut bench, 100, took(10));
    assert_eq!((figures.speech_ratio, figures.speech_chunks_emitted, figures.voice_ratio), (0.0, 0, None));
    chunk(&mut bench, 100, judged(0.9, true));
    chunk(&mut bench, 100, judged(0.1, false));
    let figures = chunk(&mut bench, 100, judged(0.456, true));
    assert_eq!((figures.speech_ratio, figures.speech_chunks_emitted, figures.voice_ratio), (0.67, 2, Some(0.46)));
    assert_eq!(figures.total_chunks_processed, 4);
    assert_eq!(chunk(&mut bench, 100, took(10)).voice_ratio, None);
}

#[test]
fn the_clock_spread_is_between_the_audio_positions_and_its_maximum_stays() {
    let mut bench = Bench::new();
    bench.hear(1_000, 0);
    let figures = bench.tick(0);
    assert_eq!((figures.source_clock_spread_ms, figures.max_source_clock_spread_ms), (0.0, 0.0));
    bench.hear_from(MIC, 400, 0);
    assert_eq!(bench.tick(0).source_clock_spread_ms, 600.0);
    bench.receive(SYSTEM, vec![0; 2].into(), ms(0)).unwrap();
    bench.hear_from(MIC, 580, 0);
    let figures = bench.tick(0);
    assert_eq!((figures.source_clock_spread_ms, figures.max_source_clock_spread_ms), (20.1, 600.1));
    bench.hear_from(MIC, 100, 0);
    assert_eq!(bench.tick(0).source_clock_spread_ms, 79.9);
    assert_eq!(bench.tick(0).max_source_clock_spread_ms, 600.1);
}

#[test]
fn drops_do_not_move_the_audio_position_back() {
    let mut bench = Bench::new();
    bench.hear_from(MIC, 1_000, 0);
    (0..4).for_each(|_| bench.hear(1_000, 0));
    assert_eq!(bench.tick(0).source_clock_spread_ms, 3_000.0);
}

#[test]
fn the_clients_features_are_told_back_each_in_its_field() {
    for on in 0..4 {
        let features = ClientFeatures {
            clock_drift_compensation_enabled: on == 0,
            client_vad_enabled: on == 1,
            clock_drift_telemetry_enabled: on == 2,
            client_vad_telemetry_enabled: on == 3,
        };
        let metrics = DefaultMetrics::register(&Registry::new()).unwrap();
        let mut session = Session::new(2, metrics, features, ms(0));
        Audio::new(AudioConfig::default()).receive(&mut session, SYSTEM, pcm(10), ms(0)).unwrap();
        let figures = serde_json::to_value(&session.tick(1, ms(0), 0.0)[0]).unwrap();
        let told = [
            "client_clock_drift_compensation_enabled",
            "client_vad_enabled",
            "client_clock_drift_telemetry_enabled",
            "client_vad_telemetry_enabled",
        ];
        assert_eq!(told.map(|field| figures[field].as_bool().unwrap()), [on == 0, on == 1, on == 2, on == 3]);
    }
}

#[test]
fn the_timestamp_is_the_unix_time_of_the_tick() {
    let mut bench = Bench::new();
    bench.hear(10, 0);
    assert_eq!(bench.session.tick(1, ms(0), 1_767_225_600.123_456)[0].timestamp, 1_767_225_600.123);
}

/// The fields whose null means something.
const NULLABLE: [&str; 2] = ["provider_health", "voice_ratio"];

/// Serialization writes null for what is not finite.
fn assert_finite(figures: &Metrics) {
    let fields = serde_json::to_value(figures).unwrap();
    let nulls = fields.as_object().unwrap().iter().filter(|(_, value)| value.is_null());
    let holes: Vec<_> = nulls.filter(|(name, _)| !NULLABLE.contains(&name.as_str())).collect();
    assert!(holes.is_empty(), "{holes:?}");
}

#[test]
fn a_figure_without_data_is_zero() {
    let mut bench = Bench::new();
    bench.hear(100, 0);
    let figures = bench.tick(0);
    assert_finite(&figures);
    let numbers = [
        figures.avg_infer_ms,
        figures.avg_processing_ms,
        figures.infer_p50_ms,
        figures.infer_p99_ms,
        figures.realtime_factor,
        figures.speech_ratio,
        figures.source_clock_spread_ms,
        figures.max_source_clock_spread_ms,
        figures.rtf_avg_10s.unwrap(),
    ];
    assert_eq!(numbers, [0.0; 9]);
    assert_eq!((figures.dropped_total, figures.dropped_recent, figures.dropped_chunks_last_10s), (0, 0, 0));
}

#[test]
fn no_figure_is_ever_nan_or_infinite() {
    let mut bench = Bench::with(AudioConfig { queue_bytes_max: 2, queue_frames_max: 1, ..AudioConfig::default() });
    for inference in [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(1 << 40)] {
        for ratio in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
            let voice = Some(Voice { ratio, is_speech: false });
            bench.receive(SYSTEM, vec![0; 2].into(), ms(0)).unwrap();
            let chunk = bench.take(0).unwrap();
            bench.end_chunk(&chunk, Some(ChunkResult { inference, voice }), u64::MAX);
            for unix in [f64::NAN, f64::INFINITY, f64::MAX, -1.0] {
                let figures = bench.session.tick(u64::MAX, ms(u64::MAX), unix);
                figures.iter().for_each(assert_finite);
                assert!(figures[0].timestamp.is_finite() && figures[0].voice_ratio.unwrap().is_finite());
            }
        }
    }
    let receipt = bench.end(u64::MAX);
    assert!(!serde_json::to_string(&receipt.sources).unwrap().contains("null"));
}

#[test]
fn rounding_is_half_away_from_zero_and_makes_zero_of_what_is_not_finite() {
    assert_eq!([0.124, 0.125, 0.126, -0.125, 2.0].map(|value| rounded(value, 2)), [0.12, 0.13, 0.13, -0.13, 2.0]);
    assert_eq!([0.04, 0.05, 1_234.56].map(|value| rounded(value, 1)), [0.0, 0.1, 1_234.6]);
    assert_eq!([f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(|value| rounded(value, 2)), [0.0; 3]);
    assert!(rounded(f64::MAX, 2).is_finite());
}

#[test]
fn every_field_of_the_document_is_there_under_its_name() {
    let fields = "source tick queue_bytes queue_bytes_max queue_depth queue_max_frames queue_max queue_fill_ratio \
        backlog_seconds max_backlog_seconds dropped_total dropped_recent dropped_chunks_last_10s avg_infer_ms \
        avg_processing_ms infer_p50_ms infer_p99_ms realtime_factor provider model_id vad_enabled provider_state provider_health speech_ratio \
        speech_chunks_emitted total_chunks_processed client_clock_drift_compensation_enabled client_vad_enabled \
        client_clock_drift_telemetry_enabled client_vad_telemetry_enabled source_clock_spread_ms \
        max_source_clock_spread_ms sources_active degrade_level degrade_level_num rtf_avg_10s timestamp";
    let mut bench = Bench::new();
    bench.hear(10, 0);
    let figures = serde_json::to_value(bench.tick(0)).unwrap();
    for field in fields.split_whitespace() {
        assert!(figures.get(field).is_some(), "{field}");
    }
}

#[test]
fn integers_are_integers_and_the_rest_is_rounded() {
    let mut bench = Bench::new();
    bench.hear_from(MIC, 33, 0);
    bench.process(700, 333, 0);
    bench.hear(1_111, 0);
    let figures = serde_json::to_value(bench.tick(0)).unwrap();
    for field in ["tick", "queue_bytes", "queue_depth", "queue_max", "dropped_total", "degrade_level_num"] {
        assert!(figures[field].is_u64(), "{field}");
    }
    for (field, decimals) in [
        ("queue_fill_ratio", 2),
        ("backlog_seconds", 2),
        ("max_backlog_seconds", 2),
        ("realtime_factor", 2),
        ("rtf_avg_10s", 2),
        ("avg_infer_ms", 1),
        ("avg_processing_ms", 1),
        ("infer_p50_ms", 1),
        ("infer_p99_ms", 1),
        ("source_clock_spread_ms", 1),
        ("max_source_clock_spread_ms", 1),
    ] {
        let text = figures[field].to_string();
        let told = text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        assert!(told <= decimals, "{field}: {text}");
    }
}
