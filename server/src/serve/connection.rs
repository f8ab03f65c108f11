//! One connection, from its first byte to its last request.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Server;
use super::arrived::Arrived;
use super::confine;
use super::peer::Peer;
use super::places::Permit;
use super::request::answer;
use super::socket::Socket;
#[cfg(feature = "tls")]
use super::tls::{self, Tls};
use super::visit::Visit;
use crate::app::App;
use crate::http;

/// Of a request: its line with the address, and its headers.
const HEADER_BYTES_MAX: usize = 32 * 1024;
const HEADERS_MAX: usize = 100;
/// What a connection reads ahead, and what it holds of an answer beside what was handed to the system.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// What the connections of a server have in common.
pub(super) struct Serving {
    pub(super) app: App,
    /// Those that a shutdown waits for, until they are upgraded.
    pub(super) tasks: TaskTracker,
    /// Cancelled when there is no more time for them.
    pub(super) closed: CancellationToken,
    router: Router,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl Serving {
    pub(super) fn new(server: &Server) -> Self {
        Self {
            app: App::clone(&server.tacho.0),
            tasks: TaskTracker::new(),
            closed: CancellationToken::new(),
            router: http::standalone(&server.tacho, &server.access),
            #[cfg(feature = "tls")]
            tls: server.tls.clone(),
        }
    }

    pub(super) fn is_encrypted(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    /// Serves a connection in a task of its own.
    pub(super) fn begin(self: &Arc<Self>, stream: TcpStream, address: SocketAddr, permit: Permit) {
        let visit = Visit::new(permit);
        let socket = Socket::new(stream, Arc::clone(&visit));
        let peer = Peer { address, is_encrypted: self.is_encrypted() };
        let serving = Arc::clone(self);
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            let acceptor = tls.acceptor();
            self.spawn(async move {
                let greeted = tokio::select! {
                    greeted = tls::greet(acceptor, socket, &visit) => greeted,
                    () = serving.app.shutdown.cancelled() => None,
                };
                if let Some(stream) = greeted {
                    serving.converse(stream, visit, peer).await;
                }
            });
            return;
        }
        self.spawn(async move { serving.converse(socket, visit, peer).await });
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let (app, closed) = (App::clone(&self.app), self.closed.clone());
        self.tasks.spawn(async move { closed.run_until_cancelled(confine(&app, work)).await });
    }

    /// Requests and their answers, one after the other, until the client, a deadline or the shutdown ends it.
    async fn converse<S>(&self, stream: S, visit: Arc<Visit>, peer: Peer)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // What was read until here was for the encryption.
        visit.rest();
        let arrived = Arrived::default();
        let service =
            service_fn(|request| answer(self.router.clone(), Arc::clone(&visit), peer, arrived.clone(), request));
        let stream = TokioIo::new(arrived.counting(stream));
        let connection = self.protocol().serve_connection(stream, service).with_upgrades();
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            // Whoever has asked for nothing yet, or not whole, is owed no answer.
            () = self.app.shutdown.cancelled() => {
                if !visit.has_asked() {
                    return;
                }
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        let Err(error) = ended else { return };
        if error.is_timeout() {
            visit.count_late_header();
        }
        tracing::debug!(%error, address = %peer.address, is_encrypted = peer.is_encrypted, "a connection broke off");
    }

    fn protocol(&self) -> http1::Builder {
        let mut protocol = http1::Builder::new();
        protocol
            .timer(TokioTimer::new())
            // It runs from when the connection is idle: so idle ones end by it, too.
            .header_read_timeout(self.app.limits.now().header_time)
            .max_header_size(HEADER_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .max_buf_size(BUFFER_BYTES_MAX);
        protocol
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;
    use axum::routing::get;
    use futures_util::stream;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::{sleep, timeout};

    use super::*;
    use crate::Tachograph;

    async fn panics() -> &'static str {
        panic!("a handler's fault")
    }

    /// Breaks off after a piece.
    async fn panics_on_the_way() -> Body {
        let pieces = stream::unfold(0, async |piece: u32| {
            assert!(piece == 0, "an answer's fault");
            Some((Ok::<_, std::io::Error>("piece"), 1))
        });
        Body::from_stream(pieces)
    }

    async fn ask(stream: &mut TcpStream, path: &str) -> String {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.unwrap();
        let mut text = vec![0; 4_096];
        let read = timeout(Duration::from_secs(20), stream.read(&mut text)).await.unwrap().unwrap();
        String::from_utf8_lossy(&text[..read]).into_owned()
    }

    #[tokio::test]
    async fn a_panic_stays_in_its_request_or_its_connection() {
        let tacho = Tachograph::new().unwrap();
        let routes = Router::new().route("/panics", get(panics)).route("/on-the-way", get(panics_on_the_way));
        let router = routes.route("/fine", get(async || "fine"));
        let serving = Arc::new(Serving { router, ..Serving::new(&Server::new(tacho.clone())) });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connect = async || {
            let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let (stream, address) = listener.accept().await.unwrap();
            serving.begin(stream, address, Permit::take(&tacho.0, address.ip(), false).unwrap());
            client
        };
        let (mut one, mut other) = (connect().await, connect().await);
        let answer = ask(&mut one, "/panics").await;
        assert!(answer.starts_with("HTTP/1.1 500 ") && answer.contains("\"internal\""), "{answer}");
        assert!(!answer.contains("fault"), "{answer}");
        assert!(ask(&mut one, "/fine").await.ends_with("fine"), "the connection is good for the next request");
        ask(&mut one, "/on-the-way").await;
        let mut rest = Vec::new();
        timeout(Duration::from_secs(20), one.read_to_end(&mut rest)).await.expect("it is closed").unwrap();
        assert!(ask(&mut other, "/fine").await.ends_with("fine"), "others go on");
        let registry = tacho.registry();
        assert_eq!(registry.snapshot().counter("tachograph_connection_failures", &[]), Some(2));
        drop(other);
        while registry.snapshot().gauge("tachograph_connections", &[]) != Some(0.0) {
            sleep(Duration::from_millis(10)).await;
        }
    }
}
