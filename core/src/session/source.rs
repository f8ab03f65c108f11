use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::amount::Amount;
use super::backpressure::Backpressure;
use super::config::{Degrade, SourceConfig};
use super::drop_window::DropWindow;
use super::inference_window::InferenceWindow;
use super::ladder::{Ladder, Level, Step};
use super::work::{RecentWork, Work, nanos};
use crate::instrument::Distribution;
use crate::registry::SourceInstruments;
use crate::time::Moment;
use crate::wire::{
    ClientFeatures, LadderChange, Metrics, ProviderState, SourceName, SourceReceipt, Status, StatusState, Tally,
    rounded,
};

const STALLED_AFTER: Duration = Duration::from_secs(3);
const STALLED_AFTER_MEANS: u32 = 3;
const TIMELINE_MAX: usize = 1_000;

/// The provider and model that work for a source.
///
/// ```
/// use tachograph_core::session::ProviderInForce;
///
/// let in_force = ProviderInForce { provider: "asr".into(), model_id: "small".into(), vad_enabled: true };
/// assert_ne!(in_force, ProviderInForce::default());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderInForce {
    /// The provider's name.
    pub provider: String,
    /// The model's name.
    pub model_id: String,
    /// Whether voice detection is on.
    pub vad_enabled: bool,
}

/// How the source's provider is. Whether it works just now is told apart, by
/// [`Session::work_began`](super::Session::work_began).
///
/// ```
/// use tachograph_core::registry::{DefaultMetrics, Registry};
/// use tachograph_core::session::{ProviderPhase, Session};
/// use tachograph_core::wire::{MIC, ProviderState};
///
/// let metrics = DefaultMetrics::register(&Registry::new())?;
/// let mut session = Session::new(1, metrics, Default::default(), Default::default());
/// session.open_source(MIC, Default::default())?;
/// session.set_provider_phase(MIC, ProviderPhase::Restarting);
/// assert_eq!(session.figures(0, Default::default(), 0.0)[0].provider_state, ProviderState::Restarting);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProviderPhase {
    /// It does what it is asked.
    #[default]
    Sound,
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

/// One source of a session: what became of what it sent, and its figures.
#[derive(Debug)]
pub(super) struct Source {
    name: SourceName,
    config: SourceConfig,
    instruments: SourceInstruments,

    received: Amount,
    waiting: Amount,
    processed: Amount,
    dropped: Amount,
    left: Amount,
    waiting_since: Option<Moment>,
    dropped_at_last_tick: Amount,
    dropped_in_last_tick: u64,
    drop_window: DropWindow,
    backpressure: Backpressure,

    started: Moment,
    ladder: Option<Ladder>,
    told_level: Option<Level>,
    /// The newest that was told, also while there is none.
    last_level: Level,
    timeline: Vec<LadderChange>,
    timeline_cut: u64,

