//! Tasks that fail where nobody expects it are begun anew. They are made to fail by what writes the log: each
//! line that is named here panics.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::fmt;
use std::io::{Read, Write};
use std::net::TcpListener as StdListener;
use std::sync::{Mutex, Once};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tachograph::export::Otlp;
use tachograph::listener::Listener;
use tachograph::provider::{Fault, Providers, Simulated, SimulatedControl};
use tachograph::registry::Descriptor;
use tachograph::wire::{ClientMessage, SYSTEM, Start};
use tachograph::{Tachograph, serve};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const LONG: Duration = Duration::from_secs(30);

/// The lines that are to panic, each once.
static TRAPS: Mutex<Vec<&str>> = Mutex::new(Vec::new());

struct Log;

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        let is_trapped = {
            let mut traps = TRAPS.lock().unwrap();
            let place = traps.iter().position(|trap| line.0.contains(trap));
            place.map(|place| traps.remove(place)).is_some()
        };
        assert!(!is_trapped, "on purpose: {}", line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
        self.0 += &format!("{value:?} ");
    }
}

/// One log for all tests of this process.
fn trap(line: &'static str) {
    static LOGGING: Once = Once::new();
    LOGGING.call_once(|| tracing::subscriber::set_global_default(Log).unwrap());
    TRAPS.lock().unwrap().push(line);
}

