//! A server on a bench that says what it knows each second: as a frame, and directly in the plain form.

use std::borrow::Cow;

use serde_json::Value;
use tachograph_core::registry::{Collector, Registry};
use tachograph_core::wire::frame::{
    Cell, Decoder, Encoder, Epoch, Hello, Outcome, Record, RecordKind, ServerFigures, SessionView, SourceView, State,
    Tick,
};
use tachograph_core::wire::{
    Event, Metrics, ServerState, SessionPhase, SessionState, SourceName, StreamFrame, rounded,
};

pub(crate) const EPOCH: Epoch = Epoch::from_bytes([0xA5; 16]);
pub(crate) const SERVER_VERSION: &str = "0.1.0";

pub(crate) struct Server {
    pub(crate) registry: Registry,
    collector: Collector,
    pub(crate) encoder: Encoder,
    /// Of the next tick.
    pub(crate) tick: u64,
    pub(crate) monotonic_us: u64,
    pub(crate) wall_ms: u64,
    pub(crate) server: ServerFigures,
    pub(crate) snapshot_seconds: f64,
    pub(crate) sessions: Vec<SessionState>,
    /// Since the tick before.
    pub(crate) events: Vec<Event>,
    pub(crate) events_dropped: u64,
    seq: u64,
}

/// What a server said at one tick.
pub(crate) struct Said {
    pub(crate) record: Vec<u8>,
    pub(crate) plain: StreamFrame<'static>,
}

impl Server {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        Self {
            collector: registry.collector(),
            registry,
            encoder: Encoder::new(),
            tick: 1,
            monotonic_us: 1_000_250,
            wall_ms: 1_767_225_601_125,
            server: ServerFigures { viewers: 2, tick_lag_ms: 0.3, ticks_missed: 0 },
            snapshot_seconds: 0.000_125,
            sessions: Vec::new(),
            events: Vec::new(),
            events_dropped: 0,
            seq: 0,
        }
    }

    /// Says what it knows, forgets the events, and goes on by a second.
    pub(crate) fn say(&mut self) -> Said {
        let mut registry = self.collector.collect(self.wall_ms).clone();
        // What it holds depends on the machine's word.
        (registry.bytes_held, registry.snapshot_seconds) = (4_096, self.snapshot_seconds);
        let mut record = Vec::new();
        let tick = Tick {
            tick: self.tick,
            monotonic_us: self.monotonic_us,
            wall_ms: self.wall_ms,
            server: self.server,
            registry: &registry,
            sessions: &self.sessions,
            events: &self.events,
            events_dropped: self.events_dropped,
        };
        self.encoder.encode(&tick, &mut record);
        self.seq += 1;
        let plain = StreamFrame {
            epoch: EPOCH.to_string(),
            seq: self.seq,
            tick: self.tick,
            timestamp: self.now(),
            server: ServerState {
                version: SERVER_VERSION.into(),
                uptime_seconds: rounded(self.monotonic_us as f64 / 1e6, 1),
                viewers: self.server.viewers,
                tick_lag_ms: self.server.tick_lag_ms,
                ticks_missed: self.server.ticks_missed,
            },
            registry: Cow::Owned(registry),
            sessions: self.sessions.clone(),
            events: std::mem::take(&mut self.events),
            events_dropped: std::mem::take(&mut self.events_dropped),
        };
        self.tick += 1;
        self.monotonic_us += 1_000_000;
        self.wall_ms += 1_000;
        Said { record, plain }
    }

    /// Unix seconds of the next tick.
    pub(crate) fn now(&self) -> f64 {
        rounded(self.wall_ms as f64 / 1_000.0, 3)
    }

    /// What a reader gets who begins with the newest frame.
    pub(crate) fn join(&mut self) -> Vec<u8> {
        let mut records = self.schema();
        records.extend(self.keyframe());
        records
    }

    pub(crate) fn schema(&self) -> Vec<u8> {
        let mut record = Vec::new();
        self.encoder.write_schema(&mut record);
        record
    }

    pub(crate) fn keyframe(&mut self) -> Vec<u8> {
        let mut record = Vec::new();
        self.encoder.write_keyframe(&mut record);
        record
    }
}

/// A session without sources.
pub(crate) fn session(id: u64) -> SessionState {
    SessionState {
        id,
        identity: Default::default(),
        phase: SessionPhase::Streaming,
        age_seconds: 0.4,
        ticks_sent: 0,
        ticks_conflated: 0,
        ticks_missed: 0,
        sources: Vec::new(),
    }
}

