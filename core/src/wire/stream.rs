use alloc::borrow::Cow;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ErrorMessage, Identity, Metrics, Status};
use crate::snapshot::RegistrySnapshot;

/// The state of everything at one tick of the server, in the stream's plain form.
///
/// ```
/// use tachograph_core::registry::{Descriptor, Registry};
/// use tachograph_core::wire::frame::{Decoder, Encoder, Epoch, Tick};
///
/// let registry = Registry::new();
/// registry.counter(&Descriptor::new("orders", "Orders"))?.bind(&[])?.add(3);
/// let (snapshot, mut stream) = (registry.snapshot(), Vec::new());
/// Encoder::new().encode(&Tick { tick: 1, ..Tick::of(&snapshot) }, &mut stream);
/// let mut decoder = Decoder::default();
/// decoder.decode(&stream)?;
/// let state = decoder.state();
/// let plain = state.to_plain(Epoch::from_bytes([7; 16]), "0.1.0");
/// assert_eq!((plain.seq, plain.registry.counter("orders", &[])), (1, Some(3)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
///
/// ```
/// use tachograph_core::wire::{Event, EventKind};
///
/// let kind = EventKind::SessionStarted;
/// let event = Event { timestamp: 12.5, session: Some(1), session_id: Some("call-7".into()), kind, receipt: None };
/// assert!(serde_json::to_string(&event)?.contains(r#""event":"session_started""#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
///
/// ```
/// use tachograph_core::wire::EventKind;
///
/// let kind: EventKind = serde_json::from_str(r#"{"event": "session_ended"}"#)?;
/// assert_eq!(kind, EventKind::SessionEnded);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
///
/// ```
/// use tachograph_core::wire::ServerState;
///
/// let state = ServerState { version: "0.1.0".into(), viewers: 2, ..ServerState::default() };
/// assert_eq!(state.ticks_missed, 0);
/// # assert_eq!((state.version.as_str(), state.viewers), ("0.1.0", 2));
/// ```
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
///
/// ```
/// use tachograph_core::wire::SessionPhase;
///
/// assert_eq!(serde_json::to_string(&SessionPhase::Draining)?, "\"draining\"");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionPhase {
    /// Audio is taken.
    Streaming,
    /// The client said stop, or went; the queues are being drained.
    Draining,
}

/// A live session at one tick of the server.
///
/// ```
/// use tachograph_core::wire::{Identity, SessionPhase, SessionState};
///
/// let state = SessionState {
///     id: 1,
///     identity: Identity { session_id: Some("call-7".into()), ..Identity::default() },
///     phase: SessionPhase::Streaming,
///     age_seconds: 12.5,
///     ticks_sent: 12,
///     ticks_conflated: 0,
///     ticks_missed: 0,
///     sources: Vec::new(),
/// };
/// assert!(serde_json::to_string(&state)?.contains(r#""session_id":"call-7""#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
