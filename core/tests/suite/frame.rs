//! The stream in bytes: who follows it, who joins it, who reads part of it, and what of later versions.

use serde_json::json;
use tachograph_core::registry::{CounterFamily, Descriptor, GaugeFamily};
use tachograph_core::session::{Action, Level};
use tachograph_core::wire::frame::{
    Applied, Arrival, Cell, Decoder, Encoder, Epoch, Filter, Follower, FrameError, Hello, Outcome, Reason, Record,
    RecordKind, Request, Sieve, Tick, write_skipped,
};
use tachograph_core::wire::{
    ClientFeatures, ErrorCode, ErrorMessage, Event, EventKind, MIC, ProviderState, SYSTEM, SessionPhase, SourceName,
    Status, StatusState, StreamFrame,
};

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use crate::frame_support::{
    EPOCH, SERVER_VERSION, Said, Server, add_source, assert_views, hello, json as text_of, record, rewritten, session,
    silent, text,
};

/// A server with some series, and two sessions.
struct Busy {
    server: Server,
    frames: CounterFamily,
    depth: GaugeFamily,
}

impl Busy {
    fn new() -> Self {
        let mut server = Server::new();
        let frames = server.registry.counter(&Descriptor::new("frames", "Frames").label("source")).unwrap();
        let depth = server.registry.gauge(&Descriptor::new("depth", "Wait").label("source")).unwrap();
        server.registry.histogram(&Descriptor::new("time", "").bounds(&[1.0])).unwrap().bind(&[]).unwrap();
        server.sessions = vec![session(3), session(5)];
        let now = server.now();
        add_source(&mut server.sessions[0], silent(MIC, now));
        Self { server, frames, depth }
    }

    /// Something of everything moves.
    fn say(&mut self) -> Said {
        let tick = self.server.tick;
        self.frames.with(&[("source", "mic")]).unwrap().add(tick);
        self.frames.with(&[("source", "system")]).unwrap().inc();
        self.depth.with(&[("source", "mic")]).unwrap().set(tick as f64 / 8.0);
        let times = self.server.registry.histogram(&Descriptor::new("time", "").bounds(&[1.0])).unwrap();
        times.with(&[]).unwrap().record(tick as f64 / 3.0);
        let now = self.server.now();
        for held in &mut self.server.sessions {
            held.age_seconds += 1.0;
            held.ticks_sent += 1;
            for metrics in &mut held.sources {
                (metrics.tick, metrics.timestamp) = (tick, now);
                metrics.bytes_received += 32_000 + tick % 3;
                metrics.backlog_seconds = (tick % 7) as f64 / 100.0;
            }
        }
        self.server.say()
    }
}

/// What is told of bytes that are not read.
fn at<T>(read: Result<T, FrameError>) -> (&'static str, Reason) {
    let error = read.err().unwrap();
    (error.field, error.reason)
}

fn follows(decoder: &mut Decoder, said: &Said) {
    assert_eq!(decoder.decode(&said.record), Ok(1));
    assert_eq!(text(decoder), text_of(&said.plain));
    assert_views(decoder.state());
}

// ---- beginning, missing, growing

#[test]
fn who_joins_at_a_keyframe_holds_what_who_followed_from_the_start_holds() {
    let mut busy = Busy::new();
    let mut readers = vec![Decoder::default()];
    for _ in 0..12 {
        let said = busy.say();
        readers.iter_mut().for_each(|reader| follows(reader, &said));
        let mut late = Decoder::default();
        assert_eq!(late.decode(&busy.server.join()), Ok(1));
        assert_eq!(text(&late), text(&readers[0]));
        readers.push(late);
    }
}

#[test]
fn a_keyframe_that_comes_in_between_changes_nothing() {
    let mut busy = Busy::new();
    let mut reader = Decoder::default();
    for _ in 0..5 {
        follows(&mut reader, &busy.say());
        let before = text(&reader);
        reader.decode(&busy.server.keyframe()).unwrap();
        assert_eq!(text(&reader), before);
    }
}

#[test]
fn a_frame_out_of_order_is_refused_and_a_keyframe_mends_it() {
    let mut busy = Busy::new();
    let mut reader = Decoder::default();
    follows(&mut reader, &busy.say());
    let second = busy.say();
    let third = busy.say();
    assert_eq!(at(reader.decode(&third.record)), ("head.seq", Reason::OutOfOrder));
    // Nothing was changed by it: the one that was missing can still come.
    follows(&mut reader, &second);
    assert_eq!(at(reader.decode(&second.record)), ("head.seq", Reason::OutOfOrder), "twice");
    busy.say();
    reader.decode(&busy.server.keyframe()).unwrap();
    follows(&mut reader, &busy.say());
    assert_eq!(at(Decoder::default().decode(&third.record)), ("head.seq", Reason::OutOfOrder), "from nothing");
}

