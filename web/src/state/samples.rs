//! Frames for the tests of the page, written as a server's are.

use serde_json::{Value, json};
use tachograph_core::instrument::Counter;
use tachograph_core::registry::{Descriptor, Registry};
use tachograph_core::wire::frame::{Encoder, Epoch, Hello, Outcome, ServerFigures, State, Tick};
use tachograph_core::wire::{Event, EventKind, SessionState, SourceName};

const START_MS: u64 = 1_750_000_000_000;
pub(crate) const TIMESTAMP: f64 = START_MS as f64 / 1_000.0;

pub(crate) fn source_name(name: &str) -> SourceName {
    SourceName::parse(name).unwrap()
}

pub(crate) fn epoch(byte: u8) -> Epoch {
    Epoch::from_bytes([byte; 16])
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

/// A session with healthy sources.
pub(crate) fn session(id: u64, name: &str, sources: &[&str]) -> SessionState {
    let sources: Vec<Value> = sources.iter().map(|source| metrics_json(source)).collect();
    let session = json!({
        "id": id, "session_id": name, "attempt_id": null, "connection_id": format!("{name}-connection"),
        "phase": "streaming", "age_seconds": 1.0,
        "ticks_sent": 4, "ticks_conflated": 0, "ticks_missed": 0,
        "sources": sources,
    });
    serde_json::from_value(session).unwrap()
}

/// Sessions of these numbers, each named by its own and with one source, `mic`.
pub(crate) fn sessions(ids: &[u64]) -> Vec<SessionState> {
    ids.iter().map(|id| session(*id, &format!("s{id}"), &["mic"])).collect()
}

/// An event of the server, at the time of the first frame.
pub(crate) fn event(kind: EventKind) -> Event {
    Event { timestamp: TIMESTAMP, session: None, session_id: None, kind, receipt: None }
}

/// A start of a server, a frame a second.
pub(crate) struct Sample {
    registry: Registry,
    received: Option<Counter>,
    encoder: Encoder,
    seq: u64,
    /// When it started, in Unix milliseconds.
    pub(crate) start_ms: u64,
    /// What happens in the next frame.
    pub(crate) events: Vec<Event>,
}

impl Sample {
    /// A server whose source `mic` receives 32,000 bytes a second.
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let descriptor = Descriptor::new("audio_bytes_received", "PCM received").unit("bytes").label("source");
        let received = registry.counter(&descriptor).unwrap().bind(&[("source", "mic")]).unwrap();
        Self { received: Some(received), ..Self::with(registry) }
    }

    /// A server that counts something else.
    pub(crate) fn with(registry: Registry) -> Self {
        Self { registry, received: None, encoder: Encoder::new(), seq: 0, start_ms: START_MS, events: Vec::new() }
    }

    /// What the next frame says.
    pub(crate) fn next(&mut self, sessions: &[SessionState]) -> State {
        self.write(sessions, &mut Vec::new());
        self.encoder.state().clone()
    }

    /// Appends the next frame.
    pub(crate) fn write(&mut self, sessions: &[SessionState], out: &mut Vec<u8>) {
        self.received.iter().for_each(|received| received.add(32_000));
        self.seq += 1;
        let snapshot = self.registry.snapshot();
        let events = std::mem::take(&mut self.events);
        let tick = Tick {
            tick: self.seq,
            monotonic_us: self.seq * 1_000_000,
            wall_ms: self.start_ms + self.seq * 1_000,
            server: ServerFigures { viewers: 1, tick_lag_ms: 0.2, ticks_missed: 0 },
            sessions,
            events: &events,
            ..Tick::of(&snapshot)
        };
        self.encoder.encode(&tick, out);
    }

    /// The newest frame by itself, behind the schema.
    pub(crate) fn keyframe(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encoder.write_schema(&mut out);
        self.encoder.write_keyframe(&mut out);
        out
    }
}

/// What a connection begins with.
pub(crate) fn hello(epoch: Epoch, outcome: Outcome, first_seq: u64) -> Vec<u8> {
    let mut out = Vec::new();
    Hello { epoch, server_version: "0.1.0".into(), outcome, first_seq }.write(&mut out);
    out
}
