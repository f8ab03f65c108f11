use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::SinkExt;
use tachograph::access::AccessConfig;
use tachograph_core::wire::{ClientMessage, MIC, Start};
use tokio_tungstenite::tungstenite::Message;

use super::{BOTH, FEED, NAVIGATION, VIEW, WRONG, bearer, guarded, next, start, until_closed};

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
