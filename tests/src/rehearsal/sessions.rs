use std::sync::Arc;

use serde_json::Value;
use tachograph_core::instrument::Counter;
use tachograph_core::registry::DefaultMetrics;
use tachograph_core::time::Moment;
use tachograph_core::wire::{EventKind, SessionState};

use super::call::{Call, STEP, STEPS_A_SECOND};
use super::scenario::Conditions;
use crate::chance::Chance;

/// How soon a session that ended is followed by another one, by step.
const ARRIVAL: f64 = 0.05;

/// Something that happened to a session.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) at: Moment,
    pub(super) session: u64,
    pub(super) session_id: Option<String>,
    pub(super) kind: EventKind,
    pub(super) receipt: Option<Arc<Value>>,
}

/// The live sessions, by id, and those that come and go.
#[derive(Debug)]
pub(super) struct Sessions {
    calls: Vec<Call>,
    wanted: usize,
    started: u64,
    steps: u64,
    chance: Chance,
    metrics: DefaultMetrics,
    restarts: Counter,
}

impl Sessions {
    pub(super) fn new(wanted: usize, chance: Chance, metrics: DefaultMetrics, restarts: Counter) -> Self {
        Self { calls: Vec::new(), wanted, started: 0, steps: 0, chance, metrics, restarts }
    }

    /// Moves all of them on by a second. Returns what happened, oldest first.
    pub(super) fn run_second(&mut self, begin: Moment, conditions: &Conditions) -> Vec<Told> {
        let (mut told, mut now) = (Vec::new(), begin);
        for _ in 0..STEPS_A_SECOND {
            now = now + STEP;
            self.steps += 1;
            self.arrive(now);
            self.step(now, conditions, &mut told);
        }
        // Chunks end between steps.
        told.sort_by_key(|told: &Told| told.at);
        told
    }

    /// In the first second all that are wanted come.
    fn arrive(&mut self, now: Moment) {
        let wanted = self.wanted * self.steps.min(STEPS_A_SECOND) as usize / STEPS_A_SECOND as usize;
        for _ in self.calls.len()..wanted {
            if self.steps <= STEPS_A_SECOND || self.chance.happens(ARRIVAL) {
                self.started += 1;
                self.metrics.connections.inc();
                let chance = self.chance.fork();
                self.calls.push(Call::start(self.started, chance, &self.metrics, &self.restarts, now));
            }
        }
    }

    fn step(&mut self, now: Moment, conditions: &Conditions, told: &mut Vec<Told>) {
        self.calls.retain_mut(|call| {
            let has_ended = call.step(now, conditions);
            for (at, kind) in call.take_told() {
                let receipt = call.receipt.clone().filter(|_| kind == EventKind::SessionEnded);
                let session_id = call.identity.session_id.clone();
                told.push(Told { at, session: call.id, session_id, kind, receipt });
            }
            self.metrics.disconnects.add(u64::from(has_ended));
            !has_ended
        });
    }

    pub(super) fn states(&mut self, now: Moment, unix_seconds: f64) -> impl Iterator<Item = SessionState> {
        self.calls.iter_mut().map(move |call| call.state(now, unix_seconds))
    }
}
