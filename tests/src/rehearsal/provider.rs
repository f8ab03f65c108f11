//! A provider and the worker that gives it a source's chunks, as in `server/src/session/worker.rs`, with
//! the time as an argument.

use std::time::Duration;

use serde_json::{Value, json};
use tachograph_core::instrument::Counter;
use tachograph_core::session::{Chunk, ChunkResult, Level, ProviderInForce, ProviderPhase, Voice};
use tachograph_core::time::Moment;
use tachograph_core::wire::{ErrorCode, ErrorMessage, EventKind, SourceName, Status, StatusState, rounded};

use super::model::Model;
use super::scenario::{Conditions, Fault};
use crate::chance::Chance;

/// Chunks that may fail one after the other before the provider is made anew.
const FAILURES_MAX: u32 = 3;
/// Restarts without a good chunk between them before the provider counts as failed.
const RESTARTS_MAX: u32 = 3;
const FIRST_RESTART_AFTER: Duration = Duration::from_millis(500);
const RETRY_FAILED_EVERY: Duration = Duration::from_secs(30);
/// How long a fault takes.
const FAULT: Duration = Duration::from_millis(40);
/// What a chunk costs however short it is.
const OVERHEAD: Duration = Duration::from_millis(12);
/// The smaller model's time by that of the larger one.
const REDUCED: f64 = 0.78;
const CHUNK_SPREAD: f64 = 0.12;
const SPEECH_ABOVE: f64 = 0.3;
/// How often somebody begins or stops to talk, by chunk.
const TURN: f64 = 0.15;

/// What a provider is called, and how fast it is.
struct Offer {
    name: &'static str,
    model: &'static str,
    reduced_model: &'static str,
    realtime_factor: f64,
    detects_voice: bool,
}

const OFFERS: [Offer; 3] = [
    Offer {
        name: "cloud",
        model: "transcribe-large",
        reduced_model: "transcribe-small",
        realtime_factor: 0.42,
        detects_voice: true,
    },
    Offer { name: "whisper", model: "large-v3", reduced_model: "small", realtime_factor: 0.5, detects_voice: true },
    Offer { name: "local", model: "base", reduced_model: "tiny", realtime_factor: 0.2, detects_voice: false },
];
/// The one that a scenario is about.
pub(super) const TROUBLED: usize = 0;
const FALLBACK: usize = 2;

/// How many providers there are.
pub(super) const PROVIDERS: usize = OFFERS.len();

/// Has a provider process one source's chunks, one at a time.
#[derive(Debug)]
pub(super) struct Worker {
    source: SourceName,
    chance: Chance,
    provider: usize,
    /// This source's chunks by those of the others.
    pace: f64,
    work: Work,
    /// What the provider in use was told: whether to reduce its quality.
    reduced: Option<bool>,
    on_fallback: bool,
    failures: u32,
    restarts: u32,
    failure_told: bool,
    is_speaking: bool,
    chunks: u64,
    provider_restarts: Counter,
}

#[derive(Debug)]
enum Work {
    /// It waits for audio.
    Free,
    Busy {
        chunk: Chunk,
        until: Moment,
        outcome: Result<ChunkResult, Fault>,
    },
    /// It waits before it makes the provider anew.
    Down {
        until: Moment,
    },
}

impl Worker {
    pub(super) fn new(source: SourceName, provider: usize, mut chance: Chance, provider_restarts: Counter) -> Self {
        Self {
            source,
            provider,
            pace: chance.between(0.85, 1.15),
            chance,
            work: Work::Free,
            reduced: None,
            on_fallback: false,
            failures: 0,
            restarts: 0,
            failure_told: false,
            is_speaking: false,
            chunks: 0,
            provider_restarts,
        }
    }

    /// Does what was due up to `now`.
    pub(super) fn catch_up(&mut self, model: &mut Model, now: Moment, conditions: &Conditions) {
        while let Some(due) = self.due().filter(|due| *due <= now) {
            match std::mem::replace(&mut self.work, Work::Free) {
                Work::Free => {}
                Work::Busy { chunk, outcome, .. } => self.end_chunk(model, &chunk, outcome, due),
                Work::Down { .. } => self.reopen(model),
            }
            self.look(model, due, conditions);
        }
    }

    fn due(&self) -> Option<Moment> {
        match &self.work {
            Work::Free => None,
            Work::Busy { until, .. } | Work::Down { until } => Some(*until),
        }
    }

    /// Looks for work: audio came, or the level may have changed.
    pub(super) fn look(&mut self, model: &mut Model, now: Moment, conditions: &Conditions) {
        if !matches!(self.work, Work::Busy { .. }) {
            self.follow_level(model);
        }
        match &self.work {
            Work::Free => self.begin_chunk(model, now, conditions),
            Work::Busy { .. } => model.with(now, |session, audio| audio.fill_chunk(session, self.source, now)),
            Work::Down { .. } => {}
        }
    }

    /// What the provider says of itself; it does not answer while it is down.
    pub(super) fn health(&self, conditions: &Conditions) -> Option<Value> {
        let factor = rounded(self.realtime_factor(conditions), 2);
        let is_up = !matches!(self.work, Work::Down { .. });
        is_up.then(|| json!({"status": "ok", "rtf": factor, "chunks": self.chunks}))
    }

    // ---- the provider

    fn number(&self) -> usize {
        if self.on_fallback { FALLBACK } else { self.provider }
    }

