use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tachograph_core::session::{Chunk, ChunkResult, Level, ProviderInForce, ProviderPhase, Session, TickTally};
use tachograph_core::time::{Moment, Schedule};
use tachograph_core::wire::{
    DecodeError, ErrorCode, ErrorMessage, EventKind, FinalSummary, Identity, Receipt, ServerMessage, SessionPhase,
    SessionState, SourceName, SourceReceipt, Start, Status, StatusState, Tally, rounded,
};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, field};

use super::outbox::Outbox;
use super::worker::Worker;
use super::{health, ticker};
use crate::app::App;
use crate::clock::unix_seconds;

/// How long tasks that were told to end are waited for.
const ABORT_MAX: Duration = Duration::from_millis(500);
const TICK: Duration = Duration::from_secs(1);

/// A session while it lives: the core's model, and the tasks that work for it.
#[derive(Debug)]
pub(crate) struct LiveSession {
    key: u64,
    pub(super) app: App,
    pub(super) identity: Identity,
    started: Moment,
    model: Mutex<Session>,
    ticks: Mutex<Ticks>,
    pub(super) outbox: Arc<Outbox>,
    /// Cancelled when no more audio comes: what waits is flushed.
    pub(super) draining: CancellationToken,
    wakes: Mutex<BTreeMap<SourceName, Arc<Notify>>>,
    /// One a source; they end when their source is drained.
    workers: Mutex<JoinSet<()>>,
    /// The metrics loop and the health probes; they are ended.
    attendants: Mutex<JoinSet<()>>,
}

#[derive(Debug)]
struct Ticks {
    schedule: Schedule,
    failed: u64,
}

impl LiveSession {
    /// Enters the session into the server's table and begins to meter it; None when the server is full.
    pub(super) fn start(app: &App, start: &Start, identity: Identity, outbox: &Arc<Outbox>) -> Option<Arc<Self>> {
        let now = app.clock.now();
        let make = |key| {
            let model =
                Session::new(app.options.session.clone(), app.metrics.defaults.clone(), start.client_features, now);
            Arc::new(Self {
                key,
                app: app.clone(),
                identity,
                started: now,
                model: Mutex::new(model),
                ticks: Mutex::new(Ticks { schedule: Schedule::new(now, TICK), failed: 0 }),
                outbox: Arc::clone(outbox),
                draining: CancellationToken::new(),
                wakes: Mutex::default(),
                workers: Mutex::default(),
                attendants: Mutex::default(),
            })
        };
        let session = app.sessions.enter(app.options.sessions_max, make)?;
        session.report(EventKind::SessionStarted);
        session.send(Status {
            client_features: Some(start.client_features),
            ..Status::new(StatusState::Streaming, "Streaming")
        });
        session.attend(ticker::supervise(Arc::clone(&session)));
        Some(session)
    }

    /// Runs a task until the session ends, in the session's span.
    fn attend(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.attendants.lock().spawn(task.instrument(Span::current()));
    }

    // ---- audio

    /// Takes in a frame, and begins to work for its source when it is new.
    pub(super) fn receive(self: &Arc<Self>, source: SourceName, frame: Bytes) -> Result<(), DecodeError> {
        let now = self.app.clock.now();
        let is_new = self.with_model(|model| model.receive(source, frame, now))?;
        if is_new {
            self.work_for(source);
        }
        self.wake(source);
        Ok(())
    }

    fn work_for(self: &Arc<Self>, source: SourceName) {
        let wake = Arc::clone(self.wakes.lock().entry(source).or_default());
        let worker = Worker::new(Arc::clone(self), source, wake);
        self.attend(health::probe(Arc::clone(self), source, worker.provider_in_use()));
        self.workers.lock().spawn(worker.run().instrument(Span::current()));
    }

    fn wake(&self, source: SourceName) {
        if let Some(wake) = self.wakes.lock().get(&source) {
            wake.notify_one();
        }
    }

