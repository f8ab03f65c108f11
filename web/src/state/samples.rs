//! Frames for the tests beside this file, made the way a server's arrive: from JSON.

use serde_json::{Value, json};
use tachograph_core::wire::{Metrics, SessionState, SourceName, StreamFrame};

pub(super) const TIMESTAMP: f64 = 1_750_000_000.0;

pub(super) fn source_name(name: &str) -> SourceName {
    SourceName::parse(name).unwrap()
}

fn metrics_json(source: &str) -> Value {
    json!({
        "source": source, "tick": 4,
        "queue_bytes": 3200, "queue_bytes_max": 64000,
        "queue_depth": 1, "queue_max_frames": 500, "queue_max": 500,
        "queue_fill_ratio": 0.05, "backlog_seconds": 0.1, "max_backlog_seconds": 2.0,
        "dropped_total": 0, "dropped_recent": 0, "dropped_chunks_last_10s": 0,
        "avg_infer_ms": 84.5, "avg_processing_ms": 90.0, "realtime_factor": 0.04,
        "provider": "vad", "model_id": "earshot", "vad_enabled": true,
        "provider_state": "running", "provider_health": null,
        "speech_ratio": 0.5, "speech_chunks_emitted": 1, "total_chunks_processed": 2, "voice_ratio": 0.8,
        "client_clock_drift_compensation_enabled": false, "client_vad_enabled": false,
        "client_clock_drift_telemetry_enabled": false, "client_vad_telemetry_enabled": false,
        "source_clock_spread_ms": 0.0, "max_source_clock_spread_ms": 0.0,
        "sources_active": [source],
        "degrade_level": "NORMAL", "degrade_level_num": 0, "rtf_avg_10s": 0.04,
        "bytes_received": 131200, "bytes_processed": 128000, "bytes_dropped": 0, "bytes_in_provider": 0,
        "timestamp": TIMESTAMP,
    })
}

fn session_json(name: &str, age_seconds: f64, sources: &[&str]) -> Value {
    let sources: Vec<Value> = sources.iter().map(|source| metrics_json(source)).collect();
    json!({
        "session_id": name, "attempt_id": null, "connection_id": format!("{name}-connection"),
        "phase": "streaming", "age_seconds": age_seconds,
        "ticks_sent": 4, "ticks_conflated": 0, "ticks_missed": 0,
        "sources": sources,
    })
}

/// A healthy source.
pub(super) fn metrics(source: &str) -> Metrics {
    serde_json::from_value(metrics_json(source)).unwrap()
}

/// A session with healthy sources.
pub(super) fn session(name: &str, age_seconds: f64, sources: &[&str]) -> SessionState {
    serde_json::from_value(session_json(name, age_seconds, sources)).unwrap()
}

/// A frame of these sessions, each of them `seq` seconds old and with one source, `mic`.
pub(super) fn frame(epoch: &str, seq: u64, sessions: &[&str]) -> StreamFrame<'static> {
    let sessions: Vec<Value> = sessions.iter().map(|name| session_json(name, seq as f64, &["mic"])).collect();
    let bytes = json!({ "labels": { "source": "mic" }, "counter": seq * 32_000 });
    let frame = json!({
        "epoch": epoch, "seq": seq, "timestamp": TIMESTAMP + seq as f64,
        "server": { "version": "0.1.0", "uptime_seconds": 10.0, "viewers": 1, "tick_lag_ms": 0.2, "ticks_missed": 0 },
        "registry": {
            "at": 0, "series": 1, "bytes_held": 4096, "threads_sharing": 0, "snapshot_seconds": 0.001,
            "families": [{
                "name": "audio_bytes_received", "kind": "counter", "unit": "bytes", "help": "PCM received",
                "aggregation": "sum", "labels": ["source"], "series": [bytes],
            }],
            "refused_values": 0, "overflowed_series": 0,
        },
        "sessions": sessions,
    });
    serde_json::from_value(frame).unwrap()
}
