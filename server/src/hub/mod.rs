//! The server's tick: once a second the state of everything, encoded once for all who look, and kept for
//! those who come later.

mod channel;
mod cursor;
mod events;
mod form;
mod history;
mod relay;
mod sampling;
mod subscription;
mod viewer;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tachograph_core::registry::{Collector, Registry};
use tachograph_core::time::Schedule;
use tachograph_core::wire::frame::{Decoder, Encoder, Extent, Keyframes, ServerFigures, Tick};
use tachograph_core::wire::{Event, SessionState, rounded};
use tokio::runtime::Handle;
use tokio::time::sleep_until;
use tokio_util::task::AbortOnDropHandle;

use crate::app::{App, Shared};
use crate::clock::{Clock, ClockWatch, unix_millis};
use crate::error::ApiError;
use crate::supervise::Task;
use crate::watchdog;

pub(crate) use channel::{Batch, Channel, KeyframesWanted};
pub(crate) use cursor::Cursor;
pub(crate) use events::{EventLog, Kept};
pub(crate) use form::{Form, gap_line};
pub(crate) use history::Entry;
pub use history::HistoryLimits;
pub(crate) use relay::Wanted;
use sampling::Sampling;
#[cfg(feature = "cli")]
pub(crate) use subscription::parse_label;
pub(crate) use subscription::{Subscription, WINDOW_ALL, parse_span, parse_window};
pub(crate) use viewer::{Viewer, WRITE_MAX, view};

const TICK: Duration = Duration::from_secs(1);
/// Of a short past, or a small one, there are so many parts to begin with.
const KEYFRAMES_MIN: u64 = 4;

/// The stream: its newest frame, its past, and who writes it.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) events: EventLog,
    whole: Arc<Channel>,
    relays: relay::Relays,
    collector: Mutex<Collecting>,
    ticking: Mutex<Ticking>,
}

/// What keeps its memory from tick to tick.
#[derive(Debug)]
struct Collecting {
    sampling: Sampling,
    clock_watch: ClockWatch,
    collector: Collector,
    encoder: Encoder,
    sessions: Vec<SessionState>,
    events: Vec<Event>,
    events_dropped: u64,
    /// How much of the schema readers that come can be given.
    described: Extent,
    /// Those of the past.
    keyframes: Keyframes,
}

impl Hub {
    pub(crate) fn new(registry: &Registry, history: HistoryLimits) -> Self {
        let collecting = Collecting {
            sampling: Sampling::default(),
            clock_watch: ClockWatch::default(),
            collector: registry.collector(),
            encoder: Encoder::new(),
            sessions: Vec::new(),
            events: Vec::new(),
            events_dropped: 0,
            described: Extent::default(),
            keyframes: Keyframes::within(
                history.span.as_secs() / KEYFRAMES_MIN,
                history.bytes / KEYFRAMES_MIN as usize,
            ),
        };
        Self {
            events: EventLog::default(),
            whole: Arc::new(Channel::new(history)),
            relays: relay::Relays::default(),
            collector: Mutex::new(collecting),
            ticking: Mutex::default(),
        }
    }

    /// Whether somebody ticks, or is about to.
    pub(crate) fn is_ticking(&self) -> bool {
        let Some(ticking) = self.ticking.try_lock() else { return true };
        ticking.task.as_ref().is_some_and(|task| !task.is_finished())
    }

    /// The stream of everything.
    pub(crate) fn whole(&self) -> &Arc<Channel> {
        &self.whole
    }
}

/// A reader of what `wanted` says.
pub(crate) fn open(app: &App, subscription: &Subscription, form: Form) -> Result<Cursor, ApiError> {
    let Subscription { request, filter, keyframes } = subscription;
    if filter.is_everything() && form == Form::Binary {
        return Ok(Cursor::open(&app.hub.whole, app.epoch, *request, *keyframes));
    }
    if *keyframes == KeyframesWanted::All {
        return Err(ApiError::InvalidQuery(
            "`keyframes` goes with all of the stream as frames: without sessions, metrics and label, and over HTTP \
             with the header accept: application/octet-stream",
        ));
    }
    let wanted = Wanted { filter: filter.clone(), form };
    let relay = app.hub.relays.channel(app, &wanted)?;
    Ok(Cursor::open_relayed(&app.hub.whole, relay, app.epoch, *request, &wanted))
}