#[test]
fn the_first_frame_of_all_begins_anew_whatever_was_before() {
    let mut reader = Decoder::default();
    for _ in 0..2 {
        let mut busy = Busy::new();
        for _ in 0..3 {
            follows(&mut reader, &busy.say());
        }
    }
}

#[test]
fn series_that_come_later_are_described_when_they_come() {
    let mut busy = Busy::new();
    let mut reader = Decoder::default();
    follows(&mut reader, &busy.say());
    let entries = reader.state().extent().entries;
    // They sort before and between those that are there.
    busy.frames.with(&[("source", "a")]).unwrap().inc();
    busy.frames.with(&[("source", "n")]).unwrap().add(0);
    busy.server.registry.counter(&Descriptor::new("a_family", "without series").label("kind")).unwrap();
    let times = busy.server.registry.histogram(&Descriptor::new("b_times", "").scale(2).unit("ms")).unwrap();
    times.with(&[]).unwrap().record(-7.0);
    follows(&mut reader, &busy.say());
    assert_eq!(reader.state().extent().entries, entries + 5);
    follows(&mut reader, &busy.say());
    let mut late = Decoder::default();
    late.decode(&busy.server.join()).unwrap();
    assert_eq!(text(&late), text(&reader));
    assert_eq!(late.state().extent(), reader.state().extent());
    assert_eq!(late.state().schema().hash(entries), reader.state().schema().hash(entries));
}

#[test]
fn a_series_that_is_described_twice_is_passed_over() {
    let mut busy = Busy::new();
    let mut reader = Decoder::default();
    reader.decode(&[busy.say().record, busy.server.schema(), busy.server.schema()].concat()).unwrap();
    busy.frames.with(&[("source", "a")]).unwrap().inc();
    let said = busy.say();
    reader.decode(&busy.server.schema()).unwrap();
    follows(&mut reader, &said);
}

#[test]
fn who_has_the_newest_schema_reads_older_frames() {
    let mut busy = Busy::new();
    let first = busy.say();
    let keyframe = busy.server.keyframe();
    let second = busy.say();
    busy.frames.with(&[("source", "a")]).unwrap().inc();
    busy.server.registry.gauge(&Descriptor::new("a_gauge", "")).unwrap().bind(&[]).unwrap().set(2.0);
    let third = busy.say();
    let mut reader = Decoder::default();
    reader.decode(&[busy.server.schema(), keyframe].concat()).unwrap();
    assert_eq!(text(&reader), text_of(&first.plain));
    follows(&mut reader, &second);
    follows(&mut reader, &third);
}

#[test]
fn a_server_without_anything_has_a_stream_too() {
    let mut server = Server::new();
    let (mut reader, mut late) = (Decoder::default(), Decoder::default());
    follows(&mut reader, &server.say());
    late.decode(&server.join()).unwrap();
    follows(&mut late, &server.say());
    assert_eq!(late.state().extent().entries, 0);
}

#[test]
fn series_that_were_not_described_are_told() {
    let mut busy = Busy::new();
    busy.say();
    let keyframe = busy.server.keyframe();
    assert_eq!(at(Decoder::default().decode(&keyframe)), ("frame.extent", Reason::UnknownSchema));
    let mut reader = Decoder::default();
    assert_eq!(at(reader.decode(&rewritten(RecordKind::Schema, &[7]))), ("schema.first", Reason::UnknownSchema));
}

#[test]
fn another_servers_series_are_told_and_its_schema_replaces_them() {
    let mut busy = Busy::new();
    let mut reader = Decoder::default();
    follows(&mut reader, &busy.say());
    let mut other = Server::new();
    let names = ["depth", "frames", "frameS", "time", "tim"];
    for name in names {
        other.registry.counter(&Descriptor::new(name, "")).unwrap().bind(&[]).unwrap().inc();
    }
    other.say();
    assert_eq!(at(reader.decode(&other.keyframe())).1, Reason::UnknownSchema, "of another extent");
    let [mut one, mut twin] = [Server::new(), Server::new()];
    one.registry.counter(&Descriptor::new("a", "")).unwrap();
    twin.registry.counter(&Descriptor::new("b", "")).unwrap();
    let mut reader = Decoder::default();
    follows(&mut reader, &one.say());
    twin.say();
    assert_eq!(at(reader.decode(&twin.keyframe())), ("frame.schema_hash", Reason::OtherSchema));
    reader.decode(&twin.join()).unwrap();
    assert_eq!(reader.state().schema().families()[0].descriptor.name(), "b");
}

// ---- what this reader does not know

