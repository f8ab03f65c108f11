//! The server's tick: once a second the state of everything, encoded once for all who look.

mod viewer;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use parking_lot::Mutex;
use tachograph_core::registry::{Collector, Registry};
use tachograph_core::time::Schedule;
use tachograph_core::wire::{ServerState, StreamFrame, rounded};
use tokio::sync::watch;
use tokio::time::sleep_until;
use tokio_util::task::AbortOnDropHandle;

use crate::app::App;
use crate::clock::unix_seconds;

pub(crate) use viewer::view;

const TICK: Duration = Duration::from_secs(1);

/// The newest frame, for all who look: a slow one skips to it.
#[derive(Debug)]
pub(crate) struct Hub {
    newest: watch::Sender<Encoded>,
    /// Keeps the memory of its snapshot from tick to tick.
    collector: Mutex<Collector>,
}

/// A frame as it goes out; clones share the text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Encoded {
    /// How many frames there were before; unlike a tick's number it skips nothing.
    pub(crate) index: u64,
    pub(crate) text: Utf8Bytes,
}

impl Hub {
    pub(crate) fn new(registry: &Registry) -> Self {
        Self { newest: watch::Sender::new(Encoded::default()), collector: Mutex::new(registry.collector()) }
    }

    pub(crate) fn newest(&self) -> Encoded {
        self.newest.borrow().clone()
    }

    fn publish(&self, text: String) {
        self.newest.send_modify(|newest| *newest = Encoded { index: newest.index + 1, text: text.into() });
    }

    fn subscribe(&self) -> watch::Receiver<Encoded> {
        self.newest.subscribe()
    }
}

/// Keeps the collector running until the server ends; the first frame is there on return.
pub(crate) fn start(app: &App) -> AbortOnDropHandle<()> {
    publish(app, 0, Duration::ZERO);
    let schedule = Arc::new(Mutex::new(Schedule::new(app.clock.now(), TICK)));
    AbortOnDropHandle::new(tokio::spawn(supervise(app.clone(), schedule)))
}

/// A tick that fails costs that frame: the schedule goes on where it was.
async fn supervise(app: App, schedule: Arc<Mutex<Schedule>>) {
    loop {
        let collector = tokio::spawn(collect(app.clone(), Arc::clone(&schedule)));
        let Err(failure) = AbortOnDropHandle::new(collector).await;
        if !failure.is_panic() {
            return;
        }
        tracing::error!("the collector failed and is restarted");
        app.metrics.collector_restarts.inc();
    }
}

async fn collect(app: App, schedule: Arc<Mutex<Schedule>>) -> std::convert::Infallible {
    loop {
        let due = schedule.lock().next_due();
        sleep_until(app.clock.instant(due)).await;
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

fn publish(app: &App, seq: u64, lag: Duration) {
    app.metrics.tick_lag_seconds.set(lag.as_secs_f64());
    match encode(app, seq, lag) {
        Ok(text) => app.hub.publish(text),
        Err(error) => tracing::error!(%error, "a frame could not be encoded"),
    }
}

fn encode(app: &App, seq: u64, lag: Duration) -> serde_json::Result<String> {
    let (now, timestamp) = (app.clock.now(), unix_seconds());
    let mut collector = app.hub.collector.lock();
    let registry = collector.collect_timed((timestamp * 1_000.0) as u64, || app.clock.now());
    app.metrics.registry.update(registry);
    let frame = StreamFrame {
        epoch: app.epoch.clone(),
        seq,
        timestamp: rounded(timestamp, 3),
        server: ServerState {
            version: env!("CARGO_PKG_VERSION").into(),
            uptime_seconds: rounded(now.since(Default::default()).as_secs_f64(), 1),
            viewers: app.metrics.viewers.value() as u64,
            tick_lag_ms: rounded(lag.as_secs_f64() * 1_000.0, 1),
            ticks_missed: app.metrics.ticks_missed.value(),
        },
        registry: Cow::Borrowed(registry),
        sessions: app.sessions.all().iter().map(|session| session.state(now, timestamp)).collect(),
    };
    serde_json::to_string(&frame)
}
