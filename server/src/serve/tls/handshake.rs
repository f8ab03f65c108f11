use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::Error as RustlsError;
use tokio_rustls::server::TlsStream;

use super::super::metrics::Handshake;
use super::super::refusal;
use super::super::socket::Socket;
use super::super::visit::Visit;

/// The type of the record that every TLS connection begins with.
const HANDSHAKE_RECORD: u8 = 22;
/// More of what a client of the wrong kind says is not read.
const ASKED_BYTES_MAX: u64 = 64 * 1024;
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// Agrees on encryption with a client, in time. None where that failed, which is counted.
pub(in super::super) async fn greet(acceptor: TlsAcceptor, socket: Socket, visit: &Visit) -> Option<TlsStream<Socket>> {
    let limit = visit.app().limits.now().handshake_time;
    // Boxed: what it needs is needed for a moment, the connection's task for hours.
    let agreed = Box::pin(timeout(limit, agree(acceptor, socket))).await;
    match agreed.unwrap_or(Err(Handshake::Timeout)) {
        Ok(stream) => Some(stream),
        Err(reason) => {
            visit.app().metrics.transport.count_handshake(reason);
            tracing::debug!(reason = reason.as_str(), "a client did not agree on encryption");
            None
        }
    }
}

async fn agree(acceptor: TlsAcceptor, socket: Socket) -> Result<TlsStream<Socket>, Handshake> {
    match socket.peek().await {
        Ok(Some(HANDSHAKE_RECORD)) => acceptor.accept(socket).await.map_err(|error| reason(&error)),
        Ok(Some(first)) => {
            if first.is_ascii_uppercase() {
                say_https(socket).await;
            }
            Err(Handshake::NotTls)
        }
        Ok(None) | Err(_) => Err(Handshake::Lost),
    }
}

fn reason(error: &io::Error) -> Handshake {
    match error.get_ref().and_then(|error| error.downcast_ref()) {
        Some(RustlsError::AlertReceived(_)) => Handshake::Refused,
        Some(_) => Handshake::Protocol,
        None => Handshake::Lost,
    }
}

/// Tells a client that speaks plain HTTP what to do. What it asked is read first, for a moment: a connection that is
/// closed with something unread is reset, and the answer lost.
async fn say_https(mut socket: Socket) {
    let message = "this address speaks https; ask again with https:// in place of http://";
    let answer = refusal::response("400 Bad Request", "https_only", message);
    let said = async {
        socket.write_all(answer.as_bytes()).await?;
        socket.shutdown().await?;
        tokio::io::copy(&mut socket.take(ASKED_BYTES_MAX), &mut tokio::io::sink()).await
    };
    if let Ok(Err(error)) = timeout(GOODBYE_MAX, said).await {
        tracing::trace!(%error, "a client of the wrong kind went");
    }
}
