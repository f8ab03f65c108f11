//! Those who ask over HTTP, and those who only seem to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use super::{Scene, within};
use crate::Failure;
use crate::chance::Chance;
use crate::client::ANSWER_MAX;

const SMALL_BUFFER: u32 = 2_048;
const PIECE_BYTES: usize = 1_024;

/// What is asked for, in which form.
const QUESTIONS: [(&str, &str); 9] = [
    ("/metrics", "text/plain"),
    ("/metrics", "application/openmetrics-text"),
    ("/metrics", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"),
    ("/metrics", "*/*\r\naccept-encoding: gzip"),
    ("/api/v1/snapshot", "*/*"),
    ("/api/v1/history?from=-1m&metric=audio_*", "*/*"),
    ("/api/v1/history?format=csv&from=-1m&metric=*", "*/*"),
    ("/api/v1/recording", "*/*"),
    ("/api/v1/recording?window=30s", "*/*"),
];
const STREAMS: [&str; 3] = ["application/x-ndjson", "text/event-stream", "application/octet-stream"];
const GARBAGE: [&[u8]; 6] = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET  /\0 HTTP/1.1\r\nhost\r\n\r\n",
    b"POST /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: -1\r\n\r\n",
    b"GET /ws/stream HTTP/1.1\r\nhost: 127.0.0.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

#[derive(Clone, Copy, Debug)]
enum Manner {
    Asking,
    Slow,
    Streaming,
    Garbage,
    HalfARequest,
    Leaving,
}

const MANNERS: [(Manner, &str); 7] = [
    (Manner::Asking, "questions over HTTP"),
    (Manner::Asking, "questions over HTTP"),
    (Manner::Slow, "slow readers of an answer"),
    (Manner::Streaming, "readers of the stream over HTTP"),
    (Manner::Garbage, "requests of garbage"),
    (Manner::HalfARequest, "half a request"),
    (Manner::Leaving, "questions whose answer is not awaited"),
];

pub(super) async fn come_and_go(scene: Arc<Scene>, mut chance: Chance, end: Instant) {
    while Instant::now() < end {
        let Some((manner, what)) = chance.one_of(&MANNERS) else { return };
        scene.ledger.count(what);
        if let Err(failure) = behave(&scene, &mut chance, manner, end).await {
            scene.ledger.fail(format!("{manner:?} reader: {failure}"));
        }
        scene.pause(&mut chance, 2.0, end).await;
    }
}

async fn behave(scene: &Scene, chance: &mut Chance, manner: Manner, end: Instant) -> Result<(), Failure> {
    let (path, accept) = chance.one_of(&QUESTIONS).unwrap_or_default();
    let until = within(chance, 2.0, 15.0, end);
    let mut socket = connect(&scene.address).await?;
    match manner {
        Manner::Asking => ask(&mut socket, path, accept).await,
        Manner::Slow => {
            send_question(&mut socket, "/api/v1/recording", "*/*").await?;
            read_slowly(&mut socket, Duration::from_millis(chance.below(300)), until).await
        }
        Manner::Streaming => {
            send_question(&mut socket, "/api/v1/stream", chance.one_of(&STREAMS).unwrap_or_default()).await?;
            read_slowly(&mut socket, Duration::ZERO, until).await
        }
        Manner::Garbage => {
            // A line, or whatever a peer of another protocol begins with; the answer is the server's affair.
            socket.write_all(chance.one_of(&GARBAGE).unwrap_or_default()).await?;
            let _answered_or_ended = read_slowly(&mut socket, Duration::ZERO, until).await;
            Ok(())
        }
        Manner::HalfARequest => {
            socket.write_all(b"GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\nx-half: ").await?;
            tokio::time::sleep_until(until.into()).await;
            Ok(())
        }
        Manner::Leaving => {
            send_question(&mut socket, path, accept).await?;
            Ok(socket.set_zero_linger()?)
        }
    }
}

async fn connect(address: &str) -> Result<TcpStream, Failure> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(SMALL_BUFFER)?;
    Ok(timeout(ANSWER_MAX, socket.connect(address.parse()?)).await??)
}

async fn send_question(socket: &mut TcpStream, path: &str, accept: &str) -> Result<(), Failure> {
    let host = socket.peer_addr()?;
    let question = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\naccept: {accept}\r\nconnection: close\r\n\r\n");
    Ok(socket.write_all(question.as_bytes()).await?)
}

/// The answer comes whole, or says that too many ask at once.
async fn ask(socket: &mut TcpStream, path: &str, accept: &str) -> Result<(), Failure> {
    send_question(socket, path, accept).await?;
    let mut answer = Vec::new();
    timeout(ANSWER_MAX, socket.read_to_end(&mut answer)).await??;
    let head = String::from_utf8_lossy(answer.get(..12).unwrap_or_default()).into_owned();
    match &*head {
        "HTTP/1.1 200" | "HTTP/1.1 503" | "HTTP/1.1 429" => Ok(()),
        head => Err(format!("{path} was answered {head:?}").into()),
    }
}

async fn read_slowly(socket: &mut TcpStream, pause: Duration, until: Instant) -> Result<(), Failure> {
    let mut piece = vec![0; PIECE_BYTES];
    while Instant::now() < until {
        match tokio::time::timeout_at(until.into(), socket.read(&mut piece)).await {
            Ok(Ok(0)) | Err(_) => return Ok(()),
            Ok(read) => _ = read?,
        }
        sleep(pause).await;
    }
    Ok(())
}
