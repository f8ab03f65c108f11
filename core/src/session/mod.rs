//! The model of one live session: what its server is told, counted and reported.
//!
//! A [`Session`] is plain state with one owner. Whoever works for the session tells it of what was enqueued,
//! dequeued, processed and dropped, each with the time; [`Audio`] does so for PCM, whose queues it keeps.
//! Statuses that follow from a call collect in the session until [`Session::take_statuses`].
//!
//! For every source, at every moment, in bytes, in frames and in media time:
//! `received = processed + dropped + waiting + in the provider's hands`. What is told beyond that is not
//! believed: of more than waits only what waits is taken, and so on.

mod amount;
mod audio;
mod backpressure;
mod chunk;
mod config;
mod drop_window;
mod error_budget;
mod inference_window;
mod ladder;
mod queue;
mod source;
mod work;

use alloc::vec::Vec;
use core::fmt;

pub use amount::Amount;
pub use audio::Audio;
pub use chunk::{Chunk, ChunkResult};
pub use config::{AudioConfig, Degrade, SourceConfig};
pub use error_budget::ErrorBudget;
pub use ladder::{Action, Ladder, Level, Step};
pub use source::{ProviderInForce, ProviderPhase};
pub use work::{Voice, Work};

use crate::registry::DefaultMetrics;
use crate::time::Moment;
use crate::wire::{ClientFeatures, Identity, Metrics, Receipt, SourceName, Status, rounded};
use source::{SessionFigures, Source};

/// One live session, metered from its start.
///
/// ```
/// use core::time::Duration;
/// use tachograph_core::registry::{DefaultMetrics, Registry};
/// use tachograph_core::session::{Amount, Session, SourceConfig, Work};
/// use tachograph_core::time::Moment;
/// use tachograph_core::wire::SourceName;
///
/// let metrics = DefaultMetrics::register(&Registry::new())?;
/// let mut session = Session::new(2, metrics, Default::default(), Moment::default());
/// let tokens = SourceName::parse("tokens")?;
/// session.open_source(tokens, SourceConfig { frames_max: 8, ..SourceConfig::default() })?;
/// let (one, nothing) = (Amount::new(1, 5), Amount::default());
/// session.enqueued(tokens, one, nothing, Moment::from_millis(10));
/// assert_eq!(session.figures(0, Moment::from_millis(20), 0.0)[0].queue_depth, 1);
/// session.dequeued(tokens, one);
/// let took = Duration::from_millis(30);
/// let work = Work { inference: took, processing: took, voice: None };
/// session.processed(tokens, one, &work, Moment::from_millis(40));
/// assert!(session.is_drained());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Session {
    sources_max: usize,
    metrics: DefaultMetrics,
    features: ClientFeatures,
    started: Moment,
    /// By name; as few as a client has.
    sources: Vec<Source>,
    statuses: Vec<Status>,
    spread_max_nanos: u64,
    ended: bool,
}

/// Why a source cannot be opened.
///
/// ```
/// use tachograph_core::registry::{DefaultMetrics, Registry};
/// use tachograph_core::session::{Session, SourceError};
/// use tachograph_core::wire::{MIC, SYSTEM};
///
/// let metrics = DefaultMetrics::register(&Registry::new())?;
/// let mut session = Session::new(1, metrics, Default::default(), Default::default());
/// session.open_source(MIC, Default::default())?;
/// assert_eq!(session.open_source(SYSTEM, Default::default()), Err(SourceError::TooMany));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourceError {
    /// The session has ended.
    Ended,
    /// The session has as many sources as it may.
    TooMany,
    /// Its metrics cannot be had.
    NotMetered,
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ended => "the session has ended; open another one",
            Self::TooMany => "the session has as many sources as it may; use one of those, or allow more",
            Self::NotMetered => "the source cannot be metered: a metric of that name is of another kind",
        })
    }
}

impl core::error::Error for SourceError {}

/// What a session's ticks came to, for its receipt.
///
/// ```
/// use tachograph_core::registry::{DefaultMetrics, Registry};
/// use tachograph_core::session::{Session, TickTally};
///
/// let metrics = DefaultMetrics::register(&Registry::new())?;
/// let mut session = Session::new(1, metrics, Default::default(), Default::default());
/// let ticks = TickTally { sent: 59, missed: 1, ..TickTally::default() };
/// assert_eq!(session.end(Default::default(), ticks, Default::default()).ticks_missed, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TickTally {
    /// Ticks whose metrics were sent.
    pub sent: u64,
    /// Ticks whose metrics, or some of them, were replaced by newer ones before the client took them.
    pub conflated: u64,
    /// Ticks skipped because the next one was due already.
    pub missed: u64,
}