#[test]
fn a_record_of_another_kind_is_passed_over() {
    let mut busy = Busy::new();
    let mut reader = Decoder::default();
    follows(&mut reader, &busy.say());
    let before = text(&reader);
    for kind in [0, 6, 200, 255] {
        let unknown = rewritten(RecordKind::Unknown(kind), b"of a later version");
        assert_eq!(reader.apply(&record(&unknown)), Ok(Applied::Nothing));
    }
    assert_eq!(text(&reader), before);
    follows(&mut reader, &busy.say());
}

#[test]
fn a_section_of_another_number_is_passed_over() {
    let mut busy = Busy::new();
    let mut reader = Decoder::default();
    for _ in 0..3 {
        let said = busy.say();
        let mut payload = record(&said.record).payload.to_vec();
        payload.extend_from_slice(&[99, 3, 1, 2, 3, 255, 0]);
        assert_eq!(reader.decode(&rewritten(RecordKind::Delta, &payload)), Ok(1));
        assert_eq!(text(&reader), text_of(&said.plain));
    }
}

#[test]
fn an_event_of_another_kind_is_passed_over() {
    let mut server = Server::new();
    let started = Event {
        timestamp: server.now(),
        session: None,
        session_id: None,
        kind: EventKind::SessionStarted,
        receipt: None,
    };
    server.events = vec![started.clone(), started];
    let said = server.say();
    let mut payload = record(&said.record).payload.to_vec();
    // The last section holds two events of four bytes, each behind its length.
    let place = payload.len() - 4;
    assert_eq!(payload[place - 1..], [4, 1, 0, 0, 0]);
    payload[place] = 77;
    let mut reader = Decoder::default();
    assert_eq!(reader.decode(&rewritten(RecordKind::Delta, &payload)), Ok(1));
    assert_eq!(reader.state().events(), &said.plain.events[..1]);
}

#[test]
fn a_hello_says_where_a_stream_comes_from() {
    for outcome in [Outcome::Fresh, Outcome::Resumed, Outcome::Gone, Outcome::Restarted] {
        let bytes = hello(outcome, 1 << 40);
        let mut payload = record(&bytes).payload.to_vec();
        let expected = Hello { epoch: EPOCH, server_version: SERVER_VERSION.into(), outcome, first_seq: 1 << 40 };
        assert_eq!(Hello::read(&payload), Ok(expected.clone()));
        payload.extend_from_slice(b"of a later version");
        assert_eq!(Hello::read(&payload), Ok(expected));
    }
}

#[test]
fn a_version_that_is_not_known_is_told() {
    let bytes = hello(Outcome::Fresh, 1);
    let mut payload = record(&bytes).payload.to_vec();
    payload[4] = 2;
    let error = Hello::read(&payload).unwrap_err();
    assert_eq!((error.field, error.reason), ("hello.version", Reason::UnknownVersion(2)));
    assert_eq!(error.to_string(), "hello.version: version 2 is not known here; use a newer reader");
    payload[0] = b't';
    assert_eq!(at(Hello::read(&payload)), ("hello.magic", Reason::NotAStream));
    assert_eq!(at(Hello::read(b"TAC")), ("hello.magic", Reason::NotAStream));
    assert_eq!(at(Follower::default().take(b"{\"epoch\": 1}", |_| {})).1, Reason::CutOff);
}

#[test]
fn bytes_that_end_too_early_are_told() {
    let said = Busy::new().say();
    assert_eq!(at(Decoder::default().decode(&said.record[..said.record.len() - 1])), ("record", Reason::CutOff));
}

// ---- sessions

#[test]
fn sessions_start_end_gain_sources_and_drain() {
    let mut server = Server::new();
    let (mut reader, mut late) = (Decoder::default(), Decoder::default());
    follows(&mut reader, &server.say());
    late.decode(&server.join()).unwrap();
    for step in 0..12 {
        let now = server.now();
        match step {
            0 => server.sessions.extend([session(1), session(2)]),
            1 => add_source(&mut server.sessions[1], silent(SYSTEM, now)),
            2 => add_source(&mut server.sessions[1], silent(MIC, now - 0.25)),
            3 => server.sessions[1].phase = SessionPhase::Draining,
            4 => server.sessions.push(session(900)),
            5 => drop(server.sessions.remove(1)),
            6 => {
                let mut both = session(901);
                ["b", "a"]
                    .into_iter()
                    .for_each(|name| add_source(&mut both, silent(SourceName::parse(name).unwrap(), now)));
                server.sessions.push(both);
                server.sessions.remove(0);
            }
            7 => (server.sessions[0].ticks_missed, server.sessions[0].ticks_conflated) = (2, 1),
            8 => server.sessions.clear(),
            9 => server.sessions.extend((902..1_100).map(session)),
            10 => server.sessions.retain(|held| held.id % 3 == 0),
            _ => {}
        }
        for held in &mut server.sessions {
            held.age_seconds += 1.0;
            held.ticks_sent += held.id % 2;
        }
        let said = server.say();
        follows(&mut reader, &said);
        follows(&mut late, &said);
        late = Decoder::default();
        late.decode(&server.join()).unwrap();
        assert_eq!(text(&late), text(&reader));
    }
}

