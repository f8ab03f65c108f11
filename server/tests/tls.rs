//! Encryption over real sockets: certificates that change, clients that do not speak it, and a collector at https.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by it")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tachograph::export::Otlp;
use tachograph::listener::Listener;
use tachograph::provider::{Providers, Vad};
use tachograph::{Limits, Server, Tachograph, Tls, TlsError};
use tachograph_core::wire::{ClientMessage, Envelope, SYSTEM, ServerMessage, Start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, DEFAULT_VERSIONS, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{Connector, connect_async_tls_with_config};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const LONG: Duration = Duration::from_secs(20);
const ASK: &[u8] = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// A certificate and its key in files, which go with the value.
struct Files(PathBuf);

impl Files {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("tachograph-tls-{}", Uuid::new_v4().simple()));
        fs::create_dir(&folder).unwrap();
        let files = Self(folder);
        files.issue();
        files
    }

    /// A new certificate for this machine, vouched for by itself, in place of what is there.
    fn issue(&self) {
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        fs::write(self.certificate(), issued.cert.pem()).unwrap();
        fs::write(self.key(), issued.signing_key.serialize_pem()).unwrap();
    }

    fn certificate(&self) -> PathBuf {
        self.0.join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.0.join("key.pem")
    }

    fn tls(&self) -> Tls {
        Tls::from_files(self.certificate(), self.key()).unwrap()
    }

    /// A client that trusts what is there now, and nobody else.
    fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.certificate()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_protocol_versions(DEFAULT_VERSIONS).unwrap().with_root_certificates(roots);
        let mut config = config.with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _left_behind = fs::remove_dir_all(&self.0);
    }
}

struct Running {
    tacho: Tachograph,
    address: SocketAddr,
    serving: JoinHandle<std::io::Result<()>>,
}

async fn start(tls: Tls, limits: Limits) -> Running {
    let listener = Listener::new(Providers::only(Vad::default()));
    let tacho = Tachograph::builder().limits(limits).listener(listener).build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(Server::new(tacho.clone()).tls(tls).serve(listener));
    Running { tacho, address, serving }
}

impl Running {
    async fn try_connect(&self, client: &Arc<ClientConfig>) -> std::io::Result<TlsStream<TcpStream>> {
        let socket = TcpStream::connect(self.address).await?;
        TlsConnector::from(Arc::clone(client)).connect(ServerName::try_from("localhost").unwrap(), socket).await
    }

    async fn connect(&self, client: &Arc<ClientConfig>) -> TlsStream<TcpStream> {
        self.try_connect(client).await.unwrap()
    }

    async fn counted(&self, reason: &str) {
        let began = Instant::now();
        let counter = || {
            let snapshot = self.tacho.registry().snapshot();
            let failed = snapshot.counter("tachograph_tls_handshake_failures", &[("reason", reason)]).unwrap();
            (failed, snapshot.gauge("tachograph_connections", &[]).unwrap())
        };
        while counter() != (1, 0.0) {
            assert!(began.elapsed() < LONG, "{reason}: {:?}", counter());
            sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn ask(stream: &mut TlsStream<TcpStream>) -> String {
    stream.write_all(ASK).await.unwrap();
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\nok") {
        let read = timeout(LONG, stream.read_buf(&mut text)).await.unwrap().unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&text));
    }
    String::from_utf8(text).unwrap()
}

/// All that comes until the server closes.
async fn rest(mut socket: TcpStream) -> String {
    let mut text = Vec::new();
    let _closed_or_reset = timeout(LONG, socket.read_to_end(&mut text)).await.expect("it is not closed");
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn requests_are_answered_over_tls_as_http_1() {
    let files = Files::new();
    let running = start(files.tls(), Limits::default()).await;
    let mut stream = running.connect(&files.client()).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    for _ in 0..2 {
        assert!(ask(&mut stream).await.starts_with("HTTP/1.1 200"));
    }
}

#[tokio::test]
async fn new_files_are_for_new_connections_and_open_ones_go_on() {
    let files = Files::new();
    let tls = files.tls();
    let running = start(tls.clone(), Limits::default()).await;
    let before = files.client();
    let mut open = running.connect(&before).await;
    ask(&mut open).await;
    files.issue();
    let after = files.client();
    assert!(running.try_connect(&after).await.is_err(), "nothing was read again yet");
    tls.reload().unwrap();
    ask(&mut running.connect(&after).await).await;
    assert!(running.try_connect(&before).await.is_err(), "the old one is not shown any more");
    ask(&mut open).await;
}

#[tokio::test]
async fn files_that_cannot_be_used_leave_what_was_there_in_force() {
    let (files, others) = (Files::new(), Files::new());
    let tls = files.tls();
    let running = start(tls.clone(), Limits::default()).await;
    let client = files.client();
    fs::copy(others.key(), files.key()).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::KeyOfAnother { .. })));
    ask(&mut running.connect(&client).await).await;
    fs::remove_file(files.certificate()).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Unreadable { .. })));
    ask(&mut running.connect(&client).await).await;
    files.issue();
    tls.reload().unwrap();
    ask(&mut running.connect(&files.client()).await).await;
}

