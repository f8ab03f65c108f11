use std::time::Duration;

use parking_lot::RwLock;

use crate::memory::SessionsMemory;

/// How much of everything there may be at once. Each limit has an answer for who meets it, and a counter.
///
/// Defaults are for a small machine. They can be changed while all works: see
/// [`set_limits`](crate::Tachograph::set_limits).
///
/// ```
/// use tachograph::{Limits, Tachograph};
///
/// let limits = Limits { sessions: 200, ..Limits::default() };
/// let tacho = Tachograph::builder().limits(limits).build()?;
/// assert_eq!(tacho.limits().sessions, 200);
/// # Ok::<(), tachograph::registry::RegisterError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions; one more is refused.
    pub sessions: usize,
    /// Bytes that all sessions may hold together, in queues, chunks, messages and state; beyond it the newest sessions
    /// are ended.
    pub sessions_bytes: usize,
    /// Viewers of the stream: pages, scripts and others; one more is refused.
    pub viewers: usize,
    /// Connections to the server; one more is closed at once.
    pub connections: usize,
    /// Of them those from one address; one more is closed at once.
    pub connections_per_address: usize,
    /// Filters of the stream that differ from each other; one more is refused.
    pub subscriptions: usize,
    /// Messages a second that are read of a live-listener's connection, or of a viewer's; what comes faster waits.
    pub messages_per_second: u32,
    /// Bytes a second that are read of a live-listener's connection; what comes faster waits. After one
    /// message, that is for at most 10 s.
    pub bytes_per_second: u32,
    /// How long a client may take to send a request's header, and to begin with the next one.
    pub header_time: Duration,
    /// How long a client may take to agree on encryption.
    pub handshake_time: Duration,
    /// How long a client may take nothing of what is sent to it, or so little that the system's buffer stays full:
    /// less than about 100 KB. Viewers and live-listeners have 30 s to take a message; this is for all the rest.
    pub stall_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 1_000,
            sessions_bytes: 256 * 1_000_000,
            viewers: 1_000,
            connections: 4_096,
            connections_per_address: 512,
            subscriptions: 64,
            messages_per_second: 500,
            bytes_per_second: 4_000_000,
            header_time: Duration::from_secs(10),
            handshake_time: Duration::from_secs(10),
            stall_time: Duration::from_secs(35),
        }
    }
}

/// A time that is longer is as good as none, and one that is too long for the clock would end what it is for.
const TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

impl Limits {
    fn within_reach(self) -> Self {
        let bounded = |time: Duration| time.min(TIME_MAX);
        Self {
            header_time: bounded(self.header_time),
            handshake_time: bounded(self.handshake_time),
            stall_time: bounded(self.stall_time),
            ..self
        }
    }
}

/// The limits that hold now.
#[derive(Debug, Default)]
pub(crate) struct LimitsInForce(RwLock<Limits>);

impl LimitsInForce {
    pub(crate) fn new(limits: Limits) -> Self {
        Self(RwLock::new(limits.within_reach()))
    }

    pub(crate) fn now(&self) -> Limits {
        *self.0.read()
    }

    /// In one go with the memory that they allow, so that of two who set them the same one is the last for both.
    pub(crate) fn set(&self, limits: Limits, memory: &SessionsMemory) {
        let mut in_force = self.0.write();
        *in_force = limits.within_reach();
        memory.set_bytes_max(limits.sessions_bytes);
    }
}