#[test]
fn what_goes_on_evenly_takes_a_few_bytes() {
    let mut server = Server::new();
    server.sessions = (1..=64).map(session).collect();
    let now = server.now();
    server.sessions.iter_mut().for_each(|held| add_source(held, silent(MIC, now)));
    let mut reader = Decoder::default();
    let mut sizes = Vec::new();
    for tick in 1..=4 {
        let now = server.now();
        for held in &mut server.sessions {
            (held.age_seconds, held.ticks_sent) = (held.age_seconds + 1.0, tick);
            (held.sources[0].tick, held.sources[0].bytes_received) = (tick, 32_000 * tick);
            held.sources[0].timestamp = now;
        }
        let said = server.say();
        follows(&mut reader, &said);
        sizes.push(said.record.len());
    }
    assert!(sizes[0] > 1_000 && sizes[3] < 50, "{sizes:?}");
}

#[test]
fn sources_that_are_not_told_of_go_on_as_foreseen() {
    let mut server = Server::new();
    server.sessions = vec![session(1)];
    let now = server.now();
    [MIC, SYSTEM].into_iter().for_each(|source| add_source(&mut server.sessions[0], silent(source, now)));
    let mut reader = Decoder::default();
    follows(&mut reader, &server.say());
    let mic = server.sessions[0].sources.remove(0);
    let doubled = server.sessions[0].sources[0].clone();
    server.sessions[0].sources.push(doubled);
    assert_eq!(reader.decode(&server.say().record), Ok(1));
    let held = reader.state().sessions().next().unwrap();
    assert_eq!(held.sources.iter().map(|metrics| metrics.source).collect::<Vec<_>>(), [MIC, SYSTEM]);
    server.sessions[0].sources.truncate(1);
    server.sessions[0].sources.insert(0, mic);
    let now = server.now();
    server.sessions[0].sources.iter_mut().for_each(|metrics| metrics.timestamp = now);
    follows(&mut reader, &server.say());
}

#[test]
fn a_figure_that_is_no_number_is_nothing() {
    let mut server = Server::new();
    server.server.tick_lag_ms = f64::NAN;
    server.snapshot_seconds = f64::INFINITY;
    server.sessions = vec![session(1)];
    server.sessions[0].age_seconds = f64::NAN;
    let now = server.now();
    add_source(&mut server.sessions[0], silent(MIC, now));
    let metrics = &mut server.sessions[0].sources[0];
    (metrics.backlog_seconds, metrics.voice_ratio) = (f64::NEG_INFINITY, Some(f64::NAN));
    let mut reader = Decoder::default();
    for _ in 0..2 {
        assert_eq!(reader.decode(&server.say().record), Ok(1));
        let plain = reader.state().to_plain(EPOCH, SERVER_VERSION);
        assert_eq!((plain.server.tick_lag_ms, plain.registry.snapshot_seconds), (0.0, 0.0));
        let metrics = &plain.sessions[0].sources[0];
        assert_eq!((metrics.backlog_seconds, metrics.voice_ratio), (0.0, None));
        server.sessions[0].age_seconds = f64::NAN;
    }
    let mut late = Decoder::default();
    late.decode(&server.join()).unwrap();
    assert_eq!(text(&late), text(&reader));
}

#[test]
fn a_source_lends_its_figures_one_by_one() {
    let mut server = Server::new();
    let mut metrics = silent(MIC, server.now());
    (metrics.degrade_level, metrics.provider_state) = (Some(Level::Degrade), ProviderState::Failed);
    metrics.degrade_level_num = metrics.degrade_level.map(Level::number);
    (metrics.vad_enabled, metrics.queue_bytes, metrics.voice_ratio) = (true, 640, Some(0.25));
    server.sessions = vec![session(7)];
    add_source(&mut server.sessions[0], metrics);
    let mut reader = Decoder::default();
    follows(&mut reader, &server.say());
    let source = reader.state().session_view(7).and_then(|session| session.sources().next()).unwrap();
    for (cell, figure) in [
        (Cell::DegradeLevel, Some(3.0)),
        (Cell::ProviderState, Some(4.0)),
        (Cell::VadEnabled, Some(1.0)),
        (Cell::QueueBytes, Some(640.0)),
        (Cell::VoiceRatio, Some(0.25)),
        (Cell::RtfAvg10s, None),
    ] {
        assert_eq!(source.cell(cell), figure, "{}", cell.name());
    }
    assert_eq!(Cell::ALL[0].name(), "tick");
}