    fn offer(&self) -> &'static Offer {
        &OFFERS[self.number()]
    }

    /// Lets go of a provider that the level no longer calls for.
    fn follow_level(&mut self, model: &Model) {
        if (model.session.level(self.source) >= Level::Failover) != self.on_fallback {
            self.on_fallback = !self.on_fallback;
            (self.failures, self.restarts, self.reduced) = (0, 0, None);
            self.work = Work::Free;
        }
    }

    /// Tells the session what is in force when that changes.
    fn follow_quality(&mut self, model: &mut Model) {
        let reduced = model.session.level(self.source) >= Level::Degrade;
        if self.reduced == Some(reduced) {
            return;
        }
        self.reduced = Some(reduced);
        let offer = self.offer();
        let model_id = if reduced { offer.reduced_model } else { offer.model };
        let vad_enabled = self.detects_voice();
        let in_force = ProviderInForce { provider: offer.name.into(), model_id: model_id.into(), vad_enabled };
        model.session.set_provider(self.source, in_force);
    }

    fn detects_voice(&self) -> bool {
        self.offer().detects_voice && self.reduced == Some(false)
    }

    fn realtime_factor(&self, conditions: &Conditions) -> f64 {
        let slowdown = if self.number() == TROUBLED { conditions.slowdown } else { 1.0 };
        let reduced = if self.reduced == Some(true) { REDUCED } else { 1.0 };
        self.offer().realtime_factor * self.pace * slowdown * reduced
    }

    /// A provider that failed counts as well again only when a chunk went well.
    fn set_phase(&self, model: &mut Model, phase: ProviderPhase) {
        if self.restarts == 0 {
            model.session.set_provider_phase(self.source, phase);
        }
    }

    /// Lets go of a provider that failed. It is made anew after a pause that grows.
    fn restart(&mut self, model: &mut Model, now: Moment) {
        (self.failures, self.restarts, self.reduced) = (0, self.restarts + 1, None);
        let pause = if self.restarts <= RESTARTS_MAX {
            model.session.set_provider_phase(self.source, ProviderPhase::Restarting);
            self.tell(model, now, StatusState::Warning, "The provider failed and is being restarted");
            FIRST_RESTART_AFTER * 2_u32.pow(self.restarts - 1)
        } else {
            model.session.set_provider_phase(self.source, ProviderPhase::Failed);
            self.tell_failure(model, now);
            RETRY_FAILED_EVERY
        };
        self.work = Work::Down { until: now + pause };
    }

    fn reopen(&self, model: &mut Model) {
        self.provider_restarts.inc();
        self.set_phase(model, ProviderPhase::Sound);
    }

    /// Tells once, until a chunk goes well again.
    fn tell_failure(&mut self, model: &mut Model, now: Moment) {
        if !std::mem::replace(&mut self.failure_told, true) {
            self.tell(model, now, StatusState::Error, "The provider failed");
            let message = "the provider failed; audio is dropped until it works again".into();
            model.tell(now, EventKind::Fault(ErrorMessage { code: ErrorCode::ProviderFailed, message, fatal: false }));
        }
    }

    fn tell(&self, model: &mut Model, now: Moment, state: StatusState, message: &'static str) {
        model.tell(now, EventKind::Status(Status { source: Some(self.source), ..Status::new(state, message) }));
    }

    // ---- one chunk

    fn begin_chunk(&mut self, model: &mut Model, now: Moment, conditions: &Conditions) {
        self.follow_quality(model);
        let draining = model.draining;
        let next = model.with(now, |session, audio| audio.next_chunk(session, self.source, draining, now));
        let Some(chunk) = next else { return };
        self.set_phase(model, ProviderPhase::Sound);
        model.session.work_began(self.source);
        let outcome = self.process(&chunk, conditions);
        let took = outcome.map_or(FAULT, |result| result.inference);
        self.work = Work::Busy { chunk, until: now + took, outcome };
    }

    fn process(&mut self, chunk: &Chunk, conditions: &Conditions) -> Result<ChunkResult, Fault> {
        let spread = self.chance.log_normal(CHUNK_SPREAD);
        let voice = self.voice();
        if let (TROUBLED, Some(fault)) = (self.number(), conditions.fault) {
            return Err(fault);
        }
        let inference = OVERHEAD + chunk.duration().mul_f64(self.realtime_factor(conditions) * spread);
        Ok(ChunkResult { inference, voice })
    }

    fn voice(&mut self) -> Option<Voice> {
        self.is_speaking ^= self.chance.happens(TURN);
        let ratio = if self.is_speaking { self.chance.between(0.5, 0.98) } else { self.chance.between(0.0, 0.12) };
        self.detects_voice().then_some(Voice { ratio, is_speech: ratio > SPEECH_ABOVE })
    }

    fn end_chunk(&mut self, model: &mut Model, chunk: &Chunk, outcome: Result<ChunkResult, Fault>, now: Moment) {
        model.with(now, |session, audio| {
            session.work_ended(self.source);
            audio.end_chunk(session, self.source, chunk, outcome.ok(), now);
        });
        match outcome {
            Ok(_) => {
                (self.failures, self.restarts, self.failure_told) = (0, 0, false);
                self.chunks += 1;
            }
            Err(fault) => self.count_failure(model, fault, now),
        }
        self.set_phase(model, ProviderPhase::Sound);
    }

    /// A refusal may pass by itself; a panic, or a failure right after a restart, does not.
    fn count_failure(&mut self, model: &mut Model, fault: Fault, now: Moment) {
        self.failures += 1;
        if fault == Fault::Panic || self.restarts > 0 || self.failures >= FAILURES_MAX {
            self.restart(model, now);
        }
    }
}
