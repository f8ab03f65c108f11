//! What a server is told when it starts.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tachograph_core::session::SessionConfig;
use tachograph_core::wire::Identity;

use crate::hub::HistoryLimits;

/// Called at each tick of each session, before its figures are taken. A panic in it costs that tick,
/// nothing else.
pub type TickHook = Arc<dyn Fn(&Identity, u64) + Send + Sync>;

/// Called at each tick of the server, before anything is collected. A panic in it costs that frame, nothing
/// else.
pub type CollectHook = Arc<dyn Fn(u64) + Send + Sync>;

/// The bounds and choices of a server.
#[derive(Clone)]
pub struct Options {
    /// The bounds of each session.
    pub session: SessionConfig,
    /// Sessions at once; one more is refused with `at_capacity`.
    pub sessions_max: usize,
    /// The longest message that is taken, at most 8 MiB.
    pub message_bytes_max: usize,
    /// How long a stop may drain the queues.
    pub drain: Duration,
    /// How long a provider may take for one chunk before it counts as failed.
    pub chunk_timeout: Duration,
    /// How much of the past is kept for viewers.
    pub history: HistoryLimits,
    /// Rehearses faults of the metrics loop.
    pub tick_hook: Option<TickHook>,
    /// Rehearses faults of the server's tick.
    pub collect_hook: Option<CollectHook>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            session: SessionConfig::default(),
            sessions_max: 1_000,
            message_bytes_max: 1024 * 1024,
            drain: Duration::from_secs(8),
            chunk_timeout: Duration::from_secs(60),
            history: HistoryLimits::default(),
            tick_hook: None,
            collect_hook: None,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("session", &self.session)
            .field("sessions_max", &self.sessions_max)
            .field("message_bytes_max", &self.message_bytes_max)
            .field("drain", &self.drain)
            .field("chunk_timeout", &self.chunk_timeout)
            .field("history", &self.history)
            .finish_non_exhaustive()
    }
}