/// The newest frame in the stream's plain form, as JSON.
pub(crate) fn newest_plain(app: &App) -> Result<Vec<u8>, ApiError> {
    let parts: Option<Vec<Bytes>> = app.hub.whole.with_history(|history| {
        let begin = history.keyframe_for(u64::MAX)?;
        let frames = history.from(begin.seq + 1).map(|entry| entry.frame.clone());
        Some([history.schema(), begin.keyframe.clone()?].into_iter().chain(frames).collect())
    });
    let mut decoder = Decoder::default();
    for part in parts.ok_or(ApiError::NotYet)? {
        decoder.decode(&part).map_err(|error| {
            tracing::error!(%error, "the newest frame cannot be read");
            ApiError::Internal
        })?;
    }
    let plain = decoder.state().to_plain(app.epoch, env!("CARGO_PKG_VERSION"));
    serde_json::to_vec(&plain).map_err(|_| ApiError::Internal)
}

/// Begins to tick, unless it does already or there is no runtime that it could tick in; the first frame is
/// there on return. It ends with the last who holds `app`, or with the runtime: whoever comes next by another
/// one has it tick there.
pub(crate) fn keep_ticking(app: &App) {
    let mut ticking = app.hub.ticking.lock();
    let Ok(runtime) = Handle::try_current() else { return };
    if ticking.task.as_ref().is_some_and(|task| !task.is_finished()) {
        return;
    }
    if let Err(error) = app.hub.collector.lock().sampling.begin(&app.registry, &runtime) {
        tracing::error!(%error, "the process and its runtime are not metered: their metrics' names are taken");
    }
    if ticking.schedule.is_none() {
        watchdog::watch(Arc::downgrade(app));
        // A fault in it costs that frame, as in all others.
        if catch_unwind(AssertUnwindSafe(|| publish(app, 0, Duration::ZERO))).is_err() {
            app.note_failure(Task::Collector);
        }
    }
    let schedule = ticking.schedule.get_or_insert_with(|| Arc::new(Mutex::new(Schedule::new(app.clock.now(), TICK))));
    let supervised = supervise(Arc::downgrade(app), app.clock, Arc::clone(schedule));
    ticking.task = Some(AbortOnDropHandle::new(runtime.spawn(supervised)));
}

/// Who ticks, and by which schedule.
#[derive(Debug, Default)]
struct Ticking {
    schedule: Option<Arc<Mutex<Schedule>>>,
    task: Option<AbortOnDropHandle<()>>,
}

/// A tick that fails costs that frame: the schedule goes on where it was, and is the pause.
async fn supervise(app: Weak<Shared>, clock: Clock, schedule: Arc<Mutex<Schedule>>) {
    loop {
        let collector = tokio::spawn(collect(Weak::clone(&app), clock, Arc::clone(&schedule)));
        let ended = AbortOnDropHandle::new(collector).await;
        let has_panicked = ended.is_err_and(|failure| failure.is_panic());
        match app.upgrade().filter(|_| has_panicked) {
            Some(app) => app.note_failure(Task::Collector),
            None => return,
        }
    }
}

/// Until nobody holds `app` any more.
async fn collect(app: Weak<Shared>, clock: Clock, schedule: Arc<Mutex<Schedule>>) {
    loop {
        let due = schedule.lock().next_due();
        sleep_until(clock.instant(due)).await;
        let Some(app) = app.upgrade() else { return };
        let polled = poll(&app, &mut schedule.lock());
        if let Some((tick, lag)) = polled {
            publish(&app, tick, lag);
        }
    }
}

/// The tick that is due and how late it is.
fn poll(app: &App, schedule: &mut Schedule) -> Option<(u64, Duration)> {
    let (now, missed) = (app.clock.now(), schedule.missed());
    let tick = schedule.poll(now)?;
    app.metrics.ticks_missed.add(schedule.missed() - missed);
    Some((tick, schedule.lag(tick, now)))
}