/// A source's figures of nothing.
pub(crate) fn silent(source: SourceName, timestamp: f64) -> Metrics {
    Metrics {
        source,
        tick: 0,
        queue_bytes: 0,
        queue_bytes_max: 64_000,
        queue_depth: 0,
        queue_max_frames: 500,
        queue_max: 500,
        queue_fill_ratio: 0.0,
        backlog_seconds: 0.0,
        max_backlog_seconds: 2.0,
        dropped_total: 0,
        dropped_recent: 0,
        dropped_chunks_last_10s: 0,
        avg_infer_ms: 0.0,
        avg_processing_ms: 0.0,
        infer_p50_ms: 0.0,
        infer_p99_ms: 0.0,
        realtime_factor: 0.0,
        provider: String::new(),
        model_id: String::new(),
        vad_enabled: false,
        provider_state: Default::default(),
        provider_health: None,
        speech_ratio: 0.0,
        speech_chunks_emitted: 0,
        total_chunks_processed: 0,
        voice_ratio: None,
        client_clock_drift_compensation_enabled: false,
        client_vad_enabled: false,
        client_clock_drift_telemetry_enabled: false,
        client_vad_telemetry_enabled: false,
        source_clock_spread_ms: 0.0,
        max_source_clock_spread_ms: 0.0,
        sources_active: vec![source],
        degrade_level: None,
        degrade_level_num: None,
        rtf_avg_10s: None,
        bytes_received: 0,
        bytes_processed: 0,
        bytes_dropped: 0,
        bytes_in_provider: 0,
        timestamp,
    }
}

/// Gives a session a source; each of its sources names them all.
pub(crate) fn add_source(session: &mut SessionState, metrics: Metrics) {
    let place = session.sources.partition_point(|held| held.source < metrics.source);
    session.sources.insert(place, metrics);
    let names: Vec<SourceName> = session.sources.iter().map(|metrics| metrics.source).collect();
    session.sources.iter_mut().for_each(|metrics| metrics.sources_active.clone_from(&names));
}

pub(crate) fn hello(outcome: Outcome, first_seq: u64) -> Vec<u8> {
    let mut record = Vec::new();
    Hello { epoch: EPOCH, server_version: SERVER_VERSION.into(), outcome, first_seq }.write(&mut record);
    record
}

/// The JSON of what a decoder holds, which tells every bit of a finite float.
pub(crate) fn text(decoder: &Decoder) -> String {
    json(&decoder.state().to_plain(EPOCH, SERVER_VERSION))
}

pub(crate) fn json(plain: &StreamFrame<'_>) -> String {
    serde_json::to_string(plain).unwrap()
}

/// The one record of these bytes.
pub(crate) fn record(bytes: &[u8]) -> Record<'_> {
    let (record, length) = Record::split(bytes).unwrap();
    assert_eq!(length, bytes.len());
    record
}

/// A record of another payload.
pub(crate) fn rewritten(kind: RecordKind, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    Record { kind, payload }.write(&mut bytes);
    bytes
}

/// What a state lends is what it gives.
pub(crate) fn assert_views(state: &State) {
    let sessions: Vec<SessionState> = state.sessions().collect();
    assert_eq!(state.session_views().len(), sessions.len());
    for (view, session) in state.session_views().zip(&sessions) {
        assert_session_view(&view, session);
        assert_eq!(state.session_view(session.id).map(|view| view.id()), Some(session.id));
    }
    let unknown = sessions.last().map_or(0, |session| session.id + 1);
    assert!(state.session_view(unknown).is_none());
    let totals = state.totals();
    let registry = state.registry();
    assert_eq!(
        (totals.refused_values, totals.overflowed_series, totals.bytes_held, totals.threads_sharing),
        (registry.refused_values, registry.overflowed_series, registry.bytes_held, registry.threads_sharing)
    );
    assert_eq!(totals.snapshot_seconds.to_bits(), registry.snapshot_seconds.to_bits());
}

fn assert_session_view(view: &SessionView<'_>, session: &SessionState) {
    assert_eq!((view.id(), view.identity(), view.phase()), (session.id, &session.identity, session.phase));
    assert_eq!(view.age_seconds().to_bits(), session.age_seconds.to_bits());
    assert_eq!(
        (view.ticks_sent(), view.ticks_conflated(), view.ticks_missed()),
        (session.ticks_sent, session.ticks_conflated, session.ticks_missed)
    );
    assert_eq!(view.sources().len(), session.sources.len());
    view.sources().zip(&session.sources).for_each(|(view, metrics)| assert_source_view(&view, metrics));
}

fn assert_source_view(view: &SourceView<'_>, metrics: &Metrics) {
    assert_eq!(view.metrics(), *metrics);
    assert_eq!(
        (view.source(), view.provider(), view.model_id()),
        (metrics.source, &*metrics.provider, &*metrics.model_id)
    );
    assert_eq!(view.health(), metrics.provider_health.as_ref());
    let fields = serde_json::to_value(metrics).unwrap();
    for cell in Cell::ALL {
        assert_eq!(view.cell(cell), figure(cell, fields.get(cell.name())), "{}", cell.name());
    }
}

/// A field on the wire as the number of its cell.
fn figure(cell: Cell, field: Option<&Value>) -> Option<f64> {
    let place = |names: &[&str], name: &str| names.iter().position(|known| *known == name).map(|place| place as f64);
    match (cell, field) {
        (Cell::DegradeLevel, None) => Some(0.0),
        (Cell::DegradeLevel, Some(Value::String(level))) => {
            place(&["", "NORMAL", "WARNING", "DEGRADE", "EMERGENCY", "FAILOVER"], level)
        }
        (_, Some(Value::String(state))) => place(&["idle", "running", "stalled", "restarting", "failed"], state),
        (_, Some(Value::Bool(flag))) => Some(f64::from(u8::from(*flag))),
        (_, field) => field?.as_f64(),
    }
}
