//! The simulated service: what it tells is the same each time, can be read to the end, and reaches a viewer.
#![allow(clippy::panic, reason = "a test fails by it")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tachograph_core::session::Level;
use tachograph_core::snapshot::RegistrySnapshot;
use tachograph_core::wire::frame::{Arrival, Decoder, Follower, Outcome, Record, RecordKind, Request};
use tachograph_core::wire::{Event, EventKind, Metrics, ProviderState, SessionState};
use tachograph_tests::rehearsal::{Pace, Rehearsal, RehearsalServer, Scenario, Setup, record};
use tachograph_tests::{Failure, run};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const SOON: Duration = Duration::from_secs(5);

fn story() -> Setup {
    Setup { scenario: Scenario::Story, ..Setup::default() }
}

#[test]
fn the_same_seed_gives_the_same_bytes() -> Result<(), Failure> {
    let make = |seed| move || Ok::<_, Failure>(record(&mut Rehearsal::new(Setup { seed, ..story() })?, 60));
    // On another thread, beside a service that is not over.
    let mut other = Rehearsal::new(Setup::default())?;
    other.tick();
    let again = std::thread::spawn(make(7)).join().map_err(|_| "it panicked")??;
    // Not compared as `assert_eq` does: nobody reads what that prints.
    assert!(make(7)()? == again);
    assert!(make(8)()? != again);
    Ok(())
}

#[test]
fn a_service_is_as_large_as_asked_for() -> Result<(), Failure> {
    for series in [100, 1_000] {
        let mut rehearsal = Rehearsal::new(Setup { series, sessions: 20, ..Setup::default() })?;
        let mut before = RegistrySnapshot::default();
        for _ in 0..30 {
            rehearsal.tick();
            before = rehearsal.registry().clone();
        }
        rehearsal.tick();
        let now = rehearsal.registry();
        let changed = now.all_series().zip(before.all_series()).filter(|((_, now), (_, before))| {
            // A gauge of a snapshot has the time in it.
            match (now.value.gauge(), before.value.gauge()) {
                (Some(now), Some(before)) => now != before,
                _ => now.value != before.value,
            }
        });
        let (all, changed) = (now.all_series().count(), changed.count());
        println!("{changed} of {all} series changed");
        assert!((series * 9 / 10..=series * 11 / 10).contains(&all), "{all}");
        assert!((all * 30 / 100..=all * 55 / 100).contains(&changed), "{changed} of {all}");
        assert!(rehearsal.sessions().len() >= 15);
    }
    Ok(())
}

#[test]
fn what_went_in_comes_out() -> Result<(), Failure> {
    let mut rehearsal = Rehearsal::new(Setup { sessions: 12, scenario: Scenario::Failing, ..Setup::default() })?;
    let (mut deltas, mut follower) = (Decoder::default(), Follower::default());
    follower.take(&rehearsal.hello(Outcome::Fresh, 1), |_| {})?;
    for tick in 1..=150 {
        let frame = rehearsal.tick();
        assert_eq!((frame.seq, frame.tick), (tick, tick));
        deltas.decode(&frame.delta)?;
        assert_says(&deltas, &rehearsal);
        follower.take(&frame.delta, |_| {})?;
        let mut keyframes = Decoder::default();
        keyframes.decode(&rehearsal.schema())?;
        keyframes.decode(&rehearsal.keyframe())?;
        assert_says(&keyframes, &rehearsal);
    }
    Ok(())
}

fn assert_says(decoder: &Decoder, rehearsal: &Rehearsal) {
    let seq = decoder.state().head().seq;
    assert!(decoder.state().sessions().eq(rehearsal.sessions().iter().cloned()), "sessions of frame {seq}");
    // A stream has a sum as the nearest float, as JSON has.
    let (decoded, held) = (json(&decoder.state().registry()), json(rehearsal.registry()));
    assert!(decoded == held, "metrics of frame {seq}");
}

