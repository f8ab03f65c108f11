//! One session from its start to its end: who speaks, and what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tachograph_core::instrument::Counter;
use tachograph_core::registry::DefaultMetrics;
use tachograph_core::session::{Audio, AudioConfig, Session, TickTally};
use tachograph_core::time::Moment;
use tachograph_core::wire::{
    ClientFeatures, EventKind, Identity, MIC, SAMPLE_RATE, SYSTEM, SessionPhase, SessionState, SourceName, rounded,
};

use super::model::Model;
use super::provider::{PROVIDERS, TROUBLED, Worker};
use super::scenario::Conditions;
use crate::chance::Chance;

/// The service is moved on by so much at once.
pub(super) const STEP: Duration = Duration::from_millis(200);
pub(super) const STEPS_A_SECOND: u64 = 5;
const STEP_SAMPLES: f64 = SAMPLE_RATE as f64 / STEPS_A_SECOND as f64;
const SAMPLE_BYTES: usize = 2;
/// Longer than any frame: a step's audio, and what clocks that run fast add to it.
static SILENCE: [u8; 8_192] = [0; 8_192];
const DRAIN_MAX: Duration = Duration::from_secs(8);
/// How often the network holds a source's audio back, by step, and for how many steps at most.
const HELD_BACK: f64 = 0.004;
const HELD_STEPS_MAX: u64 = 3;
/// By so much a client's audio clock runs fast or slow.
const DRIFT: f64 = 60e-6;
const LIFE_SECONDS: (f64, f64) = (150.0, 2_400.0);
/// A provider's health changes what a frame says of a source each time it is asked.
const HEALTH_EVERY: u64 = 10;

/// A session.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: u64,
    pub(super) identity: Identity,
    began: Moment,
    leaves: Moment,
    model: Model,
    inputs: Vec<Input>,
    ticks: u64,
    /// Once it ended.
    pub(super) receipt: Option<Arc<serde_json::Value>>,
}

/// One source's way to the server.
#[derive(Debug)]
struct Input {
    source: SourceName,
    worker: Worker,
    chance: Chance,
    /// Samples that one step brings.
    rate: f64,
    /// Samples that were recorded and not sent.
    unsent: f64,
    held_steps: u64,
    /// The server knows the source from its first frame on.
    has_sent: bool,
}

impl Call {
    pub(super) fn start(
        id: u64,
        mut chance: Chance,
        metrics: &DefaultMetrics,
        restarts: &Counter,
        now: Moment,
    ) -> Self {
        // The troubled provider's sessions have a fallback by turns.
        let config = AudioConfig { fallback: id.is_multiple_of(2), ..AudioConfig::default() };
        let features = ClientFeatures { client_vad_enabled: chance.happens(0.5), ..ClientFeatures::default() };
        let session = Session::new(config.sources_max, metrics.clone(), features, now);
        let mut model = Model::new(session, Audio::new(config));
        model.tell(now, EventKind::SessionStarted);
        let (kind, sources) = kind(&mut chance);
        let provider = (TROUBLED + id as usize) % PROVIDERS;
        // Sessions that start together do not have their chunks together.
        let quiet_steps = chance.below(2 * STEPS_A_SECOND);
        let mut input = |source: &SourceName| Input::new(*source, provider, quiet_steps, chance.fork(), restarts);
        let inputs = sources.iter().map(&mut input).collect();
        let life = Duration::from_secs_f64(chance.between(LIFE_SECONDS.0, LIFE_SECONDS.1));
        let identity = identity(id, kind, &mut chance);
        Self { id, identity, began: now, leaves: now + life, model, inputs, ticks: 0, receipt: None }
    }

