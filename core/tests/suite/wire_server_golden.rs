//! The exact text of every message, which also decodes back to the equal value. Statuses, metrics
//! and the receipt come from a session that really reached them.

use core::time::Duration;
use std::borrow::Cow;
use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tachograph_core::registry::{DefaultMetrics, Descriptor, Registry};
use tachograph_core::session::{
    Audio, AudioConfig, ChunkResult, ProviderInForce, ProviderPhase, Session, TickTally, Voice,
};
use tachograph_core::snapshot::RegistrySnapshot;
use tachograph_core::wire::{
    ClientFeatures, Envelope, ErrorCode, ErrorMessage, Event, EventKind, FinalSummary, Identity, MIC, Metrics, SYSTEM,
    ServerMessage, ServerState, SessionPhase, SessionState, Status, StatusState, StreamFrame,
};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::support::{Bench, UNIX, identity, ms, took};

macro_rules! golden {
    ($name:literal) => {
        ($name, include_str!(concat!("../golden/", $name, ".json")))
    };
}

/// Every message in an envelope.
pub(crate) const MESSAGES: [(&str, &str); 18] = [
    golden!("status_connected"),
    golden!("status_streaming"),
    golden!("status_warning"),
    golden!("status_error"),
    golden!("status_buffering"),
    golden!("status_overloaded"),
    golden!("status_backlog_cleared"),
    golden!("status_backpressure"),
    golden!("status_degrade_warning"),
    golden!("status_degrade_degrade"),
    golden!("status_degrade_emergency"),
    golden!("status_degrade_failover"),
    golden!("status_degrade_normal"),
    golden!("error"),
    golden!("error_without_identity"),
    golden!("metrics"),
    golden!("metrics_without_degrade"),
    golden!("final_summary"),
];
pub(crate) const STREAM_FRAME: (&str, &str) = golden!("stream_frame");
const RECEIPT_MARKDOWN: &str = include_str!("../golden/final_summary.md");

fn assert_text<T: Serialize + DeserializeOwned + PartialEq + Debug>((name, text): (&str, &str), value: &T) {
    assert_eq!(serde_json::to_string(value).unwrap(), text.trim_end(), "{name}");
    assert_eq!(serde_json::from_str::<T>(text).unwrap(), *value, "{name}");
}

fn assert_message(name: &str, message: ServerMessage, identity: Identity, seq: u64) {
    let golden = *MESSAGES.iter().find(|(golden, _)| *golden == name).unwrap();
    assert_text(golden, &Envelope { message: Cow::Owned(message), identity: Cow::Owned(identity), seq });
}

fn assert_status(name: &str, status: Status) {
    assert_message(name, ServerMessage::Status(status), identity(), 7);
}

/// The one status since the last call.
fn one(bench: &mut Bench) -> Status {
    let mut statuses = bench.statuses();
    assert_eq!(statuses.len(), 1);
    statuses.remove(0)
}

#[test]
fn connected_knows_nobody_yet_and_is_the_first() {
    let status = Status::new(StatusState::Connected, "Send start");
    assert_message("status_connected", ServerMessage::Status(status), Identity::default(), 0);
}

#[test]
fn streaming_echoes_the_connection_and_the_features() {
    let features = ClientFeatures { client_vad_enabled: true, ..ClientFeatures::default() };
    let status = Status { client_features: Some(features), ..Status::new(StatusState::Streaming, "Streaming") };
    assert_status("status_streaming", status);
}

#[test]
fn warning_and_error() {
    assert_status("status_warning", Status::new(StatusState::Warning, "The metrics loop was restarted"));
    let status = Status { source: Some(MIC), ..Status::new(StatusState::Error, "The provider failed") };
    assert_status("status_error", status);
}

