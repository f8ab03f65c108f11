//! The server's transport: connections, each with its bounds and deadlines, and the requests that come over them.

mod accept;
mod arrived;
mod body;
mod confine;
mod connection;
mod metrics;
mod peer;
mod places;
mod refusal;
mod request;
mod seldom;
mod socket;
#[cfg(feature = "tls")]
mod tls;
mod visit;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::Tachograph;
use crate::access::Access;
use crate::app::App;

use accept::Acceptor;
use connection::Serving;

#[cfg(feature = "live")]
pub(crate) use arrived::Arrived;
pub(crate) use confine::confine;
pub(crate) use metrics::TransportMetrics;
pub(crate) use peer::Peer;
pub(crate) use places::Places;
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsError};

/// How long a shutdown waits for connections to end by themselves.
const SHUTDOWN_MAX: Duration = Duration::from_secs(9);

/// Serves a Tachograph by itself until its [`shutdown`](Tachograph::shutdown) is cancelled; then drains the sessions and
/// returns within 9 s, whatever a provider or client does. [`Server`] does the same with more to say about it.
///
/// It is open to clients on this machine and to nobody else; [`Server`] says who else may look.
///
/// # Errors
/// The listener does not know where it listens.
///
/// ```
/// use tachograph::Tachograph;
/// use tokio::net::TcpListener;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tacho = Tachograph::new()?;
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let serving = tokio::spawn(tachograph::serve(listener, tacho.clone()));
/// tacho.shutdown().cancel();
/// serving.await??;
/// # Ok(())
/// # }
/// ```
pub async fn serve(listener: TcpListener, tacho: Tachograph) -> io::Result<()> {
    Server::new(tacho).serve(listener).await
}

/// Serves a Tachograph by itself, over HTTP/1 and WebSockets, as the `tachograph` command does.
///
/// - There are at most as many connections as the [`Limits`](crate::Limits) say, in all and from one address (of IPv6
///   from one /64; those of proxies that are trusted only in all). One more is closed at once; over plain HTTP it is told why, with 503. A connection counts until
///   its socket is closed, also as a WebSocket.
/// - A client that takes too long to agree on encryption, to send a request's header or body, to ask for something
///   more, or to take what is sent to it, is cut off.
/// - Where the system has no descriptors left, whoever comes is closed at once, and all that is connected goes on.
/// - A panic ends one request or connection, nothing else.
///
/// Each of these is counted, as `tachograph_connections…`, `tachograph_accept_failures` and
/// `tachograph_tls_handshake_failures`.
///
/// ```
/// use tachograph::access::{Access, AccessConfig, Token};
/// use tachograph::{Server, Tachograph};
/// use tokio::net::TcpListener;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tacho = Tachograph::new()?;
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let token = Token::random()?;
/// println!("sign in at http://{}/sign-in?token={}", listener.local_addr()?, token.expose());
/// let access = Access::new(AccessConfig { view_tokens: vec![token], ..AccessConfig::default() });
/// let serving = tokio::spawn(Server::new(tacho.clone()).access(access).serve(listener));
/// tacho.shutdown().cancel();
/// serving.await??;
/// # Ok(())
/// # }
/// ```
#[must_use]
#[derive(Clone)]
pub struct Server {
    tacho: Tachograph,
    access: Access,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl Server {
    /// Without encryption, open to clients on this machine and to nobody else.
    pub fn new(tacho: Tachograph) -> Self {
        Self {
            tacho,
            access: Access::default(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Speaks https and wss only.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Who may look, who may feed, and by what names. Keep a clone to change it.
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Serves until the Tachograph's [`shutdown`](Tachograph::shutdown) is cancelled; then drains the sessions and
    /// returns within 9 s. When the future is dropped, what is connected is closed, but for WebSockets.
    ///
    /// # Errors
    /// The listener does not know where it listens. Where the system cannot hand connections over, that is counted and
    /// tried again.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let (app, access) = (App::clone(&self.tacho.0), self.access.clone());
        let address = listener.local_addr()?;
        access.listens_at(address);
        if !address.ip().to_canonical().is_loopback() && access.is_closed_to_others() {
            tracing::warn!("without a token only clients on this machine are answered");
        }
        let serving = Arc::new(Serving::new(&self));
        let _closed_at_the_end = serving.closed.clone().drop_guard();
        Acceptor::new(listener, Arc::clone(&serving), access).run().await;
        if timeout(SHUTDOWN_MAX, drained(&app, &serving)).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
        Ok(())
    }
}

async fn drained(app: &App, serving: &Serving) {
    for tasks in [&serving.tasks, &app.connections] {
        tasks.close();
        tasks.wait().await;
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut server = f.debug_struct("Server");
        server.field("tacho", &self.tacho).field("access", &self.access);
        #[cfg(feature = "tls")]
        server.field("tls", &self.tls);
        server.finish_non_exhaustive()
    }
}
