//! The model of one live session: what its server is told, counted and reported.
//!
//! A [`Session`] is plain state with one owner. The server hands it audio, takes chunks from it and
//! reports what the provider did; each call is given the time. Statuses that follow from a call
//! collect in the session until [`Session::take_statuses`].
//!
//! For every source, at every moment, in bytes and in frames:
//! `received = processed + dropped + waiting + in the provider's hands`.

mod backpressure;
mod chunk;
mod config;
mod drop_window;
mod error_budget;
mod inference_window;
mod ladder;
mod queue;
mod source;

use alloc::vec::Vec;

use bytes::Bytes;

pub use chunk::{Chunk, ChunkResult, Voice};
pub use config::SessionConfig;
pub use error_budget::ErrorBudget;
pub use ladder::{Action, Ladder, Level, Step};
pub use source::{ProviderInForce, ProviderPhase};

use crate::registry::DefaultMetrics;
use crate::time::Moment;
use crate::wire::{
    ClientFeatures, DecodeError, ErrorCode, Identity, Metrics, PCM_BYTES_PER_SECOND, Receipt, SourceName, Status,
    check_pcm, rounded,
};
use source::{SessionFigures, Source};

/// One live session, metered from its start.
///
/// ```
/// use bytes::Bytes;
/// use tachograph_core::registry::{DefaultMetrics, Registry};
/// use tachograph_core::session::{Session, SessionConfig};
/// use tachograph_core::time::Moment;
/// use tachograph_core::wire::MIC;
///
/// let metrics = DefaultMetrics::register(&Registry::new())?;
/// let mut session = Session::new(SessionConfig::default(), metrics, Default::default(), Moment::default());
/// session.receive(MIC, Bytes::from(vec![0; 64_000]), Moment::from_millis(10))?;
/// let figures = session.tick(1, Moment::from_millis(1_000), 1_767_225_600.0);
/// assert_eq!((figures[0].queue_bytes, figures[0].queue_fill_ratio), (64_000, 1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    metrics: DefaultMetrics,
    features: ClientFeatures,
    started: Moment,
    /// By name; as few as a client has.
    sources: Vec<Source>,
    statuses: Vec<Status>,
    spread_bytes_max: u64,
    ended: bool,
}