fn json(registry: &RegistrySnapshot) -> String {
    serde_json::to_string(registry).unwrap_or_default()
}

#[test]
fn the_books_balance_and_every_source_has_its_provider() -> Result<(), Failure> {
    for scenario in [Scenario::Story, Scenario::Failing] {
        let mut rehearsal = Rehearsal::new(Setup { scenario, sessions: 9, ..Setup::default() })?;
        for _ in 0..900 {
            rehearsal.tick();
            for figures in rehearsal.sessions().iter().flat_map(|session| &session.sources) {
                let Metrics { bytes_processed, bytes_dropped, queue_bytes, bytes_in_provider, .. } = figures;
                let accounted = bytes_processed + bytes_dropped + queue_bytes + bytes_in_provider;
                assert_eq!(figures.bytes_received, accounted, "{figures:?}");
                assert!(!figures.provider.is_empty() && !figures.model_id.is_empty(), "{figures:?}");
            }
        }
    }
    Ok(())
}

/// What was seen of a scenario in one stretch of it.
#[derive(Default)]
struct Seen {
    fill: f64,
    backlog: f64,
    realtime_factor: f64,
    level: Level,
    dropped: u64,
    provider_states: BTreeSet<String>,
    messages: BTreeSet<String>,
}

impl Seen {
    fn add(&mut self, rehearsal: &Rehearsal) {
        for figures in rehearsal.sessions().iter().flat_map(|session| &session.sources) {
            self.fill = self.fill.max(figures.queue_fill_ratio);
            self.backlog = self.backlog.max(figures.backlog_seconds);
            self.realtime_factor = self.realtime_factor.max(figures.realtime_factor);
            self.level = self.level.max(figures.degrade_level.unwrap_or_default());
            self.dropped += figures.dropped_recent;
            self.provider_states.insert(format!("{:?}", figures.provider_state));
        }
        self.messages.extend(rehearsal.state().events().iter().map(message));
    }

    fn stretch(rehearsal: &mut Rehearsal, seconds: u64) -> Self {
        let mut seen = Self::default();
        for _ in 0..seconds {
            rehearsal.tick();
            seen.add(rehearsal);
        }
        seen
    }

    fn was_told(&self, message: &str) -> bool {
        self.messages.contains(message)
    }
}