    /// Moves the session on. Returns whether it ended.
    pub(super) fn step(&mut self, now: Moment, conditions: &Conditions) -> bool {
        self.model.draining = now >= self.leaves;
        for input in &mut self.inputs {
            input.step(&mut self.model, now, conditions);
        }
        let nanos = now.since(self.began).as_nanos() as u64;
        if nanos > 0 && nanos.is_multiple_of(1_000_000_000) {
            self.tick(now, conditions);
        }
        let is_over = self.model.draining && (self.model.session.is_drained() || now.since(self.leaves) >= DRAIN_MAX);
        if is_over {
            let tally = TickTally { sent: self.ticks, ..TickTally::default() };
            let receipt = self.model.session.end(self.identity.clone(), tally, now);
            self.receipt = serde_json::to_value(receipt).ok().map(Arc::new);
            self.model.tell(now, EventKind::SessionEnded);
        }
        is_over
    }

    fn tick(&mut self, now: Moment, conditions: &Conditions) {
        self.ticks += 1;
        let ticks = self.ticks;
        if (ticks + self.id).is_multiple_of(HEALTH_EVERY) {
            for input in &self.inputs {
                self.model.session.set_provider_health(input.source, input.worker.health(conditions));
            }
        }
        // Nobody reads these figures: those of the service's tick are taken by `state`.
        let _figures = self.model.with(now, |session, _| session.tick(ticks, now, 0.0));
    }

    /// What was told since the last call.
    pub(super) fn take_told(&mut self) -> Vec<(Moment, EventKind)> {
        self.model.take_told()
    }

    pub(super) fn state(&mut self, now: Moment, unix_seconds: f64) -> SessionState {
        SessionState {
            id: self.id,
            identity: self.identity.clone(),
            phase: if self.model.draining { SessionPhase::Draining } else { SessionPhase::Streaming },
            age_seconds: rounded(now.since(self.began).as_secs_f64(), 1),
            ticks_sent: self.ticks,
            ticks_conflated: 0,
            ticks_missed: 0,
            sources: self.model.session.figures(self.ticks, now, unix_seconds),
        }
    }
}

fn kind(chance: &mut Chance) -> (&'static str, &'static [SourceName]) {
    match chance.below(4) {
        0 => ("dictation", &[MIC]),
        1 => ("captions", &[SYSTEM]),
        _ => ("meeting", &[MIC, SYSTEM]),
    }
}

fn identity(id: u64, kind: &str, chance: &mut Chance) -> Identity {
    Identity {
        session_id: Some(format!("{kind}-{id:04}")),
        attempt_id: Some("1".into()),
        connection_id: Some(format!("{:016x}", chance.number())),
    }
}

impl Input {
    fn new(source: SourceName, provider: usize, quiet_steps: u64, mut chance: Chance, restarts: &Counter) -> Self {
        let worker = Worker::new(source, provider, chance.fork(), restarts.clone());
        let rate = STEP_SAMPLES * (1.0 + chance.between(-DRIFT, DRIFT));
        let unsent = -(quiet_steps as f64) * rate;
        Self { source, worker, chance, rate, unsent, held_steps: quiet_steps, has_sent: false }
    }

    fn step(&mut self, model: &mut Model, now: Moment, conditions: &Conditions) {
        self.worker.catch_up(model, now, conditions);
        if !model.draining {
            self.record();
            self.send(model, now);
        }
        if self.has_sent {
            self.worker.look(model, now, conditions);
        }
    }

    /// A step's audio; the network may hold it back.
    fn record(&mut self) {
        self.unsent += self.rate;
        if self.held_steps > 0 {
            self.held_steps -= 1;
        } else if self.chance.happens(HELD_BACK) {
            self.held_steps = 1 + self.chance.below(HELD_STEPS_MAX);
        }
    }

    fn send(&mut self, model: &mut Model, now: Moment) {
        while self.held_steps == 0 && self.unsent >= 1.0 {
            // What is a sample more than a step goes with it, and makes no frame of its own.
            let samples = if self.unsent < STEP_SAMPLES + 2.0 { self.unsent } else { STEP_SAMPLES } as usize;
            self.unsent -= samples as f64;
            self.has_sent = true;
            let frame = Bytes::from_static(&SILENCE).slice(..samples * SAMPLE_BYTES);
            let _never_refused = model.with(now, |session, audio| audio.receive(session, self.source, frame, now));
        }
    }
}
