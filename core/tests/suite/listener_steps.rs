//! A client that sends at random whatever it may and may not, to a session whose clock and provider do the
//! same, as some bytes have it. Nothing panics, queues keep their bounds, all audio is accounted for after each
//! step, and what is refused changes nothing. The fuzzer and the suite run the same.

#![allow(clippy::panic, reason = "a test fails by it")]

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use bytes::Bytes;
use serde_json::{Value, json};
use tachograph_core::session::{AudioConfig, Chunk, ChunkResult, ErrorBudget, Level, ProviderPhase, Voice};
use tachograph_core::wire::{
    AudioHeader, ClientMessage, DecodeError, ErrorCode, MIC, Metrics, PCM_BYTES_PER_SECOND, PIECE_BYTES_MAX, SYSTEM,
    SourceName, check_pcm, decode_client_message, encode_audio_header,
};

use crate::support::{Amount, Bench, dropped, identity, ms, waiting};

const STEPS_MAX: usize = 300;
/// Chunks that a provider holds at once.
const CHUNKS_MAX: usize = 3;
/// The longest that the ladder makes a chunk, and no choice below is longer.
const CHUNK_BYTES_MAX: u64 = 8 * PCM_BYTES_PER_SECOND as u64;
/// Stands in much that is sent: no error repeats it.
const MARK: &str = "hunter2";
const SOURCES: [&str; 8] = ["mic", " Microphone ", "system", "a", "z_-9", "", "my mic", "\u{1f600}"];

/// The first byte says what the rest is: one message as it stands, or the choices of a client.
///
/// # Panics
/// A law does not hold.
pub(crate) fn run(input: &[u8]) {
    let Some((mode, rest)) = input.split_first() else { return };
    if mode % 2 == 0 {
        read_any(rest);
    } else {
        let mut choices = Unstructured::new(rest);
        let _ran_out = play(&mut choices);
    }
}

// ---- one message

fn read_any(message: &[u8]) {
    let _refused = str::from_utf8(message).map(|text| read_text(text, 64_000));
    let _refused = read_binary(message);
}

/// What is understood can be said again, and is understood the same.
fn read_text(text: &str, audio_bytes_max: usize) -> Result<ClientMessage, DecodeError> {
    let read = decode_client_message(text, audio_bytes_max);
    let again = match &read {
        Ok(ClientMessage::Start(start)) => {
            let names = [Some(&start.session_id), start.attempt_id.as_ref(), start.connection_id.as_ref()];
            assert!(names.into_iter().flatten().all(|name| (1..=256).contains(&name.chars().count())));
            start.encode()
        }
        Ok(ClientMessage::Audio { source, pcm }) => {
            assert!(check_pcm(pcm).is_ok() && pcm.len() <= audio_bytes_max);
            ClientMessage::encode_audio(*source, pcm)
        }
        Ok(ClientMessage::Stop { session_id }) => ClientMessage::encode_stop(session_id),
        Err(error) => {
            assert_told(error);
            assert!(error.code != ErrorCode::InvalidJson || serde_json::from_str::<Value>(text).is_err());
            return read;
        }
    };
    assert_eq!(decode_client_message(&again, audio_bytes_max), read);
    read
}

fn read_binary(frame: &[u8]) -> Result<AudioHeader, DecodeError> {
    let header = AudioHeader::decode(frame).inspect_err(assert_told)?;
    let expected = encode_audio_header(header.source);
    match header.length {
        0 => assert!(header.source == SYSTEM && !frame.starts_with(b"EP")),
        length => assert_eq!(Some(&frame[..length]), expected.as_ref().map(|header| &header[..])),
    }
    Ok(header)
}

/// An error says what to do in few words, none of them the client's.
fn assert_told(error: &DecodeError) {
    assert!((1..=120).contains(&error.message.len()) && error.message.is_ascii(), "{error}");
    assert!(!error.message.contains(MARK), "{error}");
}

// ---- a client

/// What some bytes have a client, a clock and a provider do.
fn play(choices: &mut Unstructured<'_>) -> Result<()> {
    let config = AudioConfig {
        sources_max: choices.int_in_range(1..=3)?,
        queue_bytes_max: *choices.choose(&[2, 3_200, 10_001, 64_000])?,
        queue_frames_max: *choices.choose(&[1, 7, 500])?,
        chunk: Duration::from_millis(*choices.choose(&[0, 100, 150, 2_000, 8_000])?),
        ladder: choices.arbitrary()?,
        fallback: choices.arbitrary()?,
    };
    let mut run = Run { config, live: None, errors: ErrorBudget::default(), now: 0 };
    for _ in 0..STEPS_MAX {
        if choices.is_empty() {
            break;
        }
        run.step(choices)?;
        if let Some(live) = &mut run.live {
            live.check(run.now);
        }
    }
    if let Some(live) = run.live {
        live.end(run.now);
    }
    Ok(())
}