    pub(super) fn next_chunk(&self, source: SourceName, flush: bool) -> Option<Chunk> {
        let now = self.app.clock.now();
        self.with_model(|model| model.next_chunk(source, flush, now))
    }

    /// Prepares the next chunk while the provider works on the one before.
    pub(super) fn fill_chunk(&self, source: SourceName) {
        let now = self.app.clock.now();
        self.with_model(|model| model.fill_chunk(source, now));
    }

    pub(super) fn end_chunk(&self, source: SourceName, chunk: &Chunk, result: Option<ChunkResult>) {
        let now = self.app.clock.now();
        self.with_model(|model| model.end_chunk(source, chunk, result, now));
        if let (Some(session_id), Some(result)) = (&self.identity.session_id, result) {
            let processing = now.since(chunk.last_arrived());
            self.app.metrics.exemplify(session_id, source.as_str(), result.inference, processing);
        }
    }

    // ---- what the worker and the probe say

    pub(super) fn set_provider(&self, source: SourceName, in_force: ProviderInForce) {
        self.model.lock().set_provider(source, in_force);
    }

    pub(super) fn set_provider_phase(&self, source: SourceName, phase: ProviderPhase) {
        self.model.lock().set_provider_phase(source, phase);
    }

    pub(super) fn set_provider_health(&self, source: SourceName, health: Option<serde_json::Value>) {
        self.model.lock().set_provider_health(source, health);
    }

    pub(super) fn level(&self, source: SourceName) -> Level {
        self.model.lock().level(source)
    }

    // ---- messages

    /// Changes the model and sends the statuses that follow, in the order in which they came about.
    fn with_model<T>(&self, change: impl FnOnce(&mut Session) -> T) -> T {
        let mut model = self.model.lock();
        let result = change(&mut model);
        model.take_statuses().into_iter().for_each(|status| self.tell(status));
        result
    }

    /// Tells the client, and all who look.
    pub(super) fn tell(&self, status: Status) {
        self.report(EventKind::Status(status.clone()));
        self.send(status);
    }

    /// Tells all who look.
    fn report(&self, kind: EventKind) {
        self.app.tell(Some(self.key), self.identity.session_id.as_deref(), kind);
    }

    fn send(&self, status: Status) {
        tracing::info!(
            state = ?status.state,
            source = status.source.map(field::display),
            level = status.degrade_level.map(Level::as_str),
            dropped_frames = status.dropped_frames,
            "{}",
            status.message
        );
        self.outbox.push(ServerMessage::Status(status));
    }

    /// Tells of a fault that is not the client's.
    pub(super) fn tell_fault(&self, code: ErrorCode, message: &'static str) {
        let fault = ErrorMessage { code, message: message.into(), fatal: false };
        self.report(EventKind::Fault(fault.clone()));
        self.outbox.push(ServerMessage::Error(fault));
    }

    // ---- ticks

    pub(super) fn next_tick_due(&self) -> Moment {
        self.ticks.lock().schedule.next_due()
    }

    /// Runs the tick that is due, if one is: takes the figures and sends them.
    pub(super) fn tick(&self) {
        let now = self.app.clock.now();
        let Some(tick) = self.poll_schedule(now) else { return };
        if let Some(hook) = &self.app.options.tick_hook {
            hook(&self.identity, tick);
        }
        // In one go, so that nothing comes between a tick and its messages, and none after the receipt.
        let mut model = self.model.lock();
        let figures = model.tick(tick, now, unix_seconds());
        model.take_statuses().into_iter().for_each(|status| self.tell(status));
        figures.iter().filter(|figures| figures.degrade_level.is_none()).for_each(|figures| {
            tracing::debug!(source = %figures.source, "no degrade status: the ladder is off");
            self.app.metrics.degrade_status_unavailable.inc();
        });
        for figures in figures {
            // The level may have changed: a worker that waits for another provider looks again.
            self.wake(figures.source);
            self.outbox.push(ServerMessage::Metrics(Box::new(figures)));
        }
    }