#[test]
fn a_providers_health_is_any_json() {
    let mut server = Server::new();
    server.sessions = vec![session(1)];
    let now = server.now();
    add_source(&mut server.sessions[0], silent(MIC, now));
    let mut reader = Decoder::default();
    let deep = (0..15).fold(json!([]), |value, _| json!([value]));
    let shapes = [
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-1),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(0.1),
        json!(-1e300),
        json!("ä"),
        json!([]),
        json!({}),
        json!([1, [2, {"b": null, "a": [false]}]]),
        deep,
        json!({"a": {"b": {"c": "d"}}, "": 1.0}),
    ];
    for health in shapes.into_iter().map(Some).chain([None, Some(json!(1)), None]) {
        let metrics = &mut server.sessions[0].sources[0];
        metrics.provider_health = health.map(Into::into);
        metrics.timestamp = now;
        follows(&mut reader, &server.say());
        let mut late = Decoder::default();
        late.decode(&server.join()).unwrap();
        assert_eq!(text(&late), text(&reader));
    }
    server.sessions[0].sources[0].provider_health = Some((0..40).fold(json!(1), |value, _| json!([value])).into());
    assert_eq!(reader.decode(&server.say().record), Ok(1));
    let cut = (0..16).fold(json!(null), |value, _| json!([value]));
    assert_eq!(reader.state().sessions().next().unwrap().sources[0].provider_health, Some(cut.into()));
}

// ---- events

#[test]
fn events_of_every_kind_come_with_their_frame_and_go_with_it() {
    let mut server = Server::new();
    let mut reader = Decoder::default();
    let plain = Status::new(StatusState::Connected, "Send start");
    let full = Status {
        source: Some(MIC),
        backlog_seconds: Some(1.93),
        dropped_frames: Some(3),
        dropped_seconds: Some(0.3),
        dropped_total: Some(u64::MAX),
        degrade_level: Some(Level::Emergency),
        action: Some(Action::DropChunks),
        client_features: Some(ClientFeatures { client_vad_enabled: true, ..ClientFeatures::default() }),
        ..Status::new(StatusState::Backpressure, "Ä")
    };
    let fault = ErrorMessage { code: ErrorCode::Internal, message: "It failed".into(), fatal: true };
    let kinds = [
        EventKind::SessionStarted,
        EventKind::SessionEnded,
        EventKind::Status(plain),
        EventKind::Status(full),
        EventKind::Fault(fault),
        EventKind::CollectorRestarted,
    ];
    let sessions = [None, Some(0), Some(7), Some(u64::MAX - 1)];
    for (place, session) in sessions.into_iter().enumerate() {
        let session_id = session.map(|session| format!("call-{session}"));
        let event = |(number, kind): (usize, &EventKind)| Event {
            timestamp: server.now() - number as f64 / 8.0,
            session,
            session_id: session_id.clone(),
            kind: kind.clone(),
            receipt: None,
        };
        server.events = kinds.iter().enumerate().map(event).collect();
        server.events_dropped = place as u64;
        follows(&mut reader, &server.say());
        let mut late = Decoder::default();
        late.decode(&server.join()).unwrap();
        assert_eq!(text(&late), text(&reader));
    }
    follows(&mut reader, &server.say());
    assert!(reader.state().events().is_empty());
    server.events_dropped = 3;
    follows(&mut reader, &server.say());
    assert_eq!(reader.state().events_dropped(), 3);
}

