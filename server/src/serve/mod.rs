use std::io;
use std::time::Duration;

use axum::serve::ListenerExt;
use socket2::SockRef;
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::app::App;
use crate::{Tachograph, http};

/// What the system holds for a connection whose other end does not read, so that a slow viewer is noticed
/// and costs little; the system may double it.
const SEND_BUFFER_BYTES: usize = 128 * 1024;
/// How long a shutdown waits for connections to end by themselves.
const SHUTDOWN_MAX: Duration = Duration::from_secs(9);

/// Serves a Tachograph by itself until its [`shutdown`](Tachograph::shutdown) is cancelled; then drains the sessions and
/// returns within 9 s, whatever a provider or client does.
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
    let app = &tacho.0;
    // A frame a second is small: it must not wait for more.
    let listener = listener.tap_io(|socket| {
        let bounded = SockRef::from(&*socket).set_send_buffer_size(SEND_BUFFER_BYTES);
        if let Err(error) = socket.set_nodelay(true).and(bounded) {
            tracing::debug!(%error, "a connection sends with delay, or buffers as much as the system likes");
        }
    });
    let router = http::standalone(&tacho);
    let server = axum::serve(listener, router).with_graceful_shutdown(app.shutdown.clone().cancelled_owned());
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

async fn too_long_after_shutdown(app: &App) {
    app.shutdown.cancelled().await;
    sleep(SHUTDOWN_MAX).await;
}
