use std::net::Ipv4Addr;

use futures_util::SinkExt;
use serde_json::Value;
use tachograph::access::AccessConfig;
use tachograph_core::wire::Start;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::{Answer, BOTH, FEED, PATHS, SLACK, Stage, VIEW, WRONG, bearer, guarded, next, start, until_closed};

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
