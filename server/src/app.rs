//! The state that everything in a server shares.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use tachograph_core::registry::{RegisterError, Registry};
use tachograph_core::wire::frame::Epoch;
use tachograph_core::wire::{EventKind, Receipt};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::clock::Clock;
use crate::hub::{Hub, Kept};
use crate::metrics::ServerMetrics;
use crate::options::Options;
use crate::provider::{Providers, Simulated};
use crate::session::SessionTable;

/// One server. Clones are the same server.
#[derive(Clone)]
pub struct App(Arc<Shared>);

/// What the parts of a server share; reached through [`App`].
pub struct Shared {
    /// The bounds and choices.
    pub options: Options,
    /// What processes the audio.
    pub providers: Providers,
    /// The simulated provider's control, when that is the one that works.
    pub simulated: Option<Simulated>,
    /// All metrics.
    pub registry: Registry,
    /// The server's own, bound.
    pub metrics: ServerMetrics,
    /// The monotonic clock.
    pub clock: Clock,
    /// Names this start of the server.
    pub epoch: Epoch,
    /// Cancelled when the server is to end.
    pub shutdown: CancellationToken,
    pub(crate) sessions: SessionTable,
    pub(crate) hub: Hub,
    /// Connections that a shutdown waits for.
    pub(crate) connections: TaskTracker,
    /// Who may read the history at once.
    pub(crate) history_readers: Arc<Semaphore>,
    /// Who may read all metrics as text at once.
    pub(crate) scrapers: Arc<Semaphore>,
    /// Who may read the newest state at once.
    pub(crate) snapshot_readers: Arc<Semaphore>,
}

/// Each reads on a thread of its own.
const HISTORY_READERS_MAX: usize = 4;
const SNAPSHOT_READERS_MAX: usize = 2;
const SCRAPERS_MAX: usize = 8;

impl App {
    /// A server that does not listen yet.
    ///
    /// # Errors
    /// A metric could not be registered.
    pub fn new(options: Options, providers: Providers) -> Result<Self, RegisterError> {
        Self::build(options, providers, None)
    }

    /// A server whose provider is simulated and can be told what to do while it works.
    ///
    /// # Errors
    /// A metric could not be registered.
    pub fn rehearsal(options: Options, providers: Providers, simulated: Simulated) -> Result<Self, RegisterError> {
        Self::build(options, providers, Some(simulated))
    }

    fn build(mut options: Options, providers: Providers, simulated: Option<Simulated>) -> Result<Self, RegisterError> {
        options.session.fallback = providers.fallback.is_some();
        let registry = Registry::new();
        Ok(Self(Arc::new(Shared {
            providers,
            simulated,
            metrics: ServerMetrics::register(&registry)?,
            hub: Hub::new(&registry, options.history),
            options,
            registry,
            clock: Clock::start(),
            epoch: Epoch::from_bytes(Uuid::new_v4().into_bytes()),
            shutdown: CancellationToken::new(),
            sessions: SessionTable::default(),
            connections: TaskTracker::new(),
            history_readers: Arc::new(Semaphore::new(HISTORY_READERS_MAX)),
            scrapers: Arc::new(Semaphore::new(SCRAPERS_MAX)),
            snapshot_readers: Arc::new(Semaphore::new(SNAPSHOT_READERS_MAX)),
        })))
    }

    /// Tells all who look of something that happened now.
    pub(crate) fn tell(&self, session: Option<u64>, session_id: Option<&str>, kind: EventKind) {
        self.note(session, session_id, kind, None);
    }

    /// Tells all who look of a session that ended now.
    pub(crate) fn tell_end(&self, session: u64, session_id: Option<&str>, receipt: &Receipt) {
        self.note(Some(session), session_id, EventKind::SessionEnded, Some(receipt));
    }

    fn note(&self, session: Option<u64>, session_id: Option<&str>, kind: EventKind, receipt: Option<&Receipt>) {
        match self.hub.events.push(session, session_id, kind, receipt) {
            Kept::Whole => {}
            Kept::WithoutReceipt => self.metrics.receipts_left_out.inc(),
            Kept::Nothing => self.metrics.events_dropped.inc(),
        }
    }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("options", &self.options)
            .field("providers", &self.providers)
            .finish_non_exhaustive()
    }
}
