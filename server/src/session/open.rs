use std::fmt;
use std::sync::Arc;

use tachograph_core::session::SourceError;
use tachograph_core::wire::{ClientFeatures, Identity, ServerMessage};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::live::{LiveSession, Session};
use crate::app::App;
use crate::memory::Account;

/// Sources that a session may have unless it is told otherwise.
const SOURCES_MAX: usize = 8;
/// As of the live-listener protocol.
const ID_CHARS_MAX: usize = 256;

/// A session that is to be opened.
///
/// ```
/// use tachograph::Tachograph;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tacho = Tachograph::new()?;
/// let session = tacho.session("call-7").attempt_id("2").sources_max(1).open()?;
/// assert_eq!(session.identity().attempt_id.as_deref(), Some("2"));
/// assert!(tacho.session("").open().is_err());
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct SessionBuilder {
    pub(super) app: App,
    pub(super) identity: Identity,
    pub(super) features: ClientFeatures,
    pub(super) sources_max: usize,
    pub(super) observer: Option<Arc<dyn Observer>>,
    pub(super) shed: Option<CancellationToken>,
    pub(super) account: Option<Arc<Account>>,
}

/// Is told what a session's client would be: statuses, faults, and each tick's figures, in the order in which
/// they came about.
///
/// It is called while the session is locked: it must neither wait nor call the session back. A panic in it costs what
/// it was told, which is logged and counted, nothing else.
///
/// ```
/// use std::sync::Arc;
/// use tachograph::Tachograph;
/// use tachograph::session::Observer;
/// use tachograph::wire::{ErrorCode, ServerMessage};
/// use tokio::sync::mpsc;
///
/// struct Client(mpsc::Sender<ServerMessage>);
///
/// impl Observer for Client {
///     fn tell(&self, message: ServerMessage) {
///         let _full_or_gone = self.0.try_send(message);
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tacho = Tachograph::new()?;
/// let (sender, mut messages) = mpsc::channel(16);
/// let session = tacho.session("call-7").observer(Arc::new(Client(sender))).open()?;
/// session.tell_fault(ErrorCode::Internal, "the model is gone");
/// assert!(matches!(messages.recv().await, Some(ServerMessage::Error(fault)) if !fault.fatal));
/// # Ok(())
/// # }
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Something to pass on.
    fn tell(&self, message: ServerMessage);

    /// Ticks whose figures were replaced by newer ones before they were passed on.
    fn ticks_conflated(&self) -> u64 {
        0
    }
}

/// Why a session, or a source of it, cannot be opened.
///
/// ```
/// use tachograph::Tachograph;
/// use tachograph::session::OpenError;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tacho = Tachograph::new()?;
/// assert_eq!(tacho.session("").open().unwrap_err(), OpenError::InvalidId("session_id"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// An identifier is empty or too long.
    #[error("`{0}` must have 1 to {ID_CHARS_MAX} characters")]
    InvalidId(&'static str),
    /// There are as many sessions as there may be.
    #[error("there are {0} sessions, as many as there may be; end some, or allow more with `Limits::sessions`")]
    AtCapacity(usize),
    /// The sessions hold as much memory as they may.
    #[error("the sessions' memory is full; end some, or allow more with `Limits::sessions_bytes`")]
    MemoryFull,
    /// There is no runtime whose timers could meter it.
    #[error("a session must be opened within a tokio runtime")]
    NoRuntime,
    /// The source's name is none.
    #[error("a source's name must have 1 to 32 of a-z, 0-9, _ and -")]
    InvalidSource,
    /// The session does not take the source.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl SessionBuilder {
    pub(crate) fn new(app: &App, identity: Identity) -> Self {
        let features = ClientFeatures::default();
        let (observer, shed, account) = (None, None, None);
        Self { app: App::clone(app), identity, features, sources_max: SOURCES_MAX, observer, shed, account }
    }

    /// Which attempt at the session this is.
    pub fn attempt_id(mut self, attempt_id: impl Into<String>) -> Self {
        self.identity.attempt_id = Some(attempt_id.into());
        self
    }

    /// The connection that it comes by; a new UUID unless told.
    pub fn connection_id(mut self, connection_id: impl Into<String>) -> Self {
        self.identity.connection_id = Some(connection_id.into());
        self
    }

    /// What its client does by itself; told with its figures.
    pub fn client_features(mut self, features: ClientFeatures) -> Self {
        self.features = features;
        self
    }

    /// Sources that it may have; 8 unless told.
    pub fn sources_max(mut self, sources_max: usize) -> Self {
        self.sources_max = sources_max;
        self
    }

    /// Who is told of it, such as its client.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// What it holds counts there, and it ends when told so for want of memory.
    #[cfg(feature = "live")]
    pub(crate) fn sheddable(mut self, account: &Arc<Account>, shed: &CancellationToken) -> Self {
        (self.account, self.shed) = (Some(Arc::clone(account)), Some(shed.clone()));
        self
    }

    /// Opens it: it is metered from now on, within the span that is current, which stays open until its end.
    ///
    /// # Errors
    /// An identifier that is none, as many sessions or as much memory as there may be, or no tokio runtime. Nothing is changed.
    pub fn open(mut self) -> Result<Session, OpenError> {
        self.check_ids()?;
        let runtime = Handle::try_current().map_err(|_| OpenError::NoRuntime)?;
        self.identity.connection_id.get_or_insert_with(|| Uuid::new_v4().to_string());
        LiveSession::start(self, runtime).map(Session)
    }

    fn check_ids(&self) -> Result<(), OpenError> {
        let Identity { session_id, attempt_id, connection_id } = &self.identity;
        let ids = [("session_id", session_id), ("attempt_id", attempt_id), ("connection_id", connection_id)];
        let is_wrong = |id: &String| id.is_empty() || id.chars().count() > ID_CHARS_MAX;
        match ids.into_iter().find(|(_, id)| id.as_ref().is_some_and(is_wrong)) {
            Some((name, _)) => Err(OpenError::InvalidId(name)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for SessionBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { identity, sources_max, .. } = self;
        f.debug_struct("SessionBuilder")
            .field("identity", identity)
            .field("sources_max", sources_max)
            .finish_non_exhaustive()
    }
}
