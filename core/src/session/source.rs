use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::backpressure::Backpressure;
use super::chunk::{Chunk, ChunkResult, RecentChunks, audio_time};
use super::config::SessionConfig;
use super::drop_window::DropWindow;
use super::inference_window::InferenceWindow;
use super::ladder::{Ladder, Level, Step};
use super::queue::{Amount, Queue};
use crate::instrument::Distribution;
use crate::registry::SourceInstruments;
use crate::time::Moment;
use crate::wire::{
    ClientFeatures, LadderChange, Metrics, PIECE_BYTES_MAX, ProviderState, SourceName, SourceReceipt, Status,
    StatusState, Tally, rounded,
};

const CHUNK_EXTENSION: Duration = Duration::from_secs(1);
/// The longest that the ladder may make a chunk.
const CHUNK_MAX: Duration = Duration::from_secs(8);
const STALLED_AFTER: Duration = Duration::from_secs(3);
const STALLED_AFTER_MEANS: u32 = 3;
const TIMELINE_MAX: usize = 1_000;

/// The provider and model that work for a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderInForce {
    /// The provider's name.
    pub provider: String,
    /// The model's name.
    pub model_id: String,
    /// Whether voice detection is on.
    pub vad_enabled: bool,
}

/// What the source's worker says its provider is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProviderPhase {
    /// No chunk is inside.
    #[default]
    Idle,
    /// A chunk is inside.
    Running,
    /// It is being made anew.
    Restarting,
    /// Restarts did not help.
    Failed,
}

/// The figures that all sources of a session share at a tick.
pub(super) struct SessionFigures {
    pub(super) tick: u64,
    pub(super) features: ClientFeatures,
    pub(super) spread_ms: f64,
    pub(super) spread_max_ms: f64,
    pub(super) sources_active: Vec<SourceName>,
    pub(super) timestamp: f64,
}

/// One source of a session: its queue, its chunk, its figures.
#[derive(Debug)]
pub(super) struct Source {
    name: SourceName,
    instruments: SourceInstruments,
    queue: Queue,
    /// The chunk that is being filled.
    open: Chunk,
    /// It is long enough and waits for the provider.
    open_is_full: bool,
    chunk_length: Duration,
    drop_next_chunk: bool,

    received: Amount,
    processed: Amount,
    dropped: Amount,
    left: Amount,
    dropped_at_last_tick: Amount,
    dropped_in_last_tick: u64,
    drop_window: DropWindow,
    backpressure: Backpressure,

    started: Moment,
    ladder: Option<Ladder>,
    has_fallback: bool,
    timeline: Vec<LadderChange>,
    timeline_cut: u64,

    in_force: ProviderInForce,
    phase: ProviderPhase,
    health: Option<Arc<serde_json::Value>>,
    recent: RecentChunks,
    inference: InferenceWindow,
    inference_ms: Distribution,
    worst_realtime_factor: f64,
    last_chunk_ended: Option<Moment>,
    chunks_processed: u64,
    chunks_failed: u64,
    chunks_judged: u64,
    chunks_with_speech: u64,
    voice_ratio: Option<f64>,
}

impl Source {
    pub(super) fn new(
        name: SourceName,
        config: &SessionConfig,
        instruments: SourceInstruments,
        session_started: Moment,
    ) -> Self {
        Self {
            name,
            instruments,
            queue: Queue::new(config.queue_bytes_max, config.queue_frames_max),
            open: Chunk::default(),
            open_is_full: false,
            chunk_length: config.chunk,
            drop_next_chunk: false,
            received: Amount::default(),
            processed: Amount::default(),
            dropped: Amount::default(),
            left: Amount::default(),
            dropped_at_last_tick: Amount::default(),
            dropped_in_last_tick: 0,
            drop_window: DropWindow::default(),
            backpressure: Backpressure::default(),
            started: session_started,
            ladder: config.ladder.then(|| Ladder::new(session_started)),
            has_fallback: config.fallback,
            timeline: Vec::new(),
            timeline_cut: 0,
            in_force: ProviderInForce::default(),
            phase: ProviderPhase::default(),
            health: None,
            recent: RecentChunks::default(),
            inference: InferenceWindow::default(),
            inference_ms: Distribution::default(),
            worst_realtime_factor: 0.0,
            last_chunk_ended: None,
            chunks_processed: 0,
            chunks_failed: 0,
            chunks_judged: 0,
            chunks_with_speech: 0,
            voice_ratio: None,
        }
    }

