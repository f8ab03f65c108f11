use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use tachograph_core::session::{Level, Session as Model, SourceConfig, TickTally, Work};
use tachograph_core::time::{Moment, Schedule};
use tachograph_core::wire::{
    ErrorCode, ErrorMessage, EventKind, Identity, Receipt, ServerMessage, SessionPhase, SessionState, SourceName,
    SourceReceipt, Status, Tally, rounded,
};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, field};

use super::open::{Observer, OpenError, SessionBuilder};
use super::probe::Question;
use super::source::Source;
use super::{shed, ticker};
use crate::app::App;
use crate::clock::unix_seconds;
use crate::hub;
use crate::memory::{Account, Held};
use crate::supervise::{Task, supervise};

const TICK: Duration = Duration::from_secs(1);
/// What a session takes, and each of its sources, beside what it has of its client: the model with its windows and
/// histograms, the metrics loop, the probes. Measured with a counting allocator: see `tests/session_memory.rs`, which
/// fails when they are not within a half of it.
const SESSION_BYTES: usize = 1_900;
const SOURCE_BYTES: usize = 5_400;

/// A live session, from when it is opened until it is ended or let go of.
///
/// ```
/// use tachograph::Tachograph;
/// use tachograph::session::{Amount, SourceConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tacho = Tachograph::new()?;
/// let session = tacho.session("call-7").open()?;
/// let mic = session.source("mic", SourceConfig::default())?;
/// let queued = mic.enqueue(Amount::new(1, 3_200));
/// drop(queued);
/// let receipt = session.end();
/// assert_eq!(receipt.sources[0].frames.dropped, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Session(pub(super) Arc<LiveSession>);

/// A session while it lives: the core's model, and the tasks that meter it.
pub(crate) struct LiveSession {
    key: u64,
    pub(super) app: App,
    identity: Identity,
    started: Moment,
    model: Mutex<Model>,
    ticks: Mutex<Ticks>,
    observer: Option<Arc<dyn Observer>>,
    /// Cancelled when no more comes.
    draining: CancellationToken,
    drained: Notify,
    /// The metrics loop and the probes; they are ended with it.
    attendants: Mutex<JoinSet<()>>,
    /// Of them the probes, one of a kind a source.
    probes: Mutex<BTreeMap<(SourceName, Question), AbortHandle>>,
    runtime: Handle,
    receipt: OnceLock<Receipt>,
    account: Arc<Account>,
    /// What it takes by itself.
    held: Mutex<Held>,
    /// Cancelled when it is to end for want of memory, if it is one that can be.
    shed: Option<CancellationToken>,
    is_leaving: AtomicBool,
}

#[derive(Debug)]
struct Ticks {
    schedule: Schedule,
    /// With figures to be passed on.
    told: u64,
    failed: u64,
}

impl Session {
    /// Whose it is.
    pub fn identity(&self) -> &Identity {
        &self.0.identity
    }

    /// A source of it, by its name: 1 to 32 of a-z, 0-9, _ and -, in small letters. One that is there stays as it
    /// is.
    ///
    /// # Errors
    /// The name is none, the session has as many sources as it may, or it has ended.
    pub fn source(&self, name: &str, config: SourceConfig) -> Result<Source, OpenError> {
        let name = SourceName::parse(name).map_err(|_| OpenError::InvalidSource)?;
        let is_new = self.0.update(|model, _| model.open_source(name, config))?;
        if is_new {
            self.0.hold_source();
        }
        Ok(self.handle(name))
    }

    /// A source that is there; what is told of one that is not, is not counted.
    pub fn handle(&self, name: SourceName) -> Source {
        Source::new(Arc::clone(&self.0), name)
    }

    /// Counts what a source takes that was opened by the model itself.
    #[cfg(feature = "live")]
    pub(crate) fn hold_source(&self) {
        self.0.hold_source();
    }

    /// Changes the model in one step, at one moment; what statuses follow from it are told before anything else
    /// can happen to the session. For those who keep the queues themselves and change more than one thing at once.
    ///
    /// The session is locked meanwhile: `change` must neither wait nor call the session back.
    pub fn update<T>(&self, change: impl FnOnce(&mut Model, Moment) -> T) -> T {
        self.0.update(change)
    }

    /// Tells the observer, and all who look; nobody once it has ended.
    pub fn tell(&self, status: Status) {
        self.0.unless_ended(|| self.0.tell(status));
    }

    /// Tells the observer alone: what nobody else needs to know.
    pub fn answer(&self, status: Status) {
        self.0.answer(status);
    }

    /// Tells of a fault that is not the client's; nobody once it has ended.
    pub fn tell_fault(&self, code: ErrorCode, message: &'static str) {
        let fault = ErrorMessage { code, message: message.into(), fatal: false };
        self.0.unless_ended(|| {
            self.0.report(EventKind::Fault(fault.clone()));
            self.0.observe(ServerMessage::Error(fault));
        });
    }

