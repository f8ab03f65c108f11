use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{Identity, Metrics};
use crate::snapshot::RegistrySnapshot;

/// The state of everything at one tick of the server, as a viewer gets it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamFrame<'a> {
    /// One server start; another value means that all counts began anew.
    pub epoch: String,
    /// The server's tick; a gap is ticks that this viewer did not get.
    pub seq: u64,
    /// Unix seconds at the tick.
    pub timestamp: f64,
    /// What the server says of itself.
    pub server: ServerState,
    /// All metrics.
    pub registry: Cow<'a, RegistrySnapshot>,
    /// All live sessions, oldest first.
    pub sessions: Vec<SessionState>,
}

/// What a server says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerState {
    /// Tachograph's version.
    pub version: String,
    /// Seconds since the server's start; 1 decimal.
    pub uptime_seconds: f64,
    /// Pages connected.
    pub viewers: u64,
    /// How late this tick was, in ms; 1 decimal.
    pub tick_lag_ms: f64,
    /// Ticks skipped since the server's start because the next one was due already.
    pub ticks_missed: u64,
}

/// Where a session is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionPhase {
    /// Audio is taken.
    Streaming,
    /// The client said stop, or went; the queues are being drained.
    Draining,
}

/// A live session at one tick of the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionState {
    /// Whose it is.
    #[serde(flatten)]
    pub identity: Identity,
    /// Where it is in its life.
    pub phase: SessionPhase,
    /// Seconds since its start; 1 decimal.
    pub age_seconds: f64,
    /// Ticks whose metrics were sent to its client.
    pub ticks_sent: u64,
    /// Ticks whose metrics, or some of them, were replaced by newer ones before its client took them.
    pub ticks_conflated: u64,
    /// Ticks that it skipped.
    pub ticks_missed: u64,
    /// Its figures at the server's tick, by source; their `tick` is the session's newest.
    pub sources: Vec<Metrics>,
}