    in_force: ProviderInForce,
    phase: ProviderPhase,
    /// Chunks inside the provider.
    at_work: u32,
    health: Option<Arc<serde_json::Value>>,
    recent: RecentWork,
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
        config: SourceConfig,
        instruments: SourceInstruments,
        session_started: Moment,
    ) -> Self {
        let has_ladder = matches!(config.degrade, Degrade::Ladder { .. });
        Self {
            name,
            config,
            instruments,
            received: Amount::default(),
            waiting: Amount::default(),
            processed: Amount::default(),
            dropped: Amount::default(),
            left: Amount::default(),
            waiting_since: None,
            dropped_at_last_tick: Amount::default(),
            dropped_in_last_tick: 0,
            drop_window: DropWindow::default(),
            backpressure: Backpressure::default(),
            started: session_started,
            ladder: has_ladder.then(|| Ladder::new(session_started)),
            told_level: None,
            last_level: Level::Normal,
            timeline: Vec::new(),
            timeline_cut: 0,
            in_force: ProviderInForce::default(),
            phase: ProviderPhase::default(),
            at_work: 0,
            health: None,
            recent: RecentWork::default(),
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

    // ---- through the queue

    /// `came` joined the queue, and `dropped` had to leave it for that.
    pub(super) fn enqueue(&mut self, came: Amount, dropped: Amount, now: Moment) {
        self.received += came;
        self.instruments.bytes_received.add(came.bytes);
        self.instruments.frames_received.add(came.frames);
        let dropped = dropped.at_most(self.waiting + came);
        self.waiting += came;
        // What was dropped does not count as served: the wait goes on.
        self.waiting_since.get_or_insert(now);
        self.leave_queue(dropped);
        self.count_dropped(dropped, now);
    }

    pub(super) fn dequeue(&mut self, amount: Amount) {
        self.leave_queue(amount.at_most(self.waiting));
    }

    fn leave_queue(&mut self, amount: Amount) {
        self.waiting = self.waiting - amount;
        if self.waiting == Amount::default() {
            self.waiting_since = None;
        }
        self.instruments.queue_depth.set(self.waiting.frames as f64);
    }

    pub(super) fn drop_waiting(&mut self, amount: Amount, now: Moment) {
        let amount = amount.at_most(self.waiting);
        self.leave_queue(amount);
        self.count_dropped(amount, now);
    }

    /// Of what is in the provider's hands.
    pub(super) fn drop_taken(&mut self, amount: Amount, now: Moment) {
        self.count_dropped(amount.at_most(self.in_provider()), now);
    }

    fn count_dropped(&mut self, amount: Amount, now: Moment) {
        if amount != Amount::default() {
            self.dropped += amount;
            self.drop_window.add(amount.frames, now);
            self.instruments.frames_dropped.add(amount.frames);
            self.instruments.bytes_dropped.add(amount.bytes);
        }
    }

    /// How far it has got.
    pub(super) fn position_nanos(&self) -> u64 {
        self.received.media_nanos
    }

    /// What was received and has met no end yet, less what waits.
    fn in_provider(&self) -> Amount {
        self.received - self.processed - self.dropped - self.waiting
    }

    pub(super) fn is_drained(&self) -> bool {
        self.at_work == 0 && self.received - self.processed - self.dropped == Amount::default()
    }

    // ---- in the provider's hands

    pub(super) fn work_began(&mut self) {
        self.at_work = self.at_work.saturating_add(1);
    }

    pub(super) fn work_ended(&mut self) {
        self.at_work = self.at_work.saturating_sub(1);
    }

    pub(super) fn fail(&mut self, amount: Amount, now: Moment) {
        self.last_chunk_ended = Some(now);
        self.chunks_failed += 1;
        self.instruments.errors.inc();
        self.drop_taken(amount, now);
    }

    pub(super) fn process(&mut self, amount: Amount, work: &Work, now: Moment) {
        self.last_chunk_ended = Some(now);
        self.processed += amount.at_most(self.in_provider());
        self.chunks_processed += 1;
        self.recent.add(work, amount.media_nanos);
        self.worst_realtime_factor = self.worst_realtime_factor.max(self.recent.realtime_factor());
        self.inference.add(work.inference);
        self.inference_ms.record(millis(work.inference));
        self.instruments.chunks_processed.inc();
        self.instruments.inference_time_ms.record(millis(work.inference));
        self.instruments.processing_time_ms.record(millis(work.processing));
        self.instruments.processing_lag_seconds.set(work.processing.as_secs_f64());
        self.voice_ratio = work.voice.map(|voice| rounded(voice.ratio, 2));
        if let Some(voice) = work.voice {
            self.chunks_judged += 1;
            self.chunks_with_speech += u64::from(voice.is_speech);
        }
    }

    /// Drops whatever has met no end yet.
    pub(super) fn abandon(&mut self, now: Moment) {
        self.left = self.waiting + self.in_provider();
        self.leave_queue(self.waiting);
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

    /// None when it has none, or nobody tells it.
    pub(super) fn level(&self) -> Option<Level> {
        self.ladder.as_ref().map_or(self.told_level, |ladder| Some(ladder.level()))
    }

    /// Whether it should have a degrade level and has none.
    pub(super) fn misses_level(&self) -> bool {
        self.config.degrade != Degrade::None && self.level().is_none()
    }

    /// The level that is in force from now on; None when it cannot be had. Ignored unless it is to be told.
    pub(super) fn set_level(&mut self, level: Option<Level>, now: Moment) -> Option<Status> {
        if self.config.degrade != Degrade::Told {
            return None;
        }
        self.told_level = level;
        let to = level.filter(|level| *level != self.last_level)?;
        let from = core::mem::replace(&mut self.last_level, to);
        Some(self.tell_step(Step { from, to }, now))
    }

    // ---- statuses

    /// The status that the present fill calls for.
    pub(super) fn take_edge(&mut self) -> Option<Status> {
        let status = self.backpressure.update(self.fill_ratio())?;
        Some(Status { source: Some(self.name), backlog_seconds: Some(self.backlog_seconds()), ..status })
    }

    pub(super) fn check_ladder(&mut self, now: Moment) -> Option<Status> {
        // A fallback that fails too must not hold the level: the provider itself may be well again.
        let on_primary = self.level() < Some(Level::Failover);
        let has_fallback = self.config.degrade == Degrade::Ladder { fallback: true };
        let must_fail_over = has_fallback && on_primary && self.phase == ProviderPhase::Failed;
        let step = self.ladder.as_mut()?.check(self.recent.realtime_factor(), must_fail_over, now)?;
        Some(self.tell_step(step, now))
    }

    fn tell_step(&mut self, step: Step, now: Moment) -> Status {
        self.remember(step, now);
        Status { source: Some(self.name), backlog_seconds: Some(self.backlog_seconds()), ..step.status() }
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
        (news != Amount::default()).then(|| Status {
            source: Some(self.name),
            backlog_seconds: Some(self.backlog_seconds()),
            dropped_frames: Some(news.frames),
            dropped_seconds: Some(rounded(news.media_seconds(), 2)),
            dropped_total: Some(self.dropped.frames),
            ..Status::new(StatusState::Backpressure, "Frames were dropped")
        })
    }

    // ---- figures

    /// The largest share of a bound that is taken; 0 without bounds.
    fn fill_ratio(&self) -> f64 {
        let (held, most) = (&self.waiting, &self.config);
        let share = |held: u64, most: u64| if most == 0 { 0.0 } else { held as f64 / most as f64 };
        let by_size = share(held.bytes, most.bytes_max).max(share(held.frames, most.frames_max));
        by_size.max(share(held.media_nanos, nanos(most.media_max)))
    }

    fn backlog_seconds(&self) -> f64 {
        rounded(self.waiting.media_seconds(), 2)
    }

    fn provider_state(&self, now: Moment) -> ProviderState {
        match self.phase {
            ProviderPhase::Restarting => ProviderState::Restarting,
            ProviderPhase::Failed => ProviderState::Failed,
            _ if self.is_stalled(now) => ProviderState::Stalled,
            ProviderPhase::Sound if self.at_work > 0 => ProviderState::Running,
            ProviderPhase::Sound => ProviderState::Idle,
        }
    }

    /// Audio waits, and no chunk has ended since, for too long.
    fn is_stalled(&self, now: Moment) -> bool {
        let Some(waiting_since) = self.waiting_since else { return false };
        let since = self.last_chunk_ended.map_or(waiting_since, |ended| ended.max(waiting_since));
        now.since(since) >= STALLED_AFTER.max(self.recent.mean_inference() * STALLED_AFTER_MEANS)
    }

    pub(super) fn figures(&mut self, session: &SessionFigures, now: Moment) -> Metrics {
        let SourceConfig { frames_max, bytes_max, media_max, .. } = self.config;
        Metrics {
            source: self.name,
            tick: session.tick,
            queue_bytes: self.waiting.bytes,
            queue_bytes_max: bytes_max,
            queue_depth: self.waiting.frames,
            queue_max_frames: frames_max,
            queue_max: frames_max,
            queue_fill_ratio: rounded(self.fill_ratio(), 2),
            backlog_seconds: self.backlog_seconds(),
            max_backlog_seconds: rounded(media_max.as_secs_f64(), 2),
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
