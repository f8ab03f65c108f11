//! The exact bytes of a stream, and what each of its frames says. `TACHOGRAPH_BLESS=1 make test-core` writes
//! both anew.

use tachograph_core::registry::{Aggregation, DefaultMetrics, Descriptor};
use tachograph_core::session::{Audio, AudioConfig, ProviderInForce, Session, Voice};
use tachograph_core::time::Moment;
use tachograph_core::wire::frame::{Applied, Decoder, Outcome, Record, write_skipped};
use tachograph_core::wire::{
    ErrorCode, ErrorMessage, Event, EventKind, MIC, SYSTEM, SessionPhase, SourceName, Status, StatusState, StreamFrame,
};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::frame_support::{EPOCH, SERVER_VERSION, Server, add_source, hello, json, session, silent, text};
use crate::support::{identity, ms, pcm, took};

pub(crate) const FRAMES: &[u8] = include_bytes!("../golden/frames.bin");
const PLAIN: &str = include_str!("../golden/frames.jsonl");

/// A stream with something of everything, and what each of its frames says.
fn written() -> (Vec<u8>, Vec<StreamFrame<'static>>) {
    let mut server = Server::new();
    let (mut stream, mut plain) = (hello(Outcome::Fresh, 1), Vec::new());
    let frames = server.registry.counter(&Descriptor::new("frames", "Frames seen").label("source")).unwrap();
    let lag = Descriptor::new("lag", "How late").unit("s").aggregation(Aggregation::Max);
    let lag = server.registry.gauge(&lag).unwrap().bind(&[]).unwrap();
    let times = Descriptor::new("time", "Time to answer").unit("ms").bounds(&[1.0, 2.5]);
    let times = server.registry.histogram(&times).unwrap().bind(&[]).unwrap();
    frames.with(&[("source", "mic")]).unwrap().add(3);
    // The first frame, as a keyframe.
    plain.push(server.say().plain);
    stream.extend(server.join());
    // Figures move.
    frames.with(&[("source", "mic")]).unwrap().add(300);
    lag.set(0.25);
    [0.0, 1.5, 1.5, -3.25].into_iter().for_each(|value| times.record(value));
    say(&mut server, &mut stream, &mut plain);
    // Series that sort before the others, a family, and one without series.
    frames.with(&[("source", "a")]).unwrap().inc();
    server.registry.counter(&Descriptor::new("arrivals", "").label("kind")).unwrap();
    server
        .registry
        .gauge(&Descriptor::new("depth", "Wait").label("source"))
        .unwrap()
        .with(&[("source", "ä")])
        .unwrap()
        .set(1e300);
    say(&mut server, &mut stream, &mut plain);
    sessions(&mut server, &mut stream, &mut plain);
    // A reader that was slow.
    write_skipped(2, &mut stream);
    server.tick += 2;
    server.server.ticks_missed = 2;
    plain.push(server.say().plain);
    stream.extend(server.join());
    say(&mut server, &mut stream, &mut plain);
    (stream, plain)
}

fn say(server: &mut Server, stream: &mut Vec<u8>, plain: &mut Vec<StreamFrame<'static>>) {
    let said = server.say();
    stream.extend(said.record);
    plain.push(said.plain);
}