fn publish(app: &App, tick: u64, lag: Duration) {
    let begun = app.clock.now();
    app.metrics.tick_lag_seconds.set(lag.as_secs_f64());
    app.metrics.sessions_bytes.set(app.memory.bytes() as f64);
    app.options.tick_hooks.iter().for_each(|hook| hook(tick));
    let Collected { entry, schema, wished } = app.hub.collector.lock().encode(app, tick, lag);
    app.metrics.frame_bytes.set(entry.frame.len() as f64);
    app.metrics.history_frames_let_go.add(app.hub.whole.publish(entry, schema, wished));
    let (bytes, frames) = app.hub.whole.with_history(|history| (history.bytes(), history.len()));
    app.metrics.history_bytes.set(bytes as f64);
    app.metrics.history_frames.set(frames as f64);
    app.metrics.tick_seconds.set(app.clock.now().since(begun).as_secs_f64());
}

/// What is shown beside wall time is off by so much from what was before.
fn note_clock_step(app: &App, leapt_ms: i64) {
    app.metrics.clock_steps.inc();
    let seconds = leapt_ms as f64 / 1_000.0;
    let message = format!("wall time leapt by {seconds:+.1} s: the clock was set, or the machine slept");
    tracing::warn!("{message}");
    app.tell_fault(message);
}

/// A tick, as it goes out.
struct Collected {
    entry: Entry,
    /// Where there is more of it than before.
    schema: Option<Bytes>,
    /// For readers that are too slow.
    wished: Option<Bytes>,
}

impl Collecting {
    fn encode(&mut self, app: &App, tick: u64, lag: Duration) -> Collected {
        let (now, wall_ms) = (app.clock.now(), unix_millis());
        if let Some(leapt_ms) = self.clock_watch.look(now, wall_ms) {
            note_clock_step(app, leapt_ms);
        }
        // What a tick took that failed, the next one tells.
        let (events, dropped) = app.hub.events.take();
        self.events.extend(events);
        self.events_dropped += dropped;
        self.sessions.clear();
        let timestamp = wall_ms as f64 / 1_000.0;
        self.sessions.extend(app.sessions.all().iter().map(|session| session.state(now, timestamp)));
        self.sampling.update();
        let registry = self.collector.collect_timed(wall_ms, || app.clock.now());
        app.metrics.registry.update(registry);
        let server = ServerFigures {
            viewers: app.metrics.viewers.value() as u64,
            tick_lag_ms: rounded(lag.as_secs_f64() * 1_000.0, 1),
            ticks_missed: app.metrics.ticks_missed.value(),
        };
        let mut frame = Vec::new();
        let input = Tick {
            tick,
            monotonic_us: now.as_nanos() / 1_000,
            wall_ms,
            server,
            registry,
            sessions: &self.sessions,
            events: &self.events,
            events_dropped: self.events_dropped,
        };
        self.encoder.encode(&input, &mut frame);
        self.events.clear();
        self.events_dropped = 0;
        self.entry(app, frame.into())
    }

    fn entry(&mut self, app: &App, frame: Bytes) -> Collected {
        let state = self.encoder.state();
        let (head, extent) = (state.head(), state.extent());
        let schema = (extent != self.described).then(|| {
            let mut schema = Vec::new();
            self.encoder.write_schema(&mut schema);
            schema.into()
        });
        self.described = extent;
        self.keyframes.add_frame(frame.len());
        let is_wished = app.hub.whole.takes_keyframe_wish();
        let is_due = self.keyframes.are_due();
        let written: Option<Bytes> = (is_wished || is_due).then(|| {
            let mut keyframe = Vec::new();
            self.encoder.write_keyframe(&mut keyframe);
            keyframe.into()
        });
        let (keyframe, wished) = if is_due { (written, None) } else { (None, written) };
        keyframe.iter().for_each(|keyframe| self.keyframes.add_keyframe(keyframe.len()));
        let entry = Entry { seq: head.seq, tick: head.tick, wall_ms: head.wall_ms, frame, keyframe };
        Collected { entry, schema, wished }
    }
}