fn message(event: &Event) -> String {
    match &event.kind {
        EventKind::Status(status) => status.message.to_string(),
        EventKind::Fault(fault) => fault.message.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn the_story_is_health_overload_and_recovery() -> Result<(), Failure> {
    let mut rehearsal = Rehearsal::new(story())?;
    let health = Seen::stretch(&mut rehearsal, 300);
    assert!(health.fill < 0.85 && health.realtime_factor < 0.8 && health.dropped == 0, "{}", health.fill);
    assert_eq!(health.level, Level::Normal);

    let overload = Seen::stretch(&mut rehearsal, 300);
    assert!(overload.fill > 0.95 && overload.backlog > 1.5 && overload.realtime_factor > 1.2, "{}", overload.fill);
    assert!(overload.dropped > 0 && overload.level >= Level::Emergency, "{:?}", overload.level);
    for told in [
        "More arrives than is processed",
        "The queue is full or nearly so",
        "Processing slower than real-time",
        "Reduced quality for stability",
        "Critical backlog, dropping frames",
        "Frames were dropped",
        "The provider failed and is being restarted",
    ] {
        assert!(overload.was_told(told) && !health.was_told(told), "{told}: {:?}", overload.messages);
    }

    let recovery = Seen::stretch(&mut rehearsal, 300);
    assert!(overload.was_told("Backlog cleared") && recovery.was_told("Performance optimal"));
    let end = Seen::stretch(&mut rehearsal, 1);
    assert!(end.level == Level::Normal && end.realtime_factor < 0.8, "{:?}", end.level);
    Ok(())
}

#[test]
fn a_failing_provider_is_restarted_and_replaced() -> Result<(), Failure> {
    let mut rehearsal = Rehearsal::new(Setup { scenario: Scenario::Failing, ..Setup::default() })?;
    let seen = Seen::stretch(&mut rehearsal, 290);
    for state in [ProviderState::Restarting, ProviderState::Failed] {
        assert!(seen.provider_states.contains(&format!("{state:?}")), "{:?}", seen.provider_states);
    }
    assert!(seen.was_told("The provider failed") && seen.was_told("Switching to fallback provider"));
    assert!(seen.was_told("SessionStarted"));
    Ok(())
}

/// What is told of a second is told in its frame: none comes early or late.
#[test]
fn events_are_told_when_the_figures_show_them() -> Result<(), Failure> {
    let mut rehearsal = Rehearsal::new(story())?;
    let mut told = BTreeSet::new();
    for _ in 0..500 {
        rehearsal.tick();
        let end = rehearsal.state().head().wall_ms as f64 / 1e3;
        let events = rehearsal.state().events();
        assert!(events.iter().all(|event| end - 1.0 < event.timestamp && event.timestamp <= end));
        assert!(events.windows(2).all(|pair| pair[0].timestamp <= pair[1].timestamp));
        for event in events {
            let EventKind::Status(status) = &event.kind else { continue };
            let Some(figures) = figures(rehearsal.sessions(), event) else { continue };
            if let Some(dropped) = status.dropped_frames {
                assert_eq!(figures.dropped_recent, dropped);
            }
            if let Some(level) = status.degrade_level {
                assert_eq!(figures.degrade_level, Some(level));
            }
            told.insert(status.message.to_string());
        }
    }
    assert!(told.len() > 6, "{told:?}");
    Ok(())
}

/// Those of the source that an event is about.
fn figures<'a>(sessions: &'a [SessionState], event: &Event) -> Option<&'a Metrics> {
    let EventKind::Status(status) = &event.kind else { return None };
    let session = sessions.iter().find(|session| Some(session.id) == event.session)?;
    session.sources.iter().find(|figures| Some(figures.source) == status.source)
}

#[test]
fn a_recording_is_read_to_the_end() -> Result<(), Failure> {
    let recording = record(&mut Rehearsal::new(story())?, 700);
    let kinds: Vec<RecordKind> =
        Record::all(&recording).map(|record| Ok(record?.kind)).collect::<Result<_, Failure>>()?;
    assert_eq!(kinds[..2], [RecordKind::Hello, RecordKind::Schema]);
    let keyframes = kinds.iter().filter(|kind| **kind == RecordKind::Keyframe).count();
    assert!(keyframes > 2, "{keyframes} keyframes");
    assert_eq!(Decoder::default().decode(&recording)?, 700);
    let (mut follower, mut seqs) = (Follower::default(), Vec::new());
    follower.take(&recording, |arrival| match arrival {
        Arrival::Newest(state) => seqs.push(state.head().seq),
        Arrival::Hello(hello) => assert_eq!((hello.outcome, hello.first_seq), (Outcome::Fresh, 1)),
        other => panic!("{other:?}"),
    })?;
    assert_eq!(seqs, (1..=700).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn tail_shows_a_recording() -> Result<(), Failure> {
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("rehearsal.tach");
    std::fs::write(&file, record(&mut Rehearsal::new(story())?, 90))?;
    let path = file.to_str().ok_or("the path is no text")?;
    let ended = run(&["tail", "--json", path], Duration::from_secs(30))?;
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), 90);
    Ok(())
}

#[test]
fn ten_thousand_series_for_fifteen_minutes() -> Result<(), Failure> {
    for (series, sessions) in [(10_000, 6), (100, 1_000)] {
        let mut rehearsal = Rehearsal::new(Setup { series, sessions, ..Setup::default() })?;
        let ticks = 900;
        let (began, mut bytes) = (Instant::now(), 0);
        for _ in 0..ticks {
            bytes += rehearsal.tick().delta.len();
        }
        let took = began.elapsed();
        let a_frame = bytes / ticks;
        println!("{series} series, {sessions} sessions: {ticks} frames of {a_frame} bytes in {took:.1?}");
    }
    Ok(())
}

