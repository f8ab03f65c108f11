//! The stream over real sockets: whole and in part, as frames, lines, events and tables, for viewers that
//! come late, come back, or do not read.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by it")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;
use tachograph::{Builder, HistoryLimits, Tachograph, serve};
use tachograph_core::instrument::{Counter, Gauge};
use tachograph_core::registry::Descriptor;
use tachograph_core::wire::EventKind;
use tachograph_core::wire::frame::{Applied, Arrival, Decoder, Epoch, Follower, Outcome, Record, RecordKind, State};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const LONG: Duration = Duration::from_secs(15);

struct Running {
    app: Tachograph,
    address: SocketAddr,
    /// Of `steps{place="0"}` to `steps{place="9"}`, which grow by their place's number each time.
    steps: Vec<Counter>,
}

async fn start(builder: Builder) -> Running {
    let app = builder.build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let family = app.registry().counter(&Descriptor::new("steps", "Steps").label("place")).unwrap();
    let steps = (0..10).map(|place| family.bind(&[("place", &place.to_string())]).unwrap()).collect();
    let running = Running { app: app.clone(), address, steps };
    tokio::spawn(serve(listener, app));
    running
}

impl Running {
    fn step(&self) {
        (0..).zip(&self.steps).for_each(|(place, counter)| counter.add(place));
    }

    async fn connect(&self, query: &str) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
        connect_async(format!("ws://{}/ws/stream?{query}", self.address)).await.unwrap().0
    }

    /// The answer's head and body to a GET, as much as comes until `enough` says so.
    async fn get(&self, path: &str, accept: &str, enough: impl Fn(&str) -> bool) -> String {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: {accept}\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let (mut text, mut piece) = (Vec::new(), vec![0; 65_536]);
        loop {
            let read = timeout(LONG, socket.read(&mut piece)).await.unwrap().unwrap();
            text.extend_from_slice(&piece[..read]);
            let so_far = String::from_utf8_lossy(&text);
            if read == 0 || enough(&so_far) {
                return so_far.into_owned();
            }
        }
    }
}

/// Takes messages until `wanted` holds of a frame; tells of all frames on the way.
async fn follow(
    socket: &mut WebSocketStream<MaybeTlsStream<TcpStream>>,
    follower: &mut Follower,
    mut wanted: impl FnMut(&State) -> bool,
) -> Vec<u64> {
    let (mut seqs, mut is_there) = (Vec::new(), false);
    while !is_there {
        let message = timeout(LONG, socket.next()).await.unwrap().unwrap().unwrap();
        let Message::Binary(bytes) = message else { panic!("{message:?} is no frame") };
        follower
            .take(&bytes, |arrival| {
                if let Arrival::Newest(state) | Arrival::Fills(state) = arrival {
                    seqs.push(state.head().seq);
                    is_there |= wanted(state);
                }
            })
            .unwrap();
    }
    seqs
}

