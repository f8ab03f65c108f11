use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ErrorMessage, Identity, Metrics, Status};
use crate::snapshot::RegistrySnapshot;

/// The state of everything at one tick of the server, in the stream's plain form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StreamFrame<'a> {
    /// One server start; another value means that all counts began anew.
    pub epoch: String,
    /// The frame's number, from 1; one that is left out is one that this viewer did not get.
    pub seq: u64,
    /// The server's tick, a second each; one that is left out was missed by the server itself.
    pub tick: u64,
    /// Unix seconds at the tick.
    pub timestamp: f64,
    /// What the server says of itself.
    pub server: ServerState,
    /// All metrics.
    pub registry: Cow<'a, RegistrySnapshot>,
    /// All live sessions, oldest first.
    pub sessions: Vec<SessionState>,
    /// What happened since the frame before, oldest first.
    pub events: Vec<Event>,
    /// Events since the frame before that there was no room for.
    pub events_dropped: u64,
}

/// Something that happened, at its moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Unix seconds; 3 decimals.
    pub timestamp: f64,
    /// The session it happened to, by the server's own number; null where it happened to the server.
    pub session: Option<u64>,
    /// What that session's client calls it.
    pub session_id: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
    /// Of a session that ended its [`Receipt`](super::Receipt), as its client gets it; absent where there was
    /// no room for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<Arc<Value>>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventKind {
    /// A session began.
    SessionStarted,
    /// A session ended.
    SessionEnded,
    /// A session or a source changed its state: backpressure, drops, the degrade ladder, its provider.
    Status(Status),
    /// A session met a fault that is not its client's.
    Fault(ErrorMessage),
    /// The server's collector failed and was restarted.
    CollectorRestarted,
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
    /// The server's own number for it, which no other session of the server's start has.
    pub id: u64,
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
