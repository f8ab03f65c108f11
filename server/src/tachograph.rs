use std::fmt;
use std::sync::Arc;

use tachograph_core::registry::{RegisterError, Registry};
use tachograph_core::wire::Identity;
use tachograph_core::wire::frame::Epoch;
use tokio_util::sync::CancellationToken;

use crate::access::{HostName, Origin};
use crate::app::{App, Shared};
use crate::hub::HistoryLimits;
use crate::limits::Limits;
#[cfg(feature = "live")]
use crate::listener::Listener;
use crate::metrics::ServerMetrics;
use crate::options::Options;
use crate::session::SessionBuilder;

/// A registry, what is told of live sessions, and their past, put together once a second for all who look.
///
/// Clones are the same one. It shares nothing with others in the process. It ticks from when its router is
/// made or a session is opened, within a tokio runtime, until the last clone is gone.
///
/// ```
/// use axum::Router;
/// use tachograph::Tachograph;
/// use tachograph::registry::Descriptor;
///
/// let tacho = Tachograph::new()?;
/// let orders = tacho.registry().counter(&Descriptor::new("orders", "Orders taken"))?.bind(&[])?;
/// orders.inc();
/// let app: Router = Router::new().nest("/tacho", tachograph::router(&tacho));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Tachograph(pub(crate) App);

/// What a [`Tachograph`] is told when it is made. Defaults are the `tachograph` command's.
///
/// ```
/// use std::time::Duration;
/// use tachograph::{HistoryLimits, Limits, Tachograph};
///
/// let history = HistoryLimits { span: Duration::from_secs(15 * 60), ..HistoryLimits::default() };
/// let limits = Limits { sessions: 200, ..Limits::default() };
/// let tacho = Tachograph::builder().limits(limits).history(history).build()?;
/// # Ok::<(), tachograph::registry::RegisterError>(())
/// ```
#[must_use]
#[derive(Default)]
pub struct Builder {
    registry: Option<Registry>,
    options: Options,
    #[cfg(feature = "live")]
    listener: Option<Listener>,
}

impl Tachograph {
    /// One with a registry of its own and defaults for the rest.
    ///
    /// # Errors
    /// The process has no room for more series.
    pub fn new() -> Result<Self, RegisterError> {
        Self::builder().build()
    }

    /// To say what is to be other than the default.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Where metrics are registered; clones of it are the same one.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// What it counts of itself and of all sessions.
    pub fn metrics(&self) -> &ServerMetrics {
        &self.0.metrics
    }

    /// Names this start, as every frame's stream does.
    pub fn epoch(&self) -> Epoch {
        self.0.epoch
    }

    /// A live session, to be opened: a call, a stream, a conversation. `session_id` is whatever the
    /// application knows it by.
    pub fn session(&self, session_id: impl Into<String>) -> SessionBuilder {
        let session_id = Some(session_id.into());
        SessionBuilder::new(&self.0, Identity { session_id, attempt_id: None, connection_id: None })
    }

    /// How much of everything there may be now.
    pub fn limits(&self) -> Limits {
        self.0.limits.now()
    }

    /// Other limits from now on. What is there already stays, also beyond them; but for the memory of sessions, of
    /// which the newest are ended until the rest fits. A time of more than a day is taken for a day.
    pub fn set_limits(&self, limits: Limits) {
        self.0.limits.set(limits, &self.0.memory);
    }

    /// Cancel it to end: viewers are told goodbye, and [`serve`](crate::serve) returns. Sessions of the
    /// application are its own to end.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.0.shutdown
    }
}

impl Builder {
    /// A registry that is there already.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = Some(registry);
        self
    }

    /// How much of everything there may be at once.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.options.limits = limits;
        self
    }

    /// How much of the past is kept for viewers.
    pub fn history(mut self, history: HistoryLimits) -> Self {
        self.options.history = history;
        self
    }

    /// Another origin whose pages may open WebSockets of [`router`](crate::router) within an application: that by which
    /// people know the application, where a proxy before it changes `Host`. Can be called several times.
    pub fn allowed_origin(mut self, origin: Origin) -> Self {
        self.options.allowed_origins.push(origin);
        self
    }

    /// A name that the application goes by, such as `shop.example.org`: [`router`](crate::router) then answers to no
    /// other but those of this machine, so that no attacker can have a name of his lead here, and his page look (DNS
    /// rebinding). Can be called several times.
    pub fn allowed_host(mut self, host: HostName) -> Self {
        self.options.allowed_hosts.push(host);
        self
    }

    /// Takes audio in by the live-listener protocol, at `/ws/live-listener`.
    #[cfg(feature = "live")]
    pub fn listener(mut self, listener: Listener) -> Self {
        self.listener = Some(listener);
        self
    }

    /// Called at each tick with its number, before anything is collected: a place to set gauges. It must neither
    /// take long, as the tick waits for it, nor open a session or make a router, which wait for the first tick. A
    /// panic in it costs that frame, nothing else.
    pub fn on_tick(mut self, hook: impl Fn(u64) + Send + Sync + 'static) -> Self {
        self.options.tick_hooks.push(Box::new(hook));
        self
    }

    /// Called at each tick of each session with its number, before its figures are taken. A panic in it costs
    /// that tick of that session, nothing else.
    pub fn on_session_tick(mut self, hook: impl Fn(&Identity, u64) + Send + Sync + 'static) -> Self {
        self.options.session_tick_hook = Some(Arc::new(hook));
        self
    }

    /// Makes it.
    ///
    /// # Errors
    /// The given registry has a metric of a name that is this one's own, or the process has no room for
    /// more series.
    pub fn build(self) -> Result<Tachograph, RegisterError> {
        let registry = self.registry.unwrap_or_default();
        #[cfg_attr(not(feature = "live"), expect(unused_mut, reason = "there is nothing more to set"))]
        let mut shared = Shared::new(registry, self.options)?;
        #[cfg(feature = "live")]
        {
            shared.listener = self.listener;
        }
        Ok(Tachograph(Arc::new(shared)))
    }
}

impl fmt::Debug for Tachograph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tachograph").field("epoch", &self.0.epoch).finish_non_exhaustive()
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { limits, history, .. } = &self.options;
        f.debug_struct("Builder").field("limits", limits).field("history", history).finish_non_exhaustive()
    }
}