#[test]
fn a_session_that_ended_has_its_receipt() {
    let mut server = Server::new();
    let (mut reader, mut sieve) =
        (Decoder::default(), Sieve::new(Filter { prefixes: vec!["x".into()], ..Filter::default() }));
    let receipt = Some(json!({"duration_seconds": 3.5, "sources": [{"frames": {"received": 7}}]}).into());
    let event = |receipt| Event {
        timestamp: server.now(),
        session: Some(4),
        session_id: None,
        kind: EventKind::SessionEnded,
        receipt,
    };
    server.events = vec![event(receipt.clone()), event(None)];
    let said = server.say();
    assert!(text_of(&said.plain).contains(r#""event":"session_ended","receipt":{"duration_seconds":3.5"#));
    follows(&mut reader, &said);
    let (mut late, mut left) = (Decoder::default(), Vec::new());
    late.decode(&server.join()).unwrap();
    assert_eq!(text(&late), text(&reader), "also who joins");
    sieve.take(&record(&said.record), &mut left).unwrap();
    late.decode(&left).unwrap();
    let receipts: Vec<_> = late.state().events().iter().map(|event| event.receipt.clone()).collect();
    assert_eq!(receipts, [receipt, None], "also who reads a part");
    follows(&mut reader, &server.say());
    assert!(reader.state().events().is_empty());
}

#[test]
fn more_events_than_a_frame_holds_are_counted() {
    let mut server = Server::new();
    let event = Event {
        timestamp: server.now(),
        session: None,
        session_id: None,
        kind: EventKind::SessionEnded,
        receipt: None,
    };
    server.events = vec![event; 5_000];
    server.events_dropped = 6;
    let mut reader = Decoder::default();
    assert_eq!(reader.decode(&server.say().record), Ok(1));
    assert_eq!((reader.state().events().len(), reader.state().events_dropped()), (4_096, 910));
}

// ---- less of a stream

fn filters() -> [Filter; 6] {
    let mic = ("source".to_string(), "mic".to_string());
    [
        Filter::default(),
        Filter { sessions: false, ..Filter::default() },
        Filter { prefixes: vec!["f".into(), "ti".into()], ..Filter::default() },
        Filter { labels: vec![mic.clone()], ..Filter::default() },
        Filter { sessions: false, prefixes: vec!["depth".into()], labels: vec![mic] },
        Filter { prefixes: vec!["nothing".into()], ..Filter::default() },
    ]
}

/// What a filter leaves of the plain form.
fn filtered(plain: &StreamFrame<'_>, filter: &Filter) -> String {
    let mut left = plain.clone();
    let registry = left.registry.to_mut();
    registry.families.retain(|family| {
        let named =
            filter.prefixes.is_empty() || filter.prefixes.iter().any(|prefix| family.name().starts_with(prefix));
        let labels = family.descriptor.label_names();
        named && filter.labels.iter().all(|(name, _)| labels.contains(name))
    });
    for family in &mut registry.families {
        let names = family.descriptor.label_names().to_vec();
        family.series.retain(|series| {
            let labels: Vec<(&str, &str)> = names.iter().map(|name| &**name).zip(series.labels.iter()).collect();
            filter.labels.iter().all(|(name, value)| labels.contains(&(name, value)))
        });
    }
    registry.series = registry.families.iter().map(|family| family.series.len() as u64).sum();
    if !filter.sessions {
        (left.sessions, left.events, left.events_dropped) = (Vec::new(), Vec::new(), 0);
    }
    text_of(&left)
}

#[test]
fn a_sieve_leaves_what_its_filter_lets_through() {
    for filter in filters() {
        let mut busy = Busy::new();
        let (mut sieve, mut reader) = (Sieve::new(filter.clone()), Decoder::default());
        for tick in 0..8 {
            grow(&mut busy, tick);
            let said = busy.say();
            let mut left = Vec::new();
            assert_eq!(sieve.take(&record(&said.record), &mut left), Ok(Applied::Frame));
            assert_eq!(reader.decode(&left), Ok(1));
            assert_eq!(text(&reader), filtered(&said.plain, &filter), "{filter:?}");
        }
    }
}

/// New series and families of several kinds, some of which a filter takes.
fn grow(busy: &mut Busy, tick: u64) {
    let now = busy.server.now();
    match tick {
        2 => {
            busy.frames.with(&[("source", "a")]).unwrap().inc();
            busy.server.registry.gauge(&Descriptor::new("first", "").label("source")).unwrap();
        }
        4 => {
            busy.server.registry.counter(&Descriptor::new("a_counter", "")).unwrap().bind(&[]).unwrap().inc();
            busy.frames.with(&[("source", "b")]).unwrap().inc();
            busy.depth.with(&[("source", "a")]).unwrap().set(0.5);
            busy.server.events = vec![Event {
                timestamp: now,
                session: Some(3),
                session_id: None,
                kind: EventKind::SessionStarted,
                receipt: None,
            }];
        }
        6 => {
            let times = busy.server.registry.histogram(&Descriptor::new("timings", "").label("source")).unwrap();
            times.with(&[("source", "mic")]).unwrap().record(4.0);
            busy.server.sessions.remove(1);
        }
        _ => {}
    }
}

#[test]
fn a_sieve_writes_the_same_wherever_it_began() {
    for filter in filters() {
        let mut busy = Busy::new();
        let mut sieves = vec![Sieve::new(filter.clone())];
        for tick in 0..9 {
            grow(&mut busy, tick);
            let said = busy.say();
            let left = sieves.iter_mut().map(|sieve| {
                let mut left = Vec::new();
                sieve.take(&record(&said.record), &mut left).unwrap();
                left
            });
            let left: Vec<_> = left.collect();
            assert!(left.iter().all(|late| *late == left[0]), "{filter:?} at {tick}");
            let mut late = Sieve::new(filter.clone());
            for record in Record::all(&busy.server.join()) {
                late.take(&record.unwrap(), &mut Vec::new()).unwrap();
            }
            sieves.push(late);
        }
    }
}

#[test]
fn a_sieve_that_missed_frames_goes_on_at_a_keyframe_and_so_do_its_readers() {
    for filter in filters() {
        let mut busy = Busy::new();
        let (mut sieve, mut reader) = (Sieve::new(filter.clone()), Decoder::default());
        let mut take = |bytes: &[u8], plain: &StreamFrame<'_>| {
            let mut left = Vec::new();
            for record in Record::all(bytes) {
                sieve.take(&record.unwrap(), &mut left).unwrap();
            }
            assert_eq!(reader.decode(&left), Ok(1));
            assert_eq!(text(&reader), filtered(plain, &filter));
        };
        let first = busy.say();
        take(&first.record, &first.plain);
        grow(&mut busy, 4);
        busy.say();
        grow(&mut busy, 6);
        let said = busy.say();
        take(&busy.server.join(), &said.plain);
        let next = busy.say();
        take(&next.record, &next.plain);
    }
}

// ---- a viewer's connections

/// What a message brought, in words.
fn told(follower: &mut Follower, message: &[u8]) -> Vec<String> {
    let mut told = Vec::new();
    let taken = follower.take(message, |arrival| {
        told.push(match arrival {
            Arrival::Hello(hello) => format!("hello {:?}", hello.outcome),
            Arrival::Newest(state) => format!("newest {}", state.head().seq),
            Arrival::Fills(state) => format!("fills {}", state.head().seq),
            Arrival::Skipped(frames) => format!("skipped {frames}"),
        });
    });
    taken.unwrap();
    told
}

/// Frames 1 to 9: their deltas, and keyframes with the schema.
fn frames() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut busy = Busy::new();
    (0..9).map(|_| (busy.say().record, busy.server.join())).unzip()
}

