//! The server's transport: connections, each with its bounds and deadlines, and the requests that come over them.

mod accept;
mod admission;
mod body;
mod confine;
mod connection;
mod metrics;
mod peer;
mod refusal;
mod request;
mod seldom;
mod socket;
#[cfg(feature = "tls")]
mod tls;
mod visit;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::Tachograph;
use crate::app::App;

use accept::Acceptor;
use connection::Serving;

pub(crate) use admission::Admission;
pub(crate) use confine::confine;
pub(crate) use metrics::TransportMetrics;
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsError};

/// How long a shutdown waits for connections to end by themselves.
const SHUTDOWN_MAX: Duration = Duration::from_secs(9);

/// Serves a Tachograph by itself until its [`shutdown`](Tachograph::shutdown) is cancelled; then drains the sessions and
/// returns within 9 s, whatever a provider or client does. [`Server`] does the same with more to say about it.
///
/// # Errors
/// None today: where the system cannot hand connections over, that is counted and tried again.
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
///   from one /64). One more is closed at once; over plain HTTP it is told why, with 503. A connection counts until
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
/// use tachograph::{Server, Tachograph};
/// use tokio::net::TcpListener;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tacho = Tachograph::new()?;
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// // A proxy on this machine, from which all of its clients come.
/// let server = Server::new(tacho.clone()).exempt(|address| address.is_loopback());
/// let serving = tokio::spawn(server.serve(listener));
/// tacho.shutdown().cancel();
/// serving.await??;
/// # Ok(())
/// # }
/// ```
#[must_use]
#[derive(Clone)]
pub struct Server {
    tacho: Tachograph,
    exempt: Exempt,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

/// Which addresses are not held to the limit of one address.
type Exempt = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

impl Server {
    /// Without encryption, and no address exempt.
    pub fn new(tacho: Tachograph) -> Self {
        Self {
            tacho,
            exempt: Arc::new(|_| false),
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

    /// Addresses for which it is true may have any number of connections: those of proxies, from which all clients
    /// come. They count in the limit of all. Called at each connection, so it should be quick.
    pub fn exempt(mut self, addresses: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        self.exempt = Arc::new(addresses);
        self
    }

    /// Serves until the Tachograph's [`shutdown`](Tachograph::shutdown) is cancelled; then drains the sessions and
    /// returns within 9 s. When the future is dropped, what is connected is closed, but for WebSockets.
    ///
    /// # Errors
    /// None today: where the system cannot hand connections over, that is counted and tried again.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let app = App::clone(&self.tacho.0);
        let serving = Arc::new(Serving::new(&self));
        let _closed_at_the_end = serving.closed.clone().drop_guard();
        Acceptor::new(listener, Arc::clone(&serving), self.exempt).run().await;
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
        server.field("tacho", &self.tacho);
        #[cfg(feature = "tls")]
        server.field("tls", &self.tls);
        server.finish_non_exhaustive()
    }
}