/// Two sessions, of which one ends; each event.
fn sessions(server: &mut Server, stream: &mut Vec<u8>, plain: &mut Vec<StreamFrame<'static>>) {
    let metrics = DefaultMetrics::register(&tachograph_core::registry::Registry::new()).unwrap();
    let mut live = Session::new(2, metrics, Default::default(), Moment::default());
    let mut audio = Audio::new(AudioConfig::default());
    audio.receive(&mut live, MIC, pcm(320), ms(10)).unwrap();
    live.set_provider(MIC, ProviderInForce { provider: "vad".into(), model_id: "earshot".into(), vad_enabled: true });
    live.work_began(MIC);
    live.set_provider_health(MIC, Some(serde_json::json!({"ok": true, "load": [0.5, -1, null], "who": {"is": "it"}})));
    let happened = |server: &Server, session, kind| Event {
        timestamp: server.now() - 0.125,
        session,
        session_id: session.map(|_| "call-7".into()),
        kind,
        receipt: None,
    };
    server.sessions = vec![session(4), session(9)];
    server.sessions[0].identity = identity();
    server.events = vec![happened(server, Some(4), EventKind::SessionStarted)];
    for second in 1..=3 {
        if second == 2 {
            audio.receive(&mut live, SYSTEM, pcm(500), ms(1_500)).unwrap();
            let chunk = audio.next_chunk(&mut live, MIC, true, ms(1_600)).unwrap();
            let result = took(125).map(|result| tachograph_core::session::ChunkResult {
                voice: Some(Voice { ratio: 0.625, is_speech: true }),
                ..result
            });
            audio.end_chunk(&mut live, MIC, &chunk, result, ms(1_700));
            server.events.extend(happenings(server.now()));
            server.events_dropped = 5;
            add_source(&mut server.sessions[1], silent(SourceName::parse("radio").unwrap(), 0.0));
        }
        server.sessions[0].sources = live.tick(second, ms(second * 1_000), server.now());
        for held in &mut server.sessions {
            held.age_seconds = (second * 10 + held.id) as f64 / 10.0;
            held.ticks_sent += held.id;
        }
        if let Some(metrics) = server.sessions.get_mut(1).and_then(|held| held.sources.first_mut()) {
            metrics.tick = second;
        }
        if second == 3 {
            server.sessions[0].phase = SessionPhase::Draining;
            server.sessions[0].ticks_missed = 1;
            server.sessions.remove(1);
            let receipt = serde_json::json!({"duration_seconds": 3.0, "sources": [{"source": "radio"}]});
            let ended = happened(server, Some(9), EventKind::SessionEnded);
            server.events = vec![Event { receipt: Some(receipt.into()), ..ended }];
        }
        say(server, stream, plain);
    }
}

fn happenings(now: f64) -> Vec<Event> {
    let mut status = Status::new(StatusState::Backpressure, "Audio was dropped");
    status.source = Some(MIC);
    (status.dropped_frames, status.dropped_seconds, status.dropped_total) = (Some(3), Some(0.3), Some(12));
    let fault = ErrorMessage { code: ErrorCode::ProviderFailed, message: "The provider failed".into(), fatal: false };
    [EventKind::Status(status), EventKind::Fault(fault), EventKind::CollectorRestarted]
        .into_iter()
        .map(|kind| Event { timestamp: now, session: None, session_id: None, kind, receipt: None })
        .collect()
}

#[test]
fn a_stream_is_written_as_these_bytes() {
    let (stream, plain) = written();
    bless(&stream, &plain);
    assert_eq!(stream, FRAMES);
}

#[test]
fn these_bytes_say_this() {
    let mut decoder = Decoder::default();
    let mut lines = PLAIN.lines();
    for record in Record::all(FRAMES) {
        if decoder.apply(&record.unwrap()).unwrap() == Applied::Frame {
            assert_eq!(Some(&*text(&decoder)), lines.next());
        }
    }
    assert_eq!(lines.next(), None);
}

/// What is expected follows from the plain form alone.
#[test]
fn this_is_what_was_to_be_said() {
    let (_, plain) = written();
    assert!(plain.iter().map(json).eq(PLAIN.lines().map(String::from)));
    assert!(PLAIN.lines().all(|line| line.contains(&EPOCH.to_string()) && line.contains(SERVER_VERSION)));
}

/// Writes the expected files anew, if that is what is asked for; the test run after it reads them.
#[cfg(not(target_arch = "wasm32"))]
fn bless(stream: &[u8], plain: &[StreamFrame<'_>]) {
    if std::env::var_os("TACHOGRAPH_BLESS").is_none() {
        return;
    }
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let lines: String = plain.iter().map(|plain| json(plain) + "\n").collect();
    std::fs::write(golden.join("frames.bin"), stream).unwrap();
    std::fs::write(golden.join("frames.jsonl"), lines).unwrap();
}

#[cfg(target_arch = "wasm32")]
fn bless(_: &[u8], _: &[StreamFrame<'_>]) {}