#[test]
fn a_follower_asks_for_what_it_has_not() {
    let (deltas, keyframes) = frames();
    let mut follower = Follower::default();
    assert_eq!(follower.request(60), Request::Window { seconds: 60 });
    let first = [hello(Outcome::Fresh, 2), keyframes[1].clone(), deltas[2].clone()].concat();
    assert_eq!(told(&mut follower, &first), ["hello Fresh", "newest 2", "newest 3"]);
    assert_eq!(follower.request(60), Request::After { epoch: EPOCH, seq: 3 });
    assert_eq!(follower.request(60).to_string(), format!("epoch={EPOCH}&after=3"));
    let resumed = [hello(Outcome::Resumed, 4), deltas[3].clone()].concat();
    assert_eq!(told(&mut follower, &resumed), ["hello Resumed", "newest 4"]);
    assert_eq!(text_of(&follower.state().to_plain(EPOCH, "")), {
        let mut reader = Decoder::default();
        reader.decode(&keyframes[3]).unwrap();
        text_of(&reader.state().to_plain(EPOCH, ""))
    });
}

#[test]
fn a_follower_fills_the_hole_that_it_was_too_slow_for() {
    let (deltas, keyframes) = frames();
    let mut follower = Follower::default();
    told(&mut follower, &[hello(Outcome::Fresh, 1), keyframes[0].clone()].concat());
    let mut skipped = Vec::new();
    write_skipped(2, &mut skipped);
    skipped.extend_from_slice(&keyframes[3]);
    assert_eq!(told(&mut follower, &skipped), ["skipped 2", "newest 4"]);
    assert!(follower.has_hole());
    assert_eq!(follower.request(60), Request::Since { epoch: EPOCH, seq: 1 });
    assert_eq!(follower.request(60).to_string(), format!("epoch={EPOCH}&since=1"));
    let fill =
        [hello(Outcome::Resumed, 2), keyframes[1].clone(), deltas[2].clone(), deltas[3].clone(), deltas[4].clone()];
    assert_eq!(told(&mut follower, &fill.concat()), ["hello Resumed", "fills 2", "fills 3", "newest 5"]);
    assert!(!follower.has_hole());
}

#[test]
fn a_follower_is_told_of_a_frame_once() {
    let (deltas, keyframes) = frames();
    let mut follower = Follower::default();
    told(&mut follower, &[hello(Outcome::Fresh, 3), keyframes[2].clone(), deltas[3].clone()].concat());
    assert!(told(&mut follower, &keyframes[3]).is_empty());
    assert!(told(&mut follower, &keyframes[2]).is_empty());
    assert!(told(&mut follower, &keyframes[0]).is_empty(), "it was not asked for");
}