struct Run {
    config: AudioConfig,
    live: Option<Live>,
    errors: ErrorBudget,
    /// Milliseconds. It goes back, too: a clock that does must do no harm.
    now: u64,
}

impl Run {
    fn step(&mut self, choices: &mut Unstructured<'_>) -> Result<()> {
        match choices.int_in_range(0..=19)? {
            0..=5 => self.take_binary(&binary(choices, self.config.queue_bytes_max)?),
            6..=8 => self.take_text(&audio(choices, self.config.queue_bytes_max)?),
            9 => self.take_text(&start(choices)?),
            10 => self.take_text(&stop(choices)?),
            11 => self.take_text(&any_text(choices)?),
            12 => self.now = self.now.saturating_add(choices.int_in_range(0..=20_000)?),
            13 => {
                self.now = if choices.ratio(1, 4)? { choices.arbitrary()? } else { self.now.saturating_sub(3_600_000) }
            }
            _ => {
                if let Some(live) = &mut self.live {
                    live.work(choices, self.now)?;
                }
            }
        }
        Ok(())
    }

    fn take_text(&mut self, text: &str) {
        let outcome = match read_text(text, self.config.queue_bytes_max) {
            Ok(ClientMessage::Start(_)) => self.start(),
            Ok(ClientMessage::Audio { source, pcm }) => return self.receive(source, pcm),
            Ok(ClientMessage::Stop { session_id }) => self.stop(&session_id),
            Err(error) => Err(error.code),
        };
        self.spend(outcome);
    }

    fn take_binary(&mut self, frame: &[u8]) {
        match read_binary(frame) {
            Ok(header) => self.receive(header.source, Bytes::copy_from_slice(&frame[header.length..])),
            Err(error) => self.spend(Err(error.code)),
        }
    }

    fn receive(&mut self, source: SourceName, pcm: Bytes) {
        let now = self.now;
        let live = self.live.as_mut().ok_or(ErrorCode::NotStarted);
        let outcome = live.and_then(|live| live.receive(source, pcm, now));
        self.spend(outcome);
    }

    fn start(&mut self) -> Result<(), ErrorCode> {
        if self.live.is_some() {
            return Err(ErrorCode::AlreadyStarted);
        }
        self.live = Some(Live::new(&self.config));
        Ok(())
    }

    fn stop(&mut self, session_id: &str) -> Result<(), ErrorCode> {
        if session_id.contains(MARK) {
            return Err(ErrorCode::SessionMismatch);
        }
        self.live.take().ok_or(ErrorCode::NotStarted)?.end(self.now);
        Ok(())
    }

    /// The tenth fault in a while ends the connection, and with it the session.
    fn spend(&mut self, outcome: Result<(), ErrorCode>) {
        let Err(code) = outcome else { return };
        if (self.errors.spend(ms(self.now)) || code.is_fatal())
            && let Some(live) = self.live.take()
        {
            live.end(self.now);
            self.errors = ErrorBudget::default();
        }
    }
}

// ---- what is sent

fn binary(choices: &mut Unstructured<'_>, queue_bytes_max: usize) -> Result<Vec<u8>> {
    let mut frame = match choices.int_in_range(0..=5)? {
        0 => b"EP\x01\x00".to_vec(),
        1 => b"EP\x01\x01".to_vec(),
        2 => [b"EP", &choices.arbitrary::<[u8; 2]>()?[..]].concat(),
        3 => b"EP\x01"[..choices.int_in_range(1..=3)?].to_vec(),
        _ => Vec::new(),
    };
    frame.resize(frame.len() + length(choices, queue_bytes_max)?, 0);
    Ok(frame)
}

/// Of PCM: mostly whole samples, around whatever bounds there are.
fn length(choices: &mut Unstructured<'_>, queue_bytes_max: usize) -> Result<usize> {
    Ok(match choices.int_in_range(0..=5)? {
        0 => choices.int_in_range(0..=5)?,
        1 => queue_bytes_max.saturating_sub(choices.int_in_range(0..=3)?),
        2 => queue_bytes_max + choices.int_in_range(0..=3)?,
        3 => PIECE_BYTES_MAX - 1 + choices.int_in_range(0..=2)?,
        _ => choices.int_in_range(0..=6_400)? & !1,
    })
}