    fn poll_schedule(&self, now: Moment) -> Option<u64> {
        let mut ticks = self.ticks.lock();
        let missed = ticks.schedule.missed();
        let tick = ticks.schedule.poll(now);
        self.app.metrics.session_ticks_missed.add(ticks.schedule.missed() - missed);
        tick
    }

    /// The tick that was run failed: it counts as missed.
    pub(super) fn count_failed_tick(&self) {
        self.ticks.lock().failed += 1;
        self.app.metrics.session_ticks_missed.inc();
        self.app.metrics.metrics_loop_restarts.inc();
    }

    fn tick_tally(&self) -> TickTally {
        let (sent, conflated) = self.outbox.tick_tally();
        let ticks = self.ticks.lock();
        TickTally { sent, conflated, missed: ticks.schedule.missed() + ticks.failed }
    }

    /// The session as a viewer sees it, now: at the same moment as all others.
    pub(crate) fn state(&self, now: Moment, unix_seconds: f64) -> SessionState {
        let TickTally { sent, conflated, missed } = self.tick_tally();
        let tick = self.ticks.lock().schedule.newest();
        SessionState {
            id: self.key,
            identity: self.identity.clone(),
            phase: if self.draining.is_cancelled() { SessionPhase::Draining } else { SessionPhase::Streaming },
            age_seconds: rounded(now.since(self.started).as_secs_f64(), 1),
            ticks_sent: sent,
            ticks_conflated: conflated,
            ticks_missed: missed,
            sources: self.model.lock().figures(tick, now, unix_seconds),
        }
    }

    // ---- the end

    /// Lets the providers finish what waits, for at most `limit`, then ends and sends the receipt.
    pub(super) async fn drain(&self, limit: Duration) {
        self.draining.cancel();
        let mut workers = std::mem::take(&mut *self.workers.lock());
        let _in_time = timeout(limit, async { while workers.join_next().await.is_some() {} }).await;
        if !self.model.lock().is_drained() {
            tracing::warn!("the queues could not be drained: what is left counts as dropped");
        }
        let receipt = self.end(workers).await;
        let markdown = receipt.to_markdown();
        self.outbox.push(ServerMessage::FinalSummary(FinalSummary { json: receipt, markdown }));
    }

    /// Ends at once: what waits is dropped.
    pub(super) async fn abandon(&self) {
        self.draining.cancel();
        let workers = std::mem::take(&mut *self.workers.lock());
        self.end(workers).await;
    }

    async fn end(&self, workers: JoinSet<()>) -> Receipt {
        abort(workers).await;
        let attendants = std::mem::take(&mut *self.attendants.lock());
        abort(attendants).await;
        let receipt = {
            let mut model = self.model.lock();
            model.end(self.identity.clone(), self.tick_tally(), self.app.clock.now())
        };
        self.app.sessions.leave(self.key);
        self.app.tell_end(self.key, self.identity.session_id.as_deref(), &receipt);
        log_receipt(&receipt);
        receipt
    }
}

fn log_receipt(receipt: &Receipt) {
    let Receipt { duration_seconds, ticks_missed, ticks_conflated, .. } = receipt;
    tracing::info!(duration_seconds, ticks_missed, ticks_conflated, "session ended");
    for SourceReceipt { source, frames, bytes_left, chunks_failed, .. } in &receipt.sources {
        let Tally { received, processed, dropped, .. } = frames;
        tracing::info!(%source, received, processed, dropped, bytes_left, chunks_failed, "source ended");
    }
}

/// Ends tasks; one that blocks its thread is left behind.
async fn abort(mut tasks: JoinSet<()>) {
    tasks.abort_all();
    if timeout(ABORT_MAX, async { while tasks.join_next().await.is_some() {} }).await.is_err() {
        tracing::error!("a task does not end");
        tasks.detach_all();
    }
}