#[test]
fn a_follower_of_a_stream_with_keyframes_is_told_of_each_frame_once() {
    let mut busy = Busy::new();
    let (mut plain, mut all) = (hello(Outcome::Fresh, 1), hello(Outcome::Fresh, 1));
    for tick in 1..=40 {
        grow(&mut busy, tick);
        let said = busy.say().record;
        plain.extend_from_slice(&said);
        all.extend(said);
        if tick % 7 == 0 {
            all.extend(busy.server.keyframe());
        }
    }
    let told = |stream: &[u8]| {
        let (mut follower, mut told) = (Follower::default(), Vec::new());
        follower
            .take(stream, |arrival| {
                if let Arrival::Newest(state) | Arrival::Fills(state) = arrival {
                    told.push(text_of(&state.to_plain(EPOCH, SERVER_VERSION)));
                }
            })
            .unwrap();
        assert!(!follower.has_hole());
        told
    };
    assert_eq!(told(&all).len(), 40);
    assert_eq!(told(&all), told(&plain));
}

#[test]
fn a_follower_gives_up_what_is_gone_and_begins_anew_after_a_restart() {
    let (deltas, keyframes) = frames();
    let mut follower = Follower::default();
    told(&mut follower, &[hello(Outcome::Fresh, 1), keyframes[0].clone()].concat());
    let gone = [hello(Outcome::Gone, 5), keyframes[4].clone(), deltas[5].clone()].concat();
    assert_eq!(told(&mut follower, &gone), ["hello Gone", "newest 5", "newest 6"]);
    assert_eq!((follower.has_hole(), follower.request(9)), (false, Request::After { epoch: EPOCH, seq: 6 }));
    let epoch = Epoch::from_bytes([7; 16]);
    let mut restarted = Vec::new();
    Hello { epoch, server_version: "2".into(), outcome: Outcome::Restarted, first_seq: 1 }.write(&mut restarted);
    restarted.extend_from_slice(&deltas[0]);
    assert_eq!(told(&mut follower, &restarted), ["hello Restarted", "newest 1"]);
    assert_eq!(follower.request(9), Request::After { epoch, seq: 1 });
}

#[test]
fn a_follower_whose_connection_broke_in_a_frame_asks_for_a_keyframe() {
    let (deltas, keyframes) = frames();
    let mut follower = Follower::default();
    assert_eq!(at(follower.take(&deltas[0], |_| {})), ("hello", Reason::NotAStream));
    told(&mut follower, &[hello(Outcome::Fresh, 1), keyframes[0].clone(), deltas[1].clone()].concat());
    let mut broken = record(&deltas[2]).payload.to_vec();
    broken.extend_from_slice(&[4, 1]);
    assert!(follower.take(&rewritten(RecordKind::Delta, &broken), |_| {}).is_err());
    assert_eq!(follower.request(60), Request::Since { epoch: EPOCH, seq: 2 });
    let mended = [hello(Outcome::Resumed, 3), keyframes[2].clone(), deltas[3].clone()].concat();
    assert_eq!(told(&mut follower, &mended), ["hello Resumed", "newest 3", "newest 4"]);
}

#[test]
fn a_follower_survives_numbers_at_the_end_of_their_range() {
    let mut server = Server::new();
    server.say();
    let keyframe = server.keyframe();
    let payload = record(&keyframe).payload;
    let mut last = vec![payload[0]];
    last.extend_from_slice(&[0xFF; 9]);
    last.push(1);
    last.extend_from_slice(&payload[2..]);
    let mut follower = Follower::default();
    told(&mut follower, &[hello(Outcome::Fresh, 1), server.schema(), keyframe.clone()].concat());
    assert_eq!(told(&mut follower, &rewritten(RecordKind::Keyframe, &last)), [format!("newest {}", u64::MAX)]);
    assert!(follower.has_hole());
    told(&mut follower, &hello(Outcome::Gone, u64::MAX));
    assert!(!follower.has_hole());
    told(&mut follower, &hello(Outcome::Gone, 0));
}

// ---- without a server's bench

#[test]
fn metrics_alone_are_a_stream_too() {
    let registry = tachograph_core::registry::Registry::new();
    registry.counter(&Descriptor::new("frames", "")).unwrap().bind(&[]).unwrap().add(3);
    let (mut encoder, mut reader, mut record) = (Encoder::new(), Decoder::default(), Vec::new());
    encoder.encode(&Tick::of(&registry.snapshot()), &mut record);
    reader.decode(&record).unwrap();
    assert_eq!(reader.state().registry().counter("frames", &[]), Some(3));
    assert_eq!(encoder.state().registry().counter("frames", &[]), Some(3));
}
