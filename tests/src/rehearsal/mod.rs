//! A simulated service: real instruments and real sessions, moved on a second at a time without waiting,
//! and told by the core's own encoder.
//!
//! A [`Rehearsal`] makes the frames, [`record`] keeps them, a [`RehearsalServer`] shows them to the page.

mod call;
mod families;
mod metrics;
mod model;
mod provider;
mod recording;
mod scenario;
mod server;
mod sessions;

use bytes::Bytes;
use tachograph_core::instrument::{Counter, Gauge};
use tachograph_core::registry::{Aggregation, Collector, DefaultMetrics, Descriptor, Registry};
use tachograph_core::snapshot::RegistrySnapshot;
use tachograph_core::time::Moment;
use tachograph_core::wire::frame::{Encoder, Epoch, Extent, Hello, Keyframes, Outcome, ServerFigures, State, Tick};
use tachograph_core::wire::{Event, MIC, SYSTEM, SessionState, rounded};

pub use recording::record;
pub use scenario::Scenario;
pub use server::{Pace, RehearsalServer};

use self::metrics::Metrics;
use self::sessions::{Sessions, Told};
use crate::Failure;
use crate::chance::Chance;

/// Room for a family's series.
const SERIES_MAX: usize = 100_000;
/// About what a series takes.
const SERIES_BYTES: u64 = 200;
/// Events that one frame has room for; more are counted.
const EVENTS_MAX: usize = 4_000;
/// What a server keeps unless said otherwise, and how many parts of it there are to begin with.
const HISTORY_SECONDS: u64 = 3_600;
const HISTORY_BYTES: usize = 64 << 20;
const KEYFRAMES_MIN: u64 = 4;
const SECOND_MILLIS: u64 = 1_000;
/// How late a tick usually is, in ms.
const USUAL_LAG: f64 = 0.4;

/// What is rehearsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// About how many series there are; no fewer than the listener's own.
    pub series: usize,
    /// How many sessions are live, but for the moments between one that ends and the next.
    pub sessions: usize,
    /// What befalls them.
    pub scenario: Scenario,
    /// When the service started, in Unix milliseconds.
    pub start_wall_ms: u64,
    /// The same seed gives the same frames.
    pub seed: u64,
}

impl Default for Setup {
    /// A small service of six sessions, healthy since 2026 began.
    fn default() -> Self {
        Self { series: 100, sessions: 6, scenario: Scenario::Healthy, start_wall_ms: 1_767_225_600_000, seed: 1 }
    }
}

/// One tick, as it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The frame's number.
    pub seq: u64,
    /// The service's second.
    pub tick: u64,
    /// What readers get that have the frame before: a record.
    pub delta: Bytes,
    /// The whole schema, where there is more of it than before.
    pub schema: Option<Bytes>,
    /// What readers can begin with, where the past is to have one.
    pub keyframe: Option<Bytes>,
}

/// A simulated service.
#[derive(Debug)]
pub struct Rehearsal {
    setup: Setup,
    epoch: Epoch,
    chance: Chance,
    second: u64,
    ticks_missed: u64,
    own: OwnMetrics,
    metrics: Metrics,
    sessions: Sessions,
    collector: Collector,
    registry: RegistrySnapshot,
    encoder: Encoder,
    states: Vec<SessionState>,
    events: Vec<Event>,
    events_dropped: u64,
    newest_bytes: usize,
    described: Extent,
    keyframes: Keyframes,
}

impl Rehearsal {
    /// A service that has not ticked yet.
    ///
    /// # Errors
    /// The process has no room for so many series.
    pub fn new(setup: Setup) -> Result<Self, Failure> {
        let registry = Registry::with_series_limit(SERIES_MAX);
        let mut chance = Chance::new(setup.seed);
        let (own, listener) = (OwnMetrics::register(&registry)?, DefaultMetrics::register(&registry)?);
        // So that they count as series before a session has them.
        let _bound = [MIC, SYSTEM].map(|source| listener.source(source.as_str()));
        let held = registry.snapshot().all_series().count();
        let metrics = Metrics::register(&registry, setup.series.saturating_sub(held), chance.fork())?;
        let restarts = own.provider_restarts.clone();
        let mut epoch = [0; 16];
        epoch.as_chunks_mut().0.iter_mut().for_each(|part| *part = chance.number().to_le_bytes());
        Ok(Self {
            setup,
            epoch: Epoch::from_bytes(epoch),
            second: 0,
            ticks_missed: 0,
            own,
            metrics,
            sessions: Sessions::new(setup.sessions, chance.fork(), listener, restarts),
            chance,
            collector: registry.collector(),
            registry: RegistrySnapshot::default(),
            encoder: Encoder::new(),
            states: Vec::new(),
            events: Vec::new(),
            events_dropped: 0,
            newest_bytes: 0,
            described: Extent::default(),
            keyframes: Keyframes::within(HISTORY_SECONDS / KEYFRAMES_MIN, HISTORY_BYTES / KEYFRAMES_MIN as usize),
        })
    }

    /// Moves the service on by a second, and tells it.
    pub fn tick(&mut self) -> Frame {
        self.run_second();
        let delta = self.encode();
        self.newest_bytes = delta.len();
        self.events.clear();
        self.events_dropped = 0;
        self.frame(delta)
    }

    /// Moves the service on by so many seconds whose ticks it misses: the next frame tells of all of them.
    pub fn miss(&mut self, ticks: u64) {
        for _ in 0..ticks {
            self.run_second();
            self.ticks_missed += 1;
            self.own.ticks_missed.inc();
        }
    }