impl Session {
    /// A session that starts now, with at most so many sources.
    pub fn new(sources_max: usize, metrics: DefaultMetrics, features: ClientFeatures, now: Moment) -> Self {
        metrics.active_sessions.add(1.0);
        Self {
            sources_max,
            metrics,
            features,
            started: now,
            sources: Vec::new(),
            statuses: Vec::new(),
            spread_max_nanos: 0,
            ended: false,
        }
    }

    /// Enters a source. Returns whether it is new; one that is there stays as it is.
    ///
    /// # Errors
    /// The session has ended or has as many sources as it may; nothing is changed.
    pub fn open_source(&mut self, name: SourceName, config: SourceConfig) -> Result<bool, SourceError> {
        if self.ended {
            return Err(SourceError::Ended);
        }
        let Err(place) = find(&self.sources, name) else { return Ok(false) };
        if self.sources.len() >= self.sources_max {
            return Err(SourceError::TooMany);
        }
        let instruments = self.metrics.source(name.as_str()).map_err(|_| SourceError::NotMetered)?;
        self.sources.insert(place, Source::new(name, config, instruments, self.started));
        Ok(true)
    }

    /// `came` joined the source's queue, and `dropped` had to leave it for that.
    pub fn enqueued(&mut self, source: SourceName, came: Amount, dropped: Amount, now: Moment) {
        if let Some(held) = self.live(source) {
            held.enqueue(came, dropped, now);
            self.tell_edge(source);
        }
        self.spread_max_nanos = self.spread_max_nanos.max(self.spread_nanos());
    }

    /// So much left the queue and is in the provider's hands.
    pub fn dequeued(&mut self, source: SourceName, amount: Amount) {
        if let Some(held) = self.live(source) {
            held.dequeue(amount);
            self.tell_edge(source);
        }
    }

    /// So much left the queue and will not be processed.
    pub fn discarded(&mut self, source: SourceName, amount: Amount, now: Moment) {
        if let Some(held) = self.live(source) {
            held.drop_waiting(amount, now);
            self.tell_edge(source);
        }
    }

    /// So much of what was dequeued will not be processed.
    pub fn dropped(&mut self, source: SourceName, amount: Amount, now: Moment) {
        if let Some(held) = self.live(source) {
            held.drop_taken(amount, now);
        }
    }

    /// The provider begins with a chunk.
    pub fn work_began(&mut self, source: SourceName) {
        if let Some(held) = self.live(source) {
            held.work_began();
        }
    }

    /// It is done with one, well or not.
    pub fn work_ended(&mut self, source: SourceName) {
        if let Some(held) = self.live(source) {
            held.work_ended();
        }
    }

    /// A chunk of so much was processed.
    pub fn processed(&mut self, source: SourceName, amount: Amount, work: &Work, now: Moment) {
        if let Some(held) = self.live(source) {
            held.process(amount, work, now);
        }
    }

    /// The provider failed on a chunk of so much, which drops it.
    pub fn failed(&mut self, source: SourceName, amount: Amount, now: Moment) {
        if let Some(held) = self.live(source) {
            held.fail(amount, now);
        }
    }

    /// Tells of the fill that the source's queue has now.
    fn tell_edge(&mut self, source: SourceName) {
        let edge = self.live(source).and_then(Source::take_edge);
        self.statuses.extend(edge);
    }

    /// Nothing is counted after the end, nor of a source that was not opened.
    #[inline(never)]
    fn live(&mut self, source: SourceName) -> Option<&mut Source> {
        let place = find(&self.sources, source).ok().filter(|_| !self.ended)?;
        self.sources.get_mut(place)
    }

