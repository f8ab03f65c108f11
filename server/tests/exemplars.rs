//! Whoever scrapes the metrics is told which sessions the times of chunks came from.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::time::Duration;

use futures_util::SinkExt;
use tachograph::listener::Listener;
use tachograph::provider::{Fault, Providers, Simulated, SimulatedControl};
use tachograph::{Tachograph, serve};
use tachograph_core::exposition::{Format, Page};
use tachograph_core::wire::{ClientMessage, SYSTEM, Start};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

/// In bytes: two chunks, and a rest.
const HALF_A_SECOND: usize = 16_000;

fn page(app: &Tachograph) -> String {
    let mut page = Page::new(app.registry(), Format::OpenMetrics, 0).with_exemplars(&app.metrics().exemplars);
    let mut text = Vec::new();
    while page.write(&mut text, 1_000) {}
    String::from_utf8(text).unwrap()
}

/// A server, once a session of this name had a chunk processed.
async fn after_a_chunk(session_id: &str) -> Tachograph {
    let control = SimulatedControl { rtf: 0.01, fault: Fault::None };
    let mut listening = Listener::new(Providers::only(Simulated::new(control)));
    listening.audio.chunk = Duration::from_millis(200);
    let app = Tachograph::builder().listener(listening).build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ws/live-listener", listener.local_addr().unwrap());
    tokio::spawn(serve(listener, app.clone()));
    let (mut socket, _) = connect_async(url).await.unwrap();
    let start = Start { session_id: session_id.into(), ..Start::default() };
    socket.send(Message::text(start.encode())).await.unwrap();
    let audio = ClientMessage::encode_audio(SYSTEM, &[0; HALF_A_SECOND]);
    socket.send(Message::text(audio)).await.unwrap();
    let processed = async {
        while app.registry().snapshot().counter("asr_chunks_processed", &[("source", "system")]).unwrap_or(0) < 2 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), processed).await.unwrap();
    // The second chunk is counted right before its exemplar is kept; the first one's was.
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn the_times_of_a_chunk_name_their_session() {
    let app = after_a_chunk("call} \\7").await;
    let page = page(&app);
    for family in ["inference_time_ms", "processing_time_ms"] {
        let begin = format!("{family}_bucket{{source=\"system\",le=\"");
        let named = |line: &str| line.starts_with(&begin) && line.contains(" # {session_id=\"call} \\\\7\"} ");
        assert!(page.lines().any(named), "{page}");
    }
    assert_eq!(app.metrics().exemplars_left_out.value(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_name_a_page_cannot_have_is_counted() {
    for session_id in ["x".repeat(119), "a\"b".into(), "\0".into()] {
        let app = after_a_chunk(&session_id).await;
        assert!(!page(&app).contains("session_id"));
        let left_out = app.metrics().exemplars_left_out.value();
        assert!((2..=4).contains(&left_out), "{left_out}: one of each family a chunk");
    }
}