fn restarts(app: &Tachograph, task: &str) -> u64 {
    app.registry().snapshot().counter("tachograph_task_restarts", &[("task", task)]).unwrap_or_default()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONG, "never: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// A collector that takes all; it ends with the process.
fn take_all(listener: StdListener) {
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let mut bytes = [0; 65_536];
            socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            while socket.read(&mut bytes).is_ok_and(|length| length > 0) {}
            let _gone = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exporter_that_fails_is_begun_anew_with_what_waits() {
    let reserved = StdListener::bind("127.0.0.1:0").unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let app = Tachograph::new().unwrap();
    app.registry().counter(&Descriptor::new("served", "Served")).unwrap().with(&[]).unwrap().add(7);
    trap("takes no metrics now");
    let every = Duration::from_millis(200);
    let exporter = Otlp::new(format!("http://{address}")).interval(every);
    let exporter = exporter.spawn(&app, app.shutdown().clone()).unwrap();
    until("it fails", || restarts(&app, "exporter") == 1).await;
    take_all(StdListener::bind(address).unwrap());
    let sent = || app.registry().snapshot().counter("tachograph_otlp_requests_sent", &[]).unwrap_or_default();
    until("it sends what waited", || sent() > 2).await;
    let dropped = app.registry().snapshot().counter("tachograph_otlp_points_dropped", &[]);
    assert_eq!((restarts(&app, "exporter"), dropped), (1, None));
    app.shutdown().cancel();
    tokio::time::timeout(LONG, exporter).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_fails_is_begun_anew_and_nothing_is_unaccounted_for() {
    trap("a chunk failed");
    let simulated = Simulated::new(SimulatedControl { rtf: 0.1, fault: Fault::Error });
    let mut listener = Listener::new(Providers::only(simulated.clone()));
    listener.audio.chunk = Duration::from_millis(200);
    let app = Tachograph::builder().listener(listener).build().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ws/live-listener", socket.local_addr().unwrap());
    let serving = tokio::spawn(serve(socket, app.clone()));
    let (mut client, _) = connect_async(url).await.unwrap();
    client.send(Message::text(Start { session_id: "worker".into(), ..Start::default() }.encode())).await.unwrap();
    let audio = Message::text(ClientMessage::encode_audio(SYSTEM, &[1; 3_200]));
    while restarts(&app, "worker") == 0 {
        client.send(audio.clone()).await.unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    simulated.set_control(SimulatedControl { rtf: 0.1, fault: Fault::None });
    let counted = |name: &str| app.registry().snapshot().counter(name, &[("source", "system")]).unwrap_or_default();
    let begun = Instant::now();
    while counted("asr_chunks_processed") < 3 {
        assert!(begun.elapsed() < LONG, "it does not work again");
        client.send(audio.clone()).await.unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    client.send(Message::text(ClientMessage::encode_stop("worker"))).await.unwrap();
    let receipt = loop {
        let text = tokio::time::timeout(LONG, client.next()).await.unwrap().unwrap().unwrap().into_text().unwrap();
        let message: serde_json::Value = serde_json::from_str(&text).unwrap();
        if message["type"] == "final_summary" {
            break message["json"].clone();
        }
    };
    let bytes = |of: &str| receipt["sources"][0]["bytes"][of].as_u64().unwrap();
    assert!(bytes("processed") > 0 && bytes("dropped") > 0);
    assert_eq!((bytes("received"), bytes("queued")), (bytes("processed") + bytes("dropped"), 0));
    assert_eq!(restarts(&app, "worker"), 1);
    app.shutdown().cancel();
    tokio::time::timeout(LONG, serving).await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_fails_ends_alone_and_its_session_with_it() {
    trap("send start first");
    let listener = Listener::new(Providers::only(Simulated::new(SimulatedControl::default())));
    let app = Tachograph::builder().listener(listener).build().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ws/live-listener", socket.local_addr().unwrap());
    let serving = tokio::spawn(serve(socket, app.clone()));
    let (mut sound, _) = connect_async(&url).await.unwrap();
    sound.send(Message::text(Start { session_id: "sound".into(), ..Start::default() }.encode())).await.unwrap();
    let (mut failing, _) = connect_async(&url).await.unwrap();
    failing.send(Message::text(ClientMessage::encode_audio(SYSTEM, &[1; 3_200]))).await.unwrap();
    let mut last = None;
    while let Some(Ok(message)) = tokio::time::timeout(LONG, failing.next()).await.unwrap() {
        last = Some(message);
    }
    let Some(Message::Close(Some(close))) = last else { panic!("no close: {last:?}") };
    assert_eq!(u16::from(close.code), 1011);
    let counted = |name: &str| app.registry().snapshot().counter(name, &[]).unwrap_or_default();
    until("it is counted as gone", || counted("ws_disconnects_total") == 1).await;
    assert_eq!(app.registry().snapshot().gauge("active_sessions", &[]), Some(1.0));
    sound.send(Message::text(ClientMessage::encode_stop("sound"))).await.unwrap();
    let mut texts = String::new();
    while let Some(Ok(message)) = tokio::time::timeout(LONG, sound.next()).await.unwrap() {
        texts += &message.into_text().unwrap_or_default();
    }
    assert!(texts.contains("final_summary"), "{texts}");
    app.shutdown().cancel();
    tokio::time::timeout(LONG, serving).await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tick_that_stands_still_is_noticed_and_told_when_it_goes_on() {
    let hook = |tick| {
        if tick == 2 {
            std::thread::sleep(Duration::from_secs(5));
        }
    };
    let app = Tachograph::builder().on_tick(hook).build().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ws/stream", socket.local_addr().unwrap());
    let serving = tokio::spawn(serve(socket, app.clone()));
    let (mut viewer, _) = connect_async(url).await.unwrap();
    let stuck = || app.registry().snapshot().counter("tachograph_ticks_stuck", &[]).unwrap_or_default();
    until("it is noticed", || stuck() == 1).await;
    let mut told = false;
    while !told {
        let message = tokio::time::timeout(LONG, viewer.next()).await.unwrap().unwrap().unwrap();
        told = String::from_utf8_lossy(&message.into_data()).contains("the server's tick stood still for");
    }
    assert_eq!(stuck(), 1);
    let missed = app.registry().snapshot().counter("tachograph_ticks_missed", &[]).unwrap();
    assert!(missed >= 3, "{missed}");
    app.shutdown().cancel();
    tokio::time::timeout(LONG, serving).await.unwrap().unwrap().unwrap();
}