    /// Nothing more comes: what waits is to be finished. Shown as draining from now on.
    pub fn begin_drain(&self) {
        self.0.leave();
        self.0.draining.cancel();
        self.0.tell_if_drained();
    }

    /// Cancelled once it drains.
    pub fn draining(&self) -> &CancellationToken {
        &self.0.draining
    }

    /// Whether nothing waits and nothing is being processed.
    pub fn is_drained(&self) -> bool {
        self.0.model.lock().is_drained()
    }

    /// Waits until nothing waits and nothing is being processed, for at most `limit`; then ends it.
    pub async fn drain(self, limit: Duration) -> Receipt {
        self.begin_drain();
        let drained = async {
            while !self.is_drained() {
                self.0.drained.notified().await;
            }
        };
        if timeout(limit, drained).await.is_err() {
            tracing::warn!("the queues could not be drained: what is left counts as dropped");
        }
        self.end()
    }

    /// Ends it now: what has met no end yet counts as dropped, and nothing is counted any more. Letting go of it
    /// does the same; a second end changes nothing.
    pub fn end(&self) -> Receipt {
        self.0.end()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl LiveSession {
    /// Enters the session into the table and begins to meter it.
    pub(super) fn start(opened: SessionBuilder, runtime: Handle) -> Result<Arc<Self>, OpenError> {
        let SessionBuilder { app, identity, features, sources_max, observer, shed, account } = opened;
        hub::keep_ticking(&app);
        app.pulse.keep(&app, &runtime);
        shed::keep_shedding(&app, &runtime);
        if app.memory.is_full() {
            app.metrics.sessions_refused.inc();
            return Err(OpenError::MemoryFull);
        }
        let account = account.unwrap_or_else(|| Account::open(&app.memory));
        let held = Mutex::new(account.hold(SESSION_BYTES));
        let now = app.clock.now();
        let make = |key| {
            Arc::new(Self {
                key,
                app: App::clone(&app),
                identity,
                started: now,
                model: Mutex::new(Model::new(sources_max, app.metrics.defaults.clone(), features, now)),
                ticks: Mutex::new(Ticks { schedule: Schedule::new(now, TICK), told: 0, failed: 0 }),
                observer,
                draining: CancellationToken::new(),
                drained: Notify::new(),
                attendants: Mutex::default(),
                probes: Mutex::default(),
                runtime,
                receipt: OnceLock::new(),
                account,
                held,
                shed,
                is_leaving: AtomicBool::new(false),
            })
        };
        let sessions_max = app.limits.now().sessions;
        let Some(session) = app.sessions.enter(sessions_max, make) else {
            app.metrics.sessions_refused.inc();
            return Err(OpenError::AtCapacity(sessions_max));
        };
        session.report(EventKind::SessionStarted);
        let _ends_with_it = session.attend(ticker::supervise(Arc::clone(&session)));
        Ok(session)
    }

    fn hold_source(&self) {
        self.held.lock().grow(SOURCE_BYTES);
    }

    /// What it holds, with its connection.
    pub(super) fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Whether it can be ended for want of memory, and does not end anyway.
    pub(super) fn can_be_shed(&self) -> bool {
        !self.draining.is_cancelled() && self.shed.as_ref().is_some_and(|shed| !shed.is_cancelled())
    }

    /// Has it end for want of memory.
    pub(super) fn shed(&self) {
        self.unless_ended(|| {
            if self.can_be_shed() {
                let message = "the sessions hold more memory than they may; the newest are ended first".into();
                self.report(EventKind::Fault(ErrorMessage { code: ErrorCode::AtCapacity, message, fatal: true }));
                self.app.metrics.sessions_shed.inc();
                self.leave();
                self.shed.iter().for_each(CancellationToken::cancel);
            }
        });
    }

    /// It begins to end: what it holds counts as good as free.
    fn leave(&self) {
        if self.shed.is_some() && !self.is_leaving.swap(true, Ordering::Relaxed) {
            self.app.shedding.leaves(&self.account);
        }
    }

    /// Runs a task until the session ends, in the caller's span; None when it has ended.
    fn attend(&self, task: impl Future<Output = ()> + Send + 'static) -> Option<AbortHandle> {
        let mut attendants = self.attendants.lock();
        while attendants.try_join_next().is_some() {}
        let has_ended = self.receipt.get().is_some();
        (!has_ended).then(|| attendants.spawn_on(task.instrument(Span::current()), &self.runtime))
    }

    /// Runs a probe of a source in place of the one of its kind that ran before.
    pub(super) fn ask<F>(&self, source: SourceName, question: Question, probe: impl FnMut() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let probing = supervise(Arc::downgrade(&self.app), Task::Probe, probe);
        let mut probes = self.probes.lock();
        let before = self.attend(probing).and_then(|probe| probes.insert((source, question), probe));
        before.iter().for_each(AbortHandle::abort);
    }

    /// Changes the model and tells the statuses that follow, in the order in which they came about.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut Model, Moment) -> T) -> T {
        let mut model = self.model.lock();
        let result = change(&mut model, self.app.clock.now());
        model.take_statuses().into_iter().for_each(|status| self.tell(status));
        drop(model);
        self.tell_if_drained();
        result
    }

    pub(super) fn exemplify(&self, source: SourceName, work: &Work) {
        // What is too late for the histogram is no example of what is in it.
        let has_ended = self.receipt.get().is_some();
        if let Some(session_id) = self.identity.session_id.as_ref().filter(|_| !has_ended) {
            self.app.metrics.exemplify(session_id, source.as_str(), work);
        }
    }

    fn tell_if_drained(&self) {
        if self.draining.is_cancelled() && self.model.lock().is_drained() {
            self.drained.notify_one();
        }
    }

    pub(super) fn level(&self, source: SourceName) -> Level {
        self.model.lock().level(source)
    }

    pub(super) fn now(&self) -> Moment {
        self.app.clock.now()
    }

    // ---- messages

    /// The receipt is the last that is told of it: nothing comes in between while something else is told.
    fn unless_ended(&self, tell: impl FnOnce()) {
        let model = self.model.lock();
        if !model.has_ended() {
            tell();
        }
    }

    fn tell(&self, status: Status) {
        self.report(EventKind::Status(status.clone()));
        self.answer(status);
    }

    /// Tells all who look.
    fn report(&self, kind: EventKind) {
        self.app.tell(Some(self.key), self.identity.session_id.as_deref(), kind);
    }

    fn answer(&self, status: Status) {
        tracing::info!(
            state = ?status.state,
            source = status.source.map(field::display),
            level = status.degrade_level.map(Level::as_str),
            dropped_frames = status.dropped_frames,
            "{}",
            status.message
        );
        self.observe(ServerMessage::Status(status));
    }

    fn observe(&self, message: ServerMessage) {
        self.with_observer(|observer| observer.tell(message));
    }

    /// The observer is the application's: a panic in it must reach neither a tick nor a guard that is let go of.
    fn with_observer<T: Default>(&self, use_it: impl FnOnce(&dyn Observer) -> T) -> T {
        let Some(observer) = &self.observer else { return T::default() };
        catch_unwind(AssertUnwindSafe(|| use_it(&**observer))).unwrap_or_else(|_| {
            tracing::error!("the session's observer panicked");
            self.app.metrics.observer_failures.inc();
            T::default()
        })
    }

    // ---- ticks

    pub(super) fn next_tick_due(&self) -> Moment {
        self.ticks.lock().schedule.next_due()
    }

    /// Runs the tick that is due, if one is: takes the figures and tells them.
    pub(super) fn tick(&self) {
        let now = self.app.clock.now();
        let Some(tick) = self.poll_schedule(now) else { return };
        if let Some(hook) = &self.app.options.session_tick_hook {
            hook(&self.identity, tick);
        }
        // In one go, so that nothing comes between a tick and its messages, and none after the receipt.
        let mut model = self.model.lock();
        let figures = model.tick(tick, now, unix_seconds());
        model.take_statuses().into_iter().for_each(|status| self.tell(status));
        if figures.is_empty() {
            return;
        }
        for source in model.without_level() {
            tracing::debug!(%source, "the degrade status cannot be had");
            self.app.metrics.degrade_status_unavailable.inc();
        }
        self.ticks.lock().told += 1;
        figures.into_iter().for_each(|figures| self.observe(ServerMessage::Metrics(Box::new(figures))));
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
        self.app.count_failure(Task::Session);
        let message = Task::Session.told().into();
        let fault = EventKind::Fault(ErrorMessage { code: ErrorCode::Internal, message, fatal: false });
        self.unless_ended(|| self.report(fault));
    }

    fn tick_tally(&self) -> TickTally {
        let conflated = self.with_observer(Observer::ticks_conflated);
        let ticks = self.ticks.lock();
        TickTally {
            sent: ticks.told.saturating_sub(conflated),
            conflated,
            missed: ticks.schedule.missed() + ticks.failed,
        }
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

    fn end(&self) -> Receipt {
        let receipt = self.receipt.get_or_init(|| self.close());
        self.attendants.lock().abort_all();
        receipt.clone()
    }

    fn close(&self) -> Receipt {
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

impl std::fmt::Debug for LiveSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveSession").field("key", &self.key).field("identity", &self.identity).finish_non_exhaustive()
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