#[test]
fn the_edges_of_backpressure() {
    let mut bench = Bench::new();
    bench.hear(1_720, 0);
    assert_status("status_buffering", one(&mut bench));
    bench.hear(250, 0);
    assert_status("status_overloaded", one(&mut bench));
    bench.hear(100, 0);
    bench.hear(100, 0);
    bench.tick(1_000);
    assert_status("status_backpressure", one(&mut bench));
    bench.take(1_000).unwrap();
    assert_status("status_backlog_cleared", one(&mut bench));
}

#[test]
fn each_level_of_the_ladder() {
    let mut bench = Bench::with(AudioConfig { fallback: true, ..AudioConfig::default() });
    bench.process(1_000, 2_000, 0);
    bench.session.set_provider_phase(SYSTEM, ProviderPhase::Failed);
    for (at, name) in [(10, "warning"), (20, "degrade"), (30, "emergency"), (40, "failover")] {
        bench.tick(at * 1_000);
        assert_status(&format!("status_degrade_{name}"), one(&mut bench));
    }
}

#[test]
fn normal_again() {
    let mut bench = Bench::new();
    bench.process(1_000, 900, 0);
    bench.tick(10_000);
    (0..10).for_each(|_| bench.process(1_000, 100, 10_000));
    bench.statuses();
    bench.tick(40_000);
    assert_status("status_degrade_normal", one(&mut bench));
}

#[test]
fn an_error_says_its_code_and_whether_it_is_fatal() {
    let error = |code: ErrorCode, message: &'static str| {
        ServerMessage::Error(ErrorMessage { code, message: message.into(), fatal: code.is_fatal() })
    };
    let identity = Identity { attempt_id: Some("2".into()), ..identity() };
    assert_message("error", error(ErrorCode::InvalidAudio, "`data` is not base64"), identity, u64::from(u32::MAX));
    let nobody = Identity { connection_id: Some("c-1".into()), ..Identity::default() };
    assert_message("error_without_identity", error(ErrorCode::UnsupportedFormat, "only 16 kHz"), nobody, 1);
}

/// A session in which something of everything happened, at its third tick.
fn eventful(ladder: bool) -> Bench {
    let features = ClientFeatures {
        clock_drift_compensation_enabled: true,
        client_vad_enabled: false,
        clock_drift_telemetry_enabled: true,
        client_vad_telemetry_enabled: false,
    };
    let registry = Registry::new();
    let metrics = DefaultMetrics::register(&registry).unwrap();
    let config = AudioConfig { ladder, ..AudioConfig::default() };
    let session = Session::new(config.sources_max, metrics, features, ms(0));
    let mut bench = Bench { registry, session, audio: Audio::new(config) };
    let in_force = ProviderInForce { provider: "vad".into(), model_id: "earshot".into(), vad_enabled: true };
    bench.hear_from(MIC, 320, 0);
    bench.hear(2_000, 100);
    bench.session.set_provider(SYSTEM, in_force);
    bench.session.work_began(SYSTEM);
    bench.session.set_provider_health(SYSTEM, Some(serde_json::json!({"restarts": 1, "ok": true})));
    let chunk = bench.take(150).unwrap();
    let voice = Some(Voice { ratio: 0.625, is_speech: true });
    bench.end_chunk(&chunk, Some(ChunkResult { inference: Duration::from_micros(1_870_340), voice }), 2_100);
    bench.hear(2_000, 2_200);
    bench.hear(330, 2_500);
    bench
}

fn metrics(bench: &mut Bench) -> Vec<Metrics> {
    bench.session.tick(3, ms(3_000), UNIX + 3.25)
}

#[test]
fn metrics_with_every_field() {
    let figures = metrics(&mut eventful(true)).swap_remove(1);
    assert_message("metrics", ServerMessage::Metrics(Box::new(figures)), identity(), 12);
}

#[test]
fn metrics_without_a_ladder_have_no_degrade_fields() {
    let figures = metrics(&mut eventful(false)).swap_remove(0);
    assert_message("metrics_without_degrade", ServerMessage::Metrics(Box::new(figures)), identity(), 11);
}