    pub(super) fn name(&self) -> SourceName {
        self.name
    }

    // ---- audio in

    pub(super) fn receive(&mut self, mut frame: Bytes, now: Moment) {
        while !frame.is_empty() {
            let piece = frame.split_to(frame.len().min(PIECE_BYTES_MAX));
            let arrived = Amount::of(&piece);
            self.received += arrived;
            self.instruments.bytes_received.add(arrived.bytes);
            self.instruments.frames_received.inc();
            let overflow = self.queue.push(piece, now);
            self.count_dropped(overflow, now);
        }
        self.tell_queue_depth();
    }

    fn count_dropped(&mut self, amount: Amount, now: Moment) {
        if amount.frames > 0 {
            self.dropped += amount;
            self.drop_window.add(amount.frames, now);
            self.instruments.frames_dropped.add(amount.frames);
            self.instruments.bytes_dropped.add(amount.bytes);
        }
    }

    fn tell_queue_depth(&self) {
        self.instruments.queue_depth.set(self.queue.waiting().frames as f64);
    }

    pub(super) fn bytes_received(&self) -> u64 {
        self.received.bytes
    }

    /// What was received and has met no end yet, less what waits.
    fn in_provider(&self) -> Amount {
        self.received - self.processed - self.dropped - self.queue.waiting()
    }

    pub(super) fn is_drained(&self) -> bool {
        (self.received - self.processed - self.dropped).frames == 0
    }

    // ---- audio to the provider and back

    pub(super) fn next_chunk(&mut self, flush: bool, now: Moment) -> Option<Chunk> {
        self.fill_chunk(now);
        let is_rest = flush && !self.open_is_full && self.open.amount().frames > 0;
        if is_rest {
            self.complete_chunk(now);
        }
        core::mem::take(&mut self.open_is_full).then(|| core::mem::take(&mut self.open))
    }

    /// Moves what waits into the chunk that is being filled, until that is long enough.
    pub(super) fn fill_chunk(&mut self, now: Moment) {
        while !self.open_is_full {
            let Some(piece) = self.queue.take() else { break };
            self.open.add(piece);
            if self.open.duration() >= self.wanted_chunk() {
                self.complete_chunk(now);
            }
        }
        self.tell_queue_depth();
    }

    /// The chunk takes no more audio: it is for the provider, or to be dropped.
    fn complete_chunk(&mut self, now: Moment) {
        if self.is_to_be_dropped() {
            let chunk = core::mem::take(&mut self.open);
            self.count_dropped(chunk.amount(), now);
        } else {
            self.open_is_full = true;
        }
    }

    fn wanted_chunk(&self) -> Duration {
        if self.level() < Some(Level::Warning) {
            return self.chunk_length;
        }
        (self.chunk_length + CHUNK_EXTENSION).min(CHUNK_MAX.max(self.chunk_length))
    }

    /// At EMERGENCY and above, every other chunk.
    fn is_to_be_dropped(&mut self) -> bool {
        if self.level() < Some(Level::Emergency) {
            self.drop_next_chunk = false;
            return false;
        }
        let drop = self.drop_next_chunk;
        self.drop_next_chunk = !drop;
        drop
    }

    pub(super) fn end_chunk(&mut self, chunk: &Chunk, result: Option<ChunkResult>, now: Moment) {
        self.last_chunk_ended = Some(now);
        match result {
            Some(result) => self.count_processed(chunk, result, now),
            None => {
                self.chunks_failed += 1;
                self.instruments.errors.inc();
                self.count_dropped(chunk.amount(), now);
            }
        }
    }

