//! Attacks on a server, over real sockets: each row of SECURITY.md's table has its test here, named there.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tachograph::access::{Access, AccessConfig, Token};
use tachograph::listener::Listener;
use tachograph::provider::{Providers, Simulated, SimulatedControl};
use tachograph::{Server, Tachograph, router};
use tachograph_core::wire::{ClientMessage, MIC, Start};
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

// ---- who may

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

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_all_paths_are_refused_alike_whether_they_are_there_or_not() {
    let stage = start(guarded()).await;
    let expected = stage.ask("GET /nothing", &[]).await;
    assert_eq!((expected.status, expected.code().as_str()), (401, "unauthorized"));
    let without_date = |answer: &Answer| {
        answer.head.lines().filter(|line| !line.starts_with("date: ")).map(str::to_owned).collect::<Vec<_>>()
    };
    for path in PATHS {
        for method in ["GET", "POST", "PUT", "DELETE", "OPTIONS"] {
            let answer = stage.ask(&format!("{method} {path}"), &[]).await;
            assert_eq!(answer.body, expected.body, "{method} {path}");
            assert_eq!(without_date(&answer), without_date(&expected), "{method} {path}");
        }
    }
    assert_eq!(stage.refused("no_token"), 1 + PATHS.len() as u64 * 5);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(stage.ask(&format!("GET {path}"), &[]).await.status, 200, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_what_it_is_for_and_nothing_else() {
    let stage = start(guarded()).await;
    for (token, views, feeds) in [(VIEW, true, false), (FEED, false, true), (BOTH, true, true)] {
        let shown = bearer(token);
        for path in ["/", "/metrics", "/api/v1/history", "/api/v1/simulated"] {
            let answer = stage.ask(&format!("GET {path}"), &[&shown]).await;
            assert_eq!(answer.status != 403, views, "{token} {path}: {answer:?}");
            assert_eq!(answer.code() == "forbidden", !views, "{answer:?}");
        }
        let body = "{\"rtf\":0.3}";
        let json = [&*shown, "content-type: application/json"];
        let changed = stage.send(Ipv4Addr::LOCALHOST, "PUT /api/v1/simulated", &json, body).await;
        assert_eq!(changed.status, if feeds { 200 } else { 403 }, "{changed:?}");
        let header = format!("Bearer {token}");
        let looked = stage.socket("/ws/stream", &[("authorization", &header)]).await;
        assert_eq!(looked.map(|_| ()), if views { Ok(()) } else { Err(403) });
        let mut fed = stage.socket("/ws/live-listener", &[("authorization", &header)]).await.unwrap();
        let Message::Text(first) = next(&mut fed).await else { panic!("the server says nothing") };
        assert_eq!(first.contains("connected"), feeds, "{first}");
    }
    assert_eq!(stage.ask("GET /nothing", &[&bearer(VIEW)]).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_the_protocol_that_may_not_feed_hears_it_and_has_no_session() {
    let stage = start(guarded()).await;
    for path in ["/ws/live-listener".to_owned(), format!("/ws/live-listener?token={VIEW}")] {
        let mut socket = stage.socket(&path, &[]).await.unwrap();
        let start = Start { session_id: "stranger".into(), ..Start::default() };
        let _sent = socket.send(Message::text(start.encode())).await;
        let (said, code) = until_closed(&mut socket).await;
        assert_eq!((said.len(), code), (1, 1008), "{said:?}");
        assert_eq!((said[0]["type"].as_str(), said[0]["code"].as_str()), (Some("error"), Some("unauthorized")));
        assert_eq!((&said[0]["fatal"], &said[0]["seq"]), (&Value::Bool(true), &Value::from(1)));
    }
    assert_eq!(stage.tacho.metrics().defaults.active_sessions.value(), 0.0);
    assert_eq!(stage.counted("tachograph_protocol_errors", &[("code", "unauthorized")]), 2);
    // Those that exist can be given another address, and nothing else.
    let mut socket = stage.socket(&format!("/ws/live-listener?token={FEED}"), &[]).await.unwrap();
    let Message::Text(first) = next(&mut socket).await else { panic!("the server says nothing") };
    assert!(first.contains("connected"), "{first}");
    let elsewhere = stage.ask(&format!("GET /metrics?token={VIEW}"), &[]).await;
    assert_eq!(elsewhere.status, 401, "a token in an address opens nothing else");
}

/// Many at once are not kept for long, and not all told in the protocol's words.
#[tokio::test(flavor = "multi_thread")]
async fn those_that_are_turned_away_take_little() {
    let stage = start(guarded()).await;
    let (mut kept, mut refused) = (Vec::new(), 0);
    for _ in 0..80 {
        match stage.socket("/ws/live-listener", &[]).await {
            Ok(socket) => kept.push(socket),
            Err(status) => {
                assert_eq!(status, 401);
                refused += 1;
            }
        }
    }
    // A slow machine may be done with the first before the last comes.
    assert!(kept.len() + refused == 80 && kept.len() >= 64, "{} of 80, {refused} refused", kept.len());
    for mut socket in kept {
        assert_eq!(until_closed(&mut socket).await.1, 1008);
    }
    assert_eq!(stage.refused("no_token"), 80);
}

/// One that a proxy could take for something else gets no WebSocket, whoever sends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_is_none_is_refused_to_those_that_are_turned_away_too() {
    async fn status(stage: &Stage, lines: &str, body: &str) -> String {
        let mut socket = tokio::net::TcpStream::connect(stage.address).await.unwrap();
        let head = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n";
        let host = stage.address;
        let request = format!("GET /ws/live-listener HTTP/1.1\r\nhost: {host}\r\n{head}{lines}\r\n{body}");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        timeout(SLACK, socket.read_exact(&mut status)).await.unwrap().unwrap();
        String::from_utf8_lossy(&status).into_owned()
    }
    let stage = start(guarded()).await;
    let key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    assert_eq!(status(&stage, key, "").await, "HTTP/1.1 101");
    assert_eq!(status(&stage, &format!("{key}content-length: 2\r\n"), "ab").await, "HTTP/1.1 401");
    assert_eq!(status(&stage, "sec-websocket-key: none\r\n", "").await, "HTTP/1.1 401");
}

/// So that some addresses cannot hold all connections by asking, now and then, for what is open to everybody.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_keeps_no_connection() {
    async fn is_kept(stage: &Stage, path: &str, header: &str) -> bool {
        let mut socket = tokio::net::TcpStream::connect(stage.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n{header}\r\n", stage.address);
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut read = vec![0; 64 * 1024];
        let count = timeout(SLACK, socket.read(&mut read)).await.unwrap().unwrap();
        let head = String::from_utf8_lossy(&read[..count]).to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 "), "{head}");
        let is_kept = !head.contains("\r\nconnection: close\r\n");
        if !is_kept {
            timeout(SLACK, socket.read_to_end(&mut read)).await.expect("it is closed").unwrap();
        }
        is_kept
    }
    let stage = start(guarded()).await;
    for path in ["/healthz", "/readyz", "/sign-in", "/metrics", "/nothing"] {
        assert!(!is_kept(&stage, path, "").await, "{path}");
    }
    assert!(!is_kept(&stage, "/metrics", &format!("{}\r\n", bearer(WRONG))).await);
    assert!(is_kept(&stage, "/nothing", &format!("{}\r\n", bearer(VIEW))).await);
    stage.access.set(AccessConfig::default());
    assert!(is_kept(&stage, "/healthz", "").await && is_kept(&stage, "/nothing", "").await);
    assert!(!is_kept(&stage, "/healthz", "via: 1.1 proxy\r\n").await, "it may speak for another machine");
}

// ---- signing in

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_exchanged_for_cookies_and_leaves_no_token_in_addresses() {
    let stage = start(guarded()).await;
    let answer = stage.ask(&format!("GET /sign-in?token={VIEW}"), &NAVIGATION).await;
    assert_eq!((answer.status, answer.header("location")), (303, "./"));
    assert_eq!((answer.header("referrer-policy"), answer.header("cache-control")), ("no-referrer", "no-store"));
    let set: Vec<_> = answer.all("set-cookie").collect();
    assert_eq!(set.len(), 2, "{answer:?}");
    for (cookie, same_site) in set.iter().zip(["SameSite=Strict", "SameSite=Lax"]) {
        let parts: Vec<_> = cookie.split("; ").collect();
        assert!(["Path=/", "HttpOnly", same_site].iter().all(|part| parts.contains(part)), "{cookie}");
        assert!(!cookie.contains("Domain") && !cookie.contains(VIEW) && !cookie.contains("Secure"), "{cookie}");
        assert!(cookie.starts_with("tachograph-") && cookie.contains(&stage.address.port().to_string()), "{cookie}");
    }
    assert!(!answer.head.contains(VIEW) && !answer.body.contains(VIEW));
    let cookies = format!("cookie: other=1; {}", answer.cookies().join("; "));
    for path in ["/metrics", "/api/v1/history"] {
        assert_eq!(stage.ask(&format!("GET {path}"), &[&cookies]).await.status, 200, "{path}");
    }
    let pair = answer.cookies().join("; ");
    assert!(stage.socket("/ws/stream", &[("cookie", &pair)]).await.is_ok());
    assert_eq!(stage.counted("tachograph_sign_ins", &[]), 1);
    let again = stage.ask("GET /sign-in", &[&cookies]).await;
    assert!(again.status == 200 && again.body.contains("You are signed in"), "{again:?}");
}

/// A browser sends the strict cookie only with what the server's own pages ask for; the lax one opens nothing but files
/// that are the same for everybody.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_from_elsewhere_leads_to_the_page_but_its_cookie_to_no_figure() {
    let stage = start(guarded()).await;
    let cookies = stage.sign_in(VIEW).await.cookies();
    let lax = format!("cookie: {}", cookies[1]);
    let from_elsewhere = [
        &*lax,
        "accept: text/html",
        "sec-fetch-site: cross-site",
        "sec-fetch-mode: navigate",
        "sec-fetch-dest: document",
    ];
    let page = stage.ask("GET /", &from_elsewhere).await;
    assert_ne!(page.status, 401, "{page:?}");
    for path in PATHS.iter().filter(|path| !["/", "/index.html"].contains(path)) {
        assert_eq!(stage.ask(&format!("GET {path}"), &[&lax]).await.status, 401, "{path}");
    }
    assert_eq!(stage.ask("POST /", &[&lax]).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_signed_in_gets_a_form_that_works_and_can_sign_out() {
    let stage = start(guarded()).await;
    for path in ["/", "/api/v1/snapshot", "/nothing"] {
        let form = stage.ask(&format!("GET {path}"), &NAVIGATION).await;
        assert_eq!(form.status, 401);
        let action = format!("action=\"{}sign-in\"", "../".repeat(path.matches('/').count() - 1));
        assert!(form.body.contains("<form") && form.body.contains(&action), "{form:?}");
        assert!(!form.body.contains("<script") && !form.body.contains("nothing"), "{form:?}");
        assert!(form.header("content-security-policy").contains("form-action 'self'"));
        assert!(!form.header("content-security-policy").contains("unsafe"));
        // With none at all a browser sends the form with the origin `null`.
        assert_eq!(form.header("referrer-policy"), "same-origin");
    }
    let own = format!("origin: http://{}", stage.address);
    let signed_in = stage.send(Ipv4Addr::LOCALHOST, "POST /sign-in", &[&own], &format!("token={BOTH}")).await;
    assert_eq!(signed_in.status, 303);
    let cookie = format!("cookie: {}", signed_in.cookies().join("; "));
    assert_eq!(stage.ask("GET /metrics", &[&cookie]).await.status, 200);
    let pair = signed_in.cookies().join("; ");
    let mut stream = stage.socket("/ws/stream", &[("cookie", &pair)]).await.unwrap();
    let signed_out = stage.ask("POST /sign-out", &[&cookie, &own]).await;
    assert_eq!(signed_out.status, 200);
    assert!(signed_out.all("set-cookie").all(|cookie| cookie.contains("Max-Age=0")), "{signed_out:?}");
    assert_eq!(stage.ask("GET /metrics", &[&cookie]).await.status, 401, "it is forgotten, not only deleted");
    assert_eq!(until_closed(&mut stream).await.1, 1008);
    let feeding = stage.sign_in(FEED).await;
    assert!(feeding.status == 403 && feeding.body.contains("for feeding") && feeding.cookies().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_signed_in_by_another_sites_form() {
    let stage = start(guarded()).await;
    for origin in [EVIL, "null", "https://127.0.0.1"] {
        let header = format!("origin: {origin}");
        let answer = stage.send(Ipv4Addr::LOCALHOST, "POST /sign-in", &[&header], &format!("token={VIEW}")).await;
        assert_eq!((answer.status, answer.cookies().len()), (403, 0), "{origin}");
        assert_eq!(stage.ask("POST /sign-out", &[&header]).await.status, 403, "{origin}");
    }
    assert_eq!(stage.refused("origin"), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_cookie_and_what_is_open_end_with_the_token() {
    let stage = start(guarded()).await;
    let stolen = stage.sign_in(BOTH).await.cookies().join("; ");
    let kept = stage.sign_in(VIEW).await.cookies().join("; ");
    let mut stream = stage.socket("/ws/stream", &[("cookie", &stolen)]).await.unwrap();
    let mut other = stage.socket("/ws/stream", &[("cookie", &kept)]).await.unwrap();
    let header = format!("Bearer {BOTH}");
    let mut session = stage.socket("/ws/live-listener", &[("authorization", &header)]).await.unwrap();
    let mut lines = tokio::net::TcpStream::connect(stage.address).await.unwrap();
    let request = format!(
        "GET /api/v1/stream HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{}\r\n\r\n",
        stage.address,
        bearer(BOTH)
    );
    lines.write_all(request.as_bytes()).await.unwrap();
    lines.read_u8().await.unwrap();
    stage.access.set(AccessConfig {
        view_tokens: tokens(&[VIEW]),
        feed_tokens: tokens(&[FEED]),
        ..AccessConfig::default()
    });
    assert_eq!(until_closed(&mut stream).await.1, 1008);
    let (said, code) = until_closed(&mut session).await;
    assert_eq!((said.last().unwrap()["code"].as_str(), code), (Some("unauthorized"), 1008));
    timeout(SLACK, lines.read_to_end(&mut Vec::new())).await.unwrap().unwrap();
    assert_eq!(stage.ask("GET /metrics", &[&format!("cookie: {stolen}")]).await.status, 401);
    assert_eq!(stage.ask("GET /metrics", &[&bearer(BOTH)]).await.status, 401);
    assert_eq!(stage.ask("GET /metrics", &[&format!("cookie: {kept}")]).await.status, 200);
    // What goes on by a token that is still given is not cut.
    for _ in 0..3 {
        assert!(matches!(next(&mut other).await, Message::Binary(_)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_cannot_be_tried_one_after_another_and_others_are_not_locked_out() {
    let proxy = Ipv4Addr::new(127, 0, 0, 9);
    let trusted_proxies = vec![proxy.to_string().parse().unwrap()];
    let stage = start(AccessConfig { trusted_proxies, ..guarded() }).await;
    let guess = format!("token={WRONG}");
    for shows_header in [false, true] {
        let mut statuses = Vec::new();
        for number in 2..16 {
            // All of them are this machine.
            let guesser = Ipv4Addr::new(127, 0, 0, number);
            let shown = bearer(WRONG);
            let answer = if shows_header {
                stage.send(guesser, "GET /metrics", &[&shown], "").await
            } else {
                stage.send(guesser, "POST /sign-in", &[], &guess).await
            };
            statuses.push(answer.status);
        }
        assert_eq!(statuses[..10], [401; 10]);
        assert!(statuses[10..].contains(&429), "{statuses:?}");
    }
    let guesser = Ipv4Addr::new(127, 0, 0, 2);
    let limited = stage.send(guesser, "GET /metrics", &[&bearer(VIEW)], "").await;
    // One more was looked at if the machine took 6 s for all of this.
    if limited.status == 429 {
        let wait: u64 = limited.header("retry-after").parse().unwrap();
        assert!((1..=7).contains(&wait), "{wait}");
    }
    let other = "x-forwarded-for: 203.0.113.6";
    let answer = stage.send(proxy, "GET /metrics", &[other, &bearer(VIEW)], "").await;
    assert_eq!(answer.status, 200, "another address");
    let cookies = stage.send(proxy, "POST /sign-in", &[other], &format!("token={VIEW}")).await.cookies().join("; ");
    let cookies = format!("cookie: {cookies}");
    assert_eq!(stage.send(guesser, "GET /metrics", &[&cookies], "").await.status, 200, "who is signed in already");
    assert!(stage.counted("tachograph_sign_ins_failed", &[]) >= 10);
    assert!(stage.counted("tachograph_sign_ins_limited", &[]) >= 1 && stage.refused("limited") >= 1);
}

/// A page can have its visitor's browser follow links with wrong tokens, one after another.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_shows_wrong_tokens_locks_out_no_program_beside_the_browser() {
    let stage = start(guarded()).await;
    let link = ["sec-fetch-site: cross-site", "sec-fetch-mode: navigate", "sec-fetch-dest: document"];
    let sign_in = format!("GET /sign-in?token={WRONG}");
    let listener = format!("GET /ws/live-listener?token={WRONG}");
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(stage.ask(&sign_in, &link).await.status);
        assert_eq!(stage.ask(&listener, &link).await.status, 401, "no handshake, no token");
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(stage.ask("GET /metrics", &[&bearer(VIEW)]).await.status, 200);
    assert!(stage.socket(&format!("/ws/live-listener?token={FEED}"), &[]).await.is_ok());
}

/// Also where the link's token is right: its sign-in would take the place of the one that there is.
#[tokio::test(flavor = "multi_thread")]
async fn another_sites_link_ends_no_sign_in() {
    let stage = start(guarded()).await;
    let cookies = stage.sign_in(VIEW).await.cookies();
    let pair = cookies.join("; ");
    let mut stream = stage.socket("/ws/stream", &[("cookie", &pair)]).await.unwrap();
    let lax = format!("cookie: {}", cookies[1]);
    let link = [&*lax, "sec-fetch-site: cross-site", "sec-fetch-mode: navigate", "sec-fetch-dest: document"];
    for headers in [&link[..], &link[..1]] {
        let answer = stage.ask(&format!("GET /sign-in?token={BOTH}"), headers).await;
        assert_eq!((answer.status, answer.header("location"), answer.cookies().len()), (303, "./", 0), "{answer:?}");
    }
    assert_eq!(stage.ask("GET /metrics", &[&format!("cookie: {pair}")]).await.status, 200);
    for _ in 0..2 {
        assert!(matches!(next(&mut stream).await, Message::Binary(_)));
    }
    // Who opens a link himself means it.
    let own = [&*lax, "sec-fetch-site: none", "sec-fetch-mode: navigate", "sec-fetch-dest: document"];
    assert_eq!(stage.ask(&format!("GET /sign-in?token={BOTH}"), &own).await.cookies().len(), 2);
    assert_eq!(until_closed(&mut stream).await.1, 1008);
}

/// Nor do the streams of those that are signed out go on.
#[tokio::test(flavor = "multi_thread")]
async fn who_signs_in_without_end_signs_out_only_those_of_his_own_token() {
    let stage = start(guarded()).await;
    let kept = stage.sign_in(VIEW).await.cookies().join("; ");
    let gone = stage.sign_in(BOTH).await.cookies().join("; ");
    let mut kept_stream = stage.socket("/ws/stream", &[("cookie", &kept)]).await.unwrap();
    let mut gone_stream = stage.socket("/ws/stream", &[("cookie", &gone)]).await.unwrap();
    for _ in 0..1_024 {
        assert_eq!(stage.sign_in(BOTH).await.status, 303);
    }
    assert_eq!(until_closed(&mut gone_stream).await.1, 1008);
    assert_eq!(stage.ask("GET /metrics", &[&format!("cookie: {gone}")]).await.status, 401);
    assert_eq!(stage.ask("GET /metrics", &[&format!("cookie: {kept}")]).await.status, 200);
    assert!(matches!(next(&mut kept_stream).await, Message::Binary(_)));
}

/// Such as one that runs beside it, below a path of its own.
#[tokio::test(flavor = "multi_thread")]
async fn cookies_of_another_server_of_the_host_lock_nobody_out() {
    let stage = start(guarded()).await;
    let own = stage.sign_in(VIEW).await.cookies();
    let (name, _) = own[0].split_once('=').unwrap();
    let others: Vec<_> = (0..20).map(|number| format!("{name}=another-{number}")).collect();
    let cookies = format!("cookie: {}; {}", others.join("; "), own.join("; "));
    assert_eq!(stage.ask("GET /metrics", &[&cookies]).await.status, 200);
}

// ---- other sites and names

/// On this machine all is open, except to what a browser does for another's page.
#[tokio::test(flavor = "multi_thread")]
async fn another_sites_page_can_open_no_socket_and_read_or_change_nothing() {
    let stage = start(AccessConfig::default()).await;
    let own = format!("http://{}", stage.address);
    let cross = format!("http://{}:1", stage.address.ip());
    for origin in [EVIL, "null", &cross, &own.replace("http", "https:").replace("::", ":8")] {
        for path in ["/ws/stream", "/ws/live-listener"] {
            assert_eq!(stage.socket(path, &[("origin", origin)]).await.map(|_| ()), Err(403), "{origin} {path}");
        }
        let header = format!("origin: {origin}");
        for request in ["GET /metrics", "GET /api/v1/snapshot", "PUT /api/v1/simulated", "OPTIONS /api/v1/simulated"] {
            let answer = stage.ask(request, &[&header]).await;
            assert_eq!((answer.status, answer.code().as_str()), (403, "origin_not_allowed"), "{origin} {request}");
            assert_eq!(answer.all("access-control-allow-origin").count(), 0);
        }
    }
    for site in ["cross-site", "same-site"] {
        let image = [&*format!("sec-fetch-site: {site}"), "sec-fetch-mode: no-cors", "sec-fetch-dest: image"];
        assert_eq!(stage.ask("GET /metrics", &image).await.status, 403);
        let frame = [image[0], "sec-fetch-mode: navigate", "sec-fetch-dest: iframe"];
        assert_eq!(stage.ask("GET /", &frame).await.status, 403);
        let link = [image[0], "sec-fetch-mode: navigate", "sec-fetch-dest: document"];
        assert_ne!(stage.ask("GET /", &link).await.status, 403, "a person may follow a link");
    }
    assert!(stage.socket("/ws/stream", &[("origin", &own)]).await.is_ok());
    let allowed = AccessConfig { allowed_origins: vec![EVIL.parse().unwrap()], ..AccessConfig::default() };
    stage.access.set(allowed);
    assert!(stage.socket("/ws/stream", &[("origin", EVIL)]).await.is_ok(), "it is allowed now");
}

/// The application's cookies would let such a page in.
#[tokio::test(flavor = "multi_thread")]
async fn another_sites_page_can_open_no_socket_within_an_application_either() {
    async fn started(builder: tachograph::Builder) -> Stage {
        let simulated = Simulated::new(SimulatedControl::default());
        let mut listener = Listener::new(Providers::only(simulated.clone()));
        listener.simulated = Some(simulated);
        let tacho = builder.listener(listener).build().unwrap();
        let app: Router = Router::new().nest("/tacho", router(&tacho));
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(socket, app).await });
        Stage { address, access: Access::default(), tacho }
    }
    let stage = started(Tachograph::builder()).await;
    let own = format!("http://{}", stage.address);
    for path in ["/tacho/ws/stream", "/tacho/ws/live-listener"] {
        assert_eq!(stage.socket(path, &[("origin", EVIL)]).await.map(|_| ()), Err(403), "{path}");
        assert!(stage.socket(path, &[("origin", &own)]).await.is_ok(), "{path}");
        assert!(stage.socket(path, &[]).await.is_ok(), "{path}");
    }
    let evil = format!("origin: {EVIL}");
    assert_eq!(stage.ask("PUT /tacho/api/v1/simulated", &[&evil]).await.status, 403);
    assert_eq!(stage.ask("GET /tacho/metrics", &[&evil]).await.status, 200, "who may look, the application decides");
    assert_eq!(stage.refused("origin"), 3);
    let stage = started(Tachograph::builder().allowed_origin(EVIL.parse().unwrap())).await;
    assert!(stage.socket("/tacho/ws/stream", &[("origin", EVIL)]).await.is_ok());
}

/// A name of an attacker's that leads to this machine makes his page one of the server's own origin.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebound_name_gets_nothing() {
    for config in [AccessConfig::default(), guarded()] {
        let stage = start(config).await;
        let port = stage.address.port();
        let shown = bearer(BOTH);
        for host in [format!("evil.example:{port}"), format!("127.0.0.1.evil.example:{port}"), "localhost.evil".into()]
        {
            let headers = [&*format!("host: {host}"), &*format!("origin: http://{host}"), &shown];
            let answer = stage.ask("GET /metrics", &headers).await;
            assert_eq!((answer.status, answer.code().as_str()), (403, "host_not_allowed"), "{host}");
        }
        let forged =
            [&*format!("host: evil.example:{port}"), "x-forwarded-host: localhost", "forwarded: host=localhost"];
        assert_eq!(stage.ask("GET /metrics", &forged).await.status, 403);
        let two = [&*format!("host: localhost:{port}"), "host: evil.example", &shown];
        assert_eq!(stage.ask("GET /metrics", &two).await.status, 403);
        assert_eq!(stage.ask("GET http://evil.example/metrics", &[&shown]).await.status, 403);
        for host in [format!("localhost:{port}"), format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
            let answer = stage.ask("GET /metrics", &[&format!("host: {host}"), &shown]).await;
            assert_eq!(answer.status, 200, "{host}");
        }
        assert_eq!(stage.refused("host"), 6);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_this_machine_any_name_leads_to_it_until_some_are_given() {
    let stage = start_at(guarded(), Ipv4Addr::UNSPECIFIED).await;
    let asked = async |host: &str| stage.ask("GET /metrics", &[&format!("host: {host}"), &bearer(VIEW)]).await.status;
    assert_eq!(asked("any.example").await, 200);
    stage.access.set(AccessConfig { allowed_hosts: vec!["tacho.example".parse().unwrap()], ..guarded() });
    assert_eq!((asked("any.example").await, asked("tacho.example:7117").await), (403, 200));
    assert_eq!(asked("localhost").await, 200);
}

/// Without a token nobody is asked for one: there is only this machine.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_what_is_beyond_this_machine_gets_nothing() {
    let stage = start_at(AccessConfig::default(), Ipv4Addr::UNSPECIFIED).await;
    assert_eq!(stage.ask("GET /metrics", &[]).await.status, 200);
    // An address of this machine's that is not loopback is as good as another machine's.
    let probe = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = probe.connect("192.0.2.1:9").and_then(|()| probe.local_addr()).map(|address| address.ip());
    if let Ok(IpAddr::V4(own)) = own
        && !own.is_loopback()
    {
        let stage = Stage { address: (own, stage.address.port()).into(), ..stage };
        let host = format!("host: localhost:{}", stage.address.port());
        let answer = stage.send(own, "GET /metrics", &[&host], "").await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "unauthorized"));
    }
}

/// Nobody becomes somebody else by a header.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_trusted_proxy_says_where_a_request_comes_from() {
    let stage = start(AccessConfig::default()).await;
    for forwarded in [
        "x-forwarded-for: 192.0.2.1",
        "forwarded: for=192.0.2.1",
        "via: 1.1 proxy",
        "x-forwarded-proto: http",
        "x-real-ip: 192.0.2.1",
    ] {
        let answer = stage.ask("GET /metrics", &[forwarded]).await;
        assert_eq!(
            answer.status, 401,
            "a proxy on this machine does not make its clients of this machine: {forwarded}"
        );
    }
    let proxy: Ipv4Addr = [127, 0, 0, 9].into();
    stage
        .access
        .set(AccessConfig { trusted_proxies: vec![IpAddr::from(proxy).to_string().parse().unwrap()], ..guarded() });
    // A guesser that writes another address each time stays one.
    let mut statuses = Vec::new();
    for number in 0..12 {
        let forged = format!("x-forwarded-for: 198.51.100.{number}");
        statuses.push(stage.send([127, 0, 0, 2].into(), "GET /metrics", &[&forged, &bearer(WRONG)], "").await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    let mut statuses = Vec::new();
    for number in 0..12 {
        let appended = format!("x-forwarded-for: 198.51.100.{number}, 203.0.113.5");
        statuses.push(stage.send(proxy, "GET /metrics", &[&appended, &bearer(WRONG)], "").await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    let other = stage.send(proxy, "GET /metrics", &["x-forwarded-for: 203.0.113.6", &bearer(VIEW)], "").await;
    assert_eq!(other.status, 200, "the proxy's other clients are not locked out");
    // What the proxy received encrypted makes cookies that are never sent otherwise.
    let link = format!("GET /sign-in?token={VIEW}");
    let encrypted = ["x-forwarded-for: 203.0.113.6", "x-forwarded-proto: https", "x-forwarded-host: localhost"];
    let cookies = stage.send(proxy, &link, &encrypted, "").await;
    assert!(cookies.all("set-cookie").all(|cookie| cookie.starts_with("__Host-") && cookie.contains("; Secure")));
    assert_eq!((cookies.cookies().len(), cookies.header("strict-transport-security")), (2, ""));
}

/// Neither by headers that contradict each other nor by one that cannot be read.
#[tokio::test(flavor = "multi_thread")]
async fn no_client_of_a_proxy_has_its_wrong_tokens_counted_as_the_proxys_own() {
    let proxy = Ipv4Addr::new(127, 0, 0, 9);
    let trusted_proxies = vec![proxy.to_string().parse().unwrap()];
    let stage = start(AccessConfig { trusted_proxies, ..guarded() }).await;
    for number in 0..12 {
        let contradicting = format!("forwarded: for=198.51.100.{number}");
        let headers = [&*contradicting, "x-forwarded-for: 203.0.113.7", &bearer(WRONG)];
        let answer = stage.send(proxy, "GET /metrics", &headers, "").await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "forwarded_contradicts"));
    }
    let mut statuses = Vec::new();
    for _ in 0..12 {
        let unreadable = "x-forwarded-for: caf\u{e9}, 203.0.113.7";
        statuses.push(stage.send(proxy, "GET /metrics", &[unreadable, &bearer(WRONG)], "").await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(stage.send(proxy, "GET /metrics", &[&bearer(VIEW)], "").await.status, 200, "the proxy itself");
}

// ---- what answers say

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_keeps_browsers_from_framing_guessing_and_telling() {
    let stage = start(guarded()).await;
    let shown = bearer(BOTH);
    let paths = PATHS.iter().filter(|path| **path != "/api/v1/stream");
    for path in paths.chain(&["/sign-in", "/healthz"]) {
        for headers in [&[&*shown][..], &[]] {
            let answer = stage.ask(&format!("GET {path}"), headers).await;
            assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
            assert!(["DENY", "SAMEORIGIN"].contains(&answer.header("x-frame-options")), "{path}: {answer:?}");
            assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{path}");
            let policy = answer.header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors"), "{path}: {policy}");
            assert!(["no-referrer", "same-origin"].contains(&answer.header("referrer-policy")), "{path}");
            assert_eq!(answer.all("x-frame-options").count(), 1, "{path}");
            assert_eq!(answer.all("content-security-policy").count(), 1, "{path}");
        }
    }
    let page = stage.ask("GET /", &[&shown]).await;
    assert!(page.header("content-security-policy").ends_with("frame-ancestors 'self'"), "{page:?}");
    assert_eq!(stage.ask("GET /metrics", &[&shown]).await.header("x-frame-options"), "DENY");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_name_of_a_label_makes_no_formula_and_no_row() {
    let stage = start(AccessConfig::default()).await;
    let descriptor = tachograph::registry::Descriptor::new("taken", "Taken").label("by");
    let taken = stage.tacho.registry().counter(&descriptor).unwrap();
    taken.with(&[("by", "=cmd|' /C calc'!A0\",\"\r\n=1+1,\t@SUM(A1);=1+1;")]).unwrap().inc();
    let mut table = String::new();
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(250)).await;
        table = stage.ask("GET /api/v1/history?metric=taken&format=csv", &[]).await.body;
        if table.contains("calc") {
            break;
        }
    }
    assert!(table.contains("calc"), "{table}");
    for line in table.lines() {
        assert!(!line.starts_with(['=', '+', '-', '@', '\t']), "{table}");
    }
    assert!(!table.contains("\",\"=") && !table.contains("\n=") && !table.contains('\t'), "{table}");
    assert!(table.contains(";'=1+1;"), "where cells are separated by semicolons: {table}");
}

// ---- logs

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything that is logged on this thread.
fn logged() -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let held = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || held.clone())
        .finish();
    (log, tracing::subscriber::set_default(subscriber))
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

/// The runtime has one thread, so that all of the server's log is of it.
#[tokio::test]
async fn no_token_and_no_cookie_is_ever_logged() {
    let (log, _kept) = logged();
    let stage = start(guarded()).await;
    let cookies = stage.ask(&format!("GET /sign-in?token={VIEW}"), &NAVIGATION).await.cookies();
    let cookie = format!("cookie: {}", cookies.join("; "));
    stage.ask("GET /metrics", &[&cookie]).await;
    stage.ask("GET /metrics", &[&bearer(VIEW)]).await;
    stage.ask("GET /metrics", &[&bearer(WRONG)]).await;
    stage.sign_in(WRONG).await;
    stage.ask(&format!("GET /nothing?token={BOTH}"), &[]).await;
    let mut socket = stage.socket(&format!("/ws/live-listener?token={FEED}"), &[]).await.unwrap();
    next(&mut socket).await;
    drop(socket);
    let mut refused = stage.socket(&format!("/ws/live-listener?token={WRONG}"), &[]).await.unwrap();
    until_closed(&mut refused).await;
    stage.access.set(AccessConfig::default());
    tracing::info!(access = ?stage.access, config = ?guarded(), "what is shown of it");
    let text = log.text();
    assert!(text.contains("a browser signed in") && text.contains("a wrong token was shown"), "{text}");
    let values = cookies.iter().map(|cookie| cookie.split_once('=').unwrap().1);
    for secret in [VIEW, FEED, BOTH, WRONG].into_iter().chain(values) {
        assert!(!text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn no_client_writes_lines_of_the_log_or_moves_its_readers_cursor() {
    let (log, _kept) = logged();
    let stage = start(AccessConfig::default()).await;
    let hostile = "caller\n2026-01-01T00:00:00Z ERROR forged line\u{1b}[2J\u{9b}31m\r";
    let mut socket = stage.socket("/ws/live-listener", &[]).await.unwrap();
    let start = Start {
        session_id: hostile.into(),
        attempt_id: Some(hostile.into()),
        connection_id: Some(hostile.into()),
        ..Start::default()
    };
    socket.send(Message::text(start.encode())).await.unwrap();
    socket.send(Message::text(ClientMessage::encode_stop(hostile))).await.unwrap();
    until_closed(&mut socket).await;
    let mut socket = stage.socket("/ws/live-listener", &[]).await.unwrap();
    let wrong = serde_json::json!({"type": hostile, "session_id": hostile, "source": hostile});
    for text in [wrong.to_string(), ClientMessage::encode_audio(MIC, &[0; 2]), hostile.to_owned(), start.encode()] {
        socket.send(Message::text(text)).await.unwrap();
    }
    socket.send(Message::text(ClientMessage::encode_stop("another"))).await.unwrap();
    socket.send(Message::text(ClientMessage::encode_stop(hostile))).await.unwrap();
    until_closed(&mut socket).await;
    stage.ask("GET /a%0Ab%1B", &["host: a\u{1b}b", "origin: \u{1b}[2J"]).await;
    let text = log.text();
    assert!(text.contains("forged line"), "it is logged, escaped: {text}");
    assert!(!text.lines().any(|line| line.starts_with("2026-01-01")), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{9b}', '\r']), "{text}");
}