#[test]
fn the_receipt_twice() {
    let mut bench = eventful(true);
    let chunk = bench.take(3_000).unwrap();
    bench.end_chunk(&chunk, took(4_000), 7_000);
    bench.tick(10_000);
    bench.tick(20_000);
    let json = bench.session.end(identity(), TickTally { sent: 38, conflated: 1, missed: 1 }, ms(21_060));
    let markdown = json.to_markdown();
    assert_eq!(markdown, RECEIPT_MARKDOWN);
    assert_message("final_summary", ServerMessage::FinalSummary(FinalSummary { json, markdown }), identity(), 41);
}

#[test]
fn a_stream_frame() {
    let mut bench = eventful(true);
    let registry = Registry::new();
    registry.counter(&Descriptor::new("frames", "Frames").label("source")).unwrap();
    let depth = registry.gauge(&Descriptor::new("depth", "Waiting").unit("frames").label("source")).unwrap();
    ["mic", "system"].into_iter().for_each(|source| depth.with(&[("source", source)]).unwrap().set(1.5));
    let times = registry.histogram(&Descriptor::new("time", "Times").unit("ms").bounds(&[1.0, 2.5])).unwrap();
    times.with(&[]).unwrap().record(2.0);
    registry.counter(&Descriptor::new("total", "All")).unwrap().with(&[]).unwrap().add(3);
    // What it holds depends on the machine's word.
    let snapshot = RegistrySnapshot { bytes_held: 4_312, ..registry.snapshot() };
    let frame = StreamFrame {
        epoch: "e-1".into(),
        seq: 9,
        tick: 11,
        timestamp: UNIX + 3.25,
        server: ServerState {
            version: "0.1.0".into(),
            uptime_seconds: 12.5,
            viewers: 2,
            tick_lag_ms: 0.3,
            ticks_missed: 1,
        },
        registry: Cow::Owned(snapshot),
        sessions: vec![
            SessionState {
                id: 4,
                identity: identity(),
                phase: SessionPhase::Draining,
                age_seconds: 3.0,
                ticks_sent: 6,
                ticks_conflated: 1,
                ticks_missed: 0,
                sources: metrics(&mut bench),
            },
            SessionState {
                id: 7,
                identity: Identity::default(),
                phase: SessionPhase::Streaming,
                age_seconds: 0.1,
                ticks_sent: 0,
                ticks_conflated: 0,
                ticks_missed: 0,
                sources: Vec::new(),
            },
        ],
        events: vec![Event {
            timestamp: UNIX + 3.125,
            session: Some(7),
            session_id: None,
            kind: EventKind::SessionStarted,
            receipt: None,
        }],
        events_dropped: 0,
    };
    assert_text(STREAM_FRAME, &frame);
}

#[test]
fn every_message_tells_whose_it_is_even_where_nobody_named_it() {
    for (name, text) in MESSAGES {
        let message: serde_json::Value = serde_json::from_str(text).unwrap();
        for field in ["type", "session_id", "attempt_id", "connection_id", "seq"] {
            assert!(message.get(field).is_some(), "{field} of {name}");
        }
    }
}

#[test]
fn a_message_with_a_field_that_nobody_knows_is_still_read() {
    for (name, text) in MESSAGES {
        let newer = text.replacen('{', r#"{"since_version_9": [1, {"a": null}], "#, 1);
        let read: Envelope = serde_json::from_str(&newer).unwrap();
        assert_eq!(read, serde_json::from_str(text).unwrap(), "{name}");
    }
}

#[test]
fn what_is_no_message_is_not_read() {
    for text in ["", "{}", "[]", r#"{"type": "dance", "seq": 1}"#, r#"{"type": "error", "seq": 1}"#] {
        assert!(serde_json::from_str::<Envelope>(text).is_err(), "{text}");
    }
}