    fn count_processed(&mut self, chunk: &Chunk, result: ChunkResult, now: Moment) {
        let processing = now.since(chunk.last_arrived());
        self.processed += chunk.amount();
        self.chunks_processed += 1;
        self.recent.add(result.inference, processing, chunk.duration());
        self.worst_realtime_factor = self.worst_realtime_factor.max(self.recent.realtime_factor());
        self.inference.add(result.inference);
        self.inference_ms.record(millis(result.inference));
        self.instruments.chunks_processed.inc();
        self.instruments.inference_time_ms.record(millis(result.inference));
        self.instruments.processing_time_ms.record(millis(processing));
        self.instruments.processing_lag_seconds.set(processing.as_secs_f64());
        self.voice_ratio = result.voice.map(|voice| rounded(voice.ratio, 2));
        if let Some(voice) = result.voice {
            self.chunks_judged += 1;
            self.chunks_with_speech += u64::from(voice.is_speech);
        }
    }

    /// Drops whatever has met no end yet.
    pub(super) fn abandon(&mut self, now: Moment) {
        let (waiting, in_provider) = (self.queue.waiting(), self.in_provider());
        self.queue.clear();
        (self.open, self.open_is_full) = (Chunk::default(), false);
        self.tell_queue_depth();
        self.left = waiting;
        self.left += in_provider;
        self.count_dropped(self.left, now);
    }

    // ---- what the worker says

    pub(super) fn set_provider(&mut self, in_force: ProviderInForce) {
        self.in_force = in_force;
    }

    pub(super) fn set_phase(&mut self, phase: ProviderPhase) {
        self.phase = phase;
    }

    pub(super) fn set_health(&mut self, health: Option<serde_json::Value>) {
        self.health = health.map(Arc::new);
    }

    /// None when the ladder is off.
    pub(super) fn level(&self) -> Option<Level> {
        self.ladder.as_ref().map(Ladder::level)
    }

    // ---- statuses

    /// The status that the present fill calls for.
    pub(super) fn take_edge(&mut self) -> Option<Status> {
        let status = self.backpressure.update(self.queue.fill_ratio())?;
        Some(Status { source: Some(self.name), backlog_seconds: Some(self.backlog_seconds()), ..status })
    }

    pub(super) fn check_ladder(&mut self, now: Moment) -> Option<Status> {
        // A fallback that fails too must not hold the level: the provider itself may be well again.
        let on_primary = self.level() < Some(Level::Failover);
        let must_fail_over = self.has_fallback && on_primary && self.phase == ProviderPhase::Failed;
        let step = self.ladder.as_mut()?.check(self.recent.realtime_factor(), must_fail_over, now)?;
        self.remember(step, now);
        Some(Status { source: Some(self.name), backlog_seconds: Some(self.backlog_seconds()), ..step.status() })
    }

    fn remember(&mut self, step: Step, now: Moment) {
        if self.timeline.len() >= TIMELINE_MAX {
            self.timeline.remove(0);
            self.timeline_cut += 1;
        }
        let at_seconds = rounded(now.since(self.started).as_secs_f64(), 1);
        self.timeline.push(LadderChange { at_seconds, from: step.from, to: step.to, action: step.action() });
    }

    /// What was dropped since the previous tick, if anything was.
    pub(super) fn tell_drops(&mut self) -> Option<Status> {
        let news = self.dropped - core::mem::replace(&mut self.dropped_at_last_tick, self.dropped);
        self.dropped_in_last_tick = news.frames;
        (news.frames > 0).then(|| Status {
            source: Some(self.name),
            backlog_seconds: Some(self.backlog_seconds()),
            dropped_frames: Some(news.frames),
            dropped_seconds: Some(rounded(audio_time(news.bytes).as_secs_f64(), 2)),
            dropped_total: Some(self.dropped.frames),
            ..Status::new(StatusState::Backpressure, "Audio was dropped")
        })
    }

    // ---- figures

    fn backlog_seconds(&self) -> f64 {
        rounded(audio_time(self.queue.waiting().bytes).as_secs_f64(), 2)
    }

    fn provider_state(&self, now: Moment) -> ProviderState {
        match self.phase {
            ProviderPhase::Restarting => ProviderState::Restarting,
            ProviderPhase::Failed => ProviderState::Failed,
            _ if self.is_stalled(now) => ProviderState::Stalled,
            ProviderPhase::Running => ProviderState::Running,
            ProviderPhase::Idle => ProviderState::Idle,
        }
    }