// ---- the server

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A viewer without its page.
struct Viewer {
    socket: Socket,
    outcome: Option<Outcome>,
    skipped: u64,
    /// The frames that came, new ones and those that filled a hole.
    seqs: Vec<u64>,
}

impl Viewer {
    async fn open(server: &RehearsalServer, request: Request) -> Result<Self, Failure> {
        let (socket, _) = connect_async(format!("ws://{}/ws/stream?{request}", server.address)).await?;
        Ok(Self { socket, outcome: None, skipped: 0, seqs: Vec::new() })
    }

    /// Reads until the frame of this number.
    async fn read_to(&mut self, follower: &mut Follower, seq: u64) -> Result<(), Failure> {
        while follower.state().head().seq < seq {
            let received = timeout(SOON, self.socket.next()).await?.ok_or("the connection ended")??;
            let Message::Binary(message) = received else { continue };
            follower.take(&message, |arrival| match arrival {
                Arrival::Hello(hello) => self.outcome = Some(hello.outcome),
                Arrival::Newest(state) | Arrival::Fills(state) => self.seqs.push(state.head().seq),
                Arrival::Skipped(frames) => self.skipped += frames,
            })?;
        }
        Ok(())
    }
}

async fn paused() -> Result<RehearsalServer, Failure> {
    RehearsalServer::start(Rehearsal::new(Setup::default())?, Pace::Paused).await
}

#[tokio::test]
async fn a_viewer_gets_the_past_it_asks_for_and_what_comes() -> Result<(), Failure> {
    let server = paused().await?;
    assert_eq!(server.send(400).await?, 400);
    let (mut follower, mut other) = (Follower::default(), Follower::default());
    let mut viewer = Viewer::open(&server, Request::Window { seconds: 100 }).await?;
    let mut newest = Viewer::open(&server, Request::Window { seconds: 0 }).await?;
    viewer.read_to(&mut follower, 400).await?;
    newest.read_to(&mut other, 400).await?;
    assert_eq!(server.viewers(), 2);
    server.send(5).await?;
    viewer.read_to(&mut follower, 405).await?;
    newest.read_to(&mut other, 405).await?;
    assert_eq!(viewer.outcome, Some(Outcome::Fresh));
    assert!(viewer.seqs[0] <= 301, "from a keyframe before the window on: {}", viewer.seqs[0]);
    assert!(viewer.seqs.windows(2).all(|pair| pair[1] == pair[0] + 1));
    Ok(())
}

#[tokio::test]
async fn a_viewer_goes_on_where_it_was() -> Result<(), Failure> {
    let server = paused().await?;
    server.send(100).await?;
    let mut follower = Follower::default();
    Viewer::open(&server, follower.request(100)).await?.read_to(&mut follower, 100).await?;
    server.send(50).await?;
    let mut after = Viewer::open(&server, follower.request(100)).await?;
    after.read_to(&mut follower, 150).await?;
    assert_eq!(after.outcome, Some(Outcome::Resumed));
    assert_eq!(after.seqs, (101..=150).collect::<Vec<_>>());

    let epoch = follower.hello().ok_or("no hello")?.epoch;
    let mut since = Viewer::open(&server, Request::Since { epoch, seq: 120 }).await?;
    since.read_to(&mut Follower::default(), 150).await?;
    assert_eq!(since.outcome, Some(Outcome::Resumed));
    assert!(since.seqs[0] <= 121);

    server.send(500).await?;
    server.keep(350);
    let mut gone = Viewer::open(&server, Request::After { epoch, seq: 150 }).await?;
    gone.read_to(&mut follower, 650).await?;
    assert_eq!(gone.outcome, Some(Outcome::Gone));
    assert!(gone.seqs[0] > 300);
    Ok(())
}

