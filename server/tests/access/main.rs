//! Attacks on a server, over real sockets: each row of SECURITY.md's table has its test here, named there.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

mod answers;
mod logs;
mod roles;
mod signing_in;
mod sites;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;
use tachograph::access::{Access, AccessConfig, Token};
use tachograph::listener::Listener;
use tachograph::provider::{Providers, Simulated, SimulatedControl};
use tachograph::{Server, Tachograph};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

const VIEW: &str = "view-token-of-the-tests";
const FEED: &str = "feed-token-of-the-tests";
const BOTH: &str = "token-for-either-in-tests";
const WRONG: &str = "a-token-that-nobody-gave";
/// A page that a victim looks at meanwhile.
const EVIL: &str = "http://evil.example";
const SLACK: Duration = Duration::from_secs(20);

/// Paths that there are, and some that there are not.
const PATHS: [&str; 14] = [
    "/",
    "/index.html",
    "/metrics",
    "/api/v1/snapshot",
    "/api/v1/stream",
    "/api/v1/history",
    "/api/v1/recording",
    "/api/v1/simulated",
    "/ws/stream",
    "/ws/live-listener",
    "/nothing",
    "//metrics",
    "/healthz/../metrics",
    "/ws/live%2Dlistener",
];

/// A server on this machine.
struct Stage {
    address: SocketAddr,
    access: Access,
    tacho: Tachograph,
}

/// What came back of a request.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(": "));
        pairs.filter(move |(held, _)| held.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn header<'a>(&'a self, name: &'a str) -> &'a str {
        self.all(name).next().unwrap_or_default()
    }

    /// What a browser sends back of what it was given.
    fn cookies(&self) -> Vec<String> {
        self.all("set-cookie").map(|cookie| cookie.split(';').next().unwrap().to_owned()).collect()
    }

    fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

fn tokens(texts: &[&str]) -> Vec<Token> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn guarded() -> AccessConfig {
    AccessConfig { view_tokens: tokens(&[VIEW, BOTH]), feed_tokens: tokens(&[FEED, BOTH]), ..AccessConfig::default() }
}

async fn start(config: AccessConfig) -> Stage {
    start_at(config, Ipv4Addr::LOCALHOST).await
}

async fn start_at(config: AccessConfig, ip: Ipv4Addr) -> Stage {
    let simulated = Simulated::new(SimulatedControl::default());
    let mut listener = Listener::new(Providers::only(simulated.clone()));
    listener.simulated = Some(simulated);
    let tacho = Tachograph::builder().listener(listener).build().unwrap();
    let access = Access::new(config);
    let socket = TcpListener::bind((ip, 0)).await.unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, socket.local_addr().unwrap().port()));
    tokio::spawn(Server::new(tacho.clone()).access(access.clone()).serve(socket));
    Stage { address, access, tacho }
}

impl Stage {
    /// Sends a request of these lines as it stands; one without a Host gets the server's.
    async fn ask(&self, request: &str, headers: &[&str]) -> Answer {
        self.send(Ipv4Addr::LOCALHOST, request, headers, "").await
    }

    async fn send(&self, from: Ipv4Addr, request: &str, headers: &[&str], body: &str) -> Answer {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        let mut socket = socket.connect(self.address).await.unwrap();
        let has_host = headers.iter().any(|line| line.to_ascii_lowercase().starts_with("host:"));
        let host = if has_host { String::new() } else { format!("host: {}\r\n", self.address) };
        let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        let length = body.len();
        let text =
            format!("{request} HTTP/1.1\r\n{host}connection: close\r\ncontent-length: {length}\r\n{lines}\r\n{body}");
        socket.write_all(text.as_bytes()).await.unwrap();
        let mut read = Vec::new();
        let _end_or_reset = timeout(SLACK, socket.read_to_end(&mut read)).await.unwrap();
        let read = String::from_utf8_lossy(&read).into_owned();
        let (head, body) = read.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {read}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    async fn sign_in(&self, token: &str) -> Answer {
        let form = ["content-type: application/x-www-form-urlencoded"];
        self.send(Ipv4Addr::LOCALHOST, "POST /sign-in", &form, &format!("token={token}")).await
    }

    /// A WebSocket, or the status of the answer that there is instead.
    async fn socket(&self, path: &str, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let stream = tokio::net::TcpStream::connect(self.address).await.unwrap();
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    fn counted(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.tacho.registry().snapshot().counter(name, labels).unwrap_or_default()
    }

    fn refused(&self, reason: &str) -> u64 {
        self.counted("tachograph_requests_refused", &[("reason", reason)])
    }
}

type Socket = WebSocketStream<tokio::net::TcpStream>;

async fn next(socket: &mut Socket) -> Message {
    timeout(SLACK, socket.next()).await.unwrap().unwrap().unwrap()
}

/// What the server says until it closes, and the code that it closes with.
async fn until_closed(socket: &mut Socket) -> (Vec<Value>, u16) {
    let mut said = Vec::new();
    let closed = timeout(SLACK, async {
        loop {
            match next(socket).await {
                Message::Text(text) => said.push(serde_json::from_str(&text).unwrap()),
                Message::Close(close) => return close.unwrap().code.into(),
                _ => {}
            }
        }
    });
    let code = closed.await.unwrap();
    (said, code)
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}")
}

const NAVIGATION: [&str; 4] =
    ["accept: text/html,*/*;q=0.8", "sec-fetch-mode: navigate", "sec-fetch-dest: document", "sec-fetch-site: none"];