    /// What a stream begins with: a record.
    pub fn hello(&self, outcome: Outcome, first_seq: u64) -> Vec<u8> {
        hello(self.epoch, outcome, first_seq)
    }

    /// The whole schema, as far as the newest frame knows it: records.
    pub fn schema(&self) -> Vec<u8> {
        let mut records = Vec::new();
        self.encoder.write_schema(&mut records);
        records
    }

    /// A keyframe of the newest frame, whether the past is to have one or not: a record.
    pub fn keyframe(&mut self) -> Vec<u8> {
        let mut record = Vec::new();
        self.encoder.write_keyframe(&mut record);
        record
    }

    /// Names this start of the service.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// What the newest frame says.
    pub fn state(&self) -> &State {
        self.encoder.state()
    }

    /// The sessions that the newest frame tells of, as they went in.
    pub fn sessions(&self) -> &[SessionState] {
        &self.states
    }

    /// The metrics that the newest frame tells of, as they went in.
    pub fn registry(&self) -> &RegistrySnapshot {
        &self.registry
    }

    // ---- a second

    fn now(&self) -> Moment {
        Moment::from_millis(self.second * SECOND_MILLIS)
    }

    fn wall_ms(&self) -> u64 {
        self.setup.start_wall_ms + self.second * SECOND_MILLIS
    }

    fn run_second(&mut self) {
        let begin = self.now();
        self.second += 1;
        let conditions = self.setup.scenario.conditions(self.second);
        self.metrics.run_second(self.second, &conditions);
        for told in self.sessions.run_second(begin, &conditions) {
            self.keep(told);
        }
    }

    /// Keeps an event for the next frame, if that has room.
    fn keep(&mut self, told: Told) {
        if self.events.len() >= EVENTS_MAX {
            self.events_dropped += 1;
            return;
        }
        let since_start = told.at.as_nanos() as f64 / 1e9;
        let timestamp = rounded(self.setup.start_wall_ms as f64 / 1e3 + since_start, 3);
        let Told { session, session_id, kind, receipt, .. } = told;
        self.events.push(Event { timestamp, session: Some(session), session_id, kind, receipt });
    }

    // ---- a frame

    fn encode(&mut self) -> Bytes {
        let (now, wall_ms) = (self.now(), self.wall_ms());
        let tick_lag_ms = rounded(USUAL_LAG * self.chance.log_normal(0.5), 1);
        self.own.tick_lag_seconds.set(tick_lag_ms / 1e3);
        self.own.frame_bytes.set(self.newest_bytes as f64);
        self.registry = self.collector.collect(wall_ms).clone();
        // What is really held depends on what else the process has measured.
        self.registry.bytes_held = self.registry.series * SERIES_BYTES;
        self.states.clear();
        self.states.extend(self.sessions.states(now, wall_ms as f64 / 1e3));
        let mut record = Vec::new();
        let tick = Tick {
            tick: self.second,
            monotonic_us: now.as_nanos() / 1_000,
            wall_ms,
            server: ServerFigures { viewers: 1, tick_lag_ms, ticks_missed: self.ticks_missed },
            registry: &self.registry,
            sessions: &self.states,
            events: &self.events,
            events_dropped: self.events_dropped,
        };
        self.encoder.encode(&tick, &mut record);
        record.into()
    }

    /// With what else is to be kept of it; by the same rules as `server/src/hub/mod.rs`.
    fn frame(&mut self, delta: Bytes) -> Frame {
        let (head, extent) = (self.state().head(), self.state().extent());
        let schema = (extent != self.described).then(|| self.schema().into());
        self.described = extent;
        self.keyframes.add_frame(delta.len());
        let keyframe = self.keyframes.are_due().then(|| Bytes::from(self.keyframe()));
        keyframe.iter().for_each(|keyframe| self.keyframes.add_keyframe(keyframe.len()));
        Frame { seq: head.seq, tick: head.tick, delta, schema, keyframe }
    }
}

fn hello(epoch: Epoch, outcome: Outcome, first_seq: u64) -> Vec<u8> {
    let mut record = Vec::new();
    Hello { epoch, server_version: env!("CARGO_PKG_VERSION").into(), outcome, first_seq }.write(&mut record);
    record
}

/// Some of what a server counts of itself.
#[derive(Debug)]
struct OwnMetrics {
    frame_bytes: Gauge,
    tick_lag_seconds: Gauge,
    ticks_missed: Counter,
    provider_restarts: Counter,
}

impl OwnMetrics {
    fn register(registry: &Registry) -> Result<Self, Failure> {
        let frame_bytes = Descriptor::new("tachograph_frame_bytes", "Size of the newest frame").unit("bytes");
        let lag = Descriptor::new("tachograph_tick_lag_seconds", "How late the newest server tick was").unit("s");
        let missed = Descriptor::new("tachograph_ticks_missed", "Server ticks skipped as too late");
        let restarts = Descriptor::new("tachograph_provider_restarts", "Providers made anew");
        Ok(Self {
            frame_bytes: registry.gauge(&frame_bytes)?.bind(&[])?,
            tick_lag_seconds: registry.gauge(&lag.aggregation(Aggregation::Max))?.bind(&[])?,
            ticks_missed: registry.counter(&missed)?.bind(&[])?,
            provider_restarts: registry.counter(&restarts)?.bind(&[])?,
        })
    }
}