    /// Audio waits, and no chunk has ended since, for too long.
    fn is_stalled(&self, now: Moment) -> bool {
        let Some(waiting_since) = self.queue.waiting_since() else { return false };
        let since = self.last_chunk_ended.map_or(waiting_since, |ended| ended.max(waiting_since));
        now.since(since) >= STALLED_AFTER.max(self.recent.mean_inference() * STALLED_AFTER_MEANS)
    }

    pub(super) fn figures(&mut self, session: &SessionFigures, now: Moment) -> Metrics {
        let waiting = self.queue.waiting();
        let frames_max = self.queue.frames_max() as u64;
        let bytes_max = self.queue.bytes_max() as u64;
        Metrics {
            source: self.name,
            tick: session.tick,
            queue_bytes: waiting.bytes,
            queue_bytes_max: bytes_max,
            queue_depth: waiting.frames,
            queue_max_frames: frames_max,
            queue_max: frames_max,
            queue_fill_ratio: rounded(self.queue.fill_ratio(), 2),
            backlog_seconds: self.backlog_seconds(),
            max_backlog_seconds: rounded(audio_time(bytes_max).as_secs_f64(), 2),
            dropped_total: self.dropped.frames,
            dropped_recent: self.dropped_in_last_tick,
            dropped_chunks_last_10s: self.drop_window.total(now),
            avg_infer_ms: rounded(millis(self.recent.mean_inference()), 1),
            avg_processing_ms: rounded(millis(self.recent.mean_processing()), 1),
            infer_p50_ms: rounded(self.inference.quantile_ms(50), 1),
            infer_p99_ms: rounded(self.inference.quantile_ms(99), 1),
            realtime_factor: rounded(self.recent.realtime_factor(), 2),
            provider: self.in_force.provider.clone(),
            model_id: self.in_force.model_id.clone(),
            vad_enabled: self.in_force.vad_enabled,
            provider_state: self.provider_state(now),
            provider_health: self.health.clone(),
            speech_ratio: rounded(self.chunks_with_speech as f64 / self.chunks_judged.max(1) as f64, 2),
            speech_chunks_emitted: self.chunks_with_speech,
            total_chunks_processed: self.chunks_processed,
            voice_ratio: self.voice_ratio,
            degrade_level: self.level(),
            degrade_level_num: self.level().map(Level::number),
            rtf_avg_10s: self.ladder.as_ref().map(|ladder| rounded(ladder.average_10s(now), 2)),
            bytes_received: self.received.bytes,
            bytes_processed: self.processed.bytes,
            bytes_dropped: self.dropped.bytes,
            bytes_in_provider: self.in_provider().bytes,
            client_clock_drift_compensation_enabled: session.features.clock_drift_compensation_enabled,
            client_vad_enabled: session.features.client_vad_enabled,
            client_clock_drift_telemetry_enabled: session.features.clock_drift_telemetry_enabled,
            client_vad_telemetry_enabled: session.features.client_vad_telemetry_enabled,
            source_clock_spread_ms: session.spread_ms,
            max_source_clock_spread_ms: session.spread_max_ms,
            sources_active: session.sources_active.clone(),
            timestamp: session.timestamp,
        }
    }

    pub(super) fn receipt(&self) -> SourceReceipt {
        let queued = self.received - self.processed - self.dropped;
        let tally = |of: fn(Amount) -> u64| Tally {
            received: of(self.received),
            processed: of(self.processed),
            dropped: of(self.dropped),
            queued: of(queued),
        };
        let quantile = |q| rounded(self.inference_ms.quantile(q), 1);
        SourceReceipt {
            source: self.name,
            frames: tally(|amount| amount.frames),
            bytes: tally(|amount| amount.bytes),
            frames_left: self.left.frames,
            bytes_left: self.left.bytes,
            chunks_processed: self.chunks_processed,
            chunks_failed: self.chunks_failed,
            infer_ms_p50: quantile(0.5),
            infer_ms_p90: quantile(0.9),
            infer_ms_p99: quantile(0.99),
            infer_ms_max: rounded(self.inference_ms.max(), 1),
            worst_realtime_factor: rounded(self.worst_realtime_factor, 2),
            degrade_timeline: self.timeline.clone(),
            degrade_timeline_cut: self.timeline_cut,
        }
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