    /// Whether nothing waits, nothing is in the provider's hands, and no chunk is being worked on.
    pub fn is_drained(&self) -> bool {
        self.sources.iter().all(Source::is_drained)
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Which provider and model work for the source from now on.
    pub fn set_provider(&mut self, source: SourceName, in_force: ProviderInForce) {
        if let Some(held) = self.live(source) {
            held.set_provider(in_force);
        }
    }

    /// What the source's provider is doing from now on.
    pub fn set_provider_phase(&mut self, source: SourceName, phase: ProviderPhase) {
        if let Some(held) = self.live(source) {
            held.set_phase(phase);
        }
    }

    /// What the source's provider said of itself; None when it did not answer.
    pub fn set_provider_health(&mut self, source: SourceName, health: Option<serde_json::Value>) {
        if let Some(held) = self.live(source) {
            held.set_health(health);
        }
    }

    /// The degrade level that is in force for the source from now on; None when it cannot be had, which is no
    /// change of level. Ignored unless the source's level is to be told.
    pub fn set_level(&mut self, source: SourceName, level: Option<Level>, now: Moment) {
        let step = self.live(source).and_then(|held| held.set_level(level, now));
        self.statuses.extend(step);
    }

    /// The sources that should have a degrade level and have none.
    pub fn without_level(&self) -> impl Iterator<Item = SourceName> {
        self.sources.iter().filter(|source| source.misses_level()).map(Source::name)
    }

    /// The source's degrade level, which says how its next chunk is to be processed. NORMAL when it has none.
    pub fn level(&self, source: SourceName) -> Level {
        let held = find(&self.sources, source).ok().and_then(|place| self.sources[place].level());
        held.unwrap_or(Level::Normal)
    }

    /// Runs a tick: checks the ladders, tells of what was dropped since the previous tick, and returns the
    /// figures of every source that has sent audio; none after the end.
    pub fn tick(&mut self, tick: u64, now: Moment, unix_seconds: f64) -> Vec<Metrics> {
        if self.ended {
            return Vec::new();
        }
        for source in &mut self.sources {
            self.statuses.extend(source.check_ladder(now));
            self.statuses.extend(source.tell_drops());
        }
        self.figures(tick, now, unix_seconds)
    }

    /// The figures now, for whoever looks between two ticks: `tick` is the newest one. Changes nothing that
    /// anybody else is owed.
    pub fn figures(&mut self, tick: u64, now: Moment, unix_seconds: f64) -> Vec<Metrics> {
        let session = SessionFigures {
            tick,
            features: self.features,
            spread_ms: milliseconds(self.spread_nanos()),
            spread_max_ms: milliseconds(self.spread_max_nanos),
            sources_active: self.sources.iter().map(Source::name).collect(),
            timestamp: rounded(unix_seconds, 3),
        };
        self.sources.iter_mut().map(|source| source.figures(&session, now)).collect()
    }

    /// The statuses since the last call, oldest first.
    pub fn take_statuses(&mut self) -> Vec<Status> {
        core::mem::take(&mut self.statuses)
    }

    /// Ends the session: what is left is dropped, and nothing is counted any more. Call it once no
    /// provider works for the session.
    pub fn end(&mut self, identity: Identity, ticks: TickTally, now: Moment) -> Receipt {
        self.close(now);
        Receipt {
            identity,
            duration_seconds: rounded(now.since(self.started).as_secs_f64(), 1),
            sources: self.sources.iter().map(Source::receipt).collect(),
            ticks_sent: ticks.sent,
            ticks_conflated: ticks.conflated,
            ticks_missed: ticks.missed,
        }
    }

    fn close(&mut self, now: Moment) {
        if !core::mem::replace(&mut self.ended, true) {
            self.metrics.active_sessions.add(-1.0);
            self.sources.iter_mut().for_each(|source| source.abandon(now));
        }
    }

    /// Between the source that has sent the most media and the one that has sent the least.
    fn spread_nanos(&self) -> u64 {
        let positions = || self.sources.iter().map(Source::position_nanos);
        positions().max().unwrap_or_default() - positions().min().unwrap_or_default()
    }
}

/// A session that is dropped without its end still leaves the registry's gauges balanced.
impl Drop for Session {
    fn drop(&mut self) {
        self.close(self.started);
    }
}

/// In ms with one decimal.
fn milliseconds(nanos: u64) -> f64 {
    rounded(nanos as f64 / 1_000_000.0, 1)
}

/// Where the source is, or belongs.
fn find(sources: &[Source], name: SourceName) -> Result<usize, usize> {
    sources.binary_search_by(|source| source.name().cmp(&name))
}
