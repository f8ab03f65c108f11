//! An hour of a server with three sessions: every frame says exactly what the plain form does.

use tachograph_core::registry::{DefaultMetrics, Descriptor};
use tachograph_core::session::{Audio, AudioConfig, ChunkResult, Session, Voice};
use tachograph_core::snapshot::{RegistrySnapshot, Value};
use tachograph_core::time::Moment;
use tachograph_core::wire::frame::Decoder;
use tachograph_core::wire::{Event, EventKind, MIC, SYSTEM, StreamFrame, rounded};

use crate::frame_support::{EPOCH, SERVER_VERSION, Server, json, session, text};
use crate::support::{Random, pcm, took};

const SECONDS: u64 = 3_600;
const FAMILIES: [&str; 6] = ["requests", "bytes", "load", "room", "wait", "work"];

struct Live {
    session: Session,
    audio: Audio,
    started: u64,
}

#[test]
fn an_hour_is_read_as_it_was_said() {
    let mut server = Server::new();
    let metrics = DefaultMetrics::register(&server.registry).unwrap();
    let mut random = Random(11);
    let mut live: Vec<Live> = Vec::new();
    let mut reader = Decoder::default();
    let mut bytes = 0;
    for second in 1..=SECONDS {
        count(&server, &mut random);
        if matches!(second, 3 | 500 | 1_700) {
            let session = Session::new(2, metrics.clone(), Default::default(), moment(second));
            let audio = Audio::new(AudioConfig::default());
            live.push(Live { session, audio, started: second });
            server.sessions.push(self::session(second));
        }
        for (live, state) in live.iter_mut().zip(&mut server.sessions) {
            hear(live, second, &mut random);
            state.sources = live.session.tick(second - live.started, moment(second), server.wall_ms as f64 / 1_000.0);
            (state.age_seconds, state.ticks_sent) = ((second - live.started) as f64, second - live.started);
            let statuses = live.session.take_statuses();
            let timestamp = rounded(server.wall_ms as f64 / 1_000.0, 3);
            let event = |status| Event {
                timestamp,
                session: Some(state.id),
                session_id: None,
                kind: EventKind::Status(status),
                receipt: None,
            };
            server.events.extend(statuses.into_iter().map(event));
        }
        let said = server.say();
        bytes += said.record.len();
        assert_eq!(reader.decode(&said.record), Ok(1));
        assert_same(&reader.state().to_plain(EPOCH, SERVER_VERSION), &said.plain);
        if second % 20 == 0 {
            // The text of both: a float that is parsed may be off by a last bit.
            assert_eq!(text(&reader), json(&said.plain), "second {second}");
        }
    }
    let series = reader.state().extent().series();
    assert!((40..60).contains(&series), "{series}");
    assert!(bytes < 1_500_000, "{bytes} bytes");
}

/// Of every field, and bit for bit: the plain form has a sum's nearest float.
fn assert_same(one: &StreamFrame<'_>, other: &StreamFrame<'_>) {
    assert_eq!(
        (one.seq, one.tick, one.timestamp, &one.server),
        (other.seq, other.tick, other.timestamp, &other.server)
    );
    assert_eq!(
        (&one.sessions, &one.events, one.events_dropped),
        (&other.sessions, &other.events, other.events_dropped)
    );
    let bare = |plain: &StreamFrame<'_>| RegistrySnapshot { families: Vec::new(), ..*plain.registry };
    assert_eq!(bare(one), bare(other));
    assert_eq!(one.registry.families.len(), other.registry.families.len());
    for (one, other) in one.registry.all_series().zip(other.registry.all_series()) {
        assert_eq!((&one.0.descriptor, &one.1.labels), (&other.0.descriptor, &other.1.labels));
        match (&one.1.value, &other.1.value) {
            (Value::Histogram(one), Value::Histogram(other)) => {
                assert_eq!((one.scale(), one.zero(), one.bounds()), (other.scale(), other.zero(), other.bounds()));
                assert_eq!((one.positive(), one.negative()), (other.positive(), other.negative()));
                assert_eq!((one.buckets(), one.sum().to_bits()), (other.buckets(), other.sum().to_bits()));
            }
            (one, other) => {
                assert_eq!(one, other);
                assert_eq!(one.gauge().map(f64::to_bits), other.gauge().map(f64::to_bits));
            }
        }
    }
}

fn moment(second: u64) -> Moment {
    Moment::from_millis(second * 1_000)
}

fn count(server: &Server, random: &mut Random) {
    let registry = &server.registry;
    for (place, name) in FAMILIES.into_iter().enumerate() {
        let descriptor = Descriptor::new(name, "").label("route");
        let route = ["/", "/users", "/users/7", "/health"][random.below(4) as usize];
        let labels = [("route", route)];
        match place {
            0 | 1 => registry.counter(&descriptor).unwrap().with(&labels).unwrap().add(random.below(900)),
            2 | 3 => registry.gauge(&descriptor).unwrap().with(&labels).unwrap().set(rounded(random.share(), 3)),
            _ => registry.histogram(&descriptor).unwrap().with(&labels).unwrap().record(random.share() * 40.0),
        }
    }
}

/// A second of audio of two sources, of which one is processed.
fn hear(live: &mut Live, second: u64, random: &mut Random) {
    let (at, Live { session, audio, .. }) = (moment(second), live);
    for source in [MIC, SYSTEM] {
        let _ended = audio.receive(session, source, pcm(900 + random.below(10) as usize * 20), at);
    }
    if let Some(chunk) = audio.next_chunk(session, MIC, true, at) {
        let voice = Some(Voice { ratio: rounded(random.share(), 2), is_speech: random.below(2) == 0 });
        let result = took(100 + random.below(300)).map(|result| ChunkResult { voice, ..result });
        audio.end_chunk(session, MIC, &chunk, result, at);
    }
    if random.below(3) == 0
        && let Some(chunk) = audio.next_chunk(session, SYSTEM, true, at)
    {
        audio.end_chunk(session, SYSTEM, &chunk, took(1_500), at);
    }
}
