//! What the parts of one Tachograph share.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tachograph_core::registry::{RegisterError, Registry};
use tachograph_core::wire::frame::Epoch;
use tachograph_core::wire::{ErrorCode, ErrorMessage, EventKind, Receipt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::clock::Clock;
use crate::error::ApiError;
use crate::hub::{Hub, Kept};
use crate::limits::LimitsInForce;
#[cfg(feature = "live")]
use crate::listener::{Listener, ProviderCalls};
use crate::memory::SessionsMemory;
use crate::metrics::ServerMetrics;
use crate::options::Options;
use crate::pulse::Pulse;
use crate::serve::Places;
use crate::session::{SessionTable, Shedding};

/// One Tachograph, as its parts see it.
pub(crate) type App = Arc<Shared>;

/// Reached through [`App`].
pub(crate) struct Shared {
    /// The bounds and choices.
    pub(crate) options: Options,
    /// How much of everything there may be.
    pub(crate) limits: LimitsInForce,
    /// What takes audio in, if it does.
    #[cfg(feature = "live")]
    pub(crate) listener: Option<Listener>,
    /// All metrics.
    pub(crate) registry: Registry,
    /// Those of its own, bound.
    pub(crate) metrics: ServerMetrics,
    /// The monotonic clock.
    pub(crate) clock: Clock,
    /// Names this start.
    pub(crate) epoch: Epoch,
    /// Cancelled when it is to end.
    pub(crate) shutdown: CancellationToken,
    pub(crate) sessions: SessionTable,
    /// What they hold.
    pub(crate) memory: Arc<SessionsMemory>,
    /// Who ends some of them when that is too much.
    pub(crate) shedding: Shedding,
    /// Viewers that are there.
    pub(crate) viewers: AtomicUsize,
    /// Calls of providers that may block their thread.
    #[cfg(feature = "live")]
    pub(crate) provider_calls: ProviderCalls,
    pub(crate) hub: Hub,
    /// Who is connected, by address.
    pub(crate) places: Places,
    /// What keeps all going while a provider blocks a thread.
    pub(crate) pulse: Pulse,
    /// Connections that a shutdown waits for.
    pub(crate) connections: TaskTracker,
    /// Who may read the history at once.
    pub(crate) history_readers: Arc<Semaphore>,
    /// Who may read all metrics at once.
    #[cfg(feature = "prometheus")]
    pub(crate) scrapers: Arc<Semaphore>,
    /// Who may read the newest state at once.
    pub(crate) snapshot_readers: Arc<Semaphore>,
    /// Who may read it or wait for that.
    pub(crate) snapshots_asked: Arc<Semaphore>,
}

/// Each reads on a thread of its own.
const HISTORY_READERS_MAX: usize = 4;
const SNAPSHOT_READERS_MAX: usize = 2;
const SNAPSHOTS_ASKED_MAX: usize = 64;
#[cfg(feature = "prometheus")]
const SCRAPERS_MAX: usize = 8;

impl Shared {
    pub(crate) fn new(registry: Registry, options: Options) -> Result<Self, RegisterError> {
        Ok(Self {
            metrics: ServerMetrics::register(&registry)?,
            hub: Hub::new(&registry, options.history),
            memory: SessionsMemory::new(options.limits.sessions_bytes),
            limits: LimitsInForce::new(options.limits),
            options,
            #[cfg(feature = "live")]
            listener: None,
            registry,
            clock: Clock::start(),
            epoch: Epoch::from_bytes(Uuid::new_v4().into_bytes()),
            shutdown: CancellationToken::new(),
            sessions: SessionTable::default(),
            places: Places::default(),
            pulse: Pulse::default(),
            shedding: Shedding::default(),
            viewers: AtomicUsize::new(0),
            #[cfg(feature = "live")]
            provider_calls: ProviderCalls::default(),
            connections: TaskTracker::new(),
            history_readers: Arc::new(Semaphore::new(HISTORY_READERS_MAX)),
            #[cfg(feature = "prometheus")]
            scrapers: Arc::new(Semaphore::new(SCRAPERS_MAX)),
            snapshot_readers: Arc::new(Semaphore::new(SNAPSHOT_READERS_MAX)),
            snapshots_asked: Arc::new(Semaphore::new(SNAPSHOTS_ASKED_MAX)),
        })
    }

    /// A place among those that read a long answer; whoever finds none is told to come again.
    pub(crate) fn place(&self, among: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(among).try_acquire_owned().map_err(|_| {
            self.metrics.readers_refused.inc();
            ApiError::Busy
        })
    }

    /// Tells all who look of something that happened now.
    pub(crate) fn tell(&self, session: Option<u64>, session_id: Option<&str>, kind: EventKind) {
        self.note(session, session_id, kind, None);
    }

    /// Tells all who look of a fault of the server's own.
    pub(crate) fn tell_fault(&self, message: impl Into<Cow<'static, str>>) {
        let fault = ErrorMessage { code: ErrorCode::Internal, message: message.into(), fatal: false };
        self.tell(None, None, EventKind::Fault(fault));
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