/// What a session's ticks came to, for its receipt.
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
    /// A session that starts now.
    pub fn new(config: SessionConfig, metrics: DefaultMetrics, features: ClientFeatures, now: Moment) -> Self {
        metrics.active_sessions.add(1.0);
        Self {
            config,
            metrics,
            features,
            started: now,
            sources: Vec::new(),
            statuses: Vec::new(),
            spread_bytes_max: 0,
            ended: false,
        }
    }

    /// Takes in one frame: splits it into pieces of at most 100 ms and queues them. When the queue
    /// is full the oldest pieces go, only as many as needed.
    ///
    /// Returns whether the source is new.
    ///
    /// # Errors
    /// `invalid_audio` for no or half samples, `too_large` for a frame longer than the whole queue,
    /// `too_many_sources`, and `not_started` after the end; none of them changes anything.
    pub fn receive(&mut self, source: SourceName, frame: Bytes, now: Moment) -> Result<bool, DecodeError> {
        if self.ended {
            return Err(DecodeError::new(ErrorCode::NotStarted, "the session has ended"));
        }
        check_pcm(&frame)?;
        if frame.len() > self.config.queue_bytes_max {
            let message = "the frame is longer than the whole queue; send shorter frames";
            return Err(DecodeError::new(ErrorCode::TooLarge, message));
        }
        let place = find(&self.sources, source);
        if let Err(place) = place {
            self.add_source(place, source)?;
        }
        let (Ok(held) | Err(held)) = place;
        let held = &mut self.sources[held];
        held.receive(frame, now);
        self.statuses.extend(held.take_edge());
        let is_new = place.is_err();
        self.spread_bytes_max = self.spread_bytes_max.max(self.spread_bytes());
        Ok(is_new)
    }

    fn add_source(&mut self, place: usize, name: SourceName) -> Result<(), DecodeError> {
        if self.sources.len() >= self.config.sources_max {
            let message = "the session has as many sources as it may; use one of those";
            return Err(DecodeError::new(ErrorCode::TooManySources, message));
        }
        let instruments = (self.metrics.source(name.as_str()))
            .map_err(|_| DecodeError::new(ErrorCode::Internal, "the source cannot be metered"))?;
        self.sources.insert(place, Source::new(name, &self.config, instruments, self.started));
        Ok(())
    }

    /// Moves waiting audio into the source's chunk and returns the chunk when it is long enough or,
    /// with `flush`, when it holds all there is. None means that more audio is needed.
    ///
    /// At the level EMERGENCY every other chunk is dropped here.
    pub fn next_chunk(&mut self, source: SourceName, flush: bool, now: Moment) -> Option<Chunk> {
        let held = named(&mut self.sources, source)?;
        let chunk = held.next_chunk(flush, now);
        self.statuses.extend(held.take_edge());
        chunk
    }

    /// Moves waiting audio into the source's chunk while the provider works on the one before, so that a
    /// provider that keeps up never lets the queue overflow, however long its chunks are.
    pub fn fill_chunk(&mut self, source: SourceName, now: Moment) {
        if let Some(held) = named(&mut self.sources, source) {
            held.fill_chunk(now);
            self.statuses.extend(held.take_edge());
        }
    }

    /// Whether nothing waits and nothing is in the provider's hands.
    pub fn is_drained(&self) -> bool {
        self.sources.iter().all(Source::is_drained)
    }

    /// What the provider made of a chunk; None when it failed on it, which drops the chunk.
    /// Ignored after the end.
    pub fn end_chunk(&mut self, source: SourceName, chunk: &Chunk, result: Option<ChunkResult>, now: Moment) {
        if let (false, Some(held)) = (self.ended, named(&mut self.sources, source)) {
            held.end_chunk(chunk, result, now);
        }
    }

    /// Which provider and model work for the source from now on.
    pub fn set_provider(&mut self, source: SourceName, in_force: ProviderInForce) {
        if let Some(held) = named(&mut self.sources, source) {
            held.set_provider(in_force);
        }
    }

    /// What the source's provider is doing from now on.
    pub fn set_provider_phase(&mut self, source: SourceName, phase: ProviderPhase) {
        if let Some(held) = named(&mut self.sources, source) {
            held.set_phase(phase);
        }
    }

    /// What the source's provider said of itself; None when it did not answer.
    pub fn set_provider_health(&mut self, source: SourceName, health: Option<serde_json::Value>) {
        if let Some(held) = named(&mut self.sources, source) {
            held.set_health(health);
        }
    }

    /// The source's degrade level, which says how its next chunk is to be processed. NORMAL when the
    /// ladder is off.
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
            spread_ms: milliseconds(self.spread_bytes()),
            spread_max_ms: milliseconds(self.spread_bytes_max),
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

    /// Between the source that has sent the most audio and the one that has sent the least.
    fn spread_bytes(&self) -> u64 {
        let positions = || self.sources.iter().map(Source::bytes_received);
        positions().max().unwrap_or(0) - positions().min().unwrap_or(0)
    }
}

/// A session that is dropped without its end still leaves the registry's gauges balanced.
impl Drop for Session {
    fn drop(&mut self) {
        self.close(self.started);
    }
}

/// So much PCM as time, in ms with one decimal.
fn milliseconds(pcm_bytes: u64) -> f64 {
    rounded(pcm_bytes as f64 * 1_000.0 / PCM_BYTES_PER_SECOND as f64, 1)
}

/// Where the source is, or belongs.
fn find(sources: &[Source], name: SourceName) -> Result<usize, usize> {
    sources.binary_search_by(|source| source.name().cmp(&name))
}

fn named(sources: &mut [Source], name: SourceName) -> Option<&mut Source> {
    let place = find(sources, name).ok()?;
    Some(&mut sources[place])
}