fn total(state: &State, place: &str) -> Option<u64> {
    state.registry().counter("steps", &[("place", place)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_gets_the_past_then_each_tick_and_goes_on_where_it_was() {
    let server = start(Tachograph::builder()).await;
    for _ in 0..3 {
        server.step();
        sleep(Duration::from_secs(1)).await;
    }
    let (mut socket, mut follower) = (server.connect("window=1h").await, Follower::default());
    let seqs = follow(&mut socket, &mut follower, |state| state.head().seq == 5).await;
    assert_eq!(seqs, [1, 2, 3, 4, 5], "the past in one go, then live");
    assert_eq!(follower.hello().unwrap().outcome, Outcome::Fresh);
    drop(socket);
    server.step();
    sleep(Duration::from_millis(2_200)).await;
    let mut socket = server.connect(&follower.request(0).to_string()).await;
    let seqs = follow(&mut socket, &mut follower, |state| total(state, "9") == Some(36)).await;
    assert_eq!((follower.hello().unwrap().outcome, seqs[0]), (Outcome::Resumed, 6), "exactly what it missed: {seqs:?}");
    let other = Epoch::from_bytes([9; 16]);
    let mut socket = server.connect(&format!("epoch={other}&after=3")).await;
    let mut stranger = Follower::default();
    follow(&mut socket, &mut stranger, |_| true).await;
    assert_eq!(stranger.hello().unwrap().outcome, Outcome::Restarted);
}

/// A server that keeps a keyframe of every other frame.
async fn start_with_keyframes() -> Running {
    let history = HistoryLimits { span: Duration::from_secs(8), ..HistoryLimits::default() };
    start(Tachograph::builder().history(history)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_keyframe_follows_its_frame_for_who_asks_and_what_is_kept_can_be_entered_there() {
    let server = start_with_keyframes().await;
    server.step();
    sleep(Duration::from_millis(3_300)).await;
    let mut socket = server.connect("window=1h&keyframes=true").await;
    let (mut kept, mut follower, mut told) = (Vec::new(), Follower::default(), Vec::new());
    while told.len() < 7 {
        let message = timeout(LONG, socket.next()).await.unwrap().unwrap().unwrap().into_data();
        kept.extend_from_slice(&message);
        let look = |arrival: Arrival<'_>| {
            if let Arrival::Newest(state) = arrival {
                told.push(state.head().seq);
            }
        };
        follower.take(&message, look).unwrap();
    }
    assert_eq!(told, [1, 2, 3, 4, 5, 6, 7], "each frame once, of the past and live");
    let records: Vec<_> = Record::all(&kept).map(Result::unwrap).collect();
    let (mut decoder, mut entrances) = (Decoder::default(), Vec::new());
    for (place, record) in records.iter().enumerate() {
        let before = decoder.state().head().seq;
        if decoder.apply(record).unwrap() == Applied::Frame && record.kind == RecordKind::Keyframe && before > 0 {
            assert_eq!(decoder.state().head().seq, before, "it stands behind its frame");
            entrances.push(place);
        }
    }
    assert_eq!(entrances.len(), 2, "of the third and the fifth");
    for place in entrances {
        let mut late = Decoder::default();
        let schema = records[..place].iter().filter(|record| record.kind == RecordKind::Schema);
        for record in schema.chain(&records[place..]) {
            late.apply(record).unwrap();
        }
        let texts = [&late, &decoder].map(|decoder| decoder.state().to_plain(Epoch::default(), ""));
        assert_eq!(texts[0], texts[1]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_gets_its_part_of_the_past_and_of_what_comes() {
    let server = start(Tachograph::builder()).await;
    server.step();
    sleep(Duration::from_millis(1_500)).await;
    let query = "window=1h&sessions=0&metrics=steps&label=place:7";
    let (mut socket, mut follower) = (server.connect(query).await, Follower::default());
    let mut shown = Vec::new();
    server.step();
    follow(&mut socket, &mut follower, |state| {
        let series: Vec<String> = state
            .registry()
            .all_series()
            .map(|(family, series)| format!("{} {:?}", family.name(), series.value))
            .collect();
        shown.push(series);
        total(state, "7") == Some(14)
    })
    .await;
    assert_eq!(shown.last().unwrap(), &["steps Counter(14)"]);
    assert!(shown.iter().all(|series| series.len() == 1), "{shown:?}");
    // Whoever comes back goes on with frames that another relay wrote.
    let seq = follower.state().head().seq;
    drop(socket);
    sleep(Duration::from_millis(1_300)).await;
    server.step();
    let request = follower.request(0);
    let mut socket = server.connect(&format!("{request}&sessions=0&metrics=steps&label=place:7")).await;
    let seqs = follow(&mut socket, &mut follower, |state| total(state, "7") == Some(21)).await;
    assert_eq!(seqs[0], seq + 1);
    let big = server.connect("window=1h").await;
    drop(big);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_events_table_and_frames_say_the_same() {
    let server = start(Tachograph::builder()).await;
    server.step();
    sleep(Duration::from_millis(2_100)).await;
    let lines =
        server.get("/api/v1/stream?window=all&metrics=steps", "*/*", |text| text.matches("\"seq\":").count() > 2);
    let lines = lines.await;
    let frames: Vec<Value> = lines
        .lines()
        .filter(|line| line.starts_with("{\"epoch\""))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(frames[1]["seq"], 2);
    let event_text = server
        .get("/api/v1/stream?window=all&metrics=steps", "text/event-stream", |text| text.matches("id: ").count() > 2);
    let event_text = event_text.await;
    let datas: Vec<Value> = event_text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter_map(|data| serde_json::from_str(data).ok())
        .collect();
    assert_eq!(datas[..2], frames[..2]);
    assert!(event_text.contains(&format!("id: {}/2\n", server.app.epoch())));
    let table = server.get("/api/v1/history?metric=steps", "*/*", |_| false).await;
    let body: String = table.split("\r\n").filter(|line| line.contains(['{', '[', ']'])).collect();
    let table: Value = serde_json::from_str(&body).unwrap();
    let column = table["columns"].as_array().unwrap().iter().position(|column| column["name"] == "steps{place=\"7\"}");
    let figure = |frame: &Value| frame["registry"]["families"][0]["series"][7]["counter"].clone();
    for (row, frame) in table["rows"].as_array().unwrap().iter().zip(&frames) {
        assert_eq!((&row[0], &row[1], &row[2]), (&frame["timestamp"], &frame["seq"], &frame["tick"]));
        assert_eq!(row[column.unwrap()], figure(frame));
    }
    let csv = server.get("/api/v1/history?metric=steps&format=csv", "*/*", |_| false).await;
    assert!(csv.contains("timestamp,seq,tick,\"steps{place=\"\"0\"\"}\""), "{csv}");
    assert!(csv.contains(",2,1,0,1,2,3,4,5,6,7,8,9\n"), "{csv}");
}

fn gauge(server: &Running, place: usize) -> Gauge {
    let descriptor = Descriptor::new(&format!("wide_{}", place / 500), "Wide").label("place");
    server.app.registry().gauge(&descriptor).unwrap().bind(&[("place", &place.to_string())]).unwrap()
}

/// A connection that does not read costs nobody anything, and finds the newest state when it reads again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_that_does_not_read_delays_nobody_and_skips_to_the_newest_state() {
    let server = start(Tachograph::builder()).await;
    // Frames that fill what the system buffers within seconds.
    let wide: Vec<_> = (0..50_000).map(|place| gauge(&server, place)).collect();
    let mut deaf = server.connect("").await;
    let (mut socket, mut follower) = (server.connect("").await, Follower::default());
    let mut late = Vec::new();
    for turn in 0..16 {
        wide.iter().enumerate().for_each(|(place, gauge)| gauge.set(((place * 7_919 + turn * 104_729) as f64).sqrt()));
        let seq = follower.state().head().seq;
        follow(&mut socket, &mut follower, |state| state.head().seq > seq).await;
        late.push(follower.state().server().tick_lag_ms);
    }
    // The machine may have been late with one; who does not read would be with most.
    assert!(late.iter().filter(|ms| **ms >= 500.0).count() <= 1, "{late:?}");
    let newest = follower.state().head().seq;
    let (mut slow, mut skipped) = (Follower::default(), 0);
    while slow.state().head().seq < newest {
        let Some(Ok(Message::Binary(bytes))) = timeout(LONG, deaf.next()).await.unwrap() else { panic!("cut off") };
        for record in Record::all(&bytes) {
            skipped += u64::from(record.unwrap().kind == RecordKind::Skipped);
        }
        slow.take(&bytes, |_| {}).unwrap();
    }
    assert!(skipped > 0 && slow.has_hole(), "it was not behind enough to skip");
    assert_eq!(slow.state().registry().gauge("wide_0", &[("place", "3")]).map(|_| ()), Some(()));
    let counted = server.app.registry().snapshot().counter("tachograph_viewer_frames_skipped", &[]).unwrap();
    assert!(counted > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tick_that_panics_costs_its_frame_and_is_told() {
    let calls = Arc::new(AtomicU64::new(0));
    let hook = move |_| assert!(calls.fetch_add(1, Ordering::Relaxed) != 2, "on purpose");
    let server = start(Tachograph::builder().on_tick(hook)).await;
    let (mut socket, mut follower) = (server.connect("").await, Follower::default());
    let (mut ticks, mut told) = (Vec::new(), false);
    follow(&mut socket, &mut follower, |state| {
        ticks.push(state.head().tick);
        told |= state.events().iter().any(|event| event.kind == EventKind::CollectorRestarted);
        state.head().tick >= 4
    })
    .await;
    assert!(told && !ticks.contains(&2), "{ticks:?}");
    assert!(!follower.has_hole(), "no frame is missing: there was none");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_served_is_refused_in_words() {
    let server = start(Tachograph::builder()).await;
    let refused = async |path: &str| server.get(path, "*/*", |_| false).await;
    assert!(refused("/api/v1/stream?windows=1").await.contains("\"invalid_query\""));
    assert!(refused("/api/v1/history?from=yesterday").await.contains("Unix seconds"));
    for query in ["keyframes=true", "keyframes=true&sessions=0", "keyframes=true&metrics=a"] {
        let answer = refused(&format!("/api/v1/stream?{query}")).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("`keyframes` goes with"), "{answer}");
    }
    let mut held = Vec::new();
    for number in 0..64 {
        held.push(server.connect(&format!("metrics=m{number}")).await);
    }
    let one_more = refused("/api/v1/stream?metrics=m64").await;
    assert!(one_more.starts_with("HTTP/1.1 503") && one_more.contains("too_many_subscriptions"), "{one_more}");
    // One that is there already can be shared, and the whole stream is always there.
    held.push(server.connect("metrics=m3").await);
    held.push(server.connect("").await);
    drop(held);
    // What nobody reads is let go after some ticks.
    for _ in 0..20 {
        sleep(Duration::from_millis(500)).await;
        if server.app.registry().snapshot().gauge("tachograph_subscriptions", &[]) == Some(0.0) {
            return;
        }
    }
    panic!("subscriptions are kept that nobody reads");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_source_resumes_after_its_last_event() {
    let server = start(Tachograph::builder()).await;
    sleep(Duration::from_millis(2_100)).await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    let request = format!(
        "GET /api/v1/stream?window=all HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\nlast-event-id: {}/2\r\n\r\n",
        server.app.epoch()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut lines = BufReader::new(socket).lines();
    loop {
        let line = timeout(LONG, lines.next_line()).await.unwrap().unwrap().unwrap();
        assert!(!line.contains("\"gap\""), "{line}");
        if let Some(id) = line.strip_prefix("id: ") {
            assert_eq!(id, format!("{}/3", server.app.epoch()));
            return;
        }
    }
}
