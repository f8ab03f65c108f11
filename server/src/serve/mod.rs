mod peer;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request};
use axum::middleware::map_request;
use axum::serve::ListenerExt;
use socket2::SockRef;
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::access::Access;
use crate::app::App;
use crate::{Tachograph, http};

pub(crate) use peer::Peer;

/// What the system holds for a connection whose other end does not read, so that a slow viewer is noticed
/// and costs little; the system may double it.
const SEND_BUFFER_BYTES: usize = 128 * 1024;
/// How long a shutdown waits for connections to end by themselves.
const SHUTDOWN_MAX: Duration = Duration::from_secs(9);

/// Serves a Tachograph by itself until its [`shutdown`](Tachograph::shutdown) is cancelled; then drains the sessions and
/// returns within 9 s, whatever a provider or client does.
///
/// It is open to clients on this machine and to nobody else; [`Server`] says who else may look.
///
/// # Errors
/// The listener failed.
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

/// How a Tachograph is served by itself.
///
/// ```no_run
/// use tachograph::access::{Access, AccessConfig, Token};
/// use tachograph::{Server, Tachograph};
/// use tokio::net::TcpListener;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let token = Token::random()?;
/// println!("sign in at http://192.0.2.7:7117/sign-in?token={}", token.expose());
/// let access = Access::new(AccessConfig { view_tokens: vec![token], ..AccessConfig::default() });
/// let listener = TcpListener::bind("0.0.0.0:7117").await?;
/// Server::new(Tachograph::new()?).access(access).serve(listener).await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
#[derive(Debug)]
pub struct Server {
    tacho: Tachograph,
    access: Access,
}

impl Server {
    /// Open to clients on this machine and to nobody else.
    pub fn new(tacho: Tachograph) -> Self {
        Self { tacho, access: Access::default() }
    }

    /// Who may look, who may feed, and by what names. Keep a clone to change it.
    pub fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Serves until the [`shutdown`](Tachograph::shutdown) is cancelled, as [`serve`] does.
    ///
    /// # Errors
    /// The listener failed.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let Self { tacho, access } = self;
        let app = &tacho.0;
        let address = listener.local_addr()?;
        access.listens_at(address);
        if !address.ip().to_canonical().is_loopback() && access.is_closed_to_others() {
            tracing::warn!("without a token only clients on this machine are answered");
        }
        // A frame a second is small: it must not wait for more.
        let listener = listener.tap_io(|socket| {
            let bounded = SockRef::from(&*socket).set_send_buffer_size(SEND_BUFFER_BYTES);
            if let Err(error) = socket.set_nodelay(true).and(bounded) {
                tracing::debug!(%error, "a connection sends with delay, or buffers as much as the system likes");
            }
        });
        let router = http::standalone(&tacho, &access).layer(map_request(name_peer));
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let server = axum::serve(listener, service).with_graceful_shutdown(app.shutdown.clone().cancelled_owned());
        let drained = async {
            server.await?;
            app.connections.close();
            app.connections.wait().await;
            Ok(())
        };
        tokio::select! {
            result = drained => result,
            () = too_long_after_shutdown(app) => {
                tracing::warn!("some connections did not end in time");
                Ok(())
            }
        }
    }
}

/// Says who is at the other end.
async fn name_peer(ConnectInfo(address): ConnectInfo<SocketAddr>, mut request: Request) -> Request {
    request.extensions_mut().insert(Peer { address, is_encrypted: false });
    request
}

async fn too_long_after_shutdown(app: &App) {
    app.shutdown.cancelled().await;
    sleep(SHUTDOWN_MAX).await;
}