#[tokio::test]
async fn a_viewer_is_skipped_cut_off_and_restarted() -> Result<(), Failure> {
    let server = paused().await?;
    server.send(10).await?;
    let mut follower = Follower::default();
    let mut viewer = Viewer::open(&server, Request::Window { seconds: 60 }).await?;
    viewer.read_to(&mut follower, 10).await?;
    server.skip(20).await?;
    server.send(2).await?;
    viewer.read_to(&mut follower, 32).await?;
    assert_eq!((viewer.skipped, follower.has_hole()), (19, true));

    server.cut();
    assert!(viewer.read_to(&mut follower, 33).await.is_err());
    server.miss(3)?;
    assert_eq!(server.send(1).await?, 33);
    let mut filled = Viewer::open(&server, follower.request(60)).await?;
    filled.read_to(&mut follower, 33).await?;
    assert!(!follower.has_hole());
    assert_eq!((follower.state().head().tick, follower.state().server().ticks_missed), (36, 3));

    server.restart(Rehearsal::new(Setup { seed: 2, ..Setup::default() })?)?;
    server.send(4).await?;
    assert!(filled.read_to(&mut follower, 34).await.is_err());
    let mut again = Viewer::open(&server, follower.request(60)).await?;
    let mut fresh = Follower::default();
    again.read_to(&mut fresh, 4).await?;
    assert_eq!(again.outcome, Some(Outcome::Restarted));
    Ok(())
}

#[tokio::test]
async fn frames_come_once_a_second_or_not_at_all() -> Result<(), Failure> {
    let began = Instant::now();
    let server = RehearsalServer::start(Rehearsal::new(Setup::default())?, Pace::EverySecond).await?;
    let mut follower = Follower::default();
    let mut viewer = Viewer::open(&server, Request::Window { seconds: 60 }).await?;
    viewer.read_to(&mut follower, 4).await?;
    // The first at once.
    assert!((3.0..6.0).contains(&began.elapsed().as_secs_f64()), "{:?}", began.elapsed());
    server.set_pace(Pace::Paused)?;
    let paused = server.send(0).await?;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(server.newest(), paused);
    Ok(())
}

#[tokio::test]
async fn the_recording_is_what_was_sent() -> Result<(), Failure> {
    let server = paused().await?;
    server.send(120).await?;
    let body = get(&server, "/api/v1/recording", "").await?.body;
    assert!(body == record(&mut Rehearsal::new(Setup::default())?, 120));
    Ok(())
}

struct Answer {
    content_type: String,
    encoding: Option<String>,
    body: Vec<u8>,
}

async fn get(server: &RehearsalServer, path: &str, accept_encoding: &str) -> Result<Answer, Failure> {
    let request = ureq::get(format!("http://{}{path}", server.address)).header("accept-encoding", accept_encoding);
    tokio::task::spawn_blocking(move || {
        let mut answer = request.call()?;
        let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (content_type, encoding) = (header("content-type").unwrap_or_default(), header("content-encoding"));
        Ok(Answer { content_type, encoding, body: answer.body_mut().read_to_vec()? })
    })
    .await?
}

#[tokio::test]
async fn the_page_is_served() -> Result<(), Failure> {
    let server = paused().await?;
    let plain = get(&server, "/", "identity").await?;
    assert_eq!((&*plain.content_type, plain.encoding), ("text/html; charset=utf-8", None));
    let index = String::from_utf8(plain.body)?;
    let module = index.split(['"', '\'']).find(|part| part.ends_with(".wasm")).ok_or("the page has no module")?;
    let module = &format!("/{}", module.trim_start_matches(['.', '/']));
    let compressed = get(&server, module, "gzip, br").await?;
    assert_eq!((&*compressed.content_type, compressed.encoding.as_deref()), ("application/wasm", Some("br")));
    let module = get(&server, module, "identity").await?;
    assert!(module.body.starts_with(b"\0asm") && module.body.len() > compressed.body.len());
    assert!(get(&server, "/../Cargo.toml", "").await.is_err());
    Ok(())
}