fn audio(choices: &mut Unstructured<'_>, queue_bytes_max: usize) -> Result<String> {
    let pcm = vec![1; length(choices, queue_bytes_max)?];
    let name = if choices.ratio(1, 6)? { choices.arbitrary()? } else { *choices.choose(&SOURCES)? };
    let source = SourceName::parse(name).unwrap_or(MIC);
    let mut message: Value = serde_json::from_str(&ClientMessage::encode_audio(source, &pcm)).unwrap_or_default();
    message["source"] = if choices.ratio(1, 8)? { Value::Null } else { name.into() };
    if choices.ratio(1, 8)? {
        message["data"] = json!(format!("{MARK}{}", choices.arbitrary::<&str>()?));
    }
    spoilt(&message, choices)
}

fn start(choices: &mut Unstructured<'_>) -> Result<String> {
    let mut message = json!({"type": "start", "session_id": "call-7"});
    for _ in 0..choices.int_in_range(0..=3)? {
        let field = *choices.choose(&[
            "session_id",
            "attempt_id",
            "connection_id",
            "sample_rate",
            "format",
            "channels",
            "client_features",
            "type",
        ])?;
        message[field] = any_value(choices)?;
    }
    spoilt(&message, choices)
}

fn stop(choices: &mut Unstructured<'_>) -> Result<String> {
    let session_id = if choices.ratio(1, 2)? { "call-7" } else { MARK };
    spoilt(&json!({"type": "stop", "session_id": session_id}), choices)
}

fn any_value(choices: &mut Unstructured<'_>) -> Result<Value> {
    Ok(match choices.int_in_range(0..=9)? {
        0 => Value::Null,
        1 => json!(choices.arbitrary::<bool>()?),
        2 => json!(choices.arbitrary::<f64>()?),
        3 => json!(*choices.choose(&[16_000_u64, 1, 8_000, u64::MAX])?),
        4 => json!(*choices.choose(&["pcm_s16le", "opus", "", MARK])?),
        5 => json!(MARK.repeat(choices.int_in_range(0..=40)?)),
        6 => json!("\u{1f600}".repeat(choices.int_in_range(254..=258)?)),
        7 => json!({"client_vad_enabled": choices.arbitrary::<bool>()?, MARK: [1]}),
        8 => json!([MARK, {"clock_drift_compensation_enabled": "yes"}]),
        _ => json!(choices.arbitrary::<&str>()?),
    })
}

