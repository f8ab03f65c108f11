//! A recording of the past: as it comes from the server, and as `tachograph tail` shows it.
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::process::Command;
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::Value;
use tachograph::{HistoryLimits, Tachograph, router, serve};
use tachograph_core::wire::frame::{Arrival, Follower, Record, RecordKind};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tower::ServiceExt;

/// A server that keeps a keyframe of every other frame.
async fn start() -> Tachograph {
    let history = HistoryLimits { span: Duration::from_secs(8), ..HistoryLimits::default() };
    let app = Tachograph::builder().history(history).build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    tokio::spawn(serve(listener, app.clone()));
    app
}

async fn recording(app: &Tachograph, query: &str) -> Vec<u8> {
    let request = Request::get(format!("/api/v1/recording?{query}")).body(Body::empty()).unwrap();
    let answer = router(app).with_state(()).oneshot(request).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/octet-stream");
    let name = answer.headers()["content-disposition"].to_str().unwrap();
    assert!(name.starts_with("attachment; filename=\"tachograph-2") && name.ends_with("Z.tacho\""), "{name}");
    to_bytes(answer.into_body(), usize::MAX).await.unwrap().to_vec()
}

/// The numbers of the frames of a recording, each as often as it is told.
fn told(recording: &[u8]) -> Vec<u64> {
    let (mut follower, mut seqs) = (Follower::default(), Vec::new());
    let look = |arrival: Arrival<'_>| {
        if let Arrival::Newest(state) | Arrival::Fills(state) = arrival {
            seqs.push(state.head().seq);
        }
    };
    follower.take(recording, look).unwrap();
    seqs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_is_the_past_and_ends_and_tail_shows_each_of_its_frames_once() {
    let app = start().await;
    let began = Instant::now();
    while app.metrics().history_frames.value() < 6.0 {
        assert!(began.elapsed() < Duration::from_secs(20), "no frames");
        sleep(Duration::from_millis(10)).await;
    }
    let all = recording(&app, "").await;
    assert_eq!(told(&all), [1, 2, 3, 4, 5, 6]);
    let keyframes = Record::all(&all).filter(|record| record.unwrap().kind == RecordKind::Keyframe).count();
    assert_eq!(keyframes, 3);
    assert_eq!(told(&recording(&app, "window=2s").await), [5, 6], "from a keyframe on");
    let path = std::env::temp_dir().join(format!("tachograph-{}.tacho", app.epoch()));
    std::fs::write(&path, &all).unwrap();
    let shown = Command::new(env!("CARGO_BIN_EXE_tachograph")).arg("tail").arg(&path).arg("--json").output().unwrap();
    std::fs::remove_file(&path).unwrap();
    assert!(shown.status.success(), "{shown:?}");
    let lines = String::from_utf8(shown.stdout).unwrap();
    let seqs = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap());
    assert!(seqs.eq(1..=6), "{lines}");
    app.shutdown().cancel();
}