#[test]
fn what_is_wrong_with_files_is_said_with_their_names() {
    let files = Files::new();
    let (certificate, key) = (files.certificate(), files.key());
    let error = |certificate: &Path, key: &Path| Tls::from_files(certificate, key).unwrap_err();
    let written = |name: &str, text: &str| {
        let path = files.0.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let damaged = written("damaged.pem", "-----BEGIN CERTIFICATE-----\n***\n-----END CERTIFICATE-----\n");
    let nonsense = written("nonsense.pem", "-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n");
    let odd_key = written("odd.pem", "-----BEGIN PRIVATE KEY-----\nbm9uc2Vuc2U=\n-----END PRIVATE KEY-----\n");
    let long = written("long.pem", &"x".repeat(2 << 20));
    let nothing = files.0.join("nothing.pem");
    for (said, named, expected) in [
        (error(&nothing, &key), &nothing, "cannot read"),
        (error(&certificate, &nothing), &nothing, "cannot read"),
        (error(&key, &key), &key, "no certificate"),
        (error(&certificate, &certificate), &certificate, "no private key"),
        (error(&damaged, &key), &damaged, "damaged"),
        (error(&nonsense, &key), &nonsense, "cannot be understood"),
        (error(&certificate, &odd_key), &odd_key, "no supported kind"),
        (error(&long, &key), &long, "too long"),
        (error(&certificate, &Files::new().key()), &certificate, "is not that of"),
    ] {
        let said = said.to_string();
        assert!(said.contains(expected) && said.contains(&named.display().to_string()), "{said}");
    }
}

#[tokio::test]
async fn who_does_not_agree_in_time_is_let_go_of() {
    let files = Files::new();
    let limits = Limits { handshake_time: Duration::from_secs(1), ..Limits::default() };
    let running = start(files.tls(), limits).await;
    for begun in [&b""[..], &[22, 3, 1, 0, 200]] {
        let running = if begun.is_empty() { &running } else { &start(files.tls(), limits).await };
        let began = Instant::now();
        let mut socket = TcpStream::connect(running.address).await.unwrap();
        socket.write_all(begun).await.unwrap();
        assert_eq!(rest(socket).await, "");
        assert!(began.elapsed() >= limits.handshake_time, "{:?}", began.elapsed());
        running.counted("timeout").await;
    }
}

#[tokio::test]
async fn an_encrypted_connection_that_asks_for_nothing_ends_as_idle() {
    let files = Files::new();
    let running = start(files.tls(), Limits { header_time: Duration::from_secs(1), ..Limits::default() }).await;
    let mut idle = running.connect(&files.client()).await;
    let mut begun = running.connect(&files.client()).await;
    begun.write_all(b"GET /hea").await.unwrap();
    for stream in [&mut idle, &mut begun] {
        let read = timeout(LONG, stream.read(&mut [0; 16])).await.expect("it is not closed");
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    }
    let counted = |reason| {
        let snapshot = running.tacho.registry().snapshot();
        snapshot.counter("tachograph_connections_cut_off", &[("reason", reason)]).unwrap()
    };
    assert_eq!((counted("idle"), counted("header")), (1, 1));
}

#[tokio::test]
async fn who_speaks_plain_http_is_told_to_speak_https() {
    let files = Files::new();
    let running = start(files.tls(), Limits::default()).await;
    let mut socket = TcpStream::connect(running.address).await.unwrap();
    socket.write_all(ASK).await.unwrap();
    socket.shutdown().await.unwrap();
    let answer = rest(socket).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("https_only"), "{answer}");
    running.counted("not_tls").await;
}

