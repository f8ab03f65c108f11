use alloc::collections::VecDeque;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Moment;
use crate::wire::{Status, StatusState, rounded};

const STAY_BEFORE_UP: Duration = Duration::from_secs(10);
const STAY_BEFORE_DOWN: Duration = Duration::from_secs(30);
const DOWN_BELOW: f64 = 0.7;
const AVERAGE_SPAN: Duration = Duration::from_secs(10);
/// One sample a tick, a second each; more can only be a caller that ticks faster.
const SAMPLES_MAX: usize = 64;

/// How much a source does without to keep up.
///
/// ```
/// use tachograph_core::session::Level;
///
/// assert!(Level::Degrade > Level::Warning);
/// assert_eq!((Level::Failover.as_str(), Level::Failover.number()), ("FAILOVER", 4));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// Nothing.
    #[default]
    Normal,
    /// Chunks are 1 s longer.
    Warning,
    /// And the model is smaller, without voice detection.
    Degrade,
    /// And every other chunk is dropped.
    Emergency,
    /// And the fallback provider works.
    Failover,
}

impl Level {
    /// All levels, the best first.
    pub const ALL: [Self; 5] = [Self::Normal, Self::Warning, Self::Degrade, Self::Emergency, Self::Failover];

    /// The level as it stands in a message.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::Warning => "WARNING",
            Self::Degrade => "DEGRADE",
            Self::Emergency => "EMERGENCY",
            Self::Failover => "FAILOVER",
        }
    }

    /// 0 to 4.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The level that a realtime factor calls for.
    fn for_realtime_factor(factor: f64) -> Self {
        match factor {
            factor if factor >= 1.2 => Self::Emergency,
            factor if factor >= 1.0 => Self::Degrade,
            factor if factor >= 0.8 => Self::Warning,
            _ => Self::Normal,
        }
    }

    fn step(self, by: i8) -> Self {
        let number = (self as i8 + by).clamp(0, 4);
        Self::ALL[number as usize]
    }
}

/// What a step of the ladder did.
///
/// ```
/// use tachograph_core::session::{Action, Level, Step};
///
/// let step = Step { from: Level::Degrade, to: Level::Emergency };
/// assert_eq!(step.action(), Action::DropChunks);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Chunks became 1 s longer.
    ExtendChunk,
    /// Chunks have their length again.
    RestoreChunk,
    /// The next smaller model, voice detection off.
    ReduceQuality,
    /// The model and voice detection as before.
    RestoreQuality,
    /// Every other chunk is dropped.
    DropChunks,
    /// Every chunk is processed again.
    KeepChunks,
    /// The fallback provider works.
    UseFallback,
    /// The provider itself works again.
    LeaveFallback,
}

/// A change of level.
///
/// ```
/// use tachograph_core::session::{Action, Level, Step};
///
/// let (up, down) = ((Level::Normal, Level::Warning), (Level::Warning, Level::Normal));
/// assert_eq!(Step { from: up.0, to: up.1 }.action(), Action::ExtendChunk);
/// assert_eq!(Step { from: down.0, to: down.1 }.action(), Action::RestoreChunk);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The level left.
    pub from: Level,
    /// The level reached: one up or one down by the ladder, any where levels are told.
    pub to: Level,
}

impl Step {
    /// What it does: a step down reverts what the same step up did.
    pub fn action(self) -> Action {
        let upper = self.from.max(self.to);
        match (upper, self.to == upper) {
            (Level::Normal | Level::Warning, true) => Action::ExtendChunk,
            (Level::Normal | Level::Warning, false) => Action::RestoreChunk,
            (Level::Degrade, true) => Action::ReduceQuality,
            (Level::Degrade, false) => Action::RestoreQuality,
            (Level::Emergency, true) => Action::DropChunks,
            (Level::Emergency, false) => Action::KeepChunks,
            (Level::Failover, true) => Action::UseFallback,
            (Level::Failover, false) => Action::LeaveFallback,
        }
    }

    pub(super) fn status(self) -> Status {
        let (state, message) = match self.to {
            Level::Normal => (StatusState::Streaming, "Performance optimal"),
            Level::Warning => (StatusState::Buffering, "Processing slower than real-time"),
            Level::Degrade => (StatusState::Buffering, "Reduced quality for stability"),
            Level::Emergency => (StatusState::Overloaded, "Critical backlog, dropping frames"),
            Level::Failover => (StatusState::Reconnecting, "Switching to fallback provider"),
        };
        Status { degrade_level: Some(self.to), action: Some(self.action()), ..Status::new(state, message) }
    }
}

/// The degrade ladder of one source, checked each tick with the realtime factor of the last 10 chunks.
///
/// Up goes one level at a time, after at least 10 s at the current one. Down goes one level, after 30 s
/// at the current one with a mean below 0.7 over those 30 s.
///
/// ```
/// use tachograph_core::session::{Ladder, Level};
/// use tachograph_core::time::Moment;
///
/// let mut ladder = Ladder::new(Moment::default());
/// assert_eq!(ladder.check(2.0, false, Moment::from_millis(9_000)), None);
/// let step = ladder.check(2.0, false, Moment::from_millis(10_000)).unwrap();
/// assert_eq!((step.from, step.to), (Level::Normal, Level::Warning));
/// ```
#[derive(Clone, Debug)]
pub struct Ladder {
    level: Level,
    since: Moment,
    samples: VecDeque<(Moment, f64)>,
}

impl Ladder {
    /// A ladder at NORMAL since `now`.
    pub fn new(now: Moment) -> Self {
        Self { level: Level::Normal, since: now, samples: VecDeque::new() }
    }

    /// The level in force.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Takes one tick's realtime factor, and whether the provider failed with a fallback at hand; both
    /// may lead one step up or down.
    pub fn check(&mut self, realtime_factor: f64, must_fail_over: bool, now: Moment) -> Option<Step> {
        self.remember(realtime_factor, now);
        let target = if must_fail_over { Level::Failover } else { Level::for_realtime_factor(realtime_factor) };
        let stayed = now.since(self.since);
        let up = target > self.level && stayed >= STAY_BEFORE_UP;
        // Rounded, so that a sum of floats does not make less than 0.7 of 0.7.
        let eased = || rounded(self.average(STAY_BEFORE_DOWN, now), 6) < DOWN_BELOW;
        let down = !must_fail_over && stayed >= STAY_BEFORE_DOWN && eased();
        let to = if up { self.level.step(1) } else { self.level.step(-i8::from(down)) };
        let step = Step { from: self.level, to };
        if to == self.level {
            return None;
        }
        (self.level, self.since) = (to, now);
        Some(step)
    }

    /// The mean of the last 10 s of ticks.
    pub fn average_10s(&self, now: Moment) -> f64 {
        self.average(AVERAGE_SPAN, now)
    }

    fn remember(&mut self, realtime_factor: f64, now: Moment) {
        if self.samples.len() >= SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back((now, realtime_factor));
    }

    fn average(&self, span: Duration, now: Moment) -> f64 {
        let recent = || self.samples.iter().filter(|(at, _)| now.since(*at) < span).map(|(_, factor)| factor);
        let count = recent().count();
        if count == 0 { 0.0 } else { recent().sum::<f64>() / count as f64 }
    }
}