/// The message as text, one time in eight with a byte of it changed, cut or doubled.
fn spoilt(message: &Value, choices: &mut Unstructured<'_>) -> Result<String> {
    let mut text = message.to_string().into_bytes();
    if choices.ratio(1, 8)? {
        let place = choices.choose_index(text.len())?;
        match choices.int_in_range(0..=2)? {
            0 => text[place] = choices.arbitrary()?,
            1 => text.truncate(place),
            _ => text.insert(place, text[place]),
        }
    }
    // What is not UTF-8 does not come through the socket.
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn any_text(choices: &mut Unstructured<'_>) -> Result<String> {
    let length = choices.int_in_range(0..=200)?.min(choices.len());
    Ok(String::from_utf8_lossy(choices.bytes(length)?).into_owned())
}

// ---- the session

/// What went in and came out of a source, as its client and its provider saw it.
#[derive(Default)]
struct Seen {
    received: Amount,
    processed: Amount,
    chunks: VecDeque<Chunk>,
    /// In the chunk that is being filled.
    open: Amount,
}

struct Live {
    bench: Bench,
    config: AudioConfig,
    seen: BTreeMap<SourceName, Seen>,
}

impl Live {
    fn new(config: &AudioConfig) -> Self {
        Self { bench: Bench::with(config.clone()), config: config.clone(), seen: BTreeMap::new() }
    }

    fn figures(&mut self, now: u64) -> Vec<Metrics> {
        self.bench.session.figures(0, ms(now), 0.0)
    }

    fn receive(&mut self, source: SourceName, pcm: Bytes, now: u64) -> Result<(), ErrorCode> {
        let (before, came) = (self.figures(now), Amount::of_pcm(pcm.len()));
        let is_pcm = check_pcm(&pcm).is_ok();
        match self.bench.receive(source, pcm, ms(now)) {
            Ok(is_new) => {
                assert!(is_pcm && came.bytes <= self.config.queue_bytes_max as u64);
                assert_eq!(is_new, !self.seen.contains_key(&source));
                let seen = self.seen.entry(source).or_default();
                seen.received = seen.received.plus(came);
                Ok(())
            }
            Err(error) => {
                assert_told(&error);
                let is_full = !self.seen.contains_key(&source) && self.seen.len() == self.config.sources_max;
                let expected = match came.bytes {
                    _ if !is_pcm => ErrorCode::InvalidAudio,
                    bytes if bytes > self.config.queue_bytes_max as u64 => ErrorCode::TooLarge,
                    _ => ErrorCode::TooManySources,
                };
                assert_eq!(error.code, expected);
                assert!(is_full || expected != ErrorCode::TooManySources);
                assert_eq!(self.figures(now), before, "a refusal changes nothing");
                assert!(self.bench.statuses().is_empty(), "and tells of nothing");
                Err(error.code)
            }
        }
    }

    /// What a clock and a provider do.
    fn work(&mut self, choices: &mut Unstructured<'_>, now: u64) -> Result<()> {
        let source = source(choices, &self.seen)?;
        match choices.int_in_range(0..=11)? {
            0..=3 => self.take_chunk(source, choices.arbitrary()?, now),
            4 => self.fill_chunk(source, now),
            5..=8 => self.end_chunk(source, result(choices)?, now),
            9 => drop(self.bench.session.tick(choices.arbitrary()?, ms(now), choices.arbitrary()?)),
            10 => self.say(source, choices, now)?,
            _ if choices.arbitrary()? => self.bench.session.work_began(source),
            _ => self.bench.session.work_ended(source),
        }
        Ok(())
    }

    /// Whatever a provider says of itself.
    fn say(&mut self, source: SourceName, choices: &mut Unstructured<'_>, now: u64) -> Result<()> {
        let session = &mut self.bench.session;
        let phases = [ProviderPhase::Sound, ProviderPhase::Restarting, ProviderPhase::Failed];
        session.set_provider_phase(source, *choices.choose(&phases)?);
        let level = *choices.choose(&Level::ALL)?;
        session.set_level(source, choices.arbitrary::<bool>()?.then_some(level), ms(now));
        let health = json!({MARK: choices.arbitrary::<f64>()?});
        session.set_provider_health(source, choices.arbitrary::<bool>()?.then_some(health));
        Ok(())
    }

    fn take_chunk(&mut self, source: SourceName, flush: bool, now: u64) {
        if self.seen.get(&source).is_some_and(|seen| seen.chunks.len() < CHUNKS_MAX) {
            self.fill(source, now, |bench| bench.next_chunk(source, flush, ms(now)));
        } else if !self.seen.contains_key(&source) {
            assert!(self.bench.next_chunk(source, flush, ms(now)).is_none());
        }
    }

    fn fill_chunk(&mut self, source: SourceName, now: u64) {
        self.fill(source, now, |bench| {
            bench.fill_chunk(source, ms(now));
            None
        });
    }

    /// What leaves the queue is in the chunk that is being filled, given to the provider, or dropped.
    fn fill(&mut self, source: SourceName, now: u64, take: impl FnOnce(&mut Bench) -> Option<Chunk>) {
        let before = self.one(source, now);
        let chunk = take(&mut self.bench);
        let after = self.one(source, now);
        let (Some(before), Some(after), Some(seen)) = (before, after, self.seen.get_mut(&source)) else { return };
        let taken = waiting(&before).minus(waiting(&after));
        let given = chunk.as_ref().map(Amount::of).unwrap_or_default();
        let lost = dropped(&after).minus(dropped(&before));
        seen.open = seen.open.plus(taken).minus(lost).minus(given);
        for piece in chunk.iter().flat_map(Chunk::pieces) {
            assert!(check_pcm(piece).is_ok() && piece.len() <= PIECE_BYTES_MAX);
        }
        seen.chunks.extend(chunk);
    }

    fn end_chunk(&mut self, source: SourceName, result: Option<ChunkResult>, now: u64) {
        let Some(seen) = self.seen.get_mut(&source) else { return };
        let Some(chunk) = seen.chunks.pop_front() else { return };
        if result.is_some() {
            seen.processed = seen.processed.plus(Amount::of(&chunk));
        }
        let before = self.one(source, now).map(|figures| dropped(&figures)).unwrap_or_default();
        self.bench.end_chunk_of(source, &chunk, result, ms(now));
        let after = self.one(source, now).map(|figures| dropped(&figures)).unwrap_or_default();
        let lost = if result.is_some() { Amount::default() } else { Amount::of(&chunk) };
        assert_eq!(after.minus(before), lost);
    }

    fn one(&mut self, source: SourceName, now: u64) -> Option<Metrics> {
        self.figures(now).into_iter().find(|figures| figures.source == source)
    }

    fn check(&mut self, now: u64) {
        assert!(self.bench.statuses().len() <= 2 * self.config.sources_max, "a step tells of little");
        let figures = self.figures(now);
        assert!(figures.iter().map(|figures| &figures.source).eq(self.seen.keys()));
        for (figures, seen) in figures.iter().zip(self.seen.values()) {
            let in_hand = seen.chunks.iter().map(Amount::of).fold(seen.open, Amount::plus);
            let accounted = seen.processed.plus(dropped(figures)).plus(waiting(figures)).plus(in_hand);
            assert_eq!(seen.received, accounted);
            assert_eq!(figures.bytes_received, seen.received.bytes);
            assert_eq!(figures.bytes_processed, seen.processed.bytes);
            assert_eq!(figures.bytes_in_provider, in_hand.bytes);
            assert!(figures.queue_bytes <= self.config.queue_bytes_max as u64);
            assert!(figures.queue_depth <= self.config.queue_frames_max as u64);
            assert!(seen.open.bytes < CHUNK_BYTES_MAX + PIECE_BYTES_MAX as u64);
            assert_sane(figures);
        }
    }

    fn end(mut self, now: u64) {
        let receipt = self.bench.session.end(identity(), Default::default(), ms(now));
        assert_eq!(receipt.sources.len(), self.seen.len());
        for (part, seen) in receipt.sources.iter().zip(self.seen.values()) {
            for (tally, of) in [(part.frames, (|a| a.frames) as fn(Amount) -> u64), (part.bytes, |a| a.bytes)] {
                assert_eq!((tally.received, tally.processed), (of(seen.received), of(seen.processed)));
                assert_eq!((tally.received, tally.queued), (tally.processed + tally.dropped, 0));
            }
        }
        let late = self.bench.receive(SYSTEM, vec![0; 2].into(), ms(now));
        assert_eq!(late.map_err(|error| error.code), Err(ErrorCode::NotStarted));
        let counted = self.bench.counted();
        assert_eq!(counted.gauge("active_sessions", &[]), Some(0.0));
        for part in &receipt.sources {
            let labels = &[("source", part.source.as_str())];
            assert_eq!(counted.counter("audio_bytes_received", labels), Some(part.bytes.received));
            assert_eq!(counted.counter("audio_bytes_dropped", labels), Some(part.bytes.dropped));
            assert_eq!(counted.gauge("queue_depth", labels), Some(0.0));
        }
        assert!(!receipt.to_markdown().is_empty());
    }
}

/// One that has sent audio, mostly.
fn source(choices: &mut Unstructured<'_>, seen: &BTreeMap<SourceName, Seen>) -> Result<SourceName> {
    let known: Vec<_> = seen.keys().copied().collect();
    if known.is_empty() || choices.ratio(1, 8)? { Ok(MIC) } else { Ok(*choices.choose(&known)?) }
}

fn result(choices: &mut Unstructured<'_>) -> Result<Option<ChunkResult>> {
    let inference = match choices.int_in_range(0..=4)? {
        0 => return Ok(None),
        1 => Duration::from_nanos(choices.arbitrary()?),
        2 => Duration::from_secs(choices.arbitrary()?),
        _ => Duration::from_millis(choices.int_in_range(0..=4_000)?),
    };
    let voice = Voice { ratio: choices.arbitrary()?, is_speech: choices.arbitrary()? };
    Ok(Some(ChunkResult { inference, voice: choices.arbitrary::<bool>()?.then_some(voice) }))
}

/// No figure is NaN, infinite or less than nothing, whatever the provider says.
fn assert_sane(figures: &Metrics) {
    let Ok(Value::Object(fields)) = serde_json::to_value(figures) else { panic!("{figures:?}") };
    for (name, value) in &fields {
        let may_be_null = ["provider_health", "voice_ratio"].contains(&name.as_str());
        assert!(may_be_null || !value.is_null(), "{name} is not finite");
        let may_be_negative = ["voice_ratio", "timestamp"].contains(&name.as_str());
        assert!(may_be_negative || value.as_f64().is_none_or(|number| number >= 0.0), "{name} is {value}");
    }
    assert!((0.0..=1.0).contains(&figures.speech_ratio) && (0.0..=1.0).contains(&figures.queue_fill_ratio));
}