#[tokio::test]
async fn what_is_neither_is_closed_without_a_word() {
    let files = Files::new();
    for (sent, reason) in [(&b"\0\0\0\0"[..], "not_tls"), (b"\x16\x03\x01\0\x04nope", "protocol"), (b"", "lost")] {
        let running = start(files.tls(), Limits::default()).await;
        let mut socket = TcpStream::connect(running.address).await.unwrap();
        socket.write_all(sent).await.unwrap();
        socket.shutdown().await.unwrap();
        let answer = rest(socket).await;
        assert!(!answer.contains("HTTP"), "{answer}");
        running.counted(reason).await;
    }
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_certificate_is_counted() {
    let files = Files::new();
    let running = start(files.tls(), Limits::default()).await;
    assert!(running.try_connect(&Files::new().client()).await.is_err());
    running.counted("refused").await;
}

#[tokio::test]
async fn one_connection_too_many_is_closed_before_anything_is_agreed_on() {
    let files = Files::new();
    let running = start(files.tls(), Limits { connections: 1, ..Limits::default() }).await;
    let mut open = running.connect(&files.client()).await;
    ask(&mut open).await;
    assert_eq!(rest(TcpStream::connect(running.address).await.unwrap()).await, "");
    let refused = running.tacho.registry().snapshot().counter("tachograph_connections_refused", &[("reason", "all")]);
    assert_eq!(refused, Some(1));
    ask(&mut open).await;
}

#[tokio::test]
async fn a_live_session_and_a_viewer_work_over_wss() {
    let files = Files::new();
    let running = start(files.tls(), Limits::default()).await;
    let connect = async |path: &str| {
        let url = format!("wss://localhost:{}{path}", running.address.port());
        let mut client = ClientConfig::clone(&files.client());
        client.alpn_protocols.clear();
        let connector = Connector::Rustls(Arc::new(client));
        connect_async_tls_with_config(url, None, false, Some(connector)).await.unwrap().0
    };
    let mut viewer = connect("/ws/stream").await;
    let mut session = connect("/ws/live-listener").await;
    let start = Start { session_id: "encrypted".into(), ..Start::default() };
    session.send(Message::text(start.encode())).await.unwrap();
    session.send(Message::text(ClientMessage::encode_audio(SYSTEM, &[1; 3_200]))).await.unwrap();
    session.send(Message::text(ClientMessage::encode_stop("encrypted"))).await.unwrap();
    let summary = loop {
        let message = timeout(LONG, session.next()).await.unwrap().unwrap().unwrap();
        let Message::Text(text) = message else { continue };
        let Envelope { message, .. } = serde_json::from_str(&text).unwrap();
        if let ServerMessage::FinalSummary(summary) = message.into_owned() {
            break summary;
        }
    };
    assert_eq!(summary.json.sources[0].bytes.received, 3_200);
    assert!(matches!(timeout(LONG, viewer.next()).await.unwrap().unwrap().unwrap(), Message::Binary(_)));
}

#[tokio::test]
async fn a_shutdown_waits_for_nobody_who_does_not_agree() {
    let files = Files::new();
    let running = start(files.tls(), Limits::default()).await;
    let silent = TcpStream::connect(running.address).await.unwrap();
    let mut open = running.connect(&files.client()).await;
    ask(&mut open).await;
    let began = Instant::now();
    running.tacho.shutdown().cancel();
    assert_eq!(rest(silent).await, "");
    assert_eq!(timeout(LONG, open.read(&mut [0; 16])).await.unwrap().unwrap(), 0, "an idle one ends well");
    timeout(LONG, running.serving).await.unwrap().unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

/// Takes one push over TLS; what was asked.
async fn collect(listener: TcpListener, files: &Files) -> String {
    let certificate = CertificateDer::from_pem_file(files.certificate()).unwrap();
    let key = PrivateKeyDer::from_pem_file(files.key()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_protocol_versions(DEFAULT_VERSIONS).unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()));
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = acceptor.accept(socket).await else { continue };
        let mut text = Vec::new();
        while !text.windows(4).any(|window| window == b"\r\n\r\n") {
            assert!(stream.read_buf(&mut text).await.unwrap() > 0);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        return String::from_utf8_lossy(&text).into_owned();
    }
}

#[tokio::test]
async fn metrics_are_pushed_to_a_collector_at_https_that_is_trusted() {
    let (files, strangers) = (Arc::new(Files::new()), Files::new());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let collected = {
        let files = Arc::clone(&files);
        tokio::spawn(async move { collect(listener, &files).await })
    };
    let tacho = Tachograph::new().unwrap();
    let push = |authority: PathBuf| {
        let otlp = Otlp::new(&endpoint).interval(Duration::from_millis(200)).authority(authority);
        otlp.spawn(&tacho, CancellationToken::new()).unwrap()
    };
    let untrusting = push(strangers.certificate());
    sleep(Duration::from_secs(1)).await;
    untrusting.abort();
    assert!(!collected.is_finished(), "nothing is told to a stranger");
    let trusting = push(files.certificate());
    let asked = timeout(LONG, collected).await.unwrap().unwrap();
    trusting.abort();
    assert!(asked.starts_with("POST /v1/metrics HTTP/1.1\r\n"), "{asked}");
}
